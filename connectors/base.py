"""What a connector is, and the table of them.

A connector knows one media server: which libraries it has, which items they hold, and where their
files lie *as this machine sees them*. It lists; it never writes, and knows neither the store nor
the settings. What lies on the disk (sizes, subtitles beside a video) the sync looks at itself, the
same way for every server. `connectors/README.md` is the checklist for a new one.

`Connector` is all that a folder needs. A server with accounts is a `MediaServer`: it also signs
people in, says what each of them may see, tells of changes and plays. A *token* is what a person or
the daemon is known by there; it is in no repr, message, log or URL.
"""

from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import ClassVar, Protocol

from companion.model import ListedItem, ListedLibrary, ListedPage, ListedProblem
from connectors.mapping import PathMapping

CONNECTORS = {
    "folder": "connectors.folder:Folders",
    "jellyfin": "connectors.jellyfin:Jellyfin",
    "plex": "connectors.plex:Plex",
}


class Connector(Protocol):
    """One configured media server. Every call may take its time and none blocks the event loop.

    Raises ServerUnavailable (try later) or AuthFailed (a person must act), nothing else that is
    meant to be caught.
    """

    kind: ClassVar[str]  # the key in CONNECTORS

    @property
    def name(self) -> str:
        """What people call this server; unique among the configured ones."""
        ...

    @property
    def address(self) -> str:
        """Where it is, for people; empty if that means nothing. Never holds a token."""
        ...

    async def libraries(self) -> tuple[ListedLibrary, ...]:
        """Return every library, each `external_id` once.

        A library that is not named any more is taken for gone, with its items.
        """
        ...

    def items(self, library: ListedLibrary) -> AsyncIterator[ListedPage]:
        """Yield the items of a library in pages, each item once, in bounded memory.

        `external_id` is the same from listing to listing. If the iteration ends without an error,
        what was not listed is gone, except below the path of a listed problem. So a server that
        stops answering must raise, and a folder that cannot be read must be a problem.
        """
        ...

    async def close(self) -> None:
        """Let go of connections. May be called twice."""
        ...


# --- a server with accounts ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What makes a `MediaServer`: `load("jellyfin")(Setup(...))`.

    url: where the daemon reaches it, with the base path if it has one. public_url: where people's
    browsers reach it, if that is somewhere else. token: the daemon's own; may be empty as long as
    people only sign in. installation: random and kept, so that the server recognises us.
    libraries: external ids of those to list; empty: all with videos. authority: a file of
    certificates to trust besides the system's.
    """

    name: str
    url: str
    installation: str
    public_url: str = ""
    token: str = field(default="", repr=False)
    mappings: tuple[PathMapping, ...] = ()
    libraries: tuple[str, ...] = ()
    authority: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerIdentity:
    """Which server this is. id stays the same when its address changes."""

    id: str
    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who has signed in. external_id is empty for an API key, which belongs to nobody."""

    external_id: str
    name: str
    is_admin: bool
    token: str = field(repr=False)


class SignInWay(StrEnum):
    PASSWORD = "password"  # noqa: S105 - the name of a way, not a password
    CODE = "code"  # a code is shown here and typed in the server's own app or page
    TOKEN = "token"  # noqa: S105 - made by hand: an API key or a token


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInCode:
    """A sign-in under way. code: what the person types; url: where, "" if in the server's app.

    secret is what we ask with: it never leaves the daemon. expires_at_ms: Unix ms.
    """

    code: str
    secret: str = field(repr=False)
    url: str = ""
    expires_at_ms: int = 0


class SignIn(Protocol):
    """Needs no token of the daemon. AuthFailed: refused, with the reason in words."""

    async def identity(self) -> ServerIdentity:
        """Ask who this is. Raises ServerUnavailable if nothing of this kind answers there."""
        ...

    async def ways(self) -> tuple[SignInWay, ...]:
        """Return how one can sign in there now, the best first."""
        ...

    async def by_password(self, name: str, password: str) -> Account: ...

    async def start_code(self) -> SignInCode: ...

    async def by_code(self, code: SignInCode) -> Account | None:
        """Return the account once the person has typed the code, None until then.

        Raises AuthFailed when the code has expired or was refused.
        """
        ...

    async def by_token(self, token: str) -> Account:
        """Return whose token this is."""
        ...

    async def sign_out(self, token: str) -> None:
        """Make the server forget a token that we got from it. Fine if it already has."""
        ...


class RightKind(StrEnum):
    LIST = "list"  # libraries and items
    FOLDERS = "folders"  # where libraries lie: how a vanished disk is told from an emptied library
    EVERYTHING = "everything"  # no library, rating or tag is kept from the daemon's account
    EVENTS = "events"  # hears of changes at once; else it has to ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """Something the daemon's token may do or not. words: what follows from it, and what to do."""

    kind: RightKind
    granted: bool
    needed: bool  # without it nothing works
    words: str


class Rights(Protocol):
    async def rights(self) -> tuple[Right, ...]:
        """Try what the daemon's token may do; one Right per kind. Raises AuthFailed if nothing."""
        ...


class Visibility(Protocol):
    """Who may see what, each asked with that person's own token. Whatever is not sure raises."""

    async def sees_everything(self, token: str) -> bool:
        """True if the server shows no restriction for this account: then no listing is needed."""
        ...

    def visible(self, token: str) -> AsyncIterator[tuple[str, ...]]:
        """Yield the external ids of all items that this account may see, in pages.

        What has come counts only after the end was reached without an error.
        """
        ...

    async def may_see(self, token: str, item_id: str) -> bool:
        """Ask about one item, now: the last check before something of it is shown."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What somebody has seen of an item. position_ms: where to go on, 0 if nowhere."""

    item_id: str
    played: bool
    position_ms: int = 0


class WatchedState(Protocol):
    def watched(self, token: str) -> AsyncIterator[tuple[Watched, ...]]:
        """Yield, in pages, what this account has played or begun. All else it has not."""
        ...


class ChangeKind(StrEnum):
    SAVED = "saved"  # items are new or known differently: ask `some_items`
    REMOVED = "removed"
    WATCHED = "watched"  # by account_id
    ACCOUNTS = "accounts"  # somebody's rights may have changed: forget what they may see
    LOOK_AGAIN = "look again"  # something changed, or may have while nobody listened: list


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something happened. library_ids: where, as far as the server says. Ids may be of folders."""

    kind: ChangeKind
    item_ids: tuple[str, ...] = ()
    library_ids: tuple[str, ...] = ()
    account_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundItems:
    """Items asked for by id: (library's external id, item). What is missing is gone."""

    items: tuple[tuple[str, ListedItem], ...] = ()
    problems: tuple[ListedProblem, ...] = ()


class Changes(Protocol):
    """Uses the daemon's token."""

    def changes(self) -> AsyncIterator[Change]:
        """Yield changes for ever; reconnects by itself, with pauses that grow.

        The first one says LOOK_AGAIN once it listens, and so does each return after a silence.
        Raises AuthFailed when the token is refused, and nothing else that is meant to be caught.
        """
        ...

    def changed_since(self, at_ms: int) -> AsyncIterator[FoundItems]:
        """Yield, in pages, the items that the server has saved at or after a time by its own clock
        (Unix ms, as in `ListedItem.saved_at_ms`). What it has forgotten is not told."""
        ...

    async def count(self) -> int:
        """Return how many items the daemon's account sees in all its libraries, in one request.

        A number that differs from the last time tells that something went.
        """
        ...

    async def some_items(self, item_ids: Collection[str]) -> FoundItems:
        """Return the items of these ids, and ignore ids of anything else. At most 200 ids."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """A running app of a person that can be told to play. item_id: what it plays now, or ""."""

    id: str
    name: str  # "Living room"
    app: str  # "Jellyfin Android TV"
    item_id: str = ""


class Played(StrEnum):
    STARTED = "started"
    SOUGHT = "sought"  # it was playing that item already and has jumped


@dataclass(frozen=True, slots=True, kw_only=True)
class Playable:
    """A file of an item: `ListedItem.external_id` and `ListedPart.external_id`."""

    item_id: str
    part_id: str = ""


class Remote(Protocol):
    """Remote control with a person's own token; only ever of that person's own players."""

    async def players(self, token: str) -> tuple[Player, ...]: ...

    async def play(self, token: str, player_id: str, what: Playable, at_ms: int) -> Played:
        """Play from a time; seek if the player is already there.

        Raises MediaMissing if the player is not there any more or is somebody else's.
        """
        ...

    async def streams(self) -> int:
        """Return how many people are watching something now (asked with the daemon's token)."""
        ...


class Portraits(Protocol):
    async def portrait(self, reference: str) -> bytes:
        """Return a JPEG, PNG or WebP of at most PORTRAIT_BYTES, never from another host.

        Raises MediaMissing if there is none.
        """
        ...


PORTRAIT_BYTES = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A page of the server about an item, without a time. name: what it opens."""

    name: str
    url: str


class Links(Protocol):
    async def links(self, item_id: str) -> tuple[Link, ...]:
        """Return where an item can be opened, the nearest first."""
        ...


class Sampled(Protocol):
    async def sample_paths(self) -> tuple[str, ...]:
        """Return some paths as the server spells them: what `mapping.propose` goes by."""
        ...


class MediaServer(
    Connector,
    SignIn,
    Rights,
    Visibility,
    WatchedState,
    Changes,
    Remote,
    Portraits,
    Links,
    Sampled,
    Protocol,
):
    """A server with accounts: everything above."""


def load(kind: str) -> Callable[..., Connector]:
    """Return what makes a connector; its module is imported on first use.

    Raises KeyError if there is no such kind.
    """
    module, _, name = CONNECTORS[kind].partition(":")
    plug: Callable[..., Connector] = getattr(import_module(module), name)
    return plug
