"""Finds cuts: PySceneDetect's AdaptiveDetector, fed by hand from the shared decode pass.

The detector looks at the frame before and the two after, so its answer does not depend on where a
pass began. The least length of a shot is kept here, in milliseconds, for the same reason: variable
frame rates have no length in frames, and a resumed pass must find the very same cuts.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scenedetect.detectors import AdaptiveDetector

from scanners import models
from scanners.base import Finding, MediaInfo, Scan, Scene, Shot
from scanners.scenes import CUT_LAG

CUTS = "adaptive-cuts"  # this method's row in the model table; it has no files
MIN_SHOT_MS = 500  # nothing shorter is a shot: flashes, strobes, single-frame inserts
SIGNATURE_EVERY_MS = 250  # how often a shot's colours are looked at
SIGNATURE_GRID = (4, 3)  # cells across and down; each gives three numbers

Image = NDArray[np.uint8]
Colours = NDArray[np.float32]


class Detector(AdaptiveDetector):  # type: ignore[misc]  # the library has no types
    """The library's detector with the same scores at half the price.

    The library splits the planes, copies them to 32 bits and averages three sums of differences;
    OpenCV's L1 norm of the whole picture is the same sum. A test holds both beside each other.
    """

    _before: Image | None = None

    def _calculate_frame_score(self, timecode: Any, frame_img: Image) -> float:
        hsv = np.asarray(cv2.cvtColor(frame_img, cv2.COLOR_BGR2HSV), np.uint8)
        before, self._before = self._before, hsv
        return 0.0 if before is None else cv2.norm(hsv, before, cv2.NORM_L1) / hsv.size


class Seen(NamedTuple):
    """A frame that may still turn out to be a cut."""

    ms: int
    colours: Colours | None


class Shots:
    """The stage of the picture pass. Gives each shot as soon as it has ended.

    `signature` holds the colours of the shot given last: the mean colour of each cell of a coarse
    grid over the shot, numbers from 0 to 1.
    """

    name: ClassVar[str] = "shots"
    sample_side: ClassVar[int] = 0

    def __init__(self, scan: Scan, media: MediaInfo) -> None:
        self.signature: tuple[float, ...] = ()
        self.model = models.identity(CUTS)
        self._begin = scan.resume_ms
        self._detector = Detector(min_scene_len=0, window_width=CUT_LAG)
        self._start = self._begin
        # The film's own start counts as a cut; a resumed pass learns at its beginning if it is one.
        self._last_cut: int | None = 0 if self._begin == 0 else None
        self._slot = -1
        self._recent: deque[Seen] = deque()
        self._colours = _Mean()

    def frame(self, frame: Any) -> Iterator[Finding]:
        # The detector only keeps and subtracts its time codes: whole milliseconds do, and cost a
        # tenth of its own kind. The cut is the frame CUT_LAG ago, so its time is exact.
        found = self._detector.process_frame(frame.ms, frame.bgr)
        self._recent.append(Seen(frame.ms, self._look(frame)))
        if len(self._recent) <= CUT_LAG:
            return
        settled = self._recent.popleft()
        if found and self._is_cut(settled.ms):
            yield from self._close(settled.ms)
        if settled.ms >= self._start:
            self._colours.add(settled.colours)

    def sample(self, sample: Any) -> Iterable[Finding]:
        return ()

    def shot(self, shot: Shot, signature: tuple[float, ...]) -> Iterable[Finding]:
        return ()

    def scene(self, scene: Scene) -> Iterable[Finding]:
        return ()

    def finish(self, end_ms: int) -> Iterator[Finding]:
        for seen in self._recent:
            self._colours.add(seen.colours)
        yield from self._close(end_ms)

    def _is_cut(self, ms: int) -> bool:
        """Say whether a change at ms ends a shot that is long enough."""
        if ms < self._begin:
            return False
        if self._last_cut is not None and ms - self._last_cut < MIN_SHOT_MS:
            return False
        self._last_cut = ms
        return True

    def _close(self, ms: int) -> Iterator[Shot]:
        if ms > self._start:
            self.signature = self._colours.take()
            yield Shot(self._start, ms)
            self._start = ms

    def _look(self, frame: Any) -> Colours | None:
        """Return the colours of the first frame of each SIGNATURE_EVERY_MS, else None."""
        slot = frame.ms // SIGNATURE_EVERY_MS
        if slot == self._slot:
            return None
        self._slot = slot
        grid = cv2.resize(frame.bgr, SIGNATURE_GRID, interpolation=cv2.INTER_AREA)
        return np.asarray(grid, np.float32).reshape(-1) / np.float32(255)


class _Mean:
    """A running mean of colours."""

    def __init__(self) -> None:
        self._sum: Colours | None = None
        self._count = 0

    def add(self, colours: Colours | None) -> None:
        if colours is not None:
            self._sum = colours if self._sum is None else self._sum + colours
            self._count += 1

    def take(self) -> tuple[float, ...]:
        """Return the mean, empty if nothing was added, and start anew."""
        mean = () if self._sum is None else tuple(float(one) for one in self._sum / self._count)
        self._sum, self._count = None, 0
        return mean
