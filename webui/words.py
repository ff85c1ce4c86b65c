"""Numbers, times and file names in the words that people read."""

import os
from dataclasses import dataclass
from pathlib import PurePath

from companion.model import File, Span

_MINUTE_S, _HOUR_S = 60, 3600


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text, marked where it matches the query."""

    text: str
    marked: bool


def pieces(text: str, marks: tuple[Span, ...]) -> tuple[Piece, ...]:
    """Cut a text at its marks. Marks that overlap or run over the end are put right."""
    found: list[Piece] = []
    done = 0
    for mark in sorted(marks, key=lambda span: span.start):
        start, end = max(mark.start, done), min(mark.end, len(text))
        if start >= end:
            continue
        if start > done:
            found.append(Piece(text[done:start], marked=False))
        found.append(Piece(text[start:end], marked=True))
        done = end
    if done < len(text):
        found.append(Piece(text[done:], marked=False))
    return tuple(found)


def marks_of(text: str, wanted: str) -> tuple[Span, ...]:
    """Return where `wanted` stands in the text, regardless of case."""
    low, needle = text.lower(), wanted.lower()
    if not needle or len(low) != len(text):  # some capitals have a longer small form
        return ()
    found: list[Span] = []
    at = low.find(needle)
    while at >= 0:
        found.append(Span(start=at, end=at + len(needle)))
        at = low.find(needle, at + len(needle))
    return tuple(found)


def counted(number: int, one: str, many: str = "") -> str:
    """Return "1 film", "7 films"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def sentence(text: str) -> str:
    """Return a reason as a sentence of its own: "The picture is larger than 20 MB." """
    said = text[:1].upper() + text[1:]
    return said if said.endswith((".", "!", "?", "…")) else f"{said}."


def how_long(ms: int) -> str:
    """Return "55 s", "12 min" or "1 h 42 min"."""
    seconds = round(ms / 1000)
    if seconds < _MINUTE_S:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < _MINUTE_S:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def about(seconds: int) -> str:
    """Return an estimate as honest as it is coarse: "about 3 hours"."""
    if seconds < _MINUTE_S:
        return "less than a minute"
    if seconds < _HOUR_S:
        return f"about {counted(round(seconds / _MINUTE_S), 'minute')}"
    hours = seconds / _HOUR_S
    if hours < 48:
        return f"about {counted(round(hours), 'hour')}"
    return f"about {counted(round(hours / 24), 'day')}"


def iso_duration(ms: int) -> str:
    """Return what `<time datetime>` wants: PT1H2M3S."""
    seconds = max(0, ms) // 1000
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"PT{hours}H{minutes}M{seconds}S"


def printable(path: bytes) -> str:
    """Return a path as text that can be written anywhere: what is not UTF-8 becomes "?"."""
    return os.fsdecode(path).encode("utf-8", "replace").decode("utf-8")


def file_name(file: File) -> str:
    """Return the name of a file without its folder, "" while it is nowhere."""
    return PurePath(printable(file.paths[0])).name if file.paths else ""
