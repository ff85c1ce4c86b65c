"""The legs of a search: what the index of words, the titles and the vectors say, each on its own.

Functions of a connection. No leg reads the text of a scene. A word that is everywhere costs no more
than a rare one: rows are fetched up to a limit, and words above it only count when all are.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import apsw

from companion.model import Viewer
from companion.search import fusion, tagged
from companion.search.bounds import Bounds, Within
from companion.search.encoding import Vector
from companion.search.fusion import Looked, Near, Said
from companion.search.query import Query
from companion.search.terms import Counted, Term, terms
from companion.search.titles import TITLES, Titles, titles
from companion.store import pictures, vectors, visibility, words
from companion.store.codes import Codes
from companion.store.vectors import Nearest
from companion.store.words import Expression

COMMON_SHARE = 0.02  # of the scenes: a word in more does not score when a rarer one is there ...
COMMON_LEAST = 300  # ... unless it is in so few that they are counted in no time
CANDIDATES = 150  # scenes that the words leg hands on, and as many as are to be shown
NEAREST = 100  # scenes that the meaning leg hands on, and pictures when a picture is asked for ...
SEEN = 60  # ... and when words are
TAGGED = 60  # scenes of one tag
RANKED = 2_000  # rows that bm25 puts in order
MARKED = 0.25  # of the weight of the rarest word: those with less are not marked
OWN_SHARE = 0.2  # of the query that a scene must hold itself before its film's title helps


# --- words and titles ----------------------------------------------------------------------------


def said(
    connection: apsw.Connection,
    asked: Within,
    places: int = CANDIDATES,
    *,
    tags: bool = True,
) -> Said:
    """Ask the words and the titles, and the tags. places: how many moments are to be shown."""
    query, viewer = asked.query, asked.viewer
    within = asked.bounds(connection)
    counted = _count(connection, query, viewer, within)
    named = titles(connection, query, viewer, within, counted)
    sure: dict[int, float] = {}
    if counted and tags:
        sure = tagged.find(connection, _telling(counted), within.accept, limit=max(places, TAGGED))
    if counted:
        scores = _shares(connection, query, within, counted, named)
    else:
        scores = dict.fromkeys(within.quoted, fusion.PHRASE)
    for scene_id in within.quoted:
        scores.setdefault(scene_id, 0.0)
    best = sorted(scores, key=lambda scene_id: (-scores[scene_id], scene_id))[
        : max(places, CANDIDATES)
    ]
    shown = _shown(counted, sure)
    files = visibility.files_of_scenes(connection, {*best, *shown})
    return Said(
        scores={scene_id: scores[scene_id] for scene_id in best if scene_id in files},
        tags={scene_id: score for scene_id, score in shown.items() if scene_id in files},
        files=files,
        titles=named.shares,
        quoted=within.quoted,
        answers=named.answers,
        telling=_to_mark(counted),
    )


def _shown(counted: Sequence[Counted], sure: Mapping[int, float]) -> dict[int, float]:
    """Return the score of every scene whose tags name words of the query. sure: how probable the
    surest tag is, by scene."""
    asked = _telling(counted)
    whole = sum(each.weight for each in asked)
    return {
        scene_id: fusion.tag_score(
            sum(each.tags.get(scene_id, 0.0) * each.weight for each in asked) / whole, chance
        )
        for scene_id, chance in sure.items()
    }


def _count(
    connection: apsw.Connection, query: Query, viewer: Viewer, within: Bounds
) -> list[Counted]:
    """Find the scenes and titles of every term."""
    total = _scenes(connection) if within.allowed is None else len(within.allowed)
    most = max(COMMON_LEAST, int(COMMON_SHARE * total))
    asked = list(terms(query))
    entitled = _any_title(connection, asked, viewer)
    found = []
    for term in asked:
        scenes: dict[int, float] = {}
        for expression, worth in _asked(term, scenes):
            if len(scenes) <= most:
                for each in words.scenes(connection, expression, within.accept, limit=most + 1):
                    scenes.setdefault(each, worth)
        items: dict[int, float] = {}
        for expression, worth in _asked(term, items) if entitled else ():
            for item_id, _ in words.titled(connection, expression, viewer, limit=TITLES):
                items.setdefault(item_id, worth)
        settled = replace(term, extended=None) if term.fallback and 1.0 in scenes.values() else term
        weight = term.share * fusion.inverse_frequency(len(scenes), total)
        found.append(Counted(settled, weight, len(scenes) > most, scenes, items))
    return found


def _any_title(connection: apsw.Connection, asked: Sequence[Term], viewer: Viewer) -> bool:
    """True if any term is in any title; mostly none is."""
    expressions = [term.extended or term.exact for term in asked]
    return bool(expressions) and bool(
        words.titled(connection, words.any_of(expressions), viewer, limit=1)
    )


def _telling(counted: Sequence[Counted]) -> Sequence[Counted]:
    """Return the terms that score: the rare ones, all of them if none is rare."""
    return [each for each in counted if not each.common] or counted


def _to_mark(counted: Sequence[Counted]) -> list[Term]:
    """Return the words that are worth a mark: in a small library "the" counts, but tells little."""
    telling = _telling(counted)
    most = max((each.weight / each.term.share for each in telling), default=0.0)
    return [each.term for each in telling if each.weight / each.term.share >= MARKED * most]


def _asked(term: Term, found: Mapping[int, float]) -> Iterator[tuple[Expression, float]]:
    """Yield what to ask for a term and what it is worth, while `found` fills."""
    yield term.exact, 1.0
    if term.extended is not None and not (term.fallback and found):
        yield term.extended, term.worth


def _shares(
    connection: apsw.Connection,
    query: Query,
    within: Bounds,
    counted: Sequence[Counted],
    named: Titles,
) -> dict[int, float]:
    """Return the words score of every scene that has words of the query."""
    rare = _telling(counted)
    if rare[0].common:
        everywhere = words.all_of(each.term.exact for each in counted)
        rows = words.scenes(connection, everywhere, within.accept, limit=CANDIDATES)
        scores = dict.fromkeys(rows, fusion.COMMON_WORDS)
    else:
        shares = _held(connection, rare, named)
        scores = {scene_id: fusion.words_score(share) for scene_id, share in shares.items()}
        _break_ties(connection, within, rare, scores)
    in_a_row = words.phrase(" ".join(word.text for word in query.words))
    if len(query.words) > 1 and in_a_row is not None:
        rows = words.scenes(connection, in_a_row, within.accept, limit=CANDIDATES)
        scores.update(dict.fromkeys(rows, fusion.PHRASE))
    return scores


def _held(connection: apsw.Connection, rare: Sequence[Counted], named: Titles) -> dict[int, float]:
    """Return the share of the query in each scene, counting what its film's title and its own tags
    add."""
    held: defaultdict[int, float] = defaultdict(float)
    for each in rare:
        for scene_id, worth in each.scenes.items():
            held[scene_id] += worth * each.weight
    whole = sum(each.weight for each in rare)
    telling = [each for each, weight in held.items() if weight >= OWN_SHARE * whole]
    files = visibility.files_of_scenes(connection, telling) if named.items else {}
    items = {scene_id: named.items.get(file_id, 0) for scene_id, file_id in files.items()}
    for each in rare:
        for scene_id in telling if each.titles or each.tags else ():
            if scene_id not in each.scenes:
                titled = each.titles.get(items.get(scene_id, 0), 0.0)
                shown = fusion.TAG_WORTH * each.tags.get(scene_id, 0.0)
                held[scene_id] += max(titled, shown) * each.weight
    return {scene_id: weight / whole for scene_id, weight in held.items()}


def _break_ties(
    connection: apsw.Connection,
    within: Bounds,
    rare: Iterable[Counted],
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
    for place, scene_id in enumerate(ranked):
        if scene_id in scores:
            scores[scene_id] = fusion.tie(scores[scene_id], place / len(ranked))


def _scenes(connection: apsw.Connection) -> int:
    row = connection.execute("select count(*) from scenes").fetchone()
    assert row is not None
    return int(row[0])


# --- meaning -------------------------------------------------------------------------------------


def near(connection: apsw.Connection, asked: Within, vector: Vector, codes: Codes) -> Near | None:
    """Ask the vectors. None if no scene was read by the model yet.

    vector: of the query.
    """
    known = vectors.find_model(connection, vector.model)
    if known is None or 2 * known[1] != len(vector.float16):
        return None
    within = asked.mask(connection)
    found = vectors.nearest_parts(
        connection, known[0], vector.float16, NEAREST, mask=within, codes=codes
    )
    files = visibility.files_of_scenes(connection, [each.scene_id for each in found])
    return Near(
        model=vector.model,
        cosines={each.scene_id: each.cosine for each in found if each.scene_id in files},
        parts={each.scene_id: each.part for each in found},
        files=files,
    )


# --- pictures ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for in pictures. vectors: of words, or (by_picture) of one or more frames, all
    by one model; the nearest to any of them counts. apart: a scene that is not to be found."""

    vectors: Sequence[Vector]
    by_picture: bool = False
    apart: int | None = None


def looked(
    connection: apsw.Connection, asked: Within, sought: Sought, codes: Codes
) -> Looked | None:
    """Ask the vectors of frames. None if no frame was looked at by the model yet."""
    identity = sought.vectors[0].model
    known = vectors.find_model(connection, identity)
    if known is None or 2 * known[1] != len(sought.vectors[0].float16):
        return None
    within = asked.mask(connection)
    if sought.apart is not None:
        within = replace(within, refused=within.refused | {sought.apart})
    best: dict[int, Nearest] = {}
    most = NEAREST if sought.by_picture else SEEN
    for vector in sought.vectors:
        for each in vectors.nearest_parts(
            connection, known[0], vector.float16, most, mask=within, codes=codes, least=most
        ):
            if each.scene_id not in best or each.cosine > best[each.scene_id].cosine:
                best[each.scene_id] = each
    files = visibility.files_of_scenes(connection, best)
    return Looked(
        model=identity,
        cosines={scene_id: best[scene_id].cosine for scene_id in files},
        frames={
            scene_id: each.at_ms
            for scene_id, each in best.items()
            if scene_id in files and each.at_ms is not None
        },
        files=files,
        by_picture=sought.by_picture,
    )


def looks_of_scene(connection: apsw.Connection, scene_id: int, viewer: Viewer) -> list[Vector]:
    """Return the vectors of a scene's frames that are compared with those of other pictures; none
    if it was not looked at, is not there, or the viewer may not see it."""
    file_id = visibility.files_of_scenes(connection, [scene_id]).get(scene_id)
    shown, _ = visibility.files(connection, viewer)
    if file_id not in shown:
        return []
    return [Vector(*each) for each in pictures.looks_of_scene(connection, scene_id)]
