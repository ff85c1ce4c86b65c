"""Scores: pure functions, so their promises are properties."""

import math

import pytest
from hypothesis import given, strategies as st

from companion.search import fusion
from companion.search.fusion import (
    STRONG,
    Candidate,
    Evidence,
    Near,
    Said,
    TitleAnswer,
    Weights,
    picture_calibration,
    score,
)

MODEL = "use-m3@abcdef"
share = st.floats(0, 1)
evidence = st.builds(Evidence, share, share, share, st.booleans(), st.booleans(), share, share)
weights = st.builds(Weights, text=share, picture=share, person=share)


def fuse(
    words: dict[int, float] | None = None,
    cosines: dict[int, float] | None = None,
    *,
    titles: dict[int, float] | None = None,
    quoted: tuple[int, ...] = (),
    answers: tuple[TitleAnswer, ...] = (),
    limit: int = 100,
) -> list[Candidate]:
    """Fuse scenes that all are in a film of their own, with the id of the scene plus 100."""
    files = {scene_id: scene_id + 100 for scene_id in {**(words or {}), **(cosines or {})}}
    said = Said(
        scores=words or {}, files=files, titles=titles or {}, quoted=quoted, answers=answers
    )
    near = Near(model=MODEL, cosines=cosines or {}, files=files)
    return fusion.fuse(said, near, Weights(), limit=limit)


# --- one score -----------------------------------------------------------------------------------


@given(evidence, weights)
def test_a_score_is_between_nothing_and_certain(found: Evidence, given: Weights) -> None:
    assert 0 <= fusion.score(found, given) <= 1


@given(evidence, st.sampled_from(["words", "meaning", "title"]), share)
def test_more_evidence_never_lowers_a_score(found: Evidence, leg: str, more: float) -> None:
    raised = found._replace(**{leg: max(more, getattr(found, leg))})
    assert fusion.score(raised, Weights()) >= fusion.score(found, Weights()) - 1e-12


@given(evidence)
def test_a_quote_never_lowers_a_score(found: Evidence) -> None:
    without, with_it = found._replace(quote=False), found._replace(quote=True)
    assert fusion.score(with_it, Weights()) >= fusion.score(without, Weights())


@given(share, share)
def test_words_and_meaning_weigh_the_same(one: float, other: float) -> None:
    assert fusion.text_score(one, other) == fusion.text_score(other, one)
    assert max(one, other) <= fusion.text_score(one, other) <= 1


def test_a_quote_alone_is_a_strong_match_and_nothing_is_not() -> None:
    assert fusion.score(Evidence(quote=True), Weights()) >= STRONG
    assert fusion.score(Evidence(), Weights()) == 0


def test_without_a_weight_what_is_said_does_not_count() -> None:
    assert fusion.score(Evidence(words=1.0, meaning=1.0), Weights(text=0)) == 0


@given(st.floats(0.01, 1), share)
def test_one_kind_of_evidence_needs_no_weighing(weight: float, words: float) -> None:
    found = Evidence(words=words)
    assert fusion.score(found, Weights(text=weight)) == fusion.score(found, Weights())


# --- calibration ---------------------------------------------------------------------------------


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_larger_cosine_never_means_less(one: float, other: float) -> None:
    read = fusion.calibration(MODEL)
    low, high = sorted((one, other))
    assert 0 <= read(low) <= read(high) <= 1


def test_each_model_has_its_own_floor() -> None:
    read = fusion.calibration(MODEL)
    assert read(read.middle) == pytest.approx(STRONG)
    assert fusion.calibration("never-heard-of@123456") is fusion.UNKNOWN_MODEL
    assert read is not fusion.UNKNOWN_MODEL


def test_even_a_broken_cosine_is_read() -> None:
    assert fusion.calibration(MODEL)(-1e9) == pytest.approx(0)
    assert fusion.calibration(MODEL)(1e9) == pytest.approx(1)


@given(share, share)
def test_more_of_the_words_never_means_less(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= fusion.words_score(low) <= fusion.words_score(high) <= 1


def test_half_of_the_words_are_a_guess_and_all_of_them_a_match() -> None:
    assert fusion.words_score(0.5) < STRONG < fusion.words_score(1.0) < fusion.PHRASE


@given(share, share)
def test_bm25_only_orders_what_is_otherwise_equal(words: float, place: float) -> None:
    tied = fusion.tie(words, place)
    assert words * (1 - fusion.TIE) - 1e-12 <= tied <= words
    assert fusion.tie(words, 0) == words


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 10_000))
def test_a_rarer_word_weighs_more(one: int, other: int, total: int) -> None:
    rare, common = sorted((one, other))
    heavy, light = (fusion.inverse_frequency(each, total) for each in (rare, common))
    assert heavy >= light > 0
    assert math.isfinite(heavy)


# --- one list ------------------------------------------------------------------------------------


def test_scenes_of_both_legs_are_joined_best_first() -> None:
    found = fuse({1: 0.9, 2: 0.3}, {2: 0.6, 3: 0.2})
    assert [each.scene_id for each in found] == [2, 1, 3]
    assert [each.file_id for each in found] == [102, 101, 103]
    assert found[0].evidence.words == 0.3
    assert found[0].evidence.meaning > 0.9
    assert [each.strong for each in found] == [True, True, False]


def test_what_both_legs_find_beats_what_one_finds() -> None:
    found = fuse({1: 0.8, 2: 0.8}, {2: 0.4})
    assert [each.scene_id for each in found] == [2, 1]


def test_an_exact_quote_comes_before_mere_nearness() -> None:
    found = fuse({1: 1.0}, {2: 0.9}, quoted=(1,))
    assert [each.scene_id for each in found] == [1, 2]
    assert found[0].evidence.quote


def test_a_title_lifts_the_scenes_of_its_film() -> None:
    found = fuse({1: 0.4, 2: 0.4}, titles={102: 1.0})
    assert [each.scene_id for each in found] == [2, 1]
    assert found[0].evidence.title == 1.0


def test_a_title_that_is_all_of_the_query_is_an_answer_itself() -> None:
    answer = TitleAnswer(item_id=7, share=1.0, scene_id=5, file_id=105)
    found = fuse({1: 0.2}, answers=(answer,), titles={105: 1.0})
    assert found[0] == Candidate(
        scene_id=5,
        file_id=105,
        score=fusion.TITLE_ANSWER,
        evidence=Evidence(title=1.0, answer=True),
        item_id=7,
    )
    assert found[0].strong


def test_no_scene_of_a_film_with_the_title_is_strong_by_the_title_alone() -> None:
    (found,) = fuse(cosines={1: 0.1}, titles={101: 1.0})
    assert not found.strong


@given(
    st.dictionaries(st.integers(1, 30), share, max_size=12),
    st.dictionaries(st.integers(1, 30), st.floats(-1, 1), max_size=12),
    st.integers(0, 30),
)
def test_the_list_is_in_order_without_doubles_and_loses_only_the_worst(
    words: dict[int, float], cosines: dict[int, float], limit: int
) -> None:
    every = fuse(words, cosines)
    assert {each.scene_id for each in every} == {*words, *cosines}
    assert len(every) == len({each.scene_id for each in every})
    scores = [each.score for each in every]
    assert scores == sorted(scores, reverse=True)
    assert fuse(words, cosines, limit=limit) == every[:limit]


def test_nothing_found_is_an_empty_list() -> None:
    assert fuse() == []


# --- no film takes all places --------------------------------------------------------------------


def spread(candidates: list[Candidate], limit: int) -> list[Candidate]:
    return fusion.spread(candidates, limit, lambda each: each.file_id)


def of_film(file_id: int, number: int) -> list[Candidate]:
    return [
        Candidate(
            scene_id=file_id * 1000 + place,
            file_id=file_id,
            score=1 - file_id / 10 - place / 1000,
            evidence=Evidence(),
        )
        for place in range(number)
    ]


def test_one_film_leaves_room_for_the_others() -> None:
    candidates = [*of_film(1, 100), *of_film(2, 5), *of_film(3, 1)]
    taken = [each.file_id for each in spread(candidates, 40)]
    assert len(taken) == 40
    assert (taken.count(2), taken.count(3)) == (5, 1)
    assert taken == sorted(taken)  # still in the order of the scores


def test_a_film_alone_takes_every_place() -> None:
    assert spread(of_film(1, 100), 40) == of_film(1, 40)


@given(
    st.lists(st.tuples(st.integers(1, 4), share), max_size=60),
    st.integers(0, 70),
)
def test_spreading_keeps_the_order_and_fills_the_places(
    drawn: list[tuple[int, float]], limit: int
) -> None:
    candidates = [
        Candidate(scene_id=number, file_id=file_id, score=score, evidence=Evidence())
        for number, (file_id, score) in enumerate(sorted(drawn, key=lambda each: -each[1]))
    ]
    kept = spread(candidates, limit)
    assert len(kept) == min(limit, len(candidates))
    places = [each.scene_id for each in kept]
    assert places == sorted(places)
    if candidates and limit:
        assert kept[0] == candidates[0]


# --- pictures ------------------------------------------------------------------------------------


def test_what_was_measured_of_pictures_lies_on_its_side_of_the_floor() -> None:
    """The middle and the worst tenth of true matches, and the nearest wrong ones; README.md."""
    alike = picture_calibration("efficientnet-lite0@1", by_picture=True)
    assert all(alike(cosine) >= STRONG for cosine in (0.913, 0.686, 0.60))
    assert alike(0.467) < 0.1
    words = picture_calibration("efficientnet-lite0@1+use-m3@2", by_picture=False)
    assert words(0.532) < STRONG < words(0.662)
    assert picture_calibration("unheard-of@1", by_picture=True)(0.7) == pytest.approx(STRONG)


@given(st.floats(0, 1), st.floats(0, 1))
def test_words_and_a_picture_together_want_both(text: float, seen: float) -> None:
    both = score(Evidence(words=text, picture=seen), Weights(), together=True)
    alone = score(Evidence(words=max(text, seen)), Weights(), together=True)
    assert alone <= both <= max(text, seen)
    assert score(Evidence(words=1.0), Weights(), together=True) == pytest.approx(0.7)


def test_tags_and_nearness_of_one_model_do_not_add_up() -> None:
    one = score(Evidence(picture=0.6), Weights())
    assert score(Evidence(picture=0.6, tag=0.5), Weights()) == one
    assert score(Evidence(tag=0.7), Weights(picture=0.0)) == 0.0
