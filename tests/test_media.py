"""Stills, films and clips, and the files that pages are made of."""

import asyncio
import gzip
import re

import pytest

from companion.errors import ScanFailed
from tests.cinema import Open
from tests.page import read
from webui import assets
from webui.links import base36


async def test_a_still_is_a_picture_that_may_be_kept(open_house: Open) -> None:
    house, client = await open_house()
    answer = await client.get(f"/still/{house.lake.file}-0.jpg")
    assert answer.content_type == "image/jpeg"
    assert "max-age=604800" in answer.headers["Cache-Control"]
    assert (await answer.read()).startswith(b"\xff\xd8")


async def test_a_still_of_a_film_that_is_away_is_a_quiet_stand_in(open_house: Open) -> None:
    house, client = await open_house()
    answer = await client.get(f"/still/{house.long.file}-0.jpg")
    assert answer.status == 200
    assert answer.content_type == "image/svg+xml"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_still_that_cannot_be_read_is_the_same_stand_in(
    open_house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, client = await open_house()

    async def broken(*_: object, **__: object) -> None:
        raise ScanFailed("still", "damaged", permanent=True)

    monkeypatch.setattr(house.cutter, "still", broken)
    answer = await client.get(f"/still/{house.lake.file}-0.jpg")
    assert (answer.status, answer.content_type) == (200, "image/svg+xml")


async def test_a_film_is_given_piece_by_piece(open_house: Open) -> None:
    house, client = await open_house()
    whole = await (await client.get(f"/media/{house.lake.file}")).read()
    answer = await client.get(f"/media/{house.lake.file}", headers={"Range": "bytes=4-7"})
    assert answer.status == 206
    assert await answer.read() == whole[4:8] == b"ftyp"
    assert answer.headers["Content-Range"] == f"bytes 4-7/{len(whole)}"
    answer = await client.get(f"/media/{house.lake.file}", headers={"Range": "bytes=999999999-"})
    assert answer.status == 416
    head = await client.head(f"/media/{house.lake.file}")
    assert head.headers["Accept-Ranges"] == "bytes"
    assert int(head.headers["Content-Length"]) == len(whole)


async def test_a_film_that_browsers_cannot_play_is_not_given(open_house: Open) -> None:
    house, client = await open_house()
    assert (await client.get(f"/media/{house.long.file}")).status == 404


async def test_a_clip_is_cut_once_and_given_piece_by_piece(open_house: Open) -> None:
    house, client = await open_house()
    address = f"/clip/{house.lake.file}-{base36(3_000)}.mp4"
    answer = await client.get(address, headers={"Range": "bytes=0-0"})
    assert answer.status == 206
    assert answer.content_type == "video/mp4"
    await client.get(address)
    assert house.cutter.asked == [("clip", 3_000, 12_000)]


async def test_the_first_clip_is_short_so_that_playing_begins_soon(open_house: Open) -> None:
    house, client = await open_house()
    kitchen = house.shelved["The Kitchen"].file
    for address in (f"/clip/{kitchen}-0.mp4?s=10", f"/clip/{kitchen}-{base36(10_000)}.mp4"):
        assert (await client.get(address)).status == 200
    assert house.cutter.asked == [("clip", 0, 10_000), ("clip", 10_000, 70_000)]


async def test_a_clip_of_any_other_length_is_not_cut(open_house: Open) -> None:
    house, client = await open_house()
    for length in ("11", "0", "-1", "600", "x"):
        answer = await client.get(f"/clip/{house.lake.file}-0.mp4?s={length}")
        assert answer.status == 400
        assert "s: " in await answer.text()
    assert house.cutter.asked == []


async def test_a_clip_of_a_film_that_is_away_says_so(open_house: Open) -> None:
    house, client = await open_house()
    answer = await client.get(f"/clip/{house.long.file}-0.mp4")
    assert answer.status == 404
    assert "The film is away" in await answer.text()


# --- static files ---


async def test_static_files_are_kept_for_ever_under_their_content(open_house: Open) -> None:
    _, client = await open_house()
    sheet = (await read(client, "/")).all("link", "href")[-1]
    answer = await client.get(sheet, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.content_type == "text/css"
    assert answer.headers["Content-Encoding"] == "gzip"
    old = re.sub(r"static/\w+/", "static/0123456789ab/", sheet)
    answer = await client.get(old)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_browser_without_compression_gets_it_plain(open_house: Open) -> None:
    _, client = await open_house()
    answer = await client.get("/static/x/keys.js", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in answer.headers
    assert answer.content_type == "text/javascript"


async def test_the_pages_can_be_installed(open_house: Open) -> None:
    _, client = await open_house()
    answer = await client.get("/manifest.webmanifest")
    assert answer.content_type == "application/manifest+json"
    for icon in (await answer.json())["icons"]:
        picture = await (await client.get(icon["src"])).read()
        width = int.from_bytes(picture[16:20], "big")
        assert icon["sizes"] == f"{width}x{width}"
    favicon = await client.get("/favicon.ico")
    assert favicon.content_type == "image/png"


async def test_the_pages_weigh_little() -> None:
    found = await asyncio.to_thread(assets.load)
    ours = {name: asset for name, asset in found.static.items() if not name.startswith("htmx")}
    script = sum(asset.plain.count(b"\n") for name, asset in ours.items() if name.endswith(".js"))
    sheet = sum(asset.plain.count(b"\n") for name, asset in ours.items() if name.endswith(".css"))
    sent = sum(
        len(asset.gzipped)
        for name, asset in found.static.items()
        if asset.gzipped and name.endswith((".js", ".css", ".svg"))
    )
    page = len(gzip.compress("".join(found.templates.values()).encode()))
    assert script <= 700
    assert sheet <= 500
    assert sent + page <= 60 * 1024
    assert found.static["htmx-2.0.11.min.js"].plain.startswith(b"var htmx=")


async def test_the_version_changes_with_any_file(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await asyncio.to_thread(assets.load)
    assert re.fullmatch(r"[0-9a-f]{12}", found.version)
    assert found == await asyncio.to_thread(assets.load)


def test_every_kind_of_picture_and_script_has_its_own_content_type() -> None:
    assert set(assets.TYPES) == {".css", ".js", ".svg", ".png"}
