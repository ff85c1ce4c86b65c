"""Libraries, items and files: what pages and flows ask about them, and how single ones are kept.

A *place* is a path where a file lies now and can be read (see the view `places`). An item is live
until a complete listing of its library no longer names it. `store.listing` holds what only the sync
needs.
"""

from __future__ import annotations  # apsw.SQLiteValue is known to type checkers only

import secrets
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import apsw
import msgspec

from companion.findings import MediaInfo
from companion.model import (
    File,
    Item,
    Library,
    LibraryKind,
    ListedItem,
    ListedLibrary,
    SideFileRow,
    Stat,
    Viewer,
)
from companion.store import facts, words

PROBLEMS_SHOWN = 200
FEW = 2_000  # ids that SQL looks up faster than Python passes over all the others

_ITEM = """
    items.id, items.public_id, items.library_id, libraries.name, items.kind, items.title,
    items.show_title, items.season, items.episode, items.year, items.added_at_ms
"""
_FILE = "id, public_id, fingerprint, size, media"
_SEEN_BY = "(:visible is null or items.id in (select value from json_each(:visible)))"

_encoder = msgspec.json.Encoder()
_media_decoder = msgspec.json.Decoder(MediaInfo)


def new_public_id() -> str:
    """Return an opaque id of 12 characters that is safe in URLs and as an argument of a command."""
    while (made := secrets.token_urlsafe(9)).startswith("-"):
        pass
    return made


# --- items ---------------------------------------------------------------------------------------


def libraries(c: apsw.Connection) -> list[Library]:
    """Return the libraries that are there, by name."""
    rows = c.execute(
        "select id, server_id, external_id, name, kind from libraries"
        " where gone_at_ms is null order by name, id"
    )
    return [
        Library(
            id=row[0], server_id=row[1], external_id=row[2], name=row[3], kind=LibraryKind(row[4])
        )
        for row in rows
    ]


def items(
    c: apsw.Connection,
    viewer: Viewer,
    *,
    limit: int,
    offset: int = 0,
    library_id: int | None = None,
) -> list[Item]:
    """Return live items that the viewer may see, newest first."""
    of_library = "" if library_id is None else "items.library_id = :library and"
    few = viewer.item_ids is not None and len(viewer.item_ids) <= FEW
    rows = c.execute(
        f"select {_ITEM} from items cross join libraries on libraries.id = items.library_id"
        f" where {of_library} items.gone_at_ms is null and {_SEEN_BY}"
        " order by items.added_at_ms desc, items.id desc",
        {"library": library_id, "visible": visible_json(viewer) if few else None},
    )
    seen = (row for row in rows if viewer.may_see(_int(row[0])))
    return [_item(row) for row in islice(seen, offset, offset + limit)]


def item_by_public_id(c: apsw.Connection, public_id: str) -> Item | None:
    """Return a live item."""
    return _one_item(c, "items.public_id = ?", public_id)


def item(c: apsw.Connection, item_id: int) -> Item | None:
    """Return a live item."""
    return _one_item(c, "items.id = ?", item_id)


def items_of_file(c: apsw.Connection, file_id: int) -> list[Item]:
    """Return the live items that a file is a part of, the one known longest first."""
    rows = c.execute(
        f"select {_ITEM} from items join libraries on libraries.id = items.library_id"
        " where items.gone_at_ms is null and items.id in ("
        " select parts.item_id from paths join parts on parts.path_id = paths.id"
        " where paths.file_id = ? and paths.gone_at_ms is null) order by items.id",
        (file_id,),
    )
    return [_item(row) for row in rows]


def visible(c: apsw.Connection, viewer: Viewer, file_id: int) -> bool:
    """True if the viewer may see some live item of the file."""
    return any(viewer.may_see(each.id) for each in items_of_file(c, file_id))


def visible_json(viewer: Viewer) -> str | None:
    """Return the ids a viewer may see, for `json_each`; None means everything."""
    if viewer.item_ids is None:
        return None
    return _encoder.encode(sorted(viewer.item_ids)).decode()


def _one_item(c: apsw.Connection, condition: str, key: str | int) -> Item | None:
    row = c.execute(
        f"select {_ITEM} from items join libraries on libraries.id = items.library_id"
        f" where items.gone_at_ms is null and {condition}",
        (key,),
    ).fetchone()
    return None if row is None else _item(row)


def _item(row: tuple[apsw.SQLiteValue, ...]) -> Item:
    names = ("id", "public_id", "library_id", "library", "kind", "title", "show_title", "season")
    fields = dict(zip((*names, "episode", "year", "added_at_ms"), row, strict=True))
    return msgspec.convert(fields, Item)


# --- files ---------------------------------------------------------------------------------------


def file(c: apsw.Connection, file_id: int) -> File | None:
    return next(_files(c, "files.id = ?", file_id), None)


def file_by_public_id(c: apsw.Connection, public_id: str) -> File | None:
    return next(_files(c, "files.public_id = ?", public_id), None)


def files_of_item(c: apsw.Connection, item_id: int) -> list[File]:
    """Return the files of an item in the order of its versions and their parts."""
    rows = c.execute(
        "select distinct paths.file_id from parts join paths on paths.id = parts.path_id"
        " where parts.item_id = ? and paths.file_id is not null and paths.gone_at_ms is null"
        " order by parts.version, parts.part, paths.id",
        (item_id,),
    ).fetchall()
    found = (file(c, _int(row[0])) for row in rows)
    return [each for each in found if each is not None]


def films(c: apsw.Connection, file_ids: Iterable[int]) -> dict[int, tuple[File, list[Item]]]:
    """Return files with the live items they are a part of, the one known longest first.

    What is not part of a live item any more is left out. Costs three questions for all.
    """
    wanted = _encoder.encode(list(file_ids)).decode()
    paths: dict[int, list[bytes]] = {}
    for file_id, path in c.execute(
        "select file_id, path from places where file_id in (select value from json_each(?))"
        " order by file_id, away, id",
        (wanted,),
    ):
        paths.setdefault(_int(file_id), []).append(_bytes(path))
    items: dict[int, dict[int, Item]] = {}
    for row in c.execute(
        f"select paths.file_id, {_ITEM} from json_each(?) as wanted"
        " cross join paths on paths.file_id = wanted.value and paths.gone_at_ms is null"
        " cross join parts on parts.path_id = paths.id"
        " cross join items on items.id = parts.item_id and items.gone_at_ms is null"
        " cross join libraries on libraries.id = items.library_id order by items.id",
        (wanted,),
    ):
        items.setdefault(_int(row[0]), {})[_int(row[1])] = _item(row[1:])
    rows = c.execute(
        f"select {_FILE} from files where id in (select value from json_each(?))", (wanted,)
    )
    files = [_file(row, paths.get(_int(row[0]), [])) for row in rows]
    return {file.id: (file, list(items[file.id].values())) for file in files if file.id in items}


def live_files(c: apsw.Connection) -> list[File]:
    """Return every file that lies somewhere now, also in a folder that is away, oldest id first."""
    return list(_files(c, "exists (select 1 from places where places.file_id = files.id)"))


def side_files(c: apsw.Connection, file_id: int) -> list[SideFileRow]:
    """Return the subtitle files beside the places of a file."""
    rows = c.execute(
        "select distinct s.path, s.language, s.forced, s.hearing_impaired, s.size, s.mtime_ns"
        " from places cross join side_files as s on s.path_id = places.id"
        " where places.file_id = ? order by s.path",
        (file_id,),
    )
    return [side_file(row) for row in rows]


def side_file(row: tuple[apsw.SQLiteValue, ...]) -> SideFileRow:
    """Return the row of path, language, forced, hearing_impaired, size, mtime_ns."""
    path, language, forced, hearing_impaired, size, mtime_ns = row
    return SideFileRow(
        path=_bytes(path),
        language=str(language),
        forced=bool(forced),
        hearing_impaired=bool(hearing_impaired),
        size=_int(size),
        mtime_ns=_int(mtime_ns),
    )


def path_problems(
    c: apsw.Connection, *, limit: int = PROBLEMS_SHOWN
) -> list[tuple[bytes, str, int]]:
    """Return (path, problem, since Unix ms) of what cannot be listed or read, latest first."""
    folders = c.execute(
        "select path, problem, found_at_ms from listing_problems order by found_at_ms desc limit ?",
        (limit,),
    ).fetchall()
    videos = c.execute(
        "select path, problem, seen_at_ms from paths where problem <> '' and gone_at_ms is null"
        " order by seen_at_ms desc limit ?",
        (limit,),
    ).fetchall()
    found = [(_bytes(path), str(problem), _int(at)) for path, problem, at in [*folders, *videos]]
    return sorted(found, key=lambda row: -row[2])[:limit]


def _files(c: apsw.Connection, condition: str, *keys: str | int) -> Iterator[File]:
    for row in c.execute(f"select {_FILE} from files where {condition} order by files.id", keys):
        places = c.execute("select path from places where file_id = ? order by away, id", row[:1])
        yield _file(row, [_bytes(place[0]) for place in places])


def _file(row: tuple[Any, ...], paths: Iterable[bytes]) -> File:
    file_id, public_id, fingerprint, size, media = row
    return File(
        id=file_id,
        public_id=public_id,
        fingerprint=fingerprint,
        size=size,
        media=None if media is None else _media_decoder.decode(media),
        paths=tuple(paths),
    )


def _bytes(value: apsw.SQLiteValue) -> bytes:
    assert isinstance(value, bytes)
    return value


def _int(value: apsw.SQLiteValue) -> int:
    assert isinstance(value, int)
    return value


# --- keeping one ---------------------------------------------------------------------------------


def save_server(c: apsw.Connection, *, kind: str, name: str, address: str = "", now_ms: int) -> int:
    """Keep a server under its name and return its id."""
    return _id(
        c,
        "insert into servers (kind, name, address, created_at_ms) values (?, ?, ?, ?)"
        " on conflict (name) do update set kind = excluded.kind, address = excluded.address"
        " returning id",
        (kind, name, address, now_ms),
    )


def save_library(c: apsw.Connection, server_id: int, listed: ListedLibrary) -> int:
    """Keep a library as its server lists it now and return its id."""
    return _id(
        c,
        "insert into libraries (server_id, external_id, name, kind) values (?, ?, ?, ?)"
        " on conflict (server_id, external_id) do update"
        " set name = excluded.name, kind = excluded.kind, gone_at_ms = null returning id",
        (server_id, listed.external_id, listed.name, listed.kind.value),
    )


def save_file(c: apsw.Connection, *, fingerprint: str, size: int, now_ms: int) -> int:
    """Keep a file by its content and return its id; the same content is the same file."""
    row = c.execute("select id from files where fingerprint = ?", (fingerprint,)).fetchone()
    if row is not None:
        return _int(row[0])
    return _id(
        c,
        "insert into files (public_id, fingerprint, size, first_seen_at_ms)"
        " values (?, ?, ?, ?) returning id",
        (new_public_id(), fingerprint, size, now_ms),
    )


def save_path(
    c: apsw.Connection,
    path: bytes,
    stat: Stat,
    *,
    file_id: int | None,
    problem: str = "",
    now_ms: int,
) -> int:
    """Keep what lies at a path now and return the path's id."""
    return _id(
        c,
        "insert into paths (path, file_id, device, inode, size, mtime_ns, problem, seen_at_ms)"
        " values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (path) do update set"
        " file_id = excluded.file_id, device = excluded.device, inode = excluded.inode,"
        " size = excluded.size, mtime_ns = excluded.mtime_ns, problem = excluded.problem,"
        " seen_at_ms = excluded.seen_at_ms, gone_at_ms = null returning id",
        (path, file_id, stat.device, stat.inode, stat.size, stat.mtime_ns, problem, now_ms),
    )


def save_side_files(c: apsw.Connection, path_id: int, rows: Iterable[SideFileRow]) -> None:
    """Replace what lies beside a path."""
    c.execute("delete from side_files where path_id = ?", (path_id,))
    c.executemany(
        "insert into side_files (path_id, path, language, forced, hearing_impaired, size, mtime_ns)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                path_id,
                row.path,
                row.language,
                int(row.forced),
                int(row.hearing_impaired),
                row.size,
                row.mtime_ns,
            )
            for row in rows
        ],
    )


def save_item(
    c: apsw.Connection, library_id: int, listed: ListedItem, path_ids: dict[bytes, int]
) -> int:
    """Keep an item as its server lists it now and return its id.

    path_ids: the id of each part's path. When it was added is kept from the first time.
    """
    item_id = _id(
        c,
        "insert into items (public_id, library_id, external_id, kind, title, show_title, season,"
        " episode, year, added_at_ms) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " on conflict (library_id, external_id) do update set kind = excluded.kind,"
        " title = excluded.title, show_title = excluded.show_title, season = excluded.season,"
        " episode = excluded.episode, year = excluded.year, gone_at_ms = null returning id",
        (
            new_public_id(),
            library_id,
            listed.external_id,
            listed.kind.value,
            listed.title,
            listed.show_title,
            listed.season,
            listed.episode,
            listed.year,
            listed.added_at_ms,
        ),
    )
    facts.keep(c, item_id, listed)
    c.execute("delete from parts where item_id = ?", (item_id,))
    c.executemany(
        "insert into parts (item_id, path_id, version, part, external_id) values (?, ?, ?, ?, ?)",
        [
            (item_id, path_ids[part.path], part.version, part.part, part.external_id)
            for part in listed.parts
        ],
    )
    title = words.title_text(listed.show_title, listed.title, listed.year)
    words.index_item(c, item_id, title)
    return item_id


def keep_media(c: apsw.Connection, file_id: int, media: MediaInfo) -> None:
    """Remember what the container says of itself."""
    c.execute("update files set media = ? where id = ?", (_encoder.encode(media).decode(), file_id))


def _id(c: apsw.Connection, sql: str, values: tuple[apsw.SQLiteValue, ...]) -> int:
    row = c.execute(sql, values).fetchone()
    assert row is not None
    return _int(row[0])
