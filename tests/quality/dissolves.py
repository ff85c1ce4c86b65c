"""Are cuts and dissolves found? Real films and pictures, spliced so that the truth is known.

python -m tests.quality.dissolves
"""

import os
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from scanners.base import MediaInfo, Options, Scan, VideoStream
from scanners.dissolves import make_shots
from scanners.frames import SMALL, Image, SmallFrame
from tests import real_pictures
from tests.figures import Skipped

PIECE = 72  # frames
DISSOLVE = 16  # frames; every third transition is one, the others are cuts
CUT_TOLERANCE = 2  # frames
DISSOLVE_TOLERANCE = 10
FRAME_MS = 40
LIMITS = {
    "dissolves_cut_recall": ">= 1.00",
    "dissolves_dissolve_recall": ">= 0.75",
}
# a film and the frame it starts at, or a picture and how many px a frame the camera moves
PIECES: tuple[tuple[str, int], ...] = (
    ("trailer", 408),
    ("astronaut", 2),
    ("bikes", 115),
    ("coffee", 1),
    ("chelsea", 2),
    ("trailer", 648),
    ("rocket", 1),
    ("carphone", 0),
    ("motorcycle_left", 2),
    ("bigbuckbunny", 20),
    ("china", 1),
    ("trailer", 941),
    ("flower", 1),
)


def measure(folder: Path) -> dict[str, float]:
    """Return recall, 0..1, with TransNetV2 and (alone_...) without, and what it costs."""
    try:
        frames, cuts, dissolves = film()
    except real_pictures.Unreachable as reason:
        raise Skipped(str(reason)) from reason
    figures: dict[str, float] = {}
    for prefix, roles in (("alone", {}), ("dissolves", {"shots": "transnetv2"})):
        begun = time.process_time()
        found = shot_ends(frames, Options(models=os.fsencode(folder), roles=roles))
        spent = time.process_time() - begun
        figures[f"{prefix}_cut_recall"] = recall(cuts, found, CUT_TOLERANCE)
        figures[f"{prefix}_dissolve_recall"] = recall(dissolves, found, DISSOLVE_TOLERANCE)
        extra = [one for one in found if not near(one, [*cuts, *dissolves], DISSOLVE_TOLERANCE)]
        figures[f"{prefix}_others_found"] = float(len(extra))
        figures[f"{prefix}_frames_per_cpu_s"] = len(frames) / spent
    return figures


def film() -> tuple[list[Image], list[int], list[int]]:
    """Return its frames, BGR, and the frames at which cuts and the middles of dissolves lie."""
    frames: list[Image] = []
    cuts: list[int] = []
    dissolves: list[int] = []
    for number, (name, at) in enumerate(PIECES):
        piece = pan(name, at) if real_pictures.paths()[name].suffix != ".mp4" else clip(name, at)
        if number and number % 3 == 0:
            for step in range(DISSOLVE):
                share = (step + 1) / (DISSOLVE + 1)
                before = frames[step - DISSOLVE]
                mixed = cv2.addWeighted(before, 1 - share, piece[step], share, 0)
                frames[step - DISSOLVE] = np.asarray(mixed, np.uint8)
            dissolves.append(len(frames) - DISSOLVE // 2)
            piece = piece[DISSOLVE:]
        elif number:
            cuts.append(len(frames))
        frames += piece
    return frames, cuts, dissolves


def clip(name: str, first: int) -> list[Image]:
    frames: list[Image] = []
    with av.open(str(real_pictures.paths()[name])) as opened:
        for number, frame in enumerate(opened.decode(video=0)):
            if number >= first:
                bgr = cv2.resize(frame.to_ndarray(format="bgr24"), SMALL)
                frames.append(np.asarray(bgr, np.uint8))
            if len(frames) == PIECE:
                break
    return frames


def pan(name: str, speed: int) -> list[Image]:
    bgr = cv2.resize(cv2.imread(str(real_pictures.paths()[name]), cv2.IMREAD_COLOR), (420, 300))
    width, height = SMALL
    return [
        np.ascontiguousarray(
            bgr[10 + at * speed // 2 :][:height, 10 + at * speed :][:, :width], np.uint8
        )
        for at in range(PIECE)
    ]


def shot_ends(frames: Sequence[Image], options: Options) -> list[int]:
    """Return the frames at which shots end, but for the last."""
    video = VideoStream(index=0, codec="none", width=SMALL[0], height=SMALL[1], fps=25.0)
    media = MediaInfo(container="none", duration_ms=len(frames) * FRAME_MS, video=video)
    stage = make_shots(Scan(id=1, path=b"", stages=("shots",), options=options), media)
    found = []
    for number, bgr in enumerate(frames):
        luma = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)
        ms = number * FRAME_MS
        small = SmallFrame(ms=ms, pts=number, time_base=Fraction(1, 25), bgr=bgr, luma=luma)
        found += list(stage.frame(small))
    found += list(stage.finish(len(frames) * FRAME_MS))
    return [shot.end_ms // FRAME_MS for shot in found[:-1]]  # type: ignore[union-attr]


def near(frame: int, others: Sequence[int], tolerance: int) -> bool:
    return any(abs(frame - other) <= tolerance for other in others)


def recall(wanted: Sequence[int], found: Sequence[int], tolerance: int) -> float:
    return float(np.mean([near(one, found, tolerance) for one in wanted]))


if __name__ == "__main__":
    for figure, value in measure(Path("build")).items():
        print(f"{figure:40} {value:.3f}")
