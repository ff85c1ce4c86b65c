"""Finds faces with YuNet: small and large ones, and those that the picture's edge cuts off.

The ONNX file wants 640 x 640 pixels, so one run looks twice: at the picture, and beside it, in the
room that is left, at a small copy with mirrored borders. Weak small faces of the first look are
looked at again in full size. OpenCV's own FaceDetectorYN gives the same numbers at 3.4 times the
CPU time per pixel (scanners/README.md), and neither second look.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from scanners.frames import Image
from scanners.runtime import Session

CANVAS = 640  # px, both ways: what the model file takes
MAIN_SHORT = 480  # px; the picture's shorter side at most, so that room is left for the copy
GAP = 8  # px between the two looks
BORDER = 0.2  # of the copy's sides; that much mirrored picture is added on each
SCORE = 0.7  # of the detector, from 0 to 1
HINT = 0.3  # a weak find that is worth a closer look: finds 99 % of faces of 18 px, see README
SMALL = 30  # px of the canvas; below it a find is a hint
OVERLAP = 0.3  # intersection over union of two finds of one face
INSIDE = 0.6  # of the smaller box; a part of a face lies that much inside the whole
VISIBLE = 0.5  # of a face's box that must lie in the picture: less is a mirror image
MAX_CLOSE_LOOKS = 2  # two windows of 640 px cover a picture of 960 x 540
STRIDES = (8, 16, 32)  # px between the anchors of the three output levels

Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """A face in a picture, in px of it. landmarks: (5, 2): the eye that is left in the picture, the
    other eye, the nose, both corners of the mouth."""

    x: float
    y: float
    width: float
    height: float
    landmarks: Numbers
    score: float


class _Look(NamedTuple):
    """How a part of the canvas maps to the picture: picture = (canvas - at) / scale + origin."""

    scale: float
    at: tuple[float, float]
    origin: tuple[float, float]
    area: tuple[int, int, int, int]  # left, top, right, bottom on the canvas

    def rows(self, rows: Numbers) -> Numbers:
        """Return the finds whose middle lies in this part, in px of the picture."""
        middle_x, middle_y = rows[:, 0] + rows[:, 2] / 2, rows[:, 1] + rows[:, 3] / 2
        left, top, right, bottom = self.area
        mine = (middle_x >= left) & (middle_x < right) & (middle_y >= top) & (middle_y < bottom)
        moved = rows[mine].copy()
        for column in (0, 1, *range(4, 14)):
            way = column % 2
            moved[:, column] = (moved[:, column] - self.at[way]) / self.scale + self.origin[way]
        moved[:, 2:4] /= self.scale
        return moved


class YuNet:
    """The detector. session: with the model file in it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._outputs = [
            f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES
        ]

    def find(self, rgb: Image) -> list[Detected]:
        """Return the faces in a picture (height, width, 3), the surest first.

        Blocks some 20 ms on one core; up to 60 ms if small faces are likely.
        """
        height, width = rgb.shape[:2]
        if min(height, width) < 16:
            return []
        main, copy, canvas = _first_canvas(rgb)
        rows = self._run(canvas, HINT)
        first = main.rows(rows)
        sure = [first[first[:, 14] >= SCORE], *self._closer(rgb, first, main.scale)]
        mirrored = copy.rows(rows[rows[:, 14] >= SCORE])
        sure.append(mirrored[_visible(mirrored, width, height)])
        return [_detected(row) for row in distinct(np.concatenate(sure))]

    def _closer(self, rgb: Image, rows: Numbers, scale: float) -> list[Numbers]:
        """Look again, in full size, where small faces may be. rows: in px of the picture."""
        if scale >= 1:
            return []
        hints = rows[rows[:, 3] * scale < SMALL]
        looks: list[_Look] = []
        for row in hints[np.argsort(-hints[:, 14])]:
            if len(looks) == MAX_CLOSE_LOOKS:
                break
            if not any(_covers(look, row) for look in looks):
                looks.append(_window(rgb, row))
        return [look.rows(self._run(_cut(rgb, look), SCORE)) for look in looks]

    def _run(self, canvas: Image, score: float) -> Numbers:
        """Return (n, 15): x, y, width, height, five landmarks, score; in px of the canvas."""
        bgr = canvas[:, :, ::-1].transpose(2, 0, 1)[None]
        feed = {"input": np.ascontiguousarray(bgr, dtype=np.float32)}
        outputs = self._session.run(feed, self._outputs)
        levels = [_decode(outputs[level::3], stride, score) for level, stride in enumerate(STRIDES)]
        return distinct(np.concatenate(levels))


def _decode(outputs: Sequence[Numbers], stride: int, score: float) -> Numbers:
    """Turn one level's outputs into rows. Formulas: OpenCV, modules/objdetect, face_detect.cpp."""
    classes, objects, boxes, points = (output[0] for output in outputs)
    scores = np.sqrt(np.clip(classes[:, 0], 0, 1) * np.clip(objects[:, 0], 0, 1))
    kept = np.flatnonzero(scores >= score)
    cells = np.stack([kept % (CANVAS // stride), kept // (CANVAS // stride)], axis=1)
    middles = (cells + boxes[kept, :2]) * stride
    sizes = np.exp(boxes[kept, 2:]) * stride
    landmarks = (points[kept].reshape(-1, 5, 2) + cells[:, None]) * stride
    parts = [middles - sizes / 2, sizes, landmarks.reshape(-1, 10), scores[kept, None]]
    return np.concatenate(parts, axis=1).astype(np.float32)


def distinct(rows: Numbers) -> Numbers:
    """Return the rows without those that show the face of a surer one, the surest first."""
    kept: list[Numbers] = []
    for row in rows[np.argsort(-rows[:, 14], kind="stable")]:
        if not any(_same_face(row, other) for other in kept):
            kept.append(row)
    return np.stack(kept) if kept else np.zeros((0, 15), np.float32)


def _same_face(one: Numbers, other: Numbers) -> bool:
    wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    high = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return False
    shared, areas = wide * high, (one[2] * one[3], other[2] * other[3])
    return bool(shared > OVERLAP * (sum(areas) - shared) or shared > INSIDE * min(areas))


def _visible(rows: Numbers, width: int, height: int) -> NDArray[np.bool_]:
    """Say which boxes lie in the picture: their middle and at least half of their area."""
    left, top = np.maximum(rows[:, 0], 0), np.maximum(rows[:, 1], 0)
    right = np.minimum(rows[:, 0] + rows[:, 2], width)
    bottom = np.minimum(rows[:, 1] + rows[:, 3], height)
    shown = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
    middle_x, middle_y = rows[:, 0] + rows[:, 2] / 2, rows[:, 1] + rows[:, 3] / 2
    inside = (middle_x >= 0) & (middle_x < width) & (middle_y >= 0) & (middle_y < height)
    return np.asarray(inside & (shown >= VISIBLE * rows[:, 2] * rows[:, 3]), np.bool_)


def _detected(row: Numbers) -> Detected:
    x, y, width, height = (float(value) for value in row[:4])
    landmarks = row[4:14].reshape(5, 2)
    return Detected(
        x=x, y=y, width=width, height=height, landmarks=landmarks, score=float(min(row[14], 1))
    )


# --- what the model is shown ---------------------------------------------------------------------


def _first_canvas(rgb: Image) -> tuple[_Look, _Look, Image]:
    """Return the picture at the top left of a canvas and its small copy in the room beside it."""
    height, width = rgb.shape[:2]
    scale = min(1.0, CANVAS / max(width, height), MAIN_SHORT / min(width, height))
    canvas = np.zeros((CANVAS, CANVAS, 3), np.uint8)
    picture = _resized(rgb, scale)
    high, wide = picture.shape[:2]
    canvas[:high, :wide] = picture
    main = _Look(scale, (0.0, 0.0), (0.0, 0.0), (0, 0, wide, high))

    left, top = (0, high + GAP) if width >= height else (wide + GAP, 0)
    room_wide, room_high = CANVAS - left, CANVAS - top
    whole = 1 + 2 * BORDER
    small = min(scale, room_wide / (whole * width + 2), room_high / (whole * height + 2))
    copy = _resized(picture, small / scale)
    border_y, border_x = int(copy.shape[0] * BORDER), int(copy.shape[1] * BORDER)
    copy = np.asarray(
        cv2.copyMakeBorder(copy, border_y, border_y, border_x, border_x, cv2.BORDER_REFLECT_101),
        np.uint8,
    )[:room_high, :room_wide]
    right, bottom = left + copy.shape[1], top + copy.shape[0]
    canvas[top:bottom, left:right] = copy
    at = (float(left + border_x), float(top + border_y))
    return main, _Look(small, at, (0.0, 0.0), (left, top, right, bottom)), canvas


def _resized(rgb: Image, scale: float) -> Image:
    if scale == 1:
        return rgb
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR  # the quick one, where it is enough
    return np.asarray(cv2.resize(rgb, size, interpolation=way), np.uint8)


def _window(rgb: Image, row: Numbers) -> _Look:
    """Return a window in full size with a find in its middle, or as near as the picture allows."""
    height, width = rgb.shape[:2]
    left = int(np.clip(row[0] + row[2] / 2 - CANVAS / 2, 0, max(0, width - CANVAS)))
    top = int(np.clip(row[1] + row[3] / 2 - CANVAS / 2, 0, max(0, height - CANVAS)))
    area = (0, 0, min(CANVAS, width - left), min(CANVAS, height - top))
    return _Look(1.0, (0.0, 0.0), (float(left), float(top)), area)


def _covers(look: _Look, row: Numbers) -> bool:
    left, top = look.origin
    inside_x = left <= row[0] and row[0] + row[2] <= left + look.area[2]
    return bool(inside_x and top <= row[1] and row[1] + row[3] <= top + look.area[3])


def _cut(rgb: Image, look: _Look) -> Image:
    left, top = (int(value) for value in look.origin)
    _, _, wide, high = look.area
    canvas = np.zeros((CANVAS, CANVAS, 3), np.uint8)
    canvas[:high, :wide] = rgb[top : top + high, left : left + wide]
    return canvas
