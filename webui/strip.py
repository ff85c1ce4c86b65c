"""The strip: a title as a thin horizontal band of its own length, with what is in it as marks.

Drawn as SVG by the server. One unit is a tenth of a second, so the view box is the film's length;
the browser stretches it to the width at hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from companion.model import File, LineRow, SceneRow
from companion.timecode import clock
from webui.links import Links, moment_id

UNIT_MS = 100
NARROWEST = 0.002  # of the strip; the stylesheet adds what a telephone needs
MOST_CELLS = 160  # links on one strip; scenes are taken together beyond that
JOINED = 0.0025  # of the strip: pauses in speech that are not worth a gap
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # seconds between two times
MOST_TICKS = 5
LAST_TICK = 0.75  # of a step: nearer to the end there is no room beside the end's own time


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """x, width: in units; href: where it leads; ms: where it starts."""

    x: int
    width: int
    href: str
    label: str
    ms: int
    still: str = ""
    best: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """x: where it stands, as SVG wants it: "12.5%"."""

    x: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """cells: the scenes; marks: what was found; speech: an SVG path of the spoken stretches."""

    length: int
    duration: str
    cells: tuple[Mark, ...] = ()
    marks: tuple[Mark, ...] = ()
    speech: str = ""
    ticks: tuple[Tick, ...] = ()


def found_strip(file: File, moments: Sequence[int], links: Links) -> Strip:
    """Return the strip of a title with what a search found in it: ms in the film, best first."""
    length = _length(file)
    narrowest = max(1, round(length * NARROWEST))
    marks = [
        Mark(
            x=min(at_ms // UNIT_MS, length - narrowest),
            width=narrowest,
            href=links.moment(moment_id(file, at_ms)),
            label=clock(at_ms),
            ms=at_ms,
            best=at_ms == moments[0],
        )
        for at_ms in sorted(moments)
    ]
    return Strip(length=length, duration=clock(file.duration_ms), marks=tuple(marks))


def whole_strip(
    file: File, scenes: Sequence[SceneRow], lines: Sequence[LineRow], links: Links
) -> Strip:
    """Return the strip of a title with its scenes and its speech as lanes."""
    return Strip(
        length=_length(file),
        duration=clock(file.duration_ms),
        cells=_cells(file, scenes, links),
        speech=_spoken(lines, _length(file)),
        ticks=_ticks(file.duration_ms),
    )


def _length(file: File) -> int:
    return max(1, -(-file.duration_ms // UNIT_MS))


def _cells(file: File, scenes: Sequence[SceneRow], links: Links) -> tuple[Mark, ...]:
    together = -(-len(scenes) // MOST_CELLS) or 1
    cells: list[Mark] = []
    for first in range(0, len(scenes), together):
        group = scenes[first : first + together]
        start, end = group[0].start_ms // UNIT_MS, -(-group[-1].end_ms // UNIT_MS)
        own = moment_id(file, group[0].start_ms)
        cells.append(
            Mark(
                x=start,
                width=max(1, end - start),
                href=links.moment(own),
                label=clock(group[0].start_ms),
                ms=group[0].start_ms,
                still=links.still(own),
            )
        )
    return tuple(cells)


def _spoken(lines: Sequence[LineRow], length: int) -> str:
    """Return one path of rectangles of height 1, close ones joined."""
    gap = round(length * JOINED)
    spans: list[tuple[int, int]] = []
    for line in sorted(lines, key=lambda line: line.start_ms):
        start, end = line.start_ms // UNIT_MS, -(-line.end_ms // UNIT_MS)
        if spans and start - spans[-1][1] <= gap:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return "".join(f"M{start} 0h{end - start}v1h{start - end}z" for start, end in spans)


def _ticks(duration_ms: int) -> tuple[Tick, ...]:
    """Return a few round times along the strip, never one that would run over its end."""
    seconds = duration_ms / 1000
    step = next((step for step in TICKS if seconds / step <= MOST_TICKS), 7200)
    last = seconds - step * LAST_TICK
    return tuple(
        Tick(x=f"{at * 100_000 / max(1, duration_ms):.2f}%", label=clock(at * 1000))
        for at in range(0, max(1, int(seconds)), step)
        if at <= last
    )
