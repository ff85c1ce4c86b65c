"""The sidecar: complete, atomic, tolerant, and never trusted."""

import itertools
import json
import os
import struct
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from hypothesis import given, strategies as st

from companion import commits, record, sidecar
from companion.findings import (
    Line,
    OnscreenText,
    PictureVector,
    Scene,
    Tags,
    TextVector,
    Track,
    TrackBox,
    Word,
)
from companion.model import File, Source
from companion.store import findings, library, vectors
from companion.store.db import connect, migrate, transaction
from tests import shelf

LINES = (
    Line(
        61_400,
        63_000,
        "Dad falls into the lake.",
        "en",
        (Word(61_400, "Dad"), Word(61_900, "falls")),
    ),
    Line(63_100, 64_000, 'He said "careful" — 조심해!', "ko"),
    Line(79_900, 80_200, "Over the cut", "en"),
)
SCENES = (Scene(0, 61_200, 30_000), Scene(61_200, 80_000, 62_001), Scene(80_000, 99_999, 81_000))


def half(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}e", *numbers)


VECTORS = (
    TextVector(1, 0, half(0.6, 0.8)),
    TextVector(1, 1, half(-0.28, 0.96)),
    TextVector(2, 0, half(1.0, 6e-8)),
)


@pytest.fixture
def connection(tmp_path: Path) -> apsw.Connection:
    made = connect(tmp_path / "store.db")
    migrate(made, None)
    return made


@pytest.fixture
def film(tmp_path: Path, connection: apsw.Connection) -> File:
    (tmp_path / "films").mkdir()
    path = tmp_path / "films" / "Lake.mkv"
    path.write_bytes(b"not really a film, but with a content of its own")
    with transaction(connection):
        return shelf.put_film(connection, path)


def filled(connection: apsw.Connection, film: File) -> File:
    with transaction(connection):
        shelf.fill(connection, film, lines=LINES, scenes=SCENES, vectors=VECTORS)
    again = library.file(connection, film.id)
    assert again is not None
    return again


def place_of(film: File) -> bytes:
    place = sidecar.beside(film.paths[0])
    assert place is not None
    return place


def everything(connection: apsw.Connection, table: str, columns: str) -> list[Any]:
    return list(connection.execute(f"select {columns} from {table} order by {columns}"))


def state(connection: apsw.Connection) -> dict[str, list[Any]]:
    return {
        "shots": everything(connection, "shots", "start_ms, end_ms"),
        "scenes": everything(
            connection, "scenes", "number, start_ms, end_ms, still_ms, provisional"
        ),
        "lines": everything(connection, "lines", "start_ms, end_ms, text, language, source, words"),
        "vectors": everything(
            connection,
            "vectors join scenes on scenes.id = scene_id join models on models.id = model_id",
            "number, identity, role, dims, part, v, ifnull(vectors.at_ms, -1)",
        ),
        "tags": everything(
            connection, "tags join scenes on scenes.id = scene_id", "number, name, score, at_ms"
        ),
        "onscreen": everything(
            connection,
            "onscreen_texts",
            "start_ms, end_ms, text, x, y, width, height, score, subtitle",
        ),
        "tracks": everything(
            connection,
            "tracks join models on models.id = model_id",
            "start_ms, end_ms, frame_count, boxes, quality, best_ms, thumbnail, reject, v, "
            "identity",
        ),
        "media": everything(connection, "files", "fingerprint, media"),
        "stages": everything(
            connection,
            "stage_results",
            "stage, version, model, inputs, state, note, finished_at_ms, cpu_ms",
        ),
    }


def test_a_sidecar_rebuilds_scenes_lines_and_vectors_to_the_bit(
    connection: apsw.Connection, film: File, tmp_path: Path
) -> None:
    full = filled(connection, film)
    before = state(connection)
    sidecar.write(place_of(full), record.record(connection, full))

    fresh = connect(tmp_path / "fresh.db")
    migrate(fresh, None)
    with transaction(fresh):
        again = shelf.put_film(fresh, full.paths[0])
        assert commits.keep_sidecar(fresh, again, place_of(full)) == 3
    assert state(fresh) == before
    assert len(before["vectors"]) == 3


def test_a_restored_film_is_found_by_its_words(connection: apsw.Connection, film: File) -> None:
    full = filled(connection, film)
    sidecar.write(place_of(full), record.record(connection, full))
    with transaction(connection):
        connection.execute("delete from scenes")
        commits.keep_sidecar(connection, full, place_of(full))
    row = connection.execute(
        "select number from scenes where id in (select rowid from scene_words where scene_words"
        " match 'lake')"
    ).fetchall()
    assert row == [(1,)]


SEEN = (
    Tags(at_ms=30_000, tags=(("lakeside", 0.71), ("canoe", 0.1234567890123))),
    Tags(at_ms=81_000, tags=(("lakeside", 0.2),)),
    PictureVector(at_ms=30_000, space="looks", vector=half(0.0, 0.6, 0.8)),
    PictureVector(at_ms=31_000, space="looks", vector=half(1.0, 0.0, 0.0)),
    PictureVector(at_ms=30_000, space="words", vector=half(0.8, 0.6)),
    PictureVector(at_ms=62_000, space="words", vector=half(-1.0, 0.0)),
    OnscreenText(
        start_ms=62_000,
        end_ms=64_001,
        text="EXIT 출구",
        box=(0.1, 0.8, 0.333333333333, 0.1),
        score=0.987,
    ),
    OnscreenText(
        start_ms=79_000,
        end_ms=82_000,
        text="over the cut",
        box=(0, 0, 1, 1),
        score=1,
        subtitle=True,
    ),
    Track(
        start_ms=61_500,
        end_ms=66_000,
        frame_count=2,
        boxes=(TrackBox(61_500, 0.4, 0.2, 0.1, 0.2), TrackBox(62_500, -0.01, 0.2, 0.1, 0.2)),
        quality=0.8,
        best_ms=62_500,
        vector=half(0.6, 0.8),
        thumbnail="face-62500-0.jpg",
    ),
    Track(
        start_ms=90_000,
        end_ms=91_000,
        frame_count=1,
        boxes=(),
        quality=0.1,
        best_ms=90_000,
        vector=half(1.0, 0.0),
        reject="too small",
    ),
)


def test_what_the_picture_shows_comes_back_to_the_bit(
    connection: apsw.Connection, film: File, tmp_path: Path
) -> None:
    with transaction(connection):
        shelf.fill(connection, film, lines=LINES, scenes=SCENES, vectors=VECTORS, seen=SEEN)
    full = library.file(connection, film.id) or film
    before = state(connection)
    sidecar.write(place_of(full), record.record(connection, full))
    fresh = connect(tmp_path / "fresh.db")
    migrate(fresh, None)
    with transaction(fresh):
        again = shelf.put_film(fresh, full.paths[0])
        commits.keep_sidecar(fresh, again, place_of(full))
    assert state(fresh) == before
    assert [len(before[table]) for table in ("tags", "onscreen", "tracks")] == [3, 2, 2]
    assert len(before["vectors"]) == len(VECTORS) + 4


def test_the_record_says_what_is_seen_and_where(connection: apsw.Connection, film: File) -> None:
    with transaction(connection):
        shelf.fill(connection, film, lines=LINES, scenes=SCENES, seen=SEEN)
    scenes = record.record(connection, film)["scenes"]
    assert scenes[0]["vision_tags"] == {"lakeside": 0.71, "canoe": 0.1234567890123}
    assert scenes[0]["embeddings"]["vision"]["dimensions"] == 3
    assert scenes[1]["onscreen_text"][0]["text"] == "EXIT 출구"
    assert scenes[1]["faces"][0]["boxes"][1] == (62.5, -0.01, 0.2, 0.1, 0.2)
    assert scenes[2]["faces"][0]["reject"] == "too small"


def test_text_in_the_picture_is_found_but_not_what_is_said_again(
    connection: apsw.Connection, film: File
) -> None:
    with transaction(connection):
        shelf.fill(connection, film, lines=LINES, scenes=SCENES, seen=SEEN)
    asked = "select count(*) from scene_words where scene_words match ?"
    found = [connection.execute(asked, (word,)).fetchall()[0][0] for word in ("exit", "over")]
    assert found == [1, 2]  # the line over the cut counts for two scenes; its caption for none


def test_the_record_has_the_shape_that_readers_know(
    connection: apsw.Connection, film: File
) -> None:
    full = filled(connection, film)
    made = record.record(connection, full)
    assert made["schema"] == 1
    assert next(iter(made)) == "schema"
    assert made["video_id"] == full.fingerprint
    assert made["file"] == "Lake.mkv"
    scene = made["scenes"][1]
    assert scene["scene_id"] == f"{full.fingerprint}/1"
    assert (scene["start_s"], scene["end_s"], scene["duration_s"]) == (61.2, 80.0, 18.8)
    assert scene["transcript"]["text"].startswith("Dad falls into the lake. He said")
    assert scene["transcript"]["segments"][0] == {
        "start_s": 61.4,
        "end_s": 63.0,
        "text": "Dad falls into the lake.",
        "language": "en",
        "source": "subtitle",
        "words": [(61.4, "Dad"), (61.9, "falls")],
    }
    assert scene["embeddings"]["text"] == {
        "model": "toy@000001",
        "dimensions": 2,
        "has_embedding": True,
    }
    assert scene["people"] == []
    assert set(scene["metadata"]) == {"created_at", "version", "processing_info"}


def test_the_record_may_leave_the_vectors_out(connection: apsw.Connection, film: File) -> None:
    made = record.record(connection, filled(connection, film), with_vectors=False)
    assert all("vectors" not in scene for scene in made["scenes"])
    assert made["scenes"][1]["embeddings"]["text"]["has_embedding"]


def test_every_line_stands_in_one_scene_only(connection: apsw.Connection, film: File) -> None:
    made = record.record(connection, filled(connection, film))
    texts = [
        segment["text"] for scene in made["scenes"] for segment in scene["transcript"]["segments"]
    ]
    assert sorted(texts) == sorted(line.text for line in LINES)


def test_keys_of_others_survive_a_new_write(connection: apsw.Connection, film: File) -> None:
    full = filled(connection, film)
    made = record.record(connection, full)
    sidecar.write(place_of(full), {**made, "rating_of_a_tool": 5})
    sidecar.write(place_of(full), made)
    kept = json.loads(Path(os.fsdecode(place_of(full))).read_bytes())
    assert kept["rating_of_a_tool"] == 5
    assert kept["schema"] == 1


def test_keys_of_another_film_do_not(connection: apsw.Connection, film: File) -> None:
    full = filled(connection, film)
    made = record.record(connection, full)
    sidecar.write(place_of(full), {**made, "video_id": "fp:other", "note": 1})
    sidecar.write(place_of(full), made)
    assert "note" not in json.loads(Path(os.fsdecode(place_of(full))).read_bytes())


def test_writing_leaves_nothing_else_behind(connection: apsw.Connection, film: File) -> None:
    full = filled(connection, film)
    sidecar.write(place_of(full), record.record(connection, full))
    names = sorted(path.name for path in Path(os.fsdecode(full.paths[0])).parent.iterdir())
    assert names == [".Lake.mkv.scenes.json", "Lake.mkv"]


def test_a_write_that_fails_keeps_the_old_one(
    connection: apsw.Connection, film: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = filled(connection, film)
    made = record.record(connection, full)
    sidecar.write(place_of(full), made)

    def no_space(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        sidecar.write(place_of(full), {**made, "file": "half"})
    monkeypatch.undo()
    folder = Path(os.fsdecode(full.paths[0])).parent
    assert json.loads(Path(os.fsdecode(place_of(full))).read_bytes())["file"] == "Lake.mkv"
    assert not [path for path in folder.iterdir() if path.name.endswith(".part")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is damaged"),
        (b"{", "is damaged"),
        (b"[]", "is damaged"),
        (b'{"schema": 1}', "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b'{"schema": "one", "video_id": "x", "scenes": []}', "is damaged"),
        (b'{"schema": 2, "video_id": "x", "scenes": []}', "newer version"),
        (b'{"schema": 1, "video_id": "fp:other", "scenes": []}', "another film"),
        (b"[" * 100_000, "is damaged"),
    ],
)
def test_a_sidecar_that_cannot_be_used_says_why(
    connection: apsw.Connection, film: File, content: bytes, reason: str
) -> None:
    full = filled(connection, film)
    before = state(connection)
    Path(os.fsdecode(place_of(full))).write_bytes(content)
    with pytest.raises(sidecar.SidecarError, match=reason), transaction(connection):
        sidecar.restore(connection, full, place_of(full))
    assert state(connection) == before


def broken(made: dict[str, Any], **changes: Any) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(msgspec.json.encode(made))
    copy["scenes"][1].update(changes)
    return copy


@pytest.mark.parametrize(
    "changes",
    [
        {"start_s": 90.0},
        {"start_s": -1.0},
        {"end_s": 1e300},
        {"vectors": {"text": "AAAA"}},
        {"vectors": {"text": "no base64 at all!"}},
        {"vectors": {"text": "AHwAfA=="}},
        {"transcript": {"text": "", "segments": [{"start_s": "x", "end_s": 1, "text": ""}]}},
    ],
)
def test_hostile_numbers_change_nothing(
    connection: apsw.Connection, film: File, changes: dict[str, Any]
) -> None:
    full = filled(connection, film)
    before = state(connection)
    made = broken(record.record(connection, full), **changes)
    Path(os.fsdecode(place_of(full))).write_bytes(json.dumps(made).encode())
    with pytest.raises(sidecar.SidecarError), transaction(connection):
        sidecar.restore(connection, full, place_of(full))
    assert state(connection) == before


def test_a_sidecar_larger_than_any_real_one_is_not_read(
    film: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(os.fsdecode(place_of(film))).write_bytes(b" " * 2_000)
    monkeypatch.setattr(sidecar, "MAX_BYTES", 1_000)
    assert sidecar.video_id(place_of(film)) == ""


def test_the_name_is_a_dot_file_that_keeps_the_extension() -> None:
    assert sidecar.beside(b"/m/Night Train (1984).mkv") == b"/m/.Night Train (1984).mkv.scenes.json"


def test_a_name_that_would_be_too_long_goes_to_the_mirror() -> None:
    assert sidecar.beside(b"/m/" + b"x" * 240 + b".mkv") is None
    place = sidecar.mirrored(Path("/data/sidecars"), "fp:12")
    assert place.startswith(b"/data/sidecars/")
    assert len(os.path.basename(place)) < 60


def test_only_the_films_own_sidecar_is_discarded(connection: apsw.Connection, film: File) -> None:
    full = filled(connection, film)
    place = place_of(full)
    sidecar.write(place, record.record(connection, full))
    assert not sidecar.discard(place, "fp:other")
    assert Path(os.fsdecode(place)).exists()
    assert sidecar.discard(place, full.fingerprint)
    assert not Path(os.fsdecode(place)).exists()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
TIMES = st.integers(0, 9_000_000)
LINE = st.builds(
    lambda start, length, text, said: Line(
        start, start + length, text, "en", tuple(Word(start, word) for word in said)
    ),
    TIMES,
    st.integers(0, 9_000),
    TEXT,
    st.lists(TEXT, max_size=3),
)


@given(st.lists(LINE, max_size=12), st.lists(st.integers(1, 30_000), min_size=1, max_size=8))
def test_any_lines_and_scenes_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Line], lengths: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    path = folder / "Any.mkv"
    path.write_bytes(os.urandom(8))
    edges = [sum(lengths[:count]) for count in range(len(lengths) + 1)]
    scenes = [Scene(start, end, start) for start, end in itertools.pairwise(edges)]
    one, two = connect(folder / "one.db"), connect(folder / "two.db")
    for made in (one, two):
        migrate(made, None)
    with transaction(one):
        film = shelf.put_film(one, path)
        shelf.fill(one, film, lines=lines, scenes=scenes)
        film = library.file(one, film.id) or film
        sidecar.write(place_of(film), record.record(one, film))
    with transaction(two):
        commits.keep_sidecar(two, shelf.put_film(two, path), place_of(film))
    assert state(two) == state(one)
    one.close()
    two.close()


def test_a_line_over_a_cut_counts_for_both_scenes(connection: apsw.Connection, film: File) -> None:
    full = filled(connection, film)
    spoken = commits.scene_lines(connection, full.id)
    assert [len(lines) for _scene, lines in spoken] == [0, 3, 1]


def test_vectors_of_scenes_that_have_changed_are_not_kept(
    connection: apsw.Connection, film: File
) -> None:
    full = filled(connection, film)
    with transaction(connection):
        kept = commits.keep_vectors(
            connection,
            "meaning",
            [TextVector(77, 0, half(1.0, 0.0))],
            shelf.result(full.id, "meaning", model="toy@000001"),
        )
    assert not kept
    assert len(vectors.of_file(connection, full.id, "meaning")) == 2


def test_until_the_picture_is_read_scenes_are_made_of_lines(
    connection: apsw.Connection, film: File
) -> None:
    with transaction(connection):
        shelf.fill(connection, film, lines=LINES)
    scenes = findings.scenes_of_file(connection, film.id)
    assert scenes
    assert all(scene.provisional for scene in scenes)
    with transaction(connection):
        commits.keep_words(
            connection, Source.SUBTITLE, (), shelf.result(film.id, "subtitles"), duration_ms=60_000
        )
    assert findings.scenes_of_file(connection, film.id) == []
