"""The API: the shapes that programs rely on, errors in words, a description that is true."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from aiohttp import FormData

from companion.config import Config, Features, Web
from companion.errors import ModelMissing, PictureRefused, QueryInterrupted
from companion.model import Answer, Failure, IndexingStatus, Leg, Reason, Running, Viewer
from companion.search.encoding import Vector
from companion.search.pictures import Picture
from companion.search.search import Search
from companion.store import findings
from tests.answers import OneAnswer, Told, indexing, moment
from tests.cinema import Open
from tests.page import Client
from webui import openapi, records
from webui.links import base36
from webui.routes import ROUTES

RESULT = {
    "file",
    "item",
    "start_s",
    "end_s",
    "at_s",
    "score",
    "strong",
    "reasons",
    "moment",
    "item_id",
    "file_id",
}


async def get(client: Client, path: str, status: int = 200) -> Any:
    answer = await client.get(path)
    assert answer.status == status, await answer.text()
    assert answer.content_type == "application/json"
    return await answer.json()


# --- search --------------------------------------------------------------------------------------


async def test_a_result_has_exactly_the_promised_shape(open_house: Open) -> None:
    house, client = await open_house()
    found = await get(client, "/api/1/search?q=shoes")
    assert set(found) == {"query", "results", "notes", "took_ms"}
    (result,) = [one for one in found["results"] if one["strong"]]
    assert set(result) == RESULT
    assert result["item"] == "Lake (2004)"
    assert result["file"].endswith("/Lake (2004).mp4")
    assert (result["start_s"], result["end_s"]) == (4.0, 8.0)
    assert result["at_s"] == 4.2
    assert result["item_id"] == house.lake.item
    assert result["moment"].startswith(f"{house.lake.file}-")
    (reason,) = result["reasons"]
    assert set(reason) == {"leg", "score", "text", "marks", "at_s", "box"}
    assert reason["leg"] == "words"
    ((start, end),) = reason["marks"]
    assert reason["text"][start:end] == "shoes"


async def test_the_moment_of_a_result_is_a_page(open_house: Open) -> None:
    _, client = await open_house()
    found = await get(client, "/api/1/search?q=shoes")
    answer = await client.get(f"/moment/{found['results'][0]['moment']}")
    assert answer.status == 200


async def test_guesses_below_the_floor_come_last_and_say_so(open_house: Open) -> None:
    answer = Answer(
        query="x",
        moments=(moment(at_ms=1_000),),
        weak=(moment(at_ms=9_000, strong=False, score=0.1),),
        notes=("No scene has been read for meaning yet",),
    )
    _, client = await open_house(search=OneAnswer(answer))
    found = await get(client, "/api/1/search?q=x")
    assert [one["strong"] for one in found["results"]] == [True, False]
    assert found["notes"] == ["No scene has been read for meaning yet"]


async def test_at_most_so_many_results_come(open_house: Open) -> None:
    _, client = await open_house()
    assert len((await get(client, "/api/1/search?q=lake&limit=3"))["results"]) <= 3


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", "q"),
        ("?q=", "q"),
        ("?q=%20%20", "q"),
        ("?q=x&limit=0", "limit"),
        ("?q=x&limit=1e9", "limit"),
        ("?q=x&limit=many", "limit"),
        ("?q=x&limit=1.5", "limit"),
        ("?q=x&limit=nan", "limit"),
        ("?q=x&mode=guess", "mode"),
        ("?q=" + "x" * 501, "q"),
    ],
)
async def test_a_bad_parameter_is_named(open_house: Open, query: str, named: str) -> None:
    _, client = await open_house()
    said = await get(client, f"/api/1/search{query}", status=400)
    assert set(said) == {"error"}
    assert said["error"].startswith(f"{named}: ")


@pytest.mark.parametrize("name", ["text_weight", "vision_weight", "person_boost"])
async def test_a_weight_outside_its_range_is_named(open_house: Open, name: str) -> None:
    _, client = await open_house()
    said = await get(client, f"/api/1/search/semantic?q=x&{name}=1.5", status=400)
    assert said["error"] == f"{name}: a number from 0 to 1, not '1.5'"


class Listening:
    """Search that remembers how it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def ask(self, text: str, **how: Any) -> Answer:
        self.asked.append({"text": text, **how})
        return Answer(query=text, moments=())

    async def look(self, data: bytes) -> Picture:
        return Picture(Vector("looks@test", data))

    async def examples(self, viewer: Viewer) -> list[str]:
        return []


async def test_modes_and_weights_reach_the_search(open_house: Open) -> None:
    search = Listening()
    _, client = await open_house(search=search)
    await get(client, "/api/1/search?q=x&mode=words")
    await get(client, "/api/1/search/semantic?q=y&text_weight=0.25&vision_weight=0&limit=7")
    words, semantic = search.asked
    assert words["mode"] == "words"
    assert semantic["mode"] == "meaning"
    assert (semantic["text"], semantic["limit"]) == ("y", 7)
    weights = semantic["weights"]
    assert (weights.text, weights.picture, weights.person) == (0.25, 0.0, 0.3)


# --- search by picture ---------------------------------------------------------------------------

PICTURE = b"\x89PNG and so on"


def form(image: bytes | str | None = PICTURE, **fields: str) -> FormData:
    made = FormData(default_to_multipart=True)
    for name, value in fields.items():
        made.add_field(name, value)
    if isinstance(image, bytes):
        made.add_field("image", image, filename="cat.png", content_type="image/png")
    elif image is not None:
        made.add_field("image", image, content_type="text/plain")
    return made


async def post(client: Client, image: FormData, status: int = 200, **said: str) -> Any:
    answer = await client.post("/api/1/search/image", data=image, headers=said)
    assert answer.status == status, await answer.text()
    return await answer.json()


async def test_a_picture_reaches_the_search_with_all_that_goes_with_it(open_house: Open) -> None:
    search = Listening()
    _, client = await open_house(search=search)
    fields = {"q": "a cat", "mode": "words", "limit": "7", "vision_weight": "1", "text_weight": "0"}
    found = await post(client, form(**fields))
    assert (found["query"], found["results"]) == ("a cat", [])
    (asked,) = search.asked
    assert asked["picture"] == Picture(Vector("looks@test", PICTURE))
    assert (asked["text"], asked["mode"].value, asked["limit"]) == ("a cat", "words", 7)
    assert (asked["weights"].picture, asked["weights"].text) == (1.0, 0.0)
    await post(client, form())
    assert search.asked[1]["text"] == ""


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        (form(None, q="a cat"), "image"),
        (form("only text"), "image"),
        (form(mode="guess"), "mode"),
        (form(limit="many"), "limit"),
        (form(vision_weight="2"), "vision_weight"),
        (form(q="x" * 501), "q"),
    ],
)
async def test_a_bad_field_is_named(open_house: Open, sent: FormData, named: str) -> None:
    _, client = await open_house(search=Listening())
    assert (await post(client, sent, status=400))["error"].startswith(f"{named}: ")


@pytest.mark.parametrize(
    "body", [b"", b"no boundary", b"--b\r\n\r\n", b"--b\r\nContent-Disposition: form-data\r\n\r\n"]
)
async def test_a_broken_form_is_explained(open_house: Open, body: bytes) -> None:
    _, client = await open_house(search=Listening())
    for kind in ("multipart/form-data; boundary=b", "multipart/form-data"):
        said = {"Content-Type": kind}
        answer = await client.post("/api/1/search/image", data=body, headers=said)
        assert answer.status == 400
        assert (await answer.json())["error"].startswith(("body: ", "image: "))


async def test_what_is_too_large_is_refused_before_it_is_read(open_house: Open) -> None:
    search = Listening()
    _, client = await open_house(search=search)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(
        f"POST /api/1/search/image HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {50 * 2**20}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode()
    )
    told = await reader.readuntil(b"}")  # nothing of the body was sent
    assert told.startswith(b"HTTP/1.1 413 ")
    assert b"larger than 20 MB" in told
    writer.close()
    await writer.wait_closed()
    assert search.asked == []


async def test_what_does_not_say_how_large_it_is_is_read_up_to_the_limit(open_house: Open) -> None:
    search = Listening()
    _, client = await open_house(search=search)

    async def endless() -> AsyncIterator[bytes]:
        start = b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
        yield start
        for _ in range(21):
            yield bytes(2**20)

    said = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await client.post("/api/1/search/image", data=endless(), headers=said)
    assert answer.status == 413
    assert search.asked == []


async def test_a_picture_that_is_none_is_refused_in_words(open_house: Open) -> None:
    refused = PictureRefused("this is no picture that can be opened")
    _, client = await open_house(search=OneAnswer(refused))
    said = await post(client, form(b"<svg/>"), status=400)
    assert said["error"] == "this is no picture that can be opened"


async def test_a_picture_comes_from_our_own_pages_or_from_no_page(open_house: Open) -> None:
    _, client = await open_house(search=Listening())
    await post(client, form(), status=403, Origin="https://evil.example")
    await post(client, form(), status=403, **{"Sec-Fetch-Site": "cross-site"})
    await post(client, form(), Origin=f"http://127.0.0.1:{client.port}")
    answer = await client.post("/api/1/search/image", json={"image": "x"})
    assert answer.status == 415


async def test_nobody_searches_by_picture_before_signing_in(open_house: Open) -> None:
    search = Listening()
    _, client = await open_house(Web(port=0, host="0.0.0.0"), search=search)
    await post(client, form(), status=401)
    assert search.asked == []


async def test_pictures_switched_off_say_so(open_house: Open, config: Config) -> None:
    off = replace(config, features=Features(vision=False))
    house, client = await open_house()
    search = Search(house.store, off, None)
    _, client = await open_house(search=search)
    assert "features.vision" in (await post(client, form(), status=501))["error"]
    moment = f"{house.lake.file}-0"
    said = await get(client, f"/api/1/search?like={moment}", status=501)
    assert "features.vision" in said["error"]


async def test_scenes_like_one_are_asked_for_by_its_moment(open_house: Open) -> None:
    search = Listening()
    house, client = await open_house(search=search)
    rows = await house.store.read(findings.scenes_of_file, house.lake.file_id)
    await get(client, f"/api/1/search?like={house.lake.file}-{base36(4_200)}&q=shoes")
    assert (search.asked[0]["like"], search.asked[0]["text"]) == (rows[1].id, "shoes")
    for nothing in ("gone-0", "no moment", f"{house.lake.file}-"):
        await get(client, f"/api/1/search?like={nothing}", status=404)
    assert len(search.asked) == 1


async def test_a_box_of_text_in_the_picture_is_told(open_house: Open) -> None:
    found = moment()
    written = Reason(
        leg=Leg.ONSCREEN, score=0.9, text="EXIT", at_ms=1_500, box=(0.1, 0.2, 0.3, 0.4)
    )
    answer = Answer(query="exit", moments=(replace(found, reasons=(written,)),))
    _, client = await open_house(search=OneAnswer(answer))
    (result,) = (await get(client, "/api/1/search?q=exit"))["results"]
    assert result["reasons"] == [
        {
            "leg": "onscreen",
            "score": 0.9,
            "text": "EXIT",
            "marks": [],
            "at_s": 1.5,
            "box": [0.1, 0.2, 0.3, 0.4],
        }
    ]


# --- what cannot be answered ---------------------------------------------------------------------


async def test_what_is_switched_off_says_so(open_house: Open, config: Config) -> None:
    _, client = await open_house(config=replace(config, features=Features(semantic_search=False)))
    said = await get(client, "/api/1/search/semantic?q=x", status=501)
    assert "features.semantic_search" in said["error"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ModelMissing("the model use-m3 is missing: run `heimdex models get`"), 503),
        (QueryInterrupted("the query took longer than 10 s"), 503),
    ],
)
async def test_what_cannot_be_answered_now_says_why_and_when(
    open_house: Open, error: Exception, status: int
) -> None:
    _, client = await open_house(search=OneAnswer(error))
    answer = await client.get("/api/1/search?q=x")
    assert answer.status == status
    assert (await answer.json()) == {"error": str(error)}
    assert answer.headers["Retry-After"]


async def test_a_mistake_of_ours_is_json_too(open_house: Open, error_log: list[str]) -> None:
    _, client = await open_house(search=OneAnswer(RuntimeError("secret detail")))
    said = await get(client, "/api/1/search?q=x", status=500)
    assert "The mistake is ours" in said["error"]
    assert "secret" not in said["error"]
    assert len(error_log) == 1
    error_log.clear()


# --- titles, files, status -----------------------------------------------------------------------


async def test_a_title_is_told_with_its_files(open_house: Open) -> None:
    house, client = await open_house()
    found = await get(client, f"/api/1/items/{house.lake.item}")
    assert found["name"] == "Lake (2004)"
    assert found["kind"] == "movie"
    assert found["files"][0]["id"] == house.lake.file
    assert found["files"][0]["duration_s"] == 12.0


async def test_the_scene_record_of_a_file(open_house: Open) -> None:
    house, client = await open_house()
    found = await get(client, f"/api/1/files/{house.lake.file}/scenes")
    assert found["schema"] == 1
    assert found["file"] == "Lake (2004).mp4"
    assert [scene["start_s"] for scene in found["scenes"]] == [0.0, 4.0, 8.0]
    said = found["scenes"][1]["transcript"]["segments"]
    assert [segment["text"] for segment in said] == ["He fell into the lake with his shoes on."]


async def test_what_does_not_exist_is_told_in_words(open_house: Open) -> None:
    _, client = await open_house()
    for path in ("/api/1/items/unknown", "/api/1/files/unknown/scenes", "/api/1/nothing", "/api/2"):
        assert set(await get(client, path, status=404)) == {"error"}


async def test_the_status_tells_what_the_page_tells(open_house: Open) -> None:
    one = moment()
    told = indexing(
        running=(
            Running(
                file=one.file,
                item=one.item,
                runs="speech",
                stage="speech",
                done_ms=1_500,
                total_ms=3_000,
                speed=4.561,
            ),
        ),
        failures=(
            Failure(
                file=one.file,
                item=None,
                path=b"/films/\xff.mp4",
                stage="shots",
                reason="truncated",
                permanent=True,
                at_ms=0,
            ),
        ),
        remaining_s=60,
    )
    _, client = await open_house(indexer=Told(told))
    found = await get(client, "/api/1/status")
    assert found["coverage"]["words"] == 3
    assert found["waiting"] == {"picture": 4, "speech": 1}
    assert found["running"][0]["done_s"] == 1.5
    assert found["running"][0]["speed"] == 4.56
    assert found["failures"][0]["file"] == "/films/?.mp4"
    assert found["remaining_s"] == 60


# --- asking for work -----------------------------------------------------------------------------


async def test_scanning_now_looks_at_the_folders_first(open_house: Open) -> None:
    house, client = await open_house()
    answer = await client.post("/api/1/scan", json={})
    assert answer.status == 202
    assert (await answer.json()).keys() == {"requested"}
    assert house.synced == ["now"]


async def test_one_file_can_be_asked_for(open_house: Open) -> None:
    house, client = await open_house()
    answer = await client.post("/api/1/scan", json={"file": house.long.file})
    assert answer.status == 202
    assert house.synced == []
    answer = await client.post("/api/1/retry", json={"file": house.long.file})
    assert await answer.json() == {"requested": 1}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/api/1/scan", b"{", "body: "),
        ("/api/1/scan", b'{"file": 7}', "$.file"),
        ("/api/1/scan", b'{"folder": "x"}', "folder"),
        ("/api/1/scan", b"[]", "body: "),
        ("/api/1/retry", b"{}", "file"),
    ],
)
async def test_a_bad_body_is_explained(
    open_house: Open, path: str, body: bytes, words: str
) -> None:
    _, client = await open_house()
    answer = await client.post(path, data=body, headers={"Content-Type": "application/json"})
    assert answer.status == 400
    assert words in (await answer.json())["error"]


async def test_an_unknown_file_cannot_be_asked_for(open_house: Open) -> None:
    _, client = await open_house()
    for path in ("/api/1/scan", "/api/1/retry"):
        answer = await client.post(path, json={"file": "unknown"})
        assert answer.status == 404


# --- health --------------------------------------------------------------------------------------


async def test_health_is_ready_degraded_or_alive(open_house: Open) -> None:
    class Indexer:
        told: IndexingStatus | Exception = indexing()

        async def status(self, viewer: Viewer) -> IndexingStatus:
            if isinstance(self.told, Exception):
                raise self.told
            return self.told

    indexer = Indexer()
    _, client = await open_house(indexer=indexer)
    assert (await get(client, "/api/1/health"))["state"] == "ready"
    indexer.told = indexing(notes=("The folder /archive does not answer.",))
    degraded = await get(client, "/api/1/health")
    assert degraded["state"] == "degraded"
    assert degraded["reasons"] == ["The folder /archive does not answer."]
    indexer.told = QueryInterrupted("the query took longer than 10 s")
    assert (await get(client, "/api/1/health", status=503))["state"] == "alive"


# --- the description -----------------------------------------------------------------------------


async def test_the_description_names_every_call_and_no_other(open_house: Open) -> None:
    _, client = await open_house()
    told = await get(client, "/api/1/openapi.json")
    described = {
        (method.upper(), path) for path, calls in told["paths"].items() for method in calls
    }
    served = {(method, path) for method, path, _, _ in ROUTES if path.startswith("/api/1/")}
    assert described == served
    assert told["openapi"].startswith("3.1")


def test_every_reference_of_the_description_resolves() -> None:
    told = openapi.document("")
    names = set(re.findall(r"#/components/schemas/(\w+)", msgspec.json.encode(told).decode()))
    assert names <= set(told["components"]["schemas"])
    assert {"Result", "Results", "ErrorRecord", "Status"} <= names


def test_every_operation_has_its_own_name_and_its_path_parameters() -> None:
    told = openapi.document("/heimdex")
    names = [call["operationId"] for calls in told["paths"].values() for call in calls.values()]
    assert len(names) == len(set(names))
    for path, calls in told["paths"].items():
        for call in calls.values():
            within = {one["name"] for one in call["parameters"] if one["in"] == "path"}
            assert within == set(re.findall(r"{(\w+)}", path))
    assert told["servers"] == [{"url": "/heimdex"}]


async def test_what_is_sent_is_what_is_described(open_house: Open) -> None:
    """Each answer decodes strictly into the struct that its schema is made from."""
    house, client = await open_house()
    for path, struct in (
        ("/api/1/search?q=lake", records.Results),
        (f"/api/1/items/{house.lake.item}", records.ItemRecord),
        ("/api/1/status", records.Status),
        ("/api/1/health", records.Health),
    ):
        sent = await (await client.get(path)).read()
        assert msgspec.json.encode(msgspec.json.decode(sent, type=struct)) == sent


async def test_the_api_lies_below_the_base_path_too(open_house: Open) -> None:
    _, client = await open_house(Web(port=0, base_path="/heimdex"))
    assert (await get(client, "/heimdex/api/1/search?q=shoes"))["results"]
    assert (await get(client, "/heimdex/api/1/search", status=400))["error"].startswith("q: ")


def test_only_the_owner_is_told_paths() -> None:
    someone = Viewer(name="child", owner=False, item_ids=frozenset({1}))
    assert records.result(moment(), someone).file == "Lake.mp4"
    assert records.result(moment(), Viewer()).file == "/films/Lake.mp4"


def test_seconds_have_at_most_three_decimals() -> None:
    assert records.result(moment(at_ms=61_234), Viewer()).at_s == 61.234
    assert base36(61_234) == "1b8y"
