"""The fake Plex, read by plain plexapi: what it answers is what that library takes for a server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from connectors import plex_client
from tests.fakes.plex import FakePlex
from tests.fakes.plex_tv import FakePlexTv
from tests.fakes.plex_world import Part, Player, Role, household
from tests.plex_house import CHILD, GUEST, OWNER


@pytest.fixture
async def server() -> AsyncIterator[FakePlex]:
    async with FakePlex(household(5)) as opened:
        yield opened


async def by_plexapi(server: FakePlex, token: str, ask: Callable[[Any], Any]) -> Any:
    """Return what a function finds with a PlexServer of its own, in a thread."""

    def asked() -> Any:
        plex_client.plexapi()
        import requests
        from plexapi.server import PlexServer

        with requests.Session() as session:
            return ask(PlexServer(server.url, token, session=session))  # type: ignore[no-untyped-call]

    return await asyncio.to_thread(asked)


async def test_sections_are_of_the_kinds_that_plexapi_knows(server: FakePlex) -> None:
    found = await by_plexapi(
        server, OWNER, lambda plex: [(each.title, each.type) for each in plex.library.sections()]
    )
    assert found == [("Films", "movie"), ("Shows", "show"), ("Family", "movie")]


async def test_a_film_has_all_its_parts_by_plexapi(server: FakePlex) -> None:
    server.world.film(
        "9",
        title="Night Train",
        media=[[Part(file="/a/1.avi"), Part(file="/a/2.avi")], [Part(file="/a/4k.mkv")]],
        roles=[Role(name=f"Actor {n}") for n in range(9)],
        guids=["imdb://tt1"],
        labels=["kids"],
    )

    def look(plex: Any) -> tuple[Any, ...]:
        film = plex.fetchItem(9)
        return (
            film.title,
            [[part.file for part in media.parts] for media in film.media],
            len(film.roles),
            [guid.id for guid in film.guids],
            [label.tag for label in film.labels],
        )

    title, files, roles, guids, labels = await by_plexapi(server, OWNER, look)
    assert title == "Night Train"
    assert files == [["/a/1.avi", "/a/2.avi"], ["/a/4k.mkv"]]
    assert (roles, guids, labels) == (9, ["imdb://tt1"], ["kids"])


async def test_plexapi_pages_through_a_section(server: FakePlex) -> None:
    found = await by_plexapi(
        server,
        OWNER,
        lambda plex: len(
            plex.library.section("Films").fetchItems("/library/sections/1/all", container_size=2)
        ),
    )
    assert found == 5


async def test_a_list_names_three_of_the_cast_only(server: FakePlex) -> None:
    server.world.videos["10000"].roles = [Role(name=f"Actor {n}") for n in range(9)]
    found = await by_plexapi(
        server,
        OWNER,
        lambda plex: len(plex.fetchItems("/library/sections/1/all")[0].roles),
    )
    assert found == 3


async def test_each_account_sees_its_own_by_plexapi(server: FakePlex) -> None:
    def count(plex: Any) -> dict[str, int]:
        data = plex.query("/library/sections")
        return {
            each.get("title"): len(plex.query(f"/library/sections/{each.get('key')}/all"))
            for each in data
        }

    assert await by_plexapi(server, OWNER, count) == {"Films": 5, "Shows": 1, "Family": 1}
    assert await by_plexapi(server, GUEST, count) == {"Films": 5, "Shows": 1}
    assert await by_plexapi(server, CHILD, count) == {"Films": 0}


async def test_sessions_and_apps_read_by_plexapi(server: FakePlex) -> None:
    anna = server.world.accounts[0]
    server.world.add_player(Player(id="tv", name="TV", account=anna, playing="10001"))

    def look(plex: Any) -> tuple[Any, ...]:
        (session,) = plex.sessions()
        data = plex.query("/clients")
        return session.usernames, session.player.machineIdentifier, data[0].get("name")

    assert await by_plexapi(server, OWNER, look) == (["anna"], "tv", "TV")


async def test_a_token_of_nobody_is_unauthorized(server: FakePlex) -> None:
    from plexapi.exceptions import Unauthorized

    with pytest.raises(Unauthorized):
        await by_plexapi(server, "nobody", lambda plex: plex)


async def test_a_transient_token_is_good_for_the_same_account(server: FakePlex) -> None:
    token = await by_plexapi(server, GUEST, lambda plex: plex.createToken())
    found = await by_plexapi(server, token, lambda plex: len(plex.query("/library/sections")))
    assert found == 2


async def test_events_come_by_eventsource_too(server: FakePlex) -> None:
    address = f"{server.url}/:/eventsource/notifications"
    async with (
        aiohttp.ClientSession(headers={"X-Plex-Token": GUEST}) as session,
        session.get(address) as answer,
    ):
        await server.listening.wait()
        await server.tell_timeline("10001", state=5)
        assert await answer.content.readline() == b"event: timeline\n"
        assert b'"itemID":"10001"' in await answer.content.readline()


async def test_a_restart_keeps_address_and_world(server: FakePlex) -> None:
    before = server.url
    await server.restart()
    assert server.url == before
    assert await by_plexapi(server, OWNER, lambda plex: plex.friendlyName) == "Attic"


async def test_plex_tv_reads_by_plexapi_as_an_account_with_servers() -> None:
    world = household()
    async with FakePlexTv(world) as tv:

        def look() -> tuple[Any, ...]:
            plex_client.plexapi()
            from plexapi.myplex import MyPlexAccount

            made = plex_client.session(
                tv.url,
                token="tv-ben",
                name="plex.tv",
                installation="i",
                context=None,
                alias="https://plex.tv",
            )
            account = MyPlexAccount(token="tv-ben", session=made)  # type: ignore[no-untyped-call]
            server = account.resources()[0]  # type: ignore[no-untyped-call]
            return account.id, account.username, server.accessToken, server.owned

        assert await asyncio.to_thread(look) == (902, "ben", GUEST, False)
