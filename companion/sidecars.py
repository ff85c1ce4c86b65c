"""Which sidecar belongs where: written after each stage, taken up by an empty database, following
films that move, swept when their film is gone.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable

from companion import commits, record, sidecar
from companion.config import Config
from companion.model import File
from companion.store import library, planning
from companion.store.db import Store

log = logging.getLogger(__name__)

SUFFIX = b".scenes.json"


class Sidecars:
    """The sidecars of one library."""

    def __init__(
        self, store: Store, config: Config, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._mirror = config.data_dir / "sidecars"

    async def write(self, file_id: int) -> None:
        """Write what is known of a file beside it, or under the data folder if that fails."""
        if not self._config.sidecars.enabled:
            return
        file = await self._store.read(library.file, file_id)
        if file is None or not file.paths:
            return
        made = await self._store.read(record.record, file)
        places = self.places(file)
        for place in (places[0], places[-1]):
            try:
                await asyncio.to_thread(sidecar.write, place, made)
            except OSError as error:
                log.debug("sidecar not written file=%s: %s", file.public_id, error.strerror)
                continue
            await self._note(file_id, place)
            return
        log.warning("no place to write the sidecar of file=%s", file.public_id)

    async def take_up(self) -> None:
        """Start files of which nothing is known from the sidecars beside them, and let the sidecars
        of moved films follow."""
        if not self._config.sidecars.enabled:
            return
        for file_id in await self._store.read(planning.unknown_file_ids):
            file = await self._store.read(library.file, file_id)
            if file is not None:
                await self.restore(file)
        for file_id, written in await self._store.read(planning.moved_sidecars):
            file = await self._store.read(library.file, file_id)
            if file is not None and written not in self.places(file):
                await self.write(file_id)
                await asyncio.to_thread(sidecar.discard, written, file.fingerprint)

    async def restore(self, file: File) -> int | None:
        """Rebuild a file's findings from its sidecar. Return its scenes, None if there is none.

        A sidecar that cannot be used is one line in the log and otherwise as none.
        """
        for place in self.places(file):
            try:
                if await asyncio.to_thread(sidecar.video_id, place) != file.fingerprint:
                    continue
                scenes = await self._store.write(commits.keep_sidecar, file, place)
            except (sidecar.SidecarError, OSError) as error:
                log.warning("sidecar not used file=%s: %s", file.public_id, error)
                continue
            await self._note(file.id, place)
            log.info("sidecar taken file=%s scenes=%d", file.public_id, scenes)
            return scenes
        return None

    async def restore_all(self) -> tuple[int, int]:
        """Rebuild every file that has a sidecar; return (files rebuilt, files without one)."""
        rebuilt = without = 0
        for file_id in await self._store.read(planning.live_file_ids):
            file = await self._store.read(library.file, file_id)
            if file is not None:
                found = await self.restore(file)
                rebuilt, without = rebuilt + (found is not None), without + (found is None)
        return rebuilt, without

    async def sweep(self, folders: Iterable[bytes]) -> int:
        """Remove the sidecars below these folders whose film is no longer beside them; count them.

        Only files that are ours go: the name, the place and the content must all say so.
        """
        return await asyncio.to_thread(_sweep, tuple(folders))

    def places(self, file: File) -> list[bytes]:
        """Return where the sidecar of a file may lie, the wanted place first, the mirror last."""
        places = [place for path in file.paths if (place := sidecar.beside(path)) is not None]
        return [*places, sidecar.mirrored(self._mirror, file.fingerprint)]

    async def _note(self, file_id: int, place: bytes) -> None:
        now_ms = round(self._clock() * 1000)
        await self._store.write(planning.note_sidecar, file_id, place, now_ms)


def _sweep(folders: tuple[bytes, ...]) -> int:
    removed = 0
    for top in folders:
        for folder, _folders, names in os.walk(top):
            there = set(names)
            for name in names:
                film = name[1 : -len(SUFFIX)]
                if not (name.startswith(b".") and name.endswith(SUFFIX)) or film in there:
                    continue
                place = os.path.join(folder, name)  # noqa: PTH118 - the path is bytes
                owner = sidecar.video_id(place)
                removed += bool(owner) and sidecar.discard(place, owner)
    return removed
