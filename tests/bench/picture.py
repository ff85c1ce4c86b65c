"""What the shared picture pass costs, beside decoding alone and beside its peers, on one film.

Every figure is a ratio of processor time, of this process with all its threads, taken alternately
in one run, so that a busy machine moves both sides alike. Call it in a process of its own.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from scenedetect import ContentDetector, detect

from scanners.base import Options, Scan
from scanners.decode import Reader
from scanners.fanout import PicturePass
from scanners.frames import Sample
from scanners.media import open_media, picture_stream, probe
from scanners.scenes import Scenes
from scanners.shots import Shots

LIMITS = {"picture.picture_pass_over_decode": "<= 1.20"}

ROUNDS = 5
PEER_ROUNDS = 2  # the peers take long and have no limit to keep
SECONDS = 16
SIZE = (1920, 1080)
FPS = 25


def make_film(path: Path, *, seconds: int = SECONDS, size: tuple[int, int] = SIZE) -> Path:
    """Write a 1080p H.264 film with grain, camera drift and a cut every few seconds."""
    random = np.random.default_rng(11)
    width, height = size
    margin = 64
    grains = [random.normal(0, 3, (height, width, 1)).astype(np.int16) for _ in range(4)]
    texture = None
    next_cut = 0
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "25"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(seconds * FPS):
            if number >= next_cut:
                next_cut = number + int(random.integers(2 * FPS, 6 * FPS))
                rough = random.integers(0, 255, (18, 32, 3), dtype=np.uint8)
                big = (width + margin, height + margin)
                texture = cv2.resize(rough, big, interpolation=cv2.INTER_CUBIC).astype(np.int16)
            assert texture is not None
            shift = number % margin
            view = texture[shift : shift + height, shift : shift + width]
            rgb = np.clip(view + grains[number % 4], 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def decode_only(path: Path) -> None:
    """Decode every frame and look at none: the floor."""
    with open_media(os.fsencode(path)) as container:
        stream = picture_stream(container)
        stream.thread_type = "AUTO"
        for _ in container.decode(stream):
            pass


def our_pass(path: Path) -> None:
    """Shots, scenes and stills in one decode pass, as the scanner runs it."""
    with tempfile.TemporaryDirectory() as stills:
        scan = Scan(
            id=1,
            path=os.fsencode(path),
            stages=("shots", "scenes"),
            options=Options(),
            stills=os.fsencode(stills),
        )
        media = probe(scan.path)
        stages = {"shots": Shots(scan, media), "scenes": Scenes(scan, media)}
        PicturePass(scan, media, stages, lambda _reply: None).run()


def content_alone(path: Path) -> None:
    """PySceneDetect's own default, by its own reader: shots and nothing else."""
    detect(str(path), ContentDetector())


def separate_passes(path: Path) -> None:
    """Shots, samples for pictures and samples for faces, each with a decode of its own."""
    shots = Shots(Scan(id=1, path=b"", stages=(), options=Options()), probe(os.fsencode(path)))
    for frame in Reader(os.fsencode(path)):
        list(shots.frame(frame))
    for _ in range(2):
        for item in Reader(os.fsencode(path), sample_side=960):
            assert isinstance(item, Sample) or item.bgr.size


def cpu_s(work: Callable[[Path], None], path: Path) -> float:
    """Return the processor time that work took, in seconds, with all threads."""
    begun = os.times()
    work(path)
    ended = os.times()
    return (ended.user - begun.user) + (ended.system - begun.system)


def compare(path: Path, *, rounds: int = ROUNDS) -> dict[str, float]:
    """Return the cost of each way over that of decoding alone, medians of interleaved rounds."""
    peers = {"pyscenedetect_content": content_alone, "separate_passes": separate_passes}
    our_pass(path)  # imports and first allocations count for nobody
    over: dict[str, list[float]] = {"picture_pass": [], **{name: [] for name in peers}}
    floors = []
    for number in range(rounds):
        ways = {"picture_pass": our_pass, **(peers if number < PEER_ROUNDS else {})}
        for name, work in ways.items():
            before, took, after = (cpu_s(one, path) for one in (decode_only, work, decode_only))
            over[name].append(2 * took / (before + after))
            floors += [before, after]
    figures = {f"{name}_over_decode": statistics.median(found) for name, found in over.items()}
    return {**figures, "decode_cpu_s": statistics.median(floors)}


def measure(folder: Path) -> dict[str, float]:
    """Make a film in folder, compare on it, and return named figures for build/bench.json."""
    film = make_film(folder / "picture-bench.mp4")
    return {f"picture.{name}": value for name, value in compare(film).items()}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(compare(Path(sys.argv[1])))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            print(measure(Path(scratch)))
