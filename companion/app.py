"""The composition root: builds every part from a configuration, starts it, stops it in order.

A part that breaks is started again after a pause; the others go on. Stopping takes its time where
work would be lost (a begun write), and none where it can be repeated (the child is killed).
"""

import asyncio
import contextlib
import functools
import ipaddress
import logging
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import web

from companion import __version__, backups, disk, lock
from companion.child import COMMAND
from companion.children import Children
from companion.config import Config, Folder
from companion.errors import CompanionError, DataFolderBusy, MediaMissing
from companion.following import Following
from companion.household import Household
from companion.indexing import Indexer
from companion.lock import Daemon, Lock
from companion.playback import Playback
from companion.remote_play import RemotePlay
from companion.schedule import Schedule
from companion.search.search import Search
from companion.servers import Servers
from companion.setting_up import SettingUp
from companion.store import settings
from companion.store.accounts import Accounts
from companion.store.db import Store
from companion.sync import Sync
from companion.vault import Vault
from companion.watch import Watch
from companion.weights import Weights
from scanners import models
from webui import routes, security
from webui.parts import Parts

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0  # before a broken part is started again; doubled each time ...
LONGEST_PAUSE_S = 300.0  # ... up to this
WEB_LIMIT_S = 0.5  # answers that are under way may finish in this time
PART_LIMIT_S = 1.5  # a part that is stopped may take this long

Part = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where the page is. password: the owner's, only when it was made just now."""

    url: str
    password: str | None = None


class App:
    """Every part of one data folder, wired. Nothing runs until `serve` or `index`."""

    def __init__(self, config: Config, store: Store, *, command: Sequence[str] = COMMAND) -> None:
        self.config = config
        self.store = store
        self.children = Children(config, command=command)
        self.indexer = Indexer(store, config, self.children)
        encode = self.children.encode if config.features.semantic_search else None
        vision = config.features.vision
        see = functools.partial(self.children.encode, role="picture") if vision else None
        look_at = self.children.look_at if vision else None
        self.search = Search(store, config, encode, see, look_at)
        vault = Vault(config.data_dir)
        self.servers = Servers(store, vault)
        self.sync = Sync(store, config, self.indexer.wake, servers=self.servers)
        self.watch = Watch(config, self.sync)
        self.schedule = Schedule(config, self.sync, self.indexer)
        self.playback = Playback(store, config, self.children)
        self.accounts = Accounts(store, config)
        self.household = Household(store, self.servers, self.accounts, vault)
        self.remote_play = RemotePlay(store, self.servers, self.household)
        self.setting_up = SettingUp(self.servers)
        self.following = Following(self.servers, self.sync, self.household)
        self.servers.changed = self.following.look_again
        self.weights = Weights(config, self.indexer.wake)
        self.note = ""  # what else goes on, for the indexing page
        self.indexer.notes = self._notes
        self.indexer.syncing = lambda: self.sync.running
        self._runner: web.AppRunner | None = None

    def _notes(self) -> tuple[str, ...]:
        return (*((self.note,) if self.note else ()), *self.weights.notes(), *self.sync.notes())

    # --- the daemon ------------------------------------------------------------------------------

    async def serve(
        self,
        stop: asyncio.Event,
        ready: Callable[[Listening], None] = lambda _: None,
        also: Sequence[tuple[str, Part]] = (),
    ) -> None:
        """Run everything until `stop` is set.

        ready: told once, when the page answers. also: more to run meanwhile, by name.
        Raises CompanionError if the port cannot be had.
        """
        url, token = await self._listen()
        guarded = security.needs_password(self.config)
        password = await self.accounts.ensure_owner() if guarded else None
        daemon = Daemon(pid=os.getpid(), url=url, token=token, version=__version__)
        await asyncio.to_thread(lock.announce, self.config.data_dir, daemon)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(kept(name, part), name=name)
                for name, part in (*self._parts(), *also)
            ]
            self.schedule.start()
            log.info("ready url=%s", url)
            ready(Listening(url=url, password=password))
            try:
                await stop.wait()
            finally:
                await self._stop(tasks)

    def _parts(self) -> list[tuple[str, Part]]:
        """Return what runs all the time, in the order of starting."""
        parts: list[tuple[str, Part]] = [
            ("indexing", self.indexer.run),
            ("first look", self.sync.run_once),
            ("backups", self._back_up),
            ("models", self.weights.run),
            ("servers", self.following.run),
        ]
        if self.config.sync.watch:
            parts.append(("watch", self.watch.run))
        return parts

    async def _listen(self) -> tuple[str, str]:
        """Open the port; return the page's address on this machine and the local token."""
        token = secrets.token_urlsafe(32)
        parts = Parts(
            config=self.config,
            store=self.store,
            search=self.search,
            indexer=self.indexer,
            playback=self.playback,
            accounts=self.accounts,
            household=self.household,
            servers=self.servers,
            remote_play=self.remote_play,
            setting_up=self.setting_up,
            local_token=token,
            sync=self._look,
        )
        self._runner = web.AppRunner(
            routes.build(parts), access_log=None, shutdown_timeout=WEB_LIMIT_S
        )
        await self._runner.setup()
        host, port = self.config.web.host, self.config.web.port
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            raise CompanionError(
                f"cannot listen on {host} port {port}: {error.strerror}. "
                "Choose another with --port, or [web] host and port in heimdex.toml"
            ) from error
        return local_url(host, self._runner.addresses[0][1]) + self.config.web.base_path, token

    async def _look(self) -> None:
        await self.sync.run_once()

    async def _back_up(self) -> None:
        """Take a backup a day, also after days of being switched off."""
        while True:
            due_in_s = await asyncio.to_thread(backups.due_in_s, self.config, time.time())
            await asyncio.sleep(max(0.0, due_in_s))
            await asyncio.to_thread(backups.take, self.config)
            await asyncio.to_thread(backups.prune, self.config)

    async def _stop(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Stop accepting, then schedule and watch, then the job and its child."""
        log.info("stopping")
        if self._runner is not None:
            await _limited("web", self._runner.cleanup())
        self.schedule.stop()
        for task in reversed(tasks):
            task.cancel()
            await _limited(task.get_name(), asyncio.wait([task]))

    # --- one command -----------------------------------------------------------------------------

    async def close(self) -> None:
        """Stop answering and kill the children. The store stays open."""
        if self._runner is not None:
            await _limited("web", self._runner.cleanup())
        await _limited("household", self.household.close())
        await _limited("setting up", self.setting_up.close())
        await _limited("servers", self.servers.close())
        await _limited("children", self.children.close())


@asynccontextmanager
async def opened(
    config: Config,
    *,
    alone: bool = True,
    add: Path | None = None,
    command: Sequence[str] = COMMAND,
) -> AsyncIterator[App]:
    """Open the data folder and build every part.

    alone: own the folder; otherwise only look, also while another command owns it. add: a folder
    that becomes a library unless it lies in one.
    Raises ConfigError if no such models are known, DataFolderBusy, StoreDamaged, StoreTooNew, or
    MediaMissing if `add` is no folder.
    """
    models.roles(config.models.profile, config.models.roles)
    await asyncio.to_thread(disk.refuse_network, config.data_dir)
    async with AsyncExitStack() as stack:
        owned = await asyncio.to_thread(_own, config.data_dir, alone=alone)
        if owned is not None:
            stack.push_async_callback(asyncio.to_thread, owned.release)
        store = await Store.open(config.database, backups=config.backups)
        stack.push_async_callback(store.close)
        config = await with_remembered(config, store)
        if add is not None:
            config = await _with_library(config, store, add)
        app = App(config, store, command=command)
        stack.push_async_callback(app.close)
        yield app


def _own(data_dir: Path, *, alone: bool) -> Lock | None:
    try:
        return lock.take(data_dir)
    except DataFolderBusy:
        if alone:
            raise
        return None


async def with_remembered(config: Config, store: Store) -> Config:
    """Return the configuration with the libraries that `heimdex scan` has added."""
    known = {folder.path for folder in config.folders}
    added = [folder for folder in await store.read(settings.folders) if folder.path not in known]
    return replace(config, folders=(*config.folders, *added)) if added else config


async def _with_library(config: Config, store: Store, path: Path) -> Config:
    """Return the configuration with a library that holds path, remembering it if it is new."""
    if any(path.is_relative_to(folder.path) for folder in config.folders):
        return config
    if not await asyncio.to_thread(path.is_dir):
        raise MediaMissing(f"{path} is in no library: give its folder instead")
    folder = Folder(path=path)
    await store.write(settings.add_folder, folder)
    return replace(config, folders=(*config.folders, folder))


async def kept(name: str, part: Part) -> None:
    """Run a part until it ends; if it breaks, say so and start it again after a pause."""
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            await part()
        except CompanionError as error:
            log.warning("part stopped part=%s again_in_s=%.0f: %s", name, pause_s, error)
        except Exception:  # one broken part must not end the daemon
            log.exception("part broke part=%s again_in_s=%.0f", name, pause_s)
        else:
            return
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def _limited(name: str, stopping: Awaitable[object]) -> None:
    try:
        async with asyncio.timeout(PART_LIMIT_S):
            await stopping
    except TimeoutError:
        log.warning("part did not stop in time part=%s", name)


@contextlib.contextmanager
def stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` at the first SIGINT or SIGTERM; a second one ends the process at once."""
    loop = asyncio.get_running_loop()

    def ask(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask, number)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def local_url(host: str, port: int) -> str:
    """Return the address under which this computer reaches what listens on host and port."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    return f"http://[{host}]:{port}" if address.version == 6 else f"http://{host}:{port}"
