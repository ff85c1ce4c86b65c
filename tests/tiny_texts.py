"""A text model of no size for tests: each word has a direction of its own, the same every time."""

from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from scanners import engines, models
from scanners.base import Options
from scanners.models import Model

DIMS = 64
NAME = "tiny-texts"


class TinyTexts:
    """An engine of the role `meaning`. Counts how many texts it has encoded, in all."""

    encoded = 0

    def __init__(self, models_folder: Path, name: str, options: Options) -> None:
        self.model = models.identity(name)

    def encode(self, texts: Sequence[str]) -> Sequence[bytes]:
        TinyTexts.encoded += len(texts)
        return [vector(text).tobytes() for text in texts]


def vector(text: str) -> np.ndarray:
    """Return the unit vector of a text, float16: the sum of its words."""
    found = np.zeros(DIMS)
    for word in text.lower().split():
        found += np.random.default_rng(crc32(word.encode())).normal(0, 1, DIMS)
    return (found / max(float(np.linalg.norm(found)), 1e-9)).astype("<f2")


def install(monkeypatch: pytest.MonkeyPatch) -> str:
    """Put it into the table of models; return its name there."""
    row = Model(role="meaning", engine="tiny", files=(), sources=(), licence="CC0", dims=DIMS)
    monkeypatch.setitem(models.MODELS, NAME, row)
    monkeypatch.setitem(engines.ENGINES, "tiny", "tests.tiny_texts:TinyTexts")
    return NAME
