"""What a scene shows: vectors and tags of one to three of its frames.

The samples of the open scene wait until it has closed. Then the sharpest of each part of the scene
is kept, near-duplicates are dropped, and the rest waits for a batch across scenes.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from scanners import engines
from scanners.base import Finding, MediaInfo, Options, PictureVector, Scan, Scene, Shot, Tags
from scanners.frames import Image
from scanners.looking import Look, Looker, half

ROLE = "picture"
SAMPLE_SIDE = 640  # px; the short side of a wide film is then still near that of a model's input
PARTS_FROM_MS = (0, 4_000, 8_000)  # a scene this long gives one, two, three frames
EDGE = 0.2  # of a scene's length; frames from its first and last fifth are often fades or blur
EDGE_WORTH = 0.5  # how much the sharpness of such a frame counts
LUMA_SIZE = (32, 18)  # px, of the picture by which duplicates are told before the model runs
SAME_LUMA = 1.0  # of 255, mean difference: nothing has moved; a rabbit far off makes 1.9
SAME_LOOK = 0.95  # cosine of two frames of a scene that show the same
FLAT = 4.0  # of 255, deviation of the small luma: black, white or grey, nothing to see
MAX_WAITING = 60  # samples of a shot that does not end, thinned out above this; 0.4 to 1 MB each
MAX_PENDING = 48  # frames that wait for the model


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sample that may stand for its scene. picture: as the model wants it; luma: (18, 32)."""

    ms: int
    sharpness: float
    luma: NDArray[np.float32]
    picture: Image


_kept: dict[str, tuple[Options, Looker]] = {}
_used_at: dict[str, float] = {}  # by the monotonic clock


def looker(options: Options) -> Looker:
    """Return the model of pictures, loaded once in this process for the same options.

    Raises StageError if its files, or the packages it needs, are missing.
    """
    if ROLE not in _kept or _kept[ROLE][0] != options:
        _kept.clear()  # let its model go before the next one is loaded
        _kept[ROLE] = options, engines.load(ROLE, options)
    _used_at[ROLE] = time.monotonic()
    return _kept[ROLE][1]


def let_go(idle_s: float) -> None:
    """Drop the model if it has not been used for idle_s seconds; the next use loads it again."""
    if time.monotonic() - _used_at.get(ROLE, -inf) >= idle_s:
        _kept.clear()


def parts(scene: Scene) -> int:
    """Return how many frames a scene may give."""
    length = scene.end_ms - scene.start_ms
    return sum(length >= least for least in PARTS_FROM_MS)


def pick(candidates: Sequence[Candidate], scene: Scene) -> list[Candidate]:
    """Return the sharpest candidate of each part of a scene, in order, without duplicates.

    Frames of one even colour are left out. All candidates lie in the scene.
    """
    length, count = scene.end_ms - scene.start_ms, parts(scene)
    chosen: list[Candidate] = []
    for part in range(count):
        first = scene.start_ms + length * part // count
        last = scene.start_ms + length * (part + 1) // count
        among = [one for one in candidates if first <= one.ms < last and one.luma.std() >= FLAT]
        if among:
            chosen.append(max(among, key=lambda one: worth(one, scene)))
    return _distinct(chosen, scene)


def worth(one: Candidate, scene: Scene) -> float:
    """Return a candidate's sharpness, less near the ends of the scene."""
    edge = (scene.end_ms - scene.start_ms) * EDGE
    inside = scene.start_ms + edge <= one.ms < scene.end_ms - edge
    return one.sharpness * (1.0 if inside else EDGE_WORTH)


def _distinct(chosen: Sequence[Candidate], scene: Scene) -> list[Candidate]:
    """Keep the better of any two between which nothing has moved."""
    kept: list[Candidate] = []
    for one in sorted(chosen, key=lambda one: -worth(one, scene)):
        if all(float(np.abs(one.luma - other.luma).mean()) >= SAME_LUMA for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: one.ms)


def distinct_looks(looks: Sequence[Look]) -> list[int]:
    """Return the numbers of the looks of a scene that show something new; the first always does."""
    kept: list[int] = []
    for number, look in enumerate(looks):
        if all(_alike(look, looks[other]) < SAME_LOOK for other in kept):
            kept.append(number)
    return kept


def _alike(one: Look, other: Look) -> float:
    """Return the cosine of two looks in the first space that the model gives."""
    space = next(iter(one.vectors))
    return float(one.vectors[space] @ other.vectors[space])


def findings(ms: int, look: Look) -> Iterator[Finding]:
    """Give what is kept of a look at the frame of a time."""
    for space, vector in look.vectors.items():
        yield PictureVector(at_ms=ms, space=space, vector=half(vector))
    if look.tags:
        yield Tags(at_ms=ms, tags=look.tags)


class Picture:
    """The stage of the picture pass."""

    name: ClassVar[str] = "picture"
    wants_frames: ClassVar[bool] = False
    sample_side: ClassVar[int] = SAMPLE_SIDE

    def __init__(self, scan: Scan, media: MediaInfo) -> None:
        self._looker = looker(scan.options)
        self.model = self._looker.model
        self._open: list[Candidate] = []
        self._pending: list[list[Candidate]] = []  # of each closed scene

    def frame(self, frame: Any) -> Iterable[Finding]:
        return ()

    def sample(self, sample: Any) -> Iterable[Finding]:
        grey = cv2.cvtColor(sample.rgb, cv2.COLOR_RGB2GRAY)
        luma = cv2.resize(grey, LUMA_SIZE, interpolation=cv2.INTER_AREA)
        if len(self._open) >= MAX_WAITING:
            del self._open[::2]
        self._open.append(
            Candidate(
                sample.ms,
                sample.sharpness,
                np.asarray(luma, np.float32),
                self._looker.prepare(sample.rgb),
            )
        )
        return ()

    def shot(self, shot: Shot, signature: tuple[float, ...]) -> Iterable[Finding]:
        return ()

    def scene(self, scene: Scene) -> Iterable[Finding]:
        inside = [one for one in self._open if scene.start_ms <= one.ms < scene.end_ms]
        self._open = [one for one in self._open if one.ms >= scene.end_ms]
        chosen = pick(inside, scene)
        if chosen:
            self._pending.append(chosen)
        waiting = sum(len(one) for one in self._pending)
        return self.flush() if waiting >= min(self._looker.batch, MAX_PENDING) else ()

    def finish(self, end_ms: int) -> Iterable[Finding]:
        self._open.clear()
        return self.flush()

    def flush(self) -> Iterator[Finding]:
        """Give what is held back for a batch: afterwards the pass may be resumed here."""
        scenes, self._pending = self._pending, []
        if not scenes:
            return
        looks = self._looker.look([one.picture for chosen in scenes for one in chosen])
        _used_at[ROLE] = time.monotonic()
        start = 0
        for chosen in scenes:
            mine = looks[start : start + len(chosen)]
            start += len(chosen)
            for number in distinct_looks(mine):
                yield from findings(chosen[number].ms, mine[number])


class PictureWords:
    """Turns texts into vectors of the space that they share with pictures (base.TextEncoder)."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.model = looker(options).words_model

    def encode(self, texts: Sequence[str]) -> Sequence[bytes]:
        return [half(vector) for vector in looker(self._options).encode_texts(texts)]


def look_at(rgb: Image, options: Options) -> tuple[Look, Looker]:
    """Return what a single picture shows, for a search by picture, and the model that looked.

    rgb: (height, width, 3). Raises StageError if the model is missing.
    """
    model = looker(options)
    return model.look([model.prepare(rgb)])[0], model
