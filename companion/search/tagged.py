"""Words of the query that name what scenes show.

A tag is a guess of a model, so it weighs less than a word that is said. The last word of its name
says what the thing is: a "sports car" is a car, a "car mirror" is not. Functions of a connection.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice, takewhile
from typing import NamedTuple

import apsw

from companion.search.terms import Counted, Term
from companion.store import folding, tags

SIDE_WORD = (
    0.5  # what a word is worth that is not the last of a name of which more is not asked for
)
NAMES = 24  # of one word, that are looked up

_Accept = Callable[[int, int], bool]


class _Known(NamedTuple):
    """The names of all tags. names: word -> the names that it is in, with all words of each; words:
    in order."""

    names: Mapping[str, Mapping[str, tuple[str, ...]]]
    words: Sequence[str]


def find(
    connection: apsw.Connection,
    counted: Iterable[Counted],
    accept: _Accept | None,
    *,
    limit: int,
) -> dict[int, float]:
    """Fill in the scenes whose tags name a term, and return how sure the surest of them is, by
    scene. limit: of the scenes of one tag."""
    known = _by_word(tags.names(connection))
    asked = [each for each in counted if each.term.runs]
    typed = {run.text for each in asked for run in each.term.runs}
    scenes: dict[str, list[tuple[int, float]]] = {}
    sure: dict[int, float] = {}
    for each in asked:
        for name, worth in list(_names(each.term, typed, known).items())[:NAMES]:
            if name not in scenes:
                scenes[name] = tags.scenes(connection, name, accept, limit=limit)
            for scene_id, score in scenes[name]:
                each.tags[scene_id] = max(worth, each.tags.get(scene_id, 0.0))
                sure[scene_id] = max(score, sure.get(scene_id, 0.0))
    return sure


def named(connection: apsw.Connection, text: str) -> list[str]:
    """Return the tags in whose name the words of a text follow each other."""
    wanted = tuple(run.text for run in folding.runs_of(text))
    known = _by_word(tags.names(connection))
    return (
        [
            name
            for name, words in known.names.get(wanted[0], {}).items()
            if any(words[n : n + len(wanted)] == wanted for n in range(len(words)))
        ]
        if wanted
        else []
    )


def _names(term: Term, typed: set[str], known: _Known) -> dict[str, float]:
    """Return the names that a term is in, with what it is worth there, the best first. typed: all
    words of the query."""
    found: dict[str, float] = {}
    for word, worth in _words(term, known):
        for name, words in known.names[word].items():
            whole = words[-1] == word or typed.issuperset(words)
            found[name] = max(worth * (1.0 if whole else SIDE_WORD), found.get(name, 0.0))
    return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))


def _words(term: Term, known: _Known) -> list[tuple[str, float]]:
    """Return the words of names that are a term, or that begin with it."""
    text = term.runs[0].text
    if len(term.runs) > 1 or term.runs[0].paired:
        return []
    if term.extended is None or term.fallback:
        return [(text, 1.0)] if text in known.names else []
    first = bisect_left(known.words, text)
    words = takewhile(lambda word: word.startswith(text), islice(known.words, first, None))
    return [(word, 1.0 if word == text else term.worth) for word in words]


@lru_cache(maxsize=2)
def _by_word(names: Sequence[str]) -> _Known:
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for name in names:
        words = tuple(run.text for run in folding.runs_of(name))
        for word in words:
            found.setdefault(word, {})[name] = words
    return _Known(found, sorted(found))
