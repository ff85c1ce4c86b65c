"""What is known of a file and what a scan finds in it: what stages give and the store keeps.

Times are whole milliseconds after the container's start; intervals are half-open. Vectors are
little-endian float16 bytes of unit length.
"""

from typing import Literal

import msgspec

Pass = Literal["words", "picture", "speech", "meaning"]
"""What is run together in one request: `words` reads subtitles, `picture` decodes the film's
picture once for all picture stages, `speech` reads one audio track, `meaning` reads only what
earlier stages found."""


# --- what is known of a file before it is scanned ------------------------------------------------


class VideoStream(msgspec.Struct, frozen=True, kw_only=True):
    """The picture. width and height are as shown: upright, in square pixels."""

    index: int
    codec: str
    profile: str = ""
    pixel_format: str = ""
    width: int
    height: int
    fps: float  # average; 0 if unknown
    rotation: int = 0  # degrees clockwise to apply: 0, 90, 180, 270
    hdr: bool = False
    interlaced: bool = False


class AudioStream(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    codec: str
    channels: int
    language: str = ""  # BCP 47, empty if not said
    title: str = ""
    default: bool = False
    original: bool = False  # in the language that the film was made in
    secondary: bool = False  # commentary, audio description, and the like


class SubtitleStream(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    codec: str
    text: bool  # False for bitmaps (PGS, VobSub)
    language: str = ""
    title: str = ""
    default: bool = False
    forced: bool = False
    hearing_impaired: bool = False


class MediaInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the container says of itself. Names and titles in it are untrusted text."""

    container: str
    duration_ms: int
    start_ms: int = 0  # the container's start time, already taken off every time we give
    bit_rate: int = 0
    video: VideoStream | None = None
    audio: tuple[AudioStream, ...] = ()
    subtitles: tuple[SubtitleStream, ...] = ()


# --- findings ------------------------------------------------------------------------------------


class Shot(msgspec.Struct, frozen=True, tag="shot"):
    """What lies between two cuts."""

    start_ms: int
    end_ms: int


class Scene(msgspec.Struct, frozen=True, tag="scene"):
    """Consecutive shots that belong together. still_ms: the time of its sharpest sampled frame."""

    start_ms: int
    end_ms: int
    still_ms: int


class Word(msgspec.Struct, frozen=True, array_like=True):
    start_ms: int
    text: str


class Line(msgspec.Struct, frozen=True, tag="line"):
    """A piece of speech or subtitle, plain text without mark-up. language is BCP 47 or empty."""

    start_ms: int
    end_ms: int
    text: str
    language: str = ""
    words: tuple[Word, ...] = ()  # with their times, where speech recognition gave them


class TextVector(msgspec.Struct, frozen=True, tag="text_vector"):
    """A unit vector of one part of a scene's text. vector: float16 (dims,) little-endian."""

    scene: int  # the scene's number within the file, as it was given
    part: int
    vector: bytes


class Tags(msgspec.Struct, frozen=True, tag="tags"):
    """What a frame of a scene shows: (name, probability), best first. at_ms lies in the scene."""

    at_ms: int
    tags: tuple[tuple[str, float], ...]


class PictureVector(msgspec.Struct, frozen=True, tag="picture_vector"):
    """A unit vector of one frame. space: what it may be compared with.

    "looks": other pictures only; "words": also the vectors of the text tower that goes with it.
    A model with one joint space gives "words" alone. at_ms lies in the frame's scene.
    """

    at_ms: int
    space: str
    vector: bytes


class OnscreenText(msgspec.Struct, frozen=True, tag="onscreen_text"):
    """Text in the picture, merged over its frames. subtitle: it is burned-in speech."""

    start_ms: int
    end_ms: int
    text: str
    box: tuple[float, float, float, float]
    score: float  # of the recogniser, 0..1
    subtitle: bool = False


class TrackBox(msgspec.Struct, frozen=True, array_like=True):
    at_ms: int
    x: float
    y: float
    width: float
    height: float


class Track(msgspec.Struct, frozen=True, tag="track"):
    """The same face through a shot. vector: quality-weighted mean of its faces, unit length.

    quality: 0..1, of the best face; reject: why it is too poor to name, empty if it is good enough.
    A rejected track has no vector: there is nothing in it to compare.
    thumbnail: file name in the folder of stills.
    """

    start_ms: int
    end_ms: int
    frame_count: int
    boxes: tuple[TrackBox, ...]
    quality: float
    best_ms: int
    vector: bytes
    thumbnail: str = ""
    reject: str = ""


Finding = Shot | Scene | Line | TextVector | Tags | PictureVector | OnscreenText | Track
