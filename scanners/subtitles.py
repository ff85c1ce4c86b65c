"""Reads the subtitle that says what is spoken: a file beside the film or a text track inside it.

The one decision a reader must know: a track that only translates signs or foreign parts ("forced")
is never taken for the words of the film, whether its flag, its name or its few lines give it away.
"""

import os
import re
import stat
import time
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import av
import msgspec

from companion.timecode import clock
from scanners.base import Line, MediaInfo, Options, Report, Scan, SideFile, StageError
from scanners.cues import MAX_BYTES, MAX_LINES, MAX_TEXT, Cue, decode_text, mend, parse, plain_rows
from scanners.media import bcp47, describe, main_audio, open_media, start_ms, time_ms
from scanners.reading import packets, skip_other_streams
from scanners.refusals import read_error

LONG_FILM_MS = 20 * 60_000  # from here on a full subtitle has many lines
FEW_A_MINUTE = 1.0  # lines; films have 8 to 15, forced tracks of films below 0.5
BATCH = 1_000  # lines reported at a time
TICK_S = 1.0  # between two words about progress

_FORCED = re.compile(r"forced|foreign|signs", re.IGNORECASE)
_NOT_SPOKEN = re.compile(
    r"comment|kommentar|comentari|lyrics|karaoke|trivia|コメンタリー|코멘터리|评论|評論",
    re.IGNORECASE,
)
_SIDE_ENDINGS = (b".srt", b".vtt", b".ass", b".ssa")
_ASS_FIELDS = 8  # commas before the text of an event as FFmpeg gives it


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A subtitle that could be read. `side` or `stream` says where it is."""

    language: str = ""  # BCP 47, empty if not said
    label: str  # what people call it
    text: bool = True  # False for bitmaps
    forced: bool = False
    spoken: bool = True  # False for commentary, lyrics and the like
    hearing_impaired: bool = False
    default: bool = False
    side: SideFile | None = None
    stream: int = -1  # index in the container


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What to read, best first, and if that is nothing, why."""

    best_first: tuple[Candidate, ...]
    reason: str = ""


def candidates(media: MediaInfo, side_files: Iterable[SideFile]) -> list[Candidate]:
    """Return every subtitle of a film, files beside it first."""
    found = []
    for side in side_files:
        name = side.path.replace(b"\\", b"/").rsplit(b"/", 1)[-1]
        shown = " ".join(plain_rows(name.decode("utf-8", "replace")))
        ending = shown.lower().rsplit(".", 3)[1:]  # the parts that speak about the track
        found.append(
            Candidate(
                language=bcp47(side.language),
                label=f"the file {shown}",
                text=name.lower().endswith(_SIDE_ENDINGS),
                forced=side.forced or any(part in {"forced", "foreign"} for part in ending),
                spoken=not any(_NOT_SPOKEN.match(part) for part in ending),
                hearing_impaired=side.hearing_impaired,
                side=side,
            )
        )
    for stream in media.subtitles:
        title = " ".join(plain_rows(stream.title))
        found.append(
            Candidate(
                language=stream.language,
                label=f"track {stream.index}" + (f" “{title[:60]}”" if title else ""),
                text=stream.text,
                forced=stream.forced or bool(_FORCED.search(title)),
                spoken=not _NOT_SPOKEN.search(title),
                hearing_impaired=stream.hearing_impaired,
                default=stream.default,
                stream=stream.index,
            )
        )
    return found


def choose(found: Sequence[Candidate], wanted: Sequence[str], heard: str = "") -> Choice:
    """Return the full text subtitles in the order in which they should be tried.

    wanted: BCP 47 tags, best first; a track of no stated language is tried after them, one of
    another language never. If wanted is empty, any will do: the language that is heard first
    (heard: that of the main audio track, empty if not known). In one language a file beside the
    film comes before a track, plain before hearing-impaired, the default track before others.
    """
    if not found:
        return Choice(best_first=(), reason="no subtitles")
    full = [one for one in found if one.text and one.spoken and not one.forced]
    if not full:
        return Choice(best_first=(), reason=_why_none(found))
    ranked = [(_rank(one.language, wanted, heard), number) for number, one in enumerate(full)]
    usable = [(rank, full[number]) for rank, number in ranked if rank is not None]
    usable.sort(
        key=lambda pair: (
            pair[0],
            pair[1].side is None,
            pair[1].hearing_impaired,
            not pair[1].default,
        )
    )
    if not usable:
        there = ", ".join(sorted({one.language for one in full}))
        reason = f"subtitles only in {there}; wanted {', '.join(wanted)}"
        return Choice(best_first=(), reason=reason)
    return Choice(best_first=tuple(one for _, one in usable))


def _rank(language: str, wanted: Sequence[str], heard: str) -> float | None:
    """Return how far down the wish list a language is, or None if it is not on it."""
    if not wanted:
        if not heard or _base(language) == _base(heard):
            return 0
        return 1 if not language else 2
    if not language:
        return len(wanted)
    same = [place for place, tag in enumerate(wanted) if _base(tag) == _base(language)]
    if not same:
        return None
    exact = language.lower() in (tag.lower() for tag in wanted)
    return same[0] + (0 if exact else 0.5)


def _base(tag: str) -> str:
    return tag.split("-")[0].lower()


def _why_none(found: Sequence[Candidate]) -> str:
    text = [one for one in found if one.text]
    if not text:
        return "only picture subtitles, which cannot be read as text"
    if any(one.forced for one in text):
        languages = sorted({one.language for one in text if one.forced and one.language})
        return "only a forced track" + (f" ({', '.join(languages)})" if languages else "")
    return "only a commentary or lyrics track"


def thin(lines: Sequence[Line], duration_ms: int) -> bool:
    """True if a long film has so few lines that they cannot be all that is said."""
    minutes = duration_ms / 60_000
    return duration_ms >= LONG_FILM_MS and len(lines) < FEW_A_MINUTE * minutes


class Subtitles:
    """The stage of the pass `words`."""

    name: ClassVar[str] = "subtitles"
    model: str = ""

    def __init__(self, options: Options) -> None:
        self._wanted = tuple(filter(None, (bcp47(tag) for tag in options.languages)))

    def run(self, scan: Scan, report: Report) -> str:
        with open_media(scan.path) as container:
            media = describe(container)
        sound = main_audio(media)
        choice = choose(
            candidates(media, scan.side_files), self._wanted, sound.language if sound else ""
        )
        film = _Tracks(scan.path, media, choice.best_first, report)
        passed_over = []
        for one in choice.best_first:
            try:
                lines = film.lines(one)
            except StageError as error:
                if not error.permanent:
                    raise
                passed_over.append(f"{one.label}: {error.reason}")
                continue
            if not lines:
                passed_over.append(f"{one.label}: it is empty")
            elif thin(lines, media.duration_ms):
                passed_over.append(
                    f"{one.label}: only {len(lines)} lines in {clock(media.duration_ms)}, "
                    "so it was taken for a forced track"
                )
            else:
                _report(lines, media.duration_ms, report)
                language = f" ({one.language})" if one.language else ""
                count = f"{len(lines)} line" + ("" if len(lines) == 1 else "s")
                return "; ".join([f"{one.label}{language}, {count}", *passed_over])
        return "; ".join(passed_over) or choice.reason


def _report(lines: Sequence[Line], duration_ms: int, report: Report) -> None:
    for first in range(0, len(lines), BATCH):
        batch = lines[first : first + BATCH]
        last = first + BATCH >= len(lines)
        report.found(
            batch, until_ms=max(duration_ms, batch[-1].end_ms) if last else batch[-1].start_ms
        )


class _Tracks:
    """The lines of a film's subtitles. The tracks inside it are read together, once."""

    def __init__(
        self, path: bytes, media: MediaInfo, wanted: Sequence[Candidate], report: Report
    ) -> None:
        self._path = path
        self._media = media
        self._inside = {one.stream for one in wanted if one.side is None}
        self._report = report
        self._read: dict[int, list[Cue]] | None = None

    def lines(self, one: Candidate) -> list[Line]:
        """Raises StageError if a file beside the film cannot be read or understood."""
        if one.side is not None:
            cues = read_side_file(one.side.path, one.language)
            hide = one.side.path.lower().endswith((b".ass", b".ssa"))
        else:
            if self._read is None:
                self._read = read_tracks(self._path, self._inside, self._media, self._report)
            cues = self._read[one.stream]
            codecs = {stream.index: stream.codec for stream in self._media.subtitles}
            hide = codecs.get(one.stream) in {"ass", "ssa"}
        return mend(
            cues,
            language=one.language,
            duration_ms=self._media.duration_ms,
            braces_hide=hide,
        )


def read_side_file(path: bytes, language: str = "") -> list[Cue]:
    """Return the cues of a subtitle file. Only its first MAX_BYTES are read.

    Raises StageError if it cannot be read or is no subtitle.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116  # bytes, which Path does not take
            raise StageError("it is not a file")
        with open(path, "rb") as file:  # noqa: PTH123  # bytes, which Path does not take
            data = file.read(MAX_BYTES)
    except OSError as error:
        raise read_error(error) from error
    return parse(decode_text(data, language))


def read_tracks(
    path: bytes, indexes: Iterable[int], media: MediaInfo, report: Report
) -> dict[int, list[Cue]]:
    """Return the cues of text tracks, by stream index, read in one go through the file.

    A film that is damaged somewhere gives what can be read of it. Raises StageError if it cannot
    be opened, or its disk fails.
    """
    found: dict[int, list[Cue]] = {index: [] for index in indexes}
    room = dict.fromkeys(found, MAX_BYTES)  # characters
    with open_media(path) as container:
        start = start_ms(container)
        if "mp4" in container.format.name:  # others are read from end to end anyway, and the
            skip_other_streams(container, found)  # packets in between show how far it has come
        told = time.monotonic()
        for packet in packets(container):
            if packet.pts is None:
                continue
            at = time_ms(packet.pts, packet.time_base, start)
            if time.monotonic() - told > TICK_S:
                told = time.monotonic()
                report.progress(min(max(0, at), media.duration_ms), media.duration_ms)
            index = packet.stream_index
            if room.get(index, 0) > 0 and len(found[index]) < MAX_LINES:
                length = time_ms(packet.duration or 0, packet.time_base, 0)
                texts = _texts(packet)
                found[index] += (Cue(at, at + length, text) for text in texts)
                room[index] -= sum(len(text) for text in texts)
    return found


def _texts(packet: Any) -> list[str]:
    """Return the texts of a packet as SubStation Alpha writes them; none if it is damaged."""
    try:
        shown = packet.decode()
    except (av.FFmpegError, ValueError):
        return []
    events = [event.ass.decode("utf-8", "replace") for event in shown if event.type == b"ass"]
    return [event.split(",", _ASS_FIELDS)[-1][:MAX_TEXT] for event in events]
