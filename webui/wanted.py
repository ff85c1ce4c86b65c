"""What a search asks for: words, and beside them a picture that somebody gave or a scene that is to
be looked like."""

from dataclasses import dataclass
from typing import Literal

from companion.search.pictures import Picture
from companion.timecode import clock
from webui import lookup
from webui.contexts import heading
from webui.problems import not_found
from webui.visit import Visit

YOURS = "Your picture"
NO_PICTURES = "Pictures are switched off here: only the words are searched for."


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """What stands in the field beside the words. field, value: what the form sends for it; label:
    short, as there is little room; name: in full; without: the address of the same search without
    it."""

    field: Literal["picture", "like"]
    value: str
    label: str
    name: str
    still: str
    without: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """picture: as `Search.look` made it; like: the id of a scene. gone: the picture is no longer
    kept. note: why the picture or the scene is left out."""

    query: str
    chip: Chip | None = None
    picture: Picture | None = None
    like: int | None = None
    gone: bool = False
    note: str = ""

    @property
    def anything(self) -> bool:
        return bool(self.query or self.chip)


async def wanted(visit: Visit) -> Wanted:
    """Read it from the address. Raises not_found for a scene that is not there to be seen."""
    query, token, moment = (visit.text(name) for name in ("q", "picture", "like"))
    if not token and not moment:
        return Wanted(query=query)
    if not visit.parts.config.features.vision:
        return Wanted(query=query, note=NO_PICTURES)
    return await _like(visit, query, moment) if moment else _picture(visit, query, token)


def _picture(visit: Visit, query: str, token: str) -> Wanted:
    shown = visit.house.album.find(visit.viewer, token)
    if shown is None:
        return Wanted(query=query, gone=True)
    chip = Chip(
        field="picture",
        value=token,
        label=shown.name or YOURS,
        name=shown.name or YOURS,
        still="",
        without=visit.links.search(query),
    )
    return Wanted(query=query, chip=chip, picture=shown.picture)


async def _like(visit: Visit, query: str, moment: str) -> Wanted:
    film, ms = await lookup.moment(visit, moment)
    scene = await visit.parts.store.read(lookup.scene_at, moment, visit.viewer)
    if scene is None:
        raise not_found()
    chip = Chip(
        field="like",
        value=moment,
        label="Like this scene",
        name=f"Like {heading(film.item)} at {clock(ms)}",
        still=visit.links.still(moment),
        without=visit.links.search(query),
    )
    return Wanted(query=query, chip=chip, like=scene)
