"""A Jellyfin server behind the daemon's own parts: listed, followed, and nothing let through."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from companion.config import Config
from companion.errors import AuthFailed, ServerUnavailable
from companion.following import Following
from companion.household import Household
from companion.model import Viewer
from companion.servers import Candidate, Servers
from companion.store import library
from companion.store.accounts import Accounts
from companion.store.db import Store
from companion.store.servers import Server
from companion.sync import Sync
from companion.vault import Vault
from connectors import jellyfin_live
from connectors.mapping import PathMapping
from tests.fakes.jellyfin_world import Item
from tests.jellyfin_house import House, furnish, open_house

NOW = 1_700_000_000_000
LIMIT_S = 20.0
ALL = {"Night Train", "Family Film", "Pilot", "Birthday", "Two Cuts", "Long"}


@dataclass(slots=True)
class Home:
    house: House
    store: Store
    servers: Servers
    accounts: Accounts
    household: Household
    sync: Sync
    following: Following
    server: Server
    clock: list[float]

    async def titles(self, viewer: Viewer | None = None) -> set[str]:
        found = await self.store.read(library.items, viewer or Viewer(), limit=1_000)
        return {item.title for item in found}

    async def viewer(self, name: str) -> Viewer:
        session = await self.household.sign_in(self.server.name, name, "secret")
        account = await self.accounts.signed_in(session)
        assert account is not None
        return await self.household.viewer(account)

    def item(self, name: str) -> Item:
        return next(it for it in self.house.world.items.values() if it.name == name)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jellyfin_live, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(jellyfin_live, "LONGEST_PAUSE_S", 0.02)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Home]:
    """The daemon's parts around a furnished Jellyfin that has been listed once."""
    async with open_house(tmp_path / "nas", valid=False) as house:
        furnish(house)
        config = Config(data_dir=tmp_path / "data")
        store = await Store.open(config.database)
        vault = Vault(config.data_dir, {})
        servers = Servers(store, vault)
        accounts = Accounts(store, config)
        clock = [1000.0]
        household = Household(store, servers, accounts, vault, clock=lambda: clock[0])
        sync = Sync(store, config, lambda: None, servers=servers)
        following = Following(servers, sync, household, again_s=0.01)
        try:
            server = await configured(servers, house)
            report = await sync.run_once()
            assert report.complete
            yield Home(house, store, servers, accounts, household, sync, following, server, clock)
        finally:
            await household.close()
            await servers.close()
            await store.close()


async def configured(servers: Servers, house: House) -> Server:
    """Set the server up as a person does: address, sign in, where files lie."""
    candidate = Candidate(kind="jellyfin", url=house.fake.url)
    connector = await servers.meet(candidate)
    account = await connector.by_password("boss", "secret")
    server = await servers.add(candidate, account, await connector.identity(), now_ms=NOW)
    await connector.close()
    here = PathMapping(server="/media", local=bytes(house.folder))
    return await servers.map_paths(server, [here])


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not await true():  # type: ignore[misc]
            await asyncio.sleep(0.01)


async def test_everything_is_found_with_its_files(here: Home) -> None:
    found = {item.title: item for item in await here.store.read(library.items, Viewer(), limit=100)}
    assert set(found) == ALL
    (file,) = await here.store.read(library.files_of_item, found["Long"].id)
    assert os.fsencode(here.house.here("/media/Films/Long/cd2.mkv")) in file.paths


async def test_a_second_look_finds_nothing_new(here: Home) -> None:
    report = await here.sync.run_once()
    assert (report.new, report.changed, report.gone, report.complete) == (0, 0, 0, True)


async def test_catching_up_costs_few_requests_when_nothing_is_new(here: Home) -> None:
    """A refresh a long time ago is what a quiet server looks like."""
    here.house.fake.exchanges.clear()
    await here.sync.catch_up(here.server.id)
    assert len(here.house.fake.exchanges) <= 5


async def test_catching_up_finds_what_is_new_and_what_went(here: Home) -> None:
    new = here.house.film(here.house.films, "New", created=here.house.world.now())
    here.house.world.save(new)
    await here.sync.catch_up(here.server.id)
    assert await here.titles() == ALL | {"New"}
    here.house.world.remove(here.item("Birthday"))
    await here.sync.catch_up(here.server.id)
    assert await here.titles() == (ALL | {"New"}) - {"Birthday"}


@pytest.mark.parametrize("kind", [500, "drop", "half", "garbage", "html", 401, 403])
async def test_a_listing_that_breaks_deletes_nothing(here: Home, kind: int | str) -> None:
    here.house.world.remove(here.item("Birthday"))
    here.house.fake.break_it("/Items$", kind)
    assert not (await here.sync.run_once()).complete
    assert await here.titles() == ALL
    here.house.fake.faults.clear()
    assert (await here.sync.run_once()).gone == 1


async def test_a_disk_that_is_away_deletes_nothing(here: Home) -> None:
    here.house.folder.rename(here.house.folder.with_name("away"))
    await here.sync.run_once()
    assert await here.titles() == ALL


async def test_a_file_that_is_away_deletes_nothing(here: Home) -> None:
    here.house.here("/media/Films/Family Film/Family Film.mkv").unlink()
    report = await here.sync.run_once()
    assert [problem.path.rpartition(b"/")[2] for problem in report.problems] == [b"Family Film.mkv"]
    assert "Family Film" in await here.titles()


async def test_events_are_followed(here: Home) -> None:
    running = asyncio.ensure_future(here.following.run())
    fake = here.house.fake
    try:
        async with asyncio.timeout(LIMIT_S):
            await fake.socket_opened.wait()
        new = here.house.film(here.house.films, "Event")
        await fake.library_changed(added=(new.id,))
        await until(lambda: _has(here, "Event"))
        here.house.world.remove(new)
        await fake.library_changed(removed=(new.id,))
        await until(lambda: _has_not(here, "Event"))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _has(here: Home, title: str) -> bool:
    return title in await here.titles()


async def _has_not(here: Home, title: str) -> bool:
    return title not in await here.titles()


async def test_each_sees_what_their_server_shows_them(here: Home) -> None:
    assert await here.titles(await here.viewer("boss")) == ALL
    assert await here.titles(await here.viewer("kid")) == {
        "Family Film",
        "Pilot",
        "Birthday",
        "Long",
    }
    assert await here.titles(await here.viewer("guest")) == ALL - {"Pilot", "Birthday"}


async def test_a_silent_server_shows_nothing(here: Home) -> None:
    session = await here.household.sign_in(here.server.name, "kid", "secret")
    account = await here.accounts.signed_in(session)
    assert account is not None
    here.house.fake.break_it("/Items$", 503)
    here.clock[0] += 100_000
    with pytest.raises(ServerUnavailable, match="showing nothing"):
        await here.household.viewer(account)


async def test_a_token_that_was_taken_back_shows_nothing(here: Home) -> None:
    session = await here.household.sign_in(here.server.name, "kid", "secret")
    account = await here.accounts.signed_in(session)
    assert account is not None
    here.house.world.tokens.clear()
    here.clock[0] += 100_000
    with pytest.raises(AuthFailed, match="sign in again"):
        await here.household.viewer(account)


async def test_a_wrong_password_lets_nobody_in(here: Home) -> None:
    with pytest.raises(AuthFailed):
        await here.household.sign_in(here.server.name, "boss", "guess")
