"""The pages as they come over HTTP: what is on them, and that they are all ours."""

import re
from dataclasses import replace

from companion.config import Config, Features, Web
from companion.errors import QueryInterrupted
from companion.model import Answer
from tests.answers import OneAnswer, moment
from tests.cinema import HOSTILE, Cinema, Open
from tests.page import PART, Page, plain, read, text_of
from webui.links import base36
from webui.routes import ROUTES

# --- every page ---


def everywhere(house: Cinema) -> list[str]:
    hostile = house.shelved[HOSTILE]
    return [
        "/",
        "/?q=lake",
        "/?q=nothing+says+that",
        "/titles",
        "/titles?library=Shows",
        "/titles?offset=60",
        f"/item/{house.lake.item}",
        f"/item/{house.lake.item}?q=lake",
        f"/item/{hostile.item}",
        f"/moment/{house.lake.file}-38o",
        f"/moment/{house.long.file}-38o",
        f"/moment/{hostile.file}-0",
        f"/moment/{house.lake.file}-0?boxes=1",
        f"/?like={house.lake.file}-0",
        "/?picture=forgotten",
        "/picture?q=lake",
        "/status",
        "/banner",
        "/help",
        "/login",
    ]


async def test_every_page_is_drawn_and_holds_nothing_that_the_policy_refuses(
    open_house: Open,
) -> None:
    house, client = await open_house()
    for path in everywhere(house):
        for said in ({}, PART):
            page = await read(client, path, **said)
            assert page.refused == [], path


async def test_every_link_of_every_page_leads_somewhere(open_house: Open) -> None:
    house, client = await open_house()
    seen: set[str] = set()
    for path in everywhere(house):
        seen.update((await read(client, path)).addresses())
    pressed = {path for method, path, _, _ in ROUTES if method == "POST"}
    for address in some_of(seen - pressed):
        assert address.startswith("/"), address
        answer = await client.get(address, allow_redirects=False)
        # What is cut from a film that is away cannot be had, and says so.
        away = address.startswith("/clip/") and answer.status == 404
        assert answer.status in {200, 302, 303} or away, address


def some_of(addresses: set[str]) -> list[str]:
    """Return two addresses of each kind for each film: hundreds differ only in their second."""
    kinds: dict[str, list[str]] = {}
    for address in sorted(addresses):
        kinds.setdefault(re.sub(r"-[0-9a-z]{1,7}(\.|#|$)", "", address), []).append(address)
    return [address for same in kinds.values() for address in same[:2]]


async def test_below_a_base_path_every_address_stays_below_it(open_house: Open) -> None:
    house, client = await open_house(Web(port=0, base_path="/heimdex"))
    for path in everywhere(house):
        page = await read(client, "/heimdex" + path)
        for address in page.addresses():
            assert address.startswith("/heimdex/"), (path, address)
    manifest = await (await client.get("/heimdex/manifest.webmanifest")).json()
    assert manifest["scope"] == "/heimdex/"
    assert manifest["start_url"] == "/heimdex/"
    assert {icon["src"].split("/static")[0] for icon in manifest["icons"]} == {"/heimdex"}
    go = await client.get(f"/heimdex/go/{house.lake.file}-0", allow_redirects=False)
    assert go.headers["Location"] == f"/heimdex/moment/{house.lake.file}-0"
    cookies = (await client.get("/heimdex/status")).cookies
    assert {cookie["path"] for cookie in cookies.values()} == {"/heimdex/"}
    assert (await client.get("/heimdex/api/1/nothing")).content_type == "application/json"


async def test_a_proxy_may_take_the_base_path_off(open_house: Open) -> None:
    _, client = await open_house(Web(port=0, base_path="/heimdex"))
    page = await read(client, "/titles")
    assert all(address.startswith("/heimdex/") for address in page.addresses())


async def test_each_page_has_one_main_heading_a_title_and_a_language(open_house: Open) -> None:
    house, client = await open_house()
    for path in everywhere(house):
        if path == "/banner":
            continue
        text = await text_of(client, path)
        page = Page(text)
        tags = [tag for tag, _ in page.tags]
        assert page.all("html", "lang") == ["en"]
        assert tags.count("main") == 1
        assert tags.count("h1") == 1, path
        assert "Heimdex</title>" in text


async def test_parts_differ_from_pages_and_caches_know(open_house: Open) -> None:
    _, client = await open_house()
    whole = await client.get("/?q=lake")
    part = await client.get("/?q=lake", headers=PART)
    restored = await client.get("/?q=lake", headers={**PART, "HX-History-Restore-Request": "true"})
    assert "HX-Request" in whole.headers["Vary"]
    assert "<html" in await whole.text()
    assert "<html" not in await part.text()
    assert "<html" in await restored.text()
    assert (await part.text()).strip() in await whole.text()
    assert whole.headers["Cache-Control"].startswith("private")


# --- search ---


async def test_the_empty_page_offers_examples_and_what_is_new(open_house: Open) -> None:
    _, client = await open_house()
    page = await read(client, "/")
    examples = [href for href in page.all("a", "href") if href.startswith("/?q=")]
    assert 1 <= len(examples) <= 3
    assert "Newest in your library" in await text_of(client, "/")
    for example in examples:
        assert "data-card" in await text_of(client, example), example


async def test_a_found_moment_shows_where_and_why(open_house: Open) -> None:
    house, client = await open_house()
    text = await text_of(client, "/?q=shoes")
    moment = f"{house.lake.file}-{base36(4_200)}"
    assert "He fell into the lake with his <mark>shoes</mark> on." in text
    assert "Said in these words" in text
    page = Page(text)
    assert f"/moment/{moment}" in page.all("a", "href")
    assert f"/go/{moment}" in page.all("button", "data-copy")
    assert "<time" in text
    assert "0:04" in plain(text)
    assert f"/item/{house.lake.item}" in page.all("a", "href")


async def test_moments_of_one_title_sit_together_with_their_strip(open_house: Open) -> None:
    _, client = await open_house()
    text = await text_of(client, "/?q=lake")
    assert text.count('class="group"') == 2
    boxes = Page(text).all("svg", "viewbox")
    assert "0 0 120 10" in boxes  # twelve seconds
    assert "0 0 72000 10" in boxes  # two hours
    assert "more in The Long Way Up" in plain(text)


async def test_places_are_kept_for_pictures(open_house: Open) -> None:
    _, client = await open_house()
    for path in ("/", "/?q=lake", "/titles"):
        page = await read(client, path)
        pictures = [said for tag, said in page.tags if tag == "img"]
        assert pictures
        assert all(said["width"] == "480" and said["height"] == "270" for said in pictures)
        assert all(said["loading"] == "lazy" and said["alt"] == "" for said in pictures)


async def test_no_strong_match_says_so_and_folds_the_guesses(open_house: Open) -> None:
    _, client = await open_house()
    text = await text_of(client, "/?q=zebra+lake+crossing+tomorrow")
    assert "No strong match" in text
    text = await text_of(client, "/?q=xylophone")
    assert "No strong match" in text
    assert "data-card" not in text


async def test_the_nearest_guesses_are_folded_away(open_house: Open) -> None:
    weak = (moment(at_ms=5_000, strong=False),)
    _, client = await open_house(search=OneAnswer(Answer(query="x", moments=(), weak=weak)))
    text = await text_of(client, "/?q=x")
    assert "No strong match" in text
    assert re.search(r'<details class="nearest"><summary>The nearest guesses \(1\)', text)
    assert "<details open" not in text


async def test_what_could_not_be_searched_is_told(open_house: Open) -> None:
    answer = Answer(query="x", moments=(moment(),), notes=("The model of meaning is missing.",))
    _, client = await open_house(search=OneAnswer(answer))
    text = await text_of(client, "/?q=x")
    assert "The model of meaning is missing." in text
    assert "1 moment in 1 title" in text


async def test_half_a_query_is_explained_in_place(open_house: Open) -> None:
    _, client = await open_house()
    answer = await client.get('/?q="half a quote', headers=PART)
    assert answer.status == 200
    whole = await client.get("/?q=-")
    assert whole.status == 200


async def test_a_busy_store_says_so_and_when_to_try_again(open_house: Open) -> None:
    busy = QueryInterrupted("the query took longer than 10 s")
    _, client = await open_house(search=OneAnswer(busy))
    answer = await client.get("/?q=x")
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "The store is busy" in await answer.text()


async def test_a_mistake_of_ours_is_logged_and_told_without_details(
    open_house: Open, error_log: list[str]
) -> None:
    _, client = await open_house(search=OneAnswer(RuntimeError("secret detail")))
    answer = await client.get("/?q=x")
    assert answer.status == 500
    text = await answer.text()
    assert "The mistake is ours" in text
    assert "secret detail" not in text
    assert len(error_log) == 1
    assert "secret detail" in error_log[0]
    error_log.clear()


async def test_a_query_that_is_too_long_names_its_parameter(open_house: Open) -> None:
    _, client = await open_house()
    answer = await client.get("/?q=" + "x" * 501)
    assert answer.status == 400
    assert "q: at most 500 characters" in await answer.text()


async def test_the_indexing_page_says_what_is_switched_off(
    open_house: Open, config: Config
) -> None:
    _, client = await open_house(config=replace(config, features=Features(face_detection=False)))
    assert "Switched off: faces: off by features.face_detection" in plain(
        await text_of(client, "/status")
    )
    _, client = await open_house()
    assert "Switched off" not in await text_of(client, "/status")
