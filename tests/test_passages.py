"""Lines become passages: whole lines, long enough to say something, short enough to mean it."""

import itertools

import pytest
from hypothesis import given, strategies as st

from scanners.passages import (
    LEAST_WORDS,
    LETTERS_A_WORD,
    LONGEST_WORD,
    MOST_WORDS,
    OVERLAP_WORDS,
    Passage,
    passages,
    pieces,
    size,
)

WORD = st.text(st.characters(categories=["L"]), min_size=1, max_size=12)
LINES = st.lists(st.lists(WORD, max_size=40).map(" ".join), max_size=8)
LONG = "one two three four five six seven eight"


@pytest.mark.parametrize("lines", [(), ("",), ("", "  ", "\n")])
def test_without_words_there_is_no_passage(lines: tuple[str, ...]) -> None:
    assert passages(lines) == []


def test_a_line_that_says_enough_stands_alone() -> None:
    assert passages([LONG, LONG]) == [Passage(0, 0, LONG), Passage(1, 1, LONG)]


def test_short_lines_stand_together() -> None:
    lines = ["Where is he?", "In the lake.", "In the lake?", "Yes, all of him."]
    assert passages(lines) == [
        Passage(0, 2, "Where is he? In the lake. In the lake?"),
        Passage(3, 3, "Yes, all of him."),
    ]


def test_a_word_at_the_end_belongs_to_what_it_answers() -> None:
    assert passages([LONG, "Yes."]) == [Passage(0, 1, f"{LONG} Yes.")]
    assert passages(["Yes."]) == [Passage(0, 0, "Yes.")]


def test_empty_lines_keep_their_place() -> None:
    assert passages(["", LONG, " ", LONG]) == [Passage(1, 1, LONG), Passage(3, 3, LONG)]


def test_a_line_that_is_too_long_is_cut_with_an_overlap() -> None:
    words = [f"w{number}" for number in range(MOST_WORDS + 10)]
    first, second = passages([" ".join(words)])
    assert (first.first, first.last, second.first, second.last) == (0, 0, 0, 0)
    assert first.text.split() == words[:MOST_WORDS]
    assert second.text.split() == words[MOST_WORDS - OVERLAP_WORDS :]


def test_a_script_without_spaces_is_measured_and_cut_too() -> None:
    line = "湖に落ちた" * 200
    found = pieces(line)
    assert "".join(piece.text for piece in found) == line
    assert max(piece.size for piece in found) == OVERLAP_WORDS
    assert [piece.glued for piece in found] == [False] + [True] * (len(found) - 1)
    sentence = "父は桟橋で足を滑らせて湖に落ちてしまった"
    assert size(sentence) >= LEAST_WORDS - 1 > size("湖に落ちた")
    assert size("a" * LONGEST_WORD) == 1


@given(LINES)
def test_passages_hold_every_word_in_order_and_none_is_too_long(lines: list[str]) -> None:
    found = passages(lines)
    assert all(0 < len(each.text.split()) <= MOST_WORDS for each in found)
    joined: list[str] = []
    for before, each in itertools.pairwise([None, *found]):
        assert each is not None
        words = each.text.split()
        if before is not None and before.first == each.first:  # one group, cut
            assert words[:OVERLAP_WORDS] == before.text.split()[-OVERLAP_WORDS:]
            words = words[OVERLAP_WORDS:]
        joined += words
    assert joined == [word for line in lines for word in line.split()]


@pytest.mark.parametrize("letters", [100, 180, 181, 217, 1000, 40_000])
def test_a_long_line_without_spaces_becomes_passages_of_the_usual_length(letters: int) -> None:
    line = ("父は桟橋で足を滑らせて湖に落ちてしまった。" * 2000)[:letters]
    found = [passage.text for passage in passages(["短い。", line])]
    longest, overlap = MOST_WORDS * LETTERS_A_WORD, OVERLAP_WORDS * LETTERS_A_WORD
    assert max(map(len, found)) <= longest + 2
    assert min(map(len, found[:-1]), default=longest) > longest - 2 * overlap
    whole = found[0]
    for before, text in itertools.pairwise(found):
        assert text[:overlap] == before[-overlap:]
        whole += text[overlap:]
    assert whole == f"短い。 {line}"


def test_words_and_long_runs_may_stand_in_one_line() -> None:
    run = "落" * 100
    (found,) = passages([f"He said {run} twice."])
    assert found.text == f"He said {run} twice."


@given(LINES)
def test_passages_lie_side_by_side(lines: list[str]) -> None:
    found = passages(lines)
    for before, each in itertools.pairwise(found):
        assert before.first <= before.last
        assert each.first > before.last or (each.first, each.last) == (before.first, before.last)
    groups = {(each.first, each.last) for each in found}
    for first, last in sorted(groups)[:-1]:
        assert sum(size(line) for line in lines[first : last + 1]) >= LEAST_WORDS
