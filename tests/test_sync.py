"""The sync: real folders, a real store. Nothing that is only out of sight is ever deleted."""

import asyncio
import logging
import os
import shutil
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from companion import identity, looks
from companion.config import Config, Folder, Syncing
from companion.errors import AuthFailed, ServerUnavailable
from companion.model import OWNER, File, Item, LibraryKind, ListedLibrary, ListedPage
from companion.store import jobs, library, roots
from companion.store.db import Store
from companion.sync import Sync, SyncReport
from connectors import base

LONG_AGO_S = 1_600_000_000


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "Films"
    folder.mkdir()
    return folder


@pytest.fixture
def config(tmp_path: Path, films: Path) -> Config:
    return Config(data_dir=tmp_path / "data", folders=(Folder(path=films),))


class Told:
    """Counts what the sync tells others."""

    def __init__(self) -> None:
        self.changes = 0
        self.settling: list[float] = []

    def changed(self) -> None:
        self.changes += 1


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def sync(store: Store, config: Config, told: Told) -> Sync:
    made = Sync(store, config, told.changed)
    made.when_settling = told.settling.append
    return made


def put(folder: Path, name: str, content: str | bytes = "", *, at_s: float = LONG_AGO_S) -> Path:
    """Make a file that has been still for long; its content is its name unless it is given."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content or name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    os.utime(path, (at_s, at_s))
    return path


def inside(function, *values: object):  # type: ignore[no-untyped-def]
    """Do file work in a thread, as everything in the event loop must."""
    return asyncio.to_thread(function, *values)


def counts(report: SyncReport) -> dict[str, int]:
    """What a report counts, without the zeros and what was merely there."""
    names = ("new", "changed", "gone", "new_files", "linked", "settling")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


async def items(store: Store) -> dict[str, Item]:
    return {item.title: item for item in await store.read(library.items, OWNER, limit=500)}


async def files(store: Store) -> dict[bytes, File]:
    """The live files by the name of each of their paths."""
    return {
        os.path.basename(path): file
        for file in await store.read(library.live_files)
        for path in file.paths
    }


async def problems(store: Store) -> dict[bytes, str]:
    rows = await store.read(library.path_problems)
    return {os.path.basename(path): problem for path, problem, _at in rows}


def writes(c: apsw.Connection) -> int:
    return c.total_changes()


# --- the first and the next look -----------------------------------------------------------------


async def test_a_folder_becomes_a_library(sync: Sync, store: Store, films: Path) -> None:
    await inside(put, films, "Night Train (1984)/Night Train (1984).mkv")
    await inside(put, films, "The Lake/Season 01/The Lake S01E02 Ice.mkv")
    report = await sync.run_once()
    assert counts(report) == {"new": 2, "new_files": 2}
    assert (report.libraries, report.items, report.complete) == (1, 2, True)
    assert set(await items(store)) == {"Night Train", "Ice"}
    (found,) = await store.read(library.libraries)
    assert (found.name, found.kind) == ("Films", LibraryKind.MIXED)


async def test_names_and_kinds_come_from_the_configuration(
    store: Store, config: Config, films: Path
) -> None:
    await inside(put, films, "01.mkv")
    folder = Folder(path=films, name="Series", kind=LibraryKind.SHOWS)
    await Sync(store, replace(config, folders=(folder,)), lambda: None).run_once()
    (found,) = await store.read(library.libraries)
    assert (found.name, found.kind) == ("Series", LibraryKind.SHOWS)


async def test_an_unchanged_library_writes_nothing_about_its_items(
    sync: Sync, store: Store, films: Path, told: Told
) -> None:
    for number in range(30):
        await inside(put, films, f"Film {number}/a.mkv", str(number))
    await inside(put, films, "Film 1/a.en.srt")
    await sync.run_once()
    before, changes = await store.write(writes), told.changes
    report = await sync.run_once()
    assert counts(report) == {}
    assert report.items == 30
    assert told.changes == changes
    per_run = 2  # the row of the server and the row of the library
    assert await store.write(writes) - before <= per_run


async def test_an_unchanged_library_is_not_read(
    sync: Sync, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await inside(put, films, "a.mkv")
    await sync.run_once()
    read: list[bytes] = []
    monkeypatch.setattr(identity, "fingerprint", lambda path, _stat: read.append(path))
    await sync.run_once()
    assert read == []


async def test_others_are_told_of_changes_once(sync: Sync, films: Path, told: Told) -> None:
    await inside(put, films, "a.mkv")
    await sync.run_once()
    assert told.changes == 1
    await sync.run_once()
    assert told.changes == 1
    await inside(os.remove, films / "a.mkv")
    await inside(put, films, "b.mkv")
    await sync.run_once()
    assert told.changes == 2


async def test_a_new_film_is_found_and_the_others_stay(
    sync: Sync, store: Store, films: Path
) -> None:
    await inside(put, films, "a.mkv")
    await sync.run_once()
    before = (await items(store))["a"]
    await inside(put, films, "b.mkv")
    assert counts(await sync.run_once()) == {"new": 1, "new_files": 1}
    assert (await items(store))["a"] == before


async def test_films_come_in_several_pages(sync: Sync, store: Store, films: Path) -> None:
    def fill() -> None:
        for number in range(320):
            put(films, f"{number % 20}/clip {number}.mp4", str(number))

    await inside(fill)
    report = await sync.run_once()
    assert counts(report) == {"new": 320, "new_files": 320}
    assert len(await store.read(library.live_files)) == 320
    assert counts(await sync.run_once()) == {}


# --- identity ------------------------------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The names of the files whose content was read."""
    seen: list[bytes] = []
    real = identity.fingerprint

    def counted(path: bytes, stat: identity.Stat) -> str:
        seen.append(os.path.basename(path))
        return real(path, stat)

    monkeypatch.setattr(identity, "fingerprint", counted)
    return seen


async def test_a_renamed_film_is_the_same_file_and_item_without_being_read(
    sync: Sync, store: Store, films: Path, reads: list[bytes]
) -> None:
    path = await inside(put, films, "Lake.mkv")
    await sync.run_once()
    file, item = (await files(store))[b"Lake.mkv"], (await items(store))["Lake"]
    reads.clear()
    await inside(path.rename, films / "Sea.mkv")
    report = await sync.run_once()
    assert reads == []
    assert (report.new_files, report.linked, report.gone) == (0, 1, 1)
    found = (await files(store))[b"Sea.mkv"]
    assert (found.id, found.public_id) == (file.id, file.public_id)
    assert found.paths == (os.fsencode(films / "Sea.mkv"),)
    renamed = (await items(store))["Sea"]
    assert (renamed.public_id, renamed.added_at_ms) == (item.public_id, item.added_at_ms)
    assert len(await items(store)) == 1


async def test_a_film_that_moves_to_another_folder_is_the_same(
    sync: Sync, store: Store, films: Path, reads: list[bytes]
) -> None:
    await inside(put, films, "new/Lake.mkv")
    await sync.run_once()
    before = (await files(store))[b"Lake.mkv"]
    reads.clear()
    await inside((films / "new").rename, films / "old")
    await sync.run_once()
    assert reads == []
    assert (await files(store))[b"Lake.mkv"].public_id == before.public_id


async def test_a_film_that_moves_to_another_library_keeps_its_address(
    store: Store, config: Config, films: Path, tmp_path: Path
) -> None:
    path = await inside(put, films, "Lake.mkv")
    home = tmp_path / "A home"
    await inside(home.mkdir)
    await inside(put, home, "other.mkv")
    await inside(put, films, "stays.mkv")
    sync = Sync(store, replace(config, folders=(Folder(path=home), *config.folders)), lambda: None)
    await sync.run_once()
    before = (await items(store))["Lake"]
    await inside(path.rename, home / "Lake.mkv")
    await sync.run_once()
    after = (await items(store))["Lake"]
    assert (before.library, after.library) == ("Films", "A home")
    assert after.public_id == before.public_id


async def test_a_hard_link_and_a_copy_are_one_file_with_two_places(
    sync: Sync, store: Store, films: Path, reads: list[bytes]
) -> None:
    path = await inside(put, films, "Lake.mkv")
    await sync.run_once()
    reads.clear()
    await inside(os.link, path, films / "Linked.mkv")
    assert counts(await sync.run_once()) == {"new": 1, "linked": 1}
    assert reads == [], "a hard link is known by its inode"
    await inside(shutil.copyfile, path, films / "Copied.mkv")
    await inside(os.utime, films / "Copied.mkv", (LONG_AGO_S + 1, LONG_AGO_S + 1))
    assert counts(await sync.run_once()) == {"new": 1, "linked": 1}
    assert reads == [b"Copied.mkv"]
    (file,) = await store.read(library.live_files)
    assert [os.path.basename(path) for path in file.paths] == [
        b"Lake.mkv", b"Linked.mkv", b"Copied.mkv",
    ]  # fmt: skip


async def test_a_touched_film_is_read_again_and_is_the_same(
    sync: Sync, store: Store, films: Path, reads: list[bytes]
) -> None:
    path = await inside(put, films, "Lake.mkv")
    await sync.run_once()
    before = (await files(store))[b"Lake.mkv"]
    reads.clear()
    await inside(os.utime, path, (LONG_AGO_S + 9, LONG_AGO_S + 9))
    assert counts(await sync.run_once()) == {"changed": 1}
    assert reads == [b"Lake.mkv"]
    assert (await files(store))[b"Lake.mkv"] == before
    reads.clear()
    await sync.run_once()
    assert reads == []


async def test_new_content_at_a_path_is_another_file_of_the_same_item(
    sync: Sync, store: Store, films: Path
) -> None:
    await inside(put, films, "Lake.mkv", "old")
    await sync.run_once()
    item, old = (await items(store))["Lake"], (await files(store))[b"Lake.mkv"]
    await inside(put, films, "Lake.mkv", "newer")
    assert counts(await sync.run_once()) == {"changed": 1, "new_files": 1}
    assert (await items(store))["Lake"] == item
    assert (await files(store))[b"Lake.mkv"].public_id != old.public_id
    forgotten = await store.read(library.file, old.id)
    assert forgotten is not None
    assert forgotten.paths == ()


async def test_an_inode_that_is_used_again_is_not_believed(
    sync: Sync, store: Store, films: Path, reads: list[bytes]
) -> None:
    """The quick look of the new file differs in size or time, so it is read."""
    path = await inside(put, films, "Lake.mkv", "the lake")
    await sync.run_once()
    reads.clear()

    def reuse() -> None:
        path.rename(films / "Sea.mkv")  # the same inode, whose content is written anew
        put(films, "Sea.mkv", "the sea!", at_s=LONG_AGO_S + 1)

    await inside(reuse)
    report = await sync.run_once()
    assert reads == [b"Sea.mkv"]
    assert report.new_files == 1


async def test_another_device_number_alone_costs_no_reading(
    sync: Sync, store: Store, films: Path, reads: list[bytes]
) -> None:
    """Network and stacked file systems get another number at each mount."""
    await inside(put, films, "Lake.mkv")
    await sync.run_once()
    before = (await files(store))[b"Lake.mkv"]
    reads.clear()

    def remount(c: apsw.Connection) -> None:
        c.execute("update paths set device = device + 77")
        c.execute("update roots set device = device + 77")

    await store.write(remount)
    assert counts(await sync.run_once()) == {"changed": 1}
    assert reads == []
    assert (await files(store))[b"Lake.mkv"] == before
    assert counts(await sync.run_once()) == {}


async def test_identity_is_found_out_in_a_thread(
    sync: Sync, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    real = identity.fingerprint

    def noted(path: bytes, stat: identity.Stat) -> str:
        threads.append(threading.current_thread())
        return real(path, stat)

    monkeypatch.setattr(identity, "fingerprint", noted)
    await inside(put, films, "Lake.mkv")
    await sync.run_once()
    assert threads
    assert threading.main_thread() not in threads


# --- gone and back -------------------------------------------------------------------------------


async def test_a_deleted_film_is_gone_and_its_jobs_too(
    sync: Sync, store: Store, films: Path
) -> None:
    path = await inside(put, films, "Lake.mkv")
    await inside(put, films, "Sea.mkv")
    await sync.run_once()
    file = (await files(store))[b"Lake.mkv"]
    await store.write(jobs.request, file.id, "speech", priority=0, now_ms=1, total_ms=1)
    await inside(path.unlink)
    assert counts(await sync.run_once()) == {"gone": 1}
    assert set(await items(store)) == {"Sea"}
    assert await store.read(jobs.waiting_counts) == {}


async def test_a_film_that_comes_back_is_the_same_without_being_read(
    sync: Sync, store: Store, films: Path, tmp_path: Path, reads: list[bytes]
) -> None:
    path = await inside(put, films, "Lake.mkv")
    await inside(put, films, "Sea.mkv")
    await sync.run_once()
    item, file = (await items(store))["Lake"], (await files(store))[b"Lake.mkv"]
    await inside(path.rename, tmp_path / "elsewhere.mkv")
    await sync.run_once()
    reads.clear()
    await inside((tmp_path / "elsewhere.mkv").rename, path)
    assert counts(await sync.run_once()) == {"new": 1}
    assert reads == []
    assert (await items(store))["Lake"] == item
    assert (await files(store))[b"Lake.mkv"] == file


async def test_a_part_that_is_deleted_leaves_its_item(
    sync: Sync, store: Store, films: Path
) -> None:
    for number in (1, 2, 3):
        await inside(put, films, f"Night Train (1984)/Night Train (1984) cd{number}.avi")
    await sync.run_once()
    item = (await items(store))["Night Train"]
    await inside((films / "Night Train (1984)" / "Night Train (1984) cd2.avi").unlink)
    assert counts(await sync.run_once()) == {"changed": 1}
    assert (await items(store))["Night Train"] == item
    left = await store.read(library.files_of_item, item.id)
    assert [os.path.basename(file.paths[0])[-7:] for file in left] == [b"cd1.avi", b"cd3.avi"]
    assert len(await store.read(library.live_files)) == 2


async def test_a_library_that_is_configured_no_more_is_gone(
    store: Store, config: Config, films: Path
) -> None:
    await inside(put, films, "Lake.mkv")
    await Sync(store, config, lambda: None).run_once()
    report = await Sync(store, replace(config, folders=()), lambda: None).run_once()
    assert counts(report) == {"gone": 1}
    assert await store.read(library.libraries) == []
    assert await items(store) == {}


# --- what is only out of sight -------------------------------------------------------------------


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="companion.sync")
    return caplog


def lines(log: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in log.records if record.levelno == level]


async def test_a_vanished_folder_deletes_nothing_and_is_told_once(
    sync: Sync, store: Store, films: Path, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    await inside(put, films, "Lake.mkv")
    await sync.run_once()
    before = await items(store)
    log.clear()
    await inside(films.rename, tmp_path / "unmounted")
    for _ in range(3):
        report = await sync.run_once()
        assert counts(report) == {}
        assert not report.complete
        assert await items(store) == before
    (warning,) = lines(log, logging.WARNING)
    assert "is its disk mounted?" in warning
    assert (
        sync.notes() == report.away == (f"The folder {films} is not there: is its disk mounted?",)
    )
    log.clear()
    await inside((tmp_path / "unmounted").rename, films)
    for _ in range(2):
        assert (await sync.run_once()).complete
    assert len([line for line in lines(log, logging.INFO) if "folder back" in line]) == 1
    assert lines(log, logging.WARNING) == []
    assert sync.notes() == ()


async def test_going_is_told_once_also_over_a_restart(
    store: Store, config: Config, films: Path, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    await inside(put, films, "Lake.mkv")
    await Sync(store, config, lambda: None).run_once()
    await inside(films.rename, tmp_path / "unmounted")
    for _ in range(2):
        await Sync(store, config, lambda: None).run_once()
    assert len(lines(log, logging.WARNING)) == 1


async def test_an_empty_mount_point_deletes_nothing(
    sync: Sync, store: Store, films: Path, tmp_path: Path
) -> None:
    await inside(put, films, "Lake.mkv")
    await sync.run_once()
    await inside(films.rename, tmp_path / "unmounted")
    await inside(films.mkdir)
    report = await sync.run_once()
    assert counts(report) == {}
    assert set(await items(store)) == {"Lake"}
    assert "take it out of library.folders" in report.away[0]


async def test_an_empty_folder_that_never_held_anything_is_fine(sync: Sync) -> None:
    report = await sync.run_once()
    assert (report.complete, report.away) == (True, ())


async def test_the_last_film_may_be_deleted_if_something_else_is_left(
    sync: Sync, store: Store, films: Path
) -> None:
    path = await inside(put, films, "Lake.mkv")
    await inside(put, films, "readme.txt")
    await sync.run_once()
    await inside(path.unlink)
    assert counts(await sync.run_once()) == {"gone": 1}


async def test_another_disk_in_its_place_deletes_nothing(
    sync: Sync, store: Store, films: Path
) -> None:
    path = await inside(put, films, "Lake.mkv")
    await sync.run_once()

    def mounted_elsewhere(c: apsw.Connection) -> None:
        c.execute("update roots set device = device + 1")

    await store.write(mounted_elsewhere)
    await inside(path.rename, films / "not a film.txt")
    report = await sync.run_once()
    assert counts(report) == {}
    assert report.away[0].startswith("Another disk is mounted at")
    assert set(await items(store)) == {"Lake"}
    await inside((films / "not a film.txt").rename, path)
    assert (await sync.run_once()).away == ()


async def test_a_library_that_was_never_there_is_told_and_the_others_are_read(
    store: Store, config: Config, films: Path, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    await inside(put, films, "Lake.mkv")
    missing = Folder(path=tmp_path / "missing")
    sync = Sync(store, replace(config, folders=(missing, *config.folders)), lambda: None)
    report = await sync.run_once()
    assert set(await items(store)) == {"Lake"}
    assert (len(report.away), len(lines(log, logging.WARNING))) == (1, 1)


async def test_jobs_of_a_folder_that_is_away_wait_and_go_on_when_it_is_back(
    sync: Sync, store: Store, films: Path, tmp_path: Path, told: Told
) -> None:
    await inside(put, films, "Lake.mkv")
    await sync.run_once()
    (file,) = await store.read(library.live_files)
    await store.write(jobs.request, file.id, "speech", priority=0, now_ms=1, total_ms=1)
    await inside(films.rename, tmp_path / "unmounted")
    await sync.run_once()
    assert await store.write(jobs.take, now_ms=2, lease_ms=9) is None
    changes = told.changes
    await inside((tmp_path / "unmounted").rename, films)
    await sync.run_once()
    assert told.changes == changes + 1, "the indexer sleeps and must be woken"
    assert await store.write(jobs.take, now_ms=2, lease_ms=9) is not None


async def test_a_mount_that_goes_while_it_is_listed_deletes_nothing(
    sync: Sync, store: Store, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        await inside(put, films, f"{number}/Film {number}.mkv")
    await sync.run_once()
    real = base.load("folder")

    class Going(real):  # type: ignore[misc, valid-type]
        """Ends without an error, with nothing listed, as a walk over a dying mount may."""

        async def items(self, library: ListedLibrary) -> AsyncIterator[ListedPage]:
            await inside(films.rename, tmp_path / "unmounted")
            yield ListedPage()

    monkeypatch.setattr(base, "load", lambda _kind: Going)
    report = await sync.run_once()
    assert counts(report) == {}
    assert not report.complete
    assert len(await items(store)) == 5


@pytest.mark.parametrize("error", [ServerUnavailable("asleep"), AuthFailed("token refused")])
async def test_a_server_that_does_not_answer_deletes_nothing_and_is_told_once(
    sync: Sync,
    store: Store,
    films: Path,
    monkeypatch: pytest.MonkeyPatch,
    log: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    await inside(put, films, "Lake.mkv")
    await sync.run_once()
    real = base.load("folder")

    class Silent(real):  # type: ignore[misc, valid-type]
        async def libraries(self) -> tuple[ListedLibrary, ...]:
            raise error

    log.clear()
    with monkeypatch.context() as patch:
        patch.setattr(base, "load", lambda _kind: Silent)
        for _ in range(2):
            report = await sync.run_once()
    assert (counts(report), report.complete) == ({}, False)
    assert set(await items(store)) == {"Lake"}
    assert sync.notes() == (str(error),)
    assert len(lines(log, logging.WARNING)) == 1
    await sync.run_once()
    assert sync.notes() == ()
    assert "answers again from=folders" in lines(log, logging.INFO)


async def test_a_listing_that_breaks_off_deletes_nothing_and_spares_the_others(
    store: Store, config: Config, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "Home"
    await inside(put, films, "Lake.mkv")
    await inside(put, home, "Sea.mkv")
    sync = Sync(store, replace(config, folders=(*config.folders, Folder(path=home))), lambda: None)
    await sync.run_once()
    await inside(put, home, "New.mkv")
    real = base.load("folder")

    class Breaking(real):  # type: ignore[misc, valid-type]
        async def items(self, library: ListedLibrary) -> AsyncIterator[ListedPage]:
            if library.name == "Films":
                yield ListedPage()
                raise ServerUnavailable("the share is gone")
            async for page in super().items(library):
                yield page

    monkeypatch.setattr(base, "load", lambda _kind: Breaking)
    report = await sync.run_once()
    assert (counts(report), report.complete) == ({"new": 1, "new_files": 1}, False)
    assert set(await items(store)) == {"Lake", "Sea", "New"}


async def test_what_lies_below_a_problem_is_not_gone(
    sync: Sync, store: Store, films: Path, tmp_path: Path
) -> None:
    """A link whose disk is away hides its folder; nothing of it is deleted."""
    await inside(put, tmp_path / "disk", "Lake.mkv")
    await inside(put, films, "Sea.mkv")
    await inside((films / "linked.mkv").symlink_to, tmp_path / "disk" / "Lake.mkv")
    await sync.run_once()
    assert set(await items(store)) == {"linked", "Sea"}
    await inside((tmp_path / "disk").rename, tmp_path / "away")
    report = await sync.run_once()
    assert counts(report) == {}
    assert set(await items(store)) == {"linked", "Sea"}
    assert await problems(store) == {b"linked.mkv": "the link leads to a file that is not there"}
    await inside((tmp_path / "away").rename, tmp_path / "disk")
    await sync.run_once()
    assert await problems(store) == {}


# --- files with problems -------------------------------------------------------------------------


async def test_an_empty_file_has_a_problem_until_it_is_filled(
    sync: Sync, store: Store, films: Path
) -> None:
    def empty() -> None:
        (films / "Lake.mkv").write_bytes(b"")
        os.utime(films / "Lake.mkv", (LONG_AGO_S, LONG_AGO_S))

    await inside(empty)
    await inside(put, films, "Sea.mkv")
    report = await sync.run_once()
    assert await problems(store) == {b"Lake.mkv": looks.EMPTY}
    assert [problem.problem for problem in report.problems] == [looks.EMPTY]
    assert set(await files(store)) == {b"Sea.mkv"}
    assert counts(await sync.run_once()) == {}, "a known problem is not written again"
    await inside(put, films, "Lake.mkv")
    assert counts(await sync.run_once()) == {"changed": 1, "new_files": 1}
    assert await problems(store) == {}
    assert set(await files(store)) == {b"Lake.mkv", b"Sea.mkv"}


async def test_a_file_that_may_not_be_read_stays_what_it_was_and_comes_back(
    sync: Sync, store: Store, films: Path, monkeypatch: pytest.MonkeyPatch, reads: list[bytes]
) -> None:
    await inside(put, films, "Lake.mkv")
    await sync.run_once()
    before = (await files(store))[b"Lake.mkv"]
    reads.clear()
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda _path, _mode: False)  # the superuser may read everything
        assert counts(await sync.run_once()) == {"changed": 1}
        assert await problems(store) == {b"Lake.mkv": looks.UNREADABLE}
        assert await files(store) == {}
        assert counts(await sync.run_once()) == {}
    assert counts(await sync.run_once()) == {"changed": 1}
    assert (await files(store))[b"Lake.mkv"].public_id == before.public_id
    assert await problems(store) == {}


async def test_a_disk_error_is_a_problem_of_one_file(
    sync: Sync, store: Store, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await inside(put, films, "Lake.mkv")
    await inside(put, films, "Sea.mkv")
    real = identity.fingerprint

    def failing(path: bytes, stat: identity.Stat) -> str:
        if path.endswith(b"Lake.mkv"):
            raise OSError(5, "Input/output error")
        return real(path, stat)

    with monkeypatch.context() as patch:
        patch.setattr(identity, "fingerprint", failing)
        await sync.run_once()
        assert await problems(store) == {b"Lake.mkv": "it cannot be read: Input/output error"}
        assert set(await files(store)) == {b"Sea.mkv"}
        assert counts(await sync.run_once()) == {}, "it is tried again, but nothing is written"
    await sync.run_once()
    assert set(await files(store)) == {b"Lake.mkv", b"Sea.mkv"}


@pytest.mark.parametrize(
    "name", [b"S\xe9ance.mkv", b"two\nlines.mkv", "🎬 영화.mkv".encode(), b"'; drop table.mkv"]
)
async def test_odd_names_go_all_the_way(sync: Sync, store: Store, films: Path, name: bytes) -> None:
    path = os.fsencode(films) + b"/" + name

    def make() -> None:
        with open(path, "wb") as file:  # noqa: PTH123 - the path is bytes
            file.write(b"film")
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))

    await inside(make)
    await sync.run_once()
    (file,) = await store.read(library.live_files)
    assert file.paths == (path,)
    assert counts(await sync.run_once()) == {}


# --- files that are being written ----------------------------------------------------------------


class Clock:
    """Wall and monotonic time that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = LONG_AGO_S + 1_000_000.0
        monkeypatch.setattr("companion.library_sync.time.monotonic", lambda: self.now)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def patient(store: Store, config: Config, told: Told, clock: Clock) -> Sync:
    made = Sync(store, replace(config, sync=Syncing(settle_s=30)), told.changed, clock=clock)
    made.when_settling = told.settling.append
    return made


async def test_a_file_that_is_being_copied_waits(
    patient: Sync, store: Store, films: Path, told: Told, clock: Clock
) -> None:
    await inside(put, films, "Sea.mkv")
    put_now = lambda size: put(films, "Lake.mkv", b"x" * size, at_s=clock.now)  # noqa: E731
    await inside(put_now, 10)
    assert counts(await patient.run_once()) == {"new": 1, "new_files": 1, "settling": 1}
    assert told.settling == [30]
    clock.now += 29
    await inside(put_now, 20)
    assert counts(await patient.run_once()) == {"settling": 1}
    clock.now += 29
    assert counts(await patient.run_once()) == {"settling": 1}
    clock.now += 1
    assert counts(await patient.run_once()) == {"new": 1, "new_files": 1}
    assert told.settling == [30, 30, 30]
    assert set(await items(store)) == {"Lake", "Sea"}


async def test_a_file_from_the_future_counts_as_still_when_it_has_stayed_the_same(
    patient: Sync, films: Path, clock: Clock
) -> None:
    """Clocks of shares and cameras go wrong."""
    await inside(lambda: put(films, "Lake.mkv", at_s=clock.now + 1e6))
    assert counts(await patient.run_once()) == {"settling": 1}
    clock.now += 20
    assert counts(await patient.run_once()) == {"settling": 1}
    clock.now += 10
    assert counts(await patient.run_once()) == {"new": 1, "new_files": 1}


async def test_a_known_film_that_is_being_replaced_stays_as_it_was_meanwhile(
    patient: Sync, store: Store, films: Path, clock: Clock
) -> None:
    await inside(put, films, "Lake.mkv")
    await patient.run_once()
    before = await files(store)
    await inside(lambda: put(films, "Lake.mkv", "half of the new", at_s=clock.now))
    assert counts(await patient.run_once()) == {"settling": 1}
    assert await files(store) == before
    clock.now += 31
    assert counts(await patient.run_once()) == {"changed": 1, "new_files": 1}


async def test_an_item_waits_for_all_its_parts(
    patient: Sync, store: Store, films: Path, clock: Clock
) -> None:
    await inside(put, films, "Lake cd1.avi")
    await inside(lambda: put(films, "Lake cd2.avi", at_s=clock.now))
    assert counts(await patient.run_once()) == {"settling": 1}
    clock.now += 31
    await patient.run_once()
    assert len(await store.read(library.files_of_item, (await items(store))["Lake"].id)) == 2


async def test_a_file_that_changes_while_it_is_read_waits(
    patient: Sync, films: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await inside(put, films, "Lake.mkv")

    def growing(_path: bytes, _stat: identity.Stat) -> str:
        raise identity.Unsettled("it changed while it was read")

    with monkeypatch.context() as patch:
        patch.setattr(identity, "fingerprint", growing)
        assert counts(await patient.run_once()) == {"settling": 1}
    assert counts(await patient.run_once()) == {"new": 1, "new_files": 1}


async def test_a_caller_may_say_how_long_a_file_must_be_still(
    patient: Sync, films: Path, clock: Clock
) -> None:
    await inside(lambda: put(films, "Lake.mkv", at_s=clock.now))
    assert counts(await patient.run_once(settle_s=0)) == {"new": 1, "new_files": 1}


# --- subtitles beside ----------------------------------------------------------------------------


async def test_subtitles_beside_a_film_are_kept_with_what_their_names_say(
    sync: Sync, store: Store, films: Path
) -> None:
    await inside(put, films, "Lake.mkv")
    for name in ("Lake.en.forced.srt", "Lake.ass", "Lakeside.srt", "Lake.txt"):
        await inside(put, films, name)
    await sync.run_once()
    (file,) = await store.read(library.live_files)
    found = await store.read(library.side_files, file.id)
    assert [(os.path.basename(row.path), row.language, row.forced) for row in found] == [
        (b"Lake.ass", "", False),
        (b"Lake.en.forced.srt", "en", True),
    ]


async def test_a_subtitle_that_comes_changes_or_goes_is_noticed(
    sync: Sync, store: Store, films: Path
) -> None:
    await inside(put, films, "Lake.mkv")
    await sync.run_once()
    subtitle = await inside(put, films, "Lake.en.srt")
    assert counts(await sync.run_once()) == {"changed": 1}
    (file,) = await store.read(library.live_files)
    before = await store.read(library.side_files, file.id)
    await inside(put, films, "Lake.en.srt", "other, longer words")
    assert counts(await sync.run_once()) == {"changed": 1}
    assert await store.read(library.side_files, file.id) != before
    await inside(subtitle.unlink)
    assert counts(await sync.run_once()) == {"changed": 1}
    assert await store.read(library.side_files, file.id) == []
    assert counts(await sync.run_once()) == {}


# --- one folder, two calls, cancelling -----------------------------------------------------------


async def test_one_folder_can_be_looked_at_alone(
    store: Store, config: Config, films: Path, tmp_path: Path
) -> None:
    home = tmp_path / "Home"
    await inside(put, films, "Lake.mkv")
    await inside(put, home, "Sea.mkv")
    sync = Sync(store, replace(config, folders=(*config.folders, Folder(path=home))), lambda: None)
    assert counts(await sync.run_once(home)) == {"new": 1, "new_files": 1}
    assert set(await items(store)) == {"Sea"}
    assert counts(await sync.run_once(films / "deep" / "inside")) == {"new": 1, "new_files": 1}
    assert counts(await sync.run_once(tmp_path / "elsewhere")) == {}
    assert set(await items(store)) == {"Sea", "Lake"}
    assert len(await store.read(library.libraries)) == 2


async def test_two_calls_never_run_at_the_same_time(
    sync: Sync, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await inside(put, films, "Lake.mkv")
    reports = await asyncio.gather(*(sync.run_once() for _ in range(4)))
    assert sorted(report.new for report in reports) == [0, 0, 0, 1]
    assert not sync.running


async def test_a_cancelled_sync_can_be_run_again(
    sync: Sync, store: Store, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await inside(put, films, "Lake.mkv")
    begun, go_on = threading.Event(), threading.Event()
    real = identity.fingerprint

    def slow(path: bytes, stat: identity.Stat) -> str:
        begun.set()
        assert go_on.wait(10)
        return real(path, stat)

    monkeypatch.setattr(identity, "fingerprint", slow)
    running = asyncio.ensure_future(sync.run_once())
    await inside(begun.wait, 10)
    assert sync.running
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    go_on.set()
    assert counts(await sync.run_once()) == {"new": 1, "new_files": 1}
    assert set(await items(store)) == {"Lake"}


async def test_away_folders_are_remembered_in_the_store(
    sync: Sync, store: Store, films: Path, tmp_path: Path
) -> None:
    await sync.run_once()
    await inside(films.rename, tmp_path / "unmounted")
    await sync.run_once()
    assert len(await store.read(roots.away_notes)) == 1
