"""Makes small real films with PyAV, so that no test needs a file that is not in the repository.

A film is a row of shots. Each shot is its own coloured texture that drifts slowly, so that every
cut is a real cut and nothing else looks like one. Times are milliseconds on the film's own clock
(from 0), also where the container starts later.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.codec.context import Flags
from numpy.typing import NDArray

RATE = 16_000  # of the tone, Hz

Rgb = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A subtitle track: (start_ms, end_ms, text) each."""

    codec: str = "subrip"  # "subrip", "ass" or "mov_text"
    language: str = "eng"
    title: str = ""
    forced: bool = False
    default: bool = False
    hearing_impaired: bool = False
    cues: tuple[tuple[int, int, str], ...] = ((500, 1500, "Hello there."),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """An audio track: a tone of `hertz` that lasts `seconds` (0: as long as the picture)."""

    language: str = "eng"
    title: str = ""
    default: bool = True
    disposition: int = 0
    hertz: float = 440.0
    seconds: float = 0.0
    channels: int = 1
    start_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to make a film. The container follows from the file's name."""

    shots: tuple[float, ...] = (3.0, 3.0, 3.0)  # seconds each
    looks: tuple[int, ...] = ()  # the texture of each shot; empty: all different
    size: tuple[int, int] = (160, 90)
    fps: Fraction | int = 25
    times_ms: tuple[int, ...] = ()  # variable frame rate: when each frame is shown; empty: fps
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: tuple[tuple[str, str], ...] = (("preset", "ultrafast"), ("g", "25"))
    sound: tuple[Sound, ...] = (Sound(),)
    subtitles: tuple[Words, ...] = ()
    rotation: int = 0  # degrees clockwise that a player must turn the stored picture
    pixel_aspect: Fraction = Fraction(1)
    offset_ms: int = 0  # every stream starts that late
    interlaced: bool = False  # the height must be a multiple of 4
    transfer: str = ""  # "pq" or "hlg" in BT.2020; needs a 10-bit pixel format
    cover: bool = False  # an attached JPEG; .mkv only
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A film on disk and what is true of it."""

    path: Path
    cuts_ms: tuple[int, ...]  # the first frame of each shot but the first
    times_ms: tuple[int, ...]  # of every frame
    duration_ms: int  # the end of the last frame


def frame_times(recipe: Recipe) -> list[int]:
    """Return when each frame is shown, in ms."""
    if recipe.times_ms:
        return list(recipe.times_ms)
    count = round(sum(recipe.shots) * float(recipe.fps))
    return [round(number * 1000 / recipe.fps) for number in range(count)]


def shot_starts(recipe: Recipe) -> list[int]:
    """Return when each shot starts, in ms, before it is moved to a frame."""
    return [round(sum(recipe.shots[:number]) * 1000) for number in range(len(recipe.shots))]


@lru_cache(maxsize=64)
def _texture(look: int, width: int, height: int) -> Rgb:
    """Return (height + 32, width + 32, 3) of smooth noise around a colour of its own."""
    random = np.random.default_rng(look + 1)
    hue = np.uint8([[[(look * 67) % 180, 160 + (look * 29) % 90, 90 + (look * 53) % 150]]])
    colour = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB).astype(np.float32)
    rough = random.normal(0, 40, (9, 16, 3)).astype(np.float32)
    smooth = cv2.resize(rough, (width + 32, height + 32), interpolation=cv2.INTER_CUBIC)
    grain = random.normal(0, 6, (height + 32, width + 32, 1)).astype(np.float32)
    return np.clip(colour + smooth + grain, 0, 255).astype(np.uint8)


def picture(look: int, ms: int, size: tuple[int, int]) -> Rgb:
    """Return the frame of a shot at a time: its texture, drifting a pixel every 200 ms."""
    texture = _texture(look, *size)
    shift = 32 - abs(32 - ms / 200 % 64)  # to and fro, without a jump
    moved = np.float32([[1, 0, -shift], [0, 1, -shift]])
    return np.asarray(cv2.warpAffine(texture, moved, size), np.uint8)


def _shot_at(starts: Sequence[int], ms: int) -> int:
    return max(number for number, start in enumerate(starts) if start <= ms)


def _frame(recipe: Recipe, starts: Sequence[int], ms: int) -> av.VideoFrame:
    looks = recipe.looks or tuple(range(len(recipe.shots)))
    rgb = picture(looks[_shot_at(starts, ms)], ms, recipe.size)
    if recipe.interlaced:  # the second field is another moment: a comb of 16 pixels
        rgb = rgb.copy()
        rgb[1::2] = np.roll(rgb, 16, axis=1)[1::2]
    if not recipe.transfer:
        return av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=recipe.pixel_format)
    deep = rgb.astype(np.uint16) * 257
    frame = av.VideoFrame.from_ndarray(deep, "rgb48le")
    return frame.reformat(format=recipe.pixel_format, dst_colorspace="bt2020")


def _add_picture(output: Any, recipe: Recipe) -> Any:
    stream = output.add_stream(recipe.codec, rate=recipe.fps, options=dict(recipe.options))
    stream.width, stream.height = recipe.size
    stream.pix_fmt = recipe.pixel_format
    context = stream.codec_context
    context.time_base = Fraction(1, 1000) if recipe.times_ms else 1 / Fraction(recipe.fps)
    context.thread_count = 1
    if recipe.pixel_aspect != 1:
        context.sample_aspect_ratio = recipe.pixel_aspect
    if recipe.interlaced:
        context.flags |= Flags.interlaced_dct
    if recipe.rotation:
        stream.set_display_rotation(-recipe.rotation)
    if recipe.transfer:
        context.color_trc = {"pq": 16, "hlg": 18}[recipe.transfer]
        context.color_primaries = 9
        context.colorspace = 9
    return stream


def _add_sound(output: Any, track: Sound) -> Any:
    codec = "mp2" if output.format.name == "mpegts" else "aac"
    options = {} if codec == "mp2" else {"aac_coder": "fast"}
    layout = "stereo" if track.channels == 2 else "mono"
    stream = output.add_stream(codec, rate=RATE, layout=layout, options=options)
    stream.metadata.update({"language": track.language, "title": track.title})
    stream.disposition = track.disposition | (1 if track.default else 0)
    return stream


def _add_words(output: Any, track: Words) -> Any:
    if track.codec == "ass":
        stream = output.add_stream("ass")
        stream.codec_context.subtitle_header = ASS_HEADER
    else:
        stream = output.add_mux_stream(track.codec)
    stream.metadata.update({"language": track.language, "title": track.title})
    stream.disposition = (
        (1 if track.default else 0)
        | (64 if track.forced else 0)
        | (128 if track.hearing_impaired else 0)
    )
    return stream


ASS_HEADER = (
    b"[Script Info]\r\nScriptType: v4.00+\r\n\r\n[V4+ Styles]\r\n"
    b"Format: Name, Fontname, Fontsize, PrimaryColour, Alignment\r\n"
    b"Style: Default,Arial,16,&Hffffff,2\r\n\r\n[Events]\r\n"
    b"Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r\n"
)


def _word_packets(track: Words, stream: Any, offset_ms: int) -> list[Any]:
    packets = []
    for number, (start, end, text) in enumerate(track.cues):
        data = text.encode()
        if track.codec == "mov_text":
            data = len(data).to_bytes(2, "big") + data
        if track.codec == "ass":
            data = f"{number},0,Default,,0,0,0,,{text}".encode()
        packet = av.Packet(data)
        packet.stream = stream
        packet.time_base = Fraction(1, 1000)
        packet.pts = packet.dts = start + offset_ms
        packet.duration = end - start
        packets.append(packet)
    return packets


def _sound_packets(track: Sound, stream: Any, seconds: float, offset_ms: int) -> list[Any]:
    count = round((track.seconds or seconds) * RATE)
    wave = 0.3 * np.sin(2 * np.pi * track.hertz / RATE * np.arange(count, dtype=np.float32))
    first = (offset_ms + track.start_ms) * RATE // 1000
    packets = []
    for start in range(0, count, 1024):
        block = np.tile(wave[start : start + 1024].astype(np.float32), (track.channels, 1))
        if stream.codec_context.name == "mp2":
            block = (block * 32767).astype(np.int16).T.reshape(1, -1)
        layout = "stereo" if track.channels == 2 else "mono"
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(block), "s16" if block.dtype == np.int16 else "fltp", layout
        )
        frame.sample_rate = RATE
        frame.pts = first + start
        frame.time_base = Fraction(1, RATE)
        packets += stream.encode(frame)
    return packets + stream.encode()


def _picture_packets(recipe: Recipe, stream: Any, times: Sequence[int]) -> list[Any]:
    starts = shot_starts(recipe)
    base = stream.codec_context.time_base
    packets = []
    for number, ms in enumerate(times):
        frame = _frame(recipe, starts, ms)
        ticks = ms if recipe.times_ms else number
        frame.pts = ticks + round(Fraction(recipe.offset_ms, 1000) / base)
        frame.time_base = base
        packets += stream.encode(frame)
    return packets + stream.encode()


def make_film(path: Path, recipe: Recipe | None = None, **changes: Any) -> Film:
    """Write a film and return what is true of it. Changes are fields of Recipe."""
    recipe = replace(recipe or Recipe(), **changes)
    times = frame_times(recipe)
    last = times[-1] - times[-2] if len(times) > 1 else round(1000 / recipe.fps)
    duration_ms = max(times[-1] + last, round(sum(recipe.shots) * 1000))
    with av.open(str(path), "w") as output:
        output.metadata.update(dict(recipe.metadata))
        streams = [_add_picture(output, recipe)]
        streams += [_add_sound(output, track) for track in recipe.sound]
        streams += [_add_words(output, track) for track in recipe.subtitles]
        if recipe.cover:
            _, jpeg = cv2.imencode(".jpg", np.full((64, 64, 3), 90, np.uint8))
            output.add_attachment("cover.jpg", "image/jpeg", jpeg.tobytes())
        packets = _picture_packets(recipe, streams[0], times)
        for track, stream in zip(recipe.sound, streams[1:], strict=False):
            packets += _sound_packets(track, stream, duration_ms / 1000, recipe.offset_ms)
        for words, stream in zip(recipe.subtitles, streams[1 + len(recipe.sound) :], strict=False):
            packets += _word_packets(words, stream, recipe.offset_ms)
        for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
            output.mux(packet)
    cuts = [min(time for time in times if time >= start) for start in shot_starts(recipe)[1:]]
    return Film(path=path, cuts_ms=tuple(cuts), times_ms=tuple(times), duration_ms=duration_ms)


def make_sound_only(path: Path, seconds: float = 2.0) -> Path:
    """Write a file with one audio track and no picture."""
    with av.open(str(path), "w") as output:
        stream = _add_sound(output, Sound())
        for packet in _sound_packets(Sound(), stream, seconds, 0):
            output.mux(packet)
    return path


def truncate(source: Path, target: Path, keep: float) -> Path:
    """Copy the first part of a file: `keep` is the fraction of its bytes."""
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * keep)])
    return target


def damage(source: Path, target: Path, start: float, end: float) -> Path:
    """Copy a file with the bytes between two fractions of its length replaced by noise."""
    data = bytearray(source.read_bytes())
    first, last = int(len(data) * start), int(len(data) * end)
    data[first:last] = np.random.default_rng(7).bytes(last - first)
    target.write_bytes(data)
    return target


@lru_cache(maxsize=1)
def _kept_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="heimdex-films-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@lru_cache(maxsize=128)
def _kept(name: str, recipe: Recipe) -> Film:
    path = _kept_folder() / f"{len(list(_kept_folder().iterdir()))}-{name}"
    return make_film(path, recipe)


def kept_film(name: str = "film.mkv", **changes: Any) -> Film:
    """Return a film made once per test process. Only read it: others do too."""
    return _kept(name, replace(Recipe(), **changes))


def strip_container(source: Path, target: Path) -> Path:
    """Write an H.264 film as a bare stream: no time stamps, no length."""
    with av.open(str(source)) as film, target.open("wb") as bare:
        stream = film.streams.video[0]
        to_annex_b = BitStreamFilterContext("h264_mp4toannexb", stream)
        for packet in film.demux(stream):
            for plain in to_annex_b.filter(packet):
                bare.write(bytes(plain))
    return target
