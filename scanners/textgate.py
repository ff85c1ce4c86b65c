"""Says cheaply where text may be, so that the finder looks there only and only when it may be new.

Text is many strokes close together: within a small window, edges from dark to light and from light
to dark, across and down, all at once. Foliage has that too, but less of it. Looked at in three
sizes, because a window fits letters of one size. What a line or a bare place looked like is
remembered, so that nothing is looked at twice while it stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from scanners.boxes import Box
from scanners.frames import Image

LEVELS = (
    640,
    320,
    160,
)  # px of the longest side; each fits letters twice as high as the one before
FINDER_SIDES = (640, 480, 320)  # px that the finder needs for what a level shows
EDGE = 40  # of 255, between the two neighbours of a pixel
ACROSS, DOWN = (25, 7), (25, 9)  # px of the windows in which edges are counted; at most 255 in each
PEAK = 38  # edges of each kind in a window of ACROSS: text; see scanners/README.md for the figures
FOOT = 21  # what belongs to it
MARGIN = 0.6  # of a band's height, above and below it
WHOLE = 0.7  # of the picture's height; more than that in bands is looked at in one
STAYS = 0.6  # correlation of the edges in a box: the same text on whatever moves behind it
BETTER = 6  # edges more than a bare place had: something new is on it
BARE_MS = 10_000  # after that a bare place gets another look

Edges = NDArray[np.int16]


class Band(NamedTuple):
    """Rows of the picture, over its whole width, that may hold text: a line is never cut in two.

    top, bottom: fractions of the height. side: px that the finder scales a whole picture's longest
    side to, for these letters. peak: how much like text it is.
    """

    top: float
    bottom: float
    side: int
    peak: int


@dataclass(frozen=True, slots=True)
class Patch:
    """What the edges in a box looked like."""

    box: Box
    edges: Edges


class _Bare(NamedTuple):
    """Rows in which the finder found nothing."""

    top: float
    bottom: float
    peak: int
    until_ms: int


class Gate:
    """Looks at one sample after the other."""

    def __init__(self) -> None:
        self._bare: list[_Bare] = []
        self._edges: Edges = np.zeros((1, 1), np.int16)

    def look(self, ms: int, rgb: Image, known: Sequence[Patch]) -> tuple[list[bool], list[Band]]:
        """Return which of the known patches are still there, and where else text may be."""
        luma = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
        levels = [_scaled(luma, LEVELS[0])]
        levels += [_scaled(levels[0], side) for side in LEVELS[1:]]
        every = [across(level) for level in levels]
        self._edges = every[0]
        there = [stays(patch, self._edges) for patch in known]
        shown = [patch.box for patch, still in zip(known, there, strict=True) if still]
        self._bare = [bare for bare in self._bare if bare.until_ms > ms]
        bands = [
            band
            for level, edges, side in zip(levels, every, FINDER_SIDES, strict=True)
            for band in _bands(_density(level, edges), side, shown)
            if not self._is_bare(band)
        ]
        return there, joined(bands)

    def patch(self, box: Box) -> Patch:
        """Return what the last sample shows in a box."""
        return Patch(box, np.array(_inside(self._edges, box), np.int16))

    def found_nothing(self, ms: int, band: Band) -> None:
        """Learn that there is no text in a band of the last sample."""
        self._bare.append(_Bare(band.top, band.bottom, band.peak, ms + BARE_MS))

    def cut(self) -> None:
        """Learn that another shot has begun: what was bare is no longer there."""
        self._bare.clear()

    def _is_bare(self, band: Band) -> bool:
        middle = (band.top + band.bottom) / 2
        return any(
            bare.top <= middle <= bare.bottom and band.peak < bare.peak + BETTER
            for bare in self._bare
        )


def across(luma: Image) -> Edges:
    """Return by how much the pixel at the right is lighter than the one at the left."""
    return np.asarray(cv2.Sobel(luma, cv2.CV_16S, 1, 0, ksize=1), np.int16)


def density(luma: Image) -> Image:
    """Return for each pixel how many edges of the rarest of four kinds are around it.

    Where no pixel comes to PEAK, only the first two kinds may have been looked at.
    """
    return _density(luma, across(luma))


def _density(luma: Image, edges: Edges) -> Image:
    """Return `density`. edges: across the luma."""
    found = _pairs(edges, ACROSS)
    if cv2.minMaxLoc(found)[1] < PEAK:  # most pictures without text end here
        return found
    # letters have half as many edges down as across; and their window is larger
    more = 2 * ACROSS[0] * ACROSS[1] / (DOWN[0] * DOWN[1])
    down = cv2.convertScaleAbs(_pairs(_down(luma), DOWN), alpha=more)
    return np.asarray(cv2.min(found, down), np.uint8)


def _pairs(edges: Edges, window: tuple[int, int]) -> Image:
    """Return how many edges of the rarer of two directions are in the window around a pixel."""
    pair = [
        cv2.boxFilter((way > EDGE).view(np.uint8), -1, window, normalize=False)
        for way in (edges, -edges)
    ]
    return np.asarray(cv2.min(*pair), np.uint8)


def stays(patch: Patch, edges: Edges) -> bool:
    """Say whether a box still shows what it showed."""
    now = _inside(edges, patch.box)
    if now.shape != patch.edges.shape or not now.size:
        return False
    one, other = patch.edges.astype(np.float32).ravel(), now.astype(np.float32).ravel()
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return lengths > 0 and float(one @ other) >= STAYS * lengths


def joined(bands: Sequence[Band]) -> list[Band]:
    """Return bands that do not overlap, from top to bottom; one if they cover most of it."""
    made: list[Band] = []
    for band in sorted(bands):
        if made and band.top <= made[-1].bottom:
            last = made[-1]
            made[-1] = Band(
                last.top,
                max(last.bottom, band.bottom),
                max(last.side, band.side),
                max(last.peak, band.peak),
            )
        else:
            made.append(band)
    if sum(band.bottom - band.top for band in made) <= WHOLE:
        return made
    return [Band(0.0, 1.0, max(b.side for b in made), max(b.peak for b in made))]


def _bands(counts: Image, side: int, shown: Sequence[Box]) -> list[Band]:
    """Return the rows of each place that is like text and not among the boxes."""
    for box in shown:
        _inside(counts, _wider(box))[:] = 0
    if counts.max() < PEAK:
        return []
    height = counts.shape[0]
    feet = (counts >= FOOT).astype(np.uint8)
    _, labels, facts, _ = cv2.connectedComponentsWithStats(feet)
    bands = []
    for label in np.unique(labels[counts >= PEAK]).tolist():
        left, top, wide, high, _ = facts[label].tolist()
        peak = int(counts[top : top + high, left : left + wide].max())
        margin = MARGIN * high + DOWN[1]
        ends = max(0.0, (top - margin) / height), min(1.0, (top + high + margin) / height)
        bands.append(Band(*ends, side, peak))
    return bands


def _down(luma: Image) -> Edges:
    return np.asarray(cv2.Sobel(luma, cv2.CV_16S, 0, 1, ksize=1), np.int16)


def _scaled(luma: Image, side: int) -> Image:
    """Return a picture whose longest side is at most `side` px."""
    scale = side / max(luma.shape)
    if scale >= 1:
        return luma
    size = (max(1, round(luma.shape[1] * scale)), max(1, round(luma.shape[0] * scale)))
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.uint8)


def _inside(values: NDArray[np.generic], box: Box) -> NDArray[np.generic]:
    """Return the part of an array that a box covers, as a view."""
    height, width = values.shape[:2]
    left, top = max(0, int(box[0] * width)), max(0, int(box[1] * height))
    right = min(width, round((box[0] + box[2]) * width))
    bottom = min(height, round((box[1] + box[3]) * height))
    return values[top : max(top, bottom), left : max(left, right)]


def _wider(box: Box) -> Box:
    """Return a box with the room around it in which its edges are still counted."""
    more = 0.5 * box[3]
    return box[0] - 2 * more, box[1] - more, box[2] + 4 * more, box[3] + 2 * more
