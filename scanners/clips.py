"""Makes what a page shows of a film: one frame as a JPEG, or a short clip that every browser plays.

Both come from any source (10 bits, HDR, turned, interlaced, any frame rate, no sound) and are there
whole or not at all.
"""

import errno
import heapq
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from scanners.base import StageError
from scanners.decode import Reader, seek
from scanners.frames import Upright, one_field, tamed, to_jpeg
from scanners.media import describe, hdr_transfer, main_audio, open_media, quarter_turns, start_ms
from scanners.refusals import read_error

MAX_CLIP_MS = 10 * 60_000
AUDIO_RATE = 48_000  # Hz
AUDIO_LEAD_MS = 1_000  # decoded before the clip, because sound decoders need a run-up
MAX_SILENCE = AUDIO_RATE // 50  # samples; a smaller gap in the sound's time stamps is rounding
VIDEO_BASE = Fraction(1, 90_000)
# Someone waits: half the CPU of "veryfast" at twice the size. Without B frames it starts at 0.
VIDEO_OPTIONS = {"preset": "ultrafast", "crf": "25", "bf": "0"}
AUDIO_BIT_RATE = 128_000
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BT709, _LIMITED = 1, 1  # AVCOL_*_BT709 (also SWS_CS_ITU709), AVCOL_RANGE_MPEG


def make_still(path: bytes, at_ms: int, to: bytes, *, width: int) -> None:
    """Write the frame nearest to at_ms as a JPEG of at most `width` pixels across.

    After the end of the film that is its last frame. Raises StageError.
    """
    reader = Reader(path)
    best: tuple[Any, int] | None = None
    for frame, ms, _, _ in reader.timed(at_ms):
        if best is None or abs(ms - at_ms) < abs(best[1] - at_ms):
            best = (frame, ms)
        if ms >= at_ms:
            break
    if best is None:
        raise StageError("no picture could be decoded: the film is damaged or incomplete")
    upright = Upright(reader.aspect)
    wide, high = upright.size(best[0])
    if wide > width:
        wide, high = width, max(1, round(high * width / wide))
    with _written(to) as part:
        part.write_bytes(to_jpeg(upright.rgb(best[0], (wide, high)), width))


def make_clip(path: bytes, start_ms: int, end_ms: int, to: bytes, *, height: int) -> None:
    """Write [start_ms, end_ms) as MP4 with H.264 and AAC, its times from 0. Raises StageError."""
    if not 0 < end_ms - start_ms <= MAX_CLIP_MS:
        raise StageError(f"a clip of {(end_ms - start_ms) / 1000:.1f} s cannot be made")
    with _written(to) as part:
        options = {"movflags": "+faststart"}
        with av.open(str(part), "w", format="mp4", options=options) as output:
            picture = _Picture(path, start_ms, end_ms, height)
            tracks = [picture.packets(output)]
            sound = _Sound(path, start_ms, end_ms)
            if sound.index is not None:
                tracks.append(sound.packets(output))
            for packet in heapq.merge(*tracks, key=lambda one: one.dts * one.time_base):
                output.mux(packet)


@contextmanager
def _written(to: bytes) -> Iterator[Path]:
    """Give a path to write to, and put the file in place if nothing goes wrong."""
    target = Path(os.fsdecode(to))
    part = target.with_name(f".{target.name[:100]}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(target)
    except (av.FFmpegError, OSError) as error:
        number = error.errno or 0
        if isinstance(error, av.FFmpegError) and number not in _FULL:
            raise read_error(error) from error
        reason = f"{target.name} cannot be written: {os.strerror(number)}"
        raise StageError(reason, permanent=False) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


class _Picture:
    """The clip's picture: upright, square pixels, SDR, BT.709, 8 bits."""

    def __init__(self, path: bytes, start: int, end: int, height: int) -> None:
        self._reader = Reader(path)
        self._start = start
        self._end = end
        self._height = height
        self._scaler = VideoReformatter()
        # The first frame is needed before the file's header can be written.
        self._frames = self._shown()
        self._first = next(self._frames, None)
        if self._first is None:
            raise StageError("there is no picture at that time")
        self._upright = Upright(self._reader.aspect)
        wide, high = self._upright.size(self._first[0], height=height)
        self._size = (max(2, wide // 2 * 2), max(2, high // 2 * 2))  # H.264 4:2:0 wants even ones

    def _shown(self) -> Iterator[tuple[Any, int]]:
        """Give the frames on screen during the clip, with their time in it in VIDEO_BASE."""
        waiting: Any = None
        for frame, ms, pts, base in self._reader.timed(self._start):
            if ms >= self._end:
                break
            if ms > self._start and waiting is not None:
                yield waiting, 0
                waiting = None
            if ms <= self._start:
                waiting = frame  # the last one before the start is still on screen then
            else:
                yield frame, round((pts * base - Fraction(self._start, 1000)) / VIDEO_BASE)
        if waiting is not None:
            yield waiting, 0

    def packets(self, output: Any) -> Iterator[Any]:
        assert self._first is not None
        stream = output.add_stream("libx264", rate=25, options=dict(VIDEO_OPTIONS))
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = VIDEO_BASE
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _LIMITED
        return self._encoded(stream)

    def _encoded(self, stream: Any) -> Iterator[Any]:
        last = -1
        for frame, at in self._all():
            if at <= last:
                continue
            last = at
            flat = self._flat(frame)
            flat.pts, flat.time_base = at, VIDEO_BASE
            yield from stream.encode(flat)
        yield from stream.encode()

    def _all(self) -> Iterator[tuple[Any, int]]:
        assert self._first is not None
        yield self._first
        yield from self._frames

    def _flat(self, frame: Any) -> Any:
        """Return a frame of the clip's size in limited-range BT.709."""
        if quarter_turns(frame) or hdr_transfer(frame.color_trc):
            frame = av.VideoFrame.from_ndarray(self._upright.rgb(frame, self._size), "rgb24")
        elif frame.interlaced_frame:
            frame = one_field(tamed(frame))
        flat = self._scaler.reformat(
            tamed(frame),
            *self._size,
            "yuv420p",
            dst_colorspace=_BT709,
            dst_color_range=_LIMITED,
            interpolation="BILINEAR",
        )
        if flat is frame:  # nothing to convert; its time stamps are not ours to change
            flat = frame.reformat(format="yuv420p")
        return flat


class _Sound:
    """The clip's sound: the main track in stereo, with silence where it has none."""

    def __init__(self, path: bytes, start: int, end: int) -> None:
        self._path = path
        self._start = start
        self._samples = (end - start) * AUDIO_RATE // 1000
        with open_media(path) as container:
            track = main_audio(describe(container))
        self.index = track.index if track else None

    def packets(self, output: Any) -> Iterator[Any]:
        stream = output.add_stream("aac", rate=AUDIO_RATE, layout="stereo")
        stream.bit_rate = AUDIO_BIT_RATE
        return self._encoded(stream)

    def _encoded(self, stream: Any) -> Iterator[Any]:
        at = 0
        for block in self._blocks():
            frame = av.AudioFrame.from_ndarray(block, "fltp", "stereo")
            frame.sample_rate = AUDIO_RATE
            frame.pts, frame.time_base = at, Fraction(1, AUDIO_RATE)
            at += block.shape[1]
            yield from stream.encode(frame)
        yield from stream.encode()

    def _blocks(self) -> Iterator[Any]:
        """Give the clip's samples without gaps, (2, n) float32 each."""
        done = 0
        for samples, position in self._decoded():
            gap = position - done
            if gap > MAX_SILENCE:
                silence = min(gap, self._samples - done)
                yield np.zeros((2, silence), np.float32)
                done += silence
            skip = max(0, done - position)
            block = samples[:, skip : skip + self._samples - done]
            if block.shape[1]:
                yield np.ascontiguousarray(block, np.float32)
                done += block.shape[1]
            if done >= self._samples:
                return

    def _decoded(self) -> Iterator[tuple[Any, int]]:
        """Give decoded sound and where it belongs, in samples from the clip's start."""
        with open_media(self._path) as container:
            stream = next(one for one in container.streams.audio if one.index == self.index)
            if self._start > AUDIO_LEAD_MS:
                seek(container, self._start - AUDIO_LEAD_MS)
            resampler = _resampler()
            from_s = Fraction(self._start + start_ms(container), 1000)
            for packet in container.demux(stream):
                try:
                    decoded = packet.decode()
                except (av.FFmpegError, ValueError):
                    continue
                for frame in decoded:
                    try:
                        made = resampler.resample(frame)
                    except ValueError:  # the track changes its shape in the middle
                        resampler = _resampler()
                        made = resampler.resample(frame)
                    for one in made:
                        if one.pts is not None:
                            at = round((one.pts * Fraction(one.time_base) - from_s) * AUDIO_RATE)
                            yield one.to_ndarray(), at


def _resampler() -> Any:
    return av.AudioResampler(format="fltp", layout="stereo", rate=AUDIO_RATE)
