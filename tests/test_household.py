"""Who may see what: by their own listing, for minutes only, and nothing when nobody can tell."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from companion.errors import AuthFailed, ServerUnavailable
from companion.household import CODE_S, FRESH_S, RECHECK_S, STALE_S
from companion.ids import Ids
from companion.store import servers as rows
from connectors.base import SignInWay
from tests.home import Home, home
from tests.plex_house import GUEST as GUESTS_TOKEN

OWNER, GUEST, CHILD = "anna", "ben", "mia"
FILMS = {"Film 10000", "Film 10001", "Film 10002"}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Home]:
    async with home(tmp_path) as opened:
        yield opened


def asked(here: Home, path: str) -> int:
    return sum(path in each for each in here.house.server.faults.paths())


# --- what each may see ---------------------------------------------------------------------------


async def test_each_sees_what_their_server_shows_them(here: Home) -> None:
    here.house.world.videos["10001"].labels = ["kids"]
    assert await here.titles(await here.viewer(GUEST)) == {*FILMS, "Fog 1", "Fog 2"}
    assert await here.titles(await here.viewer(CHILD)) == {"Film 10001"}


async def test_who_administers_the_server_owns_this_installation(here: Home) -> None:
    viewer = await here.viewer(OWNER)
    assert viewer.owner
    assert viewer.item_ids is None


async def test_a_viewer_is_called_as_the_server_calls_them(here: Home) -> None:
    assert (await here.viewer(GUEST)).name == "Ben"


async def test_what_was_listed_just_now_is_not_asked_again(here: Home) -> None:
    account = await here.account(await here.sign_in(GUEST))
    first = await here.household.viewer(account)
    before = len(here.house.server.faults.seen)
    here.clock.now += FRESH_S - 1
    assert (await here.household.viewer(account)).item_ids is first.item_ids
    assert len(here.house.server.faults.seen) == before


async def test_an_older_listing_is_shown_while_a_new_one_is_made(here: Home) -> None:
    account = await here.account(await here.sign_in(GUEST))
    first = await here.household.viewer(account)
    here.house.world.account_of(GUESTS_TOKEN).sections = {"2"}  # type: ignore[union-attr]
    here.clock.now += FRESH_S
    assert (await here.household.viewer(account)).item_ids is first.item_ids
    await here.household.settled()
    assert await here.titles(await here.household.viewer(account)) == {"Fog 1", "Fog 2"}


async def test_many_who_ask_at_once_cost_one_listing(here: Home) -> None:
    account = await here.account(await here.sign_in(GUEST))
    here.house.server.faults.seen.clear()
    viewers = await asyncio.gather(*(here.household.viewer(account) for _ in range(20)))
    once = asked(here, "/library/sections/1/all")
    assert once > 0
    here.household.forget()
    here.house.server.faults.seen.clear()
    await here.household.viewer(account)
    assert once == asked(here, "/library/sections/1/all")
    assert len({id(viewer.item_ids) for viewer in viewers}) == 1


async def test_changed_rights_count_at_the_next_request(here: Home) -> None:
    account = await here.account(await here.sign_in(GUEST))
    await here.household.viewer(account)
    here.house.world.account_of(GUESTS_TOKEN).sections = {"2"}  # type: ignore[union-attr]
    here.household.forget(here.server.id, "902")
    assert await here.titles(await here.household.viewer(account)) == {"Fog 1", "Fog 2"}


async def test_forgetting_one_leaves_the_others(here: Home) -> None:
    guest, child = [await here.account(await here.sign_in(token)) for token in (GUEST, CHILD)]
    seen = [(await here.household.viewer(each)).item_ids for each in (guest, child)]
    here.household.forget(here.server.id, "903")
    assert (await here.household.viewer(guest)).item_ids is seen[0]
    assert (await here.household.viewer(child)).item_ids is not seen[1]


# --- failing closed ------------------------------------------------------------------------------


async def test_a_silent_server_shows_nothing_once_the_listing_is_old(here: Home) -> None:
    account = await here.account(await here.sign_in(GUEST))
    first = await here.household.viewer(account)
    await here.house.server.stop()
    here.clock.now += STALE_S - 1
    assert (await here.household.viewer(account)).item_ids is first.item_ids
    here.clock.now += 1
    with pytest.raises(ServerUnavailable, match="Attic did not answer; showing nothing until"):
        await here.household.viewer(account)


async def test_a_listing_that_breaks_off_is_no_listing(here: Home) -> None:
    account = await here.account(await here.sign_in(GUEST))
    here.house.server.faults.on("/library/sections/2/all", status=500, times=100)
    with pytest.raises(ServerUnavailable):
        await here.household.viewer(account)


async def test_a_token_that_was_taken_back_shows_nothing_until_the_next_sign_in(
    here: Home,
) -> None:
    account = await here.account(await here.sign_in(GUEST))
    await here.household.viewer(account)
    person = here.house.world.account_of(GUESTS_TOKEN)
    assert person is not None
    person.token = "another"
    here.household.forget()
    for _ in range(2):
        with pytest.raises(AuthFailed, match="sign in again"):
            await here.household.viewer(account)
    (kept,) = await here.store.read(rows.identities, account.id)
    assert kept.sealed is None


async def test_a_removed_server_takes_its_people_along(here: Home) -> None:
    session = await here.sign_in(GUEST)
    await here.servers.remove(here.server, now_ms=0)
    assert await here.accounts.signed_in(session) is None


async def test_an_account_of_nobody_sees_nothing(here: Home) -> None:
    account = await here.account(await here.sign_in(GUEST))
    await here.store.write(lambda c: c.execute("delete from identities"))
    assert (await here.household.viewer(account)).item_ids == Ids()


# --- the last check ------------------------------------------------------------------------------


async def test_a_shown_item_is_asked_about_again_after_a_minute(here: Home) -> None:
    account = await here.account(await here.sign_in(GUEST))
    await here.household.viewer(account)
    item = (await here.items())["Film 10001"]
    assert await here.household.confirmed(account, [item.id]) == {item.id}
    here.house.world.account_of(GUESTS_TOKEN).sections = {"2"}  # type: ignore[union-attr]
    assert await here.household.confirmed(account, [item.id]) == {item.id}
    here.clock.now += RECHECK_S
    assert await here.household.confirmed(account, [item.id]) == set()


async def test_a_yes_is_remembered_for_a_minute_and_a_no_never(here: Home) -> None:
    account = await here.account(await here.sign_in(GUEST))
    await here.household.viewer(account)
    items = await here.items()
    wanted = [items["Film 10001"].id, items["Lake"].id]
    here.clock.now += RECHECK_S
    assert await here.household.confirmed(account, wanted) == {wanted[0]}
    await here.house.server.stop()
    assert await here.household.confirmed(account, wanted) == {wanted[0]}
    here.clock.now += RECHECK_S
    assert await here.household.confirmed(account, wanted) == set()


async def test_the_owner_is_asked_nothing(here: Home) -> None:
    account = await here.account(await here.sign_in(OWNER))
    await here.house.server.stop()
    assert await here.household.confirmed(account, [1, 2]) == {1, 2}


# --- signing in ----------------------------------------------------------------------------------


async def test_nobody_signs_in_with_the_password_of_a_server_account_here(here: Home) -> None:
    account = await here.account(await here.sign_in(GUEST))
    assert await here.accounts.sign_in(account.name, "") is None


async def test_the_token_of_a_person_lies_sealed(here: Home) -> None:
    await here.sign_in(GUEST)
    assert GUESTS_TOKEN.encode() not in here.store.path.read_bytes()
    wal = here.store.path.with_name(here.store.path.name + "-wal")
    assert not wal.exists() or GUESTS_TOKEN.encode() not in wal.read_bytes()


async def test_doors_say_how_one_can_sign_in_or_why_not(here: Home) -> None:
    (door,) = await here.household.doors()
    assert (door.server, door.kind, door.problem) == ("Attic", "plex", "")
    assert door.ways == (SignInWay.CODE,)


async def test_a_code_lets_in_whoever_types_it_and_only_once(here: Home) -> None:
    code = await here.household.start_code("attic", "browser")
    assert await here.household.finish_code("browser") is None
    here.house.tv.enter(code.code, "ben")
    session = await here.household.finish_code("browser")
    assert session is not None
    assert (await here.household.viewer(await here.account(session))).name == "Ben"
    with pytest.raises(AuthFailed, match="ask for a new one"):
        await here.household.finish_code("browser")


async def test_a_code_belongs_to_the_browser_that_asked_for_it(here: Home) -> None:
    code = await here.household.start_code("Attic", "browser")
    here.house.tv.enter(code.code, "ben")
    with pytest.raises(AuthFailed):
        await here.household.finish_code("another browser")


async def test_an_old_code_has_expired(here: Home) -> None:
    await here.household.start_code("Attic", "browser")
    here.clock.now += CODE_S
    with pytest.raises(AuthFailed, match="expired"):
        await here.household.finish_code("browser")


async def test_whoever_guesses_at_servers_learns_of_none(here: Home) -> None:
    with pytest.raises(AuthFailed, match=r"^there is no server of that name here$"):
        await here.household.start_code("Cellar", "browser")
