"""What a connector lists, as frozen dataclasses; the others take them from `companion.model`."""

from dataclasses import dataclass
from enum import StrEnum


class ItemKind(StrEnum):
    MOVIE = "movie"
    EPISODE = "episode"
    HOME_VIDEO = "home_video"
    MUSIC_VIDEO = "music_video"


class LibraryKind(StrEnum):
    MOVIES = "movies"
    SHOWS = "shows"
    HOME_VIDEOS = "home_videos"
    MUSIC_VIDEOS = "music_videos"
    MIXED = "mixed"


class CreditKind(StrEnum):
    """What somebody did for an item."""

    ACTOR = "actor"
    GUEST = "guest"
    DIRECTOR = "director"
    WRITER = "writer"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedLibrary:
    """roots: the folders it lies in, as we see them; empty if the server does not say."""

    external_id: str
    name: str
    kind: LibraryKind
    roots: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPart:
    """One local video file of an item. An item has one or more versions of one or more parts.

    external_id: what its connector needs to play this very file; means nothing to anybody else.
    """

    path: bytes
    version: int = 0
    part: int = 0
    external_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCredit:
    """Somebody who took part in an item. portrait: what `Portraits.portrait` takes; "" if none."""

    name: str
    kind: CreditKind
    person_id: str = ""
    role: str = ""
    portrait: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedItem:
    """One playable thing as its server knows it.

    rating: the age rating in the server's words ("PG-13"). community_rating: 0..10. provider_ids:
    (provider, id) with lower-case providers ("imdb", "tmdb", "tvdb"), sorted. saved_at_ms: when
    the server last changed what it knows. Credits are in the server's order, best first.
    """

    external_id: str
    kind: ItemKind
    title: str
    parts: tuple[ListedPart, ...]
    show_title: str = ""
    season: int | None = None
    episode: int | None = None
    year: int | None = None
    added_at_ms: int = 0
    saved_at_ms: int = 0
    credits: tuple[ListedCredit, ...] = ()
    genres: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    rating: str = ""
    community_rating: float | None = None
    provider_ids: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedProblem:
    """A folder or file that could not be listed, and why. What lies below it is not gone."""

    path: bytes
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPage:
    """A piece of a listing: whole items, and what could not be listed on the way.

    total: how many items the whole library has, for a progress bar; None if nobody knows.
    """

    items: tuple[ListedItem, ...] = ()
    problems: tuple[ListedProblem, ...] = ()
    total: int | None = None
