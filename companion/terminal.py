"""What commands show in a terminal: results, progress, findings. No decisions here."""

import asyncio
import logging
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from companion.doctor import Finding, Health
from companion.indexing import Indexer
from companion.local import Outcome
from companion.model import IndexingStatus
from companion.progress import COMING
from companion.timecode import clock, ms_from_seconds
from scanners import models
from webui import records
from webui.progress import PASSES

REFRESH_S = 0.5
ON_THEIR_WAY = (COMING, "Assembling")  # how the notes begin that change by themselves
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
COLOURS = {Health.OK: "green", Health.WARN: "yellow", Health.FAIL: "red"}
NOISY = ("apscheduler", "watchfiles", "aiohttp.access")  # libraries that log what nobody asked


def set_up_logging(level: str, console: Console) -> None:
    """Write the log to standard error: with colours where a person reads it."""
    handler: logging.Handler
    if console.is_terminal:
        handler = RichHandler(console=console, show_path=False, rich_tracebacks=False, markup=False)
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


# --- search --------------------------------------------------------------------------------------


def print_results(console: Console, found: records.Results) -> None:
    strong = [result for result in found.results if result.strong]
    weak = [result for result in found.results if not result.strong]
    if strong:
        console.print(_results(strong))
    elif weak:
        console.print("No strong match. The closest:", style="dim")
        console.print(_results(weak))
    else:
        console.print("Nothing found.", style="dim")
    for note in found.notes:
        console.print(Text(note, style="yellow"))


def _results(results: Iterable[records.Result]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(justify="right", style="cyan", no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(justify="right", style="dim", no_wrap=True)
    for result in results:
        said = next((reason for reason in result.reasons if reason.text), None)
        words = Text(result.item, style="bold")
        if said is not None:
            words.append("\n")
            words.append_text(_marked(said))
        table.add_row(clock(ms_from_seconds(result.at_s)), words, f"{result.score:.2f}")
    return table


def _marked(reason: records.ReasonRecord) -> Text:
    text = Text(reason.text)
    for start, end in reason.marks:
        text.stylize("bold yellow", start, end)
    return text


# --- indexing ------------------------------------------------------------------------------------


def headline(status: IndexingStatus) -> str:
    """Return one line of what goes on, with Rich's mark-up."""
    if status.running:
        running = status.running[0]
        name = running.item.name if running.item else running.file.public_id
        done = f" {100 * running.done_ms // running.total_ms} %" if running.total_ms else ""
        return f"{PASSES[running.runs]}: {escape(name)}{done}"
    if status.notes:
        return escape(status.notes[0])
    if status.holds:
        return escape(status.holds[0])
    return "Looking for files" if status.syncing else "Everything is indexed"


def share(status: IndexingStatus) -> tuple[int, int]:
    """Return (passes done, passes in all) over every file: words, pictures and meaning."""
    coverage = status.coverage
    return coverage.words + coverage.pictures + coverage.meaning, 3 * coverage.files


async def show_progress(console: Console, indexer: Indexer) -> None:
    """Keep a bar in the terminal until cancelled; there is none while there is nothing to do."""
    if not console.is_terminal:
        return
    while True:
        if is_busy(await indexer.status()):
            await _bar_until_idle(console, indexer)
        await indexer.changed()


async def _bar_until_idle(console: Console, indexer: Indexer) -> None:
    columns = (BarColumn(bar_width=24), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        task = progress.add_task("")
        while is_busy(status := await indexer.status()):
            done, total = share(status)
            progress.update(task, description=headline(status), completed=done, total=total or None)
            progress.refresh()
            if is_moving(status):
                await asyncio.sleep(REFRESH_S)
            else:  # such as outside of the scan window: nothing is asked until something happens
                await indexer.changed()


def is_moving(status: IndexingStatus) -> bool:
    """Say whether the line would read differently in a moment."""
    coming = any(note.startswith(ON_THEIR_WAY) for note in status.notes)
    return bool(status.running or status.syncing or coming)


def is_busy(status: IndexingStatus) -> bool:
    """Say whether there is anything to watch."""
    return bool(status.running or status.syncing or status.notes or any(status.waiting.values()))


# --- the rest ------------------------------------------------------------------------------------


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        line = Text.assemble(
            (f"{finding.health.value:<5}", COLOURS[finding.health]),
            f" {finding.what:<{width}}  {finding.found}",
        )
        console.print(line, soft_wrap=True)
        if finding.advice:
            console.print(Text(f"      {'':<{width}}  → {finding.advice}"), soft_wrap=True)


def print_outcome(console: Console, outcome: Outcome) -> None:
    for failed in outcome.failures:
        line = f"{failed.file}: {failed.stage}: {failed.reason}"
        console.print(Text(line, style="red"), soft_wrap=True)
    for why in outcome.unfinished:
        console.print(Text(why, style="yellow"), soft_wrap=True)
    if outcome.well:
        console.print(f"{outcome.files} files, all well")


def print_scenes(console: Console, record: dict[str, Any]) -> None:
    console.print(Text(f"{record['file']}: {len(record['scenes'])} scenes"), soft_wrap=True)
    for scene in record["scenes"]:
        at = clock(ms_from_seconds(scene["start_s"]))
        console.print(Text.assemble((f"{at:>8}", "cyan"), f"  {scene['transcript']['text']}"))


def print_models(console: Console, folder: Path, used: Container[str]) -> None:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("model", "for", "MB", "licence", "here", "used"):
        table.add_column(heading, justify="right" if heading == "MB" else "left")
    for name, row in models.MODELS.items():
        here = "as you bring it" if row.given else _here(folder, name)
        table.add_row(
            name,
            row.role,
            f"{row.size / 1e6:.0f}",
            row.licence,
            here,
            "yes" if name in used else "",
        )
    console.print(table)


def _here(folder: Path, name: str) -> str:
    return "no" if models.missing(folder, name) else "yes"


@contextmanager
def download(console: Console, name: str) -> Iterator[models.Progress]:
    """Show a bar while a model comes; without a terminal, one line."""
    if not console.is_terminal:
        console.print(f"getting {name} ...")
        yield models.quiet
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name, total=None)

        def tell(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total or None)

        yield tell


def plain_results(found: records.Results) -> list[dict[str, Any]]:
    """Return the results in the form that `heimdex search --json` promises."""
    kept = ("file", "item", "start_s", "end_s", "at_s", "score", "strong", "reasons")
    rows = (msgspec.to_builtins(result) for result in found.results)
    return [{key: row[key] for key in kept} for row in rows]
