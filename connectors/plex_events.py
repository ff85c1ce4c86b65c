"""Plex's notifications as changes: heard on a websocket, else asked for.

A scan sends dozens of entries about one item, so they are gathered for a moment and told once.
Plex tells nobody that somebody's rights have changed; what accounts may see has to be asked for
again after a while whatever is heard here.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from companion.errors import ServerUnavailable
from connectors import plex_reading as reading
from connectors.base import Change, ChangeKind
from connectors.plex_http import PlexHttp, Refused
from connectors.plex_listing import Page

log = logging.getLogger(__name__)

PATH = "/:/websockets/notifications"
LIBRARY = "com.plexapp.plugins.library"
# States of a timeline entry, as plexapi 4.18 lists them. A library without an agent (home videos)
# ends with 1, so 1 counts as ready too.
READY = {1, 5}
REMOVED = 9
QUIET_S = 0.3  # without an entry: the moment is over
MOMENT_S = 2.0  # but no longer than that
MOST_IDS = 200  # told at once
POLL_S = 60.0
POLLS = 10  # before the websocket is tried again
LONGEST_PAUSE_S = 300.0
LOOK_AGAIN = Change(kind=ChangeKind.LOOK_AGAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long to wait. Tests wait less."""

    first_pause_s: float = 1.0
    longest_pause_s: float = LONGEST_PAUSE_S
    poll_s: float = POLL_S
    quiet_s: float = QUIET_S


@dataclass(slots=True)
class Poll:
    """What a library looked like when it was asked last."""

    total: int
    newest: int  # Unix seconds
    at_newest: frozenset[str]


class Events:
    """Hears one server with the daemon's token. newest: the latest rows of each library by id."""

    def __init__(
        self,
        http: PlexHttp,
        token: str,
        newest: Callable[[], Awaitable[dict[str, Page]]],
        pace: Pace,
    ) -> None:
        self._http = http
        self._token = token
        self._newest = newest
        self._pace = pace
        self._polled: dict[str, Poll] = {}

    async def changes(self) -> AsyncIterator[Change]:
        pause = self._pace.first_pause_s
        while True:
            heard = False
            async for change in self._once():
                yield change
                heard = heard or change is not LOOK_AGAIN
            pause = self._pace.first_pause_s if heard else pause
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._pace.longest_pause_s)

    async def _once(self) -> AsyncIterator[Change]:
        """Yield until the server goes silent. Raises AuthFailed if it refuses the token."""
        try:
            socket = await self._http.listen(PATH, token=self._token)
        except ServerUnavailable as error:
            if isinstance(error, Refused) and error.status < 500:
                log.debug("no websocket from=%s status=%d", self._http.name, error.status)
                async for change in self._asked():
                    yield change
            else:
                self._polled.clear()
            return
        self._polled.clear()
        try:
            yield LOOK_AGAIN
            async for change in self._heard(socket):
                yield change
        finally:
            await socket.close()

    # --- heard -----------------------------------------------------------------------------------

    async def _heard(self, socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[Change]:
        while (entries := await self._moment(socket)) is not None:
            for change in entries.changes():
                yield change

    async def _moment(self, socket: aiohttp.ClientWebSocketResponse) -> "_Moment | None":
        """Return what came until it was quiet; None when the server has hung up."""
        moment = _Moment()
        until = 0.0
        while True:
            try:
                left = min(self._pace.quiet_s, until - time.monotonic()) if moment.any else None
                if left is not None and left <= 0:
                    return moment
                async with asyncio.timeout(left):
                    message = await socket.receive()
            except TimeoutError:
                return moment
            if message.type is aiohttp.WSMsgType.TEXT:
                began = moment.any
                moment.add(message.data)
                if moment.any and not began:
                    until = time.monotonic() + MOMENT_S
                if moment.full:
                    return moment
            elif message.type is not aiohttp.WSMsgType.BINARY:
                return moment if moment.any else None

    # --- asked -----------------------------------------------------------------------------------

    async def _asked(self) -> AsyncIterator[Change]:
        for _ in range(POLLS):
            try:
                pages = await self._newest()
            except ServerUnavailable:
                self._polled.clear()
                return
            if self._polled.keys() != pages.keys():
                yield LOOK_AGAIN
            else:
                for library, page in pages.items():
                    if change := _difference(library, self._polled[library], page):
                        yield change
            self._polled = {library: _polled(page) for library, page in pages.items()}
            await asyncio.sleep(self._pace.poll_s)


def _polled(page: Page) -> Poll:
    newest = max((row.updated_at for row in page.rows), default=0)
    at_newest = frozenset(row.id for row in page.rows if row.updated_at == newest)
    return Poll(total=page.total, newest=newest, at_newest=at_newest)


def _difference(library: str, before: Poll, page: Page) -> Change | None:
    """Compare with the last time. Rows come newest first, so all new means: maybe more."""
    new = tuple(
        row.id
        for row in page.rows
        if row.updated_at > before.newest
        or (row.updated_at == before.newest and row.id not in before.at_newest)
    )
    if page.total < before.total or (new and len(new) == len(page.rows) < page.total):
        return Change(kind=ChangeKind.LOOK_AGAIN, library_ids=(library,))
    if page.total > before.total + len(new):
        return Change(kind=ChangeKind.LOOK_AGAIN, library_ids=(library,))
    return Change(kind=ChangeKind.SAVED, item_ids=new, library_ids=(library,)) if new else None


@dataclass(slots=True)
class _Moment:
    """Entries that came together. An item that was saved and then removed is only removed."""

    saved: dict[str, str] = field(default_factory=dict)  # item id: library id
    removed: dict[str, str] = field(default_factory=dict)
    watched: dict[str, None] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        return bool(self.saved or self.removed or self.watched)

    @property
    def full(self) -> bool:
        return len(self.saved) + len(self.removed) + len(self.watched) >= MOST_IDS

    def add(self, message: str) -> None:
        """Take a notification. What makes no sense is passed over."""
        try:
            said = json.loads(message)
        except (ValueError, RecursionError):
            return
        container = said.get("NotificationContainer") if isinstance(said, dict) else None
        if not isinstance(container, dict):
            return
        for entry in _entries(container.get("TimelineEntry")):
            self._timeline(entry)
        for entry in _entries(container.get("PlaySessionStateNotification")):
            key = reading.identifier(str(entry.get("ratingKey", "")))
            if entry.get("state") == "stopped" and key:
                self.watched[key] = None

    def _timeline(self, entry: dict[str, Any]) -> None:
        key = reading.identifier(str(entry.get("itemID", "")))
        library = reading.identifier(str(entry.get("sectionID", "")))
        state = entry.get("state")
        if entry.get("identifier") != LIBRARY or not key or type(state) is not int:
            return
        if state == REMOVED:
            self.saved.pop(key, None)
            self.removed[key] = library
        elif state in READY:
            self.removed.pop(key, None)
            self.saved[key] = library

    def changes(self) -> list[Change]:
        found = [
            Change(kind=kind, item_ids=tuple(ids), library_ids=_libraries(ids))
            for kind, ids in (
                (ChangeKind.REMOVED, self.removed),
                (ChangeKind.SAVED, self.saved),
            )
            if ids
        ]
        if self.watched:
            found.append(Change(kind=ChangeKind.WATCHED, item_ids=tuple(self.watched)))
        return found


def _libraries(ids: dict[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(library for library in ids.values() if library))


def _entries(said: object) -> list[dict[str, Any]]:
    """Return the entries of a notification; never more than are told at once, many times over."""
    listed = said if isinstance(said, list) else []
    return [each for each in listed[: MOST_IDS * 10] if isinstance(each, dict)]
