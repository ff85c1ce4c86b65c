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
from functools import lru_cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar, cast

import apsw

from companion.errors import QueryInterrupted, StoreClosed, StoreDamaged, StoreTooNew

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

PAGE_SIZE = 32_768  # a 1024-d float32 row then costs 1.14 x its payload; 1.34 x at 16384
BUSY_TIMEOUT_MS = 10_000
READ_THREADS = 3
READ_LIMIT_S = 10.0
CACHE_KIB = 16_384  # per connection
# Vectors lie scattered: without a mapping each of 400 rows copies a page of 32 KB. What is mapped
# is the kernel's page cache, which it takes back when it needs the memory.
MAPPED = 1 << 30
PROGRESS_STEPS = 5_000  # virtual machine steps between two looks at the clock, some 0.1 ms
BACKUP_PAGES = 512  # pages copied between two breaths of an online backup

_STOP = None


def migrations() -> list[str]:
    """Return the SQL of every migration in order; the schema's version is their number."""
    folder = resources.files("companion.store") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in names]


@lru_cache(maxsize=1)
def extension() -> str:
    """Return where sqlite-vec's library lies. Its package is not imported: it would load numpy."""
    package = find_spec("sqlite_vec")
    assert package is not None
    assert package.origin is not None
    return os.fspath(Path(package.origin).with_name("vec0"))


def connect(path: Path, *, readonly: bool = False) -> apsw.Connection:
    """Open one connection with sqlite-vec loaded. Blocks. Raises apsw.Error."""
    flags = (
        apsw.SQLITE_OPEN_READONLY
        if readonly
        else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    )
    connection = apsw.Connection(os.fspath(path), flags=flags)
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    connection.enable_load_extension(True)
    connection.load_extension(extension())
    connection.enable_load_extension(False)
    connection.execute(f"pragma cache_size = -{CACHE_KIB}")
    connection.execute("pragma temp_store = memory")
    if readonly:
        connection.execute(f"pragma mmap_size = {MAPPED}")
    if not readonly:
        connection.execute(f"pragma page_size = {PAGE_SIZE}")
        mode = connection.execute("pragma journal_mode = wal").fetchone()
        if mode != ("wal",):
            connection.close()
            raise apsw.CantOpenError("this file system cannot hold a write-ahead log")
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
        connection.execute("commit")
    except BaseException:
        # A full disk ends the transaction by itself, or fails the commit and leaves it open.
        if connection.in_transaction:
            connection.execute("rollback")
        raise


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
    """Copy the whole database while it is in use. The copy appears under its name when complete.

    It is the state at one moment: the read that is held open keeps writers on other connections
    from starting the copy over, which a busy daemon would otherwise do for ever.
    """
    to.parent.mkdir(parents=True, exist_ok=True)
    unfinished = to.with_name(f".{to.name}.part")
    unfinished.unlink(missing_ok=True)
    try:
        target = apsw.Connection(os.fspath(unfinished))
        try:
            with snapshot(connection):
                connection.execute("select 1 from sqlite_schema limit 1").fetchall()  # hold it
                with target.backup("main", connection, "main") as copy:
                    while not copy.done:
                        copy.step(BACKUP_PAGES)
            target.execute("pragma journal_mode = delete")
        finally:
            target.close()
        unfinished.replace(to)
    finally:
        unfinished.unlink(missing_ok=True)


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
        self._closing = threading.Event()

    @classmethod
    async def open(cls, path: Path, *, backups: Path | None = None) -> "Store":
        """Open or make the database and bring its schema up to date."""
        store = cls(path)
        await asyncio.get_running_loop().run_in_executor(None, store._prepare, backups)
        return store

    async def write(
        self,
        function: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run function(connection, ...) as one transaction. A begun one ends even if the caller is
        cancelled. Raises StoreClosed after `close`."""
        self._demand_open()
        future: Future[object] = Future()
        self._work.put((lambda connection: function(connection, *args, **kwargs), future))
        answer = asyncio.wrap_future(future)
        try:
            return cast(T, await asyncio.shield(answer))
        except asyncio.CancelledError:
            answer.add_done_callback(_unheard)
            raise

    async def read(
        self,
        function: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run function(connection, ...) on a read-only connection.

        Raises QueryInterrupted after READ_LIMIT_S, or soon after the caller is cancelled or the
        store is closed; StoreClosed after that.
        """
        self._demand_open()
        question = _Question(
            lambda connection: function(connection, *args, **kwargs),
            time.monotonic() + READ_LIMIT_S,
            self._closing,
        )
        self._questions.put(question)
        try:
            return cast(T, await asyncio.wrap_future(question.answer))
        except asyncio.CancelledError:
            question.given_up = True
            raise

    async def close(self) -> None:
        """Finish the writes that were asked for, stop the reads, close every connection."""
        if not self._closing.is_set():
            self._closing.set()
            for _ in range(READ_THREADS):
                self._questions.put(_STOP)
        await asyncio.get_running_loop().run_in_executor(None, self._join)

    def _demand_open(self) -> None:
        if self._closing.is_set():
            raise StoreClosed("the database is closed: the program is stopping")

    def _prepare(self, backups: Path | None) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            writer = connect(self.path)
        except (OSError, apsw.Error) as error:
            raise StoreDamaged(
                f"cannot open the database {self.path}: {error}. It must lie on a local disk that "
                "this user may write to; `heimdex restore` brings back a backup"
            ) from error
        try:
            migrate(writer, backups)
            readers = [connect(self.path, readonly=True) for _ in range(READ_THREADS)]
        except apsw.Error as error:
            writer.close()
            raise StoreDamaged(
                f"the database {self.path} is damaged: {error}. "
                "`heimdex restore` brings a backup back"
            ) from error
        except BaseException:
            writer.close()
            raise
        self._start("store-write", self._write_loop, writer)
        for number, reader in enumerate(readers):
            self._start(f"store-read-{number}", self._read_loop, reader)

    def _start(
        self, name: str, loop: Callable[[apsw.Connection], None], connection: apsw.Connection
    ) -> None:
        thread = threading.Thread(target=loop, args=(connection,), name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _join(self) -> None:
        """Readers first: only a writer that closes last takes the write-ahead log with it."""
        writer, *readers = self._threads
        for thread in readers:
            thread.join()
        self._work.put(_STOP)
        writer.join()

    def _write_loop(self, connection: apsw.Connection) -> None:
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
        with contextlib.suppress(apsw.Error):  # a full disk must not keep it open
            connection.execute("pragma optimize")
        connection.close()

    def _read_loop(self, connection: apsw.Connection) -> None:
        while (question := self._questions.get()) is not _STOP:
            if not question.answer.set_running_or_notify_cancel():
                continue
            connection.set_progress_handler(question.is_late, PROGRESS_STEPS)
            try:
                with snapshot(connection):
                    result = question.function(connection)
            except apsw.InterruptError:
                question.answer.set_exception(QueryInterrupted(question.why_stopped()))
            except BaseException as error:  # noqa: BLE001 - handed to whoever asked
                question.answer.set_exception(error)
            else:
                question.answer.set_result(result)
        connection.close()


def _unheard(answer: asyncio.Future[object]) -> None:
    """Tell of a write that failed when nobody waited for it any more."""
    if not answer.cancelled() and (error := answer.exception()) is not None:
        log.warning("a write failed after its caller was cancelled: %r", error)


@contextlib.contextmanager
def snapshot(connection: apsw.Connection) -> Iterator[None]:
    """Let every select inside see the same state."""
    connection.execute("begin")
    try:
        yield
    finally:
        connection.set_progress_handler(None)
        if connection.in_transaction:
            connection.execute("rollback")


class _Question:
    """A read that waits for a thread."""

    __slots__ = ("answer", "closing", "deadline", "function", "given_up")

    def __init__(
        self,
        function: Callable[[apsw.Connection], object],
        deadline: float,
        closing: threading.Event,
    ) -> None:
        self.function = function
        self.deadline = deadline
        self.closing = closing
        self.answer: Future[object] = Future()
        self.given_up = False  # set from the event loop when nobody waits any more

    def is_late(self) -> bool:
        return self.given_up or self.closing.is_set() or time.monotonic() > self.deadline

    def why_stopped(self) -> str:
        if self.closing.is_set():
            return "the program is stopping"
        return f"the query took longer than {READ_LIMIT_S:.0f} s"
