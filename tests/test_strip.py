"""The strip: whatever happens in a film, it is drawn within its length."""

import re

from hypothesis import given, strategies as st

from companion.model import LineRow, SceneRow, Source
from tests.answers import LINKS, film, moment
from webui import strip

TIMES = st.lists(
    st.tuples(st.integers(0, 7_000_000), st.integers(1, 100_000)), min_size=1, max_size=400
)


@given(TIMES)
def test_everything_on_a_strip_lies_within_it(times: list[tuple[int, int]]) -> None:
    times.sort()
    duration_ms = max(start + length for start, length in times)
    scenes = [
        SceneRow(id=n, file_id=1, number=n, start_ms=s, end_ms=s + d, still_ms=s, provisional=False)
        for n, (s, d) in enumerate(times)
    ]
    lines = [
        LineRow(
            id=n, file_id=1, start_ms=s, end_ms=s + d, text="x", language="", source=Source.SPEECH
        )
        for n, (s, d) in enumerate(times)
    ]
    drawn = strip.whole_strip(film(duration_ms), scenes, lines, LINKS)
    assert 1 <= len(drawn.cells) <= strip.MOST_CELLS
    assert all(0 <= cell.x < drawn.length and cell.width >= 1 for cell in drawn.cells)
    spoken = [int(part) for part in re.findall(r"M(\d+) ", drawn.speech)]
    assert spoken == sorted(spoken)
    assert len(drawn.ticks) <= strip.MOST_TICKS + 1
    found = strip.found_strip(film(duration_ms), [start for start, _ in times], LINKS)
    assert all(0 <= mark.x <= found.length - mark.width for mark in found.marks)
    assert sum(mark.best for mark in found.marks) >= 1


def test_pauses_too_short_to_see_are_drawn_as_speech() -> None:
    lines = [
        LineRow(
            id=n,
            file_id=1,
            start_ms=s,
            end_ms=s + 1_000,
            text="x",
            language="",
            source=Source.SPEECH,
        )
        for n, s in enumerate((0, 1_200, 60_000))
    ]
    drawn = strip.whole_strip(film(600_000), [], lines, LINKS)
    assert drawn.speech == "M0 0h22v1h-22zM600 0h10v1h-10z"


def test_a_strip_of_unknown_length_is_still_a_strip() -> None:
    assert strip.found_strip(moment().file, [1_000], LINKS).length == 1
