"""Search by what is written in the picture: signs, titles, captions, burned-in subtitles."""

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from companion.config import Config
from companion.findings import OnscreenText
from companion.model import Answer, Leg, Moment, Reason, Viewer
from companion.search import marks
from companion.search.marks import Cut
from companion.search.query import Mode, parse
from companion.search.search import Search
from companion.search.terms import terms
from companion.search.written import Written, written
from companion.store import pictures
from companion.store.db import Store
from companion.store.pictures import LONGEST_TEXT_MS, Box, OnscreenRow
from tests import talk
from tests.talk import SCENE_MS, Meanings, shown

SIGN: Box = (0.6, 0.1, 0.3, 0.05)
BELOW: Box = (0.55, 0.2, 0.2, 0.05)
SPOKEN = ["Where are we going now?", "Somewhere nice, you will see.", "The harbour is closed."]


async def put(
    store: Store,
    texts: Sequence[OnscreenText],
    spoken: Sequence[str | list[str]] = SPOKEN,
    title: str = "Trip",
) -> int:
    file = await store.write(talk.put, title, spoken)
    await store.write(talk.put_texts, file.id, texts)
    return file.id


async def ask(store: Store, config: Config, query: str, mode: Mode = Mode.WORDS) -> Answer:
    return await Search(store, config, None).ask(query, mode=mode)


def only(answer: Answer) -> Moment:
    assert len(answer.moments) == 1, answer.moments
    return answer.moments[0]


def legs(moment: Moment) -> list[Leg]:
    return [reason.leg for reason in moment.reasons]


def pieces(found: Reason) -> list[str]:
    return [found.text[span.start : span.end] for span in found.marks]


# --- what is found -------------------------------------------------------------------------------


async def test_what_is_only_written_is_found_with_its_place_and_second(
    store: Store, config: Config
) -> None:
    await put(store, [shown("CAFÉ Riviera", 7_200, 9_000, SIGN)])
    moment = only(await ask(store, config, "riviera"))
    assert legs(moment) == [Leg.ONSCREEN]
    (found,) = moment.reasons
    assert (found.text, pieces(found)) == ("CAFÉ Riviera", ["Riviera"])
    assert found.box == pytest.approx(SIGN)
    assert found.at_ms == moment.at_ms == 7_200
    assert (moment.start_ms, moment.end_ms) == (SCENE_MS, 2 * SCENE_MS)
    assert moment.strong


async def test_an_accent_and_the_beginning_of_a_word_are_enough(
    store: Store, config: Config
) -> None:
    await put(store, [shown("CAFÉ Riviera", 7_200, 9_000, SIGN)])
    assert pieces(only(await ask(store, config, "cafe")).reasons[0]) == ["CAFÉ"]
    assert pieces(only(await ask(store, config, "riviér")).reasons[0]) == ["Riviera"]


async def test_of_several_texts_the_one_with_most_of_the_words_is_shown(
    store: Store, config: Config
) -> None:
    await put(
        store, [shown("Riviera", 6_500, 7_000), shown("Hotel by the Riviera", 8_000, 9_000, SIGN)]
    )
    moment = only(await ask(store, config, "hotel riviera"))
    assert (moment.reasons[0].text, moment.at_ms) == ("Hotel by the Riviera", 8_000)


async def test_words_said_and_words_written_are_found_together(
    store: Store, config: Config
) -> None:
    await put(store, [shown("Platform 9", 1_000, 3_000)])
    moment = only(await ask(store, config, "platform going"))
    assert sorted(legs(moment)) == [Leg.ONSCREEN, Leg.WORDS]
    said = next(reason for reason in moment.reasons if reason.leg is Leg.WORDS)
    assert pieces(said) == ["going"]
    assert moment.at_ms == 1_000  # the longer match says where to start
    assert moment.score > 0.85


async def test_a_text_that_runs_over_a_cut_is_one_moment(store: Store, config: Config) -> None:
    await put(store, [shown("Riviera", 5_000, 8_000)])
    moment = only(await ask(store, config, "riviera"))
    assert (moment.start_ms, moment.end_ms, moment.at_ms) == (0, 2 * SCENE_MS, 5_000)


async def test_a_film_without_a_word_said_is_found_by_its_captions(
    store: Store, config: Config
) -> None:
    await put(store, [burned_in(shown("Meanwhile, at home", 100, 2_000))], spoken=[[], []])
    moment = only(await ask(store, config, "meanwhile home"))
    assert legs(moment) == [Leg.ONSCREEN]


def burned_in(text: OnscreenText) -> OnscreenText:
    return OnscreenText(text.start_ms, text.end_ms, text.text, text.box, text.score, True)


# --- said as well --------------------------------------------------------------------------------


async def test_a_burned_in_subtitle_is_neither_counted_nor_shown_twice(
    store: Store, config: Config
) -> None:
    plain = await put(store, [], title="Plain")
    burned = [
        burned_in(shown(text, n * SCENE_MS, (n + 1) * SCENE_MS)) for n, text in enumerate(SPOKEN)
    ]
    await put(store, burned, title="Burned")
    answer = await ask(store, config, "harbour closed")
    assert {moment.item.title for moment in answer.moments} == {"Plain", "Burned"}
    assert {legs(moment)[0] for moment in answer.moments} == {Leg.WORDS}
    assert all(len(moment.reasons) == 1 for moment in answer.moments)
    one, other = answer.moments
    assert one.score == pytest.approx(other.score, abs=0.02)  # but for bm25's order of equals
    assert plain


async def test_a_caption_that_is_also_said_is_shown_once(store: Store, config: Config) -> None:
    """As above, but nobody noticed that it is a subtitle."""
    await put(store, [shown("THE HARBOUR IS CLOSED", 2 * SCENE_MS, 3 * SCENE_MS)])
    for query in ("harbour", "closed harbour", '"harbour is closed"'):
        moment = only(await ask(store, config, query))
        assert legs(moment) == [Leg.WORDS], query


async def test_a_sign_that_says_more_than_is_said_is_a_reason_too(
    store: Store, config: Config
) -> None:
    await put(store, [shown("HARBOUR MASTER'S OFFICE", 2 * SCENE_MS, 3 * SCENE_MS)])
    moment = only(await ask(store, config, "harbour"))
    assert legs(moment) == [Leg.WORDS, Leg.ONSCREEN]
    assert moment.at_ms == 2 * SCENE_MS


# --- quotes and minus ----------------------------------------------------------------------------


async def test_a_quote_is_found_on_a_sign(store: Store, config: Config) -> None:
    await put(store, [shown("NO ENTRY beyond this point", 13_000, 14_000, SIGN)])
    moment = only(await ask(store, config, '"entry beyond"'))
    (found,) = moment.reasons
    assert (found.leg, found.score, pieces(found)) == (Leg.ONSCREEN, 1.0, ["ENTRY beyond"])
    assert moment.at_ms == 13_000
    assert not (await ask(store, config, '"beyond entry"')).moments


async def test_a_quote_over_two_texts_has_the_box_around_both(store: Store, config: Config) -> None:
    await put(store, [shown("GRAND", 7_000, 9_000, SIGN), shown("HOTEL", 7_000, 9_000, BELOW)])
    moment = only(await ask(store, config, '"grand hotel"'))
    (found,) = moment.reasons
    assert (found.text, pieces(found)) == ("GRAND HOTEL", ["GRAND", "HOTEL"])
    assert found.box == pytest.approx((0.55, 0.1, 0.35, 0.15))


async def test_the_box_is_around_what_is_shown_together(store: Store, config: Config) -> None:
    await put(store, [shown("GRAND", 7_000, 8_000, SIGN), shown("HOTEL", 9_000, 9_500, BELOW)])
    moment = only(await ask(store, config, "grand hotel"))
    assert moment.reasons[0].box == pytest.approx(SIGN)


async def test_a_quote_may_be_said_while_its_neighbour_is_written(
    store: Store, config: Config
) -> None:
    await put(store, [shown("Platform 9", 1_000, 3_000)])
    moment = only(await ask(store, config, '"platform 9" "we going"'))
    assert sorted(legs(moment)) == [Leg.ONSCREEN, Leg.WORDS]
    assert not (await ask(store, config, '"platform 9" "the harbour"')).moments


async def test_a_quote_from_speech_into_the_picture_is_none(store: Store, config: Config) -> None:
    await put(store, [shown("Riviera", 1_000, 3_000)])
    assert not (await ask(store, config, '"now riviera"')).moments


@pytest.mark.parametrize("query", ["going -platform", 'going -"platform 9"'])
async def test_a_minus_leaves_out_what_is_written(store: Store, config: Config, query: str) -> None:
    await put(store, [shown("Platform 9", 1_000, 3_000)])
    only(await ask(store, config, "going"))
    answer = await ask(store, config, query)
    assert (answer.moments, answer.weak) == ((), ())


# --- who may see what, and how -------------------------------------------------------------------


async def test_nobody_reads_what_they_may_not_see(store: Store, config: Config) -> None:
    await put(store, [shown("Riviera", 1_000, 3_000)])
    guest = Viewer(name="guest", owner=False, item_ids=frozenset())
    answer = await Search(store, config, None).ask("riviera", viewer=guest)
    assert (answer.moments, answer.weak) == ((), ())


async def test_meaning_alone_gives_no_text_of_the_picture(store: Store, config: Config) -> None:
    meanings = Meanings({})
    file_id = await put(store, [shown("Riviera", 1_000, 3_000)])
    await store.write(talk.put_vectors, file_id, meanings)
    answer = await Search(store, config, meanings.encode).ask("riviera", mode=Mode.MEANING)
    found = [*answer.moments, *answer.weak]
    assert found
    assert all(Leg.ONSCREEN not in legs(moment) for moment in found)


async def test_what_has_stood_there_for_long_is_not_read_with_every_scene(store: Store) -> None:
    late = (0, LONGEST_TEXT_MS + SCENE_MS)
    file = await store.write(talk.put_file, "Long")
    await store.write(talk.put_lines, file.id, [], [(ms, ms + SCENE_MS) for ms in late])
    await store.write(talk.put_texts, file.id, [shown("News", 1_000, 2 * LONGEST_TEXT_MS, SIGN)])
    scenes = await store.read(
        lambda c: [row[0] for row in c.execute("select id from scenes order by number")]
    )
    found = await store.read(pictures.onscreen_of_scenes, scenes)
    assert list(found) == [scenes[0]]


# --- on its own ----------------------------------------------------------------------------------


def row(number: int, text: str, box: Box = SIGN) -> OnscreenRow:
    start_ms = number * 1_000
    return OnscreenRow(
        id=number,
        start_ms=start_ms,
        end_ms=start_ms + 5_000,
        text=text,
        box=box,
        score=0.9,
        subtitle=False,
    )


def look(texts: Sequence[str], spoken: Sequence[str], query: str) -> Written | None:
    asked = parse(query)
    wanted = marks.wanted(asked, terms(asked))
    rows = [row(number, text) for number, text in enumerate(texts)]
    return written(rows, [Cut(text) for text in spoken], wanted, in_a_row=False)


WORDS = st.lists(st.sampled_from(["lake", "dog", "호수", "x-ray", "9", "Café"]), max_size=5)
TEXTS = st.lists(WORDS.map(" ".join), max_size=4)


@given(TEXTS, TEXTS, WORDS.map(" ".join))
def test_marks_lie_in_the_text_and_what_is_said_is_never_shown(
    texts: list[str], spoken: list[str], query: str
) -> None:
    found = look(texts, spoken, query)
    if found is None:
        return
    assert found.text in texts
    assert found.text not in spoken
    assert found.marks
    ends = [(span.start, span.end) for span in found.marks]
    assert ends == sorted(ends)
    assert all(0 <= start < end <= len(found.text) for start, end in ends)


@given(TEXTS, WORDS.map(" ".join))
def test_nothing_is_found_in_no_text(spoken: list[str], query: str) -> None:
    assert look([], spoken, query) is None
