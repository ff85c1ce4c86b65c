"""Turns lines that were read in single samples into texts with a beginning and an end. Pure.

The same line, read a little differently from sample to sample, is one run; what changes is another.
Lines that stand above each other for the same time are one text. Text that comes and goes with
speech at the bottom of the picture is a burned-in subtitle.
"""

import re
import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from scanners.base import OnscreenText, Scene
from scanners.boxes import Box, overlap

GAP_MS = 2_500  # between two readings of one line; a missed sample is bridged
ERRORS = 0.12  # of the letters; the reader is that unsure from sample to sample
CLOCK = 5  # digits
OVERLAP = 0.3  # of two boxes: the same place
LAST_MS = 1_000  # after the last sighting, where no later sample says when a line went
TOGETHER = 0.5  # of the time that two lines are there: one text
LINE_GAP = 0.8  # of a line's height, between two lines of one text
LIKE_HEIGHT = 1.6  # ratio of the heights of two lines of one text

BOTTOM = 2 / 3  # of the picture's height; subtitles are below
CENTRED = 0.06  # of the picture's width, between its middle and the subtitle's
SPOKEN_MS = (300, 9_000)  # how long a subtitle stays
RHYTHM_MS = 60_000  # in which others come
OTHERS = 2  # that many others make a text a subtitle
QUICKLY_MS = 12_000  # or one other in that time
SETTLED = 6  # subtitles in a film; from then on their place alone tells
SAME_ROW = 0.05  # of the picture's height, between the lower edges of two subtitles
SAME_LETTERS = 1.35  # ratio of the heights of their lines

_NOT_WORDS = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line as it was read. score: of the reader, from 0 to 1."""

    text: str
    score: float
    box: Box


@dataclass(slots=True)
class Run:
    """One line over time. times: of the samples that showed it. best: its surest reading."""

    best: Line
    times: list[int]
    last: Line = field(init=False)

    def __post_init__(self) -> None:
        self.last = self.best

    def add(self, ms: int, line: Line) -> None:
        self.times.append(ms)
        self.last = line
        if line.score > self.best.score:
            self.best = line


@dataclass(frozen=True, slots=True)
class _Part:
    """A run within a scene. spoken: it comes and goes as subtitles do."""

    start_ms: int
    end_ms: int
    line: Line
    spoken: bool


@dataclass(frozen=True, slots=True)
class _Row:
    """Where and when something like a subtitle was."""

    text: str
    start_ms: int
    end_ms: int
    bottom: float
    height: float


class Captions:
    """Follows the lines of a film. Holds those of the scenes still open, and a minute of rhythm."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._samples: list[int] = []
        self._rows: deque[_Row] = deque()
        self._subtitles = 0

    def sample(self, ms: int, lines: Iterable[Line]) -> None:
        """Take the lines that a sample shows; samples come in order."""
        self._samples.append(ms)
        open_runs = [run for run in self._runs if ms - run.times[-1] <= GAP_MS]
        for line in lines:
            run = next((one for one in open_runs if _goes_on(one.last, line)), None)
            if run is None:
                self._runs.append(Run(line, [ms]))
            else:
                open_runs.remove(run)
                run.add(ms, line)

    def scene(self, scene: Scene) -> Iterator[OnscreenText]:
        """Give the texts of a scene that has closed."""
        self._remember_rows(scene)
        parts = [part for run in self._runs for part in self._part(run, scene)]
        for group in _texts(parts):
            subtitle = all(part.spoken for part in group)
            self._subtitles += subtitle
            yield _as_text(group, subtitle)
        self._forget(scene.end_ms)

    def _part(self, run: Run, scene: Scene) -> Iterator[_Part]:
        """Give what of a run lies in a scene, if anything does."""
        start, end = self._span(run)
        if start < scene.end_ms and end > scene.start_ms and self._seen_in(run, scene):
            spoken = self._is_spoken(run)
            start, end = max(start, scene.start_ms), min(end, scene.end_ms)
            yield _Part(start, end, run.best, spoken)

    def _seen_in(self, run: Run, scene: Scene) -> bool:
        return any(scene.start_ms <= ms < scene.end_ms for ms in run.times)

    def _span(self, run: Run) -> tuple[int, int]:
        """Return when a line came and went: half-way to the first sample that does not show it."""
        last = run.times[-1]
        later = next((ms for ms in self._samples if ms > last), None)
        return run.times[0], last + LAST_MS if later is None else (last + later + 1) // 2

    def _forget(self, end_ms: int) -> None:
        """Drop what nothing can go on from any more."""
        self._runs = [run for run in self._runs if run.times[-1] >= end_ms - GAP_MS]
        for run in self._runs:
            before = [ms for ms in run.times if ms < end_ms]
            # its beginning is kept: how long it has been there tells subtitles from signs
            run.times = before[:1] + before[1:][-1:] + [ms for ms in run.times if ms >= end_ms]
        self._samples = [ms for ms in self._samples if ms >= end_ms - GAP_MS]
        while self._rows and self._rows[0].end_ms < end_ms - RHYTHM_MS:
            self._rows.popleft()

    # --- subtitles --------------------------------------------------------------------------------

    def _remember_rows(self, scene: Scene) -> None:
        for run in sorted(self._runs, key=lambda one: one.times[0]):
            row = self._row(run)
            if row is not None:
                known = [one for one in self._rows if one.start_ms == row.start_ms]
                if not any(same_text(one.text, row.text) for one in known):
                    self._rows.append(row)

    def _row(self, run: Run) -> _Row | None:
        """Return a run as a row if it is at the place of subtitles and there for as long."""
        x, y, width, height = run.best.box
        start, end = self._span(run)
        least, most = SPOKEN_MS
        centred = abs(x + width / 2 - 0.5) <= CENTRED
        if not (centred and y >= BOTTOM - height and least <= end - start <= most):
            return None
        return _Row(run.best.text, start, end, y + height, height)

    def _is_spoken(self, run: Run) -> bool:
        row = self._row(run)
        if row is None:
            return False
        if self._subtitles >= SETTLED:
            return True
        others = [
            other
            for other in self._rows
            if _alike(row, other) and not same_text(row.text, other.text)
        ]
        apart = [
            other
            for other in others
            if min(row.end_ms, other.end_ms) <= max(row.start_ms, other.start_ms)
        ]
        near = [other for other in apart if _between(row, other) <= RHYTHM_MS]
        quick = any(_between(row, other) <= QUICKLY_MS for other in near)
        return len(near) >= OTHERS or quick


def _between(one: _Row, other: _Row) -> int:
    """Return the ms from the end of one to the start of the other."""
    return max(0, max(one.start_ms, other.start_ms) - min(one.end_ms, other.end_ms))


def _alike(one: _Row, other: _Row) -> bool:
    """Say whether two rows may be set the same: their letters, and their place, up to a line."""
    letters = max(one.height, other.height) <= SAME_LETTERS * min(one.height, other.height)
    apart = abs(one.bottom - other.bottom)
    return letters and min(apart, abs(apart - 1.3 * one.height)) <= SAME_ROW


# --- the same text -------------------------------------------------------------------------------


def _goes_on(before: Line, line: Line) -> bool:
    """Say whether a line is the one before it, where it was or moved on, as credits do."""
    if not same_text(before.text, line.text):
        return False
    if overlap(before.box, line.box) >= OVERLAP:
        return True
    x, _, width, _ = before.box
    sideways = min(x + width, line.box[0] + line.box[2]) - max(x, line.box[0])
    return len(plain(line.text)) >= 4 and sideways >= 0.6 * min(width, line.box[2])


def same_text(one: str, other: str) -> bool:
    """Say whether two readings are of one text. A clock that goes on is one text."""
    left, right = plain(one), plain(other)
    if left == right or _DIGITS.sub("", left) == _DIGITS.sub("", right) != "":
        return True
    if left.isdigit() and right.isdigit():  # a clock has many digits, a year four
        return len(left) == len(right) >= CLOCK
    longest = max(len(left), len(right))
    allowed = int(ERRORS * longest + 0.5)
    return allowed > 0 and edits(left, right, allowed) <= allowed


def plain(text: str) -> str:
    """Return a text's letters and digits alone, without case."""
    return _NOT_WORDS.sub("", unicodedata.normalize("NFKC", text).casefold())


def edits(one: str, other: str, limit: int) -> int:
    """Return how many letters must be put in, taken out or replaced; limit + 1 if it is more."""
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, start=1):
        before, row[0] = row[0], number
        for column, there in enumerate(other, start=1):
            replaced = before + (letter != there)
            before = row[column]
            row[column] = min(replaced, before + 1, row[column - 1] + 1)
        if min(row) > limit:
            return limit + 1
    return min(row[-1], limit + 1)


# --- lines that are one text ---------------------------------------------------------------------


def _texts(parts: Sequence[_Part]) -> list[list[_Part]]:
    """Group lines that stand above each other for the same time."""
    groups: list[list[_Part]] = []
    for part in sorted(parts, key=lambda one: (one.line.box[1], one.line.box[0])):
        above = next((group for group in groups if _below(group[-1], part)), None)
        if above is None:
            groups.append([part])
        else:
            above.append(part)
    return sorted(groups, key=lambda group: (min(part.start_ms for part in group), _top(group)))


def _top(group: Sequence[_Part]) -> float:
    return group[0].line.box[1]


def _below(above: _Part, part: _Part) -> bool:
    """Say whether a line goes on with the text of the one above it."""
    x, y, width, height = above.line.box
    left, top, wide, high = part.line.box
    shared = min(above.end_ms, part.end_ms) - max(above.start_ms, part.start_ms)
    longest = max(above.end_ms - above.start_ms, part.end_ms - part.start_ms)
    return (
        -0.5 * height <= top - (y + height) <= LINE_GAP * min(height, high)
        and max(height, high) <= LIKE_HEIGHT * min(height, high)
        and min(x + width, left + wide) > max(x, left)
        and shared >= TOGETHER * longest
        and above.spoken == part.spoken
    )


def _as_text(group: Sequence[_Part], subtitle: bool) -> OnscreenText:
    boxes = [part.line.box for part in group]
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right = max(box[0] + box[2] for box in boxes)
    bottom = max(box[1] + box[3] for box in boxes)
    box = tuple(round(value, 4) for value in (left, top, right - left, bottom - top))
    letters = [len(part.line.text) for part in group]
    score = sum(part.line.score * count for part, count in zip(group, letters, strict=True)) / sum(
        letters
    )
    return OnscreenText(
        start_ms=min(part.start_ms for part in group),
        end_ms=max(part.end_ms for part in group),
        text="\n".join(part.line.text for part in group),
        box=(box[0], box[1], box[2], box[3]),
        score=round(score, 3),
        subtitle=subtitle,
    )
