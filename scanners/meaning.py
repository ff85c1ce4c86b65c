"""Turns the words of scenes into vectors, so that they are found by what they mean.

Each passage of a scene has a vector of its own (`scanners.passages`): a scene is as near to a query
as its nearest passage (max-sim), where a mean over all of it would be near to nothing.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Protocol

from scanners.base import Options, Report, Scan, SceneText, TextVector
from scanners.engines import load, model_name
from scanners.models import identity
from scanners.passages import passages

BATCH = 256  # parts that are encoded and reported together


class TextEngine(Protocol):
    """What an engine of the role `meaning` can do."""

    def encode(self, texts: Sequence[str]) -> Sequence[bytes]:
        """Return the unit vector of each text as little-endian float16 bytes."""


class Meaning:
    """The stage of the pass `meaning`, and what answers requests to encode queries."""

    name: ClassVar[str] = "meaning"

    def __init__(self, options: Options) -> None:
        self._options = options
        self._loaded: TextEngine | None = None
        self.model = identity(model_name("meaning", options))

    def run(self, scan: Scan, report: Report) -> str:
        todo = [(scene.number, part, text) for scene in scan.scenes for part, text in parts(scene)]
        for start in range(0, len(todo), BATCH):
            some = todo[start : start + BATCH]
            vectors = self.encode([text for _number, _part, text in some])
            report.found(
                (
                    TextVector(number, part, vector)
                    for (number, part, _text), vector in zip(some, vectors, strict=True)
                ),
                until_ms=0,
            )
            report.progress(start + len(some), len(todo))
        return ""

    def encode(self, texts: Sequence[str]) -> Sequence[bytes]:
        """Return the unit vector of each text as little-endian float16 bytes."""
        if self._loaded is None:
            self._loaded = load("meaning", self._options)
        return self._loaded.encode(texts)


def parts(scene: SceneText) -> Iterator[tuple[int, str]]:
    """Give (number, text) of the parts of a scene's words; a scene without words has none."""
    yield from enumerate(passage.text for passage in passages(scene.lines))
