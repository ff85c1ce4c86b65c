"""Between us and a Plex server: errors, silence, restarts, redirects, certificates, addresses."""

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from companion.errors import AuthFailed, ServerUnavailable
from connectors import plex_http
from connectors.plex_client import Pool
from tests.fakes.plex import FakePlex
from tests.fakes.plex_world import household
from tests.own_certificate import certificate
from tests.plex_house import BOTH, House, Way, house

XML = {"Content-Type": "text/xml;charset=utf-8"}


@pytest.fixture
async def home() -> AsyncIterator[House]:
    async with house() as opened:
        yield opened


@BOTH
@pytest.mark.parametrize("status", [400, 404, 429, 500, 502, 503, 599])
async def test_errors_of_the_server_raise(home: House, way: Way, status: int) -> None:
    home.server.faults.on("/library/sections/1/all", status=status, body=b"secret text")
    with pytest.raises(ServerUnavailable, match=str(status)) as caught:
        await way(home)
    assert "secret text" not in str(caught.value)


@BOTH
async def test_a_status_that_no_list_knows_is_an_error_like_others(home: House, way: Way) -> None:
    """plexapi looks the name of the status up and fails on None."""
    home.server.faults.on("/library/sections", status=499)
    with pytest.raises(ServerUnavailable, match="499"):
        await way(home)


@BOTH
@pytest.mark.parametrize("body", [b"", b"<MediaContainer size='3'><Video"])
async def test_a_dropped_connection_raises(home: House, way: Way, body: bytes) -> None:
    home.server.faults.on("/library/sections/1/all", drop=True, body=body)
    with pytest.raises(ServerUnavailable):
        await way(home)


@BOTH
async def test_a_server_that_does_not_answer_is_left_after_a_while(
    home: House, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plex_http, "READ_S", 0.05)
    never = asyncio.Event()
    home.server.faults.on("/library/sections/1/all", hold=never)
    with pytest.raises(ServerUnavailable, match="no answer in time"):
        await way(home)
    never.set()


@BOTH
async def test_an_answer_that_drips_without_end_is_left_after_a_while(
    home: House, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every piece comes in time; only a limit on the whole helps."""
    monkeypatch.setattr(plex_http, "TOTAL_S", 0.1)
    home.server.faults.on("/library/sections/1/all", drip=True)
    with pytest.raises(ServerUnavailable, match="no answer in time"):
        await way(home)


@BOTH
@pytest.mark.parametrize("packing", ["gzip", "x-unknown"])
async def test_a_packed_answer_is_refused_unopened(home: House, way: Way, packing: str) -> None:
    """A few kilobytes unpack to as many megabytes; we ask for answers as they are."""
    bomb = gzip.compress(b"<MediaContainer>" + b" " * 2_000_000)
    packed = {"Content-Encoding": packing}
    home.server.faults.on("/library/sections/1/all", body=bomb, headers=XML | packed)
    with pytest.raises(ServerUnavailable, match="none of a Plex server"):
        await way(home)
    asked = {each.headers["Accept-Encoding"] for each in home.server.faults.seen}
    assert asked == {"identity"}


@BOTH
async def test_a_server_that_restarts_in_the_middle_raises_and_is_fine_afterwards(
    home: House, way: Way
) -> None:
    for number in range(300):
        home.world.film(f"5{number:04}")
    home.server.faults.on("/library/sections/1/all", after=1, drop=True)
    with pytest.raises(ServerUnavailable):
        await way(home)
    home.server.faults.clear()
    await home.server.restart()
    await way(home)


@BOTH
async def test_a_server_that_is_down_is_unavailable(home: House, way: Way) -> None:
    await home.server.stop()
    with pytest.raises(ServerUnavailable, match="no connection"):
        await way(home)


@BOTH
async def test_a_token_revoked_in_the_middle_is_for_a_person(home: House, way: Way) -> None:
    for number in range(300):
        home.world.film(f"5{number:04}")
    home.server.faults.on("/library/sections", after=2, status=401)
    with pytest.raises(AuthFailed):
        await way(home)


@BOTH
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_to_another_host_is_refused_and_gets_no_token(
    home: House, way: Way, status: int
) -> None:
    async with FakePlex(household()) as other:
        elsewhere = {"Location": f"{other.url}/library/sections"}
        home.server.faults.on("/library/sections", status=status, headers=elsewhere)
        with pytest.raises(ServerUnavailable, match="another address"):
            await way(home)
        assert other.faults.seen == []


async def test_a_call_that_waits_while_the_pool_is_closed_is_not_cancelled_but_told() -> None:
    pool, gate = Pool("Attic"), threading.Event()
    calls = [asyncio.ensure_future(pool.call(gate.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    pool.close()
    with pytest.raises(ServerUnavailable):
        await calls[-1]
    gate.set()
    assert await asyncio.gather(*calls[:-1]) == [True, True]


@BOTH
async def test_cookies_are_not_kept(home: House, way: Way) -> None:
    cookie = {"Set-Cookie": "who=me; Path=/"}
    body = b"<MediaContainer machineIdentifier='m'/>"
    home.server.faults.on("/identity", times=1, body=body, headers=XML | cookie)
    home.world.machine_id = "m"
    await way(home)
    assert not [each for each in home.server.faults.seen if "Cookie" in each.headers]


@BOTH
async def test_a_certificate_that_nobody_vouches_for_is_refused_before_a_token_is_sent(
    way: Way, tmp_path: Path
) -> None:
    tls, authority = await asyncio.to_thread(certificate, tmp_path, "127.0.0.1")
    async with FakePlex(household(), tls=tls) as server, house(url=server.url) as home:
        with pytest.raises(ServerUnavailable, match="certificate is not trusted"):
            await way(home)
        assert server.faults.seen == []
        await home.plex.close()
        home.plex = home.connector(authority=authority)
        await way(home)
        assert server.faults.seen


@BOTH
async def test_a_certificate_for_another_name_is_refused_even_if_trusted(
    way: Way, tmp_path: Path
) -> None:
    tls, authority = await asyncio.to_thread(certificate, tmp_path, "192.0.2.1")
    async with (
        FakePlex(household(), tls=tls) as server,
        house(url=server.url, authority=authority) as home,
    ):
        with pytest.raises(ServerUnavailable, match="certificate is not trusted"):
            await way(home)
        assert server.faults.seen == []


async def test_an_authority_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    async with (
        FakePlex(household()) as server,
        house(url=server.url.replace("http:", "https:"), authority=tmp_path / "none.pem") as home,
    ):
        with pytest.raises(ServerUnavailable, match="authority cannot be read"):
            await home.plex.identity()


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
