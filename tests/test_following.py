"""The library follows its server: by events, by questions, and never by what was only half said."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from companion.sync import SWEEP_MS
from tests.fakes.plex_world import Part
from tests.home import Home, home, put_files
from tests.plex_house import OWNER

LATER = 1_800_000_000  # Unix seconds, by the server's clock
FILMS = {"Film 10000", "Film 10001", "Film 10002"}
ALL = {*FILMS, "Fog 1", "Fog 2", "Lake"}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Home]:
    async with home(tmp_path) as opened:
        yield opened


@asynccontextmanager
async def followed(here: Home) -> AsyncIterator[None]:
    """Follow until the end; the server is heard when this begins."""
    task = asyncio.create_task(here.following.run())
    try:
        await here.house.server.listening.wait()
        await until(here, lambda: True)
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(here: Home, done: Callable[[], bool]) -> None:
    """Wait for the sync to have its turn until something holds."""
    async with asyncio.timeout(10):
        while here.sync.running or not done():
            await asyncio.sleep(0.005)


async def titles(here: Home) -> set[str]:
    return set(await here.items())


async def shows(here: Home, expected: set[str]) -> None:
    """Wait until the library holds just these."""
    async with asyncio.timeout(10):
        while await titles(here) != expected:
            await asyncio.sleep(0.005)


def add_film(here: Home, tmp_path: Path, title: str = "New") -> str:
    file = f"/srv/media/Films/{title}/{title}.mkv"
    key = f"5{len(here.house.world.videos)}"
    here.house.world.film(
        key, title=title, media=[[Part(file=file)]], added_at=LATER, updated_at=LATER
    )
    put_files(tmp_path / "media", here.house.world)
    return key


# --- what a sync takes from a server -------------------------------------------------------------


async def test_a_first_look_takes_in_everything(here: Home) -> None:
    assert await titles(here) == ALL
    assert here.sync.notes() == ()


async def test_a_second_look_finds_nothing_new(here: Home) -> None:
    report = await here.look()
    assert (report.items, report.new, report.changed, report.gone) == (6, 0, 0, 0)


async def test_a_catch_up_without_news_costs_five_requests_at_most(here: Home) -> None:
    await here.sync.catch_up(here.server.id)  # the listing before brought news
    here.house.server.faults.seen.clear()
    await here.sync.catch_up(here.server.id)
    assert len(here.house.server.faults.seen) <= 5, here.house.server.faults.paths()


async def test_a_catch_up_takes_what_is_new_and_lists_nothing_else(
    here: Home, tmp_path: Path
) -> None:
    add_film(here, tmp_path)
    here.house.server.faults.seen.clear()
    await here.sync.catch_up(here.server.id)
    assert await titles(here) == {*ALL, "New"}
    listed = [each for each in here.house.server.faults.seen if "metadata" in each.path]
    assert len(listed) <= 3, "only what is new is asked for in full"


async def test_what_went_while_nobody_listened_is_missed_by_its_number(here: Home) -> None:
    del here.house.world.videos["10001"]
    await here.sync.catch_up(here.server.id)
    assert await titles(here) == ALL - {"Film 10001"}


async def test_once_a_day_everything_is_listed(here: Home, tmp_path: Path) -> None:
    del here.house.world.videos["10001"]
    add_film(here, tmp_path)  # as many as before
    here.house.world.videos[max(here.house.world.videos)].updated_at = 1  # and an old one
    here.sync._clock = lambda at=here.sync._clock: at() + SWEEP_MS / 1000
    await here.sync.catch_up(here.server.id)
    assert await titles(here) == {*ALL, "New"} - {"Film 10001"}


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"drop": True}, {"drop": True, "body": b"<MediaContainer"}]
)
async def test_a_listing_that_breaks_off_deletes_nothing(
    here: Home, fault: dict[str, object]
) -> None:
    here.house.server.faults.on("/library/sections/1/all", **fault)
    report = await here.look()
    assert not report.complete
    assert report.gone == 0
    assert await titles(here) == ALL


async def test_a_token_that_is_refused_deletes_nothing_and_says_what_to_do(here: Home) -> None:
    owner = here.house.world.account_of(OWNER)
    assert owner is not None
    owner.token = "another"
    report = await here.look()
    assert (report.complete, report.gone) == (False, 0)
    assert await titles(here) == ALL
    assert len(here.sync.notes()) == 1


async def test_a_disk_that_is_away_deletes_nothing(here: Home, tmp_path: Path) -> None:
    shutil.move(tmp_path / "media" / "Films", tmp_path / "elsewhere")
    report = await here.look()
    assert report.gone == 0
    assert "is its disk mounted?" in " ".join(report.away)
    assert await titles(here) == ALL


async def test_a_server_that_is_down_is_one_warning_and_one_back(
    here: Home, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await here.house.server.stop()
    for _ in range(3):
        await here.look()
    assert "Attic" in " ".join(here.sync.notes())
    await here.house.server.start()
    for _ in range(2):
        await here.look()
    said = [record.getMessage() for record in caplog.records]
    assert sum(line.startswith("no answer from=Attic") for line in said) == 1
    assert sum(line.startswith("answers again from=Attic") for line in said) == 1
    assert here.sync.notes() == ()


async def test_a_library_that_is_not_chosen_any_more_goes(here: Home) -> None:
    await here.servers.choose(here.server, ["1"])
    await here.look()
    assert await titles(here) == FILMS


# --- events --------------------------------------------------------------------------------------


async def test_a_new_film_is_taken_in_when_the_server_tells(here: Home, tmp_path: Path) -> None:
    async with followed(here):
        key = add_film(here, tmp_path)
        await here.house.server.tell_timeline(key, state=5)
        await shows(here, {*ALL, "New"})


async def test_a_deleted_film_goes_when_the_server_tells(here: Home) -> None:
    async with followed(here):
        del here.house.world.videos["10001"]
        await here.house.server.tell_timeline("10001", state=9)
        await shows(here, ALL - {"Film 10001"})


async def test_what_happened_while_the_server_was_away_is_caught_up(
    here: Home, tmp_path: Path
) -> None:
    async with followed(here):
        await here.house.server.stop()
        add_film(here, tmp_path)
        await here.house.server.start()
        await shows(here, {*ALL, "New"})


async def test_what_somebody_may_see_is_asked_again_after_news(here: Home, tmp_path: Path) -> None:
    account = await here.account(await here.sign_in("ben"))
    await here.household.viewer(account)
    async with followed(here):
        key = add_film(here, tmp_path)
        await here.house.server.tell_timeline(key, state=5)
        await shows(here, {*ALL, "New"})
        async with asyncio.timeout(10):
            while "New" not in await here.titles(await here.household.viewer(account)):
                await asyncio.sleep(0.005)


async def test_a_server_that_comes_is_followed_and_one_that_goes_is_not(here: Home) -> None:
    async with followed(here):
        await here.servers.choose(here.server, ["1"])
        await shows(here, FILMS)
        await here.servers.remove(here.server, now_ms=0)
        await shows(here, set())
        async with asyncio.timeout(10):
            while here.house.server._ears:
                await asyncio.sleep(0.005)
