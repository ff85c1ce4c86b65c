"""Searching by picture and for scenes like one, as pages do it over HTTP."""

import io
import re
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from companion.config import Config, Features
from companion.errors import ModelMissing, ScanFailed
from companion.model import Answer, Leg, Reason, Span
from companion.search.pictures import MAX_BYTES
from tests.answers import LINKS, OneAnswer, moment
from tests.cinema import Open, show_frames, sign_in
from tests.page import PART, Page, plain, read, text_of
from webui import contexts, words
from webui.links import base36

LAKE = b"lake from a boat"
JSON = {"Accept": "application/json"}
OWN = {"Sec-Fetch-Site": "same-origin"}


async def token_of(client: Any) -> str:
    """Return the hidden token of a form on the search page; the client keeps its cookie."""
    text = await text_of(client, "/")
    return re.findall(r'name="token" value="([^"]+)"', text)[0]


async def give(
    client: Any, content: bytes = LAKE, *, accept: dict[str, str] | None = None, **fields: str
) -> Any:
    form = aiohttp.FormData({"token": await token_of(client), **fields})
    file = io.BytesIO(content)
    form.add_field("picture", file, filename="given.jpg", content_type="image/jpeg")
    headers = {**OWN, **(accept or {})}
    return await client.post("/picture", data=form, headers=headers, allow_redirects=False)


# --- a picture ---


async def test_a_picture_leads_to_what_looks_like_it(open_house: Open) -> None:
    house, client = await open_house()
    await show_frames(house)
    answer = await give(client)
    assert answer.status == 303
    address = answer.headers["Location"]
    assert re.fullmatch(r"/\?picture=[\w-]{22}", address)
    text = await text_of(client, address)
    assert "2 moments in 2 titles" in text
    assert "Looks alike" in text
    page = Page(text)
    assert page.refused == []
    assert house.looks.asked == [LAKE]  # once, however often the page is asked for
    await text_of(client, address, **PART)
    assert house.looks.asked == [LAKE]


async def test_words_beside_a_picture_stay_beside_it(open_house: Open) -> None:
    house, client = await open_house()
    await show_frames(house)
    answer = await give(client, q="coffee")
    address = answer.headers["Location"]
    assert address.startswith("/?q=coffee&picture=")
    text = await text_of(client, address)
    assert "I made <mark>coffee</mark>" in text
    page = Page(text)
    assert "/?q=coffee" in page.all("a", "href")  # the way to be rid of the picture
    assert "coffee" in page.all("input", "value")


async def test_the_field_shows_what_the_picture_is_called(open_house: Open) -> None:
    _, client = await open_house()
    answer = await give(client, accept=JSON, name="<b>Holiday</b>.jpg")
    said = await answer.json()
    text = await text_of(client, f"/?picture={said['picture']}")
    assert "&lt;b&gt;Holiday&lt;/b&gt;.jpg" in text
    assert Page(text).refused == []


async def test_a_picture_belongs_to_who_gave_it(open_house: Open) -> None:
    house, client = await open_house()
    await show_frames(house)
    house.accounts.visible = frozenset({house.lake.item_id})
    address = (await give(client)).headers["Location"]
    session = await sign_in(house, "child")
    answer = await client.get(
        address, headers={"X-Forwarded-For": "10.0.0.9"}, cookies={"heimdex_session": session}
    )
    assert answer.status == 200
    text = await answer.text()
    assert "no longer kept" in text
    assert "data-card" not in text


async def test_a_picture_that_is_forgotten_says_so_and_the_words_go_on(open_house: Open) -> None:
    _, client = await open_house()
    text = await text_of(client, "/?q=shoes&picture=forgotten")
    assert "no longer kept" in text
    assert "<mark>shoes</mark>" in text
    page = Page(text)
    assert "/picture?q=shoes" in page.all("a", "href")
    assert "forgotten" not in page.all("input", "value")
    alone = await text_of(client, "/?picture=forgotten")
    assert "no longer kept" in alone
    assert "Newest in your library" in alone


REFUSED = "this is no picture that can be opened; JPEG, PNG, WebP, GIF, BMP and TIFF can"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ScanFailed("picture", REFUSED, permanent=True), 400, REFUSED.capitalize()[:30]),
        (
            ScanFailed("picture", "the model fell over", permanent=False),
            502,
            "The model fell over.",
        ),
        (ModelMissing("the model x is missing: run `heimdex models get`"), 503, "models get"),
    ],
)
async def test_what_cannot_be_looked_at_is_told_in_place(
    open_house: Open, error: Exception, status: int, said: str
) -> None:
    house, client = await open_house()
    house.looks.error = error
    answer = await give(client, q="lake")
    assert answer.status == status
    text = await answer.text()
    assert said.lower() in text.lower()
    page = Page(text)
    assert "picture" in page.all("input", "name")  # choose another one
    assert "lake" in page.all("input", "value")
    assert page.all("p", "role") == ["alert", "status"]
    answer = await give(client, accept=JSON)
    assert answer.status == status
    assert said.lower() in (await answer.json())["error"].lower()


async def test_no_picture_at_all_is_told(open_house: Open) -> None:
    _, client = await open_house()
    answer = await give(client, b"")
    assert answer.status == 400
    assert "Choose a picture first." in plain(await answer.text())


async def test_what_is_too_large_is_refused_before_it_is_read(open_house: Open) -> None:
    house, client = await open_house()
    answer = await give(client, bytes(MAX_BYTES + 100_000), accept=JSON)
    assert answer.status == 413
    assert "20 MB" in (await answer.json())["error"]
    answer = await give(client, bytes(MAX_BYTES + 1))  # the form is not too large, the picture is
    assert answer.status == 400
    assert "larger than 20 MB" in await answer.text()
    assert house.looks.asked == []


async def test_a_picture_from_elsewhere_is_not_looked_at(open_house: Open) -> None:
    house, client = await open_house()
    token = await token_of(client)
    for headers, said in (({"Sec-Fetch-Site": "cross-site"}, token), (OWN, "made up"), (OWN, "")):
        form = aiohttp.FormData({"token": said})
        form.add_field("picture", LAKE, filename="x.jpg", content_type="image/jpeg")
        answer = await client.post("/picture", data=form, headers=headers)
        assert answer.status == 403
    assert house.looks.asked == []


async def test_who_is_no_longer_signed_in_is_told_so_as_data(open_house: Open) -> None:
    _, client = await open_house()
    away = {"X-Forwarded-For": "10.0.0.9"}  # not this computer
    answer = await client.post("/picture", data={"q": "x"}, headers={**away, **JSON, **OWN})
    assert answer.status == 401
    assert "sign in first" in (await answer.json())["error"]
    page = await client.post("/picture", headers={**away, **OWN}, allow_redirects=False)
    assert (page.status, page.headers["Location"]) == (303, "/login")


async def test_switched_off_pictures_are_not_offered(open_house: Open, config: Config) -> None:
    off = replace(config, features=Features(vision=False, face_detection=False))
    house, client = await open_house(config=off)
    for path in ("/", "/?q=lake", f"/moment/{house.lake.file}-0", f"/?like={house.lake.file}-0"):
        text = await text_of(client, path)
        page = Page(text)
        assert "data-choose" not in text, path
        assert "data-like" not in text, path
        assert "file" not in page.all("input", "type"), path
    assert "only the words" in await text_of(client, f"/?q=lake&like={house.lake.file}-0")
    for answer in (await client.get("/picture"), await give_off(client)):
        assert answer.status == 501
        assert "features.vision" in await answer.text()


async def give_off(client: Any) -> Any:
    text = await text_of(client, "/status")
    token = re.findall(r'name="token" value="([^"]+)"', text)[0]
    form = aiohttp.FormData({"token": token})
    form.add_field("picture", LAKE, filename="x.jpg", content_type="image/jpeg")
    return await client.post("/picture", data=form, headers=OWN)


# --- scenes like one ---


async def test_scenes_like_one_are_an_ordinary_address(open_house: Open) -> None:
    house, client = await open_house()
    await show_frames(house)
    own = f"{house.lake.file}-0"
    text = await text_of(client, f"/?like={own}")
    assert "1 moment in 1 title" in text  # the scene itself is not like itself
    assert "The Kitchen" in text
    page = Page(text)
    assert f"/still/{own}.jpg" in page.all("img", "src")
    assert "Like Lake at 0:00" in page.all("span", "title")
    assert ("like", own) in zip(page.all("input", "name"), page.all("input", "value"), strict=True)


async def test_every_card_and_every_moment_leads_to_more_like_it(open_house: Open) -> None:
    house, client = await open_house()
    await show_frames(house)
    page = await read(client, "/?q=shoes")
    like = [href for href in page.all("a", "href") if href.startswith("/?like=")]
    assert like == [f"/?like={house.lake.file}-{base36(5_000)}"]  # in the scene: its still's time
    assert "No strong match" in await text_of(client, like[0])
    page = await read(client, f"/moment/{house.lake.file}-{base36(300)}")
    assert f"/?like={house.lake.file}-{base36(300)}" in page.all("a", "href")


async def test_a_scene_that_may_not_be_seen_has_none_like_it(open_house: Open) -> None:
    house, client = await open_house()
    await show_frames(house)
    house.accounts.visible = frozenset({house.lake.item_id})
    session = await sign_in(house, "child")
    said = {"headers": {"X-Forwarded-For": "10.0.0.9"}, "cookies": {"heimdex_session": session}}
    hidden = await client.get(f"/?like={house.shelved['The Kitchen'].file}-0", **said)
    nothing = await client.get("/?like=nothing-0", **said)
    assert hidden.status == nothing.status == 404
    own = await client.get(f"/?like={house.lake.file}-0", **said)
    assert own.status == 200
    assert "The Kitchen" not in await own.text()


async def test_a_scene_that_nobody_has_looked_at_says_so(open_house: Open) -> None:
    house, client = await open_house()
    text = await text_of(client, f"/?like={house.lake.file}-0")
    assert "This scene has not been looked at yet" in text


# --- what a card says ---

BOX = (0.25, 0.8, 0.5, 0.1)


def because(*reasons: Reason, **changes: Any) -> contexts.Card:
    found = replace(moment(at_ms=5_000), reasons=reasons, **changes)
    return contexts.card(found, LINKS, contexts.How(pictures=True))


async def test_text_in_the_picture_is_shown_as_such_and_where_it_stands(open_house: Open) -> None:
    reason = Reason(
        leg=Leg.ONSCREEN,
        score=0.9,
        text="EXIT <left>",
        marks=(Span(start=0, end=4),),
        at_ms=5_500,
        box=BOX,
    )
    found = replace(moment(at_ms=5_000), reasons=(reason,))
    _, client = await open_house(search=OneAnswer(Answer(query="exit", moments=(found,))))
    text = await text_of(client, "/?q=exit")
    assert "On screen" in plain(text)
    assert "<mark>EXIT</mark> &lt;left&gt;" in text
    page = Page(text)
    assert f"/frame/file1-{base36(5_500)}.jpg" in page.all("img", "src")
    assert "checkbox" in page.all("input", "type")
    assert str(round(0.8 * 1000)) in page.all("rect", "y")


def test_tags_are_tags_and_no_quote() -> None:
    seen = Reason(leg=Leg.PICTURE, score=0.8, text="lakeside, boat, dock, pier, shore", at_ms=5_000)
    card = because(seen)
    assert card.tags == ("lakeside", "boat", "dock", "pier")
    assert card.quote == card.written == ()
    assert [via.label for via in card.via] == ["Seen in the picture"]


def test_what_was_found_by_a_frame_shows_that_frame() -> None:
    seen = Reason(leg=Leg.PICTURE, score=0.8, at_ms=6_000)
    said = Reason(leg=Leg.WORDS, score=0.8, text="the lake", at_ms=5_000)
    assert because(seen).still == f"/frame/file1-{base36(6_000)}.jpg?still=1"
    assert because(seen, still_ms=6_000).still == f"/still/file1-{base36(5_000)}.jpg"
    assert because(said, seen).still == f"/still/file1-{base36(5_000)}.jpg"


async def test_a_frame_that_cannot_be_had_gives_way_to_the_still(
    open_house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, client = await open_house()
    await client.get(f"/still/{house.lake.file}-0.jpg")

    async def broken(*_: object, **__: object) -> None:
        raise ScanFailed("still", "damaged", permanent=True)

    monkeypatch.setattr(house.cutter, "still", broken)
    answer = await client.get(f"/frame/{house.lake.file}-{base36(2_000)}.jpg?still=1")
    assert (answer.status, answer.content_type) == (200, "image/jpeg")
    away = await client.get(f"/frame/{house.long.file}-0.jpg?still=1")
    assert (away.status, away.content_type) == (200, "image/svg+xml")


def test_glimpses_lie_in_the_scene() -> None:
    card = because(Reason(leg=Leg.WORDS, score=0.8), start_ms=6_000, end_ms=12_000)
    times = [7_000, 9_000, 11_000]
    assert card.glimpses == tuple(f"/frame/file1-{base36(ms)}.jpg" for ms in times)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("the picture is larger than 20 MB", "The picture is larger than 20 MB."),
        ("Really?", "Really?"),
    ],
)
def test_a_reason_becomes_a_sentence(reason: str, said: str) -> None:
    assert words.sentence(reason) == said


def test_words_of_the_title_are_marked_in_it_and_not_said_twice() -> None:
    titled = Reason(leg=Leg.TITLE, score=0.9, text="Lake 1 (2004)", marks=(Span(start=0, end=4),))
    card = because(titled)
    assert [(piece.text, piece.marked) for piece in card.titled] == [("Lake", True), (" 1", False)]
    assert card.quote == ()
    said = Reason(leg=Leg.WORDS, score=0.8, text="by the lake", at_ms=5_000)
    assert because(titled, said).quote[0].text == "by the lake"
    year = replace(titled, marks=(Span(start=8, end=12),))
    assert [piece.marked for piece in because(year).titled] == [False]  # the year stands apart
