"""The API: the shapes that programs rely on, errors in words, a description that is true."""

import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from companion.config import Config, Features, Web
from companion.errors import ModelMissing, QueryInterrupted
from companion.model import Answer, Failure, IndexingStatus, Running, Viewer
from companion.search.encoding import Vector
from companion.search.pictures import Picture
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
    assert set(reason) == {"leg", "score", "text", "marks", "at_s"}
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
