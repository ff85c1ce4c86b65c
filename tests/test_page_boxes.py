"""Boxes of faces and text: what a player is given of a film, and what is drawn over a still."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from companion.config import Config, Features
from companion.findings import OnscreenText, Track, TrackBox
from companion.store import pictures
from tests.answers import film
from tests.cinema import Cinema, Open, sign_in
from tests.page import Page, plain, text_of
from webui import boxes
from webui.boxes import Box
from webui.links import base36

PLACES = (TrackBox(1_000, 0.1, 0.2, 0.1, 0.2), TrackBox(3_000, 0.3, 0.2, 0.2, 0.4))


def track(places: tuple[TrackBox, ...] = PLACES, *, start: int = 500, end: int = 4_000) -> Track:
    return Track(start, end, len(places), places, 0.8, start, b"", reject="small")


def text(said: str, start: int, end: int, x: float = 0.25) -> OnscreenText:
    return OnscreenText(start, end, said, (x, 0.8, 0.5, 0.1), 0.9)


async def show(house: Cinema, file_id: int, *, tracks: Any = (), texts: Any = ()) -> None:
    await house.store.write(pictures.keep_tracks, file_id, tracks, "faces@000001")
    await house.store.write(pictures.keep_onscreen, file_id, texts)


async def asked(client: Any, moment: str) -> Any:
    answer = await client.get(f"/boxes/{moment}.json")
    assert answer.status == 200
    return await answer.json()


async def test_a_minute_of_boxes_comes_with_their_times(open_house: Open) -> None:
    house, client = await open_house()
    await show(house, house.lake.file_id, tracks=[track()], texts=[text("EXIT", 2_000, 6_000)])
    said = await asked(client, f"{house.lake.file}-{base36(4_200)}")
    assert (said["start_ms"], said["end_ms"]) == (0, 60_000)
    face, written = said["boxes"]
    assert (face["kind"], face["label"]) == ("face", "face")
    assert face["places"] == [[1_000, 0.1, 0.2, 0.1, 0.2], [3_000, 0.3, 0.2, 0.2, 0.4]]
    assert (written["kind"], written["label"]) == ("text", "EXIT")
    assert (written["start_ms"], written["end_ms"]) == (2_000, 6_000)
    assert written["places"] == [[2_000, 0.25, 0.8, 0.5, 0.1]]


async def test_only_what_is_in_the_minute_is_given(open_house: Open) -> None:
    house, client = await open_house()
    long = tuple(TrackBox(ms, 0.5, 0.5, 0.1, 0.1) for ms in range(0, 600_000, 1_000))
    await show(
        house,
        house.long.file_id,
        tracks=[track(long, start=0, end=600_000)],
        texts=[text("before", 1_000, 60_000), text("within", 59_000, 61_000)],
    )
    said = await asked(client, f"{house.long.file}-{base36(90_000)}")
    assert said["start_ms"] == 60_000
    face, *texts = said["boxes"]
    # One place before and one after it, between which it moves at the minute's edges.
    assert [place[0] for place in face["places"]] == list(range(59_000, 121_000, 1_000))
    assert [each["label"] for each in texts] == ["within"]


async def test_a_track_that_is_seen_before_the_minute_only_is_still_there(
    open_house: Open,
) -> None:
    house, client = await open_house()
    far = (TrackBox(1_000, 0.1, 0.1, 0.1, 0.1), TrackBox(200_000, 0.2, 0.1, 0.1, 0.1))
    await show(house, house.long.file_id, tracks=[track(far, start=0, end=300_000)])
    said = await asked(client, f"{house.long.file}-{base36(90_000)}")
    assert [place[0] for place in said["boxes"][0]["places"]] == [1_000, 200_000]


async def test_boxes_are_for_who_may_see_the_film(open_house: Open) -> None:
    house, client = await open_house()
    house.accounts.visible = frozenset({house.lake.item_id})
    token = await sign_in(house, "child")
    proxied = {"X-Forwarded-For": "10.0.0.9"}  # not this computer
    cookies = {"heimdex_session": token}
    for file, status in ((house.lake.file, 200), (house.long.file, 404)):
        answer = await client.get(f"/boxes/{file}-0.json", headers=proxied, cookies=cookies)
        assert answer.status == status
        frame = await client.get(f"/frame/{file}-0.jpg", headers=proxied, cookies=cookies)
        assert frame.status == status
    client.session.cookie_jar.clear()
    nobody = await client.get(f"/boxes/{house.lake.file}-0.json", headers=proxied)
    assert nobody.status == 401


@pytest.mark.parametrize(
    ("features", "kinds"),
    [
        (Features(face_detection=False), {"text"}),
        (Features(vision=False), {"face"}),
        (Features(vision=False, face_detection=False), set()),
    ],
)
async def test_what_is_switched_off_is_not_drawn(
    open_house: Open, config: Config, features: Features, kinds: set[str]
) -> None:
    house, client = await open_house(config=replace(config, features=features))
    await show(house, house.lake.file_id, tracks=[track()], texts=[text("EXIT", 0, 6_000)])
    moment = f"{house.lake.file}-{base36(2_000)}"
    assert {box["kind"] for box in (await asked(client, moment))["boxes"]} == kinds
    page = Page(await text_of(client, f"/moment/{moment}"))
    assert bool(page.all("button", "data-boxes")) == bool(kinds)
    still = await text_of(client, f"/moment/{moment}?boxes=1")
    assert set(Page(still).all("g", "class")) - {"dim"} == kinds  # dim: of the logo


async def test_without_a_script_a_still_shows_the_boxes_of_that_second(open_house: Open) -> None:
    house, client = await open_house()
    hostile = "<b>EXIT</b>"
    await show(house, house.lake.file_id, tracks=[track()], texts=[text(hostile, 0, 6_000)])
    path = f"/moment/{house.lake.file}-{base36(2_000)}"
    assert f"{path}?boxes=1" in Page(await text_of(client, path)).all("a", "href")
    shown = await text_of(client, f"{path}?boxes=1")
    page = Page(shown)
    assert page.refused == []
    assert page.all("g", "class")[1:] == ["face", "text"]  # the first one is the logo's
    assert str(round(0.2 * 1778)) in page.all("rect", "x")  # half way; 16:9, 1000 units high
    assert f"/frame/{house.lake.file}-{base36(2_000)}.jpg" in page.all("img", "src")
    assert "2 in the picture at 0:02" in plain(shown)
    assert "&lt;b&gt;EXIT" in shown
    later = await text_of(client, f"/moment/{house.lake.file}-{base36(9_000)}?boxes=1")
    assert "No faces and no text were found at 0:09" in plain(later)


async def test_a_frame_is_cut_once_and_kept(open_house: Open) -> None:
    house, client = await open_house()
    for _ in range(2):
        answer = await client.get(f"/frame/{house.lake.file}-{base36(2_345)}.jpg")
        assert answer.content_type == "image/jpeg"
        assert "max-age" in answer.headers["Cache-Control"]
    assert house.cutter.asked == [("still", 2_345, 2_345)]


async def test_a_frame_that_is_a_scenes_still_is_not_cut_again(open_house: Open) -> None:
    house, client = await open_house()
    await client.get(f"/still/{house.lake.file}-0.jpg")
    await client.get(f"/frame/{house.lake.file}-{base36(1_000)}.jpg")
    assert house.cutter.asked == [("still", 1_000, 1_000)]


async def test_a_frame_of_a_film_that_is_away_is_nothing_and_no_error(open_house: Open) -> None:
    house, client = await open_house()
    answer = await client.get(f"/frame/{house.long.file}-0.jpg")
    assert answer.status == 204
    assert answer.headers["Cache-Control"] == "no-store"


# --- where something is ---

fractions = st.floats(0, 1)
places = st.lists(
    st.builds(TrackBox, st.integers(0, 10_000), fractions, fractions, fractions, fractions),
    min_size=1,
    max_size=6,
    unique_by=lambda place: place.at_ms,
).map(lambda found: tuple(sorted(found, key=lambda place: place.at_ms)))


@given(places, st.integers(-1_000, 11_000))
def test_a_box_is_never_outside_of_where_it_was_seen(found: tuple[TrackBox, ...], ms: int) -> None:
    at = boxes.place_at(found, ms)
    for name in ("x", "y", "width", "height"):
        seen = [getattr(place, name) for place in found]
        assert min(seen) - 1e-9 <= getattr(at, name) <= max(seen) + 1e-9
    for place in found:
        assert abs(boxes.place_at(found, place.at_ms).x - place.x) < 1e-9


@given(places, st.integers(0, 10_000))
def test_what_is_drawn_lies_in_the_picture(found: tuple[TrackBox, ...], ms: int) -> None:
    drawn = boxes.drawing(film(60_000), [Box("face", "face", 0, 60_000, found)], ms)
    for box in drawn.boxes:
        assert 0 <= box.x <= drawn.width
        assert 0 <= box.y <= drawn.height
        assert box.x + box.width <= drawn.width + 2
        assert box.y + box.height <= drawn.height + 2


def test_a_long_text_is_said_shortly() -> None:
    drawn = boxes.marked(film(1_000), (0.1, 0.1, 0.5, 0.1), "word " * 40)
    assert len(drawn.boxes[0].label) <= boxes.LONGEST_LABEL
    assert drawn.boxes[0].label.endswith("word…")


def test_what_is_given_to_scripts_is_plain_json() -> None:
    said = msgspec.json.decode(msgspec.json.encode(Box("face", "face", 0, 1, PLACES[:1])))
    assert said["places"] == [[1_000, 0.1, 0.2, 0.1, 0.2]]
