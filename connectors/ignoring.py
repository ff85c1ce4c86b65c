"""What a walk passes over: ignore files, the rubbish of systems and servers, extras.

`.heimdexignore` and `.ignore` hold gitignore rules, and without any rule they hide everything in
and below their folder, as in Jellyfin. `.plexignore` holds one shell pattern a line: without a
slash it is matched against names, with one against the path below its folder, as in Plex.
"""

import fnmatch
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pathspec

from companion.model import LibraryKind
from connectors.naming import is_movie_folder, season_of

IGNORE_FILES = (".plexignore", ".ignore", ".heimdexignore")  # the last one has the last word
IGNORE_FILE_LIMIT = 1_000_000  # bytes; nobody writes more by hand

_FOLDERS = frozenset(
    {
        "#recycle", "#snapshot", "$recycle.bin", "@eadir", "@recently-snapshot", "@recycle",
        "eadir", "extrafanart", "extrathumbs", "lost+found", "metadata", "ps3_update", "ps3_vprm",
        "subs", "system volume information", "temprec", "tempsbe",
    }
)  # fmt: skip
_EXTRAS = frozenset(
    {
        "backdrops", "behind the scenes", "clips", "deleted scenes", "extra", "extras",
        "featurettes", "interviews", "other", "others", "samples", "scenes", "shorts",
        "theme-music", "trailers",
    }
)  # fmt: skip
_SAMPLE = re.compile(r"(?:^|[-._])sample$", re.IGNORECASE)
_EXTRA = re.compile(
    r"^trailer$|[-._]trailer$"
    r"|-(?:behindthescenes|clip|deleted|deletedscene|extra|featurette|interview|other|scene|short)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Everything:
    """An ignore file without rules."""

    base: str

    def verdict(self, below: str) -> bool | None:
        return True


@dataclass(frozen=True, slots=True)
class _Git:
    base: str
    spec: pathspec.GitIgnoreSpec

    def verdict(self, below: str) -> bool | None:
        return self.spec.check_file(below).include


@dataclass(frozen=True, slots=True)
class _Plex:
    base: str
    patterns: tuple[str, ...]

    def verdict(self, below: str) -> bool | None:
        path = below.rstrip("/").lower()
        name = path.rpartition("/")[2]
        for pattern in self.patterns:
            whole = path if "/" in pattern else name
            if fnmatch.fnmatchcase(whole, pattern) or fnmatch.fnmatchcase(whole + "/", pattern):
                return True
        return None


@dataclass(frozen=True, slots=True)
class Rules:
    """The ignore files that hold in a folder; the innermost that says something decides."""

    chain: tuple[_Everything | _Git | _Plex, ...] = ()

    def ignores(self, path: str, *, folder: bool) -> bool:
        """True if a path, spelled as the bases of the rules are, is to be passed over."""
        for rule in reversed(self.chain):
            below = path[len(rule.base) :].lstrip("/") + ("/" if folder else "")
            if (verdict := rule.verdict(below)) is not None:
                return verdict
        return False

    def hides_all(self) -> bool:
        """True if the innermost rule leaves nothing of its folder."""
        return any(isinstance(rule, _Everything) for rule in self.chain)

    def read(self, name: str, base: str, text: str) -> tuple["Rules", list[str]]:
        """Return the rules with those of an ignore file in folder `base` added, and the lines of it
        that mean nothing."""
        lines = [line for line in text.lstrip("\ufeff").splitlines() if line.strip()]
        if name == ".plexignore":
            patterns = [line.strip().lower() for line in lines if not line.startswith("#")]
            return Rules((*self.chain, _Plex(base, tuple(patterns)))), []
        if not lines:
            return Rules((*self.chain, _Everything(base))), []
        good, bad = _sifted(lines)
        return Rules((*self.chain, _Git(base, pathspec.GitIgnoreSpec.from_lines(good)))), bad


def _sifted(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return (the rules, the lines that are none). One bad line must not lose the others."""
    good, bad = [], []
    for line in lines:
        try:
            pathspec.GitIgnoreSpec.from_lines([line])
        except (ValueError, re.error):
            bad.append(line)
        else:
            good.append(line)
    return good, bad


def is_rubbish_folder(name: str) -> bool:
    """True for folders that systems, disk stations and servers make for themselves."""
    plain = name.casefold()
    return plain.startswith(".") or plain in _FOLDERS or plain.endswith(".trickplay")


def is_extras_folder(
    name: str, above: Sequence[str], beside: Collection[str], kind: LibraryKind
) -> bool:
    """True if a folder holds trailers, interviews and the like of the title it lies in.

    above: the folders it lies in. beside: its sibling folders. A family's folder "Clips" is one of
    its own: without a title around it, the name means nothing.
    """
    return name.casefold() in _EXTRAS and (
        _in_a_title(above, kind)
        or (
            kind is LibraryKind.MIXED
            and bool(above)
            and any(season_of(n) is not None for n in beside)
        )
    )


def is_extra(stem: str, above: Sequence[str], kind: LibraryKind) -> bool:
    """True if a video is a sample, or an extra of the title in whose folder it lies."""
    if _SAMPLE.search(stem):
        return True
    return _EXTRA.search(stem) is not None and _in_a_title(above, kind)


def _in_a_title(above: Sequence[str], kind: LibraryKind) -> bool:
    if not above or kind in (LibraryKind.HOME_VIDEOS, LibraryKind.MUSIC_VIDEOS):
        return False
    if kind in (LibraryKind.MOVIES, LibraryKind.SHOWS):
        return True
    return is_movie_folder(above[-1]) or any(season_of(name) is not None for name in above)
