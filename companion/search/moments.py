"""From scene numbers to what people see: the film, the lines, the reasons, the second to play from.

`drafts` reads what is needed, as a function of a connection; `settle` and `moments` only put it
together. A quote that is not really there, or a film that the viewer may not see, ends here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import apsw

from companion.model import File, Item, Leg, LineRow, Moment, Reason, SceneRow, Span, Viewer
from companion.search import marks
from companion.search.fusion import Candidate
from companion.search.marks import Cut
from companion.search.query import Query
from companion.store import findings, library

BETWEEN_LINES = " "  # of a quote that goes on in the next one
WORTH_SAYING = 0.2  # below it, nearness in meaning is no reason to give

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The quote or the words of the query in a scene. line: id of the row where they begin."""

    text: str
    marks: tuple[Span, ...]
    at_ms: int
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A moment in the making. meant: the line that nearness in meaning is taken to be about."""

    candidate: Candidate
    scene: SceneRow
    lines: tuple[LineRow, ...]
    file: File
    item: Item
    heard: Heard | None
    title_marks: tuple[Span, ...]
    meant: LineRow | None

    @property
    def by_words(self) -> bool:
        """True if the words say where to start, False if the meaning does."""
        evidence = self.candidate.evidence
        return self.heard is not None and (evidence.quote or evidence.words >= evidence.meaning)

    @property
    def by_title(self) -> bool:
        return self.candidate.evidence.answer and self.heard is None

    @property
    def unsettled(self) -> bool:
        """True if a model could tell which of the lines is meant."""
        found = self.candidate.evidence.meaning > 0 and len(self.lines) > 1
        return found and not self.by_words and not self.by_title

    @property
    def line(self) -> int | None:
        """The id of the line where it starts."""
        if self.heard is not None and self.by_words:
            return self.heard.line
        return self.meant.id if self.meant is not None and not self.by_title else None

    @property
    def at_ms(self) -> int:
        if self.heard is not None and self.by_words:
            return self.heard.at_ms
        if self.meant is not None and not self.by_title:
            return self.meant.start_ms
        return self.scene.start_ms


# --- reading -------------------------------------------------------------------------------------


def drafts(
    connection: apsw.Connection, candidates: Sequence[Candidate], query: Query, viewer: Viewer
) -> list[Draft]:
    """Return what is to be shown of candidates, in their order."""
    scenes = findings.scenes_with_lines(connection, [each.scene_id for each in candidates])
    films: dict[int, tuple[File, tuple[Item, ...]] | None] = {}
    found: list[Draft] = []
    for candidate in candidates:
        if candidate.scene_id not in scenes:
            continue
        scene, lines = scenes[candidate.scene_id]
        if scene.file_id not in films:
            films[scene.file_id] = _film(connection, scene.file_id, viewer)
        film = films[scene.file_id]
        draft = film and _draft(candidate, scene, lines, film, query)
        if draft:
            found.append(draft)
    return found


def _film(
    connection: apsw.Connection, file_id: int, viewer: Viewer
) -> tuple[File, tuple[Item, ...]] | None:
    """Return a file with its items that the viewer may see, None without any."""
    file = library.file(connection, file_id)
    items = library.items_of_file(connection, file_id)
    seen = tuple(item for item in items if viewer.may_see(item.id))
    return (file, seen) if file is not None and seen else None


def _draft(
    candidate: Candidate,
    scene: SceneRow,
    lines: tuple[LineRow, ...],
    film: tuple[File, tuple[Item, ...]],
    query: Query,
) -> Draft | None:
    """Return a draft, None if a quote or the words are in neither the lines nor the title."""
    file, items = film
    item = next((each for each in items if each.id == candidate.item_id), items[0])
    cuts = [marks.cut(line.text) for line in lines]
    name = marks.cut(item.name)
    heard: Heard | None = None
    title_marks = list(marks.mark_words(name, marks.wanted_runs(query)))
    for exact in query.exacts:
        spoken = _quote(cuts, lines, exact.text, query)
        in_title = marks.find_quote([name], exact.text)
        if spoken is None and in_title is None and marks.has_words(exact.text):
            return None
        heard = heard or spoken
        title_marks.extend(in_title.marks[0] if in_title else ())
    heard = heard or _words(cuts, lines, query)
    evidence = candidate.evidence
    if heard is None and not title_marks and evidence.meaning <= 0:
        return None
    return Draft(
        candidate=candidate,
        scene=scene,
        lines=lines,
        file=file,
        item=item,
        heard=heard,
        title_marks=marks.joined(title_marks),
        meant=_fullest(scene, lines) if evidence.meaning > 0 else None,
    )


def _quote(cuts: Sequence[Cut], lines: Sequence[LineRow], quote: str, query: Query) -> Heard | None:
    """Return a quote with every word of the query around it marked too."""
    found = marks.find_quote(cuts, quote)
    if found is None:
        return None
    wanted = marks.wanted_runs(query)
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


def _words(cuts: Sequence[Cut], lines: Sequence[LineRow], query: Query) -> Heard | None:
    """Return the words in a row as a quote, else the line in which most of them are."""
    if len(query.words) > 1:
        in_a_row = " ".join(word.text for word in query.words)
        if heard := _quote(cuts, lines, in_a_row, query):
            return heard
    wanted = marks.wanted_runs(query)
    best: Heard | None = None
    most = 0
    for cut, line in zip(cuts, lines, strict=True):
        spans = marks.mark_words(cut, wanted)
        marked = sum(span.end - span.start for span in spans)
        if marked > most:
            most = marked
            best = Heard(text=line.text, marks=spans, at_ms=line.start_ms, line=line.id)
    return best


def _fullest(scene: SceneRow, lines: Sequence[LineRow]) -> LineRow | None:
    """Return the line that fills most of the scene."""

    def overlap(line: LineRow) -> int:
        return min(line.end_ms, scene.end_ms) - max(line.start_ms, scene.start_ms)

    return max(lines, key=overlap, default=None)


# --- putting together ----------------------------------------------------------------------------


def settle(drafts: Iterable[Draft], nearness: dict[str, float]) -> list[Draft]:
    """Choose the line that is meant by how near its text is. nearness: text -> cosine."""
    return [
        replace(draft, meant=max(draft.lines, key=lambda line: nearness.get(line.text, -2.0)))
        if draft.unsettled and any(line.text in nearness for line in draft.lines)
        else draft
        for draft in drafts
    ]


def moments(drafts: Sequence[Draft]) -> list[Moment]:
    """Return the moments of drafts, in order. Scenes that start with the very same line are one:
    it runs over the cut between them."""
    made: list[Moment] = []
    places: dict[tuple[int, int], int] = {}
    for draft in drafts:
        moment = _moment(draft)
        key = (draft.file.id, draft.line or -1)
        if draft.line is not None and key in places:
            first = made[places[key]]
            made[places[key]] = _moved(
                first,
                start_ms=min(first.start_ms, moment.start_ms),
                end_ms=max(first.end_ms, moment.end_ms),
            )
            continue
        places[key] = len(made)
        made.append(moment)
    return made


def _moment(draft: Draft) -> Moment:
    candidate = draft.candidate
    start_ms = min(draft.scene.start_ms, draft.at_ms)
    return Moment(
        public_id=public_id(draft.file, start_ms),
        file=draft.file,
        item=draft.item,
        scene_id=draft.scene.id,
        start_ms=start_ms,
        end_ms=draft.scene.end_ms,
        at_ms=draft.at_ms,
        still_ms=draft.scene.still_ms,
        score=round(candidate.score, 4),
        strong=candidate.strong,
        reasons=_reasons(draft),
    )


def _moved(moment: Moment, *, start_ms: int, end_ms: int) -> Moment:
    return replace(
        moment,
        public_id=public_id(moment.file, start_ms),
        start_ms=start_ms,
        end_ms=end_ms,
    )


def public_id(file: File, start_ms: int) -> str:
    """Return the id of a moment: that of its file and its start in base 36."""
    digits = ""
    while start_ms or not digits:
        start_ms, digit = divmod(start_ms, 36)
        digits = _DIGITS[digit] + digits
    return f"{file.public_id}-{digits}"


def _reasons(draft: Draft) -> tuple[Reason, ...]:
    """Return why it was found, what decides where it starts first."""
    evidence = draft.candidate.evidence
    reasons: list[Reason] = []
    if draft.heard is not None:
        reasons.append(
            Reason(
                leg=Leg.WORDS,
                score=round(1.0 if evidence.quote else evidence.words, 4),
                text=draft.heard.text,
                marks=draft.heard.marks,
                at_ms=draft.heard.at_ms,
            )
        )
    if evidence.meaning >= WORTH_SAYING or (evidence.meaning > 0 and not reasons):
        meaning = Reason(
            leg=Leg.MEANING,
            score=round(evidence.meaning, 4),
            text=draft.meant.text if draft.meant else "",
            at_ms=draft.meant.start_ms if draft.meant else None,
        )
        reasons.insert(len(reasons) if draft.by_words else 0, meaning)
    if draft.title_marks:
        title = Reason(
            leg=Leg.TITLE,
            score=round(evidence.title, 4),
            text=draft.item.name,
            marks=draft.title_marks,
        )
        reasons.insert(0 if draft.by_title else len(reasons), title)
    return tuple(reasons)
