"""Finds cuts and dissolves: TransNetV2 beside the cut detector, on the same shared pass.

The cut detector looks at neighbouring frames and so never sees a dissolve. TransNetV2 looks at a
hundred frames at a time, for about a CPU second for each second of film. Where both find the same
change, the cut detector knows its frame better.
"""

import os
from collections import deque
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from companion.errors import ModelMissing
from scanners import models, runtime
from scanners.base import Finding, MediaInfo, Options, Scan, StageError
from scanners.frames import Image, SmallFrame
from scanners.scenes import CUT_LAG, DISSOLVES, frame_step
from scanners.shots import MIN_SHOT_MS, Seen, Shots

ROLE = "shots"
SIZE = (48, 27)  # px, across and down: what the model looks at
WINDOW, STEP, MARGIN = 100, 50, 25  # frames; of each window the STEP from MARGIN on count
THRESHOLD = 0.2  # probability; its authors' 0.5 misses cuts that are there
FIRST_FRAMES = 3  # of a film; the model always sees something there
LONGEST_RUN = 50  # frames; a longer "dissolve" is a flickering light
DEFAULT_FPS = 25.0
# What a resumed pass must see before its beginning to find what a whole one does: a change
# that is under way there, and the frames that the model looks at before it
WARM_UP_FRAMES = LONGEST_RUN + WINDOW - MARGIN
MAX_NEAR_MS = 10_000  # how long past changes are remembered; no transition is longer


class Transition(NamedTuple):
    """A change from one shot to the next. cut_ms: the first frame that is rather the next one."""

    first_ms: int
    cut_ms: int
    last_ms: int


class _Run:
    """Frames in a row that are likely to be a transition."""

    def __init__(self, number: int, ms: int, chance: float) -> None:
        self.start, self.first_ms, self.last_ms = number, ms, ms
        self.cut_ms = self._peak_ms = ms
        self._see_peak(number, ms, chance)

    def add(self, number: int, ms: int, chance: float) -> None:
        self.after(ms)
        self.last_ms = ms
        if chance > self.peak:
            self._see_peak(number, ms, chance)

    def after(self, ms: int) -> None:
        """Learn when the next frame is: the cut lies after the peak."""
        if self.cut_ms == self._peak_ms:
            self.cut_ms = ms

    def _see_peak(self, number: int, ms: int, chance: float) -> None:
        self.peak, self.peak_number = chance, number
        self.cut_ms = self._peak_ms = ms


class Dissolves:
    """Runs the model over the frames of a film, in windows that lie at the same times of the film
    wherever a pass begins, whatever its frame rate. Memory: some 150 frames of 4 KB.

    A slot is a frame of a film that runs steadily; where frames come later than that, the one
    before is looked at again, and where they come earlier, the first of a slot counts.
    settled_ms: every transition that starts before it has been given.
    """

    def __init__(self, session: runtime.Session, fps: float) -> None:
        self.settled_ms = 0
        self._session = session
        self._fps = fps or DEFAULT_FPS
        self._step = frame_step(self._fps)
        self._frames: deque[Image] = deque()
        self._times: deque[int] = deque()
        self._base = 0  # the number of the first frame that is kept
        self._next = 0  # the number of the first frame whose chance is not known
        self._seen = -1
        self._run: _Run | None = None

    def feed(self, frame: SmallFrame) -> Iterator[Transition]:
        """Take the next frame of the film; give the transitions that are now certain."""
        slot = round(frame.ms * self._fps / 1000) // self._step
        if not self._frames:
            self._base = self._next = slot
        elif slot < self._end:
            return
        small = cv2.resize(frame.bgr, SIZE, interpolation=cv2.INTER_AREA)
        rgb = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)
        if slot > self._end + 2 * WINDOW:  # a still: nothing dissolves in it
            yield from self._leap(slot)
        while self._end < slot:
            yield from self._append(self._frames[-1], self._times[-1])
        yield from self._append(rgb, frame.ms)

    def _append(self, rgb: Image, ms: int) -> Iterator[Transition]:
        self._frames.append(rgb)
        self._times.append(ms)
        if self._end - self._window_start() >= WINDOW:
            yield from self._look()

    def _leap(self, slot: int) -> Iterator[Transition]:
        """Go on before a slot far ahead, as if the last frame had been shown until then."""
        last = self._frames[-1], self._times[-1]
        for _ in range(WINDOW):
            yield from self._append(*last)
        if self._run is not None:
            yield from self._close(self._run)
        self._frames.clear()
        self._times.clear()
        self._base = self._next = slot - WINDOW
        yield from self._append(*last)

    def finish(self) -> Iterator[Transition]:
        """Give what is left; the film has ended."""
        while self._next < self._end:
            yield from self._look()
        if self._run is not None:
            yield from self._close(self._run)

    @property
    def warm_up_ms(self) -> int:
        return ceil(WARM_UP_FRAMES * self._step * 1000 / self._fps)

    @property
    def _end(self) -> int:
        return self._base + len(self._frames)

    def _window_start(self) -> int:
        return self._next // STEP * STEP - MARGIN

    def _look(self) -> Iterator[Transition]:
        """Run the next window; before and after the film its first and last frames are repeated."""
        start = self._window_start()
        wanted = np.clip(np.arange(start, start + WINDOW), self._base, self._end - 1) - self._base
        stacked = np.stack([self._frames[int(number)] for number in wanted])
        (logits,) = self._session.run({"frames": stacked[None]}, ["single"])
        chances = 1 / (1 + np.exp(-logits.reshape(WINDOW)))
        last = min(start + MARGIN + STEP, self._end)
        for number in range(self._next, last):
            ms = self._times[number - self._base]
            yield from self._take(number, ms, float(chances[number - start]))
        self._next = last
        while self._frames and self._base < self._window_start():
            self._frames.popleft()
            self._times.popleft()
            self._base += 1
        here = self._times[min(self._next - self._base, len(self._times) - 1)]
        self.settled_ms = here if self._run is None else self._run.first_ms

    def _take(self, number: int, ms: int, chance: float) -> Iterator[Transition]:
        run = self._run
        if chance > THRESHOLD:
            if run is None:
                self._run = _Run(number, ms, chance)
            else:
                run.add(number, ms, chance)
                if number - run.start >= LONGEST_RUN:
                    yield from self._close(run)
        elif run is not None:
            run.after(ms)
            yield from self._close(run)

    def _close(self, run: _Run) -> Iterator[Transition]:
        self._run = None
        if run.peak_number >= FIRST_FRAMES:
            yield Transition(run.first_ms, run.cut_ms, run.last_ms)


class DissolveShots(Shots):
    """The stage `shots` with TransNetV2 beside the cut detector.

    It gives a shot up to `scenes.cut_lag` frames after its end, and then perhaps several at once:
    `signature` is read once for each, in their order.
    """

    def __init__(self, scan: Scan, media: MediaInfo) -> None:
        self._signatures: deque[tuple[float, ...]] = deque()
        super().__init__(scan, media)
        self._signatures.clear()
        session, self.model = open_model(scan.options)
        self._dissolves = Dissolves(session, media.video.fps if media.video else 0.0)
        self._hard: deque[int] = deque()  # ms of what the cut detector found
        self._soft: deque[Transition] = deque()

    @property
    def warm_up_ms(self) -> int:
        """How much of the film before its beginning a resumed pass must see."""
        return self._dissolves.warm_up_ms + MIN_SHOT_MS

    @property
    def signature(self) -> tuple[float, ...]:
        return self._signatures.popleft() if self._signatures else ()

    @signature.setter
    def signature(self, colours: tuple[float, ...]) -> None:
        self._signatures.append(colours)

    def frame(self, frame: Any) -> Iterator[Finding]:
        found = self._detector.process_frame(frame.ms, frame.bgr)
        self._recent.append(Seen(frame.ms, self._look(frame)))
        if found and len(self._recent) > CUT_LAG:
            self._hard.append(self._recent[-1 - CUT_LAG].ms)
        self._soft.extend(self._dissolves.feed(frame))
        yield from self._settle(self._dissolves.settled_ms)

    def finish(self, end_ms: int) -> Iterator[Finding]:
        self._soft.extend(self._dissolves.finish())
        yield from self._settle(end_ms + 1)
        yield from super().finish(end_ms)

    def _settle(self, settled_ms: int) -> Iterator[Finding]:
        """Go through the frames for which both have had their say."""
        while self._recent and self._recent[0].ms < settled_ms:
            seen = self._recent.popleft()
            if self._changes(seen.ms) and self._is_cut(seen.ms):
                yield from self._close(seen.ms)
            if seen.ms >= self._start:
                self._colours.add(seen.colours)
        while self._hard and self._hard[0] < settled_ms - MAX_NEAR_MS:
            self._hard.popleft()
        while self._soft and self._soft[0].cut_ms < settled_ms - MAX_NEAR_MS:
            self._soft.popleft()

    def _changes(self, ms: int) -> bool:
        """Say whether another shot starts at ms: a cut, or a dissolve that is no cut already."""
        return ms in self._hard or any(
            one.cut_ms == ms and not any(near(one, cut) for cut in self._hard) for one in self._soft
        )


def near(transition: Transition, cut_ms: int) -> bool:
    """Say whether a cut and a transition are one change."""
    return transition.first_ms - MIN_SHOT_MS < cut_ms < transition.last_ms + MIN_SHOT_MS


def open_model(options: Options) -> tuple[runtime.Session, str]:
    """Return the model and its identity. Raises StageError if its file is missing or wrong."""
    name = options.roles[ROLE]
    try:
        folder = models.ensure(Path(os.fsdecode(options.models)), name)
        onnx = folder / models.model(name).files[0].path
        return runtime.session(onnx, threads=options.threads), models.identity(name)
    except ModelMissing as error:
        raise StageError(str(error), permanent=False) from error


def make_shots(scan: Scan, media: MediaInfo) -> Shots:
    """Return the stage `shots` as the model table says: with or without dissolves."""
    name = scan.options.roles.get(ROLE)
    if name and models.model(name).engine == DISSOLVES:
        return DissolveShots(scan, media)
    return Shots(scan, media)
