"""Cuts on the real demo footage, beside PySceneDetect's own detectors on the same films.

A cut counts as found within two frames of the truth. What is found inside a dissolve is right, too;
dissolves that were found are counted on their own.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from scenedetect import detect
from scenedetect.detectors import AdaptiveDetector, ContentDetector

from scanners import demo
from scanners.base import STAGES, Found, Options, Reply, Scan, Shot
from scanners.worker import Worker

TOLERANCE = 2  # frames
LIMITS: dict[str, str] = {"shots.f1_to_content": ">= 1", "shots.f1_to_adaptive": ">= 1"}


class Truth(msgspec.Struct, frozen=True):
    """What is true of a film of the demo library; cuts and dissolves in frames."""

    path: str
    fps: int
    frames: int
    cuts: list[int]
    gradual: list[tuple[int, int]]
    said: str = ""


@dataclass(slots=True)
class Tally:
    right: int = 0
    wrong: int = 0
    missed: int = 0
    dissolves: int = 0
    dissolves_found: int = 0

    def add(self, truth: Truth, found: list[int]) -> None:
        """Count the cuts found in one film; each true cut is matched once."""
        left = list(truth.cuts)
        for cut in found:
            near = [one for one in left if abs(one - cut) <= TOLERANCE]
            if near:
                left.remove(min(near, key=lambda one: abs(one - cut)))
                self.right += 1
            elif not any(
                first - TOLERANCE <= cut <= last + TOLERANCE for first, last in truth.gradual
            ):
                self.wrong += 1
        self.missed += len(left)
        for first, last in truth.gradual:
            self.dissolves += 1
            self.dissolves_found += any(
                first - TOLERANCE <= cut <= last + TOLERANCE for cut in found
            )

    @property
    def f1(self) -> float:
        return 2 * self.right / max(1, 2 * self.right + self.wrong + self.missed)


def truths(library: Path) -> list[Truth]:
    return msgspec.json.decode((library / "truth.json").read_bytes(), type=list[Truth])


def ours(film: Path, fps: int) -> list[int]:
    """Return the first frame of each shot but the first, by the real picture pass."""
    heard: list[Reply] = []
    scan = Scan(id=1, path=os.fsencode(film), stages=("shots", "scenes"), options=Options())
    Worker(STAGES, heard.append).answer(scan)
    starts = [
        finding.start_ms
        for reply in heard
        if isinstance(reply, Found)
        for finding in reply.findings
        if isinstance(finding, Shot)
    ]
    return [round(ms * fps / 1000) for ms in starts if ms > 0]


def theirs(detector: Callable[[], object]) -> Callable[[Path, int], list[int]]:
    def found(film: Path, _fps: int) -> list[int]:
        scenes = detect(str(film), detector())
        return [start.frame_num for start, _end in scenes if start.frame_num > 0]

    return found


def measure(folder: Path) -> dict[str, float]:
    library = folder / "demo"
    demo.assemble(library, lambda _line: None)
    peers: dict[str, Callable[[Path, int], list[int]]] = {
        "ours": ours,
        "content": theirs(ContentDetector),
        "adaptive": theirs(AdaptiveDetector),
    }
    tallies = {name: Tally() for name in peers}
    for truth in truths(library):
        for name, find in peers.items():
            tallies[name].add(truth, find(library / truth.path, truth.fps))
    figures: dict[str, float] = {"shots.true_cuts": tallies["ours"].right + tallies["ours"].missed}
    for name, tally in tallies.items():
        figures[f"shots.f1_{name}"] = tally.f1
        figures[f"shots.wrong_{name}"] = tally.wrong
        figures[f"shots.dissolves_{name}"] = tally.dissolves_found
    figures["shots.dissolves"] = tallies["ours"].dissolves
    figures["shots.f1_to_content"] = tallies["ours"].f1 / max(1e-9, tallies["content"].f1)
    figures["shots.f1_to_adaptive"] = tallies["ours"].f1 / max(1e-9, tallies["adaptive"].f1)
    return figures


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(measure(Path(scratch)), indent=1))
