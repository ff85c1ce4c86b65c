"""Playing on one's own players: the button says what will happen, and nobody reaches another's."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.plex_world import Player
from tests.house_pages import Pages, pages
from tests.page import PART, Client, plain, text_of
from tests.plex_house import GUEST, OWNER
from webui.links import moment_id

AT_MS = 1_500


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Pages]:
    async with pages(tmp_path) as opened:
        world = opened.home.house.world
        for key, name, token in (("tv", "Living room", GUEST), ("phone", "Anna's phone", OWNER)):
            world.add_player(
                Player(id=key, name=name, account=world.account_of(token), playing="211")
            )
        yield opened


def moment(here: Pages, title: str = "Fog 1") -> str:
    return moment_id(here.files[title], AT_MS)


async def press(client: Client, here: Pages, player: str, title: str = "Fog 1") -> tuple[int, str]:
    """Press the button of a player, whether it is offered or not."""
    path = f"/players/{moment(here, title)}"
    page = await text_of(client, path)
    token = re.search(r'name="token" value="([^"]+)"', page)
    assert token
    origin = {"Origin": str(client.make_url("/")).rstrip("/")}
    answer = await client.post(
        f"/play/{moment(here, title)}", data={"token": token[1], "player": player}, headers=origin
    )
    return answer.status, plain(await answer.text())


def offered(page: str) -> list[str]:
    return re.findall(r'name="player" value="([^"]+)"', page)


async def test_only_ones_own_players_are_offered(here: Pages) -> None:
    guest = await text_of(await here.signed_in("ben"), f"/players/{moment(here)}")
    owner = await text_of(await here.signed_in("anna"), f"/players/{moment(here)}")
    assert "on Living room" in guest
    assert "phone" not in guest
    assert "phone" in owner
    assert "Living room" not in owner


async def test_a_film_starts_at_the_moment(here: Pages) -> None:
    client = await here.signed_in("ben")
    (tv,) = offered(await text_of(client, f"/players/{moment(here, 'Film 10000')}"))
    status, said = await press(client, here, tv, "Film 10000")
    assert (status, "Playing on Living room." in said) == (200, True), said
    ((command, asked),) = here.home.house.world.players["tv"].commands
    assert command == "playMedia"
    assert asked["offset"] == str(AT_MS)


async def test_a_player_that_is_there_already_jumps(here: Pages) -> None:
    client = await here.signed_in("ben")
    page = await text_of(client, f"/players/{moment(here)}")
    assert "Jump to 0:01 on Living room" in page
    status, said = await press(client, here, offered(page)[0])
    assert (status, "Living room has jumped there." in said) == (200, True), said
    assert here.home.house.world.players["tv"].commands[-1][0] == "seekTo"


@pytest.mark.parametrize("player", ["1.phone", "1.", "", "99.tv", "1.../../etc", "x" * 500])
async def test_no_other_player_can_be_reached(here: Pages, player: str) -> None:
    status, said = await press(await here.signed_in("ben"), here, player)
    assert status == 502
    assert "It did not start" in said
    assert here.home.house.world.players["phone"].commands == []


async def test_a_film_that_one_may_not_see_starts_nowhere(here: Pages) -> None:
    client = await here.signed_in("ben")
    page = await text_of(client, f"/players/{moment(here)}")
    token = re.search(r'name="token" value="([^"]+)"', page)
    assert token
    origin = {"Origin": str(client.make_url("/")).rstrip("/")}
    said = {"token": token[1], "player": offered(page)[0]}
    answer = await client.post(f"/play/{moment(here, 'Lake')}", data=said, headers=origin)
    assert answer.status == 404
    assert here.home.house.world.players["tv"].commands == []


async def test_a_link_opens_the_servers_page_and_says_that_it_has_no_time(here: Pages) -> None:
    page = await text_of(await here.signed_in("ben"), f"/players/{moment(here)}")
    assert "(its page, without the time)" in page
    assert here.home.house.world.machine_id in page


async def test_the_moment_page_asks_for_players_only_where_there_is_a_server(here: Pages) -> None:
    client = await here.signed_in("ben")
    assert f"/players/{moment(here)}" in await text_of(client, f"/moment/{moment(here)}")
    part = await text_of(client, f"/players/{moment(here)}", **PART)
    assert part.lstrip().startswith('<div class="elsewhere"')


async def test_a_server_that_breaks_says_so_and_the_page_stands(here: Pages) -> None:
    client = await here.signed_in("ben")
    here.home.house.server.faults.on("/status/sessions", status=500)
    here.home.house.server.faults.on("/clients", status=500)
    answer = await client.get(f"/players/{moment(here)}")
    assert answer.status == 200
    assert offered(await answer.text()) == []


async def test_a_player_that_is_switched_off_is_told(here: Pages) -> None:
    client = await here.signed_in("ben")
    (tv,) = offered(await text_of(client, f"/players/{moment(here)}"))
    here.home.house.world.players.pop("tv")
    here.home.house.world.add_player(
        Player(id="other", name="Kitchen", account=here.home.house.world.account_of(GUEST))
    )
    status, said = await press(client, here, tv)
    assert status == 502
    assert "It did not start" in said
