"""Setting a media server up in the page: address, sign in, libraries, where its files lie."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from companion.store import servers as rows
from companion.store.servers import Server
from tests.fakes.plex import FakePlex
from tests.fakes.plex_world import household
from tests.house_pages import Pages, pages
from tests.page import Client, plain, text_of
from tests.plex_house import OWNER

SIDES = ("there", "here")


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Pages]:
    async with pages(tmp_path) as opened:
        yield opened


@pytest.fixture
async def owner(here: Pages) -> Client:
    return await here.signed_in("anna")


async def send(client: Client, page: str, path: str, **fields: object) -> tuple[int, str]:
    """Send a form of a page; return the status and where it leads, or what the answer says."""
    token = re.search(r'name="token" value="([^"]+)"', await text_of(client, page))
    assert token
    origin = {"Origin": str(client.make_url("/")).rstrip("/")}
    data = [("token", token[1])]
    for key, value in fields.items():
        data += [(key, str(each)) for each in (value if isinstance(value, list) else [value])]
    answer = await client.post(path, data=data, headers=origin, allow_redirects=False)
    return answer.status, answer.headers.get("Location") or plain(await answer.text())


async def of(here: Pages) -> list[Server]:
    return await here.home.store.read(rows.servers)


def page_of(server: Server) -> str:
    return f"/settings/servers/{server.id}"


# --- setting up ----------------------------------------------------------------------------------


async def test_the_settings_name_every_server_and_no_secret(here: Pages, owner: Client) -> None:
    text = await text_of(owner, "/settings")
    assert "Attic" in text
    assert here.home.house.server.url in text
    assert OWNER not in text


async def test_a_server_is_set_up_with_a_token(here: Pages, owner: Client) -> None:
    world = household()
    world.machine_id, world.name = "another", "Cellar"
    async with FakePlex(world) as other:
        status, step = await send(owner, "/settings", "/setup", url=other.url)
        assert (status, step.startswith("/setup/")) == (303, True), step
        assert "Plex 1.41" in plain(await text_of(owner, step))
        here.home.house.tv.worlds = (*here.home.house.tv.worlds, world)
        status, there = await send(owner, step, step, secret=OWNER)
        assert (status, there.startswith("/settings/servers/")) == (303, True), there
        assert {each.name for each in await of(here)} == {"Attic", "Cellar"}
        text = await text_of(owner, there)
        assert "Libraries that are searched" in text
        assert OWNER not in text


async def test_a_server_is_set_up_with_a_code(here: Pages, owner: Client) -> None:
    url = here.home.house.server.url
    _, step = await send(owner, "/settings", "/setup", url=url)
    status, again = await send(owner, step, step, code="1")
    assert (status, again) == (303, step)
    shown = re.search(r'<p class="code"[^>]*>([^<]+)</p>', await text_of(owner, step))
    assert shown
    here.home.house.tv.enter(shown[1], "anna")
    answer = await owner.get(step, allow_redirects=False)
    (server,) = await of(here)
    assert answer.headers["Location"] == page_of(server)


async def test_where_nothing_answers_is_said_in_place(here: Pages, owner: Client) -> None:
    for url in ("http://127.0.0.1:9", "ftp://nas", "http://anna:hunter2@nas"):
        status, said = await send(owner, "/settings", "/setup", url=url)
        assert status == 400, url
        assert "hunter2" not in said
    assert len(await of(here)) == 1


async def test_a_wrong_token_is_told_and_can_be_tried_again(here: Pages, owner: Client) -> None:
    _, step = await send(owner, "/settings", "/setup", url=here.home.house.server.url)
    status, said = await send(owner, step, step, secret="of-nobody-at-all")
    assert status == 401
    assert "of-nobody" not in said
    status, _ = await send(owner, step, step, secret=OWNER)
    assert status == 303


async def test_a_step_that_is_over_leads_back_to_the_address(owner: Client) -> None:
    answer = await owner.get("/setup/none")
    assert answer.status == 400
    assert "begin again with the address" in plain(await answer.text())


# --- one server ----------------------------------------------------------------------------------


async def test_libraries_are_chosen_and_all_means_new_ones_too(here: Pages, owner: Client) -> None:
    (server,) = await of(here)
    page = page_of(server)
    status, _ = await send(owner, page, f"{page}/libraries", library=["1", "3", "99"])
    assert status == 303
    assert (await of(here))[0].libraries == ("1", "3")
    assert "Shows" in await text_of(owner, page), "what is left out can be chosen again"
    await send(owner, page, f"{page}/libraries", library=["1", "2", "3"])
    assert (await of(here))[0].libraries == ()
    status, said = await send(owner, page, f"{page}/libraries")
    assert (status, "at least one library" in said) == (400, True)


async def test_paths_are_checked_proposed_and_kept(
    here: Pages, owner: Client, tmp_path: Path
) -> None:
    (server,) = await of(here)
    page = page_of(server)
    assert "6 of 6 files" in plain(await text_of(owner, page))
    await send(owner, page, f"{page}/paths", there="/srv/media", here=str(tmp_path / "elsewhere"))
    assert "0 of 6 files" in plain(await text_of(owner, page))
    text = await text_of(owner, f"{page}?look={tmp_path / 'media'}")
    assert "finds 6 of 6" in plain(text)
    pairs = [re.findall(rf'type="hidden" name="{name}" value="([^"]+)"', text) for name in SIDES]
    await send(owner, page, f"{page}/paths", there=pairs[0], here=pairs[1])
    assert "6 of 6 files" in plain(await text_of(owner, page))
    status, said = await send(owner, page, f"{page}/paths", there="/srv/media", here="media")
    assert (status, "media is no whole path" in said) == (400, True)


async def test_a_silent_server_keeps_its_page(here: Pages, owner: Client) -> None:
    (server,) = await of(here)
    await here.home.house.server.stop()
    answer = await owner.get(page_of(server))
    assert answer.status == 200
    assert "Forget this server" in await answer.text()


async def test_a_forgotten_server_takes_its_titles_along(here: Pages, owner: Client) -> None:
    (server,) = await of(here)
    status, there = await send(owner, page_of(server), f"{page_of(server)}/remove")
    assert (status, there) == (303, "/settings")
    assert await of(here) == []
    assert await here.home.items() == {}


@pytest.mark.parametrize("path", ["/settings", "/settings/servers/1", "/setup/x"])
async def test_nobody_but_the_owner_gets_there(here: Pages, path: str) -> None:
    guest = await here.signed_in("ben")
    assert (await guest.get(path)).status == 404


@pytest.mark.parametrize("server", ["0", "99", "x", "-1", "1" * 30, "%2e%2e"])
async def test_a_server_that_is_not_there_is_no_page(owner: Client, server: str) -> None:
    assert (await owner.get(f"/settings/servers/{server}")).status == 404
