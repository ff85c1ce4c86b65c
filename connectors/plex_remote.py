"""Playing on the apps of one person, through the server.

A session names its account; an app that only waits is nobody's and is offered to the owner alone.
Commands go to the server, which hands them on (`X-Plex-Target-Client-Identifier`): addresses of
apps, as sessions and clients list them, are never called. No token goes along in a command: the app
plays as the account that it is signed in with.
"""

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from yarl import URL

from companion.errors import MediaMissing
from connectors import plex_reading as reading
from connectors.base import Playable, Played, Player
from connectors.plex_http import PlexHttp, Refused, missing
from connectors.plex_items import before_ms
from connectors.plex_tokens import OWNER_ID, Known

SESSIONS = "/status/sessions"
CLIENTS = "/clients"
PLAYERS = 200
LONGEST_MS = 7 * 24 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    player_id: str
    name: str
    app: str
    account_id: str
    item_id: str


class PlexRemote:
    """Sees sessions with the owner's token, which only the owner may; plays as the person."""

    def __init__(self, http: PlexHttp, owner: Known, *, installation: str, public_url: str) -> None:
        self._http = http
        self._owner = owner
        self._installation = installation
        self._public_url = public_url
        # An app passes over a command whose number is not above the last one it had from us, and
        # we may have been started again since.
        self._commands = itertools.count(int(time.time()))

    async def players(self, who: Known) -> tuple[Player, ...]:
        """Return what can be told to play: this person's sessions, then the owner's idle apps."""
        if not who.account_id:
            return ()
        found = _sessions(await self._http.get(SESSIONS, token=self._owner.secret))
        apps = _clients(await self._http.get(CLIENTS, token=self._owner.secret))
        mine = {
            each.player_id: Player(
                id=each.player_id, name=each.name, app=each.app, item_id=each.item_id
            )
            for each in found
            if each.account_id == who.account_id and each.player_id in apps
        }
        if who.account_id == OWNER_ID:
            taken = {each.player_id for each in found}
            mine |= {key: app for key, app in apps.items() if key not in taken}
        return tuple(mine.values())

    async def play(
        self, who: Known, player_id: str, what: Playable, at_ms: int, machine_id: str
    ) -> Played:
        players = {each.id: each for each in await self.players(who)}
        player = players.get(player_id)
        if player is None:
            raise MediaMissing("this app is not there any more, or somebody else uses it now")
        offset_ms = min(max(0, before_ms(what.part_id) + at_ms), LONGEST_MS)
        if player.item_id == what.item_id:
            await self._tell(player, "seekTo", {"offset": str(offset_ms)})
            return Played.SOUGHT
        queue = await self._queue(who, what.item_id, machine_id)
        where = URL(self._public_url)
        about = {
            "providerIdentifier": "com.plexapp.plugins.library",
            "machineIdentifier": machine_id,
            "protocol": where.scheme,
            "address": where.host or "",
            "port": str(where.port or ""),
            "offset": str(offset_ms),
            "key": f"/library/metadata/{what.item_id}",
            "containerKey": f"/playQueues/{queue}?window=100&own=1",
        }
        await self._tell(player, "playMedia", about)
        return Played.STARTED

    async def streams(self) -> int:
        return len(_sessions(await self._http.get(SESSIONS, token=self._owner.secret)))

    async def _queue(self, who: Known, item_id: str, machine_id: str) -> str:
        """Make a queue as the person: the server refuses what they may not see."""
        uri = f"server://{machine_id}/com.plexapp.plugins.library/library/metadata/{item_id}"
        query = {"type": "video", "uri": uri, "shuffle": "0", "repeat": "0", "continuous": "0"}
        try:
            root = await self._http.ask("POST", "/playQueues", token=who.secret, query=query)
        except Refused as error:
            raise missing(error, "the server does not let this person play that") from None
        queue = reading.identifier(root.get("playQueueID"))
        if not queue:
            raise MediaMissing("the server has made no queue of it")
        return queue

    async def _tell(self, player: Player, command: str, about: Mapping[str, str]) -> None:
        """Send a command. What comes back is a word from some apps, a document from others."""
        try:
            await self._http.body(
                "GET",
                f"/player/playback/{command}",
                token=self._owner.secret,
                query={"type": "video", "commandID": str(next(self._commands)), **about},
                more={"X-Plex-Target-Client-Identifier": player.id},
            )
        except Refused as error:
            raise missing(error, f"{player.name} does not take commands from outside") from None


def _sessions(root: Element) -> list[_Session]:
    found = []
    for video in list(root)[:PLAYERS]:
        user, player = video.find("User"), video.find("Player")
        if user is None or player is None:
            continue
        found.append(
            _Session(
                player_id=reading.identifier(player.get("machineIdentifier")),
                name=reading.text(player.get("title")) or reading.text(player.get("product")),
                app=reading.text(player.get("product")),
                account_id=reading.identifier(user.get("id")),
                item_id=reading.identifier(video.get("ratingKey")),
            )
        )
    return [each for each in found if each.player_id and each.account_id]


def _clients(root: Element) -> dict[str, Player]:
    """Return the apps that say they take playback commands."""
    found = {}
    for each in list(root.iter("Server"))[:PLAYERS]:
        key = reading.identifier(each.get("machineIdentifier"))
        if key and "playback" in each.get("protocolCapabilities", "").split(","):
            app = reading.text(each.get("product"))
            found[key] = Player(id=key, name=reading.text(each.get("name")) or app, app=app)
    return found
