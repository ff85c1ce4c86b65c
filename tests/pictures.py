"""Real and made-up pictures for tests of models that look at them."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from scanners import models
from scanners.base import Options
from scanners.frames import Image, Sample
from tests import tiny_texts

DEMO = models.ASSETS / "demo"
CLASSES = "efficientnet-lite0"


def demo(name: str) -> Image:
    """Return a picture of the demo library, RGB."""
    bgr = cv2.imread(str(DEMO / f"{name}.jpg"))
    assert bgr is not None, name
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def noise(seed: int, height: int = 90, width: int = 160) -> Image:
    """Return a picture that is like no other."""
    rough = np.random.default_rng(seed).integers(0, 255, (9, 16, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(rough, (width, height)), np.uint8)


def sample(ms: int, rgb: Image, sharpness: float = 100.0) -> Sample:
    return Sample(ms=ms, rgb=rgb, sharpness=sharpness)


@pytest.fixture
def seeing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Options:
    """Return options with the real model of pictures and a tiny one of texts."""
    roles = {"picture": CLASSES, "meaning": tiny_texts.install(monkeypatch)}
    return Options(models=os.fsencode(tmp_path / "models"), roles=roles, threads=1)
