"""The picture pass: what is said in which order, what a failing stage costs, and resuming."""

import os
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from scanners import fanout
from scanners.base import (
    STAGES,
    Found,
    OnscreenText,
    Options,
    Progress,
    Reply,
    Scan,
    Scene,
    Shot,
    StageDone,
    StageError,
    StageFailed,
    StageInfo,
)
from scanners.fanout import PicturePass
from scanners.frames import Sample, SmallFrame
from scanners.media import probe
from scanners.scenes import Scenes
from scanners.shots import Shots
from tests.films import Film, Sound, damage, kept_film, truncate

CUTS = (3.0, 0.8, 4.0, 2.2, 6.0, 2.0, 2.0, 4.0)
VARYING = tuple(int(at) for at in np.cumsum([0, *[20, 60, 40, 100, 33] * 96]))  # 24 s
TABLE = {
    **{name: info for name, info in STAGES.items() if name in {"shots", "scenes"}},
    "watcher": StageInfo("tests:Watcher", 1, "picture", needs=("scenes",)),
    "follower": StageInfo("tests:Watcher", 1, "picture", needs=("watcher",)),
}


class Watcher:
    """A picture stage that writes down what it is shown, and fails where it is told to."""

    name: ClassVar[str] = "watcher"
    sample_side: ClassVar[int] = 96
    model = "watcher@1"
    note = "seen"

    def __init__(self, fails: str = "", error: Exception | None = None) -> None:
        self.seen: list[tuple[str, int]] = []
        self.sizes: set[tuple[int, ...]] = set()
        self._fails = fails
        self._error = error or ValueError("a stage of no luck")

    def _see(self, what: str, ms: int) -> None:
        self.seen.append((what, ms))
        if what == self._fails:
            raise self._error

    def frame(self, frame: SmallFrame) -> Iterable[Any]:
        self._see("frame", frame.ms)
        return ()

    def sample(self, sample: Sample) -> Iterable[Any]:
        self.sizes.add(sample.rgb.shape)
        self._see("sample", sample.ms)
        yield OnscreenText(sample.ms, sample.ms + 1, "text", (0, 0, 1, 1), 0.5)

    def shot(self, shot: Shot, signature: tuple[float, ...]) -> Iterable[Any]:
        assert len(signature) == 36
        self._see("shot", shot.end_ms)
        return ()

    def scene(self, scene: Scene) -> Iterable[Any]:
        self._see("scene", scene.end_ms)
        return ()

    def finish(self, end_ms: int) -> Iterable[Any]:
        self._see("finish", end_ms)
        return ()


def run(
    path: Path,
    *,
    stages: tuple[str, ...] = ("shots", "scenes"),
    others: dict[str, Any] | None = None,
    stills: Path | None = None,
    resume_ms: int = 0,
) -> list[Reply]:
    """Run a pass over a film and return all that it says."""
    said: list[Reply] = []
    scan = Scan(
        id=7,
        path=os.fsencode(path),
        stages=stages,
        options=Options(),
        stills=os.fsencode(stills) if stills else b"",
        resume_ms=resume_ms,
    )
    media = probe(scan.path)
    made = {"shots": Shots(scan, media), "scenes": Scenes(scan, media), **(others or {})}
    PicturePass(scan, media, made, said.append, TABLE).run()
    assert {getattr(reply, "id", None) for reply in said} == {7}
    return said


def findings(said: list[Reply], stage: str) -> list[Any]:
    return [
        one
        for reply in said
        if isinstance(reply, Found) and reply.stage == stage
        for one in reply.findings
    ]


def film(**changes: Any) -> Film:
    return kept_film("pass.mkv", shots=CUTS, sound=(), **changes)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report at every scene, not every 30 s of film."""
    monkeypatch.setattr(fanout, "REPORT_EVERY_MS", 1)


# --- what is said --------------------------------------------------------------------------------


def test_a_pass_gives_shots_scenes_and_stills(tmp_path: Path) -> None:
    made = film()
    said = run(made.path, stills=tmp_path)
    shots, scenes = findings(said, "shots"), findings(said, "scenes")
    assert [shot.start_ms for shot in shots] == [0, *made.cuts_ms]
    assert scenes[0].start_ms == 0
    assert scenes[-1].end_ms == shots[-1].end_ms == made.duration_ms
    assert all(one.end_ms == two.start_ms for one, two in pairwise(scenes))
    assert {path.name for path in tmp_path.iterdir()} == {f"{one.still_ms}.jpg" for one in scenes}


def test_every_stage_ends_once_and_last() -> None:
    said = run(film().path)
    ends = [reply for reply in said if isinstance(reply, StageDone | StageFailed)]
    assert said[-2:] == ends
    assert [(end.stage, isinstance(end, StageDone)) for end in ends] == [
        ("shots", True),
        ("scenes", True),
    ]


def test_the_decoding_counts_for_the_first_stage() -> None:
    done = [reply for reply in run(film().path) if isinstance(reply, StageDone)]
    assert done[0].cpu_ms > done[1].cpu_ms >= 0


def test_scenes_are_told_after_what_lies_in_them(often: None) -> None:
    watcher = Watcher()
    said = run(film().path, stages=("scenes", "watcher", "shots"), others={"watcher": watcher})
    found = [reply for reply in said if isinstance(reply, Found)]
    assert len(found) > 6
    for group in zip(*[iter(found)] * 3, strict=True):
        assert [reply.stage for reply in group] == ["watcher", "shots", "scenes"]
        assert len({reply.until_ms for reply in group}) == 1
    for stage in ("shots", "scenes", "watcher"):
        before = 0
        for reply in (one for one in found if one.stage == stage):
            ends = [one.end_ms for one in reply.findings]
            assert all(before < end <= reply.until_ms for end in ends)
            before = reply.until_ms


def test_reports_come_no_more_often_than_needed() -> None:
    said = run(film().path)  # 24 s: less than the least between two reports
    assert [reply.until_ms for reply in said if isinstance(reply, Found)] == [24_000, 24_000]


def test_long_films_are_reported_in_pieces() -> None:
    slides = tuple(range(0, 400_000, 500))
    made = kept_film("long.mkv", shots=(8.0,) * 50, times_ms=slides, size=(32, 18), sound=())
    untils = [one.until_ms for one in run(made.path) if isinstance(one, Found)][::2]
    assert all(30_000 <= two - one <= 90_000 for one, two in pairwise([0, *untils[:-1]]))


def test_progress_goes_from_start_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "PROGRESS_EVERY_S", 0.0)
    told = [reply for reply in run(film().path) if isinstance(reply, Progress)]
    assert {(one.stage, one.total_ms) for one in told} == {("shots", 24_000)}
    assert [one.done_ms for one in told] == sorted(one.done_ms for one in told)
    assert told[-1].done_ms == 24_000
    assert len(told) > 500


def test_progress_is_not_told_at_every_frame() -> None:
    assert len([reply for reply in run(film().path) if isinstance(reply, Progress)]) < 100


def test_stages_that_were_not_asked_for_are_not_told() -> None:
    watcher = Watcher()
    said = run(film().path, stages=("watcher",), others={"watcher": watcher})
    assert {getattr(reply, "stage", "") for reply in said} == {"watcher"}
    assert [what for what, _ in watcher.seen].count("scene") >= 4


# --- what stages see -----------------------------------------------------------------------------


def test_a_stage_sees_everything_before_the_end_of_a_scene_first() -> None:
    watcher = Watcher()
    run(film().path, stages=("watcher",), others={"watcher": watcher})
    latest = {"frame": -1, "sample": -1, "shot": 0, "scene": 0}
    for what, ms in watcher.seen:
        if what == "scene":
            assert latest["frame"] >= ms - 41
            assert latest["sample"] >= ms - 1_041
            assert latest["shot"] >= ms
        if what != "finish":
            assert ms > latest[what]
            latest[what] = ms
    assert watcher.seen[-1] == ("finish", 24_000)
    assert watcher.sizes == {(90, 160, 3)}  # the largest that anybody wants, not enlarged


def test_models_and_notes_of_stages_are_told() -> None:
    said = run(film().path, stages=("watcher",), others={"watcher": Watcher()})
    done = [reply for reply in said if isinstance(reply, StageDone)]
    assert [(one.model, one.note) for one in done] == [("watcher@1", "seen")]


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["frame", "sample", "shot", "scene", "finish"])
def test_a_failing_stage_costs_only_itself(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(
        film().path,
        stages=("shots", "scenes", "watcher"),
        others={"watcher": Watcher(fails=method)},
    )
    ends = {one.stage: one for one in said if isinstance(one, StageDone | StageFailed)}
    failed = ends.pop("watcher")
    assert isinstance(failed, StageFailed)
    assert failed.reason == "the program failed: ValueError: a stage of no luck"
    assert not failed.permanent
    assert all(isinstance(end, StageDone) for end in ends.values())
    assert findings(said, "scenes")[-1].end_ms == 24_000
    assert "a stage of no luck" in capsys.readouterr().err


def test_a_stage_may_say_itself_that_it_cannot() -> None:
    watcher = Watcher(fails="sample", error=StageError("the model is missing"))
    said = run(film().path, stages=("watcher",), others={"watcher": watcher})
    failed = [reply for reply in said if isinstance(reply, StageFailed)]
    assert [(one.reason, one.permanent) for one in failed] == [("the model is missing", True)]


def test_a_stage_fails_with_the_one_it_needs() -> None:
    said = run(
        film().path,
        stages=("shots", "watcher", "follower"),
        others={
            "watcher": Watcher(fails="scene", error=StageError("no luck", permanent=False)),
            "follower": Watcher(),
        },
    )
    reasons = {one.stage: one.reason for one in said if isinstance(one, StageFailed)}
    assert reasons == {"watcher": "no luck", "follower": "watcher failed: no luck"}
    assert [one.stage for one in said if isinstance(one, StageDone)] == ["shots"]


def test_a_pass_in_which_nobody_can_go_on_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "PROGRESS_EVERY_S", 0.0)
    watcher, idle = Watcher(fails="frame"), Watcher()
    run(film().path, stages=("watcher", "follower"), others={"watcher": watcher, "follower": idle})
    assert len(idle.seen) < 10


def test_a_film_that_ends_early_is_done_with_a_note(tmp_path: Path) -> None:
    short = truncate(film().path, tmp_path / "short.mkv", 0.5)
    said = run(short)
    done = [reply for reply in said if isinstance(reply, StageDone)]
    assert len(done) == 2
    assert all("the file ends early, at 0:" in one.note for one in done)
    assert all(one.note.endswith("of 0:24") or "damaged" in one.note for one in done)
    assert 8_000 < findings(said, "scenes")[-1].end_ms < 16_000


def test_a_damaged_film_is_done_with_a_note(tmp_path: Path) -> None:
    said = run(damage(film().path, tmp_path / "damaged.mkv", 0.4, 0.45))
    done = [reply for reply in said if isinstance(reply, StageDone)]
    assert len(done) == 2
    assert "of it cannot be read" in done[0].note
    assert findings(said, "scenes")[-1].end_ms == 24_000


def test_sound_that_outlasts_the_picture_still_lies_in_a_scene() -> None:
    made = kept_film("outro.mkv", shots=(3.0, 3.0), sound=(Sound(seconds=12.0),))
    scenes = findings(run(made.path), "scenes")
    assert 11_900 <= scenes[-1].end_ms <= 12_200


def test_a_film_that_cannot_be_decoded_fails_every_stage(tmp_path: Path) -> None:
    data = bytearray(kept_film("pass.mp4", shots=(2.0,)).path.read_bytes())
    at, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[at:end] = bytes(end - at)
    path = tmp_path / "zeros.mp4"
    path.write_bytes(data)
    said = run(path)
    failed = [reply for reply in said if isinstance(reply, StageFailed)]
    assert [one.stage for one in failed] == ["shots", "scenes"]
    assert all("no picture could be decoded" in one.reason for one in failed)
    assert all(one.permanent for one in failed)


def test_an_unforeseen_error_of_the_reader_fails_the_stages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: Any, frame: Any) -> Any:
        raise RuntimeError("a decoder of no luck")

    monkeypatch.setattr("scanners.frames.Shrinker.small", broken)
    failed = [reply for reply in run(film().path) if isinstance(reply, StageFailed)]
    assert [one.stage for one in failed] == ["shots", "scenes"]
    assert failed[0].reason == "the program failed: RuntimeError: a decoder of no luck"
    assert "a decoder of no luck" in capsys.readouterr().err


# --- resuming ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"times_ms": VARYING},
        {"options": (("preset", "veryfast"), ("bf", "3"), ("g", "40"))},
        {"looks": (1, 2, 1, 2, 3, 1, 3, 4)},
    ],
    ids=["steady", "varying", "b-frames", "dialogue"],
)
def test_a_resumed_pass_goes_on_with_exactly_the_same(
    changes: dict[str, Any], often: None, tmp_path: Path
) -> None:
    made = film(**changes)
    whole = run(made.path, stills=tmp_path / "whole")
    shots, scenes = findings(whole, "shots"), findings(whole, "scenes")
    untils = sorted({one.until_ms for one in whole if isinstance(one, Found)})[:-1]
    assert untils
    for until in untils:
        stills = tmp_path / str(until)
        resumed = run(made.path, resume_ms=until, stills=stills)
        assert findings(resumed, "shots") == [one for one in shots if one.start_ms >= until]
        later = [one for one in scenes if one.start_ms >= until]
        assert findings(resumed, "scenes") == later
        for still in stills.iterdir():
            assert still.read_bytes() == (tmp_path / "whole" / still.name).read_bytes()
        assert len(list(stills.iterdir())) == len(later)


def test_a_pass_may_be_resumed_within_a_long_shot(often: None) -> None:
    slides = tuple(range(0, 300_000, 500))
    made = kept_film("static.mkv", shots=(280.0, 20.0), times_ms=slides, size=(32, 18), sound=())
    whole = run(made.path)
    scenes = findings(whole, "scenes")
    untils = sorted({one.until_ms for one in whole if isinstance(one, Found)})
    assert untils[:2] == [100_000, 200_000]
    for until in untils[:2]:
        resumed = run(made.path, resume_ms=until)
        assert findings(resumed, "scenes") == [one for one in scenes if one.start_ms >= until]
        assert findings(resumed, "shots")[0].start_ms == until


def test_a_resumed_pass_reports_progress_from_where_it_goes_on() -> None:
    told = [one for one in run(film().path, resume_ms=12_000) if isinstance(one, Progress)]
    assert all(one.done_ms >= 12_000 for one in told)
