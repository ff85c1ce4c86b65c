"""Search as the product asks it: a real store, real indexes, a model that means what it is told."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given, strategies as st

from companion.config import Config, Features
from companion.errors import FeatureOff, ModelMissing, QueryError, QueryInterrupted, ScanFailed
from companion.findings import Line
from companion.model import OWNER, Answer, Leg, Moment, Reason, Viewer
from companion.search import drafts, encoding, legs, marks
from companion.search.bounds import Within
from companion.search.encoding import Vector
from companion.search.fusion import Candidate, Evidence, Weights
from companion.search.query import Mode, parse
from companion.search.search import GUESSES, NOT_READ, Search
from companion.store import db, findings, library, words
from companion.store.codes import Codes
from companion.store.db import Store
from scanners.base import Encoded
from tests import talk
from tests.talk import SCENE_MS, Meanings

ABOUT = {
    **dict.fromkeys(("lake", "pond", "water", "호수", "see"), "water"),
    **dict.fromkeys(("fell", "falls", "slipped", "tumbles", "빠졌다", "fällt"), "fall"),
    **dict.fromkeys(("dad", "father", "papa", "아빠", "vater"), "father"),
    **dict.fromkeys(("birthday", "candles", "cake", "생일"), "birthday"),
    **dict.fromkeys(("dog", "puppy", "rex"), "dog"),
}
SUMMER = [
    "Look at all the ducks.",
    "Father slipped and is in the pond now!",
    ["Give him a towel.", "He is wet, and the towel is wet too."],
    "Rex, come out of there at once!",
]
PARTY = [
    "Blow out the candles on your cake.",
    "Everybody sing along with me now.",
    "Who brought the paper hats?",
]


@pytest.fixture
def meanings() -> Meanings:
    return Meanings(ABOUT)


@pytest.fixture
async def search(store: Store, config: Config, meanings: Meanings) -> Search:
    """Search in two films."""
    await store.write(talk.put, "Summer at the Lake", SUMMER, year=1999, meanings=meanings)
    await store.write(talk.put, "Party", PARTY, meanings=meanings)
    return Search(store, config, meanings.encode)


def shown(moments: Sequence[Moment]) -> list[tuple[str, int]]:
    """Return film and scene number of moments."""
    return [(moment.item.title, moment.start_ms // SCENE_MS) for moment in moments]


def reason(moment: Moment, leg: Leg) -> Reason:
    return next(each for each in moment.reasons if each.leg is leg)


def pieces(found: Reason) -> list[str]:
    return [found.text[span.start : span.end] for span in found.marks]


def only(answer: Answer) -> Moment:
    assert len(answer.moments) == 1, shown(answer.moments)
    return answer.moments[0]


async def seeing(store: Store, *titles: str) -> Viewer:
    """Return a guest who may see the items of these titles."""
    items = await store.read(library.items, OWNER, limit=99)
    ids = frozenset(item.id for item in items if item.title in titles)
    assert len(ids) == len(titles)
    return Viewer(name="guest", owner=False, item_ids=ids)


# --- what is found -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", ["dad falls into the lake", "아빠 호수 빠졌다", "Vater fällt See"]
)
async def test_a_moment_is_found_by_what_it_means(search: Search, query: str) -> None:
    answer = await search.ask(query)
    best = answer.moments[0]
    assert shown([best]) == [("Summer at the Lake", 1)]
    assert best.strong
    assert best.score > 0.9
    assert reason(best, Leg.MEANING).text == "Father slipped and is in the pond now!"
    assert reason(best, Leg.MEANING).at_ms == best.at_ms == SCENE_MS
    assert answer.notes == ()
    assert answer.query == query
    assert answer.took_ms > 0


async def test_a_quote_is_found_where_its_words_follow_each_other(search: Search) -> None:
    moment = only(await search.ask('"come out of there"'))
    assert shown([moment]) == [("Summer at the Lake", 3)]
    found = moment.reasons[0]
    assert (found.leg, found.score) == (Leg.WORDS, 1.0)
    assert pieces(found) == ["come out of there"]
    assert not (await search.ask('"out come of there"')).moments


async def test_a_quote_may_go_on_in_the_next_line(search: Search) -> None:
    moment = only(await search.ask('"a towel he is"'))
    assert moment.reasons[0].text == "Give him a towel. He is wet, and the towel is wet too."
    assert pieces(moment.reasons[0]) == ["a towel", "He is"]
    assert moment.at_ms == 2 * SCENE_MS


async def test_words_around_a_quote_choose_among_its_moments(search: Search) -> None:
    everyone = await search.ask('"now"')
    assert sorted(shown(everyone.moments)) == [("Party", 1), ("Summer at the Lake", 1)]
    answer = await search.ask('"now" sing')
    assert shown(answer.moments)[0] == ("Party", 1)
    assert pieces(answer.moments[0].reasons[0]) == ["sing", "now"]


async def test_words_are_found_without_quotes_too(search: Search) -> None:
    answer = await search.ask("paper hats", mode=Mode.WORDS)
    best = answer.moments[0]
    assert shown([best]) == [("Party", 2)]
    assert [each.leg for each in best.reasons] == [Leg.WORDS]
    assert best.reasons[0].score == 1.0  # one after the other
    assert pieces(best.reasons[0]) == ["paper hats"]


async def test_every_word_counts_and_rare_ones_count_more(store: Store, config: Config) -> None:
    lines = ["a boat and a goat", "a boat", "a goat", *["just a boat"] * 30]
    await store.write(talk.put, "Film", lines)
    answer = await Search(store, config, None).ask("boat goat")
    assert shown(answer.moments)[:2] == [("Film", 0), ("Film", 2)]
    assert answer.moments[0].score > answer.moments[1].score


async def test_a_word_finds_longer_ones_but_itself_first(store: Store, config: Config) -> None:
    await store.write(talk.put, "Film", ["two candles", "a candle", "a chandelier"])
    answer = await Search(store, config, None).ask("candle")
    assert shown(answer.moments) == [("Film", 1), ("Film", 0)]
    assert pieces(answer.moments[1].reasons[0]) == ["candles"]


async def test_a_word_is_found_while_it_is_being_typed(store: Store, config: Config) -> None:
    await store.write(talk.put, "Film", ["the cat", "nothing", "the birthday"])
    search = Search(store, config, None)
    typing = await search.ask("ca")
    assert shown(typing.weak) == [("Film", 0)]
    assert pieces(typing.weak[0].reasons[0]) == ["cat"]
    typed = await search.ask("ca ")
    assert (typed.moments, typed.weak) == ((), ())
    assert shown((await search.ask("birthd")).moments) == [("Film", 2)]


async def test_a_word_that_is_there_is_not_taken_for_the_beginning_of_another(
    store: Store, config: Config
) -> None:
    await store.write(talk.put, "Film", ["the cat in the category", "a category"])
    moment = only(await Search(store, config, None).ask("cat"))
    assert pieces(moment.reasons[0]) == ["cat"]


async def test_korean_words_are_found_inside_what_clings_to_them(
    store: Store, config: Config
) -> None:
    spoken = ["할머니 생신에 미역국을 먹었어요", "어제 호수에서 배를 탔다", "물을 마시자"]
    await store.write(talk.put, "가족", spoken)
    search = Search(store, config, None)
    for word, number in (("생신", 0), ("호수", 1), ("물", 2), ("미역국", 0), ("호수는", 1)):
        best = [*(await search.ask(word)).moments, *(await search.ask(word)).weak][0]
        assert shown([best]) == [("가족", number)], word
    assert pieces(only(await search.ask("호수 배")).reasons[0]) == ["호수", "배"]


async def test_a_sentence_without_spaces_is_found_by_its_like(store: Store, config: Config) -> None:
    await store.write(talk.put, "映画", ["父が湖に落ちた", "誕生日のケーキ", "犬が走る"])
    answer = await Search(store, config, None).ask("湖に落ちたよ")
    assert shown([*answer.moments, *answer.weak])[0] == ("映画", 0)


async def test_words_that_are_everywhere_do_not_score_beside_a_rare_one(
    store: Store, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(legs, "COMMON_LEAST", 5)
    await store.write(talk.put, "Film", ["the lake", *["the"] * 20])
    search = Search(store, config, None)
    moment = only(await search.ask("the lake"))
    assert shown([moment]) == [("Film", 0)]
    assert len((await search.ask("the boat")).moments) == 0
    assert len((await search.ask("the")).moments) == 21


async def test_common_words_alone_are_a_phrase_first(
    store: Store, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(legs, "COMMON_LEAST", 5)
    lines = [*["you love i"] * 10, "i love you", *["love"] * 9]
    await store.write(talk.put, "Film", lines)
    answer = await Search(store, config, None).ask("I love you")
    assert shown(answer.moments)[0] == ("Film", 10)
    assert len(answer.moments) == 11


async def test_what_is_said_shortest_comes_first_among_equals(store: Store, config: Config) -> None:
    long = "we saw a lake and walked on and on until the evening came and we went home"
    await store.write(talk.put, "Film", [long, "the lake!", long])
    answer = await Search(store, config, None).ask("lake")
    assert shown(answer.moments)[0] == ("Film", 1)


# --- what is left out ----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_minus_leaves_scenes_out_of_every_leg(search: Search, mode: Mode) -> None:
    with_it = await search.ask("wet towel pond", mode=mode)
    without = await search.ask('wet towel pond -"him a towel" -slipped', mode=mode)
    both = [("Summer at the Lake", 1), ("Summer at the Lake", 2)]
    found = shown([*with_it.moments, *with_it.weak])
    assert set(both) <= set(found)
    assert not set(both) & set(shown([*without.moments, *without.weak]))


async def test_a_minus_leaves_out_films_by_their_title(search: Search) -> None:
    assert shown((await search.ask("now")).moments)
    answer = await search.ask("now -summer")
    assert {title for title, _ in shown([*answer.moments, *answer.weak])} == {"Party"}


async def test_a_minus_means_the_very_word(search: Search) -> None:
    answer = await search.ask("cake -candle", mode=Mode.WORDS)
    assert shown(answer.moments) == [("Party", 0)]


async def test_a_query_without_a_word_finds_nothing(search: Search, meanings: Meanings) -> None:
    for text in ("", "  ", '""'):
        assert await search.ask(text) == Answer(query=text, moments=())
    assert meanings.asked == []
    with pytest.raises(QueryError):
        await search.ask("-only -this")


# --- titles --------------------------------------------------------------------------------------


async def test_a_title_is_an_answer_from_its_first_scene(search: Search) -> None:
    answer = await search.ask("summer lake 1999")
    best = answer.moments[0]
    assert shown([best]) == [("Summer at the Lake", 0)]
    assert best.at_ms == 0
    assert best.reasons[0].leg is Leg.TITLE
    assert best.reasons[0].text == "Summer at the Lake (1999)"
    assert pieces(best.reasons[0]) == ["Summer", "Lake", "1999"]


async def test_a_title_in_quotes_is_found(search: Search) -> None:
    moment = only(await search.ask('"at the lake"'))
    assert (moment.at_ms, moment.reasons[0].leg) == (0, Leg.TITLE)
    assert pieces(moment.reasons[0]) == ["at the Lake"]


async def test_title_and_words_together_find_the_scene_in_the_film(search: Search) -> None:
    both = await search.ask("summer rex", mode=Mode.WORDS)
    best = both.moments[0]
    assert shown([best]) == [("Summer at the Lake", 3)]
    assert [each.leg for each in best.reasons] == [Leg.WORDS, Leg.TITLE]
    quoted = await search.ask('"at the lake" towel', mode=Mode.WORDS)
    assert shown(quoted.moments)[0] == ("Summer at the Lake", 2)


async def test_an_episode_is_found_by_its_show(store: Store, config: Config) -> None:
    await store.write(talk.put, "The Boat", ["hello"], show="Harbour")
    moment = only(await Search(store, config, None).ask("harbour boat"))
    assert moment.item.show_title == "Harbour"
    assert reason(moment, Leg.TITLE).score > 0.99


async def test_a_title_without_scenes_is_no_moment(store: Store, config: Config) -> None:
    await store.write(talk.put_file, "Not read yet")
    assert not (await Search(store, config, None).ask("read yet")).moments


# --- where playing starts ------------------------------------------------------------------------


async def put_timed(store: Store) -> None:
    file = await store.write(talk.put_file, "Timed")
    lines = [
        talk.timed("he slowly fell into the deep lake", 1_000, 8_000),
        Line(8_500, 9_500, "without word times"),
        talk.timed("a line over the cut", 11_000, 16_000),
    ]
    cuts = [(0, 12_000), (12_000, 24_000), (24_000, 30_000)]
    await store.write(talk.put_lines, file.id, lines, cuts)


async def test_a_quote_plays_from_its_first_word(store: Store, config: Config) -> None:
    await put_timed(store)
    search = Search(store, config, None)
    assert only(await search.ask('"the deep lake"')).at_ms == 5_000
    assert only(await search.ask('"word times"')).at_ms == 8_500
    assert only(await search.ask("deep lake")).at_ms == 6_000  # in a row, so it is a quote
    assert only(await search.ask("lake slowly")).at_ms == 1_000  # the line in which they are


async def test_a_line_over_a_cut_is_one_moment(store: Store, config: Config) -> None:
    await put_timed(store)
    moment = only(await Search(store, config, None).ask('"over the cut"'))
    assert (moment.start_ms, moment.end_ms, moment.at_ms) == (0, 24_000, 13_000)
    assert moment.public_id == f"{moment.file.public_id}-0"


async def test_meaning_plays_from_the_passage_that_is_meant(
    store: Store, config: Config, meanings: Meanings
) -> None:
    lines = [
        "We have been talking about nothing at all here.",
        "Then suddenly father fell in the water of the pond.",
        "And nobody said a single word for an hour.",
    ]
    await store.write(talk.put, "Film", [lines], meanings=meanings)
    best = (await Search(store, config, meanings.encode).ask("dad falls lake")).moments[0]
    assert best.at_ms == SCENE_MS // 3
    assert best.reasons[0].text == lines[1]
    assert meanings.asked == [("dad falls lake",)]  # the model is asked for the query alone


async def test_new_lines_before_new_vectors_still_show_the_scene(
    store: Store, config: Config, meanings: Meanings
) -> None:
    long = "This line has more than eight words in it, surely."
    file = await store.write(
        talk.put, "Film", [[long, "Father fell in the water of the pond today."]], meanings=meanings
    )
    await store.write(lambda c: c.execute("delete from lines where file_id = ?", (file.id,)))
    answer = await Search(store, config, meanings.encode).ask("dad falls lake")
    assert (only(answer).at_ms, only(answer).reasons[0].text) == (0, "")


# --- strong or not -------------------------------------------------------------------------------


async def test_no_strong_match_is_an_answer_with_the_nearest_guesses(search: Search) -> None:
    answer = await search.ask("zebra xylophone")
    assert answer.moments == ()
    assert 0 < len(answer.weak) <= GUESSES
    assert all(not moment.strong for moment in answer.weak)
    scores = [moment.score for moment in answer.weak]
    assert scores == sorted(scores, reverse=True)


async def test_there_are_never_more_moments_than_asked_for(search: Search) -> None:
    answer = await search.ask("towel now lake", limit=2)
    assert len(answer.moments) <= 2
    assert len(answer.moments) + len(answer.weak) <= 2 + GUESSES


async def test_no_film_hides_the_others(store: Store, config: Config) -> None:
    await store.write(talk.put, "Loud", ["lake"] * 60)
    await store.write(talk.put, "Quiet", ["we walked around the lake for a very long time"])
    answer = await Search(store, config, None).ask("lake", limit=12)
    titles = [title for title, _ in shown(answer.moments)]
    assert len(titles) == 12
    assert "Quiet" in titles


async def test_without_weight_for_text_nothing_is_strong(search: Search) -> None:
    weights = Weights(text=0.0)
    answer = await search.ask("dad falls into the pond", mode=Mode.MEANING, weights=weights)
    assert answer.moments == ()


# --- who may see what ----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("query", ["now", '"now"', "now -cake", "summer", "party now"])
async def test_nobody_finds_what_they_may_not_see(
    search: Search, store: Store, mode: Mode, query: str
) -> None:
    guest = await seeing(store, "Party")
    answer = await search.ask(query, viewer=guest, mode=mode)
    assert {title for title, _ in shown([*answer.moments, *answer.weak])} <= {"Party"}
    nobody = Viewer(name="nobody", owner=False, item_ids=frozenset())
    nothing = await search.ask(query, viewer=nobody, mode=mode)
    assert (nothing.moments, nothing.weak) == ((), ())


@pytest.mark.parametrize("mode", [Mode.WORDS, Mode.MEANING])
async def test_what_is_hidden_takes_no_place_of_what_is_not(
    store: Store, config: Config, meanings: Meanings, mode: Mode
) -> None:
    """More hidden scenes than any leg hands on, all of them better."""
    most = max(legs.CANDIDATES, legs.COMMON_LEAST, legs.NEAREST) + 10
    await store.write(talk.put, "Hidden", ["lake"] * most, meanings=meanings)
    far = "a lake among many other things that nobody ever talks about"
    await store.write(talk.put, "Seen", [far], meanings=meanings)
    guest = await seeing(store, "Seen")
    answer = await Search(store, config, meanings.encode).ask("lake", viewer=guest, mode=mode)
    assert shown([*answer.moments, *answer.weak]) == [("Seen", 0)]


@pytest.mark.parametrize("gone", ["items", "paths"])
async def test_what_is_gone_is_not_found(search: Search, store: Store, gone: str) -> None:
    assert only(await search.ask('"paper hats"'))
    await store.write(lambda c: c.execute(f"update {gone} set gone_at_ms = 1"))
    for query in ('"paper hats"', "party", "candles cake"):
        answer = await search.ask(query)
        assert (answer.moments, answer.weak) == ((), ())


async def test_a_file_of_two_items_is_shown_as_the_one_that_may_be_seen(
    search: Search, store: Store
) -> None:
    def share(connection: apsw.Connection) -> None:
        connection.execute(
            "insert into items (public_id, library_id, external_id, kind, title, added_at_ms)"
            " select 'other', library_id, 'other', kind, 'Our Party', 0 from items"
            " where title = 'Party'"
        )
        connection.execute(
            "insert into parts (item_id, path_id)"
            " select (select id from items where public_id = 'other'), path_id"
            " from parts where item_id = (select id from items where title = 'Party')"
        )

    await store.write(share)
    guest = await seeing(store, "Our Party")
    assert only(await search.ask('"paper hats"', viewer=guest)).item.title == "Our Party"
    assert only(await search.ask('"paper hats"')).item.title == "Party"


# --- modes and a model that is not there ---------------------------------------------------------


async def test_words_alone_ask_no_model(search: Search, meanings: Meanings) -> None:
    answer = await search.ask("dad falls into the lake", mode=Mode.WORDS)
    assert meanings.asked == []
    assert all(each.leg is not Leg.MEANING for m in answer.moments for each in m.reasons)


async def test_meaning_alone_gives_no_other_reason(search: Search) -> None:
    answer = await search.ask("dad falls into the lake", mode=Mode.MEANING)
    assert shown(answer.moments)[0] == ("Summer at the Lake", 1)
    assert {each.leg for m in answer.moments for each in m.reasons} == {Leg.MEANING}


async def test_switched_off_words_still_answer_and_a_note_tells(
    search: Search, store: Store, config: Config, meanings: Meanings
) -> None:
    off = replace(config, features=Features(semantic_search=False))
    for without in (Search(store, off, meanings.encode), Search(store, config, None)):
        answer = await without.ask('"paper hats"')
        assert shown(answer.moments) == [("Party", 2)]
        assert answer.notes == ("Meaning search is off",)
        assert (await without.ask("hats", mode=Mode.WORDS)).notes == ()
        with pytest.raises(FeatureOff, match="semantic_search"):
            await without.ask("hats", mode=Mode.MEANING)
    assert meanings.asked == []


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (ModelMissing("use-m3 is missing"), "run `heimdex models get`"),
        (ScanFailed("meaning", "out of memory", permanent=False), "out of memory"),
    ],
)
async def test_a_model_that_fails_leaves_words_and_a_note(
    search: Search, meanings: Meanings, error: Exception, note: str
) -> None:
    meanings.error = error
    answer = await search.ask('"paper hats"')
    assert shown(answer.moments) == [("Party", 2)]
    assert len(answer.notes) == 1
    assert note in answer.notes[0]
    alone = await search.ask("hats", mode=Mode.MEANING)
    assert (alone.moments, alone.weak) == ((), ())
    assert note in alone.notes[0]
    meanings.error = None
    assert (await search.ask('"paper hats"')).notes == ()  # a failure is not remembered


async def test_a_model_that_hangs_is_not_waited_for(
    store: Store, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "ENCODE_LIMIT_S", 0.01)
    await store.write(talk.put, "Party", PARTY)

    async def hang(_texts: Sequence[str]) -> Encoded:
        await asyncio.Event().wait()
        raise AssertionError

    answer = await Search(store, config, hang).ask('"paper hats"')
    assert shown(answer.moments) == [("Party", 2)]
    assert "did not answer in time" in answer.notes[0]


async def test_a_model_that_gives_nothing_leaves_a_note(store: Store, config: Config) -> None:
    async def nothing(_texts: Sequence[str]) -> Encoded:
        return Encoded(id=1, model="m@1", dims=8, vectors=())

    answer = await Search(store, config, nothing).ask("anything")
    assert "gave no vector" in answer.notes[0]


async def test_before_the_first_vector_a_note_tells(
    store: Store, config: Config, meanings: Meanings
) -> None:
    await store.write(talk.put, "Party", PARTY)
    search = Search(store, config, meanings.encode)
    assert (await search.ask("hats")).notes == (NOT_READ,)


async def test_vectors_of_another_model_are_not_asked(
    search: Search, store: Store, config: Config
) -> None:
    other = Meanings(ABOUT, model="other@1")
    answer = await Search(store, config, other.encode).ask("dad falls into the lake")
    assert answer.notes == (NOT_READ,)
    await store.write(
        lambda c: c.execute(
            "insert into models (identity, role, dims) values ('other@1', 'meaning', 8)"
        )
    )
    assert (await Search(store, config, other.encode).ask("dad")).notes == (NOT_READ,)


async def test_a_query_is_encoded_once(
    search: Search, meanings: Meanings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "KEPT_QUERIES", 2)
    for query in ("lake", "lake", "cake", "lake -dog", "party", "cake", "lake"):
        await search.ask(query)
    # "lake" was used last before "party" came, so "cake" had to go.
    assert [asked[0] for asked in meanings.asked] == ["lake", "cake", "party", "cake", "lake"]


async def test_an_error_of_a_leg_comes_as_itself(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*_: object, **__: object) -> None:
        raise QueryInterrupted("the query took longer than 10 s")

    monkeypatch.setattr(legs, "said", late)
    with pytest.raises(QueryInterrupted, match="10 s"):
        await search.ask("lake")


# --- examples ------------------------------------------------------------------------------------


async def test_examples_find_something_in_this_library(search: Search) -> None:
    examples = await search.examples()
    assert len(examples) == 3
    for example in examples:
        assert (await search.ask(example, mode=Mode.WORDS)).moments, example
    assert examples == await search.examples(OWNER)
    assert examples[0].startswith('"')
    assert examples[2] in ("Party", "Summer at the Lake")


async def test_examples_name_only_what_may_be_seen(search: Search, store: Store) -> None:
    guest = await seeing(store, "Party")
    examples = await search.examples(guest)
    assert examples
    for example in examples:
        assert (await search.ask(example, viewer=guest, mode=Mode.WORDS)).moments, example
    assert await search.examples(Viewer(owner=False, item_ids=frozenset())) == []


async def test_an_empty_library_has_no_examples(store: Store, config: Config) -> None:
    assert await Search(store, config, None).examples() == []


async def test_a_korean_library_has_korean_examples(store: Store, config: Config) -> None:
    lines = ["어제 호수에서 배를 탔다", "호수 물이 차다", "호수 옆에 산이 있다"] * 3
    await store.write(talk.put, "여름 휴가", lines)
    search = Search(store, config, None)
    examples = await search.examples()
    assert examples[-1] == "여름 휴가"
    for example in examples:
        assert (await search.ask(example)).moments, example


async def test_a_title_that_would_be_a_command_is_no_example(store: Store, config: Config) -> None:
    for title in ("-30-", '"Quoted"', "2034", "-minus"):
        await store.write(talk.put, title, ["well"])
    assert await Search(store, config, None).examples() == []


# --- on a connection -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apsw.Connection]:
    connection = db.connect(tmp_path_factory.mktemp("search") / "search.db")
    db.migrate(connection, None)
    meanings = Meanings(ABOUT)
    talk.put(connection, "Summer at the Lake", SUMMER, year=1999, meanings=meanings)
    talk.put(connection, "Party", PARTY, meanings=meanings)
    yield connection
    connection.close()


def ask(connection: apsw.Connection, text: str, viewer: Viewer = OWNER) -> list[drafts.Draft]:
    """Ask the legs one after the other."""
    query = parse(text)
    within = Within(query, viewer)
    said = legs.said(connection, within)
    vector = Meanings(ABOUT).vector(query.wanted or "nothing")
    near = legs.near(connection, within, Vector(talk.MODEL, vector), Codes())
    assert near is not None
    candidates = [
        Candidate(scene_id=each, file_id=said.files[each], score=score, evidence=Evidence(score))
        for each, score in said.scores.items()
    ]
    return drafts.drafts(connection, candidates, marks.wanted(query, said.telling), viewer)


@given(st.text(alphabet=st.sampled_from('now lake호수"“”-*():^\0\n\ud800é的 ORAND'), max_size=24))
def test_whatever_is_typed_never_breaks_a_search(connection: apsw.Connection, text: str) -> None:
    try:
        found = ask(connection, text)
    except QueryError:
        return
    assert all(draft.heard is not None or draft.title_marks for draft in found)


async def test_letters_that_cannot_be_written_break_nothing(search: Search) -> None:
    assert (await search.ask("\ud800now\udfff")).query == "\ud800now\udfff"


def test_what_vanished_meanwhile_is_not_shown(connection: apsw.Connection) -> None:
    missing = Candidate(scene_id=10**9, file_id=1, score=1.0, evidence=Evidence(1.0))
    wanted = marks.wanted(parse("lake"), ())
    assert drafts.drafts(connection, [missing], wanted, OWNER) == []


def test_a_quote_that_is_in_the_index_only_is_not_shown(connection: apsw.Connection) -> None:
    scene_id = min(row[0] for row in connection.execute("select id from scenes"))
    before = findings.scenes_with_lines(connection, [scene_id])[scene_id][1][0].text
    words.index_scene(connection, scene_id, "words that nobody said")
    try:
        assert legs.said(connection, Within(parse('"nobody said"'), OWNER)).scores
        assert ask(connection, '"nobody said"') == []
    finally:
        words.index_scene(connection, scene_id, before)


def test_a_search_reads_indexes_and_never_all_lines(connection: apsw.Connection) -> None:
    """Every statement of a search, explained: no table of texts or vectors is walked through."""
    ran: list[tuple[str, Any]] = []

    def trace(_cursor: object, sql: str, values: Any) -> bool:
        ran.append((sql, values))
        return True

    connection.exec_trace = trace
    guest = Viewer(name="guest", owner=False, item_ids=frozenset({1}))
    try:
        for text in ('"now" towel -rex', "summer lake ducks"):
            ask(connection, text)
            ask(connection, text, guest)
    finally:
        connection.exec_trace = None
    assert len(ran) > 20
    for sql, values in ran:
        rows = connection.execute(f"explain query plan {sql}", values)
        steps = [str(row[3]) for row in rows]
        walked = [step for step in steps if step.startswith("SCAN") and "VIRTUAL" not in step]
        allowed = (
            "SCAN files",
            "SCAN items",
            "SCAN parts",
            "SCAN paths",
            "SCAN (subquery",
            "SCAN found",
        )
        counted = "select count(*)" in sql
        for step in walked:
            assert counted or step.startswith(allowed), (step, sql)
            assert "lines" not in step
            assert "SCAN vectors" not in step


def test_a_long_film_is_read_around_the_scene_only(tmp_path: Path) -> None:
    connection = db.connect(tmp_path / "long.db")
    db.migrate(connection, None)
    talk.put(connection, "Long", [f"line {number}" for number in range(400)])
    last = max(row[0] for row in connection.execute("select id from scenes"))
    steps = 0

    def count() -> bool:
        nonlocal steps
        steps += 1
        return False

    connection.set_progress_handler(count, 10)
    scenes = findings.scenes_with_lines(connection, [last])
    connection.set_progress_handler(None)
    assert [line.text for line in scenes[last][1]] == ["line 399"]
    assert steps < 200  # of ten steps of SQLite each; all 400 lines would be some 600
    connection.close()
