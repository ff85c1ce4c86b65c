"""The indexing flow on real films with the real child: what is missing is made, once, and kept."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from companion import sidecar
from companion.child import COMMAND
from companion.children import Children
from companion.config import Config, Features, Scanning, Sidecars
from companion.findings import Shot
from companion.indexing import Indexer
from companion.model import File, SideFileRow, StageState, Viewer
from companion.scanning import joined
from companion.store import findings, planning
from companion.store.db import Store
from tests import shelf
from tests.films import Words, make_film

SCRIPTED = (sys.executable, "-m", "tests.fakes.scripted_child")
NO_MODELS = Features(vision=False, face_detection=False)  # the picture pass needs none then
LINES = ((500, 1500, "We sail at dawn."), (2_200, 3_500, "Nobody told me about the dog."))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """What needs no model files: they are not there."""
    return Config(data_dir=tmp_path / "data", features=NO_MODELS)


@pytest.fixture
async def store(config: Config) -> AsyncIterator[Store]:
    made = await Store.open(config.database)
    yield made
    await made.close()


@asynccontextmanager
async def running(
    store: Store, config: Config, command: tuple[str, ...] = COMMAND
) -> AsyncIterator[Indexer]:
    """An indexer at work."""
    children = Children(config, command=command)
    indexer = Indexer(store, config, children)
    task = asyncio.create_task(indexer.run())
    try:
        yield indexer
    finally:
        task.cancel()
        await asyncio.wait([task])
        await children.close()


async def settle(indexer: Indexer) -> None:
    """Wait until there is nothing left to do."""
    async with asyncio.timeout(100):
        await indexer.idle()


async def index(store: Store, config: Config, command: tuple[str, ...] = COMMAND) -> Indexer:
    async with running(store, config, command) as indexer:
        await settle(indexer)
        return indexer


async def states(store: Store, file: File) -> dict[str, StageState]:
    rows = await store.read(findings.results_of_file, file.id)
    return {stage: row.state for stage, row in rows.items()}


async def put(store: Store, path: Path, **changes: object) -> File:
    return await store.write(shelf.put_film, path, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shots of 2 s with an English subtitle track."""
    path = tmp_path_factory.mktemp("films") / "Boat.mkv"
    return make_film(path, shots=(2.0, 2.0, 2.0), subtitles=(Words(cues=LINES),)).path


@pytest.fixture
def boat(film: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "Boat.mkv"
    copy.write_bytes(film.read_bytes())
    return copy


async def test_a_film_with_subtitles_becomes_searchable_scenes(
    store: Store, config: Config, boat: Path
) -> None:
    file = await put(store, boat)
    indexer = await index(store, config)
    rows = await store.read(findings.results_of_file, file.id)
    assert {stage for stage, row in rows.items() if row.state is StageState.DONE} >= {
        "subtitles",
        "shots",
        "scenes",
    }
    lines = await store.read(findings.lines_of_file, file.id)
    assert [line.text for line in lines] == [text for _start, _end, text in LINES]
    scenes = await store.read(findings.scenes_of_file, file.id)
    assert not any(scene.provisional for scene in scenes)
    assert scenes[-1].end_ms >= 5_900
    assert await store.read(_hits, "dog") == 1

    # stills and sidecar lie where they should
    folder = config.cache / "stills" / file.public_id
    assert all((folder / f"{scene.still_ms}.jpg").stat().st_size > 500 for scene in scenes)
    assert await asyncio.to_thread(owner_of, sidecar.beside(os.fsencode(boat))) == file.fingerprint

    # the models are not there: only a pass that needs one waits; subtitles make speech needless
    assert rows["speech"].note == "subtitles are used instead"
    assert "meaning" not in rows
    status = await indexer.status()
    assert any("use-m3" in hold for hold in status.holds)
    assert status.waiting == {"meaning": 1}

    # a second run computes nothing again
    await index(store, config)
    assert await store.read(findings.results_of_file, file.id) == rows


def _hits(connection: apsw.Connection, word: str) -> int:
    row = connection.execute(
        "select count(*) from scene_words where scene_words match ?", (word,)
    ).fetchone()
    assert row is not None
    return int(row[0])


def owner_of(place: bytes | None) -> str:
    assert place is not None
    return sidecar.video_id(place)


async def test_a_subtitle_that_appears_later_is_read(
    store: Store, config: Config, tmp_path: Path
) -> None:
    path = make_film(tmp_path / "Quiet.mkv", shots=(2.0,), sound=()).path
    file = await put(store, path)
    await index(store, config)
    assert await store.read(findings.lines_of_file, file.id) == []
    beside = tmp_path / "Quiet.en.srt"
    beside.write_text("1\n00:00:01,000 --> 00:00:02,000\nSomeone laughs.\n")
    row = SideFileRow(
        path=os.fsencode(beside),
        language="en",
        forced=False,
        hearing_impaired=False,
        size=beside.stat().st_size,
        mtime_ns=beside.stat().st_mtime_ns,
    )
    await put(store, path, side_files=(row,))
    await index(store, config)
    lines = await store.read(findings.lines_of_file, file.id)
    assert [line.text for line in lines] == ["Someone laughs."]


async def test_a_new_database_starts_from_the_sidecars(
    store: Store, config: Config, boat: Path, tmp_path: Path
) -> None:
    file = await put(store, boat)
    await index(store, config)
    rows = await store.read(findings.results_of_file, file.id)
    other = replace(config, data_dir=tmp_path / "other")
    fresh = await Store.open(other.database)
    again = await fresh.write(shelf.put_film, boat)
    await index(fresh, other, (*SCRIPTED, "--mute"))  # no child could be started
    restored = await fresh.read(findings.results_of_file, again.id)
    assert {stage: row.finished_at_ms for stage, row in restored.items()} == {
        stage: row.finished_at_ms for stage, row in rows.items()
    }
    await fresh.close()


async def test_a_folder_that_cannot_be_written_gets_its_sidecar_in_the_data_folder(
    store: Store, config: Config, boat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write anywhere, so the refusal is made here."""
    write = sidecar.write

    def refuse_media(place: bytes, made: object) -> None:
        if not place.startswith(os.fsencode(config.data_dir)):
            raise PermissionError(30, "Read-only file system")
        write(place, made)  # type: ignore[arg-type]

    monkeypatch.setattr(sidecar, "write", refuse_media)
    file = await put(store, boat)
    await index(store, config)
    mirror = sidecar.mirrored(config.data_dir / "sidecars", file.fingerprint)
    assert await asyncio.to_thread(owner_of, mirror) == file.fingerprint
    assert [path.name for path in boat.parent.iterdir() if path.name.startswith(".")] == []


async def test_sidecars_may_be_switched_off(store: Store, config: Config, boat: Path) -> None:
    await put(store, boat)
    await index(store, replace(config, sidecars=Sidecars(enabled=False)))
    assert [path.name for path in boat.parent.iterdir() if path.name.startswith(".")] == []


async def test_a_sidecar_follows_its_film(store: Store, config: Config, boat: Path) -> None:
    file = await put(store, boat)
    await index(store, config)
    moved = boat.with_name("Ship.mkv")
    boat.rename(moved)
    await store.write(
        lambda c: c.execute(
            "update paths set path = ? where file_id = ?", (os.fsencode(moved), file.id)
        ).fetchall()
    )
    await index(store, config)
    names = sorted(path.name for path in moved.parent.iterdir() if path.is_file())
    assert names == [".Ship.mkv.scenes.json", "Ship.mkv"]


async def test_bad_films_are_set_aside_with_a_reason_and_the_rest_goes_on(
    store: Store, config: Config, boat: Path, tmp_path: Path
) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("These are only my notes, not a film. " * 50)
    bad = await put(store, text, title="Notes")
    good = await put(store, boat)
    indexer = await index(store, config)
    assert (await states(store, good))["scenes"] is StageState.DONE
    assert (await states(store, bad))["probe"] is StageState.FAILED
    status = await indexer.status()
    failure = next(each for each in status.failures if each.file and each.file.id == bad.id)
    assert failure.reason
    assert failure.item is not None
    assert failure.item.title == "Notes"


async def test_a_crash_is_tried_twice_then_set_aside_then_again_when_asked(
    store: Store, config: Config, tmp_path: Path
) -> None:
    path = tmp_path / "segfault"
    path.write_bytes(b"the scripted child dies of this")
    file = await put(store, path)
    async with running(store, config, SCRIPTED) as indexer:
        await settle(indexer)
        row = (await store.read(findings.results_of_file, file.id))["probe"]
        assert (row.state, row.attempts, row.permanent) == (StageState.FAILED, 2, False)
        assert row.reason == "the scanner crashed (SIGSEGV)"
        assert await store.read(planning.waiting) == {}
        await indexer.retry(file.public_id)
        await settle(indexer)
    row = (await store.read(findings.results_of_file, file.id))["probe"]
    assert row.attempts == 2


async def wait_for_child(indexer: Indexer) -> int:
    async with asyncio.timeout(30):
        while True:
            status = await indexer.status()
            pid = indexer.children.scanner_pid
            if status.running and pid is not None:
                return pid
            await asyncio.sleep(0.01)


async def test_pausing_stops_the_child_and_resuming_finishes(
    store: Store, config: Config, tmp_path: Path
) -> None:
    path = tmp_path / "hang"
    path.write_bytes(b"the scripted child hangs on this")
    await put(store, path)
    async with running(store, config, SCRIPTED) as indexer:
        await wait_for_child(indexer)
        indexer.pause()
        await settle(indexer)
        status = await indexer.status()
        assert status.paused
        assert status.running == ()
        assert status.waiting == {"words": 1}
        assert indexer.children.scanner_pid is None
        indexer.resume()
        await wait_for_child(indexer)


async def test_outside_the_window_nothing_runs_but_what_a_person_asks_for(
    store: Store, config: Config, boat: Path
) -> None:
    file = await put(store, boat)
    async with running(store, config) as indexer:
        indexer.set_window(False, "opens at 01:00")
        await settle(indexer)
        kept = await states(store, file)
        status = await indexer.status()
        if not kept:  # else the first job had begun before the window closed
            assert status.holds == ("Outside the scan window: opens at 01:00.",)
        assert "scenes" not in kept
        await indexer.scan_now(file_public_id=file.public_id)
        await settle(indexer)
    assert (await states(store, file))["scenes"] is StageState.DONE


async def test_a_closing_window_stops_the_running_job(
    store: Store, config: Config, tmp_path: Path
) -> None:
    path = tmp_path / "hang"
    path.write_bytes(b"hangs")
    await put(store, path)
    async with running(store, config, SCRIPTED) as indexer:
        pid = await wait_for_child(indexer)
        indexer.set_window(False, "opens at 01:00")
        await settle(indexer)
        assert indexer.children.scanner_pid != pid
        assert (await indexer.status()).running == ()


async def test_a_film_that_is_away_waits_for_the_next_sync(
    store: Store, config: Config, boat: Path
) -> None:
    file = await put(store, boat)
    boat.unlink()
    indexer = await index(store, config)
    assert await states(store, file) == {}
    assert (await indexer.status()).failures == ()


async def test_stopping_gives_the_job_back(store: Store, config: Config, tmp_path: Path) -> None:
    path = tmp_path / "hang"
    path.write_bytes(b"hangs")
    await put(store, path)
    async with running(store, config, SCRIPTED) as indexer:
        await wait_for_child(indexer)
    rows = await store.read(lambda c: c.execute("select state from jobs").fetchall())
    assert rows == [("waiting",)]


async def test_losing_every_job_loses_nothing(store: Store, config: Config, boat: Path) -> None:
    file = await put(store, boat)
    async with running(store, replace(config, scan=Scanning()), SCRIPTED) as indexer:
        indexer.pause()
        await indexer.plan()
        await store.write(lambda c: c.execute("delete from jobs").fetchall())
    await index(store, config)
    assert (await states(store, file))["scenes"] is StageState.DONE


async def test_others_than_the_owner_see_how_much_but_not_what(
    store: Store, config: Config, boat: Path
) -> None:
    await put(store, boat)
    indexer = await index(store, config)
    status = await indexer.status(Viewer(name="kid", owner=False, item_ids=frozenset()))
    assert status.coverage.files == 1
    assert (status.failures, status.running, status.holds) == ((), (), ())


async def test_a_watcher_hears_of_every_change(store: Store, config: Config, boat: Path) -> None:
    await put(store, boat)
    heard = 0
    async with running(store, config) as indexer:

        async def listen(told: Callable[[], object]) -> None:
            nonlocal heard
            while True:
                await indexer.changed()
                heard += 1
                told()

        first = asyncio.Event()
        listener = asyncio.create_task(listen(first.set))
        async with asyncio.timeout(30):
            await first.wait()
        await settle(indexer)
        listener.cancel()
    assert heard > 1


@pytest.mark.parametrize(
    ("kept", "found", "whole"),
    [
        ([], [Shot(0, 5)], [Shot(0, 5)]),
        ([Shot(0, 5)], [Shot(5, 9)], [Shot(0, 5), Shot(5, 9)]),
        ([Shot(0, 5)], [Shot(7, 9), Shot(9, 10)], [Shot(0, 5), Shot(5, 9), Shot(9, 10)]),
        ([], [Shot(7, 9)], [Shot(0, 9)]),
        ([Shot(0, 5)], [], [Shot(0, 5)]),
    ],
)
def test_shots_of_an_interrupted_pass_join_without_gaps(
    kept: list[Shot], found: list[Shot], whole: list[Shot]
) -> None:
    assert joined(kept, found) == whole
