"""Stills, films and clips. No part of an address is ever a path: ids are looked up in the store,
and the content type comes from our own table."""

from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from companion.errors import CompanionError
from companion.playback import CLIP_LENGTHS_S, Preview, direct_type
from webui import lookup
from webui.problems import Problem, bad_parameter, not_found
from webui.visit import PRIVATE, Visit

KEEP_STILL = "private, max-age=604800"  # its address names the content of the film
NO_STILL = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 270" width="480" height="270">'
    '<rect width="480" height="270" fill="#22262e"/><g fill="#3a404b">'
    '<rect x="190" y="115" width="100" height="6" rx="3"/>'
    '<rect x="190" y="132" width="64" height="6" rx="3"/>'
    '<rect x="262" y="132" width="28" height="6" rx="3"/>'
    '<rect x="190" y="149" width="100" height="6" rx="3"/></g></svg>'
)


async def still(visit: Visit) -> web.StreamResponse:
    """The picture of the scene at a moment, or a quiet stand-in while there is none."""
    try:
        film, ms = await lookup.moment(visit, visit.name("moment"))
    except Problem:
        return _no_still(HTTPStatus.NOT_FOUND)
    try:
        path = await visit.parts.playback.still(film.file, ms)
    except CompanionError:  # the film is away, or its picture cannot be read: the status page says
        return _no_still(HTTPStatus.OK)
    return _file(path, "image/jpeg", KEEP_STILL)


async def frame(visit: Visit) -> web.StreamResponse:
    """The picture at that very time. While it cannot be had: the scene's still if that was asked
    for, else nothing, without an error."""
    film, ms = await lookup.moment(visit, visit.name("moment"))
    try:
        path = await visit.parts.playback.frame(film.file, ms)
    except CompanionError:
        if visit.text("still"):
            return await still(visit)
        return web.Response(status=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})
    return _file(path, "image/jpeg", KEEP_STILL)


async def media(visit: Visit) -> web.StreamResponse:
    """The film itself, with Range, if browsers play it."""
    film = await lookup.film(visit, visit.name("file"))
    if direct_type(film.file) is None:
        raise not_found()
    return _played(await visit.parts.playback.preview(film.file, 0))


async def clip(visit: Visit) -> web.StreamResponse:
    """Some seconds from the one that the address says, cut now if nobody has asked before."""
    film, ms = await lookup.moment(visit, visit.name("moment"))
    seconds = visit.whole("s", CLIP_LENGTHS_S[-1], low=0, high=CLIP_LENGTHS_S[-1])
    if seconds not in CLIP_LENGTHS_S:  # each length is a file in the cache
        raise bad_parameter("s", f"one of {', '.join(map(str, CLIP_LENGTHS_S))}")
    return _played(await visit.parts.playback.clip(film.file, ms, seconds * 1000))


async def asset(visit: Visit) -> web.StreamResponse:
    """A static file by its name. An address of another version is answered but not kept."""
    found = visit.house.assets.static.get(visit.name("name"))
    if found is None:
        raise not_found()
    current = visit.name("version") == visit.house.assets.version
    response = web.Response(
        body=found.plain,
        headers={
            "Content-Type": found.content_type,
            "Cache-Control": ("public, max-age=31536000, immutable" if current else "no-store"),
            "Vary": "Accept-Encoding",
        },
    )
    if found.gzipped and "gzip" in visit.request.headers.get("Accept-Encoding", ""):
        response.body = found.gzipped
        response.headers["Content-Encoding"] = "gzip"
    return response


async def favicon(visit: Visit) -> web.StreamResponse:
    return visit.go(visit.links.asset("icon-192.png"), status=HTTPStatus.FOUND)


async def manifest(visit: Visit) -> web.StreamResponse:
    """What makes the page installable."""
    links = visit.links
    response = visit.json(
        {
            "name": "Heimdex",
            "short_name": "Heimdex",
            "description": "Search inside your own films and play from that second.",
            "id": links.home,
            "start_url": links.home,
            "scope": links.home,
            "display": "standalone",
            "background_color": "#0c0e12",
            "theme_color": "#0c0e12",
            "icons": [
                {
                    "src": links.asset(f"icon-{size}.png"),
                    "sizes": f"{size}x{size}",
                    "type": "image/png",
                    "purpose": purpose,
                }
                for size, purpose in ((192, "any"), (512, "any"), (512, "maskable"))
            ],
        }
    )
    response.content_type = "application/manifest+json"
    return response


def _no_still(status: HTTPStatus) -> web.Response:
    return web.Response(
        text=NO_STILL,
        status=status,
        content_type="image/svg+xml",
        headers={"Cache-Control": "no-store"},
    )


def _played(preview: Preview) -> web.StreamResponse:
    return _file(preview.path, preview.content_type, PRIVATE)


def _file(path: Path, content_type: str, cache: str) -> web.FileResponse:
    return web.FileResponse(path, headers={"Content-Type": content_type, "Cache-Control": cache})
