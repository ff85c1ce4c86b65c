"""The leak matrix: every person × every surface finds nothing that their server does not show them.

Ben may see the films and the show, Mia only films with the label "kids", a stranger nothing.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from companion.household import RECHECK_S
from tests.house_pages import WORDS, Pages, pages
from tests.page import PART, Client
from tests.plex_house import GUEST
from webui.routes import ROUTES

SEES = {
    "anna": {"Film 10000", "Film 10001", "Film 10002", "Fog 1", "Fog 2", "Lake"},
    "ben": {"Film 10000", "Film 10001", "Film 10002", "Fog 1", "Fog 2"},
    "mia": {"Film 10001"},
}
NOWHERE = "AAAAAAAAAAAA"  # a public id of nothing


@dataclass(frozen=True, slots=True)
class Ids:
    """What a film is called in addresses."""

    item: str
    file: str

    @property
    def moment(self) -> str:
        return f"{self.file}-rs"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Pages]:
    async with pages(tmp_path) as opened:
        opened.home.house.world.videos["10001"].labels = ["kids"]
        yield opened


async def ids(here: Pages) -> dict[str, Ids]:
    items = await here.home.items()
    return {
        title: Ids(item.public_id, here.files[title].public_id) for title, item in items.items()
    }


def surfaces(film: Ids) -> list[str]:
    """Return every address to read, about one film where it is about one."""
    found = []
    for method, path, _, _ in ROUTES:
        if method != "GET" or path.startswith("/static"):
            continue
        found.append(
            path.replace("{moment}", film.moment)
            .replace("{item}", film.item)
            .replace("{file}", film.file)
            .replace("{rest:.*}", "else")
        )
    return found


def asked(path: str) -> list[str]:
    """Return an address with the questions that it answers."""
    words = WORDS.replace(" ", "+")
    questions = {
        "/": [f"q={words}", "q=lake", "q=harbour&limit=500", "q=film"],
        "/titles": ["", "library=Films", "library=Family", "offset=1"],
        "/api/1/search": [f"q={words}", "q=lake", "q=film&mode=words", "q=harbour&limit=500"],
        "/api/1/search/semantic": ["q=harbour"],
    }
    return [f"{path}?{each}" for each in questions.get(path, [""])]


def hidden(who: str, known: dict[str, Ids]) -> dict[str, Ids]:
    return {title: each for title, each in known.items() if title not in SEES.get(who, set())}


def leaked(text: str, films: dict[str, Ids]) -> set[str]:
    """Return what a text tells of films: a title as a whole word, an id, a file's name."""
    names = {title: title.replace("Film ", "Film.?") for title in films}
    return {
        title
        for title, each in films.items()
        if each.item in text or each.file in text or re.search(rf"\b{names[title]}\b", text)
    }


async def person(here: Pages, who: str) -> Client:
    return await (here.signed_in(who) if who != "stranger" else here.browser())


@pytest.mark.parametrize("who", ["ben", "mia", "stranger"])
async def test_no_surface_tells_of_what_is_hidden(here: Pages, who: str) -> None:
    known = await ids(here)
    secret = hidden(who, known)
    client = await person(here, who)
    addresses = {
        path for each in [known["Film 10001"], *secret.values()] for path in surfaces(each)
    }
    # What somebody types comes back to them: only what they did not ask for can be a leak.
    for address in sorted(each for path in addresses for each in asked(path)):
        for said in ({}, PART):
            answer = await client.get(address, headers=said, allow_redirects=False)
            body = await answer.read()
            text = body.decode("utf-8", "replace") + str(dict(answer.headers))
            told = leaked(text, {k: v for k, v in secret.items() if k != "Lake"})
            if "q=lake" not in address:
                told |= leaked(text, {k: v for k, v in secret.items() if k == "Lake"})
            own = {k for k, v in secret.items() if v.item in address or v.file in address}
            assert told <= own, (address, answer.status)
            refused = answer.status in {303, 401, 404} or "HX-Redirect" in answer.headers
            assert refused or not own, (address, answer.status)


@pytest.mark.parametrize("who", ["ben", "mia"])
async def test_what_is_hidden_answers_like_what_does_not_exist(here: Pages, who: str) -> None:
    known = await ids(here)
    client = await person(here, who)
    nothing = Ids(NOWHERE, NOWHERE)
    (secret, *_) = hidden(who, known).values()
    for address, other in zip(surfaces(secret), surfaces(nothing), strict=True):
        if address == other:
            continue
        one, two = [await client.get(each, allow_redirects=False) for each in (address, other)]
        assert one.status == two.status == 404, address
        same = [
            re.sub(rb"[0-9a-f]{16}\.[0-9a-f]{64}", b"", await each.read())
            .replace(secret.item.encode(), NOWHERE.encode())
            .replace(secret.file.encode(), NOWHERE.encode())
            for each in (one, two)
        ]
        assert same[0] == same[1], address
        kept = [{k: v for k, v in each.headers.items() if k != "Date"} for each in (one, two)]
        assert kept[0].keys() == kept[1].keys(), address


@pytest.mark.parametrize("who", ["anna", "ben", "mia"])
async def test_everybody_finds_all_that_they_may_see(here: Pages, who: str) -> None:
    client = await person(here, who)
    answer = await client.get(f"/api/1/search?q={WORDS.replace(' ', '+')}")
    found = await answer.json()
    known = await ids(here)
    titles = {title for title, each in known.items() if each.item in str(found)}
    assert titles == SEES[who]


async def test_rights_that_were_taken_away_count_within_a_minute(here: Pages) -> None:
    known = await ids(here)
    client = await person(here, "ben")
    film = known["Film 10000"]
    for path in surfaces(film):
        if film.item in path or (film.file in path and not path.startswith("/media")):
            assert (await client.get(path)).status == 200, path
    here.home.house.world.account_of(GUEST).sections = {"2"}  # type: ignore[union-attr]
    here.home.clock.now += RECHECK_S
    for path in surfaces(film):
        if film.item in path or film.file in path:
            assert (await client.get(path)).status == 404, path
    text = await (await client.get(f"/api/1/search?q={WORDS.replace(' ', '+')}")).text()
    assert film.item not in text
    assert known["Fog 1"].item in text
