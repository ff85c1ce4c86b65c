"""A big library passes through in pages, and what is kept does not grow with it.

All 50,000 films are listed for an account. In full a part of them has to do here: the whole, with
another process as the server, took 11 s and 5 MB (22 November 2026, two busy cores).
"""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp import web

from connectors.base import Setup
from connectors.plex import Plex
from tests.plex_house import MAPPED, OWNER

FILMS = 50_000
FEW = 6_000
PIECES = 8_000_000  # bytes at once: a page or two and what HTTP needs
GROWTH = 500  # bytes an item: its id, which tells that it was listed
START, SIZE = "X-Plex-Container-Start", "X-Plex-Container-Size"


@dataclass(slots=True)
class Big:
    """A server of one library that writes its answers by hand: the other fake is too kind to it."""

    url: str = ""
    asked: int = 0
    films: int = FILMS

    async def identity(self, _: web.Request) -> web.Response:
        return _xml('<MediaContainer machineIdentifier="big" version="1"/>')

    async def sections(self, _: web.Request) -> web.Response:
        return _xml(
            '<MediaContainer size="1"><Directory key="1" type="movie" title="Films">'
            '<Location path="/srv/media"/></Directory></MediaContainer>'
        )

    async def listing(self, request: web.Request) -> web.Response:
        self.asked += 1
        start, size = int(request.headers[START]), int(request.headers[SIZE])
        found = range(start, min(self.films, start + size))
        lines = "".join(
            f'<Video ratingKey="{n}" type="movie" title="Film {n}" addedAt="1600000000" '
            f'updatedAt="{1_600_000_000 + n}"/>'
            for n in found
        )
        return _xml(
            f'<MediaContainer size="{len(found)}" totalSize="{self.films}">{lines}</MediaContainer>'
        )

    async def items(self, request: web.Request) -> web.Response:
        self.asked += 1
        lines = "".join(_film(n) for n in request.match_info["keys"].split(","))
        return _xml(f'<MediaContainer librarySectionID="1">{lines}</MediaContainer>')


def _film(number: str) -> str:
    cast = "".join(f'<Role id="{n}" tag="Actor {n}" role="Part {n}"/>' for n in range(3))
    return (
        f'<Video ratingKey="{number}" type="movie" title="Film {number}" year="1984" '
        f'addedAt="1600000000"><Media><Part file="/srv/media/{number}.mkv"/></Media>{cast}</Video>'
    )


def _xml(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/xml")


@pytest.fixture
async def big() -> AsyncIterator[Big]:
    server = Big()
    app = web.Application()
    app.router.add_get("/", server.identity)
    app.router.add_get("/identity", server.identity)
    app.router.add_get("/library/sections", server.sections)
    app.router.add_get("/library/sections/1/all", server.listing)
    app.router.add_get("/library/metadata/{keys}", server.items)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture
async def plex(big: Big) -> AsyncIterator[Plex]:
    opened = Plex(Setup(name="Big", url=big.url, installation="i", token=OWNER, mappings=MAPPED))
    yield opened
    await opened.close()


async def test_items_pass_in_pages_and_leave_only_their_ids_behind(big: Big, plex: Plex) -> None:
    big.films = FEW
    (library,) = await plex.libraries()
    count, kept, peak = 0, [], 0
    async for page in plex.items(library):
        count += len(page.items)
        assert len(page.items) <= 200
        if count == 2000:  # the imports and the first pages are behind us
            tracemalloc.start()
        if count in (3000, 4000):
            now, peak = tracemalloc.get_traced_memory()
            kept.append(now)
        if count == 4000:
            tracemalloc.stop()
    assert count == FEW
    assert 0 < peak < PIECES
    assert kept[1] - kept[0] < 1000 * GROWTH
    assert big.asked == FEW // 200 + FEW // 50


async def test_what_somebody_sees_of_fifty_thousand_comes_in_pages(big: Big, plex: Plex) -> None:
    seen: set[int] = set()
    async for ids in plex.visible(OWNER):
        assert len(ids) <= 200
        seen.update(map(int, ids))
    assert len(seen) == FILMS
    assert big.asked == 250


async def test_the_loop_goes_on_while_a_library_is_listed(plex: Plex) -> None:
    """Parsing happens in threads: another task gets its turn between any two pages."""
    turns = 0
    done = asyncio.Event()

    async def others() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(others())
        pages = 0
        async for _ids in plex.visible(OWNER):
            pages += 1
            if pages == 20:
                break
        done.set()
    assert turns > 20
