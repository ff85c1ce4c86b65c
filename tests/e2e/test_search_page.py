"""Finding a moment, with the mouse, with the keyboard alone, and without JavaScript."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Site, Watch
from webui.links import base36

pytestmark = pytest.mark.browser

FOCUSED = "document.activeElement.getAttribute('aria-label') || document.activeElement.id"


def at(page: Any) -> str:
    """Return what has the focus."""
    found: str = page.evaluate(FOCUSED)
    return found


def is_playing_from(page: Any, second: float) -> None:
    """Wait until the player plays at about this second."""
    page.wait_for_function(
        "second => { const video = document.querySelector('video');"
        " return video.readyState >= 2 && video.currentTime >= second"
        " && video.currentTime < second + 6; }",
        arg=second - 0.3,
    )


def test_results_come_while_one_types(site: Site, page: Any) -> None:
    page.goto(site.address)
    page.keyboard.type("shoes")
    page.wait_for_selector(".answer")
    assert page.inner_text("mark") == "shoes"
    assert page.url == f"{site.address}/?q=shoes"
    assert page.title() == "shoes · Heimdex"
    assert page.inner_text("#summary") == "1 moment in 1 title"
    assert at(page) == "Search your films"  # who types goes on typing
    page.reload()
    assert page.inner_text("mark") == "shoes"


def test_submitting_brings_the_focus_to_the_results(site: Site, page: Any) -> None:
    page.goto(site.address)
    page.fill("#q", "lake")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.id === 'results'")


def test_an_example_is_a_search_that_finds_something(site: Site, page: Any) -> None:
    page.goto(site.address)
    page.click(".examples a >> nth=0")
    page.wait_for_selector(".group")


def test_taking_the_query_away_brings_the_examples_back(site: Site, page: Any) -> None:
    page.goto(f"{site.address}/?q=shoes")
    page.fill("#q", "")
    page.wait_for_selector(".examples")
    assert page.locator(".answer").count() == 0


def test_the_page_of_a_moment_plays_at_that_second(site: Site, page: Any) -> None:
    page.goto(f"{site.address}/?q=shoes")
    page.click(".still")
    page.wait_for_url(re.compile("/moment/"))
    is_playing_from(page, 4.2)
    assert "He fell into the lake" in page.inner_text(".lines .now")


def test_everything_can_be_done_with_the_keyboard(site: Site, page: Any) -> None:
    page.goto(f"{site.address}/status")
    page.keyboard.press("/")
    assert at(page) == "Search your films"
    page.keyboard.type("lake")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"\?q=lake"))
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    first = at(page)
    assert " at " in first
    page.keyboard.press("ArrowRight")
    second = at(page)
    assert second != first
    page.keyboard.press("ArrowLeft")
    assert at(page) == first
    page.keyboard.press("ArrowDown")
    assert at(page) != first
    page.keyboard.press("ArrowUp")
    assert at(page) == first
    page.keyboard.press("ArrowUp")
    assert at(page) == "Search your films"


def test_enter_previews_and_escape_comes_back_to_where_one_was(site: Site, page: Any) -> None:
    page.goto(f"{site.address}/?q=shoes")
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    label = at(page)
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open] video")
    is_playing_from(page, 4.2)
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]", state="hidden")
    assert at(page) == label
    assert page.locator("video").count() == 0  # nothing goes on playing unseen


def test_the_preview_button_opens_the_same(site: Site, page: Any) -> None:
    page.goto(f"{site.address}/?q=shoes")
    page.click("[data-preview]")
    page.wait_for_selector("dialog[open] video")
    page.click("dialog [data-close]")
    page.wait_for_selector("dialog[open]", state="hidden")


def test_a_question_mark_shows_the_keys(site: Site, page: Any) -> None:
    page.goto(f"{site.address}/titles")
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open] .keys")
    assert "Move between results" in page.inner_text("dialog")
    page.keyboard.press("Escape")
    page.goto(site.address)
    page.click("#q")
    page.keyboard.type("what?")
    assert page.input_value("#q") == "what?"
    assert page.locator("dialog[open]").count() == 0


def test_a_link_can_be_copied_and_leads_to_the_moment(
    site: Site, open_page: Callable[..., Any]
) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{site.address}/?q=shoes")
    page.click("[data-copy]")
    page.wait_for_function("() => document.getElementById('toast').textContent === 'Link copied'")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == f"{site.address}/go/{site.house.lake.file}-{base36(4_200)}"
    page.goto(link)
    assert page.url.endswith(f"/moment/{site.house.lake.file}-{base36(4_200)}")


def test_a_server_that_is_away_is_told_once_and_typing_goes_on(
    site: Site, page: Any, watch: Watch
) -> None:
    page.goto(site.address)
    page.context.set_offline(True)
    page.fill("#q", "lake")
    page.wait_for_function(
        "() => document.getElementById('toast').textContent.includes('not answer')"
    )
    page.context.set_offline(False)
    page.fill("#q", "shoes")
    page.wait_for_selector(".answer")
    watch.complaints.clear()  # the browser's own words about being offline


def test_without_javascript_everything_is_there(site: Site, open_page: Callable[..., Any]) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(site.address)
    page.fill("#q", "shoes")
    page.keyboard.press("Enter")
    page.wait_for_selector(".answer")
    assert page.inner_text("mark") == "shoes"
    assert page.locator("[data-copy]:visible").count() == 0  # needs a script: not shown
    page.click("[data-preview]")
    page.wait_for_url(re.compile("/moment/"))
    assert page.get_attribute("video source", "src").endswith("#t=4.2")
    page.click(".lines a >> nth=2")
    assert page.get_attribute("video source", "src").endswith("#t=8.4")
    page.click("text=Scene before")
    page.click(".caption h1 a")
    page.wait_for_url(re.compile("/item/"))
    page.fill("#within", "lost")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("q=lost"))  # the page before may have a mark too
    assert page.inner_text("mark") == "lost"
    page.click("text=Indexing")
    page.click("#do-pause")
    assert page.inner_text("h1") == "Paused"
    page.click("#do-pause")
    assert page.inner_text("h1") != "Paused"
    page.click("[data-help]")
    assert "Move between results" in page.inner_text("main")
