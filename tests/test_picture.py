"""The picture stage: which frames stand for a scene, and what the model says of them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from scanners import engines, looking, models, picture, runtime
from scanners.base import (
    STAGES,
    Finding,
    MediaInfo,
    Options,
    PictureVector,
    Reply,
    Scan,
    Scene,
    StageDone,
    StageError,
    StageInfo,
    Tags,
)
from scanners.fanout import PicturePass
from scanners.frames import Image
from scanners.looking import LOOKS, WORDS, Look, Looker
from scanners.media import probe
from scanners.models import Model
from scanners.picture import Candidate, Picture, PictureWords, pick
from scanners.scenes import Scenes
from scanners.shots import Shots
from tests.films import make_film
from tests.pictures import CLASSES, noise, sample, seeing

__all__ = ["seeing"]

MEDIA = MediaInfo(container="none", duration_ms=60_000)


def candidate(ms: int, sharpness: float, seed: int | None = None) -> Candidate:
    """Return a candidate; those of one seed look alike, and without a seed like nothing else."""
    luma = np.random.default_rng(ms if seed is None else seed).uniform(0, 255, (18, 32))
    return Candidate(ms, sharpness, luma.astype(np.float32), np.zeros((1, 1, 3), np.uint8))


class Tiny:
    """A model of pictures that knows one number: what colour a picture has in the mean."""

    model, words_model, batch = "tiny@0", "tiny@0", 4

    def __init__(self, models_folder: Path, name: str, options: Options) -> None:
        self.looked: list[int] = []  # how many pictures, each time

    def prepare(self, rgb: Image) -> Image:
        return looking.shrink(rgb, 4, 4)

    def look(self, pictures: Sequence[Image]) -> list[Look]:
        self.looked.append(len(pictures))
        rows = [one.reshape(-1).astype(np.float32) - 127 for one in pictures]
        return [Look({WORDS: row}, (("thing", 0.5),)) for row in looking.unit(np.stack(rows))]

    def encode_texts(self, texts: Sequence[str]) -> looking.Vectors:
        return np.ones((len(texts), 48), np.float32) / np.float32(48**0.5)


@pytest.fixture(autouse=True)
def nothing_loaded() -> Iterator[None]:
    picture._kept.clear()
    yield
    picture._kept.clear()
    runtime.let_go()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Options:
    """Return options that name a model which needs no file."""
    row = Model(role="picture", engine="tiny-picture", files=(), sources=(), licence="CC0")
    monkeypatch.setitem(models.MODELS, "tiny", row)
    monkeypatch.setitem(engines.ENGINES, "tiny-picture", "tests.test_picture:Tiny")
    return Options(roles={"picture": "tiny"})


def stage(options: Options, **changes: Any) -> Picture:
    return Picture(Scan(id=1, path=b"", stages=("picture",), options=options, **changes), MEDIA)


def the_model(options: Options) -> Any:
    return picture.looker(options)


def times(findings: Sequence[Finding]) -> list[int]:
    return [one.at_ms for one in findings if isinstance(one, PictureVector)]


# --- which frames ---------------------------------------------------------------------------------


@given(
    length=st.integers(1, 20_000),
    start=st.integers(0, 10_000),
    frames=st.lists(st.tuples(st.floats(0, 0.9999), st.floats(0, 5000)), max_size=25),
)
def test_one_to_three_different_frames_of_a_scene_are_picked_in_order(
    length: int, start: int, frames: list[tuple[float, float]]
) -> None:
    scene = Scene(start, start + length, start)
    found = sorted({start + int(share * length): sharp for share, sharp in frames}.items())
    candidates = [candidate(ms, sharp) for ms, sharp in found]
    chosen = pick(candidates, scene)
    assert len(chosen) <= picture.parts(scene) <= 3
    assert [one.ms for one in chosen] == sorted({one.ms for one in chosen})
    assert all(one in candidates for one in chosen)
    assert bool(chosen) == bool(candidates)


def test_a_longer_scene_may_give_more_frames() -> None:
    assert [picture.parts(Scene(0, ms, 0)) for ms in (1, 3999, 4000, 7999, 8000, 20_000)] == [
        1,
        1,
        2,
        2,
        3,
        3,
    ]


def test_the_sharpest_frame_of_each_part_is_picked() -> None:
    scene = Scene(0, 9000, 0)
    sharp = {2000: 30, 2500: 90, 4000: 20, 5000: 80, 6500: 70, 7000: 10}
    assert [one.ms for one in pick([candidate(ms, s) for ms, s in sharp.items()], scene)] == [
        2500,
        5000,
        6500,
    ]


def test_a_frame_near_the_edge_of_a_scene_must_be_twice_as_sharp() -> None:
    scene = Scene(10_000, 13_000, 0)
    edge, middle = candidate(10_100, 190), candidate(11_500, 100)
    assert pick([edge, middle], scene) == [middle]
    assert pick([candidate(10_100, 210), middle], scene)[0].ms == 10_100
    assert pick([candidate(12_900, 190), middle], scene) == [middle]


def test_a_picture_that_stands_still_gives_one_frame() -> None:
    still = [candidate(ms, 100 + ms / 1000, seed=5) for ms in range(0, 12_000, 1000)]
    assert len(pick(still, Scene(0, 12_000, 0))) == 1


def test_a_small_change_far_off_still_gives_another_frame() -> None:
    scene = Scene(0, 6000, 0)
    first = candidate(1500, 100, seed=5)
    changed = first.luma.copy()
    changed[8:12, 10:14] += 90  # 16 of 576 cells: something has come into the picture
    second = Candidate(4500, 100, changed, first.picture)
    assert len(pick([first, second], scene)) == 2


def test_black_and_other_even_frames_are_never_picked() -> None:
    black = Candidate(500, 0, np.zeros((18, 32), np.float32), np.zeros((1, 1, 3), np.uint8))
    faint = Candidate(700, 9, np.full((18, 32), 90, np.float32), np.zeros((1, 1, 3), np.uint8))
    assert pick([black, faint], Scene(0, 1000, 0)) == []
    seen = candidate(900, 0.1)
    assert pick([black, faint, seen], Scene(0, 1000, 0)) == [seen]


# --- the stage ------------------------------------------------------------------------------------


def test_a_scene_is_described_by_its_own_samples_only(tiny: Options) -> None:
    one = stage(tiny)
    for second in range(10):
        assert list(one.sample(sample(second * 1000 + 500, noise(second)))) == []
    found = [*one.scene(Scene(0, 3000, 0)), *one.scene(Scene(3000, 6000, 0)), *one.flush()]
    assert [0 <= ms < 3000 for ms in times(found)] == [True, False]
    assert 3000 <= times(found)[1] < 6000
    assert [*one.scene(Scene(6000, 10_000, 0)), *one.finish(10_000)], "the rest waits for its scene"


def test_frames_wait_for_a_batch_across_scenes(tiny: Options) -> None:
    one, model = stage(tiny), the_model(tiny)
    given_at = []
    for second in range(24):
        one.sample(sample(second * 1000, noise(second)))
        if second % 3 == 2:
            given_at.append(
                len(times(list(one.scene(Scene(second * 1000 - 2000, second * 1000 + 1, 0)))))
            )
    assert given_at == [0, 0, 0, 4, 0, 0, 0, 4]
    assert model.looked == [4, 4]


def test_what_is_held_back_is_given_before_a_pass_may_be_resumed(tiny: Options) -> None:
    one = stage(tiny)
    one.sample(sample(1000, noise(1)))
    assert list(one.scene(Scene(0, 3000, 0))) == []
    assert times(list(one.flush())) == [1000]
    assert list(one.flush()) == []
    one.sample(sample(4000, noise(2)))
    one.scene(Scene(3000, 6000, 0))
    assert times(list(one.finish(6000))) == [4000]


def test_a_resumed_pass_says_nothing_of_what_lies_before(tiny: Options) -> None:
    one = stage(tiny, resume_ms=30_000)
    for ms in (27_000, 28_000, 29_000, 31_000):
        one.sample(sample(ms, noise(ms)))
    assert times([*one.scene(Scene(30_000, 33_000, 0)), *one.flush()]) == [31_000]


def test_frames_that_look_the_same_to_the_model_are_kept_once(tiny: Options) -> None:
    one = stage(tiny)
    bright = np.clip(noise(3).astype(int) + 3, 0, 255).astype(np.uint8)  # moved for the luma
    one.sample(sample(2000, noise(3)))
    one.sample(sample(6000, bright))
    found = [*one.scene(Scene(0, 8000, 0)), *one.flush()]
    assert the_model(tiny).looked == [2]
    assert times(found) == [2000]


def test_memory_is_bounded_when_no_scene_closes(tiny: Options) -> None:
    one = stage(tiny)
    for second in range(1000):
        one.sample(sample(second * 1000, noise(second % 7)))
    assert len(one._open) <= picture.MAX_WAITING
    spread = [candidate.ms for candidate in one._open]
    assert spread == sorted(spread)
    assert spread[-1] == 999_000


def test_a_scene_without_samples_gives_nothing(tiny: Options) -> None:
    one = stage(tiny)
    assert [*one.scene(Scene(0, 3000, 0)), *one.finish(3000)] == []


def test_vectors_are_little_endian_float16_and_tags_come_with_them(tiny: Options) -> None:
    one = stage(tiny)
    one.sample(sample(1000, noise(1)))
    found = [*one.scene(Scene(0, 3000, 0)), *one.finish(3000)]
    vector, tags = found
    assert isinstance(vector, PictureVector)
    assert np.linalg.norm(np.frombuffer(vector.vector, "<f2").astype(float)) == pytest.approx(
        1, abs=2e-3
    )
    assert tags == Tags(at_ms=1000, tags=(("thing", 0.5),))


def test_the_model_is_loaded_once_for_the_same_options(tiny: Options) -> None:
    first = the_model(tiny)
    assert the_model(Options(roles={"picture": "tiny"})) is first
    assert the_model(Options(roles={"picture": "tiny"}, threads=1)) is not first


def test_words_are_encoded_by_the_model_that_looks_at_the_pictures(tiny: Options) -> None:
    words = PictureWords(tiny)
    assert words.model == "tiny@0"
    assert [len(one) for one in words.encode(["a cat", "a dog"])] == [96, 96]


def test_a_single_picture_can_be_looked_at(tiny: Options) -> None:
    look, model = picture.look_at(noise(1), tiny)
    assert model.model == "tiny@0"
    assert list(look.vectors) == [WORDS]


# --- in a pass ------------------------------------------------------------------------------------

TABLE: dict[str, StageInfo] = {
    **STAGES,
    "picture": StageInfo(
        "scanners.picture:Picture", 1, "picture", needs=("scenes",), role="picture"
    ),
}


def run_pass(path: Path, options: Options, resume_ms: int = 0) -> list[Reply]:
    names = ("shots", "scenes", "picture")
    scan = Scan(id=7, path=os.fsencode(path), stages=names, options=options, resume_ms=resume_ms)
    media = probe(scan.path)
    stages: dict[str, Any] = {
        "shots": Shots(scan, media),
        "scenes": Scenes(scan, media),
        "picture": Picture(scan, media),
    }
    replies: list[Reply] = []
    PicturePass(scan, media, stages, replies.append, TABLE).run()
    return replies


def found_by(replies: Sequence[Reply], stage: str) -> list[Any]:
    return [
        finding
        for reply in replies
        if getattr(reply, "stage", "") == stage
        for finding in getattr(reply, "findings", ())
    ]


def test_a_real_film_gives_frames_of_every_scene(tmp_path: Path, seeing: Options) -> None:
    film = make_film(tmp_path / "film.mkv", shots=(4.0, 4.0, 4.0, 4.0), size=(320, 180))
    replies = run_pass(film.path, seeing)
    scenes = found_by(replies, "scenes")
    vectors = [one for one in found_by(replies, "picture") if isinstance(one, PictureVector)]
    for scene in scenes:
        inside = [one for one in vectors if scene.start_ms <= one.at_ms < scene.end_ms]
        for space in (LOOKS, WORDS):
            assert 1 <= sum(one.space == space for one in inside) <= 3
    (done,) = (one for one in replies if isinstance(one, StageDone) and one.stage == "picture")
    assert done.model == models.identity(CLASSES)


def test_a_resumed_pass_finds_what_the_whole_pass_found_from_there_on(
    tmp_path: Path, seeing: Options
) -> None:
    film = make_film(tmp_path / "film.mkv", shots=(3.0,) * 6, size=(320, 180))
    whole = run_pass(film.path, seeing)
    border = found_by(whole, "scenes")[2].end_ms
    rest = run_pass(film.path, seeing, resume_ms=border)
    assert found_by(rest, "picture") == [
        one for one in found_by(whole, "picture") if one.at_ms >= border
    ]


def test_a_stage_whose_model_is_missing_says_how_to_bring_it(tmp_path: Path) -> None:
    options = Options(models=os.fsencode(tmp_path), roles={"picture": "siglip2-base"})
    with pytest.raises(StageError, match="heimdex models get siglip2-base"):
        stage(options)


def test_the_tiny_model_is_a_model_of_pictures(tiny: Options) -> None:
    """It stands in for one in these tests, so it must have the same shape."""
    model: Looker = Tiny(Path(), "tiny", tiny)
    assert len(model.look([model.prepare(noise(1))])) == 1
