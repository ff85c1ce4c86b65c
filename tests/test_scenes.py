"""Scenes: 2 to 20 s, in order, without gaps, the same however a pass is cut into pieces."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

from scanners.base import Line, MediaInfo, Options, Scan, Scene, Shot, StageError
from scanners.frames import Sample
from scanners.scenes import (
    ALIKE,
    BLOCK_MS,
    MAX_MS,
    MIN_MS,
    PATIENCE_MS,
    PAUSE_MS,
    RAW_BYTES,
    SceneBuilder,
    Scenes,
    Span,
    alike,
    scenes_from_lines,
    split_evenly,
    write_still,
)

MEDIA = MediaInfo(container="x", duration_ms=60_000)
Look = tuple[float, ...]
Film = list[tuple[int, Look]]  # length in ms and look of each shot


def batch(film: Film, begin_ms: int = 0) -> list[Span]:
    """Return the scenes of a whole film, told shot by shot."""
    return told(film, (), begin_ms)


def told(film: Film, looks_at: tuple[int, ...], begin_ms: int = 0) -> list[Span]:
    """As batch; between the shots the builder hears how far the open shot goes."""
    builder = SceneBuilder(begin_ms)
    spans: list[Span] = []
    start = 0
    for length, look in film:
        end = start + length
        for at in looks_at:
            if start < at <= end:
                spans += builder.open_until(at)
        if end > begin_ms:
            spans += builder.add(Shot(max(start, begin_ms), end), look)
        start = end
    return spans + list(builder.finish())


lengths = st.one_of(
    st.integers(500, 3_000), st.integers(500, 30_000), st.integers(100_000, 400_000)
)
looks = st.sampled_from([(), (0.1, 0.1), (0.5, 0.5), (0.9, 0.2), (0.5, 0.52)])
films = st.lists(st.tuples(lengths, looks), min_size=1, max_size=25)


# --- grouping ------------------------------------------------------------------------------------


@given(films)
def test_scenes_cover_the_film_in_order_without_gaps(film: Film) -> None:
    spans = batch(film)
    assert spans[0][0] == 0
    assert spans[-1][1] == sum(length for length, _ in film)
    assert all(one[1] == two[0] for one, two in pairwise(spans))


@given(films)
def test_scenes_last_2_to_20_seconds(film: Film) -> None:
    spans = batch(film)
    if sum(length for length, _ in film) >= MIN_MS:
        assert all(MIN_MS <= end - start <= MAX_MS for start, end in spans)
    else:
        assert len(spans) == 1


@given(films)
def test_scenes_begin_at_cuts_unless_a_shot_is_too_long(film: Film) -> None:
    cuts = {0}
    for length, _ in film:
        cuts.add(max(cuts) + length)
    for start, end in batch(film):
        if start not in cuts:
            # a part of something that was split: its parts are 10 to 20 s long
            assert end - start >= MAX_MS // 2 - 1


@given(films, st.lists(st.integers(0, 2_000_000), max_size=60))
def test_when_scenes_are_asked_for_changes_nothing(film: Film, looks_at: list[int]) -> None:
    assert told(film, tuple(sorted(looks_at))) == batch(film)


@given(films, st.data())
def test_a_builder_that_begins_at_a_closed_scene_goes_on_the_same(
    film: Film, data: st.DataObject
) -> None:
    builder = SceneBuilder()
    ends: list[int] = []  # of what came from one call: only there may a pass be resumed
    spans: list[Span] = []
    start = 0
    for length, look in film:
        for at in range(start + 1_000, start + length, 7_000):
            spans += (found := list(builder.open_until(at)))
            ends += [found[-1][1]] if found else []
        spans += (found := list(builder.add(Shot(start, start + length), look)))
        ends += [found[-1][1]] if found else []
        start += length
    spans += builder.finish()
    assume(ends)
    begin = data.draw(st.sampled_from(ends))
    assert batch(film, begin) == [span for span in spans if span[0] >= begin]


@given(films)
def test_little_waits_to_be_closed(film: Film) -> None:
    builder = SceneBuilder()
    start = 0
    closed = [0]
    for length, look in film:
        for at in range(start + 500, start + length, 500):
            closed += (end for _, end in builder.open_until(at))
            assert at - closed[-1] <= PATIENCE_MS + MAX_MS
        closed += (end for _, end in builder.add(Shot(start, start + length), look))
        start += length


def test_short_shots_join_what_follows() -> None:
    assert batch([(900, ()), (900, ()), (900, ()), (5_000, ()), (4_000, ())]) == [
        (0, 2_700),
        (2_700, 7_700),
        (7_700, 11_700),
    ]


def test_a_short_end_joins_what_was_before() -> None:
    assert batch([(5_000, ()), (4_000, ()), (600, ())]) == [(0, 5_000), (5_000, 9_600)]


def test_a_long_shot_is_split_into_equal_parts() -> None:
    assert batch([(50_000, ())]) == [(0, 16_666), (16_666, 33_333), (33_333, 50_000)]


def test_shots_that_look_alike_stay_together_up_to_20_seconds() -> None:
    same = [(6_000, (0.5, 0.5))] * 5
    assert batch(same) == [(0, 18_000), (18_000, 30_000)]


def test_a_dialogue_is_one_scene() -> None:
    one, other = (0.2, 0.3), (0.7, 0.6)
    film: Film = [(3_000, one), (3_000, other), (3_000, one), (3_000, other), (3_000, (0.9, 0.0))]
    assert batch(film) == [(0, 12_000), (12_000, 15_000)]


def test_a_film_that_comes_back_too_late_is_another_scene() -> None:
    one = (0.2, 0.3)
    film: Film = (
        [(2_500, one)] + [(2_500, (0.1 * n, 0.9)) for n in range(2, 10, 2)] + [(2_500, one)]
    )
    assert batch(film)[0] == (0, 2_500)


def test_an_open_shot_gives_scenes_before_it_ends() -> None:
    builder = SceneBuilder()
    assert list(builder.open_until(PATIENCE_MS)) == []
    spans = list(builder.open_until(PATIENCE_MS + 1))
    assert spans == [(at, at + MAX_MS) for at in range(0, BLOCK_MS, MAX_MS)]
    assert list(builder.add(Shot(0, 130_000), (0.5,))) == []
    assert list(builder.finish()) == [(100_000, 115_000), (115_000, 130_000)]


def test_a_film_without_length_has_no_scenes() -> None:
    assert list(SceneBuilder().finish()) == []


@given(st.integers(0, 10**7), st.integers(1, 10**6))
def test_parts_are_equal_and_few(start: int, length: int) -> None:
    spans = split_evenly(start, start + length)
    sizes = [end - begin for begin, end in spans]
    assert sum(sizes) == length
    assert max(sizes) <= MAX_MS
    assert max(sizes) - min(sizes) <= 1
    assert len(spans) == -(-length // MAX_MS)


def test_looks_are_compared_number_by_number() -> None:
    assert alike((0.5, 0.5), (0.5 + ALIKE, 0.5 - ALIKE + 0.001))
    assert not alike((0.5, 0.5), (0.5 + 3 * ALIKE, 0.5))
    assert not alike((), ())
    assert not alike((0.5,), (0.5, 0.5))


# --- provisional scenes --------------------------------------------------------------------------

lines = st.lists(
    st.builds(
        lambda start, length: Line(start, start + length, "words"),
        st.integers(0, 300_000),
        st.one_of(st.integers(0, 6_000), st.integers(0, 90_000)),
    ),
    max_size=40,
)


@given(lines, st.sampled_from([0, 300_000, 120_000]))
def test_provisional_scenes_keep_the_rules(found: list[Line], duration_ms: int) -> None:
    scenes = scenes_from_lines(found, duration_ms)
    assert all(MIN_MS <= one.end_ms - one.start_ms <= MAX_MS for one in scenes)
    assert all(one.end_ms <= two.start_ms for one, two in pairwise(scenes))
    assert all(one.start_ms <= one.still_ms < one.end_ms for one in scenes)
    assert all(one.start_ms >= 0 for one in scenes)
    if duration_ms:
        assert all(one.end_ms <= duration_ms for one in scenes)


@given(lines)
def test_every_line_lies_in_provisional_scenes(found: list[Line]) -> None:
    scenes = scenes_from_lines(found, 0)
    for line in found:
        at = line.start_ms
        for scene in scenes:
            if scene.start_ms <= at < scene.end_ms:
                at = scene.end_ms
        assert at >= line.end_ms


@given(lines)
def test_provisional_scenes_cover_little_but_the_lines(found: list[Line]) -> None:
    covered = sum(one.end_ms - one.start_ms for one in scenes_from_lines(found, 0))
    said = sum(line.end_ms - line.start_ms for line in found)
    assert covered <= said + len(found) * (MIN_MS + PAUSE_MS)


def test_without_lines_there_are_no_provisional_scenes() -> None:
    assert scenes_from_lines([], 60_000) == []


def test_a_pause_starts_another_provisional_scene() -> None:
    found = [
        Line(1_000, 2_500, "one"),
        Line(3_000, 4_500, "two"),
        Line(9_000, 9_400, "three"),
        Line(58_000, 59_900, "four"),
    ]
    assert scenes_from_lines(found, 60_000) == [
        Scene(1_000, 4_500, 1_000),
        Scene(9_000, 11_000, 9_000),
        Scene(58_000, 60_000, 58_000),
    ]


def test_a_line_at_the_very_end_gets_a_scene_before_the_end() -> None:
    assert scenes_from_lines([Line(59_800, 61_000, "bye")], 60_000) == [
        Scene(58_000, 60_000, 58_000)
    ]


def test_a_line_of_a_film_that_is_shorter_than_a_scene() -> None:
    assert scenes_from_lines([Line(0, 500, "hm")], 900) == [Scene(0, 900, 0)]


def test_squeezed_words_join_the_scene_before_them() -> None:
    found = [Line(0, 19_900, "a speech"), Line(19_950, 20_050, "yes")]
    assert scenes_from_lines(found, 20_050) == [Scene(0, 10_025, 0), Scene(10_025, 20_050, 10_025)]


# --- the stage -----------------------------------------------------------------------------------


class Frame:
    def __init__(self, ms: int) -> None:
        self.ms = ms


def sample(ms: int, sharpness: float = 1.0) -> Sample:
    rgb = np.full((54, 96, 3), ms // 1000 % 256, np.uint8)
    return Sample(ms=ms, rgb=rgb, sharpness=sharpness)


def stage(stills: Path | None = None, **changes: Any) -> Scenes:
    folder = os.fsencode(stills) if stills else b""
    options = Options()
    scan = Scan(id=1, path=b"", stages=("scenes",), options=options, stills=folder, **changes)
    return Scenes(scan, MEDIA)


def test_the_still_is_the_sharpest_frame_rather_of_the_middle(tmp_path: Path) -> None:
    scenes = stage(tmp_path / "stills")
    for ms, sharp in ((500, 9.0), (4_500, 5.0), (6_500, 6.0), (9_500, 11.0), (11_500, 99.0)):
        scenes.sample(sample(ms, sharp))
    found = [*scenes.shot(Shot(0, 10_000), ()), *scenes.finish(10_000)]
    assert found == [Scene(0, 10_000, 6_500)]
    assert [path.name for path in (tmp_path / "stills").iterdir()] == ["6500.jpg"]
    assert (tmp_path / "stills" / "6500.jpg").read_bytes().startswith(b"\xff\xd8")


def test_a_frame_from_the_edge_is_better_than_a_blurred_one() -> None:
    scenes = stage()
    for ms, sharp in ((500, 9.0), (5_000, 1.0)):
        scenes.sample(sample(ms, sharp))
    assert [*scenes.shot(Shot(0, 10_000), ()), *scenes.finish(10_000)] == [Scene(0, 10_000, 500)]


def test_a_scene_without_a_frame_of_its_own_shows_the_one_before(tmp_path: Path) -> None:
    scenes = stage(tmp_path)
    scenes.sample(sample(0))
    found = [*scenes.shot(Shot(0, 30_000), ()), *scenes.finish(30_000)]
    assert found == [Scene(0, 15_000, 0), Scene(15_000, 30_000, 15_000)]
    assert (tmp_path / "15000.jpg").read_bytes() == (tmp_path / "0.jpg").read_bytes()


def test_a_film_without_any_frame_has_scenes_without_stills(tmp_path: Path) -> None:
    scenes = stage(tmp_path)
    assert [*scenes.shot(Shot(0, 5_000), ()), *scenes.finish(5_000)] == [Scene(0, 5_000, 0)]
    assert list(tmp_path.iterdir()) == []


def test_scenes_close_while_the_film_runs() -> None:
    scenes = stage()
    found: list[Any] = []
    for ms in range(0, 40_000, 500):
        found += scenes.frame(Frame(ms))
        if ms % 10_000 == 0 and ms:
            found += scenes.shot(Shot(ms - 10_000, ms), (ms / 40_000,))
    assert found == [Scene(0, 10_000, 0), Scene(10_000, 20_000, 10_000)]


def test_samples_of_closed_scenes_are_let_go(tmp_path: Path) -> None:
    scenes = stage(tmp_path)
    for ms in range(0, 600_000, 1_000):
        scenes.sample(sample(ms))
        if ms % 10_000 == 0 and ms:
            list(scenes.shot(Shot(ms - 10_000, ms), (ms / 600_000,)))
    assert len(scenes._samples) < 60


def test_older_samples_wait_as_jpeg(tmp_path: Path) -> None:
    scenes = stage(tmp_path)
    rgb = np.zeros((540, 960, 3), np.uint8)
    for ms in range(0, 100_000, 1_000):
        scenes.sample(Sample(ms=ms, rgb=rgb, sharpness=1.0))
    raw = [kept for kept in scenes._samples if kept._sample is not None]
    assert len(raw) * rgb.nbytes <= RAW_BYTES
    assert raw[-1].ms == 99_000


def test_a_still_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        StageError, match=r"a still cannot be written to .*: Not a directory"
    ) as caught:
        write_still(tmp_path / "file" / "stills", 0, b"x")
    assert not caught.value.permanent


def test_a_still_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StageError, match="No space left"):
        write_still(tmp_path, 40, b"\xff\xd8 a picture")
    assert list(tmp_path.iterdir()) == []


def test_the_daemon_may_import_scenes() -> None:
    code = (
        "import sys, scanners.scenes, scanners.base, scanners.models, scanners.child;"
        "print(sorted({'numpy', 'cv2', 'av', 'onnxruntime', 'scenedetect'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
