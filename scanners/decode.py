"""The one decode pass: every frame of a film once, in order, small; one a second to look at.

Damage is passed over and counted. Memory does not depend on the length of the film. A pass may
begin late: it then starts a few seconds before, at a key frame, and gives the same frames and
samples from there on as a pass from the beginning would.
"""

import os
from collections.abc import Generator, Iterator
from fractions import Fraction
from typing import Any

import av

from scanners.base import StageError
from scanners.frames import Image, Sample, Shrinker, SmallFrame, Upright, sharpness
from scanners.media import Clock, check_size, length_ms, open_media, picture_stream, start_ms
from scanners.refusals import read_error

BACK_MS = (0, 10_000, 60_000)  # how much earlier to seek, in turn, where a file lands too late
WINDOW_MS = 1_000  # one sample each
SLOT_MS = 250  # the first frame of each is a candidate: four a second
MAX_FILM_MS = 100 * 3_600_000  # later times are broken time stamps
MAX_OVER_MS = 3_600_000  # so are times that much later than the header says the film ends
MAX_THREADS = 16  # each holds a frame or more: 25 MB in 4K with 10 bits ...
THREAD_BYTES = 512 * 2**20  # ... and all of them together this much, unless one frame is larger
PIXEL_BYTES = 3  # of a decoded frame: 10 bits with colours at half size
MAX_READ_ERRORS = 100  # in a row
MIN_GAP_MS = 1_000  # between two frames; a shorter gap is a still picture ...
MANY_STEPS = 20  # ... and so is one that is not so many times as long as the frames before

Timed = tuple[Any, int, int, Fraction]  # a decoded frame, its ms, its pts from the film's start


class Reader:
    """Reads a film's picture once. Iterate over it; then its fields say how it went.

    sample_side: longest side of a sample in px; 0 for no samples. threads: 0 for all cores.
    warm_up_ms: how much of the film before begin_ms is wanted, if that is more than a second.
    """

    def __init__(
        self,
        path: bytes,
        *,
        begin_ms: int = 0,
        threads: int = 0,
        sample_side: int = 0,
        warm_up_ms: int = 0,
    ) -> None:
        self.frames = 0  # given
        self.unreadable = 0  # damaged packets and frames, and frames out of time
        self.missing_ms = 0  # of film that is not there: gaps between frames that come steadily
        self.end_ms = 0  # where picture and sound have ended, as far as the file could be read
        self._path = path
        self._begin = begin_ms
        self._warm_up = max(WINDOW_MS, warm_up_ms)  # the cut detector wants a second
        self._threads = threads
        self._side = sample_side
        self.aspect: Any = None  # of a stored pixel, known with the first frame
        self._latest = MAX_FILM_MS

    def __iter__(self) -> Iterator[SmallFrame | Sample]:
        """Give small frames and samples in order; a sample once its second is over.

        Raises StageError if nothing can be decoded or the disk fails.
        """
        shrinker = Shrinker()
        sampler: Sampler | None = None
        # all of the second that the beginning lies in, and what is wanted before it
        needed = self._begin // WINDOW_MS * WINDOW_MS - self._warm_up
        for frame, ms, pts, time_base in self.timed(needed):
            luma, bgr = shrinker.small(frame)
            if self._side and sampler is None:
                begin = ms if needed > 0 else 0
                sampler = Sampler(Upright(self.aspect), self._side, begin_ms=begin)
            if sampler is not None:
                yield from sampler.feed(frame, ms, luma)
            yield SmallFrame(ms=ms, pts=pts, time_base=time_base, bgr=bgr, luma=luma)
        if sampler is not None:
            yield from sampler.finish()
        if not self.frames:
            raise StageError(
                "no picture could be decoded: it is damaged, incomplete or larger than any film"
            )

    def timed(self, needed_ms: int) -> Iterator[Timed]:
        """Give every decoded frame, as it is, from one at or before needed_ms on."""
        for back in BACK_MS:
            if needed_ms <= back:
                break
            frames = self._decode(needed_ms - back)
            first = next(frames, None)
            if first is not None and first[1] <= needed_ms:
                yield first
                yield from frames
                return
            frames.close()
            self.frames = self.unreadable = 0
        yield from self._decode(0)

    def _decode(self, from_ms: int) -> Generator[Timed, None, None]:
        """Give decoded frames, in order, from the key frame before from_ms on."""
        with open_media(self._path) as container:
            stream = picture_stream(container)
            if stream is None:
                raise StageError("the file has no picture")
            self.aspect = stream.sample_aspect_ratio
            self._latest = min(MAX_FILM_MS, (length_ms(container) or MAX_FILM_MS) + MAX_OVER_MS)
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = threads_for(stream.codec_context, self._threads)
            if from_ms and not seek(container, from_ms):
                return
            stamps = _Stamps(stream, start_ms(container))
            first_ms = last_ms = -1
            for frame in self._frames(container, stream):
                ms, pts = stamps.of(frame)
                if last_ms < ms <= self._latest:
                    first_ms = first_ms if self.frames else ms
                    self._look_for_gap(ms - last_ms, last_ms - first_ms)
                    last_ms = ms
                    self.frames += 1
                    self.end_ms = max(self.end_ms, ms + 1)
                    yield frame, ms, pts, stamps.time_base
                elif ms >= 0:
                    self.unreadable += 1

    def _look_for_gap(self, gap_ms: int, so_far_ms: int) -> None:
        """Count a gap that is out of proportion to the steps so far; slide shows have none."""
        if gap_ms > MIN_GAP_MS and gap_ms * self.frames > MANY_STEPS * so_far_ms > 0:
            self.missing_ms += gap_ms

    def _frames(self, container: Any, stream: Any) -> Iterator[Any]:
        ends: dict[int, int] = {}  # the last time stamp of each stream
        latest = self._limits(container)
        for packet in self._packets(container, stream):
            number = packet.stream_index
            if packet.pts is not None:
                end = packet.pts + (packet.duration or 0)
                if ends.get(number, 0) < end <= latest[number][1]:
                    ends[number] = end
            if number == stream.index:
                yield from self._decoded(packet)
        for number, end in ends.items():
            self.end_ms = max(self.end_ms, latest[number][0].ms(end))

    def _limits(self, container: Any) -> dict[int, tuple[Clock, int]]:
        """Return the clock of each stream and the latest time stamp to believe."""
        start = start_ms(container)
        clocks = {
            one.index: Clock(one.time_base, start) for one in container.streams if one.time_base
        }
        return {number: (clock, clock.pts(self._latest)) for number, clock in clocks.items()}

    def _decoded(self, packet: Any) -> Iterator[Any]:
        try:
            frames = packet.decode()
        except (av.FFmpegError, ValueError) as error:
            if not read_error(error).permanent:
                raise read_error(error) from error
            self.unreadable += 1
            return
        self.unreadable += packet.is_corrupt
        for frame in frames:
            check_size(frame.width, frame.height)
            self.unreadable += frame.is_corrupt  # still shown: most of it is usually good
            yield frame

    def _packets(self, container: Any, stream: Any) -> Iterator[Any]:
        """Give the packets of picture and sound (whose ends say how far the film goes)."""
        streams = [stream, *container.streams.audio[:1]]
        errors = 0
        while errors <= MAX_READ_ERRORS:
            try:
                for packet in container.demux(streams):
                    errors = 0
                    yield packet
                return
            except av.FFmpegError as error:
                if not read_error(error).permanent:
                    raise read_error(error) from error
                errors += 1
                self.unreadable += 1


def threads_for(context: Any, wanted: int) -> int:
    """Return how many threads may decode pictures of this size; 0 lets FFmpeg choose.

    wanted: 0 for one a core.
    """
    frame_bytes = max(1, context.width * context.height * PIXEL_BYTES)
    most = min(MAX_THREADS, max(1, THREAD_BYTES // frame_bytes))
    return wanted if (wanted or (os.cpu_count() or 1) + 1) <= most else most


def seek(container: Any, to_ms: int) -> bool:
    """Go to a key frame at or before a time on the film's clock; False if the file cannot."""
    try:
        container.seek((to_ms + start_ms(container)) * 1000)
    except (av.FFmpegError, OSError):
        return False
    return True


class _Stamps:
    """Tells the time of decoded frames, also where the container gives no time stamps."""

    def __init__(self, stream: Any, start: int) -> None:
        self._clock = Clock(stream.time_base, start)
        self.time_base = self._clock.time_base
        self._start = round(Fraction(start, 1000) / self.time_base)
        rate = stream.average_rate or stream.guessed_rate or 25
        self._step = round(1 / (Fraction(rate.numerator, rate.denominator) * self.time_base))
        self._next = self._start

    def of(self, frame: Any) -> tuple[int, int]:
        """Return a frame's ms and its pts, both from the film's start."""
        pts = frame.pts if frame.pts is not None else frame.dts
        if pts is None:
            pts = self._next
        self._next = pts + self._step
        return self._clock.ms(pts), pts - self._start


class Sampler:
    """Picks the sharpest of about four frames of each second and brings it upright.

    Seconds are those of the film's clock, so that a pass that begins late picks the same frames. A
    second that had begun before begin_ms is left out.
    """

    def __init__(self, upright: Upright, side: int, *, begin_ms: int) -> None:
        self._upright = upright
        self._side = side
        self._begin = begin_ms
        self._slot = -1
        self._best: tuple[float, int, Any] | None = None

    def feed(self, frame: Any, ms: int, luma: Image) -> Iterator[Sample]:
        """Take the next decoded frame; give the sample of the second before, if one has ended."""
        slot = ms // SLOT_MS
        if slot == self._slot:
            return
        if self._slot * SLOT_MS // WINDOW_MS != ms // WINDOW_MS:
            yield from self.finish()
        self._slot = slot
        sharp = sharpness(luma)
        if self._best is None or sharp > self._best[0]:
            self._best = (sharp, ms, frame)

    def finish(self) -> Iterator[Sample]:
        """Give the sample of the second that has just ended."""
        best, self._best = self._best, None
        if best is not None and best[1] // WINDOW_MS * WINDOW_MS >= self._begin:
            sharp, ms, frame = best
            rgb = self._upright.rgb(frame, self._upright.size(frame, side=self._side))
            yield Sample(ms=ms, rgb=rgb, sharpness=sharp)
