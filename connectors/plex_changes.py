"""What is new on a Plex server, asked for: by date, by count, or what changed last in each library.

Every question is a page of rows, sorted by when the server saved them; only rows that are new are
asked for in full.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing

from connectors import plex_listing
from connectors.base import FoundItems
from connectors.plex_listing import AskPage, Page
from connectors.plex_reading import Section
from connectors.plex_visible import PlexVisible

NEWEST = 50  # rows of each library that a look at what changed last takes
FRESH_S = 10.0  # as long as numbers seen on the way may stand for a count
LAST_SAVED = "updatedAt:desc"

Details = Callable[[Collection[str], Mapping[str, Section]], Awaitable[FoundItems]]


class PlexChanges:
    """Asks with the daemon's token. details: turns ids of some libraries into whole items."""

    def __init__(self, visible: PlexVisible, token: str, name: str, details: Details) -> None:
        self._visible = visible
        self._token = token
        self._name = name
        self._details = details
        self._counted: tuple[float, int] | None = None

    async def changed_since(self, at_ms: int) -> AsyncIterator[FoundItems]:
        """Yield what was saved at or after a time, newest first within each library."""
        self._counted = None
        total = 0
        for section in (await self._visible.sections(self._token)).values():
            listing = plex_listing.of_section(
                section, self._ask(), server=self._name, order=LAST_SAVED
            )
            counted = 0
            async with aclosing(listing):
                async for rows, so_far in listing:
                    counted = so_far
                    new = [row.id for row in rows if row.updated_at * 1000 >= at_ms]
                    for start in range(0, len(new), NEWEST):
                        some = new[start : start + NEWEST]
                        yield await self._details(some, {section.id: section})
                    if len(new) < len(rows):
                        break
            total += counted
        self._counted = (time.monotonic(), total)

    async def count(self) -> int:
        """Return how many items there are. Right after `changed_since` it is known already."""
        counted, self._counted = self._counted, None
        if counted and time.monotonic() - counted[0] <= FRESH_S:
            return counted[1]
        return sum(page.total for page in (await self.newest(rows=0)).values())

    async def newest(self, *, rows: int = NEWEST) -> dict[str, Page]:
        """Return the rows of each library that changed last: one small question a library."""
        ask = self._ask()
        pages = {}
        for section in (await self._visible.sections(self._token)).values():
            pages[section.id] = await ask(
                plex_listing.page_path(section),
                plex_listing.page_query(section, order=LAST_SAVED),
                plex_listing.page_headers(0, rows),
            )
        return pages

    def _ask(self) -> AskPage:
        async def ask(path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Page:
            return await self._visible.page(path, token=self._token, query=query, headers=headers)

        return ask
