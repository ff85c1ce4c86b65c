"""The runner behind `make bench` and `make quality`."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from tests import figures


def module(name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ModuleType(name)
    exec(source, made.__dict__)
    monkeypatch.setitem(__import__("sys").modules, name, made)


GOOD = 'LIMITS = {"speed": "<= 1.20"}\ndef measure(folder):\n    return {"speed": 1.1, "told": 7}\n'
SLOW = 'LIMITS = {"speed": "<= 1.20"}\ndef measure(folder):\n    return {"speed": 1.3}\n'
AWAY = "from tests.figures import Skipped\ndef measure(folder):\n    raise Skipped('no film')\n"
GONE = 'LIMITS = {"speed": "<= 1.20"}\ndef measure(folder):\n    return {}\n'
TORN = "def measure(folder):\n    raise ValueError('torn')\n"


@pytest.mark.parametrize(
    ("source", "status", "words"),
    [
        (GOOD, 0, "speed           1.1  <= 1.20     ok"),
        (SLOW, 1, "BROKEN"),
        (AWAY, 0, "skipped: no film"),
        (TORN, 1, "broken"),
        (GONE, 1, "was not measured"),
    ],
)
def test_a_figure_is_held_to_its_limit(
    source: str,
    status: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module("some.one", source, monkeypatch)
    assert figures.run("some", tmp_path / "build" / "bench.json", ["one"]) == status
    assert words in capsys.readouterr().out
    kept = json.loads((tmp_path / "build" / "bench.json").read_text(encoding="utf-8"))
    assert set(kept) == {"measured_at", "machine", "figures", "limits", "notes"}


def test_only_modules_that_measure_are_run() -> None:
    names = figures.module_names("tests.bench")
    assert "run" not in names
    assert "daemon" in names
