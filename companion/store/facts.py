"""What a server says of an item beside its name: people, genres, tags, ratings, ids elsewhere.

Kept twice: as JSON, to compare with the next listing, and one fact a row, to be searched.
"""

from typing import Any

import apsw
import msgspec

from companion.model import ListedCredit, ListedItem


class _Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The fields of ListedItem that have no column of their own."""

    saved_at_ms: int = 0
    credits: tuple[ListedCredit, ...] = ()
    genres: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    rating: str = ""
    community_rating: float | None = None
    provider_ids: tuple[tuple[str, str], ...] = ()


_decoder = msgspec.json.Decoder(_Facts)
_encoder = msgspec.json.Encoder()


def read(kept: str) -> dict[str, Any]:
    """Return the fields of ListedItem that `keep` has written, by name."""
    return msgspec.structs.asdict(_decoder.decode(kept)) if kept else {}


def keep(c: apsw.Connection, item_id: int, listed: ListedItem) -> None:
    """Keep the facts of an item as it is listed now. Nothing is written if they are the same."""
    facts = _Facts(**{name: getattr(listed, name) for name in _Facts.__struct_fields__})
    text = _encoder.encode(facts).decode() if facts != _Facts() else ""
    row = c.execute("select facts from items where id = ?", (item_id,)).fetchone()
    if row is None or row[0] == text:
        return
    c.execute("update items set facts = ? where id = ?", (text, item_id))
    for table in ("credits", "genres", "labels"):
        c.execute(f"delete from {table} where item_id = ?", (item_id,))
    c.executemany(
        "insert into credits (item_id, number, name, kind, person_id, role, portrait)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        [
            (item_id, number, who.name, who.kind.value, who.person_id, who.role, who.portrait)
            for number, who in enumerate(facts.credits)
        ],
    )
    for table, names in (("genres", facts.genres), ("labels", facts.tags)):
        c.executemany(
            f"insert or ignore into {table} (item_id, name) values (?, ?)",
            [(item_id, name) for name in names],
        )
