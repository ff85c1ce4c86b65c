"""What the daemon's token may do on a Plex server, tried, in words that a person can act on."""

from collections.abc import Collection

from companion.errors import AuthFailed, ServerUnavailable
from connectors.base import Right, RightKind
from connectors.plex_events import PATH
from connectors.plex_http import PlexHttp
from connectors.plex_reading import Section


def lists(sections: Collection[Section]) -> Right:
    if sections:
        return _right(RightKind.LIST, True, "Lists libraries and what is in them.", needed=True)
    words = "Sees no library with videos: share one with this account."
    return _right(RightKind.LIST, False, words, needed=True)


def folders(sections: Collection[Section]) -> Right:
    if all(section.folders for section in sections):
        return _right(RightKind.FOLDERS, True, "Knows where libraries lie.")
    words = (
        "Does not see where libraries lie, so a disk that is away looks like deleted videos: use "
        "the owner's token."
    )
    return _right(RightKind.FOLDERS, False, words)


def everything(is_owner: bool) -> Right:
    if is_owner:
        return _right(RightKind.EVERYTHING, True, "Sees everything, and who plays what where.")
    words = (
        "Is not the owner's token: what is kept from this account is not indexed, and playing on "
        "other devices does not work."
    )
    return _right(RightKind.EVERYTHING, False, words)


async def events(http: PlexHttp, token: str) -> Right:
    try:
        socket = await http.listen(PATH, token=token)
    except (ServerUnavailable, AuthFailed):
        words = "Does not hear of changes and asks once a minute: does a proxy stop websockets?"
        return _right(RightKind.EVENTS, False, words)
    await socket.close()
    return _right(RightKind.EVENTS, True, "Hears of changes at once.")


def _right(kind: RightKind, granted: bool, words: str, *, needed: bool = False) -> Right:
    return Right(kind=kind, granted=granted, needed=needed, words=words)
