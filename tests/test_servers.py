"""Servers are met, kept, moved and removed; their tokens go nowhere else."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from companion.errors import CompanionError, ServerUnavailable
from companion.servers import LONGEST_URL, Candidate, address
from companion.vault import KEY_FILE
from connectors.base import RightKind
from connectors.mapping import to_local
from tests.home import NOW, Home, configured, home
from tests.plex_house import OWNER


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Home]:
    async with home(tmp_path) as opened:
        yield opened


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("nas:8096", "http://nas:8096"),
        (" https://Films.Example/jellyfin/ ", "https://films.example/jellyfin"),
        ("http://[fd00::1]:32400", "http://[fd00::1]:32400"),
        ("192.168.1.5", "http://192.168.1.5"),
        ("https://films.example:443/a/b//", "https://films.example:443/a/b"),
    ],
)
def test_an_address_is_kept_in_one_form(typed: str, kept: str) -> None:
    assert address(typed) == kept
    assert address(kept) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "", "http://", "ftp://nas", "file:///etc/passwd", "nas:port", "nas:99999", "http://a b",
        "http://nas\n.evil", "http://nas\\@evil", "javascript://x", "http://[::1",
        "x" * (LONGEST_URL + 1),
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_an_example(typed: str) -> None:
    with pytest.raises(CompanionError, match=r"expected one like http://nas:8096"):
        address(typed)


@pytest.mark.parametrize(
    "typed",
    ["http://anna:hunter2@nas", "http://nas/?X-Plex-Token=hunter2", "http://nas/#hunter2",
     "ftp://anna:hunter2@nas"],
)  # fmt: skip
def test_an_address_with_a_secret_is_refused_and_not_repeated(typed: str) -> None:
    with pytest.raises(CompanionError) as error:
        address(typed)
    assert "hunter2" not in str(error.value)


# --- setting up ----------------------------------------------------------------------------------


async def test_a_server_at_a_new_address_stays_the_same_server(here: Home) -> None:
    await here.servers.choose(here.server, ["1", "3"])
    again = await configured(here.servers, here.house)
    (only,) = await here.servers.all()
    assert again.id == only.id == here.server.id
    assert (only.libraries, only.mappings) == (("1", "3"), here.server.mappings)


async def test_a_taken_name_gets_a_number(here: Home) -> None:
    connector = await here.servers.connector(here.server.id)
    identity = await connector.identity()
    account = await connector.by_token(OWNER)
    candidate = Candidate(kind="plex", url="http://elsewhere:32400")
    other = await here.servers.add(
        candidate, account, replace(identity, id="other"), name=" attic ", now_ms=NOW
    )
    third = await here.servers.add(
        candidate, account, replace(identity, id="third"), name="Folders", now_ms=NOW
    )
    assert [other.name, third.name] == ["attic 2", "Folders 2"]


async def test_a_strange_kind_of_server_is_refused(here: Home) -> None:
    for kind in ("folder", "emby", ""):
        with pytest.raises(CompanionError, match=r"no kind of server .*plex"):
            await here.servers.meet(Candidate(kind=kind, url="http://nas"))


async def test_the_servers_know_us_by_the_same_name_each_time(here: Home) -> None:
    known = {
        each.headers.get("X-Plex-Client-Identifier", "")
        for each in here.house.server.faults.seen
        if each.token == OWNER
    }
    assert len(known) == 1
    assert len(known.pop()) >= 32


async def test_rights_are_tried_and_told_in_words(here: Home) -> None:
    rights = {each.kind: each for each in await here.servers.rights(here.server)}
    assert set(rights) == set(RightKind)
    assert rights[RightKind.LIST].granted
    assert all(each.words for each in rights.values())


async def test_a_mapping_is_proposed_from_what_lies_here(here: Home, tmp_path: Path) -> None:
    (tmp_path / "media" / ".hidden").mkdir()
    found = await here.servers.paths(here.server, [tmp_path / "media"])
    assert found.mappings[0].local == os.fsencode(tmp_path / "media")
    best = found.proposals[0]
    assert best.found == len(found.samples)
    for sample in found.samples:
        there = to_local(sample, [best.mapping])
        assert there is not None
        assert Path(os.fsdecode(there)).is_file()


async def test_a_folder_that_is_not_there_proposes_nothing(here: Home, tmp_path: Path) -> None:
    found = await here.servers.paths(here.server, [tmp_path / "nowhere"])
    assert found.proposals == ()
    assert found.samples


# --- connectors ----------------------------------------------------------------------------------


async def test_a_connector_lives_until_its_server_is_configured_otherwise(here: Home) -> None:
    first = await here.servers.connector(here.server.id)
    assert await here.servers.connector(here.server.id) is first
    await here.servers.choose(here.server, ["1"])
    second = await here.servers.connector(here.server.id)
    assert second is not first
    assert [each.name for each in await second.libraries()] == ["Films"]


async def test_a_removed_server_has_no_connector(here: Home) -> None:
    await here.servers.remove(here.server, now_ms=NOW)
    with pytest.raises(ServerUnavailable, match="not configured any more"):
        await here.servers.connector(here.server.id)
    assert await here.items() == {}


async def test_a_lost_key_asks_to_sign_in_again_and_nothing_else_stops(
    here: Home, tmp_path: Path
) -> None:
    (tmp_path / "data" / KEY_FILE).unlink()
    await here.servers.close()
    here.servers._vault = type(here.servers._vault)(tmp_path / "data", {})
    report = await here.look()
    assert not report.complete
    (note,) = here.sync.notes()
    assert "sign in again" in note
    assert len(await here.items()) == 6


async def test_an_unknown_server_is_told_with_those_there_are(here: Home) -> None:
    with pytest.raises(CompanionError, match=r"no server named 'Cellar'; known: Attic"):
        await here.servers.named("Cellar")
    assert await here.servers.named("attic") == here.server


async def test_whoever_waits_is_told_when_servers_come_and_go(here: Home) -> None:
    told: list[int] = []
    here.servers.changed = lambda: told.append(1)
    server = await here.servers.choose(here.server, [])
    await here.servers.remove(server, now_ms=NOW)
    assert len(told) == 2
