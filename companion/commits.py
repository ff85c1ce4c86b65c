"""One stage of one file, kept whole: findings, searchable words and the row that says it is done.

Each function is one transaction, so a kill at any moment leaves a stage either done or not begun.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TypeVar

import apsw

from companion import sidecar
from companion.findings import (
    Finding,
    Line,
    OnscreenText,
    PictureVector,
    Scene,
    Shot,
    Tags,
    TextVector,
    Track,
)
from companion.model import File, LineRow, SceneRow, Source, StageResult
from companion.store import findings, pictures, vectors, words
from companion.store.pictures import OnscreenRow
from scanners.base import STAGES
from scanners.scenes import scenes_from_lines

Kind = TypeVar("Kind", Tags, PictureVector, OnscreenText, Track)


def keep_words(
    connection: apsw.Connection,
    source: Source,
    lines: Sequence[Line],
    result: StageResult,
    duration_ms: int,
) -> None:
    """Keep the lines of a source. Until the picture has been read, scenes are made from the lines,
    so that a film can be searched by its words at once."""
    file_id = result.file_id
    findings.keep_lines(connection, file_id, source, lines)
    scenes = findings.scenes_of_file(connection, file_id)
    if not scenes or scenes[0].provisional:
        spoken = findings.lines_of_file(connection, file_id)
        made = scenes_from_lines(
            [Line(line.start_ms, line.end_ms, line.text) for line in spoken], duration_ms
        )
        findings.keep_scenes(connection, file_id, made, provisional=True)
    index_words(connection, file_id)
    findings.keep_result(connection, result)


def keep_picture(
    connection: apsw.Connection,
    file_id: int,
    found: Sequence[Finding],
    results: Sequence[StageResult],
    spaces: Mapping[str, str],
) -> None:
    """Keep what a finished picture pass found, for the stages that came through.

    Without `scenes` among them, the scenes that are there stay; new ones take with them what no
    stage of this pass has found anew. spaces: space of picture vectors -> identity of the model
    whose vectors they are.
    """
    done = {result.stage: result for result in results}
    if "scenes" in done:
        shots = [each for each in found if isinstance(each, Shot)]
        scenes = [each for each in found if isinstance(each, Scene)]
        findings.keep_shots(connection, file_id, shots)
        findings.keep_scenes(connection, file_id, scenes, provisional=False)
        for stage, info in STAGES.items():
            if info.runs_in == "picture" and stage not in done:
                findings.forget_done(connection, file_id, stage)
    if "picture" in done:
        pictures.keep_tags(connection, file_id, _only(Tags, found))
        pictures.keep_vectors(connection, file_id, _only(PictureVector, found), spaces)
    if "onscreen" in done:
        pictures.keep_onscreen(connection, file_id, _only(OnscreenText, found))
    if "faces" in done:
        pictures.keep_tracks(connection, file_id, _only(Track, found), done["faces"].model)
    index_words(connection, file_id)
    for result in results:
        findings.keep_result(connection, result)
    findings.drop_chunks(connection, file_id)


def keep_vectors(
    connection: apsw.Connection,
    role: str,
    found: Iterable[TextVector],
    result: StageResult,
) -> bool:
    """Keep the text vectors of a file; the old ones of the same role go.

    Returns False, keeping nothing, if the scenes have changed since the stage was asked.
    """
    scenes = {row.number: row.id for row in findings.scenes_of_file(connection, result.file_id)}
    found = list(found)
    if any(vector.scene not in scenes for vector in found):
        return False
    connection.execute(
        "delete from vectors where scene_id in (select id from scenes where file_id = ?)"
        " and model_id in (select id from models where role = ?)",
        (result.file_id, role),
    )
    if found:
        model_id = vectors.model_id(connection, result.model, role, len(found[0].vector) // 2)
        for vector in found:
            vectors.put(connection, model_id, scenes[vector.scene], vector.part, vector.vector)
    findings.keep_result(connection, result)
    return True


def keep_sidecar(connection: apsw.Connection, file: File, path: bytes) -> int:
    """Put what a sidecar holds in place of what the store has; return the number of scenes.

    Raises SidecarError if it cannot be used; nothing is changed then.
    """
    scenes = sidecar.restore(connection, file, path)
    findings.drop_chunks(connection, file.id)
    index_words(connection, file.id)
    return scenes


def index_words(connection: apsw.Connection, file_id: int) -> None:
    """Make the words of every scene of a file searchable. A line that runs over a cut counts for
    the scenes on both sides."""
    spoken = scene_lines(connection, file_id)
    heard = any(lines for _scene, lines in spoken)
    texts = [
        text
        for text in pictures.onscreen_of_file(connection, file_id)
        if not (text.subtitle and heard)  # burned-in subtitles say again what is said
    ]
    for scene, lines in spoken:
        seen = (text for text in texts if _overlaps(text, scene))
        words.index_scene(
            connection,
            scene.id,
            "\n".join(line.text for line in lines),
            "\n".join(text.text for text in seen),
        )


def _overlaps(text: OnscreenRow, scene: SceneRow) -> bool:
    return text.start_ms < scene.end_ms and text.end_ms > scene.start_ms


def _only(kind: type[Kind], found: Iterable[Finding]) -> list[Kind]:
    return [each for each in found if isinstance(each, kind)]


def scene_lines(connection: apsw.Connection, file_id: int) -> list[tuple[SceneRow, list[LineRow]]]:
    """Return every scene of a file with the lines that overlap it, in order."""
    lines = findings.lines_of_file(connection, file_id)
    scenes = findings.scenes_of_file(connection, file_id)
    found: list[tuple[SceneRow, list[LineRow]]] = []
    first = 0
    for scene in scenes:
        while first < len(lines) and lines[first].end_ms <= scene.start_ms:
            first += 1
        inside = []
        for line in islice(lines, first, None):
            if line.start_ms >= scene.end_ms:
                break
            if line.end_ms > scene.start_ms:
                inside.append(line)
        found.append((scene, inside))
    return found
