"""What the templates of search receive: everything computed, nothing to decide there.

Films have theirs in `webui.film` and `webui.titles`, indexing has them in `webui.progress`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from companion.model import Answer, Item, Leg, Moment
from companion.timecode import clock
from webui import boxes, words
from webui.boxes import Drawing
from webui.links import Links, moment_id
from webui.strip import Strip, found_strip
from webui.words import Piece

SHOWN_PER_TITLE = 5  # the best one large, then these many small; the rest is folded

VIA = {
    Leg.WORDS: ("quote", "Said in these words"),
    Leg.MEANING: ("meaning", "Close in meaning"),
    Leg.TITLE: ("film", "In the title"),
    Leg.PICTURE: ("still", "Seen in the picture"),
    Leg.ONSCREEN: ("onscreen", "Written in the picture"),
}
ALIKE = ("alike", "Looks alike")  # in place of PICTURE's, when a picture was asked for
SHOWN_TAGS = 4
GLIMPSES = (1 / 6, 3 / 6, 5 / 6)  # of a scene: the frames shown while a pointer rests on its still


# --- search --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """pictures: scenes like one may be asked for; alike: a picture or a scene was asked for."""

    pictures: bool = False
    alike: bool = False


PLAIN = How()


@dataclass(frozen=True, slots=True, kw_only=True)
class Via:
    """Which index found a moment: an icon and what it means."""

    icon: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where a text stands in the picture, and the frame in which it does."""

    frame: str
    drawing: Drawing


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One moment. key: names it within the page; share: the link that others are given; like: the
    search for scenes like it, "" where there is none.

    titled: the title, marked; quote: what is said; written: what stands in the picture; tags: what
    it shows.
    """

    key: str
    href: str
    share: str
    still: str
    clock: str
    iso: str
    title: str
    titled: tuple[Piece, ...]
    year: int | None
    title_href: str
    quote: tuple[Piece, ...]
    via: tuple[Via, ...]
    written: tuple[Piece, ...] = ()
    tags: tuple[str, ...] = ()
    where: Where | None = None
    glimpses: tuple[str, ...] = ()
    like: str = ""


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
    alike: bool = False


def not_understood(query: str, why: str) -> Found:
    """Return what is shown for half a query, as people type."""
    return Found(query=query, summary=why, groups=(), nearest=(), notes=(), complaint=why)


def found(answer: Answer, links: Links, how: How = PLAIN) -> Found:
    groups = tuple(_group(moments, links, how) for moments in _by_title(answer.moments))
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
        nearest=tuple(card(moment, links, how) for moment in answer.weak),
        notes=answer.notes,
        alike=how.alike,
    )


def card(moment: Moment, links: Links, how: How = PLAIN) -> Card:
    # The address says the second to play from, not the scene's start: it may be shared.
    own = moment_id(moment.file, moment.at_ms)
    told = {reason.leg: reason for reason in reversed(moment.reasons) if reason.text}
    title = told.pop(Leg.TITLE, None)
    best = next((reason for reason in moment.reasons if reason.leg in told), None)
    text = words.pieces(best.text, best.marks) if best else ()
    leg = best.leg if best else None
    length = moment.end_ms - moment.start_ms
    return Card(
        key=moment.public_id,
        href=links.moment(own),
        share=links.go(own),
        still=_still(moment, links),
        clock=clock(moment.at_ms),
        iso=words.iso_duration(moment.at_ms),
        title=heading(moment.item),
        # What is marked is the whole name; it begins with what pages show of it.
        titled=words.pieces(heading(moment.item), title.marks if title else ()),
        year=moment.item.year,
        title_href=links.item(moment.item.public_id),
        quote=text if leg not in {Leg.ONSCREEN, Leg.PICTURE} else (),
        written=text if leg is Leg.ONSCREEN else (),
        tags=tuple(best.text.split(", ")[:SHOWN_TAGS]) if best and leg is Leg.PICTURE else (),
        via=_via(moment, how),
        where=_where(moment, links),
        glimpses=tuple(
            links.frame(moment_id(moment.file, moment.start_ms + round(length * share)))
            for share in GLIMPSES
        ),
        # Of the time of its still it is certain that it lies in the scene.
        like=links.search(like=moment_id(moment.file, moment.still_ms)) if how.pictures else "",
    )


def _still(moment: Moment, links: Links) -> str:
    """Return the address of the scene's picture; of the very frame if that is why it was found."""
    first = moment.reasons[0] if moment.reasons else None
    if first is None or first.leg is not Leg.PICTURE or first.at_ms in {None, moment.still_ms}:
        return links.still(moment.public_id)
    return links.frame(moment_id(moment.file, first.at_ms or 0), or_still=True)


def _where(moment: Moment, links: Links) -> Where | None:
    found = next((one for one in moment.reasons if one.leg is Leg.ONSCREEN and one.box), None)
    if found is None or found.box is None:
        return None
    at_ms = moment.at_ms if found.at_ms is None else found.at_ms
    return Where(
        frame=links.frame(moment_id(moment.file, at_ms)),
        drawing=boxes.marked(moment.file, found.box),
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


def _group(moments: Sequence[Moment], links: Links, how: How) -> Group:
    best = moments[0]
    cards = [card(moment, links, how) for moment in moments]
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


def _via(moment: Moment, how: How) -> tuple[Via, ...]:
    legs = dict.fromkeys(reason.leg for reason in moment.reasons)
    shown = [ALIKE if leg is Leg.PICTURE and how.alike else VIA[leg] for leg in legs]
    return tuple(Via(icon=icon, label=label) for icon, label in shown)
