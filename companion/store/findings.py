"""What stages found: shots, scenes, lines, and the row that says a stage is done.

Each `keep_*` replaces what the stage had found before, so that one call is one stage of one file.
Words of scenes and vectors are kept by `store.words` and `store.vectors`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import apsw
import msgspec

from companion.findings import Finding, Line, Scene, Shot, Word
from companion.model import LineRow, SceneRow, Source, StageResult, StageState

_SCENE = "id, file_id, number, start_ms, end_ms, still_ms, provisional"
_LINE = "id, file_id, start_ms, end_ms, text, language, source, words"
_RESULT = (
    "file_id, stage, version, model, inputs, state, reason, note, attempts, finished_at_ms, cpu_ms,"
    " permanent"
)
LONGEST_LINE_MS = 120_000  # where a scene's lines are looked for; people speak for seconds
LINES_OF_A_SCENE = 60  # on average, of many scenes; a scene is 20 s at most
MAX_LINES = 200_000  # as many as the subtitles stage gives; a long film has some 2,000

_words = msgspec.json.Decoder(tuple[Word, ...])
_findings: msgspec.json.Decoder[tuple[Finding, ...]] = msgspec.json.Decoder(tuple[Finding, ...])


# --- scenes and shots ----------------------------------------------------------------------------


def keep_shots(connection: apsw.Connection, file_id: int, shots: Iterable[Shot]) -> None:
    connection.execute("delete from shots where file_id = ?", (file_id,))
    connection.executemany(
        "insert into shots (file_id, start_ms, end_ms) values (?, ?, ?)",
        ((file_id, shot.start_ms, shot.end_ms) for shot in shots),
    )


def shots_of_file(connection: apsw.Connection, file_id: int) -> list[Shot]:
    rows = connection.execute(
        "select start_ms, end_ms from shots where file_id = ? order by start_ms", (file_id,)
    )
    return [Shot(start, end) for start, end in rows]


def keep_scenes(
    connection: apsw.Connection, file_id: int, scenes: Sequence[Scene], *, provisional: bool
) -> None:
    """Replace the scenes of a file. Their words and vectors go with the old ones."""
    connection.execute(
        "delete from scene_words where rowid in (select id from scenes where file_id = ?)",
        (file_id,),
    )
    connection.execute("delete from scenes where file_id = ?", (file_id,))
    connection.executemany(
        "insert into scenes (file_id, number, start_ms, end_ms, still_ms, provisional)"
        " values (?, ?, ?, ?, ?, ?)",
        (
            (file_id, number, scene.start_ms, scene.end_ms, scene.still_ms, int(provisional))
            for number, scene in enumerate(scenes)
        ),
    )


def scene(connection: apsw.Connection, scene_id: int) -> SceneRow | None:
    row = connection.execute(f"select {_SCENE} from scenes where id = ?", (scene_id,)).fetchone()
    return _scene(row) if row else None


def scene_at(connection: apsw.Connection, file_id: int, ms: int) -> SceneRow | None:
    """Return the scene that plays at `ms`, or the nearest one before it, or the first."""
    row = (
        connection.execute(
            f"select {_SCENE} from scenes where file_id = ? and start_ms <= ?"
            " order by start_ms desc limit 1",
            (file_id, ms),
        ).fetchone()
        or connection.execute(
            f"select {_SCENE} from scenes where file_id = ? order by start_ms limit 1", (file_id,)
        ).fetchone()
    )
    return _scene(row) if row else None


def scenes_of_file(connection: apsw.Connection, file_id: int) -> list[SceneRow]:
    rows = connection.execute(
        f"select {_SCENE} from scenes where file_id = ? order by number", (file_id,)
    )
    return [_scene(row) for row in rows]


# --- lines ---------------------------------------------------------------------------------------


def keep_lines(
    connection: apsw.Connection, file_id: int, source: Source, lines: Iterable[Line]
) -> None:
    """Replace the lines of one source of a file."""
    connection.execute(
        "delete from lines where file_id = ? and source = ?", (file_id, source.value)
    )
    connection.executemany(
        "insert into lines (file_id, start_ms, end_ms, text, language, source, words)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        (
            (
                file_id,
                line.start_ms,
                line.end_ms,
                line.text,
                line.language,
                source.value,
                msgspec.json.encode(line.words).decode() if line.words else "",
            )
            for line in lines
        ),
    )


def lines_of_file(
    connection: apsw.Connection,
    file_id: int,
    start_ms: int | None = None,
    end_ms: int | None = None,
) -> list[LineRow]:
    """Return lines in order of time; with bounds, those that overlap [start_ms, end_ms)."""
    rows = connection.execute(
        f"select {_LINE} from lines where file_id = ? and end_ms > ? and start_ms < ?"
        " order by start_ms, id limit ?",
        (
            file_id,
            -1 if start_ms is None else start_ms,
            2**62 if end_ms is None else end_ms,
            MAX_LINES,
        ),
    )
    return [_line(row) for row in rows]


def scenes_with_lines(
    connection: apsw.Connection, scene_ids: Sequence[int]
) -> dict[int, tuple[SceneRow, tuple[LineRow, ...]]]:
    """Return scenes that are still there, each with the lines that overlap it, in order of time.

    Reads no more of a film than lies around its scenes: a line that began more than LONGEST_LINE_MS
    before a scene is not seen.
    """
    scene = ", ".join(f"scenes.{name}" for name in _SCENE.split(", "))
    line = ", ".join(f"lines.{name}" for name in _LINE.split(", "))
    rows = connection.execute(
        f"select {scene}, {line} from json_each(?) as wanted"
        " cross join scenes on scenes.id = wanted.value"
        " left join lines on lines.file_id = scenes.file_id and lines.start_ms < scenes.end_ms"
        " and lines.start_ms > scenes.start_ms - ? and lines.end_ms > scenes.start_ms"
        " order by wanted.key, lines.start_ms, lines.id limit ?",
        (json.dumps(list(scene_ids)), LONGEST_LINE_MS, len(scene_ids) * LINES_OF_A_SCENE),
    )
    width = len(_SCENE.split(", "))
    found: dict[int, tuple[SceneRow, tuple[LineRow, ...]]] = {}
    for row in rows:
        scene_row, lines = found.get(row[0]) or (_scene(row[:width]), ())
        if row[width] is not None:
            lines = (*lines, _line(row[width:]))
        found[row[0]] = (scene_row, lines)
    return found


# --- stage results -------------------------------------------------------------------------------


def keep_result(connection: apsw.Connection, result: StageResult) -> None:
    connection.execute(
        f"insert or replace into stage_results ({_RESULT})"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            result.file_id,
            result.stage,
            result.version,
            result.model,
            result.inputs,
            result.state.value,
            result.reason,
            result.note,
            result.attempts,
            result.finished_at_ms,
            result.cpu_ms,
            int(result.permanent),
        ),
    )


def keep_failure(connection: apsw.Connection, result: StageResult) -> None:
    """Keep why a stage failed, counting its failures on the same inputs."""
    before = results_of_file(connection, result.file_id).get(result.stage)
    if before is not None and before.state is StageState.FAILED:
        same = (before.version, before.model, before.inputs) == (
            result.version,
            result.model,
            result.inputs,
        )
        result = replace(result, attempts=before.attempts + 1 if same else 1)
    keep_result(connection, result)


def forget_failures(connection: apsw.Connection, reason: str) -> None:
    """Let stages that failed for this reason be tried again."""
    connection.execute("delete from stage_results where state = 'failed' and reason = ?", (reason,))


def forget_done(connection: apsw.Connection, file_id: int, stage: str) -> None:
    """Let a stage be run again, because what it found is gone."""
    connection.execute(
        "delete from stage_results where file_id = ? and stage = ? and state = 'done'",
        (file_id, stage),
    )


def results_of_file(connection: apsw.Connection, file_id: int) -> dict[str, StageResult]:
    rows = connection.execute(f"select {_RESULT} from stage_results where file_id = ?", (file_id,))
    return {row[1]: _result(row) for row in rows}


def all_results(connection: apsw.Connection) -> dict[int, dict[str, StageResult]]:
    """Return file id -> stage -> result, for planning over the whole library."""
    found: dict[int, dict[str, StageResult]] = {}
    for row in connection.execute(f"select {_RESULT} from stage_results"):
        found.setdefault(int(row[0]), {})[row[1]] = _result(row)
    return found


def failures(connection: apsw.Connection, *, limit: int) -> list[StageResult]:
    """Return the latest failures first."""
    rows = connection.execute(
        f"select {_RESULT} from stage_results where state = 'failed'"
        " order by finished_at_ms desc limit ?",
        (limit,),
    )
    return [_result(row) for row in rows]


# --- an unfinished picture pass ------------------------------------------------------------------


def add_chunk(
    connection: apsw.Connection,
    file_id: int,
    signature: str,
    until_ms: int,
    findings: Sequence[Finding],
) -> None:
    """Keep findings of a running pass. signature: what must be the same for them to be of use."""
    connection.execute(
        "insert into chunks (file_id, number, signature, until_ms, findings)"
        " select ?, ifnull(max(number) + 1, 0), ?, ?, ? from chunks where file_id = ?",
        (file_id, signature, until_ms, msgspec.json.encode(findings), file_id),
    )


def chunks(connection: apsw.Connection, file_id: int, signature: str) -> tuple[int, list[Finding]]:
    """Return how far an earlier run of this pass came (0: nothing kept) and what it found."""
    until_ms, found = 0, list[Finding]()
    rows = connection.execute(
        "select until_ms, findings from chunks where file_id = ? and signature = ? order by number",
        (file_id, signature),
    )
    for row in rows:
        until_ms = int(row[0])
        found.extend(_findings.decode(row[1]))
    return until_ms, found


def drop_chunks(connection: apsw.Connection, file_id: int) -> None:
    connection.execute("delete from chunks where file_id = ?", (file_id,))


def _scene(row: Sequence[Any]) -> SceneRow:
    return SceneRow(
        id=row[0],
        file_id=row[1],
        number=row[2],
        start_ms=row[3],
        end_ms=row[4],
        still_ms=row[5],
        provisional=bool(row[6]),
    )


def _line(row: Sequence[Any]) -> LineRow:
    return LineRow(
        id=row[0],
        file_id=row[1],
        start_ms=row[2],
        end_ms=row[3],
        text=row[4],
        language=row[5],
        source=Source(row[6]),
        words=_words.decode(row[7]) if row[7] else (),
    )


def _result(row: Sequence[Any]) -> StageResult:
    return StageResult(
        file_id=row[0],
        stage=row[1],
        version=row[2],
        model=row[3],
        inputs=row[4],
        state=StageState(row[5]),
        reason=row[6],
        note=row[7],
        attempts=row[8],
        finished_at_ms=row[9],
        cpu_ms=row[10],
        permanent=bool(row[11]),
    )
