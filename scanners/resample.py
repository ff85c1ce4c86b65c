"""Makes a picture smaller or larger just as Pillow does, which is what towers were trained with.

OpenCV's own bilinear and bicubic filters look at the same few pixels however much smaller the
result is; Pillow widens the filter with the scale. The difference is visible to a model.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scanners.frames import Image

Matrix = NDArray[np.float32]
Filter = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def _triangle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Keys' cubic convolution with a = -0.5, zero from 2 on."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


FILTERS: dict[str, tuple[Filter, float]] = {  # with how far they reach
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
}


@lru_cache(maxsize=16)
def weights(old: int, new: int, way: str) -> Matrix:
    """Return (new, old): how much each old pixel counts for each new one. Rows add up to 1."""
    shape, reach = FILTERS[way]
    scale = old / new
    wide = max(scale, 1.0)
    centre = (np.arange(new) + 0.5) * scale
    first = np.floor(np.maximum(centre - reach * wide + 0.5, 0)).astype(int)
    last = np.floor(np.minimum(centre + reach * wide + 0.5, old)).astype(int)
    position = np.arange(old)
    inside = (position >= first[:, None]) & (position < last[:, None])
    rows = np.where(inside, shape((position + 0.5 - centre[:, None]) / wide), 0.0)
    return np.asarray(rows / rows.sum(axis=1, keepdims=True), np.float32)


def resample(rgb: Image, width: int, height: int, way: str) -> Image:
    """Return a picture, (height, width, 3), at another size. way: a key of FILTERS."""
    old_height, old_width = rgb.shape[:2]
    across = weights(old_width, width, way)
    down = weights(old_height, height, way)
    flat = rgb.transpose(1, 0, 2).reshape(old_width, -1).astype(np.float32)
    wide = _bytes(across @ flat).reshape(width, old_height, 3)
    tall = wide.transpose(1, 0, 2).reshape(old_height, -1).astype(np.float32)
    return _bytes(down @ tall).reshape(height, width, 3)


def _bytes(values: Matrix) -> Image:
    """Round as Pillow does between its two steps."""
    return np.asarray(np.clip(np.floor(values + 0.5), 0, 255), np.uint8)
