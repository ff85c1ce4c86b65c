"""Searching by picture in a real browser: dropped, pasted, chosen, without a script; scenes like
one; and a scene's frames while the pointer rests on its still."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from companion.errors import ScanFailed
from companion.search.pictures import MAX_BYTES
from tests import cinema
from tests.e2e.conftest import Site, Watch
from tests.e2e.test_every_page import axe

pytestmark = pytest.mark.browser

GIVE = """([event, name, text]) => {
    const given = new DataTransfer();
    given.items.add(new File([text], name, { type: "image/jpeg" }));
    const said = event === "paste" ? { clipboardData: given } : { dataTransfer: given };
    const Kind = event === "paste" ? ClipboardEvent : DragEvent;
    document.body.dispatchEvent(new Kind(event, { bubbles: true, cancelable: true, ...said }));
}"""
FOUND = "() => document.querySelectorAll('.group').length === 2"


@pytest.fixture
def seen(site: Site) -> Iterator[Site]:
    """The library once its pictures have been looked at."""
    site.wait(cinema.show_frames(site.house))
    yield site
    site.house.looks.error = None


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    path = tmp_path / "lake.jpg"
    path.write_bytes(b"lake from a boat")
    return path


def give(page: Any, event: str, name: str = "lake.jpg", text: str = "lake from a boat") -> None:
    page.evaluate(GIVE, [event, name, text])


def test_a_picture_can_be_dropped_anywhere(seen: Site, page: Any) -> None:
    page.goto(seen.address)
    give(page, "dragenter")
    page.wait_for_selector("#drop", state="visible")
    give(page, "dragover")
    give(page, "drop")
    page.wait_for_selector("#drop", state="hidden")
    page.wait_for_function(FOUND)
    assert page.inner_text(".chip .what") == "lake.jpg"
    assert page.get_attribute(".chip img", "src").startswith("blob:")
    assert page.evaluate("document.activeElement.id") == "results"
    assert page.inner_text("#summary") == "2 moments in 2 titles"
    assert re.search(r"[?&]picture=[\w-]{22}$", page.url)
    page.reload()  # an ordinary address
    page.wait_for_function(FOUND)
    assert page.inner_text(".chip .what") == "lake.jpg"
    page.fill("#q", "coffee")
    page.wait_for_function("() => location.search.includes('q=coffee')")
    assert "picture=" in page.url
    page.wait_for_selector("mark")


def test_what_is_dragged_away_again_changes_nothing(seen: Site, page: Any) -> None:
    page.goto(seen.address)
    give(page, "dragenter")
    page.wait_for_selector("#drop", state="visible")
    give(page, "dragleave")
    page.wait_for_selector("#drop", state="hidden")
    assert page.locator(".chip").count() == 0


def test_a_picture_can_be_pasted_and_going_back_brings_back_the_page_before(
    seen: Site, page: Any
) -> None:
    page.goto(f"{seen.address}/?q=shoes")
    give(page, "paste")
    page.wait_for_function("() => location.search.includes('picture=')")
    page.wait_for_selector(".via >> text=Looks alike")
    with page.expect_navigation():
        page.go_back()
    assert page.url == f"{seen.address}/?q=shoes"
    page.wait_for_selector("mark >> text=shoes")
    assert page.locator(".chip").count() == 0
    page.go_forward()
    page.wait_for_selector(".chip")


def test_the_keyboard_alone_gives_and_takes_away_a_picture(
    seen: Site, page: Any, lake: Path
) -> None:
    page.on("filechooser", lambda chooser: chooser.set_files(lake))
    page.goto(seen.address)
    page.keyboard.press("Tab")  # from the field
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Search by picture"
    page.keyboard.press("Enter")
    page.wait_for_function(FOUND)
    page.keyboard.press("/")
    page.keyboard.type("x")
    page.wait_for_function("() => location.search.includes('q=x')")
    page.keyboard.press("Backspace")
    page.wait_for_function("() => location.search.includes('q=&')")
    assert page.locator(".chip").count() == 1  # there was a letter to take away
    page.keyboard.press("Backspace")
    page.wait_for_selector(".examples")
    assert page.locator(".chip").count() == 0
    assert page.evaluate("document.activeElement.id") == "q"
    assert "picture=" not in page.url


def test_the_chip_has_a_button_that_takes_it_away(seen: Site, page: Any, lake: Path) -> None:
    page.goto(f"{seen.address}/?q=shoes")
    page.set_input_files("#by-picture [type=file]", lake)
    page.wait_for_selector(".via >> text=Looks alike")
    page.click(".chip [data-off]")
    page.wait_for_function("() => document.querySelectorAll('.group').length === 1")
    assert page.inner_text("mark") == "shoes"
    assert "picture=" not in page.url


def test_what_is_no_picture_is_told_below_the_field(seen: Site, page: Any, watch: Watch) -> None:
    page.goto(f"{seen.address}/?q=shoes")
    seen.house.looks.error = ScanFailed("picture", "this is no picture", permanent=True)
    give(page, "drop", "drawing.svg", "<svg/>")
    page.wait_for_selector("#refused >> text=This is no picture.")
    assert page.locator(".chip").count() == 0
    assert page.inner_text("mark") == "shoes"  # what was there stays
    watch.complaints[:] = [said for said in watch.complaints if "400" not in said]


def test_what_is_too_large_is_not_even_sent(seen: Site, page: Any) -> None:
    page.goto(seen.address)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.evaluate(
        "size => { const given = new DataTransfer();"
        " given.items.add(new File([new Uint8Array(size)], 'x.png'));"
        " document.body.dispatchEvent(new DragEvent('drop',"
        " { bubbles: true, cancelable: true, dataTransfer: given })); }",
        MAX_BYTES + 1,
    )
    page.wait_for_selector("#refused >> text=larger than 20 MB")
    assert "POST" not in sent


def test_a_picture_that_is_forgotten_can_be_chosen_again(seen: Site, page: Any, lake: Path) -> None:
    page.on("filechooser", lambda chooser: chooser.set_files(lake))
    page.goto(f"{seen.address}/?picture=forgotten")
    page.click("text=Choose it again")
    page.wait_for_function(FOUND)


def test_without_a_script_a_form_takes_the_picture(
    seen: Site, open_page: Callable[..., Any], lake: Path, watch: Watch
) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{seen.address}/?q=coffee")
    page.click("[data-choose]")
    assert page.input_value("#q") == "coffee"
    seen.house.looks.error = ScanFailed("picture", "this is no picture", permanent=True)
    page.set_input_files("#picture", lake)
    page.click("main button")
    assert "This is no picture." in page.inner_text("[role=alert]")
    seen.house.looks.error = None
    page.set_input_files("#picture", lake)
    page.click("main button")
    page.wait_for_selector(".chip")
    assert page.inner_text("mark") == "coffee"
    page.click(".chip [data-off]")
    assert page.url == f"{seen.address}/?q=coffee"
    watch.complaints[:] = [said for said in watch.complaints if "400" not in said]


def test_more_like_this_from_a_card_and_from_a_moment(seen: Site, page: Any) -> None:
    page.goto(f"{seen.address}/?q=lost")
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("m")
    page.wait_for_url(re.compile(r"\?like="))
    assert page.inner_text(".chip .what") == "Like this scene"
    assert page.title() == "Like Lake at 0:01 · Heimdex"
    page.wait_for_selector("h3 >> text=The Kitchen")
    page.click(".still >> nth=0")
    page.wait_for_url(re.compile("/moment/"))
    page.keyboard.press("m")
    page.wait_for_url(re.compile(r"\?like="))
    page.wait_for_selector("h3 >> text=Lake")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_nothing(
    seen: Site, open_page: Callable[..., Any], lake: Path, scheme: str
) -> None:
    page = open_page(color_scheme=scheme, reduced_motion="reduce", width=390)
    found: list[str] = []
    page.goto(f"{seen.address}/?picture=forgotten")
    found += violations(page, "forgotten")
    page.goto(seen.address)
    page.set_input_files("#by-picture [type=file]", lake)
    page.wait_for_function(FOUND)
    found += violations(page, "given")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert found == []


def violations(page: Any, name: str) -> list[str]:
    report = axe.Axe().run(page)
    return [
        f"{name}: {one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in report.response["violations"]
    ]


# --- glimpses ---


def frames(asked: list[str]) -> list[str]:
    return [url for url in asked if "/frame/" in url]


def test_frames_of_a_scene_are_shown_while_the_pointer_rests_on_it(site: Site, page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site.address}/?q=shoes")
    before = page.locator("main").bounding_box()
    page.hover(".still")
    page.wait_for_selector(".still .glimpse")
    assert page.locator("main").bounding_box() == before  # nothing moves
    first = page.get_attribute(".still .glimpse", "src")
    page.wait_for_function(
        "first => { const now = document.querySelector('.glimpse');"
        " return now && now.getAttribute('src') !== first; }",
        arg=first,
    )
    assert len(set(frames(asked))) >= 2
    page.hover("#q")
    page.wait_for_selector(".glimpse", state="detached")


def test_a_pointer_that_passes_by_asks_for_nothing(site: Site, page: Any) -> None:
    page.clock.install(time=0)
    page.goto(f"{site.address}/?q=shoes")
    page.clock.pause_at(60_000)  # from here on only the test lets time pass
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.hover(".still")
    page.clock.run_for(100)
    page.hover("#q")
    page.clock.run_for(2_000)
    assert frames(asked) == []
    page.dispatch_event(".still", "pointerover", {"pointerType": "touch", "bubbles": True})
    page.clock.run_for(2_000)
    assert frames(asked) == []  # a finger opens, it does not rest


def test_the_keyboard_sees_them_too(site: Site, page: Any) -> None:
    page.goto(f"{site.address}/?q=shoes")
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector(".still .glimpse")
    page.keyboard.press("ArrowUp")
    page.wait_for_selector(".glimpse", state="detached")


def test_who_wants_no_motion_gets_none(site: Site, open_page: Callable[..., Any]) -> None:
    page = open_page(reduced_motion="reduce")
    page.clock.install()
    page.goto(f"{site.address}/?q=shoes")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.hover(".still")
    page.clock.run_for(5_000)
    assert frames(asked) == []
    assert page.locator(".glimpse").count() == 0
