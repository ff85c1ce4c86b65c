"""The only module that opens SQLite: one writing thread, a few read-only threads.

A *function* is a transaction: `await store.write(f, a)` runs `f(connection, a)` between `begin
immediate` and `commit` on the writing thread, so no two flows ever share an open transaction. Reads
run on read-only connections, one per thread, with a time limit.
"""

import asyncio
import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from importlib import resources
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar, cast

import apsw
import sqlite_vec

from companion.errors import QueryInterrupted, StoreDamaged, StoreTooNew

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

PAGE_SIZE = 32_768  # a 1024-d float32 row then costs 1.14 x its payload; 1.34 x at 16384
BUSY_TIMEOUT_MS = 10_000
READ_THREADS = 3
READ_LIMIT_S = 10.0
CACHE_KIB = 16_384  # per connection
PROGRESS_STEPS = 5_000  # virtual machine steps between two looks at the clock, some 0.1 ms
BACKUP_PAGES = 512  # pages copied between two breaths of an online backup

_STOP = None


def migrations() -> list[str]:
    """Return the SQL of every migration in order; the schema's version is their number."""
    folder = resources.files("companion.store") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in names]


def connect(path: Path, *, readonly: bool = False) -> apsw.Connection:
    """Open one connection with sqlite-vec loaded. Blocks."""
    flags = (
        apsw.SQLITE_OPEN_READONLY
        if readonly
        else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    )
    connection = apsw.Connection(os.fspath(path), flags=flags)
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.enable_load_extension(False)
    connection.execute(f"pragma cache_size = -{CACHE_KIB}")
    connection.execute("pragma temp_store = memory")
    if not readonly:
        connection.execute(f"pragma page_size = {PAGE_SIZE}")
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = normal")
        connection.execute("pragma foreign_keys = on")
        connection.execute("pragma recursive_triggers = on")
    return connection


@contextlib.contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """Commit what happens inside, or undo all of it."""
    connection.execute("begin immediate")
    try:
        yield
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")


def version(connection: apsw.Connection) -> int:
    """Return the number of migrations that were applied."""
    row = connection.execute("pragma user_version").fetchone()
    assert row is not None
    return int(row[0])


def migrate(connection: apsw.Connection, backups: Path | None) -> int:
    """Bring the schema up to date and return how many migrations ran.

    Before the first one an online backup goes to `backups`, unless the database is new.
    Raises StoreTooNew if a newer program wrote it.
    """
    have, steps = version(connection), migrations()
    if have > len(steps):
        raise StoreTooNew(
            f"the database has schema {have}, this program knows {len(steps)}: install the newer "
            "version again, or restore the backup that it took before it upgraded"
        )
    if have and have < len(steps) and backups is not None:
        backup(connection, backups / f"before-schema-{have + 1}-{int(time.time())}.db")
    for number, sql in enumerate(steps[have:], start=have + 1):
        with transaction(connection):
            connection.execute(sql)
            connection.execute(f"pragma user_version = {number}")
        log.info("schema upgraded version=%d", number)
    return len(steps) - have


def backup(connection: apsw.Connection, to: Path) -> None:
    """Copy the whole database while it is in use. The copy appears under its name when complete."""
    to.parent.mkdir(parents=True, exist_ok=True)
    unfinished = to.with_name(f".{to.name}.part")
    unfinished.unlink(missing_ok=True)
    target = apsw.Connection(os.fspath(unfinished))
    try:
        with target.backup("main", connection, "main") as copy:
            while not copy.done:
                copy.step(BACKUP_PAGES)
        target.execute("pragma journal_mode = delete")
    finally:
        target.close()
    unfinished.replace(to)


class Store:
    """The database of one data folder: `await Store.open(path)`, then `await store.close()`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._work: queue.SimpleQueue[
            tuple[Callable[[apsw.Connection], object], Future[object]] | None
        ]
        self._work = queue.SimpleQueue()
        self._questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    @classmethod
    async def open(cls, path: Path, *, backups: Path | None = None) -> "Store":
        """Open or make the database and bring its schema up to date."""
        store = cls(path)
        await asyncio.get_running_loop().run_in_executor(None, store._prepare, backups)
        store._start(threading.Thread(target=store._write_loop, name="store-write", daemon=True))
        for number in range(READ_THREADS):
            store._start(
                threading.Thread(target=store._read_loop, name=f"store-read-{number}", daemon=True)
            )
        return store

    async def write(
        self,
        function: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run function(connection, ...) as one transaction. A begun one ends even if the caller is
        cancelled."""
        future: Future[object] = Future()
        self._work.put((lambda connection: function(connection, *args, **kwargs), future))
        return cast(T, await asyncio.shield(asyncio.wrap_future(future)))

    async def read(
        self,
        function: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run function(connection, ...) on a read-only connection.

        Raises QueryInterrupted after READ_LIMIT_S, or soon after the caller is cancelled.
        """
        question = _Question(
            lambda connection: function(connection, *args, **kwargs),
            time.monotonic() + READ_LIMIT_S,
        )
        self._questions.put(question)
        try:
            return cast(T, await asyncio.wrap_future(question.answer))
        except asyncio.CancelledError:
            question.given_up = True
            raise

    async def close(self) -> None:
        """Finish the writes that were asked for and close every connection."""
        self._work.put(_STOP)
        for _ in range(READ_THREADS):
            self._questions.put(_STOP)
        await asyncio.get_running_loop().run_in_executor(None, self._join)

    def _prepare(self, backups: Path | None) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = connect(self.path)
        except (OSError, apsw.Error) as error:
            raise StoreDamaged(
                f"cannot open the database {self.path}: {error}. It must lie on a local disk that "
                "this user may write to; `heimdex restore` brings back a backup"
            ) from error
        try:
            migrate(connection, backups)
        except apsw.Error as error:
            raise StoreDamaged(
                f"the database {self.path} is damaged: {error}. "
                "`heimdex restore` brings a backup back"
            ) from error
        finally:
            connection.close()

    def _start(self, thread: threading.Thread) -> None:
        thread.start()
        self._threads.append(thread)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _write_loop(self) -> None:
        connection = connect(self.path)
        while (task := self._work.get()) is not _STOP:
            function, future = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                with transaction(connection):
                    result = function(connection)
            except BaseException as error:  # noqa: BLE001 - handed to whoever asked
                future.set_exception(error)
            else:
                future.set_result(result)
        connection.execute("pragma optimize")
        connection.close()

    def _read_loop(self) -> None:
        connection = connect(self.path, readonly=True)
        while (question := self._questions.get()) is not _STOP:
            if not question.answer.set_running_or_notify_cancel():
                continue
            connection.set_progress_handler(question.is_late, PROGRESS_STEPS)
            try:
                with snapshot(connection):
                    result = question.function(connection)
            except apsw.InterruptError:
                reason = f"the query took longer than {READ_LIMIT_S:.0f} s"
                question.answer.set_exception(QueryInterrupted(reason))
            except BaseException as error:  # noqa: BLE001 - handed to whoever asked
                question.answer.set_exception(error)
            else:
                question.answer.set_result(result)
        connection.close()


@contextlib.contextmanager
def snapshot(connection: apsw.Connection) -> Iterator[None]:
    """Let every select inside see the same state."""
    connection.execute("begin")
    try:
        yield
    finally:
        connection.set_progress_handler(None)
        connection.execute("rollback")


class _Question:
    """A read that waits for a thread."""

    __slots__ = ("answer", "deadline", "function", "given_up")

    def __init__(self, function: Callable[[apsw.Connection], object], deadline: float) -> None:
        self.function = function
        self.deadline = deadline
        self.answer: Future[object] = Future()
        self.given_up = False  # set from the event loop when nobody waits any more

    def is_late(self) -> bool:
        return self.given_up or time.monotonic() > self.deadline
