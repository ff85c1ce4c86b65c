"""Reads text with PP-OCR: finds its lines, then reads each of them.

The models are those of RapidOCR's wheel; its code is not needed for them. Finding is "Real-time
Scene Text Detection with Differentiable Binarization" (Liao et al. 2020): a map of how likely each
pixel is inside a line of text. Reading is CTC: a character or nothing for each narrow column.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scanners.base import StageError
from scanners.frames import Image
from scanners.runtime import Session

SCRIPTS = "Latin, Chinese, Japanese (kana and kanji); no Hangul, Cyrillic, Arabic or Devanagari"
"""What the shipped recogniser reads. Greek is in its list only as single letters of formulas."""

INSIDE = 0.3  # of the map: a pixel belongs to text. This and the next three: RapidOCR's settings
LIKELY = 0.5  # mean of the map within a line
GROW = 1.6  # the map marks the core of a line; this brings the rim back
MIN_CORE = 3  # px of the map; thinner cores are specks
MIN_SIDE = 4  # px of the picture
MULTIPLE = 32  # px; the finder takes no other sizes
MAX_LINES = (
    60  # of a picture, the surest: credits have some 30, a page of a book is no on-screen text
)
HEIGHT = 48  # px; every line is read at that height
MIN_WIDTH = 96  # px; a shorter line is padded
MAX_WIDTH = 1_600  # px; a longer line is squeezed
UPRIGHT = 1.5  # a line that much higher than wide is read from top to bottom
BLANK = 0  # the number of "no character"

Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Where a line of text is: (4, 2) corners in px, clockwise from the top left. score: 0 to 1."""

    corners: Numbers
    score: float


class Finder:
    """Finds lines of text."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._input = next(iter(session.inputs))

    def find(self, rgb: Image, side: int) -> list[Area]:
        """Return the lines of a picture, from top to bottom.

        side: px that its longest side is scaled down to. Blocks 0.3 s on one core at 480 x 270, and
        in proportion to the area.
        """
        scaled = _for_finder(rgb, side)
        bgr = scaled[:, :, ::-1].astype(np.float32) / 127.5 - 1
        tensor = np.ascontiguousarray(bgr.transpose(2, 0, 1)[None])
        likely = np.asarray(self._session.run({self._input: tensor})[0][0, 0], np.float32)
        factor = np.array([rgb.shape[1] / likely.shape[1], rgb.shape[0] / likely.shape[0]])
        areas = [
            Area(corners=np.asarray(corners * factor, np.float32), score=score)
            for corners, score in _cores(likely)
            if min(_sides(corners * factor)) >= MIN_SIDE
        ]
        areas = sorted(areas, key=lambda area: -area.score)[:MAX_LINES]
        return sorted(areas, key=lambda area: (area.corners[:, 1].min(), area.corners[:, 0].min()))


class Reader:
    """Reads lines of text. characters: of the model's outputs from 1 on; 0 is none.

    Most models know the space besides, as their last character.
    """

    def __init__(self, session: Session, characters: Sequence[str]) -> None:
        self._session = session
        self._input = next(iter(session.inputs))
        self._characters = characters

    def read(self, rgb: Image, area: Area) -> tuple[str, float]:
        """Return the text of a line and how sure it is, from 0 to 1.

        Blocks some 0.1 s on one core. Raises StageError if the model has other characters.
        """
        line = _for_reader(_cut(rgb, area.corners))
        bgr = line[:, :, ::-1].astype(np.float32) / 127.5 - 1
        tensor = np.ascontiguousarray(bgr.transpose(2, 0, 1)[None])
        columns = np.asarray(self._session.run({self._input: tensor})[0][0], np.float32)
        return decode(columns, self._known(columns.shape[1] - 1))

    def _known(self, count: int) -> Sequence[str]:
        """Return the model's characters, with the space if it knows one."""
        listed = len(self._characters)
        if count not in (listed, listed + 1):
            raise StageError(
                f"the text model knows {count} characters and its list has {listed};"
                " bring the list that belongs to it"
            )
        return self._characters if count == listed else [*self._characters, " "]


def decode(columns: Numbers, characters: Sequence[str]) -> tuple[str, float]:
    """Return the text and the mean likelihood of its characters. columns: (n, characters + 1).

    CTC: one character for each run of the same most likely number; BLANK is none.
    """
    best = columns.argmax(axis=1)
    new = np.append(True, best[1:] != best[:-1]) & (best != BLANK)
    if not new.any():
        return "", 0.0
    text = "".join(characters[number - 1] for number in best[new])
    return text, float(columns.max(axis=1)[new].mean())


def characters_of(session: Session, listed: Path | None = None) -> list[str]:
    """Return the characters of a recogniser: of the file that lies with it, or those inside it;
    without the space.

    Raises StageError if there are none.
    """
    if listed is not None:
        lines = listed.read_text(encoding="utf-8").split("\n")
        characters = [line.rstrip("\r") for line in lines]
        characters = characters[:-1] if characters[-1] == "" else characters
    else:
        characters = session.metadata().get("character", "").splitlines()
    if not characters:
        raise StageError("the text model does not say which characters it knows")
    return characters


# --- finding -------------------------------------------------------------------------------------


def _for_finder(rgb: Image, side: int) -> Image:
    height, width = rgb.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = [max(MULTIPLE, round(one * scale / MULTIPLE) * MULTIPLE) for one in (width, height)]
    if size == [width, height]:
        return rgb
    way = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, size, interpolation=way), np.uint8)


def _cores(likely: Numbers) -> list[tuple[Numbers, float]]:
    """Return the corners of every line in a map, grown to the line's rim, and its likelihood."""
    mask = cv2.dilate((likely > INSIDE).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    cores = []
    for contour in contours:
        middle, (wide, high), angle = cv2.minAreaRect(contour)
        if min(wide, high) < MIN_CORE:
            continue
        core = np.asarray(cv2.boxPoints((middle, (wide, high), angle)), np.float32)
        score = _mean_inside(likely, core)
        if score >= LIKELY:
            more = GROW * wide * high / (wide + high)  # both sides together: 2 x area / perimeter
            grown = cv2.boxPoints((middle, (wide + more, high + more), angle))
            cores.append((_clockwise(np.asarray(grown, np.float32), likely.shape), score))
    return cores


def _mean_inside(likely: Numbers, corners: Numbers) -> float:
    height, width = likely.shape
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (width - 1, height - 1))
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, (width - 1, height - 1))
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [(corners - (left, top)).astype(np.int32)], 1)
    return float(cv2.mean(likely[top : bottom + 1, left : right + 1], mask)[0])


def _clockwise(corners: Numbers, shape: tuple[int, ...]) -> Numbers:
    """Return the corners within the map, clockwise from the top left."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left = by_x[:2][np.argsort(by_x[:2, 1])]
    right = by_x[2:][np.argsort(by_x[2:, 1])]
    ordered = np.stack([left[0], right[0], right[1], left[1]])
    return np.asarray(np.clip(ordered, 0, (shape[1], shape[0])), np.float32)


def _sides(corners: Numbers) -> tuple[float, float]:
    """Return the width and the height of four corners."""
    width = float(np.linalg.norm(corners[1] - corners[0]))
    return width, float(np.linalg.norm(corners[3] - corners[0]))


# --- reading -------------------------------------------------------------------------------------


def _cut(rgb: Image, corners: Numbers) -> Image:
    """Return a line, straightened; one from top to bottom is laid on its side."""
    width, height = (max(1, round(side)) for side in _sides(corners))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, target)
    line = cv2.warpPerspective(
        rgb, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    if height >= UPRIGHT * width:
        line = cv2.rotate(line, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return np.asarray(line, np.uint8)


def _for_reader(line: Image) -> Image:
    """Return a line at the height that the model reads, grey behind its end if it is short."""
    height, width = line.shape[:2]
    wide = min(MAX_WIDTH, max(1, math.ceil(HEIGHT * width / height)))
    out = np.full((HEIGHT, max(MIN_WIDTH, wide), 3), 127, np.uint8)
    out[:, :wide] = cv2.resize(line, (wide, HEIGHT))
    return out
