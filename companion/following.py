"""Follows what happens on the media servers, so that a new film is found minutes after it came.

One task a server. Whatever it hears becomes a request to the sync, or a doubt about what people may
see; it lists nothing itself.
"""

import asyncio
import contextlib
import logging
from contextlib import AsyncExitStack

from companion.errors import AuthFailed, ServerUnavailable
from companion.household import Household
from companion.servers import Servers
from companion.store.servers import Server
from companion.sync import Sync
from connectors.base import Change, ChangeKind, MediaServer

log = logging.getLogger(__name__)

LOOK_S = 60.0  # how often is looked which servers there are
AGAIN_S = 300.0  # a server that refuses our token, or breaks, is tried again after this
IDS_AT_ONCE = 200  # as `Changes.some_items` says


class Following:
    """One per daemon."""

    def __init__(
        self,
        servers: Servers,
        sync: Sync,
        household: Household,
        *,
        again_s: float = AGAIN_S,
    ) -> None:
        self._servers = servers
        self._sync = sync
        self._household = household
        self._again_s = again_s
        self._changed = asyncio.Event()

    def look_again(self) -> None:
        """A server came, went or is configured in another way."""
        self._changed.set()

    async def run(self) -> None:
        """Follow every configured server until cancelled."""
        following: dict[int, tuple[Server, asyncio.Task[None]]] = {}
        async with AsyncExitStack() as stack:
            stack.push_async_callback(_end, following)
            while True:
                self._changed.clear()
                now = {server.id: server for server in await self._servers.all()}
                for key in [
                    key for key, (server, _) in following.items() if now.get(key) != server
                ]:
                    _, task = following.pop(key)
                    await _cancel(task)
                    self._household.forget(key)
                for key, server in now.items():
                    if key not in following:
                        task = asyncio.create_task(self._follow(server), name=f"server {key}")
                        following[key] = (server, task)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):  # a command may have changed one
                        await self._changed.wait()

    async def _follow(self, server: Server) -> None:
        while True:
            try:
                connector = await self._servers.connector(server.id)
                async for change in connector.changes():
                    await self._hear(server, connector, change)
            except (AuthFailed, ServerUnavailable) as error:
                log.warning("not following server=%s again_in_s=%.0f: %s",
                            server.name, self._again_s, error)  # fmt: skip
            except Exception:  # one server must not stop the others
                log.exception("following broke server=%s again_in_s=%.0f",
                              server.name, self._again_s)  # fmt: skip
            await asyncio.sleep(self._again_s)

    async def _hear(self, server: Server, connector: MediaServer, change: Change) -> None:
        if change.kind is ChangeKind.SAVED:
            self._household.doubt(server.id)
            for start in range(0, len(change.item_ids), IDS_AT_ONCE):
                ids = change.item_ids[start : start + IDS_AT_ONCE]
                try:
                    found = await connector.some_items(ids)
                except ServerUnavailable as error:
                    log.info("a change was not read server=%s: %s", server.name, error)
                    continue
                await self._sync.take_in(server.id, found)
            self._household.doubt(server.id)
        elif change.kind is ChangeKind.REMOVED:
            await self._sync.forget(server.id, change.item_ids)
        elif change.kind is ChangeKind.ACCOUNTS:
            self._household.forget(server.id, change.account_id)
        elif change.kind is ChangeKind.LOOK_AGAIN:
            await self._sync.catch_up(server.id)
            self._household.doubt(server.id)


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


async def _end(following: dict[int, tuple[Server, "asyncio.Task[None]"]]) -> None:
    for _, task in following.values():
        task.cancel()
    if following:
        await asyncio.wait([task for _, task in following.values()])
