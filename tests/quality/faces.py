"""Faces on real footage: are tracks pure and whole, are faces found, are people told apart?

A film is spliced of talking heads, photos that are panned over, and two films side by side, so that
who is where is known by construction. It goes through the real picture pass.

    python -m tests.quality.faces
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import av
import cv2
import numpy as np

from scanners.base import Options, StageInfo, Track
from scanners.boxes import Box
from scanners.faces import Faces, load
from scanners.yunet import YuNet
from tests.figures import Skipped
from tests.quality.splice import Result, Rgb, fit, read, scan, write_film
from tests.real_faces import Footage, Unreachable, footage

SIZE = (960, 540)  # px
FPS = 25
FACES = StageInfo("scanners.faces:Faces", 1, "picture", ("shots",), "face_embedding")
NAMEABLE = 28  # px; smaller faces are not asked for
LIMITS = {
    "faces_track_purity": ">= 0.98",
    "faces_track_completeness": ">= 0.9",
    "faces_detection_recall": ">= 0.98",
    "faces_auc": ">= 0.99",
}

Truth = dict[str, Box]  # person -> where the face is, or the part of the picture it must be in


@dataclass(frozen=True, slots=True)
class Piece:
    """A shot: its length in s, its picture at a time in s, and who is where then."""

    seconds: float
    picture: Callable[[float], Rgb]
    truth: Callable[[float], Truth]


# --- the film ------------------------------------------------------------------------------------


def clip(
    path: Path, start: float, seconds: float, person: str, size: tuple[int, int] = SIZE
) -> Piece:
    """Return a piece of a film of one person, scaled to fit."""
    frames: list[Rgb] = []
    with av.open(str(path)) as film:
        film.seek(round(start * 1_000_000))
        for frame in film.decode(video=0):
            if frame.time is not None and frame.time >= start + len(frames) / FPS:
                frames.append(fit(frame.to_ndarray(format="rgb24"), size))
            if len(frames) >= seconds * FPS:
                break
    return Piece(
        len(frames) / FPS,
        lambda at: frames[min(len(frames) - 1, round(at * FPS))],
        lambda at: {person: (0.0, 0.0, 1.0, 1.0)},
    )


def beside(left: Piece, right: Piece, names: tuple[str, str]) -> Piece:
    """Return two pieces of half the width in one picture."""
    halves = ((0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0))
    return Piece(
        min(left.seconds, right.seconds),
        lambda at: np.hstack([left.picture(at), right.picture(at)]),
        lambda at: dict(zip(names, halves, strict=True)),
    )


def pan(path: Path, people: dict[str, Box], seconds: float, spans: Sequence[Box]) -> Piece:
    """Move a window over a photo, from span to span. spans and people: fractions of the photo."""
    rgb = read(path)
    high, wide = rgb.shape[:2]

    def window(at: float) -> Box:
        place = min(at / seconds, 1.0) * (len(spans) - 1)
        number = min(int(place), len(spans) - 2)
        part = place - number
        one, other = spans[number], spans[number + 1]
        mixed = [a + (b - a) * part for a, b in zip(one, other, strict=True)]
        width = mixed[2] * wide
        height = width * SIZE[1] / SIZE[0]  # in px of the photo, whatever the span says
        return mixed[0] * wide, mixed[1] * high, width, height

    def picture(at: float) -> Rgb:
        x, y, width, _ = window(at)
        scale = SIZE[0] / width
        matrix = np.array([[scale, 0, -x * scale], [0, scale, -y * scale]])
        if scale < 1:
            small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            matrix = np.array([[1, 0, -x * scale], [0, 1, -y * scale]])
            return np.asarray(cv2.warpAffine(small, matrix, SIZE), np.uint8)
        return np.asarray(cv2.warpAffine(rgb, matrix, SIZE), np.uint8)

    def truth(at: float) -> Truth:
        x, y, width, height = window(at)
        return {
            name: (
                (box[0] * wide - x) / width,
                (box[1] * high - y) / height,
                box[2] * wide / width,
                box[3] * high / height,
            )
            for name, box in people.items()
        }

    return Piece(seconds, picture, truth)


def whole(box: Box) -> bool:
    """Say whether nearly all of a box lies in the picture."""
    wide = min(1.0, box[0] + box[2]) - max(0.0, box[0])
    high = min(1.0, box[1] + box[3]) - max(0.0, box[1])
    return wide > 0 and high > 0 and wide * high >= 0.9 * box[2] * box[3]


def photo_people(path: Path, name: str, detector: YuNet) -> dict[str, Box]:
    """Return where the faces of a photo are, found once in full size; several get numbers."""
    rgb = read(path)
    high, wide = rgb.shape[:2]
    found = sorted(detector.find(rgb), key=lambda one: one.x)
    boxes = [(one.x / wide, one.y / high, one.width / wide, one.height / high) for one in found]
    return {name if len(boxes) == 1 else f"{name}{n}": box for n, box in enumerate(boxes)}


def pieces(real: Footage, detector: YuNet) -> Iterator[Piece]:
    """Give the shots of the film."""
    franck, (cap12, cap13) = real.talking["franck"][0], real.talking["cap"]
    for turn in range(3):  # shot and reverse shot
        yield clip(franck, 10 + 20 * turn, 7, "franck")
        yield clip(cap12, 2 + 12 * turn, 7, "cap")
    yield clip(cap13, 2, 12, "cap")
    yield clip(franck, 100, 25, "franck")
    half = (SIZE[0] // 2, SIZE[1])
    yield beside(
        clip(franck, 140, 12, "franck", half), clip(cap13, 14, 12, "cap", half), ("franck", "cap")
    )
    for person, photos in real.photos.items():
        for photo in photos:
            people = photo_people(photo, person, detector)
            x, y, wide, high = people[person]
            close = (max(0.0, x - wide), max(0.0, y - high / 2), min(1.0, 3 * wide), 1.0)
            yield pan(photo, people, 5, ((0, 0, 1, 1), close, (0, 0, 1, 1)))
    group = photo_people(real.group, "group", detector)
    left, right = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0)
    yield pan(real.group, group, 12, (left, right, left))  # people leave and come back
    yield pan(real.group, group, 6, ((0, 0, 1, 1), (0.05, 0.05, 0.9, 1)))
    yield pan(real.group, group, 6, ((-0.5, -0.4, 2, 1), (-0.6, -0.5, 2.2, 1)))  # small faces


def frames(shots: Sequence[Piece]) -> Iterator[Rgb]:
    """Give the pictures of the shots one after the other."""
    for shot in shots:
        for index in range(round(shot.seconds * FPS)):
            yield shot.picture(index / FPS)


# --- scanning and judging ------------------------------------------------------------------------


def judge(shots: Sequence[Piece], result: Result) -> dict[str, float]:
    """Return the figures of one film."""
    starts = np.cumsum([0.0, *(round(shot.seconds * FPS) / FPS for shot in shots)])

    def who(ms: int) -> tuple[int, Truth]:
        number = int(np.searchsorted(starts, ms / 1000 + 1e-6, side="right")) - 1
        number = min(number, len(shots) - 1)
        return number, shots[number].truth(ms / 1000 - starts[number])

    named: list[tuple[str, Track]] = []
    pure = shown = 0
    whole_of: dict[tuple[int, int, str], Counter[int]] = {}
    seen: set[tuple[int, str]] = set()
    false = 0
    tracks = [one for one in result.findings if isinstance(one, Track)]
    for index, track in enumerate(tracks):
        scene = next(n for n, one in enumerate(result.scenes) if track.start_ms < one.end_ms)
        names: Counter[str] = Counter()
        for box in track.boxes:
            shot, truth = who(box.at_ms)
            name = match((box.x, box.y, box.width, box.height), truth)
            if name is None:
                false += 1
                continue
            names[name] += 1
            seen.add((box.at_ms, name))
            whole_of.setdefault((scene, shot, name), Counter())[index] += 1
        if names:
            name, most = names.most_common(1)[0]
            pure, shown = pure + most, shown + sum(names.values())
            named.append((name, track))
    expected = {(ms, name) for ms in result.samples for name in nameable(who(ms)[1])}
    parts = [max(counts.values()) for counts in whole_of.values()]
    return {
        "faces_track_purity": pure / shown,
        "faces_track_completeness": sum(parts)
        / sum(map(sum, (c.values() for c in whole_of.values()))),
        "faces_detection_recall": len(seen & expected) / len(expected),
        "faces_not_there": float(false),
        "faces_expected": float(len(expected)),
        "faces_tracks": float(len(tracks)),
        "faces_tracks_rejected": float(sum(bool(track.reject) for track in tracks)),
        **separation(named),
    }


def nameable(truth: Truth) -> list[str]:
    """Return who must be found: whole in the picture and large enough to be named."""
    return [name for name, box in truth.items() if whole(box) and box[3] * SIZE[1] >= NAMEABLE]


def match(box: Box, truth: Truth) -> str | None:
    """Return whose face a box is: the person whose place its middle lies in, the nearest one."""
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    near = {
        name: abs(place[0] + place[2] / 2 - x)
        for name, place in truth.items()
        if place[0] <= x < place[0] + place[2] and place[1] <= y < place[1] + place[3]
    }
    return min(near, key=near.__getitem__, default=None)


def separation(named: Sequence[tuple[str, Track]]) -> dict[str, float]:
    """Return how tracks of the same and of different people compare, by the vectors they keep."""
    able = [
        (name, np.frombuffer(track.vector, "<f2").astype(np.float32))
        for name, track in named
        if track.vector
    ]
    same, other = [], []
    for (one, left), (two, right) in combinations(able, 2):
        (same if one == two else other).append(float(left @ right))
    pairs = np.array(same)[:, None] > np.array(other)[None]
    return {
        "faces_same_mean": float(np.mean(same)),
        "faces_same_least": min(same),
        "faces_other_mean": float(np.mean(other)),
        "faces_other_p99": float(np.quantile(other, 0.99)),
        "faces_other_most": max(other),
        "faces_auc": float(pairs.mean()),
        "faces_same_pairs": float(len(same)),
        "faces_other_pairs": float(len(other)),
    }


def measure(folder: Path) -> dict[str, float]:
    """Return the figures. folder: for the film, which nobody keeps."""
    options = Options(models=bytes(folder), threads=1)
    detector, _ = load(options)
    try:
        shots = list(pieces(footage(), detector))
    except Unreachable as error:
        raise Skipped(str(error)) from error
    path = folder / "faces.mp4"
    write_film(path, frames(shots), size=SIZE, fps=FPS)
    result = scan(path, Faces, FACES, options)
    figures = judge(shots, result)
    figures["faces_cpu_ms_per_scene"] = result.cpu_ms / len(result.scenes)
    figures["faces_cpu_ms_per_sample"] = result.cpu_ms / len(result.samples)
    figures["faces_film_s"] = sum(shot.seconds for shot in shots)
    return figures


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        for figure, value in measure(Path(made)).items():
            print(f"{figure:28} {value:.4g}")
