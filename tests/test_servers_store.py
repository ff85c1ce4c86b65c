"""Servers, who people are there, and what servers say of items, as rows."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from companion.library_sync import _is_same
from companion.model import (
    CreditKind,
    ItemKind,
    LibraryKind,
    ListedCredit,
    ListedItem,
    ListedLibrary,
    ListedPart,
    Stat,
)
from companion.store import db, library, listing, servers
from companion.store.listing import Look
from companion.store.servers import Identity, Reached, Server

NOW = 1_700_000_000_000
HOME = Server(
    id=0,
    kind="jellyfin",
    name="Home",
    url="http://media.lan:8096/base",
    public_url="https://films.example",
    identity="ab12",
    version="10.11.11",
    account_id="u1",
    account_name="heimdex",
    sealed=b"\x01sealed",
    mappings=(("/media", b"/mnt/f\xffilms"), ("D:\\", b"/mnt/d")),
    libraries=("l1", "l2"),
    authority="/etc/ca.pem",
)
PATH = b"/mnt/films/Lake.mkv"
LAKE = ListedItem(
    external_id="i1",
    kind=ItemKind.MOVIE,
    title="The Lake",
    parts=(ListedPart(path=PATH, external_id="source-1"),),
    year=1984,
    saved_at_ms=NOW,
    credits=(
        ListedCredit(
            name="Anna Berg", kind=CreditKind.ACTOR, person_id="p1", role="Eva", portrait="p1/x"
        ),
        ListedCredit(name="Anna Berg", kind=CreditKind.DIRECTOR, person_id="p1"),
    ),
    genres=("Drama", "Thriller"),
    tags=("summer",),
    rating="PG-13",
    community_rating=7.5,
    provider_ids=(("imdb", "tt1"),),
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = db.connect(tmp_path / "servers.db")
    db.migrate(connection, None)
    yield connection
    connection.close()


def add(connection: apsw.Connection, server: Server = HOME) -> Server:
    found = servers.server_by_id(connection, servers.add_server(connection, server, now_ms=NOW))
    assert found is not None
    return found


def put(connection: apsw.Connection, server: Server, listed: ListedItem = LAKE) -> tuple[int, int]:
    """Return the ids of a library and of an item in it."""
    library_id = library.save_library(
        connection,
        server.id,
        ListedLibrary(external_id="l1", name="Films", kind=LibraryKind.MOVIES),
    )
    kept = listing.keep_item(connection, library_id, listed, looks(listed), now_ms=NOW)
    return library_id, kept.item_id


def looks(listed: ListedItem) -> dict[bytes, Look]:
    stat = Stat(device=1, inode=2, size=3, mtime_ns=4)
    return {part.path: Look(stat=stat, fingerprint="f1") for part in listed.parts}


def rows(connection: apsw.Connection, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in connection.execute(sql)]


# --- servers -------------------------------------------------------------------------------------


def test_a_server_comes_back_as_it_was(connection: apsw.Connection) -> None:
    kept = add(connection)
    assert replace(kept, id=0) == HOME
    assert servers.server(connection, "hOmE") == kept
    assert servers.server_by_identity(connection, "ab12") == kept
    assert servers.servers(connection) == [kept]
    assert servers.server(connection, "elsewhere") is None


def test_a_sealed_token_is_in_no_repr(connection: apsw.Connection) -> None:
    assert "sealed" not in repr(add(connection))
    assert "sealed" not in repr(person(1, sealed=b"sealed"))


def test_a_changed_server_keeps_what_its_token_is_sealed_for(connection: apsw.Connection) -> None:
    kept = add(connection)
    moved = replace(kept, name="Attic", url="http://attic:8096", libraries=(), mappings=())
    servers.change_server(connection, moved)
    assert servers.servers(connection) == [moved]
    assert moved.owns == HOME.owns


@pytest.mark.parametrize("other", [{"identity": "cd34"}, {"name": "Other"}])
def test_no_two_servers_share_a_name_or_an_identity(
    connection: apsw.Connection, other: dict[str, str]
) -> None:
    add(connection)
    with pytest.raises(apsw.ConstraintError):
        servers.add_server(connection, replace(HOME, **other), now_ms=NOW)  # type: ignore[arg-type]


def test_a_removed_server_takes_its_items_and_people_along_and_leaves_the_findings(
    connection: apsw.Connection,
) -> None:
    kept = add(connection)
    put(connection, kept)
    account, _ = servers.keep_identity(connection, person(kept.id), server="Home", now_ms=NOW)
    servers.remove_server(connection, kept.id, now_ms=NOW)
    assert servers.servers(connection) == []
    for table in ("items", "libraries", "accounts", "identities", "credits", "genres", "labels"):
        assert rows(connection, f"select count(*) from {table}") == [(0,)], table
    assert rows(connection, "select fingerprint from files") == [("f1",)]
    assert rows(connection, "select gone_at_ms from paths") == [(NOW,)]
    assert servers.identities(connection, account) == []


def test_how_far_a_server_is_known_is_kept(connection: apsw.Connection) -> None:
    home = add(connection)
    assert servers.reached(connection, home.id) == Reached()
    now = Reached(listed_at_ms=NOW, ask_from_ms=NOW - 5, counted=7)
    servers.keep_reached(connection, home.id, now)
    servers.change_server(connection, replace(home, name="Attic"))
    assert servers.reached(connection, home.id) == now
    assert servers.reached(connection, 99) == Reached()


# --- people --------------------------------------------------------------------------------------


def person(server_id: int, external_id: str = "u2", *, admin: bool = False,
           sealed: bytes | None = b"token") -> Identity:  # fmt: skip
    return Identity(
        server_id=server_id,
        external_id=external_id,
        account_id=0,
        name="Anna",
        is_admin=admin,
        sealed=sealed,
    )


def test_whoever_signs_in_again_is_the_same_account(connection: apsw.Connection) -> None:
    home = add(connection)
    first, before = servers.keep_identity(connection, person(home.id), server="Home", now_ms=NOW)
    assert before is None
    again = person(home.id, sealed=b"newer")
    assert servers.keep_identity(connection, again, server="Home", now_ms=NOW) == (first, b"token")
    (found,) = servers.identities(connection, first)
    assert (found.sealed, found.account_id) == (b"newer", first)


def test_two_of_one_name_are_two_accounts(connection: apsw.Connection) -> None:
    home = add(connection)
    one, _ = servers.keep_identity(connection, person(home.id, "u2"), server="Home", now_ms=NOW)
    two, _ = servers.keep_identity(connection, person(home.id, "u3"), server="Home", now_ms=NOW)
    assert one != two
    assert len(servers.identities_of_server(connection, home.id)) == 2


def test_who_administers_the_server_is_owner_as_long_as_they_do(
    connection: apsw.Connection,
) -> None:
    home = add(connection)
    for admin, role in ((True, "owner"), (False, "member")):
        servers.keep_identity(connection, person(home.id, admin=admin), server="Home", now_ms=NOW)
        assert rows(connection, "select role from accounts") == [(role,)]


def test_a_refused_token_is_forgotten(connection: apsw.Connection) -> None:
    home = add(connection)
    account, _ = servers.keep_identity(connection, person(home.id), server="Home", now_ms=NOW)
    servers.drop_token(connection, home.id, "u2")
    (found,) = servers.identities(connection, account)
    assert found.sealed is None


# --- items ---------------------------------------------------------------------------------------


def test_what_a_server_says_of_an_item_is_compared_with_the_next_listing(
    connection: apsw.Connection,
) -> None:
    library_id, item_id = put(connection, add(connection))
    known = listing.known_items(connection, library_id, ["i1"])["i1"]
    assert (known.id, replace(known.listed, added_at_ms=0)) == (item_id, LAKE)
    seen = {PATH: replace(known.looks[PATH], file_id=None)}
    assert _is_same(LAKE, seen, known)
    for change in ({"genres": ("Drama",)}, {"credits": ()}, {"rating": "R"}, {"saved_at_ms": 0}):
        assert not _is_same(replace(LAKE, **change), seen, known), change


def test_facts_can_be_searched_and_follow_the_listing(connection: apsw.Connection) -> None:
    home = add(connection)
    put(connection, home)
    assert rows(connection, "select name, kind, role from credits order by number") == [
        ("Anna Berg", "actor", "Eva"),
        ("Anna Berg", "director", ""),
    ]
    assert rows(connection, "select name from genres") == [("Drama",), ("Thriller",)]
    assert rows(connection, "select name from labels") == [("summer",)]
    put(connection, home, replace(LAKE, credits=(), genres=("Comedy", "Comedy"), tags=()))
    assert rows(connection, "select name from credits") == []
    assert rows(connection, "select name from genres") == [("Comedy",)]
    assert rows(connection, "select name from labels") == []


def test_items_are_found_by_what_their_server_calls_them(connection: apsw.Connection) -> None:
    home = add(connection)
    other = add(connection, replace(HOME, name="Other", identity="cd34"))
    _, item_id = put(connection, home)
    assert servers.item_ids(connection, home.id, ["i1", "i2"]) == [item_id]
    assert servers.item_ids(connection, other.id, ["i1"]) == []
    connection.execute("update items set gone_at_ms = 1")
    assert servers.item_ids(connection, home.id, ["i1"]) == []


def test_an_item_is_told_by_its_server_and_everything_of_a_server_by_its_libraries(
    connection: apsw.Connection,
) -> None:
    home = add(connection)
    _, item_id = put(connection, home)
    folders = library.save_server(connection, kind="folder", name="Folders", now_ms=NOW)
    _, other = put(connection, replace(HOME, id=folders))
    assert servers.items_of_server(connection, home.id) == [item_id]
    places = {item_id: (home.id, "i1"), other: (folders, "i1")}
    assert servers.external_ids(connection, [item_id, other, 99]) == places
    connection.execute("update items set gone_at_ms = 1 where id = ?", (item_id,))
    assert servers.items_of_server(connection, home.id) == []
    assert servers.external_ids(connection, [item_id]) == {}
