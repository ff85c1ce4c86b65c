"""Makes lines of what a speech model says, and takes out what it made up.

A model that hears nothing makes sentences up: it repeats itself, or says what stood under the
silent ends of the videos that it was taught with. `guarded` takes the known kinds of that out.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from scanners.base import Line, Word
from scanners.cues import says_something

LINE_MS = 8_000  # a longer piece is split
BREAK_MS = 800  # so is one with a pause this long
SILENT_DB = -50.0  # of full scale; below it nobody speaks
MAX_CHARACTERS = 2_000  # of a line


class Said(NamedTuple):
    """A word. Times in ms of the film's clock; text with the space before it, if there is one."""

    start_ms: int
    end_ms: int
    text: str


class Piece(NamedTuple):
    """What the model says in one go."""

    words: tuple[Said, ...]
    no_speech: float  # probability that nobody speaks
    confidence: float  # mean log probability of its parts, 0 is certain
    repetition: float  # how well it can be compressed; much above 2 is the same over and over
    loudness_db: float  # of full scale, over the piece

    @property
    def text(self) -> str:
        return "".join(word.text for word in self.words).strip()


class Told(NamedTuple):
    """What a recogniser makes of a window."""

    language: str
    pieces: list[Piece]


# --- guards --------------------------------------------------------------------------------------

NO_SPEECH = 0.6  # probability; Whisper's own threshold
UNSURE = -0.7  # log probability, together with NO_SPEECH
NONSENSE = -1.3  # log probability, alone
REPEATED = 2.4  # compression ratio; Whisper's own threshold
IN_A_ROW = 3  # times the same text is said before it is not believed
PHANTOM_NO_SPEECH = 0.3  # what is known to be made up needs less to be thrown out

# What Whisper was taught by the ends of videos and says where there is silence or music.
_PHANTOMS = re.compile(
    r"(thank(s| you)( (so|very) much)?( for (watching|listening))?( and see you.{0,40})?"
    r"|(please )?(like and )?subscribe( to .{0,40})?|see you (in the )?next (time|video)|bye( bye)?"
    r"|you|okay|the end|to be continued|music|applause|silence"
    r"|(subtitles|captions|transcript(ion|ed)?|translat(ed|ion)) by.{0,60}|.{0,40}amara ?org.{0,40}"
    r"|untertitel.{0,60}|copyright wdr.{0,20}|vielen dank( fürs zuschauen)?|bis zum nächsten mal"
    r"|sous titr.{0,60}|merci d avoir regardé.{0,40}|abonnez vous.{0,40}"
    r"|subtítulos.{0,60}|gracias por ver.{0,30}|sottotitoli.{0,60}|grazie per.{0,40}"
    r"|legendas.{0,60}|obrigad[oa] por assistir.{0,20}|napisy.{0,60}|ondertitel.{0,60}"
    r"|субтитры.{0,60}|продолжение следует|спасибо за просмотр|редактор субтитров.{0,60}"
    r"|시청해 ?주셔서 감사합니다|구독과? 좋아요.{0,30}|다음 (영상|시간)에 (만나요|뵙겠습니다)"
    r"|mbc 뉴스.{0,30}|한글자막.{0,40}|ご視聴ありがとうございました|チャンネル登録.{0,30}"
    r"|字幕.{0,40}|謝謝(大家|觀看|收看)?|谢谢(大家|观看|收看)?|请不吝点赞.{0,40}|請不吝點贊.{0,40}|明镜与点点.{0,20})"
)
_LETTERS = re.compile(r"[^\w]+")


def said_plainly(text: str) -> str:
    """Return a text in lower case, with single spaces for all that is no letter or digit."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _LETTERS.sub(" ", folded).strip()


def believable(piece: Piece) -> bool:
    """False for what was most likely made up."""
    plain = said_plainly(piece.text)
    if not plain or piece.loudness_db < SILENT_DB:
        return False
    if piece.confidence < NONSENSE or piece.repetition > REPEATED:
        return False
    if piece.no_speech > NO_SPEECH and piece.confidence < UNSURE:
        return False
    return not (piece.no_speech > PHANTOM_NO_SPEECH and _PHANTOMS.fullmatch(plain))


def guarded(pieces: Iterable[Piece]) -> list[Piece]:
    """Return the pieces that can be believed; of a text said over and over, the first only."""
    kept = []
    groups = itertools.groupby(
        (one for one in pieces if believable(one)), key=lambda one: said_plainly(one.text)
    )
    for _, group in groups:
        same = list(group)
        kept += same[:1] if len(same) >= IN_A_ROW else same
    return kept


# --- lines ---------------------------------------------------------------------------------------

_SENTENCE = re.compile(r"[.!?…。！？]['\"”’)]*$")
_CLAUSE = re.compile(r"[,;:—、，；：]['\"”’)]*$")


def lines_of(words: Sequence[Said], language: str) -> Iterator[Line]:
    """Yield words as lines of at most LINE_MS without long pauses, with the words' times."""
    for part in _split(words):
        text = "".join(word.text for word in part).strip()[:MAX_CHARACTERS]
        if says_something(text):
            start, end = part[0].start_ms, max(word.end_ms for word in part)
            timed = tuple(Word(word.start_ms, word.text.strip()) for word in part)
            yield Line(start, max(start + 1, end), text, language, timed)


def _split(words: Sequence[Said]) -> Iterator[Sequence[Said]]:
    todo = [words]
    while todo:
        part = todo.pop()
        at = _best_break(part)
        if at is None:
            yield part
        else:
            todo += [part[at:], part[:at]]


def _best_break(words: Sequence[Said]) -> int | None:
    """Return the number of the word before which to break, or None to leave it whole."""
    pauses = [after.start_ms - before.end_ms for before, after in itertools.pairwise(words)]
    if not pauses:
        return None
    longest = max(range(len(pauses)), key=pauses.__getitem__)
    if pauses[longest] >= BREAK_MS:
        return longest + 1
    start, end = words[0].start_ms, words[-1].end_ms
    if end - start <= LINE_MS:
        return None

    def worth(number: int) -> float:
        before = words[number].text.rstrip()
        mark = 1.0 if _SENTENCE.search(before) else 0.5 if _CLAUSE.search(before) else 0.0
        off_middle = abs(words[number].end_ms - (start + end) / 2) / (end - start)
        return mark + pauses[number] / BREAK_MS - 2 * off_middle

    return max(range(len(pauses)), key=worth) + 1


def sentences(pieces: Iterable[Piece]) -> Iterator[list[Said]]:
    """Join pieces that the model tore apart in the middle of a sentence: it listens for 30 s at
    a time, and what is searched should be what was said."""
    run: list[Said] = []
    for piece in pieces:
        if run and (
            _SENTENCE.search(run[-1].text.rstrip())
            or piece.words[0].start_ms - run[-1].end_ms >= BREAK_MS
        ):
            yield run
            run = []
        run += piece.words
    if run:
        yield run


def lines_of_all(pieces: Iterable[Piece], language: str, duration_ms: int) -> list[Line]:
    """Return the lines of all pieces in order of start, none of them outside the film.

    duration_ms: 0 if it is not known.
    """
    lines = [line for words in sentences(pieces) for line in lines_of(words, language)]
    if duration_ms:
        lines = [
            msgspec.structs.replace(line, end_ms=min(line.end_ms, duration_ms))
            for line in lines
            if line.start_ms < duration_ms
        ]
    return sorted(lines, key=lambda line: (line.start_ms, line.end_ms))
