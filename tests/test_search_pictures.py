"""Search by what is seen: pictures that are given, scenes like others, words for what is shown."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace

import pytest

from companion.config import Config, Features
from companion.errors import FeatureOff, ModelMissing, PictureRefused, QueryError, ScanFailed
from companion.model import OWNER, Answer, Leg, Moment, Reason, Viewer
from companion.search import legs, pictures
from companion.search.fusion import Weights
from companion.search.query import Mode
from companion.search.search import NOT_LOOKED_AT, NOT_SEEN, Search
from companion.store import findings, library
from companion.store.db import Store
from scanners import uploads
from scanners.base import Encoded
from tests import talk
from tests.talk import SCENE_MS, Looks, Meanings

ABOUT = {
    **dict.fromkeys(("lake", "lakeside", "water"), "water"),
    **dict.fromkeys(("dog", "puppy"), "dog"),
}


@pytest.fixture
def looks() -> Looks:
    return Looks(Meanings(ABOUT))


@pytest.fixture
async def search(store: Store, config: Config, looks: Looks) -> Search:
    """Search in two films: of a lake and a dog, and of a dog and a car."""
    await put(store, looks, "Summer", SUMMER)
    await put(store, looks, "Garden", GARDEN)
    return searching(store, config, looks)


SUMMER = [
    ("we go now", ["road from above"]),
    ("here we are", ["lake at noon", "boat in the reeds"]),
    ("good boy", ["dog in the grass"]),
]
GARDEN = [("fetch the ball", ["dog with a ball"]), ("the engine again", ["car in the yard"])]


async def put(
    store: Store, looks: Looks, title: str, scenes: Sequence[tuple[str, list[str]]]
) -> int:
    """Keep a film of lines and frames; return the id of its file."""
    spoken = [line for line, _ in scenes]
    file = await store.write(talk.put, title, spoken, meanings=Meanings(ABOUT))
    frames = {number: names for number, (_, names) in enumerate(scenes)}
    await store.write(talk.put_frames, file.id, frames, looks)
    return file.id


def searching(store: Store, config: Config, looks: Looks) -> Search:
    return Search(store, config, Meanings(ABOUT).encode, looks.see, looks.look_at)


def shown(moments: Sequence[Moment]) -> list[tuple[str, int]]:
    """Return film and scene number of moments."""
    return [(moment.item.title, moment.start_ms // SCENE_MS) for moment in moments]


def everything(answer: Answer) -> list[tuple[str, int]]:
    return shown([*answer.moments, *answer.weak])


def reason(moment: Moment, leg: Leg) -> Reason:
    return next(each for each in moment.reasons if each.leg is leg)


async def seeing(store: Store, *titles: str) -> Viewer:
    items = await store.read(library.items, OWNER, limit=99)
    ids = frozenset(item.id for item in items if item.title in titles)
    return Viewer(name="guest", owner=False, item_ids=ids)


async def scene_id(store: Store, title: str, number: int) -> int:
    items = await store.read(library.items, OWNER, limit=99)
    item = next(item for item in items if item.title == title)
    (file,) = await store.read(library.files_of_item, item.id)
    return (await store.read(findings.scenes_of_file, file.id))[number].id


# --- a picture that is given ---------------------------------------------------------------------


async def test_a_picture_finds_the_scene_that_looks_like_it(search: Search) -> None:
    answer = await search.ask("", picture=await search.look(b"boat on a trailer"))
    assert shown(answer.moments) == [("Summer", 1)]
    best = answer.moments[0]
    assert best.strong
    assert best.at_ms == SCENE_MS + 2_000  # of the two frames the second
    assert [each.leg for each in best.reasons] == [Leg.PICTURE]
    assert reason(best, Leg.PICTURE).at_ms == best.at_ms
    assert (answer.query, answer.notes) == ("", ())


async def test_a_picture_of_nothing_here_is_no_strong_match(search: Search) -> None:
    answer = await search.ask("", picture=await search.look(b"submarine"))
    assert answer.moments == ()
    assert len(answer.weak) == 5  # the nearest guesses


async def test_words_beside_a_picture_choose_among_what_looks_alike(search: Search) -> None:
    dog = await search.look(b"dog")
    assert set(shown((await search.ask("", picture=dog)).moments)) == {("Summer", 2), ("Garden", 0)}
    answer = await search.ask("ball", picture=dog)
    assert shown(answer.moments)[0] == ("Garden", 0)
    assert {each.leg for each in answer.moments[0].reasons} >= {Leg.WORDS, Leg.PICTURE}
    both, one = answer.moments[0].score, answer.moments[1].score
    assert shown(answer.moments)[1] == ("Summer", 2)
    assert both > one


async def test_what_only_has_the_words_comes_after_what_has_both(search: Search) -> None:
    answer = await search.ask("good boy", picture=await search.look(b"dog with a ball"))
    assert shown(answer.moments)[:2] == [("Summer", 2), ("Garden", 0)]
    words_only = await search.ask("engine", picture=await search.look(b"dog"))
    assert shown(words_only.moments)[-1] == ("Garden", 1)


@pytest.mark.parametrize("query", ['"good boy"', "-ball"])
async def test_quotes_and_minus_bound_what_a_picture_finds(search: Search, query: str) -> None:
    answer = await search.ask(query, picture=await search.look(b"dog"))
    assert ("Garden", 0) not in everything(answer)
    assert shown(answer.moments) == [("Summer", 2)]


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_picture_is_looked_for_in_every_mode(search: Search, mode: Mode) -> None:
    answer = await search.ask("", picture=await search.look(b"lake"), mode=mode)
    assert shown(answer.moments) == [("Summer", 1)]


async def test_without_weight_for_pictures_a_picture_finds_nothing(search: Search) -> None:
    lake = await search.look(b"lake")
    answer = await search.ask("", picture=lake, weights=Weights(picture=0.0))
    assert everything(answer) == []


async def test_what_is_hidden_takes_no_place_of_what_looks_less_alike(
    store: Store, config: Config, looks: Looks
) -> None:
    hidden = [("", [f"lake {number}"]) for number in range(legs.NEAREST + 10)]
    await put(store, looks, "Hidden", hidden)
    await put(store, looks, "Seen", [("", ["lake seen"])])
    search = searching(store, config, looks)
    guest = await seeing(store, "Seen")
    answer = await search.ask("", picture=await search.look(b"lake"), viewer=guest)
    assert everything(answer) == [("Seen", 0)]
    nobody = Viewer(owner=False, item_ids=frozenset())
    answer = await search.ask("", picture=await search.look(b"lake"), viewer=nobody)
    assert everything(answer) == []


async def test_a_picture_leaves_nothing_behind(
    search: Search, config: Config, looks: Looks
) -> None:
    await search.look(b"lake")
    assert looks.asked == [b"lake"]
    looks.error = ScanFailed("picture", "this is no picture", permanent=True)
    with pytest.raises(PictureRefused):
        await search.look(b"<svg>")
    assert list((config.cache / "asked").iterdir()) == []


async def test_what_a_killed_process_left_is_taken_away(search: Search, config: Config) -> None:
    folder = config.cache / "asked"
    folder.mkdir(parents=True)
    old, new = folder / "picture-old", folder / "picture-new"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (1, 1))
    await search.look(b"lake")
    assert sorted(path.name for path in folder.iterdir()) == ["picture-new"]


async def test_what_cannot_be_looked_at_says_why(search: Search, looks: Looks) -> None:
    with pytest.raises(PictureRefused, match="larger than 20 MB"):
        await search.look(bytes(pictures.MAX_BYTES + 1))
    assert looks.asked == []
    looks.error = ScanFailed("picture", "the picture has only 4 x 4 pixels", permanent=True)
    with pytest.raises(PictureRefused, match=r"^the picture has only 4 x 4 pixels$"):
        await search.look(b"small")
    looks.error = ScanFailed("picture", "the child is gone", permanent=False)
    with pytest.raises(ScanFailed, match="the child is gone"):
        await search.look(b"lake")
    looks.error = ModelMissing("efficientnet-lite0 is missing")
    with pytest.raises(ModelMissing):
        await search.look(b"lake")


async def test_a_model_that_hangs_is_not_waited_for(
    store: Store, config: Config, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "LOOK_LIMIT_S", 0.01)

    async def hang(_path: bytes) -> Encoded:
        await asyncio.Event().wait()
        raise AssertionError

    search = Search(store, config, None, looks.see, hang)
    with pytest.raises(ScanFailed, match="in time"):
        await search.look(b"lake")


def test_pictures_may_be_as_large_as_the_child_takes_them() -> None:
    assert pictures.MAX_BYTES == uploads.MAX_BYTES


# --- more like a scene ---------------------------------------------------------------------------


async def test_scenes_like_another_are_found_but_never_itself(search: Search, store: Store) -> None:
    answer = await search.ask("", like=await scene_id(store, "Summer", 2))
    assert shown(answer.moments) == [("Garden", 0)]
    assert ("Summer", 2) not in everything(answer)


async def test_every_frame_of_the_scene_counts(search: Search, store: Store, looks: Looks) -> None:
    await put(store, looks, "Winter", [("", ["lake of ice"]), ("", ["boat of wood"])])
    answer = await search.ask("", like=await scene_id(store, "Summer", 1))
    assert sorted(shown(answer.moments)) == [("Winter", 0), ("Winter", 1)]


async def test_words_choose_among_scenes_that_are_alike(
    search: Search, store: Store, looks: Looks
) -> None:
    await put(store, looks, "Winter", [("snow", ["dog in snow"]), ("the ball", ["dog with ball"])])
    answer = await search.ask("snow", like=await scene_id(store, "Summer", 2))
    assert shown(answer.moments)[0] == ("Winter", 0)


async def test_a_scene_that_may_not_be_seen_is_like_one_that_is_not_there(
    search: Search, store: Store
) -> None:
    guest = await seeing(store, "Garden")
    hidden = await search.ask("", like=await scene_id(store, "Summer", 2), viewer=guest)
    absent = await search.ask("", like=10**9, viewer=guest)
    assert replace(hidden, took_ms=0) == replace(absent, took_ms=0)
    assert (hidden.moments, hidden.weak, hidden.notes) == ((), (), (NOT_LOOKED_AT,))
    own = await search.ask("", like=await scene_id(store, "Garden", 0), viewer=guest)
    assert {title for title, _ in everything(own)} == {"Garden"}


async def test_a_scene_that_was_not_looked_at_has_none_like_it(
    search: Search, store: Store
) -> None:
    await store.write(talk.put, "Talk", ["only words"])
    answer = await search.ask("", like=await scene_id(store, "Talk", 0))
    assert (answer.moments, answer.notes) == ((), (NOT_LOOKED_AT,))


async def test_a_picture_and_a_scene_at_once_are_not_understood(
    search: Search, store: Store
) -> None:
    with pytest.raises(QueryError, match="not for both"):
        await search.ask("", picture=await search.look(b"dog"), like=1)


# --- words for what is shown ---------------------------------------------------------------------


async def test_words_find_what_a_frame_shows(search: Search) -> None:
    answer = await search.ask("puppy", mode=Mode.MEANING)
    assert set(shown(answer.moments)) == {("Summer", 2), ("Garden", 0)}
    best = answer.moments[0]
    assert best.reasons[0].leg is Leg.PICTURE
    assert best.at_ms == best.start_ms + 1_000
    assert answer.notes == ()


async def test_words_alone_look_at_no_picture(search: Search) -> None:
    assert everything(await search.ask("puppy", mode=Mode.WORDS)) == []


# --- what cannot be done -------------------------------------------------------------------------


async def test_switched_off_no_picture_is_asked_and_a_note_tells(
    search: Search, store: Store, config: Config, looks: Looks
) -> None:
    lake = await search.look(b"lake")
    off = replace(config, features=Features(vision=False))
    without = searching(store, off, looks)
    answer = await without.ask("puppy")
    assert answer.notes == ("Picture search is off",)
    assert all(each.leg is not Leg.PICTURE for m in answer.moments for each in m.reasons)
    assert (await without.ask("puppy", mode=Mode.WORDS)).notes == ()
    for asking in (without.look(b"lake"), without.ask("", picture=lake), without.ask("", like=1)):
        with pytest.raises(FeatureOff, match=r"features\.vision"):
            await asking
    assert looks.asked == [b"lake"]


async def test_before_the_first_picture_a_note_tells(
    store: Store, config: Config, looks: Looks
) -> None:
    await store.write(talk.put, "Talk", ["only words"], meanings=Meanings(ABOUT))
    search = searching(store, config, looks)
    assert (await search.ask("words")).notes == (NOT_SEEN,)
    answer = await search.ask("", picture=await search.look(b"lake"))
    assert (answer.moments, answer.notes) == ((), (NOT_SEEN,))


async def test_pictures_of_another_model_are_not_compared(
    search: Search, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talk, "LOOKS_MODEL", "another@1")
    answer = await search.ask("", picture=await search.look(b"lake"))
    assert (answer.moments, answer.notes) == ((), (NOT_SEEN,))
