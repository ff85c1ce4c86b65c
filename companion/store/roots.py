"""The folders that libraries lie in, and what could not be listed in them the last time.

A folder that is away is remembered with its reason, so that going and coming back are told once
each, also over a restart, and so that nothing below it counts as gone or is scanned.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import apsw

from companion.model import ListedProblem, Stat
from companion.paths import span


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A folder of a library. away: in words, why it cannot be looked into; empty if it can."""

    path: bytes
    device: int
    away: str = ""


def roots(c: apsw.Connection, library_id: int) -> dict[bytes, Root]:
    """Return the folders of a library as they were the last time."""
    rows = c.execute("select path, device, away from roots where library_id = ?", (library_id,))
    return {row[0]: Root(path=row[0], device=row[1], away=row[2]) for row in rows}


def keep_roots(c: apsw.Connection, library_id: int, found: Iterable[Root], *, now_ms: int) -> None:
    """Replace the folders of a library."""
    c.execute("delete from roots where library_id = ?", (library_id,))
    c.executemany(
        "insert into roots (library_id, path, below, beyond, device, away, away_at_ms)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        [
            (library_id, root.path, *span(root.path), root.device, root.away, now_ms)
            for root in found
        ],
    )


def away_notes(c: apsw.Connection) -> list[str]:
    """Return, in words, which folders are away."""
    rows = c.execute("select distinct away from roots where away <> '' order by away")
    return [row[0] for row in rows]


def some_places(c: apsw.Connection, root: bytes, *, limit: int) -> list[tuple[bytes, Stat]]:
    """Return a few paths below a folder where files lay the last time."""
    rows = c.execute(
        "select path, device, inode, size, mtime_ns from paths"
        " where path >= ? and path < ? and gone_at_ms is null and file_id is not null limit ?",
        (*span(root), limit),
    )
    return [
        (row[0], Stat(device=row[1], inode=row[2], size=row[3], mtime_ns=row[4])) for row in rows
    ]


def keep_problems(
    c: apsw.Connection, library_id: int, problems: Iterable[ListedProblem], *, now_ms: int
) -> None:
    """Replace what could not be listed of a library; an old problem keeps its date."""
    found = {problem.path: problem.problem for problem in problems}
    known = listing_problems(c, library_id)
    c.executemany(
        "delete from listing_problems where library_id = ? and path = ?",
        [(library_id, path) for path in known if path not in found],
    )
    c.executemany(
        "insert or replace into listing_problems (library_id, path, problem, found_at_ms)"
        " values (?, ?, ?, ?)",
        [
            (library_id, path, problem, now_ms)
            for path, problem in found.items()
            if known.get(path) != problem
        ],
    )


def listing_problems(c: apsw.Connection, library_id: int) -> dict[bytes, str]:
    """Return what could not be listed of a library the last time."""
    rows = c.execute(
        "select path, problem from listing_problems where library_id = ?", (library_id,)
    )
    return {row[0]: row[1] for row in rows}
