"""The names of what scenes show, as a model of pictures gave them. `store.pictures` keeps them."""

import json
import threading
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import apsw


class Tag(NamedTuple):
    """score: the probability that the model gave it, 0..1. at_ms: the frame that shows it best."""

    name: str
    score: float
    at_ms: int


def names(connection: apsw.Connection) -> tuple[str, ...]:
    """Return every name that any scene has, in order. Kept until something was written, by this
    connection or by another one."""
    row = connection.execute("pragma data_version").fetchone()
    assert row is not None
    state = (int(row[0]), connection.total_changes())
    with _lock:
        known = _known.get(connection)
    if known is None or known[0] != state:
        known = (state, _names(connection))
        with _lock:
            _known[connection] = known
    return known[1]


_Known = tuple[tuple[int, int], tuple[str, ...]]
_known: WeakKeyDictionary[apsw.Connection, _Known] = WeakKeyDictionary()
_lock = threading.Lock()


def _names(connection: apsw.Connection) -> tuple[str, ...]:
    """Hop from one name to the next in the index: 3 µs each."""
    row = connection.execute(
        "with recursive found (name) as (select min(name) from tags union all"
        " select (select min(name) from tags where name > found.name)"
        " from found where found.name is not null)"
        " select json_group_array(name) from found where name is not null"
    ).fetchone()
    assert row is not None
    return tuple(json.loads(str(row[0])))


def scenes(
    connection: apsw.Connection,
    name: str,
    accept: Callable[[int, int], bool] | None,
    *,
    limit: int | None,
) -> list[tuple[int, float]]:
    """Return (scene id, score) of at most `limit` scenes with a tag, the surest first.

    accept: lets a scene (its id) of a file (its id) through; None lets every one through.
    """
    if accept is None:
        # All in one row: each row that is fetched takes Python's lock again.
        row = connection.execute(
            "select json_group_array(json_array(scene_id, score)) from (select scene_id, score"
            " from tags where name = ? order by score desc, scene_id limit ?)",
            (name, -1 if limit is None else limit),
        ).fetchone()
        assert row is not None
        return [(scene_id, score) for scene_id, score in json.loads(str(row[0]))]
    rows: Iterable[Any] = connection.execute(
        "select scene_id, score, file_id from tags cross join scenes on scenes.id = scene_id"
        " where name = ? order by score desc, scene_id",
        (name,),
    )
    return list(islice(((row[0], row[1]) for row in rows if accept(row[0], row[2])), limit))


def of_scenes(connection: apsw.Connection, scene_ids: Iterable[int]) -> dict[int, list[Tag]]:
    """Return the tags of each scene that has any, best first."""
    found: dict[int, list[Tag]] = {}
    rows: Iterable[Any] = connection.execute(
        "select scene_id, name, score, at_ms from tags"
        " where scene_id in (select value from json_each(?)) order by scene_id, score desc, name",
        (json.dumps(list(scene_ids)),),
    )
    for scene_id, *tag in rows:
        found.setdefault(scene_id, []).append(Tag(*tag))
    return found
