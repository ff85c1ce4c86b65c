"""The queue: whose turn it is, leases, and that no job is taken twice or lost."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from companion.findings import Pass
from companion.model import (
    ItemKind,
    Job,
    JobState,
    LibraryKind,
    ListedItem,
    ListedLibrary,
    ListedPart,
    Stat,
)
from companion.store import db, jobs, library, listing, roots
from companion.store.jobs import ASKED, EVERY_PASS
from companion.store.roots import Root

NOW = 1_700_000_000_000
LEASE = 60_000


def fresh(folder: Path) -> apsw.Connection:
    connection = db.connect(folder / "a.db")
    connection.execute("pragma synchronous = off")  # nobody pulls the plug here
    db.migrate(connection, None)
    return connection


@pytest.fixture
def c(tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = fresh(tmp_path)
    yield connection
    connection.close()


def put_file(c: apsw.Connection, name: str, *, added: int = NOW) -> int:
    """Keep a film below /m and return its file's id."""
    path = f"/m/{name}.mkv".encode()
    server = library.save_server(c, kind="folder", name="folders", now_ms=NOW)
    films = library.save_library(
        c, server, ListedLibrary(external_id="f", name="Films", kind=LibraryKind.MIXED)
    )
    file_id = library.save_file(c, fingerprint=f"fp:{name}", size=1, now_ms=NOW)
    stat = Stat(device=1, inode=file_id, size=1, mtime_ns=1)
    path_id = library.save_path(c, path, stat, file_id=file_id, now_ms=NOW)
    item = ListedItem(
        external_id=name,
        kind=ItemKind.MOVIE,
        title=name,
        parts=(ListedPart(path=path),),
        added_at_ms=added,
    )
    library.save_item(c, films, item, {path: path_id})
    return file_id


def ask(c: apsw.Connection, file_id: int, *passes: Pass, priority: int = 0, now: int = NOW) -> None:
    for runs in passes:
        jobs.request(c, file_id, runs, priority=priority, now_ms=now, total_ms=5_400_000)


def take(c: apsw.Connection, *, now: int = NOW, **wanted: object) -> Job | None:
    return jobs.take(c, now_ms=now, lease_ms=LEASE, **wanted)  # type: ignore[arg-type]


def taken(c: apsw.Connection, *, now: int = NOW) -> Job:
    job = take(c, now=now)
    assert job is not None
    return job


def order(c: apsw.Connection) -> list[tuple[int, Pass]]:
    """Do every job there is, and return them in the order in which they were taken."""
    done = []
    while (job := take(c)) is not None:
        done.append((job.file_id, job.runs))
        assert jobs.finish(c, job.id)
    return done


# --- asking --------------------------------------------------------------------------------------


def test_a_job_is_asked_for_once(c: apsw.Connection) -> None:
    film = put_file(c, "Lake")
    ask(c, film, "speech")
    ask(c, film, "speech")
    assert jobs.waiting_counts(c) == {"speech": 1}


def test_a_job_knows_what_it_is_about(c: apsw.Connection) -> None:
    film = put_file(c, "Lake")
    ask(c, film, "speech", priority=3)
    assert taken(c, now=NOW + 5) == Job(
        id=1,
        file_id=film,
        runs="speech",
        state=JobState.RUNNING,
        priority=3,
        attempts=1,
        reason="",
        created_at_ms=NOW,
        started_at_ms=NOW + 5,
        done_ms=0,
        total_ms=5_400_000,
    )


def test_asking_again_raises_the_priority_and_never_lowers_it(c: apsw.Connection) -> None:
    film = put_file(c, "Lake")
    ask(c, film, "speech", priority=7)
    ask(c, film, "speech", priority=3)
    assert taken(c).priority == 7


def test_asking_for_a_running_job_does_not_start_it_twice(c: apsw.Connection) -> None:
    film = put_file(c, "Lake")
    ask(c, film, "speech")
    job = taken(c)
    ask(c, film, "speech", priority=ASKED)
    assert take(c) is None
    assert jobs.finish(c, job.id)
    assert jobs.waiting_counts(c) == {}


# --- turns ---------------------------------------------------------------------------------------


def test_words_of_all_films_come_first_then_film_by_film_newest_first(c: apsw.Connection) -> None:
    old, new = put_file(c, "Old", added=NOW), put_file(c, "New", added=NOW + 9)
    for film in (old, new):
        ask(c, film, "picture", "speech", "words")
    assert order(c) == [
        (new, "words"), (old, "words"),
        (new, "speech"), (new, "picture"),
        (old, "speech"), (old, "picture"),
    ]  # fmt: skip


def test_meaning_is_taken_at_once_when_its_words_are_there(c: apsw.Connection) -> None:
    old, new = put_file(c, "Old", added=NOW), put_file(c, "New", added=NOW + 9)
    ask(c, new, "speech", "picture")
    ask(c, old, "meaning", "picture")
    assert order(c)[0] == (old, "meaning")


def test_meaning_waits_for_the_words_of_its_own_film(c: apsw.Connection) -> None:
    film = put_file(c, "Lake")
    ask(c, film, "meaning", "speech", "picture")
    assert order(c) == [(film, "speech"), (film, "meaning"), (film, "picture")]


def test_meaning_waits_while_the_speech_of_its_film_runs(c: apsw.Connection) -> None:
    film = put_file(c, "Lake")
    ask(c, film, "speech")
    speech = taken(c)
    ask(c, film, "meaning")
    assert take(c) is None
    jobs.fail(c, speech.id, "broken")
    assert taken(c).runs == "meaning", "speech that failed is not waited for"


def test_priority_goes_before_everything(c: apsw.Connection) -> None:
    old, new = put_file(c, "Old", added=NOW), put_file(c, "New", added=NOW + 9)
    ask(c, new, "words", "speech")
    ask(c, old, "picture", priority=ASKED)
    assert order(c) == [(old, "picture"), (new, "words"), (new, "speech")]


def test_outside_a_window_only_what_a_person_asked_for_is_taken(c: apsw.Connection) -> None:
    asked, other = put_file(c, "Asked"), put_file(c, "Other")
    ask(c, other, "words", priority=ASKED - 1)
    ask(c, asked, "picture", priority=ASKED)
    job = take(c, min_priority=ASKED)
    assert job is not None
    assert job.file_id == asked
    assert take(c, min_priority=ASKED) is None
    assert jobs.waiting_counts(c) == {"words": 1}


def test_only_the_wanted_passes_are_taken(c: apsw.Connection) -> None:
    ask(c, put_file(c, "Lake"), *EVERY_PASS)
    job = take(c, passes=("picture",))
    assert job is not None
    assert job.runs == "picture"
    assert take(c, passes=()) is None


def test_a_film_that_lies_nowhere_now_waits(c: apsw.Connection) -> None:
    film = put_file(c, "Lake")
    ask(c, film, "speech")
    films = library.libraries(c)[0].id
    listing.items_gone(c, films, (), (), now_ms=NOW)
    assert take(c) is None
    put_file(c, "Lake")
    assert taken(c).file_id == film


def test_a_film_in_a_folder_that_is_away_waits(c: apsw.Connection) -> None:
    ask(c, put_file(c, "Lake"), "speech")
    films = library.libraries(c)[0].id
    roots.keep_roots(c, films, [Root(path=b"/m", device=1, away="gone")], now_ms=NOW)
    assert take(c) is None
    assert jobs.waiting_counts(c) == {"speech": 1}
    roots.keep_roots(c, films, [Root(path=b"/m", device=1)], now_ms=NOW)
    assert taken(c).runs == "speech"


def test_jobs_of_films_that_lie_nowhere_can_be_dropped(c: apsw.Connection) -> None:
    ask(c, put_file(c, "Lake"), "speech", "picture")
    running = taken(c)
    films = library.libraries(c)[0].id
    assert jobs.drop_homeless(c) == 0
    listing.items_gone(c, films, (), (), now_ms=NOW)
    assert jobs.drop_homeless(c) == 1
    assert jobs.finish(c, running.id)


def test_taking_reads_the_queue_in_its_order(c: apsw.Connection) -> None:
    ask(c, put_file(c, "Lake"), "speech")
    asked: list[tuple[str, object]] = []
    c.exec_trace = lambda _cursor, sql, values: asked.append((sql, values)) or True
    take(c)
    c.exec_trace = None
    sql, values = next((sql, values) for sql, values in asked if "returning" in sql)
    plan = "\n".join(row[3] for row in c.execute(f"explain query plan {sql}", values))
    assert "jobs_by_turn" in plan
    assert "ORDER BY" not in plan, "sorting would read every job for each turn"
    assert "SCAN paths" not in plan


# --- leases --------------------------------------------------------------------------------------


def test_a_job_is_not_taken_twice_while_its_lease_runs(c: apsw.Connection) -> None:
    ask(c, put_file(c, "Lake"), "speech")
    taken(c)
    assert take(c, now=NOW + LEASE - 1) is None


def test_a_job_whose_lease_ran_out_is_given_to_the_next_one(c: apsw.Connection) -> None:
    ask(c, put_file(c, "Lake"), "speech")
    first = taken(c)
    second = taken(c, now=NOW + LEASE)
    assert (second.id, second.attempts) == (first.id, 2)


def test_a_heartbeat_renews_the_lease(c: apsw.Connection) -> None:
    ask(c, put_file(c, "Lake"), "speech")
    job = taken(c)
    assert jobs.heartbeat(c, job.id, now_ms=NOW + LEASE - 1, lease_ms=LEASE)
    assert take(c, now=NOW + LEASE) is None
    assert taken(c, now=NOW + 2 * LEASE - 1).attempts == 2


def test_who_lost_a_job_can_neither_renew_nor_end_it(c: apsw.Connection) -> None:
    ask(c, put_file(c, "Lake"), "speech")
    first = taken(c)
    second = taken(c, now=NOW + LEASE)
    late = first.attempts
    assert not jobs.heartbeat(c, first.id, now_ms=NOW, lease_ms=LEASE, attempt=late)
    assert not jobs.progress(c, first.id, 5, attempt=late)
    assert not jobs.finish(c, first.id, attempt=late)
    assert not jobs.fail(c, first.id, "late", attempt=late)
    assert not jobs.release(c, first.id, attempt=late)
    assert jobs.finish(c, second.id, attempt=second.attempts)


def test_progress_is_kept_and_a_new_turn_begins_at_nought(c: apsw.Connection) -> None:
    ask(c, put_file(c, "Lake"), "speech")
    job = taken(c)
    assert jobs.progress(c, job.id, 60_000)
    kept = jobs.job(c, job.id)
    assert kept is not None
    assert kept.done_ms == 60_000
    jobs.release(c, job.id)
    assert taken(c).done_ms == 0


def test_a_released_job_waits_again(c: apsw.Connection) -> None:
    ask(c, put_file(c, "Lake"), "speech")
    job = taken(c)
    assert jobs.release(c, job.id)
    kept = jobs.job(c, job.id)
    assert kept is not None
    assert (kept.state, kept.started_at_ms) == (JobState.WAITING, None)
    assert taken(c).id == job.id


def test_at_start_nobody_works_on_anything(c: apsw.Connection) -> None:
    ask(c, put_file(c, "Lake"), "speech", "picture")
    taken(c)
    taken(c)
    assert jobs.release_all_running(c) == 2
    assert jobs.waiting_counts(c) == {"speech": 1, "picture": 1}


def test_a_finished_job_is_gone(c: apsw.Connection) -> None:
    ask(c, put_file(c, "Lake"), "speech")
    job = taken(c)
    assert jobs.finish(c, job.id)
    assert jobs.job(c, job.id) is None
    assert not jobs.finish(c, job.id)


def test_a_job_that_nobody_took_cannot_be_ended(c: apsw.Connection) -> None:
    ask(c, put_file(c, "Lake"), "speech")
    assert not jobs.finish(c, 1)
    assert not jobs.fail(c, 1, "why")
    assert not jobs.heartbeat(c, 1, now_ms=NOW, lease_ms=LEASE)
    assert jobs.waiting_counts(c) == {"speech": 1}


# --- failures ------------------------------------------------------------------------------------


def test_a_failed_job_stays_with_its_reason(c: apsw.Connection) -> None:
    ask(c, put_file(c, "Lake"), "speech")
    jobs.fail(c, taken(c).id, "no sound")
    assert take(c, now=NOW + 100 * LEASE) is None
    assert jobs.release_all_running(c) == 0
    (failed,) = jobs.failed(c)
    assert (failed.state, failed.reason) == (JobState.FAILED, "no sound")
    assert jobs.waiting_counts(c) == {}


def test_planning_does_not_bring_a_failed_job_back(c: apsw.Connection) -> None:
    """The planner asks whenever something is missing: it would try a poison film for ever."""
    film = put_file(c, "Lake")
    ask(c, film, "speech")
    jobs.fail(c, taken(c).id, "no sound")
    ask(c, film, "speech", priority=ASKED - 1)
    assert take(c) is None
    assert [job.reason for job in jobs.failed(c)] == ["no sound"]


def test_a_person_brings_a_failed_job_back(c: apsw.Connection) -> None:
    film = put_file(c, "Lake")
    ask(c, film, "speech")
    jobs.fail(c, taken(c).id, "no sound")
    ask(c, film, "speech", priority=ASKED)
    job = taken(c)
    assert (job.priority, job.reason, job.attempts) == (ASKED, "", 2)


def test_a_change_brings_a_failed_job_back(c: apsw.Connection) -> None:
    ask(c, put_file(c, "Lake"), "speech")
    job = taken(c)
    assert not jobs.again(c, job.id), "it is running"
    jobs.fail(c, job.id, "no sound")
    assert jobs.again(c, job.id)
    assert jobs.failed(c) == []
    assert taken(c).id == job.id


def test_failed_jobs_are_listed_with_a_limit(c: apsw.Connection) -> None:
    for number in range(5):
        ask(c, put_file(c, f"Film {number}"), "speech", priority=number)
        jobs.fail(c, taken(c).id, "no sound")
    assert [job.priority for job in jobs.failed(c, limit=3)] == [4, 3, 2]


def test_forgetting_a_file_forgets_its_jobs(c: apsw.Connection) -> None:
    film = put_file(c, "Lake")
    ask(c, film, "speech")
    c.execute("delete from files where id = ?", (film,))
    assert jobs.waiting_counts(c) == {}


# --- any order of events -------------------------------------------------------------------------

FILMS = 3


class Queue(RuleBasedStateMachine):
    """Workers take, keep, lose, end and drop jobs in any order; a model of plain sets knows what
    must be in the queue. Each worker remembers only what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.c = fresh(Path(self.folder.name))
        self.films = [put_file(self.c, f"Film {n}", added=NOW + n) for n in range(FILMS)]
        self.now = NOW
        self.wanted: set[tuple[int, Pass]] = set()  # asked for, and neither finished nor failed
        self.failed: dict[tuple[int, Pass], str] = {}
        self.held: dict[tuple[int, Pass], tuple[Job, int]] = {}  # job -> its keeper, lease end
        self.lost: list[Job] = []

    def teardown(self) -> None:
        self.c.close()
        self.folder.cleanup()

    @rule(film=st.integers(0, FILMS - 1), runs=st.sampled_from(EVERY_PASS), person=st.booleans())
    def request(self, film: int, runs: Pass, person: bool) -> None:
        key = (self.films[film], runs)
        ask(self.c, *key, priority=ASKED if person else 0, now=self.now)
        if key in self.failed and not person:
            return
        self.failed.pop(key, None)
        self.wanted.add(key)

    @rule(passes=st.sets(st.sampled_from(EVERY_PASS)), person=st.booleans())
    def take(self, passes: set[Pass], person: bool) -> None:
        self._expire()
        job = take(self.c, now=self.now, passes=tuple(passes), min_priority=ASKED if person else 0)
        if job is None:
            return
        key = (job.file_id, job.runs)
        assert key in self.wanted, "a job that nobody asked for"
        assert key not in self.held, "a job that somebody holds"
        assert job.runs in passes
        assert job.priority >= ASKED or not person
        self.held[key] = (job, self.now + LEASE)

    @rule(ms=st.sampled_from([1, LEASE // 2, LEASE, 3 * LEASE]))
    def wait(self, ms: int) -> None:
        self.now += ms

    @precondition(lambda self: self.held)
    @rule(data=st.data(), how=st.sampled_from(["finish", "fail", "release", "heartbeat"]))
    def hold(self, data: st.DataObject, how: str) -> None:
        key = data.draw(st.sampled_from(sorted(self.held)))
        job, _until = self.held[key]
        assert self._do(job, how), "the holder of a job may do with it what it likes"
        if how == "heartbeat":
            self.held[key] = (job, self.now + LEASE)
            return
        del self.held[key]
        if how == "fail":
            self.failed[key] = f"attempt {job.attempts}"
        if how != "release":
            self.wanted.discard(key)

    @precondition(lambda self: self.lost)
    @rule(data=st.data(), how=st.sampled_from(["finish", "fail", "release", "heartbeat"]))
    def come_late(self, data: st.DataObject, how: str) -> None:
        assert not self._do(data.draw(st.sampled_from(self.lost)), how)

    @rule()
    def restart(self) -> None:
        assert jobs.release_all_running(self.c) == len(self.held)
        self._lose(list(self.held))

    @invariant()
    def nothing_is_lost_and_nothing_invented(self) -> None:
        rows = list(self.c.execute("select file_id, runs, state, reason from jobs"))
        states = {(film, runs): (state, reason) for film, runs, state, reason in rows}
        assert set(states) == self.wanted | set(self.failed)
        for key, reason in self.failed.items():
            assert states[key] == (JobState.FAILED, reason)
        for key in self.wanted:
            expected = JobState.RUNNING if key in self.held else JobState.WAITING
            assert states[key] == (expected, "")

    def _do(self, job: Job, how: str) -> bool:
        if how == "heartbeat":
            return jobs.heartbeat(
                self.c, job.id, now_ms=self.now, lease_ms=LEASE, attempt=job.attempts
            )
        if how == "fail":
            return jobs.fail(self.c, job.id, f"attempt {job.attempts}", attempt=job.attempts)
        return {"finish": jobs.finish, "release": jobs.release}[how](
            self.c, job.id, attempt=job.attempts
        )

    def _expire(self) -> None:
        self._lose([key for key, (_job, until) in self.held.items() if until <= self.now])

    def _lose(self, keys: list[tuple[int, Pass]]) -> None:
        self.lost += [self.held.pop(key)[0] for key in keys]


Queue.TestCase.settings = settings(
    settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "tests")),
    max_examples=25,
    stateful_step_count=30,
)
TestQueue = Queue.TestCase
