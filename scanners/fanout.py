"""Runs the picture pass: one reader, every picture stage, their findings in messages.

A thread decodes a bounded way ahead; the stages run in this one, one after the other, so that what
they find depends on nothing but the film. Shots and scenes always run, because they feed the other
stages; what was not asked for is not reported.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from companion.timecode import clock
from scanners.ahead import Ahead
from scanners.base import (
    STAGES,
    Finding,
    Found,
    MediaInfo,
    PictureStage,
    Progress,
    Reply,
    Scan,
    Scene,
    Shot,
    StageDone,
    StageError,
    StageInfo,
)
from scanners.decode import Reader
from scanners.frames import Sample
from scanners.refusals import failed, unexpected

REPORT_EVERY_MS = 30_000  # of film: what a killed pass loses, besides the scenes still open
PROGRESS_EVERY_S = 0.5
TOLERANCE_MS = 2_000  # between the length that the header says and the one found


class Watch:
    """Tells the processor time of this thread since it was last asked.

    A reading costs 11 us where the kernel must be asked, and stages are called a hundred times a
    second: so one reading ends one call and begins the next.
    """

    def __init__(self) -> None:
        self._last = time.thread_time()

    def lap_s(self) -> float:
        before, self._last = self._last, time.thread_time()
        return self._last - before


class Track:
    """A stage in the pass: its findings that wait to be sent, its time, and how it failed."""

    def __init__(self, name: str, stage: PictureStage, watch: "Watch") -> None:
        self.name = name
        self.stage = stage
        self.wants_frames = getattr(stage, "wants_frames", True)
        self._watch = watch
        self.waiting: list[Finding] = []
        self.failure: StageError | None = None
        self.cpu_s = 0.0

    def call(self, method: str, *arguments: Any) -> list[Finding]:
        """Run a method of the stage to its end; what it raises is kept as its failure."""
        if self.failure is not None:
            return []
        try:
            return list(getattr(self.stage, method)(*arguments))
        except Exception as error:  # noqa: BLE001  # the top of a stage
            self.failure = unexpected(error)
        finally:
            self.cpu_s += self._watch.lap_s()
        return []

    def take(self, until_ms: int) -> tuple[Finding, ...]:
        """Return what ends by until_ms and keep the rest waiting."""
        ready = tuple(one for one in self.waiting if getattr(one, "end_ms", 0) <= until_ms)
        self.waiting = [one for one in self.waiting if getattr(one, "end_ms", 0) > until_ms]
        return ready


class PicturePass:
    """One picture pass over one film.

    stages: name -> stage made for this scan, in the order of the table; `shots` and `scenes` are
    among them.
    """

    def __init__(
        self,
        scan: Scan,
        media: MediaInfo,
        stages: Mapping[str, PictureStage],
        send: Callable[[Reply], None],
        table: Mapping[str, StageInfo] = STAGES,
    ) -> None:
        self._scan = scan
        self._media = media
        watch = Watch()
        self._tracks = {name: Track(name, stage, watch) for name, stage in stages.items()}
        # the scenes last: the last message of a piece of film says that a pass may be resumed there
        names = sorted(scan.stages, key=lambda name: name == "scenes")
        self._wanted = [self._tracks[name] for name in names]
        self._table = table
        self._send = send
        self._reported_ms = self._done_ms = scan.resume_ms
        self._next_progress = 0.0

    def run(self) -> None:
        """Feed every stage, report what they find, end each with StageDone or StageFailed."""
        begun = time.process_time()
        reader = Reader(
            self._scan.path,
            begin_ms=self._scan.resume_ms,
            threads=self._scan.options.threads,
            sample_side=max(track.stage.sample_side for track in self._tracks.values()),
            warm_up_ms=max(
                getattr(track.stage, "warm_up_ms", 0) for track in self._tracks.values()
            ),
        )
        try:
            with Ahead(reader) as items:
                for item in items:
                    self._feed(item)
            self._finish(self._end_ms(reader))
        except Exception as error:  # noqa: BLE001  # the top of the pass
            failure = unexpected(error)
            for track in self._wanted:
                track.failure = track.failure or failure
        self._settle(self._note(reader), time.process_time() - begun)

    # --- feeding ----------------------------------------------------------------------------------

    def _feed(self, item: Any) -> None:
        closed = 0
        method = "sample" if isinstance(item, Sample) else "frame"
        for track in self._tracks.values():
            if track.wants_frames or method == "sample":
                found = track.call(method, item)
                closed = max(closed, self._keep(track, found))
        if closed - self._reported_ms >= REPORT_EVERY_MS:
            self._report(closed)
        now = time.monotonic()
        if now < self._next_progress:
            return
        self._next_progress = now + PROGRESS_EVERY_S
        if all(self._failure(track) for track in self._wanted):
            raise StageError("no stage could go on")
        self._progress(item.ms)

    def _keep(self, track: Track, findings: Iterable[Finding]) -> int:
        """Keep what a stage gave, and tell every stage of shots and scenes that have closed.

        Return the end of the last scene among them, 0 if there is none. Only there may a pass be
        resumed: the scenes that come together from one call belong together.
        """
        closed = 0
        for finding in findings:
            if track in self._wanted:
                track.waiting.append(finding)
            if isinstance(finding, Shot):
                signature = getattr(track.stage, "signature", ())
                closed = max(closed, self._tell("shot", finding, signature))
            elif isinstance(finding, Scene):
                self._tell("scene", finding)
                closed = finding.end_ms
        return closed

    def _tell(self, method: str, *arguments: Any) -> int:
        return max(
            self._keep(track, track.call(method, *arguments)) for track in self._tracks.values()
        )

    def _finish(self, end_ms: int) -> None:
        for track in self._tracks.values():
            self._keep(track, track.call("finish", end_ms))
        self._report(end_ms)
        self._progress(end_ms)

    # --- reporting --------------------------------------------------------------------------------

    def _report(self, until_ms: int) -> None:
        for track in self._wanted:
            if hasattr(track.stage, "flush"):
                self._keep(track, track.call("flush"))
            findings = track.take(until_ms)
            if self._failure(track) is None:
                self._send(
                    Found(id=self._scan.id, stage=track.name, until_ms=until_ms, findings=findings)
                )
        self._reported_ms = until_ms

    def _progress(self, done_ms: int) -> None:
        total = self._media.duration_ms
        self._done_ms = max(self._done_ms, min(done_ms, total))
        stage = self._scan.stages[0]
        self._send(Progress(id=self._scan.id, stage=stage, done_ms=self._done_ms, total_ms=total))

    def _end_ms(self, reader: Reader) -> int:
        """Return where the film ends: as its header says, unless the file shows otherwise."""
        said, found = self._media.duration_ms, reader.end_ms
        return said if abs(said - found) <= TOLERANCE_MS else found

    def _note(self, reader: Reader) -> str:
        said, found = self._media.duration_ms, reader.end_ms
        notes = []
        if found < said - TOLERANCE_MS:
            notes.append(f"the file ends early, at {clock(found)} of {clock(said)}")
        if reader.unreadable:
            notes.append(f"damaged in {reader.unreadable} places")
        if reader.missing_ms:
            notes.append(f"{clock(reader.missing_ms)} of it cannot be read")
        return "; ".join(notes)

    def _settle(self, note: str, cpu_s: float) -> None:
        """End every stage that was asked for. The decoding counts for the first of them."""
        shared = max(0.0, cpu_s - sum(track.cpu_s for track in self._tracks.values()))
        for track in self._wanted:
            failure = self._failure(track)
            if failure is not None:
                self._send(failed(self._scan.id, track.name, failure))
                continue
            notes = [getattr(track.stage, "note", ""), note]
            self._send(
                StageDone(
                    id=self._scan.id,
                    stage=track.name,
                    model=getattr(track.stage, "model", ""),
                    cpu_ms=round((track.cpu_s + shared) * 1000),
                    note="; ".join(one for one in notes if one),
                )
            )
            shared = 0.0

    def _failure(self, track: Track) -> StageError | None:
        """Return why a stage cannot come through: its own failure or that of one it needs."""
        if track.failure is not None:
            return track.failure
        for name in self._needs(track.name):
            failure = self._failure(self._tracks[name])
            if failure is not None:
                reason = f"{name} failed: {failure.reason}"
                return StageError(reason, permanent=failure.permanent)
        return None

    def _needs(self, name: str) -> Iterator[str]:
        return (need for need in self._table[name].needs if need in self._tracks)
