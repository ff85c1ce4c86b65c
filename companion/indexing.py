"""The flow that brings files up to date: plan what is missing, take a job, ask the child, keep it.

The words of every film come first (subtitles are read in seconds), then the speech and the picture
of one film after another. A job is only a request: what is missing is derived from the stage rows
(companion.stages), so a kill at any moment, or the loss of every job, loses nothing.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence

import apsw

from companion import commits, stages
from companion.child import KILLED
from companion.children import Children
from companion.config import Config
from companion.errors import MediaMissing, ScanFailed
from companion.findings import Pass
from companion.model import (
    OWNER,
    File,
    IndexingStatus,
    Job,
    Known,
    Source,
    StageResult,
    StageState,
    Viewer,
)
from companion.progress import ProgressBoard, Why
from companion.scanning import PassOver
from companion.sidecars import Sidecars
from companion.store import findings, jobs, library, planning
from companion.store.db import Store
from scanners import models
from scanners.base import STAGES

log = logging.getLogger(__name__)

ASKED = 100  # priority of what a person asked for: no window holds it back
LEASE_MS = 15 * 60_000
PLAN_BATCH = 200  # files looked at in one read
PASSES: tuple[Pass, ...] = ("words", "speech", "picture", "meaning")


class Indexer:
    """One per daemon. `run` works until cancelled; everything else may be called meanwhile."""

    def __init__(
        self,
        store: Store,
        config: Config,
        children: Children,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.config = config
        self.children = children
        self.sidecars = Sidecars(store, config, clock=clock)
        self.board = ProgressBoard(store)
        self.notes: Callable[[], tuple[str, ...]] = tuple  # what other flows have to say
        self.syncing: Callable[[], bool] = bool  # whether files are being looked for now
        self._clock = clock
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._open, self._why = True, ""
        self._paused = False
        self._lacking: dict[Pass, str] = {}  # pass -> the model that it waits for

    # --- what others may ask ----------------------------------------------------------------------

    def wake(self) -> None:
        """Look for work now: files have changed, or models have come."""
        self._idle.clear()
        self._wake.set()

    def pause(self) -> None:
        """Stop the running job (its work is kept as far as it came) and start no other."""
        self._paused = True
        self._interrupt()

    def resume(self) -> None:
        self._paused = False
        self.wake()
        self.board.tell()

    def set_window(self, open_now: bool, why: str) -> None:
        """Say whether scanning may run now; `why` tells people when it may, if not."""
        self._open, self._why = open_now, why
        if not open_now and self.board.now is not None and self.board.now.job.priority < ASKED:
            self._interrupt()
        self.wake()
        self.board.tell()

    async def changed(self) -> None:
        """Wait until the status may have changed."""
        await self.board.changed()

    async def idle(self) -> None:
        """Wait until there is nothing left that could be done now."""
        await self._idle.wait()

    async def scan_now(self, *, file_public_id: str | None = None) -> int:
        """Raise waiting jobs (of one file, or all) above every window; return how many."""
        await self.plan()
        count = await self.store.write(planning.raise_jobs, ASKED, file_public_id)
        self.resume()
        return count

    async def retry(self, file_public_id: str) -> None:
        """Try the failed stages of a file again, now."""
        await self.store.write(planning.try_again, file_public_id)
        await self.scan_now(file_public_id=file_public_id)

    async def status(self, viewer: Viewer = OWNER) -> IndexingStatus:
        """Return what the indexing page shows; to others than the owner only the coverage."""
        return await self.board.status(viewer, self._why_waiting())

    # --- planning ---------------------------------------------------------------------------------

    async def plan(self) -> None:
        """Turn all missing work into jobs."""
        await self._look_for_models()
        await self.sidecars.take_up()
        roles = self.children.roles()
        file_ids = await self.store.read(planning.live_file_ids)
        for some in batched(file_ids, PLAN_BATCH):
            for known in await self.store.read(planning.all_known, some):
                if stages.missing(known, self.config, roles):
                    await self._plan_file(known.file.id, priority=0)

    async def _plan_file(self, file_id: int, *, priority: int) -> None:
        await self._skip_speech(file_id)
        await self.store.write(
            _plan_file, file_id, self.config, self.children.roles(), priority, self._ms()
        )

    async def _look_for_models(self) -> None:
        """Find out which passes must wait because a model file is not there."""
        folder, roles = self.config.models_folder, self.children.roles()
        lacking: dict[Pass, str] = {}
        for stage in stages.enabled(self.config):
            for name in stages.needed_models(stage, roles):
                if not await asyncio.to_thread(models.present, folder, name):
                    lacking[STAGES[stage].runs_in] = name
        self._lacking = lacking

    # --- the loop ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled."""
        await self.store.write(jobs.release_all_running)
        # that a scanner was killed says little about the film: a new start tries again
        await self.store.write(findings.forget_failures, KILLED)
        while True:
            self._wake.clear()
            await self.plan()
            while (job := await self._next()) is not None:
                await self._do(job)
            if not self._wake.is_set():
                self._idle.set()
            self.board.tell()
            await self._wake.wait()

    async def _next(self) -> Job | None:
        if self._paused:
            return None
        if self._lacking:  # it may have come while others were at work
            await self._look_for_models()
        return await self.store.write(
            jobs.take,
            now_ms=self._ms(),
            lease_ms=LEASE_MS,
            min_priority=0 if self._open else ASKED,
            passes=tuple(runs for runs in PASSES if runs not in self._lacking),
        )

    async def _do(self, job: Job) -> None:
        """Work on a job in a task of its own, so that it can be stopped without stopping us."""
        self._work = asyncio.create_task(self._job(job), name=f"job {job.id}")
        try:
            await asyncio.wait([self._work])
        except asyncio.CancelledError:
            self._work.cancel()
            await asyncio.wait([self._work])
            await asyncio.shield(self.store.write(jobs.release, job.id))
            raise
        finally:
            work, self._work = self._work, None
            self.board.end()
        if work.cancelled():
            await self.store.write(jobs.release, job.id)
        else:
            work.result()

    def _interrupt(self) -> None:
        if self._work is not None:
            self._work.cancel()
        self.board.tell()

    async def _job(self, job: Job) -> None:
        known = await self.store.read(planning.known, job.file_id)
        if known is None:
            await self.store.write(jobs.finish, job.id)
            return
        self.board.begin(job, known.file)
        try:
            path = await asyncio.to_thread(_first_there, known.file)
            await self._bring_up_to_date(job.runs, known, path)
        except MediaMissing as error:
            log.info("file away file=%s: %s", known.file.public_id, error)
            await self.store.write(jobs.finish, job.id)
            return
        except ScanFailed as error:
            await self.keep_failure(known, error)
        except Exception:  # the job loop: one file's trouble must not end the daemon
            log.exception("job failed file=%s runs=%s", known.file.public_id, job.runs)
            await self.store.write(jobs.fail, job.id, "the program failed; its log says more")
            return
        await self.store.write(jobs.finish, job.id)
        await self._plan_file(job.file_id, priority=job.priority)

    async def _bring_up_to_date(self, runs: Pass, known: Known, path: bytes) -> None:
        """Run one pass over one file and keep every stage that comes out of it."""
        if known.file.media is None:
            media = await self.children.probe(path)
            await self.store.write(library.keep_media, known.file.id, media)
            again = await self.store.read(planning.known, known.file.id)
            known = known if again is None else again
        wanted = stages.missing(known, self.config, self.children.roles()).get(runs, ())
        if not wanted:
            return
        film_ms = await PassOver(host=self, known=known, path=path, runs=runs, wanted=wanted).run()
        self.board.learn_speed(runs, film_ms)
        await self._skip_speech(known.file.id)
        await self.sidecars.write(known.file.id)

    async def _skip_speech(self, file_id: int) -> None:
        """Settle speech if subtitles make it needless; no model is loaded for that."""
        known = await self.store.read(planning.known, file_id)
        roles = self.children.roles()
        if known is None or not stages.replaced(known, self.config):
            return
        if "speech" not in stages.missing(known, self.config, roles).get("speech", ()):
            return
        result = self.result("speech", known, note="subtitles are used instead")
        await self.store.write(
            commits.keep_words, Source.SPEECH, (), result, known.file.duration_ms
        )

    # --- what a pass asks of us -------------------------------------------------------------------

    def result(
        self, stage: str, known: Known, *, model: str = "", note: str = "", cpu_ms: int = 0
    ) -> StageResult:
        """Return the row that says a stage is done on its present inputs."""
        return StageResult(
            file_id=known.file.id,
            stage=stage,
            version=STAGES[stage].version,
            model=model or stages.model_of(stage, self.children.roles()),
            inputs=stages.inputs_of(stage, known, self.config, self.children.roles()),
            state=StageState.DONE,
            reason="",
            note=note,
            attempts=1,
            finished_at_ms=self._ms(),
            cpu_ms=cpu_ms,
        )

    async def keep_failure(self, known: Known, error: ScanFailed) -> None:
        """Remember why a stage of a file failed; after MAX_ATTEMPTS it is set aside."""
        log.warning("scan failed file=%s %s", known.file.public_id, error)
        await self.store.write(
            _keep_failure, known, error, self.config, self.children.roles(), self._ms()
        )

    def _why_waiting(self) -> Why:
        return Why(
            paused=self._paused,
            closed="" if self._open else self._why,
            lacking=self._lacking,
            notes=self.notes(),
            syncing=self.syncing(),
        )

    def _ms(self) -> int:
        return round(self._clock() * 1000)


def batched(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Cut ids into runs of at most `size`."""
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _first_there(file: File) -> bytes:
    """Return the first path of a file that can be read now. Raises MediaMissing. Blocks."""
    for path in file.paths:
        if os.access(path, os.R_OK):
            return path
    raise MediaMissing("it is not where it was; the next sync will look for it")


def _plan_file(
    connection: apsw.Connection,
    file_id: int,
    config: Config,
    roles: dict[str, str],
    priority: int,
    now_ms: int,
) -> None:
    known = planning.known(connection, file_id)
    if known is None or not known.file.paths:
        return
    missing: Sequence[Pass] = tuple(stages.missing(known, config, roles))
    film_ms = known.file.duration_ms
    planning.keep_jobs(
        connection,
        ((file_id, runs, film_ms) for runs in missing),
        priority=priority,
        now_ms=now_ms,
    )


def _keep_failure(
    connection: apsw.Connection,
    known: Known,
    error: ScanFailed,
    config: Config,
    roles: dict[str, str],
    now_ms: int,
) -> None:
    real = error.stage in STAGES
    stage = error.stage if real else stages.PROBE
    result = StageResult(
        file_id=known.file.id,
        stage=stage,
        version=STAGES[stage].version if real else 0,
        model=stages.model_of(stage, roles) if real else "",
        inputs=stages.inputs_of(stage, known, config, roles) if real else "",
        state=StageState.FAILED,
        reason=error.reason,
        note="",
        attempts=1,
        finished_at_ms=now_ms,
        cpu_ms=0,
        permanent=error.permanent,
    )
    findings.keep_failure(connection, result)
