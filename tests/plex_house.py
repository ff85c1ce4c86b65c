"""A household with a Plex server, a plex.tv and our connector to them, for tests."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Setup
from connectors.mapping import PathMapping
from connectors.plex import Plex
from connectors.plex_events import Pace
from tests.fakes.plex import FakePlex
from tests.fakes.plex_tv import FakePlexTv
from tests.fakes.plex_world import World, household

OWNER, GUEST, CHILD = "owner-token-anna", "guest-token-ben", "child-token-mia"
TOKENS = (OWNER, GUEST, CHILD)
FAST = Pace(first_pause_s=0.001, longest_pause_s=0.01, poll_s=0.001, quiet_s=0.05)
MAPPED = (PathMapping(server="/srv/media", local=b"/mnt/films"),)


@dataclass(slots=True)
class House:
    world: World
    server: FakePlex
    tv: FakePlexTv
    plex: Plex
    setup: Setup

    def connector(self, **changes: Any) -> Plex:
        """Return another connector to the same server, set up otherwise."""
        return Plex(replace(self.setup, **changes), plex_tv=self.tv.url, pace=FAST)

    def secrets_seen(self) -> list[str]:
        """Return what was asked with a token in the address."""
        asked = [*self.server.faults.seen, *self.tv.faults.seen]
        return [
            str(each.url)
            for each in asked
            if any(token in str(each.url) for token in (*TOKENS, "tv-", "X-Plex-Token"))
        ]


@asynccontextmanager
async def house(world: World | None = None, **changes: Any) -> AsyncIterator[House]:
    """Open a household. No request in it may carry a token in its address."""
    world = world or household()
    async with FakePlex(world) as server, FakePlexTv(world) as tv:
        setup = Setup(
            name="Attic",
            url=server.url,
            installation="installation-1",
            token=OWNER,
            mappings=MAPPED,
        )
        setup = replace(setup, **changes)
        plex = Plex(setup, plex_tv=tv.url, pace=FAST)
        home = House(world=world, server=server, tv=tv, plex=plex, setup=setup)
        try:
            yield home
        finally:
            await home.plex.close()
        assert home.secrets_seen() == []


async def list_films(home: House) -> None:
    (library, *_) = await home.plex.libraries()
    async for _page in home.plex.items(library):
        pass


async def see_films(home: House) -> None:
    async for _ids in home.plex.visible(OWNER):
        pass


Way = Callable[[House], Awaitable[None]]
BOTH = pytest.mark.parametrize("way", [list_films, see_films], ids=["plexapi", "aiohttp"])


def picture(kind: bytes = b"\xff\xd8\xff", size: int = 100) -> bytes:
    return kind + b"\0" * (size - len(kind))


def path_of(name: str) -> bytes:
    return bytes(Path("/mnt/films") / name)
