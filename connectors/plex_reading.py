"""Elements of Plex's XML into the listing's dataclasses: typed, bounded, and never an exception.

A field that makes no sense is left out; an item without an id or without a file is no item. Only
what is in the document counts: nothing here asks the server.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from companion.listed import CreditKind, ItemKind, LibraryKind, ListedCredit

ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
TEXT_LENGTH = 500
RATING_LENGTH = 40
YEARS = range(1800, 2200)
PATH_LENGTH = 4096  # Linux' PATH_MAX
TAGS = 200  # of each sort, an item
PARTS = 200
BIGGEST = 2**53  # what every store and page can hold
NOT_TEXT = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]+")
LEGACY_GUID = re.compile(r"com\.plexapp\.agents\.(imdb|themoviedb|thetvdb)://([A-Za-z0-9]{1,40})")
PROVIDERS = {"themoviedb": "tmdb", "thetvdb": "tvdb"}
CREDITS = {
    "Role": CreditKind.ACTOR,
    "Director": CreditKind.DIRECTOR,
    "Writer": CreditKind.WRITER,
}
NO_AGENT = ".none"  # "com.plexapp.agents.none", "tv.plex.agents.none": other videos


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A library as Plex describes it. folders: as the server spells them."""

    id: str
    title: str
    kind: LibraryKind
    folders: tuple[str, ...]

    @property
    def type(self) -> str:
        """What of it is played: 1 are movies, 4 episodes."""
        return "4" if self.kind is LibraryKind.SHOWS else "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file as the server spells it. before_ms: how much of the item comes before it."""

    file: str
    version: int
    part: int
    before_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An item in a list, with what concerns the account that asked."""

    id: str
    views: int = 0
    position_ms: int = 0
    updated_at: int = 0


def sections(root: Element) -> Iterator[Section]:
    """Yield the libraries that hold videos, each id once."""
    seen = set()
    for each in root.iter("Directory"):
        key, kind = identifier(each.get("key")), _library_kind(each)
        if key and kind and key not in seen:
            seen.add(key)
            folders = (path(place.get("path")) for place in each.iter("Location"))
            yield Section(
                id=key,
                title=text(each.get("title")) or key,
                kind=kind,
                folders=tuple(folder for folder in folders if folder),
            )


def _library_kind(section: Element) -> LibraryKind | None:
    match section.get("type"):
        case "movie":
            is_other = section.get("agent", "").endswith(NO_AGENT)
            return LibraryKind.HOME_VIDEOS if is_other else LibraryKind.MOVIES
        case "show":
            return LibraryKind.SHOWS
    return None


def row(video: Element) -> Row:
    """Return a line of a list; its id is empty if it has none that can be used."""
    return Row(
        id=identifier(video.get("ratingKey")),
        views=number(video.get("viewCount")) or 0,
        position_ms=number(video.get("viewOffset")) or 0,
        updated_at=number(video.get("updatedAt")) or 0,
    )


def item_kind(video: Element, library: LibraryKind) -> ItemKind | None:
    match video.get("type"):
        case "episode":
            return ItemKind.EPISODE
        case "clip":
            return ItemKind.HOME_VIDEO
        case "movie":
            return ItemKind.HOME_VIDEO if library is LibraryKind.HOME_VIDEOS else ItemKind.MOVIE
    return None


def parts(video: Element) -> tuple[Part, ...]:
    """Return the files of an item, versions in the server's order, each file once."""
    found: list[Part] = []
    seen = set()
    for version, media in enumerate(video.iterfind("Media")):
        before_ms = 0
        for index, part in enumerate(media.iterfind("Part")):
            file = path(part.get("file"))
            if file and file not in seen:
                seen.add(file)
                found.append(Part(file=file, version=version, part=index, before_ms=before_ms))
            before_ms += number(part.get("duration")) or 0
            if len(found) >= PARTS:
                return tuple(found)
    return tuple(found)


def credits(video: Element) -> tuple[ListedCredit, ...]:
    """Return who took part: the cast first, in the server's order."""
    found: list[ListedCredit] = []
    for tag, kind in CREDITS.items():
        for each in list(video.iterfind(tag))[:TAGS]:
            name = text(each.get("tag"))
            if name:
                credit = ListedCredit(
                    name=name,
                    kind=kind,
                    person_id=identifier(each.get("id")),
                    role=text(each.get("role")),
                    portrait=picture(each.get("thumb")),
                )
                found.append(credit)
    return tuple(found)


def provider_ids(video: Element) -> tuple[tuple[str, str], ...]:
    """Return ids at other places. An old agent's id of an episode is its show's: left out."""
    found: dict[str, str] = {}
    for each in list(video.iterfind("Guid"))[:TAGS]:
        provider, colon, name = each.get("id", "").partition("://")
        if colon and provider.isalnum() and identifier(name) and len(provider) <= 20:
            found.setdefault(provider.lower(), name)
    old = LEGACY_GUID.match(video.get("guid", ""))
    if old and video.get("type") != "episode":
        found.setdefault(PROVIDERS.get(old[1], old[1]), old[2])
    return tuple(sorted(found.items()))


def tags(video: Element, tag: str) -> tuple[str, ...]:
    names = (text(each.get("tag")) for each in list(video.iterfind(tag))[:TAGS])
    return tuple(dict.fromkeys(name for name in names if name))


def community_rating(video: Element) -> float | None:
    """Return 0..10, the audience's first."""
    for name in ("audienceRating", "rating"):
        said = video.get(name, "")
        if re.fullmatch(r"\d{1,2}(\.\d{1,6})?", said) and 0 <= float(said) <= 10:
            return float(said)
    return None


def identifier(said: str | None) -> str:
    """Return an id that may stand in a path, or nothing."""
    return said if said and ID.fullmatch(said) and said not in {".", ".."} else ""


def text(said: str | None) -> str:
    """Return one short line that can be stored."""
    return NOT_TEXT.sub(" ", said or "")[:TEXT_LENGTH].strip()


def path(said: str | None) -> str:
    """Return a path as it stands, or nothing if it cannot be one."""
    usable = said and "\0" not in said and len(said) <= PATH_LENGTH
    return said if said and usable else ""


def picture(said: str | None) -> str:
    """Return what the server can be asked for a picture with: a path on it or an address."""
    said = said or ""
    known = said.startswith(("/", "https://", "http://"))
    return said if known and len(said) <= 2048 and said.isprintable() and " " not in said else ""


def number(said: str | None) -> int | None:
    """Return a whole number that is not negative, or None."""
    if said and len(said) <= 16 and said.isascii() and said.isdigit() and int(said) <= BIGGEST:
        return int(said)
    return None


def year(said: str | None) -> int | None:
    found = number(said)
    return found if found in YEARS else None


def unix_ms(seconds: str | None) -> int:
    """Return Unix ms; 0 if the server does not say."""
    value = number(seconds) or 0
    return value * 1000 if value * 1000 <= BIGGEST else 0


def videos(root: Element, tags: Iterable[str] = ("Video",)) -> Iterator[Element]:
    """Yield the items of an answer."""
    wanted = set(tags)
    return (each for each in root if each.tag in wanted)
