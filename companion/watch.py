"""The flow that hears of changed files at once, where the system can tell.

It is a hint, never the truth: it only asks the sync to look. inotify says nothing of network
shares, so those are polled if the configuration names them, and everything is looked at by the
schedule anyway.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import watchfiles
from watchfiles import Change

from companion.config import Config
from companion.errors import CompanionError
from companion.sync import SyncReport
from connectors.beside import SUBTITLE_EXTENSIONS
from connectors.ignoring import IGNORE_FILES, is_rubbish_folder
from connectors.naming import extension, is_video

log = logging.getLogger(__name__)
logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it counts changes at INFO

STEP_MS = 1000  # the thread sleeps so long between two looks: no CPU to speak of when idle
GROUP_MS = 2000  # changes are told together within this time
CHECK_MS = 60_000  # how often to see whether the folder is still the one that is watched
POLL_MS = 60_000  # between two polls of a share
PATHS_KEPT = 10_000  # changed paths remembered one by one
STOP_LIMIT_S = 5.0

# Files that come and go beside videos and say nothing about them. Other names may be folders.
_OTHER_FILES = frozenset(
    {
        ".bif", ".bmp", ".crdownload", ".db", ".edl", ".gif", ".heic", ".ico", ".ini", ".jpeg",
        ".jpg", ".json", ".log", ".lrc", ".md5", ".mp3", ".nfo", ".nzb", ".part", ".partial",
        ".pdf", ".png", ".sfv", ".sync", ".tbn", ".tmp", ".torrent", ".txt", ".url", ".webp",
        ".xml",
    }
)  # fmt: skip
_SUBTITLES = frozenset(ending.decode() for ending in SUBTITLE_EXTENSIONS)


class Syncs(Protocol):
    """The sync, as this flow uses it."""

    async def run_once(self, folder: Path | None = None) -> SyncReport: ...


Listen = Callable[..., Iterable[set[tuple[Change, str]]]]


class Stillness:
    """Remembers what changed, until it has been still for long enough. Times are in seconds."""

    def __init__(self, still_s: float) -> None:
        self._still_s = still_s
        self._changed: dict[Path, dict[str, float]] = {}  # folder -> path -> last change
        self._not_before: dict[Path, float] = {}

    def note(self, folder: Path, paths: Iterable[str], now: float) -> None:
        """Remember that paths below a folder changed just now."""
        changed = self._changed.setdefault(folder, {})
        changed.update(dict.fromkeys(paths, now))
        if len(changed) > PATHS_KEPT:
            self._changed[folder] = {"": now}

    def due(self, now: float) -> list[Path]:
        """Return, once, the folders in which something has become still."""
        due = [folder for folder in self._changed if self._when(folder) <= now]
        for folder in due:
            changed = self._changed[folder]
            moving = {path: at for path, at in changed.items() if at + self._still_s > now}
            if moving:
                self._changed[folder] = moving
            else:
                del self._changed[folder]
        return due

    def looked(self, folder: Path, now: float) -> None:
        """Say that a folder was looked at: not again before the same time has passed."""
        self._not_before[folder] = now + self._still_s

    def wait_s(self, now: float) -> float | None:
        """Return how long until something may be due, None if nothing has changed."""
        if not self._changed:
            return None
        return max(0.0, min(map(self._when, self._changed)) - now)

    def _when(self, folder: Path) -> float:
        still = min(self._changed[folder].values()) + self._still_s
        return max(still, self._not_before.get(folder, still))


class Watch:
    """Watches the configured folders. `run` works until cancelled."""

    def __init__(self, config: Config, sync: Syncs, *, listen: Listen = watchfiles.watch) -> None:
        self._config = config
        self._sync = sync
        self._listen = listen
        self._still = Stillness(config.sync.settle_s)
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Watch until cancelled; stopping takes up to a second."""
        async with asyncio.TaskGroup() as group:
            for folder in self._config.folders:
                group.create_task(self._folder(folder.path), name=f"watch {folder.path}")
            group.create_task(self._act(), name="watch")

    def is_polled(self, folder: Path) -> bool:
        """True if the configuration says that a folder, or a part of it, sends no events."""
        return any(
            folder.is_relative_to(share) or share.is_relative_to(folder)
            for share in self._config.sync.poll
        )

    async def _act(self) -> None:
        """Let the sync look where something changed and has become still."""
        while True:
            self._news.clear()
            due = self._still.due(time.monotonic())
            if due:
                await self._look(due)
                continue
            wait_s = self._still.wait_s(time.monotonic())
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _look(self, folders: list[Path]) -> None:
        # A film that moved from one library to another is known as the same in one look at both.
        folder = folders[0] if len(folders) == 1 else None
        try:
            await self._sync.run_once(folder)
        except (CompanionError, OSError) as error:
            log.warning("look after a change failed: %s", error)
        for each in folders:
            self._still.looked(each, time.monotonic())

    # --- one folder ------------------------------------------------------------------------------

    async def _folder(self, folder: Path) -> None:
        """Watch one folder; again whenever it comes back."""
        again = False
        while True:
            try:
                await self._until_it_goes(folder, again=again)
            except FileNotFoundError:
                log.debug("not there to be watched folder=%s", folder)
                await asyncio.sleep(CHECK_MS / 1000)
            except (OSError, RuntimeError) as error:
                log.warning(
                    "cannot watch %s: %s. Its changes are found every %d minutes only. Too many "
                    "folders? Raise fs.inotify.max_user_watches. A share? Name it in sync.poll",
                    folder,
                    error,
                    self._config.sync.every_minutes,
                )
                return
            again = True

    async def _until_it_goes(self, folder: Path, *, again: bool) -> None:
        """Watch a folder until another one is mounted in its place. Raises what ends it.

        again: it was not watched for a while, so what changed meanwhile was not heard.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[BaseException | None] = loop.create_future()
        stop = threading.Event()

        def end(error: BaseException | None) -> None:
            if not ended.done():
                ended.set_result(error)

        def listen() -> None:
            error = None
            try:
                for paths in self._changes(folder, stop, again=again):
                    _tell(loop, self._note, folder, paths)
            except Exception as caught:  # noqa: BLE001 - handed to who waits
                error = caught
            _tell(loop, end, error)

        threading.Thread(target=listen, name=f"watch {folder}", daemon=True).start()
        try:
            error = await asyncio.shield(ended)
        finally:
            stop.set()
            await asyncio.wait([ended], timeout=STOP_LIMIT_S)
        if error is not None:
            raise error

    def _changes(self, folder: Path, stop: threading.Event, *, again: bool) -> Iterator[list[str]]:
        """Yield the changed paths that matter, until stopped or until the folder is another one.
        Blocks: has a thread of its own."""
        watched = _identity(folder)
        if again:
            yield [""]
        for changes in self._listen(
            folder,
            watch_filter=lambda change, path: matters(folder, change, path),
            debounce=GROUP_MS,
            step=STEP_MS,
            rust_timeout=CHECK_MS,
            yield_on_timeout=True,
            stop_event=stop,
            force_polling=self.is_polled(folder),
            poll_delay_ms=POLL_MS,
            ignore_permission_denied=True,
            raise_interrupt=False,
        ):
            if changes:
                yield [path for _change, path in changes]
            elif _identity(folder) != watched:
                return

    def _note(self, folder: Path, paths: Iterable[str]) -> None:
        self._still.note(folder, paths, time.monotonic())
        self._news.set()


def matters(folder: Path, change: Change, path: str) -> bool:
    """True if a change may be one of the library: a video, a subtitle, an ignore file, a folder.

    Our own sidecars are not, nor what servers and downloads write. Blocks for one look.
    """
    inside = Path(os.path.relpath(path, folder)).parts
    name = inside[-1] if inside else ""
    if name in IGNORE_FILES:
        return not any(map(is_rubbish_folder, inside[:-1]))
    if any(map(is_rubbish_folder, inside)):
        return False
    ending = extension(name)
    if is_video(name) or ending in _SUBTITLES:
        return True
    if change is Change.modified or ending in _OTHER_FILES:
        return False
    return change is Change.deleted or Path(path).is_dir()


def _tell(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *values: object) -> None:
    """Call a function in the loop; if the loop has ended, nobody listens any more."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *values)


def _identity(folder: Path) -> tuple[int, int]:
    stat = folder.stat()
    return stat.st_dev, stat.st_ino
