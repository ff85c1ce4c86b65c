"""Dissolves: windows over the film, transitions from chances, and one list of shots from two."""

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from scanners import dissolves, models, runtime
from scanners.base import (
    MediaInfo,
    Options,
    Reply,
    Scan,
    Scene,
    Shot,
    StageDone,
    StageError,
    VideoStream,
)
from scanners.dissolves import STEP, WINDOW, Dissolves, DissolveShots, Transition, make_shots, near
from scanners.fanout import PicturePass
from scanners.frames import SmallFrame
from scanners.media import probe
from scanners.scenes import CUT_LAG, DISSOLVE_LAG, Scenes, cut_lag, frame_step
from scanners.shots import MIN_SHOT_MS, Shots
from tests.films import make_film

DEMO = models.ASSETS / "demo"
WITH = Options(roles={"shots": "transnetv2"}, threads=1)
LIKELY = 250  # the brightness of a frame that the pretended model takes for a transition


class Pretended:
    """Stands in for the model: a frame is a transition as it is bright. Keeps every window."""

    def __init__(self) -> None:
        self.windows: list[np.ndarray] = []

    def run(self, feed: dict[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        frames = feed["frames"]
        assert frames.shape == (1, WINDOW, 27, 48, 3)
        assert frames.dtype == np.uint8
        assert list(outputs) == ["single"]
        brightness = frames[0].astype(np.float32).mean(axis=(1, 2, 3))
        self.windows.append(brightness)
        return [((brightness - 127) / 8).reshape(1, WINDOW, 1)]


def small_frame(
    number: int, ms: int, bgr: np.ndarray, time_base: Fraction = Fraction(1, 25)
) -> SmallFrame:
    luma = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)
    return SmallFrame(ms=ms, pts=number, time_base=time_base, bgr=bgr, luma=luma)


def film(brightness: Sequence[int], fps: float = 25, first: int = 0) -> Iterator[SmallFrame]:
    """Give frames of one even brightness each; the first has this number in the film."""
    for number, value in enumerate(brightness, start=first):
        bgr = np.full((144, 256, 3), value, np.uint8)
        ms = round(number * 1000 / fps)
        yield small_frame(number, ms, bgr, Fraction(1, round(fps)))


def transitions(brightness: Sequence[int], fps: float = 25, first: int = 0) -> list[Transition]:
    one = Dissolves(Pretended(), fps)  # type: ignore[arg-type]
    found = [transition for frame in film(brightness, fps, first) for transition in one.feed(frame)]
    return found + list(one.finish())


def bright_at(count: int, *numbers: int) -> list[int]:
    return [LIKELY if number in numbers else 0 for number in range(count)]


# --- from chances to transitions ------------------------------------------------------------------


def test_a_cut_lies_after_the_peak() -> None:
    values = [0] * 200
    values[100:105] = [130, 150, 220, 150, 130]
    assert transitions(values) == [Transition(100 * 40, 103 * 40, 104 * 40)]


def test_a_chance_of_a_fifth_is_enough_and_less_is_not() -> None:
    logit_of_a_fifth = float(np.log(0.2 / 0.8))
    just_over = int(np.ceil(127 + 8 * logit_of_a_fifth)) + 1
    values = [0] * 120
    values[60] = just_over
    assert len(transitions(values)) == 1
    values[60] = just_over - 3
    assert transitions(values) == []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_what_the_model_sees_in_the_first_frames_of_a_film_is_nothing(number: int) -> None:
    assert transitions(bright_at(120, number)) == []
    assert len(transitions(bright_at(120, 3))) == 1


def test_a_light_that_flickers_for_long_is_cut_into_pieces() -> None:
    found = transitions([0] * 60 + [LIKELY] * 120 + [0] * 60)
    assert len(found) == 3
    assert all(one.last_ms - one.first_ms <= dissolves.LONGEST_RUN * 40 for one in found)


def test_a_transition_at_the_very_end_is_given(  # after it there is no frame that could end it
) -> None:
    assert transitions(bright_at(90, 88, 89)) == [Transition(88 * 40, 89 * 40, 89 * 40)]


def test_a_short_film_and_an_empty_one_are_looked_at() -> None:
    assert transitions([]) == []
    assert transitions(bright_at(5, 4)) == [Transition(160, 160, 160)]


@settings(max_examples=15)
@given(
    count=st.integers(1, 420),
    bright=st.sets(st.integers(3, 419), max_size=8),
    fps=st.sampled_from([23.976, 25.0, 30.0]),
)
def test_every_frame_is_decided_once_and_nothing_is_given_before_it_is_settled(
    count: int, bright: set[int], fps: float
) -> None:
    one = Dissolves(Pretended(), fps)  # type: ignore[arg-type]
    values = bright_at(count, *bright)
    found: list[Transition] = []
    newest = settled = 0
    for number, frame in enumerate(film(values, fps)):
        for transition in one.feed(frame):
            assert transition.first_ms >= settled
            found.append(transition)
        assert one.settled_ms >= settled
        settled = one.settled_ms
        newest = number
        assert newest * 1000 / fps - settled <= DISSOLVE_LAG * 1000 / fps
    found += list(one.finish())
    inside = {number for number in bright if number < count}
    starts = {number for number in inside if number - 1 not in inside}
    assert [one.first_ms for one in found] == [round(n * 1000 / fps) for n in sorted(starts)]


def test_windows_overlap_by_half_and_are_filled_up_at_both_ends() -> None:
    model = Pretended()
    one = Dissolves(model, 25)  # type: ignore[arg-type]
    for frame in film(range(60, 60 + 130)):
        list(one.feed(frame))
    list(one.finish())
    assert [window[0] for window in model.windows] == [60, 60 + 25, 60 + 75]
    assert list(model.windows[0][:25]) == [60] * 25
    assert list(model.windows[0][25:]) == list(range(60, 60 + 75))
    assert list(model.windows[-1][-45:]) == [60 + 129] * 45
    assert WINDOW - STEP == 50


@pytest.mark.parametrize("first", [150, 163, 190, 200])
def test_a_pass_that_begins_late_looks_through_the_same_windows(first: int) -> None:
    random = np.random.default_rng(3)
    values = [int(value) for value in random.integers(0, 90, 460)]
    for place in (300, 301, 410):
        values[place] = LIKELY
    whole, late = Pretended(), Pretended()
    for model, start in ((whole, 0), (late, first)):
        one = Dissolves(model, 25)  # type: ignore[arg-type]
        for frame in film(values[start:], first=start):
            list(one.feed(frame))
    assert len(late.windows) >= 4
    for window in late.windows[2:]:  # the first two still reach back to before its beginning
        assert any(np.array_equal(window, other) for other in whole.windows)
    assert transitions(values)[-2:] == transitions(values[first:], first=first)


@pytest.mark.parametrize(
    ("fps", "step"), [(24, 1), (25, 1), (30, 1), (50, 2), (59.94, 2), (120, 4)]
)
def test_high_frame_rates_are_thinned_out(fps: float, step: int) -> None:
    assert frame_step(fps) == step
    model = Pretended()
    one = Dissolves(model, fps)  # type: ignore[arg-type]
    for frame in film([0] * (75 * step), fps):
        list(one.feed(frame))
    assert len(model.windows) == 1
    values = [0] * (150 * step)
    values[100 * step : 104 * step] = [LIKELY] * (4 * step)
    (found,) = transitions(values, fps)
    assert abs(found.first_ms - 100 * step * 1000 / fps) <= 1000 / fps * step


class Wary(Pretended):
    """A pretended model that judges a frame by all that it is shown with, as the real one does."""

    def run(self, feed: dict[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        brightness = feed["frames"][0].astype(np.float32).mean(axis=(1, 2, 3))
        usual = float((brightness * np.linspace(0.5, 1.5, WINDOW)).mean())
        return [((brightness - usual) / 8).reshape(1, WINDOW, 1)]


def timed(times_ms: Sequence[int], seed: int) -> list[SmallFrame]:
    """Return frames whose brightness wanders, with bursts that may be transitions."""
    random = np.random.default_rng(seed)
    values = random.integers(0, 60, len(times_ms))
    for start in random.integers(0, len(times_ms), len(times_ms) // 40 + 1):
        values[start : start + random.integers(1, 30)] += 120
    return [
        small_frame(number, ms, np.full((27, 48, 3), value, np.uint8))
        for number, (ms, value) in enumerate(zip(times_ms, values, strict=True))
    ]


def transitions_of(frames: Sequence[SmallFrame], fps: float) -> list[Transition]:
    one = Dissolves(Wary(), fps)  # type: ignore[arg-type]
    found = [transition for frame in frames for transition in one.feed(frame)]
    return found + list(one.finish())


@pytest.mark.parametrize("fps", [8.0, 12.5, 15.0, 23.976, 25.0, 30.0, 50.0, 59.94, 120.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_resumed_pass_finds_the_same_changes_at_any_frame_rate(fps: float, seed: int) -> None:
    step = frame_step(fps)
    frames = timed([round(number * 1000 / fps) for number in range(500 * step)], seed)
    whole = transitions_of(frames, fps)
    warm_up = Dissolves(Wary(), fps).warm_up_ms  # type: ignore[arg-type]
    for number in range(260 * step, 470 * step, 37 * step):
        begin = frames[number].ms
        shown = [frame for frame in frames if frame.ms >= begin - warm_up]
        resumed = [one for one in transitions_of(shown, fps) if one.cut_ms >= begin]
        assert resumed == [one for one in whole if one.cut_ms >= begin]
    assert len([one for one in whole if one.cut_ms >= frames[260 * step].ms]) > 2


def test_a_resumed_pass_finds_the_same_changes_where_the_frame_rate_varies() -> None:
    random = np.random.default_rng(5)
    times = np.cumsum(random.choice([20, 40, 41, 80, 400], 900)).tolist()
    frames = timed(times, 5)
    whole = transitions_of(frames, 25.0)
    warm_up = Dissolves(Wary(), 25.0).warm_up_ms  # type: ignore[arg-type]
    for number in range(400, 860, 61):
        begin = frames[number].ms
        shown = [frame for frame in frames if frame.ms >= begin - warm_up]
        resumed = [one for one in transitions_of(shown, 25.0) if one.cut_ms >= begin]
        assert resumed == [one for one in whole if one.cut_ms >= begin]
    times_of = {frame.ms for frame in frames}
    assert all(one.cut_ms in times_of for one in whole)
    assert len(whole) > 5


def test_a_film_that_stands_still_for_a_day_is_soon_looked_at() -> None:
    model = Pretended()
    one = Dissolves(model, 25)  # type: ignore[arg-type]
    day = 24 * 3_600_000
    found: list[Transition] = []
    for start in (0, day):
        for number in range(150):
            bgr = np.full((27, 48, 3), LIKELY if number in (100, 101) else 0, np.uint8)
            found += one.feed(small_frame(number, start + number * 40, bgr))
    found += one.finish()
    assert [transition.first_ms for transition in found] == [4000, day + 4000]
    assert len(model.windows) < 20


def test_a_pass_over_a_film_begins_as_early_as_its_stages_want(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend(monkeypatch)
    film_of_shots = make_film(tmp_path / "film.mkv", shots=(12.0,), size=(32, 18), sound=())
    times: list[int] = []
    feed = Dissolves.feed
    monkeypatch.setattr(
        Dissolves, "feed", lambda self, frame: times.append(frame.ms) or feed(self, frame)
    )
    run_pass(film_of_shots.path, WITH, resume_ms=10_000)
    assert dissolves.WARM_UP_FRAMES == 125
    assert times[0] <= 10_000 - 125 * 40 - MIN_SHOT_MS < times[-1]


# --- cuts and dissolves together ------------------------------------------------------------------


def test_a_cut_inside_a_transition_or_just_beside_it_is_the_same_change() -> None:
    transition = Transition(10_000, 10_400, 10_800)
    assert near(transition, 10_300)
    assert near(transition, 10_000 - MIN_SHOT_MS + 1)
    assert near(transition, 10_800 + MIN_SHOT_MS - 1)
    assert not near(transition, 10_000 - MIN_SHOT_MS)
    assert not near(transition, 10_800 + MIN_SHOT_MS)


def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    """Have the stage use the pretended model."""
    model = Pretended()
    monkeypatch.setattr(dissolves, "open_model", lambda options: (model, "pretended@0"))
    return model


def media(count: int) -> MediaInfo:
    video = VideoStream(index=0, codec="none", width=256, height=144, fps=25.0)
    return MediaInfo(container="none", duration_ms=count * 40, video=video)


def coloured(shots: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Return frames: (how many, hue) each, of low brightness, with a cut where it changes."""
    frames = []
    for count, hue in shots:
        hsv = np.full((144, 256, 3), (hue, 255, 90), np.uint8)
        frames += [np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.uint8)] * count
    return frames


def shots_of(stage: Shots, frames: Sequence[np.ndarray]) -> list[tuple[Shot, tuple[float, ...]]]:
    """Return the shots with their colours, read as the pass reads them."""
    found = []
    for number, bgr in enumerate(frames):
        small = small_frame(number, number * 40, bgr)
        found += [(shot, stage.signature) for shot in list(stage.frame(small))]
    rest = list(stage.finish(len(frames) * 40))
    return found + [(shot, stage.signature) for shot in rest]  # type: ignore[misc]


def scan(options: Options = WITH, **changes: Any) -> Scan:
    return Scan(id=1, path=b"", stages=("shots",), options=options, **changes)


def test_where_the_model_is_silent_the_cut_detector_decides_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch)
    frames = coloured([(60, 0), (45, 60), (130, 120), (20, 30), (70, 90)])
    alone = shots_of(Shots(scan(Options()), media(len(frames))), frames)
    assert len(alone) == 5
    assert shots_of(DissolveShots(scan(), media(len(frames))), frames) == alone


def test_a_dissolve_ends_a_shot_and_a_cut_is_not_counted_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch)
    frames = coloured([(100, 0), (200, 60)])
    for number in (99, 100, 101):  # the model sees the cut too
        frames[number] = np.maximum(frames[number], LIKELY).astype(np.uint8)
    for number in range(190, 206):  # and a slow change that the cut detector does not see
        frames[number] = np.full((144, 256, 3), 0, np.uint8) + np.uint8(
            min(255, 130 + 8 * (number - 190))
        )
    found = [shot.end_ms // 40 for shot, _ in shots_of(DissolveShots(scan(), media(300)), frames)]
    assert found[-1] == 300
    assert any(abs(end - 100) <= 2 for end in found)
    assert any(190 <= end <= 206 for end in found)
    assert all(b - a >= MIN_SHOT_MS // 40 for a, b in pairwise(found))


def test_shots_cover_the_film_without_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    frames = coloured([(40, 0), (30, 60), (90, 120)])
    frames[120] = np.full((144, 256, 3), LIKELY, np.uint8)
    found = [shot for shot, _ in shots_of(DissolveShots(scan(), media(160)), frames)]
    assert found[0].start_ms == 0
    assert found[-1].end_ms == 160 * 40
    assert all(a.end_ms == b.start_ms for a, b in pairwise(found))


def test_the_model_table_says_whether_dissolves_are_looked_for(tmp_path: Path) -> None:
    options = Options(models=os.fsencode(tmp_path), roles={"shots": "transnetv2"}, threads=1)
    with_them = make_shots(scan(options), media(10))
    assert isinstance(with_them, DissolveShots)
    assert with_them.model == models.identity("transnetv2") == "transnetv2@d8ef38"
    for roles in ({}, {"shots": "adaptive-cuts"}):
        assert type(make_shots(scan(Options(roles=roles)), media(10))) is Shots


def test_a_model_that_was_changed_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(models, "ASSETS", tmp_path)
    options = Options(models=os.fsencode(tmp_path), roles={"shots": "transnetv2"})
    with pytest.raises(StageError, match="transnetv2"):
        make_shots(scan(options), media(10))


# --- in a pass ------------------------------------------------------------------------------------


def run_pass(path: Path, options: Options, resume_ms: int = 0) -> list[Reply]:
    asked = Scan(
        id=1,
        path=os.fsencode(path),
        stages=("shots", "scenes"),
        options=options,
        resume_ms=resume_ms,
    )
    info = probe(asked.path)
    replies: list[Reply] = []
    stages: Any = {"shots": make_shots(asked, info), "scenes": Scenes(asked, info)}
    PicturePass(asked, info, stages, replies.append).run()
    return replies


def found(replies: Sequence[Reply], kind: type) -> list[Any]:
    return [
        finding
        for reply in replies
        for finding in getattr(reply, "findings", ())
        if isinstance(finding, kind)
    ]


def test_scenes_wait_until_a_cut_can_no_longer_be_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert cut_lag(scan(Options()), media(1)) == CUT_LAG
    assert cut_lag(scan(), media(1)) == DISSOLVE_LAG
    pretend(monkeypatch)
    film_of_shots = make_film(tmp_path / "film.mkv", shots=(4.0, 1.0, 6.0, 2.0, 5.0))
    early = run_pass(film_of_shots.path, Options())
    late = run_pass(film_of_shots.path, WITH)
    assert found(late, Shot) == found(early, Shot)
    assert found(late, Scene) == found(early, Scene)
    (done,) = (one for one in late if isinstance(one, StageDone) and one.stage == "shots")
    assert done.model == "pretended@0"
    border = found(early, Scene)[1].end_ms
    assert found(run_pass(film_of_shots.path, WITH, border), Scene) == [
        one for one in found(early, Scene) if one.start_ms >= border
    ]


# --- the real model -------------------------------------------------------------------------------


def pan(name: str, count: int, speed: int) -> list[np.ndarray]:
    """Return frames of a camera that moves over a picture of the demo library."""
    picture = cv2.resize(cv2.imread(str(DEMO / f"{name}.jpg")), (420, 300))
    return [
        np.ascontiguousarray(picture[10:154, at * speed : at * speed + 256]) for at in range(count)
    ]


def test_the_model_finds_the_dissolve_that_the_cut_detector_misses(tmp_path: Path) -> None:
    frames, following = pan("coffee", 60, 1), pan("rocket", 56, 2)
    for number in range(16):
        share = (number + 1) / 17
        mixed = cv2.addWeighted(frames[44 + number], 1 - share, following[number], share, 0)
        frames[44 + number] = np.asarray(mixed, np.uint8)
    frames += following[16:]
    alone = shots_of(Shots(scan(Options()), media(100)), frames)
    options = Options(models=os.fsencode(tmp_path), roles={"shots": "transnetv2"}, threads=1)
    both = shots_of(make_shots(scan(options), media(100)), frames)
    runtime.let_go()
    assert [shot for shot, _ in alone] == [Shot(0, 4000)]
    (first, _), (second, _) = both
    assert 44 <= first.end_ms // 40 <= 60
    assert (first.start_ms, second.start_ms, second.end_ms) == (0, first.end_ms, 4000)
