"""The scene record: everything found in a film, in the shape that the first Heimdex's readers know.

It is what the API gives and what a sidecar holds. Seconds have three decimals, so milliseconds come
back as they were; vectors are base64 of float16. A sidecar names nobody: `people` is empty in it.
"""

import base64
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import apsw
import msgspec

from companion.findings import MediaInfo, TrackBox
from companion.model import File, LineRow, SceneRow, StageResult, StageState
from companion.store import findings, pictures, vectors
from companion.store.pictures import OnscreenRow, TrackRow
from companion.timecode import seconds_from_ms

SCHEMA = 1
RECORD_VERSION = "1.0"  # of the scene record, as the first Heimdex counted it

Seconds = Annotated[float, msgspec.Meta(ge=0, le=10_000_000)]
Fraction = Annotated[float, msgspec.Meta(ge=-1, le=2)]  # of the picture; a box may reach out of it
Score = Annotated[float, msgspec.Meta(ge=0, le=1)]


Timed = TypeVar("Timed", LineRow, OnscreenRow, TrackRow)


class Stage(msgspec.Struct, omit_defaults=True):
    version: int
    model: str = ""
    inputs: str = ""
    note: str = ""
    cpu_ms: int = 0
    finished_at_ms: int = 0


class Segment(msgspec.Struct, omit_defaults=True):
    start_s: Seconds
    end_s: Seconds
    text: str
    language: str = ""
    source: str = ""
    words: list[tuple[Seconds, str]] = []


class Transcript(msgspec.Struct):
    text: str = ""
    segments: list[Segment] = []
    language: str = ""
    source: str = ""


class Onscreen(msgspec.Struct, omit_defaults=True):
    text: str
    start_s: Seconds
    end_s: Seconds
    box: tuple[Fraction, Fraction, Fraction, Fraction]
    score: Score = 1.0
    subtitle: bool = False


class Face(msgspec.Struct, omit_defaults=True):
    """A track. boxes: [second, x, y, width, height] each; vector: base64 of float16."""

    track: int
    start_s: Seconds
    end_s: Seconds
    frame_count: int
    boxes: list[tuple[Seconds, Fraction, Fraction, Fraction, Fraction]]
    quality: Score
    best_s: Seconds
    model: str = ""
    thumbnail: str = ""
    reject: str = ""


class Embedding(msgspec.Struct):
    model: str = ""
    dimensions: int = 0
    has_embedding: bool = False


class Vectors(msgspec.Struct, omit_defaults=True):
    """Base64 of float16. text: the first part of the scene's words; further ones in text_parts.

    vision: what frames look like; vision_words: the same frames where words can find them, if the
    model has a space of its own for that. The seconds of both are in vision_s and vision_words_s.
    """

    text: str = ""
    text_parts: list[str] = []
    vision: list[str] = []
    vision_s: list[Seconds] = []
    vision_words: list[str] = []
    vision_words_s: list[Seconds] = []
    faces: list[str] = []


class SceneRecord(msgspec.Struct):
    """What reading needs of a scene; the record has more."""

    start_s: Seconds
    end_s: Seconds
    still_s: Seconds | None = None
    provisional: bool = False
    transcript: Transcript = msgspec.field(default_factory=Transcript)
    embeddings: dict[str, Embedding] = {}
    vision_tags: dict[str, Score] = {}
    vision_tags_s: dict[str, Seconds] = {}
    onscreen_text: list[Onscreen] = []
    faces: list[Face] = []
    vectors: Vectors = msgspec.field(default_factory=Vectors)


class Sidecar(msgspec.Struct):
    schema: int
    video_id: str
    scenes: list[SceneRecord]
    duration_s: Seconds = 0.0
    media: MediaInfo | None = None
    stages: dict[str, Stage] = {}
    shots: list[tuple[Seconds, Seconds]] = []


class _Found:
    """What the store has of a file, by scene."""

    def __init__(self, connection: apsw.Connection, file: File) -> None:
        self.scenes = findings.scenes_of_file(connection, file.id)
        self.lines = self._by_scene(findings.lines_of_file(connection, file.id))
        self.texts = vectors.of_file(connection, file.id, role="meaning")
        self.looks = pictures.vectors_of_file(connection, file.id, "looks")
        self.words = pictures.vectors_of_file(connection, file.id, "words")
        self.tags = pictures.tags_of_file(connection, file.id)
        self.onscreen = self._by_scene(pictures.onscreen_of_file(connection, file.id))
        self.tracks = self._by_scene(pictures.tracks_of_file(connection, file.id))

    def _by_scene(self, rows: Iterable[Timed]) -> dict[int, list[Timed]]:
        """Give every row to one scene: the one it starts in, or the nearest before, or the first.

        rows: in order of their start.
        """
        given: dict[int, list[Timed]] = {scene.id: [] for scene in self.scenes}
        at = 0
        for row in rows if self.scenes else ():
            while at + 1 < len(self.scenes) and self.scenes[at + 1].start_ms <= row.start_ms:
                at += 1
            given[self.scenes[at].id].append(row)
        return given


def record(connection: apsw.Connection, file: File, *, with_vectors: bool = True) -> dict[str, Any]:
    """Return everything found in a file as the scene record: plain dicts, ready for JSON."""
    results = findings.results_of_file(connection, file.id)
    name = os.fsdecode(os.path.basename(file.paths[0])) if file.paths else ""  # noqa: PTH119 - bytes
    found = _Found(connection, file)
    metadata = _metadata(results, len(found.scenes))
    return {
        "schema": SCHEMA,
        "video_id": file.fingerprint,
        "file": name.encode(errors="replace").decode(),
        "size": file.size,
        "duration_s": seconds_from_ms(file.duration_ms),
        "media": msgspec.to_builtins(file.media) if file.media else None,
        "stages": {
            stage: _stage(row)
            for stage, row in sorted(results.items())
            if row.state is StageState.DONE
        },
        "shots": [
            [seconds_from_ms(shot.start_ms), seconds_from_ms(shot.end_ms)]
            for shot in findings.shots_of_file(connection, file.id)
        ],
        "scenes": [
            _scene(file, scene, found, metadata, with_vectors=with_vectors)
            for scene in found.scenes
        ],
    }


def _stage(row: StageResult) -> Any:
    return msgspec.to_builtins(
        Stage(
            version=row.version,
            model=row.model,
            inputs=row.inputs,
            note=row.note,
            cpu_ms=row.cpu_ms,
            finished_at_ms=row.finished_at_ms,
        )
    )


def _metadata(results: Mapping[str, StageResult], scenes: int) -> dict[str, Any]:
    finished_ms = max((row.finished_at_ms for row in results.values()), default=0)
    cpu_ms = sum(row.cpu_ms for row in results.values()) // max(1, scenes)
    return {
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(finished_ms / 1000)),
        "version": RECORD_VERSION,
        "processing_info": {"source_ms": cpu_ms},
    }


def _scene(
    file: File, scene: SceneRow, found: _Found, metadata: dict[str, Any], *, with_vectors: bool
) -> dict[str, Any]:
    texts = found.texts.get(scene.id, [])
    looks, words = found.looks.get(scene.id, []), found.words.get(scene.id, [])
    tags, tracks = found.tags.get(scene.id, []), found.tracks[scene.id]
    made: dict[str, Any] = {
        "video_id": file.fingerprint,
        "scene_id": f"{file.fingerprint}/{scene.number}",
        "start_s": seconds_from_ms(scene.start_ms),
        "end_s": seconds_from_ms(scene.end_ms),
        "duration_s": seconds_from_ms(scene.end_ms - scene.start_ms),
        "still_s": seconds_from_ms(scene.still_ms),
        "provisional": scene.provisional,
        "transcript": _transcript(found.lines[scene.id]),
        "embeddings": {
            "text": _embedding([(model, vector) for model, _part, vector in texts]),
            "vision": _embedding([(model, vector) for model, _at, vector in looks or words]),
        },
        "vision_tags": {name: score for name, score, _at in tags},
        "vision_tags_s": {name: seconds_from_ms(at_ms) for name, _score, at_ms in tags},
        "onscreen_text": [_onscreen(row) for row in found.onscreen[scene.id]],
        "people": [],
        "faces": [_face(number, row) for number, row in enumerate(tracks)],
        "metadata": metadata,
    }
    if looks and words:
        made["embeddings"]["vision_words"] = _embedding([(each[0], each[2]) for each in words])
    if with_vectors and (texts or looks or words or tracks):
        made["vectors"] = _vectors(texts, looks, words, tracks)
    return made


def _transcript(lines: Sequence[LineRow]) -> dict[str, Any]:
    def usual(values: Iterable[str]) -> str:
        return next((value for value, _count in Counter(values).most_common(1)), "")

    return {
        "text": " ".join(line.text for line in lines),
        "segments": [
            msgspec.to_builtins(
                Segment(
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


def _embedding(kept: Sequence[tuple[str, bytes]]) -> dict[str, Any]:
    model, dims = (kept[0][0], len(kept[0][1]) // 2) if kept else ("", 0)
    return {"model": model, "dimensions": dims, "has_embedding": bool(kept)}


def _onscreen(row: OnscreenRow) -> Any:
    return msgspec.to_builtins(
        Onscreen(
            text=row.text,
            start_s=seconds_from_ms(row.start_ms),
            end_s=seconds_from_ms(row.end_ms),
            box=row.box,
            score=row.score,
            subtitle=row.subtitle,
        )
    )


def _face(number: int, row: TrackRow) -> Any:
    def box(one: TrackBox) -> tuple[float, float, float, float, float]:
        return (seconds_from_ms(one.at_ms), one.x, one.y, one.width, one.height)

    return msgspec.to_builtins(
        Face(
            track=number,
            start_s=seconds_from_ms(row.start_ms),
            end_s=seconds_from_ms(row.end_ms),
            frame_count=row.frame_count,
            boxes=[box(one) for one in row.boxes],
            quality=row.quality,
            best_s=seconds_from_ms(row.best_ms),
            model=row.model,
            thumbnail=row.thumbnail,
            reject=row.reject,
        )
    )


def _vectors(
    texts: Sequence[tuple[str, int, bytes]],
    looks: Sequence[tuple[str, int, bytes]],
    words: Sequence[tuple[str, int, bytes]],
    tracks: Sequence[TrackRow],
) -> Any:
    """texts: (model, part, vector) each; looks, words: (model, at_ms, vector) each."""
    parts = [_base64(vector) for _model, _part, vector in texts]
    return msgspec.to_builtins(
        Vectors(
            text=parts[0] if parts else "",
            text_parts=parts[1:],
            vision=[_base64(vector) for _model, _at, vector in looks],
            vision_s=[seconds_from_ms(at_ms) for _model, at_ms, _vector in looks],
            vision_words=[_base64(vector) for _model, _at, vector in words],
            vision_words_s=[seconds_from_ms(at_ms) for _model, at_ms, _vector in words],
            faces=[_base64(row.vector) for row in tracks],
        )
    )


def _base64(vector: bytes) -> str:
    return base64.b64encode(vector).decode()
