"""Faces into vectors: the real SFace, and a tiny model of AdaFace's signature."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from companion.errors import ModelMissing
from scanners import models
from scanners.base import Options, StageError
from scanners.embedders import SIDE, TEMPLATE, OnnxEmbedder, align, similarity
from scanners.faces import load
from scanners.runtime import session
from scanners.yunet import YuNet
from tests.portrait import ASSETS, Image, eileen, scaled
from tests.tiny_onnx import save


@pytest.fixture(scope="module")
def portrait() -> Image:
    return eileen()


@pytest.fixture(scope="module")
def detector() -> YuNet:
    return YuNet(session(ASSETS / "face_detection_yunet_2023mar.onnx", threads=1))


@pytest.fixture(scope="module")
def sface() -> OnnxEmbedder:
    path = ASSETS / "face_recognition_sface_2021dec.onnx"
    return OnnxEmbedder(session(path, threads=1), "sface")


@given(st.floats(-3.1, 3.1), st.floats(0.2, 8), st.floats(-300, 300), st.floats(-300, 300))
def test_the_turn_scale_and_shift_of_landmarks_are_undone(
    angle: float, scale: float, x: float, y: float
) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = np.asarray(TEMPLATE @ turn.T + np.array([x, y]), np.float32)

    matrix = similarity(points)

    back = points @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(back, TEMPLATE, atol=0.05)


def test_landmarks_on_one_point_are_refused() -> None:
    with pytest.raises(ValueError, match="one point"):
        similarity(np.zeros((5, 2), np.float32))


def test_vectors_are_those_of_opencv_s_own_recogniser(
    detector: YuNet, sface: OnnxEmbedder, portrait: Image
) -> None:
    (face,) = detector.find(portrait)
    peer = cv2.FaceRecognizerSF.create(str(ASSETS / "face_recognition_sface_2021dec.onnx"), "")
    bgr = np.ascontiguousarray(portrait[:, :, ::-1])
    row = np.array([[face.x, face.y, face.width, face.height, *face.landmarks.ravel(), face.score]])

    ours = sface.embed(align(portrait, face.landmarks))
    theirs = peer.feature(peer.alignCrop(bgr, row.astype(np.float32)))[0]

    assert np.linalg.norm(ours) == pytest.approx(1)
    assert float(ours @ theirs / np.linalg.norm(theirs)) > 0.99


def test_a_face_is_known_again_when_smaller_mirrored_or_darker(
    detector: YuNet, sface: OnnxEmbedder, portrait: Image
) -> None:
    def vector(rgb: Image) -> NDArray[np.float32]:
        (face,) = detector.find(rgb)
        return sface.embed(align(rgb, face.landmarks))

    first = vector(portrait)
    others = {
        "large": scaled(portrait, 3),
        "small": scaled(portrait, 0.3),
        "mirrored": np.ascontiguousarray(portrait[:, ::-1]),
        "dark": (portrait * 0.5).astype(np.uint8),
    }

    for name, rgb in others.items():
        assert float(first @ vector(rgb)) > 2 * sface.same - 0.1, name


def make_adaface(
    folder: Path, shape: Sequence[int | str] = (1, 3, 112, 112)
) -> NDArray[np.float32]:
    """Write a model of AdaFace's signature: 48 means of the picture, mixed into 512 numbers."""
    mix = np.random.default_rng(5).normal(size=(48, 512)).astype(np.float32)
    sides = {"kernel_shape": [28, 28], "strides": [28, 28]}
    save(
        folder / "adaface.onnx",
        [
            helper.make_node("AveragePool", ["input"], ["means"], **sides),
            helper.make_node("Flatten", ["means"], ["flat"]),
            helper.make_node("MatMul", ["flat", "mix"], ["feature"]),
        ],
        {"input": (TensorProto.FLOAT, shape)},
        {"feature": (TensorProto.FLOAT, (1, 512))},
        {"mix": mix},
    )
    return mix


def test_adaface_is_shown_blue_first_from_minus_one_to_one(tmp_path: Path, portrait: Image) -> None:
    mix = make_adaface(tmp_path / "owner")
    face = np.asarray(cv2.resize(portrait, (SIDE, SIDE)), np.uint8)

    chosen = f"adaface:{tmp_path / 'owner'}"
    _, embedder = load(Options(models=bytes(tmp_path), roles={"face_embedding": chosen}, threads=1))

    shown = (face[:, :, ::-1].astype(np.float32) / 255 - 0.5) / 0.5
    means = shown.reshape(4, 28, 4, 28, 3).mean(axis=(1, 3)).transpose(2, 0, 1).ravel()
    expected = means @ mix
    vector = embedder.embed(face)
    assert (embedder.dims, vector.shape) == (512, (512,))
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-4)


def test_a_model_of_another_signature_is_refused_with_what_it_wants(tmp_path: Path) -> None:
    make_adaface(tmp_path / "owner", (1, 3, 56, 224))

    chosen = f"adaface:{tmp_path / 'owner'}"
    with pytest.raises(StageError, match=r"56, 224.*112 x 112"):
        load(Options(models=bytes(tmp_path), roles={"face_embedding": chosen}, threads=1))


def test_a_model_of_another_length_is_refused(tmp_path: Path) -> None:
    make_adaface(tmp_path)
    embedder = OnnxEmbedder(session(tmp_path / "adaface.onnx", threads=1), "sface")

    with pytest.raises(StageError, match="512 numbers, not 128"):
        embedder.embed(np.zeros((SIDE, SIDE, 3), np.uint8))


def test_a_model_that_gives_no_direction_is_refused(tmp_path: Path) -> None:
    make_adaface(tmp_path)
    embedder = OnnxEmbedder(session(tmp_path / "adaface.onnx", threads=1), "adaface")

    with pytest.raises(StageError, match="no direction"):
        embedder.embed(np.full((SIDE, SIDE, 3), np.nan, np.float32))  # type: ignore[arg-type]


def test_an_owner_s_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    chosen = f"adaface:{tmp_path / 'nowhere'}"

    with pytest.raises(ModelMissing, match=r"adaface\.onnx"):
        load(Options(models=bytes(tmp_path), roles={"face_embedding": chosen}))


def test_the_models_of_the_wheel_are_the_bytes_they_should_be(tmp_path: Path) -> None:
    for name in ("yunet", "sface"):
        models.verify(tmp_path, name)
        assert models.folder(tmp_path, name) == ASSETS
    licences = {path.name for path in ASSETS.glob("LICENSE*")}
    assert licences == {"LICENSE-YuNet", "LICENSE-SFace"}
    assert "APPENDIX: How to apply the Apache License" in (ASSETS / "LICENSE-SFace").read_text()
