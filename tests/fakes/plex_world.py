"""What a Plex server holds, as plain data: sections, videos, accounts, players. Tests change it.

The rules of who sees what live here too, because listings, single items, images and play queues
must all agree about them. `plex.py` serves it, `plex_xml.py` writes it down.
"""

from dataclasses import dataclass, field

TYPES = {"movie": 1, "show": 2, "season": 3, "episode": 4, "clip": 12}
OWNER_SESSION_ID = 1  # the owner is account 1 on their own server, whatever plex.tv calls them


@dataclass(slots=True, kw_only=True)
class Part:
    file: str
    duration_ms: int = 5_400_000
    container: str = "mkv"


@dataclass(slots=True, kw_only=True)
class Role:
    name: str
    role: str = ""
    thumb: str = ""
    id: int = 0


@dataclass(slots=True, kw_only=True)
class Video:
    """A movie, a show, an episode or a clip. media: versions, each of one or more parts."""

    key: str
    section: str
    type: str = "movie"
    title: str = ""
    media: list[list[Part]] = field(default_factory=list)
    show: str = ""  # key of the show, for an episode
    season: int | None = None
    number: int | None = None
    year: int | None = None
    guid: str = ""
    guids: list[str] = field(default_factory=list)
    roles: list[Role] = field(default_factory=list)
    directors: list[str] = field(default_factory=list)
    genres: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    content_rating: str = ""
    rating: str = ""
    added_at: int = 1_700_000_000  # Unix seconds
    updated_at: int = 1_700_000_000
    deleted: bool = False  # in the server's trash: the file is away, the item is not yet gone
    attributes: dict[str, str] = field(default_factory=dict)  # written as they stand, over all else


@dataclass(slots=True, kw_only=True)
class Section:
    key: str
    title: str
    type: str = "movie"
    agent: str = "tv.plex.agents.movie"
    locations: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Account:
    """A person with a token for this server. sections: None means all of them.

    labels, ratings: if not empty, only videos with one of these. without_labels: none of these.
    """

    id: int
    name: str
    token: str
    owner: bool = False
    sections: set[str] | None = None
    labels: set[str] = field(default_factory=set)
    without_labels: set[str] = field(default_factory=set)
    ratings: set[str] = field(default_factory=set)
    views: dict[str, int] = field(default_factory=dict)  # video key: how often seen to the end
    offsets: dict[str, int] = field(default_factory=dict)  # video key: ms where they stopped

    @property
    def session_id(self) -> int:
        return OWNER_SESSION_ID if self.owner else self.id


@dataclass(slots=True, kw_only=True)
class Player:
    """A device with a Plex app. account: who plays on it now; advertises: can be controlled."""

    id: str
    name: str
    product: str = "Plex for Smart TV"
    account: Account | None = None
    playing: str = ""  # video key
    offset_ms: int = 0
    advertises: bool = True
    answers: int = 200  # HTTP status of a command
    commands: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@dataclass(slots=True)
class World:
    """Everything one server knows. Keys are the server's own: text, not always digits."""

    machine_id: str = "9f2c4e0a7d6b41d8a3c5e8f1b2d4c6a8e0f1a2b3"
    name: str = "Attic"
    version: str = "1.41.9.9961-46083195d"
    sections: dict[str, Section] = field(default_factory=dict)
    videos: dict[str, Video] = field(default_factory=dict)
    accounts: list[Account] = field(default_factory=list)
    players: dict[str, Player] = field(default_factory=dict)
    images: dict[str, bytes] = field(default_factory=dict)  # server path or address: picture
    queues: list[tuple[str, str]] = field(default_factory=list)  # (account name, video key)

    def add_section(self, section: Section) -> Section:
        self.sections[section.key] = section
        return section

    def add(self, video: Video) -> Video:
        self.videos[video.key] = video
        return video

    def add_account(self, account: Account) -> Account:
        self.accounts.append(account)
        return account

    def add_player(self, player: Player) -> Player:
        self.players[player.id] = player
        return player

    def film(self, key: str, section: str = "1", **changes: object) -> Video:
        """Add a movie with one file, as most are."""
        title = str(changes.pop("title", f"Film {key}"))
        given = changes.pop("media", None)
        media = given or [[Part(file=f"/srv/media/Films/{title} (1984)/{title} (1984).mkv")]]
        video = Video(key=key, section=section, title=title, media=media)  # type: ignore[arg-type]
        video.year = 1984
        for name, value in changes.items():
            setattr(video, name, value)
        return self.add(video)

    def account_of(self, token: str) -> Account | None:
        return next((each for each in self.accounts if token and each.token == token), None)

    def sections_of(self, account: Account) -> list[Section]:
        return [
            section
            for section in self.sections.values()
            if account.sections is None or section.key in account.sections
        ]

    def may_see(self, account: Account, video: Video) -> bool:
        """An episode is judged by the labels and the rating of its show as well as its own."""
        if account.owner:
            return True
        if account.sections is not None and video.section not in account.sections:
            return False
        show = self.videos.get(video.show)
        labels = {*video.labels, *(show.labels if show else ())}
        rating = video.content_rating or (show.content_rating if show else "")
        if labels & account.without_labels:
            return False
        if account.labels and not labels & account.labels:
            return False
        return not account.ratings or rating in account.ratings

    def listing(self, account: Account, section: str, kind: str) -> list[Video]:
        return [
            video
            for video in self.videos.values()
            if video.section == section and video.type == kind and self.may_see(account, video)
        ]


def household(films: int = 3) -> World:
    """Return a server as homes have it: films, a show, home videos; an owner, a guest, a child."""
    world = World()
    world.add_section(Section(key="1", title="Films", locations=["/srv/media/Films"]))
    world.add_section(
        Section(
            key="2",
            title="Shows",
            type="show",
            agent="tv.plex.agents.series",
            locations=["/srv/media/Shows"],
        )
    )
    world.add_section(
        Section(
            key="3", title="Family", agent="tv.plex.agents.none", locations=["/srv/media/Family"]
        )
    )
    for number in range(films):
        world.film(f"1{number:04}", added_at=1_700_000_000 + number, updated_at=1_700_000_000)
    world.add(Video(key="201", section="2", type="show", title="Harbour", year=1999))
    for number in (1, 2):
        world.add(_episode(number))
    world.film(
        "301",
        "3",
        title="Lake",
        media=[[Part(file="/srv/media/Family/Lake.mp4", duration_ms=60_000)]],
        labels=["family"],
    )
    world.add_account(Account(id=901, name="anna", token="owner-token-anna", owner=True))
    world.add_account(Account(id=902, name="ben", token="guest-token-ben", sections={"1", "2"}))
    world.add_account(
        Account(id=903, name="mia", token="child-token-mia", sections={"1"}, labels={"kids"})
    )
    return world


def _episode(number: int) -> Video:
    return Video(
        key=f"21{number}",
        section="2",
        type="episode",
        title=f"Fog {number}",
        show="201",
        season=1,
        number=number,
        media=[[Part(file=f"/srv/media/Shows/Harbour/S01E0{number}.mkv", duration_ms=2_400_000)]],
    )
