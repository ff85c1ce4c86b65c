"""The command `heimdex`: each verb calls one flow. Errors are words, and exit code 1."""

import asyncio
import os
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.text import Text

from companion import __version__, local, lock, server_commands, terminal, trial, upkeep
from companion.app import Listening, Part, opened, stopped_by_signals
from companion.arguments import AsJson, ConfigFile, DataDir, err, group, out, print_json
from companion.config import Config
from companion.errors import CompanionError, ConfigError, PictureRefused
from companion.remote import Question, Remote
from companion.search import pictures
from companion.search.query import Mode
from companion.settings import load
from companion.store import db
from companion.trial import Trial

app = group("Search inside your own films: what was said, and play from that second.")
app.add_typer(upkeep.app)
app.add_typer(server_commands.app, name="servers")

Host = Annotated[str | None, typer.Option(help="The address to listen on.")]
Port = Annotated[int | None, typer.Option(help="The port to listen on; 0 takes any free one.")]


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"heimdex {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Search inside your own films: what was said, and play from that second."""


# --- the daemon ----------------------------------------------------------------------------------


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="<path>",
            help="A folder of videos, instead of those in heimdex.toml. Repeatable.",
        ),
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Index the libraries and serve the page.

    Ctrl-C and SIGTERM stop it within three seconds; both end with status 0.
    """
    changes = _changes(host, port) | ({"library.folders": folder} if folder else {})
    _serve(Trial(config=load(data_dir=data_dir, file=config, changes=changes), demo=None))


@app.command("try")
def try_(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder of videos; without it, a demo library.")
    ] = None,
    host: Host = None,
    port: Port = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Try it with a folder or a demo library.

    What is tried has a data folder of its own, so it never mixes with another library.
    """
    changes = _changes(host, port)
    if err.is_terminal and "HEIMDEX_LOG__LEVEL" not in os.environ:
        changes["log.level"] = "WARNING"  # the bar tells the rest
    _serve(trial.prepare(folder, data_dir=data_dir, file=config, changes=changes))


# --- indexing ------------------------------------------------------------------------------------


@app.command()
def scan(
    path: Annotated[Path, typer.Argument(exists=True, help="A folder or a video.")],
    once: Annotated[
        bool,
        typer.Option("--once", help="Wait until it is indexed, also beside a running daemon."),
    ] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Index a folder or a video and leave.

    Status 0 if all went well, 1 if something did not. A folder outside every library becomes one.
    Beside a running daemon it is the daemon that scans, at once and outside of every window.
    """
    settings = load(data_dir=data_dir, file=config)
    path = path.absolute()
    terminal.set_up_logging(settings.log_level, err)
    daemon = lock.running(settings.data_dir)
    if daemon is not None:
        outcome = local.scan_beside(settings, Remote(daemon), path, wait=once)
    else:
        outcome = asyncio.run(_scan(settings, path))
    terminal.print_outcome(err, outcome)
    raise typer.Exit(0 if outcome.well else 1)


async def _scan(config: Config, path: Path) -> local.Outcome:
    stop = asyncio.Event()
    with stopped_by_signals(stop):
        return await local.scan(
            config,
            path,
            stop=stop,
            progress=lambda parts: terminal.show_progress(err, parts.indexer),
        )


@app.command()
def sync(config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Look through every library for changes.

    New, moved and removed files are noticed; what is new waits for its turn to be scanned.
    """
    settings = load(data_dir=data_dir, file=config)
    daemon = lock.running(settings.data_dir)
    if daemon is not None:
        Remote(daemon).sync()
    else:
        asyncio.run(local.sync(settings))


# --- searching -----------------------------------------------------------------------------------


@app.command(context_settings={"ignore_unknown_options": True})  # -word is a part of the query
def search(
    words: Annotated[
        list[str] | None, typer.Argument(help='Words, "exact quotes", -unwanted.')
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Find what looks like this picture."),
    ] = None,
    like: Annotated[
        str | None, typer.Option(help="Find what looks like the scene of a moment, by its id.")
    ] = None,
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="The most results.")] = 10,
    mode: Annotated[
        Mode, typer.Option(help="Search by words, by meaning, or by both.")
    ] = Mode.BOTH,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Find moments by what was said, shown or written in the picture.

    With a picture, or the id of a moment (the last part of its page's address), words are optional.
    """
    if not words and image is None and like is None:
        raise typer.BadParameter("say what to look for: words, --image or --like")
    if image is not None and like is not None:
        raise typer.BadParameter("give --image or --like, not both")
    settings = load(data_dir=data_dir, file=config)
    asked = Question(
        text=" ".join(words or ()), mode=mode, limit=limit, image=_picture(image), like=like or ""
    )
    daemon = lock.running(settings.data_dir)
    if daemon is not None:
        found = Remote(daemon).search(asked)
    else:
        found = asyncio.run(local.search(settings, asked))
    if as_json:
        print_json(terminal.plain_results(found))
    else:
        terminal.print_results(out, found)


def _picture(image: Path | None) -> bytes | None:
    """Return the bytes of a picture; of one that is too large no more than shows that."""
    if image is None:
        return None
    try:
        with image.open("rb") as file:
            return file.read(pictures.MAX_BYTES + 1)
    except OSError as error:
        raise PictureRefused(f"{image} cannot be read: {error.strerror or error}") from error


@app.command()
def show(
    file: Annotated[str, typer.Argument(help="A video, by its path or its id.")],
    as_json: AsJson = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Show the scenes and lines of a video."""
    settings = load(data_dir=data_dir, file=config)
    daemon = lock.running(settings.data_dir)
    if daemon is not None:
        with closing(db.connect(settings.database, readonly=True)) as connection:
            file_id = local.find(connection, file).public_id
        record = Remote(daemon).scenes(file_id)
    else:
        record = asyncio.run(local.show(settings, file))
    if as_json:
        print_json(record)
    else:
        terminal.print_scenes(out, record)


# --- start ---------------------------------------------------------------------------------------


def _changes(host: str | None, port: int | None) -> dict[str, object]:
    given = {"web.host": host, "web.port": port}
    return {key: value for key, value in given.items() if value is not None}


def _serve(tried: Trial) -> None:
    terminal.set_up_logging(tried.config.log_level, err)
    asyncio.run(_serving(tried))


async def _serving(tried: Trial) -> None:
    stop = asyncio.Event()
    with stopped_by_signals(stop):
        async with opened(tried.config) as parts:
            progress = partial(terminal.show_progress, err, parts.indexer)
            also: list[tuple[str, Part]] = [("progress", progress), *trial.parts(tried, parts)]
            await parts.serve(stop, _ready, also)


def _ready(listening: Listening) -> None:
    out.print(f"Heimdex is at {listening.url}", style="bold")
    if listening.password is not None:
        out.print("The owner's password, shown this once:")
        out.print(listening.password)


def _leave(*lines: str) -> NoReturn:
    for line in lines:
        err.print(Text(line), soft_wrap=True)
    sys.exit(1)


def main() -> None:
    """Run the command; what goes wrong in a known way ends in words, not in a traceback."""
    try:
        app()
    except ConfigError as error:
        _leave(*error.mistakes)
    except CompanionError as error:
        _leave(str(error))
    except BaseExceptionGroup as errors:
        known = errors.subgroup(CompanionError)
        if known is None:
            raise
        _leave(*(str(error) for error in known.exceptions))


if __name__ == "__main__":
    main()
