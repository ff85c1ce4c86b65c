"""The commands without a daemon: each opens the data folder, does one thing and leaves."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from companion import paths, record, stages
from companion.app import App, opened
from companion.config import Config
from companion.errors import CompanionError, MediaMissing
from companion.indexing import ASKED
from companion.model import OWNER, File
from companion.remote import Question, Remote
from companion.store import db, library, planning, settings
from webui import records
from webui.lookup import scene_at
from webui.words import printable

ASK_AGAIN_S = 0.5
NOTHING_ELSE = "only what was asked for is scanned"


@dataclass(frozen=True, slots=True)
class Failed:
    """A stage of a file that was set aside."""

    file: str
    stage: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What `scan` leaves behind. unfinished: why some of it was not done, in words."""

    files: int
    failures: tuple[Failed, ...]
    unfinished: tuple[str, ...]

    @property
    def well(self) -> bool:
        return not self.failures and not self.unfinished


async def search(config: Config, asked: Question) -> records.Results:
    """Raises MediaMissing if there is no such moment, and what `Search.look` and `ask` raise."""
    async with opened(config, alone=False) as app:
        like = await app.store.read(scene_at, asked.like, OWNER) if asked.like else None
        if asked.like and like is None:
            raise MediaMissing(
                f"there is no moment {asked.like}: take its id from the page's address"
            )
        picture = None if asked.image is None else await app.search.look(asked.image)
        answer = await app.search.ask(
            asked.text, mode=asked.mode, limit=asked.limit, picture=picture, like=like
        )
    return records.results(answer, OWNER)


async def show(config: Config, name: str) -> dict[str, Any]:
    """Return the scene record of a file, named by its path or its public id."""
    async with opened(config, alone=False) as app:
        file = await app.store.read(find, name)
        return await app.store.read(record.record, file, with_vectors=False)


def find(connection: apsw.Connection, name: str) -> File:
    """Return a file by its public id or by where it lies. Raises MediaMissing."""
    file = library.file_by_public_id(connection, name)
    if file is None:
        path = os.fsencode(Path(name).absolute())
        file = next((one for one in library.live_files(connection) if path in one.paths), None)
    if file is None:
        raise MediaMissing(f"{name} is in no library: run `heimdex scan` on its folder first")
    return file


async def sync(config: Config) -> None:
    """Look through every library for new, moved and removed files."""
    async with opened(config) as app:
        await app.sync.run_once()


async def import_sidecars(config: Config) -> tuple[int, int]:
    """Look at every library and rebuild its files from their sidecars.

    Return (files rebuilt, files without a sidecar that can be used).
    """
    async with opened(config) as app:
        await app.sync.run_once(settle_s=0)
        return await app.indexer.sidecars.restore_all()


async def sweep_sidecars(config: Config) -> int:
    """Remove the sidecars whose film is no longer beside them; return how many."""
    async with opened(config, alone=False) as app:
        folders = [os.fsencode(folder.path) for folder in app.config.folders]
        return await app.indexer.sidecars.sweep(folders)


# --- scan ----------------------------------------------------------------------------------------


async def scan(
    config: Config,
    path: Path,
    *,
    stop: asyncio.Event,
    progress: Callable[[App], Coroutine[Any, Any, None]] | None = None,
) -> Outcome:
    """Index what lies at path, a folder or one video, and leave; `stop` ends it early.

    A folder outside every library becomes one, and is remembered as one.
    """
    async with opened(config, add=path) as app, asyncio.TaskGroup() as group:
        tasks = [group.create_task(progress(app), name="progress")] if progress else []
        try:
            if config.models.get:
                await app.weights.bring_all()
            folder = path if await asyncio.to_thread(path.is_dir) else path.parent
            await app.sync.run_once(folder, settle_s=0)
            wanted = await _ask_for(app, os.fsencode(path))
            indexing = group.create_task(app.indexer.run(), name="indexing")
            tasks.append(indexing)
            await _first(app.indexer.idle(), stop.wait())
        finally:
            for task in tasks:
                task.cancel()
        return await _outcome(app, os.fsencode(path), wanted, stopped=stop.is_set())


def scan_beside(config: Config, remote: Remote, path: Path, *, wait: bool) -> Outcome:
    """Let the running daemon index what lies at path; wait: until it is done. Blocks."""
    with closing(db.connect(config.database, readonly=True)) as connection:
        if path.is_dir():
            folders = [folder.path for folder in (*config.folders, *settings.folders(connection))]
            if not any(path.is_relative_to(folder) for folder in folders):
                raise CompanionError(
                    f"{path} is in no library of Heimdex at {remote.daemon.url}: add it under "
                    "[library] in heimdex.toml and start it again"
                )
            file_id = None
        else:
            file_id = find(connection, os.fspath(path)).public_id
    requested = remote.scan(file_id)
    status = remote.status()
    while wait and (status.running or status.syncing or (status.waiting and not status.holds)):
        time.sleep(ASK_AGAIN_S)
        status = remote.status()
    unfinished = tuple(status.holds) if wait and status.waiting else ()
    below = f"{path}/"
    return Outcome(
        files=requested,
        failures=tuple(
            Failed(one.file, one.stage, one.reason)
            for one in status.failures
            if f"{one.file}/".startswith(below)
        ),
        unfinished=unfinished,
    )


async def _ask_for(app: App, path: bytes) -> list[File]:
    """Raise the jobs of the files at or below path, hold back all others; return those files."""
    app.indexer.set_window(False, NOTHING_ELSE)
    files = await app.store.read(library.live_files)
    wanted = [file for file in files if any(_within(one, path) for one in file.paths)]
    await app.indexer.plan()
    for file in wanted:
        await app.store.write(planning.raise_jobs, ASKED, file.public_id)
    return wanted


async def _outcome(app: App, path: bytes, wanted: Sequence[File], *, stopped: bool) -> Outcome:
    status = await app.indexer.status()
    known = await app.store.read(planning.all_known, [file.id for file in wanted])
    roles = app.children.roles()
    missing = [one.file for one in known if stages.missing(one, app.config, roles)]
    failures = tuple(
        Failed(printable(one.path), one.stage, one.reason)
        for one in status.failures
        if _within(one.path, path)
    )
    unfinished: tuple[str, ...] = ()
    if stopped:
        unfinished = ("stopped before everything was indexed; run it again to go on",)
    elif missing:
        holds = tuple(hold for hold in status.holds if NOTHING_ELSE not in hold)
        unfinished = holds or (f"{len(missing)} files are not complete",)
    return Outcome(files=len(wanted), failures=failures, unfinished=unfinished)


def _within(path: bytes, root: bytes) -> bool:
    return path == root or paths.is_below(path, root)


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait until one of these has come true."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
