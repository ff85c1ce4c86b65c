"""Which videos of one folder are one item: parts of a film, versions of a movie or an episode."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from companion.model import ItemKind, LibraryKind, ListedItem, ListedPart
from companion.paths import plain, spelled
from connectors.naming import Named, describe, is_movie_folder, is_version, piece

NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """A video in a folder. name: as the disk spells it. stem: without its extension, to be read.
    year: of its last change, local time."""

    name: bytes
    stem: str
    mtime_ns: int
    year: int

    @property
    def raw_stem(self) -> bytes:
        return self.name.rpartition(b".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Film:
    """One version: a video, or the parts of one in order. stem: what they share."""

    stem: str
    videos: tuple[Video, ...]


def group(
    root: bytes, folder: bytes, videos: Sequence[Video], kind: LibraryKind
) -> list[ListedItem]:
    """Return the items that the videos of one folder make.

    An item is known by where it lies and what it is (the folder of a movie, the number of an
    episode), or else by the name without its extension: a better copy of a film is the same item.
    """
    inside = folder[len(root) :].strip(b"/")
    folders = [plain(name) for name in inside.split(b"/")] if inside else []
    films = _films(videos)
    alone = len({film.stem.casefold() for film in films}) == 1
    items: dict[str, tuple[Named, list[_Film]]] = {}
    for film in films:
        named = describe(folders, film.stem, kind, alone=alone)
        key = spelled(inside) + "/" + _key(folders, film, named, alone=alone)
        items.setdefault(key.removeprefix("/"), (named, []))[1].append(film)
    return [_item(folder, key, named, some) for key, (named, some) in items.items()]


def _films(videos: Sequence[Video]) -> list[_Film]:
    """Put the parts of films together: two or more that differ in nothing but their number."""
    stacks: dict[tuple[str, str], dict[int, Video]] = {}
    single = []
    for video in sorted(videos, key=lambda video: _natural(video.stem)):
        part = piece(video.stem)
        stack = stacks.setdefault((part.stem.casefold(), part.word), {}) if part else {}
        if part and part.number not in stack:
            stack[part.number] = video
        else:
            single.append(_Film(stem=video.stem, videos=(video,)))
    films = []
    for parts in stacks.values():
        ordered = tuple(parts[number] for number in sorted(parts))
        first = piece(ordered[0].stem)
        stem = first.stem if first and len(ordered) > 1 else ordered[0].stem
        films.append(_Film(stem=stem, videos=ordered))
    return sorted([*single, *films], key=lambda film: _natural(film.stem))


def _key(folders: Sequence[str], film: _Film, named: Named, *, alone: bool) -> str:
    """Return what tells an item from the others of its folder. No file name begins with "/"."""
    if named.kind is ItemKind.EPISODE and named.episode is not None:
        return f"/{named.show_title.casefold()} S{named.season}E{named.episode}"
    if named.kind is ItemKind.MOVIE and folders:
        own = is_movie_folder(folders[-1]) and alone
        if own or is_version(folders[-1], film.stem):
            return "/"
    if len(film.videos) > 1:
        return spelled(film.stem.encode())
    return spelled(film.videos[0].raw_stem)


def _item(folder: bytes, key: str, named: Named, films: Iterable[_Film]) -> ListedItem:
    parts, newest, year = [], 0, 0
    for version, film in enumerate(films):
        for number, video in enumerate(film.videos):
            path = folder.rstrip(b"/") + b"/" + video.name
            parts.append(ListedPart(path=path, version=version, part=number))
            newest, year = max(newest, video.mtime_ns), max(year, video.year)
    return ListedItem(
        external_id=key,
        kind=named.kind,
        title=named.title,
        parts=tuple(parts),
        show_title=named.show_title,
        season=named.season,
        episode=named.episode,
        year=_year(named, year),
        added_at_ms=newest // NS_PER_MS,
    )


def _year(named: Named, of_file: int) -> int | None:
    """A home video without a date in its name is as old as its file, and none is from later."""
    if named.kind is not ItemKind.HOME_VIDEO:
        return named.year
    return named.year if named.year and named.year <= of_file else of_file


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Order 2 before 10, and a name before the longer one that begins with it."""
    pieces = re.split(r"(\d+)", text.casefold())
    return [(0, int(each), "") if each.isdecimal() else (1, 0, each) for each in pieces if each]
