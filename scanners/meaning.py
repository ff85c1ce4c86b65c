"""Turns the words of scenes into vectors, so that they are found by what they mean.

A long text is cut into parts with a little overlap, each with a vector of its own: a scene is as
near to a query as its nearest part (max-sim), where a mean over all of it would be near to nothing.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Protocol

from scanners.base import Options, Report, Scan, SceneText, TextVector
from scanners.engines import load, model_name
from scanners.models import identity

PART_WORDS = 60  # of a part; the sentence encoder was measured with texts of up to 60 words
OVERLAP_WORDS = 12  # of the part before, so that no sentence is lost at a border
LETTERS_A_WORD = 3  # in scripts that do not put spaces between words
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
    words = [word for line in scene.lines for word in spaced(line)]
    start = number = 0
    while start < len(words):
        end = start + PART_WORDS
        yield number, " ".join(words[start:end])
        if end >= len(words):
            return
        start, number = end - OVERLAP_WORDS, number + 1


def spaced(line: str) -> list[str]:
    """Return the words of a line; a run without spaces is cut where a long word would end.

    >>> spaced("mind the step")
    ['mind', 'the', 'step']
    """
    longest = PART_WORDS * LETTERS_A_WORD
    return [
        word[start : start + longest]
        for word in line.split()
        for start in range(0, len(word), longest)
    ]
