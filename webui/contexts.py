"""What the templates of search receive: everything computed, nothing to decide there.

Films have theirs in `webui.film` and `webui.titles`, indexing has them in `webui.progress`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from companion.model import Answer, Item, Leg, Moment
from companion.timecode import clock
from webui import words
from webui.links import Links, moment_id
from webui.strip import Strip, found_strip
from webui.words import Piece

SHOWN_PER_TITLE = 5  # the best one large, then these many small; the rest is folded

VIA = {
    Leg.WORDS: ("quote", "Said in these words"),
    Leg.MEANING: ("meaning", "Close in meaning"),
    Leg.TITLE: ("film", "In the title"),
    Leg.PICTURE: ("still", "Seen in the picture"),
    Leg.ONSCREEN: ("quote", "Written in the picture"),
}


# --- search --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Via:
    """Which index found a moment: an icon and what it means."""

    icon: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One moment. key: names it within the page; share: the link that others are given."""

    key: str
    href: str
    share: str
    still: str
    clock: str
    iso: str
    title: str
    year: int | None
    title_href: str
    quote: tuple[Piece, ...]
    via: tuple[Via, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The moments of one title: the best large, some beside it, the rest folded."""

    title: str
    year: int | None
    library: str
    href: str
    count: str
    lead: Card
    more: tuple[Card, ...]
    folded: tuple[Card, ...]
    strip: Strip


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An answer, drawn. summary: for the live region, "37 moments in 9 titles"; complaint: why the
    query cannot be read."""

    query: str
    summary: str
    groups: tuple[Group, ...]
    nearest: tuple[Card, ...]
    notes: tuple[str, ...]
    complaint: str = ""


def not_understood(query: str, why: str) -> Found:
    """Return what is shown for half a query, as people type."""
    return Found(query=query, summary=why, groups=(), nearest=(), notes=(), complaint=why)


def found(answer: Answer, links: Links) -> Found:
    groups = tuple(_group(moments, links) for moments in _by_title(answer.moments))
    moments, titles = len(answer.moments), len({moment.item.id for moment in answer.moments})
    summary = (
        f"{words.counted(moments, 'moment')} in {words.counted(titles, 'title')}"
        if moments
        else "No strong match"
    )
    return Found(
        query=answer.query,
        summary=summary,
        groups=groups,
        nearest=tuple(card(moment, links) for moment in answer.weak),
        notes=answer.notes,
    )


def card(moment: Moment, links: Links) -> Card:
    # The address says the second to play from, not the scene's start: it may be shared.
    own = moment_id(moment.file, moment.at_ms)
    said = next((reason for reason in moment.reasons if reason.text), None)
    return Card(
        key=moment.public_id,
        href=links.moment(own),
        share=links.go(own),
        still=links.still(moment.public_id),
        clock=clock(moment.at_ms),
        iso=words.iso_duration(moment.at_ms),
        title=heading(moment.item),
        year=moment.item.year,
        title_href=links.item(moment.item.public_id),
        quote=words.pieces(said.text, said.marks) if said else (),
        via=_via(moment),
    )


def heading(item: Item) -> str:
    """Return an item's name without the year, which pages set apart."""
    return replace(item, year=None).name


def _by_title(moments: Sequence[Moment]) -> Iterable[list[Moment]]:
    """Group by item and file, the title with the best moment first."""
    groups: dict[tuple[int, int], list[Moment]] = {}
    for moment in moments:
        groups.setdefault((moment.item.id, moment.file.id), []).append(moment)
    return groups.values()


def _group(moments: Sequence[Moment], links: Links) -> Group:
    best = moments[0]
    cards = [card(moment, links) for moment in moments]
    return Group(
        title=heading(best.item),
        year=best.item.year,
        library=best.item.library,
        href=links.item(best.item.public_id),
        count=words.counted(len(moments), "moment"),
        lead=cards[0],
        more=tuple(cards[1:SHOWN_PER_TITLE]),
        folded=tuple(cards[SHOWN_PER_TITLE:]),
        strip=found_strip(best.file, [moment.at_ms for moment in moments], links),
    )


def _via(moment: Moment) -> tuple[Via, ...]:
    legs = dict.fromkeys(reason.leg for reason in moment.reasons)
    return tuple(Via(icon=VIA[leg][0], label=VIA[leg][1]) for leg in legs)
