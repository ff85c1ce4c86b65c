"""The one clock: every way in gives the same whole milliseconds."""

from fractions import Fraction

import pytest
from hypothesis import assume, given, strategies as st

from companion.timecode import (
    clock,
    ms_from_clock,
    ms_from_pts,
    ms_from_seconds,
    ms_from_ticks,
    seconds_from_ms,
    ticks_from_ms,
)

HUNDRED_HOURS = 100 * 3600 * 1000
MS = st.integers(0, HUNDRED_HOURS)


@pytest.mark.parametrize(
    ("pts", "time_base", "start_ms", "ms"),
    [
        (0, Fraction(1, 1000), 0, 0),
        (90_000, Fraction(1, 90_000), 0, 1000),
        (1001, Fraction(1, 24_000), 0, 42),  # one frame of 23.976: 41.7 ms
        (24 * 1001 * 3600, Fraction(1, 24_000), 0, 3_603_600),  # an hour of them does not drift
        (126_000, Fraction(1, 90_000), 1400, 0),  # transport streams begin at 1.4 s
        (0, Fraction(1, 1000), 500, -500),  # sound may begin before the picture
        (1, Fraction(1, 2000), 0, 0),  # halves go to the even side
        (3, Fraction(1, 2000), 0, 2),
    ],
)
def test_presentation_times_become_ms_after_the_start(
    pts: int, time_base: Fraction, start_ms: int, ms: int
) -> None:
    assert ms_from_pts(pts, time_base, start_ms) == ms


@given(MS, st.sampled_from([1000, 12_800, 24_000, 30_000, 44_100, 48_000, 90_000]))
def test_a_time_base_of_at_least_a_thousandth_keeps_every_ms(ms: int, per_second: int) -> None:
    pts = round(Fraction(ms * per_second, 1000))
    assert ms_from_pts(pts, Fraction(1, per_second)) == ms


@given(MS)
def test_seconds_give_their_ms_back(ms: int) -> None:
    assert ms_from_seconds(seconds_from_ms(ms)) == ms


@given(MS)
def test_seconds_have_at_most_three_decimals(ms: int) -> None:
    _, _, decimals = repr(seconds_from_ms(ms)).partition(".")
    assert len(decimals) <= 3


@given(MS)
def test_ticks_give_their_ms_back(ms: int) -> None:
    assert ms_from_ticks(ticks_from_ms(ms)) == ms


def test_a_tick_is_100_ns() -> None:
    assert ticks_from_ms(1000) == 10_000_000
    assert ms_from_ticks(19_999) == 1


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0:00"),
        (999, "0:00"),
        (7_000, "0:07"),
        (59_999, "0:59"),
        (60_000, "1:00"),
        (723_000, "12:03"),
        (3_599_999, "59:59"),
        (3_600_000, "1:00:00"),
        (3_723_900, "1:02:03"),
        (36_000_000, "10:00:00"),
        (-5, "0:00"),
    ],
)
def test_people_read_clocks(ms: int, text: str) -> None:
    assert clock(ms) == text


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("7", 7_000),
        ("61.2", 61_200),
        ("90", 90_000),
        ("0:07", 7_000),
        ("12:03", 723_000),
        ("75:00", 4_500_000),
        ("1:02:03", 3_723_000),
        ("1:02:03.5", 3_723_500),
        (" 1:02:03 ", 3_723_000),
        ("100:00:00", HUNDRED_HOURS),
    ],
)
def test_people_write_clocks(text: str, ms: int) -> None:
    assert ms_from_clock(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "1:", ":30", "a", "1:2:3:4", "-5", "1:-2", "1:60", "1:60:00", "1:00:60", "nan",
        "inf", "1e400", "١٢", "1:٢", "1:2.5:3", "1,5", "0x10",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_and_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time|more than 59"):
        ms_from_clock(text)


@given(MS)
def test_a_clock_gives_its_whole_second_back(ms: int) -> None:
    assert ms_from_clock(clock(ms)) == ms // 1000 * 1000


@given(MS, MS)
def test_clocks_of_one_length_sort_as_the_times_do(one: int, other: int) -> None:
    assume(len(clock(one)) == len(clock(other)))
    assert (clock(one) <= clock(other)) == (one // 1000 <= other // 1000)


@given(st.text(max_size=12))
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    try:
        ms = ms_from_clock(text)
    except ValueError:
        return
    assert ms >= 0
