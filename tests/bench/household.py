"""What a big media server costs: a first sync, one without news, what somebody may see, a search
behind a mask.

The server is a fake in a process of its own, so that the memory is the daemon's alone.
"""

import asyncio
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from companion.config import Config
from companion.household import Household
from companion.ids import Ids
from companion.model import Viewer
from companion.servers import Candidate, Servers
from companion.store import library, servers as rows
from companion.store.accounts import Accounts
from companion.store.db import Store
from companion.sync import Sync
from companion.vault import Vault
from connectors.mapping import PathMapping
from tests.plex_house import OWNER

LIMITS = {
    "household.first_sync_s": "<= 120",
    "household.first_sync_rss_mb": "<= 300",
    "household.quiet_requests": "<= 5",
    "household.visible_set_mb": "<= 2",
}
ITEMS = 50_000


def measure(folder: Path) -> dict[str, float]:
    """Return the figures; takes a minute or two."""
    media = folder / "media"
    _put_files(media)
    with _server() as url:
        return asyncio.run(_measure(folder, media, url))


async def _measure(folder: Path, media: Path, url: str) -> dict[str, float]:
    config = Config(data_dir=folder / "data")
    store = await Store.open(config.database)
    vault = Vault(config.data_dir, {})
    servers = Servers(store, vault)
    household = Household(store, servers, Accounts(store, config), vault)
    sync = Sync(store, config, lambda: None, servers=servers)
    try:
        server = await _configured(servers, url, media)
        before = _cpu_s()
        began = time.monotonic()
        report = await sync.run_once()
        took_s = time.monotonic() - began
        assert report.items == ITEMS + 3, report
        cpu_s = _cpu_s() - before
        rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        await sync.catch_up(server.id)
        asked = _asked(url)
        began = time.monotonic()
        await sync.catch_up(server.id)
        quiet_s = time.monotonic() - began
        ids = Ids(await store.read(rows.items_of_server, server.id))
        viewer = Viewer(name="somebody", owner=False, item_ids=ids)
        return {
            "household.items": float(report.items),
            "household.first_sync_s": took_s,
            "household.first_sync_cpu_s": cpu_s,
            "household.first_sync_rss_mb": rss_mb,
            "household.quiet_requests": float(_asked(url) - asked - 1),
            "household.quiet_s": quiet_s,
            "household.visible_set_mb": (sys.getsizeof(ids) + sys.getsizeof(ids.bits)) / 2**20,
            "household.newest_masked_ms": await _newest_ms(store, viewer),
            "household.newest_unmasked_ms": await _newest_ms(store, Viewer()),
        }
    finally:
        await household.close()
        await servers.close()
        await store.close()


async def _newest_ms(store: Store, viewer: Viewer) -> float:
    times = []
    for _ in range(20):
        began = time.monotonic()
        await store.read(library.items, viewer, limit=60)
        times.append((time.monotonic() - began) * 1000)
    return statistics.median(times)


async def _configured(servers: Servers, url: str, media: Path) -> rows.Server:
    candidate = Candidate(kind="plex", url=url)
    stranger = await servers.meet(candidate)
    try:
        identity = await stranger.identity()
        account = await stranger.by_token(OWNER)
    finally:
        await stranger.close()
    server = await servers.add(candidate, account, identity, name="Attic", now_ms=0)
    mapping = PathMapping(server="/srv/media", local=os.fsencode(media))
    return await servers.map_paths(server, [mapping])


def _put_files(media: Path) -> None:
    """Make every file of `household(ITEMS)`; what is in each is its own name."""
    for number in range(ITEMS):
        title = f"Film 1{number:04}"
        _put(media / "Films" / f"{title} (1984)" / f"{title} (1984).mkv")
    _put(media / "Family" / "Lake.mp4")
    for number in (1, 2):
        _put(media / "Shows" / "Harbour" / f"S01E0{number}.mkv")


def _put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(path.name)
    os.utime(path, (1_600_000_000, 1_600_000_000))


@contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.fakes.plex_serve", str(ITEMS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def _asked(url: str) -> int:
    """Return how many requests the server has had, this one too."""
    import urllib.request

    with urllib.request.urlopen(f"{url}/asked") as answer:
        return int(answer.read())


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
