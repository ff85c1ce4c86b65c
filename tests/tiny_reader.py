"""A recogniser of text that says which of red, green and blue is strongest, from left to right."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tests.tiny_onnx import save

Image = NDArray[np.uint8]


def make_reader(folder: Path, characters: str = "xyz") -> Path:
    """Write a recogniser that says for each column which of red, green and blue is strongest."""
    folder.mkdir(parents=True, exist_ok=True)
    sides = {"kernel_shape": [48, 8], "strides": [48, 8]}
    mix = np.zeros((3, 4), np.float32)
    mix[[2, 1, 0], [1, 2, 3]] = 5  # blue comes first in what a recogniser is shown
    (folder / "dict.txt").write_text("\n".join(characters) + "\n", encoding="utf-8")
    return save(
        folder / "rec.onnx",
        [
            helper.make_node("AveragePool", ["x"], ["means"], **sides),
            helper.make_node("Squeeze", ["means", "second"], ["flat"]),
            helper.make_node("Transpose", ["flat"], ["turned"], perm=[0, 2, 1]),
            helper.make_node("MatMul", ["turned", "mix"], ["mixed"]),
            helper.make_node("Softmax", ["mixed"], ["y"], axis=2),
        ],
        {"x": (TensorProto.FLOAT, ("n", 3, 48, "w"))},
        {"y": (TensorProto.FLOAT, ("n", "t", 4))},
        {"mix": mix, "second": np.array([2], np.int64)},
    )


def striped(*colours: tuple[int, int, int]) -> Image:
    return np.repeat(np.array([colours], np.uint8), 32, axis=1).repeat(48, axis=0)
