"""A set of ids is a set, only smaller."""

import sys

import pytest
from hypothesis import given, strategies as st

from companion.ids import Ids

ids = st.frozensets(st.integers(0, 3_000), max_size=60)


@given(ids)
def test_it_holds_what_was_put_in(chosen: frozenset[int]) -> None:
    small = Ids(chosen)
    assert list(small) == sorted(chosen)
    assert len(small) == len(chosen)
    assert small == chosen
    assert hash(small) == hash(frozenset(chosen))
    assert all((each in small) == (each in chosen) for each in range(-2, 3_010))


@given(ids, ids)
def test_two_sets_meet_like_any_others(one: frozenset[int], other: frozenset[int]) -> None:
    assert Ids(one) & Ids(other) == one & other
    assert Ids(one) | Ids(other) == one | other
    assert Ids(one) - Ids(other) == one - other
    assert (Ids(one) == Ids(other)) == (one == other)
    assert isinstance(Ids(one) | Ids(other), Ids)


@given(ids)
def test_the_bits_can_be_read_elsewhere(chosen: frozenset[int]) -> None:
    bits = Ids(chosen).bits
    assert {each for each in range(8 * len(bits)) if bits[each >> 3] >> (each & 7) & 1} == chosen


@pytest.mark.parametrize("odd", ["1", None, 1.0, -1])
def test_only_ids_are_in_it(odd: object) -> None:
    assert odd not in Ids([1])


def test_a_number_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 is no id"):
        Ids([-1])


def test_fifty_thousand_take_some_kilobytes_and_are_not_printed() -> None:
    many = Ids(range(0, 100_000, 2))
    assert sys.getsizeof(many) + sys.getsizeof(many.bits) < 20_000
    assert len(repr(many)) < 40
