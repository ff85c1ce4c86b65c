"""Vectors in a real store: kept to the bit, and the nearest ones found."""

import math
import random
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import apsw
import pytest
from hypothesis import given, strategies as st

from companion.store import db, vectors
from companion.store.codes import Codes, Mask
from companion.store.vectors import EXACT_ROWS
from tests import talk

SMALL = 16

float16 = st.floats(-65504, 65504, width=16)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = db.connect(tmp_path / "vectors.db")
    db.migrate(connection, None)
    yield connection
    connection.close()


def numbers(source: random.Random, dims: int = SMALL) -> list[float]:
    return [source.gauss(0, 1) for _ in range(dims)]


def fill(
    connection: apsw.Connection,
    made: Sequence[Sequence[float]],
    *,
    film: str = "Film",
    model: str = "m@1",
) -> list[int]:
    """Keep one scene a vector and return the scenes' ids."""
    file = talk.put_file(connection, film)
    connection.executemany(
        "insert into scenes values (null, ?, ?, ?, ?, 0, 0)",
        [(file.id, number, number * 1000, number * 1000 + 1000) for number in range(len(made))],
    )
    rows = connection.execute("select id from scenes where file_id = ? order by id", (file.id,))
    ids = [row[0] for row in rows]
    key = vectors.model_id(connection, model, "meaning", len(made[0]))
    for scene_id, each in zip(ids, made, strict=True):
        vectors.put(connection, key, scene_id, 0, talk.unit(each))
    return ids


def cosine(left: bytes, right: bytes) -> float:
    """Return the cosine as it is defined, of float16 bytes."""
    a = struct.unpack(f"<{len(left) // 2}e", left)
    b = struct.unpack(f"<{len(right) // 2}e", right)
    return sum(map(lambda x, y: x * y, a, b)) / (math.hypot(*a) * math.hypot(*b))


def truth(made: Sequence[Sequence[float]], ids: Sequence[int], query: bytes) -> dict[int, float]:
    """Return the cosine of every scene, nearest first."""
    every = {
        scene_id: cosine(talk.unit(each), query) for scene_id, each in zip(ids, made, strict=True)
    }
    return dict(sorted(every.items(), key=lambda pair: -pair[1]))


# --- numbers -------------------------------------------------------------------------------------


@given(st.lists(float16, min_size=1, max_size=64))
def test_numbers_come_back_to_the_bit(values: list[float]) -> None:
    half = struct.pack(f"<{len(values)}e", *values)
    full = vectors.float32_from_float16(half)
    assert struct.unpack(f"<{len(values)}f", full) == tuple(values)
    assert vectors.float16_from_float32(full) == half


@pytest.mark.parametrize("broken", [b"", b"a", b"abc"])
def test_half_a_number_is_no_vector(broken: bytes) -> None:
    with pytest.raises(ValueError, match="not a vector"):
        vectors.float32_from_float16(broken)


@given(st.lists(st.tuples(float16, float16), min_size=8, max_size=24))
def test_codes_differ_where_signs_differ(
    many: tuple[apsw.Connection, list[list[float]], list[int]], pairs: list[tuple[float, float]]
) -> None:
    pairs = pairs[: len(pairs) // 8 * 8]
    left, right = (struct.pack(f"<{len(pairs)}e", *side) for side in zip(*pairs, strict=True))
    distance = (
        many[0]
        .execute(
            "select vec_distance_hamming(vec_bit(?), vec_bit(?))",
            (vectors.sign_code(left), vectors.sign_code(right)),
        )
        .fetchone()
    )
    assert distance == (sum((a > 0) != (b > 0) for a, b in pairs),)


def test_a_sign_code_is_filled_up_to_whole_bytes() -> None:
    assert vectors.sign_code(struct.pack("<3e", 1.0, -1.0, 0.5)) == bytes([0b10100000])


# --- keeping -------------------------------------------------------------------------------------


def test_a_model_is_made_once(connection: apsw.Connection) -> None:
    first = vectors.model_id(connection, "m@1", "meaning", 8)
    assert vectors.model_id(connection, "m@1", "meaning", 8) == first
    assert vectors.model_id(connection, "m@2", "meaning", 8) != first
    assert vectors.find_model(connection, "m@1") == (first, 8)
    assert vectors.find_model(connection, "unknown") is None


def test_a_model_that_changes_its_length_is_refused(connection: apsw.Connection) -> None:
    vectors.model_id(connection, "m@1", "meaning", 8)
    with pytest.raises(ValueError, match="8 numbers, not of 16"):
        vectors.model_id(connection, "m@1", "meaning", 16)


def test_vectors_of_a_film_come_back_as_they_were(connection: apsw.Connection) -> None:
    source = random.Random(1)
    made = [numbers(source) for _ in range(3)]
    ids = fill(connection, made)
    key = vectors.model_id(connection, "m@1", "meaning", SMALL)
    extra = talk.unit(numbers(source))
    vectors.put(connection, key, ids[1], 1, extra)
    fill(connection, [numbers(source)], film="Another")
    file_id = connection.execute("select min(file_id) from scenes").fetchone()
    assert file_id is not None
    kept = vectors.of_file(connection, int(file_id[0]), "meaning")
    assert kept == {
        ids[0]: [("m@1", 0, talk.unit(made[0]))],
        ids[1]: [("m@1", 0, talk.unit(made[1])), ("m@1", 1, extra)],
        ids[2]: [("m@1", 0, talk.unit(made[2]))],
    }
    assert vectors.of_file(connection, int(file_id[0]), "picture") == {}


def test_a_vector_takes_the_place_of_the_old_one(connection: apsw.Connection) -> None:
    source = random.Random(2)
    old, new = numbers(source), numbers(source)
    (scene_id,) = fill(connection, [old])
    key = vectors.model_id(connection, "m@1", "meaning", SMALL)
    vectors.put(connection, key, scene_id, 0, talk.unit(new))
    ((found, near),) = vectors.nearest(connection, key, talk.unit(new), 5)
    assert found == scene_id
    assert near == pytest.approx(1, abs=1e-5)
    code = connection.execute("select code from vectors").fetchone()
    assert code == (vectors.sign_code(talk.unit(new)),)


def test_vectors_go_with_their_scene(connection: apsw.Connection) -> None:
    fill(connection, [numbers(random.Random(3))])
    connection.execute("delete from scenes")
    assert connection.execute("select count(*) from vectors").fetchone() == (0,)


# --- the nearest ---------------------------------------------------------------------------------


def test_the_nearest_come_first_with_their_exact_cosines(connection: apsw.Connection) -> None:
    source = random.Random(4)
    made = [numbers(source) for _ in range(60)]
    ids = fill(connection, made)
    query = talk.unit(numbers(source))
    found = vectors.nearest(connection, 1, query, 10)
    expected = list(truth(made, ids, query).items())[:10]
    assert [scene_id for scene_id, _ in found] == [scene_id for scene_id, _ in expected]
    assert [near for _, near in found] == pytest.approx([near for _, near in expected], abs=1e-5)


def test_a_scene_is_as_near_as_its_nearest_part(connection: apsw.Connection) -> None:
    source = random.Random(5)
    query = numbers(source)
    ids = fill(connection, [[-number for number in query], numbers(source)])
    vectors.put(connection, 1, ids[0], 1, talk.unit(query))
    found = vectors.nearest(connection, 1, talk.unit(query), 10)
    assert [scene_id for scene_id, _ in found] == ids
    assert found[0][1] == pytest.approx(1, abs=1e-5)
    parts = vectors.nearest_parts(connection, 1, talk.unit(query), 10)
    assert [(each.scene_id, each.part) for each in parts] == [(ids[0], 1), (ids[1], 0)]


def test_vectors_of_another_model_are_never_compared(connection: apsw.Connection) -> None:
    source = random.Random(6)
    same = numbers(source)
    fill(connection, [same])
    others = fill(connection, [numbers(source)], film="Another", model="m@2")
    key = vectors.model_id(connection, "m@2", "meaning", SMALL)
    found = vectors.nearest(connection, key, talk.unit(same), 10)
    assert [scene_id for scene_id, _ in found] == others


def test_a_vector_without_a_direction_is_near_to_nothing(connection: apsw.Connection) -> None:
    source = random.Random(7)
    ids = fill(connection, [numbers(source), numbers(source)])
    vectors.put(connection, 1, ids[0], 0, bytes(2 * SMALL))
    found = vectors.nearest(connection, 1, talk.unit(numbers(source)), 10)
    assert [scene_id for scene_id, _ in found] == [ids[1]]


@pytest.fixture(scope="module")
def many(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[apsw.Connection, list[list[float]], list[int]]]:
    """More rows than are compared one by one, in clusters as films are, of three films."""
    connection = db.connect(tmp_path_factory.mktemp("many") / "vectors.db")
    db.migrate(connection, None)
    source = random.Random(8)
    centres = [numbers(source, 64) for _ in range(40)]
    made = [
        [number + 0.7 * noise for number, noise in zip(centre, numbers(source, 64), strict=True)]
        for _ in range((EXACT_ROWS + 400) // 40)
        for centre in centres
    ]
    ids: list[int] = []
    with db.transaction(connection):
        for film in range(3):
            ids += fill(connection, made[film * 800 : (film + 1) * 800], film=f"Film {film}")
    yield connection, made, ids
    connection.close()


def asked(made: Sequence[Sequence[float]], seed: int) -> bytes:
    """Return a query that is near to some scenes."""
    source = random.Random(seed)
    base = made[source.randrange(len(made))]
    noise = numbers(source, len(base))
    return talk.unit([number + 0.5 * other for number, other in zip(base, noise, strict=True)])


@pytest.mark.parametrize("codes", [None, Codes()], ids=["on disk", "in memory"])
@pytest.mark.parametrize("seed", range(6))
def test_beyond_the_exact_rows_the_best_are_still_the_best(
    many: tuple[apsw.Connection, list[list[float]], list[int]], seed: int, codes: Codes | None
) -> None:
    connection, made, ids = many
    assert len(made) > EXACT_ROWS
    query = asked(made, seed)
    found = vectors.nearest_parts(connection, 1, query, 20, codes=codes)
    expected = truth(made, ids, query)
    assert [each.scene_id for each in found[:10]] == list(expected)[:10]
    assert [each.cosine for each in found] == pytest.approx(
        [expected[each.scene_id] for each in found], abs=1e-5
    )


def masks(ids: Sequence[int]) -> list[tuple[Mask, set[int]]]:
    """Return masks with what they let through."""
    odd = frozenset(scene_id for scene_id in ids if scene_id % 2)
    last, few = frozenset(ids[1600:]), frozenset(ids[:30])
    nearly_all = frozenset(ids[:-100])
    return [
        (Mask(last), set(last)),
        (Mask(nearly_all), set(nearly_all)),
        (Mask(None, odd), set(ids) - odd),
        (Mask(None, few), set(ids) - few),
        (Mask(last, odd), set(last - odd)),
        (Mask(nearly_all, odd), set(nearly_all - odd)),
        (Mask(few), set(few)),
        (Mask(frozenset()), set()),
        (Mask(), set(ids)),
    ]


@pytest.mark.parametrize("codes", [None, Codes()], ids=["on disk", "in memory"])
@pytest.mark.parametrize("number", range(9))
def test_what_a_mask_rules_out_takes_no_place(
    many: tuple[apsw.Connection, list[list[float]], list[int]], number: int, codes: Codes | None
) -> None:
    """The nearest of what is allowed, not what is allowed of the nearest."""
    connection, made, ids = many
    mask, allowed = masks(ids)[number]
    query = asked(made, 99)
    near = vectors.nearest_parts(connection, 1, query, 10, mask=mask, codes=codes)
    found = [each.scene_id for each in near]
    expected = [scene_id for scene_id in truth(made, ids, query) if scene_id in allowed]
    assert found == expected[:10]


def test_scenes_may_be_named_without_a_mask(
    many: tuple[apsw.Connection, list[list[float]], list[int]],
) -> None:
    connection, made, ids = many
    found = vectors.nearest(connection, 1, asked(made, 1), 50, ids[100:105])
    assert {scene_id for scene_id, _ in found} == set(ids[100:105])


def test_candidates_come_from_the_index_of_codes_alone(
    many: tuple[apsw.Connection, list[list[float]], list[int]],
) -> None:
    """The long rows are read for the candidates only."""
    connection, made, _ = many
    ran: list[tuple[str, object]] = []

    def trace(_cursor: object, sql: str, values: object) -> bool:
        ran.append((sql, values))
        return True

    connection.exec_trace = trace
    try:
        vectors.nearest(connection, 1, asked(made, 1), 10)
    finally:
        connection.exec_trace = None
    sql, values = next(each for each in ran if "hamming" in each[0])
    rows = connection.execute(f"explain query plan {sql}", values)  # type: ignore[arg-type]
    plan = " | ".join(str(row[3]) for row in rows)
    assert "SEARCH vectors USING COVERING INDEX vectors_by_code (model_id=?)" in plan
    assert "SEARCH vectors USING INTEGER PRIMARY KEY" in plan
    assert "SCAN vectors" not in plan
