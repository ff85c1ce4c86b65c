"""Who may see which files: what masks every search before anything is ranked or counted.

A file is shown if it lies somewhere now and belongs to an item that is there and that the viewer
may see, as `library.visible` says of a single one.
"""

import json
from collections.abc import Collection

import apsw

from companion.model import Viewer

_SHOWN = """
    select distinct paths.file_id
    from items
    cross join parts on parts.item_id = items.id
    cross join paths on paths.id = parts.path_id
    where items.gone_at_ms is null and paths.gone_at_ms is null and paths.file_id is not null
"""
_LISTED = "(select value from json_each(?))"


def files(connection: apsw.Connection, viewer: Viewer) -> tuple[frozenset[int], frozenset[int]]:
    """Return the ids of the files that a viewer may find, and of all others.

    Costs some microseconds per file.
    """
    if viewer.item_ids is None:
        rows = connection.execute(_SHOWN)
    else:
        rows = connection.execute(f"{_SHOWN} and items.id in {_LISTED}", (_json(viewer.item_ids),))
    shown = frozenset(row[0] for row in rows)
    everything = frozenset(row[0] for row in connection.execute("select id from files"))
    return shown, everything - shown


def files_of_items(
    connection: apsw.Connection, item_ids: Collection[int]
) -> dict[int, tuple[int, ...]]:
    """Return the ids of each item's files that lie somewhere now, in the order of its parts."""
    rows = connection.execute(
        "select parts.item_id, paths.file_id from parts join paths on paths.id = parts.path_id"
        f" where parts.item_id in {_LISTED}"
        " and paths.gone_at_ms is null and paths.file_id is not null"
        " order by parts.item_id, parts.version, parts.part",
        (_json(item_ids),),
    )
    found: dict[int, dict[int, None]] = {}
    for item_id, file_id in rows:
        found.setdefault(item_id, {})[file_id] = None
    return {item_id: tuple(ids) for item_id, ids in found.items()}


def scenes_of_files(connection: apsw.Connection, file_ids: Collection[int]) -> frozenset[int]:
    """Return the ids of every scene of some files."""
    rows = connection.execute(
        f"select id from scenes where file_id in {_LISTED}", (_json(file_ids),)
    )
    return frozenset(row[0] for row in rows)


def files_of_scenes(connection: apsw.Connection, scene_ids: Collection[int]) -> dict[int, int]:
    """Return the file id of each scene that is still there."""
    rows = connection.execute(
        f"select id, file_id from scenes where id in {_LISTED}", (_json(scene_ids),)
    )
    return {row[0]: row[1] for row in rows}


def _json(ids: Collection[int]) -> str:
    return json.dumps(sorted(ids))
