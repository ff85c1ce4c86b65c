"""A daemon's parts around a Plex server that lives in the test: store, servers, household, sync."""

import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from companion.config import Config
from companion.errors import AuthFailed
from companion.following import Following
from companion.household import Household
from companion.model import Item, Viewer
from companion.servers import Candidate, Servers
from companion.store import library
from companion.store.accounts import Account, Accounts
from companion.store.db import Store
from companion.store.servers import Server
from companion.sync import Sync, SyncReport
from companion.vault import Vault
from connectors import base
from connectors.base import Connector, Setup
from connectors.mapping import PathMapping
from connectors.plex import Plex
from tests.fakes.plex_world import World
from tests.plex_house import FAST, OWNER, House, house

NOW = 1_700_000_000_000


@dataclass(slots=True)
class Clock:
    """Monotonic seconds that pass when a test says so."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Home:
    house: House
    store: Store
    servers: Servers
    accounts: Accounts
    household: Household
    sync: Sync
    following: Following
    server: Server
    clock: Clock
    news: list[float] = field(default_factory=list)

    async def sign_in(self, name: str) -> str:
        """Return a new session of somebody with an account there."""
        browser = secrets.token_hex(8)
        code = await self.household.start_code(self.server.name, browser)
        self.house.tv.enter(code.code, name)
        session = await self.household.finish_code(browser)
        assert session is not None
        return session

    async def account(self, session: str) -> Account:
        account = await self.accounts.signed_in(session)
        assert account is not None
        return account

    async def viewer(self, name: str) -> Viewer:
        return await self.household.viewer(await self.account(await self.sign_in(name)))

    async def titles(self, viewer: Viewer) -> set[str]:
        found = await self.store.read(library.items, viewer, limit=1_000)
        return {item.title for item in found}

    async def items(self) -> dict[str, Item]:
        """Return every live item, by its title."""
        found = await self.store.read(library.items, Viewer(), limit=1_000)
        return {item.title: item for item in found}

    async def look(self) -> SyncReport:
        return await self.sync.run_once()


@asynccontextmanager
async def home(folder: Path, world: World | None = None) -> AsyncIterator[Home]:
    """Open a household whose server is configured with the owner's token, and listed once."""
    async with house(world) as around:
        put_files(folder / "media", around.world)

        def make(kind: str, setup: Setup) -> Connector:
            if kind != "plex":
                return base.load(kind)(setup)
            return Plex(setup, plex_tv=around.tv.url, pace=FAST)

        config = Config(data_dir=folder / "data")
        store = await Store.open(config.database)
        vault = Vault(config.data_dir, {})
        servers = Servers(store, vault, make=make)
        clock = Clock()
        accounts = Accounts(store, config)
        household = Household(store, servers, accounts, vault, clock=clock)
        news: list[float] = []
        sync = Sync(store, config, lambda: news.append(time.monotonic()), servers=servers)
        following = Following(servers, sync, household, again_s=0.01)
        servers.changed = following.look_again
        try:
            server = await configured(servers, around)
            mapping = PathMapping(server="/srv/media", local=bytes(folder / "media"))
            server = await servers.map_paths(server, [mapping])
            await sync.run_once()
            yield Home(
                around, store, servers, accounts, household, sync, following, server, clock, news
            )
        finally:
            await household.close()
            await servers.close()
            await store.close()


def put_files(media: Path, world: World) -> None:
    """Make every file that the server names; what is in each is its own name."""
    for video in world.videos.values():
        for part in (part for version in video.media for part in version):
            path = media / part.file.removeprefix("/srv/media/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(part.file)
            os.utime(path, (1_600_000_000, 1_600_000_000))


async def configured(servers: Servers, around: House) -> Server:
    """Set a server up as the pages do: meet it, sign in, keep it."""
    candidate = Candidate(kind="plex", url=around.server.url)
    stranger = await servers.meet(candidate)
    try:
        identity = await stranger.identity()
        account = await stranger.by_token(OWNER)
        if not account.external_id:
            raise AuthFailed("nobody")
    finally:
        await stranger.close()
    return await servers.add(candidate, account, identity, name="Attic", now_ms=NOW)
