"""Makes films of known pictures and runs one picture stage over them, in the real pass."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from scanners.base import Finding, Found, Options, Reply, Scan, Scene, StageDone, StageInfo
from scanners.fanout import PicturePass
from scanners.media import probe
from scanners.scenes import Scenes
from scanners.shots import Shots

Rgb = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Result:
    """What a stage found. cpu_ms: of the stage alone. samples: when it was given one, in ms."""

    findings: tuple[Finding, ...]
    scenes: tuple[Scene, ...]
    cpu_ms: int
    samples: tuple[int, ...]


def fit(rgb: Rgb, size: tuple[int, int], *, fill: bool = False) -> Rgb:
    """Return a picture of that size, with black bars or, to fill it, cut at the edges."""
    wide, high = size
    scales = wide / rgb.shape[1], high / rgb.shape[0]
    scale = max(scales) if fill else min(scales)
    shape = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = np.asarray(cv2.resize(rgb, shape, interpolation=way), np.uint8)
    top, left = max(0, (shape[1] - high) // 2), max(0, (shape[0] - wide) // 2)
    scaled = scaled[top : top + high, left : left + wide]
    out = np.zeros((high, wide, 3), np.uint8)
    down, right = (high - scaled.shape[0]) // 2, (wide - scaled.shape[1]) // 2
    out[down : down + scaled.shape[0], right : right + scaled.shape[1]] = scaled
    return out


def read(path: Path) -> Rgb:
    """Return a picture file as RGB."""
    return np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), np.uint8)


def write_film(
    path: Path, frames: Iterable[Rgb], *, size: tuple[int, int], fps: int, crf: int = 22
) -> None:
    """Encode pictures of one size as H.264."""
    with av.open(str(path), "w") as output:
        options = {"preset": "veryfast", "crf": f"{crf}"}
        stream = output.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for number, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


def scan(path: Path, stage: type[Any], info: StageInfo, options: Options) -> Result:
    """Run shots, scenes and one stage over a film.

    Raises AssertionError with the replies if the stage does not come through.
    """
    times: list[int] = []

    class Watched(stage):  # type: ignore[misc]
        def sample(self, sample: Any) -> Any:
            times.append(sample.ms)
            return super().sample(sample)

    replies: list[Reply] = []
    name = str(stage.name)
    asked = Scan(id=1, path=bytes(path), stages=("shots", "scenes", name), options=options)
    media = probe(asked.path)
    made: dict[str, Any] = {"shots": Shots(asked, media), "scenes": Scenes(asked, media)}
    table = {
        "shots": StageInfo("", 1, "picture"),
        "scenes": StageInfo("", 1, "picture", ("shots",)),
        name: info,
    }
    PicturePass(asked, media, {**made, name: Watched(asked, media)}, replies.append, table).run()
    done = {reply.stage: reply for reply in replies if isinstance(reply, StageDone)}
    assert name in done, [reply for reply in replies if not isinstance(reply, Found)]
    found = {
        stage_name: tuple(
            one
            for reply in replies
            if isinstance(reply, Found) and reply.stage == stage_name
            for one in reply.findings
        )
        for stage_name in ("scenes", name)
    }
    scenes = tuple(one for one in found["scenes"] if isinstance(one, Scene))
    return Result(found[name], scenes, done[name].cpu_ms, tuple(times))
