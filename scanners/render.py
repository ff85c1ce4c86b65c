"""Makes a film of the demo library: slow moves over pictures, with recordings of speech."""

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from scanners.storyboard import ASSETS, FPS, SIZE, Clip, Film, Shot, View, lines_of

RATE = 48_000  # Hz of the sound track; the recordings have 16,000
CLIP_RATE = 16_000
BLOCK = 1024  # samples of an AAC frame
VIDEO = {"preset": "ultrafast", "crf": "27", "g": str(4 * FPS)}  # made once, while people wait

Rgb = NDArray[np.uint8]
Samples = NDArray[np.int16]


def render(film: Film, clips: dict[str, Clip], target: Path) -> None:
    """Write a film. Takes about 0.1 CPU seconds a second of film."""
    with av.open(str(target), "w") as output:
        picture = output.add_stream("libx264", rate=FPS, options=dict(VIDEO))
        picture.width, picture.height = SIZE
        picture.pix_fmt = "yuv420p"
        sound = None if film.silent else _add_sound(output)
        words = output.add_mux_stream("subrip") if film.subtitle == "inside" else None
        if words is not None:
            words.metadata["language"] = "eng"
        packets = list(_picture_packets(film, picture))
        if sound is not None:
            packets += _sound_packets(soundtrack(film), sound)
        if words is not None:
            packets += [_words_packet(line, words) for line in lines_of(film, clips)]
        for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
            output.mux(packet)


def pictures(film: Film) -> Iterator[Rgb]:
    """Give the frames of a film, (height, width, 3), in order."""
    before: tuple[Shot, int] | None = None
    for shot in film.shots:
        for number in range(shot.frames):
            image = _look(shot, number)
            if before is not None and number < shot.dissolve:
                share = (number + 1) / (shot.dissolve + 1)
                last = _look(before[0], before[1] + number)  # the shot before moves on
                image = np.asarray(cv2.addWeighted(last, 1 - share, image, share, 0), np.uint8)
            yield image
        before = (shot, shot.frames)


def soundtrack(film: Film) -> Samples:
    """Return the sound of a film, (samples,), mono, CLIP_RATE Hz: its clips, else silence."""
    track = np.zeros(film.frames * CLIP_RATE // FPS, np.int16)
    for one in film.sound:
        samples = recording(one.clip)
        start = round(one.at_s * CLIP_RATE)
        track[start : start + len(samples)] = samples[: len(track) - start]
    return track


def recording(clip: str) -> Samples:
    """Return the samples of a recording, (samples,), mono, CLIP_RATE Hz."""
    with av.open(str(ASSETS / f"{clip}.flac")) as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return np.concatenate(frames).astype(np.int16)


@lru_cache(maxsize=16)
def _picture(name: str) -> Rgb:
    image = cv2.imread(str(ASSETS / f"{name}.jpg"), cv2.IMREAD_COLOR)
    if image is None:
        raise FileNotFoundError(f"the demo picture {name}.jpg is missing: install again")
    return np.ascontiguousarray(image[:, :, ::-1], np.uint8)


def _look(shot: Shot, number: int) -> Rgb:
    """Return what is seen in a frame of a shot. number may go beyond the shot's end."""
    share = number / max(1, shot.frames)
    view: View = tuple(  # type: ignore[assignment]  # three of three
        a + (b - a) * share for a, b in zip(shot.begin, shot.to, strict=True)
    )
    return crop(_picture(shot.picture), view)


def crop(image: Rgb, view: View) -> Rgb:
    """Return a part of a picture at SIZE, between pixels if need be, and never outside it."""
    height, width = image.shape[:2]
    wide = min(width, height * SIZE[0] / SIZE[1]) / max(1.0, view[2])
    high = wide * SIZE[1] / SIZE[0]
    left = min(max(0.0, view[0] * width - wide / 2), width - wide)
    top = min(max(0.0, view[1] * height - high / 2), height - high)
    scale = wide / SIZE[0]
    matrix = np.array([[scale, 0, left], [0, scale, top]], np.float64)
    shown = cv2.warpAffine(
        image,
        matrix,
        SIZE,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(shown, np.uint8)


def _picture_packets(film: Film, stream: Any) -> Iterator[Any]:
    for number, image in enumerate(pictures(film)):
        planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
        frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
        frame.pts = number
        frame.time_base = Fraction(1, FPS)
        yield from stream.encode(frame)
    yield from stream.encode()


def _add_sound(output: Any) -> Any:
    return output.add_stream(
        "aac", rate=RATE, layout="mono", options={"b": "64k", "aac_coder": "fast"}
    )


def _sound_packets(samples: Samples, stream: Any) -> list[Any]:
    resampler = av.AudioResampler(
        format="fltp", layout="mono", rate=RATE, frame_size=stream.codec_context.frame_size
    )
    packets: list[Any] = []
    for start in range(0, len(samples), CLIP_RATE):
        block = np.ascontiguousarray(samples[start : start + CLIP_RATE]).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, "s16", "mono")
        frame.sample_rate = CLIP_RATE
        frame.pts = start
        frame.time_base = Fraction(1, CLIP_RATE)
        for resampled in resampler.resample(frame):
            packets += stream.encode(resampled)
    for resampled in resampler.resample(None):
        packets += stream.encode(resampled)
    return packets + list(stream.encode())


def _words_packet(line: tuple[int, int, str], stream: Any) -> Any:
    start, end, text = line
    packet = av.Packet(text.encode())
    packet.stream = stream
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = start
    packet.duration = end - start
    return packet
