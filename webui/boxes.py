"""What stands in the picture where and when: faces and text, to be drawn over player and still.

Boxes are fractions of the picture as it is shown, whatever its pixels are like: an SVG whose view
box has the picture's shape lies over it exactly, letterboxed or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import apsw
import msgspec

from companion.config import Features
from companion.findings import TrackBox, VideoStream
from companion.model import File
from companion.store import pictures

WINDOW_MS = 60_000  # what a player is given at a time
SHAPE = (16, 9)  # of a picture whose size nobody knows yet
LONGEST_LABEL = 60  # characters
TALL = 1000  # units of a drawing's height


class Box(msgspec.Struct, frozen=True):
    """One thing in the picture during [start_ms, end_ms). places: where it is, in order of time;
    between two of them it moves evenly."""

    kind: str  # "face" or "text"
    label: str
    start_ms: int
    end_ms: int
    places: tuple[TrackBox, ...]


class Boxes(msgspec.Struct, frozen=True):
    """All that is known of a stretch of film."""

    start_ms: int
    end_ms: int
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A box in units of the drawing. above: False if its label has no room over it."""

    kind: str
    label: str
    x: int
    y: int
    width: int
    height: int
    above: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What lies over one picture. width, height: of the view box, shaped as the picture."""

    width: int
    height: int
    boxes: tuple[Drawn, ...]


def offered(features: Features) -> bool:
    """Say whether anything may be drawn at all."""
    return features.vision or features.face_detection


def around(connection: apsw.Connection, file: File, ms: int, features: Features) -> Boxes:
    """Read the boxes of the window in which ms lies."""
    start_ms = ms // WINDOW_MS * WINDOW_MS
    return Boxes(
        start_ms=start_ms,
        end_ms=start_ms + WINDOW_MS,
        boxes=between(connection, file, start_ms, start_ms + WINDOW_MS, features),
    )


def between(
    connection: apsw.Connection, file: File, start_ms: int, end_ms: int, features: Features
) -> tuple[Box, ...]:
    """Read what is in the picture at any time of [start_ms, end_ms). What is switched off is not
    shown, also where it was found before."""
    found: list[Box] = []
    if features.face_detection:
        for track in pictures.tracks_of_file(connection, file.id, start_ms, end_ms):
            places = _within(track.boxes, start_ms, end_ms)
            found.append(Box("face", "face", track.start_ms, track.end_ms, places))
    if features.vision:
        for text in pictures.onscreen_of_file(connection, file.id, start_ms, end_ms):
            label = _short(text.text)
            place = TrackBox(text.start_ms, *text.box)
            found.append(Box("text", label, text.start_ms, text.end_ms, (place,)))
    return tuple(found)


def drawing(file: File, boxes: Sequence[Box], ms: int) -> Drawing:
    """Return what is to be drawn over the picture at ms."""
    width, height = _size(file.media.video if file.media else None)
    shown = [box for box in boxes if box.start_ms <= ms < box.end_ms and box.places]
    return Drawing(
        width=width,
        height=height,
        boxes=tuple(_drawn(box, place_at(box.places, ms), width, height) for box in shown),
    )


def marked(file: File, place: tuple[float, float, float, float], label: str = "") -> Drawing:
    """Return the drawing of one text that is known to be there."""
    box = Box("text", _short(label), 0, 1, (TrackBox(0, *place),))
    return drawing(file, (box,), 0)


def place_at(places: Sequence[TrackBox], ms: int) -> TrackBox:
    """Return where something is at ms: between its places, or at the nearest one."""
    later = next((number for number, place in enumerate(places) if place.at_ms > ms), len(places))
    if later in {0, len(places)}:
        return places[0 if later == 0 else -1]
    one, two = places[later - 1], places[later]
    share = (ms - one.at_ms) / (two.at_ms - one.at_ms)
    return TrackBox(
        ms,
        one.x + (two.x - one.x) * share,
        one.y + (two.y - one.y) * share,
        one.width + (two.width - one.width) * share,
        one.height + (two.height - one.height) * share,
    )


def _within(places: Sequence[TrackBox], start_ms: int, end_ms: int) -> tuple[TrackBox, ...]:
    """Return the places of a stretch, and the one before and after it: it moves in between."""
    inside = [n for n, place in enumerate(places) if start_ms <= place.at_ms < end_ms]
    if not inside:
        before = [n for n, place in enumerate(places) if place.at_ms < start_ms]
        inside = [before[-1]] if before else [0]
    return tuple(places[max(0, inside[0] - 1) : inside[-1] + 2])


def _size(video: VideoStream | None) -> tuple[int, int]:
    wide, high = (video.width, video.height) if video and video.width and video.height else SHAPE
    return max(1, round(TALL * wide / high)), TALL


def _drawn(box: Box, place: TrackBox, width: int, height: int) -> Drawn:
    left, top = (max(0.0, min(1.0, part)) for part in (place.x, place.y))
    right, low = min(1.0, place.x + place.width), min(1.0, place.y + place.height)
    return Drawn(
        kind=box.kind,
        label=box.label,
        x=round(left * width),
        y=round(top * height),
        width=max(1, round((right - left) * width)),
        height=max(1, round((low - top) * height)),
        above=top > 0.08,
    )


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1].rstrip() + "…"
