"""ONNX sessions: one for each file, on the device that is there, dropped when idle."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from companion.errors import ModelMissing
from scanners import runtime
from tests.tiny_onnx import doubler

X = np.arange(8, dtype=np.float32).reshape(2, 4)


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    runtime.let_go()
    yield
    runtime.let_go()


def pretend(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Have ONNX Runtime say that these providers are in it."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: list(names))


def test_a_model_runs_and_its_outputs_come_in_order(tmp_path: Path) -> None:
    session = runtime.session(doubler(tmp_path / "double.onnx"), threads=1)
    (found,) = session.run({"x": X})
    assert np.array_equal(found, X * 2)
    assert np.array_equal(session.run({"x": X}, ["y"])[0], X * 2)


def test_a_session_says_what_goes_in_and_what_comes_out(tmp_path: Path) -> None:
    session = runtime.session(doubler(tmp_path / "double.onnx"), threads=1)
    assert session.inputs == {"x": ["n", 4]}
    assert session.outputs == {"y": ["n", 4]}
    assert session.types() == {"x": "tensor(float)"}
    assert session.device == "cpu"


def test_a_model_is_opened_once_in_a_process(tmp_path: Path) -> None:
    path = doubler(tmp_path / "double.onnx")
    first = runtime.session(path, threads=1)
    assert runtime.session(path, threads=2) is first
    assert first.threads == 1
    assert runtime.session(doubler(tmp_path / "other.onnx"), threads=1) is not first


def test_no_number_of_threads_means_every_core_this_process_may_use(tmp_path: Path) -> None:
    session = runtime.session(doubler(tmp_path / "double.onnx"))
    assert session.threads == runtime.cores() == len(os.sched_getaffinity(0))


def test_what_has_been_idle_is_let_go_and_what_is_in_use_stays(tmp_path: Path) -> None:
    old = runtime.session(doubler(tmp_path / "old.onnx"), threads=1)
    new = runtime.session(doubler(tmp_path / "new.onnx"), threads=1)
    old.used_at -= 100
    assert runtime.let_go(idle_s=60) == 1
    assert runtime.session(tmp_path / "new.onnx") is new
    assert runtime.session(tmp_path / "old.onnx") is not old
    assert runtime.let_go() == 0


def test_running_a_model_counts_as_use(tmp_path: Path) -> None:
    session = runtime.session(doubler(tmp_path / "double.onnx"), threads=1)
    session.used_at -= 100
    before = time.monotonic()
    session.run({"x": X})
    assert session.used_at >= before
    assert runtime.let_go(idle_s=60) == 1


def test_a_missing_file_and_a_file_that_is_no_model_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"none\.onnx is missing"):
        runtime.session(tmp_path / "none.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(ModelMissing, match=r"broken\.onnx cannot be read as an ONNX model"):
        runtime.session(broken)
    assert runtime.let_go(idle_s=1e9) == 0, "a model that failed to open is not kept"


@pytest.mark.parametrize(
    ("there", "best"),
    [
        (("CPUExecutionProvider",), "cpu"),
        (("AzureExecutionProvider", "CPUExecutionProvider"), "cpu"),
        (("OpenVINOExecutionProvider", "CPUExecutionProvider"), "openvino"),
        (("CPUExecutionProvider", "CUDAExecutionProvider"), "cuda"),
        (
            ("CUDAExecutionProvider", "OpenVINOExecutionProvider", "CPUExecutionProvider"),
            "cuda",
        ),
    ],
)
def test_the_best_device_that_is_found_is_taken(
    monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], best: str
) -> None:
    monkeypatch.delenv(runtime.DEVICE_VARIABLE, raising=False)
    pretend(monkeypatch, *there)
    assert runtime.device() == best


def test_a_device_can_be_asked_for_and_one_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, "CUDAExecutionProvider", "CPUExecutionProvider")
    monkeypatch.setenv(runtime.DEVICE_VARIABLE, " CPU ")
    assert runtime.device() == "cpu"
    monkeypatch.setenv(runtime.DEVICE_VARIABLE, "openvino")
    with pytest.raises(ModelMissing, match=r"no device 'openvino'.*there are cuda, cpu"):
        runtime.device()


@pytest.mark.parametrize("name", runtime.DEVICES)
def test_the_cpu_stands_behind_every_device(name: str) -> None:
    asked = runtime.providers(name)
    assert asked[-1][0] == "CPUExecutionProvider"
    assert len({provider for provider, _ in asked}) == len(asked)


@pytest.mark.parametrize(
    ("there", "wanted"),
    [(["CPU"], "CPU"), (["CPU", "GPU"], "GPU"), (["CPU", "GPU.0", "GPU.1", "NPU"], "GPU.0")],
)
def test_openvino_is_asked_for_graphics_only_where_there_are_some(
    monkeypatch: pytest.MonkeyPatch, there: list[str], wanted: str
) -> None:
    monkeypatch.setattr(
        runtime._pybind_state, "get_available_openvino_device_ids", lambda: there, raising=False
    )
    assert runtime.providers("openvino")[0] == (
        "OpenVINOExecutionProvider",
        {"device_type": wanted},
    )


def test_a_device_that_cannot_be_used_after_all_leaves_the_cpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As with a card whose libraries are missing, ONNX Runtime says so and goes on."""
    pretend(monkeypatch, "CUDAExecutionProvider", "CPUExecutionProvider")
    assert runtime.device() == "cuda"
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        session = runtime.session(doubler(tmp_path / "double.onnx"), threads=1)
    assert session.device == "cpu"
    assert np.array_equal(session.run({"x": X})[0], X * 2)


def test_models_that_warn_when_they_are_loaded_stay_silent(
    capfd: pytest.CaptureFixture[str],
) -> None:
    shots = Path(runtime.__file__).parent / "assets" / "shots" / "transnetv2.onnx"
    runtime.session(shots, threads=1)
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
