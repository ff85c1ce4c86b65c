"""What counts as a word: the same for the index, for queries and for marks."""

import unicodedata

import pytest
from hypothesis import given, strategies as st

from companion.store.folding import fold, prepare, runs, runs_of

texts = st.text(max_size=60)
speech = st.text(
    alphabet=st.sampled_from(
        "abcÄéßØñ ,.'-!0159 가나다호수에서케이크 湖边へ行くバス我们 สวัสดี д и й"
    ),
    max_size=60,
)


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("Über die BRÜCKE", "uber die brucke"),
        ("Straße", "strasse"),
        ("L’École", "l'ecole"),
        ("Łódź", "lodz"),
        ("İstanbul ışık", "istanbul isik"),
        ("ﬁne ½", "fine 1⁄2"),
        ("e\u0301cole", "école"),
        ("ﾊﾞｽ", "バス"),
        ("한글", unicodedata.normalize("NFD", "한글")),
        ("Ёлка", "елка"),
        ("Ἀθῆναι", "αθηναι"),
        ("مَرْحَبًا", "مرحبا"),
        ("ＦＵＬＬ", "full"),
    ],
)
def test_people_may_leave_out_accents_case_and_forms(written: str, typed: str) -> None:
    assert prepare(written) == prepare(typed) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [("バス", "ハス"), ("が", "か"), ("कि", "क"), ("cat", "cats"), ("호수", "호스")],
)
def test_what_makes_another_word_stays(one: str, other: str) -> None:
    assert prepare(one) != prepare(other)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("He fell in the lake!", "he fell in the lake"),
        ("well-known don't", "well known don t"),
        ("호수에서", "호수 수에 에서 서"),
        ("물", "물"),
        ("我们去湖边。", "我们 们去 去湖 湖边 边"),
        ("KTX를 5살", "ktx 를 5 살"),
        ("東京タワーへ", "東京 京タ タワ ワー ーへ へ"),
        ("สวัส", "สว วั ัส ส"),
        ("नमस्ते दुनिया", "नमस्ते दुनिया"),
        ("...?! ♪ 😀", ""),
        ("", ""),
        ("a_b", "a b"),
        ("nul\0l", "nul l"),
        ("\ud800broken", "broken"),
    ],
)
def test_text_is_cut_into_words_and_pairs(text: str, terms: str) -> None:
    assert prepare(text) == terms


@given(texts)
def test_terms_hold_nothing_but_letters_digits_and_marks(text: str) -> None:
    assert all(
        unicodedata.category(character)[0] in "LMN" for character in prepare(text).replace(" ", "")
    )


@given(texts)
def test_what_was_folded_stays_as_it_is(text: str) -> None:
    once = prepare(text)
    assert prepare(fold(text).text) == once


@given(texts)
def test_every_folded_character_knows_where_it_came_from(text: str) -> None:
    folded = fold(text)
    places = list(folded.at)
    assert len(places) == len(folded.text) + 1
    assert places == sorted(places)
    assert places[-1] == len(text)
    assert all(0 <= place < max(1, len(text)) for place in places[:-1])


@given(texts)
def test_runs_lie_in_order_and_hold_what_they_say(text: str) -> None:
    folded = fold(text).text
    end = 0
    for run in runs(folded):
        assert end <= run.start < run.end
        assert folded[run.start : run.end] == run.text
        end = run.end


@given(speech, speech)
def test_a_space_keeps_two_texts_apart(left: str, right: str) -> None:
    assert prepare(f"{left} {right}").split() == [*prepare(left).split(), *prepare(right).split()]


@given(st.text(alphabet="abcdefg XYZ,.'0123456789", max_size=60))
def test_the_short_way_for_plain_english_gives_the_same_as_the_long_one(text: str) -> None:
    long_way = [run.text for run in runs_of(text + "\u00a0é")][:-1]
    assert prepare(text).split() == long_way


def test_runs_side_by_side_never_look_like_one() -> None:
    assert prepare("호수 수에") != prepare("호수에")
    assert " 호수 수에 " not in f" {prepare('호수 수에')} "
