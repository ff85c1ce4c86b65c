"""Who is in the house: signing in with a media server's own account, and what each may see.

What somebody may see is a listing with that person's own token, kept for minutes only. Whatever is
not sure shows nothing: a server that is silent, a token that was taken back, a listing that broke
off. The owner of the installation sees everything.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace

from companion.errors import AuthFailed, CompanionError, ServerUnavailable
from companion.ids import Ids
from companion.model import Viewer
from companion.servers import Servers
from companion.store import servers as rows
from companion.store.accounts import Account, Accounts
from companion.store.db import Store
from companion.store.servers import Identity, Server
from companion.vault import Vault
from connectors import base
from connectors.base import MediaServer, SignInCode, SignInWay

log = logging.getLogger(__name__)

FRESH_S = 300.0  # what somebody may see is believed for so long ...
STALE_S = 900.0  # ... and while it is asked again, for so long
RECHECK_S = 60.0  # a shown item is asked about again after this
RECHECKED = 10_000  # answers about single items that are remembered
DOOR_S = 4.0  # a server that is silent for longer is not offered at the door
CODES = 100  # sign-ins by code that may be under way
CODE_S = 600.0  # one without an end of its own is forgotten then


@dataclass(slots=True)
class _Seen:
    """What one identity may see: external ids mapped to ours, or everything of its server."""

    at: float
    everything: bool
    ids: Ids


@dataclass(slots=True)
class _Code:
    server: Server
    connector: MediaServer
    code: SignInCode
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A server that people can sign in with, and how."""

    server: str
    kind: str
    ways: tuple[SignInWay, ...]
    problem: str = ""  # why not now


class Household:
    """One per daemon."""

    def __init__(
        self,
        store: Store,
        servers: Servers,
        accounts: Accounts,
        vault: Vault,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._servers = servers
        self._accounts = accounts
        self._vault = vault
        self._clock = clock
        self._seen: dict[tuple[int, str], _Seen] = {}
        self._asking: dict[tuple[int, str], asyncio.Task[_Seen]] = {}
        self._rechecked: dict[tuple[int, str, str], float] = {}
        self._codes: dict[str, _Code] = {}

    # --- signing in ------------------------------------------------------------------------------

    async def doors(self) -> list[Door]:
        """Return how people can sign in now; servers that do not answer say why not."""
        servers = await self._servers.all()
        return list(await asyncio.gather(*(self._door(server) for server in servers)))

    async def _door(self, server: Server) -> Door:
        try:
            async with asyncio.timeout(DOOR_S):
                ways = await (await self._servers.connector(server.id)).ways()
        except TimeoutError:
            late = f"{server.name} does not answer"
            return Door(server=server.name, kind=server.kind, ways=(), problem=late)
        except CompanionError as error:
            return Door(server=server.name, kind=server.kind, ways=(), problem=str(error))
        # A token made by hand is for programs; nobody in the house has one.
        people = tuple(way for way in ways if way is not SignInWay.TOKEN)
        return Door(server=server.name, kind=server.kind, ways=people)

    async def sign_in(self, server_name: str, name: str, password: str) -> str:
        """Return a new session's token. Raises AuthFailed or ServerUnavailable, in words."""
        server = await self._known(server_name)
        connector = await self._servers.connector(server.id)
        return await self.admit(server, await connector.by_password(name, password))

    async def _known(self, name: str) -> Server:
        found = await self._store.read(rows.server, name)
        if found is None:  # whoever stands at the door is not told which there are
            raise AuthFailed("there is no server of that name here")
        return found

    async def start_code(self, server_name: str, key: str) -> SignInCode:
        """Begin to sign in by a code. key: the secret of the browser that waits for it."""
        server = await self._known(server_name)
        connector = await self._servers.connector(server.id)
        code = await connector.start_code()
        now = self._clock()
        self._codes = {k: each for k, each in self._codes.items() if each.until > now}
        if len(self._codes) >= CODES:
            raise ServerUnavailable("too many people are signing in: try again in some minutes")
        self._codes[key] = _Code(server, connector, code, now + CODE_S)
        return code

    def code_under_way(self, key: str) -> SignInCode | None:
        """Return the code that a browser waits for."""
        under_way = self._codes.get(key)
        return under_way.code if under_way else None

    async def finish_code(self, key: str) -> str | None:
        """Return a new session's token once the code was typed, None until then.

        Raises AuthFailed when there is no such sign-in any more.
        """
        under_way = self._codes.get(key)
        if under_way is None or under_way.until <= self._clock():
            self._codes.pop(key, None)
            raise AuthFailed("the code has expired: ask for a new one")
        try:
            who = await under_way.connector.by_code(under_way.code)
        except AuthFailed:
            self._codes.pop(key, None)
            raise
        if who is None or self._codes.pop(key, None) is None:  # two asked at once: one is let in
            return None
        return await self.admit(under_way.server, who)

    async def admit(self, server: Server, who: base.Account) -> str:
        """Return a new session's token for somebody whom their server has let in."""
        if not who.external_id:
            raise AuthFailed(
                "this is the key of a program, not somebody's account: sign in by name"
            )
        fresh = Identity(
            server_id=server.id,
            external_id=who.external_id,
            account_id=0,
            name=who.name,
            is_admin=who.is_admin,
        )
        sealed = await asyncio.to_thread(self._vault.seal, who.token, of=fresh.owns)
        fresh = replace(fresh, sealed=sealed)
        account_id, before = await self._store.write(
            rows.keep_identity, fresh, server=server.name, now_ms=int(time.time() * 1000)
        )
        if before is not None:
            await self._end_token(server, fresh, before, keep=who.token)
        self.forget(server.id, who.external_id)
        log.info("signed in server=%s account=%d", server.name, account_id)
        return await self._accounts.open_session(account_id)

    async def _end_token(self, server: Server, who: Identity, sealed: bytes, *, keep: str) -> None:
        """Let the server forget the token of an earlier sign-in; a failure costs nothing."""
        try:
            token = await asyncio.to_thread(self._vault.open, sealed, of=who.owns)
            if token != keep:
                await (await self._servers.connector(server.id)).sign_out(token)
        except CompanionError as error:
            log.info("an old token could not be ended server=%s: %s", server.name, error)

    # --- what somebody may see -------------------------------------------------------------------

    async def viewer(self, account: Account) -> Viewer:
        """Return what an account may see now.

        Raises ServerUnavailable, in words for that person, if nobody can tell.
        """
        if account.role == "owner":
            return Viewer(name=account.name)
        known = await self._store.read(rows.identities, account.id)
        seen = [await self._seen_by(who) for who in known]
        name = known[0].name if known else account.name
        return Viewer(name=name, owner=False, item_ids=_together(each.ids for each in seen))

    async def _seen_by(self, who: Identity) -> _Seen:
        key = (who.server_id, who.external_id)
        seen = self._seen.get(key)
        age = self._clock() - seen.at if seen else STALE_S
        if seen is not None and age < FRESH_S:
            return seen
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(who))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
            asking.add_done_callback(_noted)
        if seen is not None and age < STALE_S:
            return seen
        return await asyncio.shield(asking)

    async def _ask(self, who: Identity) -> _Seen:
        """List what somebody may see, with their own token."""
        began = self._clock()
        connector = await self._servers.connector(who.server_id)
        try:
            token = await self._token(who)
            everything = await connector.sees_everything(token)
            external = None if everything else connector.visible(token)
            ids = await self._ours(who.server_id, external)
        except AuthFailed:
            # Taken back, or never valid: nothing is shown until they sign in again.
            self._seen.pop((who.server_id, who.external_id), None)
            await self._store.write(rows.drop_token, who.server_id, who.external_id)
            raise AuthFailed(
                f"{connector.name} does not know this sign-in any more: sign in again"
            ) from None
        except ServerUnavailable as error:
            raise ServerUnavailable(
                f"{connector.name} did not answer; showing nothing until it does ({error})"
            ) from error
        found = _Seen(began, everything, ids)
        self._seen[who.server_id, who.external_id] = found
        return found

    async def _token(self, who: Identity) -> str:
        if who.sealed is None:
            raise AuthFailed("sign in again")
        return await asyncio.to_thread(self._vault.open, who.sealed, of=who.owns)

    async def _ours(self, server_id: int, external: AsyncIterator[tuple[str, ...]] | None) -> Ids:
        if external is None:
            return Ids(await self._store.read(rows.items_of_server, server_id))
        found: list[int] = []
        async for page in external:
            found += await self._store.read(rows.item_ids, server_id, page)
        return Ids(found)

    async def voice(self, account: Account | None, server_id: int) -> str:
        """Return the token with which somebody speaks to a server, "" if they have none there.

        The owner at this computer, who has no account here, speaks as who set the server up.
        """
        if account is None:
            return await self._servers.token(server_id)
        known = await self._store.read(rows.identities, account.id)
        who = next((each for each in known if each.server_id == server_id), None)
        return "" if who is None or who.sealed is None else await self._token(who)

    # --- the last check --------------------------------------------------------------------------

    async def confirmed(self, account: Account, item_ids: Iterable[int]) -> Ids:
        """Return which of a few items their servers still show to somebody, asked one by one and
        remembered for RECHECK_S. Nothing is confirmed by a server that is silent."""
        wanted = list(dict.fromkeys(item_ids))
        if account.role == "owner" or not wanted:
            return Ids(wanted)
        known = {
            each.server_id: each for each in await self._store.read(rows.identities, account.id)
        }
        places = await self._store.read(rows.external_ids, wanted)
        answers = await asyncio.gather(
            *(
                self._still(known.get(server_id), external_id)
                for server_id, external_id in places.values()
            )
        )
        return Ids(item for item, yes in zip(places, answers, strict=True) if yes)

    async def _still(self, who: Identity | None, external_id: str) -> bool:
        if who is None:
            return False
        key = (who.server_id, who.external_id, external_id)
        now = self._clock()
        if now - self._rechecked.get(key, -RECHECK_S) < RECHECK_S:
            return True
        seen = self._seen.get((who.server_id, who.external_id))
        if seen is not None and now - seen.at < RECHECK_S:
            return True  # listed just now
        try:
            connector = await self._servers.connector(who.server_id)
            yes = await connector.may_see(await self._token(who), external_id)
        except CompanionError:
            return False
        if yes:
            if len(self._rechecked) >= RECHECKED:
                self._rechecked.clear()
            self._rechecked[key] = now
        return yes

    # --- changes ---------------------------------------------------------------------------------

    def forget(self, server_id: int | None = None, external_id: str = "") -> None:
        """What somebody may see may have changed: ask again before anything is shown.

        Without external_id: everybody of the server; without server_id: everybody.
        """
        for key in list(self._seen):
            if server_id in (None, key[0]) and external_id in ("", key[1]):
                del self._seen[key]
        self._rechecked.clear()

    def doubt(self, server_id: int) -> None:
        """Something of a server is new: what people may see is good for now, and asked again."""
        for (server, _), seen in self._seen.items():
            if server == server_id:
                seen.at = min(seen.at, self._clock() - FRESH_S)

    async def settled(self) -> None:
        """Wait until nothing is being asked."""
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def close(self) -> None:
        """Stop asking."""
        for asking in list(self._asking.values()):
            asking.cancel()
        await self.settled()


def _together(sets: Iterable[Ids]) -> Ids:
    """Return the union; most people have one set, which is then the same object each time."""
    every = list(sets)
    if len(every) == 1:
        return every[0]
    return Ids(each for one in every for each in one)


def _noted(asking: "asyncio.Task[_Seen]") -> None:
    """Somebody may wait for the answer or nobody: a failure is told once, at the next request."""
    if not asking.cancelled():
        asking.exception()
