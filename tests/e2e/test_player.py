"""The page of a moment: film time, transcript and strip go together, also through clips."""

import re
from typing import Any

import pytest

from tests.e2e.conftest import Site
from tests.e2e.test_search_page import is_playing_from
from webui.links import base36

pytestmark = pytest.mark.browser


def test_a_line_is_played_when_it_is_clicked_and_the_page_stays(site: Site, page: Any) -> None:
    page.goto(f"{site.address}/moment/{site.house.lake.file}-0")
    page.evaluate("window.same = true")
    page.click(".lines a >> nth=2")
    is_playing_from(page, 8.4)
    assert page.evaluate("window.same")
    assert page.url.endswith(f"-{base36(8_400)}")


def test_the_transcript_follows_the_film(site: Site, page: Any) -> None:
    page.goto(f"{site.address}/moment/{site.house.lake.file}-0")
    page.evaluate("document.querySelector('video').currentTime = 5")
    page.wait_for_function(
        "() => document.querySelector('.lines .now')?.innerText.includes('shoes')"
    )
    assert page.locator(".lines [aria-current]").count() == 1
    x = int(page.get_attribute(".strip .head", "x"))
    assert 45 <= x <= 60  # tenths of a second


def test_a_scene_on_the_strip_is_played_when_it_is_clicked(site: Site, page: Any) -> None:
    page.goto(f"{site.address}/moment/{site.house.lake.file}-0")
    page.click(".strip a >> nth=2")
    is_playing_from(page, 8.0)


def test_the_strip_shows_a_picture_of_what_lies_there(site: Site, page: Any) -> None:
    page.goto(f"{site.address}/item/{site.house.lake.item}")
    page.hover(".strip a >> nth=1")
    page.wait_for_selector(".tip img[src]")
    assert page.inner_text(".tip b") == "0:04"
    page.hover("h1")
    page.wait_for_selector(".tip", state="detached")


def test_space_plays_and_pauses(site: Site, page: Any) -> None:
    page.goto(f"{site.address}/moment/{site.house.lake.file}-0")
    page.keyboard.press("Space")
    page.wait_for_function("() => !document.querySelector('video').paused")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('video').paused")


def test_a_film_that_browsers_cannot_play_comes_in_minutes(site: Site, page: Any) -> None:
    """The kitchen is Matroska: each minute is cut when it is wanted (here: twelve seconds)."""
    file = site.house.shelved["The Kitchen"].file
    cut: list[str] = []
    page.on("request", lambda request: cut.append(request.url))
    page.goto(f"{site.address}/moment/{file}-{base36(10_000)}")
    page.wait_for_function("() => document.querySelector('video').readyState >= 2")
    assert page.inner_text(".player-note") == ""
    assert page.get_attribute("video source", "src").startswith(
        f"/clip/{file}-{base36(5_000)}.mp4?s=10"
    )
    page.evaluate("document.querySelector('film-player').seek(80000)")
    page.wait_for_function("() => document.querySelector('video').src.includes('/clip/')")
    assert f"/clip/{file}-{base36(75_000)}.mp4?s=10#t=5" in page.evaluate(
        "document.querySelector('video').src"
    )
    assert any(f"/clip/{file}-{base36(5_000)}.mp4" in url for url in cut)


def test_the_next_minute_follows_by_itself(site: Site, page: Any) -> None:
    file = site.house.shelved["The Kitchen"].file
    page.goto(f"{site.address}/moment/{file}-0")
    page.wait_for_function("() => document.querySelector('video').readyState >= 2")
    page.evaluate("document.querySelector('video').dispatchEvent(new Event('ended'))")
    page.wait_for_function(
        "address => document.querySelector('video').src.includes(address)",
        arg=f"/clip/{file}-{base36(10_000)}.mp4?s=20#",
    )
    is_playing_from(page, 0.0)


def test_a_film_that_the_browser_cannot_play_after_all_comes_as_a_clip(
    site: Site, page: Any
) -> None:
    file = site.house.lake.file
    page.route("**/media/*", lambda route: route.fulfill(status=200, body=b"no film"))
    page.goto(f"{site.address}/moment/{file}-{base36(8_400)}")
    page.wait_for_function("() => document.querySelector('video').src.includes('/clip/')")
    assert f"/clip/{file}-{base36(3_000)}.mp4" in page.evaluate(
        "document.querySelector('video').src"
    )


def test_a_film_that_is_away_says_so_in_the_player(site: Site, page: Any, watch: Any) -> None:
    page.goto(f"{site.address}/moment/{site.house.long.file}-0")
    page.wait_for_function(
        "() => document.querySelector('.player-note').textContent.includes('the film is away')"
    )
    assert "Line 0" in page.inner_text(".lines")
    watch.complaints[:] = [said for said in watch.complaints if "404" not in said]


def test_the_link_that_is_copied_is_where_the_film_is_now(site: Site, open_page: Any) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{site.address}/moment/{site.house.lake.file}-0")
    page.wait_for_function("() => document.querySelector('video').readyState >= 2")
    page.evaluate("document.querySelector('video').currentTime = 6")
    page.wait_for_function("() => document.querySelector('film-player').now === 6000")
    page.click(".caption [data-copy]")
    page.wait_for_function("() => document.getElementById('toast').textContent === 'Link copied'")
    link = page.evaluate("navigator.clipboard.readText()")
    assert re.search(f"/go/.*-{base36(6_000)}$", link)
