"""What the picture shows: tags, vectors of frames, on-screen text, face tracks.

Everything belongs to the scene that its time lies in, so findings name a time and never a row.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from companion.findings import OnscreenText, PictureVector, Tags, Track, TrackBox
from companion.model import SceneRow
from companion.store import findings, vectors

MAX_TEXTS = 20_000  # of a film
LONGEST_TEXT_MS = 120_000  # before a scene, where texts that are shown in it are looked for
TEXTS_OF_A_SCENE = 40  # on average, of many scenes

Box = tuple[float, float, float, float]
"""x, y, width, height as fractions of the picture."""

_boxes = msgspec.json.Decoder(tuple[TrackBox, ...])


@dataclass(frozen=True, slots=True, kw_only=True)
class OnscreenRow:
    """Text in the picture. subtitle: it is burned-in speech."""

    id: int
    start_ms: int
    end_ms: int
    text: str
    box: Box
    score: float
    subtitle: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRow:
    """A face through a shot. vector: float16. reject: why it is too poor to be named."""

    id: int
    file_id: int
    model: str
    start_ms: int
    end_ms: int
    frame_count: int
    boxes: tuple[TrackBox, ...]
    quality: float
    best_ms: int
    thumbnail: str
    reject: str
    vector: bytes


class _At:
    """Finds the scene of a file that plays at a time."""

    def __init__(self, scenes: Sequence[SceneRow]) -> None:
        self._scenes = scenes
        self._starts = [scene.start_ms for scene in scenes]

    def __call__(self, ms: int) -> SceneRow:
        return self._scenes[max(0, bisect_right(self._starts, ms) - 1)]


# --- tags and vectors ----------------------------------------------------------------------------


def keep_tags(connection: apsw.Connection, file_id: int, found: Iterable[Tags]) -> None:
    """Replace the tags of a file; of a scene's frames the best score counts."""
    scenes = findings.scenes_of_file(connection, file_id)
    connection.execute(
        "delete from tags where scene_id in (select id from scenes where file_id = ?)", (file_id,)
    )
    if not scenes:
        return
    at = _At(scenes)
    connection.executemany(
        "insert into tags (scene_id, name, score, at_ms) values (?, ?, ?, ?)"
        " on conflict do update set score = excluded.score, at_ms = excluded.at_ms"
        " where excluded.score > score",
        [
            (at(each.at_ms).id, name, score, each.at_ms)
            for each in found
            for name, score in each.tags
        ],
    )


def tags_of_file(
    connection: apsw.Connection, file_id: int
) -> dict[int, list[tuple[str, float, int]]]:
    """Return (name, score, at_ms) of the tags of each scene, best first, by scene id."""
    found: dict[int, list[tuple[str, float, int]]] = {}
    rows = connection.execute(
        "select scene_id, name, score, at_ms from tags"
        " where scene_id in (select id from scenes where file_id = ?)"
        " order by scene_id, score desc, name",
        (file_id,),
    )
    for scene_id, name, score, at_ms in rows:
        found.setdefault(scene_id, []).append((name, score, at_ms))
    return found


def keep_vectors(
    connection: apsw.Connection,
    file_id: int,
    found: Iterable[PictureVector],
    identities: Mapping[str, str],
) -> None:
    """Replace the picture vectors of a file.

    identities: space -> identity of the model whose vectors they are; the role is the space's name
    with "picture " before it.
    """
    scenes = findings.scenes_of_file(connection, file_id)
    connection.execute(
        "delete from vectors where scene_id in (select id from scenes where file_id = ?)"
        " and model_id in (select id from models where role like 'picture %')",
        (file_id,),
    )
    if not scenes:
        return
    at = _At(scenes)
    parts: dict[tuple[int, str], int] = {}
    for each in found:
        scene = at(each.at_ms)
        part = parts.get((scene.id, each.space), 0)
        parts[scene.id, each.space] = part + 1
        model_id = vectors.model_id(
            connection, identities[each.space], role_of(each.space), len(each.vector) // 2
        )
        vectors.put(connection, model_id, scene.id, part, each.vector, at_ms=each.at_ms)


def vectors_of_file(
    connection: apsw.Connection, file_id: int, space: str
) -> dict[int, list[tuple[str, int, bytes]]]:
    """Return (model identity, at_ms, float16 bytes) of every frame's vector, by scene id."""
    found: dict[int, list[tuple[str, int, bytes]]] = {}
    rows = connection.execute(
        "select scene_id, models.identity, ifnull(vectors.at_ms, 0), v from vectors"
        " join models on models.id = vectors.model_id"
        " where scene_id in (select id from scenes where file_id = ?) and models.role = ?"
        " order by scene_id, models.id, part",
        (file_id, role_of(space)),
    )
    for scene_id, identity, at_ms, v in rows:
        vector = vectors.float16_from_float32(v)
        found.setdefault(scene_id, []).append((identity, at_ms, vector))
    return found


def looks_of_scene(connection: apsw.Connection, scene_id: int) -> list[tuple[str, bytes]]:
    """Return (model identity, float16 bytes) of a scene's frames, to be compared with pictures.

    They are all of one model, the one that looked last: of the space "looks", or of the one that
    it shares with words if it has no other.
    """
    rows: list[Any] = connection.execute(
        "select models.id, models.role, models.identity, v from vectors"
        " join models on models.id = vectors.model_id"
        " where scene_id = ? and models.role like 'picture %' order by models.id, part",
        (scene_id,),
    ).fetchall()
    looks = [row for row in rows if row[1] == role_of("looks")] or rows
    last = max((row[0] for row in looks), default=None)
    return [(row[2], vectors.float16_from_float32(row[3])) for row in looks if row[0] == last]


def role_of(space: str) -> str:
    """Return the role under which the models of a space are known."""
    return f"picture {space}"


# --- text in the picture -------------------------------------------------------------------------


def keep_onscreen(connection: apsw.Connection, file_id: int, found: Iterable[OnscreenText]) -> None:
    connection.execute("delete from onscreen_texts where file_id = ?", (file_id,))
    connection.executemany(
        "insert into onscreen_texts (file_id, start_ms, end_ms, text, x, y, width, height, score,"
        " subtitle) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (file_id, each.start_ms, each.end_ms, each.text, *each.box, each.score, each.subtitle)
            for each in found
        ],
    )


def onscreen_of_file(
    connection: apsw.Connection,
    file_id: int,
    start_ms: int | None = None,
    end_ms: int | None = None,
) -> list[OnscreenRow]:
    """Return texts in order of time; with bounds, those that overlap [start_ms, end_ms)."""
    rows = connection.execute(
        f"select {_TEXT} from onscreen_texts"
        " where file_id = ? and end_ms > ? and start_ms < ? order by start_ms, id limit ?",
        (
            file_id,
            -1 if start_ms is None else start_ms,
            2**62 if end_ms is None else end_ms,
            MAX_TEXTS,
        ),
    )
    return [_text(row) for row in rows]


def onscreen_of_scenes(
    connection: apsw.Connection, scene_ids: Iterable[int]
) -> dict[int, list[OnscreenRow]]:
    """Return what is written in each scene, in order of time, as its words are indexed: without
    burned-in subtitles where somebody was heard.

    A text that has stood for more than LONGEST_TEXT_MS before a scene is not seen.
    """
    text = ", ".join(f"texts.{name}" for name in _TEXT.split(", "))
    wanted = list(scene_ids)
    rows = connection.execute(
        f"select scenes.id, {text} from json_each(?) as wanted"
        " cross join scenes on scenes.id = wanted.value"
        " cross join onscreen_texts as texts on texts.file_id = scenes.file_id"
        " and texts.start_ms < scenes.end_ms and texts.start_ms > scenes.start_ms - ?"
        " and texts.end_ms > scenes.start_ms"
        " where not (texts.subtitle and exists ("
        "  select 1 from lines where lines.file_id = scenes.file_id))"
        " order by wanted.key, texts.start_ms, texts.id limit ?",
        (json.dumps(wanted), LONGEST_TEXT_MS, len(wanted) * TEXTS_OF_A_SCENE),
    )
    found: dict[int, list[OnscreenRow]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(_text(row[1:]))
    return found


_TEXT = "id, start_ms, end_ms, text, x, y, width, height, score, subtitle"


def _text(row: Sequence[Any]) -> OnscreenRow:
    return OnscreenRow(
        id=row[0],
        start_ms=row[1],
        end_ms=row[2],
        text=row[3],
        box=(row[4], row[5], row[6], row[7]),
        score=row[8],
        subtitle=bool(row[9]),
    )


# --- faces ---------------------------------------------------------------------------------------


def keep_tracks(
    connection: apsw.Connection, file_id: int, found: Iterable[Track], model: str
) -> None:
    """Replace the face tracks of a file. model: identity of the embedder of their vectors."""
    connection.execute("delete from tracks where file_id = ?", (file_id,))
    for each in found:
        known = each.vector != b""  # what is too poor to be named has none
        dims = len(each.vector) // 2
        connection.execute(
            "insert into tracks (file_id, model_id, start_ms, end_ms, frame_count, boxes, quality,"
            " best_ms, thumbnail, reject, v) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                file_id,
                vectors.model_id(connection, model, "face", dims) if known else None,
                each.start_ms,
                each.end_ms,
                each.frame_count,
                msgspec.json.encode(each.boxes).decode(),
                each.quality,
                each.best_ms,
                each.thumbnail,
                each.reject,
                vectors.float32_from_float16(each.vector) if known else b"",
            ),
        )


def tracks_of_file(
    connection: apsw.Connection,
    file_id: int,
    start_ms: int | None = None,
    end_ms: int | None = None,
) -> list[TrackRow]:
    """Return tracks in order of time; with bounds, those that overlap [start_ms, end_ms)."""
    rows = connection.execute(
        "select tracks.id, file_id, ifnull(models.identity, ''), start_ms, end_ms, frame_count,"
        " boxes, quality, best_ms, thumbnail, reject, v"
        " from tracks left join models on models.id = model_id"
        " where file_id = ? and end_ms > ? and start_ms < ? order by start_ms, tracks.id",
        (file_id, -1 if start_ms is None else start_ms, 2**62 if end_ms is None else end_ms),
    )
    return [
        TrackRow(
            id=row[0],
            file_id=row[1],
            model=row[2],
            start_ms=row[3],
            end_ms=row[4],
            frame_count=row[5],
            boxes=_boxes.decode(row[6]),
            quality=row[7],
            best_ms=row[8],
            thumbnail=row[9],
            reject=row[10],
            vector=vectors.float16_from_float32(row[11]) if row[11] else b"",
        )
        for row in rows
    ]
