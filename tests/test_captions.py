"""Lines over time: which are one text, when it came and went, what is a subtitle. No pictures."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from scanners.base import OnscreenText, Scene
from scanners.boxes import Box
from scanners.captions import Captions, Line, edits, plain, same_text

SUBTITLE: Box = (0.3, 0.86, 0.4, 0.06)
SPEECH = (
    "We should never have come back here.",
    "Nobody believed it at the time.",
    "Then read it to me.",
    "Please, just open the window.",
    "That is beautiful.",
    "Are you quite sure about that?",
    "Tell Margaret I will call.",
    "The whole house smells of apples.",
)


def line(text: str, box: Box = (0.1, 0.1, 0.3, 0.05), score: float = 0.95) -> Line:
    return Line(text=text, score=score, box=box)


def read(captions: Captions, shown: dict[int, Iterable[Line]]) -> None:
    """Show lines at seconds."""
    for second, lines in sorted(shown.items()):
        captions.sample(second * 1000, lines)


def texts(captions: Captions, start_s: int, end_s: int) -> list[OnscreenText]:
    return list(captions.scene(Scene(start_s * 1000, end_s * 1000, start_s * 1000)))


@pytest.fixture
def captions() -> Captions:
    return Captions()


# --- one text ------------------------------------------------------------------------------------


def test_a_line_that_stays_is_one_text_from_its_first_sample_to_when_it_is_gone(
    captions: Captions,
) -> None:
    sign = line("Harbour")
    read(captions, {0: [], 1: [sign], 2: [sign], 3: [sign], 4: [], 5: []})

    (text,) = texts(captions, 0, 6)

    assert (text.start_ms, text.end_ms, text.text) == (1000, 3500, "Harbour")
    assert text.box == sign.box
    assert not text.subtitle


def test_readings_that_differ_a_little_are_one_text_and_the_surest_is_kept(
    captions: Captions,
) -> None:
    read(
        captions,
        {
            0: [line("Harbour cl0sed today", score=0.7)],
            1: [line("Harbour closed today", score=0.99)],
            2: [line("Harbourclosed today.", score=0.8)],
            3: [],
        },
    )

    (text,) = texts(captions, 0, 4)

    assert (text.text, text.score) == ("Harbour closed today", 0.99)


def test_another_text_in_the_same_place_is_another_text(captions: Captions) -> None:
    read(captions, {0: [line("Left")], 1: [line("Left")], 2: [line("Right")], 3: []})

    found = [(text.start_ms, text.end_ms, text.text) for text in texts(captions, 0, 4)]

    assert found == [(0, 1500, "Left"), (2000, 2500, "Right")]


def test_the_same_text_in_two_places_is_two_texts(captions: Captions) -> None:
    both = [line("Exit", (0.1, 0.1, 0.1, 0.05)), line("Exit", (0.8, 0.1, 0.1, 0.05))]
    read(captions, {0: both, 1: both, 2: []})

    assert [text.text for text in texts(captions, 0, 3)] == ["Exit", "Exit"]


def test_credits_that_roll_are_one_text_each(captions: Captions) -> None:
    names = ("Jonas Lindqvist", "Marie Dubois")
    read(
        captions,
        {
            second: [
                line(name, (0.3, 0.9 + 0.3 * number - 0.15 * second, 0.4, 0.04))
                for number, name in enumerate(names)
                if 0 < 0.9 + 0.3 * number - 0.15 * second < 0.95
            ]
            for second in range(8)
        },
    )

    found = [(text.text, text.start_ms) for text in texts(captions, 0, 9)]

    assert found == [("Jonas Lindqvist", 0), ("Marie Dubois", 2000)]


def test_a_clock_that_goes_on_is_one_text(captions: Captions) -> None:
    read(captions, {second: [line(f"REC 14:35:{second:02d}")] for second in range(30)})

    (text,) = texts(captions, 0, 30)

    assert (text.start_ms, text.end_ms) == (0, 30_000)


def test_a_line_that_one_sample_missed_goes_on(captions: Captions) -> None:
    read(captions, {0: [line("Harbour")], 1: [], 2: [line("Harbour")], 3: []})

    assert len(texts(captions, 0, 4)) == 1


def test_lines_above_each_other_are_one_text(captions: Captions) -> None:
    lines = [
        line("Dr. Helen Whitfield", (0.1, 0.70, 0.3, 0.05)),
        line("Marine Biologist", (0.1, 0.76, 0.25, 0.05)),
        line("LIVE", (0.8, 0.05, 0.1, 0.05)),
    ]
    read(captions, {0: lines, 1: lines, 2: []})

    found = {text.text: text for text in texts(captions, 0, 3)}

    assert set(found) == {"Dr. Helen Whitfield\nMarine Biologist", "LIVE"}
    box = found["Dr. Helen Whitfield\nMarine Biologist"].box
    assert box == pytest.approx((0.1, 0.70, 0.3, 0.11))


def test_a_line_that_comes_much_later_is_a_text_of_its_own(captions: Captions) -> None:
    title, name = line("Camera", (0.1, 0.5, 0.2, 0.05)), line("Sound", (0.1, 0.56, 0.2, 0.05))
    read(captions, {0: [title], 1: [title], 2: [title], 3: [title, name], 4: [title, name], 5: []})

    assert [text.text for text in texts(captions, 0, 6)] == ["Camera", "Sound"]


# --- scenes --------------------------------------------------------------------------------------


def test_a_text_over_two_scenes_is_given_in_both_and_cut_where_they_meet(
    captions: Captions,
) -> None:
    read(captions, {second: [line("Harbour")] for second in range(2, 8)} | {8: []})

    first, second = texts(captions, 0, 5), texts(captions, 5, 10)

    assert [(text.start_ms, text.end_ms) for text in first] == [(2000, 5000)]
    assert [(text.start_ms, text.end_ms) for text in second] == [(5000, 7500)]


def test_what_was_seen_before_a_scene_that_a_pass_resumes_at_is_not_given(
    captions: Captions,
) -> None:
    read(captions, {8: [line("Harbour")], 9: [line("Harbour")], 10: [], 11: [line("Market")]})

    found = [(text.start_ms, text.text) for text in texts(captions, 10, 14)]

    assert found == [(11_000, "Market")]


def test_nothing_is_given_twice(captions: Captions) -> None:
    read(captions, {0: [line("Harbour")], 1: []})
    texts(captions, 0, 2)

    assert texts(captions, 2, 4) == []


def test_memory_does_not_grow_with_the_film(captions: Captions) -> None:
    for number in range(400):
        start = number * 5
        said = line(SPEECH[number % len(SPEECH)], SUBTITLE)
        logo = line("Channel", (0.8, 0.05, 0.1, 0.05))
        read(captions, {start + n: [logo, said] for n in range(4)} | {start + 4: [logo]})
        texts(captions, start, start + 5)

    assert len(captions._runs) <= 3
    assert sum(len(run.times) for run in captions._runs) <= 12
    assert len(captions._samples) <= 4
    assert len(captions._rows) <= 15


# --- subtitles -----------------------------------------------------------------------------------


def speak(captions: Captions, count: int, box: Box = SUBTITLE, first: int = 0) -> None:
    """Show one line after the other, two seconds each, one second apart."""
    for number in range(first, first + count):
        said = line(SPEECH[number % len(SPEECH)], box)
        read(captions, {number * 3: [said], number * 3 + 1: [said], number * 3 + 2: []})


def test_lines_that_come_and_go_at_the_bottom_are_subtitles(captions: Captions) -> None:
    speak(captions, 5)

    found = texts(captions, 0, 15)

    assert [text.text for text in found] == list(SPEECH[:5])
    assert all(text.subtitle for text in found)


def test_subtitles_of_two_lines_are_one_text_each(captions: Captions) -> None:
    above, below = (0.3, 0.80, 0.4, 0.06), (0.35, 0.87, 0.3, 0.06)
    for number in range(0, 4, 2):
        pair = [line(SPEECH[number], above), line(SPEECH[number + 1], below)]
        read(captions, {number * 3: pair, number * 3 + 1: pair, number * 3 + 2: []})

    found = texts(captions, 0, 12)

    assert [text.text.count("\n") for text in found] == [1, 1]
    assert all(text.subtitle for text in found)


@pytest.mark.parametrize(
    "box",
    [(0.05, 0.86, 0.3, 0.06), (0.3, 0.1, 0.4, 0.06)],
    ids=["at the left", "at the top"],
)
def test_lines_in_other_places_are_none(captions: Captions, box: Box) -> None:
    speak(captions, 5, box)

    assert not any(text.subtitle for text in texts(captions, 0, 15))


def test_a_single_line_at_the_bottom_is_none(captions: Captions) -> None:
    read(captions, {0: [line("Three weeks earlier", SUBTITLE)], 1: [], 2: []})

    (text,) = texts(captions, 0, 3)

    assert not text.subtitle


def test_a_line_that_stays_at_the_bottom_is_none(captions: Captions) -> None:
    shown = [line("www.harbour.example", SUBTITLE)]
    read(captions, dict.fromkeys(range(20), shown))
    speak(captions, 4, first=8)

    found = texts(captions, 0, 40)

    assert [text.subtitle for text in found if "harbour" in text.text] == [False]


def test_letters_of_another_size_are_none(captions: Captions) -> None:
    """Titles at the bottom, in different sizes: no rhythm of one hand."""
    for number, height in enumerate((0.04, 0.08, 0.14)):
        box = (0.3, 0.92 - height, 0.4, height)
        said = line(SPEECH[number], box)
        read(captions, {number * 3: [said], number * 3 + 1: [said], number * 3 + 2: []})

    assert not any(text.subtitle for text in texts(captions, 0, 9))


def test_after_some_subtitles_a_lonely_one_is_known_by_its_place(captions: Captions) -> None:
    speak(captions, 6)
    texts(captions, 0, 18)
    texts(captions, 18, 200)
    read(captions, {200: [], 201: [line("After a long silence.", SUBTITLE)], 202: [], 203: []})

    (text,) = texts(captions, 200, 204)

    assert text.subtitle


def test_a_subtitle_over_a_scene_s_end_is_one_in_both_scenes(captions: Captions) -> None:
    speak(captions, 4)
    said = line("And so it went on.", SUBTITLE)
    read(captions, {12: [said], 13: [said], 14: [said], 15: []})

    found = [*texts(captions, 0, 13), *texts(captions, 13, 16)]

    assert [text.subtitle for text in found if text.text.startswith("And")] == [True, True]


# --- the same text -------------------------------------------------------------------------------

letters = st.text(alphabet="abcdef 12.", max_size=12)


def slow_edits(one: str, other: str) -> int:
    """The textbook's recursion, for comparison."""
    table = {(0, column): column for column in range(len(other) + 1)}
    for row in range(1, len(one) + 1):
        table[row, 0] = row
        for column in range(1, len(other) + 1):
            replaced = table[row - 1, column - 1] + (one[row - 1] != other[column - 1])
            table[row, column] = min(
                replaced, table[row - 1, column] + 1, table[row, column - 1] + 1
            )
    return table[len(one), len(other)]


@given(letters, letters, st.integers(0, 6))
def test_edits_are_those_of_the_textbook_up_to_the_limit(one: str, other: str, limit: int) -> None:
    assert edits(one, other, limit) == min(slow_edits(one, other), limit + 1)


@given(letters, letters)
def test_being_the_same_text_is_mutual(one: str, other: str) -> None:
    assert same_text(one, one)
    assert same_text(one, other) == same_text(other, one)


def test_what_counts_as_the_same_text() -> None:
    assert same_text("We should never", "Weshould never.")
    assert same_text("ＨＡＲＢＯＵＲ", "harbour")
    assert same_text("Reykjavík", "Reykjavik")
    assert not same_text("Yes, I know.", "No, I know.")
    assert not same_text("Left", "Right")
    assert not same_text("12", "13")
    assert not same_text("1999", "2004")
    assert same_text("12.08.1999 14:35:01", "12.08.1999 14:35:02")
    assert plain("It’s  7:45, Köln!") == "its745köln"


shown = st.lists(
    st.lists(
        st.tuples(st.sampled_from(SPEECH[:4]), st.sampled_from([SUBTITLE, (0.1, 0.1, 0.3, 0.05)])),
        max_size=3,
        unique_by=lambda one: one[1],
    ),
    min_size=1,
    max_size=20,
)


@given(shown, st.lists(st.integers(1, 19), max_size=3, unique=True).map(sorted))
def test_texts_lie_in_their_scene_and_every_line_is_in_one(
    samples: list[list[tuple[str, Box]]], ends: list[int]
) -> None:
    captions = Captions()
    read(captions, {n: [line(*one) for one in lines] for n, lines in enumerate(samples)})
    edges = [0, *ends, 21]

    for start, end in pairwise(edges):
        found = texts(captions, start, end)
        said = "\n".join(text.text for text in found)
        for lines in samples[start:end]:
            assert all(text in said for text, _ in lines)
        for text in found:
            assert start * 1000 <= text.start_ms < text.end_ms <= end * 1000
