"""Changes on Plex: heard on the websocket, asked for where there is none, never silently missed."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, strategies as st

from companion.errors import AuthFailed, ServerUnavailable
from connectors import plex_events
from connectors.base import Change, ChangeKind
from connectors.plex_events import _difference, _Moment, _polled
from connectors.plex_listing import Page
from connectors.plex_reading import Row
from tests.fakes.plex import timeline
from tests.plex_house import House, house

LOOK_AGAIN = Change(kind=ChangeKind.LOOK_AGAIN)


@pytest.fixture
async def home() -> AsyncIterator[House]:
    async with house() as opened:
        yield opened


@pytest.fixture
async def changes(home: House) -> AsyncIterator[AsyncIterator[Change]]:
    """The changes of a server that is heard."""
    heard = home.plex.changes()
    yield heard
    await heard.aclose()  # type: ignore[attr-defined]


async def listening(home: House, changes: AsyncIterator[Change]) -> None:
    assert await anext(changes) == LOOK_AGAIN
    await home.server.listening.wait()


async def test_the_first_thing_is_to_look_again(
    home: House, changes: AsyncIterator[Change]
) -> None:
    await listening(home, changes)


async def test_an_item_that_is_done_is_told_with_its_library(
    home: House, changes: AsyncIterator[Change]
) -> None:
    await listening(home, changes)
    await home.server.tell_timeline("10001", state=5, section="1")
    assert await anext(changes) == Change(
        kind=ChangeKind.SAVED, item_ids=("10001",), library_ids=("1",)
    )


async def test_a_deleted_item_is_told(home: House, changes: AsyncIterator[Change]) -> None:
    await listening(home, changes)
    await home.server.tell_timeline("10001", state=9)
    assert (await anext(changes)).kind is ChangeKind.REMOVED


async def test_many_entries_about_one_item_are_one_change(
    home: House, changes: AsyncIterator[Change]
) -> None:
    await listening(home, changes)
    for state in (0, 1, 2, 3, 4, 5, 5, 5):
        await home.server.tell_timeline("10001", state=state)
    await home.server.tell_timeline("10002", state=5)
    assert (await anext(changes)).item_ids == ("10001", "10002")


async def test_a_flood_is_told_in_pieces(
    home: House, changes: AsyncIterator[Change], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plex_events, "MOST_IDS", 50)
    await listening(home, changes)
    for number in range(120):
        await home.server.tell_timeline(str(number), state=5)
    told = [await anext(changes) for _ in range(3)]
    assert [len(change.item_ids) for change in told] == [50, 50, 20]


async def test_a_home_video_without_an_agent_is_done_at_state_one(
    home: House, changes: AsyncIterator[Change]
) -> None:
    await listening(home, changes)
    await home.server.tell_timeline("301", state=1, section="3")
    assert await anext(changes) == Change(
        kind=ChangeKind.SAVED, item_ids=("301",), library_ids=("3",)
    )


async def test_a_player_that_stops_may_have_changed_what_is_watched(
    home: House, changes: AsyncIterator[Change]
) -> None:
    await listening(home, changes)
    entry = {"ratingKey": "10001", "state": "stopped", "viewOffset": 1000}
    said = {"NotificationContainer": {"PlaySessionStateNotification": [entry]}}
    await home.server.tell(json.dumps(said))
    assert await anext(changes) == Change(kind=ChangeKind.WATCHED, item_ids=("10001",))


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[",
        "null",
        "[]",
        "1e999",
        "[" * 100_000,
        '{"NotificationContainer":[]}',
        '{"NotificationContainer":{"TimelineEntry":{"itemID":"1"}}}',
        '{"NotificationContainer":{"TimelineEntry":[1,null,[]]}}',
        timeline("../../x", state=5),
        timeline("1,2", state=5),
        timeline("1", state=5).replace('"state":5', '"state":"5"'),
        timeline("1", state=5).replace('"state":5', '"state":true'),
        timeline("1", state=5).replace("com.plexapp.plugins.library", "com.plexapp.music"),
        timeline("1", state=4),
    ],
    ids=lambda text: text[:30],
)
async def test_what_makes_no_sense_is_passed_over(
    home: House, changes: AsyncIterator[Change], message: str
) -> None:
    await listening(home, changes)
    await home.server.tell(message)
    await home.server.tell_timeline("10002", state=5)
    assert (await anext(changes)).item_ids == ("10002",)


async def test_a_server_that_comes_back_is_looked_at_again(
    home: House, changes: AsyncIterator[Change]
) -> None:
    await listening(home, changes)
    await home.server.restart()
    assert await anext(changes) == LOOK_AGAIN
    await home.server.listening.wait()
    await home.server.tell_timeline("10001", state=5)
    assert (await anext(changes)).item_ids == ("10001",)


async def test_a_server_that_starts_up_is_waited_for(
    home: House, changes: AsyncIterator[Change]
) -> None:
    home.server.faults.on("/:/websockets", status=503, times=3)
    await listening(home, changes)
    asked = home.server.faults.paths()
    assert asked.count("/:/websockets/notifications") == 4
    assert not [path for path in asked if path.startswith("/library")], "it is not polled"


async def test_pauses_grow_while_nobody_answers(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client library's own listener tries thousands of times a second, or never again."""
    pauses: list[float] = []
    real = asyncio.sleep

    async def slept(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 6:
            home.server.faults.clear()
        await real(0)

    monkeypatch.setattr(plex_events.asyncio, "sleep", slept)
    home.server.faults.on("/:/websockets", status=503)
    changes = home.plex.changes()
    await anext(changes)
    await changes.aclose()  # type: ignore[attr-defined]
    assert pauses == [0.001, 0.002, 0.004, 0.008, 0.01, 0.01]


async def test_a_revoked_token_ends_it(home: House, changes: AsyncIterator[Change]) -> None:
    await listening(home, changes)
    home.world.accounts[0].token = "new"
    await home.server.restart()
    with pytest.raises(AuthFailed):
        await anext(changes)


async def test_listening_ends_with_the_one_who_listens(home: House) -> None:
    changes = home.plex.changes()
    await listening(home, changes)
    await changes.aclose()  # type: ignore[attr-defined]
    await home.plex.close()
    await home.server.stop()
    assert not home.server.listening.is_set()


async def test_waiting_for_changes_can_be_cancelled(home: House) -> None:
    changes = home.plex.changes()
    await listening(home, changes)
    waiting = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


# --- without a websocket -------------------------------------------------------------------------


async def test_without_a_websocket_it_asks(home: House, changes: AsyncIterator[Change]) -> None:
    home.server.websockets = False
    assert await anext(changes) == LOOK_AGAIN
    home.world.film("555", updated_at=1_800_000_000)
    assert await anext(changes) == Change(
        kind=ChangeKind.SAVED, item_ids=("555",), library_ids=("1",)
    )
    del home.world.videos["555"]
    assert await anext(changes) == Change(kind=ChangeKind.LOOK_AGAIN, library_ids=("1",))


async def test_nothing_new_is_one_small_question_a_library(
    home: House, changes: AsyncIterator[Change]
) -> None:
    home.server.websockets = False
    assert await anext(changes) == LOOK_AGAIN
    home.server.faults.seen.clear()
    waiting = asyncio.ensure_future(anext(changes))
    while home.server.faults.paths().count("/library/sections") < 3:
        home.server.faults.asked.clear()
        await home.server.faults.asked.wait()
    waiting.cancel()
    asked = home.server.faults.paths()
    second = [at for at, path in enumerate(asked) if path == "/library/sections"][1]
    assert asked[:second] == [
        "/library/sections",
        "/library/sections/1/all",
        "/library/sections/2/all",
        "/library/sections/3/all",
    ]
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_new_library_is_looked_at(home: House, changes: AsyncIterator[Change]) -> None:
    home.server.websockets = False
    await anext(changes)
    del home.world.sections["3"]
    assert await anext(changes) == LOOK_AGAIN


async def test_a_silence_between_two_questions_is_looked_into(
    home: House, changes: AsyncIterator[Change]
) -> None:
    home.server.websockets = False
    await anext(changes)
    home.server.faults.on("/library/sections", status=500, times=1)
    assert await anext(changes) == LOOK_AGAIN


async def test_a_websocket_that_is_there_again_is_used(
    home: House, changes: AsyncIterator[Change], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plex_events, "POLLS", 1)
    home.server.websockets = False
    await anext(changes)
    home.server.websockets = True
    assert await anext(changes) == LOOK_AGAIN
    assert home.server.listening.is_set()


def page(rows: list[tuple[str, int]], total: int) -> Page:
    return Page(rows=tuple(Row(id=key, updated_at=at) for key, at in rows), total=total)


def test_an_item_saved_in_the_same_second_as_the_last_one_is_seen() -> None:
    before = _polled(page([("a", 100), ("b", 90)], 2))
    change = _difference("1", before, page([("a", 100), ("c", 100), ("b", 90)], 3))
    assert change == Change(kind=ChangeKind.SAVED, item_ids=("c",), library_ids=("1",))


def test_more_new_ones_than_the_question_shows_means_list() -> None:
    before = _polled(page([("a", 100)], 900))
    change = _difference("1", before, page([("x", 200), ("y", 201)], 902))
    assert change == Change(kind=ChangeKind.LOOK_AGAIN, library_ids=("1",))


def test_an_old_file_that_comes_with_an_old_date_means_list() -> None:
    before = _polled(page([("a", 100)], 1))
    change = _difference("1", before, page([("a", 100), ("old", 5)], 2))
    assert change == Change(kind=ChangeKind.LOOK_AGAIN, library_ids=("1",))


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 9), min_size=1),
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 9)),
)
def test_no_difference_means_nothing_newer(before: dict[str, int], touched: dict[str, int]) -> None:
    """Whatever is saved later, at the same second or after it, is told."""
    newest = max(before.values())
    after = before | {key: newest + at for key, at in touched.items()}

    def shown(items: dict[str, int]) -> Page:
        ordered = sorted(items.items(), key=lambda item: -item[1])
        return page(ordered, len(ordered))

    change = _difference("1", _polled(shown(before)), shown(after))
    assert (change is None) == (not touched)
    if change and change.kind is ChangeKind.SAVED:
        assert set(change.item_ids) == set(touched)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_message_breaks_the_ear(message: str) -> None:
    moment = _Moment()
    moment.add(message)
    assert moment.changes() == []


# --- what changed since --------------------------------------------------------------------------


async def since(home: House, at_ms: int) -> list[tuple[str, str]]:
    return [
        (library, item.external_id)
        async for found in home.plex.changed_since(at_ms)
        for library, item in found.items
    ]


async def test_what_was_saved_at_or_after_a_time_is_told(home: House) -> None:
    home.world.videos["10001"].updated_at = 1_800_000_000
    home.world.videos["212"].updated_at = 1_800_000_001
    home.world.videos["301"].updated_at = 1_799_999_999
    assert await since(home, 1_800_000_000_000) == [("1", "10001"), ("2", "212")]
    assert await since(home, 1_800_000_001_001) == []
    assert len(await since(home, 0)) == 6


async def test_more_than_a_page_of_changes_is_told_whole(home: House) -> None:
    for number in range(450):
        home.world.film(f"5{number:04}", updated_at=1_800_000_000)
    found = await since(home, 1_800_000_000_000)
    assert len(set(found)) == len(found) == 450


async def test_nothing_since_then_is_a_question_a_library_and_counted_on_the_way(
    home: House,
) -> None:
    assert await since(home, 1_900_000_000_000) == []
    assert await home.plex.count() == 6
    assert len(home.server.faults.seen) == 5
    assert not [path for path in home.server.faults.paths() if "metadata" in path]


async def test_a_count_of_its_own_asks_for_no_rows(home: House) -> None:
    assert await home.plex.count() == 6
    asked = [each for each in home.server.faults.seen if each.path.endswith("/all")]
    assert {each.headers["X-Plex-Container-Size"] for each in asked} == {"0"}
    del home.world.videos["10001"]
    assert await home.plex.count() == 5


async def test_a_count_is_not_taken_from_a_look_that_was_broken_off(home: House) -> None:
    home.server.faults.on("/library/sections/2/all", status=500, times=1)
    with pytest.raises(ServerUnavailable):
        await since(home, 0)
    home.server.faults.seen.clear()
    assert await home.plex.count() == 6
    assert len(home.server.faults.seen) == 4
