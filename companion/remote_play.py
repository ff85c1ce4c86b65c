"""The ladder of playing elsewhere: on one of a person's own running players, or the server's page.

The server itself does not check that a player belongs to whoever asks: the connector does.
"""

import asyncio
import logging
from dataclasses import dataclass

import apsw

from companion.errors import AuthFailed, CompanionError, MediaMissing
from companion.household import Household
from companion.model import Viewer
from companion.servers import Servers
from companion.store import servers as rows
from companion.store.accounts import Account
from companion.store.db import Store
from connectors.base import Link, Playable, Played, Player

log = logging.getLogger(__name__)

ASK_S = 5.0  # a server that is silent for longer has no players
MOST = 20  # players that are offered


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A player that can show a moment now. id: what `play` takes. playing: it is there already, so
    that it only has to jump."""

    id: str
    name: str
    app: str
    server: str
    playing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Where else a moment can be seen. problems: why a server could not tell, in words."""

    targets: tuple[Target, ...] = ()
    links: tuple[Link, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """An item of a server that shows a file."""

    server_id: int
    item_id: str
    part_id: str


class RemotePlay:
    """One per daemon."""

    def __init__(self, store: Store, servers: Servers, household: Household) -> None:
        self._store = store
        self._servers = servers
        self._household = household

    async def elsewhere(self, account: Account | None, viewer: Viewer, file_id: int) -> Elsewhere:
        """Return the person's own players and the pages about a film that the viewer may see.

        account: None for the owner at this computer, who is whoever set the server up.
        """
        places = await self._store.read(_places, file_id, viewer)
        found = await asyncio.gather(*(self._at(account, place) for place in places))
        targets = [target for each in found for target in each.targets]
        return Elsewhere(
            targets=tuple(sorted(targets, key=lambda each: not each.playing)[:MOST]),
            links=tuple(link for each in found for link in each.links),
            problems=tuple(dict.fromkeys(text for each in found for text in each.problems)),
        )

    async def _at(self, account: Account | None, place: _Place) -> Elsewhere:
        try:
            async with asyncio.timeout(ASK_S):
                connector = await self._servers.connector(place.server_id)
                links = await connector.links(place.item_id)
                token = await self._household.voice(account, place.server_id)
                players = await connector.players(token) if token else ()
        except TimeoutError:
            return Elsewhere(problems=("A media server does not answer now.",))
        except CompanionError as error:
            return Elsewhere(problems=(str(error),))
        return Elsewhere(
            targets=tuple(_target(place, player, connector.name) for player in players),
            links=links,
        )

    async def play(
        self, account: Account | None, viewer: Viewer, file_id: int, target: str, at_ms: int
    ) -> Played:
        """Start a film on a player, or jump there if it plays it already.

        Raises MediaMissing if that player, or the film for this viewer, is not there any more.
        """
        server, _, player = target.partition(".")
        places = await self._store.read(_places, file_id, viewer)
        place = next((each for each in places if str(each.server_id) == server), None)
        if place is None or not player:
            raise MediaMissing("this film cannot be played there any more")
        connector = await self._servers.connector(place.server_id)
        token = await self._household.voice(account, place.server_id)
        if not token:
            raise AuthFailed("sign in with your account on the media server to play there")
        what = Playable(item_id=place.item_id, part_id=place.part_id)
        played = await connector.play(token, player, what, at_ms)
        log.info("played elsewhere server=%s how=%s", connector.name, played.value)
        return played


def _target(place: _Place, player: Player, server: str) -> Target:
    return Target(
        id=f"{place.server_id}.{player.id}",
        name=player.name or player.app,
        app=player.app,
        server=server,
        playing=player.item_id == place.item_id,
    )


def _places(c: apsw.Connection, file_id: int, viewer: Viewer) -> list[_Place]:
    """Return the items of media servers through which a viewer sees a file, one a server."""
    found: dict[int, _Place] = {}
    for row in rows.places_of_file(c, file_id):
        if viewer.may_see(row.item_id):
            found.setdefault(row.server_id, _Place(row.server_id, row.external_id, row.part_id))
    return list(found.values())
