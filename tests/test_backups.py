"""Backups of a database in use, and a restore that loses nothing."""

import asyncio
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import apsw
import pytest

from companion import backups
from companion.config import Config
from companion.errors import CompanionError, StoreDamaged, StoreTooNew
from companion.store import db, settings
from companion.store.db import Store

P = ParamSpec("P")
T = TypeVar("T")

NOON = 1_800_000_000.0


def remembered(path: Path) -> str:
    with closing(db.connect(path, readonly=True)) as connection:
        return settings.get(connection, "word", str, "")


async def off(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what blocks off the event loop, as the flows do."""
    return await asyncio.to_thread(function, *args, **kwargs)


async def remember(store: Store, word: str) -> None:
    await store.write(settings.put, "word", word)


async def test_a_backup_of_a_store_in_use_holds_everything_committed(
    store: Store, config: Config
) -> None:
    await remember(store, "lake")
    made = await off(backups.take, config, now=NOON)
    assert made == config.backups / "heimdex-20270115-080000.db"
    await remember(store, "river")
    assert await off(remembered, made) == "lake"
    assert await off(backups.check, made) == len(await off(db.migrations))


async def test_a_backup_never_overwrites_a_file(store: Store, config: Config) -> None:
    made = await off(backups.take, config, now=NOON)
    with pytest.raises(CompanionError, match="exists already"):
        await off(backups.take, config, made)


async def test_two_backups_in_one_second_get_two_names(store: Store, config: Config) -> None:
    first = await off(backups.take, config, now=NOON)
    second = await off(backups.take, config, now=NOON)
    assert second.name == f"{first.stem}-2.db"
    assert await off(backups.taken, config) == sorted([first, second])


def test_without_a_database_there_is_nothing_to_back_up(config: Config) -> None:
    with pytest.raises(CompanionError, match="nothing to back up"):
        backups.take(config)


async def test_a_backup_that_cannot_be_written_says_where_and_leaves_nothing(
    store: Store, config: Config, tmp_path: Path
) -> None:
    await off((tmp_path / "file").write_text, "", encoding="utf-8")
    with pytest.raises(CompanionError, match=r"file.copy\.db failed"):
        await off(backups.take, config, tmp_path / "file" / "copy.db")


async def test_the_daily_backup_is_due_a_day_after_the_newest(store: Store, config: Config) -> None:
    assert await off(backups.due_in_s, config, NOON) <= 0
    made = await off(backups.take, config, now=NOON)
    await off(os.utime, made, (NOON, NOON))
    assert await off(backups.due_in_s, config, NOON + 3600) == pytest.approx(23 * 3600)


async def test_the_oldest_daily_backups_go_and_those_before_an_upgrade_stay(
    store: Store, config: Config
) -> None:
    config = replace(config, backups_kept=2)
    made = [await off(backups.take, config, now=NOON + day * backups.DAY_S) for day in range(4)]
    upgrade = await off(backups.take, config, config.backups / "before-schema-2-1.db")
    assert await off(backups.prune, config) == 2
    assert await off(backups.taken, config) == made[2:]
    assert await off(upgrade.exists)


async def test_a_restore_brings_the_old_state_and_keeps_the_present_one_aside(
    config: Config,
) -> None:
    store = await Store.open(config.database)
    await remember(store, "lake")
    made = await off(backups.take, config, now=NOON)
    await remember(store, "river")
    await store.close()
    aside = await off(backups.restore, config, made, now=NOON)
    assert aside is not None
    assert aside.name == "heimdex-before-restore-20270115-080000.db"
    assert (await off(remembered, config.database), await off(remembered, aside)) == (
        "lake",
        "river",
    )
    again = await off(backups.restore, config, made, now=NOON)
    assert again is not None
    assert again != aside
    assert await off(remembered, aside) == "river"


async def test_a_restore_into_an_empty_data_folder_moves_nothing_aside(
    store: Store, config: Config, tmp_path: Path
) -> None:
    await remember(store, "lake")
    made = await off(backups.take, config)
    elsewhere = replace(config, data_dir=tmp_path / "other")
    await off(elsewhere.data_dir.mkdir)
    assert await off(backups.restore, elsewhere, made) is None
    assert await off(remembered, elsewhere.database) == "lake"


async def test_what_the_log_of_a_killed_daemon_still_holds_is_kept_aside_too(
    store: Store, config: Config
) -> None:
    made = await off(backups.take, config)
    await remember(store, "only in the log")  # the store stays open: nothing is written back
    assert (await off(Path(f"{config.database}-wal").stat)).st_size > 0
    aside = await off(backups.restore, config, made)
    assert aside is not None
    assert await off(remembered, aside) == "only in the log"


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def scribbled(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(db.PAGE_SIZE * 3)
        stream.write(b"\xff" * db.PAGE_SIZE)


def foreign(path: Path) -> None:
    path.write_text("this is a letter to grandmother " * 4000, encoding="utf-8")


def newer(path: Path) -> None:
    with closing(apsw.Connection(os.fspath(path))) as connection:
        connection.execute("pragma user_version = 999")


def empty(path: Path) -> None:
    path.unlink()
    with closing(apsw.Connection(os.fspath(path))) as connection:
        connection.execute("create table t (x)")


@pytest.mark.parametrize(
    ("harm", "error", "words"),
    [
        (truncated, StoreDamaged, "damaged|no whole database"),
        (scribbled, StoreDamaged, "damaged|no whole database"),
        (foreign, StoreDamaged, "no whole database"),
        (newer, StoreTooNew, "schema 999"),
        (empty, StoreDamaged, "not one of Heimdex"),
        (Path.unlink, StoreDamaged, "there is no backup"),
    ],
)
async def test_a_backup_that_is_not_whole_is_refused_and_the_database_stays(
    store: Store,
    config: Config,
    harm: Callable[[Path], None],
    error: type[CompanionError],
    words: str,
) -> None:
    await remember(store, "lake")
    made = await off(backups.take, config)
    await off(harm, made)
    with pytest.raises(error, match=words):
        await off(backups.restore, config, made)
    assert await off(remembered, config.database) == "lake"
    assert not await off(list, config.data_dir.glob("*before-restore*"))
