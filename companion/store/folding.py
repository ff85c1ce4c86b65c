"""What counts as a word, the same for what is indexed, what is asked and what is marked.

Text is folded (compatibility forms, case, accents) and cut into runs of letters and digits. Scripts
that put no spaces between words, and Hangul, where particles cling to words, become overlapping
pairs, so that a two-syllable word is found inside a longer run. All of it happens here, so the
index only has to cut at spaces, and a mark in a line can never disagree with the index.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

# First and last code points of scripts that are indexed as pairs.
_PAIRED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1100, 0x11FF),  # Hangul jamo
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # radicals of Chinese characters
    (0x3005, 0x3007),  # iteration mark, closing mark, zero
    (0x3040, 0x30FF),  # hiragana, katakana
    (0x3100, 0x31FF),  # bopomofo, Hangul compatibility jamo, katakana extensions
    (0x3400, 0x4DBF),  # Chinese characters
    (0x4E00, 0x9FFF),
    (0xA960, 0xA97F),
    (0xAC00, 0xD7FF),  # Hangul syllables
    (0xF900, 0xFAFF),
    (0x1B000, 0x1B16F),  # kana supplement
    (0x20000, 0x3FFFF),  # Chinese characters beyond the basic plane
)
_PAIRED_STARTS = [first for first, _ in _PAIRED]

# Marks that people leave out when they type: accents of Latin, Greek and Cyrillic, vowel points of
# Hebrew and Arabic. Voicing marks of kana and vowel signs of Indic scripts make other words.
_DROPPED = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u064b-\u065f\u0670]")
_LETTERS = str.maketrans({"ł": "l", "đ": "d", "ø": "o", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d"})

_ASCII_RUN = re.compile(r"[0-9a-z]+")

_SEPARATOR, _PLAIN, _PAIR = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Folded:
    """Folded text. at[i] is where the i-th folded character began in the original; one more entry
    than there are characters."""

    text: str
    at: Sequence[int]


class Run(NamedTuple):
    """Letters and digits of one kind, [start, end) in the folded text. paired: indexed as pairs."""

    text: str
    start: int
    end: int
    paired: bool

    @property
    def terms(self) -> tuple[str, ...]:
        """What stands in the index for this run. A paired run ends with its last character alone,
        so that a one-character word is found at the end too, and so that two runs side by side
        never look like one."""
        if not self.paired or len(self.text) == 1:
            return (self.text,)
        return (*self.pairs, self.text[-1])

    @property
    def pairs(self) -> tuple[str, ...]:
        return tuple(self.text[i : i + 2] for i in range(len(self.text) - 1))


def fold(text: str) -> Folded:
    """Fold text and remember where every character came from."""
    if text.isascii():
        return Folded(text.lower(), range(len(text) + 1))
    folded: list[str] = []
    at: list[int] = []
    for start, cluster in _clusters(text):
        piece = _fold_cluster(cluster)
        folded.append(piece)
        at.extend([start] * len(piece))
    at.append(len(text))
    return Folded("".join(folded), at)


def runs(folded: str) -> list[Run]:
    """Cut folded text into its words and runs, in order."""
    if folded.isascii():
        found = _ASCII_RUN.finditer(folded)
        return [Run(match[0], match.start(), match.end(), False) for match in found]
    cut: list[Run] = []
    start = 0
    for kind, group in groupby(folded, key=_kind):
        text = "".join(group)
        end = start + len(text)
        if kind != _SEPARATOR:
            cut.append(Run(text, start, end, kind == _PAIR))
        start = end
    return cut


def runs_of(text: str) -> list[Run]:
    """Fold text and cut it."""
    return runs(fold(text).text)


def prepare(text: str) -> str:
    """Return what the index keeps of a text: its terms with spaces between."""
    if text.isascii():
        return " ".join(_ASCII_RUN.findall(text.lower()))
    return " ".join(term for run in runs_of(text) for term in run.terms)


def _clusters(text: str) -> Iterator[tuple[int, str]]:
    """Yield each character with the marks that follow it, and where it starts."""
    start = 0
    for position in range(1, len(text) + 1):
        if position == len(text) or not _continues(text[position]):
            yield start, text[start:position]
            start = position


@lru_cache(maxsize=8192)
def _continues(character: str) -> bool:
    """True if a character belongs to the one before: marks, and the later jamo of a syllable."""
    return (
        unicodedata.combining(character) != 0
        or "\u1160" <= character <= "\u11ff"
        or character in "\uff9e\uff9f"
    )


@lru_cache(maxsize=8192)
def _fold_cluster(cluster: str) -> str:
    folded = unicodedata.normalize("NFKC", cluster).casefold().translate(_LETTERS)
    bare = _DROPPED.sub("", unicodedata.normalize("NFKD", folded))
    return unicodedata.normalize("NFKC", bare).casefold()


@lru_cache(maxsize=8192)
def _kind(character: str) -> int:
    category = unicodedata.category(character)
    if category[0] not in "LMN":
        return _SEPARATOR
    point = ord(character)
    place = bisect_right(_PAIRED_STARTS, point) - 1
    return _PAIR if place >= 0 and point <= _PAIRED[place][1] else _PLAIN
