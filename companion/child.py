"""The daemon's side of the process border: starting children, asking them, and killing them.

A child is `python -m scanners.child`. It speaks JSON lines (scanners.base). Three roles: the
*scanner* works on one request at a time, the *encoder* stays warm for queries, a *one-shot* makes a
still or a clip beside a running scan and leaves. A child that crashes, hangs or grows costs one
request and gives one clear reason; cancelling a request kills the child: its work is repeatable.
"""

import asyncio
import contextlib
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
from companion.errors import ScanFailed
from scanners import models
from scanners.base import (
    Finished,
    Found,
    Hello,
    Progress,
    Reply,
    Request,
    StageDone,
    StageFailed,
    decode_reply,
    encode_line,
)

log = logging.getLogger(__name__)

LINE_LIMIT = 64 * 1024 * 1024  # bytes of one reply
START_LIMIT_S = 60.0  # until Hello
ENCODE_LIMIT_S = 60.0  # includes loading the model
ONE_SHOT_LIMIT_S = 180.0
LEAVE_LIMIT_S = 2.0  # after standard input was closed, before the kill
LAST_WORDS = 12  # lines of standard error that are kept for the reason of a crash

KILLED = "the scanner was killed from outside (SIGKILL), perhaps for want of memory"

COMMAND = (sys.executable, "-m", "scanners.child")
CARDS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))  # a card that CUDA can use, also under WSL
TORCH = {"siglip", "sentence-transformers"}  # engines that bring it


def environment(config: Config) -> dict[str, str]:
    """Return what a child is told in its environment, besides ours. Blocks shortly."""
    return {
        "HEIMDEX_CHILD_MEMORY_MB": str(address_space_mb(config)),
        "HEIMDEX_CHILD_THREADS": str(config.scan.threads),
        "HEIMDEX_CHILD_IDLE_S": str(config.scan.idle_s),
    }


def address_space_mb(config: Config) -> int:
    """Return how much address space a child may ask for; 0 for no limit.

    CUDA and torch reserve many times the memory that they use, so a limit would only break them.
    """
    chosen = {**models.PROFILES.get(config.models.profile, {}), **config.models.roles}
    rows = (models.MODELS.get(name.partition(":")[0]) for name in chosen.values())
    card = os.environ.get("HEIMDEX_CHILD_DEVICE", "").strip().lower() != "cpu" and any(
        place.exists() for place in CARDS
    )
    large = config.models.profile == "standard" or any(row and row.engine in TORCH for row in rows)
    return 0 if card or large else config.scan.memory_mb


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
        told = await asyncio.to_thread(environment, self._config)
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
            env=os.environ | told,
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
