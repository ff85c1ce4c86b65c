"""The connector against a Jellyfin that errs, lies, breaks off or lets too much through."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from companion.errors import AuthFailed, MediaMissing, ServerUnavailable
from companion.model import ListedLibrary
from connectors import jellyfin_client, jellyfin_http
from connectors.jellyfin import Jellyfin
from tests.fakes.jellyfin_server import FakeJellyfin
from tests.fakes.jellyfin_world import Item
from tests.jellyfin_house import House, furnish, open_house, unknown_id
from tests.own_certificate import certificate

MANY = 450  # items: three pages of a listing


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path / "nas", valid=False) as house:
        yield house


@pytest.fixture
async def server(house: House) -> AsyncIterator[Jellyfin]:
    connector = house.connector()
    yield connector
    await connector.close()


@pytest.fixture
def films(house: House) -> list[Item]:
    """Enough films that they come in pages; their files are one file."""
    house.lay("/media/Films/one.mkv")
    return [
        house.world.film(house.films, f"Film {number}", versions=["/media/Films/one.mkv"])
        for number in range(MANY)
    ]


async def the_films(connector: Jellyfin) -> ListedLibrary:
    (films, *_others) = await connector.libraries()
    return films


async def titles(connector: Jellyfin, library: ListedLibrary) -> list[str]:
    return [item.title async for page in connector.items(library) for item in page.items]


async def visible(connector: Jellyfin, token: str) -> list[str]:
    return [id async for page in connector.visible(token) for id in page]


# --- a list that does not come to its end --------------------------------------------------------

BREAKS: list[int | str] = [500, 502, 503, "drop", "half", "garbage", "html"]


@pytest.mark.parametrize("kind", BREAKS)
async def test_a_listing_that_breaks_raises_and_the_next_one_is_whole(
    server: Jellyfin, house: House, films: list[Item], kind: int | str
) -> None:
    library = await the_films(server)
    house.fake.break_it("/Items$", kind, after=1, times=1)
    with pytest.raises(ServerUnavailable, match="home"):
        await titles(server, library)
    assert len(await titles(server, library)) == MANY


@pytest.mark.parametrize("kind", BREAKS)
async def test_what_a_person_sees_is_whole_or_raises(
    server: Jellyfin, house: House, films: list[Item], kind: int | str
) -> None:
    token = house.token(house.kid)
    house.fake.break_it("/Items$", kind, times=1)
    with pytest.raises(ServerUnavailable):
        await visible(server, token)
    assert len(await visible(server, token)) == MANY


@pytest.mark.parametrize("kind", [500, 302, 418, "drop", "garbage"])
async def test_whether_somebody_may_see_an_item_is_sure_or_raises(
    server: Jellyfin, house: House, films: list[Item], kind: int | str
) -> None:
    token = house.token(house.boss)
    house.fake.break_it("/Items/", kind)
    with pytest.raises(ServerUnavailable):
        await server.may_see(token, films[0].id)
    house.fake.break_it("/Users/Me", kind)
    with pytest.raises(ServerUnavailable):
        await server.sees_everything(token)


async def test_a_restart_in_the_middle_raises(
    server: Jellyfin, house: House, films: list[Item]
) -> None:
    library = await the_films(server)
    pages = server.items(library)
    await anext(pages)
    await house.fake.stop()
    with pytest.raises(ServerUnavailable, match="does not answer"):
        await anext(pages)
    await house.fake.start()
    assert len(await titles(server, library)) == MANY


async def test_a_refusal_in_the_middle_raises_and_the_token_is_not_forgotten(
    server: Jellyfin, house: House, films: list[Item]
) -> None:
    library = await the_films(server)
    house.fake.break_it("/Items$", 401, after=1, times=1)
    with pytest.raises(AuthFailed, match="may not see the library Films"):
        await titles(server, library)
    assert len(await titles(server, library)) == MANY


async def test_a_token_that_was_revoked_in_the_middle_says_so(
    server: Jellyfin, house: House, films: list[Item]
) -> None:
    library = await the_films(server)
    pages = server.items(library)
    await anext(pages)
    house.world.tokens.clear()
    with pytest.raises(AuthFailed, match="refuses the token: sign in again"):
        await anext(pages)


async def test_a_forbidden_library_is_told_from_a_lost_token(house: House) -> None:
    """The server says 401 to both."""
    connector = house.connector(house.token(house.guest))
    (films,) = await connector.libraries()
    house.guest.folders = set()
    with pytest.raises(AuthFailed, match="may not see the library Films any more"):
        await titles(connector, films)
    await connector.close()


async def test_a_person_whose_token_ends_sees_nothing(
    server: Jellyfin, house: House, films: list[Item]
) -> None:
    token = house.token(house.kid)
    house.fake.break_it("/Items$", 401)
    with pytest.raises(AuthFailed):
        await visible(server, token)
    house.kid.disabled = True
    with pytest.raises(AuthFailed):
        await server.may_see(token, films[0].id)


async def test_a_library_that_is_deleted_meanwhile_is_not_an_empty_one(
    server: Jellyfin, house: House, films: list[Item]
) -> None:
    library = await the_films(server)
    del house.world.libraries[house.films.id]
    for film in films:
        house.world.remove(film)
    with pytest.raises(ServerUnavailable, match="went while it was listed"):
        await titles(server, library)


async def test_an_empty_library_is_empty(server: Jellyfin) -> None:
    assert await titles(server, await the_films(server)) == []


# --- pages that shift, repeat or are short -------------------------------------------------------


async def test_films_deleted_meanwhile_hide_no_others(
    server: Jellyfin, house: House, films: list[Item]
) -> None:
    """Each deletion before the page moves all others up: by place alone, some would be missed."""
    found: list[str] = []
    async for page in server.items(await the_films(server)):
        found += [item.title for item in page.items]
        for film in films[: len(found)][-150:]:
            if film.id in house.world.items:
                house.world.remove(film)
    left = {item.name for item in house.world.items.values()}
    assert left <= set(found)
    assert len(set(found)) == len(found)


async def test_films_added_meanwhile_hide_no_others(
    server: Jellyfin, house: House, films: list[Item]
) -> None:
    found: list[str] = []
    async for page in server.items(await the_films(server)):
        found += [item.title for item in page.items]
        if len(found) < 1000:
            for number in range(20):
                name = f"New {len(found)} {number}"
                house.world.film(house.films, name, versions=["/media/Films/one.mkv"])
    assert {film.name for film in films} <= set(found)
    assert len(set(found)) == len(found)


async def test_a_server_that_gives_less_than_asked_for_is_asked_again(
    server: Jellyfin, house: House, films: list[Item]
) -> None:
    house.fake.page_limit = 50
    assert len(await titles(server, await the_films(server))) == MANY


async def test_a_server_that_repeats_its_first_page_is_listed_once(
    server: Jellyfin, house: House, films: list[Item]
) -> None:
    house.fake.repeats_first_page = True
    assert len(await titles(server, await the_films(server))) == MANY


async def test_ids_need_not_be_uuids(server: Jellyfin, house: House, films: list[Item]) -> None:
    house.world.items = {f"b62_{number}": film for number, film in enumerate(films)}
    for id, film in house.world.items.items():
        film.id = id
    house.world.touch()
    token = house.token(house.boss)
    assert set(await visible(server, token)) == set(house.world.items)
    assert await server.may_see(token, "b62_7")
    assert len(await titles(server, await the_films(server))) == MANY


# --- where an answer leads -----------------------------------------------------------------------


@pytest.fixture
async def elsewhere(tmp_path: Path) -> AsyncIterator[FakeJellyfin]:
    """Another host, which would answer gladly."""
    async with open_house(tmp_path / "elsewhere", valid=False) as house:
        yield house.fake


ASKED: dict[str, Callable[[Jellyfin, str], Any]] = {
    "identity": lambda it, _token: it.identity(),
    "password": lambda it, _token: it.by_password("kid", "secret"),
    "code": lambda it, _token: it.start_code(),
    "token": lambda it, token: it.by_token(token),
    "libraries": lambda it, _token: it.libraries(),
    "visible": visible,
    "players": lambda it, token: it.players(token),
    "may see": lambda it, token: it.may_see(token, unknown_id()),
    "portrait": lambda it, _token: it.portrait(f"{unknown_id()}/{unknown_id()}"),
    "streams": lambda it, _token: it.streams(),
    "count": lambda it, _token: it.count(),
}


@pytest.mark.parametrize("what", ASKED)
async def test_no_redirect_is_followed(
    server: Jellyfin, house: House, elsewhere: FakeJellyfin, what: str
) -> None:
    house.fake.break_it(".", "redirect", to=elsewhere.url + "/Users/Me?secret")
    with pytest.raises(ServerUnavailable, match="another address") as caught:
        await ASKED[what](server, house.token(house.kid))
    assert elsewhere.exchanges == []
    assert "secret" not in str(caught.value)


async def test_the_socket_follows_no_redirect(
    server: Jellyfin, house: House, elsewhere: FakeJellyfin
) -> None:
    house.fake.break_it("/socket", "redirect", to=elsewhere.url + "/socket")
    with pytest.raises(ServerUnavailable, match="another address"):
        await server._http.socket(house.token(house.boss))
    assert not elsewhere.socket_opened.is_set()


@pytest.mark.parametrize("what", ASKED)
async def test_a_closed_port_is_told_in_words(house: House, what: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        connector = house.connector(url=f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(ServerUnavailable, match="home: the server does not answer"):
            await ASKED[what](connector, house.token(house.kid))
    await connector.close()


@pytest.mark.parametrize("what", ASKED)
async def test_an_error_of_the_server_is_no_empty_answer(
    server: Jellyfin, house: House, what: str
) -> None:
    house.fake.break_it(".", 500)
    with pytest.raises(ServerUnavailable, match="it says 500"):
        await ASKED[what](server, house.token(house.kid))


@pytest.mark.parametrize("what", [name for name in ASKED if name != "portrait"])
async def test_something_else_than_jellyfin_is_told(
    server: Jellyfin, house: House, what: str
) -> None:
    house.fake.break_it(".", "html")
    with pytest.raises(ServerUnavailable, match="does not speak as Jellyfin does"):
        await ASKED[what](server, house.token(house.kid))


async def test_a_page_instead_of_a_portrait_is_no_picture(server: Jellyfin, house: House) -> None:
    house.fake.break_it("/Images/", "html")
    with pytest.raises(MediaMissing, match="something else than a picture"):
        await server.portrait(f"{unknown_id()}/{unknown_id()}")


async def test_an_answer_without_end_is_not_read(
    server: Jellyfin, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.fake.break_it(".", "long")
    monkeypatch.setattr(jellyfin_client, "PAGE_BYTES", 100_000)
    for what in ("visible", "portrait", "players"):
        with pytest.raises(ServerUnavailable, match="too long"):
            await ASKED[what](server, house.token(house.kid))
    house.fake.faults[:] = []
    await server.libraries()
    house.fake.break_it("/Library/", "long")
    with pytest.raises(ServerUnavailable, match="too long"):
        await server.libraries()


async def test_a_slow_server_is_waited_for_only_so_long(
    server: Jellyfin, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jellyfin_client, "READ_LIMIT_S", 0.2)
    monkeypatch.setattr(jellyfin_http, "ANSWER_LIMIT_S", 0.2)
    token = house.token(house.kid)
    await visible(server, token)
    house.fake.break_it("/Items$", "slow", times=1)
    with pytest.raises(ServerUnavailable, match="not within"):
        await visible(server, token)
    house.fake.break_it("/Users/Me", "slow", times=1)
    with pytest.raises(ServerUnavailable, match="not within"):
        await server.players(token)
    assert await visible(server, token) == []


# --- certificates --------------------------------------------------------------------------------


@pytest.fixture
async def encrypted(tmp_path: Path) -> AsyncIterator[tuple[House, Path]]:
    context, authority = await asyncio.to_thread(certificate, tmp_path)
    async with open_house(tmp_path / "nas", ssl=context) as house:
        furnish(house)
        yield house, authority


@pytest.mark.parametrize("what", ASKED)
async def test_a_certificate_that_nobody_vouches_for_is_refused(
    encrypted: tuple[House, Path], what: str
) -> None:
    house, _authority = encrypted
    connector = house.connector()
    with pytest.raises(ServerUnavailable, match="certificate"):
        await ASKED[what](connector, house.token(house.kid))
    assert house.fake.exchanges == []
    await connector.close()


async def test_an_authority_of_ones_own_is_trusted(encrypted: tuple[House, Path]) -> None:
    house, authority = encrypted
    connector = house.connector(authority=authority)
    assert (await connector.by_password("kid", "secret")).name == "kid"
    assert len(await titles(connector, await the_films(connector))) == 4
    assert (await connector.identity()).name == "Home"
    await (await connector._http.socket(house.token(house.boss))).close()
    await connector.close()


async def test_a_file_of_certificates_that_is_not_there_says_so(house: House) -> None:
    connector = house.connector(url="https://127.0.0.1:1", authority=Path("/nowhere.pem"))
    for what in ("identity", "password"):
        with pytest.raises(ServerUnavailable, match="file of certificates"):
            await ASKED[what](connector, "")
    await connector.close()


# --- versions and what is sent -------------------------------------------------------------------


@pytest.mark.parametrize("version", ["10.10.7", "10.11.11", "12.0.0", "12.0.0-rc5"])
async def test_every_supported_version_is_spoken_to(house: House, version: str) -> None:
    house.world.version = version
    furnish(house)
    connector = house.connector()
    assert (await connector.identity()).version == version
    account = await connector.by_password("kid", "secret")
    assert len(await titles(connector, await the_films(connector))) == 4
    assert len(await visible(connector, account.token)) == 4
    assert await connector.players(account.token) == ()
    await (await connector._http.socket(account.token)).close()
    await connector.close()


@pytest.mark.parametrize("version", ["10.9.11", "4.8.0.80", "ten", ""])
async def test_what_is_too_old_or_no_jellyfin_says_so(house: House, version: str) -> None:
    house.world.version = version
    connector = house.connector()
    with pytest.raises(ServerUnavailable, match=r"10\.10 or newer|as Jellyfin does"):
        await connector.identity()
    await connector.close()


async def test_no_old_header_is_sent(server: Jellyfin, house: House, films: list[Item]) -> None:
    await server.by_password("kid", "secret")
    await titles(server, await the_films(server))
    await server.players(house.token(house.kid))
    for exchange in house.fake.exchanges:
        names = {name.lower() for name in exchange.headers}
        assert not {"x-emby-token", "x-mediabrowser-token", "x-emby-authorization"} & names
        assert exchange.headers.get("Authorization", "MediaBrowser ").startswith("MediaBrowser ")
        assert "Heimdex-Companion/" in exchange.headers["User-Agent"]
        assert "cookie" not in names


async def test_the_environment_decides_nothing(
    server: Jellyfin,
    house: House,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    elsewhere: FakeJellyfin,
) -> None:
    """A ~/.netrc would replace our header, and a proxy would see the token."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, elsewhere.url)
    furnish(house)
    assert len(await titles(server, await the_films(server))) == 4
    assert (await server.by_password("kid", "secret")).name == "kid"
    assert elsewhere.exchanges == []


async def test_the_library_neither_prints_nor_logs(
    server: Jellyfin,
    house: House,
    films: list[Item],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    await server.by_password("kid", "secret")
    await titles(server, await the_films(server))
    for kind in (401, 500):
        house.fake.break_it("/Items$", kind, times=1)
        with pytest.raises((AuthFailed, ServerUnavailable)):
            await visible(server, house.token(house.kid))
    told = caplog.text + "".join(capfd.readouterr())
    assert "Jellyfin" not in told.replace("Jellyfin.Server", "")
    for token in house.world.tokens:
        assert token not in told


async def test_errors_name_no_token(server: Jellyfin, house: House) -> None:
    token = house.token(house.kid)
    told: list[str] = []
    for kind in (401, 403, 404, 500, "drop", "garbage", "redirect"):
        fault = house.fake.break_it(".", kind, to="http://127.0.0.1:1/?" + token)
        for ask in ASKED.values():
            try:
                await ask(server, token)
            except (AuthFailed, ServerUnavailable, MediaMissing) as error:
                told += [str(error), repr(error.__cause__)]
        house.fake.faults.remove(fault)
    assert len(told) > 100
    assert not [words for words in told if token in words]


async def test_a_cancelled_listing_ends_its_request(
    server: Jellyfin, house: House, films: list[Item]
) -> None:
    library = await the_films(server)
    fault = house.fake.break_it("/Items$", "slow", times=1)
    listing = asyncio.ensure_future(titles(server, library))
    await fault.hit.wait()
    listing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listing
    assert len(await titles(server, library)) == MANY


# --- size ----------------------------------------------------------------------------------------


async def test_fifty_thousand_items_come_in_bounded_memory(server: Jellyfin, house: House) -> None:
    """What is kept between two pages is eight bytes an item, not the items."""
    house.lay("/media/Films/one.mkv")
    for number in range(50_000):
        house.world.film(house.films, f"F{number}", versions=["/media/Films/one.mkv"])
    house.fake.keeps_exchanges = False
    token = house.token(house.guest)
    ids: set[str] = set()
    pages = 0
    async for page in server.visible(token):
        ids.update(page)
        pages += 1
    assert len(ids) == 50_000
    assert pages < 30
    longest = 0
    count = 0
    async for listed in server.items(await the_films(server)):
        longest = max(longest, len(listed.items))
        count += len(listed.items)
        assert listed.total == 50_000
        if count > 2_000:
            break
    assert longest <= 200
