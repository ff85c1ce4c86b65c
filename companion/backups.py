"""Backups of the database: taken while it is in use, checked before they are trusted."""

import contextlib
import logging
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import apsw

from companion.config import Config
from companion.errors import CompanionError, StoreDamaged, StoreTooNew
from companion.store import db

log = logging.getLogger(__name__)

DAY_S = 86_400
NAME = re.compile(r"heimdex-\d{8}-\d{6}(-\d+)?\.db")
WAL_SUFFIXES = ("-wal", "-shm")


def take(config: Config, to: Path | None = None, *, now: float | None = None) -> Path:
    """Copy the database while it is in use and return where to. Blocks.

    Raises CompanionError if there is none, or if it cannot be written there.
    """
    target = to or _free(config.backups / f"heimdex-{_moment(now)}.db")
    if not config.database.exists():
        raise CompanionError(f"there is nothing to back up: {config.database} does not exist")
    if target.exists():
        raise CompanionError(f"{target} exists already: a backup never overwrites a file")
    try:
        connection = db.connect(config.database, readonly=True)
        try:
            db.backup(connection, target)
        finally:
            connection.close()
    except (OSError, apsw.Error) as error:
        raise CompanionError(f"the backup to {target} failed: {error}") from error
    log.info("backup taken to=%s bytes=%d", target, target.stat().st_size)
    return target


def due_in_s(config: Config, now: float) -> float:
    """Return the seconds until the next daily backup; 0 or less: now."""
    newest = max((path.stat().st_mtime for path in taken(config)), default=0.0)
    return newest + DAY_S - now


def taken(config: Config) -> list[Path]:
    """Return the daily backups, oldest first. Those before an upgrade are kept apart."""
    try:
        names = [path for path in config.backups.iterdir() if NAME.fullmatch(path.name)]
    except OSError:
        return []
    return sorted(names)


def prune(config: Config) -> int:
    """Delete the oldest daily backups above the number that is kept; return how many."""
    old = taken(config)[: -config.backups_kept]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def check(path: Path) -> int:
    """Return the schema version of a backup.

    Raises StoreDamaged if it is not a whole database of ours, StoreTooNew if a newer program wrote
    it. Blocks: every page is read.
    """
    if not path.is_file():
        raise StoreDamaged(f"there is no backup {path}")
    try:
        connection = db.connect(path, readonly=True)
        try:
            complaints = [row[0] for row in connection.execute("pragma integrity_check")]
            version = db.version(connection)
        finally:
            connection.close()
    except apsw.Error as error:
        raise StoreDamaged(f"{path} is no whole database: {error}") from error
    if complaints != ["ok"]:
        raise StoreDamaged(f"{path} is damaged: {complaints[0]}")
    known = len(db.migrations())
    if version > known:
        raise StoreTooNew(
            f"{path} has schema {version}, this program knows {known}: install the newer version"
        )
    if version == 0:
        raise StoreDamaged(f"{path} is a database, but not one of Heimdex")
    return version


def restore(config: Config, backup: Path, *, now: float | None = None) -> Path | None:
    """Put a checked backup in place of the database; return where the old one went, if there was.

    The caller owns the data folder. Nothing is overwritten: the old database is moved aside.
    Raises as `check`. Blocks.
    """
    check(backup)
    database = config.database
    unfinished = database.with_name(f".{database.name}.restoring")
    unfinished.unlink(missing_ok=True)
    source = db.connect(backup, readonly=True)
    try:
        db.backup(source, unfinished)
    finally:
        source.close()
    check(unfinished)
    aside = _move_aside(database, now)
    unfinished.replace(database)
    return aside


def _move_aside(database: Path, now: float | None) -> Path | None:
    if not database.exists():
        return None
    aside = _free(database.with_name(f"{database.stem}-before-restore-{_moment(now)}.db"))
    _empty_the_log(database)
    database.replace(aside)
    for suffix in WAL_SUFFIXES:  # what is left of them belongs to the old database
        with contextlib.suppress(FileNotFoundError):
            Path(f"{database}{suffix}").replace(f"{aside}{suffix}")
    return aside


def _moment(now: float | None) -> str:
    """Return the time in UTC, as file names have it."""
    return f"{datetime.fromtimestamp(time.time() if now is None else now, UTC):%Y%m%d-%H%M%S}"


def _free(path: Path) -> Path:
    """Return the path, with a number if the name is taken."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free


def _empty_the_log(database: Path) -> None:
    """Write the write-ahead log into the database, so that one file is the whole of it."""
    with contextlib.suppress(apsw.Error):  # a damaged one is moved as it is, with its log
        connection = db.connect(database)
        try:
            connection.execute("pragma wal_checkpoint(truncate)").fetchall()
        finally:
            connection.close()
