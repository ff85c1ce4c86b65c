"""Which stages are missing: derived from rows, versions, models and inputs."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from companion import stages
from companion.config import Config, Features, Scanning
from companion.findings import MediaInfo
from companion.model import File, Known, SideFileRow, StageResult, StageState
from scanners.base import STAGES
from scanners.models import PROFILES

ROLES = dict(PROFILES["embedded"])
MEDIA = MediaInfo(container="matroska", duration_ms=60_000)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data_dir=tmp_path)


def known(**changes: object) -> Known:
    file = File(id=1, public_id="f", fingerprint="fp:1", size=10, media=MEDIA, paths=(b"/a.mkv",))
    start = Known(file=file, results={}, side_files=(), has_subtitles=False, has_scenes=False)
    return replace(start, **changes)  # type: ignore[arg-type]  # named by the test


def done(stage: str, on: Known, config: Config, *, at_ms: int = 1) -> StageResult:
    return StageResult(
        file_id=1,
        stage=stage,
        version=STAGES[stage].version if stage in STAGES else 0,
        model=stages.model_of(stage, ROLES) if stage in STAGES else "",
        inputs=stages.inputs_of(stage, on, config, ROLES) if stage in STAGES else "",
        state=StageState.DONE,
        reason="",
        note="",
        attempts=1,
        finished_at_ms=at_ms,
        cpu_ms=1,
    )


def failed(stage: str, on: Known, config: Config, *, attempts: int, permanent: bool) -> StageResult:
    row = done(stage, on, config)
    return replace(row, state=StageState.FAILED, attempts=attempts, permanent=permanent)


def with_rows(on: Known, config: Config, *names: str) -> Known:
    for name in names:
        on = replace(on, results={**on.results, name: done(name, on, config)})
    return on


def complete(config: Config, **changes: object) -> Known:
    names = [name for name in STAGES if name in stages.enabled(config)]
    return with_rows(known(has_scenes=True, **changes), config, *names)


def test_a_new_file_is_first_asked_what_it_is(config: Config) -> None:
    fresh = known()
    unprobed = replace(fresh, file=replace(fresh.file, media=None))
    assert stages.missing(unprobed, config, ROLES) == {"words": ("subtitles",)}


def test_a_probed_file_wants_its_words_and_its_picture_but_no_speech_yet(config: Config) -> None:
    wanted = stages.missing(known(), config, ROLES)
    assert wanted["words"] == ("subtitles",)
    assert {"shots", "scenes"} <= set(wanted["picture"])
    assert "speech" not in wanted
    assert "meaning" not in wanted


def test_speech_waits_for_the_subtitles_and_meaning_for_scenes(config: Config) -> None:
    after_words = with_rows(known(has_scenes=True), config, "subtitles")
    wanted = stages.missing(after_words, config, ROLES)
    assert wanted["speech"] == ("speech",)
    assert wanted["meaning"] == ("meaning",)


def test_nothing_is_missing_when_every_stage_is_there(config: Config) -> None:
    assert stages.missing(complete(config), config, ROLES) == {}


def test_a_subtitle_that_appears_later_makes_its_stage_outdated(config: Config) -> None:
    row = SideFileRow(
        path=b"/a.en.srt", language="en", forced=False, hearing_impaired=False, size=9, mtime_ns=1
    )
    later = replace(complete(config), side_files=(row,))
    assert stages.missing(later, config, ROLES)["words"] == ("subtitles",)


def test_a_film_that_is_renamed_with_its_subtitle_is_no_new_work(config: Config) -> None:
    row = SideFileRow(
        path=b"/a.en.srt", language="en", forced=False, hearing_impaired=False, size=9, mtime_ns=1
    )
    before = complete(config, side_files=(row,))
    after = replace(before, side_files=(replace(row, path=b"/b/c.en.srt"),))
    assert stages.missing(after, config, ROLES) == {}


def test_a_subtitle_that_gave_lines_makes_speech_settle_anew(config: Config) -> None:
    later = replace(complete(config), has_subtitles=True)
    assert stages.missing(later, config, ROLES) == {"speech": ("speech",)}
    assert stages.replaced(later, config)


def test_both_may_be_kept_by_configuration(config: Config) -> None:
    both = replace(config, scan=Scanning(subtitles_replace_speech=False))
    assert stages.missing(replace(complete(both), has_subtitles=True), both, ROLES) == {}


def test_another_model_makes_only_its_stages_outdated(config: Config) -> None:
    other = {**ROLES, "speech": "whisper-tiny.en"}
    assert stages.missing(complete(config), config, other)["speech"] == ("speech",)
    assert "picture" not in stages.missing(complete(config), config, other)


def test_new_lines_make_meaning_outdated_and_nothing_else(config: Config) -> None:
    full = complete(config)
    speech = replace(full.results["speech"], finished_at_ms=99)
    later = replace(full, results={**full.results, "speech": speech})
    assert stages.missing(later, config, ROLES) == {"meaning": ("meaning",)}


def test_a_feature_that_is_off_asks_for_nothing(tmp_path: Path) -> None:
    off = Config(data_dir=tmp_path, features=Features(semantic_search=False))
    assert "meaning" not in stages.enabled(off)
    assert stages.missing(complete(off), off, ROLES) == {}


def test_one_outdated_picture_stage_runs_the_whole_pass(config: Config) -> None:
    full = complete(config)
    rows = {name: row for name, row in full.results.items() if name != "scenes"}
    wanted = stages.missing(replace(full, results=rows), config, ROLES)
    assert set(wanted["picture"]) >= {"shots", "scenes"}


def test_a_picture_feature_that_is_turned_on_later_is_all_that_is_missing(tmp_path: Path) -> None:
    off = Config(data_dir=tmp_path, features=Features(face_detection=False))
    before = complete(off)
    assert stages.missing(before, off, ROLES) == {}
    assert stages.missing(before, Config(data_dir=tmp_path), ROLES) == {"picture": ("faces",)}


def test_other_cuts_make_everything_outdated_that_is_seen(config: Config) -> None:
    other = {**ROLES, "shots": "transnetv2"}
    wanted = stages.missing(complete(config), config, other)
    assert wanted == {"picture": ("shots", "scenes", "picture", "faces", "onscreen")}


def test_what_is_switched_off_is_said_with_its_key(tmp_path: Path) -> None:
    assert stages.switched_off(Config(data_dir=tmp_path)) == ()
    off = Config(data_dir=tmp_path, features=Features(face_detection=False, semantic_search=False))
    assert stages.switched_off(off) == (
        "faces: off by features.face_detection",
        "meaning: off by features.semantic_search",
    )


def test_pictures_keep_their_words_while_nobody_searches_by_meaning(config: Config) -> None:
    """Turning the search by meaning off is no reason to look at every film again."""
    without = {role: name for role, name in ROLES.items() if role != "meaning"}
    quiet = replace(config, features=Features(semantic_search=False))
    assert stages.missing(complete(config), quiet, without) == {}
    row = replace(complete(config).results["picture"], inputs=stages._hash(""))
    silent = replace(complete(config), results={**complete(config).results, "picture": row})
    assert stages.missing(silent, quiet, without) == {}
    assert stages.missing(silent, config, ROLES) == {"picture": ("picture",)}


def test_a_stage_needs_every_model_that_it_opens() -> None:
    assert stages.needed_models("faces", ROLES) == ("sface", "yunet")
    assert stages.needed_models("onscreen", ROLES) == ("pp-ocr",)
    own = {**ROLES, "onscreen": "pp-ocr-own:/mine"}
    assert stages.needed_models("onscreen", own) == ("pp-ocr-own:/mine", "pp-ocr")
    assert stages.needed_models("picture", ROLES) == ("efficientnet-lite0", "use-m3")
    assert stages.needed_models("scenes", ROLES) == ()


@pytest.mark.parametrize(("attempts", "permanent"), [(1, True), (2, False), (5, False)])
def test_a_stage_that_failed_for_good_is_set_aside(
    config: Config, attempts: int, permanent: bool
) -> None:
    full = complete(config)
    row = failed("speech", full, config, attempts=attempts, permanent=permanent)
    poor = replace(full, results={**full.results, "speech": row})
    assert stages.set_aside("speech", poor, config, ROLES)
    assert "speech" not in stages.missing(poor, config, ROLES)


def test_a_stage_that_failed_once_is_tried_again(config: Config) -> None:
    full = complete(config)
    row = failed("speech", full, config, attempts=1, permanent=False)
    assert "speech" in stages.missing(
        replace(full, results={**full.results, "speech": row}), config, ROLES
    )


def test_a_new_version_tries_what_was_set_aside(config: Config) -> None:
    full = complete(config)
    row = replace(failed("speech", full, config, attempts=9, permanent=True), version=0)
    assert "speech" in stages.missing(
        replace(full, results={**full.results, "speech": row}), config, ROLES
    )


def test_speech_is_heard_when_the_subtitles_cannot_be_read(config: Config) -> None:
    row = failed("subtitles", known(), config, attempts=1, permanent=True)
    poor = known(results={"subtitles": row})
    assert stages.missing(poor, config, ROLES)["speech"] == ("speech",)


def test_a_file_that_cannot_be_opened_asks_for_nothing(config: Config) -> None:
    row = replace(failed("probe", known(), config, attempts=1, permanent=True))
    assert stages.missing(known(results={"probe": row}), config, ROLES) == {}


def test_scenes_are_not_tried_without_their_shots(config: Config) -> None:
    row = failed("shots", known(), config, attempts=2, permanent=False)
    assert "picture" not in stages.missing(known(results={"shots": row}), config, ROLES)


@given(st.sets(st.sampled_from(sorted(STAGES))))
def test_whatever_is_there_is_never_asked_for_again(there: set[str]) -> None:
    config = Config(data_dir=Path("/nowhere"))
    on = with_rows(known(has_scenes=True), config, *(name for name in STAGES if name in there))
    wanted = stages.missing(on, config, ROLES)
    for runs, names in wanted.items():
        assert all(STAGES[name].runs_in == runs for name in names)
        if runs != "picture":
            assert all(not stages.up_to_date(name, on, config, ROLES) for name in names)
