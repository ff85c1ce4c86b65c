"""The API under /api/1/: the same answers as the pages, as JSON, and the requests to scan."""

from dataclasses import replace
from http import HTTPStatus
from typing import TypeVar

import msgspec
from aiohttp import web

import companion
from companion import record
from companion.errors import CompanionError, FeatureOff
from companion.model import Viewer
from companion.search.fusion import Weights
from companion.search.pictures import Picture
from companion.search.query import Mode
from companion.store import library
from webui import lookup, openapi, records
from webui.problems import Problem, bad_parameter
from webui.visit import Visit

MOST_RESULTS = 500
MODES = {"": Mode.BOTH, "both": Mode.BOTH, "words": Mode.WORDS, "meaning": Mode.MEANING}

NOBODY = Viewer(name="", owner=False, item_ids=frozenset())

T = TypeVar("T")

_wanted = msgspec.json.Decoder(records.Wanted)
_retry = msgspec.json.Decoder(records.Retry)
_look = msgspec.json.Decoder(records.Look)


async def search(visit: Visit) -> web.StreamResponse:
    """Search by words, or for scenes like the one of a moment, or both."""
    like = visit.text("like")
    scene = await lookup.scene(visit, like) if like else None
    return await _search(visit, _mode(visit), None, like=scene)


async def image(visit: Visit) -> web.StreamResponse:
    """Search by a picture, alone or with words. The parameters are fields beside the file."""
    form = await visit.form()
    visit = replace(visit, given={key: each for key, each in form.items() if isinstance(each, str)})
    mode = _mode(visit)
    sent = form.get("image")
    if not isinstance(sent, bytes):
        raise bad_parameter("image", "send a picture as a file in this field")
    picture = await visit.parts.search.look(sent)
    return await _search(visit, mode, _weights(visit), picture=picture)


def _mode(visit: Visit) -> Mode:
    mode = visit.text("mode")
    if mode not in MODES:
        raise bad_parameter("mode", "one of both, words, meaning")
    return MODES[mode]


def _weights(visit: Visit) -> Weights:
    search = visit.parts.config.search
    return Weights(
        text=visit.number("text_weight", search.text_weight, low=0, high=1),
        picture=visit.number("vision_weight", search.vision_weight, low=0, high=1),
        person=visit.number("person_boost", search.person_boost, low=0, high=1),
    )


async def semantic(visit: Visit) -> web.StreamResponse:
    """Search by meaning alone, with the first Heimdex's parameters."""
    config = visit.parts.config
    if not config.features.semantic_search:
        raise FeatureOff(
            "semantic search is switched off: set features.semantic_search = true in heimdex.toml"
        )
    return await _search(visit, Mode.MEANING, _weights(visit))


async def _search(
    visit: Visit,
    mode: Mode,
    weights: Weights | None,
    *,
    picture: Picture | None = None,
    like: int | None = None,
) -> web.StreamResponse:
    query = visit.text("q")
    if not query and picture is None and like is None:
        raise bad_parameter("q", "say what to look for")
    limit = visit.whole("limit", visit.parts.config.search.limit, low=1, high=MOST_RESULTS)
    answer = await visit.parts.search.ask(
        query,
        viewer=visit.viewer,
        mode=mode,
        limit=limit,
        weights=weights,
        picture=picture,
        like=like,
    )
    return visit.json(records.results(await lookup.shown(visit, answer), visit.viewer))


async def item(visit: Visit) -> web.StreamResponse:
    found = await lookup.item(visit, visit.name("item"))
    files = await visit.parts.store.read(library.files_of_item, found.id)
    return visit.json(records.item(found, files, visit.viewer))


async def scenes(visit: Visit) -> web.StreamResponse:
    """The scene record of a file, without the numbers of its vectors."""
    film = await lookup.film(visit, visit.name("file"))
    return visit.json(await visit.parts.store.read(record.record, film.file, with_vectors=False))


async def status(visit: Visit) -> web.StreamResponse:
    found = await visit.parts.indexer.status(visit.viewer)
    return visit.json(records.status(found, visit.viewer))


async def scan(visit: Visit) -> web.StreamResponse:
    """Put what waits before everything else, windows or not; answered with how much that is."""
    wanted = await _body(visit, _wanted)
    if wanted.file is not None:
        await lookup.film(visit, wanted.file)
    elif visit.parts.sync is not None:
        await visit.parts.sync()
    requested = await visit.parts.indexer.scan_now(file_public_id=wanted.file)
    return visit.json(records.Requested(requested), status=HTTPStatus.ACCEPTED)


async def sync(visit: Visit) -> web.StreamResponse:
    """Look through every library for changes; what is new waits for its turn."""
    await _body(visit, _look)
    if visit.parts.sync is not None:
        await visit.parts.sync()
    return await status(visit)


async def retry(visit: Visit) -> web.StreamResponse:
    wanted = await _body(visit, _retry)
    await lookup.film(visit, wanted.file)
    await visit.parts.indexer.retry(wanted.file)
    return visit.json(records.Requested(1), status=HTTPStatus.ACCEPTED)


async def health(visit: Visit) -> web.StreamResponse:
    """alive: the process answers but the store does not; degraded: ready, with things missing."""
    try:
        notes = (await visit.parts.indexer.status(visit.viewer_or_none or NOBODY)).notes
    except CompanionError as error:
        state, notes, code = "alive", (str(error),), HTTPStatus.SERVICE_UNAVAILABLE
    else:
        state, code = "degraded" if notes else "ready", HTTPStatus.OK
    reasons = list(notes) if visit.viewer_or_none else []
    version = companion.__version__ if visit.viewer_or_none else ""
    return visit.json(records.Health(state, version, reasons), status=code)


async def description(visit: Visit) -> web.StreamResponse:
    return visit.json(openapi.document(visit.links.base))


async def nothing(_: Visit) -> web.StreamResponse:
    raise Problem(HTTPStatus.NOT_FOUND, "No such call", "there is no such call: see openapi.json")


async def _body(visit: Visit, decoder: msgspec.json.Decoder[T]) -> T:
    """Return the body, validated. Raises Problem naming what does not fit."""
    try:
        return decoder.decode(await visit.request.read() or b"{}")
    except msgspec.DecodeError as error:
        raise bad_parameter("body", str(error)) from error
