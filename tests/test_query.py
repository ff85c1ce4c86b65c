"""What people type, parsed."""

import pytest
from hypothesis import given, strategies as st

from companion.errors import QueryError
from companion.search.query import (
    MAX_CHARACTERS,
    MAX_TERMS,
    Exact,
    Query,
    Term,
    Without,
    Word,
    parse,
)

typed = st.text(alphabet=st.sampled_from("ab호 \"“”„«»「」-−\t\n'’.:()*5"), max_size=40)


def plain(term: Term) -> str:
    """Return a term as one would write it in a table: word, "quote", -word."""
    if isinstance(term, Without):
        return f"-{plain(term.term)}"
    return f'"{term.text}"' if isinstance(term, Exact) else term.text


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("dad falls into the lake", ["dad", "falls", "into", "the", "lake"]),
        ('"fall into" lake', ['"fall into"', "lake"]),
        ("lake -dog", ["lake", "-dog"]),
        ('lake -"bad dog"', ["lake", '-"bad dog"']),
        ("“fall into” lake", ['"fall into"', "lake"]),
        ("„in den See“ Hund", ['"in den See"', "Hund"]),
        ("„in den See” Hund", ['"in den See"', "Hund"]),
        ("« dans le lac » chien", ['"dans le lac"', "chien"]),
        ("»in den See« Hund", ['"in den See"', "Hund"]),
        ("「湖に」犬", ['"湖に"', "犬"]),
        ("犬「湖に」", ["犬", '"湖に"']),
        ("『湖』", ['"湖"']),
        ("＂호수＂ 개", ['"호수"', "개"]),
        ("호수 −개", ["호수", "-개"]),
        ("well-known", ["well-known"]),
        ("it's 6'2\" tall", ["it's", "6'2\"", "tall"]),
        ("'quoted' words", ["'quoted'", "words"]),
        ("--help me", ["--help", "me"]),
        ("lake - dog", ["lake", "-", "dog"]),
        ("lake -", ["lake", "-"]),
        ('"fall into', ['"fall into"']),
        ('lake "', ["lake"]),
        ('lake ""', ["lake"]),
        ('lake -""', ["lake"]),
        ('a"b c"', ['a"b', 'c"']),
        ('"a""b"', ['"a"', '"b"']),
        ('-"a"b', ['-"a"', "b"]),
        ("person:anna year:1999", ["person:anna", "year:1999"]),
        ("(anna AND ben) NOT carl", ["(anna", "AND", "ben)", "NOT", "carl"]),
        ("  spaced\u3000out\n", ["spaced", "out"]),
        ("", []),
        ("   ", []),
    ],
)
def test_a_query_is_read_as_it_is_meant(text: str, terms: list[str]) -> None:
    assert [plain(term) for term in parse(text).terms] == terms


def test_only_what_is_left_out_is_no_question() -> None:
    with pytest.raises(QueryError, match="what to look for") as error:
        parse("  -dog -cat")
    assert error.value.position == 2


def test_a_text_that_is_too_long_says_where_it_should_end() -> None:
    assert parse("a" * MAX_CHARACTERS).terms
    with pytest.raises(QueryError, match="longer than") as error:
        parse("a" * (MAX_CHARACTERS + 1))
    assert error.value.position == MAX_CHARACTERS


def test_too_many_words_are_refused_at_the_first_that_is_too_much() -> None:
    assert len(parse("a " * MAX_TERMS).terms) == MAX_TERMS
    with pytest.raises(QueryError, match="words") as error:
        parse("a " * (MAX_TERMS + 1))
    assert error.value.position == 2 * MAX_TERMS


def test_terms_are_sorted_by_kind() -> None:
    query = parse('dad "in the lake" -dog -"a cat" boat')
    assert [word.text for word in query.words] == ["dad", "boat"]
    assert [exact.text for exact in query.exacts] == ["in the lake"]
    assert [term.text for term in query.without] == ["dog", "a cat"]


def test_a_model_is_asked_for_what_is_wanted_not_for_what_is_left_out() -> None:
    assert parse('dad "in the lake" -dog boat').wanted == "dad in the lake boat"
    assert Query(text="", terms=()).wanted == ""


def test_every_term_says_where_it_was_typed() -> None:
    text = 'dad "in it" -dog -"a cat"'
    query = parse(text)
    assert [text[term.start : term.end] for term in query.terms] == [
        "dad",
        '"in it"',
        "-dog",
        '-"a cat"',
    ]


def refused(text: str) -> int | None:
    """Return where a query is refused, None if it is read."""
    try:
        parse(text)
    except QueryError as error:
        return error.position
    return None


@given(typed)
def test_whatever_is_typed_is_read_or_refused_with_a_place(text: str) -> None:
    place = refused(text)
    if place is not None:
        assert 0 <= place <= len(text)
        return
    query = parse(text)
    assert query.text == text
    end = 0
    for term in query.terms:
        assert end <= term.start < term.end <= len(text)
        end = term.end
        inner = term.term if isinstance(term, Without) else term
        assert inner.text
        assert inner.text in text[term.start : term.end]


@given(typed)
def test_nothing_but_spaces_and_marks_is_lost(text: str) -> None:
    """Every letter that was typed is in a term."""
    if refused(text) is not None:
        return
    kept = "".join(plain(term) for term in parse(text).terms)
    assert [letter for letter in kept if letter.isalnum()] == [
        letter for letter in text if letter.isalnum()
    ]


@given(st.lists(st.sampled_from(["dad", "호수", "l'eau", "x-ray", "5"]), min_size=1, max_size=9))
def test_words_without_marks_are_just_words(words: list[str]) -> None:
    query = parse(" ".join(words))
    assert [word.text for word in query.words] == words
    assert all(isinstance(term, Word) for term in query.terms)


def test_beside_a_picture_a_minus_may_stand_alone() -> None:
    query = parse("-dog", alone=False)
    assert [each.text for each in query.without] == ["dog"]
    assert parse("", alone=False).terms == ()
