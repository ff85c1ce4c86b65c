"""Who may see what on Plex: by listing with that person's token, closed when anything is wrong."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from companion.errors import AuthFailed, ServerUnavailable
from connectors import plex_tokens, plex_visible
from tests.plex_house import CHILD, GUEST, OWNER, House, house


@pytest.fixture
async def home() -> AsyncIterator[House]:
    async with house() as opened:
        yield opened


async def seen_by(home: House, token: str) -> set[str]:
    return {key async for ids in home.plex.visible(token) for key in ids}


async def test_the_owner_sees_everything_that_can_be_played(home: House) -> None:
    assert await seen_by(home, OWNER) == {"10000", "10001", "10002", "211", "212", "301"}


async def test_a_guest_sees_the_libraries_that_are_shared(home: House) -> None:
    assert await seen_by(home, GUEST) == {"10000", "10001", "10002", "211", "212"}


async def test_labels_that_are_demanded_hide_all_else(home: House) -> None:
    assert await seen_by(home, CHILD) == set()
    home.world.videos["10001"].labels.append("kids")
    assert await seen_by(home, CHILD) == {"10001"}


async def test_labels_that_are_barred_hide_also_the_episodes_of_a_show(home: House) -> None:
    home.world.accounts[1].without_labels.add("violent")
    home.world.videos["201"].labels.append("violent")
    home.world.videos["10002"].labels.append("violent")
    assert await seen_by(home, GUEST) == {"10000", "10001"}


async def test_ratings_hide_what_has_another_or_none(home: House) -> None:
    home.world.accounts[1].ratings.add("PG")
    home.world.videos["10000"].content_rating = "PG"
    home.world.videos["10001"].content_rating = "R"
    assert await seen_by(home, GUEST) == {"10000"}


async def test_a_share_that_is_taken_back_counts_at_the_next_listing(home: House) -> None:
    assert "211" in await seen_by(home, GUEST)
    home.world.accounts[1].sections = {"1"}
    assert "211" not in await seen_by(home, GUEST)


async def test_listings_of_two_people_at_once_do_not_mix(home: House) -> None:
    found = await asyncio.gather(*(seen_by(home, token) for token in [GUEST, OWNER, CHILD] * 5))
    assert all("301" not in seen for seen in found[0::3])
    assert all("301" in seen for seen in found[1::3])
    assert not any(found[2::3])


async def test_every_question_carries_the_token_of_the_one_who_asks(home: House) -> None:
    await seen_by(home, GUEST)
    await home.plex.may_see(GUEST, "10001")
    asked = [each for each in home.server.faults.seen if each.path != "/identity"]
    assert {each.token for each in asked} == {GUEST}


async def test_only_the_owner_sees_everything(home: House) -> None:
    assert await home.plex.sees_everything(OWNER)
    assert not await home.plex.sees_everything(GUEST)
    assert not await home.plex.sees_everything(CHILD)


async def test_a_guest_is_no_owner_even_if_the_server_shows_sessions_to_all(home: House) -> None:
    home.server.faults.on("/status/sessions", body=b"<MediaContainer size='0'/>")
    assert not await home.plex.sees_everything(GUEST)
    home.server.faults.on("/accounts", body=b"<MediaContainer size='0'/>")
    guest = plex_tokens.packed(GUEST, "902")
    assert not await home.plex.sees_everything(guest), "who they were at sign-in counts too"


@pytest.mark.parametrize("path", ["/status/sessions", "/accounts", "/library/sections"])
@pytest.mark.parametrize("status", [500, 503])
async def test_who_is_the_owner_is_not_guessed(home: House, path: str, status: int) -> None:
    home.server.faults.on(path, status=status)
    with pytest.raises(ServerUnavailable):
        await home.plex.sees_everything(OWNER)


async def test_a_dead_token_is_not_just_no_owner(home: House) -> None:
    with pytest.raises(AuthFailed):
        await home.plex.sees_everything("dead")


async def test_one_item_is_asked_for_now(home: House) -> None:
    assert await home.plex.may_see(GUEST, "10001")
    assert not await home.plex.may_see(GUEST, "301")
    assert not await home.plex.may_see(CHILD, "10001")
    home.world.accounts[1].sections = set()
    assert not await home.plex.may_see(GUEST, "10001")


@pytest.mark.parametrize("key", ["", "..", "10001/children", "10001,301", "1?x=1", "%2e%2e", "#"])
async def test_an_id_that_is_none_is_not_visible_and_not_asked_for(home: House, key: str) -> None:
    assert not await home.plex.may_see(OWNER, key)
    assert home.server.faults.seen == []


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_whatever_way_the_server_says_no_means_no(home: House, status: int) -> None:
    home.server.faults.on("/library/metadata", status=status)
    assert not await home.plex.may_see(GUEST, "10001")


async def test_another_item_than_asked_for_is_no_yes(home: House) -> None:
    body = b"<MediaContainer size='1' librarySectionID='1'><Video ratingKey='5'/></MediaContainer>"
    home.server.faults.on("/library/metadata", body=body)
    assert not await home.plex.may_see(GUEST, "10001")


async def test_an_item_of_a_library_that_is_not_shared_is_no_yes(home: House) -> None:
    """Should a server ever hand out single items by number to anybody."""
    body = (
        b"<MediaContainer size='1' librarySectionID='3'><Video ratingKey='301'/></MediaContainer>"
    )
    home.server.faults.on("/library/metadata/301", body=body)
    assert not await home.plex.may_see(GUEST, "301")
    assert await home.plex.may_see(OWNER, "301")


async def test_a_page_of_hits_is_one_question_each_and_one_for_the_libraries(home: House) -> None:
    found = await asyncio.gather(
        *(home.plex.may_see(GUEST, key) for key in ["10000", "10001", "211", "301", "none"] * 2)
    )
    assert found == [True, True, True, False, False] * 2
    asked = home.server.faults.paths()
    assert asked.count("/library/sections") == 1
    assert len(asked) == 11


async def test_what_one_was_shown_says_nothing_of_another(home: House) -> None:
    assert await home.plex.may_see(OWNER, "301")
    body = (
        b"<MediaContainer size='1' librarySectionID='3'><Video ratingKey='301'/></MediaContainer>"
    )
    home.server.faults.on("/library/metadata/301", body=body)
    assert not await home.plex.may_see(GUEST, "301")


async def test_libraries_that_were_shown_are_soon_asked_for_again(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plex_visible, "SHOWN_S", 0.0)
    for _ in range(3):
        assert await home.plex.may_see(GUEST, "10001")
    assert home.server.faults.paths().count("/library/sections") == 3


async def test_a_failure_to_ask_for_libraries_is_not_remembered(home: House) -> None:
    home.server.faults.on("/library/sections", status=500, times=1)
    with pytest.raises(ServerUnavailable):
        await home.plex.may_see(GUEST, "10001")
    assert await home.plex.may_see(GUEST, "10001")


async def test_whether_one_item_is_visible_is_not_guessed(home: House) -> None:
    home.server.faults.on("/library/metadata", status=500)
    with pytest.raises(ServerUnavailable):
        await home.plex.may_see(GUEST, "10001")
    home.server.faults.clear()
    await home.server.stop()
    with pytest.raises(ServerUnavailable):
        await home.plex.may_see(OWNER, "10001")


@pytest.mark.parametrize("forbidden", [401, 403, 404])
async def test_a_library_that_closes_in_the_middle_ends_in_an_error(
    home: House, forbidden: int
) -> None:
    home.server.forbidden = forbidden
    home.server.faults.on("/library/sections/2/all", status=forbidden)
    with pytest.raises(ServerUnavailable):  # not AuthFailed: the sign-in itself is still good
        await seen_by(home, GUEST)


async def test_nobody_sees_nothing(home: House) -> None:
    with pytest.raises(AuthFailed):
        await seen_by(home, "")
    with pytest.raises(AuthFailed):
        await home.plex.may_see("", "10001")


async def test_an_account_without_libraries_sees_an_empty_set(home: House) -> None:
    home.world.accounts[1].sections = set()
    assert await seen_by(home, GUEST) == set()


async def test_another_server_at_the_address_shows_nothing(home: House) -> None:
    await seen_by(home, GUEST)
    home.world.machine_id = "other"
    with pytest.raises(ServerUnavailable, match="another server"):
        await seen_by(home, GUEST)


async def test_what_somebody_has_watched_is_theirs_alone(home: House) -> None:
    guest = home.world.accounts[1]
    guest.views["10000"] = 2
    guest.offsets["211"] = 65_000
    found = [each async for some in home.plex.watched(GUEST) for each in some]
    assert [(each.item_id, each.played, each.position_ms) for each in found] == [
        ("10000", True, 0),
        ("211", False, 65_000),
    ]
    assert [each async for some in home.plex.watched(OWNER) for each in some] == []
