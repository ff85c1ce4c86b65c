"""What holds on every page: nothing is out of reach, out of sight, or out of place."""

from collections.abc import Callable
from typing import Any

import pytest

from tests import cinema
from tests.cinema import HOSTILE
from tests.e2e.conftest import Site, Watch

axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = pytest.mark.browser

RULES = {
    "dark": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "light": ["color-contrast"],  # all that the other colours can change
}


def pages(site: Site) -> dict[str, str]:
    house = site.house
    hostile = house.shelved[HOSTILE]
    return {
        "search": "/",
        "results": "/?q=lake",
        "no match": "/?q=xylophone",
        "moment": f"/moment/{house.lake.file}-0",
        "a second with boxes": f"/moment/{house.lake.file}-0?boxes=1",
        "a picture": "/picture",
        "like a scene": f"/?like={house.lake.file}-0",
        "title": f"/item/{house.lake.item}",
        "search in a title": f"/item/{house.lake.item}?q=lake",
        "titles": "/titles",
        "indexing": "/status",
        "help": "/help",
        "nothing": "/nothing",
        "hostile title": f"/item/{hostile.item}",
        "hostile words": "/?q=hostile",
    }


def forgive_missing(watch: Watch) -> None:
    """A page that is not there is reported by the browser too."""
    watch.complaints[:] = [said for said in watch.complaints if "404" not in said]


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_nothing(
    site: Site, open_page: Callable[..., Any], watch: Watch, scheme: str
) -> None:
    page = open_page(color_scheme=scheme, reduced_motion="reduce")
    checker = axe.Axe()
    found: list[str] = []
    for name, path in pages(site).items():
        page.goto(site.address + path)
        report = checker.run(page, options={"runOnly": RULES[scheme]})
        found += [
            f"{name}: {one['id']}: {one['nodes'][0]['html'][:200]}"
            for one in report.response["violations"]
        ]
    forgive_missing(watch)
    assert found == []


def test_nothing_is_wider_than_a_small_telephone(
    site: Site, open_page: Callable[..., Any], watch: Watch
) -> None:
    page = open_page(width=320, height=640, has_touch=True)
    for name, path in pages(site).items():
        page.goto(site.address + path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 320, name
    forgive_missing(watch)


def test_what_is_touched_is_large_enough(
    site: Site, open_page: Callable[..., Any], watch: Watch
) -> None:
    page = open_page(width=390, height=844, has_touch=True, is_mobile=True)
    small = """() => [...document.querySelectorAll("button, input:not([type=hidden]), summary,"
        + " nav a, .actions a, .examples a, .chips a, .lines a")]
        .filter((one) => one.checkVisibility() && !one.closest(".skip"))
        .filter((one) => { const box = one.getBoundingClientRect();
            return box.width > 1 && (box.height < 43.5 || box.width < 43.5); })
        .map((one) => one.outerHTML.slice(0, 120))"""
    for name, path in pages(site).items():
        page.goto(site.address + path)
        assert page.evaluate(small) == [], name
    forgive_missing(watch)


def test_hostile_names_stay_text(site: Site, page: Any) -> None:
    page.add_init_script("window.alert = () => { throw new Error('a script ran'); }")
    for path in (pages(site)["hostile title"], pages(site)["hostile words"], "/titles", "/"):
        page.goto(site.address + path)
        assert page.locator("img[src='x']").count() == 0
    assert page.locator("text=<script>alert(1)</script>").count() >= 1


def test_the_skip_link_leads_past_the_top(site: Site, page: Any) -> None:
    page.goto(f"{site.address}/titles")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_the_focus_can_be_seen_wherever_it_goes(site: Site, page: Any) -> None:
    page.goto(f"{site.address}/?q=lake")
    visible = """() => { const style = getComputedStyle(document.activeElement);
        return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2; }"""
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate(visible), page.evaluate("document.activeElement.outerHTML")


def test_nothing_moves_for_who_wants_no_motion(site: Site, open_page: Callable[..., Any]) -> None:
    page = open_page(reduced_motion="reduce")
    page.goto(f"{site.address}/status")
    moving = page.evaluate(
        "[...document.querySelectorAll('*')].filter((one) => {"
        " const style = getComputedStyle(one);"
        " return style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0; })"
        ".length"
    )
    assert moving == 0


def test_stills_keep_their_place_before_they_come(site: Site, page: Any, watch: Watch) -> None:
    held: list[Any] = []
    page.route("**/still/*", lambda route: held.append(route))
    page.goto(f"{site.address}/?q=lake", wait_until="domcontentloaded")
    page.wait_for_selector(".still img")
    box = page.locator(".still img").first.bounding_box()
    assert box["width"] / box["height"] == pytest.approx(16 / 9, rel=0.02)
    for route in held:
        route.abort()
    page.goto("about:blank")
    watch.complaints.clear()  # the browser's own words about pictures that did not come


def test_the_indexing_page_changes_by_itself_without_losing_the_focus(
    site: Site, page: Any
) -> None:
    page.clock.install()
    page.goto(f"{site.address}/status")
    page.focus("#do-pause")
    page.evaluate("window.same = true")
    site.call(site.house.indexer.pause)
    try:
        page.clock.run_for(2_500)
        page.wait_for_function("() => document.querySelector('h1').innerText === 'Paused'")
        assert page.evaluate("document.activeElement.id") == "do-pause"
        assert page.evaluate("window.same")
    finally:
        site.call(site.house.indexer.resume)


def test_a_page_that_nobody_looks_at_asks_for_nothing(site: Site, page: Any) -> None:
    page.clock.install()
    page.goto(f"{site.address}/status")
    page.evaluate("Object.defineProperty(document, 'visibilityState', { value: 'hidden' })")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(30_000)
    assert asked == []


def test_signing_in_and_out_below_a_base_path(far_site: Site, page: Any, watch: Watch) -> None:
    page.goto(f"{far_site.address}/titles")
    assert "/heimdex/login?next=" in page.url
    page.keyboard.type("wrong")  # the password has the focus
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    assert page.evaluate("document.activeElement.id") == "password"
    page.keyboard.type(cinema.PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{far_site.address}/titles")
    page.fill("#q", "shoes")
    page.keyboard.press("Enter")
    page.wait_for_selector(".answer")
    page.click("[aria-label='Sign out']")
    page.wait_for_url(f"{far_site.address}/login")
    page.goto(far_site.address)
    assert "/heimdex/login" in page.url
    watch.complaints[:] = [said for said in watch.complaints if "401" not in said]
