"""What to try on the empty page: a phrase, a word and a title from this very library.

A few scenes of a few films are looked at, always the same until the library changes. Only what the
viewer may see is named.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import apsw

from companion.errors import QueryError
from companion.model import Viewer
from companion.search import marks
from companion.search.bounds import Bounds
from companion.search.marks import Cut
from companion.search.query import Word, parse
from companion.store import findings, library, visibility, words

FILES = 8  # films that are looked into ...
SCENES = 10  # ... and scenes of each
TRIED_WORDS = 16
PHRASE_RUNS = range(3, 7)
PHRASE_LETTERS = range(8, 41)
WORD_LETTERS = range(5, 15)
PAIRED_LETTERS = range(2, 6)  # in scripts that are indexed as pairs, a word is shorter
WORD_SCENES = 40  # a word in more of them says little
SCATTER = 2_654_435_761  # Knuth's multiplier: spreads ids that follow each other

_CLAUSE = re.compile(r"[^.,;:!?…。、！？\n\"“”„«»「」『』()\[\]♪-]+")


def examples(connection: apsw.Connection, viewer: Viewer) -> list[str]:
    """Return up to three queries: a quote, a word, a title."""
    shown, hidden = visibility.files(connection, viewer)
    file_ids = sorted(shown, key=lambda file_id: file_id * SCATTER % 2**32)[:FILES]
    cuts = [marks.Cut(text) for text in _lines(connection, file_ids)]
    found = (
        _phrase(cuts),
        _word(connection, cuts, Bounds(shown=shown, hidden=hidden)),
        _title(connection, file_ids, viewer),
    )
    return [query for query in dict.fromkeys(found) if query]


def _lines(connection: apsw.Connection, file_ids: Iterable[int]) -> list[str]:
    """Return what is said in some scenes of each film, every line once."""
    scene_ids: list[int] = []
    for file_id in file_ids:
        rows = connection.execute(
            "select id from scenes where file_id = ? and number % 5 = 2 order by number limit ?",
            (file_id, SCENES),
        )
        scene_ids.extend(row[0] for row in rows)
    scenes = findings.scenes_with_lines(connection, scene_ids)
    return list(dict.fromkeys(line.text for _, lines in scenes.values() for line in lines))


def _phrase(cuts: Sequence[Cut]) -> str:
    """Return what somebody says in one breath, in quotes; the fullest that is short enough."""
    clauses = (clause.strip() for cut in cuts for clause in _CLAUSE.findall(cut.text))
    fitting = [
        clause
        for clause in clauses
        if len(clause) in PHRASE_LETTERS and len(marks.Cut(clause).runs) in PHRASE_RUNS
    ]
    longest = max(fitting, key=lambda clause: len(marks.Cut(clause).runs), default="")
    return f'"{longest}"' if longest else ""


def _word(connection: apsw.Connection, cuts: Sequence[Cut], bounds: Bounds) -> str:
    """Return a word that is in some scenes, but not in many."""
    seen = Counter(word for cut in cuts for word in _words(cut))
    tried = sorted(seen, key=lambda word: (-seen[word], -len(word), word))[:TRIED_WORDS]
    best, most = "", 0
    for word in tried:
        expression = words.phrase(word)
        assert expression is not None
        found = words.scenes(connection, expression, bounds.accept, limit=WORD_SCENES + 1)
        if most < len(found) <= WORD_SCENES:
            best, most = word, len(found)
    return best


def _words(cut: Cut) -> Iterator[str]:
    for run in cut.runs:
        if run.text.isalpha() and len(run.text) in (PAIRED_LETTERS if run.paired else WORD_LETTERS):
            span = cut.span(run.start, run.end)
            yield cut.text[span.start : span.end].lower()


def _title(connection: apsw.Connection, file_ids: Iterable[int], viewer: Viewer) -> str:
    """Return the title of a film, or of the show that it is from."""
    for file_id in file_ids:
        for item in library.items_of_file(connection, file_id):
            title = item.show_title or item.title
            if viewer.may_see(item.id) and _can_be_typed(title):
                return title
    return ""


def _can_be_typed(title: str) -> bool:
    """True if a title means itself as a query, and is a name rather than a number."""
    try:
        query = parse(title)
    except QueryError:
        return False
    named = any(run.text.isalpha() and len(run.text) > 1 for run in marks.Cut(title).runs)
    return named and all(isinstance(term, Word) for term in query.terms)
