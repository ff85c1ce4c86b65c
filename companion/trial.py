"""`heimdex try`: one command from nothing to a page with something true to search.

A folder that is tried out gets a data folder of its own, so that it never mixes with another or
with a real installation; the models are shared. Without a folder, a demo library of real films and
speech is assembled while the page already answers.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from companion.app import App, Part
from companion.config import Config
from companion.errors import CompanionError
from companion.settings import default_data_dir, load

log = logging.getLogger(__name__)

DEMO_COMMAND = (sys.executable, "-m", "scanners.demo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    config: Config
    demo: Path | None  # the folder of the demo library, if that is what is tried


def prepare(
    folder: Path | None,
    *,
    data_dir: Path | None = None,
    file: Path | None = None,
    changes: Mapping[str, object],
    environ: Mapping[str, str] | None = None,
) -> Trial:
    """Return what is to be served. Raises ConfigError, also if the folder is not there."""
    environ = os.environ if environ is None else environ
    if folder is not None and not folder.is_dir():
        raise CompanionError(f"there is no folder {folder}")
    demo = demo_folder(environ) if folder is None else None
    library = (demo or folder or Path()).absolute()
    more: dict[str, object] = {"library.folders": [library], **changes}
    if data_dir is None and "HEIMDEX_DATA_DIR" not in environ:
        home = default_data_dir(environ)
        data_dir = home.with_name(f"{home.name}-try") / _name(library, demo)
        if "HEIMDEX_MODELS__FOLDER" not in environ:
            more["models.folder"] = home / "models"
    config = load(data_dir=data_dir, file=file, environ=environ, changes=more)
    if demo is not None:  # a folder that is not there yet would be taken for a disk that is away
        demo.mkdir(parents=True, exist_ok=True)
    return Trial(config=config, demo=demo)


def demo_folder(environ: Mapping[str, str]) -> Path:
    """Return where the demo library lies, outside of every repository."""
    if sys.platform == "darwin":
        return Path("~/Library/Caches/heimdex-demo").expanduser()
    return Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "heimdex-demo"


def parts(trial: Trial, app: App, command: Sequence[str] = DEMO_COMMAND) -> list[tuple[str, Part]]:
    """Return what runs beside the daemon: assembling the demo library, if it is to be tried."""
    demo = trial.demo
    if demo is None:
        return []

    def tell(line: str) -> None:
        app.note = f"Assembling the demo library, once: {line}"

    async def assemble() -> None:
        tell("real films and real speech")
        try:
            await _run([*command, os.fspath(demo)], tell)
        finally:
            app.note = ""
        await app.sync.run_once(settle_s=0)

    return [("demo library", assemble)]


def assemble(folder: Path, command: Sequence[str] = DEMO_COMMAND) -> int:
    """Assemble the demo library in a folder, saying so in the terminal; return the exit status."""
    return subprocess.run([*command, os.fspath(folder)], check=False).returncode  # noqa: S603


async def _run(command: Sequence[str], tell: Callable[[str], None]) -> None:
    """Run a program to its end, telling each line that it prints.

    Raises CompanionError with its last words if it fails; cancelled, it is killed.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C in the terminal reaches us alone
    )
    assert process.stdout is not None
    last = "it said nothing"
    try:
        async for line in process.stdout:
            last = line.decode(errors="replace").strip() or last
            tell(last)
        status = await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if status:
        raise CompanionError(f"the demo library could not be assembled: {last}")


def _name(library: Path, demo: Path | None) -> str:
    """Return a folder name for the data of a library: readable, and different for each."""
    if demo is not None:
        return "demo"
    digest = hashlib.sha256(os.fsencode(library)).hexdigest()[:8]
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", library.name).strip("-.") or "folder"
    return f"{readable[:40]}-{digest}"
