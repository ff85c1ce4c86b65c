"""Films put into a store by hand, for tests of flows that need no folder connector."""

import os
from collections.abc import Sequence
from pathlib import Path

import apsw

from companion import commits, identity
from companion.findings import Finding, Line, MediaInfo, Scene, Shot, TextVector
from companion.model import (
    File,
    ItemKind,
    LibraryKind,
    ListedItem,
    ListedLibrary,
    ListedPart,
    SideFileRow,
    Source,
    StageResult,
    StageState,
)
from companion.store import library
from scanners.base import STAGES

SPACES = {"looks": "pictures@000001", "words": "pictures@000001+toy@000001"}
FACES = "faces@000001"
NOW_MS = 1_700_000_000_000


def put_film(
    connection: apsw.Connection,
    path: Path | bytes,
    *,
    title: str = "A film",
    side_files: Sequence[SideFileRow] = (),
    fingerprint: str = "",
) -> File:
    """Keep a film that lies at a path as one movie of the library "Films"."""
    place = path if isinstance(path, bytes) else os.fsencode(path)
    stat = identity.stat(place)
    now_ms = NOW_MS
    server = library.save_server(connection, kind="folder", name="folders", now_ms=now_ms)
    listed = ListedLibrary(external_id="films", name="Films", kind=LibraryKind.MOVIES)
    library_id = library.save_library(connection, server, listed)
    file_id = library.save_file(
        connection,
        fingerprint=fingerprint or identity.fingerprint(place, stat),
        size=stat.size,
        now_ms=now_ms,
    )
    path_id = library.save_path(connection, place, stat, file_id=file_id, now_ms=now_ms)
    library.save_side_files(connection, path_id, side_files)
    item = ListedItem(
        external_id=os.fsdecode(place).encode(errors="replace").decode(),
        kind=ItemKind.MOVIE,
        title=title,
        parts=(ListedPart(path=place),),
        added_at_ms=now_ms,
    )
    library.save_item(connection, library_id, item, {place: path_id})
    file = library.file(connection, file_id)
    assert file is not None
    return file


def result(file_id: int, stage: str, *, model: str = "", at_ms: int = NOW_MS) -> StageResult:
    """Return the row of a finished stage."""
    return StageResult(
        file_id=file_id,
        stage=stage,
        version=STAGES[stage].version if stage in STAGES else 1,
        model=model,
        inputs="",
        state=StageState.DONE,
        reason="",
        note=f"{stage} by hand",
        attempts=1,
        finished_at_ms=at_ms,
        cpu_ms=7,
    )


def fill(
    connection: apsw.Connection,
    file: File,
    *,
    lines: Sequence[Line] = (),
    scenes: Sequence[Scene] = (),
    vectors: Sequence[TextVector] = (),
    seen: Sequence[Finding] = (),
    model: str = "toy@000001",
) -> None:
    """Keep findings of a film as if its stages had found them."""
    library.keep_media(connection, file.id, MediaInfo(container="matroska", duration_ms=60_000))
    commits.keep_words(
        connection, Source.SUBTITLE, lines, result(file.id, "subtitles"), duration_ms=60_000
    )
    if scenes:
        shots = [Shot(scene.start_ms, scene.end_ms) for scene in scenes]
        rows = [result(file.id, "shots"), result(file.id, "scenes")]
        if seen:
            rows += [result(file.id, stage) for stage in ("picture", "onscreen")]
            rows.append(result(file.id, "faces", model=FACES))
        commits.keep_picture(connection, file.id, [*shots, *scenes, *seen], rows, SPACES)
    if vectors:
        assert commits.keep_vectors(
            connection, "meaning", vectors, result(file.id, "meaning", model=model)
        )
