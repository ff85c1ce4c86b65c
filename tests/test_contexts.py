"""What templates receive, and the words and addresses in it."""

import pytest
from hypothesis import given, strategies as st

from companion.model import Answer, Leg, Span
from tests.answers import LINKS, moment
from webui import contexts, words
from webui.links import base36


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9_999)), max_size=30))
def test_grouping_keeps_every_moment_and_the_best_first(found: list[tuple[int, int]]) -> None:
    moments = tuple(moment(item=item, at_ms=at_ms) for item, at_ms in found)
    shown = contexts.found(Answer(query="x", moments=moments), LINKS)
    cards = [
        card.key for group in shown.groups for card in (group.lead, *group.more, *group.folded)
    ]
    assert sorted(cards) == sorted(one.public_id for one in moments)
    firsts = list(dict.fromkeys(item for item, _ in found))
    assert [group.href for group in shown.groups] == [f"/item/item{item}" for item in firsts]
    assert all(len(group.more) < contexts.SHOWN_PER_TITLE for group in shown.groups)


def test_an_icon_says_which_index_found_a_moment() -> None:
    card = contexts.card(moment(), LINKS)
    assert [via.label for via in card.via] == ["Said in these words", "Close in meaning"]
    assert set(contexts.VIA) == set(Leg)


@given(st.text(max_size=30), st.lists(st.tuples(st.integers(-5, 40), st.integers(-5, 40))))
def test_marking_loses_no_letter(text: str, marks: list[tuple[int, int]]) -> None:
    spans = tuple(Span(start=max(0, start), end=end) for start, end in marks)
    pieces = words.pieces(text, spans)
    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.text for piece in pieces)


@given(st.text(max_size=30), st.text(max_size=4))
def test_what_is_marked_in_a_title_is_what_was_asked(text: str, wanted: str) -> None:
    for mark in words.marks_of(text, wanted):
        assert text[mark.start : mark.end].lower() == wanted.lower()


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (0, "0 s"),
        (55_000, "55 s"),
        (59_600, "1 min"),
        (720_000, "12 min"),
        (3_600_000, "1 h"),
        (6_120_000, "1 h 42 min"),
    ],
)
def test_lengths_are_said_shortly(ms: int, said: str) -> None:
    assert words.how_long(ms) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (5, "less than a minute"),
        (60, "about 1 minute"),
        (1_250, "about 21 minutes"),
        (5_400, "about 2 hours"),
        (400_000, "about 5 days"),
    ],
)
def test_estimates_are_as_honest_as_they_are_coarse(seconds: int, said: str) -> None:
    assert words.about(seconds) == said


@given(st.binary(max_size=40))
def test_any_path_can_be_written(path: bytes) -> None:
    words.printable(path).encode("utf-8")


@given(st.integers(0, 36**7 - 1))
def test_a_moments_id_can_be_read_back(ms: int) -> None:
    assert int(base36(ms), 36) == ms
