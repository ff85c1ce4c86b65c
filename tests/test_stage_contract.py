"""What every stage of the table promises. A new stage gets these tests for its line in STAGES."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from companion.config import Features
from companion.stages import needed_models
from scanners import models
from scanners.base import (
    STAGES,
    Finding,
    Finished,
    Found,
    Options,
    Pass,
    Progress,
    Reply,
    Scan,
    SceneText,
    StageDone,
    StageFailed,
    decode_reply,
    encode_line,
)
from scanners.worker import Worker, load
from tests.films import Words, kept_film, make_sound_only, truncate
from tests.models_fixture import Need, models_folder, need_model

__all__ = ["models_folder", "need_model"]

NAMES = tuple(STAGES)
PICTURE = tuple(name for name, info in STAGES.items() if info.runs_in == "picture")
WITH_MODEL = tuple(name for name, info in STAGES.items() if info.role)
IN_THE_WHEEL = ("shots", "faces")  # their models cannot be missing
SCENES = (SceneText(0, ("Hello there.",)), SceneText(1, ("How are you?", "Fine.")))
PROFILE = models.PROFILES["embedded"]


def film() -> bytes:
    return os.fsencode(kept_film("contract.mkv", shots=(3.0, 2.0, 4.0), subtitles=(Words(),)).path)


class Bench:
    """One worker for all tests, so that every model is loaded once."""

    def __init__(self) -> None:
        self._said: list[Reply] = []
        self._worker = Worker(STAGES, lambda reply: self._said.append(reply))
        self._of_film: dict[str, list[Reply]] = {}

    def answer(self, path: bytes, *stages: str, **fields: Any) -> list[Reply]:
        """Return what a worker says to a scan."""
        self._said = []
        fields.setdefault("options", Options())
        scan = Scan(id=1, path=path, stages=stages, scenes=SCENES, **fields)
        self._worker.answer(scan)
        assert isinstance(self._said[-1], Finished)
        assert self._said[-1].error == ""
        return self._said

    def of_film(self, name: str, options: Options) -> list[Reply]:
        """Return what a stage says of the film; it is asked once."""
        if name not in self._of_film:
            self._of_film[name] = self.answer(film(), name, options=options)
        return self._of_film[name]


BENCH = Bench()


def answered(path: bytes, *stages: str, **fields: Any) -> list[Reply]:
    return BENCH.answer(path, *stages, **fields)


def ends(said: Iterable[Reply]) -> dict[str, StageDone | StageFailed]:
    found = [one for one in said if isinstance(one, StageDone | StageFailed)]
    assert len({one.stage for one in found}) == len(found)
    return {one.stage: one for one in found}


@pytest.fixture
def options(request: pytest.FixtureRequest, need_model: Need) -> Options:
    """Options with the model that the stage of this test needs, if it needs one."""
    name = request.getfixturevalue("name")
    role = STAGES[name].role
    if role is None:
        return Options()
    folder = [need_model(model) for model in needed_models(name, PROFILE)][-1]
    return Options(models=os.fsencode(folder), roles={role: PROFILE[role]})


def made_by(plug: str) -> Any:
    """Return the class of what a plug makes: a plug is a class, or a function that chooses one."""
    maker = load(plug)
    return maker if isinstance(maker, type) else get_type_hints(maker)["return"]


# --- the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_is_where_its_plug_says_and_has_its_name(name: str) -> None:
    assert made_by(STAGES[name].plug).name == name


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_needs_only_stages_before_it(name: str) -> None:
    info = STAGES[name]
    assert info.version >= 1
    assert info.runs_in in get_args(Pass)
    assert set(info.needs) <= set(NAMES[: NAMES.index(name)])


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_has_a_model_in_every_profile_and_a_switch_that_exists(name: str) -> None:
    info = STAGES[name]
    if info.role is not None:
        assert all(info.role in profile for profile in models.PROFILES.values())
    if info.feature is not None:
        assert isinstance(getattr(Features(), info.feature), bool)


@pytest.mark.parametrize("name", PICTURE)
def test_a_picture_stage_can_be_fed(name: str) -> None:
    stage = made_by(STAGES[name].plug)
    assert stage.sample_side >= 0
    for method in ("frame", "sample", "shot", "scene", "finish"):
        assert callable(getattr(stage, method))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in PICTURE])
def test_another_stage_can_be_run(name: str) -> None:
    assert callable(load(STAGES[name].plug).run)


@pytest.mark.parametrize("name", WITH_MODEL)
def test_a_stage_with_a_model_can_encode_or_need_not(name: str) -> None:
    info = STAGES[name]
    encoder = load(info.encoder or info.plug)
    assert name in {"shots", "speech", "faces", "onscreen"} or callable(encoder.encode)


# --- on a film -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_finds_things_within_the_film_and_ends(name: str, options: Options) -> None:
    said = BENCH.of_film(name, options)
    end = ends(said)[name]
    assert isinstance(end, StageDone), end
    assert end.cpu_ms >= 0
    if STAGES[name].role is not None:
        assert end.model
    for one in findings(said, name):
        times = [getattr(one, field, 0) for field in ("start_ms", "end_ms", "at_ms")]
        assert all(0 <= at <= 9_100 for at in times), one
        assert getattr(one, "start_ms", 0) <= getattr(one, "end_ms", 9_100), one


@pytest.mark.parametrize("name", NAMES)
def test_what_a_stage_says_crosses_the_border(name: str, options: Options) -> None:
    for reply in BENCH.of_film(name, options):
        assert decode_reply(encode_line(reply)) == reply


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_says_the_same_again(name: str, options: Options) -> None:
    again = answered(film(), name, options=options)
    assert findings(again, name) == findings(BENCH.of_film(name, options), name)


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_reads_files_of_any_name(tmp_path: Path, name: str, options: Options) -> None:
    path = os.fsencode(tmp_path) + b"/it's \xff a\n\xf0\x9f\x8e\xac film.mkv"
    os.link(film(), path)
    assert isinstance(ends(answered(path, name, options=options))[name], StageDone)


@pytest.mark.parametrize("name", PICTURE)
def test_a_resumed_stage_says_nothing_of_what_is_kept(name: str, options: Options) -> None:
    said = answered(film(), name, options=options, resume_ms=5_000)
    assert isinstance(ends(said)[name], StageDone)
    for one in findings(said, name):
        assert getattr(one, "start_ms", getattr(one, "at_ms", 5_000)) >= 5_000, one
    assert all(one.done_ms >= 5_000 for one in said if isinstance(one, Progress))


def findings(said: Iterable[Reply], name: str) -> list[Finding]:
    return [
        one
        for reply in said
        if isinstance(reply, Found) and reply.stage == name
        for one in reply.findings
    ]


# --- on what is none -----------------------------------------------------------------------------


def hostile(folder: Path, kind: str) -> bytes:
    """Return the path of a file that makes trouble."""
    path = folder / f"{kind}.mkv"
    match kind:
        case "empty":
            path.touch()
        case "text":
            path.write_text("Dear diary")
        case "cut off":
            truncate(Path(os.fsdecode(film())), path, 0.02)
        case "sound alone":
            make_sound_only(path)
        case "away":
            pass
    return os.fsencode(path)


@pytest.mark.parametrize("kind", ["empty", "text", "cut off", "sound alone", "away"])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "meaning"])
def test_a_stage_gives_a_reason_for_what_it_cannot_read(
    tmp_path: Path, name: str, kind: str
) -> None:
    end = ends(answered(hostile(tmp_path, kind), name, options=Options(roles=dict(PROFILE))))[name]
    if isinstance(end, StageFailed):
        assert end.reason
        assert "the program failed" not in end.reason
    else:
        assert kind in {"sound alone", "cut off"} or name == "subtitles"


@pytest.mark.parametrize("name", [name for name in WITH_MODEL if name not in IN_THE_WHEEL])
def test_a_stage_without_its_model_says_so(tmp_path: Path, name: str) -> None:
    options = Options(models=os.fsencode(tmp_path), roles=dict(PROFILE))
    end = ends(answered(film(), name, options=options))[name]
    assert isinstance(end, StageFailed)
    assert "the program failed" not in end.reason
    assert not end.permanent  # it can be brought
