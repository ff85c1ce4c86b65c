"""What titles say to a query: which items are its answer, and what they add to their scenes.

Functions of a connection.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import apsw

from companion.model import Viewer
from companion.search.bounds import Bounds, phrases
from companion.search.fusion import TitleAnswer
from companion.search.query import Query
from companion.search.terms import Counted
from companion.store import visibility, words

TITLES = 200  # items of one word that are looked at ...
TITLED = 12  # ... and that are handed on
ALL_OF_TITLE = 0.85  # share of a query that makes an item itself a result


@dataclass(frozen=True, slots=True, kw_only=True)
class Titles:
    """answers: items whose title is the answer, best first. By file id, shares: how much of the
    query is in its title, 0..1; items: the item that has this title."""

    answers: Sequence[TitleAnswer]
    shares: Mapping[int, float]
    items: Mapping[int, int]


def titles(
    connection: apsw.Connection,
    query: Query,
    viewer: Viewer,
    within: Bounds,
    counted: Sequence[Counted],
) -> Titles:
    """Return what is in titles. counted: the terms of the query, with the items they are in."""
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
    by_file: dict[int, tuple[float, int]] = {}
    for item_id, file_ids in visibility.files_of_items(connection, best).items():
        there = [each for each in file_ids if each in within.shown]
        for file_id in there:
            by_file[file_id] = max(by_file.get(file_id, (0.0, 0)), (shares[item_id], item_id))
        if shares[item_id] >= ALL_OF_TITLE and (quoting is None or item_id in quoting):
            answers.extend(_answer(connection, item_id, shares[item_id], there))
    return Titles(
        answers=sorted(answers, key=lambda each: -each.share)[:TITLED],
        shares={file_id: share for file_id, (share, _) in by_file.items()},
        items={file_id: item_id for file_id, (_, item_id) in by_file.items()},
    )


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
