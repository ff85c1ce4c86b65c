"""Codes in memory follow the rows, whatever comes and goes."""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import numpy as np
import pytest
from hypothesis import given, strategies as st

from companion.store import codes as module, db, vectors
from companion.store.codes import Codes, Mask
from tests import talk

DIMS = 16

steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "replace", "remove", "drop film", "look"]), st.integers(0, 9)
    ),
    max_size=30,
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = db.connect(tmp_path / "codes.db")
    db.migrate(connection, None)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apsw.Connection]:
    connection = db.connect(tmp_path_factory.mktemp("codes") / "codes.db")
    db.migrate(connection, None)
    yield connection
    connection.close()


def vector(source: random.Random) -> bytes:
    return talk.unit([source.gauss(0, 1) for _ in range(DIMS)])


def film(connection: apsw.Connection, number: int) -> int:
    """Return the id of the only scene of a film, which is made if it is not there."""
    file = talk.put_file(connection, f"Film {number}")
    connection.execute(
        "insert or ignore into scenes values (null, ?, 0, 0, 1000, 0, 0)", (file.id,)
    )
    row = connection.execute("select id from scenes where file_id = ?", (file.id,)).fetchone()
    assert row is not None
    return int(row[0])


def truth(connection: apsw.Connection, model: int, code: bytes) -> list[tuple[int, int]]:
    """Return (distance, id) of every row, as sqlite-vec takes it."""
    rows = connection.execute(
        "select vec_distance_hamming(vec_bit(code), vec_bit(?)), id from vectors"
        " where model_id = ?",
        (code, model),
    )
    return sorted((int(distance), vector_id) for distance, vector_id in rows)


def check(connection: apsw.Connection, held: Codes, model: int, code: bytes, least: int) -> None:
    found = held.candidates(connection, model, code, least)
    assert found is not None
    every = truth(connection, model, code)
    assert len(found) >= min(least, len(every))
    reach = every[min(least, len(every)) - 1][0] if every else 0
    assert sorted(found) == sorted(each for distance, each in every if distance <= reach)


@given(steps, st.integers(1, 8))
def test_whatever_comes_and_goes_the_codes_are_those_of_the_rows(
    shared: apsw.Connection, drawn: list[tuple[str, int]], least: int
) -> None:
    source = random.Random(f"{drawn}")
    shared.execute("delete from files")
    shared.execute("delete from items")
    model = vectors.model_id(shared, "m@1", "meaning", DIMS)
    other = vectors.model_id(shared, "m@2", "meaning", DIMS)
    held = Codes()
    for step, number in drawn:
        if step in ("add", "replace"):
            part = shared.execute("select count(*) from vectors").fetchone() if step == "add" else 0
            vectors.put(shared, model, film(shared, number), part[0] if part else 0, vector(source))
            vectors.put(shared, other, film(shared, number), 0, vector(source))
        elif step == "remove":
            shared.execute("delete from vectors where id % 10 = ?", (number,))
        elif step == "drop film":
            shared.execute("delete from scenes where id % 10 = ?", (number,))
        check(shared, held, model, vectors.sign_code(vector(source)), least)
    check(shared, held, other, vectors.sign_code(vector(source)), least)


def test_counts_tell_how_many_vectors_a_model_has(connection: apsw.Connection) -> None:
    source = random.Random(1)
    model = vectors.model_id(connection, "m@1", "meaning", DIMS)
    for number in range(4):
        vectors.put(connection, model, film(connection, number), 0, vector(source))
    vectors.put(connection, model, film(connection, 0), 0, vector(source))
    connection.execute("delete from scenes where id = ?", (film(connection, 1),))
    counts = connection.execute("select added, removed from models").fetchone()
    assert counts == (5, 2)


def test_only_new_rows_are_read(connection: apsw.Connection) -> None:
    source = random.Random(2)
    model = vectors.model_id(connection, "m@1", "meaning", DIMS)
    held = Codes()
    code = vectors.sign_code(vector(source))
    for number in range(3):
        vectors.put(connection, model, film(connection, number), 0, vector(source))
        check(connection, held, model, code, 2)
    read: list[object] = []

    def trace(_cursor: object, sql: str, values: object) -> bool:
        if "code from vectors" in sql:
            read.append(values)
        return True

    connection.exec_trace = trace
    held.candidates(connection, model, code, 2)
    assert read == []
    vectors.put(connection, model, film(connection, 7), 0, vector(source))
    held.candidates(connection, model, code, 2)
    connection.exec_trace = None
    assert read == [(3, model)]


def test_scenes_that_are_not_allowed_take_no_place(connection: apsw.Connection) -> None:
    source = random.Random(3)
    model = vectors.model_id(connection, "m@1", "meaning", DIMS)
    near = vector(source)
    scenes = [film(connection, number) for number in range(6)]
    for scene_id in scenes:
        vectors.put(
            connection, model, scene_id, 0, near if scene_id != scenes[3] else vector(source)
        )
    code = vectors.sign_code(near)
    held = Codes()
    third = frozenset({scenes[3]})
    assert held.candidates(connection, model, code, 1, Mask(third)) == [4]
    assert held.candidates(connection, model, code, 1, Mask(frozenset())) == []
    assert held.candidates(connection, model, code, 9, Mask(None, third)) == [1, 2, 3, 5, 6]
    assert held.candidates(connection, model, code, 9, Mask(third, third)) == []


def test_a_reader_of_an_older_state_gets_what_it_can_use(tmp_path: Path) -> None:
    """Two connections, one in a transaction that began before the last write."""
    writer, late = (db.connect(tmp_path / "codes.db") for _ in range(2))
    db.migrate(writer, None)
    source = random.Random(4)
    model = vectors.model_id(writer, "m@1", "meaning", DIMS)
    vectors.put(writer, model, film(writer, 1), 0, vector(source))
    late.execute("begin")
    assert late.execute("select count(*) from vectors").fetchone() == (1,)
    vectors.put(writer, model, film(writer, 2), 0, vector(source))
    held = Codes()
    code = vectors.sign_code(vector(source))
    assert held.candidates(writer, model, code, 9) == [1, 2]
    assert held.candidates(late, model, code, 9) == [1, 2]
    assert held.candidates(writer, model, code, 9) == [1, 2]
    for each in (writer, late):
        each.close()


def test_too_many_rows_are_left_on_disk(
    connection: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 1)
    source = random.Random(5)
    model = vectors.model_id(connection, "m@1", "meaning", DIMS)
    held = Codes()
    code = vectors.sign_code(vector(source))
    for number, known in ((1, [1]), (2, None)):
        vectors.put(connection, model, film(connection, number), 0, vector(source))
        assert held.candidates(connection, model, code, 5) == known
    assert held.candidates(connection, 99, code, 5) is None


def test_without_numpy_the_codes_stay_on_disk(
    connection: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = vectors.model_id(connection, "m@1", "meaning", DIMS)
    made = vector(random.Random(6))
    vectors.put(connection, model, film(connection, 1), 0, made)
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert Codes().candidates(connection, model, vectors.sign_code(made), 5) is None


def test_bits_are_counted_without_numpy_2_too(monkeypatch: pytest.MonkeyPatch) -> None:
    words = np.random.default_rng(1).integers(0, 2**63, (3, 40)).astype(np.uint64)
    counted = module._differing(words)
    monkeypatch.delattr(np, "bitwise_count")
    assert (module._differing(words) == counted).all()
    assert counted[0] == sum(int(word).bit_count() for word in words[:, 0])
