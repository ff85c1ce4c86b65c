"""Boxes of faces and text over the player: on demand, in time, on the picture itself."""

from collections.abc import Callable
from typing import Any

import pytest

from companion.findings import OnscreenText, Track, TrackBox
from companion.store import pictures
from tests.e2e.conftest import Site

pytestmark = pytest.mark.browser

READY = "() => document.querySelector('video').readyState >= 2"
PLACES = (TrackBox(0, 0.25, 0.25, 0.25, 0.5), TrackBox(4_000, 0.5, 0.25, 0.25, 0.5))
TEXT = OnscreenText(4_000, 8_000, "EXIT <b>", (0.5, 0.9, 0.5, 0.1), 0.9)


@pytest.fixture
def lake(site: Site) -> str:
    """The page of a film with a face in its first shot and a text in its second."""
    shelf = site.house.lake
    face = Track(0, 4_000, 2, PLACES, 0.9, 0, b"", reject="small")
    site.wait(site.house.store.write(pictures.keep_tracks, shelf.file_id, [face], "faces@000001"))
    site.wait(site.house.store.write(pictures.keep_onscreen, shelf.file_id, [TEXT]))
    return f"{site.address}/moment/{shelf.file}-0"


def go_to(page: Any, second: float) -> None:
    page.evaluate("second => { document.querySelector('video').currentTime = second; }", second)
    page.wait_for_function(
        "ms => document.querySelector('film-player').now === ms", arg=second * 1000
    )


def lies_at(page: Any, x: float, y: float, width: float, height: float) -> None:
    """Wait until the box lies there on the screen: fractions of the picture itself, not of the
    player. It is drawn anew with every frame, so it is measured in one go with the picture."""
    page.wait_for_function(
        "wanted => { const video = document.querySelector('video');"
        " const box = document.querySelector('.player .boxes rect')?.getBoundingClientRect();"
        " const at = video.getBoundingClientRect();"
        " const scale = Math.min(at.width / video.videoWidth, at.height / video.videoHeight);"
        " const [w, h] = [video.videoWidth * scale, video.videoHeight * scale];"
        " const [left, top] = [at.x + (at.width - w) / 2, at.y + (at.height - h) / 2];"
        " const is = box && [(box.x - left) / w, (box.y - top) / h, box.width / w, box.height / h];"
        " return is && is.every((one, n) => Math.abs(one - wanted[n]) < 0.01); }",
        arg=[x, y, width, height],
    )


def test_boxes_follow_the_film(lake: str, page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(lake)
    page.wait_for_function(READY)
    assert not [url for url in asked if "/boxes/" in url]  # nothing before it is wanted
    page.keyboard.press("b")
    assert page.get_attribute("[data-boxes]", "aria-pressed") == "true"
    go_to(page, 2)
    lies_at(page, 0.375, 0.25, 0.25, 0.5)  # half way
    go_to(page, 5)
    page.wait_for_selector(".boxes .text text")
    assert page.text_content(".player .boxes text") == "EXIT <b>"
    assert page.locator(".player .boxes .face").count() == 0
    go_to(page, 9)
    page.wait_for_function("() => !document.querySelector('.player .boxes g')")
    assert len([url for url in asked if "/boxes/" in url]) == 1
    page.click("[data-boxes]")
    assert page.get_attribute("[data-boxes]", "aria-pressed") == "false"
    go_to(page, 2)
    assert page.locator(".player .boxes g").count() == 0


def test_boxes_lie_on_the_picture_where_bars_are_around_it(
    lake: str, open_page: Callable[..., Any]
) -> None:
    page = open_page(width=1600, height=420)  # the player is much wider than the picture
    page.goto(lake)
    page.wait_for_function(READY)
    page.click("[data-boxes]")
    go_to(page, 0.4)
    bars = page.evaluate(
        "() => { const at = document.querySelector('video').getBoundingClientRect();"
        " return at.width - at.height * 16 / 9; }"
    )
    assert bars > 300
    lies_at(page, 0.275, 0.25, 0.25, 0.5)


def test_a_minute_without_any_is_told_once(site: Site, page: Any) -> None:
    kitchen = site.house.shelved["The Kitchen"].file
    page.goto(f"{site.address}/moment/{kitchen}-0")
    page.wait_for_function(READY)
    page.click("[data-boxes]")
    page.wait_for_function(
        "() => document.getElementById('toast').textContent.includes('No faces and no text')"
    )


def test_boxes_that_cannot_be_had_are_told_and_let_go(lake: str, page: Any, watch: Any) -> None:
    page.route("**/boxes/*", lambda route: route.abort())
    page.goto(lake)
    page.wait_for_function(READY)
    page.click("[data-boxes]")
    page.wait_for_function(
        "() => document.getElementById('toast').textContent.includes('cannot be had')"
    )
    assert page.get_attribute("[data-boxes]", "aria-pressed") == "false"
    watch.complaints.clear()  # the browser's own words about what did not come


def test_without_a_script_the_boxes_of_a_second_are_a_page(
    lake: str, open_page: Callable[..., Any]
) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(lake)
    assert page.locator("[data-boxes]:visible").count() == 0
    page.click(".caption a:has-text('Boxes')")
    page.wait_for_selector("figure .boxes .face rect")
    box = page.locator("figure .boxes rect").bounding_box()
    still = page.locator("figure img").bounding_box()
    assert box["x"] == pytest.approx(still["x"] + 0.25 * still["width"], abs=3)
    assert box["y"] == pytest.approx(still["y"] + 0.25 * still["height"], abs=3)
    page.click("text=Back to the player")
    page.wait_for_selector("video")
