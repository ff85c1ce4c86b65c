"""The flow that keeps the store true to the servers: list, look, keep what changed, mark what went.

An unchanged library costs a listing and one `stat` a file, and writes nothing. Content is read only
where the quick look (companion.identity) has no answer. Something is gone only after a complete
listing of its library without it: a folder that is away, a server that stops answering, a folder
that cannot be read delete nothing.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from companion import looks
from companion.config import Config
from companion.errors import AuthFailed, ServerUnavailable
from companion.library_sync import LibraryRun, Run, Unsettled
from companion.model import ListedLibrary, ListedProblem, Stat
from companion.paths import is_below, plain, spelled
from companion.store import jobs, library, listing, roots
from companion.store.db import Store
from companion.store.roots import Root
from connectors import base
from connectors.base import Connector

log = logging.getLogger(__name__)

ROOT_LIMIT_S = 60.0  # a folder that is silent for so long is away
TELL_S = 10.0  # during a long first sync, others hear of new files this often
PLACES_TRIED = 20  # known files looked for where another disk is mounted
ADOPT_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What a sync has found. Counts are of items, `new_files` and `linked` of files.

    linked: paths at which known content was found: a move, a hard link, a copy. settling: items
    that wait because a file is still being written. away: folders, in words. complete: every
    library was listed to its end.
    """

    libraries: int = 0
    items: int = 0
    new: int = 0
    changed: int = 0
    gone: int = 0
    new_files: int = 0
    linked: int = 0
    settling: int = 0
    problems: tuple[ListedProblem, ...] = ()
    away: tuple[str, ...] = ()
    complete: bool = True
    took_s: float = 0.0


class Sync:
    """One per daemon. Two calls never run at the same time: the second one waits."""

    def __init__(
        self,
        store: Store,
        config: Config,
        on_change: Callable[[], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.when_settling: Callable[[float], None] = lambda _seconds: None  # look again in so many
        self._store = store
        self._config = config
        self._on_change = on_change
        self._clock = clock
        self._turn = asyncio.Lock()
        self._away: tuple[str, ...] = ()
        self._silent: dict[str, str] = {}  # server -> what it is silent about
        self._unsettled: dict[int, Unsettled] = {}

    @property
    def running(self) -> bool:
        return self._turn.locked()

    def notes(self) -> tuple[str, ...]:
        """Return, in words, what could not be looked at the last time."""
        return (*self._away, *self._silent.values())

    async def run_once(
        self, folder: Path | None = None, *, settle_s: float | None = None
    ) -> SyncReport:
        """Bring the store up to date with every library, or with those that hold `folder`.

        settle_s: a file that changed less long ago waits; None: as configured. If something waits,
        `when_settling` is told when to come again.
        """
        wait_s = self._config.sync.settle_s if settle_s is None else settle_s
        async with self._turn:
            run = Run(settle_s=wait_s, clock=self._clock, tell=self._telling())
            for connector in self._connectors():
                try:
                    await self._server(connector, folder, run)
                finally:
                    await connector.close()
            return await self._finish(run)

    def _telling(self) -> Callable[[], None]:
        """Return what tells others of new files, but not all the time."""
        told = time.monotonic()

        def tell() -> None:
            nonlocal told
            if time.monotonic() - told >= TELL_S:
                told = time.monotonic()
                self._on_change()

        return tell

    def _connectors(self) -> list[Connector]:
        libraries = [
            ListedLibrary(
                external_id=spelled(os.fsencode(folder.path)),
                name=folder.name or plain(os.fsencode(folder.path.name)) or "/",
                kind=folder.kind,
                roots=(os.fsencode(folder.path),),
            )
            for folder in self._config.folders
        ]
        return [base.load("folder")(libraries)]

    async def _finish(self, run: Run) -> SyncReport:
        await self._adopt(run)
        if run.news:
            await self._store.write(jobs.drop_homeless)
            self._on_change()
        self._away = tuple(await self._store.read(roots.away_notes))
        report = SyncReport(
            **run.counts,
            problems=tuple(run.problems),
            away=self._away,
            complete=run.complete,
            took_s=time.monotonic() - run.began,
        )
        level = logging.INFO if run.news else logging.DEBUG
        log.log(
            level,
            "sync done items=%d new=%d changed=%d gone=%d settling=%d took_s=%.1f",
            report.items,
            report.new,
            report.changed,
            report.gone,
            report.settling,
            report.took_s,
        )
        if report.settling:
            self.when_settling(run.settle_s)
        return report

    async def _adopt(self, run: Run) -> None:
        if not run.created or not await self._store.read(listing.any_gone):
            return
        for start in range(0, len(run.created), ADOPT_BATCH):
            await self._store.write(listing.adopt, run.created[start : start + ADOPT_BATCH])

    # --- one server ------------------------------------------------------------------------------

    async def _server(self, connector: Connector, folder: Path | None, run: Run) -> None:
        server_id = await self._store.write(
            library.save_server,
            kind=connector.kind,
            name=connector.name,
            address=connector.address,
            now_ms=run.now_ms,
        )
        try:
            listed = await connector.libraries()
        except (ServerUnavailable, AuthFailed) as error:
            run.complete = False
            self._went_silent(connector.name, str(error))
            return
        self._came_back(connector.name)
        ids = [await self._store.write(library.save_library, server_id, each) for each in listed]
        gone = await self._store.write(listing.libraries_gone, server_id, ids, now_ms=run.now_ms)
        run.count(libraries=len(listed), gone=gone)
        for library_id, each in zip(ids, listed, strict=True):
            if folder is None or _touches(each, os.fsencode(folder)):
                was_unsettled = self._unsettled.get(library_id, {})
                this = LibraryRun(self._store, library_id, each, run, was_unsettled)
                await self._library(connector, this)

    def _went_silent(self, what: str, reason: str) -> None:
        if what not in self._silent:
            log.warning("no answer from=%s: %s", what, reason)
        self._silent[what] = reason

    def _came_back(self, what: str) -> None:
        if self._silent.pop(what, None) is not None:
            log.info("answers again from=%s", what)

    # --- one library -----------------------------------------------------------------------------

    async def _library(self, connector: Connector, this: LibraryRun) -> None:
        this.away = await self._look_at_roots(this)
        if this.listed.roots and len(this.away) == len(this.listed.roots):
            this.run.complete = False
            return
        what = f"{connector.name}: {this.listed.name}"
        try:
            async for page in connector.items(this.listed):
                await this.page(page)
        except (ServerUnavailable, AuthFailed) as error:
            this.run.complete = False
            self._went_silent(what, str(error))
            return
        self._came_back(what)
        self._unsettled[this.id] = this.unsettled
        await self._end(this)

    async def _end(self, this: LibraryRun) -> None:
        """After a complete listing: what was not listed has gone."""
        # A mount that went while it was listed looks like a library that was deleted.
        if not set(await self._look_at_roots(this)) <= set(this.away):
            this.run.complete = False
            return
        hidden = [*this.hidden, *this.away]
        gone = await self._store.write(
            listing.items_gone, this.id, this.seen, hidden, now_ms=this.run.now_ms
        )
        this.run.count(gone=gone)
        known = await self._store.read(roots.listing_problems, this.id)
        if known != {problem.path: problem.problem for problem in this.problems}:
            await self._store.write(
                roots.keep_problems, this.id, this.problems, now_ms=this.run.now_ms
            )

    async def _look_at_roots(self, this: LibraryRun) -> list[bytes]:
        """Return the folders of the library that are away; tell each going and coming back once."""
        before = await self._store.read(roots.roots, this.id)
        found = {}
        for path in this.listed.roots:
            places = await self._store.read(roots.some_places, path, limit=PLACES_TRIED)
            found[path] = await _root(path, before.get(path), places)
        if found != before:
            await self._store.write(
                roots.keep_roots, this.id, found.values(), now_ms=this.run.now_ms
            )
        for path, now in found.items():
            was_away = path in before and bool(before[path].away)
            if now.away and not was_away:
                log.warning("folder away library=%s: %s", this.listed.name, now.away)
            elif was_away and not now.away:
                this.run.back = True
                log.info("folder back library=%s path=%s", this.listed.name, plain(path))
        return [path for path, now in found.items() if now.away]


async def _root(path: bytes, before: Root | None, places: list[tuple[bytes, Stat]]) -> Root:
    try:
        async with asyncio.timeout(ROOT_LIMIT_S):
            return await asyncio.to_thread(looks.root, path, before, places)
    except TimeoutError:
        device = before.device if before else 0
        away = f"The folder {plain(path)} does not answer: check the disk or the share."
        return Root(path=path, device=device, away=away)


def _touches(listed: ListedLibrary, folder: bytes) -> bool:
    return any(
        folder == root or is_below(folder, root) or is_below(root, folder) for root in listed.roots
    )
