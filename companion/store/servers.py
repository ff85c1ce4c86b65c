"""Media servers as they are kept: how each is reached, and who people are there.

Functions of a connection. Tokens lie here sealed (companion.vault) and are never read as text.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import apsw

LISTED = (
    "servers.id, servers.kind, servers.name, connections.url, public_url, identity, version,"
    " account_id, account_name, token, mappings, libraries, authority"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A configured media server. sealed: the daemon's token, None if it has none.

    mappings: (prefix on the server, prefix here). libraries: external ids of the chosen ones, empty
    for all.
    """

    id: int
    kind: str
    name: str
    url: str
    identity: str
    public_url: str = ""
    version: str = ""
    account_id: str = ""
    account_name: str = ""
    sealed: bytes | None = field(default=None, repr=False)
    mappings: tuple[tuple[str, bytes], ...] = ()
    libraries: tuple[str, ...] = ()
    authority: str = ""

    @property
    def owns(self) -> str:
        """What its token is sealed for."""
        return f"server {self.identity}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who an account is on a server."""

    server_id: int
    external_id: str
    account_id: int
    name: str
    is_admin: bool
    sealed: bytes | None = field(default=None, repr=False)

    @property
    def owns(self) -> str:
        """What its token is sealed for."""
        return f"account {self.external_id}"


# --- servers -------------------------------------------------------------------------------------


def servers(c: apsw.Connection) -> list[Server]:
    """Return the servers with accounts, by name."""
    return list(_servers(c, "true order by servers.name"))


def server(c: apsw.Connection, name: str) -> Server | None:
    """Return a server by its name; upper and lower case mean nothing."""
    return next(_servers(c, "lower(servers.name) = lower(?)", name), None)


def server_by_id(c: apsw.Connection, server_id: int) -> Server | None:
    return next(_servers(c, "servers.id = ?", server_id), None)


def server_by_identity(c: apsw.Connection, identity: str) -> Server | None:
    return next(_servers(c, "connections.identity = ?", identity), None)


def _servers(c: apsw.Connection, condition: str, *keys: str | int) -> Iterator[Server]:
    rows: Iterable[Any] = c.execute(
        f"select {LISTED} from servers join connections on connections.server_id = servers.id"
        f" where {condition}",
        keys,
    )
    names = (
        "id", "kind", "name", "url", "public_url", "identity", "version",
        "account_id", "account_name", "sealed",
    )  # fmt: skip
    for *values, mappings, libraries, authority in rows:
        yield Server(
            **dict(zip(names, values, strict=True)),
            mappings=tuple((there, bytes.fromhex(here)) for there, here in json.loads(mappings)),
            libraries=tuple(json.loads(libraries)),
            authority=authority,
        )


def add_server(c: apsw.Connection, new: Server, *, now_ms: int) -> int:
    """Keep a new server and return its id; `new.id` means nothing.

    Raises apsw.ConstraintError if the name or the identity is there already.
    """
    row = c.execute(
        "insert into servers (kind, name, address, created_at_ms) values (?, ?, ?, ?) returning id",
        (new.kind, new.name, new.url, now_ms),
    ).fetchone()
    assert row is not None
    server_id = int(row[0])
    c.execute(
        "insert into connections (server_id, url, identity) values (?, '', ?)",
        (server_id, new.identity),
    )
    _write(c, server_id, new)
    return server_id


def change_server(c: apsw.Connection, changed: Server) -> None:
    """Keep a server as it is now. What it is sealed for, its identity, never changes."""
    c.execute(
        "update servers set name = ?, address = ? where id = ?",
        (changed.name, changed.url, changed.id),
    )
    _write(c, changed.id, changed)


def _write(c: apsw.Connection, server_id: int, now: Server) -> None:
    c.execute(
        "update connections set url = ?, public_url = ?, version = ?, account_id = ?,"
        " account_name = ?, token = ?, mappings = ?, libraries = ?, authority = ?"
        " where server_id = ?",
        (
            now.url,
            now.public_url,
            now.version,
            now.account_id,
            now.account_name,
            now.sealed,
            json.dumps([[there, here.hex()] for there, here in now.mappings]),
            json.dumps(now.libraries),
            now.authority,
            server_id,
        ),
    )


def remove_server(c: apsw.Connection, server_id: int, *, now_ms: int) -> None:
    """Forget a server with its libraries, its items and the accounts that came from it alone.

    Files and what was found in them stay.
    """
    c.execute("delete from servers where id = ?", (server_id,))
    c.execute(
        "delete from accounts where password_hash = ''"
        " and not exists (select 1 from identities where account_id = accounts.id)"
    )
    c.execute(
        "update paths set gone_at_ms = ? where gone_at_ms is null"
        " and not exists (select 1 from parts where parts.path_id = paths.id)",
        (now_ms,),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Up to where a server is known; all Unix ms. listed_at_ms: the last whole listing, by our
    clock. ask_from_ms: changes before are known, by the server's. counted: items it had."""

    listed_at_ms: int = 0
    ask_from_ms: int = 0
    counted: int = -1


def reached(c: apsw.Connection, server_id: int) -> Reached:
    row: Any = c.execute(
        "select listed_at_ms, ask_from_ms, counted from connections where server_id = ?",
        (server_id,),
    ).fetchone()
    if row is None:
        return Reached()
    return Reached(listed_at_ms=row[0], ask_from_ms=row[1], counted=row[2])


def keep_reached(c: apsw.Connection, server_id: int, now: Reached) -> None:
    c.execute(
        "update connections set listed_at_ms = ?, ask_from_ms = ?, counted = ? where server_id = ?",
        (now.listed_at_ms, now.ask_from_ms, now.counted, server_id),
    )


def newest_saved(c: apsw.Connection, server_id: int) -> int:
    """Return when a server has last saved an item that we know, in Unix ms by its clock, else 0."""
    row: Any = c.execute(
        "select max(json_extract(nullif(items.facts, ''), '$.saved_at_ms')) from libraries"
        " join items on items.library_id = libraries.id where libraries.server_id = ?",
        (server_id,),
    ).fetchone()
    return int(row[0] or 0)


# --- people --------------------------------------------------------------------------------------


def identities(c: apsw.Connection, account_id: int) -> list[Identity]:
    """Return who an account is, on every server."""
    return list(_identities(c, "account_id = ?", account_id))


def identities_of_server(c: apsw.Connection, server_id: int) -> list[Identity]:
    return list(_identities(c, "server_id = ?", server_id))


def _identities(c: apsw.Connection, condition: str, key: int) -> Iterator[Identity]:
    rows: Iterable[Any] = c.execute(
        "select server_id, external_id, account_id, name, is_admin, token from identities"
        f" where {condition} order by server_id, external_id",
        (key,),
    )
    for server_id, external_id, account_id, name, is_admin, sealed in rows:
        yield Identity(
            server_id=server_id,
            external_id=external_id,
            account_id=account_id,
            name=name,
            is_admin=bool(is_admin),
            sealed=sealed,
        )


def keep_identity(
    c: apsw.Connection, who: Identity, *, server: str, now_ms: int
) -> tuple[int, bytes | None]:
    """Keep somebody who has signed in; return their account's id and the sealed token before.

    `who.account_id` means nothing. The account is made at the first sign-in; whoever administers
    the server owns this installation too, and no longer when they do not.
    """
    role = "owner" if who.is_admin else "member"
    row: Any = c.execute(
        "select account_id, token from identities where server_id = ? and external_id = ?",
        (who.server_id, who.external_id),
    ).fetchone()
    if row is None:
        made: Any = c.execute(
            "insert into accounts (name, role, password_hash, created_at_ms)"
            " values (?, ?, '', ?) returning id",
            (f"{who.name} · {server} · {who.external_id}", role, now_ms),
        ).fetchone()
        row = (made[0], None)
    c.execute("update accounts set role = ? where id = ?", (role, row[0]))
    c.execute(
        "insert into identities (server_id, external_id, account_id, name, is_admin, token,"
        " signed_in_at_ms) values (?, ?, ?, ?, ?, ?, ?)"
        " on conflict (server_id, external_id) do update set name = excluded.name,"
        " is_admin = excluded.is_admin, token = excluded.token,"
        " signed_in_at_ms = excluded.signed_in_at_ms",
        (who.server_id, who.external_id, row[0], who.name, int(who.is_admin), who.sealed, now_ms),
    )
    return int(row[0]), row[1]


def drop_token(c: apsw.Connection, server_id: int, external_id: str) -> None:
    """Forget a token that its server refuses."""
    c.execute(
        "update identities set token = null where server_id = ? and external_id = ?",
        (server_id, external_id),
    )


def item_ids(c: apsw.Connection, server_id: int, external_ids: Iterable[str]) -> list[int]:
    """Return the ids of live items of a server; what is not known is left out."""
    rows = c.execute(
        "select items.id from json_each(?) as wanted"
        " cross join libraries on libraries.server_id = ?"
        " cross join items on items.library_id = libraries.id"
        " and items.external_id = wanted.value and items.gone_at_ms is null",
        (json.dumps(list(external_ids)), server_id),
    )
    return [int(str(row[0])) for row in rows]


def items_of_server(c: apsw.Connection, server_id: int) -> list[int]:
    """Return the ids of all live items of a server."""
    rows = c.execute(
        "select items.id from libraries join items on items.library_id = libraries.id"
        " where libraries.server_id = ? and items.gone_at_ms is null",
        (server_id,),
    )
    return [int(str(row[0])) for row in rows]


def external_ids(c: apsw.Connection, item_ids: Iterable[int]) -> dict[int, tuple[int, str]]:
    """Return item id -> (server id, what the server calls it) of live items."""
    rows: Iterable[Any] = c.execute(
        "select items.id, libraries.server_id, items.external_id from json_each(?) as wanted"
        " cross join items on items.id = wanted.value and items.gone_at_ms is null"
        " cross join libraries on libraries.id = items.library_id",
        (json.dumps(list(item_ids)),),
    )
    return {item_id: (server_id, external_id) for item_id, server_id, external_id in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOfFile:
    """A file as a part of an item of a media server. Ids of the server are its own."""

    item_id: int
    server_id: int
    external_id: str
    part_id: str


def places_of_file(c: apsw.Connection, file_id: int) -> list[PlaceOfFile]:
    """Return the live items of media servers that a file is a part of, the oldest first."""
    rows: Iterable[Any] = c.execute(
        "select items.id, libraries.server_id, items.external_id, parts.external_id"
        " from paths join parts on parts.path_id = paths.id"
        " join items on items.id = parts.item_id and items.gone_at_ms is null"
        " join libraries on libraries.id = items.library_id"
        " join connections on connections.server_id = libraries.server_id"
        " where paths.file_id = ? and paths.gone_at_ms is null"
        " order by items.id, parts.version, parts.part",
        (file_id,),
    )
    names = ("item_id", "server_id", "external_id", "part_id")
    return [PlaceOfFile(**dict(zip(names, row, strict=True))) for row in rows]
