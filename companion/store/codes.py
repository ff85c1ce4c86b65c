"""The sign codes of a model in memory, to find candidates for exact distances.

Derived state: rows of `vectors` are the truth, and counters that triggers keep in `models` tell
what is new. Losing it loses nothing. numpy is imported when a library is first asked that is too
large to be compared row by row, and never before; without it the index on disk is walked.
"""

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import apsw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ids = NDArray[np.int64]
    Bits = NDArray[np.uint64]

MOST_ROWS = 2_000_000  # of 80 bytes each at 512 numbers
WORD = 8  # bytes that are compared at a time


@dataclass(frozen=True, slots=True)
class Mask:
    """Which scenes may be found. allowed: their ids, None allows every one; refused: of these, the
    ones that are left out."""

    allowed: frozenset[int] | None = None
    refused: frozenset[int] = frozenset()


EVERYTHING = Mask()


@dataclass(frozen=True, slots=True)
class _Held:
    """Codes as they were after so many rows came and went. bits: (words of a code, rows)."""

    added: int
    removed: int
    ids: "Ids"  # ascending
    scene_ids: "Ids"
    bits: "Bits"


class Codes:
    """Asked by any thread of the store."""

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}  # by model id
        self._lock = threading.Lock()

    def candidates(
        self,
        connection: apsw.Connection,
        model_id: int,
        code: bytes,
        least: int,
        mask: Mask = EVERYTHING,
    ) -> list[int] | None:
        """Return the ids of the `least` vectors, or a few more, whose signs agree best with a code.

        Returns None if numpy is not there or there are too many rows to hold.
        """
        try:
            import numpy as np
        except ImportError:
            return None
        held = self._fresh(connection, model_id, len(code))
        if held is None:
            return None
        ids, bits = held.ids, held.bits
        if mask != EVERYTHING:
            chosen = _chosen(held.scene_ids, mask)
            ids, bits = ids[chosen], bits[:, chosen]
        if len(ids) > least:
            distances = _differing(bits ^ _words(code)[:, None])
            reach = np.partition(distances, least - 1)[least - 1]
            ids = ids[distances <= reach]
        return [int(each) for each in ids]

    def _fresh(self, connection: apsw.Connection, model_id: int, length: int) -> _Held | None:
        """Return the codes as the connection sees them, reading only what is new if it can."""
        row = connection.execute(
            "select added, removed from models where id = ?", (model_id,)
        ).fetchone()
        if row is None or row[0] - row[1] > MOST_ROWS:
            return None
        added, removed = int(row[0]), int(row[1])
        with self._lock:
            held = self._held.get(model_id)
            if held is None or held.removed != removed:
                held = _nothing(removed, length)
            # A connection may see an older state than the one that asked before it: what it does
            # not see yet it will not find when it takes the distances.
            if held.added < added:
                held = _read_on(connection, model_id, held, added)
            self._held[model_id] = held
            return held


def _chosen(scene_ids: "Ids", mask: Mask) -> "NDArray[np.bool_]":
    """Return which rows a mask lets through."""
    import numpy as np

    chosen = np.ones(len(scene_ids), np.bool_)
    if mask.allowed is not None:
        chosen &= np.isin(scene_ids, np.fromiter(mask.allowed, np.int64, len(mask.allowed)))
    if mask.refused:
        refused = np.fromiter(mask.refused, np.int64, len(mask.refused))
        chosen &= np.isin(scene_ids, refused, invert=True)
    return chosen


def _nothing(removed: int, length: int) -> _Held:
    import numpy as np

    none = np.empty(0, np.int64)
    return _Held(0, removed, none, none, np.empty((-(-length // WORD), 0), np.uint64))


def _read_on(connection: apsw.Connection, model_id: int, held: _Held, added: int) -> _Held:
    """Return what is held with the rows that came since. Who looks at the old one keeps it."""
    import numpy as np

    by = "" if len(held.ids) else " indexed by vectors_by_code"
    rows: list[Any] = connection.execute(
        f"select id, scene_id, code from vectors{by} where id > ? and model_id = ? order by id",
        (int(held.ids[-1]) if len(held.ids) else 0, model_id),
    ).fetchall()
    width = len(held.bits) * WORD
    new = b"".join(row[2].ljust(width, b"\0") for row in rows)
    bits = np.frombuffer(new, np.uint64).reshape(len(rows), len(held.bits)).T
    return _Held(
        added,
        held.removed,
        np.concatenate([held.ids, np.array([row[0] for row in rows], np.int64)]),
        np.concatenate([held.scene_ids, np.array([row[1] for row in rows], np.int64)]),
        np.concatenate([held.bits, bits], axis=1),
    )


def _words(code: bytes) -> "Bits":
    """Return a code as words, filled up with zeros."""
    import numpy as np

    return np.frombuffer(code.ljust(-(-len(code) // WORD) * WORD, b"\0"), np.uint64)


def _differing(words: "Bits") -> "NDArray[np.uint16]":
    """Return how many bits are set in each column."""
    import numpy as np

    if hasattr(np, "bitwise_count"):  # numpy 2
        return np.asarray(np.bitwise_count(words).sum(axis=0, dtype=np.uint16))
    table = np.array([each.bit_count() for each in range(256)], np.uint8)
    octets = words.view(np.uint8).reshape(len(words), -1, WORD)
    return np.asarray(table[octets].sum(axis=(0, 2), dtype=np.uint16))
