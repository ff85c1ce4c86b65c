"""Knows a thousand things by name: EfficientNet-Lite0 on ONNX Runtime.

It has no text side. Words find pictures by way of the names: a picture's vector in the space of the
text model is the sum of the vectors of the names of its ten best classes, weighted by their
probabilities (ConSE: Norouzi et al., "Zero-shot learning by convex combination of semantic
embeddings", 2013), at unit length, because pictures with one certain class would win too often
otherwise. It is tag search with synonyms in the languages of the text model, and no more than that:
no person, place, feeling or action is among the names.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np

from scanners import engines, models, runtime
from scanners.base import Options
from scanners.frames import Image
from scanners.looking import LOOKS, WORDS, Look, Vectors, middle_square, shrink, unit

SIDE = 224  # px
MEAN, SCALE = 127.0, 1 / 128  # what the pixels are trained with
BEST = 10  # classes that speak for a picture; 5 did as well, 20 and all 1000 worse
TAG_FLOOR = 0.3  # probability of a tag: of 17 on real pictures 13 were right; from 0.15 on, half
CPU_BATCH = 4  # on the CPU a larger one is no faster and takes 7 MB a picture


class TextModel(Protocol):
    """The model of the role `meaning`, as far as it is needed here."""

    model: str

    def encode(self, texts: Sequence[str]) -> Sequence[bytes]: ...


class Classes:
    """The engine of `efficientnet-lite0`. Raises ModelMissing if its files are not there."""

    def __init__(self, models_folder: Path, name: str, options: Options) -> None:
        onnx, names = (models.place(models_folder, name, file) for file in models.model(name).files)
        self.model = models.identity(name)
        self.batch = CPU_BATCH
        self.names: list[str] = json.loads(names.read_text(encoding="utf-8"))
        self._options = options
        self._models_folder = models_folder
        self._onnx = onnx
        self._text_model: TextModel | None = None
        self._vectors: Vectors | None = None
        self.words_model = models.words_identity(options.roles, name)

    def prepare(self, rgb: Image) -> Image:
        return np.ascontiguousarray(middle_square(rgb))  # 20 times cheaper than to shrink each

    def look(self, pictures: Sequence[Image]) -> list[Look]:
        found: list[Look] = []
        for start in range(0, len(pictures), self.batch):
            found += self._look(pictures[start : start + self.batch])
        return found

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        return _rows(self._texts().encode(texts))

    def _look(self, pictures: Sequence[Image]) -> list[Look]:
        stacked = np.stack([shrink(one, SIDE, SIDE) for one in pictures]).astype(np.float32)
        stacked = (stacked - MEAN) * SCALE
        logits, pooled = runtime.session(self._onnx, threads=self._options.threads).run(
            {"x": np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))}, ["logits", "emb"]
        )
        chances = softmax(logits)
        words = conse(chances, self._class_vectors()) if self.words_model else None
        return [
            Look(
                {LOOKS: looks} if words is None else {LOOKS: looks, WORDS: words[number]},
                tags(chances[number], self.names),
            )
            for number, looks in enumerate(unit(pooled))
        ]

    def _texts(self) -> TextModel:
        if self._text_model is None:
            self._text_model = engines.load("meaning", self._options)
        return self._text_model

    def _class_vectors(self) -> Vectors:
        if self._vectors is None:
            digest = hashlib.sha256("\n".join(self.names).encode()).hexdigest()[:6]
            path = self._models_folder / "class-vectors" / f"{self.words_model}-{digest}.npy"
            self._vectors = kept(path, len(self.names), lambda: self.encode_texts(self.names))
        return self._vectors


def softmax(logits: Vectors) -> Vectors:
    """Return the probabilities of each row of logits."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)


def conse(chances: Vectors, class_vectors: Vectors) -> Vectors:
    """Return (n, dims) unit vectors: class vectors weighted by the chances of the BEST classes.

    chances: (n, classes); class_vectors: (classes, dims).
    """
    best = np.argpartition(-chances, BEST - 1, axis=1)[:, :BEST]
    weights = np.take_along_axis(chances, best, axis=1)
    return unit(np.einsum("nk,nkd->nd", weights, class_vectors[best]))


def tags(chances: Vectors, names: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Return (name, probability) of the classes from TAG_FLOOR on, best first; three at most.

    chances: (classes,). Classes of one name count together.
    """
    summed: dict[str, float] = {}
    for number in np.flatnonzero(chances >= TAG_FLOOR / 2):
        name = names[int(number)]
        summed[name] = summed.get(name, 0.0) + float(chances[number])
    best = sorted(summed.items(), key=lambda one: -one[1])
    return tuple((name, round(chance, 3)) for name, chance in best if chance >= TAG_FLOOR)


def kept(path: Path, count: int, make: Callable[[], Vectors]) -> Vectors:
    """Return the vectors that lie in a file, or make them and keep them there if that can be."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        found = None
    if found is not None and found.ndim == 2 and len(found) == count and found.dtype == np.float32:
        return np.asarray(found, np.float32)
    made = make()
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.save(file, made)
        temporary.replace(path)
    except OSError:  # a read-only folder of models: they are made again next time
        with suppress(OSError):
            temporary.unlink()
    return made


def _rows(vectors: Sequence[bytes]) -> Vectors:
    """Return the float16 vectors of a text model as rows of unit length."""
    return unit(np.stack([np.frombuffer(one, "<f2") for one in vectors]))
