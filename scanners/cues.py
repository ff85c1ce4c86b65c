"""Turns subtitles into lines: which characters they are written in, which format, which mark-up.

A subtitle is hostile text: sizes are bounded first, every pattern runs in linear time, and nothing
here raises but StageError. SubRip, WebVTT and SubStation Alpha are read by hand because only their
times and texts matter: a library that also wants the styles refuses a whole film's subtitle for one
bad font size.
"""

import codecs
import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from charset_normalizer import from_bytes

from scanners.base import Line, StageError

MAX_BYTES = 20_000_000  # of a subtitle file; a long film's is some 200 KB
MAX_LINES = 200_000
MAX_CHARACTERS = 2_000  # of one line
MAX_ROWS = 40  # of one cue
MAX_TEXT = 8 * MAX_CHARACTERS  # of one cue, before its mark-up is taken off
GAP_MS = 100  # cues this close belong together: repeated texts are one line
READING_MS = 60  # a character; how long a text stays if its end is missing
SHORTEST_MS = 1_000  # of such a text
SAMPLE = 65_536  # bytes looked at to find the character set
ZEROS_SHARE = 0.3  # of every second byte: UTF-16 without a mark; times and spaces give it many
KANA_SHARE = 0.2  # of the letters of a Japanese text; Korean read as Japanese has none


class Cue(NamedTuple):
    """What a subtitle shows for a while, with its mark-up. Times may be anything."""

    start_ms: int
    end_ms: int
    text: str


# --- characters ----------------------------------------------------------------------------------

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_EVERY = ["cp1252", *(f"cp125{digit}" for digit in "01345678")]  # the commonest first
_EVERY += ["cp874", "cp932", "euc_jp", "cp949", "gb18030", "big5", "koi8_r"]
_BY_LANGUAGE = {
    "ja": ["cp932", "euc_jp"],
    "ko": ["cp949"],
    "zh": ["gb18030", "big5"],
    "ru": ["cp1251", "koi8_r"],
    "bg": ["cp1251"],
    "uk": ["cp1251"],
    "el": ["cp1253"],
    "tr": ["cp1254"],
    "he": ["cp1255"],
    "ar": ["cp1256"],
    "fa": ["cp1256"],
    "th": ["cp874"],
    "vi": ["cp1258"],
    **{key: ["cp1250"] for key in ("pl", "cs", "sk", "hu", "ro", "hr", "sl")},
    **{key: ["cp1252"] for key in ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "fi")},
}


def decode_text(data: bytes, language: str = "") -> str:
    """Return the text of a subtitle file.

    A byte order mark is believed, then UTF-8, then the character sets of the language (BCP 47) that
    its name claims, then whichever of all the usual ones makes the least mess.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data.decode(name, "replace")
    for name, zeros in (("utf-16-le", data[1:SAMPLE:2]), ("utf-16-be", data[:SAMPLE:2])):
        if zeros.count(0) > len(zeros) * ZEROS_SHARE:
            return data.decode(name, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode(_charset(data[:SAMPLE], language), "replace")


def _charset(sample: bytes, language: str) -> str:
    likely = _BY_LANGUAGE.get(language.split("-")[0], [])
    if not likely and (japanese := _japanese(sample)):
        return japanese
    for names in filter(None, (likely, _EVERY)):
        matches = list(from_bytes(sample, cp_isolation=names))
        if matches:
            best = min(
                matches, key=lambda one: (one.chaos, -one.coherence, names.index(one.encoding))
            )
            return best.encoding
    return "cp1252"


def _japanese(sample: bytes) -> str:
    """Return the Japanese character set in which enough of the letters are kana, or nothing."""
    for name in ("cp932", "euc_jp"):
        letters = [sign for sign in sample.decode(name, "ignore") if ord(sign) > 0xFF]
        kana = sum("\u3041" <= sign <= "\u30fe" for sign in letters)
        if kana > KANA_SHARE * len(letters):
            return name
    return ""


# --- formats -------------------------------------------------------------------------------------

_CLOCK = r"(-?)(?:(\d{1,4})\s?:\s?)?(\d{1,3})\s?:\s?(\d{1,2})(?:\s?[.,:]\s?(\d{1,3}))?"
_TIMES = re.compile(rf"\s{{0,9}}{_CLOCK}\s{{0,9}}-{{1,2}}\s?>\s{{0,9}}{_CLOCK}")
_DIALOGUE = re.compile(
    rf"\s{{0,9}}Dialogue:[^,]{{0,40}},\s{{0,9}}{_CLOCK}\s{{0,9}},\s{{0,9}}{_CLOCK},"
)
_FIELDS = 9  # commas before the text of a Dialogue row, in every version of the format


def parse(text: str) -> list[Cue]:
    """Return the cues of a subtitle file, judged by its content and not by its name.

    Raises StageError if it is no SubRip, WebVTT or (Advanced) SubStation Alpha text.
    """
    rows = [
        row[:MAX_TEXT].rstrip("\r") for row in text[:MAX_BYTES].lstrip("\ufeff \t\r\n").split("\n")
    ]
    if len(rows) == 1:  # old Macintosh files
        rows = [row[:MAX_TEXT] for row in text[:MAX_BYTES].split("\r")]
    times = [_TIMES.match(row) for row in rows]
    if any(times):
        return list(_timed(rows, times, rows[0].startswith("WEBVTT")))
    cues = [cue for row in rows if (cue := _dialogue(row))]
    if not cues:
        raise StageError("it is no subtitle in a known format")
    return cues[:MAX_LINES]


def _ms(sign: str, hours: str, minutes: str, seconds: str, fraction: str) -> int:
    """Return ms from the groups of _CLOCK; a missing group is None or empty."""
    whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    ms = whole * 1000 + int((fraction or "").ljust(3, "0"))
    return -ms if sign else ms


def _timed(rows: Sequence[str], times: Sequence[re.Match[str] | None], vtt: bool) -> Iterator[Cue]:
    """Yield the cues of SubRip or WebVTT, at most MAX_LINES.

    Numbers and names of cues, notes, styles and regions stand before a time or without one.
    """
    ends = [number for number, time in enumerate(times) if time][: MAX_LINES + 1]
    for first, last in zip(ends, [*ends[1:], len(rows)], strict=False):
        found = times[first]
        assert found is not None
        groups = found.groups()
        text: list[str] = []
        for number in range(first + 1, min(last, first + 1 + 2 * MAX_ROWS)):
            row = rows[number]
            if not row.strip():
                if vtt:
                    break
                continue
            is_name = number == last - 1 and last < len(rows)
            if is_name and (row.strip().isdigit() or not rows[number - 1].strip()):
                continue
            text.append(row)
        yield Cue(_ms(*groups[:5]), _ms(*groups[5:]), "\n".join(text))


def _dialogue(row: str) -> Cue | None:
    """Return the cue of a Dialogue row of SubStation Alpha, or None if it is something else."""
    found = _DIALOGUE.match(row)
    if not found:
        return None
    groups = found.groups()
    fields = row.split(",", _FIELDS)
    if len(fields) <= _FIELDS:
        return None
    return Cue(_ms(*groups[:5]), _ms(*groups[5:]), fields[_FIELDS])


# --- mark-up -------------------------------------------------------------------------------------

_BRACES = re.compile(r"\{([^{}]*)\}")
_OVERRIDE = re.compile(r"\\|[YyCcFfSsPpHh]:")  # how mark-up in braces starts, of any format
_PEN = re.compile(r"\\p(\d)")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,300}>|<[\d:.,]{5,20}>")
_BREAK = re.compile(r"\\[Nn]|[\n\r\v\f\x85\u2028\u2029]|<br\s{0,9}/?>", re.IGNORECASE)
_SPACE = re.compile(r"[\s\u200b]+")
_LONG_NUMBER = re.compile(r"&#[xX]?[0-9a-fA-F]{9,}")  # html.unescape cannot take it
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def plain_rows(text: str, *, braces_hide: bool = False) -> tuple[str, ...]:
    """Return the rows that are seen on the screen, as plain text. Music notes are kept.

    braces_hide: all that stands in braces is a comment, as in SubStation Alpha.
    """
    rows = (_plain(row) for row in _BREAK.split(_unbraced(text[:MAX_TEXT], braces_hide))[:MAX_ROWS])
    return tuple(row for row in rows if row)


def _unbraced(text: str, braces_hide: bool) -> str:
    """Take off what is said in braces, and the drawings that such tags begin and end."""
    if "{" not in text:
        return text
    kept, drawing = [], False
    for number, piece in enumerate(_BRACES.split(text)):
        if number % 2:
            if pens := _PEN.findall(piece):
                drawing = pens[-1] != "0"
            if not braces_hide and not _OVERRIDE.match(piece):
                kept.append("{" + piece + "}")
        elif not drawing:
            kept.append(piece)
    return "".join(kept)


def _plain(row: str) -> str:
    row = _TAG.sub("", row.replace("\\h", " "))
    if "&" in row:
        row = html.unescape(_LONG_NUMBER.sub("", row))
    row = _UNSEEN.sub("", row)[: 2 * MAX_CHARACTERS]
    return _SPACE.sub(" ", unicodedata.normalize("NFC", row)).strip()[:MAX_CHARACTERS]


def says_something(text: str) -> bool:
    """True if there is a letter or a digit in it, in any script."""
    return any(sign.isalnum() for sign in text)


# --- time ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Said:
    start_ms: int
    end_ms: int
    text: str


def mend(
    cues: Iterable[Cue], *, language: str = "", duration_ms: int = 0, braces_hide: bool = False
) -> list[Line]:
    """Return lines in order, on the film's clock, from cues that may be in any state.

    Texts repeated by rolling captions, layers or karaoke become one line. An end that is missing,
    before its start or beyond the next line is mended. duration_ms: 0 if it is not known.
    """
    said = _once(_seen(cues, duration_ms, braces_hide))[:MAX_LINES]
    lines = []
    later: int | None = None  # the next start after that of the line in hand
    for one, following in zip(reversed(said), [None, *reversed(said)], strict=False):
        if following is not None and following.start_ms > one.start_ms:
            later = following.start_ms
        limits = [one.end_ms, *([] if later is None else [later])]
        end = min([*limits, duration_ms] if duration_ms else limits)
        lines.append(Line(one.start_ms, max(one.start_ms + 1, end), one.text, language))
    return lines[::-1]


def _seen(
    cues: Iterable[Cue], duration_ms: int, braces_hide: bool
) -> list[tuple[int, int, tuple[str, ...]]]:
    """Return (start, end, rows) in order of what is on the screen while the film runs."""
    found = []
    for cue in cues:
        rows = plain_rows(cue.text, braces_hide=braces_hide)
        before = cue.start_ms < 0 and cue.end_ms <= 0
        after = bool(duration_ms) and cue.start_ms >= duration_ms
        if rows and not before and not after:
            start = max(0, cue.start_ms)
            length = max(SHORTEST_MS, READING_MS * sum(len(row) for row in rows))
            found.append((start, cue.end_ms if cue.end_ms > start else start + length, rows))
    return sorted(found)


def _once(seen: Iterable[tuple[int, int, tuple[str, ...]]]) -> list[_Said]:
    """Return each text once while it stays on the screen, in order of start."""
    found: list[_Said] = []
    last_of: dict[str, _Said] = {}
    last_end, last_rows = -GAP_MS - 1, ()  # type: int, tuple[str, ...]
    for start, end, rows in seen:
        new = _new_rows(last_rows, rows) if start - last_end <= GAP_MS else rows
        last_end, last_rows = end, rows
        text = " ".join(new or rows)[:MAX_CHARACTERS].strip()
        before = last_of.get(text)
        if before is not None and start - before.end_ms <= GAP_MS:
            before.end_ms = max(before.end_ms, end)
        elif new and says_something(text):
            last_of[text] = _Said(start, end, text)
            found.append(last_of[text])
    return found


def _new_rows(last: tuple[str, ...], rows: tuple[str, ...]) -> tuple[str, ...]:
    """Return the rows that were not on the screen before: captions roll up row by row."""
    for count in range(min(len(last), len(rows)), 0, -1):
        if last[-count:] == rows[:count]:
            return rows[count:]
    return rows
