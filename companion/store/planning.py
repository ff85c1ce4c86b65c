"""What the indexing flow asks of the store: what is known of files, what waits, what failed."""

from collections.abc import Iterable

import apsw

from companion.findings import Pass
from companion.model import Coverage, Failure, Known
from companion.store import findings, jobs, library

_LIVE = "select file_id from paths where gone_at_ms is null and file_id is not null"


def known(connection: apsw.Connection, file_id: int) -> Known | None:
    """Return what decides about the stages of a file, None if it is forgotten."""
    file = library.file(connection, file_id)
    if file is None:
        return None
    return Known(
        file=file,
        results=findings.results_of_file(connection, file_id),
        side_files=tuple(library.side_files(connection, file_id)),
        has_subtitles=_any(connection, "lines", "file_id = ? and source = 'subtitle'", file_id),
        has_scenes=_any(connection, "scenes", "file_id = ?", file_id),
    )


def all_known(connection: apsw.Connection, file_ids: Iterable[int]) -> list[Known]:
    """As `known`, for many files; forgotten ones are left out."""
    found = (known(connection, file_id) for file_id in file_ids)
    return [each for each in found if each is not None]


def live_file_ids(connection: apsw.Connection) -> list[int]:
    """Return every file that lies somewhere now, in the order it was first seen."""
    return [row[0] for row in connection.execute(f"select id from files where id in ({_LIVE})")]


def unknown_file_ids(connection: apsw.Connection) -> list[int]:
    """Return the live files of which nothing has been found yet."""
    rows = connection.execute(
        f"select id from files where id in ({_LIVE}) and not exists"
        " (select 1 from stage_results where file_id = files.id)"
    )
    return [row[0] for row in rows]


def moved_sidecars(connection: apsw.Connection) -> list[tuple[int, bytes]]:
    """Return (file id, where its sidecar was written) of every live file that has one."""
    rows = connection.execute(
        f"select file_id, path from sidecars where file_id in ({_LIVE}) order by file_id"
    )
    return [(row[0], bytes(row[1])) for row in rows]


def note_sidecar(connection: apsw.Connection, file_id: int, path: bytes, now_ms: int) -> None:
    connection.execute(
        "insert or replace into sidecars (file_id, path, written_at_ms) values (?, ?, ?)",
        (file_id, path, now_ms),
    )


def keep_jobs(
    connection: apsw.Connection,
    wanted: Iterable[tuple[int, Pass, int]],
    *,
    priority: int,
    now_ms: int,
) -> None:
    """Ask for passes of files: (file id, pass, film time in ms)."""
    for file_id, runs, total_ms in wanted:
        jobs.request(connection, file_id, runs, priority=priority, now_ms=now_ms, total_ms=total_ms)


def raise_jobs(connection: apsw.Connection, priority: int, file_public_id: str | None) -> int:
    """Give waiting jobs, of one file or of all, at least this priority; return how many."""
    connection.execute(
        "update jobs set priority = max(priority, ?1) where state = 'waiting'"
        " and (?2 is null or file_id = (select id from files where public_id = ?2))",
        (priority, file_public_id),
    )
    return connection.changes()


def try_again(connection: apsw.Connection, file_public_id: str) -> None:
    """Forget the failures of a file, so that they are planned anew."""
    connection.execute(
        "delete from stage_results where state = 'failed'"
        " and file_id = (select id from files where public_id = ?)",
        (file_public_id,),
    )
    connection.execute(
        "delete from jobs where state = 'failed'"
        " and file_id = (select id from files where public_id = ?)",
        (file_public_id,),
    )


def coverage(connection: apsw.Connection) -> Coverage:
    """Count what is searchable of the files that lie somewhere now."""
    row = connection.execute(
        f"""
        with live as (
            select id, ifnull(json_extract(media, '$.duration_ms'), 0) as ms
            from files where id in ({_LIVE})
        ), done as (
            select file_id, stage from stage_results where state = 'done'
            and file_id in (select id from live)
        )
        select
            (select count(*) from live),
            (select ifnull(sum(ms), 0) from live),
            (select count(distinct file_id) from done
             where stage = 'speech' or (stage = 'subtitles' and exists
             (select 1 from lines where lines.file_id = done.file_id and source = 'subtitle'))),
            (select count(*) from done where stage = 'scenes'),
            (select count(*) from done where stage = 'meaning'),
            (select count(*) from scenes where file_id in (select id from live)),
            (select count(*) from lines where file_id in (select id from live))
        """
    ).fetchone()
    assert row is not None
    files, film_ms, spoken, pictures, meaning, scenes, lines = row
    return Coverage(
        files=files,
        film_ms=film_ms,
        words=spoken,
        pictures=pictures,
        meaning=meaning,
        scenes=scenes,
        lines=lines,
    )


def waiting(connection: apsw.Connection) -> dict[Pass, tuple[int, int]]:
    """Return pass -> (jobs that wait or run, their film time in ms)."""
    rows = connection.execute(
        "select runs, count(*), sum(total_ms) from jobs where state <> 'failed' group by runs"
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def failures(connection: apsw.Connection, *, limit: int) -> list[Failure]:
    """Return what was set aside or cannot be scanned, latest first."""
    found = []
    for result in findings.failures(connection, limit=limit):
        file = library.file(connection, result.file_id)
        if file is None or not file.paths:
            continue
        items = library.items_of_file(connection, file.id)
        found.append(
            Failure(
                file=file,
                item=items[0] if items else None,
                path=file.paths[0],
                stage=result.stage,
                reason=result.reason,
                permanent=result.permanent,
                at_ms=result.finished_at_ms,
            )
        )
    for path, problem, at_ms in library.path_problems(connection):
        found.append(
            Failure(
                file=None,
                item=None,
                path=path,
                stage="",
                reason=problem,
                permanent=True,
                at_ms=at_ms,
            )
        )
    return found[:limit]


def _any(connection: apsw.Connection, table: str, condition: str, file_id: int) -> bool:
    row = connection.execute(
        f"select exists (select 1 from {table} where {condition})", (file_id,)
    ).fetchone()
    return bool(row and row[0])
