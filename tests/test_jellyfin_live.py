"""Changes of a Jellyfin server as they happen: by its socket, and by asking where there is none."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from companion.errors import AuthFailed
from connectors import jellyfin_live
from connectors.base import Change, ChangeKind
from connectors.jellyfin import Jellyfin
from connectors.jellyfin_live import changes_of, pause_s
from tests.fakes import jellyfin_views as views
from tests.fakes.jellyfin_world import Item
from tests.jellyfin_house import House, furnish, open_house, unknown_id
from tests.jellyfin_schema import check_message

LIMIT_S = 20.0


class Listener:
    """Listens in the background, so that a test can wait for what comes next."""

    def __init__(self, connector: Jellyfin) -> None:
        self.told: asyncio.Queue[Change | BaseException] = asyncio.Queue()
        self._task = asyncio.ensure_future(self._listen(connector))

    async def _listen(self, connector: Jellyfin) -> None:
        try:
            async for change in connector.changes():
                self.told.put_nowait(change)
        except AuthFailed as error:
            self.told.put_nowait(error)

    async def next(self) -> Change:
        async with asyncio.timeout(LIMIT_S):
            told = await self.told.get()
        if isinstance(told, BaseException):
            raise told
        return told

    async def look_again(self) -> None:
        assert await self.next() == Change(kind=ChangeKind.LOOK_AGAIN)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jellyfin_live, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(jellyfin_live, "LONGEST_PAUSE_S", 0.02)
    monkeypatch.setattr(jellyfin_live, "POLL_S", 0.01)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path / "nas", valid=False) as house:
        yield house


@pytest.fixture
def items(house: House) -> dict[str, Item]:
    return furnish(house)


@pytest.fixture
async def connector(house: House) -> AsyncIterator[Jellyfin]:
    connector = house.connector()
    yield connector
    await connector.close()


@pytest.fixture
async def listener(connector: Jellyfin) -> AsyncIterator[Listener]:
    listener = Listener(connector)
    yield listener
    await listener.stop()


# --- the socket ----------------------------------------------------------------------------------


async def test_the_first_word_is_to_look_again(listener: Listener, house: House) -> None:
    await listener.look_again()
    await house.fake.socket_opened.wait()


async def test_what_was_added_updated_and_removed_is_told(
    listener: Listener, house: House, items: dict[str, Item]
) -> None:
    await listener.look_again()
    gone = unknown_id()
    await house.fake.library_changed(
        added=(items["Pilot"].id,), updated=(items["Long"].id,), removed=(gone,)
    )
    libraries = tuple(sorted([house.films.id, house.shows.id]))
    assert await listener.next() == Change(
        kind=ChangeKind.REMOVED, item_ids=(gone,), library_ids=libraries
    )
    assert await listener.next() == Change(
        kind=ChangeKind.SAVED,
        item_ids=(items["Pilot"].id, items["Long"].id),
        library_ids=libraries,
    )


async def test_many_changes_at_once_are_a_reason_to_list(
    listener: Listener, house: House, items: dict[str, Item]
) -> None:
    await listener.look_again()
    many = tuple(unknown_id(number) for number in range(300))
    await house.fake.library_changed(removed=many)
    await listener.look_again()


async def test_what_somebody_watched_is_told(
    listener: Listener, house: House, items: dict[str, Item]
) -> None:
    await listener.look_again()
    await house.fake.user_data_changed(house.boss, items["Pilot"].id)
    assert await listener.next() == Change(
        kind=ChangeKind.WATCHED, item_ids=(items["Pilot"].id,), account_id=house.boss.id
    )


async def test_changed_rights_are_told(listener: Listener, house: House) -> None:
    await listener.look_again()
    await house.fake.user_updated(house.boss)
    assert await listener.next() == Change(kind=ChangeKind.ACCOUNTS, account_id=house.boss.id)
    await house.fake.say(json.dumps(views.message("UserDeleted", house.kid.id)))
    assert await listener.next() == Change(kind=ChangeKind.ACCOUNTS, account_id=house.kid.id)


@pytest.mark.parametrize("times", [1, 3])
async def test_a_line_that_breaks_is_opened_again_and_says_look_again(
    listener: Listener, house: House, items: dict[str, Item], times: int
) -> None:
    for _ in range(times):
        await listener.look_again()
        await house.fake.socket_opened.wait()
        await house.fake.drop_sockets()
    await listener.look_again()
    await house.fake.socket_opened.wait()
    await house.fake.library_changed(added=(items["Pilot"].id,))
    assert (await listener.next()).kind is ChangeKind.SAVED


async def test_a_restart_is_one_warning_and_one_return(
    listener: Listener, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "connectors")
    await listener.look_again()
    house.fake.break_it("/socket", 503, times=5)
    await house.fake.restart()
    await listener.look_again()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "no events server=home: home: the server does not answer" in caplog.text
    assert "hears events again" in caplog.text


async def test_a_server_that_is_down_at_first_is_waited_for(
    connector: Jellyfin, house: House
) -> None:
    await house.fake.stop()
    listener = Listener(connector)
    await asyncio.sleep(0)
    await house.fake.start()
    await listener.look_again()
    await listener.stop()


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "null",
        "[]",
        "{",
        '"x"',
        '{"MessageType":5}',
        '{"MessageType":"LibraryChanged"}',
        "[" * 9000,
    ],
)
async def test_nonsense_on_the_line_is_passed_over(
    listener: Listener, house: House, items: dict[str, Item], nonsense: str
) -> None:
    await listener.look_again()
    await house.fake.socket_opened.wait()
    await house.fake.say(nonsense)
    await house.fake.library_changed(added=(items["Pilot"].id,))
    assert (await listener.next()).kind is ChangeKind.SAVED


async def test_signs_of_life_are_given(
    listener: Listener, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await listener.look_again()
    await house.fake.say(json.dumps(views.message("ForceKeepAlive", 2)))
    async with asyncio.timeout(LIMIT_S):
        while house.fake.heard.count("KeepAlive") < 3:
            await asyncio.sleep(0.01)


async def test_a_line_that_is_silent_is_opened_again(
    connector: Jellyfin, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line may be dead without being closed: no sign of life comes back."""
    monkeypatch.setattr(jellyfin_live, "SILENCE_S", 0.02)
    house.fake.answers_life = False
    house.fake.wants_life_s = 0  # so that only our own patience counts
    listener = Listener(connector)
    await listener.look_again()
    await listener.look_again()
    await listener.stop()


async def test_a_token_that_was_revoked_ends_it(listener: Listener, house: House) -> None:
    await listener.look_again()
    await house.fake.socket_opened.wait()
    house.world.tokens.clear()
    await house.fake.drop_sockets()
    with pytest.raises(AuthFailed, match="refuses"):
        await listener.next()


async def test_leaving_closes_the_line(listener: Listener, house: House) -> None:
    await listener.look_again()
    await house.fake.socket_opened.wait()
    await listener.stop()
    async with asyncio.timeout(LIMIT_S):
        while house.fake.open_sockets:
            await asyncio.sleep(0.01)


# --- asking --------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", ["key", 404, 400, 403])
async def test_where_there_is_no_socket_changes_are_asked_for(
    house: House, items: dict[str, Item], refusal: str | int
) -> None:
    connector = house.connector(house.world.key() if refusal == "key" else None)
    if refusal != "key":
        house.fake.break_it("/socket", refusal)
    listener = Listener(connector)
    await listener.look_again()
    house.world.save(items["Pilot"])
    assert await listener.next() == Change(kind=ChangeKind.SAVED, item_ids=(items["Pilot"].id,))
    assert house.asked("/socket") == int(refusal != "key")
    await listener.stop()
    await connector.close()


@pytest.mark.parametrize("skew", [timedelta(days=-400), timedelta(hours=3)])
async def test_a_clock_that_is_wrong_hides_no_change(
    house: House, items: dict[str, Item], skew: timedelta
) -> None:
    house.world.skew = skew
    for item in items.values():
        item.saved = house.world.now() - timedelta(hours=1)
    connector = house.connector(house.world.key())
    listener = Listener(connector)
    await listener.look_again()
    house.world.save(items["Long"])
    assert await listener.next() == Change(kind=ChangeKind.SAVED, item_ids=(items["Long"].id,))
    await listener.stop()
    await connector.close()


async def test_many_saved_at_once_are_a_reason_to_list(house: House) -> None:
    connector = house.connector(house.world.key())
    listener = Listener(connector)
    await listener.look_again()
    for number in range(300):
        house.world.save(house.world.film(house.films, f"Film {number}"))
    while (await listener.next()).kind is not ChangeKind.LOOK_AGAIN:
        pass
    await listener.stop()
    await connector.close()


async def test_a_key_that_was_revoked_ends_it(house: House) -> None:
    connector = house.connector(house.world.key())
    listener = Listener(connector)
    await listener.look_again()
    house.world.keys.clear()
    with pytest.raises(AuthFailed, match="refuses"):
        await listener.next()
    await listener.stop()
    await connector.close()


async def test_a_server_that_is_away_while_asked_is_asked_again(house: House) -> None:
    connector = house.connector(house.world.key())
    listener = Listener(connector)
    await listener.look_again()
    house.fake.break_it("/Items$", 503, times=2)
    await listener.look_again()
    await listener.stop()
    await connector.close()


# --- pieces --------------------------------------------------------------------------------------


def test_pauses_grow_and_end() -> None:
    assert 0 < pause_s(0) <= jellyfin_live.FIRST_PAUSE_S
    assert pause_s(10_000) <= jellyfin_live.LONGEST_PAUSE_S


@pytest.mark.parametrize("message", [{}, {"MessageType": "RefreshProgress", "Data": {}}])
def test_what_means_nothing_is_nothing(message: dict[str, Any]) -> None:
    assert changes_of(message) == []


def test_folders_that_came_or_went_are_a_reason_to_list() -> None:
    data = {"FoldersAddedTo": ["x"], "ItemsAdded": [], "CollectionFolders": [unknown_id()]}
    assert changes_of({"MessageType": "LibraryChanged", "Data": data}) == [
        Change(kind=ChangeKind.LOOK_AGAIN, library_ids=(unknown_id(),))
    ]


def test_messages_of_the_fake_are_official(house: House, items: dict[str, Item]) -> None:
    data = {"UserId": house.kid.id, "UserDataList": [views.user_data(unknown_id(), house.kid)]}
    for message in (
        views.message("ForceKeepAlive", 60),
        views.message("LibraryChanged", {"ItemsAdded": [unknown_id()], "IsEmpty": False}),
        views.message("UserDataChanged", data),
        views.message("UserUpdated", views.user(house.world, house.kid)),
        views.message("UserDeleted", house.kid.id),
    ):
        check_message(message)
