"""One pass over one file: what the child is asked, and how its findings are kept stage by stage."""

import os
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from companion import commits, stages
from companion.children import Children
from companion.config import Config
from companion.errors import ScanFailed
from companion.findings import Finding, Line, Pass, Shot, TextVector
from companion.model import File, Known, Source, StageResult
from companion.progress import ProgressBoard
from companion.store import findings
from companion.store.db import Store
from scanners.base import (
    STAGES,
    Finished,
    Found,
    Progress,
    Reply,
    Scan,
    SceneText,
    SideFile,
    StageDone,
    StageFailed,
)

LIMIT_FLOOR_S = 1800.0  # a request may take this long ...
LIMIT_PER_FILM_S = 30.0  # ... plus this many seconds for each second of film

_SOURCES = {"subtitles": Source.SUBTITLE, "speech": Source.SPEECH}


class Host(Protocol):
    """What a pass needs of the flow that runs it."""

    store: Store
    children: Children
    config: Config
    board: ProgressBoard

    def result(
        self, stage: str, known: Known, *, model: str = "", note: str = "", cpu_ms: int = 0
    ) -> StageResult: ...

    async def keep_failure(self, known: Known, error: ScanFailed) -> None: ...


@dataclass(slots=True, kw_only=True)
class PassOver:
    """A pass that is under way. `run` returns the film time that it covered, in ms."""

    host: Host
    known: Known
    path: bytes
    runs: Pass
    wanted: tuple[str, ...]
    _lines: list[Line] = field(default_factory=list)
    _vectors: list[TextVector] = field(default_factory=list)
    _kept: list[Finding] = field(default_factory=list)  # of earlier runs of a picture pass
    _shots: list[Shot] = field(default_factory=list)
    _seen: list[Finding] = field(default_factory=list)  # scenes and all else of a picture pass
    _in_chunks: int = 0  # how many of them are kept already
    _until_ms: int = 0
    _done: list[StageResult] = field(default_factory=list)

    @property
    def _file(self) -> File:
        return self.known.file

    async def run(self) -> int:
        """Ask the child and keep what it finds. Raises ScanFailed if the child is lost."""
        request = await self._request()
        limit_s = LIMIT_FLOOR_S + LIMIT_PER_FILM_S * self._file.duration_ms / 1000
        self.host.board.progress(self.wanted[0], request.resume_ms, self._file.duration_ms)
        self.host.board.began_at(request.resume_ms)
        async with aclosing(self.host.children.scan(request, limit_s=limit_s)) as replies:
            async for reply in replies:
                await self._take(reply)
        await self._finish_picture()
        return max(0, self._file.duration_ms - request.resume_ms)

    async def _request(self) -> Scan:
        resume_ms = 0
        if self.runs == "picture":
            resume_ms, self._kept = await self.host.store.read(
                findings.chunks, self._file.id, self._signature
            )
            if not resume_ms:
                await self.host.store.write(findings.drop_chunks, self._file.id)
            self._until_ms = resume_ms
        texts: tuple[SceneText, ...] = ()
        if self.runs == "meaning":
            spoken = await self.host.store.read(commits.scene_lines, self._file.id)
            texts = tuple(
                SceneText(scene.number, tuple(line.text for line in lines))
                for scene, lines in spoken
                if lines
            )
        return Scan(
            id=self.host.children.new_id(),
            path=self.path,
            stages=self.wanted,
            options=self.host.children.options(),
            side_files=tuple(
                SideFile(
                    path=row.path,
                    language=row.language,
                    forced=row.forced,
                    hearing_impaired=row.hearing_impaired,
                )
                for row in self.known.side_files
            ),
            scenes=texts,
            resume_ms=resume_ms,
            stills=os.fsencode(self.host.config.cache / "stills" / self._file.public_id),
        )

    @property
    def _signature(self) -> str:
        """What must be the same for an unfinished picture pass to go on where it stopped."""
        roles = self.host.children.roles()
        return ",".join(
            f"{stage}.{STAGES[stage].version}.{stages.model_of(stage, roles)}"
            for stage in sorted(self.wanted)
        )

    async def _take(self, reply: Reply) -> None:
        match reply:
            case Progress():
                self.host.board.progress(reply.stage, reply.done_ms, reply.total_ms)
            case Found():
                await self._found(reply)
            case StageDone():
                await self._stage_done(reply)
            case StageFailed():
                error = ScanFailed(reply.stage, reply.reason, permanent=reply.permanent)
                await self.host.keep_failure(self.known, error)
            case Finished(error=error) if error:
                raise ScanFailed(self.wanted[0], error, permanent=reply.permanent)

    async def _found(self, reply: Found) -> None:
        for finding in reply.findings:
            match finding:
                case Line():
                    self._lines.append(finding)
                case TextVector():
                    self._vectors.append(finding)
                case Shot():
                    self._shots.append(finding)
                case _:
                    self._seen.append(finding)
        if reply.stage == self._last and reply.until_ms > self._until_ms:
            await self._keep_chunk(reply.until_ms)

    @property
    def _last(self) -> str:
        """The stage whose findings of a piece of film come last (scanners.fanout)."""
        if self.runs != "picture":
            return ""
        return "scenes" if "scenes" in self.wanted else self.wanted[-1]

    async def _keep_chunk(self, until_ms: int) -> None:
        """Commit the closed scenes of a running pass, and all that was found in them."""
        chunk: list[Finding] = []
        chunk += (shot for shot in self._shots if self._until_ms < shot.end_ms <= until_ms)
        chunk += self._seen[self._in_chunks :]
        self._in_chunks = len(self._seen)
        await self.host.store.write(
            findings.add_chunk, self._file.id, self._signature, until_ms, chunk
        )
        self._until_ms = until_ms

    async def _stage_done(self, reply: StageDone) -> None:
        result = self.host.result(
            reply.stage, self.known, model=reply.model, note=reply.note, cpu_ms=reply.cpu_ms
        )
        if self.runs == "picture":
            self._done.append(result)
        elif reply.stage in _SOURCES:
            await self.host.store.write(
                commits.keep_words,
                _SOURCES[reply.stage],
                self._lines,
                result,
                self._file.duration_ms,
            )
            self._lines = []
        elif reply.stage == "meaning":
            await self.host.store.write(
                commits.keep_vectors, STAGES["meaning"].role or "", self._vectors, result
            )
            self._vectors = []

    async def _finish_picture(self) -> None:
        """Put the whole pass in place at once, if there are scenes to put things into."""
        done = {result.stage for result in self._done}
        if not done or not set(stages.FEEDERS) & set(self.wanted) <= done:
            return
        shots = [finding for finding in self._kept if isinstance(finding, Shot)]
        seen = [finding for finding in self._kept if not isinstance(finding, Shot)]
        await self.host.store.write(
            commits.keep_picture,
            self._file.id,
            [*joined(shots, self._shots), *seen, *self._seen],
            self._done,
            stages.spaces(self.host.children.roles()),
        )


def joined(kept: list[Shot], found: list[Shot]) -> list[Shot]:
    """Return the shots of an interrupted pass and of its continuation as one list without gaps.

    A pass may go on in the middle of a long shot; its first part is then given back to it.
    """
    if kept and found and found[0].start_ms > kept[-1].end_ms:
        found = [Shot(kept[-1].end_ms, found[0].end_ms), *found[1:]]
    if not kept and found and found[0].start_ms > 0:
        found = [Shot(0, found[0].end_ms), *found[1:]]
    return [*kept, *found]
