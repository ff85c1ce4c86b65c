"""Words that name what a scene shows: tags, with their own weight and the name as the reason."""

from dataclasses import replace
from typing import Any

import apsw
import pytest
from hypothesis import given, strategies as st

from companion.config import Config, Features
from companion.model import OWNER, Answer, Leg, Moment, Reason, Viewer
from companion.search import fusion, legs, tagged
from companion.search.fusion import STRONG, Weights
from companion.search.query import Mode
from companion.search.search import Search
from companion.store import library, tags
from companion.store.db import Store
from tests import talk
from tests.talk import SCENE_MS

SPOKEN = ["Shall we go in?", "It is cold by the lakeside.", "Dad is here.", "Nobody said a word."]
SHOWS = {
    0: {"lakeside": 0.9, "dock": 0.4},
    2: {"sports car": 0.8},
    3: {"car mirror": 0.5, "Egyptian cat": 0.35},
}
HALF = SCENE_MS // 2


@pytest.fixture
async def search(store: Store, config: Config) -> Search:
    file = await store.write(talk.put, "Trip", SPOKEN)
    await store.write(talk.put_tags, file.id, SHOWS)
    return Search(store, config, None)


async def ask(search: Search, query: str, **how: Any) -> Answer:
    return await search.ask(query, mode=Mode.WORDS, **how)


def everything(answer: Answer) -> list[int]:
    """Return the numbers of the scenes, best first."""
    return [moment.start_ms // SCENE_MS for moment in (*answer.moments, *answer.weak)]


def pictured(moment: Moment) -> Reason:
    return next(reason for reason in moment.reasons if reason.leg is Leg.PICTURE)


def pieces(found: Reason) -> list[str]:
    return [found.text[span.start : span.end] for span in found.marks]


# --- what is found -------------------------------------------------------------------------------


async def test_the_word_of_a_tag_finds_its_scene_and_names_it(search: Search) -> None:
    answer = await ask(search, "dock")
    assert everything(answer) == [0]
    (best,) = answer.moments
    assert best.strong
    assert [reason.leg for reason in best.reasons] == [Leg.PICTURE]
    assert best.reasons[0].text == "lakeside, dock"
    assert pieces(best.reasons[0]) == ["dock"]
    assert best.at_ms == best.reasons[0].at_ms == HALF


async def test_what_is_said_comes_before_what_is_only_shown(search: Search) -> None:
    answer = await ask(search, "lakeside")
    assert everything(answer) == [1, 0]
    said, shown = answer.moments
    assert [reason.leg for reason in said.reasons] == [Leg.WORDS]
    assert shown.score < said.score
    assert shown.score == pytest.approx(fusion.tag_score(1.0, 0.9), abs=1e-4)


async def test_the_surer_tag_comes_first(search: Search) -> None:
    answer = await ask(search, "cat car")
    assert everything(answer)[0] == 3  # both words
    answer = await ask(search, "car")
    assert everything(answer) == [2, 3]


async def test_the_last_word_of_a_name_says_what_it_is(search: Search) -> None:
    sports, mirror = [*(await ask(search, "car")).moments, *(await ask(search, "car")).weak]
    assert (sports.strong, mirror.strong) == (True, False)
    whole = await ask(search, "car mirror")
    assert everything(whole)[0] == 3
    assert whole.moments[0].strong
    assert pieces(whole.moments[0].reasons[0]) == ["car", "mirror"]


async def test_the_beginning_of_a_word_finds_a_tag_for_less(search: Search) -> None:
    answer = await ask(search, "egypt cat")
    assert everything(answer)[0] == 3
    lake = await ask(search, "lake")
    assert 0 in everything(lake)
    shown = next(m for m in (*lake.moments, *lake.weak) if m.start_ms < SCENE_MS)
    assert shown.score < fusion.tag_score(1.0, 0.9)
    assert pieces(pictured(shown)) == ["lakeside"]


async def test_a_word_that_is_said_and_one_that_is_shown_belong_together(search: Search) -> None:
    answer = await ask(search, "dad car")
    best = answer.moments[0]
    assert best.start_ms == 2 * SCENE_MS
    assert {reason.leg for reason in best.reasons} == {Leg.WORDS, Leg.PICTURE}
    (alone,) = (await ask(search, "dad boat")).weak
    assert best.score > 0.6 > alone.score


async def test_case_and_accents_are_no_matter(search: Search) -> None:
    assert everything(await ask(search, "EGYPTIAN Cát")) == [3]


async def test_meaning_alone_asks_no_tag(store: Store, config: Config) -> None:
    meanings = talk.Meanings({})
    file = await store.write(talk.put, "Trip", SPOKEN, meanings=meanings)
    await store.write(talk.put_tags, file.id, SHOWS)
    search = Search(store, config, meanings.encode)
    answer = await search.ask("dock", mode=Mode.MEANING)
    assert all(r.leg is not Leg.PICTURE for m in answer.weak for r in m.reasons)
    assert not answer.moments


# --- bounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["dock -lakeside", 'dock -"lakeside"', "dock -trip", "dock -go"])
async def test_a_minus_leaves_out_what_is_shown(search: Search, query: str) -> None:
    assert everything(await ask(search, query)) == []


async def test_a_minus_means_the_very_words_of_a_tag(search: Search) -> None:
    assert everything(await ask(search, "dock -lake")) == [0]
    assert everything(await ask(search, 'cat -"mirror car"')) == [3]
    assert everything(await ask(search, 'cat -"car mirror"')) == []


async def test_a_quote_must_be_said_or_written(search: Search) -> None:
    assert everything(await ask(search, '"lakeside"')) == [1]
    assert everything(await ask(search, 'dock "go in"')) == [0]


async def test_a_hidden_scene_takes_no_place(store: Store, config: Config) -> None:
    most = legs.CANDIDATES + 10
    hidden = await store.write(talk.put, "Hidden", ["quiet"] * most)
    await store.write(talk.put_tags, hidden.id, {n: {"dock": 0.99} for n in range(most)})
    seen = await store.write(talk.put, "Seen", ["quiet"])
    await store.write(talk.put_tags, seen.id, {0: {"dock": 0.3}})
    items = await store.read(library.items, OWNER, limit=9)
    ids = frozenset(item.id for item in items if item.title == "Seen")
    search = Search(store, config, None)
    guest = Viewer(name="guest", owner=False, item_ids=ids)
    answer = await ask(search, "dock", viewer=guest)
    assert [moment.item.title for moment in answer.moments] == ["Seen"]
    nobody = Viewer(name="nobody", owner=False, item_ids=frozenset())
    assert everything(await ask(search, "dock", viewer=nobody)) == []


async def test_without_pictures_tags_are_not_asked(
    search: Search, store: Store, config: Config
) -> None:
    assert everything(await ask(search, "dock", weights=Weights(picture=0.0))) == []
    off = replace(config, features=Features(vision=False))
    assert everything(await ask(Search(store, off, None), "dock")) == []


# --- names ---------------------------------------------------------------------------------------


async def test_every_name_is_known_once(search: Search, store: Store) -> None:
    found = await store.read(tags.names)
    assert found == ("Egyptian cat", "car mirror", "dock", "lakeside", "sports car")


async def test_a_library_without_tags_has_no_names(store: Store) -> None:
    assert await store.read(tags.names) == ()

    def look(connection: apsw.Connection) -> tuple[list[str], dict[int, list[tags.Tag]]]:
        return tagged.named(connection, "dock"), tags.of_scenes(connection, [1])

    assert await store.read(look) == ([], {})


async def test_nothing_but_marks_names_no_tag(search: Search, store: Store) -> None:
    assert await store.read(tagged.named, "?!") == []


# --- the score -----------------------------------------------------------------------------------

SHARES = st.floats(0, 1)


@given(SHARES, SHARES, SHARES)
def test_more_of_the_query_and_a_surer_tag_never_mean_less(
    share: float, chance: float, more: float
) -> None:
    least = fusion.tag_score(share, chance)
    assert 0 <= least <= fusion.tag_score(max(share, more), chance)
    assert least <= fusion.tag_score(share, max(chance, more))


@given(SHARES)
def test_a_tag_is_a_strong_match_but_weaker_than_all_words(chance: float) -> None:
    assert STRONG <= fusion.tag_score(1.0, chance) < fusion.ALL_WORDS
    assert fusion.tag_score(0.5, chance) < STRONG
