"""Plain folders as a media server: libraries are folders, items come from names.

The walk looks at names and file dates only, one folder at a time, so that memory does not grow with
the library. It follows links, but never lists a folder twice, and never gives up because of a
single one that cannot be read.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from companion.errors import ServerUnavailable
from companion.model import LibraryKind, ListedItem, ListedLibrary, ListedPage, ListedProblem
from companion.paths import plain
from connectors.grouping import Video, group
from connectors.ignoring import (
    IGNORE_FILE_LIMIT,
    IGNORE_FILES,
    Rules,
    is_extra,
    is_extras_folder,
    is_rubbish_folder,
)
from connectors.naming import is_video

PAGE_ITEMS = 100
PAGE_LIMIT_S = 300.0  # a network share that is silent for so long does not answer
DISCS = {"bdmv": "Blu-ray", "video_ts": "DVD"}


class Folders:
    """The configured folders. Its libraries are given to it; their roots are where they lie."""

    kind: ClassVar[str] = "folder"
    name = "folders"
    address = ""

    def __init__(self, libraries: Sequence[ListedLibrary]) -> None:
        self._libraries = tuple(libraries)

    async def libraries(self) -> tuple[ListedLibrary, ...]:
        return self._libraries

    async def items(self, library: ListedLibrary) -> AsyncIterator[ListedPage]:
        for root in library.roots:
            pages = walk(root, library.kind)
            while (page := await _next(pages, root)) is not None:
                yield page

    async def close(self) -> None:
        pass


async def _next(pages: Iterator[ListedPage], root: bytes) -> ListedPage | None:
    try:
        async with asyncio.timeout(PAGE_LIMIT_S):
            return await asyncio.to_thread(next, pages, None)
    except TimeoutError:
        raise ServerUnavailable(
            f"{plain(root)} has not answered for {PAGE_LIMIT_S:.0f} s: check the disk or the share"
        ) from None


def walk(root: bytes, kind: LibraryKind) -> Iterator[ListedPage]:
    """Yield everything below root in pages. Blocks; no file stays open between two pages.

    Raises ServerUnavailable if root itself cannot be listed.
    """
    walker = _Walk(root=root, kind=kind)
    items: list[ListedItem] = []
    for found in walker.folders():
        items += found
        while len(items) >= PAGE_ITEMS:
            yield ListedPage(items=tuple(items[:PAGE_ITEMS]), problems=walker.take_problems())
            del items[:PAGE_ITEMS]
    yield ListedPage(items=tuple(items), problems=walker.take_problems())


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder still to be listed, with what its ancestors say about it."""

    path: bytes
    above: tuple[str, ...]  # names from the library's folder down to this one
    rules: Rules


@dataclass(slots=True)
class _Walk:
    root: bytes
    kind: LibraryKind
    _problems: list[ListedProblem] = field(default_factory=list)
    _visited: set[tuple[int, int]] = field(default_factory=set)

    def folders(self) -> Iterator[list[ListedItem]]:
        """Yield the items of each folder. What is reached through links comes last, so that a
        folder is listed where it really lies if it lies below root."""
        ahead = [_Folder(self.root, (), Rules())]
        linked: list[_Folder] = []
        while ahead or linked:
            folder = ahead.pop() if ahead else linked.pop(0)
            try:
                entries = self._entries(folder)
            except OSError as error:
                self._cannot_list(folder, error)
                continue
            rules = self._rules(folder, entries)
            if rules.hides_all():
                continue
            inner, through_links = self._inner(folder, entries, rules)
            ahead += reversed(inner)
            linked += through_links
            videos = self._videos(folder, entries, rules)
            if videos:
                yield group(self.root, folder.path, videos, self.kind)

    def take_problems(self) -> tuple[ListedProblem, ...]:
        taken = tuple(self._problems)
        self._problems.clear()
        return taken

    def _entries(self, folder: _Folder) -> list[os.DirEntry[bytes]]:
        """Return what lies in a folder, by name; nothing if it was listed before."""
        stat = os.stat(folder.path)  # noqa: PTH116 - the path is bytes
        if (stat.st_dev, stat.st_ino) in self._visited:
            return []
        with os.scandir(folder.path) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        self._visited.add((stat.st_dev, stat.st_ino))
        return entries

    def _inner(
        self, folder: _Folder, entries: Sequence[os.DirEntry[bytes]], rules: Rules
    ) -> tuple[list[_Folder], list[_Folder]]:
        """Return (the folders to list below this one, those behind links)."""
        real: list[_Folder] = []
        linked: list[_Folder] = []
        below = [entry for entry in entries if _is_folder(entry)]
        names = {plain(entry.name) for entry in below}
        for entry in below:
            name = plain(entry.name)
            if is_rubbish_folder(name) or is_extras_folder(name, folder.above, names, self.kind):
                continue
            if rules.ignores(os.fsdecode(entry.path), folder=True):
                continue
            if disc := DISCS.get(name.casefold()):
                self._problem(
                    entry.path,
                    f"a copied {disc} is not read: make one video file of it, such as .mkv",
                )
                continue
            inner = _Folder(entry.path, (*folder.above, name), rules)
            (linked if entry.is_symlink() else real).append(inner)
        return real, linked

    def _videos(
        self, folder: _Folder, entries: Sequence[os.DirEntry[bytes]], rules: Rules
    ) -> list[Video]:
        videos = []
        for entry in entries:
            name = plain(entry.name)
            if name.startswith(".") or not is_video(name):
                continue
            stem = name.rpartition(".")[0]
            if is_extra(stem, folder.above, self.kind):
                continue
            if rules.ignores(os.fsdecode(entry.path), folder=False):
                continue
            if (video := self._video(entry, stem)) is not None:
                videos.append(video)
        return videos

    def _video(self, entry: os.DirEntry[bytes], stem: str) -> Video | None:
        """Return a regular file, also behind a link. A link to nowhere is a problem."""
        try:
            if not entry.is_file():
                if entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110 - bytes
                    self._problem(entry.path, "the link leads to a file that is not there")
                return None
            mtime_ns = entry.stat().st_mtime_ns
        except FileNotFoundError:  # it was deleted just now
            return None
        except OSError as error:
            self._problem(entry.path, _why(error))
            return None
        return Video(name=entry.name, stem=stem, mtime_ns=mtime_ns, year=_year(mtime_ns))

    def _rules(self, folder: _Folder, entries: Sequence[os.DirEntry[bytes]]) -> Rules:
        rules = folder.rules
        found = {entry.name for entry in entries}
        for name in IGNORE_FILES:
            if name.encode() not in found:
                continue
            path = os.path.join(folder.path, name.encode())  # noqa: PTH118 - the path is bytes
            try:
                text = _text(path)
            except OSError as error:
                self._problem(path, _why(error))
                continue
            rules, bad = rules.read(name, os.fsdecode(folder.path), text)
            if bad:
                self._problem(path, f"these rules mean nothing: {', '.join(map(repr, bad[:3]))}")
        return rules

    def _cannot_list(self, folder: _Folder, error: OSError) -> None:
        if folder.path == self.root:
            raise ServerUnavailable(f"the folder {plain(self.root)}: {_why(error)}") from error
        if not isinstance(error, FileNotFoundError):  # else it was deleted just now
            self._problem(folder.path, _why(error))

    def _problem(self, path: bytes, problem: str) -> None:
        self._problems.append(ListedProblem(path=path, problem=problem))


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    """True for a folder, also behind a link; a loop of links is none."""
    with suppress(OSError):
        return entry.is_dir()
    return False


def _text(path: bytes) -> str:
    with open(path, "rb") as file:  # noqa: PTH123 - the path is bytes
        return file.read(IGNORE_FILE_LIMIT).decode("utf-8", "surrogateescape")


def _why(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "it may not be read: give the user that Heimdex runs as the right to read it"
    return f"it cannot be read: {error.strerror or error}"


def _year(mtime_ns: int) -> int:
    """Return the year of a file date in local time, kept within what calendars know."""
    try:
        return datetime.fromtimestamp(mtime_ns // 1_000_000_000).astimezone().year
    except (ValueError, OverflowError, OSError):
        return datetime.now().astimezone().year
