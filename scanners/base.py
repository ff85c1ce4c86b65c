"""What daemon and child say to each other, and what a stage is.

The child is `python -m scanners.child`. Both sides write one JSON object a line: requests go to its
standard input, replies come from its standard output. This module holds those messages and the
stage table and imports nothing heavy, so the daemon may import it.

Times are whole milliseconds after the container's start; intervals are half-open. Boxes are
(x, y, width, height) as fractions of the upright picture, origin top left. Paths travel as bytes
(base64 in JSON), because file names need not be UTF-8. Vectors are little-endian float16 bytes.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol

import msgspec

from companion.findings import (
    AudioStream as AudioStream,
    Finding as Finding,
    Line as Line,
    MediaInfo as MediaInfo,
    OnscreenText as OnscreenText,
    Pass as Pass,
    PictureVector as PictureVector,
    Scene as Scene,
    Shot as Shot,
    SubtitleStream as SubtitleStream,
    Tags as Tags,
    TextVector as TextVector,
    Track as Track,
    TrackBox as TrackBox,
    VideoStream as VideoStream,
    Word as Word,
)


class StageInfo(msgspec.Struct, frozen=True):
    """One row of the stage table. `version` is raised when the stage would find something else."""

    plug: str  # "module:Class", loaded in the child on first use
    version: int
    runs_in: Pass
    # stages whose findings are an input: a change makes this one outdated
    needs: tuple[str, ...] = ()
    role: str | None = None  # the role in the model table, if the stage uses a model
    encoder: str = ""  # plug that encodes queries of that role (TextEncoder); "": the stage itself
    feature: str | None = None  # the switch that turns it off


STAGES: dict[str, StageInfo] = {
    "subtitles": StageInfo("scanners.subtitles:Subtitles", 1, "words"),
    "speech": StageInfo("scanners.speech:Speech", 1, "speech", needs=("subtitles",), role="speech"),
    "shots": StageInfo("scanners.dissolves:make_shots", 2, "picture", role="shots"),
    "scenes": StageInfo("scanners.scenes:Scenes", 1, "picture", needs=("shots",)),
    "picture": StageInfo(
        "scanners.picture:Picture",
        1,
        "picture",
        needs=("scenes",),
        role="picture",
        encoder="scanners.picture:PictureWords",
        feature="vision",
    ),
    "faces": StageInfo(
        "scanners.faces:Faces",
        1,
        "picture",
        needs=("scenes",),
        role="face_embedding",
        feature="face_detection",
    ),
    "onscreen": StageInfo(
        "scanners.onscreen:Onscreen",
        1,
        "picture",
        needs=("scenes",),
        role="onscreen",
        feature="vision",
    ),
    "meaning": StageInfo(
        "scanners.meaning:Meaning",
        2,
        "meaning",
        needs=("subtitles", "speech", "scenes"),
        role="meaning",
        feature="semantic_search",
    ),
}


# --- requests ------------------------------------------------------------------------------------


class SideFile(msgspec.Struct, frozen=True, kw_only=True):
    """A subtitle file beside the video, with what its name says."""

    path: bytes
    language: str = ""
    forced: bool = False
    hearing_impaired: bool = False


class SceneText(msgspec.Struct, frozen=True, array_like=True):
    """The words of a scene for the meaning stage: one string per line, in order."""

    number: int
    lines: tuple[str, ...]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says about scanning."""

    models: bytes = b""  # folder of model files
    roles: dict[str, str] = {}  # role -> name of a row of the model table
    threads: int = 0  # 0: as many as there are cores
    languages: tuple[str, ...] = ()  # wanted subtitle languages, best first; empty: any
    speech_language: str = ""  # empty: found by the model
    beam: int = 1
    subtitles_replace_speech: bool = True


class Scan(msgspec.Struct, frozen=True, kw_only=True, tag="scan"):
    """Run stages of one pass over one file."""

    id: int
    path: bytes
    stages: tuple[str, ...]
    options: Options
    side_files: tuple[SideFile, ...] = ()
    scenes: tuple[SceneText, ...] = ()
    resume_ms: int = 0  # picture pass: the end of the last scene that is already kept
    stills: bytes = b""  # picture pass: folder for one JPEG a scene, `<still_ms>.jpg`; empty: none


class Probe(msgspec.Struct, frozen=True, kw_only=True, tag="probe"):
    id: int
    path: bytes


class Encode(msgspec.Struct, frozen=True, kw_only=True, tag="encode"):
    """Turn texts into vectors of the model of `role`. Answered by Encoded."""

    id: int
    role: str
    texts: tuple[str, ...]
    options: Options


class LookAt(msgspec.Struct, frozen=True, kw_only=True, tag="look_at"):
    """Turn a picture that somebody gave into a vector that scenes are compared with.

    Answered by Encoded with one vector, of the space `looks` if the model has one, else `words`.
    """

    id: int
    path: bytes
    options: Options


class Still(msgspec.Struct, frozen=True, kw_only=True, tag="still"):
    """Write the frame nearest to at_ms as a JPEG of at most `width` pixels. Answered by Made."""

    id: int
    path: bytes
    at_ms: int
    to: bytes
    width: int = 480


class Clip(msgspec.Struct, frozen=True, kw_only=True, tag="clip"):
    """Write [start_ms, end_ms) as an MP4 that browsers play (H.264, AAC). Answered by Made."""

    id: int
    path: bytes
    start_ms: int
    end_ms: int
    to: bytes
    height: int = 720


Request = Scan | Probe | Encode | LookAt | Still | Clip


# --- replies -------------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """The child's first line."""

    pid: int
    versions: dict[str, str]


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    id: int
    stage: str
    done_ms: int
    total_ms: int


class Found(msgspec.Struct, frozen=True, kw_only=True, tag="found"):
    """Findings of a stage, in order. until_ms: everything before it has been given; a picture pass
    may be resumed there."""

    id: int
    stage: str
    until_ms: int
    findings: tuple[Finding, ...]


class StageDone(msgspec.Struct, frozen=True, kw_only=True, tag="stage_done"):
    """A stage has given all its findings. note: in words, for the status page; may be empty."""

    id: int
    stage: str
    model: str  # name and short hash of the model, empty without one
    cpu_ms: int
    note: str = ""


class StageFailed(msgspec.Struct, frozen=True, kw_only=True, tag="stage_failed"):
    id: int
    stage: str
    reason: str
    permanent: bool


class Probed(msgspec.Struct, frozen=True, kw_only=True, tag="probed"):
    id: int
    media: MediaInfo


class Encoded(msgspec.Struct, frozen=True, kw_only=True, tag="encoded"):
    id: int
    model: str
    dims: int
    vectors: tuple[bytes, ...]  # float16, in the order of the texts


class Made(msgspec.Struct, frozen=True, kw_only=True, tag="made"):
    id: int
    to: bytes


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """The last reply to every request."""

    id: int
    rss_bytes: int
    error: str = ""  # why the request as a whole failed; empty if it did not
    permanent: bool = False


Reply = Hello | Progress | Found | StageDone | StageFailed | Probed | Encoded | Made | Finished


# --- plugs ---------------------------------------------------------------------------------------


class Report(Protocol):
    """What a running stage may say."""

    def found(self, findings: Iterable[Finding], *, until_ms: int) -> None: ...

    def progress(self, done_ms: int, total_ms: int) -> None: ...


class Stage(Protocol):
    """A stage of the passes `words`, `speech` and `meaning`.

    Made once per child with the options and kept while it lives, so that a model is loaded once.
    """

    name: ClassVar[str]
    model: str  # name and short hash of the model; empty without one

    def __init__(self, options: Options) -> None: ...

    def run(self, scan: Scan, report: Report) -> str:
        """Read the file, report findings, and return a note for people (or "").

        Raises StageError if the file cannot be read by this stage.
        """


class PictureStage(Protocol):
    """A stage of the picture pass. One is made per file; scanners/fanout.py feeds it in this order.

    frame: every frame, small. sample: about one a second, larger. shot: a shot has closed. scene: a
    scene has closed. All of these come in the order of their ends, and everything that lies before
    the end of a shot or scene came before it; frames and samples of what follows may have come too.
    What a stage yields after a scene belongs to times before that scene's end. A pass that is
    resumed starts with frames and samples of a few seconds before `scan.resume_ms`: look at them
    if it helps, yield nothing of them. A stage may have a `model` and, at the end, a `note`, a
    `flush()` that gives what it holds back for a batch, because the pass may be resumed after it,
    `warm_up_ms`, how much it must see before a resumed pass begins, and `wants_frames`, False if it
    looks at samples alone. Keep models in the module: the stage lives for one file only.
    """

    name: ClassVar[str]
    sample_side: ClassVar[int]  # the longest side of the samples it wants, px; 0: none

    def __init__(self, scan: Scan, media: MediaInfo) -> None: ...

    def frame(self, frame: Any) -> Iterable[Finding]: ...

    def sample(self, sample: Any) -> Iterable[Finding]: ...

    def shot(self, shot: Shot, signature: tuple[float, ...]) -> Iterable[Finding]:
        """signature: the shot's colours, numbers from 0 to 1; alike shots have near ones."""
        ...

    def scene(self, scene: Scene) -> Iterable[Finding]: ...

    def finish(self, end_ms: int) -> Iterable[Finding]:
        """The film is over; end_ms is where."""
        ...


class TextEncoder(Protocol):
    """What a stage with a text model adds, so that queries can be encoded with the same model."""

    model: str  # name and short hash

    def encode(self, texts: Sequence[str]) -> Sequence[bytes]:
        """Return one unit vector a text, as float16 bytes."""
        ...


class StageError(Exception):
    """A stage cannot read this file; `permanent` if trying again cannot help."""

    def __init__(self, reason: str, *, permanent: bool = True) -> None:
        self.reason = reason
        self.permanent = permanent
        super().__init__(reason)


_request_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_reply_decoder: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)
_encoder = msgspec.json.Encoder()


def decode_request(line: bytes) -> Request:
    """Raises msgspec.DecodeError or msgspec.ValidationError on anything that is not a request."""
    return _request_decoder.decode(line)


def decode_reply(line: bytes) -> Reply:
    """Raises msgspec.DecodeError or msgspec.ValidationError on anything that is not a reply."""
    return _reply_decoder.decode(line)


def encode_line(message: Request | Reply) -> bytes:
    """Return the message as one line of JSON, with its newline."""
    return _encoder.encode(message) + b"\n"
