"""One stage of one file, kept whole: findings, searchable words and the row that says it is done.

Each function is one transaction, so a kill at any moment leaves a stage either done or not begun.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

import apsw

from companion import sidecar
from companion.findings import Line, Scene, Shot, TextVector
from companion.model import File, LineRow, SceneRow, Source, StageResult
from companion.store import findings, vectors, words
from scanners.scenes import scenes_from_lines


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
    shots: Sequence[Shot],
    scenes: Sequence[Scene],
    results: Iterable[StageResult],
) -> None:
    """Keep what a finished picture pass found."""
    findings.keep_shots(connection, file_id, shots)
    findings.keep_scenes(connection, file_id, scenes, provisional=False)
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
    for scene, lines in scene_lines(connection, file_id):
        words.index_scene(connection, scene.id, "\n".join(line.text for line in lines))


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
