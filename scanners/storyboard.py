"""What the demo library is made of, and therefore what is true of every film in it.

Light: tests and figures read the truth from here without decoding anything.
"""

from pathlib import Path
from typing import Literal

import msgspec

from scanners.models import Wheel

ASSETS = Path(__file__).parent / "assets" / "demo"
FPS = 24
SIZE = (640, 360)  # px

View = tuple[float, float, float]
"""Centre (x, y) as fractions of a picture and zoom; 1 is the largest 16:9 part that fits."""


class Clip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A recording of speech, `<name>.flac`, 16 kHz mono."""

    seconds: float
    said: str  # word by word, in lower case without marks: what recognition is measured against
    text: str  # as it would be printed


class Shot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"begin": "from"}):
    """A slow move over a picture, `<name>.jpg`."""

    picture: str
    seconds: float
    begin: View
    to: View
    dissolve: int = 0  # frames of the shot before that it fades in over

    @property
    def frames(self) -> int:
        return round(self.seconds * FPS)


class Spoken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    clip: str
    at_s: float


class Film(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A film that is made from shots and clips."""

    path: str  # in the library
    shots: tuple[Shot, ...]
    sound: tuple[Spoken, ...]
    subtitle: Literal["none", "inside", "beside"] = "none"
    silent: bool = False  # without a sound track at all

    @property
    def frames(self) -> int:
        return sum(shot.frames for shot in self.shots)


class Taken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A film that comes as it is out of a pinned package. Cuts and fades were looked up by eye."""

    path: str
    package: Wheel
    archive: bool  # a source archive, not a wheel
    member: str
    sha256: str
    size: int
    fps: int
    frames: int
    cuts: tuple[int, ...]  # first frame of each shot that starts with a hard cut
    gradual: tuple[tuple[int, int], ...]  # first and last frame of each dissolve or fade
    titles: tuple[tuple[int, int, str], ...]  # start and end in ms: what stands in the picture


class Storyboard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    clips: dict[str, Clip]
    films: tuple[Film, ...]
    taken: tuple[Taken, ...]


class Truth(msgspec.Struct, frozen=True):
    """What is true of a film of the library. Frames count from 0, times are ms."""

    path: str
    fps: int
    frames: int
    cuts: tuple[int, ...]
    gradual: tuple[tuple[int, int], ...]
    lines: tuple[tuple[int, int, str], ...]  # start, end and text of what is spoken or titled
    said: str  # all that is spoken, as in Clip.said; empty if nobody speaks
    subtitle: Literal["none", "inside", "beside"]


def read() -> Storyboard:
    """Return the storyboard of the demo library."""
    return msgspec.json.decode((ASSETS / "storyboard.json").read_bytes(), type=Storyboard)


def lines_of(film: Film, clips: dict[str, Clip]) -> tuple[tuple[int, int, str], ...]:
    """Return start and end in ms and text of what is spoken in a film."""
    return tuple(
        (
            round(one.at_s * 1000),
            round((one.at_s + clips[one.clip].seconds) * 1000),
            clips[one.clip].text,
        )
        for one in film.sound
    )


def truth() -> list[Truth]:
    """Return what is true of every film of the library, whether it was assembled or not."""
    board = read()
    made = [_truth_of(film, board.clips) for film in board.films]
    taken = [
        Truth(
            path=film.path,
            fps=film.fps,
            frames=film.frames,
            cuts=film.cuts,
            gradual=film.gradual,
            lines=film.titles,
            said="",
            subtitle="beside" if film.titles else "none",
        )
        for film in board.taken
    ]
    return made + taken


def _truth_of(film: Film, clips: dict[str, Clip]) -> Truth:
    cuts, gradual, at = [], [], 0
    for shot in film.shots:
        if shot.dissolve:
            gradual.append((at, at + shot.dissolve - 1))
        elif at:
            cuts.append(at)
        at += shot.frames
    return Truth(
        path=film.path,
        fps=FPS,
        frames=film.frames,
        cuts=tuple(cuts),
        gradual=tuple(gradual),
        lines=lines_of(film, clips),
        said=" ".join(clips[one.clip].said for one in film.sound),
        subtitle=film.subtitle,
    )
