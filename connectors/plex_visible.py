"""Who may see what on a Plex server, each asked with that person's own token.

The server applies shared libraries, age ratings and labels to a listing itself. Whatever goes wrong
on the way raises, so that half a list is never taken for the whole.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from companion.errors import AuthFailed, ServerUnavailable
from connectors import plex_http, plex_listing, plex_reading as reading, plex_tokens
from connectors.base import Watched
from connectors.plex_http import PlexHttp, Refused
from connectors.plex_listing import Page
from connectors.plex_reading import Row, Section
from connectors.plex_tokens import OWNER_ID

SECTIONS = "/library/sections"
# Two things that only the owner gets. One of them alone might one day be shown to others, and the
# answer opens everything.
OWNERS = ("/status/sessions", "/accounts")
HIDDEN = {400, 403, 404}
SHOWN_S = 5.0  # a page of hits is checked one by one: its libraries are asked for once
TOKENS = 1000  # whose libraries are remembered


def chosen(root: Element, wanted: Collection[str], name: str) -> dict[str, Section]:
    """Return the libraries with videos that are wanted, by id; all if nothing is named.

    Raises ServerUnavailable unless all are there that the answer counts: none must not mean gone.
    """
    if reading.number(root.get("size")) != len(root.findall("Directory")):
        raise plex_http.nonsense(name)
    found = reading.sections(root)
    return {each.id: each for each in found if not wanted or each.id in wanted}


@dataclass(slots=True)
class _Shown:
    """The libraries that a token was shown a moment ago; asked for by one at a time."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: float = -SHOWN_S
    ids: frozenset[str] = frozenset()


class PlexVisible:
    """libraries: ids of those that are listed; none: all."""

    def __init__(self, http: PlexHttp, libraries: Collection[str]) -> None:
        self._http = http
        self._libraries = libraries
        self._shown: dict[str, _Shown] = {}

    async def sees_everything(self, token: str) -> bool:
        """Only the owner does. A token that was somebody else's at sign-in is not asked about."""
        known = plex_tokens.known(token)
        if known.account_id not in {"", OWNER_ID}:
            return False
        return await self.is_owner(known.secret)

    async def rows(self, token: str) -> AsyncIterator[Sequence[Row]]:
        """Yield all that an account may see, in pages."""
        secret = plex_tokens.known(token).secret

        async def ask(path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Page:
            try:
                return await self.page(path, token=secret, query=query, headers=headers)
            except AuthFailed:
                await self.sections(secret)  # raises again if the token is dead
                raise ServerUnavailable(
                    f"plex '{self._http.name}': a library was closed while it was listed"
                ) from None

        for section in (await self.sections(secret)).values():
            async for rows, _ in plex_listing.of_section(section, ask, server=self._http.name):
                yield rows

    async def visible(self, token: str) -> AsyncIterator[tuple[str, ...]]:
        async for rows in self.rows(token):
            yield tuple(row.id for row in rows)

    async def watched(self, token: str) -> AsyncIterator[tuple[Watched, ...]]:
        async for rows in self.rows(token):
            yield tuple(
                Watched(item_id=row.id, played=row.views > 0, position_ms=row.position_ms)
                for row in rows
                if row.views or row.position_ms
            )

    async def may_see(self, token: str, item_id: str) -> bool:
        """Ask for one item. It also has to be in a library that this account is shown."""
        if not reading.identifier(item_id):
            return False
        secret = plex_tokens.known(token).secret
        sections = await self._shown_now(secret)
        try:
            root = await self._http.get(f"/library/metadata/{item_id}", token=secret)
        except AuthFailed:  # the token was good a moment ago: only this is refused
            return False
        except Refused as error:
            if error.status in HIDDEN:
                return False
            raise
        above = root.get("librarySectionID", "")
        return any(
            video.get("ratingKey") == item_id and video.get("librarySectionID", above) in sections
            for video in reading.videos(root)
        )

    async def _shown_now(self, secret: str) -> frozenset[str]:
        """Return the ids of the libraries that a token is shown, at most SHOWN_S old."""
        if len(self._shown) >= TOKENS:
            self._shown.clear()
        shown = self._shown.setdefault(secret, _Shown())
        async with shown.turn:
            if time.monotonic() - shown.at >= SHOWN_S:
                shown.ids = frozenset(await self.sections(secret))
                shown.at = time.monotonic()
            return shown.ids

    async def sections(self, secret: str) -> dict[str, Section]:
        """Return the libraries that a token is shown. Raises AuthFailed if it is refused."""
        if not secret:
            raise AuthFailed(f"plex '{self._http.name}': nobody is signed in; sign in first")
        root = await self._http.get(SECTIONS, token=secret)
        return chosen(root, self._libraries, self._http.name)

    async def is_owner(self, secret: str) -> bool:
        """Raises AuthFailed for a token that is refused everywhere."""
        await self.sections(secret)
        for path in OWNERS:
            try:
                await self._http.get(path, token=secret)
            except AuthFailed:
                return False
            except Refused as error:
                if error.status in HIDDEN:
                    return False
                raise
        return True

    async def page(
        self, path: str, *, token: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Page:
        """Return a page of a list; parsed in a thread, because a big one takes a while."""
        body = await self._http.body("GET", path, token=token, query=query, more=headers)
        name = self._http.name
        return await asyncio.to_thread(
            lambda: plex_listing.page(plex_http.container(body, name), name)
        )
