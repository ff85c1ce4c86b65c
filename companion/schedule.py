"""The clock: when libraries are looked at, and when scanning may run.

APScheduler only says *now*; what is to be done is done here, and what must survive a restart is in
the store. A window is a wall-clock time: it is looked up anew every minute, so that daylight
saving, a suspended laptop or a corrected clock cannot leave it open or shut.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from companion.config import Config, Window
from companion.errors import CompanionError
from companion.sync import SyncReport

log = logging.getLogger(__name__)
logging.getLogger("apscheduler").setLevel(logging.WARNING)  # it tells every run at INFO

DAY = 24 * 60  # minutes
WEEK = 7 * DAY
LATE_S = 12 * 3600  # a run that comes so late is still made; APScheduler's own limit is one second
SETTLED_S = 1.0  # a file is looked at again this long after it may count as still


class Syncs(Protocol):
    """The sync, as the clock uses it."""

    when_settling: Callable[[float], None]

    async def run_once(self) -> SyncReport: ...


class Windowed(Protocol):
    """The indexer, as the clock uses it."""

    def set_window(self, open_now: bool, why: str) -> None: ...


class Schedule:
    """One per daemon: `start` in the event loop, `stop` before the parts it drives."""

    def __init__(
        self,
        config: Config,
        sync: Syncs,
        indexer: Windowed,
        *,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._config = config
        self._sync = sync
        self._indexer = indexer
        self._now = now
        self._wanted = asyncio.Event()
        self._scheduler: Any = None
        self._work: asyncio.Task[None] | None = None
        self._window: tuple[bool, str] | None = None
        sync.when_settling = self.look_again

    def start(self) -> None:
        """Open or shut the window as it is now, and let the clock run."""
        defaults = {"misfire_grace_time": LATE_S, "coalesce": True, "max_instances": 1}
        self._scheduler = AsyncIOScheduler(job_defaults=defaults)
        self._scheduler.add_job(
            self._want, IntervalTrigger(minutes=self._config.sync.every_minutes), id="sync"
        )
        if self._config.scan.windows:
            self._scheduler.add_job(self._tick, CronTrigger(second=0), id="window")
            self.look_at_window()
        self._scheduler.start()
        self._work = asyncio.get_running_loop().create_task(self._run(), name="schedule")

    def stop(self) -> None:
        """Stop the clock; a sync that it started is cancelled, which loses nothing."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None
        if self._work is not None:
            self._work.cancel()
            self._work = None

    def window_open(self, now: datetime) -> tuple[bool, str]:
        """Return whether scanning may run, and in words until or from when."""
        return window_open(self._config.scan.windows, now)

    def look_at_window(self) -> None:
        """Tell the indexer, if it has changed, whether scanning may run."""
        window = self.window_open(self._now())
        if window != self._window:
            was_open = self._window is None or self._window[0]
            self._window = window
            if window[0] != was_open:
                log.info("scan window %s", "open" if window[0] else f"shut, {window[1]}")
            self._indexer.set_window(*window)

    def look_again(self, in_s: float) -> None:
        """Sync once more when files that are being written may have become still."""
        if self._scheduler is not None:
            at = datetime.now().astimezone() + timedelta(seconds=in_s + SETTLED_S)
            self._scheduler.add_job(
                self._want, "date", run_date=at, id="settling", replace_existing=True
            )

    # APScheduler cancels a running coroutine when it stops, and calls that an error. So these two
    # only take note; the work is done by a task of ours.

    async def _want(self) -> None:
        self._wanted.set()

    async def _tick(self) -> None:
        self.look_at_window()

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._sync.run_once()
            except (CompanionError, OSError) as error:
                log.warning("sync failed, the next one is in its turn: %s", error)
            except Exception:  # a job loop: one sync that breaks must not be the last
                log.exception("sync broke")


# --- windows -------------------------------------------------------------------------------------


def window_open(windows: Iterable[Window], now: datetime) -> tuple[bool, str]:
    """Return whether now, in local time, lies in a window, and in words until or from when.

    No windows at all: always open.
    """
    spans = _merged(windows)
    if not spans or spans == [(0, WEEK)]:
        return True, "always open"
    minute = now.weekday() * DAY + now.hour * 60 + now.minute
    for start, end in spans:
        for at in (minute, minute + WEEK):
            if start <= at < end:
                day = "" if end - at < DAY else f"{_DAYS[end // DAY % 7]} "
                return True, f"open until {day}{_clock(end)}"
    ahead = min((start - minute) % WEEK for start, _end in spans)
    opens = (minute + ahead) % WEEK
    day = "" if ahead < DAY else f" on {_DAYS[opens // DAY]}"
    return False, f"opens{day} at {_clock(opens)}"


_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _merged(windows: Iterable[Window]) -> list[tuple[int, int]]:
    """Return the windows as minutes of the week [start, end), joined where they touch. The last one
    may go on into the next week."""
    spans = sorted(_span(day, window) for window in windows for day in window.days)
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    # What goes on into the next week may meet, or cover, its first windows.
    while len(joined) > 1 and joined[-1][1] >= WEEK + joined[0][0]:
        first = joined.pop(0)
        joined[-1] = (joined[-1][0], max(joined[-1][1], first[1] + WEEK))
    if len(joined) == 1 and joined[0][1] - joined[0][0] >= WEEK:
        return [(0, WEEK)]
    return joined


def _span(day: int, window: Window) -> tuple[int, int]:
    length = window.end_minute - window.start_minute
    start = day * DAY + window.start_minute
    return start, start + (length if length > 0 else length + DAY)


def _clock(minute: int) -> str:
    minute %= DAY
    return f"{minute // 60:02}:{minute % 60:02}"
