"""Jellyfin 10.10, 10.11 and 12: what it lists, who may see it, and playing there.

The daemon's own token is a person's (a service account, best an administrator) or an API key; with
a key there are no events. Listing and signing in go through the client library in a small pool of
threads, one client each time; what is asked often goes over aiohttp. `connectors/README.md` tells
the server's traps.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, ParamSpec, TypeVar

from yarl import URL

from companion.errors import AuthFailed, MediaMissing, ServerUnavailable
from companion.listed import ListedLibrary, ListedPage
from connectors import jellyfin_people as people
from connectors.base import (
    PORTRAIT_BYTES,
    Account,
    Change,
    FoundItems,
    Link,
    Playable,
    Played,
    Player,
    Right,
    RightKind,
    ServerIdentity,
    Setup,
    SignInCode,
    SignInWay,
    Watched,
)
from connectors.jellyfin_client import PAGE_LIMIT_S, Client
from connectors.jellyfin_http import (
    Forbidden,
    Http,
    NotThere,
    TokenRefused,
    base_url,
    below,
    silent,
)
from connectors.jellyfin_items import Places
from connectors.jellyfin_listing import (
    Homes,
    ItemPages,
    changed_pages,
    libraries,
    refused,
    sample_paths,
    some_items,
)
from connectors.jellyfin_live import MOST_TOLD, Live
from connectors.jellyfin_parse import identity, maybe_id
from connectors.jellyfin_seen import visible_pages, watched_pages
from connectors.jellyfin_walk import count

THREADS = 2
SAMPLES = 30  # paths of each library
PORTRAIT_WIDTH = "600"
PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF")
P = ParamSpec("P")
T = TypeVar("T")
Located = tuple[ListedLibrary, tuple[str, ...]]


class Jellyfin:
    """One server. Nothing is asked before it is needed, and it may be used again after `close`."""

    kind: ClassVar[str] = "jellyfin"

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._http_made: Http | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._me: Account | None = None
        self._located: list[Located] = []
        self._server: ServerIdentity | None = None

    @property
    def name(self) -> str:
        return self._setup.name

    @property
    def address(self) -> str:
        try:
            return str(self._base)
        except ServerUnavailable:
            return ""

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        http, self._http_made = self._http_made, None
        if http is not None:
            await http.close()

    # --- listing ---------------------------------------------------------------------------------

    async def libraries(self) -> tuple[ListedLibrary, ...]:
        self._me = None  # rights may have changed
        me = await self._myself()
        self._located = await self._with_client(
            me.token,
            lambda client: libraries(
                client,
                me.external_id,
                folders=me.is_admin,
                mappings=self._setup.mappings,
                chosen=self._setup.libraries,
            ),
        )
        return tuple(library for library, _locations in self._located)

    async def items(self, library: ListedLibrary) -> AsyncIterator[ListedPage]:
        me = await self._myself()
        locations = {each.external_id: where for each, where in await self._where()}
        places = Places(self.name, self._setup.mappings, locations.get(library.external_id, ()))
        client = await self._run(self._client, me.token)
        try:
            pages = ItemPages(client, me.external_id, library.external_id, places)
            while (page := await self._run(pages.next)) is not None:
                yield page
        except TokenRefused as error:
            raise refused(self.name, library, error, known=await self._is_known()) from None
        finally:
            client.close()
        if pages.is_empty:
            await self._must_exist(library)

    async def _must_exist(self, library: ListedLibrary) -> None:
        """A library that was deleted just now lists nothing, and is not an empty one."""
        if library.external_id not in {each.external_id for each in await self.libraries()}:
            raise ServerUnavailable(
                f"{self.name}: the library {library.name} went while it was listed"
            )

    async def some_items(self, item_ids: Collection[str]) -> FoundItems:
        ids = [id for each in item_ids if (id := maybe_id(each))][:MOST_TOLD]
        if not ids:
            return FoundItems()
        me = await self._myself()
        homes = Homes(await self._where(), self._setup.mappings, self.name)
        return await self._with_client(
            me.token, lambda client: some_items(client, me.external_id, ids, homes)
        )

    async def changed_since(self, at_ms: int) -> AsyncIterator[FoundItems]:
        me = await self._myself()
        homes = Homes(await self._where(), self._setup.mappings, self.name)
        pages = self._pages(
            me.token, lambda client: changed_pages(client, me.external_id, at_ms, homes)
        )
        async with contextlib.aclosing(pages):
            async for page in pages:
                yield page

    async def count(self) -> int:
        me = await self._myself()
        on_behalf = {"userId": me.external_id} if me.external_id else {}
        chosen = [{"parentId": each} for each in self._setup.libraries] or [{}]
        return await self._with_client(
            me.token, lambda client: sum(count(client, {**on_behalf, **each}) for each in chosen)
        )

    async def sample_paths(self) -> tuple[str, ...]:
        await self.libraries()
        me = await self._myself()
        located = self._located
        return tuple(
            await self._with_client(
                me.token, lambda client: sample_paths(client, me.external_id, located, SAMPLES)
            )
        )

    async def _where(self) -> list[Located]:
        if not self._located:
            await self.libraries()
        return self._located

    # --- signing in ------------------------------------------------------------------------------

    async def identity(self) -> ServerIdentity:
        self._server = identity(await self._http.json("System/Info/Public"), self.name)
        return self._server

    async def ways(self) -> tuple[SignInWay, ...]:
        return await people.ways(self._http)

    async def by_password(self, name: str, password: str) -> Account:
        return await self._with_client(
            "", lambda client: people.by_password(client, name, password)
        )

    async def start_code(self) -> SignInCode:
        return await self._with_client("", people.start_code)

    async def by_code(self, code: SignInCode) -> Account | None:
        if not await people.is_confirmed(self._http, code.secret):
            return None
        return await self._with_client("", lambda client: people.by_secret(client, code.secret))

    async def by_token(self, token: str) -> Account:
        return await people.whose(self._http, token)

    async def sign_out(self, token: str) -> None:
        try:
            await self._http.ask("Sessions/Logout", token=token, method="POST")
        except (TokenRefused, NotThere):
            return

    # --- the daemon's own rights -----------------------------------------------------------------

    async def rights(self) -> tuple[Right, ...]:
        me = await self._myself(again=True)
        is_key = not me.external_id
        unrestricted = is_key or await people.sees_everything(self._http, me.token)
        found = await self.libraries()
        return (
            Right(
                kind=RightKind.LIST,
                granted=bool(found),
                needed=True,
                words=f"{len(found)} libraries with videos"
                if found
                else "no library with videos can be seen: give the account access to one",
            ),
            _right(RightKind.FOLDERS, me.is_admin),
            _right(RightKind.EVERYTHING, unrestricted),
            await self._events(me),
        )

    async def _events(self, me: Account) -> Right:
        if not me.external_id:
            return _right(RightKind.EVENTS, False)
        try:
            socket = await self._http.socket(me.token)
            await socket.close()
        except (ServerUnavailable, AuthFailed):
            return Right(
                kind=RightKind.EVENTS,
                granted=False,
                needed=False,
                words="the server's socket cannot be opened, so that changes are asked for every "
                "minute: let the reverse proxy pass WebSockets on at /socket",
            )
        return _right(RightKind.EVENTS, True)

    # --- people ----------------------------------------------------------------------------------

    async def sees_everything(self, token: str) -> bool:
        return await people.sees_everything(self._http, token)

    async def visible(self, token: str) -> AsyncIterator[tuple[str, ...]]:
        who = await people.person(self._http, token)
        pages = self._pages(token, lambda client: visible_pages(client, who.external_id))
        async with contextlib.aclosing(pages):
            async for page in pages:
                yield page

    async def may_see(self, token: str, item_id: str) -> bool:
        return await people.may_see(self._http, token, item_id)

    async def watched(self, token: str) -> AsyncIterator[tuple[Watched, ...]]:
        who = await people.person(self._http, token)
        pages = self._pages(token, lambda client: watched_pages(client, who.external_id))
        async with contextlib.aclosing(pages):
            async for page in pages:
                yield page

    async def players(self, token: str) -> tuple[Player, ...]:
        return await people.players(self._http, token, self._setup.installation)

    async def play(self, token: str, player_id: str, what: Playable, at_ms: int) -> Played:
        return await people.play(
            self._http, token, self._setup.installation, player_id, what, at_ms
        )

    async def streams(self) -> int:
        return await people.streams(self._http, self._setup.token)

    # --- events, pictures, links -----------------------------------------------------------------

    async def changes(self) -> AsyncIterator[Change]:
        live = Live(self._http, self._setup.token, self._myself)
        async with contextlib.aclosing(live.changes()) as changes:
            async for change in changes:
                yield change

    async def portrait(self, reference: str) -> bytes:
        person, _, tag = reference.partition("/")
        if not maybe_id(person) or not maybe_id(tag):
            raise MediaMissing("there is no portrait of this name")
        params = {"maxWidth": PORTRAIT_WIDTH, "quality": "90", "format": "Jpg", "tag": tag}
        try:
            answer = await self._http.ask(
                f"Items/{person}/Images/Primary", params=params, limit=PORTRAIT_BYTES
            )
        except NotThere:
            raise MediaMissing(f"{self.name} has no portrait of this person any more") from None
        if not answer.body.startswith(PICTURES):
            raise MediaMissing(f"{self.name} has something else than a picture there")
        return answer.body

    async def links(self, item_id: str) -> tuple[Link, ...]:
        if not maybe_id(item_id):
            return ()
        server = self._server or await self.identity()
        base = base_url(self._setup.public_url) if self._setup.public_url else self._base
        page = f"web/#/details?id={item_id}&serverId={server.id}"
        return (Link(name=server.name, url=below(base, page)),)

    # --- asking ----------------------------------------------------------------------------------

    @property
    def _base(self) -> URL:
        return base_url(self._setup.url)

    @property
    def _http(self) -> Http:
        if self._http_made is None:
            self._http_made = Http(self.name, self._base, self._setup.authority)
        return self._http_made

    async def _myself(self, *, again: bool = False) -> Account:
        if self._me is None or again:
            self._me = await people.whose(self._http, self._setup.token)
        return self._me

    async def _is_known(self) -> bool:
        try:
            await people.whose(self._http, self._setup.token)
        except (TokenRefused, Forbidden):
            return False
        return True

    def _client(self, token: str) -> Client:
        """Blocks. For signing in, without a token, it is a device of its own."""
        device = "" if token else people.new_device(self._setup.installation)
        base = str(self._base).rstrip("/")
        return Client(self.name, base, self._setup.authority, token=token, device=device)

    async def _pages(
        self, token: str, listing: Callable[[Client], Iterator[T]]
    ) -> AsyncGenerator[T, None]:
        """Run a listing piece by piece, with a client of its own."""
        client = await self._run(self._client, token)
        try:
            pages = listing(client)
            while (page := await self._run(next, pages, None)) is not None:
                yield page
        finally:
            client.close()

    async def _with_client(self, token: str, ask: Callable[[Client], T]) -> T:
        def asked() -> T:
            client = self._client(token)
            try:
                return ask(client)
            finally:
                client.close()

        return await self._run(asked)

    async def _run(self, call: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
        """Run a call that blocks, in this server's own threads."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="jellyfin")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(2 * PAGE_LIMIT_S):
                return await loop.run_in_executor(self._pool, lambda: call(*args, **more))
        except TimeoutError:
            raise silent(self.name, "for minutes") from None


WORDS = {
    (RightKind.FOLDERS, True): "the server says in which folders its libraries lie",
    (RightKind.FOLDERS, False): "only an administrator's account learns in which folders libraries "
    "lie: without it a disk that is away is noticed film by film",
    (RightKind.EVERYTHING, True): "the account sees every library, rating and tag",
    (RightKind.EVERYTHING, False): "something is kept from the account, and cannot be searched by "
    "anybody: give it access to all libraries and no limits on ratings or tags",
    (RightKind.EVENTS, True): "the server tells of changes at once",
    (RightKind.EVENTS, False): "an API key hears of no changes, so that they are asked for every "
    "minute: sign in with an account instead",
}


def _right(kind: RightKind, granted: bool) -> Right:
    return Right(kind=kind, granted=granted, needed=False, words=WORDS[kind, granted])
