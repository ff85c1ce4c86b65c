"""What a Jellyfin server says, as dataclasses: typed, bounded, and nothing taken on trust.

An id is checked strictly, since it comes back in addresses; whatever else is odd is left out.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from companion.errors import ServerUnavailable
from companion.listed import CreditKind, ItemKind, LibraryKind, ListedCredit
from companion.paths import plain
from connectors.base import Account, ServerIdentity
from connectors.jellyfin_http import not_jellyfin

ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
KEPT = re.compile(r"[0-9a-f]{32}")  # as we keep UUIDs, and as Jellyfin mostly writes them
NOBODY = "0" * 32  # the id that means none
NAME_CHARACTERS = 300
PATH_CHARACTERS = 4096
CREDITS = 200
WORDS = 100  # genres, tags, providers of one item
OLDEST = (10, 10)
YEARS = range(1870, 2201)

ITEM_KINDS = {
    "Movie": ItemKind.MOVIE,
    "Episode": ItemKind.EPISODE,
    "Video": ItemKind.HOME_VIDEO,
    "MusicVideo": ItemKind.MUSIC_VIDEO,
}
LIBRARY_KINDS = {
    "movies": LibraryKind.MOVIES,
    "tvshows": LibraryKind.SHOWS,
    "homevideos": LibraryKind.HOME_VIDEOS,
    "musicvideos": LibraryKind.MUSIC_VIDEOS,
    "mixed": LibraryKind.MIXED,
    "": LibraryKind.MIXED,
}
CREDIT_KINDS = {
    "Actor": CreditKind.ACTOR,
    "GuestStar": CreditKind.GUEST,
    "Director": CreditKind.DIRECTOR,
    "Writer": CreditKind.WRITER,
}

Body = Mapping[str, Any]


def text(value: object, limit: int = NAME_CHARACTERS) -> str:
    """Return one line of text that can be stored and shown; "" for anything else."""
    if not isinstance(value, str):
        return ""
    if value.isascii() and value.isprintable():  # nearly always, and much faster to ask
        return value[:limit].strip()
    return plain(value[:limit].encode("utf-8", "replace")).strip()


def a_path(value: object) -> str:
    """Return a path as the server spells it, "" if it is none. Not shortened: it would be wrong."""
    return value if isinstance(value, str) and len(value) <= PATH_CHARACTERS else ""


def whole(value: object, allowed: range) -> int | None:
    """Return a whole number in the range, else None. A truth value is no number."""
    sound = isinstance(value, int) and not isinstance(value, bool) and value in allowed
    return value if sound and isinstance(value, int) else None


def texts(value: object, count: int = WORDS) -> tuple[str, ...]:
    """Return the texts of a list, each once."""
    found = (text(each) for each in objects(value, count, of=str))
    return tuple(dict.fromkeys(each for each in found if each))


def objects(value: object, count: int, of: type = dict) -> list[Any]:
    """Return the first entries of a list that are of the kind wanted; [] if it is no list."""
    if not isinstance(value, list):
        return []
    return [each for each in value[:count] if isinstance(each, of)]


def body_of(value: object, name: str) -> Body:
    """Return a JSON object. Raises ServerUnavailable if it is something else."""
    if not isinstance(value, dict):
        raise not_jellyfin(name)
    return value


def bodies_of(value: object, name: str, most: int) -> list[Body]:
    """Return a list of JSON objects. Raises ServerUnavailable if it is something else."""
    if not isinstance(value, list) or len(value) > most:
        raise not_jellyfin(name)
    return [body_of(each, name) for each in value]


def an_id(value: object, name: str) -> str:
    """Return an id in the one form that we keep. Raises ServerUnavailable if it is none."""
    found = maybe_id(value)
    if not found:
        raise not_jellyfin(name)
    return found


def maybe_id(value: object) -> str:
    """Return an id, or "" for what is none. Servers write the same UUID in two ways."""
    if not isinstance(value, str):
        return ""
    if KEPT.fullmatch(value):  # nearly always
        return "" if value == NOBODY else value
    if not ID.fullmatch(value):
        return ""
    found = value.replace("-", "").lower() if UUID.fullmatch(value) else value
    return "" if found == NOBODY else found


def unix_ms(value: object) -> int:
    """Return Unix ms of a time as .NET writes it, with up to seven decimals; 0 if it is none."""
    if not isinstance(value, str) or len(value) > 40:
        return 0
    shortened = re.sub(r"(\.\d{6})\d+", r"\1", value)
    try:
        when = datetime.fromisoformat(shortened)
        return max(0, round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000))
    except (ValueError, OverflowError):
        return 0


def identity(value: object, name: str) -> ServerIdentity:
    """Return who a server says it is. Raises ServerUnavailable if it is too old or no Jellyfin."""
    body = body_of(value, name)
    found = ServerIdentity(
        id=an_id(body.get("Id"), name),
        name=text(body.get("ServerName")) or name,
        version=text(body.get("Version"), 40),
    )
    numbers = version(found.version)
    if not numbers:
        raise not_jellyfin(name)
    if numbers < OLDEST:
        raise ServerUnavailable(
            f"{name}: the server is Jellyfin {found.version}: bring it to 10.10 or newer"
        )
    return found


def version(words: str) -> tuple[int, ...]:
    """Return the numbers of a version: (10, 11, 2), (12, 0). () if it does not begin with any."""
    match = re.match(r"\d{1,6}(\.\d{1,6}){1,3}", words)
    return tuple(int(number) for number in match.group().split(".")) if match else ()


def account(value: object, name: str, token: str) -> Account:
    """Return somebody's account from what `/Users/Me` says."""
    body = body_of(value, name)
    policy = body_of(body.get("Policy"), name)
    return Account(
        external_id=an_id(body.get("Id"), name),
        name=text(body.get("Name")) or "?",
        is_admin=policy.get("IsAdministrator") is True,
        token=token,
    )


def is_unrestricted(value: object, name: str) -> bool:
    """True if a user's policy surely keeps nothing from them; whatever is not known, restricts."""
    policy = body_of(body_of(value, name).get("Policy"), name)
    if policy.get("EnableAllFolders") is not True or policy.get("IsDisabled") is not False:
        return False
    for key, said in policy.items():
        limits = key.startswith(("Block", "Allowed", "MaxParental", "AccessSchedule"))
        # 0 is a limit: the youngest age.
        none = said is None or said is False or said == []
        if limits and not none and key != "BlockedChannels":
            return False
    return True


def credits_of(value: object) -> tuple[ListedCredit, ...]:
    """Return who took part; a person's portrait is known by their id and the picture's tag."""
    found = []
    for body in objects(value, CREDITS):
        who = text(body.get("Name"))
        person = maybe_id(body.get("Id"))
        tag = maybe_id(body.get("PrimaryImageTag"))
        if who:
            found.append(
                ListedCredit(
                    name=who,
                    kind=CREDIT_KINDS.get(str(body.get("Type")), CreditKind.OTHER),
                    person_id=person,
                    role=text(body.get("Role")),
                    portrait=f"{person}/{tag}" if person and tag else "",
                )
            )
    return tuple(found)


def providers_of(value: object) -> tuple[tuple[str, str], ...]:
    """Return (provider, id), providers in lower case."""
    if not isinstance(value, dict):
        return ()
    pairs = ((text(key, 40).lower(), text(said, 100)) for key, said in list(value.items())[:WORDS])
    return tuple(sorted({key: said for key, said in pairs if key and said}.items()))


def score_of(value: object) -> float | None:
    """Return a community rating within 0..10."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 10 else None
