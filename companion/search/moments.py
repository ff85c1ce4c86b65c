"""From drafts to what people see: the reasons, the interval, the second to play from.

Pure functions.
"""

from collections.abc import Sequence
from dataclasses import replace

from companion.model import File, Leg, Moment, Reason
from companion.search.drafts import Draft
from companion.search.written import Written

WORTH_SAYING = 0.2  # below it, nearness in meaning is no reason to give

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def moments(drafts: Sequence[Draft]) -> list[Moment]:
    """Return the moments of drafts, in order. Scenes that start with the very same line, or text in
    the picture, are one: it runs over the cut between them."""
    made: list[Moment] = []
    places: dict[tuple[int, str, int], int] = {}
    for draft in drafts:
        moment = _moment(draft)
        place = draft.place
        if place is None:
            made.append(moment)
            continue
        key = (draft.file.id, *place)
        if key in places:
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
    for told in (draft.heard, draft.written):
        if told is not None:
            reason = Reason(
                leg=Leg.WORDS if told is draft.heard else Leg.ONSCREEN,
                score=round(1.0 if evidence.quote and told.exact else evidence.words, 4),
                text=told.text,
                marks=told.marks,
                at_ms=told.at_ms,
                box=told.box if isinstance(told, Written) else None,
            )
            reasons.insert(0 if told is draft.told else len(reasons), reason)
    if draft.title_marks:
        title = Reason(
            leg=Leg.TITLE,
            score=round(evidence.title, 4),
            text=draft.item.name,
            marks=draft.title_marks,
        )
        reasons.insert(0 if draft.by_title else len(reasons), title)
    if evidence.seen >= WORTH_SAYING or draft.by_picture:
        seen = Reason(
            leg=Leg.PICTURE,
            score=round(evidence.seen, 4),
            text=draft.tags.text,
            marks=draft.tags.marks,
            at_ms=draft.frame_ms,
        )
        reasons.insert(0 if draft.by_picture else len(reasons), seen)
    if evidence.meaning >= WORTH_SAYING or not reasons:
        meaning = Reason(
            leg=Leg.MEANING,
            score=round(evidence.meaning, 4),
            text=draft.meant.text if draft.meant else "",
            at_ms=draft.meant.at_ms if draft.meant else None,
        )
        second = draft.by_words or draft.by_title or draft.by_picture
        reasons.insert(1 if second else 0, meaning)
    return tuple(reasons)
