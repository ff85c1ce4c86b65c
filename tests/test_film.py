"""The pages of a moment and of a title, and the lists of titles."""

import re

import pytest

from tests.cinema import Open
from tests.page import PART, plain, read, text_of
from webui import strip
from webui.links import base36


async def test_a_moment_plays_the_film_itself_where_browsers_can(open_house: Open) -> None:
    house, client = await open_house()
    page = await read(client, f"/moment/{house.lake.file}-{base36(4_200)}")
    assert page.all("source", "src") == [f"/media/{house.lake.file}#t=4.2"]
    assert page.all("source", "type") == ["video/mp4"]
    assert page.all("film-player", "data-direct") == [""]


async def test_a_moment_plays_a_clip_where_browsers_cannot(open_house: Open) -> None:
    house, client = await open_house()
    page = await read(client, f"/moment/{house.long.file}-{base36(100_500)}")
    clip = f"/clip/{house.long.file}-{base36(95_000)}.mp4?s=10#t=5.5"
    assert page.all("source", "src") == [clip]
    text = await text_of(client, f"/moment/{house.long.file}-{base36(100_500)}")
    assert "Next minute" in text


async def test_the_transcript_marks_the_line_that_is_said(open_house: Open) -> None:
    house, client = await open_house()
    text = await text_of(client, f"/moment/{house.lake.file}-{base36(4_300)}")
    now = re.findall(r'<li class="now">.*?</li>', text, re.DOTALL)
    assert len(now) == 1
    assert "He fell into the lake" in now[0]
    assert len(re.findall(r'data-ms="\d+" data-end', text)) == 3


async def test_a_moment_has_neighbours(open_house: Open) -> None:
    house, client = await open_house()
    middle = await text_of(client, f"/moment/{house.lake.file}-{base36(5_000)}")
    assert "Scene before" in middle
    assert "Scene after" in middle
    first = await text_of(client, f"/moment/{house.lake.file}-0")
    assert "Scene before" not in first
    last = await text_of(client, f"/moment/{house.lake.file}-{base36(11_999)}")
    assert "Scene after" not in last


async def test_a_moment_after_the_end_is_the_end(open_house: Open) -> None:
    house, client = await open_house()
    assert "0:12" in plain(await text_of(client, f"/moment/{house.lake.file}-zzzzzz"))


async def test_a_preview_is_a_part_of_the_moments_page(open_house: Open) -> None:
    house, client = await open_house()
    text = await text_of(client, f"/moment/{house.lake.file}-0", **PART)
    assert "<html" not in text
    assert "autoplay" in text
    assert "Open with transcript" in text


async def test_a_title_shows_its_facts_scenes_and_words(open_house: Open) -> None:
    house, client = await open_house()
    text = await text_of(client, f"/item/{house.lake.item}")
    words_ = plain(text)
    for fact in ("Lake", "2004", "12 s", "1280 × 720", "H264", "en", "Films"):
        assert fact in words_
    assert text.count('class="cell"') == 3
    assert "호수가 정말 아름답다." in words_


async def test_a_contact_sheet_is_never_longer_than_three_rows(open_house: Open) -> None:
    house, client = await open_house()
    text = await text_of(client, f"/item/{house.long.item}")
    sheet = text.split('class="sheet"')[1].split("</ul>")[0]
    assert sheet.count("<li>") == 24
    assert text.count('class="cell"') <= strip.MOST_CELLS


async def test_inside_a_title_lines_can_be_searched(open_house: Open) -> None:
    house, client = await open_house()
    text = await text_of(client, f"/item/{house.long.item}?q=Line+11")
    assert "11 lines with “Line 11”" in plain(text)
    assert "<mark>Line 11</mark>" in text
    part = await text_of(client, f"/item/{house.long.item}?q=zebra", **PART)
    assert "0 lines with" in plain(part)
    assert "<html" not in part


async def test_only_the_owner_reads_where_a_file_lies(open_house: Open) -> None:
    house, client = await open_house()
    assert "/away/The Long Way Up (1999).mkv" in await text_of(client, f"/item/{house.long.item}")


async def test_titles_can_be_looked_through_by_library(open_house: Open) -> None:
    _, client = await open_house()
    everything = plain(await text_of(client, "/titles"))
    assert "Lake" in everything
    assert "Small Hours S01E02 · The Kitchen" in everything
    shows = plain(await text_of(client, "/titles?library=Shows"))
    assert "The Kitchen" in shows
    assert "The Long Way Up" not in shows


async def test_many_titles_come_in_pages(open_house: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webui.titles.TITLES_PER_PAGE", 3)
    _, client = await open_house()
    first = await read(client, "/titles")
    assert "/titles?offset=3" in first.all("a", "href")
    second = await read(client, "/titles?offset=3")
    assert "/titles" in second.all("a", "href")
    tiles = [href for href in first.all("a", "href") if href.startswith("/item/")]
    more = [href for href in second.all("a", "href") if href.startswith("/item/")]
    assert (len(tiles), len(more)) == (3, 1)
    assert not set(tiles) & set(more)


async def test_a_bad_offset_names_its_parameter(open_house: Open) -> None:
    _, client = await open_house()
    answer = await client.get("/titles?offset=-1")
    assert answer.status == 400
    assert "offset: a number from 0" in plain(await answer.text())
