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
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from companion.config import Config
from companion.errors import AuthFailed, ServerUnavailable
from companion.library_sync import LibraryRun, Run, Unsettled, look_at_root
from companion.model import ListedLibrary, ListedPage, ListedProblem
from companion.paths import is_below, plain, spelled
from companion.servers import Servers
from companion.store import jobs, library, listing, roots, servers as kept
from companion.store.db import Store
from companion.store.servers import Reached, Server
from connectors import base
from connectors.base import Connector, FoundItems, MediaServer

log = logging.getLogger(__name__)

TELL_S = 10.0  # during a long first sync, others hear of new files this often
PLACES_TRIED = 20  # known files looked for where another disk is mounted
ADOPT_BATCH = 500
SWEEP_MS = 24 * 3600 * 1000  # a server is listed to its end this often: not all deletions are told
OVERLAP_MS = 60_000  # after news, changes are asked for again from a little before the newest


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
        servers: Servers | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.when_settling: Callable[[float], None] = lambda _seconds: None  # look again in so many
        self._store = store
        self._config = config
        self._on_change = on_change
        self._servers = servers
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
        async with self._turn:
            run = self._begin(settle_s)
            folders = self._folders()
            try:
                await self._server(folders, folder, run)
            finally:
                await folders.close()
            for server in await self._servers.all() if self._servers else ():
                await self._media_server(server, folder, run)
            return await self._finish(run)

    def _begin(self, settle_s: float | None = None) -> Run:
        wait_s = self._config.sync.settle_s if settle_s is None else settle_s
        return Run(settle_s=wait_s, clock=self._clock, tell=self._telling())

    def _telling(self) -> Callable[[], None]:
        """Return what tells others of new files, but not all the time."""
        told = time.monotonic()

        def tell() -> None:
            nonlocal told
            if time.monotonic() - told >= TELL_S:
                told = time.monotonic()
                self._on_change()

        return tell

    def _folders(self) -> Connector:
        libraries = [
            ListedLibrary(
                external_id=spelled(os.fsencode(folder.path)),
                name=folder.name or plain(os.fsencode(folder.path.name)) or "/",
                kind=folder.kind,
                roots=(os.fsencode(folder.path),),
            )
            for folder in self._config.folders
        ]
        return base.load("folder")(libraries)

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

    async def _server(
        self, connector: Connector, folder: Path | None, run: Run, server_id: int | None = None
    ) -> bool:
        """Return whether every library was listed to its end."""
        if server_id is None:
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
            return False
        self._came_back(connector.name)
        ids = [await self._store.write(library.save_library, server_id, each) for each in listed]
        gone = await self._store.write(listing.libraries_gone, server_id, ids, now_ms=run.now_ms)
        run.count(libraries=len(listed), gone=gone)
        whole = True
        for library_id, each in zip(ids, listed, strict=True):
            if folder is None or _touches(each, os.fsencode(folder)):
                this = self._library_run(library_id, each, run)
                whole = await self._library(connector, this) and whole
        return whole and folder is None

    def _library_run(self, library_id: int, listed: ListedLibrary, run: Run) -> LibraryRun:
        was_unsettled = self._unsettled.get(library_id, {})
        return LibraryRun(self._store, library_id, listed, run, was_unsettled)

    def _went_silent(self, what: str, reason: str) -> None:
        if what not in self._silent:
            log.warning("no answer from=%s: %s", what, reason)
        self._silent[what] = reason

    def _came_back(self, what: str) -> None:
        if self._silent.pop(what, None) is not None:
            log.info("answers again from=%s", what)

    # --- one server with accounts ----------------------------------------------------------------

    async def catch_up(self, server_id: int) -> None:
        """Ask a server what is new since the last time; list it all once a day, and when something
        seems to have gone. Costs three requests if nothing is new."""
        server, connector = await self._reach(server_id)
        if server is None or connector is None:
            return
        async with self._turn:
            run = self._begin()
            try:
                whole = not await self._caught_up(server, connector, run)
            except (ServerUnavailable, AuthFailed) as error:
                self._went_silent(server.name, str(error))
                run.complete = False
                whole = False
            if whole:
                await self._media_server(server, None, run)
            await self._finish(run)

    async def take_in(self, server_id: int, found: FoundItems) -> None:
        """Keep items that a server has named by itself."""
        server, connector = await self._reach(server_id)
        if server is None or connector is None:
            return
        async with self._turn:
            run = self._begin()
            try:
                await self._take(server, connector, found, run)
            except (ServerUnavailable, AuthFailed) as error:
                self._went_silent(server.name, str(error))
            await self._finish(run)

    async def forget(self, server_id: int, external_ids: Collection[str]) -> None:
        """Mark items that their server says it has no more. Ids of anything else do nothing."""
        async with self._turn:
            run = self._begin()
            gone = await self._store.write(
                listing.drop_items, server_id, external_ids, now_ms=run.now_ms
            )
            run.count(gone=gone)
            await self._finish(run)

    async def _reach(self, server_id: int) -> tuple[Server | None, MediaServer | None]:
        server = await self._store.read(kept.server_by_id, server_id)
        if server is None or self._servers is None:
            return None, None
        try:
            return server, await self._servers.connector(server_id)
        except AuthFailed as error:
            self._went_silent(server.name, str(error))
            return server, None

    async def _media_server(self, server: Server, folder: Path | None, run: Run) -> None:
        """List a server to its end, and remember how far it is known now."""
        _, connector = await self._reach(server.id)
        if connector is None:
            run.complete = False
            return
        if not await self._server(connector, folder, run, server.id):
            return
        try:
            await self._keep_reached(server, await connector.count(), run, listed=True)
        except (ServerUnavailable, AuthFailed) as error:
            self._went_silent(server.name, str(error))

    async def _caught_up(self, server: Server, connector: MediaServer, run: Run) -> bool:
        """Take in what is new. Return False if only a whole listing can tell the rest."""
        known = await self._store.read(kept.reached, server.id)
        if run.now_ms - known.listed_at_ms >= SWEEP_MS or not known.ask_from_ms:
            return False
        async for found in connector.changed_since(known.ask_from_ms):
            await self._take(server, connector, found, run)
        self._came_back(server.name)
        count = await connector.count()
        if count != known.counted + run.counts.get("new", 0):
            return False
        await self._keep_reached(server, count, run, listed=False)
        return True

    async def _take(
        self, server: Server, connector: MediaServer, found: FoundItems, run: Run
    ) -> None:
        if not found.items and not found.problems:
            return
        listed = {each.external_id: each for each in await connector.libraries()}
        run.note(found.problems)
        for external_id in dict.fromkeys(each for each, _ in found.items):
            if external_id not in listed:  # not one of the chosen
                continue
            each = listed[external_id]
            library_id = await self._store.write(library.save_library, server.id, each)
            this = self._library_run(library_id, each, run)
            this.away = await self._look_at_roots(this)
            items = tuple(item for where, item in found.items if where == external_id)
            await this.page(ListedPage(items=items))
            self._unsettled[library_id] = {**this.was_unsettled, **this.unsettled}

    async def _keep_reached(self, server: Server, count: int, run: Run, *, listed: bool) -> None:
        known = await self._store.read(kept.reached, server.id)
        newest = await self._store.read(kept.newest_saved, server.id)
        now = Reached(
            listed_at_ms=run.now_ms if listed else known.listed_at_ms,
            # While things happen, some may get a time that has passed already.
            ask_from_ms=newest - OVERLAP_MS if run.news else newest + 1,
            counted=count,
        )
        if now != known:
            await self._store.write(kept.keep_reached, server.id, now)

    # --- one library -----------------------------------------------------------------------------

    async def _library(self, connector: Connector, this: LibraryRun) -> bool:
        """Return whether it was listed to its end."""
        this.away = await self._look_at_roots(this)
        if this.listed.roots and len(this.away) == len(this.listed.roots):
            this.run.complete = False
            return False
        what = f"{connector.name}: {this.listed.name}"
        try:
            async for page in connector.items(this.listed):
                await this.page(page)
        except (ServerUnavailable, AuthFailed) as error:
            this.run.complete = False
            self._went_silent(what, str(error))
            return False
        self._came_back(what)
        self._unsettled[this.id] = this.unsettled
        await self._end(this)
        return True

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
            found[path] = await look_at_root(path, before.get(path), places)
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


def _touches(listed: ListedLibrary, folder: bytes) -> bool:
    return any(
        folder == root or is_below(folder, root) or is_below(root, folder) for root in listed.roots
    )
