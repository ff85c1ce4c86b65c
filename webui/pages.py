"""The pages that people see. A handler reads, makes a context and draws; nothing else."""

from http import HTTPStatus

from aiohttp import web

from companion import stages
from companion.errors import CompanionError, FeatureOff, PictureRefused, QueryError
from companion.search.pictures import MAX_BYTES, SWITCHED_OFF
from webui import (
    boxes as drawn,
    contexts,
    film,
    lookup,
    progress,
    titles as shelf,
    wanted,
    words,
)
from webui.links import moment_id
from webui.problems import not_found, problem_of
from webui.visit import Visit

NEWEST = 6  # titles on the empty search page
FARTHEST = 1_000_000  # titles
LONGEST_QUERY = 500  # characters


async def search(visit: Visit) -> web.StreamResponse:
    """The first page: a field, and below it what was found. htmx asks for the lower half."""
    asked = await wanted.wanted(visit)
    parts, viewer = visit.parts, visit.viewer
    found, examples, newest = None, [], []
    if asked.anything:
        found = await _find(visit, asked)
    else:
        examples = list(await parts.search.examples(viewer))
        newest = await parts.store.read(shelf.newest, viewer, visit.links, NEWEST)
    return visit.page(
        "search.html",
        part="_found.html",
        asked=asked,
        found=found,
        examples=examples,
        newest=newest,
        by_picture=parts.config.features.vision,
        most_bytes=MAX_BYTES,
        banner="" if visit.wants_part else await _banner(visit),
    )


async def _find(visit: Visit, asked: wanted.Wanted) -> contexts.Found:
    try:
        answer = await visit.parts.search.ask(
            asked.query,
            viewer=visit.viewer,
            limit=visit.parts.config.search.limit,
            picture=asked.picture,
            like=asked.like,
        )
    except QueryError as error:
        return contexts.not_understood(asked.query, str(error))
    how = contexts.How(pictures=visit.parts.config.features.vision, alike=asked.chip is not None)
    return contexts.found(await lookup.shown(visit, answer), visit.links, how)


# --- searching by picture ------------------------------------------------------------------------


async def picture(visit: Visit) -> web.StreamResponse:
    """Where a picture is chosen without a script."""
    _only_with_pictures(visit)
    return visit.page("picture.html", query=visit.text("q"), complaint="")


async def give(visit: Visit) -> web.StreamResponse:
    """Look at a picture and lead to what is like it; what is no picture is refused in place."""
    _only_with_pictures(visit)
    form = await visit.form()
    query, name = (str(form.get(key, ""))[:LONGEST_QUERY] for key in ("q", "name"))
    sent = form.get("picture")
    try:
        if not isinstance(sent, bytes) or not sent:
            raise PictureRefused("choose a picture first")
        token = visit.house.album.keep(visit.viewer, await visit.parts.search.look(sent), name)
    except CompanionError as error:
        problem = problem_of(error)
        text = words.sentence(problem.text)
        if visit.wants_json:
            return visit.json({"error": text}, status=problem.status)
        return visit.page("picture.html", status=problem.status, query=query, complaint=text)
    if visit.wants_json:
        return visit.json({"picture": token})
    return visit.go(visit.links.search(query, picture=token))


def _only_with_pictures(visit: Visit) -> None:
    if not visit.parts.config.features.vision:
        raise FeatureOff(SWITCHED_OFF)


# --- indexing, in one line -----------------------------------------------------------------------


async def _banner(visit: Visit) -> str:
    return progress.banner(await visit.parts.indexer.status(visit.viewer))


async def banner(visit: Visit) -> web.StreamResponse:
    """The line about indexing on the search page, alone: the page asks for it again and again."""
    return visit.page("_banner.html", banner=await _banner(visit))


async def moment(visit: Visit) -> web.StreamResponse:
    found, ms = await lookup.moment(visit, visit.name("moment"))
    page = await visit.parts.store.read(film.moment_page, found, ms, visit.links)
    features = visit.parts.config.features
    drawing = None
    if visit.text("boxes") and drawn.offered(features):
        there = await visit.parts.store.read(drawn.between, found.file, ms, ms + 1, features)
        drawing = drawn.drawing(found.file, there, ms)
    return visit.page(
        "moment.html",
        part="_preview.html",
        page=page,
        by_picture=features.vision,
        boxes=visit.links.boxes(moment_id(found.file, 0)) if drawn.offered(features) else "",
        drawing=drawing,
        players=visit.links.players(visit.name("moment")) if await _elsewhere(visit) else "",
    )


async def _elsewhere(visit: Visit) -> bool:
    """Say whether there is a media server at all."""
    servers = visit.parts.servers
    return servers is not None and bool(await servers.all())


async def boxes(visit: Visit) -> web.StreamResponse:
    """The faces and texts of the minute in which a moment lies, for the drawing over the player."""
    found, ms = await lookup.moment(visit, visit.name("moment"))
    features = visit.parts.config.features
    return visit.json(await visit.parts.store.read(drawn.around, found.file, ms, features))


async def go(visit: Visit) -> web.StreamResponse:
    """A link that can be shared: it checks who asks, then leads to where the moment plays."""
    await lookup.moment(visit, visit.name("moment"))
    return visit.go(visit.links.moment(visit.name("moment")))


async def item(visit: Visit) -> web.StreamResponse:
    found = await lookup.item(visit, visit.name("item"))
    page = await visit.parts.store.read(film.title_page, found, visit.text("q"), visit.links)
    return visit.page("item.html", part="_transcript.html", page=page)


async def titles(visit: Visit) -> web.StreamResponse:
    page = await visit.parts.store.read(
        shelf.titles_page,
        visit.viewer,
        visit.links,
        chosen=visit.text("library"),
        offset=visit.whole("offset", 0, low=0, high=FARTHEST),
    )
    return visit.page("titles.html", page=page)


async def help_(visit: Visit) -> web.StreamResponse:
    return visit.page("help.html", part="_help.html")


# --- indexing ------------------------------------------------------------------------------------


async def status(visit: Visit) -> web.StreamResponse:
    """What is searchable and what is being done. Asked for by htmx, nothing if nothing changed."""
    found = await visit.parts.indexer.status(visit.viewer)
    work = progress.work(found, visit.links, owner=visit.viewer.owner)
    seen = progress.fingerprint(work)
    if visit.wants_part and visit.text("seen") == seen:
        return web.Response(status=HTTPStatus.NO_CONTENT)
    off = stages.switched_off(visit.parts.config)
    return visit.page("status.html", part="_status.html", work=work, seen=seen, off=off)


async def scan(visit: Visit) -> web.StreamResponse:
    if visit.parts.sync is not None:
        await visit.parts.sync()
    await visit.parts.indexer.scan_now()
    return await _changed(visit)


async def retry(visit: Visit) -> web.StreamResponse:
    file = str((await visit.request.post()).get("file", ""))
    await lookup.film(visit, file)
    await visit.parts.indexer.retry(file)
    return await _changed(visit)


async def pause(visit: Visit) -> web.StreamResponse:
    visit.parts.indexer.pause()
    return await _changed(visit)


async def resume(visit: Visit) -> web.StreamResponse:
    visit.parts.indexer.resume()
    return await _changed(visit)


async def _changed(visit: Visit) -> web.StreamResponse:
    """Show the indexing page again: with a redirect, so that reloading asks for nothing twice."""
    if visit.wants_part:
        return await status(visit)
    return visit.go(visit.links.page("status"))


async def first(visit: Visit) -> web.StreamResponse:
    """Lead from the base path, typed without its last slash, to the first page."""
    return visit.go(visit.links.home)


async def nothing(_: Visit) -> web.StreamResponse:
    raise not_found()
