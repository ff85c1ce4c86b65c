"""How the lines of a scene become the texts that get a vector each.

A passage is one line, or short lines that follow each other. A vector of a whole scene is near to
nothing: of lines between two others, a paraphrase found 60 to 88 % first, and passages 96 to 100 %
(companion/search/README.md). Search asks here again which lines the nearest passage was made of,
so this module imports nothing heavy.
"""

from collections.abc import Sequence
from typing import NamedTuple

LEAST_WORDS = 8  # of a passage, while lines follow: "In the lake." alone says too little
MOST_WORDS = 60  # the sentence encoder was measured with texts of up to 60 words
OVERLAP_WORDS = 12  # of a line that is cut, so that no sentence is lost at a border
LETTERS_A_WORD = 3  # in scripts that do not put spaces between words
LONGEST_WORD = 16  # letters; beyond, it is taken for a run of words without spaces


class Passage(NamedTuple):
    """Lines [first, last] of a scene, by their place in it, and the text of their vector."""

    first: int
    last: int
    text: str


def passages(lines: Sequence[str]) -> list[Passage]:
    """Return the passages of a scene's lines, in order; lines without words are in none."""
    groups: list[list[int]] = [[]]
    for number, line in enumerate(lines):
        if line.split():
            if sum(size(lines[each]) for each in groups[-1]) >= LEAST_WORDS:
                groups.append([])
            groups[-1].append(number)
    if len(groups) > 1 and sum(size(lines[each]) for each in groups[-1]) < LEAST_WORDS // 2:
        tail = groups.pop()
        groups[-1] += tail  # "Yes." at the end belongs to what it answers
    return [
        Passage(group[0], group[-1], text)
        for group in groups
        if group
        for text in _cut([piece for number in group for piece in pieces(lines[number])])
    ]


def size(line: str) -> int:
    """Return the number of words of a line, also where no spaces stand between them."""
    return sum(
        1 if len(word) <= LONGEST_WORD else -(-len(word) // LETTERS_A_WORD) for word in line.split()
    )


class Piece(NamedTuple):
    """A word, or a part of a run of words without spaces. glued: it goes on with the one before."""

    text: str
    size: int
    glued: bool


def pieces(line: str) -> list[Piece]:
    """Return the words of a line; of a run without spaces, parts as long as an overlap.

    >>> [piece.text for piece in pieces("mind the step")]
    ['mind', 'the', 'step']
    """
    longest = OVERLAP_WORDS * LETTERS_A_WORD
    found = []
    for word in line.split():
        for start in range(0, len(word), longest):
            part = word[start : start + longest]
            found.append(Piece(part, size(part), glued=start > 0))
    return found


def _cut(found: Sequence[Piece]) -> list[str]:
    """Return the pieces as texts of at most MOST_WORDS that overlap."""
    texts = []
    start = end = 0
    while True:
        words = 0
        while end < len(found) and words + found[end].size <= MOST_WORDS:
            words += found[end].size
            end += 1
        texts.append(_joined(found[start:end]))
        if end >= len(found):
            return texts
        start = _back(found, end)
        end = start


def _back(found: Sequence[Piece], end: int) -> int:
    """Return where the text after the one that ends there begins, so that they overlap."""
    words, start = 0, end
    while words + found[start - 1].size <= OVERLAP_WORDS:
        start -= 1
        words += found[start].size
    return start


def _joined(found: Sequence[Piece]) -> str:
    return "".join(("" if one.glued else " ") + one.text for one in found).strip()
