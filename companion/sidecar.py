"""The JSON beside a film that rebuilds its part of the database, to the bit.

`.<video file name>.scenes.json` lies next to the film (a dot *file* is the one form that Jellyfin
and Plex both ignore), or under the data folder when that place cannot be written. It names nobody.
It is written whole after each stage, by rename; keys that we do not know are kept; reading trusts
nothing.
"""

import base64
import contextlib
import hashlib
import math
import os
import struct
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import apsw
import msgspec

from companion.errors import CompanionError
from companion.findings import Line, MediaInfo, Scene, Shot, Word
from companion.model import File, LineRow, SceneRow, Source, StageResult, StageState
from companion.store import findings, library, vectors
from companion.timecode import ms_from_seconds, seconds_from_ms

SCHEMA = 1
RECORD_VERSION = "1.0"  # of the scene record, as the first Heimdex counted it
MAX_BYTES = 256 * 2**20  # a 10 h film with 1024-d vectors has some 30 MB
NAME_LIMIT = 255  # bytes of a file name on every file system we know


Seconds = Annotated[float, msgspec.Meta(ge=0, le=10_000_000)]


class SidecarError(CompanionError):
    """A sidecar cannot be used; the message says which and why."""


class _Stage(msgspec.Struct, omit_defaults=True):
    version: int
    model: str = ""
    inputs: str = ""
    note: str = ""
    cpu_ms: int = 0
    finished_at_ms: int = 0


class _Segment(msgspec.Struct, omit_defaults=True):
    start_s: Seconds
    end_s: Seconds
    text: str
    language: str = ""
    source: str = ""
    words: list[tuple[Seconds, str]] = []


class _Transcript(msgspec.Struct):
    text: str = ""
    segments: list[_Segment] = []
    language: str = ""
    source: str = ""


class _Vectors(msgspec.Struct, omit_defaults=True):
    text: str = ""  # base64 of float16; further parts of a long text follow in text_parts
    text_parts: list[str] = []


class _Embedding(msgspec.Struct):
    model: str = ""
    dimensions: int = 0
    has_embedding: bool = False


class _Scene(msgspec.Struct):
    """What reading needs of a scene; the record has more."""

    start_s: Seconds
    end_s: Seconds
    still_s: Seconds | None = None
    provisional: bool = False
    transcript: _Transcript = msgspec.field(default_factory=_Transcript)
    embeddings: dict[str, _Embedding] = {}
    vectors: _Vectors = msgspec.field(default_factory=_Vectors)


class _Sidecar(msgspec.Struct):
    schema: int
    video_id: str
    scenes: list[_Scene]
    duration_s: float = 0.0
    media: MediaInfo | None = None
    stages: dict[str, _Stage] = {}
    shots: list[tuple[Seconds, Seconds]] = []


# --- where it lies -------------------------------------------------------------------------------


def beside(path: bytes) -> bytes | None:
    """Return where the sidecar of a film lies, or None if its name would be too long."""
    folder, name = os.path.split(path)
    own = b"." + name + b".scenes.json"
    return os.path.join(folder, own) if len(own) + 9 <= NAME_LIMIT else None  # noqa: PTH118 - bytes


def mirrored(mirror: Path, fingerprint: str) -> bytes:
    """Return where the sidecar of a film lies when the film's folder cannot be written."""
    digest = hashlib.sha256(fingerprint.encode()).hexdigest()
    return os.fsencode(mirror / digest[:2] / f"{digest[:32]}.scenes.json")


# --- the record ----------------------------------------------------------------------------------


def record(connection: apsw.Connection, file: File, *, with_vectors: bool = True) -> dict[str, Any]:
    """Return everything found in a file as the scene record: plain dicts, ready for JSON."""
    results = findings.results_of_file(connection, file.id)
    name = os.fsdecode(os.path.basename(file.paths[0])) if file.paths else ""  # noqa: PTH119 - bytes
    return {
        "schema": SCHEMA,
        "video_id": file.fingerprint,
        "file": name.encode(errors="replace").decode(),
        "size": file.size,
        "duration_s": seconds_from_ms(file.duration_ms),
        "media": msgspec.to_builtins(file.media) if file.media else None,
        "stages": {
            stage: msgspec.to_builtins(
                _Stage(
                    version=row.version,
                    model=row.model,
                    inputs=row.inputs,
                    note=row.note,
                    cpu_ms=row.cpu_ms,
                    finished_at_ms=row.finished_at_ms,
                )
            )
            for stage, row in sorted(results.items())
            if row.state is StageState.DONE
        },
        "shots": [
            [seconds_from_ms(shot.start_ms), seconds_from_ms(shot.end_ms)]
            for shot in findings.shots_of_file(connection, file.id)
        ],
        "scenes": _scenes(connection, file, results, with_vectors=with_vectors),
    }


def _scenes(
    connection: apsw.Connection,
    file: File,
    results: Mapping[str, StageResult],
    *,
    with_vectors: bool,
) -> list[dict[str, Any]]:
    kept = vectors.of_file(connection, file.id, role="meaning")
    scenes = findings.scenes_of_file(connection, file.id)
    spoken = _lines_by_scene(scenes, findings.lines_of_file(connection, file.id))
    finished_ms = max((row.finished_at_ms for row in results.values()), default=0)
    cpu_ms = sum(row.cpu_ms for row in results.values()) // max(1, len(scenes))
    return [
        _scene(
            file,
            scene,
            spoken[scene.id],
            kept.get(scene.id, ()),
            with_vectors=with_vectors,
            metadata={
                "created_at": _iso(finished_ms),
                "version": RECORD_VERSION,
                "processing_info": {"source_ms": cpu_ms},
            },
        )
        for scene in scenes
    ]


def _scene(
    file: File,
    scene: SceneRow,
    lines: Sequence[LineRow],
    kept: Sequence[tuple[str, int, bytes]],
    *,
    with_vectors: bool,
    metadata: dict[str, Any],
) -> dict[str, Any]:
    """kept: (model, part, float16 bytes) of each part of the scene's text."""
    model, dims = (kept[0][0], len(kept[0][2]) // 2) if kept else ("", 0)
    parts = [base64.b64encode(vector).decode() for _model, _part, vector in kept]
    found: dict[str, Any] = {
        "video_id": file.fingerprint,
        "scene_id": f"{file.fingerprint}/{scene.number}",
        "start_s": seconds_from_ms(scene.start_ms),
        "end_s": seconds_from_ms(scene.end_ms),
        "duration_s": seconds_from_ms(scene.end_ms - scene.start_ms),
        "still_s": seconds_from_ms(scene.still_ms),
        "provisional": scene.provisional,
        "transcript": _transcript(lines),
        "embeddings": {
            "text": {"model": model, "dimensions": dims, "has_embedding": bool(kept)},
            "vision": {"model": "", "dimensions": 0, "has_embedding": False},
        },
        "vision_tags": {},
        "onscreen_text": [],
        "people": [],
        "faces": [],
        "metadata": metadata,
    }
    if with_vectors and parts:
        found["vectors"] = {"text": parts[0]} | ({"text_parts": parts[1:]} if parts[1:] else {})
    return found


def _transcript(lines: Sequence[LineRow]) -> dict[str, Any]:
    def usual(values: Iterable[str]) -> str:
        return next((value for value, _count in Counter(values).most_common(1)), "")

    return {
        "text": " ".join(line.text for line in lines),
        "segments": [
            msgspec.to_builtins(
                _Segment(
                    start_s=seconds_from_ms(line.start_ms),
                    end_s=seconds_from_ms(line.end_ms),
                    text=line.text,
                    language=line.language,
                    source=line.source.value,
                    words=[(seconds_from_ms(word.start_ms), word.text) for word in line.words],
                )
            )
            for line in lines
        ],
        "language": usual(line.language for line in lines),
        "source": usual(line.source.value for line in lines),
    }


def _lines_by_scene(
    scenes: Sequence[SceneRow], lines: Sequence[LineRow]
) -> dict[int, list[LineRow]]:
    """Give every line to one scene: the one it starts in, or the nearest before, or the first."""
    given: dict[int, list[LineRow]] = {scene.id: [] for scene in scenes}
    at = 0
    for line in lines if scenes else ():
        while at + 1 < len(scenes) and scenes[at + 1].start_ms <= line.start_ms:
            at += 1
        given[scenes[at].id].append(line)
    return given


# --- writing and reading -------------------------------------------------------------------------


def write(path: bytes, made: Mapping[str, Any]) -> None:
    """Write a record in one step: the old sidecar or the new one is there, never a half. Blocks.

    Keys at the top of the old one that we do not know are kept. Raises OSError if the place cannot
    be written.
    """
    text = msgspec.json.encode({**made, **_unknown(path, made)})
    folder, name = os.path.split(path)
    unfinished = os.path.join(folder, b".~" + name.lstrip(b".")[-200:] + b".part")  # noqa: PTH118
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - the path is bytes
    try:
        with open(unfinished, "wb") as out:  # noqa: PTH123 - the path is bytes
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(unfinished, path)  # noqa: PTH105 - the path is bytes
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)  # noqa: PTH108 - the path is bytes
        raise


def _unknown(path: bytes, made: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a newer program or another tool has put into the old sidecar."""
    try:
        old = msgspec.json.decode(_bytes(path))
    except (OSError, SidecarError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(old, dict) or old.get("video_id") != made.get("video_id"):
        return {}
    return {key: value for key, value in old.items() if key not in made}


def discard(path: bytes, fingerprint: str) -> bool:
    """Remove a sidecar whose film has left; True if it was that film's. Blocks."""
    if video_id(path) != fingerprint:
        return False
    with contextlib.suppress(OSError):
        os.unlink(path)  # noqa: PTH108 - the path is bytes
    return True


def video_id(path: bytes) -> str:
    """Return whose sidecar this is, or "" if it is none. Blocks."""
    try:
        return _decode(path).video_id
    except (OSError, SidecarError):
        return ""


def restore(connection: apsw.Connection, file: File, path: bytes) -> int:
    """Put what a sidecar holds into the database, in place of what is there; return its scenes.

    Raises SidecarError if it is damaged, too new, or of another film; OSError if it cannot be read.
    """
    found = _decode(path)
    if found.video_id != file.fingerprint:
        raise SidecarError(f"{_show(path)} belongs to another film; nothing was taken from it")
    scenes = [_restored_scene(scene, path) for scene in found.scenes]
    shots = [Shot(ms_from_seconds(start), ms_from_seconds(end)) for start, end in found.shots]
    provisional = any(scene.provisional for scene in found.scenes)
    if found.media is not None:
        library.keep_media(connection, file.id, found.media)
    findings.keep_shots(connection, file.id, shots)
    findings.keep_scenes(connection, file.id, scenes, provisional=provisional)
    for source in Source:
        findings.keep_lines(connection, file.id, source, _restored_lines(found, source))
    _restore_vectors(connection, file.id, found, path)
    for stage, done in found.stages.items():
        findings.keep_result(connection, _restored_result(file.id, stage, done))
    return len(scenes)


def _restored_scene(scene: _Scene, path: bytes) -> Scene:
    start, end = ms_from_seconds(scene.start_s), ms_from_seconds(scene.end_s)
    if not 0 <= start < end:
        raise SidecarError(f"{_show(path)} has a scene from {start} to {end} ms")
    return Scene(start, end, start if scene.still_s is None else ms_from_seconds(scene.still_s))


def _restored_lines(found: _Sidecar, source: Source) -> list[Line]:
    return [
        Line(
            ms_from_seconds(segment.start_s),
            ms_from_seconds(segment.end_s),
            segment.text,
            segment.language,
            tuple(Word(ms_from_seconds(start), text) for start, text in segment.words),
        )
        for scene in found.scenes
        for segment in scene.transcript.segments
        if (segment.source or scene.transcript.source) == source.value
    ]


def _restore_vectors(
    connection: apsw.Connection, file_id: int, found: _Sidecar, path: bytes
) -> None:
    rows = findings.scenes_of_file(connection, file_id)
    for row, scene in zip(rows, found.scenes, strict=True):
        said = scene.embeddings.get("text")
        if said is None or not scene.vectors.text:
            continue
        try:
            model_id = vectors.model_id(connection, said.model, "meaning", said.dimensions)
        except ValueError as error:
            raise SidecarError(f"{_show(path)}: {error}") from error
        for part, text in enumerate((scene.vectors.text, *scene.vectors.text_parts)):
            try:
                vectors.put(connection, model_id, row.id, part, _vector(text, said.dimensions))
            except ValueError as error:
                raise SidecarError(f"{_show(path)} has a damaged vector: {error}") from error


def _vector(text: str, dims: int) -> bytes:
    """Return the float16 bytes of a vector. Raises ValueError if it is none of that length."""
    vector = base64.b64decode(text, validate=True)
    if len(vector) != 2 * dims:
        raise ValueError(f"{len(vector)} bytes for {dims} numbers")
    if not all(map(math.isfinite, struct.unpack(f"<{dims}e", vector))):
        raise ValueError("not every number is finite")
    return vector


def _restored_result(file_id: int, stage: str, done: _Stage) -> StageResult:
    return StageResult(
        file_id=file_id,
        stage=stage,
        version=done.version,
        model=done.model,
        inputs=done.inputs,
        state=StageState.DONE,
        reason="",
        note=done.note,
        attempts=1,
        finished_at_ms=done.finished_at_ms,
        cpu_ms=done.cpu_ms,
    )


def _decode(path: bytes) -> _Sidecar:
    try:
        found = msgspec.json.decode(_bytes(path), type=_Sidecar)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SidecarError(f"{_show(path)} is damaged: {error}") from error
    if found.schema > SCHEMA:
        raise SidecarError(f"{_show(path)} was written by a newer version: upgrade this program")
    return found


def _bytes(path: bytes) -> bytes:
    with open(path, "rb") as source:  # noqa: PTH123 - the path is bytes
        if os.fstat(source.fileno()).st_size > MAX_BYTES:
            raise SidecarError(f"{_show(path)} is larger than {MAX_BYTES // 2**20} MB")
        return source.read()


def _show(path: bytes) -> str:
    return os.fsdecode(path).encode(errors="replace").decode()


def _iso(ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms / 1000))
