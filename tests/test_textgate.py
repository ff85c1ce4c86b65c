"""Where text may be: what passes the gate, what is known, and what is not looked at again."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from scanners.textgate import (
    ACROSS,
    BARE_MS,
    DOWN,
    EDGE,
    PEAK,
    WHOLE,
    Band,
    Gate,
    across,
    density,
    joined,
)
from tests.lettering import clouds, write


@pytest.mark.parametrize("high", [12, 16, 24, 36, 60, 90])
@pytest.mark.parametrize("pen", [255, 0])
def test_text_of_every_size_passes_with_all_of_its_line(high: int, pen: int) -> None:
    text = "We should never have come back"[: 700 // high]
    picture = write(clouds(), text, y=300, high=high, pen=pen)

    _, bands = Gate().look(0, picture, [])

    assert any(band.top * 540 < 300 - 0.9 * high and band.bottom * 540 > 300 for band in bands), (
        bands
    )


def test_pictures_without_text_do_not_pass() -> None:
    bars = np.zeros((540, 960, 3), np.uint8)
    bars[:, ::60] = 255
    for picture in (clouds(1), clouds(2), clouds(3), bars, np.zeros((540, 960, 3), np.uint8)):
        assert Gate().look(0, picture, [])[1] == []


def test_small_and_upright_pictures_are_looked_at() -> None:
    for size in ((360, 288), (540, 960), (160, 90)):
        blank, written = clouds(1, size), write(clouds(1, size), "Harbour", x=5, y=25, high=16)
        assert Gate().look(0, blank, [])[1] == []
        assert Gate().look(0, written, [])[1] != []
    assert Gate().look(0, np.zeros((1, 1, 3), np.uint8), [])[1] == []


def test_text_that_stays_is_known_whatever_moves_behind_it() -> None:
    gate = Gate()
    gate.look(0, write(clouds(), "Nobody believed it"), [])
    patch = gate.patch((0.25, 0.86, 0.5, 0.08))

    there, bands = gate.look(1000, write(clouds(shift=150), "Nobody believed it"), [patch])

    assert (there, bands) == ([True], [])


def test_other_text_in_the_same_place_is_noticed() -> None:
    gate = Gate()
    gate.look(0, write(clouds(), "Nobody believed it"), [])
    patch = gate.patch((0.25, 0.86, 0.5, 0.08))

    for second, picture in enumerate([write(clouds(), "Then read it to me"), clouds()], start=1):
        there, bands = gate.look(second * 1000, picture, [patch])
        assert there == [False]
        assert (bands != []) == (second == 1)


def test_text_beside_known_text_passes() -> None:
    gate = Gate()
    first = write(clouds(), "Nobody believed it")
    gate.look(0, first, [])
    patch = gate.patch((0.25, 0.86, 0.5, 0.08))

    there, bands = gate.look(1000, write(first, "Breaking news", x=40, y=80), [patch])

    assert there == [True]
    assert [band.bottom < 0.3 for band in bands] == [True]


def test_a_bare_place_is_not_looked_at_again_until_it_shows_more_a_cut_or_time() -> None:
    gate = Gate()
    weak = write(clouds(), "iiii lllll iiii", y=300, high=14)
    strong = write(clouds(), "We should never have come", y=300, high=14)
    (band,) = gate.look(0, weak, [])[1]
    gate.found_nothing(0, band)

    assert gate.look(1000, weak, [])[1] == []
    assert gate.look(2000, strong, [])[1] != []
    assert gate.look(BARE_MS, weak, [])[1] != []
    gate.found_nothing(BARE_MS, band)
    assert gate.look(BARE_MS + 1000, weak, [])[1] == []
    gate.cut()
    assert gate.look(BARE_MS + 2000, weak, [])[1] != []


def test_density_counts_the_rarest_of_four_kinds_of_edges() -> None:
    luma = write(clouds(), "Harbour", y=60, high=20)[:100, 300:660, 0].copy()
    padded = np.pad(luma.astype(np.int16), 1, mode="reflect")
    right = padded[1:-1, 2:] - padded[1:-1, :-2]
    down = padded[2:, 1:-1] - padded[:-2, 1:-1]

    def count(edges: NDArray[np.bool_], window: tuple[int, int], y: int, x: int) -> int:
        wide, high = window[0] // 2, window[1] // 2
        return int(edges[y - high : y + high + 1, x - wide : x + wide + 1].sum())

    found = density(luma)

    np.testing.assert_array_equal(across(luma), right)
    for y, x in [(50, 60), (52, 180), (55, 200), (20, 100), (58, 300)]:
        sideways = min(count(right > EDGE, ACROSS, y, x), count(right < -EDGE, ACROSS, y, x))
        upright = min(count(down > EDGE, DOWN, y, x), count(down < -EDGE, DOWN, y, x))
        assert found[y, x] == min(sideways, round(upright * 2 * 175 / 225)), (y, x)
    assert found.max() > PEAK


fractions = st.floats(0, 1)
bands_of = st.lists(
    st.builds(
        lambda one, other, side, peak: Band(min(one, other), max(one, other), side, peak),
        fractions,
        fractions,
        st.sampled_from([640, 480, 320]),
        st.integers(38, 80),
    ),
    max_size=8,
)


@given(bands_of)
def test_joined_bands_lie_apart_and_cover_all(bands: list[Band]) -> None:
    made = joined(bands)

    assert all(one.bottom < other.top for one, other in pairwise(made))
    for band in bands:
        assert any(
            one.top <= band.top and band.bottom <= one.bottom and band.side <= one.side
            for one in made
        )
    assert sum(one.bottom - one.top for one in made) <= WHOLE or made[0][:2] == (0.0, 1.0)
