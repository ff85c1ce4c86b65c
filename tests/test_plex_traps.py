"""What a hostile or broken server, and plexapi itself, would do to us, one by one."""

import asyncio
import gc
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from companion.errors import AuthFailed, CompanionError, ServerUnavailable
from connectors import plex_client, plex_http
from tests.fakes.plex import FakePlex, billion_laughs, nested
from tests.fakes.plex_world import household
from tests.plex_house import OWNER, TOKENS, House, house

XML = {"Content-Type": "text/xml;charset=utf-8"}


@pytest.fixture
async def home() -> AsyncIterator[House]:
    async with house() as opened:
        yield opened


async def list_films(home: House) -> None:
    (library, *_) = await home.plex.libraries()
    async for _page in home.plex.items(library):
        pass


async def see_films(home: House) -> None:
    async for _ids in home.plex.visible(OWNER):
        pass


BOTH = pytest.mark.parametrize("way", [list_films, see_films], ids=["plexapi", "aiohttp"])


# --- answers --------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<",
        b"OK",
        b"<html><body>Sign in to the hotel</body></html>x",
        b"\xff\xfe\x00",
        b"\x80abc",
        billion_laughs(),
        b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        b"<?xml version='1.0' encoding='cp037'?><a/>",
        "<?xml version='1.0' encoding='utf-16'?><a/>".encode("utf-16"),
        b"<a>" + b"<b/>" * (plex_http.MARKS + 1) + b"</a>",
    ],
    ids=lambda body: repr(body[:20]),
)
async def test_an_answer_that_is_none_of_plex_is_refused(
    home: House, way: object, body: bytes
) -> None:
    home.server.faults.on("/library/sections", body=body, headers=XML)
    with pytest.raises(ServerUnavailable, match="none of a Plex server"):
        await way(home)  # type: ignore[operator]


@BOTH
async def test_a_document_of_great_depth_does_not_crash(home: House, way: object) -> None:
    home.server.faults.on("/library/sections/1/all", body=nested(100_000), headers=XML)
    with suppress(ServerUnavailable):
        await way(home)  # type: ignore[operator]
    gc.collect()


@BOTH
@pytest.mark.parametrize("path", ["/library/sections", "/library/sections/1/all"])
async def test_a_list_that_does_not_say_how_long_it_is_is_not_taken_for_empty(
    home: House, way: object, path: str
) -> None:
    home.server.faults.on(path, body=b"<MediaContainer/>", headers=XML)
    with pytest.raises(ServerUnavailable, match="none of a Plex server"):
        await way(home)  # type: ignore[operator]


@BOTH
async def test_fewer_libraries_than_counted_are_not_taken_for_all(home: House, way: object) -> None:
    body = b"<MediaContainer size='3'><Directory key='1' type='movie'/></MediaContainer>"
    home.server.faults.on("/library/sections", body=body, headers=XML)
    with pytest.raises(ServerUnavailable, match="none of a Plex server"):
        await way(home)  # type: ignore[operator]


@BOTH
async def test_an_endless_answer_is_cut_off(
    home: House, way: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plex_http, "BODY_BYTES", 1000)
    body = b"<MediaContainer>" + b" " * 200_000 + b"</MediaContainer>"
    home.server.faults.on("/library/sections", body=body, headers=XML)
    with pytest.raises(ServerUnavailable):
        await way(home)  # type: ignore[operator]


async def test_an_html_page_in_place_of_a_listing_does_not_empty_the_library(home: House) -> None:
    """Well-formed XML, but no list: a proxy's page of its own."""
    home.server.faults.on("/library/sections/1/all", body=b"<html><body/></html>", headers=XML)
    with pytest.raises(ServerUnavailable, match="none of a Plex server"):
        await list_films(home)


# --- the wire -------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("status", [400, 404, 429, 500, 502, 503, 599])
async def test_errors_of_the_server_raise(home: House, way: object, status: int) -> None:
    home.server.faults.on("/library/sections/1/all", status=status, body=b"secret text")
    with pytest.raises(ServerUnavailable, match=str(status)) as caught:
        await way(home)  # type: ignore[operator]
    assert "secret text" not in str(caught.value)


@BOTH
async def test_a_status_that_no_list_knows_is_an_error_like_others(
    home: House, way: object
) -> None:
    """plexapi looks the name of the status up and fails on None."""
    home.server.faults.on("/library/sections", status=499)
    with pytest.raises(ServerUnavailable, match="499"):
        await way(home)  # type: ignore[operator]


@BOTH
@pytest.mark.parametrize("body", [b"", b"<MediaContainer size='3'><Video"])
async def test_a_dropped_connection_raises(home: House, way: object, body: bytes) -> None:
    home.server.faults.on("/library/sections/1/all", drop=True, body=body)
    with pytest.raises(ServerUnavailable):
        await way(home)  # type: ignore[operator]


@BOTH
async def test_a_server_that_does_not_answer_is_left_after_a_while(
    home: House, way: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plex_http, "READ_S", 0.05)
    never = asyncio.Event()
    home.server.faults.on("/library/sections/1/all", hold=never)
    with pytest.raises(ServerUnavailable, match="no answer in time"):
        await way(home)  # type: ignore[operator]
    never.set()


@BOTH
async def test_a_server_that_restarts_in_the_middle_raises_and_is_fine_afterwards(
    home: House, way: object
) -> None:
    for number in range(300):
        home.world.film(f"5{number:04}")
    home.server.faults.on("/library/sections/1/all", after=1, drop=True)
    with pytest.raises(ServerUnavailable):
        await way(home)  # type: ignore[operator]
    home.server.faults.clear()
    await home.server.restart()
    await way(home)  # type: ignore[operator]


@BOTH
async def test_a_server_that_is_down_is_unavailable(home: House, way: object) -> None:
    await home.server.stop()
    with pytest.raises(ServerUnavailable, match="no connection"):
        await way(home)  # type: ignore[operator]


@BOTH
async def test_a_token_revoked_in_the_middle_is_for_a_person(home: House, way: object) -> None:
    for number in range(300):
        home.world.film(f"5{number:04}")
    home.server.faults.on("/library/sections", after=2, status=401)
    with pytest.raises(AuthFailed):
        await way(home)  # type: ignore[operator]


@BOTH
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_to_another_host_is_refused_and_gets_no_token(
    home: House, way: object, status: int
) -> None:
    async with FakePlex(household()) as other:
        elsewhere = {"Location": f"{other.url}/library/sections"}
        home.server.faults.on("/library/sections", status=status, headers=elsewhere)
        with pytest.raises(ServerUnavailable, match="another address"):
            await way(home)  # type: ignore[operator]
        assert other.faults.seen == []


@BOTH
async def test_cookies_are_not_kept(home: House, way: object) -> None:
    cookie = {"Set-Cookie": "who=me; Path=/"}
    body = b"<MediaContainer machineIdentifier='m'/>"
    home.server.faults.on("/identity", times=1, body=body, headers=XML | cookie)
    home.world.machine_id = "m"
    await way(home)  # type: ignore[operator]
    assert not [each for each in home.server.faults.seen if "Cookie" in each.headers]


async def test_a_wrong_certificate_says_so(home: House) -> None:
    """An https address where plain http answers is the nearest a test comes without a certificate;
    the words for a certificate are checked on their own."""
    plex = home.connector(url=home.server.url.replace("http:", "https:"))
    with pytest.raises(ServerUnavailable):
        await plex.identity()
    await plex.close()


@pytest.mark.parametrize(
    "url", ["", "nas:32400", "ftp://nas", "http://", "http://me:secret@nas:32400", "file:///etc"]
)
async def test_an_address_that_is_none_says_how_one_looks(home: House, url: str) -> None:
    plex = home.connector(url=url)
    with pytest.raises(ServerUnavailable, match="http://nas:32400"):
        await plex.identity()
    await plex.close()


async def test_a_base_path_of_a_proxy_is_kept(home: House) -> None:
    body = b"<MediaContainer machineIdentifier='m' version='1'/>"
    home.server.faults.on("/plex/identity", body=body, headers=XML)
    plex = home.connector(url=f"{home.server.url}/plex/")
    assert (await plex.identity()).id == "m"
    await plex.close()


# --- tokens ---------------------------------------------------------------------------------------


async def test_no_token_is_in_a_repr_a_log_an_error_or_an_address(
    home: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = []
    await list_films(home)
    await see_films(home)
    account = await home.plex.by_token(OWNER)
    for path, how in (
        ("/library/sections", {"status": 500, "body": OWNER.encode()}),
        ("/library/sections", {"status": 401, "body": OWNER.encode()}),
        ("/library/sections", {"drop": True}),
    ):
        home.server.faults.on(path, **how)
        for way in (list_films, see_films):
            with pytest.raises(CompanionError) as caught:
                await way(home)
            told.append(f"{caught.value!r} {caught.value}")
        home.server.faults.clear()
    told += [repr(account), repr(home.setup), repr(home.plex), repr(vars(home.plex)), caplog.text]
    assert not [text for text in told for token in TOKENS if token in text]
    assert home.secrets_seen() == []


@pytest.mark.parametrize("token", ["a\r\nHost: evil", "tök", "a b", "a:b", "x" * 5000])
async def test_a_token_that_would_break_a_header_is_refused(home: House, token: str) -> None:
    plex = home.connector(token=token)
    with pytest.raises(AuthFailed):
        await plex.libraries()
    assert all(each.path == "/identity" for each in home.server.faults.seen)
    await plex.close()


# --- plexapi --------------------------------------------------------------------------------------


async def test_plexapi_keeps_no_token_in_its_globals(home: House) -> None:
    import plexapi

    await list_films(home)
    code = await home.plex.start_code()
    home.tv.enter(code.code, "ben")
    assert await home.plex.by_code(code)
    assert plexapi.logfilter.secrets == set()
    assert not [value for value in plexapi.BASE_HEADERS.values() if value in TOKENS]


async def test_a_token_in_plexapis_global_headers_does_not_travel(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PlexClient leaves one there (4.18.3): requests for others would carry it."""
    import plexapi

    monkeypatch.setitem(plexapi.BASE_HEADERS, "X-Plex-Token", "somebody-elses")
    await list_films(home)
    tokens = {each.token for each in home.server.faults.seen}
    assert tokens == {OWNER, ""}


async def test_our_name_says_nothing_about_this_machine(home: House) -> None:
    await list_films(home)
    for each in home.server.faults.seen:
        assert each.headers["X-Plex-Client-Identifier"] == "installation-1"
        assert each.headers["X-Plex-Device-Name"] == "Heimdex Companion"
        assert os.uname().nodename not in each.headers.values()
        assert os.uname().release not in each.headers.values()


HOSTILE_SETTINGS = """
import asyncio, sys
from pathlib import Path
from connectors import plex_client
plexapi = plex_client.plexapi()
from plexapi.server import PlexServer
assert plexapi.CONFIG.get("auth.server_token") is None
assert plexapi.CONFIG.get("auth.server_baseurl", "x") == "x"
assert plexapi.CONFIG.get("plexapi.autoreload", True, bool) is False
assert plexapi.TIMEOUT == 30
assert plexapi.X_PLEX_PRODUCT == "PlexAPI"
assert not any(type(each).__name__ == "RotatingFileHandler" for each in plexapi.log.handlers)
print("fine")
"""


def test_settings_of_plexapi_on_this_machine_mean_nothing(tmp_path: Path) -> None:
    settings = tmp_path / ".config" / "plexapi"
    settings.mkdir(parents=True)
    (settings / "config.ini").write_text(
        "[auth]\nserver_token=evil\nserver_baseurl=http://evil.example\n"
        f"[log]\npath={tmp_path}/plex.log\nshow_secrets=true\n[header]\nproduct=Evil\n"
    )
    more = {
        "HOME": str(tmp_path),
        "PLEXAPI_PLEXAPI_AUTORELOAD": "true",
        "PLEXAPI_AUTH_SERVER_TOKEN": "e",
    }
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE_SETTINGS],
        cwd=Path(__file__).parent.parent,
        env=os.environ | more,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "fine\n", done.stderr
    assert not (tmp_path / "plex.log").exists()


def test_plexapi_is_imported_on_first_use_only() -> None:
    program = "import connectors.plex, sys; print({'plexapi', 'requests'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "set()\n"


def test_passwords_of_netrc_and_proxies_of_the_environment_are_not_used() -> None:
    made = plex_client.session(
        "http://nas:32400", token="", name="x", installation="i", context=None
    )
    assert made.trust_env is False
    assert made.headers == {}


@pytest.mark.parametrize(
    "url",
    ["http://nas:32400.evil.example/", "http://evil.example/", "http://nas:32400@evil/", "/x"],
)
def test_a_session_asks_no_address_but_the_servers(url: str) -> None:
    made = plex_client.session(
        "http://nas:32400", token="t", name="x", installation="i", context=None
    )
    with pytest.raises(ServerUnavailable, match="outside"):
        made.get(url)


async def test_an_attribute_that_is_missing_is_not_asked_for(home: House) -> None:
    """plexapi's objects reload themselves when an empty attribute is read."""
    home.world.film("10001", year=None, genres=[])
    found = await home.plex.some_items(["10001"])
    assert found.items[0][1].year is None
    asked = [path for path in home.server.faults.paths() if path.startswith("/library/metadata")]
    assert asked == ["/library/metadata/10001"]


async def test_a_listing_that_is_cancelled_leaves_no_thread_in_the_way(home: House) -> None:
    gate = asyncio.Event()
    home.server.faults.on("/library/sections/1/all", hold=gate, replaces=False, times=1)
    listing = asyncio.ensure_future(list_films(home))
    while "/library/sections/1/all" not in home.server.faults.paths():
        home.server.faults.asked.clear()
        await home.server.faults.asked.wait()
    listing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listing
    gate.set()
    await list_films(home)
