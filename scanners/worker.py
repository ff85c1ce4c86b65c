"""Answers requests: loads what they need on first use, runs it, and reports how it ended.

One request at a time, each ending in exactly one Finished. A stage that fails costs its own
findings and nothing else. Nothing heavy is imported before it is needed, so an encoder never loads
a decoder.
"""

import importlib
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Any

import msgspec

from scanners.base import (
    Clip,
    Encode,
    Encoded,
    Finding,
    Finished,
    Found,
    LookAt,
    Made,
    MediaInfo,
    Options,
    Probe,
    Probed,
    Progress,
    Reply,
    Request,
    Scan,
    StageDone,
    StageError,
    StageInfo,
    Still,
)
from scanners.refusals import failed, unexpected

MAX_FINDINGS = 2_000  # in one message
PROGRESS_EVERY_S = 0.5

# loaded on first use, like the stages
_PROBE = "scanners.media:probe"
_PICTURE = "scanners.fanout:PicturePass"
_STILL = "scanners.clips:make_still"
_CLIP = "scanners.clips:make_clip"
_LOOK_AT = "scanners.uploads:look_at"
_HOLDERS = ("scanners.picture", "scanners.runtime")  # they keep models, if they were imported
_FEEDERS = ("shots", "scenes")  # they run in every picture pass, because they feed the others

Send = Callable[[Reply], None]


def load(plug: str) -> Any:
    """Return what "module:Name" names. Raises StageError if it cannot be imported."""
    module, _, name = plug.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        traceback.print_exc()
        raise StageError(f"{plug} cannot be loaded: {error}", permanent=False) from error


class Reporter:
    """What a stage of the passes `words`, `speech` and `meaning` says goes out through this."""

    def __init__(self, request_id: int, stage: str, send: Send) -> None:
        self._id = request_id
        self._stage = stage
        self._send = send
        self._next_progress = 0.0

    def found(self, findings: Iterable[Finding], *, until_ms: int) -> None:
        every = tuple(findings)
        for start in range(0, len(every), MAX_FINDINGS) or (0,):
            some = every[start : start + MAX_FINDINGS]
            self._send(Found(id=self._id, stage=self._stage, until_ms=until_ms, findings=some))

    def progress(self, done_ms: int, total_ms: int) -> None:
        now = time.monotonic()
        if now >= self._next_progress or done_ms >= total_ms:
            self._next_progress = now + PROGRESS_EVERY_S
            self._send(Progress(id=self._id, stage=self._stage, done_ms=done_ms, total_ms=total_ms))


class Worker:
    """Answers requests, one at a time. Keeps each stage that it has made, with its model, until it
    was not used for idle_s."""

    def __init__(self, stages: Mapping[str, StageInfo], send: Send, *, idle_s: float = inf) -> None:
        self._stages = stages
        self._send = send
        self._idle_s = idle_s
        self._made: dict[str, tuple[Options, Any]] = {}
        self._used_at: dict[str, float] = {}

    def answer(self, request: Request) -> None:
        """Do what a request asks. Ends in exactly one Finished, whatever happens."""
        failure: StageError | None = None
        try:
            self._dispatch(request)
        except Exception as error:  # noqa: BLE001  # the top of the child
            failure = unexpected(error)
        self._let_go()
        self._send(
            Finished(
                id=request.id,
                rss_bytes=rss_bytes(),
                error=failure.reason if failure else "",
                permanent=failure.permanent if failure else False,
            )
        )

    def _let_go(self) -> None:
        """Drop the models that the last requests had no use for, so that they take no memory."""
        used = time.monotonic() - self._idle_s
        for name in [name for name, at in self._used_at.items() if at <= used]:
            del self._made[name], self._used_at[name]
        for module in _HOLDERS:
            if module in sys.modules:
                sys.modules[module].let_go(self._idle_s)

    def _dispatch(self, request: Request) -> None:
        match request:
            case Scan():
                self._scan(request)
            case Probe(id=number, path=path):
                self._send(Probed(id=number, media=load(_PROBE)(path)))
            case Encode():
                self._encode(request)
            case LookAt(id=number, path=path, options=options):
                model, vector = load(_LOOK_AT)(path, options)
                dims = len(vector) // 2
                self._send(Encoded(id=number, model=model, dims=dims, vectors=(vector,)))
            case Still(id=number, path=path, at_ms=at_ms, to=to, width=width):
                load(_STILL)(path, at_ms, to, width=width)
                self._send(Made(id=number, to=to))
            case Clip(id=number, path=path, start_ms=start_ms, end_ms=end_ms, to=to):
                load(_CLIP)(path, start_ms, end_ms, to, height=request.height)
                self._send(Made(id=number, to=to))

    # --- stages -----------------------------------------------------------------------------------

    def _scan(self, scan: Scan) -> None:
        picture: list[str] = []
        for name in dict.fromkeys(scan.stages):
            info = self._stages.get(name)
            if info is None:
                error = StageError(f"there is no stage {name!r}")
                self._send(failed(scan.id, name, error))
            elif info.runs_in == "picture":
                picture.append(name)
            else:
                self._run(scan, name)
        if picture:
            self._run_picture(msgspec.structs.replace(scan, stages=tuple(picture)))

    def _run(self, scan: Scan, name: str) -> None:
        begun = time.process_time()
        try:
            stage = self._stage(name, scan.options)
            note = stage.run(scan, Reporter(scan.id, name, self._send))
            self._used_at[name] = time.monotonic()
        except Exception as error:  # noqa: BLE001  # the top of a stage
            self._send(failed(scan.id, name, unexpected(error)))
            return
        self._send(
            StageDone(
                id=scan.id,
                stage=name,
                model=getattr(stage, "model", ""),
                cpu_ms=round((time.process_time() - begun) * 1000),
                note=note or "",
            )
        )

    def _run_picture(self, scan: Scan) -> None:
        """Run the picture stages together, over one decode pass."""
        try:
            media: MediaInfo = load(_PROBE)(scan.path)
            if media.video is None:
                raise StageError("the file has no picture")
            stages, failures = self._picture_stages(scan, media)
            for name in _FEEDERS:
                if name in failures:
                    raise failures[name]
            one_pass = load(_PICTURE)
        except Exception as error:  # noqa: BLE001  # the top of the pass
            failure = unexpected(error)
            for name in scan.stages:
                self._send(failed(scan.id, name, failure))
            return
        for name in scan.stages:
            if name in failures:
                self._send(failed(scan.id, name, failures[name]))
        wanted = tuple(name for name in scan.stages if name in stages)
        if wanted:
            asked = msgspec.structs.replace(scan, stages=wanted)
            one_pass(asked, media, stages, self._send, self._stages).run()

    def _picture_stages(
        self, scan: Scan, media: MediaInfo
    ) -> tuple[dict[str, Any], dict[str, StageError]]:
        """Return the stages of a picture pass and why some could not be made."""
        stages: dict[str, Any] = {}
        failures: dict[str, StageError] = {}
        for name in dict.fromkeys((*_FEEDERS, *scan.stages)):
            try:
                stages[name] = load(self._stages[name].plug)(scan, media)
            except Exception as error:  # noqa: BLE001  # the top of a stage
                failures[name] = unexpected(error)
        return stages, failures

    def _stage(self, name: str, options: Options, plug: str = "") -> Any:
        """Return a stage, or what stands in for it, made once for the same options."""
        kept = self._made.get(name)
        if kept is None or kept[0] != options:
            self._made.pop(name, None)  # let its model go before the next one is loaded
            self._used_at.pop(name, None)
            kept = options, load(plug or self._stages[name].plug)(options)
            self._made[name] = kept
        self._used_at[name] = time.monotonic()
        return kept[1]

    def _encode(self, request: Encode) -> None:
        name = next((name for name, one in self._stages.items() if one.role == request.role), None)
        if name is None:
            raise StageError(f"no stage has a model for {request.role!r}")
        stage = self._stage(name, request.options, self._stages[name].encoder)
        vectors = tuple(stage.encode(request.texts))
        dims = len(vectors[0]) // 2 if vectors else 0
        self._send(Encoded(id=request.id, model=stage.model, dims=dims, vectors=vectors))


def rss_bytes() -> int:
    """Return the memory that this process holds now; its peak where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")
