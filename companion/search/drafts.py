"""What is read of a found scene before it can be shown: its film, its lines, where the words are.

Functions of a connection. A quote that is not really there, or a film that the viewer may not see,
ends here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import apsw

from companion.model import File, Item, LineRow, SceneRow, Span, Viewer
from companion.search import marks
from companion.search.fusion import PHRASE, Candidate
from companion.search.marks import Cut, Wanted
from companion.search.written import Written, written
from companion.store import findings, library, pictures, tags
from companion.store.pictures import OnscreenRow
from companion.store.tags import Tag
from scanners.passages import passages

BETWEEN_TAGS = ", "
BETWEEN_LINES = " "  # of a quote that goes on in the next one


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What is said in a scene: a quote, words of the query, a passage. line: id of the row where it
    begins. exact: it is a quote, or all words in a row."""

    text: str
    marks: tuple[Span, ...]
    at_ms: int
    line: int
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """The names of what a scene shows, best first. marks: those that were asked for. at_ms: when
    the first of these is seen."""

    text: str = ""
    marks: tuple[Span, ...] = ()
    at_ms: int | None = None


NO_TAGS = Tags()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A moment in the making. heard, written: where the words are said, and shown. meant: the
    passage that is near in meaning. tags: what the scene shows, best first."""

    candidate: Candidate
    scene: SceneRow
    file: File
    item: Item
    heard: Heard | None
    written: Written | None
    title_marks: tuple[Span, ...]
    meant: Heard | None
    tags: Tags = NO_TAGS

    @property
    def told(self) -> Heard | Written | None:
        """Where most of the words are; if they are said and shown alike, where they are said."""
        if self.heard is None or self.written is None:
            return self.heard or self.written
        said = (self.heard.exact, marks.length(self.heard.marks))
        shown = (self.written.exact, marks.length(self.written.marks))
        return self.written if shown > said else self.heard

    @property
    def by_words(self) -> bool:
        """True if the words say where to start, False if the meaning does."""
        evidence = self.candidate.evidence
        return self.told is not None and (evidence.quote or evidence.words >= evidence.meaning)

    @property
    def by_title(self) -> bool:
        return self.candidate.evidence.answer and self.told is None

    @property
    def by_picture(self) -> bool:
        """True if what is seen says where to start."""
        evidence = self.candidate.evidence
        said = max(evidence.words if self.told else 0.0, evidence.meaning)
        return evidence.seen > said and not evidence.quote and not evidence.answer

    @property
    def frame_ms(self) -> int | None:
        """When the frame is shown that speaks for it."""
        evidence, near_ms = self.candidate.evidence, self.candidate.frame_ms
        by_tag = evidence.tag > evidence.picture or near_ms is None
        return self.tags.at_ms if by_tag and self.tags.at_ms is not None else near_ms

    @property
    def place(self) -> tuple[str, int] | None:
        """The line, or the text in the picture, where it starts."""
        start = self._start
        if isinstance(start, Written):
            return ("text", start.text_id)
        return ("line", start.line) if start is not None else None

    @property
    def at_ms(self) -> int:
        if self.by_picture and self.frame_ms is not None:
            return self.frame_ms
        return self._start.at_ms if self._start is not None else self.scene.start_ms

    @property
    def _start(self) -> Heard | Written | None:
        """The words where it starts, None if it starts with a frame or with the scene."""
        if self.by_picture or self.by_title:
            return None
        return self.told if self.by_words else self.meant


class Film(NamedTuple):
    """A file, the item as which it is shown, that item's name and where words are in it."""

    file: File
    item: Item
    name: Cut
    marks: tuple[Span, ...]


def drafts(
    connection: apsw.Connection,
    candidates: Sequence[Candidate],
    wanted: Wanted,
    viewer: Viewer,
) -> list[Draft]:
    """Return what is to be shown of candidates, in their order."""
    scenes = findings.scenes_with_lines(connection, [each.scene_id for each in candidates])
    films = library.films(connection, {scene.file_id for scene, _ in scenes.values()})
    shows = tags.of_scenes(connection, scenes)
    texts = pictures.onscreen_of_scenes(connection, _by_words(candidates))
    shown: dict[int, Film] = {}
    found: list[Draft] = []
    for candidate in candidates:
        read = scenes.get(candidate.scene_id)
        if read is None or read[0].file_id not in films:
            continue
        file, items = films[read[0].file_id]
        seen = [item for item in items if viewer.may_see(item.id)]
        if not seen:
            continue
        item = next((each for each in seen if each.id == candidate.item_id), seen[0])
        film = shown.get(item.id)
        if film is None or film.file is not file:
            name = Cut(item.name)
            film = shown[item.id] = Film(file, item, name, marks.mark_words(name, wanted))
        draft = _draft(candidate, read, texts.get(candidate.scene_id, ()), film, wanted)
        if draft is not None:
            found.append(replace(draft, tags=_tags(shows.get(candidate.scene_id, ()), wanted)))
    return found


def _by_words(candidates: Iterable[Candidate]) -> list[int]:
    """Return the scenes that were found by their words: where texts in the picture may tell why."""
    evidences = ((each.scene_id, each.evidence) for each in candidates)
    return [scene_id for scene_id, found in evidences if found.words > 0 or found.quote]


def _draft(
    candidate: Candidate,
    read: tuple[SceneRow, tuple[LineRow, ...]],
    texts: Sequence[OnscreenRow],
    film: Film,
    wanted: Wanted,
) -> Draft | None:
    """Return a draft, None if a quote or the words are nowhere to be seen or heard, nor in the
    title, and nothing else speaks for it."""
    scene, lines = read
    evidence = candidate.evidence
    cuts = [Cut(line.text) for line in lines]
    shown = [Cut(text.text) for text in texts] if wanted.quotes else []
    in_title = [marks.find_quote([film.name], quote) for quote in wanted.quotes]
    for quote, titled in zip(wanted.quotes, in_title, strict=True):
        if titled is None and not any(marks.find_quote(each, quote) for each in (cuts, shown)):
            return None
    in_a_row = evidence.words >= PHRASE
    in_words = evidence.words > 0 or evidence.quote
    heard = _heard(cuts, lines, wanted, in_a_row=in_a_row) if in_words else None
    seen = written(texts, cuts, wanted, in_a_row=in_a_row)
    spans = [span for found in in_title if found is not None for span in found.marks[0]]
    title_marks = marks.joined([*spans, *film.marks]) if spans else film.marks
    speaking = (heard, seen, title_marks, evidence.meaning > 0, evidence.seen > 0)
    if not any(speaking):
        return None
    return Draft(
        candidate=candidate,
        scene=scene,
        file=film.file,
        item=film.item,
        heard=heard,
        written=seen,
        title_marks=title_marks,
        meant=_meant(lines, candidate.part) if evidence.meaning > 0 else None,
    )


def _tags(shown: Sequence[Tag], wanted: Wanted) -> Tags:
    if not shown:
        return NO_TAGS
    text = BETWEEN_TAGS.join(tag.name for tag in shown)
    asked_for = (tag.at_ms for tag in shown if marks.mark_words(Cut(tag.name), wanted))
    spans = marks.mark_words(Cut(text), wanted)
    return Tags(text=text, marks=spans, at_ms=next(asked_for, None))


def _heard(
    cuts: Sequence[Cut], lines: Sequence[LineRow], wanted: Wanted, *, in_a_row: bool
) -> Heard | None:
    """Return a quote that is said, or all words in a row, or the line with most of the words."""
    for quote in (*wanted.quotes, wanted.row) if in_a_row else wanted.quotes:
        found = marks.find_quote(cuts, quote)
        if found is not None:
            first = lines[found.first]
            text, spans = marks.quoted(found, cuts, wanted, BETWEEN_LINES)
            at_ms = marks.time_of(first, found.marks[0][0].start)
            return Heard(text=text, marks=spans, at_ms=at_ms, line=first.id, exact=True)
    return _words(cuts, lines, wanted)


def _words(cuts: Sequence[Cut], lines: Sequence[LineRow], wanted: Wanted) -> Heard | None:
    """Return the line in which most of the words are."""
    best: Heard | None = None
    most = 0
    for cut, line in zip(cuts, lines, strict=True):
        spans = marks.mark_words(cut, wanted)
        marked = marks.length(spans)
        if marked > most:
            most = marked
            best = Heard(text=line.text, marks=spans, at_ms=line.start_ms, line=line.id)
    return best


def _meant(lines: Sequence[LineRow], part: int) -> Heard | None:
    """Return the passage of this number, None if there is none (the lines are new, the vectors
    are not yet)."""
    made = passages([line.text for line in lines])
    if part >= len(made):
        return None
    first = lines[made[part].first]
    text = BETWEEN_LINES.join(line.text for line in lines[made[part].first : made[part].last + 1])
    return Heard(text=text, marks=(), at_ms=first.start_ms, line=first.id)
