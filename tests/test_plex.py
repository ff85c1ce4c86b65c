"""The Plex connector: libraries and items as the sync takes them, pictures and links."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from companion.errors import AuthFailed, MediaMissing, ServerUnavailable
from companion.model import CreditKind, ItemKind, LibraryKind, ListedItem, ListedLibrary
from connectors.base import PORTRAIT_BYTES, RightKind
from tests.fakes.plex_world import Part, Role, Section, Video, household
from tests.plex_house import GUEST, House, house, path_of, picture


@pytest.fixture
async def home() -> AsyncIterator[House]:
    async with house() as opened:
        yield opened


async def listed(home: House, library: str) -> list[ListedItem]:
    found = {each.external_id: each for each in await home.plex.libraries()}
    return [item async for page in home.plex.items(found[library]) for item in page.items]


async def test_libraries_are_what_holds_videos(home: House) -> None:
    home.world.add_section(Section(key="8", title="Music", type="artist"))
    home.world.add_section(Section(key="9", title="Photos", type="photo"))
    found = {each.name: each for each in await home.plex.libraries()}
    assert {name: each.kind for name, each in found.items()} == {
        "Films": LibraryKind.MOVIES,
        "Shows": LibraryKind.SHOWS,
        "Family": LibraryKind.HOME_VIDEOS,
    }
    assert found["Films"].roots == (b"/mnt/films/Films",)


async def test_only_the_chosen_libraries_are_listed(home: House) -> None:
    few = home.connector(libraries=("3",))
    assert [each.name for each in await few.libraries()] == ["Family"]
    assert [ids async for ids in few.visible(GUEST)] == []
    assert (await few.some_items(["10000"])).items == ()
    await few.close()


async def test_a_movie_comes_with_all_that_the_server_knows(home: House) -> None:
    cast = [Role(name=f"Actor {n}", role=f"Part {n}", id=50 + n) for n in range(9)]
    cast[0].thumb = "https://metadata-static.plex.tv/people/0.jpg"
    home.world.film(
        "10001",
        title="Night Train",
        roles=cast,
        directors=["A. Director"],
        genres=["Drama", "Drama", "Noir"],
        labels=["kids"],
        content_rating="PG-13",
        rating="7.4",
        guids=["imdb://tt0087", "tmdb://9"],
        added_at=1_600_000_000,
        updated_at=1_650_000_000,
    )
    (item,) = [each for each in await listed(home, "1") if each.external_id == "10001"]
    assert item.kind is ItemKind.MOVIE
    assert (item.title, item.year, item.rating) == ("Night Train", 1984, "PG-13")
    assert item.community_rating == 7.4
    assert item.genres == ("Drama", "Noir")
    assert item.tags == ("kids",)
    assert item.provider_ids == (("imdb", "tt0087"), ("tmdb", "9"))
    assert (item.added_at_ms, item.saved_at_ms) == (1_600_000_000_000, 1_650_000_000_000)
    assert len(item.credits) == 10, "a list names only three of the cast"
    assert item.credits[0].portrait == cast[0].thumb
    assert (item.credits[1].role, item.credits[1].person_id) == ("Part 1", "51")
    assert item.credits[-1].kind is CreditKind.DIRECTOR


async def test_versions_and_parts_are_told_apart(home: House) -> None:
    home.world.film(
        "10001",
        media=[
            [
                Part(file="/srv/media/Films/a cd1.avi", duration_ms=3_000_000),
                Part(file="/srv/media/Films/a cd2.avi", duration_ms=2_000_000),
            ],
            [Part(file="/srv/media/Films/a 4k.mkv")],
        ],
    )
    (item,) = [each for each in await listed(home, "1") if each.external_id == "10001"]
    assert [(part.path, part.version, part.part, part.external_id) for part in item.parts] == [
        (path_of("Films/a cd1.avi"), 0, 0, "0.0.0"),
        (path_of("Films/a cd2.avi"), 0, 1, "0.1.3000000"),
        (path_of("Films/a 4k.mkv"), 1, 0, "1.0.0"),
    ]


async def test_an_episode_knows_its_show_season_and_number(home: House) -> None:
    first, second = await listed(home, "2")
    assert (first.show_title, first.season, first.episode) == ("Harbour", 1, 1)
    assert (first.title, first.kind) == ("Fog 1", ItemKind.EPISODE)
    assert second.episode == 2


async def test_a_home_video_is_one_by_the_agent_of_its_library(home: House) -> None:
    (item,) = await listed(home, "3")
    assert item.kind is ItemKind.HOME_VIDEO


async def test_files_that_no_mapping_leads_to_are_one_problem_a_folder(home: House) -> None:
    for number in range(5):
        home.world.film(f"77{number}", media=[[Part(file=f"D:\\Films\\{number}.mkv")]])
    (library, *_) = await home.plex.libraries()
    pages = [page async for page in home.plex.items(library)]
    assert [problem.path for page in pages for problem in page.problems] == [b"D:/Films"]
    assert len([item for page in pages for item in page.items]) == 3


async def test_some_items_are_found_by_id_and_shows_are_passed_over(home: House) -> None:
    found = await home.plex.some_items(["10001", "211", "201", "none", "../../etc"])
    assert [(library, item.external_id) for library, item in found.items] == [
        ("1", "10001"),
        ("2", "211"),
    ]


async def test_a_gone_item_among_others_does_not_hide_them(home: House) -> None:
    home.server.strict = True
    found = await home.plex.some_items(["10000", "99999", "10002"])
    assert [item.external_id for _library, item in found.items] == ["10000", "10002"]


async def test_an_item_that_a_full_page_forgets_is_asked_for_alone(home: House) -> None:
    home.server.forgets.add("10001")
    assert {item.external_id for item in await listed(home, "1")} == {"10000", "10001", "10002"}


async def test_a_page_knows_how_many_there_are(home: House) -> None:
    (library, *_) = await home.plex.libraries()
    assert [page.total async for page in home.plex.items(library)] == [3]


async def test_sample_paths_are_as_the_server_spells_them(home: House) -> None:
    found = await home.plex.sample_paths()
    assert "/srv/media/Family/Lake.mp4" in found
    assert all(path.startswith("/srv/media/") for path in found)
    assert len(found) == 6


async def test_a_library_that_has_gone_raises_and_is_not_empty(home: House) -> None:
    gone = ListedLibrary(external_id="77", name="Old", kind=LibraryKind.MOVIES)
    with pytest.raises(ServerUnavailable, match="Old"):
        [page async for page in home.plex.items(gone)]


async def test_another_server_at_the_same_address_is_not_listed(home: House) -> None:
    await home.plex.libraries()
    home.world.machine_id = "somebodyelse"
    with pytest.raises(ServerUnavailable, match="another server"):
        await home.plex.libraries()


async def test_a_server_that_is_swapped_while_listing_is_noticed(home: House) -> None:
    (library, *_) = await home.plex.libraries()
    pages = home.plex.items(library)
    assert (await anext(pages)).items
    home.world.machine_id = "somebodyelse"
    with pytest.raises(ServerUnavailable, match="another server"):
        await anext(pages)


async def test_the_identity_needs_no_token(home: House) -> None:
    nobody = home.connector(token="")
    found = await nobody.identity()
    assert (found.id, found.version) == (home.world.machine_id, home.world.version)
    await nobody.close()


async def test_links_lead_to_the_page_of_the_item_near_and_far(home: House) -> None:
    plex = home.connector(public_url="https://films.example/plex/")
    near, far = await plex.links("10001")
    machine = home.world.machine_id
    tail = f"#!/server/{machine}/details?key=%2Flibrary%2Fmetadata%2F10001"
    assert near.url == f"https://films.example/plex/web/index.html{tail}"
    assert far.url == f"https://app.plex.tv/desktop/{tail}"
    assert "Attic" in near.name
    await plex.close()


async def test_an_id_that_is_none_links_nowhere(home: House) -> None:
    assert await home.plex.links("1&x=javascript:alert(1)") == ()


async def test_rights_of_the_owner_are_complete(home: House) -> None:
    rights = {each.kind: each for each in await home.plex.rights()}
    assert set(rights) == set(RightKind)
    assert all(each.granted for each in rights.values())
    assert rights[RightKind.LIST].needed


async def test_rights_of_a_guest_say_what_is_missing(home: House) -> None:
    home.server.websockets = False
    for section in home.world.sections.values():
        section.locations.clear()
    guest = home.connector(token=GUEST)
    rights = {each.kind: each for each in await guest.rights()}
    assert [kind for kind, each in rights.items() if each.granted] == [RightKind.LIST]
    assert "owner's token" in rights[RightKind.EVERYTHING].words
    assert "once a minute" in rights[RightKind.EVENTS].words
    await guest.close()


async def test_an_account_that_nothing_is_shared_with_is_told_so(home: House) -> None:
    home.world.accounts[1].sections = set()
    guest = home.connector(token=GUEST)
    rights = {each.kind: each for each in await guest.rights()}
    assert not rights[RightKind.LIST].granted
    await guest.close()


async def test_a_portrait_is_fetched_by_the_server_from_elsewhere(home: House) -> None:
    address = "https://metadata-static.plex.tv/people/0.jpg"
    home.world.images[address] = picture()
    assert await home.plex.portrait(address) == picture()
    assert {each.path for each in home.server.faults.seen} == {"/photo/:/transcode"}


@pytest.mark.parametrize(
    "reference",
    ["", "ftp://x/1.jpg", "file:///etc/passwd", "https://x/ 1.jpg", "//\nHost: evil", "a" * 3000],
)
async def test_what_cannot_be_a_portrait_is_not_asked_for(home: House, reference: str) -> None:
    with pytest.raises(MediaMissing):
        await home.plex.portrait(reference)
    assert home.server.faults.seen == []


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"GIF89a", picture(size=PORTRAIT_BYTES + 1)], ids=len
)
async def test_a_portrait_that_is_no_picture_is_missing(home: House, body: bytes) -> None:
    home.world.images["/p.jpg"] = body
    with pytest.raises(MediaMissing):
        await home.plex.portrait("/p.jpg")


async def test_a_portrait_that_is_not_there_is_missing(home: House) -> None:
    with pytest.raises(MediaMissing):
        await home.plex.portrait("/none.jpg")


async def test_a_token_that_is_refused_is_for_a_person_to_mend(home: House) -> None:
    home.world.accounts[0].token = "a-new-one"
    with pytest.raises(AuthFailed, match="sign in"):
        await home.plex.libraries()


async def test_without_a_token_nothing_is_asked_for(home: House) -> None:
    nobody = home.connector(token="")
    with pytest.raises(AuthFailed):
        await nobody.libraries()
    assert home.server.faults.paths() == ["/identity"]
    await nobody.close()


async def test_closing_twice_and_going_on_is_fine(home: House) -> None:
    await home.plex.libraries()
    await home.plex.close()
    await home.plex.close()
    assert await home.plex.libraries()


async def test_closing_lets_go_of_every_connection(home: House) -> None:
    await home.plex.libraries()
    await home.plex.count()
    assert home.server.connections() == 2
    await home.plex.close()
    while home.server.connections():
        await asyncio.sleep(0.001)


async def test_two_listings_at_once_do_not_mix(home: House) -> None:
    films, shows = await asyncio.gather(listed(home, "1"), listed(home, "2"))
    assert {item.kind for item in films} == {ItemKind.MOVIE}
    assert {item.kind for item in shows} == {ItemKind.EPISODE}


async def test_an_old_agents_guid_is_a_provider_id_but_not_for_an_episode() -> None:
    world = household(0)
    world.film("1", guid="com.plexapp.agents.themoviedb://603?lang=en")
    world.add(
        Video(
            key="2",
            section="2",
            type="episode",
            title="E",
            show="201",
            season=1,
            number=9,
            guid="com.plexapp.agents.thetvdb://79126/1/9?lang=en",
            media=[[Part(file="/srv/media/Shows/e.mkv")]],
        )
    )
    async with house(world) as home:
        found = await home.plex.some_items(["1", "2"])
        assert [item.provider_ids for _library, item in found.items] == [(("tmdb", "603"),), ()]
