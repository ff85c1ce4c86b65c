"""What is seen at a path: size and time, trouble, the subtitles beside it. Everything here blocks.

Looking opens no video. Reading one to know its content is `identity.fingerprint`'s.
"""

import os
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress

from companion import identity
from companion.model import SideFileRow, Stat
from companion.paths import plain
from companion.store.listing import Look
from companion.store.roots import Root
from connectors.beside import SUBTITLE_EXTENSIONS, side_name

FOLDERS_KEPT = 8  # listings kept at hand: the pages of a big folder come one after another
EMPTY = "it is empty (0 bytes): copy it again"
UNREADABLE = "it may not be read: give the user that Heimdex runs as the right to read it"


class Looker:
    """Looks at paths, and lists each folder once for all videos in it. Kept for one sync."""

    def __init__(self) -> None:
        self._listed: OrderedDict[bytes, list[bytes]] = OrderedDict()

    def look(self, paths: Iterable[bytes]) -> dict[bytes, Look]:
        """Return what is seen at each path. Never raises for one of them."""
        return {path: self._look(path) for path in paths}

    def _look(self, path: bytes) -> Look:
        try:
            stat = identity.stat(path)
        except OSError as error:
            return Look(problem=why(error))
        problem = ""
        if stat.size == 0:
            problem = EMPTY
        elif not os.access(path, os.R_OK):
            problem = UNREADABLE
        return Look(stat=stat, problem=problem, side_files=self._beside(path))

    def _beside(self, path: bytes) -> tuple[SideFileRow, ...]:
        folder, name = os.path.split(path)
        names = self._subtitles(folder)
        stem = name.rpartition(b".")[0] or name
        found = []
        # "." is followed by "/" in the order of bytes, and no name holds one.
        for candidate in names[bisect_left(names, stem + b".") : bisect_left(names, stem + b"/")]:
            said = side_name(name, candidate)
            beside = folder.rstrip(b"/") + b"/" + candidate
            if said is None:
                continue
            with suppress(OSError):
                stat = identity.stat(beside)
                found.append(
                    SideFileRow(
                        path=beside,
                        language=said.language,
                        forced=said.forced,
                        hearing_impaired=said.hearing_impaired,
                        size=stat.size,
                        mtime_ns=stat.mtime_ns,
                    )
                )
        return tuple(found)

    def _subtitles(self, folder: bytes) -> list[bytes]:
        """Return the subtitle files of a folder in the order of bytes."""
        if folder in self._listed:
            self._listed.move_to_end(folder)
            return self._listed[folder]
        names: list[bytes] = []
        with suppress(OSError), os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if e.name.lower().endswith(SUBTITLE_EXTENSIONS))
        self._listed[folder] = names
        if len(self._listed) > FOLDERS_KEPT:
            self._listed.popitem(last=False)
        return names


def why(error: OSError) -> str:
    """Return in words why a file cannot be read."""
    if isinstance(error, FileNotFoundError):
        return "it is not there: the server lists it, but this machine cannot see it"
    if isinstance(error, PermissionError):
        return UNREADABLE
    return f"it cannot be read: {error.strerror or error}"


def root(path: bytes, before: Root | None, known: Iterable[tuple[bytes, Stat]]) -> Root:
    """Return whether a folder of a library can be looked into, or is away.

    before: what it was the last time. known: some files that lay below it then. A folder that is
    empty, or on another disk without any of them, is a mount that has gone, not a deleted library.
    """
    device = before.device if before else 0
    name = plain(path)
    known = tuple(known)
    try:
        now = identity.device(path)
        with os.scandir(path) as entries:
            empty = next(entries, None) is None
    except OSError as error:
        return Root(path=path, device=device, away=_away(name, error))
    if known and empty:
        away = (
            f"The folder {name} is empty, but films were there: is its disk mounted? If it was "
            "emptied on purpose, take it out of library.folders."
        )
        return Root(path=path, device=device, away=away)
    if known and before and now != device and not any(_still_there(*each) for each in known):
        away = f"Another disk is mounted at {name}: none of the films that were there is."
        return Root(path=path, device=device, away=away)
    return Root(path=path, device=now)


def _still_there(path: bytes, seen: Stat) -> bool:
    with suppress(OSError):
        now = identity.stat(path)
        return (now.size, now.mtime_ns) == (seen.size, seen.mtime_ns)
    return False


def _away(name: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"The folder {name} is not there: is its disk mounted?"
    if isinstance(error, NotADirectoryError):
        return f"{name} is not a folder."
    if isinstance(error, PermissionError):
        return f"The folder {name} may not be read: give the user that Heimdex runs as the right."
    return f"The folder {name} cannot be read: {error.strerror or error}."
