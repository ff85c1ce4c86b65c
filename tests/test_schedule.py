"""The clock: windows of the week as numbers, the scheduler with real event loops."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given, strategies as st

from companion import schedule as schedule_module
from companion.config import Config, Scanning, Syncing, Window
from companion.errors import ServerUnavailable
from companion.schedule import Schedule, window_open
from companion.sync import SyncReport

WEEK = 7 * 24 * 60
EVERY_DAY = frozenset(range(7))
MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def window(days: str, start: str, end: str) -> Window:
    """A window such as ("01234", "01:00", "07:00"); 0 is Monday."""
    return Window(
        days=frozenset(map(int, days)), start_minute=minutes(start), end_minute=minutes(end)
    )


def minutes(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def on(day: int, clock: str) -> datetime:
    """A time in the first week of 2024; day 0 is a Monday."""
    return MONDAY + timedelta(days=day, minutes=minutes(clock))


NIGHTS = [window("0123456", "01:00", "07:00")]
LATE = [window("4", "22:00", "06:00")]  # Friday into Saturday
WEEKEND = [window("56", "00:00", "24:00")]
TWICE = [
    window("0", "01:00", "03:00"),
    window("0", "12:00", "13:00"),
    window("2", "05:00", "06:00"),
]


# --- windows -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("windows", "now", "is_open", "words"),
    [
        ([], on(0, "12:00"), True, "always open"),
        (NIGHTS, on(0, "00:59"), False, "opens at 01:00"),
        (NIGHTS, on(0, "01:00"), True, "open until 07:00"),
        (NIGHTS, on(0, "06:59"), True, "open until 07:00"),
        (NIGHTS, on(0, "07:00"), False, "opens at 01:00"),
        (NIGHTS, on(6, "23:00"), False, "opens at 01:00"),
        (LATE, on(4, "21:59"), False, "opens at 22:00"),
        (LATE, on(4, "22:00"), True, "open until 06:00"),
        (LATE, on(5, "05:59"), True, "open until 06:00"),
        (LATE, on(5, "06:00"), False, "opens on Friday at 22:00"),
        (LATE, on(0, "02:00"), False, "opens on Friday at 22:00"),
        (LATE, on(3, "22:01"), False, "opens at 22:00"),
        (WEEKEND, on(4, "23:59"), False, "opens at 00:00"),
        (WEEKEND, on(5, "00:00"), True, "open until Monday 00:00"),
        (WEEKEND, on(6, "12:00"), True, "open until 00:00"),
        (WEEKEND, on(0, "00:00"), False, "opens on Saturday at 00:00"),
        (TWICE, on(0, "02:00"), True, "open until 03:00"),
        (TWICE, on(0, "04:00"), False, "opens at 12:00"),
        (TWICE, on(0, "12:30"), True, "open until 13:00"),
        (TWICE, on(0, "13:00"), False, "opens on Wednesday at 05:00"),
        (TWICE, on(3, "00:00"), False, "opens on Monday at 01:00"),
        ([window("6", "23:00", "01:00")], on(0, "00:30"), True, "open until 01:00"),
        ([window("0123456", "00:00", "24:00")], on(3, "03:00"), True, "always open"),
        ([window("0123456", "06:00", "06:00")], on(3, "03:00"), True, "always open"),
        ([window("0", "06:00", "06:00")], on(1, "05:00"), True, "open until 06:00"),
        ([window("0", "06:00", "06:00")], on(0, "06:00"), True, "open until Tuesday 06:00"),
        # Windows that touch are one, also over midnight and the end of the week.
        ([window("0", "01:00", "02:00"), window("0", "02:00", "04:00")], on(0, "01:30"), True,
         "open until 04:00"),
        ([window("0", "22:00", "24:00"), window("1", "00:00", "03:00")], on(0, "23:00"), True,
         "open until 03:00"),
        ([window("6", "22:00", "24:00"), window("0", "00:00", "03:00")], on(6, "23:00"), True,
         "open until 03:00"),
        ([window("6", "22:00", "02:00"), window("0", "01:00", "03:00")], on(0, "01:30"), True,
         "open until 03:00"),
        ([window("0", "01:00", "05:00"), window("0", "02:00", "03:00")], on(0, "02:30"), True,
         "open until 05:00"),
    ],
)  # fmt: skip
def test_windows_of_the_week(
    windows: list[Window], now: datetime, is_open: bool, words: str
) -> None:
    assert window_open(windows, now) == (is_open, words)


WINDOW = st.builds(
    Window,
    days=st.frozensets(st.integers(0, 6), min_size=1),
    start_minute=st.integers(0, 1439),
    end_minute=st.integers(0, 1440),
)


def plainly_open(windows: list[Window], minute: int) -> bool:
    """The definition, minute by minute: some window has begun and not ended."""
    for each in windows:
        length = (each.end_minute - each.start_minute) % 1440 or 1440
        for day in each.days:
            if (minute - day * 1440 - each.start_minute) % WEEK < length:
                return True
    return False


@given(st.lists(WINDOW, min_size=1, max_size=4), st.integers(0, WEEK - 1))
def test_open_is_what_the_definition_says(windows: list[Window], minute: int) -> None:
    now = MONDAY + timedelta(minutes=minute)
    assert window_open(windows, now)[0] is plainly_open(windows, minute)


@given(st.lists(WINDOW, min_size=1, max_size=4), st.integers(0, WEEK - 1))
def test_the_words_name_the_next_change(windows: list[Window], minute: int) -> None:
    is_open, words = window_open(windows, MONDAY + timedelta(minutes=minute))
    ahead = next(
        (n for n in range(WEEK) if plainly_open(windows, (minute + n) % WEEK) is not is_open), None
    )
    if ahead is None:
        assert words == "always open"
        return
    change = MONDAY + timedelta(minutes=minute + ahead)
    assert words.endswith(f"{change:%H:%M}")
    assert (f"{change:%A}" in words) == (ahead >= 1440)


@pytest.mark.parametrize("day", [31, 30, 29])
def test_a_night_with_a_lost_hour_is_a_night(day: int) -> None:
    """On 31 March 2024 clocks in Berlin go from 02:00 to 03:00."""
    opens = datetime(2024, 3, day, 1, 0, tzinfo=BERLIN)
    assert window_open(NIGHTS, opens) == (True, "open until 07:00")
    after = (opens.astimezone(UTC) + timedelta(hours=1)).astimezone(BERLIN)
    assert after.hour == (3 if day == 31 else 2)
    assert window_open(NIGHTS, after)[0]
    shut = (opens.astimezone(UTC) + timedelta(hours=6)).astimezone(BERLIN)
    assert window_open(NIGHTS, shut)[0] is (day != 31 and shut.hour < 7)


def test_an_hour_that_comes_twice_is_in_the_window_twice() -> None:
    """On 27 October 2024 clocks in Berlin go from 03:00 back to 02:00."""
    two = [window("6", "02:00", "03:00")]
    start = datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN)
    for fold in (0, 1):
        assert window_open(two, start.replace(fold=fold)) == (True, "open until 03:00")


# --- the scheduler -------------------------------------------------------------------------------


class FakeSync:
    """Counts its runs; each ends when the test says so."""

    def __init__(self) -> None:
        self.when_settling: Callable[[float], None] = lambda _s: None
        self.runs: asyncio.Queue[int] = asyncio.Queue()
        self.error: Exception | None = None
        self.hold: asyncio.Event | None = None
        self.cancelled = asyncio.Event()
        self.count = 0

    async def run_once(self) -> SyncReport:
        self.count += 1
        self.runs.put_nowait(self.count)
        try:
            if self.hold is not None:
                await self.hold.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.error is not None:
            raise self.error
        return SyncReport()

    async def next(self) -> int:
        async with asyncio.timeout(20):
            return await self.runs.get()


class FakeIndexer:
    def __init__(self) -> None:
        self.told: list[tuple[bool, str]] = []

    def set_window(self, open_now: bool, why: str) -> None:
        self.told.append((open_now, why))


class Now:
    """The local time, which a test moves."""

    def __init__(self, start: datetime) -> None:
        self.at = start

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def sync() -> FakeSync:
    return FakeSync()


@pytest.fixture
def indexer() -> FakeIndexer:
    return FakeIndexer()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data_dir=tmp_path, scan=Scanning(windows=tuple(NIGHTS)))


@pytest.fixture
async def running() -> AsyncIterator[list[Schedule]]:
    """Schedules that are stopped at the end."""
    started: list[Schedule] = []
    yield started
    for each in started:
        each.stop()
    await asyncio.sleep(0)


async def test_the_indexer_learns_of_the_window_at_the_start(
    config: Config, sync: FakeSync, indexer: FakeIndexer, running: list[Schedule]
) -> None:
    running.append(Schedule(config, sync, indexer, now=Now(on(0, "12:00"))))
    running[0].start()
    assert indexer.told == [(False, "opens at 01:00")]


async def test_without_windows_nothing_is_said(
    tmp_path: Path, sync: FakeSync, indexer: FakeIndexer, running: list[Schedule]
) -> None:
    running.append(Schedule(Config(data_dir=tmp_path), sync, indexer))
    running[0].start()
    assert indexer.told == []
    assert running[0].window_open(on(0, "12:00")) == (True, "always open")


def test_a_window_is_told_when_it_opens_and_shuts_and_not_in_between(
    config: Config, sync: FakeSync, indexer: FakeIndexer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="companion.schedule")
    now = Now(on(0, "00:00"))
    schedule = Schedule(config, sync, indexer, now=now)
    for minute in range(24 * 60):
        now.at = on(0, "00:00") + timedelta(minutes=minute)
        schedule.look_at_window()
    assert indexer.told == [
        (False, "opens at 01:00"), (True, "open until 07:00"), (False, "opens at 01:00"),
    ]  # fmt: skip
    assert [record.getMessage() for record in caplog.records] == [
        "scan window shut, opens at 01:00",
        "scan window open",
        "scan window shut, opens at 01:00",
    ]


def test_a_laptop_that_slept_through_the_opening_is_told_when_it_wakes(
    config: Config, sync: FakeSync, indexer: FakeIndexer
) -> None:
    now = Now(on(0, "00:00"))
    schedule = Schedule(config, sync, indexer, now=now)
    schedule.look_at_window()
    now.at = on(2, "03:17")
    schedule.look_at_window()
    assert indexer.told[-1] == (True, "open until 07:00")


async def test_the_clock_itself_looks_at_the_window(
    config: Config, sync: FakeSync, indexer: FakeIndexer, running: list[Schedule],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Every minute in the product, every second here."""
    monkeypatch.setattr(schedule_module, "CronTrigger", lambda second: CronTrigger(second="*"))
    now = Now(on(0, "00:00"))
    running.append(Schedule(config, sync, indexer, now=now))
    running[0].start()
    now.at = on(0, "01:00")
    async with asyncio.timeout(20):
        while len(indexer.told) < 2:
            await asyncio.sleep(0.02)
    assert indexer.told[1] == (True, "open until 07:00")


async def test_libraries_are_looked_at_every_so_often(
    tmp_path: Path, sync: FakeSync, indexer: FakeIndexer, running: list[Schedule],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    real = schedule_module.IntervalTrigger
    asked: list[int] = []

    def often(minutes: int) -> object:
        asked.append(minutes)
        return real(seconds=0.05)

    monkeypatch.setattr(schedule_module, "IntervalTrigger", often)
    config = Config(data_dir=tmp_path, sync=Syncing(every_minutes=45))
    running.append(Schedule(config, sync, indexer))
    running[0].start()
    assert [await sync.next(), await sync.next()] == [1, 2]
    assert asked == [45]


async def test_files_that_settle_are_looked_at_again(
    tmp_path: Path, sync: FakeSync, indexer: FakeIndexer, running: list[Schedule],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(schedule_module, "SETTLED_S", 0.0)
    running.append(Schedule(Config(data_dir=tmp_path), sync, indexer))
    sync.when_settling(0.0)  # before the start it is only too early
    running[0].start()
    for _ in range(5):
        sync.when_settling(0.05)
    assert await sync.next() == 1
    await asyncio.sleep(0)
    assert sync.runs.empty(), "five calls are one look"


async def test_a_sync_that_takes_long_is_not_started_twice(
    tmp_path: Path, sync: FakeSync, indexer: FakeIndexer, running: list[Schedule]
) -> None:
    sync.hold = asyncio.Event()
    running.append(Schedule(Config(data_dir=tmp_path), sync, indexer))
    running[0].start()
    await running[0]._want()
    assert await sync.next() == 1
    for _ in range(3):
        await running[0]._want()
    assert sync.count == 1
    sync.hold.set()
    assert await sync.next() == 2, "what was wanted meanwhile is done once, afterwards"
    await asyncio.sleep(0)
    assert sync.count == 2


@pytest.mark.parametrize("error", [ServerUnavailable("asleep"), OSError("disk")])
async def test_a_sync_that_fails_is_a_warning_and_not_the_last(
    tmp_path: Path, sync: FakeSync, indexer: FakeIndexer, running: list[Schedule],
    caplog: pytest.LogCaptureFixture, error: Exception,
) -> None:  # fmt: skip
    sync.error = error
    running.append(Schedule(Config(data_dir=tmp_path), sync, indexer))
    running[0].start()
    for number in (1, 2):
        await running[0]._want()
        assert await sync.next() == number
    assert str(error) in caplog.text


async def test_a_sync_that_breaks_is_an_error_and_not_the_last(
    tmp_path: Path, sync: FakeSync, indexer: FakeIndexer, running: list[Schedule],
    error_log: list[str],
) -> None:  # fmt: skip
    sync.error = ZeroDivisionError()
    running.append(Schedule(Config(data_dir=tmp_path), sync, indexer))
    running[0].start()
    for number in (1, 2):
        await running[0]._want()
        assert await sync.next() == number
    while len(error_log) < 2:
        await asyncio.sleep(0)
    assert "ZeroDivisionError" in error_log[0]
    error_log.clear()


async def test_stopping_cancels_a_sync_without_an_error(
    tmp_path: Path, sync: FakeSync, indexer: FakeIndexer
) -> None:
    sync.hold = asyncio.Event()
    schedule = Schedule(Config(data_dir=tmp_path), sync, indexer)
    schedule.start()
    await schedule._want()
    await sync.next()
    schedule.stop()
    async with asyncio.timeout(20):
        await sync.cancelled.wait()
    schedule.stop()
    schedule.look_again(1)


async def test_stopping_before_starting_is_fine(
    tmp_path: Path, sync: FakeSync, indexer: FakeIndexer
) -> None:
    Schedule(Config(data_dir=tmp_path), sync, indexer).stop()


async def test_late_runs_are_still_made(
    config: Config, sync: FakeSync, indexer: FakeIndexer, running: list[Schedule]
) -> None:
    """APScheduler drops a run that is a second late, unless told otherwise."""
    running.append(Schedule(config, sync, indexer))
    running[0].start()
    jobs = running[0]._scheduler.get_jobs()
    assert {job.id for job in jobs} == {"sync", "window"}
    for job in jobs:
        assert job.misfire_grace_time >= 3600
        assert (job.coalesce, job.max_instances) == (True, 1)
