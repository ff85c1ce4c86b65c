"""What a fake Jellyfin holds: users with policies, libraries, items, people, sessions.

Plain mutable data that tests change; who may see what is decided here as Jellyfin 10.11 does.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

RATINGS = {"G": 0, "PG": 8, "PG-13": 13, "R": 17, "NC-17": 18}
EPOCH = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)


def an_id(*what: object) -> str:
    """Return an id as Jellyfin writes them: 32 hexadecimal digits, the same for the same words."""
    return hashlib.blake2b("/".join(map(str, what)).encode(), digest_size=16).hexdigest()


@dataclass(slots=True, kw_only=True)
class User:
    name: str
    password: str = "secret"
    admin: bool = False
    all_folders: bool = True
    folders: set[str] = field(default_factory=set)
    blocked_folders: set[str] = field(default_factory=set)
    max_rating: int | None = None
    blocked_tags: set[str] = field(default_factory=set)
    allowed_tags: set[str] = field(default_factory=set)
    block_unrated: bool = False
    disabled: bool = False
    schedules: bool = False
    played: set[str] = field(default_factory=set)
    positions: dict[str, int] = field(default_factory=dict)  # item id -> ticks

    @property
    def id(self) -> str:
        return an_id("user", self.name)


@dataclass(slots=True, kw_only=True)
class Library:
    name: str
    type: str = "movies"  # CollectionType; "" for a mixed one
    locations: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return an_id("library", self.name)


@dataclass(slots=True, kw_only=True)
class Person:
    name: str
    type: str = "Actor"
    role: str = ""
    portrait: bool = True

    @property
    def id(self) -> str:
        return an_id("person", self.name)


@dataclass(slots=True, kw_only=True)
class Item:
    """versions: server paths, the first is the item's own. parts: paths of what follows it."""

    id: str
    library: str
    type: str = "Movie"
    name: str = "Film"
    versions: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    protocol: str = "File"
    location: str = "FileSystem"
    video_type: str = "VideoFile"
    people: list[Person] = field(default_factory=list)
    genres: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    rating: str = ""
    score: float | None = None
    providers: dict[str, str] = field(default_factory=dict)
    year: int | None = None
    series: str = ""
    season: int | None = None
    episode: int | None = None
    created: datetime = EPOCH
    saved: datetime = EPOCH
    part_of: str = ""

    def source_id(self, version: int) -> str:
        return self.id if version == 0 else an_id(self.id, "version", version)


@dataclass(slots=True, kw_only=True)
class Session:
    """An app of a user. commands: what it was told, in order."""

    id: str
    user: str
    device: str = "Living room"
    client: str = "Jellyfin Android TV"
    device_id: str = "tv-1"
    remote: bool = True
    item: str = ""
    ticks: int = 0
    commands: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class World:
    """Everything; `touch` after a change from outside so that lists are made anew."""

    version: str = "10.11.11"
    name: str = "Home"
    id: str = field(default_factory=lambda: an_id("server"))
    users: dict[str, User] = field(default_factory=dict)
    libraries: dict[str, Library] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    tokens: dict[str, tuple[str, str]] = field(default_factory=dict)  # -> (user id, device id)
    keys: set[str] = field(default_factory=set)
    skew: timedelta = timedelta()
    collected: set[str] = field(default_factory=set)  # items that a collection may stand for
    changes: int = 0
    kept: tuple[object, list[Item]] | None = None

    def touch(self) -> None:
        self.changes += 1

    def now(self) -> datetime:
        return datetime.now(UTC) + self.skew

    # --- making ----------------------------------------------------------------------------------

    def user(self, name: str, **policy: object) -> User:
        made = User(name=name, **policy)  # type: ignore[arg-type]
        self.users[made.id] = made
        self.touch()
        return made

    def token(self, user: User, device: str = "") -> str:
        token = an_id("token", user.id, device, len(self.tokens))
        self.tokens[token] = (user.id, device or token)
        return token

    def key(self) -> str:
        key = an_id("key", len(self.keys))
        self.keys.add(key)
        return key

    def library(self, name: str, type: str = "movies", *locations: str) -> Library:
        made = Library(name=name, type=type, locations=list(locations) or [f"/media/{name}"])
        self.libraries[made.id] = made
        self.touch()
        return made

    def film(self, library: Library, name: str, **more: object) -> Item:
        """Add an item with one version below the library's folder unless told otherwise."""
        more.setdefault("versions", [f"{library.locations[0]}/{name}/{name}.mkv"])
        more.setdefault("created", EPOCH + timedelta(seconds=len(self.items)))
        item = Item(id=an_id("item", name), library=library.id, name=name, **more)  # type: ignore[arg-type]
        self.items[item.id] = item
        for person in item.people:
            self.people[person.id] = person
        for number, path in enumerate(item.parts, 2):
            part = Item(
                id=an_id(item.id, "part", number),
                library=library.id,
                name=f"{name} part {number}",
                versions=[path],
                part_of=item.id,
            )
            self.items[part.id] = part
        self.touch()
        return item

    def remove(self, item: Item) -> None:
        del self.items[item.id]
        self.touch()

    def save(self, item: Item) -> None:
        """Say that the server has just changed what it knows of an item."""
        item.saved = self.now()
        self.touch()

    def session(self, user: User, name: str = "Living room", **more: object) -> Session:
        id = an_id("session", user.name, name)
        self.sessions[id] = Session(id=id, user=user.id, device=name, **more)  # type: ignore[arg-type]
        return self.sessions[id]

    # --- who may see what ------------------------------------------------------------------------

    def may_enter(self, user: User, library: str) -> bool:
        if library in user.blocked_folders:
            return False
        return user.all_folders or library in user.folders

    def passes(self, user: User, item: Item) -> bool:
        """Apply ratings and tags: all that the real server applies when `ids` are asked for."""
        if user.max_rating is not None and item.rating:
            if RATINGS.get(item.rating, 0) > user.max_rating:
                return False
        elif user.block_unrated and not item.rating:
            return False
        tags = set(item.tags)
        return not tags & user.blocked_tags and (
            not user.allowed_tags or bool(tags & user.allowed_tags)
        )

    def may_see(self, user: User, item: Item) -> bool:
        return self.may_enter(user, item.library) and self.passes(user, item)
