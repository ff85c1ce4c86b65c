"""Opens ONNX models on the best device there is, sets threads once, and lets idle models go.

ONNX Runtime gives a session's memory back when the session is dropped, and in no other way. So the
sessions of a process are kept here, one for each file and device, and `let_go` drops those that
nobody has used for a while; the next use opens them again.
"""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import _pybind_state

from companion.errors import ModelMissing

ERRORS_ONLY = 3  # some models print hundreds of warnings when they are loaded
DEVICE_VARIABLE = "HEIMDEX_CHILD_DEVICE"  # "cpu", "cuda" or "openvino"; empty: the best there is

_PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
DEVICES = tuple(_PROVIDERS)  # best first

Array = NDArray[Any]


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def device() -> str:
    """Return the device that models run on: what DEVICE_VARIABLE says, else the best that is found.

    Raises ModelMissing if the device that is asked for is unknown or not in this installation.
    """
    there = set(ort.get_available_providers())
    found = [name for name in DEVICES if _PROVIDERS[name] in there]
    asked = os.environ.get(DEVICE_VARIABLE, "").strip().lower()
    if not asked:
        return found[0]
    if asked not in found:
        raise ModelMissing(
            f"{DEVICE_VARIABLE}: there is no device '{asked}' for ONNX models here;"
            f" there are {', '.join(found)}"
        )
    return asked


def providers(name: str) -> list[tuple[str, dict[str, str]]]:
    """Return what ONNX Runtime is asked for: the device, and the CPU for what it cannot do."""
    options: dict[str, dict[str, str]] = {
        # grow by what is asked for, not by doubling: other programs use the card too
        "cuda": {"arena_extend_strategy": "kSameAsRequested"},
        "openvino": {"device_type": _openvino_type() if name == "openvino" else ""},
        "cpu": {},
    }
    wanted = [name] if name == "cpu" else [name, "cpu"]
    return [(_PROVIDERS[one], options[one]) for one in wanted]


def _openvino_type() -> str:
    """Return the graphics of this machine if OpenVINO can use them, else its processor.

    On the processor it costs as much as ONNX Runtime itself (23 CPU ms a picture both).
    """
    ids: list[str] = getattr(_pybind_state, "get_available_openvino_device_ids", list)()
    return next((one for one in ids if one.startswith("GPU")), "CPU")


@dataclass(slots=True)
class Session:
    """An open model. device: where it really runs, which may be the CPU after all."""

    device: str
    threads: int
    _session: Any
    used_at: float = field(default_factory=time.monotonic)

    @property
    def inputs(self) -> dict[str, list[Any]]:
        """Return the shape of each input, by name; a free dimension is a text or None."""
        return {one.name: one.shape for one in self._session.get_inputs()}

    @property
    def outputs(self) -> dict[str, list[Any]]:
        """Return the shape of each output, by name."""
        return {one.name: one.shape for one in self._session.get_outputs()}

    def types(self) -> dict[str, str]:
        """Return the type of each input as ONNX Runtime names it: tensor(float), tensor(int32)."""
        return {one.name: one.type for one in self._session.get_inputs()}

    def metadata(self) -> dict[str, str]:
        """Return what the file says besides its numbers, such as a recogniser's characters."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, feed: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """Return the named outputs, or all in the model's order."""
        self.used_at = time.monotonic()
        found = self._session.run(list(outputs) if outputs else None, dict(feed))
        self.used_at = time.monotonic()
        return [np.asarray(one) for one in found]


_lock = threading.Lock()
_open: dict[tuple[Path, str], Session] = {}


def session(path: Path, *, threads: int = 0) -> Session:
    """Return the model in a file, opened once in this process.

    threads: 0 for as many as there are cores; the first to open a model decides.
    Raises ModelMissing if there is no such file or it is no model.
    """
    key = (path, device())
    with _lock:
        kept = _open.get(key)
        if kept is None:
            kept = _open[key] = _load(path, key[1], threads or cores())
        kept.used_at = time.monotonic()
        return kept


def let_go(idle_s: float = 0.0) -> int:
    """Drop the models that have not been used for idle_s seconds; return how many are left.

    A model that is still held elsewhere lives until it is dropped there too.
    """
    limit = time.monotonic() - idle_s
    with _lock:
        for key in [key for key, one in _open.items() if one.used_at <= limit]:
            del _open[key]
        return len(_open)


def _load(path: Path, name: str, threads: int) -> Session:
    ort.set_default_logger_severity(ERRORS_ONLY)
    options = ort.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # a thread that waits by spinning is a core that somebody else could have
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not path.is_file():
        raise ModelMissing(f"the model file {path} is missing")
    try:
        opened = ort.InferenceSession(str(path), options, providers=providers(name))
    except Exception as error:  # the library's errors have no common base but Exception
        raise ModelMissing(f"{path} cannot be read as an ONNX model: {error}") from error
    runs_on = next(one for one in DEVICES if _PROVIDERS[one] in opened.get_providers())
    return Session(runs_on, threads, opened)
