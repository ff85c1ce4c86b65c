"""Every child of one daemon, and what each is asked for."""

import asyncio
import itertools
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

from companion.child import COMMAND, ENCODE_LIMIT_S, ONE_SHOT_LIMIT_S, Child, Desk
from companion.config import Config
from companion.errors import CompanionError, ModelMissing, ScanFailed
from companion.findings import MediaInfo
from scanners import models
from scanners.base import (
    Clip,
    Encode,
    Encoded,
    Finished,
    LookAt,
    Made,
    Options,
    Probe,
    Probed,
    Reply,
    Scan,
    Still,
)

ONE_SHOTS = 2  # beside a scan


class Children:
    """Every child of one daemon."""

    def __init__(self, config: Config, *, command: Sequence[str] = COMMAND) -> None:
        self._config = config
        self._command = tuple(command)
        self._scanner = Desk("scanner", self._command, config)
        self._encoder = Desk("encoder", self._command, config)
        self._one_shots = asyncio.Semaphore(ONE_SHOTS)
        self._shooting: set[Child] = set()
        self._ids = itertools.count(1)

    @property
    def scanner_pid(self) -> int | None:
        return self._scanner.pid

    def options(self) -> Options:
        """Return what the configuration says about scanning."""
        scan = self._config.scan
        return Options(
            models=os.fsencode(self._config.models_folder),
            roles=self.roles(),
            threads=scan.threads,
            languages=scan.languages,
            speech_language=scan.speech_language,
            beam=scan.beam,
            subtitles_replace_speech=scan.subtitles_replace_speech,
        )

    def roles(self) -> dict[str, str]:
        """Return the model of each role: the profile's, unless the configuration names another.

        Without search by meaning no model of texts is lent to the pictures either.
        """
        chosen = {**models.PROFILES[self._config.models.profile], **self._config.models.roles}
        if not self._config.features.semantic_search:
            del chosen["meaning"]
        return chosen

    def new_id(self) -> int:
        return next(self._ids)

    async def scan(self, request: Scan, *, limit_s: float) -> AsyncGenerator[Reply, None]:
        """Run a scan in the scanner. Raises ScanFailed if the child is lost."""
        async with aclosing(
            self._scanner.ask(request, stall_s=self._config.scan.stall_s, limit_s=limit_s)
        ) as replies:
            async for reply in replies:
                yield reply

    async def probe(self, path: bytes) -> MediaInfo:
        """Return what the container says of itself. Raises ScanFailed with the reason."""
        request = Probe(id=self.new_id(), path=path)
        media: MediaInfo | None = None
        async with aclosing(
            self._scanner.ask(request, stall_s=self._config.scan.stall_s)
        ) as replies:
            async for reply in replies:
                if isinstance(reply, Probed):
                    media = reply.media
                elif isinstance(reply, Finished) and reply.error:
                    raise ScanFailed("probe", reply.error, permanent=reply.permanent)
        if media is None:
            raise ScanFailed("probe", "the scanner gave no answer", permanent=False)
        return media

    async def encode(self, texts: Sequence[str], *, role: str = "meaning") -> Encoded:
        """Return one vector a text, from the model of the role.

        Raises ModelMissing if its files are not there, ScanFailed if it cannot be run.
        """
        name = self.roles().get(role, "")
        if not name:
            raise ModelMissing(f"there is no model for {role}: features.semantic_search is off")
        if not await asyncio.to_thread(models.present, self._config.models_folder, name):
            raise ModelMissing(f"the model {name} is missing: run `heimdex models get`")
        request = Encode(id=self.new_id(), role=role, texts=tuple(texts), options=self.options())
        return await self._encoded(request, role)

    async def _encoded(self, request: Encode | LookAt, role: str) -> Encoded:
        encoded: Encoded | None = None
        async with aclosing(
            self._encoder.ask(request, stall_s=ENCODE_LIMIT_S, limit_s=ENCODE_LIMIT_S)
        ) as replies:
            async for reply in replies:
                if isinstance(reply, Encoded):
                    encoded = reply
                elif isinstance(reply, Finished) and reply.error:
                    raise ScanFailed(role, reply.error, permanent=reply.permanent)
        if encoded is None:
            raise ScanFailed(role, "the encoder gave no answer", permanent=False)
        return encoded

    async def look_at(self, path: bytes) -> Encoded:
        """Return the vector of a picture that somebody gave.

        Raises ModelMissing if the model is not there, ScanFailed with the reason if the file is no
        picture that can be looked at.
        """
        name = self.roles().get("picture", "")
        if not name or not await asyncio.to_thread(
            models.present, self._config.models_folder, name
        ):
            raise ModelMissing(f"the model {name or 'for pictures'} is missing")
        request = LookAt(id=self.new_id(), path=path, options=self.options())
        return await self._encoded(request, "picture")

    async def still(self, path: bytes, at_ms: int, to: Path, *, width: int = 480) -> None:
        """Write one frame as a JPEG. Raises ScanFailed with the reason."""
        target = os.fsencode(to)
        await self._make(Still(id=self.new_id(), path=path, at_ms=at_ms, to=target, width=width))

    async def clip(self, path: bytes, start_ms: int, end_ms: int, to: Path) -> None:
        """Write a part of a film as an MP4 that browsers play. Raises ScanFailed."""
        target = os.fsencode(to)
        await self._make(
            Clip(id=self.new_id(), path=path, start_ms=start_ms, end_ms=end_ms, to=target)
        )

    async def close(self) -> None:
        """Kill every child."""
        await self._scanner.close()
        await self._encoder.close()
        for child in tuple(self._shooting):
            await child.kill()

    async def _make(self, request: Still | Clip) -> None:
        async with self._one_shots:
            child = Child("one-shot", self._command, self._config)
            self._shooting.add(child)
            try:
                await child.start()
                await _made(child, request)
                await child.leave()
            finally:
                await child.kill()
                self._shooting.discard(child)


async def _made(child: Child, request: Still | Clip) -> None:
    made = False
    stall_s = ONE_SHOT_LIMIT_S
    async with aclosing(child.ask(request, stall_s=stall_s, limit_s=stall_s)) as replies:
        async for reply in replies:
            if isinstance(reply, Made):
                made = True
            elif isinstance(reply, Finished) and reply.error:
                stage = request.__class__.__name__.lower()
                raise ScanFailed(stage, reply.error, permanent=reply.permanent)
    if not made:
        raise CompanionError("the scanner made nothing and gave no reason")
