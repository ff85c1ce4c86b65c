"""What the templates that list titles receive."""

from dataclasses import dataclass

import apsw

from companion.model import Item, Viewer
from companion.store import findings, library
from webui import words
from webui.contexts import heading
from webui.film import poster_ms
from webui.links import Links, moment_id

TITLES_PER_PAGE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    title: str
    year: int | None
    library: str
    href: str
    poster: str
    duration: str
    ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TitlesPage:
    tiles: tuple[Tile, ...]
    libraries: tuple[tuple[str, str, bool], ...]  # name, address, chosen
    earlier: str
    later: str


def titles_page(
    connection: apsw.Connection, viewer: Viewer, links: Links, *, chosen: str, offset: int
) -> TitlesPage:
    """Read one page of titles. chosen: a library's name, "" for all."""
    named = {one.name: one.id for one in library.libraries(connection)}
    items = library.items(
        connection,
        viewer,
        limit=TITLES_PER_PAGE + 1,
        offset=offset,
        library_id=named.get(chosen),
    )
    return TitlesPage(
        tiles=tuple(_tile(connection, item, links) for item in items[:TITLES_PER_PAGE]),
        libraries=_libraries(connection, viewer, links, chosen),
        earlier=(
            links.page("titles", library=chosen, offset=max(0, offset - TITLES_PER_PAGE))
            if offset
            else ""
        ),
        later=(
            links.page("titles", library=chosen, offset=offset + TITLES_PER_PAGE)
            if len(items) > TITLES_PER_PAGE
            else ""
        ),
    )


def newest(connection: apsw.Connection, viewer: Viewer, links: Links, count: int) -> list[Tile]:
    """Read a few titles to look at before anything is asked."""
    items = library.items(connection, viewer, limit=count, offset=0)
    return [_tile(connection, item, links) for item in items]


def _libraries(
    connection: apsw.Connection, viewer: Viewer, links: Links, chosen: str
) -> tuple[tuple[str, str, bool], ...]:
    """Name only libraries in which this viewer sees something."""
    seen = [
        found
        for found in library.libraries(connection)
        if library.items(connection, viewer, limit=1, offset=0, library_id=found.id)
    ]
    if len(seen) < 2:
        return ()
    every = ("All", links.page("titles"), not chosen)
    return (
        every,
        *((one.name, links.page("titles", library=one.name), one.name == chosen) for one in seen),
    )


def _tile(connection: apsw.Connection, item: Item, links: Links) -> Tile:
    files = library.files_of_item(connection, item.id)
    scene = findings.scene_at(connection, files[0].id, poster_ms(files[0])) if files else None
    return Tile(
        title=heading(item),
        year=item.year,
        library=item.library,
        href=links.item(item.public_id),
        poster=links.still(moment_id(files[0], poster_ms(files[0]))) if files else "",
        duration=words.how_long(sum(file.duration_ms for file in files)) if files else "",
        ready=scene is not None,
    )
