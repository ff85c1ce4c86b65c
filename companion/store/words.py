"""The words of scenes and the titles of items, in FTS5.

The tables keep no text, only an index of what `folding` made of it, so that words stand once on
disk. A query never reaches FTS5 as it was typed: an `Expression` is put together from folded
letters and digits in quotes, so no text can be a syntax error or an operator.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, NewType

import apsw

from companion.model import Viewer
from companion.store import folding
from companion.store.folding import Run

Expression = NewType("Expression", str)
"""What FTS5 is asked. Made only by the functions below."""


# --- what is written -----------------------------------------------------------------------------


def prepare(text: str) -> str:
    """Return what the index keeps of a text: folded terms with spaces between."""
    return folding.prepare(text)


def index_scene(
    connection: apsw.Connection, scene_id: int, spoken: str, onscreen: str = ""
) -> None:
    """Make the words of a scene searchable, in place of what it had."""
    connection.execute(
        "insert or replace into scene_words (rowid, spoken, onscreen) values (?, ?, ?)",
        (scene_id, prepare(spoken), prepare(onscreen)),
    )


def forget_scene(connection: apsw.Connection, scene_id: int) -> None:
    """Take the words of a scene out of the index. Deleting the scene's row does it too."""
    connection.execute("delete from scene_words where rowid = ?", (scene_id,))


def index_item(connection: apsw.Connection, item_id: int, title: str) -> None:
    """Make an item searchable by its title (`title_text` makes it), in place of what it had."""
    connection.execute(
        "insert or replace into item_words (rowid, title) values (?, ?)", (item_id, prepare(title))
    )


def reindex_items(connection: apsw.Connection) -> int:
    """Make every item searchable by its title anew; return how many there are."""
    rows: list[Any] = connection.execute("select id, show_title, title, year from items").fetchall()
    for item_id, show_title, title, year in rows:
        index_item(connection, item_id, title_text(show_title, title, year))
    return len(rows)


def title_text(show_title: str, title: str, year: int | None) -> str:
    """Return what an item can be found by: its show, its title, its year."""
    return " ".join(part for part in (show_title, title, str(year or "")) if part)


# --- what is asked -------------------------------------------------------------------------------


def phrase(text: str) -> Expression | None:
    """Return an expression for these words one after the other, None if there is no word in it.

    A run of pairs may stand inside a longer one: a phrase may begin and end in the middle of a
    Korean, Japanese, Chinese or Thai word, but not in the middle of an English one.
    """
    cut = folding.runs_of(text)
    if not cut:
        return None
    *before, last = cut
    terms = [term for run in before for term in run.terms]
    if last.paired and len(last.text) > 1:
        return _quoted((*terms, *last.pairs))
    return _quoted((*terms, last.text), prefix=last.paired)


def term(run: Run) -> Expression:
    """Return an expression for one run, also inside a longer run of pairs."""
    if run.paired and len(run.text) > 1:
        return _quoted(run.pairs)
    return _quoted((run.text,), prefix=run.paired)


def beginning(text: str) -> Expression:
    """Return an expression for the words that begin with the last word of a text; words before it
    stand in front of it."""
    return _quoted([term for run in folding.runs_of(text) for term in run.terms], prefix=True)


def any_of(expressions: Iterable[Expression]) -> Expression:
    return Expression(" OR ".join(f"({each})" for each in expressions))


def all_of(expressions: Iterable[Expression]) -> Expression:
    return Expression(" AND ".join(f"({each})" for each in expressions))


def scenes(
    connection: apsw.Connection,
    expression: Expression,
    accept: Callable[[int, int], bool] | None,
    *,
    limit: int | None,
    ranked: bool = False,
) -> list[int]:
    """Return the ids of at most `limit` scenes that match and that `accept(scene id, file id)` lets
    through; None lets every scene through.

    ranked: best first by bm25, which looks at every match; else in the order of ids, which stops
    at the limit.
    """
    order = " order by rank" if ranked else ""
    if accept is None:
        # All in one row: each row that is fetched takes Python's lock again.
        row = connection.execute(
            f"select group_concat(id) from ({_MATCHING}{order} limit ?)",
            (expression, -1 if limit is None else limit),
        ).fetchone()
        return [int(each) for each in str(row[0]).split(",")] if row and row[0] else []
    rows: Iterable[Any] = connection.execute(
        f"select id, file_id from ({_MATCHING}{order}) cross join scenes using (id)", (expression,)
    )
    return list(islice((row[0] for row in rows if accept(row[0], row[1])), limit))


_MATCHING = "select rowid as id from scene_words where scene_words match ?"


def titled(
    connection: apsw.Connection, expression: Expression, viewer: Viewer, *, limit: int | None
) -> list[tuple[int, str]]:
    """Return (item id, title text) of live items that the viewer may see, best first by bm25."""
    rows: Iterable[Any] = connection.execute(
        "select items.id, items.show_title, items.title, items.year"
        " from item_words cross join items on items.id = item_words.rowid"
        " where item_words match ? and items.gone_at_ms is null order by item_words.rank",
        (expression,),
    )
    seen = ((row[0], title_text(*row[1:])) for row in rows if viewer.may_see(row[0]))
    return list(islice(seen, limit))


def _quoted(terms: Sequence[str], *, prefix: bool = False) -> Expression:
    return Expression(f'"{" ".join(terms)}"{" *" if prefix else ""}')
