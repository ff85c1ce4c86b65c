"""Marks: where a query matches, in the letters that people see."""

import unicodedata

import pytest
from hypothesis import given, strategies as st

from companion.findings import Word
from companion.model import LineRow, Source, Span
from companion.search import marks
from companion.search.query import parse
from companion.search.terms import terms
from companion.store.folding import runs_of
from tests import talk


def marked(text: str, query: str) -> list[str]:
    """Return the pieces of a text that the words of a query mark."""
    parsed = parse(query)
    wanted = marks.wanted(parsed, terms(parsed))
    return [text[span.start : span.end] for span in marks.mark_words(marks.Cut(text), wanted)]


def quoted(lines: list[str], quote: str) -> list[list[str]] | None:
    """Return what a quote marks in each of its lines, None if it is not there."""
    found = marks.find_quote([marks.Cut(line) for line in lines], runs_of(quote))
    if found is None:
        return None
    return [
        [lines[number][span.start : span.end] for span in spans]
        for number, spans in zip(range(found.first, found.last + 1), found.marks, strict=True)
    ]


# --- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "query", "pieces"),
    [
        ("Dad fell into the lake.", "lake dad", ["Dad", "lake"]),
        ("Zwei BRÜCKEN über den Fluß", "brücke fluss", ["BRÜCKEN", "Fluß"]),
        ("L’ÉCOLE est finie", "ecole", ["ÉCOLE"]),
        ("un café\u0301 noir", "cafe", ["café\u0301"]),
        (unicodedata.normalize("NFD", "Übung"), "ubung", [unicodedata.normalize("NFD", "Übung")]),
        ("호수에서 놀았다", "호수", ["호수"]),
        ("한강호수공원", "호수", ["호수"]),
        ("할머니의 생신 케이크를", "케이크는 생신", ["생신", "케이크"]),
        (unicodedata.normalize("NFD", "호수에서"), "호수", [unicodedata.normalize("NFD", "호수")]),
        ("我们去湖边散步", "湖边", ["湖边"]),
        ("ﾊﾞｽで行く", "バス", ["ﾊﾞｽ"]),
        ("a well-known actor", "well-known", ["well", "known"]),
        ("candles and a candlestick", "candle", ["candles", "candlestick"]),
        ("the cat in the category", "cat ", ["cat"]),
        ("nothing here", "lake", []),
        ("", "lake", []),
        ("lake lake", "lake", ["lake", "lake"]),
    ],
)
def test_words_are_marked_as_they_stand(text: str, query: str, pieces: list[str]) -> None:
    assert marked(text, query) == pieces


@given(
    st.text(alphabet="ab é\u0301ßİ호수에서バﾊﾞ,. 湖", max_size=30),
    st.text("ab호수바湖ß", max_size=6),
)
def test_marks_lie_in_order_inside_the_text(text: str, query: str) -> None:
    parsed = parse(query)
    wanted = marks.wanted(parsed, terms(parsed))
    end = -1
    for span in marks.mark_words(marks.Cut(text), wanted):
        assert end < span.start < span.end <= len(text)
        end = span.end


@given(st.text(alphabet="abc D'-1,.", max_size=24), st.text(alphabet="abcd ", max_size=12))
def test_the_short_way_for_plain_text_marks_what_the_long_one_does(text: str, query: str) -> None:
    """A letter with an accent at the end takes the long way."""
    assert marked(text, query) == marked(f"{text} é", query)


# --- quotes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "quote", "pieces"),
    [
        (["He fell off the dock."], "OFF the dock", [["off the dock"]]),
        (["He fell. Off the dock!"], "fell off", [["fell. Off"]]),
        (["no", "I'll be", "back soon."], "be back", [["be"], ["back"]]),
        (["one", "", "two"], "one two", [["one"], [], ["two"]]),
        (["할머니 생신에 갔다"], "머니 생신", [["머니 생신"]]),
        (["할머니 생신에 갔다"], "생신", [["생신"]]),
        (["할머니 생신에 갔다"], "신에 갔", [["신에 갔"]]),
        (["KTX를 탔어"], "ktx를 탔", [["KTX를 탔"]]),
        (["Der Fluß ist tief"], "fluss ist", [["Fluß ist"]]),
        (["so so long"], "so long", [["so long"]]),
    ],
)
def test_a_quote_is_marked_from_its_first_to_its_last_word(
    lines: list[str], quote: str, pieces: list[list[str]]
) -> None:
    assert quoted(lines, quote) == pieces


@pytest.mark.parametrize(
    ("lines", "quote"),
    [
        (["He fell off the docks."], "the dock"),
        (["off a dock"], "off dock"),
        (["호수 수에"], "호수에"),
        (["할머니 생신"], "니 신"),
        ([], "anything"),
        (["something"], "?!"),
    ],
)
def test_a_quote_that_is_not_there_is_not_found(lines: list[str], quote: str) -> None:
    assert quoted(lines, quote) is None


@given(
    st.lists(
        st.lists(st.sampled_from(["the", "lake", "호수에", "물", "湖边", "KTX를"]), max_size=4),
        max_size=4,
    ),
    st.data(),
)
def test_every_part_of_what_is_said_is_found_again(
    said: list[list[str]], data: st.DataObject
) -> None:
    every = [word for line in said for word in line]
    if not every:
        return
    start = data.draw(st.integers(0, len(every) - 1))
    end = data.draw(st.integers(start + 1, len(every)))
    pieces = quoted([" ".join(line) for line in said], " ".join(every[start:end]))
    assert pieces is not None
    assert " ".join(piece for line in pieces for piece in line) == " ".join(every[start:end])


def test_spans_that_touch_become_one() -> None:
    spans = [Span(start=4, end=6), Span(start=0, end=2), Span(start=2, end=3)]
    assert marks.joined(spans) == (Span(start=0, end=3), Span(start=4, end=6))


# --- time ----------------------------------------------------------------------------------------


def line(text: str, *words: tuple[int, str]) -> LineRow:
    return LineRow(
        id=1,
        file_id=1,
        start_ms=1_000,
        end_ms=5_000,
        text=text,
        language="en",
        source=Source.SPEECH,
        words=tuple(Word(start_ms, text) for start_ms, text in words),
    )


def test_a_word_is_said_when_its_own_time_says() -> None:
    spoken = line("He fell, he fell in.", (1_000, " He"), (1_400, " fell,"), (2_000, " he"),
                  (2_500, " fell"), (3_000, " in."))  # fmt: skip
    assert [marks.time_of(spoken, place) for place in (0, 3, 5, 9, 12, 17, 19)] == [
        1_000, 1_400, 1_400, 2_000, 2_500, 3_000, 3_000,
    ]  # fmt: skip


def test_a_line_without_word_times_starts_at_its_start() -> None:
    assert marks.time_of(line("He fell in."), 8) == 1_000


def test_words_that_are_not_in_the_line_are_passed_over() -> None:
    spoken = line("He fell in.", (1_000, " He"), (1_500, " stumbled"), (1_700, ""), (2_000, " in."))
    assert marks.time_of(spoken, 8) == 2_000
    assert marks.time_of(spoken, 3) == 1_000


def test_talk_gives_words_times_that_marks_can_find() -> None:
    made = talk.timed("he fell in the lake", 1_000, 6_000)
    spoken = line(made.text, *((word.start_ms, word.text) for word in made.words))
    assert marks.time_of(spoken, made.text.index("lake")) == 5_000
