"""Whole libraries in pages, also while they change under our hands.

Plex pages by position. When an item before that position goes, all others move up and one is never
seen, which a sync would take for deleted. So pages overlap by one line: if it is another than
before, the listing begins again, and what was yielded already is not yielded twice. A listing
either ends at the server's own count or raises.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from xml.etree.ElementTree import Element

from companion.errors import ServerUnavailable
from connectors import plex_reading as reading
from connectors.plex_http import nonsense
from connectors.plex_reading import Row, Section

PAGE_ROWS = 200
BEGINNINGS = 5  # how often a listing begins again before it is left for later
MOST_ROWS = 2_000_000  # of one library: more is a server that makes them up
# A line of a list needs none of this; names as plexapi 4.18 knows them. A server that does not
# heed it sends longer pages.
LIGHT = {
    "excludeElements": (
        "Media,Genre,Country,Guid,Rating,Collection,Director,Writer,Role,Producer,Similar"
    ),
    "excludeFields": "summary,tagline",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some rows and how many there are in all."""

    rows: tuple[Row, ...]
    total: int


class Fetch(Protocol):
    """Return the rows [start, start + size) of a list."""

    def __call__(self, start: int, size: int) -> Awaitable[Page]: ...


class AskPage(Protocol):
    """Return one page of a listing, by whichever way to the server."""

    def __call__(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Awaitable[Page]: ...


def of_section(
    section: Section, ask: AskPage, *, server: str, order: str = "addedAt"
) -> AsyncGenerator[tuple[Sequence[Row], int]]:
    """Yield the rows of a library and how many there are. Raises ServerUnavailable if not whole."""

    def fetch(start: int, size: int) -> Awaitable[Page]:
        return ask(page_path(section), page_query(section, order=order), page_headers(start, size))

    def changing(why: str) -> ServerUnavailable:
        return ServerUnavailable(
            f"plex '{server}': {section.title}: {why}; it is tried again later"
        )

    return rows(fetch, changing=changing)


def page_path(section: Section) -> str:
    return f"/library/sections/{section.id}/all"


def page_query(section: Section, *, order: str = "addedAt") -> dict[str, str]:
    """Return what asks for the rows of a library; as it stands, new items come last."""
    return {"type": section.type, "sort": order, **LIGHT}


def page_headers(start: int, size: int) -> dict[str, str]:
    return {"X-Plex-Container-Start": str(start), "X-Plex-Container-Size": str(size)}


def page(root: Element, name: str) -> Page:
    """Return what an answer holds. One that does not say how many there are may be half of it."""
    found = tuple(reading.row(each) for each in reading.videos(root))
    total = reading.number(root.get("totalSize"))
    if total is None:
        total = reading.number(root.get("size"))
    if total is None:
        raise nonsense(name)
    return Page(rows=found, total=total)


async def rows(
    fetch: Fetch, *, changing: Callable[[str], ServerUnavailable]
) -> AsyncGenerator[tuple[Sequence[Row], int]]:
    """Yield (rows not yet yielded, how many there are), until the server's list has ended.

    changing: makes the error for a list that cannot be had whole.
    """
    seen: set[str] = set()
    for _ in range(BEGINNINGS):
        async for found in _pages(fetch, changing):
            if found is None:
                break
            new = [row for row in found.rows if row.id and row.id not in seen]
            unique = list({row.id: row for row in new}.values())
            seen.update(row.id for row in unique)
            yield unique, found.total
        else:
            return
    raise changing("it changes faster than it can be listed")


async def _pages(
    fetch: Fetch, changing: Callable[[str], ServerUnavailable]
) -> AsyncIterator[Page | None]:
    """Yield pages to the end; None if the list has moved and has to be begun again."""
    position, last = 0, ""
    while True:
        overlap = 1 if position else 0
        found = await fetch(position - overlap, PAGE_ROWS + overlap)
        if overlap and (not found.rows or found.rows[0].id != last):
            yield None
            return
        new = found.rows[overlap:]
        position += len(new)
        if position > MOST_ROWS:
            raise changing("it has more items than any library")
        if new:
            last = new[-1].id
            yield Page(rows=new, total=found.total)
        if position >= found.total:
            return
        if not new:
            raise changing(f"its list ended after {position} of {found.total} items")
