"""How far indexing has come: the job at hand, measured speeds, and an honest estimate."""

import asyncio
import time
from dataclasses import dataclass, field

import apsw

from companion.findings import Pass
from companion.model import (
    Coverage,
    Failure,
    File,
    IndexingStatus,
    Job,
    Running,
    Viewer,
)
from companion.store import library, planning
from companion.store.db import Store

FAILURES_SHOWN = 200
SPEED_MEMORY = 0.3  # weight of the newest speed in the running average
COMING = "Bringing models"  # how the note begins that says so
SPEED_AFTER_S = 1.0  # a speed measured over less means nothing


@dataclass(slots=True)
class AtHand:
    """The job at hand. Times are film time in ms."""

    job: Job
    file: File
    stage: str = ""
    done_ms: int = 0
    total_ms: int = 0
    from_ms: int = 0  # where a resumed pass began
    began: float = field(default_factory=time.monotonic)

    @property
    def took_s(self) -> float:
        return time.monotonic() - self.began

    @property
    def speed(self) -> float:
        """Film seconds per second since it began; 0 until that means something."""
        came = max(0, self.done_ms - self.from_ms) / 1000
        return came / self.took_s if self.took_s > SPEED_AFTER_S else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why what waits does not run now. lacking: pass -> the model that it waits for."""

    paused: bool
    closed: str  # when the window opens, in words; empty while it is open
    lacking: dict[Pass, str]
    notes: tuple[str, ...]
    syncing: bool


class ProgressBoard:
    """What is told to whoever looks: kept by the indexing flow, read by pages."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._news = asyncio.Event()
        self._speeds: dict[Pass, float] = {}
        self.now: AtHand | None = None

    def tell(self) -> None:
        """Wake everyone who waits for news."""
        self._news.set()
        self._news = asyncio.Event()

    async def changed(self) -> None:
        await self._news.wait()

    def begin(self, job: Job, file: File) -> None:
        self.now = AtHand(job, file, total_ms=file.duration_ms)
        self.tell()

    def end(self) -> None:
        self.now = None
        self.tell()

    def began_at(self, from_ms: int) -> None:
        """Let the speed count from where a resumed pass began."""
        if self.now is not None:
            self.now.from_ms, self.now.began = from_ms, time.monotonic()

    def progress(self, stage: str, done_ms: int, total_ms: int) -> None:
        if self.now is not None:
            self.now.stage, self.now.done_ms = stage, done_ms
            self.now.total_ms = total_ms or self.now.total_ms
            self.tell()

    def learn_speed(self, runs: Pass, film_ms: int) -> None:
        """Remember how fast a finished pass was, as film seconds per second."""
        if self.now is None or not film_ms:
            return
        speed = film_ms / 1000 / max(self.now.took_s, 1e-3)
        old = self._speeds.get(runs, speed)
        self._speeds[runs] = old + SPEED_MEMORY * (speed - old)

    async def status(self, viewer: Viewer, why: Why) -> IndexingStatus:
        coverage, waiting, failures = await self._store.read(_status)
        counts = {runs: count for runs, (count, _ms) in waiting.items()}
        if not viewer.owner:
            return IndexingStatus(
                coverage=coverage,
                running=(),
                waiting=counts,
                holds=(),
                failures=(),
                remaining_s=None,
            )
        left = {runs: ms for runs, (_count, ms) in waiting.items() if runs not in why.lacking}
        return IndexingStatus(
            coverage=coverage,
            running=await self._running(),
            waiting=counts,
            holds=_holds(why, counts),
            failures=failures,
            remaining_s=self.remaining_s(left),
            paused=why.paused,
            notes=why.notes,
            syncing=why.syncing,
        )

    def remaining_s(self, film_ms: dict[Pass, int]) -> int | None:
        """Estimate how long the film time that waits will take, from the speeds of this run.

        None while nothing waits, or while a waiting pass has no speed yet.
        """
        left = {runs: ms for runs, ms in film_ms.items() if ms}
        if not left or any(runs not in self._speeds for runs in left):
            return None
        seconds = sum(ms / 1000 / self._speeds[runs] for runs, ms in left.items())
        if self.now is not None and self.now.job.runs in self._speeds:
            seconds -= self.now.done_ms / 1000 / self._speeds[self.now.job.runs]
        return max(0, round(seconds))

    async def _running(self) -> tuple[Running, ...]:
        now = self.now
        if now is None:
            return ()
        items = await self._store.read(library.items_of_file, now.file.id)
        return (
            Running(
                file=now.file,
                item=items[0] if items else None,
                runs=now.job.runs,
                stage=now.stage,
                done_ms=now.done_ms,
                total_ms=now.total_ms,
                speed=now.speed,
            ),
        )


def _holds(why: Why, waiting: dict[Pass, int]) -> tuple[str, ...]:
    holds = []
    if why.paused:
        holds.append("Paused. Nothing is scanned until you resume.")
    if why.closed and any(waiting.values()):
        holds.append(f"Outside the scan window: {why.closed}.")
    lacking = sorted({model for runs, model in why.lacking.items() if waiting.get(runs)})
    coming = any(note.startswith(COMING) for note in why.notes)
    hint = "it is on its way" if coming else "run `heimdex models get`"
    holds += [f"The model {model} is missing: {hint}." for model in lacking]
    return tuple(holds)


def _status(
    connection: apsw.Connection,
) -> tuple[Coverage, dict[Pass, tuple[int, int]], tuple[Failure, ...]]:
    return (
        planning.coverage(connection),
        planning.waiting(connection),
        tuple(planning.failures(connection, limit=FAILURES_SHOWN)),
    )
