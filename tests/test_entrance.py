"""The door: a code or a password of the media server, and nothing for whoever stands outside."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from companion.household import STALE_S
from companion.store import servers as rows
from tests.house_pages import Pages, form_token, pages, shown_code, start_code
from tests.page import Client, plain, text_of
from tests.plex_house import GUEST
from webui.security import SESSION_COOKIE


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Pages]:
    async with pages(tmp_path) as opened:
        yield opened


def session(client: Client) -> str:
    return next(
        (each.value for each in client.session.cookie_jar if each.key == SESSION_COOKIE), ""
    )


async def test_the_door_offers_the_servers_account_and_the_owners_password(here: Pages) -> None:
    page = plain(await text_of(await here.browser(), "/login"))
    assert "With your Plex account · Attic" in page
    assert "Sign in with Plex" in page
    assert "As the owner of this installation" in page


async def test_a_code_lets_in_and_leads_to_where_one_wanted_to_go(here: Pages) -> None:
    client = await here.browser()
    await start_code(client, back="/titles")
    assert session(client) == ""
    code = await shown_code(client)
    here.home.house.tv.enter(code, "ben")
    answer = await client.get("/login/code?next=/titles", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/titles")
    assert "Fog 1" in await text_of(client, "/titles")


async def test_a_session_is_new_for_each_sign_in_and_unknown_to_scripts(here: Pages) -> None:
    first, second = [session(await here.signed_in("ben")) for _ in range(2)]
    assert first != second
    client = await here.browser()
    await start_code(client)
    here.home.house.tv.enter(await shown_code(client), "ben")
    answer = await client.get("/login/code", allow_redirects=False)
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


async def test_another_browser_cannot_use_the_code(here: Pages) -> None:
    client, other = await here.browser(), await here.browser()
    await start_code(client)
    await form_token(other)
    here.home.house.tv.enter(await shown_code(client), "ben")
    answer = await other.get("/login/code", allow_redirects=False)
    assert answer.status == 401
    assert session(other) == ""


async def test_a_foreign_page_cannot_start_a_sign_in(here: Pages) -> None:
    client = await here.browser()
    token = await form_token(client)
    said = {"token": token, "server": "Attic"}
    for headers in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = await client.post("/login/code", data=said, headers=headers)
        assert answer.status == 403, headers


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example", ""])
async def test_signing_in_leads_to_our_own_pages_only(here: Pages, back: str) -> None:
    client = await here.browser()
    await start_code(client, back=back)
    here.home.house.tv.enter(await shown_code(client), "ben")
    answer = await client.get("/login/code", params={"next": back}, allow_redirects=False)
    assert answer.headers["Location"] == "/"


async def test_an_unknown_server_is_told_and_tries_are_counted(here: Pages) -> None:
    client = await here.browser()
    token = await form_token(client)
    origin = {"Origin": str(client.make_url("/")).rstrip("/")}
    said = {"token": token, "server": "Cellar", "name": "ben", "password": "x"}
    statuses = []
    for _ in range(7):
        answer = await client.post("/login", data=said, headers=origin)
        statuses.append(answer.status)
    assert statuses[-1] == 429
    assert set(statuses[:5]) == {401}
    assert int(answer.headers["Retry-After"]) >= 1


async def test_a_silent_server_shows_nothing_and_says_so(here: Pages) -> None:
    client = await here.signed_in("ben")
    assert "Fog 1" in await text_of(client, "/titles")
    await here.home.house.server.stop()
    here.home.clock.now += STALE_S
    for path in ("/titles", "/", "/?q=harbour", "/api/1/search?q=harbour"):
        answer = await client.get(path)
        text = await answer.text()
        assert answer.status == 503, path
        assert "Attic did not answer; showing nothing until it does" in text
        assert "Fog" not in text
    assert session(client), "it is still ben who waits"
    await here.home.house.server.start()
    assert "Fog 1" in await text_of(client, "/titles")


async def test_a_sign_in_that_was_taken_back_leads_to_the_door(here: Pages) -> None:
    client = await here.signed_in("ben")
    person = here.home.house.world.account_of(GUEST)
    assert person is not None
    person.token = "another"
    here.home.household.forget()
    answer = await client.get("/titles", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/login?next=%2Ftitles")


async def test_signing_out_ends_the_session(here: Pages) -> None:
    client = await here.signed_in("ben")
    token = session(client)
    page = await text_of(client, "/titles")
    said = {"token": page.split('name="token" value="')[1].split('"')[0]}
    origin = {"Origin": str(client.make_url("/")).rstrip("/")}
    answer = await client.post("/logout", data=said, headers=origin, allow_redirects=False)
    assert answer.status == 303
    assert await here.home.accounts.signed_in(token) is None


async def test_the_administrator_of_the_server_may_do_what_the_owner_may(here: Pages) -> None:
    assert (await (await here.signed_in("anna")).get("/titles")).status == 200
    owner, guest = await here.signed_in("anna"), await here.signed_in("ben")
    for client, status in ((owner, 202), (guest, 404)):
        answer = await client.post("/api/1/scan", json={})
        assert answer.status == status


async def test_no_token_of_a_server_is_on_any_page(here: Pages) -> None:
    client = await here.signed_in("anna")
    known = await here.home.store.read(rows.servers)
    assert known
    for path in ("/", "/titles", "/status", "/help", "/api/1/status", "/?q=harbour"):
        text = await text_of(client, path)
        assert "-token-" not in text, path
