"""What is read of a found scene before it can be shown: its film, its lines, where the words are.

Functions of a connection. A quote that is not really there, or a film that the viewer may not see,
ends here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import apsw

from companion.model import File, Item, LineRow, SceneRow, Span, Viewer
from companion.search import marks
from companion.search.fusion import PHRASE, Candidate
from companion.search.marks import Cut, Found, Wanted
from companion.store import findings, library, pictures
from scanners.passages import passages

BETWEEN_LINES = " "  # of a quote that goes on in the next one


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What is said in a scene: a quote, words of the query, a passage. line: id of the row where it
    begins."""

    text: str
    marks: tuple[Span, ...]
    at_ms: int
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A moment in the making. meant: the passage that is near in meaning. tags: names of what the
    scene shows, best first."""

    candidate: Candidate
    scene: SceneRow
    file: File
    item: Item
    heard: Heard | None
    title_marks: tuple[Span, ...]
    meant: Heard | None
    tags: tuple[str, ...] = ()

    @property
    def by_words(self) -> bool:
        """True if the words say where to start, False if the meaning does."""
        evidence = self.candidate.evidence
        return self.heard is not None and (evidence.quote or evidence.words >= evidence.meaning)

    @property
    def by_title(self) -> bool:
        return self.candidate.evidence.answer and self.heard is None

    @property
    def by_picture(self) -> bool:
        """True if what is seen says where to start."""
        evidence = self.candidate.evidence
        said = max(evidence.words if self.heard else 0.0, evidence.meaning)
        return evidence.picture > said and not evidence.quote and not evidence.answer

    @property
    def line(self) -> int | None:
        """The id of the line where it starts."""
        if self.by_picture:
            return None
        if self.heard is not None and self.by_words:
            return self.heard.line
        return self.meant.line if self.meant is not None and not self.by_title else None

    @property
    def at_ms(self) -> int:
        if self.by_picture and self.candidate.frame_ms is not None:
            return self.candidate.frame_ms
        if self.heard is not None and self.by_words:
            return self.heard.at_ms
        if self.meant is not None and not self.by_title:
            return self.meant.at_ms
        return self.scene.start_ms


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
    tags = pictures.tags_of_scenes(connection, scenes)
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
        draft = _draft(candidate, read, film, wanted)
        if draft is not None:
            shows = tags.get(candidate.scene_id)
            found.append(replace(draft, tags=tuple(shows)) if shows else draft)
    return found


def _draft(
    candidate: Candidate,
    read: tuple[SceneRow, tuple[LineRow, ...]],
    film: Film,
    wanted: Wanted,
) -> Draft | None:
    """Return a draft, None if a quote or the words are in neither the lines nor the title, and
    nothing else speaks for it."""
    scene, lines = read
    in_title = [marks.find_quote([film.name], quote) for quote in wanted.quotes]
    cuts = [Cut(line.text) for line in lines]
    said = [marks.find_quote(cuts, quote) for quote in wanted.quotes]
    if any(here is None and there is None for here, there in zip(said, in_title, strict=True)):
        return None
    evidence = candidate.evidence
    if evidence.words >= PHRASE and not any(said):
        said.append(marks.find_quote(cuts, wanted.row))
    quote = next((found for found in said if found is not None), None)
    heard = _words(cuts, lines, wanted) if quote is None else _quote(quote, cuts, lines, wanted)
    spans = [span for found in in_title if found is not None for span in found.marks[0]]
    title_marks = marks.joined([*spans, *film.marks]) if spans else film.marks
    if heard is None and not title_marks and evidence.meaning <= 0 and evidence.picture <= 0:
        return None
    return Draft(
        candidate=candidate,
        scene=scene,
        file=film.file,
        item=film.item,
        heard=heard,
        title_marks=title_marks,
        meant=_meant(lines, candidate.part) if evidence.meaning > 0 else None,
    )


def _quote(found: Found, cuts: Sequence[Cut], lines: Sequence[LineRow], wanted: Wanted) -> Heard:
    """Return a quote with its whole lines, and the words around it that count marked too."""
    text = ""
    spans: list[Span] = []
    for number in range(found.first, found.last + 1):
        start = len(text)
        text += cuts[number].text + (BETWEEN_LINES if number < found.last else "")
        inside = [*found.marks[number - found.first], *marks.mark_words(cuts[number], wanted)]
        spans.extend(Span(start=start + each.start, end=start + each.end) for each in inside)
    first = lines[found.first]
    at_ms = marks.time_of(first, found.marks[0][0].start)
    return Heard(text=text, marks=marks.joined(spans), at_ms=at_ms, line=first.id)


def _words(cuts: Sequence[Cut], lines: Sequence[LineRow], wanted: Wanted) -> Heard | None:
    """Return the line in which most of the words are."""
    best: Heard | None = None
    most = 0
    for cut, line in zip(cuts, lines, strict=True):
        spans = marks.mark_words(cut, wanted)
        marked = sum(span.end - span.start for span in spans)
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
