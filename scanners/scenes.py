"""Groups shots into scenes, the unit of results: 2 to 20 s of film that belong together.

Pure Python, without numpy or OpenCV, because the daemon uses `scenes_from_lines` before any picture
is read. The result depends on the shots alone, and what follows a closed scene depends on nothing
before it, so a pass that is resumed at the end of a kept scene goes on with exactly the same ones.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from scanners import models
from scanners.base import Finding, Line, MediaInfo, Scan, Scene, Shot, StageError

MIN_MS = 2_000  # a shorter scene says too little and cannot be told from its neighbours
MAX_MS = 20_000  # a longer one is no longer a moment
PATIENCE_MS = 120_000  # an open shot longer than this gives scenes before it ends ...
BLOCK_MS = 100_000  # ... this much of it, so that at least MAX_MS is left over
# Mean difference of two colour signatures, 0 to 1. Different shots of a trailer were never nearer
# than 0.10 (15 pairs); the same place again stays below 0.02 in test films.
ALIKE = 0.06
REACH = 3  # shots; a scene goes on if the film comes back to it within so many (dialogue: A B A B)
PAUSE_MS = 1_500  # between lines; a longer silence starts another provisional scene
CUT_LAG = 2  # frames; a cut is known that many frames later
DISSOLVES = "transnetv2"  # the engine of shots that finds dissolves ...
DISSOLVE_LAG = 128  # frames at MOST_FPS or less; ... and when it knows of a cut for certain
MOST_FPS = 30  # frames a second that are enough to see a dissolve
STILL_WIDTH = 480  # px
RAW_BYTES = 16 * 2**20  # of samples kept unpacked: 40 s of them, and most scenes close sooner
_EDGE = 0.2  # of a scene's length; stills from its first and last fifth are often fades or blur
_EDGE_WORTH = 0.5  # how much the sharpness of such a frame counts

Span = tuple[int, int]


def split_evenly(start_ms: int, end_ms: int) -> list[Span]:
    """Cut an interval into the fewest equal parts of at most MAX_MS, equal but for 1 ms."""
    length = end_ms - start_ms
    count = max(1, -(-length // MAX_MS))
    edges = [start_ms + length * number // count for number in range(count + 1)]
    return list(pairwise(edges))


def alike(one: Sequence[float], other: Sequence[float]) -> bool:
    """Say whether two shots look alike by their signatures (see Shots); an empty one never is."""
    if not one or len(one) != len(other):
        return False
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) <= ALIKE * len(one)


class SceneBuilder:
    """Turns shots, given in order without gaps, into spans of scenes once they are certain."""

    def __init__(self, begin_ms: int = 0) -> None:
        self._begin = begin_ms  # everything before it is closed
        self._shots: list[Shot] = []  # closed shots after _begin
        self._signatures: list[Sequence[float]] = []  # of each of them

    def add(self, shot: Shot, signature: Sequence[float] = ()) -> Iterator[Span]:
        """Take the next closed shot; give the scenes that are now certain."""
        yield from self.open_until(shot.end_ms)
        if shot.end_ms <= self._begin:
            return
        if shot.start_ms < self._begin:  # its beginning is already in scenes
            shot, signature = Shot(self._begin, shot.end_ms), ()
        self._shots.append(shot)
        self._signatures.append(signature)
        yield from self._close(shot.end_ms)

    def open_until(self, settled_ms: int) -> Iterator[Span]:
        """Learn that before settled_ms there are no cuts but those already given.

        When and how often this is called changes only how early scenes are given, not which.
        """
        yield from self._close(settled_ms)
        while settled_ms - self._begin > PATIENCE_MS and self._too_short(len(self._shots)):
            end = self._begin + BLOCK_MS
            yield from split_evenly(self._begin, end)
            self._drop(len(self._shots))
            self._begin = end

    def finish(self) -> Iterator[Span]:
        """Give what is left; the film has ended with the last shot."""
        groups: list[Span] = []
        while self._shots:
            groups.append(self._take(self._scene_of(self._shots[-1].end_ms, final=True)))
        if len(groups) > 1 and groups[-1][1] - groups[-1][0] < MIN_MS:
            tail = groups.pop()
            groups[-1] = (groups[-1][0], tail[1])
        for start, end in groups:
            yield from split_evenly(start, end)

    def _too_short(self, count: int) -> bool:
        """Say whether the first `count` shots cannot stand as a scene; none cannot."""
        return not count or self._shots[count - 1].end_ms - self._begin < MIN_MS

    def _close(self, settled_ms: int) -> Iterator[Span]:
        while self._shots:
            count = self._scene_of(settled_ms)
            # the last scene waits until the next is long enough to stand alone
            if not count or settled_ms - self._shots[count - 1].end_ms < MIN_MS:
                return
            yield from split_evenly(*self._take(count))

    def _take(self, count: int) -> Span:
        span = (self._begin, self._shots[count - 1].end_ms)
        self._drop(count)
        self._begin = span[1]
        return span

    def _drop(self, count: int) -> None:
        del self._shots[:count]
        del self._signatures[:count]

    def _scene_of(self, settled_ms: int, *, final: bool = False) -> int:
        """Return how many of the shots make the first scene; 0 if later shots may still join it."""
        count = 1
        for number, shot in enumerate(self._shots[1:], start=1):
            if self._too_short(count):
                count = number + 1
            elif shot.end_ms - self._begin > MAX_MS or number - count >= REACH:
                return count
            elif any(alike(self._signatures[number], one) for one in self._signatures[:count]):
                count = number + 1
        full = settled_ms - self._begin > MAX_MS or len(self._shots) - count >= REACH
        return count if final or (full and not self._too_short(count)) else 0


# --- provisional scenes --------------------------------------------------------------------------


def scenes_from_lines(lines: Iterable[Line], duration_ms: int) -> list[Scene]:
    """Return scenes around the words, for results before the picture has been read.

    They cover the lines and little else: lines that follow each other without a long pause share a
    scene of 2 to 20 s. Without lines there are none. duration_ms: of the film, 0 if not known.
    """
    limit = duration_ms if duration_ms > 0 else None
    spans: list[Span] = []
    for line in sorted(lines, key=lambda one: (one.start_ms, one.end_ms)):
        start, end = max(0, line.start_ms), max(0, line.start_ms, line.end_ms)
        if limit is not None:
            start, end = min(start, limit), min(end, limit)
        if spans and start - spans[-1][1] <= PAUSE_MS and end - spans[-1][0] <= MAX_MS:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((start, end))
    return [
        Scene(start, end, start)
        for whole in _widened(spans, limit)
        for start, end in split_evenly(*whole)
    ]


def _widened(spans: Sequence[Span], limit: int | None) -> list[Span]:
    """Return the spans without overlap and each at least MIN_MS long, where the film is."""
    wide: list[Span] = []
    waiting: int | None = None  # the start of a first span that was too short to stand
    for number, (start, end) in enumerate(spans):
        before = wide[-1][1] if wide else 0
        if wide and end <= before:
            continue  # all of it is in the scene before
        start = max(start, before) if waiting is None else waiting
        last = number + 1 == len(spans)
        room = limit if last else spans[number + 1][0]
        end = max(end, start + MIN_MS if room is None else min(start + MIN_MS, room))
        start = min(start, max(before, end - MIN_MS))
        waiting = None
        if end - start < MIN_MS:  # squeezed between its neighbours: it joins one of them
            if wide:
                start = wide.pop()[0]
            elif not last:
                waiting = start
                continue
        if end > start:
            wide.append((start, end))
    return wide


# --- how late a cut is known ----------------------------------------------------------------------


def frame_step(fps: float) -> int:
    """Return how many frames there are to one that is looked at for dissolves."""
    return max(1, round(fps / MOST_FPS))


def cut_lag(scan: Scan, media: MediaInfo) -> int:
    """Return how many frames after a cut the stage `shots` has certainly given it."""
    name = scan.options.roles.get("shots")
    if not name or models.model(name).engine != DISSOLVES:
        return CUT_LAG
    return DISSOLVE_LAG * frame_step(media.video.fps if media.video else 0)


# --- the stage -----------------------------------------------------------------------------------


class Scenes:
    """The stage of the picture pass: a scene for every span, with its best frame as a still.

    Keeps one small picture a second of what is not yet closed, the older ones as JPEG, so its
    memory does not grow with the film, and few JPEGs are made that nobody will see.
    """

    name: ClassVar[str] = "scenes"
    sample_side: ClassVar[int] = STILL_WIDTH

    def __init__(self, scan: Scan, media: MediaInfo) -> None:
        self._builder = SceneBuilder(scan.resume_ms)
        self._folder = Path(os.fsdecode(scan.stills)) if scan.stills else None
        self._lag = cut_lag(scan, media)
        self._times: deque[int] = deque(maxlen=self._lag)
        self._look_at = 0  # ms; scenes are looked for once a second
        self._samples: list[_Kept] = []

    def frame(self, frame: Any) -> Iterator[Finding]:
        if frame.ms >= self._look_at and len(self._times) == self._lag:
            self._look_at = frame.ms + 1000
            yield from self._scenes(self._builder.open_until(self._times[1]))
        self._times.append(frame.ms)

    def sample(self, sample: Any) -> Iterable[Finding]:
        self._samples.append(_Kept(sample))
        raw = max(1, RAW_BYTES // sample.rgb.nbytes)
        if len(self._samples) > raw:
            self._samples[-1 - raw].pack()
        return ()

    def shot(self, shot: Shot, signature: Sequence[float]) -> Iterator[Finding]:
        yield from self._scenes(self._builder.add(shot, signature))

    def scene(self, scene: Scene) -> Iterable[Finding]:
        return ()

    def finish(self, end_ms: int) -> Iterator[Finding]:
        yield from self._scenes(self._builder.finish())

    def _scenes(self, spans: Iterable[Span]) -> Iterator[Scene]:
        for start, end in spans:
            kept = _best(self._samples, start, end)
            still_ms = kept.ms if kept and start <= kept.ms else start
            if self._folder and kept:
                write_still(self._folder, still_ms, kept.pack())
            # the last sample before the end stays: it is what a scene without a frame still shows
            while len(self._samples) > 1 and self._samples[1].ms < end:
                del self._samples[0]
            yield Scene(start, end, still_ms)


class _Kept:
    """A sample that may become a still."""

    def __init__(self, sample: Any) -> None:
        self.ms: int = sample.ms
        self.sharpness: float = sample.sharpness
        self._sample = sample
        self._jpeg = b""

    def pack(self) -> bytes:
        """Return it as a JPEG; from now on it is kept as that."""
        if self._sample is not None:
            self._jpeg = self._sample.jpeg(STILL_WIDTH)
            self._sample = None
        return self._jpeg


def _best(samples: Sequence[_Kept], start_ms: int, end_ms: int) -> _Kept | None:
    """Return a scene's sharpest sample, rather from its middle; else the last one before it."""
    edge = (end_ms - start_ms) * _EDGE
    inside = [one for one in samples if start_ms <= one.ms < end_ms]
    if not inside:
        return next((one for one in reversed(samples) if one.ms < start_ms), None)

    def worth(one: _Kept) -> float:
        middle = start_ms + edge <= one.ms < end_ms - edge
        return one.sharpness * (1.0 if middle else _EDGE_WORTH)

    return max(inside, key=worth)


def write_still(folder: Path, still_ms: int, jpeg: bytes) -> None:
    """Write a JPEG so that it is there whole or not at all. Raises StageError if it cannot be."""
    part = folder / f".{still_ms}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_bytes(jpeg)
        part.replace(folder / f"{still_ms}.jpg")
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        reason = f"a still cannot be written to {folder}: {error.strerror}"
        raise StageError(reason, permanent=False) from error
