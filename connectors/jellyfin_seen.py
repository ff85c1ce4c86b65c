"""What a person may see on a Jellyfin server, and has seen. Blocks: for threads.

Always listed with that person's own token, and never asked for by ids: the server would then give
items of libraries that they may not enter.
"""

from collections.abc import Iterator

from companion.timecode import ms_from_ticks
from connectors.base import Watched
from connectors.jellyfin_client import Client
from connectors.jellyfin_parse import Body, an_id, body_of, whole
from connectors.jellyfin_walk import BARE, ITEMS, Walk

PAGE_IDS = 2000
TICKS = range(1 << 53)


def visible_pages(client: Client, user_id: str) -> Iterator[tuple[str, ...]]:
    """Yield the ids of what this user may see."""
    walk = Walk(client, {**ITEMS, **BARE, "userId": user_id}, size=PAGE_IDS)
    while (bodies := walk.next_page()) is not None:
        yield tuple(an_id(body.get("Id"), client.name) for body in bodies)


def watched_pages(client: Client, user_id: str) -> Iterator[tuple[Watched, ...]]:
    """Yield what this user has played, then what they have begun: an item may come twice, with
    the same words."""
    for which in ("IsPlayed", "IsResumable"):
        params = {**ITEMS, **BARE, "enableUserData": "true", "userId": user_id, "filters": which}
        walk = Walk(client, params, size=PAGE_IDS)
        while (bodies := walk.next_page()) is not None:
            yield tuple(_watched(body, client.name) for body in bodies)


def _watched(body: Body, name: str) -> Watched:
    data = body_of(body.get("UserData"), name)
    return Watched(
        item_id=an_id(body.get("Id"), name),
        played=data.get("Played") is True,
        position_ms=ms_from_ticks(whole(data.get("PlaybackPositionTicks"), TICKS) or 0),
    )
