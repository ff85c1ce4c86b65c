"""What a worker keeps between requests, and what it lets go."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scanners import engines, picture, runtime, worker
from scanners.base import Encode, Finished, Options, Probe, Reply, Scan, StageDone, StageInfo
from scanners.worker import Worker
from tests.tiny_onnx import doubler

TABLE = {
    "subtitles": StageInfo("tests.fakes.stages:Words", 1, "words"),
    "meaning": StageInfo("tests.fakes.stages:Meaning", 1, "meaning", role="meaning"),
}


class Clock:
    """A clock that the test moves."""

    now = 1_000.0
    process_time = staticmethod(time.process_time)

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    for module in (worker, picture, runtime):
        monkeypatch.setattr(module, "time", clock)
    yield clock
    runtime.let_go()
    picture._kept.clear()


class Asked:
    """A worker that lets go what was idle for a minute, and what it said."""

    def __init__(self) -> None:
        self.said: list[Reply] = []
        self._worker = Worker(TABLE, self.said.append, idle_s=60)

    def read(self) -> str:
        """Have a film's words read; return the mark of the stage that read them."""
        self._worker.answer(Scan(id=1, path=b"x", stages=("subtitles",), options=Options()))
        return [one.model for one in self.said if isinstance(one, StageDone)][-1]

    def encode(self) -> None:
        self._worker.answer(Encode(id=2, role="meaning", texts=("a",), options=Options()))
        assert isinstance(self.said[-1], Finished)
        assert self.said[-1].error == ""


def test_a_stage_is_kept_while_it_is_used_and_let_go_when_others_are(clock: Clock) -> None:
    asked = Asked()
    first = asked.read()
    for _ in range(3):
        clock.now += 59
        assert asked.read() == first
    clock.now += 59
    asked.encode()
    assert asked.read() == first
    clock.now += 61
    asked.encode()  # the other one has been idle for too long by now
    assert asked.read() != first


def test_models_that_no_request_used_for_a_while_are_closed(clock: Clock, tmp_path: Path) -> None:
    asked = Asked()
    model = runtime.session(doubler(tmp_path / "double.onnx"), threads=1)
    clock.now += 59
    asked.encode()
    assert runtime.session(tmp_path / "double.onnx") is model
    clock.now += 61
    asked.encode()
    assert runtime.let_go(idle_s=1e9) == 0


def test_a_model_of_pictures_is_let_go_after_a_while_and_loaded_again(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    def load(role: str, options: Options) -> Any:
        made.append(role)
        return Looking()

    monkeypatch.setattr(engines, "load", load)
    words = picture.PictureWords(Options())
    asked = Asked()
    clock.now += 50
    words.encode(["a cat"])
    clock.now += 50
    asked.encode()
    words.encode(["a cat"])  # used 50 s ago: it is still there
    assert made == ["picture"]
    clock.now += 70
    asked.encode()
    words.encode(["a cat"])
    assert made == ["picture", "picture"]


class Looking:
    """As much of a looking.Looker as texts need."""

    words_model = "tiny@0"

    def encode_texts(self, texts: list[str]) -> Any:
        return np.ones((len(texts), 4), np.float32)


def test_without_a_limit_nothing_is_ever_let_go(clock: Clock, tmp_path: Path) -> None:
    model = runtime.session(doubler(tmp_path / "double.onnx"), threads=1)
    clock.now += 1e9
    Worker(TABLE, lambda _reply: None).answer(Probe(id=3, path=b"/nowhere"))
    assert runtime.session(tmp_path / "double.onnx") is model
