"""What the shared picture pass costs, beside decoding alone and beside its peers, on one film.

Every figure is a ratio of processor time, of this process with all its threads, taken alternately
in one run, so that a busy machine moves both sides alike. Call it in a process of its own.

`picture_pass` is shots and scenes; `all_stages` is every stage of the pass without the time of its
models: what they said in a first run is said again. A model's time is that of showing it a picture,
with making its input and reading its output; what decides whether it is shown one at all counts for
the pass.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from scenedetect import ContentDetector, detect

from scanners import models, ppocr, runtime
from scanners.base import STAGES, Options, Reply, Scan, StageDone
from scanners.classes import Classes
from scanners.decode import Reader
from scanners.embedders import OnnxEmbedder
from scanners.fanout import PicturePass
from scanners.frames import Sample
from scanners.media import open_media, picture_stream, probe
from scanners.scenes import Scenes
from scanners.shots import Shots
from scanners.worker import Worker
from scanners.yunet import YuNet
from tests.figures import Skipped
from tests.quality.speech import MODELS

LIMITS = {
    "picture.picture_pass_over_decode": "<= 1.20",
    "picture.all_stages_over_decode": "<= 1.20",
    "picture.pyscenedetect_content_over_all_stages": "> 1",
    "picture.separate_passes_over_all_stages": ">= 2.3",
}
EVERY = tuple(name for name, info in STAGES.items() if info.runs_in == "picture")
MODEL_CALLS: tuple[tuple[type, str], ...] = (
    (Classes, "look"),
    (YuNet, "find"),
    (OnnxEmbedder, "embed"),
    (ppocr.Finder, "find"),
    (ppocr.Reader, "read"),
)
NEEDED = ("use-m3", "efficientnet-lite0", "yunet", "sface", "pp-ocr")

ROUNDS = 5
PEER_ROUNDS = 2  # the peers take long and are far from their limits
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


class Said:
    """Keeps what every model of the picture pass says while it is entered, and then says it again.

    spent_s: processor time of the models while they were listened to.
    """

    def __init__(self) -> None:
        self.spent_s = 0.0
        self._answers: list[object] = []
        self._next: Iterator[object] | None = None  # None while it listens
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> "Said":
        self._patch.setattr(runtime, "cores", lambda: 1)  # in the thread that asks
        for kind, method in MODEL_CALLS:
            self._patch.setattr(kind, method, self._said_by(getattr(kind, method)))
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()

    def listen(self) -> None:
        self.spent_s, self._answers, self._next = 0.0, [], None

    def again(self) -> None:
        self._next = iter(self._answers)

    def _said_by(self, call: Callable[..., object]) -> Callable[..., object]:
        def said(*arguments: object) -> object:
            if self._next is not None:
                return next(self._next)
            begun = time.thread_time()
            self._answers.append(call(*arguments))
            self.spent_s += time.thread_time() - begun
            return self._answers[-1]

        return said


def all_stages(path: Path) -> None:
    """Every stage of the picture pass, as the scanner runs it.

    Raises AssertionError if one fails.
    """
    said: list[Reply] = []
    with tempfile.TemporaryDirectory() as stills:
        options = Options(models=os.fsencode(MODELS.resolve()), roles=models.PROFILES["embedded"])
        scan = Scan(
            id=1,
            path=os.fsencode(path),
            stages=EVERY,
            options=options,
            stills=os.fsencode(stills),
        )
        Worker(STAGES, said.append).answer(scan)
    assert {one.stage for one in said if isinstance(one, StageDone)} == set(EVERY), said


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
    every = {"picture_pass": our_pass, "all_stages": all_stages}
    peers = {"pyscenedetect_content": content_alone, "separate_passes": separate_passes}
    over: dict[str, list[float]] = {name: [] for name in (*every, *peers)}
    floors = []
    with Said() as models_say:
        our_pass(path)  # imports, first allocations and loading models count for nobody
        all_stages(path)
        models_say.listen()
        whole = cpu_s(all_stages, path)
        for number in range(rounds):
            for name, work in {**every, **(peers if number < PEER_ROUNDS else {})}.items():
                models_say.again()
                before, took, after = (cpu_s(one, path) for one in (decode_only, work, decode_only))
                over[name].append(2 * took / (before + after))
                floors += [before, after]
    costs = {name: statistics.median(found) for name, found in over.items()}
    return {
        **{f"{name}_over_decode": cost for name, cost in costs.items()},
        **{f"{name}_over_all_stages": costs[name] / costs["all_stages"] for name in peers},
        "models_share_of_all_stages": models_say.spent_s / whole,
        "decode_cpu_s": statistics.median(floors),
    }


def measure(folder: Path) -> dict[str, float]:
    """Make a film in folder, compare on it, and return named figures for build/bench.json."""
    for name in NEEDED:
        if not models.present(MODELS, name):
            raise Skipped(f"the model {name} is not in build/models; `make test` brings it")
    film = make_film(folder / "picture-bench.mp4")
    return {f"picture.{name}": value for name, value in compare(film).items()}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(compare(Path(sys.argv[1])))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            print(measure(Path(scratch)))
