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
from tests.fakes.plex import billion_laughs, nested
from tests.plex_house import BOTH, OWNER, TOKENS, House, Way, house, list_films, see_films

XML = {"Content-Type": "text/xml;charset=utf-8"}


@pytest.fixture
async def home() -> AsyncIterator[House]:
    async with house() as opened:
        yield opened


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
    home: House, way: Way, body: bytes
) -> None:
    home.server.faults.on("/library/sections", body=body, headers=XML)
    with pytest.raises(ServerUnavailable, match="none of a Plex server"):
        await way(home)


@BOTH
async def test_a_document_of_great_depth_does_not_crash(home: House, way: Way) -> None:
    home.server.faults.on("/library/sections/1/all", body=nested(100_000), headers=XML)
    with suppress(ServerUnavailable):
        await way(home)
    gc.collect()


@BOTH
@pytest.mark.parametrize("path", ["/library/sections", "/library/sections/1/all"])
async def test_a_list_that_does_not_say_how_long_it_is_is_not_taken_for_empty(
    home: House, way: Way, path: str
) -> None:
    home.server.faults.on(path, body=b"<MediaContainer/>", headers=XML)
    with pytest.raises(ServerUnavailable, match="none of a Plex server"):
        await way(home)


@BOTH
async def test_fewer_libraries_than_counted_are_not_taken_for_all(home: House, way: Way) -> None:
    body = b"<MediaContainer size='3'><Directory key='1' type='movie'/></MediaContainer>"
    home.server.faults.on("/library/sections", body=body, headers=XML)
    with pytest.raises(ServerUnavailable, match="none of a Plex server"):
        await way(home)


@BOTH
async def test_an_endless_answer_is_cut_off(
    home: House, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plex_http, "BODY_BYTES", 1000)
    body = b"<MediaContainer>" + b" " * 200_000 + b"</MediaContainer>"
    home.server.faults.on("/library/sections", body=body, headers=XML)
    with pytest.raises(ServerUnavailable):
        await way(home)


async def test_an_html_page_in_place_of_a_listing_does_not_empty_the_library(home: House) -> None:
    """Well-formed XML, but no list: a proxy's page of its own."""
    home.server.faults.on("/library/sections/1/all", body=b"<html><body/></html>", headers=XML)
    with pytest.raises(ServerUnavailable, match="none of a Plex server"):
        await list_films(home)


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
