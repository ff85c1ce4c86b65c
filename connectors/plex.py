"""Plex as a media server with accounts: everything of `MediaServer`, put together.

Listing and signing in go through plexapi in threads, all else through aiohttp. Who may see what is
asked by listing with that person's own token, because the server then applies shared libraries,
ratings and labels itself. The server must be the one that was met first: another at the same
address would look like a library that was emptied.
"""

import re
from collections.abc import AsyncIterator, Collection, Mapping
from typing import ClassVar
from urllib.parse import quote

from companion.errors import AuthFailed, MediaMissing, ServerUnavailable
from companion.model import ListedLibrary, ListedPage
from connectors import (
    plex_http,
    plex_items,
    plex_listing,
    plex_reading as reading,
    plex_rights,
    plex_tokens,
)
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
    ServerIdentity,
    Setup,
    SignInCode,
    SignInWay,
    Watched,
)
from connectors.plex_changes import PlexChanges
from connectors.plex_client import PlexClient, Pool
from connectors.plex_events import Events, Pace
from connectors.plex_http import PlexHttp, Refused
from connectors.plex_listing import Page
from connectors.plex_reading import Section
from connectors.plex_remote import PlexRemote
from connectors.plex_signin import PLEX_TV, PlexTv
from connectors.plex_tokens import OWNER_ID
from connectors.plex_visible import SECTIONS, PlexVisible, chosen

PORTRAIT_PIXELS = "480"
PICTURES = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP", re.DOTALL)
EASY = Pace()


class Plex:
    kind: ClassVar[str] = "plex"

    def __init__(self, setup: Setup, *, plex_tv: str = PLEX_TV, pace: Pace = EASY) -> None:
        self.name = setup.name
        self.address = setup.url
        self._setup = setup
        self._pace = pace
        self._own = plex_tokens.known(setup.token)
        self._public_url = (setup.public_url or setup.url).rstrip("/")
        self._http = PlexHttp(
            setup.url,
            name=setup.name,
            installation=setup.installation,
            authority=setup.authority,
        )
        self._pool = Pool(setup.name)
        self._client = PlexClient(
            setup.url,
            self._own.secret,
            name=setup.name,
            installation=setup.installation,
            authority=setup.authority,
        )
        self._tv = PlexTv(
            name=setup.name, installation=setup.installation, pool=self._pool, url=plex_tv
        )
        self._remote = PlexRemote(
            self._http,
            self._own,
            installation=setup.installation,
            public_url=self._public_url,
        )
        self._visible = PlexVisible(self._http, setup.libraries)
        self._changes = PlexChanges(self._visible, self._own.secret, setup.name, self._details)
        self._identity: ServerIdentity | None = None

    # --- signing in ------------------------------------------------------------------------------

    async def identity(self) -> ServerIdentity:
        """The server tells its name only to those who have signed in; until then it is empty."""
        root = await self._http.get("/identity")
        found = ServerIdentity(
            id=reading.identifier(root.get("machineIdentifier")),
            name=self._tv.server_name,
            version=reading.text(root.get("version")),
        )
        if not found.id:
            raise plex_http.nonsense(self.name)
        if self._identity and self._identity.id != found.id:
            raise ServerUnavailable(
                f"plex '{self.name}': another server answers at this address; if that is meant, "
                "remove this server and add it again"
            )
        self._identity = self._identity or found
        return found

    async def ways(self) -> tuple[SignInWay, ...]:
        reachable = await self._tv.reachable()
        return (SignInWay.CODE, SignInWay.TOKEN) if reachable else (SignInWay.TOKEN,)

    async def by_password(self, name: str, password: str) -> Account:
        raise AuthFailed(f"plex '{self.name}': sign in with a code; no password passes through us")

    async def start_code(self) -> SignInCode:
        await self.identity()
        return await self._tv.start_code()

    async def by_code(self, code: SignInCode) -> Account | None:
        return await self._tv.by_code(code, (await self.identity()).id)

    async def by_token(self, token: str) -> Account:
        """The owner's token is known by what it may do, everybody else's only to plex.tv."""
        token = plex_http.usable_token(token.strip(), self.name)
        identity = await self.identity()
        try:
            is_owner = await self._visible.is_owner(token)
        except AuthFailed:  # an account's token, which opens a server of its own only
            is_owner = False
        if not is_owner:
            return await self._tv.by_token(token, identity.id)
        root = await self._http.get("/", token=token)
        self._tv.server_name = reading.text(root.get("friendlyName"))
        return Account(
            external_id=OWNER_ID,
            name=reading.text(root.get("myPlexUsername")) or "owner",
            is_admin=True,
            token=plex_tokens.packed(token, OWNER_ID),
        )

    async def sign_out(self, token: str) -> None:
        """Nothing: see `plex_signin`."""

    # --- listing ---------------------------------------------------------------------------------

    async def libraries(self) -> tuple[ListedLibrary, ...]:
        mappings = self._setup.mappings
        found = await self._own_sections()
        return tuple(plex_items.library(section, mappings) for section in found.values())

    async def items(self, library: ListedLibrary) -> AsyncIterator[ListedPage]:
        sections = await self._own_sections()
        section = sections.get(library.external_id)
        if section is None:
            raise ServerUnavailable(
                f"plex '{self.name}': the library {library.name} is not there any more"
            )
        listing = plex_listing.of_section(section, self._in_thread, server=self.name)
        async for rows, total in listing:
            for start in range(0, len(rows), plex_items.DETAILS):
                ids = [row.id for row in rows[start : start + plex_items.DETAILS]]
                found = await self._details(ids, {section.id: section})
                items = tuple(item for _library, item in found.items)
                yield ListedPage(items=items, problems=found.problems, total=total)
        await self.identity()

    async def some_items(self, item_ids: Collection[str]) -> FoundItems:
        return await self._details(item_ids, await self._own_sections())

    async def sample_paths(self) -> tuple[str, ...]:
        sections = (await self._own_sections()).values()
        found = await self._pool.call(lambda: plex_items.samples(self._client, sections))
        return tuple(sorted(found))

    async def _details(self, ids: Collection[str], sections: Mapping[str, Section]) -> FoundItems:
        mappings = self._setup.mappings
        return await self._pool.call(
            lambda: plex_items.details(self._client, ids, sections, mappings)
        )

    async def _own_sections(self) -> dict[str, Section]:
        """Return the libraries that are to be listed, asked with the daemon's token."""
        await self.identity()
        root = await self._pool.call(lambda: self._client.ask(SECTIONS, {}, {}))
        return chosen(root, self._setup.libraries, self.name)

    async def _in_thread(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Page:
        return await self._pool.call(
            lambda: plex_listing.page(self._client.ask(path, query, headers), self.name)
        )

    # --- who may see what ------------------------------------------------------------------------

    async def sees_everything(self, token: str) -> bool:
        return await self._visible.sees_everything(token)

    async def visible(self, token: str) -> AsyncIterator[tuple[str, ...]]:
        await self.identity()
        async for ids in self._visible.visible(token):
            yield ids

    async def watched(self, token: str) -> AsyncIterator[tuple[Watched, ...]]:
        await self.identity()
        async for some in self._visible.watched(token):
            yield some

    async def may_see(self, token: str, item_id: str) -> bool:
        return await self._visible.may_see(token, item_id)

    async def rights(self) -> tuple[Right, ...]:
        sections = (await self._own_sections()).values()
        return (
            plex_rights.lists(sections),
            plex_rights.folders(sections),
            plex_rights.everything(await self._visible.is_owner(self._own.secret)),
            await plex_rights.events(self._http, self._own.secret),
        )

    # --- changes ---------------------------------------------------------------------------------

    async def changes(self) -> AsyncIterator[Change]:
        events = Events(self._http, self._own.secret, self._changes.newest, self._pace)
        async for change in events.changes():
            yield change

    async def changed_since(self, at_ms: int) -> AsyncIterator[FoundItems]:
        await self.identity()
        async for found in self._changes.changed_since(at_ms):
            yield found

    async def count(self) -> int:
        return await self._changes.count()

    # --- playing, pictures, links ----------------------------------------------------------------

    async def players(self, token: str) -> tuple[Player, ...]:
        return await self._remote.players(plex_tokens.known(token))

    async def play(self, token: str, player_id: str, what: Playable, at_ms: int) -> Played:
        if not reading.identifier(what.item_id):
            raise MediaMissing("the server does not know this item")
        machine_id = (await self.identity()).id
        return await self._remote.play(plex_tokens.known(token), player_id, what, at_ms, machine_id)

    async def streams(self) -> int:
        return await self._remote.streams()

    async def portrait(self, reference: str) -> bytes:
        """Plex keeps portraits at plex.tv; the server fetches them for us and makes them small."""
        url = reading.picture(reference)
        none = MediaMissing("the server has no such portrait")
        if not url:
            raise none
        query = {"url": url, "width": PORTRAIT_PIXELS, "height": PORTRAIT_PIXELS, "minSize": "1"}
        try:
            body = await self._http.body(
                "GET", "/photo/:/transcode", token=self._own.secret, query=query
            )
        except Refused as error:
            raise plex_http.missing(error, str(none)) from None
        if not PICTURES.match(body) or len(body) > PORTRAIT_BYTES:
            raise none
        return body

    async def links(self, item_id: str) -> tuple[Link, ...]:
        if not reading.identifier(item_id):
            return ()
        machine_id = (self._identity or await self.identity()).id
        page = f"#!/server/{machine_id}/details?key={quote(f'/library/metadata/{item_id}', '')}"
        return (
            Link(name=f"Plex ({self.name})", url=f"{self._public_url}/web/index.html{page}"),
            Link(name="Plex (app.plex.tv)", url=f"https://app.plex.tv/desktop/{page}"),
        )

    async def close(self) -> None:
        await self._http.close()
        self._client.close()
        self._tv.close()
        self._pool.close()
