"""What a model of pictures is to the rest of the program, and the small sums they all need."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from scanners.frames import Image

LOOKS = "looks"  # the space of vectors that are compared with those of other pictures only
WORDS = "words"  # the space that pictures share with the texts that people type

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Look:
    """What a model says of one picture.

    vectors: space -> unit vector. tags: (name, probability), best first.
    """

    vectors: dict[str, Vectors]
    tags: tuple[tuple[str, float], ...] = ()


class Looker(Protocol):
    """A model of pictures.

    model: its identity. words_model: that of the space it shares with texts; empty if it has none.
    batch: how many pictures it likes to look at together. Made by `scanners.engines`.
    """

    model: str
    words_model: str
    batch: int

    def prepare(self, rgb: Image) -> Image:
        """Return what must be kept of a picture, (height, width, 3) RGB, until it is looked at.

        It is called for every sample, of which few are looked at, so it must cost next to nothing.
        """
        ...

    def look(self, pictures: Sequence[Image]) -> list[Look]:
        """Look at prepared pictures, whatever their sizes."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Return (n, dims) unit vectors in the space `words`."""
        ...


def unit(rows: NDArray[Any]) -> Vectors:
    """Return rows at length 1 as float32; a row of zeros stays one."""
    rows = np.asarray(rows, np.float32)
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), np.float32)


def half(vector: NDArray[Any]) -> bytes:
    """Return a vector as little-endian float16, which is how vectors are kept."""
    return np.asarray(vector, "<f2").tobytes()


def middle_square(rgb: Image) -> Image:
    """Return the square in the middle of a picture, as large as it can be."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return rgb[top : top + side, left : left + side]


def shrink(rgb: Image, width: int, height: int) -> Image:
    """Return a picture at another size; each new pixel is the mean of those it stands for."""
    larger = rgb.shape[1] < width or rgb.shape[0] < height
    way = cv2.INTER_LINEAR if larger else cv2.INTER_AREA
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=way), np.uint8)
