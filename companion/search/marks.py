"""Where in a text a query matches, in characters of the text as people see it.

Works on the same runs as the index, so that it can never find less than the index did; what it does
not find is not shown. Pure functions.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from companion.findings import Word as TimedWord
from companion.model import LineRow, Span
from companion.search.query import Query
from companion.search.terms import Term
from companion.store import folding
from companion.store.folding import Run


class Cut:
    """A text, folded once for everything that is looked for in it, and cut when something is."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.folded = folding.fold(text)
        self._runs: Sequence[Run] | None = None

    @property
    def runs(self) -> Sequence[Run]:
        if self._runs is None:
            self._runs = folding.runs(self.folded.text)
        return self._runs

    def span(self, start: int, end: int) -> Span:
        """Return the characters of the text from which folded [start, end) was made."""
        at = self.folded.at
        last = end
        while last < len(at) - 1 and at[last] == at[end - 1]:
            last += 1  # the end lies inside what one character was folded to
        return Span(start=at[start], end=at[last])


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where a quote is: in the line of this number, from `start` on, with marks in each line."""

    first: int
    last: int
    marks: tuple[tuple[Span, ...], ...]  # of the lines first..last


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return spans in order, those that touch as one."""
    pairs = _merged([(span.start, span.end) for span in spans])
    return tuple(Span(start=start, end=end) for start, end in pairs)


def length(spans: Iterable[Span]) -> int:
    """Return how many characters are marked."""
    return sum(span.end - span.start for span in spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is looked for in texts, prepared once. words: plain words; beginnings: those of them
    that other words may begin with; plain: finds both in text of ASCII letters; pieces: what may be
    anywhere in a run of pairs. quotes: the runs of each quote; row: the runs of all words outside
    quotes, if there are several."""

    words: frozenset[str]
    beginnings: tuple[str, ...]
    plain: re.Pattern[str]
    pieces: tuple[str, ...]
    quotes: tuple[Sequence[Run], ...]
    row: Sequence[Run]


def wanted(query: Query, telling: Iterable[Term]) -> Wanted:
    """Prepare a query. telling: the terms of it that count."""
    chosen = list(telling)
    runs = [run for term in chosen for run in term.runs]
    longer = [run for term in chosen if term.extended is not None for run in term.runs]
    quotes = (folding.runs_of(exact.text) for exact in query.exacts)
    row = [run for word in query.words for run in folding.runs_of(word.text)]
    plain = frozenset(run.text for run in runs if not run.paired)
    beginnings = tuple(run.text for run in longer)
    return Wanted(
        words=plain,
        beginnings=beginnings,
        plain=_plain(plain, beginnings),
        pieces=tuple(run.text for run in runs if run.paired),
        quotes=tuple(quote for quote in quotes if quote),
        row=row if len(query.words) > 1 else (),
    )


def _plain(words: Iterable[str], beginnings: Sequence[str]) -> re.Pattern[str]:
    """Return what finds whole words and longer ones, as `folding.runs` cuts plain text."""
    letters = "[0-9a-z]"
    each = [f"{re.escape(word)}{letters}*" for word in beginnings]
    each += [re.escape(word) for word in words if word not in beginnings]
    return re.compile(f"(?<!{letters})(?:{'|'.join(each)})(?!{letters})" if each else "(?!)")


# --- words ---------------------------------------------------------------------------------------


def mark_words(text: Cut, wanted: Wanted) -> tuple[Span, ...]:
    """Return where words are, merged and in order."""
    folded = text.folded.text
    if folded.isascii():
        found = wanted.plain.finditer(folded)
        return tuple(text.span(match.start(), match.end()) for match in found)
    if not any(word in folded for word in (*wanted.words, *wanted.pieces)):
        return ()
    spans: list[tuple[int, int]] = []
    for run in text.runs:
        if run.paired:
            for piece in wanted.pieces:
                spans.extend(_inside(run, piece))
        elif run.text in wanted.words or run.text.startswith(wanted.beginnings):
            spans.append((run.start, run.end))
    return tuple(text.span(start, end) for start, end in _merged(spans))


def _inside(run: Run, piece: str) -> Iterator[tuple[int, int]]:
    at = run.text.find(piece)
    while at >= 0:
        yield run.start + at, run.start + at + len(piece)
        at = run.text.find(piece, at + 1)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


# --- quotes --------------------------------------------------------------------------------------


def find_quote(lines: Sequence[Cut], quote: Sequence[Run]) -> Found | None:
    """Return where the words of a quote first follow each other, also from one line to the next.

    None if they do not, or if there is no word in the quote.
    """
    if not quote:
        return None
    runs = [(number, run) for number, line in enumerate(lines) for run in line.runs]
    for start in range(len(runs) - len(quote) + 1):
        if not quote[0].paired and runs[start][1].text != quote[0].text:
            continue
        window = runs[start : start + len(quote)]
        if _follow([run for _, run in window], quote):
            return _found(lines, window, quote)
    return None


def quoted(
    found: Found, texts: Sequence[Cut], wanted: Wanted, between: str
) -> tuple[str, tuple[Span, ...]]:
    """Return a quote with the whole texts that it is in, and the words around it that count marked
    too. between: what stands between two texts."""
    text = ""
    spans: list[Span] = []
    for number in range(found.first, found.last + 1):
        start = len(text)
        text += texts[number].text + (between if number < found.last else "")
        inside = [*found.marks[number - found.first], *mark_words(texts[number], wanted)]
        spans.extend(Span(start=start + each.start, end=start + each.end) for each in inside)
    return text, joined(spans)


def _follow(runs: Sequence[Run], wanted: Sequence[Run]) -> bool:
    """True if runs are just the wanted ones; paired ones may begin before and end after them."""
    final = len(wanted) - 1
    for place, (run, want) in enumerate(zip(runs, wanted, strict=True)):
        if run.text == want.text:
            continue
        if not (run.paired and want.paired):
            return False
        if final == 0:
            fits = want.text in run.text
        elif place == 0:
            fits = run.text.endswith(want.text)
        else:
            fits = place == final and run.text.startswith(want.text)
        if not fits:
            return False
    return True


def _found(lines: Sequence[Cut], window: Sequence[tuple[int, Run]], wanted: Sequence[Run]) -> Found:
    first, last = window[0][0], window[-1][0]
    spans: dict[int, list[tuple[int, int]]] = {number: [] for number in range(first, last + 1)}
    for place, ((number, run), want) in enumerate(zip(window, wanted, strict=True)):
        begin = run.text.find(want.text) if len(wanted) == 1 else 0
        if place == 0 and len(wanted) > 1:
            begin = len(run.text) - len(want.text)
        start = run.start + begin
        spans[number].append((start, start + len(want.text)))
    marks = tuple(
        (lines[number].span(spans[number][0][0], spans[number][-1][1]),) if spans[number] else ()
        for number in range(first, last + 1)
    )
    return Found(first=first, last=last, marks=marks)


# --- time ----------------------------------------------------------------------------------------


def time_of(line: LineRow, character: int) -> int:
    """Return when the word at a character of a line is said, in ms: its own time where the words
    have theirs, else the line's start."""
    said = line.start_ms
    position = 0
    for word in line.words:
        place = _place(word, line.text, position)
        if place is None:
            continue
        if place > character:
            break
        said, position = word.start_ms, place + len(word.text.strip())
    return said


def _place(word: TimedWord, text: str, position: int) -> int | None:
    bare = word.text.strip()
    place = text.find(bare, position) if bare else -1
    return place if place >= 0 else None
