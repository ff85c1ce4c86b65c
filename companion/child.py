"""The daemon's side of the process border: starting children, asking them, and killing them.

A child is `python -m scanners.child`. It speaks JSON lines (scanners.base). Three roles: the
*scanner* works on one request at a time, the *encoder* stays warm for queries, a *one-shot* makes a
still or a clip beside a running scan and leaves. A child that crashes, hangs or grows costs one
request and gives one clear reason; cancelling a request kills the child: its work is repeatable.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

import msgspec

from companion.config import Config
from companion.errors import CompanionError, ModelMissing, ScanFailed
from companion.findings import MediaInfo
from scanners import models
from scanners.base import (
    Clip,
    Encode,
    Encoded,
    Finished,
    Found,
    Hello,
    LookAt,
    Made,
    Options,
    Probe,
    Probed,
    Progress,
    Reply,
    Request,
    Scan,
    StageDone,
    StageFailed,
    Still,
    decode_reply,
    encode_line,
)

log = logging.getLogger(__name__)

LINE_LIMIT = 64 * 1024 * 1024  # bytes of one reply
START_LIMIT_S = 60.0  # until Hello
ENCODE_LIMIT_S = 60.0  # includes loading the model
ONE_SHOT_LIMIT_S = 180.0
LEAVE_LIMIT_S = 2.0  # after standard input was closed, before the kill
ONE_SHOTS = 2  # beside a scan
LAST_WORDS = 12  # lines of standard error that are kept for the reason of a crash

KILLED = "the scanner was killed from outside (SIGKILL), perhaps for want of memory"

COMMAND = (sys.executable, "-m", "scanners.child")


class Child:
    """One process and the request it works on. Not for two tasks at once."""

    def __init__(self, role: str, command: Sequence[str], config: Config) -> None:
        self.role = role
        self.requests = 0
        self.rss_bytes = 0
        self.hello: Hello | None = None
        self._command = (*command, "--role", role)
        self._config = config
        self._process: asyncio.subprocess.Process | None = None
        self._stderr: asyncio.Task[None] | None = None
        self._last_words: deque[str] = deque(maxlen=LAST_WORDS)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def worn_out(self) -> bool:
        """True when it has served enough or grown too much and should be replaced."""
        scan = self._config.scan
        return self.requests >= scan.recycle_files or self.rss_bytes > scan.recycle_mb * 2**20

    async def start(self) -> None:
        """Start the process and wait for its Hello. Raises ScanFailed if it does not come."""
        environment = os.environ | {
            "HEIMDEX_CHILD_MEMORY_MB": str(self._config.scan.memory_mb),
            "HEIMDEX_CHILD_THREADS": str(self._config.scan.threads),
        }
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
            env=environment,
            start_new_session=True,
        )
        self._stderr = asyncio.create_task(self._listen(), name=f"{self.role} stderr")
        try:
            first = await self._reply(START_LIMIT_S, stage="start")
        except BaseException:
            await self.kill()
            raise
        if not isinstance(first, Hello):
            await self.kill()
            raise ScanFailed("start", "the scanner did not say hello", permanent=False)
        self.hello = first
        log.debug("child started role=%s pid=%d", self.role, first.pid)

    async def ask(
        self, request: Request, *, stall_s: float, limit_s: float = float("inf")
    ) -> AsyncGenerator[Reply, None]:
        """Give every reply up to Finished, which is given too.

        stall_s: longest silence; limit_s: longest time for the whole request.
        Raises ScanFailed if the child dies, says nothing for too long or takes too long; it is then
        dead. Closing the generator early kills it.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        deadline = asyncio.get_running_loop().time() + limit_s
        stage = request.__class__.__name__.lower()
        self.requests += 1
        ended = False
        try:
            self._process.stdin.write(encode_line(request))
            with contextlib.suppress(ConnectionError):  # its death is reported by what it last said
                await self._process.stdin.drain()
            while not ended:
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    raise ScanFailed(stage, f"took longer than {limit_s:.0f} s", permanent=False)
                reply = await self._reply(min(stall_s, left), stage)
                if isinstance(reply, Hello) or reply.id != request.id:
                    continue
                if isinstance(reply, Progress | Found | StageDone | StageFailed):
                    stage = reply.stage
                if isinstance(reply, Finished):
                    ended = True
                    self.rss_bytes = reply.rss_bytes
                yield reply
        finally:
            if not ended:
                await self.kill()

    async def leave(self) -> None:
        """Let it go: close its input, then kill it if it stays."""
        if self._process is not None and self.alive and self._process.stdin is not None:
            self._process.stdin.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_LIMIT_S):
                    await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """Kill the process and all it started. Waits until it is gone."""
        if self._process is not None:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
            await asyncio.shield(self._process.wait())
        if self._stderr is not None:
            self._stderr.cancel()

    async def _reply(self, timeout_s: float, stage: str) -> Reply:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(timeout_s):
                line = await self._process.stdout.readline()
        except TimeoutError:
            reason = f"said nothing for {timeout_s:.0f} s and was stopped"
            raise ScanFailed(stage, reason, permanent=False) from None
        except ValueError as error:
            raise ScanFailed(stage, "gave an answer that is too long", permanent=False) from error
        if not line:
            raise ScanFailed(stage, await self._epitaph(), permanent=False)
        try:
            return decode_reply(line)
        except msgspec.MsgspecError as error:
            raise ScanFailed(stage, f"gave a wrong answer: {error}", permanent=False) from error

    async def _epitaph(self) -> str:
        """Say in words why the process is gone."""
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_LIMIT_S):
                await self._process.wait()
        if self._stderr is not None:
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                async with asyncio.timeout(LEAVE_LIMIT_S):
                    await asyncio.shield(self._stderr)
        code = self._process.returncode
        if code is None:
            return "closed its output and hangs"
        if code == -signal.SIGKILL:
            return KILLED
        if code < 0:
            return f"the scanner crashed ({signal.Signals(-code).name})"
        last = self._last_words[-1] if self._last_words else "no reason given"
        return f"the scanner ended with status {code}: {last}"

    async def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        with contextlib.suppress(ValueError):  # a line above the limit: nothing more is read
            async for line in self._process.stderr:
                text = line.decode(errors="replace").rstrip()
                if text:
                    self._last_words.append(text[:500])
                    log.debug("child role=%s %s", self.role, text[:500])


class Desk:
    """A role that keeps one child: starts it when asked, replaces it when worn out or dead, lets it
    go when idle. One request at a time; others wait their turn."""

    def __init__(self, role: str, command: Sequence[str], config: Config) -> None:
        self._role = role
        self._command = command
        self._config = config
        self._turn = asyncio.Lock()
        self._child: Child | None = None
        self._farewell: asyncio.Task[None] | None = None

    async def ask(
        self, request: Request, *, stall_s: float, limit_s: float = float("inf")
    ) -> AsyncGenerator[Reply, None]:
        """As Child.ask, with a child that is ready."""
        async with self._turn:
            self._stay()
            child = await self._ready()
            try:
                async with aclosing(
                    child.ask(request, stall_s=stall_s, limit_s=limit_s)
                ) as replies:
                    async for reply in replies:
                        yield reply
            finally:
                if child.alive:
                    self._farewell = asyncio.create_task(self._part(child), name="idle child")

    async def close(self) -> None:
        """Kill the child, whatever it does."""
        self._stay()
        if self._child is not None:
            await self._child.kill()

    @property
    def pid(self) -> int | None:
        child = self._child
        return child.hello.pid if child is not None and child.alive and child.hello else None

    def _stay(self) -> None:
        if self._farewell is not None:
            self._farewell.cancel()
            self._farewell = None

    async def _ready(self) -> Child:
        if self._child is not None and self._child.alive and self._child.worn_out:
            await self._child.leave()
        if self._child is None or not self._child.alive:
            self._child = Child(self._role, self._command, self._config)
            await self._child.start()
        return self._child

    async def _part(self, child: Child) -> None:
        await asyncio.sleep(self._config.scan.idle_s)
        await child.leave()


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
        """Return the model of each role: the profile's, unless the configuration names another."""
        return {**models.PROFILES[self._config.models.profile], **self._config.models.roles}

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
        name = self.roles()[role]
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
