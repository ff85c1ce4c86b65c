"""What a query asks the word index for, one term a word.

A word is looked for as it stands; a longer one also as the beginning of other words, which finds
plurals and what is still being typed. A longer run of Korean, Japanese, Chinese or Thai counts by
its pairs, so that a sentence without spaces, or a word with another particle, still finds its like.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from companion.search.query import Query, Word
from companion.store import folding, words
from companion.store.folding import Run
from companion.store.words import Expression

MAX_TERMS = 24  # each is one look into the index
EXTENDED_FROM = 4  # letters; shorter words begin too many others
TYPED_FROM = 2  # letters of a last word that may still be being typed


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """runs: what to mark. exact: finds the word itself. extended: finds longer words; each is worth
    `worth` of the word itself, 0..1. share: of a query word that was taken apart, this much is in
    the term. fallback: extended is asked only if exact finds nothing."""

    runs: tuple[Run, ...]
    exact: Expression
    extended: Expression | None = None
    worth: float = 1.0
    share: float = 1.0
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """A term with the scenes and the titles of items it is in: id -> worth, 0..1. common: in too
    many scenes to name them all. tags: scenes that show it, as far as their tags say."""

    term: Term
    weight: float
    common: bool
    scenes: dict[int, float]
    titles: dict[int, float]
    tags: dict[int, float] = field(default_factory=dict)


def terms(query: Query) -> list[Term]:
    """Return the terms of the words outside quotes, at most MAX_TERMS, each once."""
    found: dict[Expression, Term] = {}
    last = query.terms[-1] if query.terms else None
    for word in query.words:
        for term in _of_word(word, typing=word is last and word.end == len(query.text)):
            found.setdefault(term.exact, term)
    return list(found.values())[:MAX_TERMS]


def _of_word(word: Word, *, typing: bool) -> Iterable[Term]:
    runs = tuple(folding.runs_of(word.text))
    if len(runs) > 1 and not any(run.paired for run in runs):
        whole = words.phrase(word.text)  # well-known, don't
        return [Term(runs=runs, exact=whole)] if whole else []
    return [
        term
        for number, run in enumerate(runs)
        for term in _of_run(run, typing=typing and number == len(runs) - 1)
    ]


def _of_run(run: Run, *, typing: bool) -> Iterable[Term]:
    exact = words.term(run)
    if run.paired:
        if len(run.text) < 3:
            return [Term(runs=(run,), exact=exact)]
        share = 1 / len(run.pairs)
        pairs = [Run(pair, 0, len(pair), True) for pair in run.pairs]
        return [Term(runs=(pair,), exact=words.term(pair), share=share) for pair in pairs]
    length = len(run.text)
    if length >= EXTENDED_FROM:
        # The longer the word, the less another word begins with it by chance.
        worth = min(0.9, 0.5 + 0.05 * length)
        longer = words.beginning(run.text)
        return [Term(runs=(run,), exact=exact, extended=longer, worth=worth)]
    if typing and length >= TYPED_FROM:
        longer = words.beginning(run.text)
        return [Term(runs=(run,), exact=exact, extended=longer, worth=0.6, fallback=True)]
    return [Term(runs=(run,), exact=exact)]
