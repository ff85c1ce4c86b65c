"""Opens a film safely and says what is in it.

Every file is hostile until proven otherwise: only the `file` protocol, only containers of one film
(no playlist that names other files), no picture larger than anything real. The clock of everything
that we give is presentation time minus the container's start time, in whole milliseconds.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import av
import msgspec
from av.container import InputContainer
from av.stream import Disposition
from langcodes import standardize_tag
from langcodes.tag_parser import LanguageTagError

from companion.timecode import ms_from_pts
from scanners.base import AudioStream, MediaInfo, StageError, SubtitleStream, VideoStream
from scanners.refusals import read_error, refusal

MAX_SIDE = 16_384  # px; the largest picture that H.264 and HEVC levels allow is smaller
MAX_PIXELS = 140_000_000  # 16K; a frame of it takes some 400 MB, a larger one is an attack

# Demuxers of one film or one piece of sound. Left out on purpose: those that open other files (hls,
# dash, concat, sdp, imf and more), numbered pictures, subtitles and devices.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,asf,flv,ogg,rm,nut,mxf,"
    "dv,gxf,wtv,nsv,ivf,h261,h263,h264,hevc,vvc,obu,av1,vc1,vc1test,dirac,cavsvideo,avs2,avs3,pva,"
    "yuv4mpegpipe,nuv,ty,kux,roq,bink,smk,flic,"
    "aac,ac3,eac3,dts,flac,mp3,wav,w64,aiff,caf,amr,ape,wv,tta,truehd"
)
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": CONTAINERS,
    "max_pixels": str(MAX_PIXELS),
}
_PROBE_PACKETS = 500  # of the picture, to find its first frame

_SECONDARY = re.compile(
    r"comment|kommentar|comentari|audio.?desc|descripti|beschreib|visual.?impair|karaoke"
    r"|isolated|music only|コメンタリー|解説|코멘터리|해설|评论|評論",
    re.IGNORECASE,
)
_FORCED = re.compile(r"forced|forcé|erzwungen|forzad|forzat|foreign parts|signs", re.IGNORECASE)
_HEARING = re.compile(
    r"\bsdh\b|\bcc\b|hearing|captions|gehörlos|hörgeschädigt|malentendant|sordos", re.IGNORECASE
)
_NO_NAME = re.compile(r"handler|iso media|apple|gpac|l-smash|bento4|mainconcept", re.IGNORECASE)
_SECONDARY_FLAGS = (
    Disposition.comment
    | Disposition.karaoke
    | Disposition.visual_impaired
    | Disposition.clean_effects
    | Disposition.descriptions
)
_HEARING_FLAGS = Disposition.hearing_impaired | Disposition.captions
_NO_PICTURE_FLAGS = Disposition.attached_pic | Disposition.timed_thumbnails
# Kinds of pictures that stand still. Beside a film such a stream is a cover, whatever its flags
# say; alone it may be a film of an old camera.
_STILL_CODECS = {"mjpeg", "png", "apng", "gif", "bmp", "webp", "tiff", "jpegxl", "jpegls", "ppm"}
_HDR_TRANSFERS = {16: "pq", 18: "hlg"}  # AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67


# --- opening -------------------------------------------------------------------------------------


@contextmanager
def open_media(path: bytes) -> Iterator[InputContainer]:
    """Open a film for reading.

    Raises StageError, with a reason for people, if it is absent, empty, not a film, or has a
    picture of impossible size.
    """
    _check_file(path)
    try:
        # "file:" keeps a name such as `a:b.mkv` from being read as a protocol
        container = av.open(
            "file:" + os.fsdecode(path), "r", options=dict(_OPTIONS), metadata_errors="replace"
        )
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise refusal(path, error) from error
    with container:
        for stream in container.streams.video:
            if decodable(stream):
                check_size(stream.codec_context.width, stream.codec_context.height)
                stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        yield container


def _check_file(path: bytes) -> None:
    try:
        found = os.stat(path)  # noqa: PTH116  # bytes, which Path does not take
    except OSError as error:
        reason = f"the file cannot be opened: {error.strerror}"
        raise StageError(reason, permanent=False) from error
    if not stat.S_ISREG(found.st_mode):
        raise StageError("this is not a file")
    if found.st_size == 0:
        raise StageError("the file is empty")
    if not os.access(path, os.R_OK):
        raise StageError("the file may not be read: check its permissions", permanent=False)


def check_size(width: int, height: int) -> None:
    """Raises StageError before a picture of absurd size can be decoded. Sizes in px."""
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        raise StageError(f"the picture claims {width} x {height} pixels, which no film has")


def decodable(stream: Any) -> bool:
    """Say whether this build has a decoder for the stream."""
    return stream.codec_context is not None


# --- the clock -----------------------------------------------------------------------------------


def start_ms(container: InputContainer) -> int:
    """Return the container's start time in ms: what is taken off every time that we give."""
    return round(container.start_time / 1000) if container.start_time else 0


def time_ms(pts: int, time_base: Any, start: int) -> int:
    """Return a time stamp on the film's clock. time_base: any rational; start: from start_ms."""
    return ms_from_pts(pts, Fraction(time_base.numerator, time_base.denominator), start)


class Clock:
    """Turns the time stamps of one stream into the film's: time_ms for many, in integers."""

    def __init__(self, time_base: Any, start: int) -> None:
        self.time_base = Fraction(time_base.numerator, time_base.denominator)
        self._times = 1000 * self.time_base.numerator
        self._over = self.time_base.denominator
        self._start = start

    def ms(self, pts: int) -> int:
        """Return ms after the film's start; halves round to even, as in companion.timecode."""
        whole, rest = divmod(pts * self._times, self._over)
        up = 2 * rest > self._over or (2 * rest == self._over and whole % 2 == 1)
        return whole + up - self._start

    def pts(self, ms: int) -> int:
        """Return the time stamp at or just before a time on the film's clock."""
        return (ms + self._start) * self._over // self._times


# --- what is in it -------------------------------------------------------------------------------


def probe(path: bytes) -> MediaInfo:
    """Return what a film holds. Decodes a frame or two, to learn what only frames know.

    Raises StageError if the file cannot be opened or nothing in it lasts. A file without picture is
    not an error here.
    """
    with open_media(path) as container:
        media = describe(container)
    duration = media.duration_ms
    if not duration:
        with open_media(path) as container:
            duration = _length_by_packets(container, media.video.fps if media.video else 0.0)
    if not duration:
        raise StageError("nothing in the file can be played: it has no length")
    return msgspec.structs.replace(media, duration_ms=duration)


def describe(container: InputContainer) -> MediaInfo:
    """Return what an open film holds. Reads its first packets: seek before you decode it.

    duration_ms is 0 where no header says it.
    """
    picture = picture_stream(container)
    return MediaInfo(
        container=container.format.name,
        duration_ms=length_ms(container),
        start_ms=start_ms(container),
        bit_rate=container.bit_rate or 0,
        video=_video(container, picture) if picture else None,
        audio=tuple(_audio(stream) for stream in container.streams.audio if decodable(stream)),
        subtitles=tuple(
            _subtitle(stream) for stream in container.streams.subtitles if decodable(stream)
        ),
    )


def picture_stream(container: InputContainer) -> Any:
    """Return the stream that is the film's picture, or None. Cover art is not."""
    streams = [
        stream for stream in container.streams.video if decodable(stream) and not is_cover(stream)
    ]
    return max(
        streams,
        default=None,
        key=lambda stream: (
            not stream.disposition & Disposition.dependent,
            stream.codec_context.codec.canonical_name not in _STILL_CODECS,
            bool(stream.disposition & Disposition.default),
            stream.codec_context.width * stream.codec_context.height,
            -stream.index,
        ),
    )


def is_cover(stream: Any) -> bool:
    """Say whether a video stream is cover art or a row of thumbnails, also if it moves."""
    return bool(stream.disposition & _NO_PICTURE_FLAGS)


def main_audio(media: MediaInfo) -> AudioStream | None:
    """Return the track to listen to: the default first, then the original language.

    Commentary only if there is no other.
    """
    return min(
        media.audio,
        default=None,
        key=lambda one: (one.secondary, not one.default, not one.original, one.index),
    )


def bcp47(tag: str | None) -> str:
    """Return a language tag such as `de` or `zh-Hans`; empty if nothing usable is said."""
    if not tag or len(tag) > 40:
        return ""
    try:
        found = standardize_tag(tag)
    except LanguageTagError:
        return ""
    return "" if found.split("-")[0] in {"und", "mul", "zxx", "mis"} else found


def hdr_transfer(color_trc: int) -> str:
    """Return "pq", "hlg" or "" for FFmpeg's number of a transfer characteristic."""
    return _HDR_TRANSFERS.get(int(color_trc), "")


def shown_size(width: int, height: int, aspect: Any, rotation: int) -> tuple[int, int]:
    """Return a picture's size upright and in square pixels.

    aspect: of one stored pixel, a rational or None; rotation: degrees clockwise to apply.
    """
    pixel = Fraction(aspect.numerator, aspect.denominator) if aspect else Fraction(1)
    if Fraction(1, 8) <= pixel <= 8:  # beyond it the header lies
        width = max(1, round(width * pixel))
    return (height, width) if rotation % 180 else (width, height)


def quarter_turns(frame: Any) -> int:
    """Return the degrees clockwise, 0, 90, 180 or 270, that bring a decoded frame upright."""
    return int(round(-frame.rotation / 90) % 4 * 90)


def length_ms(container: InputContainer) -> int:
    """Return how long the header says the film is, in ms; 0 if it does not."""
    if container.duration:
        length = round(container.duration / 1000)
        # Matroska as FFmpeg writes it says when the film ends, not how long it is
        late = start_ms(container) if "matroska" in container.format.name else 0
        return length - late if length > late > 0 else length
    lengths = [
        round(stream.duration * Fraction(stream.time_base) * 1000)
        for stream in container.streams
        if stream.duration and stream.time_base and _lasts(stream)
    ]
    return max(lengths, default=0)


def _lasts(stream: Any) -> bool:
    """Say whether a stream tells how long a film is: subtitles and covers do not."""
    return stream.type == "audio" or (stream.type == "video" and not is_cover(stream))


def _length_by_packets(container: InputContainer, fps: float) -> int:
    """Return where the last packet ends, in ms: for headers that are silent. Reads it all.

    fps: of the picture, for files without any time stamp; 0 if there is none.
    """
    start = start_ms(container)
    end = timeless = 0
    try:
        for packet in container.demux():
            if not _lasts(packet.stream):
                continue
            if packet.pts is not None:
                last = packet.pts + (packet.duration or 0)
                end = max(end, time_ms(last, packet.time_base, start))
            elif packet.stream.type == "video" and packet.size:
                timeless += 1
    except av.FFmpegError as error:
        if not read_error(error).permanent:
            raise read_error(error) from error
    return end or (round(timeless * 1000 / fps) if fps else 0)


def _first_frames(container: InputContainer, stream: Any) -> list[Any]:
    """Return the first frame or two that decode, or none."""
    frames: list[Any] = []
    try:
        for count, packet in enumerate(container.demux(stream)):
            try:
                frames += packet.decode()
            except av.FFmpegError:
                continue
            if len(frames) >= 2 or count > _PROBE_PACKETS:
                break
    except av.FFmpegError as error:
        if not read_error(error).permanent:
            raise read_error(error) from error
    return frames


def _video(container: InputContainer, stream: Any) -> VideoStream:
    context = stream.codec_context
    frames = _first_frames(container, stream)
    if frames:
        check_size(frames[0].width, frames[0].height)
    rotation = quarter_turns(frames[0]) if frames else 0
    width, height = shown_size(context.width, context.height, stream.sample_aspect_ratio, rotation)
    rate = stream.average_rate or stream.guessed_rate
    return VideoStream(
        index=stream.index,
        codec=context.codec.canonical_name,
        profile=str(context.profile or ""),
        pixel_format=context.pix_fmt or "",
        width=width,
        height=height,
        fps=round(float(rate), 3) if rate else 0.0,
        rotation=rotation,
        hdr=bool(hdr_transfer(context.color_trc)),
        interlaced=any(frame.interlaced_frame for frame in frames),
    )


def _title(stream: Any) -> str:
    """Return what the track is called, untrusted; MP4 keeps it in the handler's name."""
    title = stream.metadata.get("title")
    handler = stream.metadata.get("handler_name") or ""
    return str(title or ("" if _NO_NAME.search(handler) else handler))[:200]


def _audio(stream: Any) -> AudioStream:
    title = _title(stream)
    flags = stream.disposition
    return AudioStream(
        index=stream.index,
        codec=stream.codec_context.codec.canonical_name,
        channels=stream.codec_context.channels,
        language=bcp47(stream.metadata.get("language")),
        title=title,
        default=bool(flags & Disposition.default),
        original=bool(flags & Disposition.original),
        secondary=bool(flags & _SECONDARY_FLAGS) or bool(_SECONDARY.search(title)),
    )


def _subtitle(stream: Any) -> SubtitleStream:
    title = _title(stream)
    flags = stream.disposition
    return SubtitleStream(
        index=stream.index,
        codec=stream.codec_context.codec.canonical_name,
        text=bool(stream.codec_context.codec.text_sub),
        language=bcp47(stream.metadata.get("language")),
        title=title,
        default=bool(flags & Disposition.default),
        forced=bool(flags & Disposition.forced) or bool(_FORCED.search(title)),
        hearing_impaired=bool(flags & _HEARING_FLAGS) or bool(_HEARING.search(title)),
    )
