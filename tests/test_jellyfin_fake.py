"""The fake Jellyfin has the traps of the real one: without them the connector's tests prove little.

Each is told in the sources of Jellyfin 10.11 and 12.0.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.jellyfin_world import User
from tests.jellyfin_house import House, furnish, open_house, unknown_id
from tests.jellyfin_schema import check_answers, check_requests, operation, operations


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path / "nas") as house:
        furnish(house)
        yield house


class Caller:
    """Asks as somebody, with whatever header they send."""

    def __init__(self, house: House, session: aiohttp.ClientSession) -> None:
        self.house = house
        self.session = session

    async def status(self, path: str, token: str = "", **more: Any) -> int:
        async with self._ask(path, token, **more) as response:
            return int(response.status)

    async def names(self, path: str, token: str, params: Any) -> set[str]:
        async with self._ask(path, token, params=params) as response:
            assert response.status == 200
            return {item["Name"] for item in (await response.json())["Items"]}

    def _ask(self, path: str, token: str = "", method: str = "GET", **more: Any) -> Any:
        headers = more.pop("headers", {"Authorization": f'MediaBrowser Token="{token}"'})
        url = f"{self.house.fake.url}/{path}"
        return self.session.request(method, url, headers=headers, **more)


@pytest.fixture
async def caller(house: House) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(house, session)


def ids(house: House, *names: str) -> list[str]:
    found = {item.name: item.id for item in house.world.items.values()}
    return [found[name] for name in names]


async def test_ids_pass_by_the_access_to_libraries(caller: Caller, house: House) -> None:
    token = house.token(house.guest)
    forbidden, allowed = ids(house, "Birthday", "Night Train")
    by_ids = {"ids": f"{forbidden},{allowed}", "userId": house.guest.id}
    assert await caller.names("Items", token, by_ids) == {"Birthday", "Night Train"}
    listed = await caller.names("Items", token, {"userId": house.guest.id, "recursive": "true"})
    assert "Birthday" not in listed
    assert await caller.status(f"Items/{forbidden}", token) == 404
    assert await caller.status(f"Items/{allowed}", token) == 200


async def test_ids_do_not_pass_by_ratings_and_tags(caller: Caller, house: House) -> None:
    token = house.token(house.kid)
    wanted = {"ids": ",".join(ids(house, "Two Cuts", "Family Film"))}
    assert await caller.names("Items", token, wanted) == {"Family Film"}


async def test_a_forbidden_library_is_401(caller: Caller, house: House) -> None:
    token = house.token(house.guest)
    assert await caller.status("Items", token, params={"parentId": house.private.id}) == 401
    assert await caller.status("Users/Me", token) == 200


async def test_a_key_knows_no_single_item_and_is_nobody(caller: Caller, house: House) -> None:
    key = house.world.key()
    (film,) = ids(house, "Night Train")
    assert await caller.status(f"Items/{film}", key) == 404
    assert await caller.status(f"Items/{film}", key, params={"userId": house.boss.id}) == 200
    assert await caller.status("Users/Me", key) == 400
    assert await caller.status("Library/VirtualFolders", key) == 200
    assert len(await caller.names("Items", key, {})) == 6


async def test_a_key_hears_of_no_changes(caller: Caller, house: House) -> None:
    url = house.fake.url + "/socket?ApiKey="
    token = house.token(house.boss)
    async with (
        caller.session.ws_connect(url + house.world.key()) as deaf,
        caller.session.ws_connect(url + token) as hears,
    ):
        for line in (deaf, hears):
            assert (await line.receive_json())["MessageType"] == "ForceKeepAlive"
        await house.fake.library_changed(added=tuple(ids(house, "Pilot")))
        assert (await hears.receive_json())["MessageType"] == "LibraryChanged"
        await deaf.send_json({"MessageType": "KeepAlive"})
        assert (await deaf.receive_json())["MessageType"] == "KeepAlive"


async def test_a_user_hears_only_of_what_they_may_see(caller: Caller, house: House) -> None:
    token = house.token(house.guest)
    async with caller.session.ws_connect(f"{house.fake.url}/socket?ApiKey={token}") as line:
        await line.receive_json()
        allowed = ids(house, "Night Train")
        await house.fake.library_changed(added=(*allowed, *ids(house, "Birthday")))
        assert (await line.receive_json())["Data"]["ItemsAdded"] == allowed


async def test_the_socket_calls_an_unknown_token_forbidden(caller: Caller) -> None:
    assert await caller.status("socket", "unknown") == 403


async def test_lists_come_with_commas_or_again_and_again(caller: Caller, house: House) -> None:
    token = house.token(house.boss)
    both = {"Pilot", "Birthday"}
    commas = [("includeItemTypes", "Episode,Video")]
    again = [("includeItemTypes", "Episode"), ("includeItemTypes", "Video")]
    assert await caller.names("Items", token, commas) == both
    assert await caller.names("Items", token, again) == both


async def test_a_collection_may_stand_for_its_films(caller: Caller, house: House) -> None:
    token = house.token(house.boss)
    house.world.collected = set(ids(house, "Night Train"))
    house.world.touch()
    assert "Night Train" not in await caller.names("Items", token, {})
    apart = {"collapseBoxSetItems": "false"}
    assert "Night Train" in await caller.names("Items", token, apart)


OLD_WAYS: list[tuple[dict[str, str], dict[str, str]]] = [
    ({"X-Emby-Token": "TOKEN"}, {}),
    ({"X-MediaBrowser-Token": "TOKEN"}, {}),
    ({"X-Emby-Authorization": 'MediaBrowser Token="TOKEN"'}, {}),
    ({"Authorization": 'Emby Token="TOKEN"'}, {}),
    ({}, {"api_key": "TOKEN"}),
]
NEW_WAYS: list[tuple[dict[str, str], dict[str, str]]] = [
    ({"Authorization": 'MediaBrowser Token="TOKEN"'}, {}),
    ({}, {"ApiKey": "TOKEN"}),
]


@pytest.mark.parametrize(("version", "status"), [("10.11.11", 200), ("12.0.0", 401)])
@pytest.mark.parametrize(("headers", "params"), OLD_WAYS)
async def test_old_headers_end_with_version_12(
    house: House,
    caller: Caller,
    version: str,
    status: int,
    headers: dict[str, str],
    params: dict[str, str],
) -> None:
    house.world.version = version
    assert await _with_token(caller, house.boss, headers, params) == status
    house.fake.exchanges.clear()  # old parameters are not of the official API


@pytest.mark.parametrize("version", ["10.10.7", "10.11.11", "12.0.0"])
@pytest.mark.parametrize(("headers", "params"), NEW_WAYS)
async def test_the_two_ways_of_today_are_understood_by_all(
    house: House, caller: Caller, version: str, headers: dict[str, str], params: dict[str, str]
) -> None:
    house.world.version = version
    assert await _with_token(caller, house.boss, headers, params) == 200
    house.fake.exchanges.clear()


async def _with_token(
    caller: Caller, user: User, headers: dict[str, str], params: dict[str, str]
) -> int:
    token = caller.house.token(user)
    return await caller.status(
        "Users/Me",
        headers={name: value.replace("TOKEN", token) for name, value in headers.items()},
        params={name: value.replace("TOKEN", token) for name, value in params.items()},
    )


async def test_pictures_need_no_token(caller: Caller, house: House) -> None:
    person = next(iter(house.world.people))
    assert await caller.status(f"Items/{person}/Images/Primary", headers={}) == 200
    assert await caller.status(f"Items/{unknown_id()}/Images/Primary", headers={}) == 404


async def test_anybody_may_command_any_session(caller: Caller, house: House) -> None:
    theirs = house.world.session(house.boss)
    (film,) = ids(house, "Family Film")
    params = {"playCommand": "PlayNow", "itemIds": film, "startPositionTicks": "10"}
    path = f"Sessions/{theirs.id}/Playing"
    assert await caller.status(path, house.token(house.kid), method="POST", params=params) == 204
    assert theirs.item == film


async def test_nobody_asks_on_behalf_of_another_but_an_administrator(
    caller: Caller, house: House
) -> None:
    as_boss = {"userId": house.boss.id}
    assert await caller.status("Items", house.token(house.kid), params=as_boss) == 403
    as_kid = {"userId": house.kid.id}
    assert await caller.status("Items", house.token(house.boss), params=as_kid) == 200
    assert await caller.status("Library/VirtualFolders", house.token(house.kid)) == 403


async def test_the_same_device_again_ends_the_token_from_before(
    caller: Caller, house: House
) -> None:
    async def sign_in(device: str) -> str:
        words = f'MediaBrowser Client="a", Device="b", DeviceId="{device}", Version="1"'
        url = f"{house.fake.url}/Users/AuthenticateByName"
        body = {"Username": "kid", "Pw": "secret"}
        headers = {"Authorization": words}
        async with caller.session.post(url, json=body, headers=headers) as response:
            return str((await response.json())["AccessToken"])

    first, other, second = await sign_in("one"), await sign_in("two"), await sign_in("one")
    assert [await caller.status("Users/Me", token) for token in (first, other, second)] == [
        401,
        200,
        200,
    ]


async def test_a_sign_in_without_a_device_is_not_understood(caller: Caller) -> None:
    status = await caller.status(
        "Users/AuthenticateByName", method="POST", json={"Username": "kid", "Pw": "secret"}
    )
    assert status == 400


async def test_every_route_answers_what_the_official_models_say(
    caller: Caller, house: House
) -> None:
    """At least one successful answer of each route is held against the schema, here and now."""
    token = house.token(house.boss)
    (film,) = ids(house, "Night Train")
    person = next(iter(house.world.people))
    house.world.session(house.boss, item=film)
    house.boss.schedules = house.boss.block_unrated = True
    house.boss.max_rating = 18
    paths = [
        "System/Info/Public",
        "System/Info",
        "Users/Me",
        "Users",
        "QuickConnect/Enabled",
        "Auth/Keys",
        "Library/VirtualFolders",
        "UserViews",
        "Items?fields=Path,MediaSources,People,Genres,Tags,ProviderIds,DateCreated,ParentId,SortName",
        f"Items/{film}",
        f"Items/{film}/Ancestors",
        f"Items/{person}/Images/Primary",
        f"Videos/{film}/AdditionalParts",
        "Sessions",
    ]
    for path in paths:
        assert await caller.status(path, token) == 200, path
    check_requests(house.fake.exchanges)
    check_answers(house.fake.exchanges)


def test_the_official_api_is_known() -> None:
    """388 operations has the OpenAPI file of 10.11.0."""
    assert len(operations()) == 388
    items = operation("GET", "/Items")
    assert items is not None
    assert items.answer == "BaseItemDtoQueryResult"
    assert {"minDateLastSaved", "parentId", "startIndex"} <= items.parameters
    assert operation("GET", "/Users/x/Items") is None


async def test_an_answer_that_is_not_official_is_noticed(house: House, caller: Caller) -> None:
    house.world.libraries[house.films.id].locations = [7]  # type: ignore[list-item]
    await caller.status("Library/VirtualFolders", house.token(house.boss))
    with pytest.raises(ValueError, match="VirtualFolderInfo"):
        check_answers(house.fake.exchanges)
    await caller.status("Users/Me/Items")
    with pytest.raises(AssertionError, match="not in the API"):
        check_requests(house.fake.exchanges)
    house.fake.exchanges.clear()
    await caller.status("Items", house.token(house.boss), params={"userName": "boss"})
    with pytest.raises(AssertionError, match="userName"):
        check_requests(house.fake.exchanges)
    house.fake.exchanges.clear()
