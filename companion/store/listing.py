"""What the sync asks of the store: what was known of a listing, what it keeps, what has gone.

Nothing is written for what has not changed. An item is gone only after a complete listing without
it; its row, its parts and the findings of its files stay, so that a file that comes back, here or
elsewhere, costs nothing.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import apsw
import msgspec

from companion.model import ListedItem, ListedPart, SideFileRow, Stat
from companion.paths import span
from companion.store import facts, library

NOWHERE = Stat(device=0, inode=0, size=0, mtime_ns=0)  # of a path that cannot be looked at

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is seen at a path now. file_id or fingerprint: its content, where that is known."""

    stat: Stat = NOWHERE
    problem: str = ""
    side_files: tuple[SideFileRow, ...] = ()
    file_id: int | None = None
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownItem:
    """An item as it was kept the last time, with the last look at each of its paths."""

    id: int
    listed: ListedItem
    gone: bool
    looks: dict[bytes, Look]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What keeping an item has done. linked: paths at which known content was found."""

    item_id: int
    new_files: int
    linked: int


# --- what was known ------------------------------------------------------------------------------


def known_items(
    c: apsw.Connection, library_id: int, external_ids: Sequence[str]
) -> dict[str, KnownItem]:
    """Return what was kept of these items, gone ones too."""
    rows = list(
        c.execute(
            "select id, external_id, kind, title, show_title, season, episode, year, added_at_ms,"
            " facts, gone_at_ms is not null from items"
            " where library_id = ? and external_id in (select value from json_each(?))",
            (library_id, _json(external_ids)),
        )
    )
    parts = _known_parts(c, [row[0] for row in rows])
    names = ("external_id", "kind", "title", "show_title", "season", "episode", "year")
    found = {}
    for item_id, *values, kept, gone in rows:
        own = parts.get(item_id, [])
        fields = dict(zip((*names, "added_at_ms"), values, strict=True))
        fields["parts"] = tuple(part for part, _ in own)
        listed = msgspec.convert({**fields, **facts.read(kept)}, ListedItem)
        looks = {part.path: look for part, look in own if look is not None}
        found[listed.external_id] = KnownItem(
            id=item_id, listed=listed, gone=bool(gone), looks=looks
        )
    return found


def _known_parts(
    c: apsw.Connection, item_ids: Sequence[int]
) -> dict[int, list[tuple[ListedPart, Look | None]]]:
    """Return item id -> its parts in order; the look is None for a path that is gone."""
    ids = _json(item_ids)
    beside: dict[int, list[SideFileRow]] = {}
    for path_id, *row in c.execute(
        "select path_id, path, language, forced, hearing_impaired, size, mtime_ns from side_files"
        " where path_id in (select parts.path_id from parts"
        " where parts.item_id in (select value from json_each(?))) order by path",
        (ids,),
    ):
        beside.setdefault(path_id, []).append(library.side_file(tuple(row)))
    found: dict[int, list[tuple[ListedPart, Look | None]]] = {}
    for (
        item_id,
        version,
        part,
        ours,
        path,
        gone,
        path_id,
        file_id,
        problem,
        *stat,
    ) in c.execute(
        "select parts.item_id, parts.version, parts.part, parts.external_id, paths.path,"
        " paths.gone_at_ms is not null, paths.id, paths.file_id, paths.problem, paths.device,"
        " paths.inode, paths.size,"
        " paths.mtime_ns from parts join paths on paths.id = parts.path_id"
        " where parts.item_id in (select value from json_each(?))"
        " order by parts.version, parts.part, paths.path",
        (ids,),
    ):
        look = Look(
            stat=_stat(stat),
            problem=problem,
            side_files=tuple(beside.get(path_id, ())),
            file_id=file_id,
        )
        listed = ListedPart(path=path, version=version, part=part, external_id=ours)
        found.setdefault(item_id, []).append((listed, None if gone else look))
    return found


def _stat(row: Sequence[int]) -> Stat:
    device, inode, size, mtime_ns = row
    return Stat(device=device, inode=inode, size=size, mtime_ns=mtime_ns)


def files_by_stat(c: apsw.Connection, stats: Iterable[Stat]) -> dict[Stat, int]:
    """Return the file that was seen with each quick look, wherever that was; a gone path counts."""
    found = {}
    for stat in stats:
        row = c.execute(
            "select file_id from paths where inode = ? and device = ? and size = ? and mtime_ns = ?"
            " and file_id is not null and problem = '' order by seen_at_ms desc limit 1",
            (stat.inode, stat.device, stat.size, stat.mtime_ns),
        ).fetchone()
        if row is not None:
            found[stat] = int(row[0])
    return found


# --- what is kept --------------------------------------------------------------------------------


def keep_item(
    c: apsw.Connection,
    library_id: int,
    listed: ListedItem,
    looks: dict[bytes, Look],
    *,
    now_ms: int,
) -> Kept:
    """Keep an item with what was seen at each of its paths."""
    before = _paths_of(c, library_id, listed.external_id)
    new_files = linked = 0
    path_ids = {}
    for path, look in looks.items():
        file_id, is_new = _content(c, look, now_ms)
        was = c.execute("select file_id from paths where path = ?", (path,)).fetchone()
        new_files += is_new
        linked += file_id is not None and not is_new and (was is None or was[0] != file_id)
        path_ids[path] = library.save_path(
            c, path, look.stat, file_id=file_id, problem=look.problem, now_ms=now_ms
        )
        library.save_side_files(c, path_ids[path], look.side_files)
    item_id = library.save_item(c, library_id, listed, path_ids)
    _leave_paths(c, before - set(path_ids.values()), now_ms)
    return Kept(item_id=item_id, new_files=new_files, linked=linked)


def _content(c: apsw.Connection, look: Look, now_ms: int) -> tuple[int | None, bool]:
    """Return (file id, whether it is new)."""
    if not look.fingerprint:
        return look.file_id, False
    known = c.execute("select id from files where fingerprint = ?", (look.fingerprint,)).fetchone()
    if known is not None:
        return int(known[0]), False
    file_id = library.save_file(c, fingerprint=look.fingerprint, size=look.stat.size, now_ms=now_ms)
    return file_id, True


def _paths_of(c: apsw.Connection, library_id: int, external_id: str) -> set[int]:
    rows = c.execute(
        "select parts.path_id from items join parts on parts.item_id = items.id"
        " where items.library_id = ? and items.external_id = ?",
        (library_id, external_id),
    )
    return {row[0] for row in rows}


# --- what has gone -------------------------------------------------------------------------------


def items_gone(
    c: apsw.Connection,
    library_id: int,
    seen: Collection[int],
    hidden: Sequence[bytes],
    *,
    now_ms: int,
) -> int:
    """Mark the items of a completely listed library that were not seen; return how many.

    Items with a path below a hidden folder, one that could not be listed, stay as they are.
    """
    rows = c.execute(
        "select id from items where library_id = ? and gone_at_ms is null", (library_id,)
    )
    lost = [row[0] for row in rows if row[0] not in seen]
    lost = [item_id for item_id in lost if not _is_hidden(c, item_id, hidden)]
    _drop(c, lost, now_ms)
    return len(lost)


def _drop(c: apsw.Connection, lost: Sequence[int], now_ms: int) -> None:
    c.executemany(
        "update items set gone_at_ms = ? where id = ?", [(now_ms, item_id) for item_id in lost]
    )
    for item_id in lost:
        rows = c.execute("select path_id from parts where item_id = ?", (item_id,))
        _leave_paths(c, [row[0] for row in rows], now_ms)


def drop_items(
    c: apsw.Connection, server_id: int, external_ids: Collection[str], *, now_ms: int
) -> int:
    """Mark items that their server says it has no more; return how many were known."""
    rows = c.execute(
        "select items.id from json_each(?) as lost"
        " cross join libraries on libraries.server_id = ?"
        " cross join items on items.library_id = libraries.id"
        " and items.external_id = lost.value and items.gone_at_ms is null",
        (_json(sorted(external_ids)), server_id),
    )
    lost = [row[0] for row in rows]
    _drop(c, lost, now_ms)
    return len(lost)


def libraries_gone(
    c: apsw.Connection, server_id: int, still_there: Collection[int], *, now_ms: int
) -> int:
    """Mark the libraries that a server no longer has, with their items; return how many items."""
    rows = c.execute(
        "select id from libraries where server_id = ? and gone_at_ms is null", (server_id,)
    )
    lost = [row[0] for row in rows if row[0] not in still_there]
    gone = 0
    for library_id in lost:
        gone += items_gone(c, library_id, (), (), now_ms=now_ms)
        c.execute("update libraries set gone_at_ms = ? where id = ?", (now_ms, library_id))
        c.execute("delete from roots where library_id = ?", (library_id,))
        c.execute("delete from listing_problems where library_id = ?", (library_id,))
    return gone


def adopt(c: apsw.Connection, created: Iterable[int]) -> int:
    """Let new items take over the public id of the gone item whose file they have; return how many.

    A film that was renamed or moved to another library keeps its address and its date that way.
    """
    return sum(_adopt_one(c, item_id) for item_id in created)


def any_gone(c: apsw.Connection) -> bool:
    row = c.execute("select exists (select 1 from items where gone_at_ms is not null)").fetchone()
    return bool(row and row[0])


def _adopt_one(c: apsw.Connection, item_id: int) -> bool:
    old = c.execute(
        "select old.id, old.public_id, old.added_at_ms from parts as mine"
        " join paths as here on here.id = mine.path_id"
        " join paths as there on there.file_id = here.file_id"
        " join parts as theirs on theirs.path_id = there.id"
        " join items as old on old.id = theirs.item_id"
        " where mine.item_id = ? and old.gone_at_ms is not null"
        " order by old.gone_at_ms desc, old.id desc limit 1",
        (item_id,),
    ).fetchone()
    if old is None:
        return False
    c.execute("delete from items where id = ?", (old[0],))
    c.execute(
        "update items set public_id = ?, added_at_ms = ? where id = ?", (old[1], old[2], item_id)
    )
    return True


def _is_hidden(c: apsw.Connection, item_id: int, hidden: Sequence[bytes]) -> bool:
    if not hidden:
        return False
    rows = c.execute(
        "select paths.path from parts join paths on paths.id = parts.path_id"
        " where parts.item_id = ?",
        (item_id,),
    )
    spans = [span(folder) for folder in hidden]
    return any(
        below <= path < beyond or path == below[:-1] for (path,) in rows for below, beyond in spans
    )


def _leave_paths(c: apsw.Connection, path_ids: Iterable[int], now_ms: int) -> None:
    """Mark paths that no live item names any more."""
    c.executemany(
        "update paths set gone_at_ms = ?1 where id = ?2 and gone_at_ms is null and not exists ("
        " select 1 from parts join items on items.id = parts.item_id"
        " where parts.path_id = ?2 and items.gone_at_ms is null)",
        [(now_ms, path_id) for path_id in path_ids],
    )


def _json(values: Sequence[str] | Sequence[int]) -> str:
    return _encoder.encode(values).decode()
