"""From an address to a film, for whoever may see it. What they may not see does not exist."""

import re
from dataclasses import dataclass, replace

import apsw

from companion.model import Answer, File, Item, Viewer
from companion.store import findings, library
from webui.problems import not_found
from webui.visit import Visit

MOMENT = re.compile(r"([A-Za-z0-9_-]{1,64})-([0-9a-z]{1,7})")  # 7 digits of base 36 are 2.4 years


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A file and the item through which this viewer sees it."""

    file: File
    item: Item


async def film(visit: Visit, public_id: str) -> Film:
    """Return a film by its file's public id. Raises not_found."""
    found = await visit.parts.store.read(_film, public_id, visit.viewer)
    if found is None or not await visit.confirmed([found.item.id]):
        raise not_found()
    return found


async def moment(visit: Visit, public_id: str) -> tuple[Film, int]:
    """Return a film and the ms in it that a moment's id says, within the film. Raises not_found."""
    said = MOMENT.fullmatch(public_id)
    if said is None:
        raise not_found()
    found = await film(visit, said[1])
    return found, max(0, min(int(said[2], 36), found.file.duration_ms))


async def scene(visit: Visit, public_id: str) -> int:
    """Return the id of the scene that plays at a moment. Raises not_found."""
    await moment(visit, public_id)
    found = await visit.parts.store.read(scene_at, public_id, visit.viewer)
    if found is None:
        raise not_found()
    return found


def scene_at(connection: apsw.Connection, public_id: str, viewer: Viewer) -> int | None:
    """Return the id of the scene that plays at a moment, None if there is none to be seen."""
    said = MOMENT.fullmatch(public_id)
    found = _film(connection, said[1], viewer) if said else None
    if said is None or found is None:
        return None
    row = findings.scene_at(connection, found.file.id, int(said[2], 36))
    return row.id if row else None


async def shown(visit: Visit, answer: Answer) -> Answer:
    """Return what is found without the items that have been taken from this viewer just now."""
    kept = await visit.confirmed(moment.item.id for moment in (*answer.moments, *answer.weak))
    return replace(
        answer,
        moments=tuple(moment for moment in answer.moments if moment.item.id in kept),
        weak=tuple(moment for moment in answer.weak if moment.item.id in kept),
    )


async def item(visit: Visit, public_id: str) -> Item:
    """Return an item. Raises not_found."""
    found = await visit.parts.store.read(library.item_by_public_id, public_id)
    if found is None or not visit.viewer.may_see(found.id):
        raise not_found()
    if not await visit.confirmed([found.id]):
        raise not_found()
    return found


def _film(connection: apsw.Connection, public_id: str, viewer: Viewer) -> Film | None:
    file = library.file_by_public_id(connection, public_id)
    if file is None:
        return None
    return next(
        (
            Film(file=file, item=item)
            for item in library.items_of_file(connection, file.id)
            if viewer.may_see(item.id)
        ),
        None,
    )
