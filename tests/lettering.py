"""Pictures with and without text, for the tests of on-screen text."""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
SIZE = (960, 540)


def clouds(seed: int = 1, size: tuple[int, int] = SIZE, shift: int = 0) -> Image:
    """Return a picture without text: soft shapes and film grain; shift moves it sideways, in px."""
    random = np.random.default_rng(seed)
    rough = random.integers(20, 235, (9, 20, 3), np.uint8)
    soft = cv2.resize(rough, (size[0] + 400, size[1]), interpolation=cv2.INTER_CUBIC)
    grain = random.normal(0, 4, soft.shape)
    return np.clip(soft + grain, 0, 255).astype(np.uint8)[:, shift : shift + size[0]].copy()


def write(
    rgb: Image, text: str, *, x: int | None = None, y: int = 500, high: int = 26, pen: int = 255
) -> Image:
    """Return the picture with a line of text, outlined. x: left edge, None: centred; y: its foot;
    high: of a capital letter, px."""
    face = cv2.FONT_HERSHEY_SIMPLEX
    scale = high / 21  # a capital of that font is 21 px high
    pale, dark = max(1, round(high / 11)), max(3, round(high / 4.5))
    (wide, _), _ = cv2.getTextSize(text, face, scale, pale)
    place = ((rgb.shape[1] - wide) // 2 if x is None else x, y)
    out = rgb.copy()
    cv2.putText(out, text, place, face, scale, (255 - pen,) * 3, dark, cv2.LINE_AA)
    cv2.putText(out, text, place, face, scale, (pen,) * 3, pale, cv2.LINE_AA)
    return out
