"""Pictures change their size as Pillow changes it."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from scanners.frames import Image
from scanners.resample import FILTERS, resample, weights

# What Pillow 13 makes of the first 7 x 9 pixels of default_rng(42): the red of 4 x 3, the green of
# every third row of 12 x 10.
PILLOW: dict[str, tuple[list[list[int]], list[list[int]]]] = {
    "bilinear": (
        [[101, 140, 119, 127], [123, 142, 98, 151], [90, 129, 142, 116]],
        [
            [38, 142, 202, 191, 152, 108, 67, 45, 101, 169, 179, 136],
            [185, 177, 156, 117, 32, 89, 157, 199, 191, 98, 69, 112],
            [131, 77, 79, 136, 137, 107, 70, 43, 63, 120, 124, 77],
            [42, 27, 57, 130, 181, 128, 93, 108, 161, 101, 80, 114],
        ],
    ),
    "bicubic": (
        [[98, 140, 120, 129], [132, 145, 89, 154], [83, 129, 148, 113]],
        [
            [30, 144, 219, 198, 161, 109, 56, 33, 93, 184, 194, 137],
            [194, 183, 161, 117, 22, 83, 166, 205, 201, 86, 56, 119],
            [138, 67, 65, 142, 140, 108, 62, 30, 56, 127, 129, 71],
            [35, 8, 41, 134, 187, 119, 74, 100, 166, 91, 64, 109],
        ],
    ),
}


def _seven_by_nine() -> Image:
    return np.random.default_rng(42).integers(0, 256, (7, 9, 3), dtype=np.uint8)


@pytest.mark.parametrize("way", FILTERS)
def test_pictures_are_made_smaller_and_larger_as_pillow_does(way: str) -> None:
    small = resample(_seven_by_nine(), 4, 3, way)[:, :, 0]
    large = resample(_seven_by_nine(), 12, 10, way)[::3, :, 1]
    assert np.abs(small.astype(int) - PILLOW[way][0]).max() <= 1
    assert np.abs(large.astype(int) - PILLOW[way][1]).max() <= 1


@given(st.integers(1, 700), st.integers(1, 400), st.sampled_from(sorted(FILTERS)))
def test_every_new_pixel_is_a_weighted_mean_of_old_ones(old: int, new: int, way: str) -> None:
    rows = weights(old, new, way)
    assert rows.shape == (new, old)
    assert rows.sum(axis=1) == pytest.approx(np.ones(new), abs=1e-5)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 255))
def test_an_even_picture_stays_even(width: int, height: int, value: int) -> None:
    even = np.full((17, 23, 3), value, np.uint8)
    for way in FILTERS:
        assert (resample(even, width, height, way) == value).all()


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    one = np.random.default_rng(1).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    assert np.array_equal(resample(one, 30, 20, "bilinear"), one)
