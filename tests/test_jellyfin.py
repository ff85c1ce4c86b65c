"""The Jellyfin connector against a server that behaves: what it lists, knows and plays."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from companion.errors import AuthFailed, MediaMissing, ServerUnavailable
from companion.model import CreditKind, ItemKind, LibraryKind, ListedItem, ListedPart
from connectors.base import (
    FoundItems,
    MediaServer,
    Playable,
    Played,
    RightKind,
    SignInWay,
    Watched,
)
from connectors.jellyfin import Jellyfin
from connectors.mapping import PathMapping, propose
from tests.fakes.jellyfin import JPEG
from tests.jellyfin_house import House, furnish, open_house, unknown_id


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path / "nas") as house:
        yield house


@pytest.fixture
async def server(house: House) -> AsyncIterator[Jellyfin]:
    """The daemon's connector, signed in as the administrator, with a furnished house."""
    furnish(house)
    connector = house.connector()
    yield connector
    await connector.close()


def is_media_server(connector: MediaServer) -> MediaServer:
    return connector


async def listed(connector: Jellyfin) -> dict[str, ListedItem]:
    return {
        item.title: item
        for library in await connector.libraries()
        async for page in connector.items(library)
        for item in page.items
    }


async def visible(connector: Jellyfin, token: str) -> set[str]:
    return {id async for page in connector.visible(token) for id in page}


# --- listing -------------------------------------------------------------------------------------


async def test_it_fulfils_every_protocol(server: Jellyfin) -> None:
    assert is_media_server(server).kind == "jellyfin"


async def test_libraries_with_videos_are_listed_with_their_folders_here(
    server: Jellyfin, house: House
) -> None:
    libraries = await server.libraries()
    assert [(it.name, it.kind) for it in libraries] == [
        ("Films", LibraryKind.MOVIES),
        ("Shows", LibraryKind.SHOWS),
        ("Private", LibraryKind.HOME_VIDEOS),
    ]
    assert libraries[0].roots == (str(house.folder / "Films").encode(),)


async def test_an_account_without_the_right_learns_no_folders(house: House) -> None:
    connector = house.connector(house.token(house.guest))
    (only,) = await connector.libraries()
    assert (only.name, only.roots) == ("Films", ())
    await connector.close()


async def test_only_the_chosen_libraries_are_listed(house: House) -> None:
    connector = house.connector(libraries=(house.shows.id,))
    assert [it.name for it in await connector.libraries()] == ["Shows"]
    await connector.close()


async def test_a_film_is_listed_with_everything_known_of_it(server: Jellyfin, house: House) -> None:
    film = (await listed(server))["Night Train"]
    assert film.kind is ItemKind.MOVIE
    assert film.year == 1984
    assert film.added_at_ms == 1_709_294_400_000
    assert film.rating == "PG-13"
    assert film.community_rating == 7.5
    assert film.genres == ("Thriller",)
    assert film.tags == ("trains",)
    assert film.provider_ids == (("imdb", "tt0087777"), ("tmdb", "11"))
    assert [(it.name, it.kind, it.role, bool(it.portrait)) for it in film.credits] == [
        ("Anna Berg", CreditKind.ACTOR, "Captain", True),
        ("Ben Lund", CreditKind.DIRECTOR, "", False),
    ]
    (part,) = film.parts
    assert part.path == str(house.folder / "Films/Night Train/Night Train.mkv").encode()


async def test_an_episode_knows_its_show(server: Jellyfin) -> None:
    episode = (await listed(server))["Pilot"]
    assert episode.kind is ItemKind.EPISODE
    assert (episode.show_title, episode.season, episode.episode) == ("Harbour", 1, 2)


async def test_home_videos_and_music_videos_are_of_their_kind(
    server: Jellyfin, house: House
) -> None:
    clips = house.world.library("Clips", "musicvideos")
    house.film(clips, "Song", type="MusicVideo")
    found = await listed(server)
    assert found["Birthday"].kind is ItemKind.HOME_VIDEO
    assert found["Song"].kind is ItemKind.MUSIC_VIDEO


async def test_versions_and_parts_are_told_apart(server: Jellyfin) -> None:
    found = await listed(server)
    names = [
        [(part.path.rpartition(b"/")[2], part.version, part.part) for part in found[title].parts]
        for title in ("Two Cuts", "Long")
    ]
    assert names == [
        [(b"a.mkv", 0, 0), (b"b.mkv", 1, 0)],
        [(b"cd1.mkv", 0, 0), (b"cd2.mkv", 0, 1)],
    ]


async def test_the_second_part_is_not_an_item_of_its_own(server: Jellyfin) -> None:
    assert len(await listed(server)) == 6


async def test_films_of_a_collection_are_listed_one_by_one(server: Jellyfin, house: House) -> None:
    items = {item.name: item.id for item in house.world.items.values()}
    house.world.collected = {items["Night Train"], items["Two Cuts"]}
    house.world.touch()
    assert len(await listed(server)) == 6
    assert house.world.collected <= await visible(server, house.token(house.boss))


async def test_pages_say_how_many_there_are(server: Jellyfin, house: House) -> None:
    (films, *_others) = await server.libraries()
    assert [page.total async for page in server.items(films)] == [4]


async def test_an_api_key_lists_everything(server: Jellyfin, house: House) -> None:
    connector = house.connector(house.world.key())
    assert set(await listed(connector)) == set(await listed(server))
    await connector.close()


async def test_items_are_found_by_id_with_their_library(server: Jellyfin, house: House) -> None:
    items = {item.name: item for item in house.world.items.values()}
    wanted = [items["Pilot"].id, items["Birthday"].id, unknown_id()]
    found = await server.some_items(wanted)
    assert {(library, item.title) for library, item in found.items} == {
        (house.shows.id, "Pilot"),
        (house.private.id, "Birthday"),
    }
    assert found.items[0][1] in (await listed(server)).values()


async def test_what_was_saved_since_is_listed(server: Jellyfin, house: House) -> None:
    items = {item.name: item for item in house.world.items.values()}
    before = max(item.saved_at_ms for item in (await listed(server)).values())
    house.world.save(items["Pilot"])
    house.world.save(items["Birthday"])
    found = [page async for page in server.changed_since(before + 1)]
    assert {(library, item.title) for page in found for library, item in page.items} == {
        (house.shows.id, "Pilot"),
        (house.private.id, "Birthday"),
    }


async def test_nothing_saved_since_costs_two_requests(server: Jellyfin, house: House) -> None:
    before = max(item.saved_at_ms for item in (await listed(server)).values())
    house.fake.exchanges.clear()
    assert [page async for page in server.changed_since(before + 600_000)] == []
    assert await server.count() == 6
    assert len(house.fake.exchanges) == 2


async def test_a_film_of_tomorrow_hides_no_change(server: Jellyfin, house: House) -> None:
    house.film(house.films, "Tomorrow", created=house.world.now() + timedelta(days=2))
    film = (await listed(server))["Tomorrow"]
    assert film.saved_at_ms == 0
    assert film.added_at_ms > 0


async def test_only_what_is_listed_is_counted(house: House) -> None:
    furnish(house)
    for token, chosen, count in (
        (house.token(house.boss), (house.films.id, house.shows.id), 5),
        (house.token(house.guest), (), 4),
        (house.world.key(), (), 6),
    ):
        connector = house.connector(token, libraries=chosen)
        assert await connector.count() == count
        await connector.close()


async def test_nothing_is_asked_for_no_ids(server: Jellyfin, house: House) -> None:
    assert await server.some_items([]) == FoundItems()
    assert await server.some_items(["../../etc"]) == FoundItems()
    assert house.fake.exchanges == []


async def test_an_item_of_a_library_that_is_not_listed_is_not_found(house: House) -> None:
    """`ids` passes by the access to libraries: what is not in one of ours is left out."""
    items = furnish(house)
    for token, chosen in (
        (house.token(house.boss), (house.films.id,)),
        (house.token(house.guest), ()),
    ):
        connector = house.connector(token, libraries=chosen)
        found = await connector.some_items([items["Birthday"].id, items["Family Film"].id])
        assert [item.title for _library, item in found.items] == ["Family Film"]
        await connector.close()


async def test_sample_paths_lead_to_a_mapping(server: Jellyfin, house: House) -> None:
    samples = await server.sample_paths()
    here = [str(path).encode() for path in house.folder.rglob("*")]
    (proposal, *_more) = propose(samples, here)
    assert proposal.mapping == PathMapping(server="/media", local=str(house.folder).encode())


async def test_a_base_path_is_respected(tmp_path: Path) -> None:
    async with open_house(tmp_path / "nas", base="/jelly/fin") as house:
        furnish(house)
        connector = house.connector(url=house.fake.url + "/web/index.html#/home")
        assert connector.address == house.fake.url
        assert len(await listed(connector)) == 6
        (link,) = await connector.links(unknown_id())
        assert link.url.startswith(house.fake.url + "/web/#/details?id=")
        await connector.close()


# --- files that are not here ---------------------------------------------------------------------


async def problems(connector: Jellyfin) -> list[tuple[bytes, str]]:
    return [
        (problem.path, problem.problem)
        for library in await connector.libraries()
        async for page in connector.items(library)
        for problem in page.problems
    ]


async def test_a_file_that_is_not_here_is_a_problem_and_the_rest_is_listed(
    server: Jellyfin, house: House
) -> None:
    lost = house.here("/media/Films/Two Cuts/a.mkv")
    lost.unlink()
    house.here("/media/Films/Night Train/Night Train.mkv").unlink()
    found = await listed(server)
    assert [(part.version, part.path[-5:]) for part in found["Two Cuts"].parts] == [(1, b"b.mkv")]
    assert "Night Train" not in found
    told = dict(await problems(server))
    assert len(told) == 2
    assert "not here" in told[str(lost).encode()]


async def test_a_folder_that_no_mapping_leads_to_is_one_problem(house: House) -> None:
    for number in range(5):
        house.world.film(house.films, f"Film {number}")
    connector = house.connector(mappings=(PathMapping(server="/other", local=b"/other"),))
    assert await listed(connector) == {}
    ((path, problem),) = await problems(connector)
    assert path == b"/media/Films"
    assert "5 files" in problem
    await connector.close()


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"protocol": "Http", "versions": ["http://else.where/a.mkv?key=hush"]}, "internet"),
        ({"versions": ["http://else.where/a.mkv?key=hush"]}, "internet"),
        ({"video_type": "Dvd", "versions": ["/media/Films/Disc"]}, "DVD"),
        ({"versions": ["/media/Films"]}, "not a video file"),
    ],
)
async def test_what_is_no_file_is_a_problem(house: House, more: dict[str, Any], word: str) -> None:
    house.world.film(house.films, "Odd", **more)
    connector = house.connector()
    ((path, problem),) = await problems(connector)
    assert word in problem
    assert b"hush" not in path
    await connector.close()


async def test_an_episode_that_nobody_has_is_nothing(house: House) -> None:
    house.world.film(house.shows, "Missing", type="Episode", location="Virtual", versions=[])
    connector = house.connector()
    assert await problems(connector) == []
    assert await listed(connector) == {}
    await connector.close()


async def test_accents_may_be_composed_differently(house: House) -> None:
    house.world.film(house.films, "Cafe\u0301")
    house.lay("/media/Films/Caf\u00e9/Caf\u00e9.mkv")
    connector = house.connector()
    (item,) = (await listed(connector)).values()
    assert item.parts == (
        ListedPart(
            path=str(house.here("/media/Films/Caf\u00e9/Caf\u00e9.mkv")).encode(),
            external_id=f"{item.external_id}/{item.external_id}",
        ),
    )
    await connector.close()


# --- signing in ----------------------------------------------------------------------------------


async def test_a_server_says_who_it_is_without_a_token(house: House) -> None:
    connector = house.connector("")
    identity = await connector.identity()
    assert (identity.id, identity.name, identity.version) == (house.world.id, "Home", "10.11.11")
    await connector.close()


async def test_a_password_signs_in(server: Jellyfin, house: House) -> None:
    account = await server.by_password("Kid", "secret")
    assert (account.external_id, account.name, account.is_admin) == (house.kid.id, "kid", False)
    assert (await server.by_token(account.token)) == account
    assert (await server.by_password("boss", "secret")).is_admin


async def test_a_wrong_password_says_so(server: Jellyfin) -> None:
    with pytest.raises(AuthFailed, match="name or the password"):
        await server.by_password("kid", "guess")
    with pytest.raises(AuthFailed, match="name or the password"):
        await server.by_password("nobody", "guess")


async def test_a_disabled_account_says_so(server: Jellyfin, house: House) -> None:
    house.kid.disabled = True
    with pytest.raises(AuthFailed, match="switched off"):
        await server.by_password("kid", "secret")


@pytest.mark.parametrize("password", ["{server}", "{UserId}", 'a"b', "ü ﬂ", " ", "a\nb"])
async def test_any_password_is_sent_as_it_is(server: Jellyfin, house: House, password: str) -> None:
    house.kid.password = password
    assert (await server.by_password("kid", password)).name == "kid"


async def test_a_second_device_does_not_sign_out_the_first(server: Jellyfin) -> None:
    first = await server.by_password("kid", "secret")
    second = await server.by_password("kid", "secret")
    assert first.token != second.token
    assert await server.by_token(first.token) == first
    assert await server.by_token(second.token) == second


async def test_a_code_signs_in_once_it_was_confirmed(server: Jellyfin, house: House) -> None:
    assert await server.ways() == (SignInWay.CODE, SignInWay.PASSWORD, SignInWay.TOKEN)
    code = await server.start_code()
    assert code.code.isdigit()
    assert code.secret not in repr(code)
    assert await server.by_code(code) is None
    house.fake.confirm(code.code, house.kid)
    account = await server.by_code(code)
    assert account is not None
    assert account.name == "kid"
    assert await server.by_token(account.token) == account


async def test_a_code_that_expired_says_so(server: Jellyfin, house: House) -> None:
    code = await server.start_code()
    house.fake.forget_codes()
    with pytest.raises(AuthFailed, match="expired"):
        await server.by_code(code)


async def test_codes_that_are_switched_off_are_not_offered(server: Jellyfin, house: House) -> None:
    house.fake.quick_connect = False
    assert SignInWay.CODE not in await server.ways()
    with pytest.raises(AuthFailed, match="Quick Connect is switched off"):
        await server.start_code()


async def test_an_api_key_is_an_administrator_and_nobody(server: Jellyfin, house: House) -> None:
    account = await server.by_token(house.world.key())
    assert (account.external_id, account.is_admin) == ("", True)
    with pytest.raises(AuthFailed, match="belongs to nobody"):
        await server.players(account.token)


@pytest.mark.parametrize("token", ["wrong", 'x", Token="y', "a\r\nX-Evil: 1", "", "ü", "a" * 600])
async def test_a_token_that_is_none_is_refused(server: Jellyfin, token: str) -> None:
    with pytest.raises(AuthFailed):
        await server.by_token(token)


async def test_signing_out_ends_the_token(server: Jellyfin, house: House) -> None:
    account = await server.by_password("kid", "secret")
    await server.sign_out(account.token)
    with pytest.raises(AuthFailed):
        await server.by_token(account.token)
    await server.sign_out(account.token)


# --- rights --------------------------------------------------------------------------------------


async def rights(connector: Jellyfin) -> dict[RightKind, bool]:
    found = await connector.rights()
    assert all(right.words for right in found)
    assert len(found) == len(RightKind)
    return {right.kind: right.granted for right in found}


async def test_an_administrator_has_every_right(server: Jellyfin) -> None:
    assert set((await rights(server)).values()) == {True}


async def test_an_api_key_hears_nothing(house: House) -> None:
    connector = house.connector(house.world.key())
    granted = await rights(connector)
    assert [kind for kind, yes in granted.items() if not yes] == [RightKind.EVENTS]
    await connector.close()


async def test_an_account_with_limits_lacks_everything(house: House) -> None:
    connector = house.connector(house.token(house.guest))
    granted = await rights(connector)
    assert [kind for kind, yes in granted.items() if yes] == [RightKind.LIST, RightKind.EVENTS]
    await connector.close()


async def test_a_proxy_without_sockets_is_told(server: Jellyfin, house: House) -> None:
    house.fake.has_socket = False
    (events,) = [it for it in await server.rights() if it.kind is RightKind.EVENTS]
    assert not events.granted
    assert "WebSockets" in events.words


async def test_an_account_that_sees_no_library_cannot_list(house: House) -> None:
    house.guest.folders = set()
    connector = house.connector(house.token(house.guest))
    (may_list,) = [it for it in await connector.rights() if it.kind is RightKind.LIST]
    assert may_list.needed
    assert not may_list.granted
    await connector.close()


# --- who may see what ----------------------------------------------------------------------------


async def test_each_sees_what_the_server_lets_them(server: Jellyfin, house: House) -> None:
    items = {item.name: item.id for item in house.world.items.values()}
    seen = {
        user.name: {name for name, id in items.items() if id in ids}
        for user in (house.boss, house.kid, house.guest)
        for ids in [await visible(server, house.token(user))]
    }
    assert seen["boss"] == set(items) - {"Long part 2"}
    assert seen["kid"] == {"Family Film", "Pilot", "Birthday", "Long"}
    assert seen["guest"] == {"Night Train", "Family Film", "Two Cuts", "Long"}


async def test_tags_hide(server: Jellyfin, house: House) -> None:
    items = {item.name: item.id for item in house.world.items.values()}
    house.guest.blocked_tags = {"secret"}
    house.kid.allowed_tags = {"trains"}
    house.kid.max_rating = None
    house.world.touch()
    assert items["Long"] not in await visible(server, house.token(house.guest))
    assert await visible(server, house.token(house.kid)) == {items["Night Train"]}


async def test_only_an_account_without_limits_sees_everything(
    server: Jellyfin, house: House
) -> None:
    assert await server.sees_everything(house.token(house.boss))
    assert not await server.sees_everything(house.token(house.kid))
    assert not await server.sees_everything(house.token(house.guest))


@pytest.mark.parametrize(
    "policy",
    [
        {"all_folders": False},
        {"blocked_folders": {unknown_id()}},
        {"max_rating": 0},
        {"blocked_tags": {"x"}},
        {"allowed_tags": {"x"}},
        {"block_unrated": True},
        {"schedules": True},
    ],
)
async def test_every_limit_counts(server: Jellyfin, house: House, policy: dict[str, Any]) -> None:
    limited = house.world.user("limited", admin=True, **policy)
    assert not await server.sees_everything(house.token(limited))


async def test_one_item_is_asked_for(server: Jellyfin, house: House) -> None:
    items = {item.name: item.id for item in house.world.items.values()}
    token = house.token(house.guest)
    assert await server.may_see(token, items["Night Train"])
    assert not await server.may_see(token, items["Birthday"])
    assert not await server.may_see(token, unknown_id())
    assert not await server.may_see(token, "../Users")
    assert not await server.may_see(token, "")
    assert len(house.fake.exchanges) == 3
    assert not await server.may_see(house.world.key(), items["Night Train"])
    with pytest.raises(AuthFailed):
        await server.may_see("", items["Night Train"])


async def test_what_was_watched_is_each_persons_own(server: Jellyfin, house: House) -> None:
    items = {item.name: item.id for item in house.world.items.values()}
    house.boss.played = {items["Pilot"]}
    house.boss.positions = {items["Long"]: 61_0000000}
    house.world.touch()
    told = [entry async for page in server.watched(house.token(house.boss)) for entry in page]
    assert told == [
        Watched(item_id=items["Pilot"], played=True),
        Watched(item_id=items["Long"], played=False, position_ms=61_000),
    ]
    assert [page async for page in server.watched(house.token(house.kid))] == []


# --- playing -------------------------------------------------------------------------------------


async def test_players_are_ones_own_and_can_be_told(server: Jellyfin, house: House) -> None:
    mine = house.world.session(house.boss, "Living room")
    house.world.session(house.kid, "Kid's tablet")
    house.world.session(house.boss, "Old radio", remote=False)
    house.world.session(house.boss, "Ourselves", device_id="heimdex-0123456789abcdef" * 1)
    (player,) = [it for it in await server.players(house.token(house.boss)) if it.id == mine.id]
    assert (player.name, player.app, player.item_id) == ("Living room", "Jellyfin Android TV", "")
    assert {it.name for it in await server.players(house.token(house.kid))} == {"Kid's tablet"}


async def test_our_own_sessions_are_no_players(server: Jellyfin, house: House) -> None:
    ours = f"heimdex-{'0123456789abcdef' * 2}-77"
    house.world.session(house.boss, "Heimdex", device_id=ours)
    assert await server.players(house.token(house.boss)) == ()


async def test_it_plays_at_the_time_and_seeks_when_it_is_there(
    server: Jellyfin, house: House
) -> None:
    film = (await listed(server))["Two Cuts"]
    session = house.world.session(house.boss)
    token = house.token(house.boss)
    what = Playable(item_id=film.external_id, part_id=film.parts[1].external_id)
    assert await server.play(token, session.id, what, 61_000) is Played.STARTED
    assert await server.play(token, session.id, what, 5_000) is Played.SOUGHT
    assert session.commands == [
        (
            "Play",
            {
                "playCommand": "PlayNow",
                "itemIds": film.external_id,
                "startPositionTicks": "610000000",
                "mediaSourceId": house.world.items[film.external_id].source_id(1),
            },
        ),
        ("Seek", {"seekPositionTicks": "50000000"}),
    ]
    (player,) = await server.players(token)
    assert player.item_id == film.external_id


async def test_a_later_part_is_played_by_its_own_id(server: Jellyfin, house: House) -> None:
    film = (await listed(server))["Long"]
    session = house.world.session(house.boss)
    what = Playable(item_id=film.external_id, part_id=film.parts[1].external_id)
    await server.play(house.token(house.boss), session.id, what, 0)
    assert house.world.items[session.item].versions == ["/media/Films/Long/cd2.mkv"]


async def test_nobody_plays_on_a_player_of_somebody_else(server: Jellyfin, house: House) -> None:
    """The server would: it asks only for a token."""
    theirs = house.world.session(house.kid)
    for user in (house.boss, house.guest):
        with pytest.raises(MediaMissing, match="not there"):
            await server.play(house.token(user), theirs.id, Playable(item_id=unknown_id()), 0)
    assert theirs.commands == []


@pytest.mark.parametrize("player", ["", "..", "../../Users", "gone"])
async def test_a_player_that_is_gone_says_so(server: Jellyfin, house: House, player: str) -> None:
    house.world.session(house.boss)
    with pytest.raises(MediaMissing, match="not there"):
        await server.play(house.token(house.boss), player, Playable(item_id=unknown_id()), 0)


@pytest.mark.parametrize("part", ["../x", "a/b/c", "?"])
async def test_only_ids_that_a_listing_gave_are_played(
    server: Jellyfin, house: House, part: str
) -> None:
    session = house.world.session(house.boss)
    what = Playable(item_id=unknown_id(), part_id=part)
    with pytest.raises(MediaMissing, match="does not know"):
        await server.play(house.token(house.boss), session.id, what, 0)
    assert session.commands == []


async def test_it_counts_who_is_watching(server: Jellyfin, house: House) -> None:
    assert await server.streams() == 0
    some = next(iter(house.world.items))
    house.world.session(house.kid, item=some)
    house.world.session(house.boss)
    assert await server.streams() == 1


# --- pictures and links --------------------------------------------------------------------------


async def test_a_portrait_is_fetched(server: Jellyfin) -> None:
    anna, ben = (await listed(server))["Night Train"].credits
    assert await server.portrait(anna.portrait) == JPEG
    assert ben.portrait == ""


@pytest.mark.parametrize("reference", ["", "x", "../x/y", "a/../b", "http://else.where/a"])
async def test_only_portraits_that_a_listing_gave_are_fetched(
    server: Jellyfin, house: House, reference: str
) -> None:
    with pytest.raises(MediaMissing):
        await server.portrait(reference)
    assert house.fake.exchanges == []


async def test_a_portrait_that_went_is_missing(server: Jellyfin) -> None:
    with pytest.raises(MediaMissing):
        await server.portrait(f"{unknown_id()}/{unknown_id()}")


async def test_a_link_opens_the_page_of_an_item(server: Jellyfin, house: House) -> None:
    id = unknown_id()
    (link,) = await server.links(id)
    assert link.name == "Home"
    assert link.url == f"{house.fake.url}/web/#/details?id={id}&serverId={house.world.id}"
    assert await server.links("x&y") == ()


async def test_a_link_leads_where_browsers_reach_the_server(house: House) -> None:
    connector = house.connector(public_url="https://films.example/jelly/")
    (link,) = await connector.links(unknown_id())
    assert link.url.startswith("https://films.example/jelly/web/#/details?id=")
    await connector.close()


# --- the connector as a thing --------------------------------------------------------------------


async def test_tokens_are_in_no_repr_and_no_address(server: Jellyfin, house: House) -> None:
    account = await server.by_password("kid", "secret")
    connector = house.connector(account.token)
    for thing in (account, connector, connector._setup, connector.address):
        assert account.token not in repr(thing)
    await connector.close()


async def test_no_token_is_in_an_address_that_we_ask_for(server: Jellyfin, house: House) -> None:
    await listed(server)
    await server.rights()
    await visible(server, house.token(house.kid))
    for exchange in house.fake.exchanges:
        assert not any(token in f"{exchange.path}?{exchange.query}" for token in house.world.tokens)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://x",
        "http://",
        "http://boss:pw@host:8096",
        "file:///etc/passwd",
        "http://[::",
        "/x",
    ],
)
async def test_an_address_that_is_none_says_so(house: House, url: str) -> None:
    connector = house.connector(url=url)
    assert connector.address == ""
    with pytest.raises(ServerUnavailable, match="the address is not"):
        await connector.identity()
    with pytest.raises(ServerUnavailable, match="the address is not"):
        await connector.libraries()
    await connector.close()


async def test_it_can_be_used_again_after_closing(server: Jellyfin) -> None:
    before = await listed(server)
    await server.close()
    await server.close()
    assert await listed(server) == before


async def test_many_at_once_take_turns(server: Jellyfin, house: House) -> None:
    tokens = [house.token(house.kid) for _ in range(8)]
    found = await asyncio.gather(*(visible(server, token) for token in tokens))
    assert all(each == found[0] for each in found)
