"""What a speech model says becomes lines; what it made up is left out."""

import itertools

import pytest
from hypothesis import given, strategies as st

from scanners.transcript import (
    BREAK_MS,
    LINE_MS,
    Piece,
    Said,
    believable,
    guarded,
    lines_of,
    lines_of_all,
    said_plainly,
    sentences,
)


def words(text: str, start_ms: int = 0, each_ms: int = 300, gap_ms: int = 0) -> tuple[Said, ...]:
    """Return the words of a text, one after another."""
    step = each_ms + gap_ms
    return tuple(
        Said(start_ms + number * step, start_ms + number * step + each_ms, f" {word}")
        for number, word in enumerate(text.split())
    )


def piece(
    text: str,
    start_ms: int = 0,
    *,
    no_speech: float = 0.01,
    confidence: float = -0.2,
    repetition: float = 1.2,
    loudness_db: float = -20.0,
) -> Piece:
    return Piece(words(text, start_ms), no_speech, confidence, repetition, loudness_db)


# --- guards --------------------------------------------------------------------------------------


def test_ordinary_speech_is_believed() -> None:
    assert believable(piece("Dad falls into the lake."))


@pytest.mark.parametrize(
    "doubtful",
    [
        piece("Something.", no_speech=0.9, confidence=-0.9),
        piece("Gibberish indeed.", confidence=-1.6),
        piece("no no no no no no", repetition=3.0),
        piece("Hello there.", loudness_db=-70.0),
        piece("... ♪ ..."),
        piece(""),
    ],
    ids=["nobody speaks", "not sure at all", "over and over", "silence", "no letter", "nothing"],
)
def test_what_a_model_makes_up_is_not_believed(doubtful: Piece) -> None:
    assert not believable(doubtful)


@pytest.mark.parametrize(
    "phantom",
    [
        "Thank you for watching!",
        "Thanks for watching, and see you next time.",
        "Please subscribe to my channel.",
        "Subtitles by the Amara.org community",
        "Untertitelung des ZDF für funk, 2017",
        "Sous-titres réalisés par la communauté d'Amara.org",
        "시청해주셔서 감사합니다.",
        "ご視聴ありがとうございました",
        "Продолжение следует...",
        "請不吝點贊訂閱轉發打賞支持",
        "you",
    ],
)
def test_known_phantoms_are_left_out_only_over_silence(phantom: str) -> None:
    assert not believable(piece(phantom, no_speech=0.5))
    assert believable(piece(phantom, no_speech=0.05))  # somebody may well say it


def test_a_sentence_that_only_begins_like_a_phantom_is_believed() -> None:
    assert believable(piece("Thank you for watching the baby last night.", no_speech=0.5))


def test_of_a_text_said_three_times_in_a_row_one_is_kept() -> None:
    pieces = [piece("Hello.", number * 1000) for number in range(3)]
    assert guarded([*pieces, piece("Bye.", 9000)]) == [pieces[0], piece("Bye.", 9000)]


def test_twice_is_how_people_talk() -> None:
    pieces = [piece("No.", 0), piece("No!", 1000), piece("Yes.", 2000), piece("No.", 3000)]
    assert guarded(pieces) == pieces


def test_texts_are_compared_without_case_and_marks() -> None:
    assert said_plainly("  Hello, WORLD! ") == said_plainly("hello world")
    assert said_plainly("Straße") == said_plainly("STRASSE")
    assert said_plainly("…!?") == ""


# --- lines ---------------------------------------------------------------------------------------


def test_a_piece_is_a_line_with_its_words() -> None:
    (line,) = lines_of_all([piece("Dad falls in.", 500)], "en", 0)
    assert (line.start_ms, line.end_ms, line.text, line.language) == (
        500,
        1400,
        "Dad falls in.",
        "en",
    )
    assert [(word.start_ms, word.text) for word in line.words] == [
        (500, "Dad"),
        (800, "falls"),
        (1100, "in."),
    ]


def test_words_of_scripts_without_spaces_are_joined_without_them() -> None:
    said = tuple(
        Said(number * 200, number * 200 + 200, sign) for number, sign in enumerate("犬が走る")
    )
    (line,) = lines_of(said, "ja")
    assert line.text == "犬が走る"


def test_a_long_pause_breaks_a_line() -> None:
    said = words("Look at that.") + words("A whole year later.", 5000)
    assert [line.text for line in lines_of(said, "en")] == ["Look at that.", "A whole year later."]


def test_a_long_piece_is_broken_at_a_sentence_rather_than_in_the_middle() -> None:
    said = words("one two three four five six. seven eight nine ten", each_ms=1000)
    assert [line.text for line in lines_of(said, "en")] == [
        "one two three four five six.",
        "seven eight nine ten",
    ]


def test_a_sentence_that_was_torn_apart_is_joined_again() -> None:
    pieces = [piece("ask what you can", 0), piece("do for your country.", 1200)]
    assert [line.text for line in lines_of_all(pieces, "en", 0)] == [
        "ask what you can do for your country."
    ]


def test_sentences_and_pauses_keep_pieces_apart() -> None:
    ended = [piece("He was here.", 0), piece("She was not.", 900)]
    paused = [piece("He was", 0), piece("late again", 600 + BREAK_MS)]
    assert len(list(sentences(ended))) == 2
    assert len(list(sentences(paused))) == 2


def test_no_line_lies_outside_the_film() -> None:
    pieces = [piece("Inside the film.", 1000), piece("After its end.", 5000)]
    (line,) = lines_of_all(pieces, "en", 1500)
    assert (line.start_ms, line.end_ms) == (1000, 1500)


def test_lines_come_in_order() -> None:
    pieces = [piece("Second one.", 5000), piece("First one.", 1000)]
    assert [line.text for line in lines_of_all(pieces, "en", 0)] == ["First one.", "Second one."]


def test_a_thousand_words_with_a_pause_after_each_are_a_thousand_lines() -> None:
    assert len(list(lines_of(words("word " * 1200, gap_ms=BREAK_MS), "en"))) == 1200


def test_what_says_nothing_is_no_line() -> None:
    assert lines_of_all([piece("... ♪")], "en", 0) == []
    assert list(sentences([])) == []


one_word = st.tuples(
    st.integers(0, 3000), st.integers(1, 1500), st.sampled_from([" a", " b.", " c,", "가", " dd?"])
)


@given(st.lists(one_word, min_size=1, max_size=60))
def test_no_word_is_lost_and_no_line_is_too_long(steps: list[tuple[int, int, str]]) -> None:
    said, at = [], 0
    for pause, length, text in steps:
        said.append(Said(at + pause, at + pause + length, text))
        at += pause + length
    lines = list(lines_of(said, "xx"))
    kept = [word.text for line in lines for word in line.words]
    assert kept == [one.text.strip() for one in said]
    for line in lines:
        assert line.end_ms - line.start_ms <= LINE_MS or len(line.words) == 1
        inside = [one for one in said if line.start_ms <= one.start_ms < line.end_ms]
        for before, after in itertools.pairwise(inside):
            assert after.start_ms - before.end_ms < BREAK_MS
    for before_line, after_line in itertools.pairwise(lines):
        assert before_line.end_ms <= after_line.start_ms
