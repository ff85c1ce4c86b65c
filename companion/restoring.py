"""Puts a record that was read from a sidecar into the store.

What it says is not believed unchecked: shapes were checked when it was decoded (companion.record),
numbers are checked here.
"""

import base64
import math
import struct
from collections.abc import Iterator, Sequence

import apsw

from companion.findings import Line, OnscreenText, Scene, Shot, Tags, Track, TrackBox, Word
from companion.model import File, SceneRow, Source, StageResult, StageState
from companion.record import Face, SceneRecord, Sidecar, Stage
from companion.store import findings, library, pictures, vectors
from companion.timecode import ms_from_seconds


def restore(connection: apsw.Connection, file: File, found: Sidecar) -> None:
    """Keep a record in place of what is known of a file. Raises ValueError if it cannot be true."""
    if found.media is not None:
        library.keep_media(connection, file.id, found.media)
    shots = [Shot(ms_from_seconds(start), ms_from_seconds(end)) for start, end in found.shots]
    scenes = [_scene(scene) for scene in found.scenes]
    provisional = any(scene.provisional for scene in found.scenes)
    findings.keep_shots(connection, file.id, shots)
    findings.keep_scenes(connection, file.id, scenes, provisional=provisional)
    for source in Source:
        findings.keep_lines(connection, file.id, source, list(_lines(found, source)))
    for row, scene in zip(findings.scenes_of_file(connection, file.id), found.scenes, strict=True):
        _keep_vectors(connection, row, scene)
    pictures.keep_tags(connection, file.id, list(_tags(found)))
    pictures.keep_onscreen(connection, file.id, list(_texts(found)))
    _keep_tracks(connection, file.id, found)
    for stage, done in found.stages.items():
        findings.keep_result(connection, _result(file.id, stage, done))


def _scene(scene: SceneRecord) -> Scene:
    start, end = ms_from_seconds(scene.start_s), ms_from_seconds(scene.end_s)
    if start >= end:
        raise ValueError(f"has a scene from {start} to {end} ms")
    return Scene(start, end, start if scene.still_s is None else ms_from_seconds(scene.still_s))


def _lines(found: Sidecar, source: Source) -> Iterator[Line]:
    for scene in found.scenes:
        for segment in scene.transcript.segments:
            if (segment.source or scene.transcript.source) == source.value:
                yield Line(
                    ms_from_seconds(segment.start_s),
                    ms_from_seconds(segment.end_s),
                    segment.text,
                    segment.language,
                    tuple(Word(ms_from_seconds(start), text) for start, text in segment.words),
                )


# --- vectors -------------------------------------------------------------------------------------


def _keep_vectors(connection: apsw.Connection, row: SceneRow, scene: SceneRecord) -> None:
    kept = scene.vectors
    texts = [kept.text, *kept.text_parts] if kept.text else []
    _keep(connection, row, scene, "text", "meaning", texts, ())
    _keep(connection, row, scene, "vision", "picture looks", kept.vision, kept.vision_s)
    # a model with one space for both stands under "vision" alone
    named = "vision_words" if "vision_words" in scene.embeddings else "vision"
    _keep(connection, row, scene, named, "picture words", kept.vision_words, kept.vision_words_s)


def _keep(  # noqa: PLR0913 - one row of the table above it
    connection: apsw.Connection,
    row: SceneRow,
    scene: SceneRecord,
    named: str,
    role: str,
    kept: Sequence[str],
    seconds: Sequence[float],
) -> None:
    said = scene.embeddings.get(named)
    if said is None or not kept:
        return
    if seconds and len(seconds) != len(kept):
        raise ValueError(f"has {len(kept)} vectors at {len(seconds)} times")
    model_id = vectors.model_id(connection, said.model, role, said.dimensions)
    for part, text in enumerate(kept):
        at_ms = ms_from_seconds(seconds[part]) if seconds else None
        vector = _vector(text, said.dimensions)
        vectors.put(connection, model_id, row.id, part, vector, at_ms=at_ms)


def _vector(text: str, dims: int) -> bytes:
    """Return the float16 bytes of a vector. Raises ValueError if it is none of that length."""
    vector = base64.b64decode(text, validate=True)
    if len(vector) != 2 * dims:
        raise ValueError(f"has a damaged vector: {len(vector)} bytes for {dims} numbers")
    if not all(map(math.isfinite, struct.unpack(f"<{dims}e", vector))):
        raise ValueError("has a damaged vector: not every number is finite")
    return vector


# --- pictures ------------------------------------------------------------------------------------


def _tags(found: Sidecar) -> Iterator[Tags]:
    for scene in found.scenes:
        for name, score in scene.vision_tags.items():
            at_s = scene.vision_tags_s.get(name, scene.start_s)
            yield Tags(at_ms=ms_from_seconds(at_s), tags=((name, score),))


def _texts(found: Sidecar) -> Iterator[OnscreenText]:
    for scene in found.scenes:
        for text in scene.onscreen_text:
            yield OnscreenText(
                start_ms=ms_from_seconds(text.start_s),
                end_ms=ms_from_seconds(text.end_s),
                text=text.text,
                box=text.box,
                score=text.score,
                subtitle=text.subtitle,
            )


def _keep_tracks(connection: apsw.Connection, file_id: int, found: Sidecar) -> None:
    tracks: dict[str, list[Track]] = {}
    for scene in found.scenes:
        if len(scene.faces) != len(scene.vectors.faces):
            raise ValueError(
                f"has {len(scene.faces)} faces with {len(scene.vectors.faces)} vectors"
            )
        for face, text in zip(scene.faces, scene.vectors.faces, strict=True):
            vector = base64.b64decode(text, validate=True)
            tracks.setdefault(face.model, []).append(_track(face, _vector(text, len(vector) // 2)))
    named = [model for model in tracks if model]
    if len(named) > 1:
        raise ValueError("has faces of several models")
    every = [track for some in tracks.values() for track in some]
    pictures.keep_tracks(connection, file_id, every, named[0] if named else "")


def _track(face: Face, vector: bytes) -> Track:
    return Track(
        start_ms=ms_from_seconds(face.start_s),
        end_ms=ms_from_seconds(face.end_s),
        frame_count=face.frame_count,
        boxes=tuple(TrackBox(ms_from_seconds(at_s), *box) for at_s, *box in face.boxes),
        quality=face.quality,
        best_ms=ms_from_seconds(face.best_s),
        vector=vector,
        thumbnail=face.thumbnail,
        reject=face.reject,
    )


def _result(file_id: int, stage: str, done: Stage) -> StageResult:
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
