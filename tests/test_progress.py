"""The indexing page: what is searchable, what runs, waits and failed."""

import pytest

from companion.model import Coverage, Failure, IndexingStatus, Running
from tests.answers import LINKS, Told, indexing, moment
from tests.cinema import Open
from tests.page import PART, Page, plain, read, text_of
from webui import progress


async def test_pausing_and_resuming_come_back_to_the_page(open_house: Open) -> None:
    house, client = await open_house()
    own = {"Origin": f"http://127.0.0.1:{client.port}"}

    async def press(where: str, **form: str) -> Page:
        token = (await read(client, "/status")).all("input", "value")
        fields = {"token": next(value for value in token if "." in value), **form}
        answer = await client.post(where, data=fields, headers=own, allow_redirects=False)
        assert answer.status == 303
        assert answer.headers["Location"] == "/status"
        return await read(client, "/status")

    assert "/status/resume" in (await press("/status/pause")).all("form", "action")
    assert "/status/pause" in (await press("/status/resume")).all("form", "action")
    await press("/status/scan")
    assert house.synced == ["now"]
    await press("/status/retry", file=house.lake.file)


async def test_trying_again_an_unknown_file_is_nothing(open_house: Open) -> None:
    _, client = await open_house()
    token = next(v for v in (await read(client, "/status")).all("input", "value") if "." in v)
    answer = await client.post(
        "/status/retry",
        data={"token": token, "file": "unknown"},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert answer.status == 404


async def test_nothing_new_is_sent_while_nothing_changes(open_house: Open) -> None:
    house, client = await open_house()
    seen = (await read(client, "/status")).all("div", "data-seen")[0]
    answer = await client.get(f"/status?seen={seen}", headers=PART)
    assert answer.status == 204
    house.indexer.pause()
    answer = await client.get(f"/status?seen={seen}", headers=PART)
    assert answer.status == 200
    assert "Resume" in await answer.text()


async def test_the_indexing_page_shows_what_runs_waits_and_failed(open_house: Open) -> None:
    file, item = moment().file, moment().item
    told = indexing(
        running=(
            Running(
                file=file,
                item=item,
                runs="speech",
                stage="speech",
                done_ms=60_000,
                total_ms=120_000,
                speed=4.56,
            ),
        ),
        failures=(
            Failure(
                file=file,
                item=item,
                path=b"/films/\xffLake.mp4",
                stage="shots",
                reason="the picture breaks off after 0:40",
                permanent=True,
                at_ms=1_800_000_000_000,
            ),
            Failure(
                file=None,
                item=None,
                path=b"/films/notes.mp4",
                stage="probe",
                reason="this is no video",
                permanent=True,
                at_ms=1_800_000_000_000,
            ),
        ),
        remaining_s=5_400,
        notes=("The folder /archive does not answer.",),
    )
    _, client = await open_house(indexer=Told(told))
    html = await text_of(client, "/status")
    said = plain(html)
    for words_ in (
        "About 2 hours to go.",
        "3 of 7 films",
        "Listening to speech",
        "1:00 of 2:00",
        "4.6 × real time",
        "4 films to look at",
        "1 film to listen to",
        "The picture is read from 01:00 to 07:00.",
        "the picture breaks off after 0:40",
        "/films/?Lake.mp4",
        "this is no video",
        "The folder /archive does not answer.",
        "10 h of film",
    ):
        assert words_ in said, words_
    assert html.count("Try again") == 1  # a path without a file is tried by scanning


async def test_while_indexing_goes_on_the_search_page_says_how_far(open_house: Open) -> None:
    _, client = await open_house(indexer=Told(indexing()))
    assert "Words of 3 of 7 films are searchable; results appear as they come." in await text_of(
        client, "/"
    )
    assert "Words of 3 of 7" in await text_of(client, "/banner", **PART)


@pytest.mark.parametrize(
    ("status", "headline"),
    [
        (indexing(paused=True), "Paused"),
        (indexing(syncing=True, waiting={}), "Looking through the folders"),
        (indexing(), "Waiting"),
        (indexing(waiting={}, coverage=Coverage()), "No films yet"),
        (indexing(waiting={}), "Everything is searchable"),
    ],
)
def test_the_headline_says_what_is_going_on(status: IndexingStatus, headline: str) -> None:
    assert progress.work(status, LINKS, owner=True).headline == headline


@pytest.mark.parametrize(
    ("coverage", "said"),
    [
        (Coverage(files=1, words=0), "Words of 0 of 1 film are"),
        (Coverage(files=7, words=7, meaning=2), "meaning of 2 of 7 films"),
        (Coverage(files=7, words=7, meaning=7, pictures=3), "the picture of 3 of 7 films"),
        (Coverage(), ""),
    ],
)
def test_the_banner_names_what_is_missing_first(coverage: Coverage, said: str) -> None:
    text = progress.banner(indexing(coverage=coverage))
    assert said in text
    assert bool(text) is bool(said)


def test_there_is_no_banner_when_there_is_no_work() -> None:
    assert progress.banner(indexing(waiting={})) == ""


def test_others_than_the_owner_get_no_paths_and_no_buttons() -> None:
    failure = Failure(
        file=moment().file,
        item=None,
        path=b"/films/private/Lake.mp4",
        stage="probe",
        reason="x",
        permanent=False,
        at_ms=0,
    )
    work = progress.work(indexing(failures=(failure,)), LINKS, owner=False)
    assert work.failed[0].where == "Lake.mp4"
    assert work.failed[0].file == ""
