"""Words in the picture: signs, titles, captions. Where they match, and where in the picture.

What is also said in the scene is left to what is heard, so that burned-in subtitles are not shown
twice. Pure functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from companion.model import Span
from companion.search import marks
from companion.search.marks import Cut, Found, Wanted
from companion.store.pictures import Box, OnscreenRow

BETWEEN_TEXTS = " "  # of a quote that goes on in the next one


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Text in the picture that matches. box: x, y, width and height as fractions. text_id: of the
    row where it begins. exact: it is a quote, or all words in a row."""

    text: str
    marks: tuple[Span, ...]
    at_ms: int
    box: Box
    text_id: int
    exact: bool


def written(
    rows: Sequence[OnscreenRow], spoken: Sequence[Cut], wanted: Wanted, *, in_a_row: bool
) -> Written | None:
    """Return the text that matches best, None if none does. rows: of one scene, in order of time.

    spoken: what is said in it. in_a_row: the words of the query are somewhere in a row.
    """
    texts = [(row, Cut(row.text)) for row in rows]
    quotes = (*wanted.quotes, wanted.row) if in_a_row else wanted.quotes
    if quotes:
        own = [(row, cut) for row, cut in texts if not _is_said(cut, spoken)]
        for quote in quotes:
            found = marks.find_quote([cut for _, cut in own], quote)
            if found is not None:
                return _quote(found, own, wanted)
    best: Written | None = None
    for row, cut in texts:
        spans = marks.mark_words(cut, wanted)
        if marks.length(spans) > (marks.length(best.marks) if best else 0) and not _is_said(
            cut, spoken
        ):
            best = Written(
                text=row.text,
                marks=spans,
                at_ms=row.start_ms,
                box=row.box,
                text_id=row.id,
                exact=False,
            )
    return best


def _is_said(text: Cut, spoken: Sequence[Cut]) -> bool:
    return marks.find_quote(spoken, text.runs) is not None


def _quote(found: Found, texts: Sequence[tuple[OnscreenRow, Cut]], wanted: Wanted) -> Written:
    """Return a quote with the whole texts that it is in, and the box around those of them that are
    shown together."""
    inside = texts[found.first : found.last + 1]
    first = inside[0][0]
    text, spans = marks.quoted(found, [cut for _, cut in texts], wanted, BETWEEN_TEXTS)
    return Written(
        text=text,
        marks=spans,
        at_ms=first.start_ms,
        box=_around([row.box for row, _ in inside if row.start_ms < first.end_ms]),
        text_id=first.id,
        exact=True,
    )


def _around(boxes: Sequence[Box]) -> Box:
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right = max(box[0] + box[2] for box in boxes)
    bottom = max(box[1] + box[3] for box in boxes)
    return (left, top, right - left, bottom - top)
