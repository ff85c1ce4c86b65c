"""Playing somewhere else: on the TV or phone of whoever asks, or on the media server's own page."""

from http import HTTPStatus

from aiohttp import web

from companion.errors import CompanionError
from companion.remote_play import Elsewhere
from companion.timecode import clock
from connectors.base import Played
from webui import lookup
from webui.lookup import Film
from webui.visit import Visit

DONE = {Played.STARTED: "Playing on {}.", Played.SOUGHT: "{} has jumped there."}


async def players(visit: Visit) -> web.StreamResponse:
    """What stands below the player: where else this moment can be played now."""
    found, ms = await lookup.moment(visit, visit.name("moment"))
    return _page(visit, found, ms, await _ask(visit, found))


async def play(visit: Visit) -> web.StreamResponse:
    found, ms = await lookup.moment(visit, visit.name("moment"))
    target = await visit.field("player")
    there = await _ask(visit, found)
    name = next((each.name for each in there.targets if each.id == target), "The player")
    try:
        played = await _play(visit, found, target, ms)
    except CompanionError as error:
        return _page(visit, found, ms, there, note=f"It did not start: {error}", failed=True)
    return _page(visit, found, ms, there, note=DONE[played].format(name))


async def _play(visit: Visit, found: Film, target: str, ms: int) -> Played:
    if visit.parts.remote_play is None:
        raise CompanionError("there is no media server")
    return await visit.parts.remote_play.play(
        visit.account, visit.viewer, found.file.id, target, ms
    )


async def _ask(visit: Visit, found: Film) -> Elsewhere:
    if visit.parts.remote_play is None:
        return Elsewhere()
    return await visit.parts.remote_play.elsewhere(visit.account, visit.viewer, found.file.id)


def _page(
    visit: Visit, found: Film, ms: int, there: Elsewhere, *, note: str = "", failed: bool = False
) -> web.StreamResponse:
    wrong = failed and not visit.wants_part  # htmx shows only what is said to have gone well
    return visit.page(
        "players.html",
        part="_players.html",
        status=HTTPStatus.BAD_GATEWAY if wrong else HTTPStatus.OK,
        moment=visit.name("moment"),
        title=found.item.name,
        clock=clock(ms),
        targets=there.targets,
        doors=there.links,
        problems=there.problems,
        note=note,
        failed=failed,
    )
