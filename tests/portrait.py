"""One free portrait, and pictures that are made of it, for the tests of faces."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scanners import models

DATA = Path(__file__).parent / "data"
ASSETS = models.ASSETS / "faces"
FACE_HIGH = 0.355  # of the portrait's height, as YuNet sees it
FACE_MIDDLE = (0.404, 0.372)

Image = NDArray[np.uint8]


@cache
def eileen() -> Image:
    """Return Eileen Collins, 320 x 320, RGB."""
    bgr = cv2.imread(str(DATA / "astronaut.jpg"))
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def scaled(rgb: Image, factor: float) -> Image:
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=way), np.uint8)


def placed(rgb: Image, x: int, y: int, size: tuple[int, int] = (960, 540)) -> Image:
    """Return a grey picture (width, height) with another in it; what lies outside is cut off."""
    wide, high = size
    out = np.full((high + 2000, wide + 2000, 3), 96, np.uint8)
    out[y + 1000 : y + 1000 + rgb.shape[0], x + 1000 : x + 1000 + rgb.shape[1]] = rgb
    return np.ascontiguousarray(out[1000 : 1000 + high, 1000 : 1000 + wide])
