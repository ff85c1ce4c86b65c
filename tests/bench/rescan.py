"""A look at a library in which nothing has changed, against its playing time."""

import asyncio
import shutil
import time
from pathlib import Path

from companion.children import Children
from companion.config import Config, Folder
from companion.indexing import Indexer
from companion.store.db import Store
from companion.sync import Sync
from tests.films import make_film

LIMITS = {"rescan.times_realtime": ">= 1000"}

FILMS = 300
FILM_S = 9.0  # the playing time of the film that tests make; real ones are 600 times as long
LOOKS = 3


def measure(folder: Path) -> dict[str, float]:
    """Fill a library, look at it once, and time how long further looks and plans take."""
    library = folder / "library"
    library.mkdir()
    pattern = make_film(folder / "pattern.mkv", sound=(), shots=(3.0, 3.0, 3.0)).path
    for number in range(FILMS):
        film = library / f"Film {number} (2001).mkv"
        shutil.copy(pattern, film)
        with film.open("ab") as stream:
            stream.write(b"%d" % number)  # other bytes: another film
    took_s, files = asyncio.run(_looks(folder, library))
    return {
        "rescan.files": files,
        "rescan.s": took_s,
        "rescan.ms_per_file": 1000 * took_s / files,
        "rescan.times_realtime": files * FILM_S / took_s,
    }


async def _looks(folder: Path, library: Path) -> tuple[float, int]:
    """Return the median time of a look with its plan, and the number of files."""
    config = Config(data_dir=folder / "data", folders=(Folder(path=library),))
    store = await Store.open(config.database)
    children = Children(config)
    indexer = Indexer(store, config, children)
    sync = Sync(store, config, indexer.wake)
    await sync.run_once(settle_s=0)
    took = []
    for _ in range(LOOKS):
        began = time.monotonic()
        await sync.run_once(settle_s=0)
        await indexer.plan()
        took.append(time.monotonic() - began)
    status = await indexer.status()
    await children.close()
    await store.close()
    return sorted(took)[LOOKS // 2], status.coverage.files
