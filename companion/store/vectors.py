"""Vectors of scenes: kept in sqlite-vec's float32 format, asked for the nearest.

Numbers are rounded to float16 before they come here, so that a row and its sidecar agree to the
bit. Exact cosines are taken by sqlite-vec in SQL. One cosine costs some 2.5 µs, so beyond
EXACT_ROWS rows the candidates are found by their sign codes first: in memory, or in an index
(companion/search/README.md has the figures).
"""

import heapq
import json
import struct
from collections.abc import Collection
from typing import NamedTuple

import apsw

from companion.store.codes import EVERYTHING, Codes, Mask

EXACT_ROWS = 2_000  # up to here every row is compared exactly: some 5 ms at 512 numbers
OVERSAMPLING = 4  # candidates by sign code for each scene that is asked for ...
LEAST_CANDIDATES = 400  # ... and never fewer: 0.99 of what is above the floor was among them


# --- what is written -----------------------------------------------------------------------------


def model_id(connection: apsw.Connection, identity: str, role: str, dims: int) -> int:
    """Return the key of a model, which is made if it is new. dims: numbers in its vectors.

    Raises ValueError if the model is known with other dims.
    """
    connection.execute(
        "insert into models (identity, role, dims) values (?, ?, ?) on conflict do nothing",
        (identity, role, dims),
    )
    known = find_model(connection, identity)
    assert known is not None
    if known[1] != dims:
        raise ValueError(f"the model {identity} has vectors of {known[1]} numbers, not of {dims}")
    return known[0]


def find_model(connection: apsw.Connection, identity: str) -> tuple[int, int] | None:
    """Return (key, dims) of a model, None if nothing was ever made with it."""
    row = connection.execute(
        "select id, dims from models where identity = ?", (identity,)
    ).fetchone()
    return (row[0], row[1]) if row else None


def put(
    connection: apsw.Connection,
    model_id: int,
    scene_id: int,
    part: int,
    float16: bytes,
    *,
    at_ms: int | None = None,
) -> None:
    """Keep the vector of one part of a scene, in place of an older one of the same model.

    float16: little-endian, unit length, as many numbers as the model has. at_ms: the frame that it
    is of; None for text.
    """
    connection.execute(
        "insert into vectors (model_id, scene_id, part, code, v, at_ms) values (?, ?, ?, ?, ?, ?)"
        " on conflict (scene_id, model_id, part)"
        " do update set code = excluded.code, v = excluded.v, at_ms = excluded.at_ms",
        (model_id, scene_id, part, sign_code(float16), float32_from_float16(float16), at_ms),
    )


# --- what is asked -------------------------------------------------------------------------------


def of_file(
    connection: apsw.Connection, file_id: int, role: str
) -> dict[int, list[tuple[str, int, bytes]]]:
    """Return (model identity, part, float16 bytes) of every vector of a role, by scene id."""
    rows = connection.execute(
        "select scene_id, models.identity, part, v from vectors"
        " join models on models.id = vectors.model_id"
        " where scene_id in (select id from scenes where file_id = ?) and models.role = ?"
        " order by scene_id, models.id, part",
        (file_id, role),
    )
    found: dict[int, list[tuple[str, int, bytes]]] = {}
    for scene_id, identity, part, v in rows:
        found.setdefault(scene_id, []).append((identity, part, float16_from_float32(v)))
    return found


class Nearest(NamedTuple):
    """A scene with the part of it that is nearest. at_ms: of the frame that it is, if it is one."""

    scene_id: int
    part: int
    cosine: float
    at_ms: int | None = None


def nearest(
    connection: apsw.Connection,
    model_id: int,
    query: bytes,
    k: int,
    allowed_scene_ids: Collection[int] | None = None,
) -> list[tuple[int, float]]:
    """Return (scene id, cosine) of at most k scenes, nearest first. See `nearest_parts`."""
    allowed = None if allowed_scene_ids is None else frozenset(allowed_scene_ids)
    found = nearest_parts(connection, model_id, query, k, mask=Mask(allowed))
    return [(each.scene_id, each.cosine) for each in found]


def nearest_parts(  # noqa: PLR0913 - what is asked, where, and how far to look
    connection: apsw.Connection,
    model_id: int,
    query: bytes,
    k: int,
    *,
    mask: Mask = EVERYTHING,
    codes: Codes | None = None,
    least: int = LEAST_CANDIDATES,
) -> list[Nearest]:
    """Return at most k scenes with their nearest part, nearest first.

    query: float16 bytes of unit length, from the same model. codes: in memory, asked instead of
    their index. What the mask rules out takes no place. Exact up to EXACT_ROWS rows; beyond,
    cosines are exact and some scenes far down the list may be missing, the fewer the more
    candidates by sign code are taken: `least`, and OVERSAMPLING a scene.
    """
    float32 = float32_from_float16(query)
    conditions, values = _where(mask)
    least = max(least, OVERSAMPLING * k)
    if _few(connection, model_id, mask.allowed):
        distances = f"{_DISTANCES} where model_id = ?{conditions}"
        values = (float32, model_id, *values)
    elif codes is not None and (
        ids := codes.candidates(connection, model_id, sign_code(query), least, mask)
    ):
        distances = f"{_DISTANCES} where id in (select value from json_each(?))"
        values = (float32, json.dumps(ids))
    else:
        distances = (
            f"{_DISTANCES} where id in ("
            f"select id from vectors indexed by vectors_by_code where model_id = ?{conditions}"
            " order by vec_distance_hamming(vec_bit(code), vec_bit(?)) limit ?)"
        )
        values = (float32, model_id, *values, sign_code(query), least)
    # All in one row: each row that is fetched waits for Python's lock, which other threads hold.
    row = connection.execute(
        "select json_group_array("
        "json_array(scene_id, cast(round(cosine * 1e7) as integer), part, at_ms))"
        f" from ({distances}) where cosine is not null",
        values,
    ).fetchone()
    assert row is not None
    best: dict[int, tuple[int, int, int | None]] = {}
    for scene_id, *part in json.loads(str(row[0])):
        if scene_id not in best or part[0] > best[scene_id][0]:
            best[scene_id] = (part[0], part[1], part[2])
    nearest = heapq.nsmallest(k, best.items(), key=lambda each: (-each[1][0], each[0]))
    return [Nearest(scene_id, part, near / 1e7, at_ms) for scene_id, (near, part, at_ms) in nearest]


# A vector without a direction has no distance.
_DISTANCES = "select scene_id, part, at_ms, 1 - vec_distance_cosine(v, ?) as cosine from vectors"


def _few(connection: apsw.Connection, model_id: int, allowed: Collection[int] | None) -> bool:
    """True if so few rows are to be compared that every one can be."""
    if allowed is not None and len(allowed) <= EXACT_ROWS:
        return True
    row = connection.execute(
        "select added - removed from models where id = ?", (model_id,)
    ).fetchone()
    return row is None or int(row[0]) <= EXACT_ROWS


def _where(mask: Mask) -> tuple[str, tuple[str | int | bytes, ...]]:
    """Return the conditions of a mask as SQL that continues a `where`, and their values."""
    listed = "(select value from json_each(?))"
    parts = [(f" and scene_id in {listed}", mask.allowed)]
    parts.append((f" and scene_id not in {listed}", mask.refused or None))
    used = [(sql, ids) for sql, ids in parts if ids is not None]
    return "".join(sql for sql, _ in used), tuple(json.dumps(list(ids)) for _, ids in used)


# --- numbers -------------------------------------------------------------------------------------


def float32_from_float16(float16: bytes) -> bytes:
    """Return the same numbers in sqlite-vec's format. Raises ValueError on half a number."""
    return _convert(float16, "e", "f")


def float16_from_float32(float32: bytes) -> bytes:
    """Return numbers that came from float16 as they were."""
    return _convert(float32, "f", "e")


def sign_code(float16: bytes) -> bytes:
    """Return one bit a number, set where it is above zero; filled up with zeros to whole bytes."""
    numbers = struct.unpack(f"<{len(float16) // 2}e", float16)
    bits = "".join("1" if number > 0 else "0" for number in numbers)
    whole = -(-len(bits) // 8) * 8
    return int(bits.ljust(whole, "0"), 2).to_bytes(whole // 8, "big")


def _convert(numbers: bytes, have: str, want: str) -> bytes:
    count, rest = divmod(len(numbers), struct.calcsize(f"<{have}"))
    if rest or not count:
        raise ValueError(f"{len(numbers)} bytes are not a vector")
    return struct.pack(f"<{count}{want}", *struct.unpack(f"<{count}{have}", numbers))
