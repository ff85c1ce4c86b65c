"""Boxes and how they lie to each other."""

import pytest
from hypothesis import given, strategies as st

from scanners.boxes import Box, covered, overlap

sides = st.floats(0.01, 1)
boxes = st.tuples(st.floats(0, 1), st.floats(0, 1), sides, sides)


@given(boxes, boxes)
def test_overlap_is_mutual_and_between_nothing_and_all(one: Box, other: Box) -> None:
    assert 0 <= overlap(one, other) <= 1
    assert overlap(one, other) == pytest.approx(overlap(other, one))
    assert overlap(one, one) == pytest.approx(1)


@given(boxes, boxes)
def test_a_box_is_covered_at_least_as_much_as_both_overlap(one: Box, other: Box) -> None:
    assert overlap(one, other) <= covered(one, other) + 1e-9 <= 1 + 2e-9
    assert covered(one, one) == pytest.approx(1)


def test_what_boxes_share() -> None:
    half = (0.0, 0.0, 0.5, 1.0)

    assert overlap(half, (0.25, 0.0, 0.5, 1.0)) == pytest.approx(1 / 3)
    assert covered((0.4, 0.2, 0.2, 0.2), half) == pytest.approx(0.5)
    assert overlap(half, (0.5, 0.0, 0.5, 1.0)) == 0
    assert overlap((0, 0, 0, 0), (0, 0, 0, 0)) == covered((0, 0, 0, 0), half) == 0
