"""The queue: requests to bring one pass of one file up to date.

What is missing is derived from the stage rows (companion.stages); a job only says that somebody
asked, so deleting all of them loses nothing. A job that is taken carries a lease. Who keeps it
renews the lease; if nobody does, the next `take` gives it back. `attempts` counts how often a job
was taken and never goes back: with it, a keeper whose lease ran out cannot end the job of the next.
"""

from __future__ import annotations  # apsw.SQLiteValue is known to type checkers only

from collections.abc import Sequence

import apsw
import msgspec

from companion.findings import Pass
from companion.model import Job, JobState

ASKED = 100  # from this priority on a person asked: windows do not hold the job back
EVERY_PASS: tuple[Pass, ...] = ("words", "speech", "picture", "meaning")
FAILED_SHOWN = 200

_COLUMNS = """
    id, file_id, runs, state, priority, attempts, reason, created_at_ms, started_at_ms, done_ms,
    total_ms
"""
# Meaning is taken at once, but not while words that it would have to read again are on their way.
_READY = """
    (runs <> 'meaning' or not exists (
        select 1 from jobs as earlier
        where earlier.file_id = jobs.file_id and earlier.runs in ('words', 'speech')
        and earlier.state in ('waiting', 'running')
    ))
    and exists (select 1 from places where places.file_id = jobs.file_id and not places.away)
"""


def request(
    c: apsw.Connection,
    file_id: int,
    runs: Pass,
    *,
    priority: int,
    now_ms: int,
    total_ms: int,
) -> int:
    """Ask for a pass of a file and return the job's id. total_ms: the length of the film.

    Asking again raises the priority. A failed job stays set aside unless a person asks
    (priority >= ASKED); `again` is for when something has changed.
    """
    row = c.execute(
        "insert into jobs (file_id, runs, state, priority, created_at_ms, total_ms, added_at_ms)"
        " values (:file, :runs, 'waiting', :priority, :now, :total, ifnull((select"
        " max(items.added_at_ms) from paths join parts on parts.path_id = paths.id"
        " join items on items.id = parts.item_id where paths.file_id = :file), 0))"
        " on conflict (file_id, runs) do update set priority = max(priority, excluded.priority),"
        " total_ms = excluded.total_ms returning id, state",
        {"file": file_id, "runs": runs, "priority": priority, "now": now_ms, "total": total_ms},
    ).fetchone()
    assert row is not None
    job_id, state = int(row[0]), row[1]
    if state == JobState.FAILED and priority >= ASKED:
        again(c, job_id)
    return job_id


def take(
    c: apsw.Connection,
    *,
    now_ms: int,
    lease_ms: int,
    min_priority: int = 0,
    passes: Sequence[Pass] = EVERY_PASS,
) -> Job | None:
    """Take the job whose turn it is, None if there is none that could be done now.

    The turn: priority; then the words of all files; then meaning that has its inputs; then file by
    file, newest first, speech before picture. Jobs of files that lie nowhere, or only in folders
    that are away, wait.
    """
    give_back_expired(c, now_ms=now_ms)
    row = c.execute(
        "update jobs set state = 'running', attempts = attempts + 1, started_at_ms = ?1,"
        " lease_until_ms = ?2, done_ms = 0 where id = ("
        " select id from jobs where state = 'waiting' and priority >= ?3"
        f" and runs in ({', '.join('?' * len(passes))}) and {_READY}"
        " order by priority desc, turn, added_at_ms desc, file_id desc, step, created_at_ms, id"
        f" limit 1) returning {_COLUMNS}",
        (now_ms, now_ms + lease_ms, min_priority, *passes),
    ).fetchone()
    return None if row is None else _job(row)


def give_back_expired(c: apsw.Connection, *, now_ms: int) -> int:
    """Let jobs wait again whose lease ran out; return how many."""
    c.execute(
        "update jobs set state = 'waiting', started_at_ms = null, lease_until_ms = null"
        " where state = 'running' and lease_until_ms <= ?",
        (now_ms,),
    )
    return c.changes()


def heartbeat(
    c: apsw.Connection, job_id: int, *, now_ms: int, lease_ms: int, attempt: int | None = None
) -> bool:
    """Renew the lease. False: the job is no longer ours, stop working on it."""
    return _ours(c, "lease_until_ms = :until", job_id, attempt, until=now_ms + lease_ms)


def progress(c: apsw.Connection, job_id: int, done_ms: int, *, attempt: int | None = None) -> bool:
    """Note how far a running job is, in film time."""
    return _ours(c, "done_ms = :done", job_id, attempt, done=done_ms)


def finish(c: apsw.Connection, job_id: int, *, attempt: int | None = None) -> bool:
    """Drop a job that is done. False: it was no longer ours."""
    c.execute(
        "delete from jobs where id = ?1 and state = 'running' and (?2 is null or attempts = ?2)",
        (job_id, attempt),
    )
    return bool(c.changes())


def fail(c: apsw.Connection, job_id: int, reason: str, *, attempt: int | None = None) -> bool:
    """Set a job aside with its reason. False: it was no longer ours."""
    return _ours(
        c,
        "state = 'failed', reason = :reason, lease_until_ms = null",
        job_id,
        attempt,
        reason=reason,
    )


def release(c: apsw.Connection, job_id: int, *, attempt: int | None = None) -> bool:
    """Let a running job wait again. False: it was no longer ours."""
    return _ours(
        c,
        "state = 'waiting', started_at_ms = null, lease_until_ms = null, done_ms = 0",
        job_id,
        attempt,
    )


def release_all_running(c: apsw.Connection) -> int:
    """At start: nobody works on anything yet. Return how many jobs had been left behind."""
    c.execute(
        "update jobs set state = 'waiting', started_at_ms = null, lease_until_ms = null,"
        " done_ms = 0 where state = 'running'"
    )
    return c.changes()


def again(c: apsw.Connection, job_id: int) -> bool:
    """Let a failed job wait once more."""
    c.execute(
        "update jobs set state = 'waiting', reason = '', started_at_ms = null"
        " where id = ? and state = 'failed'",
        (job_id,),
    )
    return bool(c.changes())


def drop_homeless(c: apsw.Connection) -> int:
    """Drop the jobs (not a running one) of files that lie nowhere any more; return how many."""
    c.execute(
        "delete from jobs where state <> 'running'"
        " and not exists (select 1 from places where places.file_id = jobs.file_id)"
    )
    return c.changes()


def waiting_counts(c: apsw.Connection) -> dict[Pass, int]:
    """Return how many jobs wait, by pass; passes without one are left out."""
    rows = c.execute("select runs, count(*) from jobs where state = 'waiting' group by runs")
    return {row[0]: row[1] for row in rows}


def failed(c: apsw.Connection, *, limit: int = FAILED_SHOWN) -> list[Job]:
    """Return jobs that were set aside, highest priority first."""
    rows = c.execute(
        f"select {_COLUMNS} from jobs where state = 'failed'"
        " order by priority desc, turn, added_at_ms desc, file_id desc, step limit ?",
        (limit,),
    )
    return [_job(row) for row in rows]


def job(c: apsw.Connection, job_id: int) -> Job | None:
    row = c.execute(f"select {_COLUMNS} from jobs where id = ?", (job_id,)).fetchone()
    return None if row is None else _job(row)


def _ours(
    c: apsw.Connection, changes: str, job_id: int, attempt: int | None, **values: str | int
) -> bool:
    c.execute(
        f"update jobs set {changes} where id = :job and state = 'running'"
        " and (:attempt is null or attempts = :attempt)",
        {"job": job_id, "attempt": attempt, **values},
    )
    return bool(c.changes())


def _job(row: tuple[apsw.SQLiteValue, ...]) -> Job:
    names = ("id", "file_id", "runs", "state", "priority", "attempts", "reason", "created_at_ms")
    fields = dict(zip((*names, "started_at_ms", "done_ms", "total_ms"), row, strict=True))
    return msgspec.convert(fields, Job)
