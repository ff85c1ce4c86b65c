"""Decodes one audio track into windows of samples, on the film's clock.

Memory does not depend on the length of the film: a window is at most WINDOW_S long and is cut where
it is quietest, so that a word is rarely cut in two. The samples follow the time stamps: a hole is
filled with silence or starts a new window, what is told twice is dropped, and stamps that leap
beyond reason are not believed.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from scanners.base import StageError
from scanners.media import start_ms
from scanners.reading import packets, skip_other_streams

RATE = 16_000  # Hz, what speech models want
WINDOW_S = 180  # 12 MB of samples; the copies that a model makes take eight times as much
SEARCH_S = 45  # the cut is looked for in this much of a window's end
QUIET_S = 0.4  # how long a pause must be to be found by the search
SLACK_S = 0.1  # time stamps wander this much without a hole
FILL_S = 5.0  # a longer hole starts a new window
LEAP_S = 3_600.0  # a stamp that is farther off than this is broken

Samples = NDArray[np.float32]


class Window(NamedTuple):
    """A stretch of sound. samples: float32 (n,), mono, RATE Hz, within [-1, 1]."""

    start_ms: int
    samples: Samples

    @property
    def end_ms(self) -> int:
        return self.start_ms + len(self.samples) * 1000 // RATE


def windows(container: Any, index: int) -> Iterator[Window]:
    """Decode the stream with that index, from the film's beginning to its end.

    Raises StageError if nothing of it can be decoded or the disk fails.
    """
    skip_other_streams(container, {index})
    track = _Track(Fraction(start_ms(container), 1000))
    for packet in packets(container):
        if packet.stream_index != index:
            continue
        try:
            frames = packet.decode()
        except (av.FFmpegError, ValueError):
            continue
        for frame in frames:
            yield from track.feed(frame)
    yield from track.finish()
    if not track.heard:
        raise StageError("the sound could not be decoded: it is damaged or of an unknown kind")


class _Track:
    """Joins decoded frames into windows."""

    def __init__(self, start: Fraction) -> None:
        self.heard = False
        self._start = start  # of the container, in seconds
        self._first = 0  # position of the buffer's first sample, in samples from the film's start
        self._buffer: list[Samples] = []
        self._held = 0  # samples in the buffer
        self._drop = 0  # samples to drop because they were told before
        self._shift = 0  # added to positions since a stamp was not believed
        self._resampler: Any = None
        self._form: tuple[str, str, int] | None = None
        self._fed = Fraction(0)  # position that the next frame should have if nothing is missing

    def feed(self, frame: Any) -> Iterator[Window]:
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self._form:
            yield from self._drain()
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
            self._form = form
        if frame.pts is not None and frame.time_base:
            at = round((frame.pts * Fraction(frame.time_base) - self._start) * RATE) + self._shift
            yield from self._align(at)
        self._fed += Fraction(frame.samples * RATE, frame.sample_rate)
        frame.pts = None  # the resampler would fill holes in its own way
        yield from self._keep(self._resampler.resample(frame))

    def finish(self) -> Iterator[Window]:
        yield from self._drain()
        if self._held:
            yield self._cut(self._held)

    def _align(self, at: int) -> Iterator[Window]:
        """Bring the buffer's end to a position: fill, drop, begin anew, or not believe it."""
        off = at - round(self._fed)
        if abs(off) <= SLACK_S * RATE and self.heard:
            return
        if abs(off) > LEAP_S * RATE or (off < -FILL_S * RATE and self.heard):
            self._shift -= off
            return
        yield from self._drain()
        if off < 0:
            self._drop += -off
        elif not self.heard or off > FILL_S * RATE:
            if self._held:
                yield self._cut(self._held)
            self._first = at
        else:
            self._add(np.zeros(off, np.float32))
        self._fed += off

    def _drain(self) -> Iterator[Window]:
        """Take what the resampler still holds; it cannot be used after that."""
        if self._resampler is not None:
            yield from self._keep(self._resampler.resample(None))
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)

    def _keep(self, frames: list[Any]) -> Iterator[Window]:
        for frame in frames:
            self.heard = True
            samples = np.nan_to_num(frame.to_ndarray().reshape(-1), posinf=1.0, neginf=-1.0)
            dropped = min(self._drop, len(samples))
            self._drop -= dropped
            self._add(np.clip(samples[dropped:], -1.0, 1.0))
            while self._held >= WINDOW_S * RATE:
                yield self._cut(None)

    def _add(self, samples: Samples) -> None:
        if len(samples):
            self._buffer.append(samples)
            self._held += len(samples)

    def _cut(self, length: int | None) -> Window:
        """Take a window off the buffer: of that many samples, or up to its quietest place."""
        joined = np.concatenate(self._buffer)
        end = quietest(joined[: WINDOW_S * RATE]) if length is None else length
        window = Window(self._first * 1000 // RATE, joined[:end])
        self._buffer = [joined[end:].copy()]
        self._held -= end
        self._first += end
        return window


def quietest(samples: Samples) -> int:
    """Return where the end of a window is quietest: the middle of its softest QUIET_S.

    Only the last SEARCH_S are looked at, in steps of 20 ms.
    """
    step = RATE // 50
    first = max(0, len(samples) - SEARCH_S * RATE)
    tail = samples[first:]
    count = len(tail) // step
    wide = round(QUIET_S * RATE / step)
    if count <= wide:
        return len(samples)
    power = np.square(tail[: count * step].reshape(count, step)).mean(axis=1)
    loudness = np.convolve(power, np.ones(wide), mode="valid")
    return int(first + (int(loudness.argmin()) + wide // 2) * step)
