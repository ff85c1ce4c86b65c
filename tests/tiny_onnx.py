"""Makes ONNX files of a few kilobytes that look from outside like the real models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
Shape = Sequence[int | str]


def save(
    path: Path,
    nodes: Sequence[Any],
    inputs: dict[str, tuple[int, Shape]],
    outputs: dict[str, tuple[int, Shape]],
    constants: dict[str, NDArray[Any]] | None = None,
) -> Path:
    """Write a model of these nodes. inputs, outputs: name -> (type, shape)."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info(name, *what) for name, what in inputs.items()],
        [helper.make_tensor_value_info(name, *what) for name, what in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def doubler(path: Path, size: int = 4) -> Path:
    """Write a model that gives back twice its input `x`, (n, size)."""
    return save(
        path,
        [helper.make_node("Add", ["x", "x"], ["y"])],
        {"x": (TensorProto.FLOAT, ("n", size))},
        {"y": (TensorProto.FLOAT, ("n", size))},
    )


def picture_tower(path: Path, side: int, dims: int, *, batch: int | str = "n") -> Path:
    """Write a tower that projects the pixels of `image`, (batch, 3, side, side), at random."""
    random = np.random.default_rng(1)
    pixels = 3 * side * side
    return save(
        path,
        [
            helper.make_node("Flatten", ["image"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "matrix"], ["embedding"]),
        ],
        {"image": (TensorProto.FLOAT, (batch, 3, side, side))},
        {"embedding": (TensorProto.FLOAT, (batch, dims))},
        {"matrix": random.normal(0, 1, (pixels, dims)).astype(np.float32)},
    )


def text_tower(
    path: Path, length: int, words: int, dims: int, *, numbers: int = TensorProto.INT32
) -> Path:
    """Write a tower that adds up a random vector for each token of `text`, (n, length), weighted by
    its place, and gives more than one output as real exports do."""
    random = np.random.default_rng(2)
    return save(
        path,
        [
            helper.make_node("Gather", ["table", "text"], ["hidden"]),
            helper.make_node("Mul", ["hidden", "places"], ["placed"]),
            helper.make_node("ReduceMean", ["placed"], ["embedding"], axes=[1], keepdims=0),
        ],
        {"text": (numbers, ("n", length))},
        {
            "hidden": (TensorProto.FLOAT, ("n", length, dims)),
            "embedding": (TensorProto.FLOAT, ("n", dims)),
        },
        {
            "table": random.normal(0, 1, (words, dims)).astype(np.float32),
            "places": np.linspace(1, 2, length, dtype=np.float32)[:, None],
        },
    )
