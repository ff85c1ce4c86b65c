"""The store: transactions, readers, cancellation, closing, migrations, backups."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import apsw
import pytest

from companion.errors import QueryInterrupted, StoreClosed, StoreDamaged, StoreTooNew
from companion.store import db
from companion.store.db import Store

VERSION = len(db.migrations())
FOREVER = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"


def put(c: apsw.Connection, key: str, value: str = "1") -> None:
    c.execute("insert into settings (key, value) values (?, ?)", (key, value))


def keys(c: apsw.Connection) -> list[str]:
    return [row[0] for row in c.execute("select key from settings order by key")]


def put_and_break(c: apsw.Connection, key: str) -> None:
    put(c, key)
    raise ValueError("half way")


def forever(c: apsw.Connection) -> None:
    c.execute(FOREVER).fetchall()


# --- transactions --------------------------------------------------------------------------------


async def test_what_is_written_is_read(store: Store) -> None:
    await store.write(put, "a")
    assert await store.read(keys) == ["a"]


async def test_a_function_gets_its_arguments_and_gives_its_result(store: Store) -> None:
    def twice(c: apsw.Connection, number: int, *, plus: int) -> int:
        return 2 * number + plus

    assert await store.write(twice, 20, plus=2) == 42
    assert await store.read(twice, 1, plus=0) == 2


async def test_a_function_that_raises_writes_nothing(store: Store) -> None:
    with pytest.raises(ValueError, match="half way"):
        await store.write(put_and_break, "a")
    assert await store.read(keys) == []


async def test_the_writer_works_on_after_an_error(store: Store) -> None:
    for _ in range(3):
        with pytest.raises(ValueError, match="half way"):
            await store.write(put_and_break, "a")
    await store.write(put, "b")
    assert await store.read(keys) == ["b"]


async def test_many_flows_never_share_a_transaction(store: Store) -> None:
    async def flow(number: int) -> None:
        if number % 3:
            await store.write(put, f"{number:02}")
        else:
            with pytest.raises(ValueError, match="half way"):
                await store.write(put_and_break, f"{number:02}")

    await asyncio.gather(*(flow(number) for number in range(30)))
    assert await store.read(keys) == [f"{number:02}" for number in range(30) if number % 3]


async def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(apsw.ReadOnlyError):
        await store.read(put, "a")
    assert await store.read(keys) == []


async def test_foreign_keys_and_checks_hold(store: Store) -> None:
    def orphan(c: apsw.Connection) -> None:
        c.execute("insert into shots (file_id, start_ms, end_ms) values (99, 0, 1)")

    def wrong(c: apsw.Connection) -> None:
        c.execute("insert into accounts values (1, 'a', 'king', '', 0)")

    for broken in (orphan, wrong):
        with pytest.raises(apsw.ConstraintError):
            await store.write(broken)


async def test_a_transaction_sees_one_state_while_others_write(store: Store) -> None:
    await store.write(put, "a")
    reading, written = threading.Event(), threading.Event()

    def twice(c: apsw.Connection) -> tuple[list[str], list[str]]:
        first = keys(c)
        reading.set()
        assert written.wait(10)
        return first, keys(c)

    asked = asyncio.ensure_future(store.read(twice))
    await asyncio.to_thread(reading.wait, 10)
    await store.write(put, "b")
    written.set()
    assert await asked == (["a"], ["a"])


async def test_a_full_disk_costs_one_transaction_and_not_the_writer(store: Store) -> None:
    def limit(c: apsw.Connection, more: int) -> None:
        (pages,) = c.execute("pragma page_count").fetchone() or (0,)
        c.execute(f"pragma max_page_count = {int(pages) + more}")

    def much(c: apsw.Connection) -> None:
        for number in range(100):
            put(c, str(number), "x" * 100_000)

    await store.write(limit, 3)
    with pytest.raises(apsw.FullError):
        await store.write(much)
    await store.write(put, "small")
    assert await store.read(keys) == ["small"]


async def test_a_commit_that_fails_leaves_no_open_transaction(store: Store) -> None:
    """A deferred foreign key is found out only at the end, as a full disk may be."""

    def deferred(c: apsw.Connection) -> None:
        c.execute("pragma defer_foreign_keys = on")
        c.execute("insert into shots (file_id, start_ms, end_ms) values (99, 0, 1)")

    with pytest.raises(apsw.ConstraintError):
        await store.write(deferred)
    await store.write(put, "a")
    assert await store.read(keys) == ["a"]


# --- time limits, cancelling, closing ------------------------------------------------------------


async def test_a_read_that_takes_too_long_is_stopped(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "READ_LIMIT_S", 0.05)
    with pytest.raises(QueryInterrupted, match="took longer"):
        await store.read(forever)


async def test_a_stopped_read_does_not_stop_the_next_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "READ_LIMIT_S", 0.05)
    for _ in range(db.READ_THREADS):
        with pytest.raises(QueryInterrupted):
            await store.read(forever)
    monkeypatch.setattr(db, "READ_LIMIT_S", 60.0)
    assert await asyncio.gather(*(store.read(keys) for _ in range(10))) == [[]] * 10


async def test_a_cancelled_read_frees_its_thread(store: Store) -> None:
    """All threads hang in endless queries; if cancelling did not end them, nobody could read."""
    asked = [asyncio.ensure_future(store.read(forever)) for _ in range(db.READ_THREADS)]
    await asyncio.sleep(0)
    for each in asked:
        each.cancel()
    for each in asked:
        with pytest.raises(asyncio.CancelledError):
            await each
    assert await store.read(keys) == []


async def test_a_begun_write_ends_even_if_its_caller_is_cancelled(store: Store) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(c: apsw.Connection) -> None:
        put(c, "a")
        begun.set()
        assert go_on.wait(10)
        put(c, "b")

    asked = asyncio.ensure_future(store.write(slow))
    await asyncio.to_thread(begun.wait, 10)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    go_on.set()
    await store.write(put, "c")
    assert await store.read(keys) == ["a", "b", "c"]


async def test_a_cancelled_write_that_fails_bothers_nobody(store: Store) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(c: apsw.Connection) -> None:
        begun.set()
        assert go_on.wait(10)
        raise ValueError("nobody listens")

    asked = asyncio.ensure_future(store.write(slow))
    await asyncio.to_thread(begun.wait, 10)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    go_on.set()
    assert await store.read(keys) == []


async def test_closing_finishes_the_writes_that_were_asked_for(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "a.db")
    asked = [asyncio.ensure_future(store.write(put, f"{number:02}")) for number in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*asked)
    again = await Store.open(tmp_path / "a.db")
    assert len(await again.read(keys)) == 20
    await again.close()


async def test_closing_does_not_wait_for_a_long_read(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "a.db")
    begun = threading.Event()

    def endless(c: apsw.Connection) -> None:
        begun.set()
        forever(c)

    asked = asyncio.ensure_future(store.read(endless))
    await asyncio.to_thread(begun.wait, 10)
    await store.close()
    with pytest.raises(QueryInterrupted, match="stopping"):
        await asked


async def test_a_closed_store_says_so_instead_of_waiting_for_ever(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "a.db")
    await store.close()
    await store.close()
    with pytest.raises(StoreClosed):
        await store.write(put, "a")
    with pytest.raises(StoreClosed):
        await store.read(keys)


async def test_no_thread_and_no_log_file_stays_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())  # another test's store may be open in this process
    store = await Store.open(tmp_path / "a.db")
    await store.write(put, "a")
    mine = [each for each in set(threading.enumerate()) - before if each.name.startswith("store-")]
    assert len(mine) > 1
    await store.close()
    assert not [thread for thread in mine if thread.is_alive()]
    assert [path.name for path in tmp_path.iterdir()] == ["a.db"]


def test_a_killed_writer_leaves_whole_transactions(tmp_path: Path) -> None:
    program = f"""
import os, sys
from pathlib import Path
from companion.store import db
c = db.connect(Path({str(tmp_path / "a.db")!r}))
db.migrate(c, None)
for number in range(10):
    with db.transaction(c):
        c.execute("insert into settings (key, value) values (?, '1')", (f"{{number}} a",))
        c.execute("insert into settings (key, value) values (?, '1')", (f"{{number}} b",))
        if number == 5:
            os.kill(os.getpid(), 9)
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=Path.cwd(), check=False)
    assert ended.returncode == -9
    c = db.connect(tmp_path / "a.db")
    assert keys(c) == [f"{number} {half}" for number in range(5) for half in "ab"]
    assert c.execute("pragma integrity_check").fetchone() == ("ok",)
    c.close()


# --- opening -------------------------------------------------------------------------------------


async def test_a_new_database_has_every_migration_and_the_right_shape(store: Store) -> None:
    def shape(c: apsw.Connection) -> dict[str, object]:
        names = ("user_version", "page_size", "journal_mode")
        return {name: (c.execute(f"pragma {name}").fetchone() or (None,))[0] for name in names}

    assert await store.read(shape) == {
        "user_version": VERSION,
        "page_size": db.PAGE_SIZE,
        "journal_mode": "wal",
    }


async def test_full_text_and_vectors_are_there(store: Store) -> None:
    def ask(c: apsw.Connection) -> tuple[object, ...]:
        (version,) = c.execute("select vec_version()").fetchone() or (None,)
        c.execute("select count(*) from scene_words where scene_words match 'lake'").fetchall()
        return (version,)

    assert await store.read(ask) == ("v0.1.9",)


def test_every_table_is_strict(tmp_path: Path) -> None:
    c = fresh(tmp_path)
    loose = [
        row[0]
        for row in c.execute(
            "select name from pragma_table_list where schema = 'main' and type = 'table'"
            " and not strict and name not like 'sqlite_%'"
        )
    ]
    assert loose == []
    c.close()


def test_migrations_are_numbered_without_a_gap() -> None:
    folder = resources.files("companion.store") / "migrations"
    numbers = sorted(
        int(entry.name[:4]) for entry in folder.iterdir() if entry.name.endswith(".sql")
    )
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "deep" / "er" / "a.db")
    await store.close()
    assert (tmp_path / "deep" / "er" / "a.db").exists()


async def test_a_damaged_database_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(StoreDamaged, match="heimdex restore"):
        await Store.open(tmp_path / "a.db")


async def test_a_place_that_is_no_folder_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreDamaged, match="local disk"):
        await Store.open(tmp_path / "file" / "a.db")


def test_a_file_system_without_a_write_ahead_log_is_refused() -> None:
    """A database in memory is one; some network shares are others."""
    with pytest.raises(apsw.CantOpenError, match="write-ahead log"):
        db.connect(Path(":memory:"))


# --- migrations ----------------------------------------------------------------------------------


def fresh(tmp_path: Path) -> apsw.Connection:
    c = db.connect(tmp_path / "a.db")
    db.migrate(c, None)
    return c


@pytest.fixture
def upgrade(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The program's migrations and one more, which a test may change."""
    steps = [*db.migrations(), "create table added (id integer primary key) strict;"]
    monkeypatch.setattr(db, "migrations", lambda: steps)
    return steps


def test_a_migration_runs_once(tmp_path: Path) -> None:
    c = db.connect(tmp_path / "a.db")
    assert db.migrate(c, None) == VERSION
    assert db.migrate(c, None) == 0
    c.close()


@pytest.mark.parametrize("old", range(VERSION + 1))
def test_every_old_version_comes_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: int
) -> None:
    steps = db.migrations()
    c = db.connect(tmp_path / "a.db")
    monkeypatch.setattr(db, "migrations", lambda: steps[:old])
    db.migrate(c, None)
    monkeypatch.setattr(db, "migrations", lambda: steps)
    assert db.migrate(c, None) == len(steps) - old
    assert c.execute("pragma foreign_key_check").fetchall() == []
    assert db.version(c) == len(steps)
    c.close()


def test_a_backup_is_taken_before_an_upgrade(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    c = fresh(tmp_path)
    put(c, "a")
    steps = request.getfixturevalue("upgrade")
    db.migrate(c, tmp_path / "backups")
    (backup,) = (tmp_path / "backups").iterdir()
    kept = apsw.Connection(str(backup))
    assert keys(kept) == ["a"]
    assert db.version(kept) == len(steps) - 1
    kept.close()
    c.close()


def test_a_new_database_needs_no_backup(tmp_path: Path) -> None:
    c = db.connect(tmp_path / "a.db")
    db.migrate(c, tmp_path / "backups")
    assert not (tmp_path / "backups").exists()
    c.close()


def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    c = fresh(tmp_path)
    steps = request.getfixturevalue("upgrade")
    steps[-1] = "create table added (id integer) strict; create table settings (id integer) strict;"
    with pytest.raises(apsw.SQLError, match="settings"):
        db.migrate(c, None)
    assert db.version(c) == len(steps) - 1
    assert c.execute("select count(*) from sqlite_schema where name = 'added'").fetchone() == (0,)
    c.close()


async def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    def age() -> None:
        c = fresh(tmp_path)
        c.execute("pragma user_version = 999")
        c.close()

    await asyncio.to_thread(age)
    with pytest.raises(StoreTooNew, match="999"):
        await Store.open(tmp_path / "a.db")


# --- backups -------------------------------------------------------------------------------------


def test_a_backup_is_whole_and_needs_no_log_file(tmp_path: Path) -> None:
    c = fresh(tmp_path)
    put(c, "a")
    db.backup(c, tmp_path / "copies" / "b.db")
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["b.db"]
    copy = apsw.Connection(str(tmp_path / "copies" / "b.db"), flags=apsw.SQLITE_OPEN_READONLY)
    assert keys(copy) == ["a"]
    assert copy.execute("pragma integrity_check").fetchone() == ("ok",)
    copy.close()
    c.close()


def test_a_backup_beside_a_busy_writer_ends_and_is_the_state_at_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a held read each write starts the copy over: a busy daemon would never have one."""
    writer = fresh(tmp_path)
    for number in range(40):
        put(writer, f"{number:03}", "x" * 50_000)
    before = keys(writer)
    reader = db.connect(tmp_path / "a.db", readonly=True)

    class Pages:
        """The size of a step; asking for it writes, so that something changes before each one."""

        asked = 0

        def __index__(self) -> int:
            self.asked += 1
            put(writer, f"meanwhile {self.asked}", "x" * 50_000)
            return 8

    pages = Pages()
    monkeypatch.setattr(db, "BACKUP_PAGES", pages)
    db.backup(reader, tmp_path / "b.db")
    assert pages.asked > 3
    copy = apsw.Connection(str(tmp_path / "b.db"))
    assert keys(copy) == before
    copy.close()
    reader.close()
    writer.close()


def test_a_backup_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    c = fresh(tmp_path)
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies" / "b.db").mkdir()
    with pytest.raises(OSError, match="directory"):
        db.backup(c, tmp_path / "copies" / "b.db")
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["b.db"]
    c.execute("create table after_it (id integer) strict")
    c.close()
