"""The legs of a search: what the index of words, the titles and the vectors say, each on its own.

Functions of a connection. No leg reads the text of a scene. A word that is everywhere costs no more
than a rare one: rows are fetched up to a limit, and words above it only count when all are.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import apsw

from companion.model import Viewer
from companion.search import fusion
from companion.search.bounds import Bounds, bounds, phrases
from companion.search.fusion import Near, Said, TitleAnswer
from companion.search.query import Query
from companion.search.terms import Term, terms
from companion.store import vectors, visibility, words
from companion.store.folding import Run
from companion.store.words import Expression

COMMON_SHARE = 0.02  # of the scenes: a word in more does not score when a rarer one is there ...
COMMON_LEAST = 300  # ... unless it is in so few that they are counted in no time
CANDIDATES = 400  # scenes that the words leg hands on
NEAREST = 200  # scenes that the meaning leg hands on
RANKED = 2_000  # rows that bm25 puts in order
TITLES = 200  # items of one word that are looked at ...
TITLED = 12  # ... and that are handed on
MARKED = 0.25  # of the weight of the rarest word: those with less are not marked
ALL_OF_TITLE = 0.85  # share of a query that makes an item itself a result


@dataclass(frozen=True, slots=True)
class _Counted:
    """A term with the scenes and titles it is in: id -> worth, 0..1. common: in too many scenes to
    name them."""

    term: Term
    weight: float
    common: bool
    scenes: dict[int, float]
    titles: dict[int, float]


# --- words and titles ----------------------------------------------------------------------------


def said(connection: apsw.Connection, query: Query, viewer: Viewer) -> Said:
    """Ask the words and the titles."""
    within = bounds(connection, query, viewer)
    files: dict[int, int] = {}
    counted = _count(connection, query, viewer, within, files)
    if counted:
        scores = _shares(connection, query, within, counted, files)
    else:
        scores = dict.fromkeys(within.quoted, fusion.PHRASE)
    for scene_id in within.quoted:
        scores.setdefault(scene_id, 0.0)
    best = sorted(scores, key=lambda scene_id: (-scores[scene_id], scene_id))[:CANDIDATES]
    if within.quoted:
        files |= visibility.files_of_scenes(connection, best)
    answers, titles = _titles(connection, query, viewer, within, counted)
    return Said(
        scores={scene_id: scores[scene_id] for scene_id in best if scene_id in files},
        files=files,
        titles=titles,
        quoted=within.quoted,
        answers=answers,
        telling=_to_mark(counted),
    )


def _count(
    connection: apsw.Connection,
    query: Query,
    viewer: Viewer,
    within: Bounds,
    files: dict[int, int],
) -> list[_Counted]:
    """Find the scenes and titles of every term. The files of what is found go into `files`."""
    total = _scenes(connection) if within.allowed is None else len(within.allowed)
    most = max(COMMON_LEAST, int(COMMON_SHARE * total))
    found = []
    for term in terms(query):
        scenes: dict[int, float] = {}
        for expression, worth in _asked(term, scenes):
            rows = words.scenes(connection, expression, within.accept, limit=most + 1)
            files.update(rows)
            for scene_id, _ in rows:
                scenes.setdefault(scene_id, worth)
        titles: dict[int, float] = {}
        for expression, worth in _asked(term, titles):
            for item_id, _ in words.titled(connection, expression, viewer, limit=TITLES):
                titles.setdefault(item_id, worth)
        weight = term.share * fusion.inverse_frequency(len(scenes), total)
        found.append(_Counted(term, weight, len(scenes) > most, scenes, titles))
    return found


def _telling(counted: Sequence[_Counted]) -> Sequence[_Counted]:
    """Return the terms that score: the rare ones, all of them if none is rare."""
    return [each for each in counted if not each.common] or counted


def _to_mark(counted: Sequence[_Counted]) -> list[Run]:
    """Return the words that are worth a mark: in a small library "the" counts, but tells little."""
    telling = _telling(counted)
    most = max((each.weight / each.term.share for each in telling), default=0.0)
    return [
        run
        for each in telling
        if each.weight / each.term.share >= MARKED * most
        for run in each.term.runs
    ]


def _asked(term: Term, found: Mapping[int, float]) -> Iterator[tuple[Expression, float]]:
    """Yield what to ask for a term and what it is worth, while `found` fills."""
    yield term.exact, 1.0
    if term.extended is not None and not (term.fallback and found):
        yield term.extended, term.worth


def _shares(
    connection: apsw.Connection,
    query: Query,
    within: Bounds,
    counted: Sequence[_Counted],
    files: dict[int, int],
) -> dict[int, float]:
    """Return the words score of every scene that has words of the query."""
    rare = _telling(counted)
    scores: dict[int, float] = {}
    if not rare[0].common:
        held: defaultdict[int, float] = defaultdict(float)
        for each in rare:
            for scene_id, worth in each.scenes.items():
                held[scene_id] += worth * each.weight
        whole = sum(each.weight for each in rare)
        scores = {scene_id: fusion.words_score(part / whole) for scene_id, part in held.items()}
        _break_ties(connection, within, rare, scores)
    else:
        everywhere = words.all_of(each.term.exact for each in counted)
        rows = words.scenes(connection, everywhere, within.accept, limit=CANDIDATES)
        files.update(rows)
        scores = {scene_id: fusion.COMMON_WORDS for scene_id, _ in rows}
    in_a_row = words.phrase(" ".join(word.text for word in query.words))
    if len(query.words) > 1 and in_a_row is not None:
        rows = words.scenes(connection, in_a_row, within.accept, limit=CANDIDATES)
        files.update(rows)
        scores.update((scene_id, fusion.PHRASE) for scene_id, _ in rows)
    return scores


def _break_ties(
    connection: apsw.Connection,
    within: Bounds,
    rare: Iterable[_Counted],
    scores: dict[int, float],
) -> None:
    """Order scenes with the same words by bm25 of the rarest: short scenes, words said again."""
    expressions: list[Expression] = []
    rows = 0
    for each in sorted(rare, key=lambda each: len(each.scenes)):
        rows += len(each.scenes)
        if each.scenes and rows <= RANKED:
            expressions.append(each.term.extended or each.term.exact)
    if not expressions:
        return
    anything = words.any_of(expressions)
    ranked = words.scenes(connection, anything, within.accept, limit=CANDIDATES, ranked=True)
    for place, (scene_id, _) in enumerate(ranked):
        if scene_id in scores:
            scores[scene_id] = fusion.tie(scores[scene_id], place / len(ranked))


def _titles(
    connection: apsw.Connection,
    query: Query,
    viewer: Viewer,
    within: Bounds,
    counted: Sequence[_Counted],
) -> tuple[list[TitleAnswer], dict[int, float]]:
    """Return the items whose title is the answer, and the share of the query in files' titles."""
    shares: dict[int, float] = {}
    whole = sum(each.weight for each in counted)
    for each in counted:
        for item_id, worth in each.titles.items():
            shares[item_id] = shares.get(item_id, 0.0) + worth * each.weight / whole
    quoting = _titles_with_quotes(connection, query, viewer)
    if not counted:
        shares = dict.fromkeys(quoting or (), 1.0)
    best = sorted(shares, key=lambda item_id: (-shares[item_id], item_id))[:TITLES]
    answers: list[TitleAnswer] = []
    titles: dict[int, float] = {}
    for item_id, file_ids in visibility.files_of_items(connection, best).items():
        there = [each for each in file_ids if each in within.shown]
        for file_id in there:
            titles[file_id] = max(titles.get(file_id, 0.0), shares[item_id])
        if shares[item_id] >= ALL_OF_TITLE and (quoting is None or item_id in quoting):
            answers.extend(_answer(connection, item_id, shares[item_id], there))
    return sorted(answers, key=lambda each: -each.share)[:TITLED], titles


def _titles_with_quotes(
    connection: apsw.Connection, query: Query, viewer: Viewer
) -> set[int] | None:
    """Return the items that have every quote in their title, None without quotes."""
    holding: set[int] | None = None
    for expression in phrases(term.text for term in query.exacts):
        rows = words.titled(connection, expression, viewer, limit=TITLES)
        found = {item_id for item_id, _ in rows}
        holding = found if holding is None else holding & found
    return holding


def _answer(
    connection: apsw.Connection, item_id: int, share: float, file_ids: Iterable[int]
) -> Iterator[TitleAnswer]:
    """Yield the item with the scene that it begins with, if it has one."""
    for file_id in file_ids:
        row = connection.execute(
            "select id from scenes where file_id = ? order by number limit 1", (file_id,)
        ).fetchone()
        if row is not None:
            yield TitleAnswer(item_id=item_id, share=share, scene_id=row[0], file_id=file_id)
            return


def _scenes(connection: apsw.Connection) -> int:
    row = connection.execute("select count(*) from scenes").fetchone()
    assert row is not None
    return int(row[0])


# --- meaning -------------------------------------------------------------------------------------


def near(
    connection: apsw.Connection, query: Query, viewer: Viewer, model: str, vector: bytes
) -> Near | None:
    """Ask the vectors. None if no scene was read by the model yet.

    vector: of the query, float16. model: its identity.
    """
    known = vectors.find_model(connection, model)
    if known is None or 2 * known[1] != len(vector):
        return None
    within = bounds(connection, query, viewer)
    found = vectors.nearest_parts(connection, known[0], vector, NEAREST, within.mask())
    files = visibility.files_of_scenes(connection, [each.scene_id for each in found])
    return Near(
        model=model,
        cosines={each.scene_id: each.cosine for each in found if each.scene_id in files},
        parts={each.scene_id: each.part for each in found},
        files=files,
    )
