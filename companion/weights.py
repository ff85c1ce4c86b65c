"""Brings the model files that are missing while the daemon already serves.

Subtitles and pictures need no model, so a newcomer's first results do not wait for a download.
"""

import asyncio
import logging
from collections.abc import Callable

from companion import stages
from companion.config import Config
from companion.errors import ModelMissing
from companion.progress import COMING
from scanners import fetch, models

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 60.0  # has somebody brought the files meanwhile?
LOOKS_BETWEEN = 30  # before the next try to download


class Stopped(Exception):
    """The daemon leaves; the download ends."""


class Weights:
    """The model files of one configuration."""

    def __init__(self, config: Config, on_change: Callable[[], None]) -> None:
        self._config = config
        self._on_change = on_change
        self._stopped = False
        self.doing = ""  # what is brought now, in words
        self.done_bytes = 0
        self.total_bytes = 0
        self.complaint = ""  # why the last try failed

    def missing(self) -> list[str]:
        """Return the models that scanning needs and that are not there, smallest first. Blocks
        shortly."""
        chosen = models.roles(self._config.models.profile, self._config.models.roles)
        if not self._config.features.semantic_search:
            del chosen["meaning"]
        needed = {
            name
            for stage in stages.enabled(self._config)
            for name in stages.needed_models(stage, chosen)
        }
        folder = self._config.models_folder
        absent = [name for name in needed if not models.present(folder, name)]
        return sorted(absent, key=lambda name: models.model(name).size)

    async def run(self) -> None:
        """Bring what is missing; try again later if that fails, until everything is there."""
        try:
            while await self._try():
                await self._pause()
        finally:
            self._stopped = True

    async def bring_all(self) -> None:
        """Bring what is missing, once; `notes` says what could not be had."""
        try:
            await self._try()
        finally:
            self._stopped = True

    async def _pause(self) -> None:
        """Wait until it is time to try again, or until somebody has brought the files by hand."""
        for _ in range(LOOKS_BETWEEN):
            await asyncio.sleep(LOOK_AGAIN_S)
            if not await asyncio.to_thread(self.missing):
                self.complaint = ""
                self._on_change()
                return

    async def _try(self) -> bool:
        """Return True if something is still missing."""
        self.complaint = ""
        for name in await asyncio.to_thread(self.missing):
            if not self._config.models.get:
                self.complaint = f"The model {name} is missing: run `heimdex models get`."
                return True
            await self._bring(name)
            if self.complaint:
                return True
        return False

    def notes(self) -> tuple[str, ...]:
        """Return what the indexing page should say."""
        if self.doing:
            known = self.done_bytes and self.total_bytes  # an old pip does not tell
            share = f" ({self.done_bytes * 100 // self.total_bytes} %)" if known else ""
            return (f"{COMING}: {self.doing}{share}.",)
        return (f"{self.complaint}",) if self.complaint else ()

    async def _bring(self, name: str) -> None:
        log.info("bringing model=%s", name)
        try:
            await asyncio.to_thread(fetch.get, self._config.models_folder, name, self._progress)
        except ModelMissing as error:
            self.complaint = str(error).splitlines()[0] + " `heimdex models get` says more."
            log.warning("model missing model=%s: %s", name, error)
        else:
            log.info("model is there model=%s", name)
        finally:
            self.doing = ""
            self._on_change()

    def _progress(self, what: str, done: int, total: int) -> None:
        """Called in the thread of the download."""
        if self._stopped:
            raise Stopped
        self.doing, self.done_bytes, self.total_bytes = what, done, total
