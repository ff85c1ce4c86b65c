"""The owner's pages about media servers: setting one up, its libraries, where its files lie."""

import os
import time
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from companion.errors import CompanionError
from companion.paths import plain
from companion.servers import Candidate, Paths, Servers
from companion.setting_up import SettingUp
from companion.store import servers as rows
from companion.store.servers import Server
from connectors.base import Right, SignInWay
from connectors.mapping import PathMapping
from webui.problems import not_found
from webui.visit import Visit

KINDS = {"jellyfin": "Jellyfin", "plex": "Plex"}
SHOWN = 6  # paths of a server
MOST_MAPPINGS = 20


# --- which there are -----------------------------------------------------------------------------


async def settings(visit: Visit) -> web.StreamResponse:
    """What the owner can set: the media servers."""
    return await _settings(visit)


async def _settings(visit: Visit, *, url: str = "", complaint: str = "") -> web.StreamResponse:
    return visit.page(
        "settings.html",
        status=HTTPStatus.BAD_REQUEST if complaint else HTTPStatus.OK,
        servers=[_drawn(each) for each in await _servers(visit).all()],
        folders=[plain(os.fsencode(each.path)) for each in visit.parts.config.folders],
        url=url,
        complaint=complaint,
    )


def _drawn(server: Server) -> dict[str, object]:
    return {
        "id": server.id,
        "name": server.name,
        "kind": KINDS.get(server.kind, server.kind),
        "version": server.version,
        "url": server.url,
        "account": server.account_name,
    }


# --- setting one up ------------------------------------------------------------------------------


async def begin(visit: Visit) -> web.StreamResponse:
    """Meet the server of an address."""
    url = await visit.field("url")
    try:
        key = await _setting_up(visit).begin(Candidate(url=url))
    except CompanionError as error:
        return await _settings(visit, url=url, complaint=str(error))
    return visit.go(visit.links.page(f"setup/{key}"))


async def setup(visit: Visit) -> web.StreamResponse:
    """Where the owner signs in to a server that was met; while a code is shown it asks again."""
    key = visit.name("step")
    try:
        step = _setting_up(visit).step(key)
        if step.code is not None:
            server = await _setting_up(visit).by_code(key)
            if server is not None:
                return _made(visit, server)
    except CompanionError as error:
        return await _settings(visit, complaint=str(error))
    return _setup(visit, key)


async def sign_in(visit: Visit) -> web.StreamResponse:
    key, form = visit.name("step"), await visit.form()
    setting_up = _setting_up(visit)
    try:
        setting_up.step(key)
    except CompanionError as error:
        return await _settings(visit, complaint=str(error))
    try:
        if "code" in form:
            await setting_up.start_code(key)
            return visit.go(visit.links.page(f"setup/{key}"))
        if token := await visit.field("secret"):
            server = await setting_up.by_token(key, token)
        else:
            name, password = await visit.field("name"), await visit.field("password")
            server = await setting_up.by_password(key, name, password)
    except CompanionError as error:
        return _setup(visit, key, complaint=str(error), name=await visit.field("name"))
    return _made(visit, server)


def _made(visit: Visit, server: Server) -> web.StreamResponse:
    return visit.go(visit.links.page(f"settings/servers/{server.id}"))


def _setup(visit: Visit, key: str, *, complaint: str = "", name: str = "") -> web.StreamResponse:
    step = _setting_up(visit).step(key)
    return visit.page(
        "setup.html",
        part="_setup_code.html",
        status=HTTPStatus.UNAUTHORIZED if complaint else HTTPStatus.OK,
        key=key,
        kind=KINDS.get(step.met.candidate.kind, step.met.candidate.kind),
        server=step.met.identity,
        code=step.code,
        by_code=SignInWay.CODE in step.ways,
        by_password=SignInWay.PASSWORD in step.ways,
        by_token=SignInWay.TOKEN in step.ways,
        complaint=complaint,
        name=name,
    )


# --- one server ----------------------------------------------------------------------------------


async def server(visit: Visit) -> web.StreamResponse:
    return await _server(visit, await _of(visit))


async def choose(visit: Visit) -> web.StreamResponse:
    """Keep which libraries are searched; all of them is kept as "all", new ones too."""
    found, form = await _of(visit), await visit.request.post()
    wanted = [str(each) for each in form.getall("library", [])]
    known = {each.external_id for each in await _servers(visit).libraries(found)}
    chosen = [each for each in wanted if each in known]
    if not chosen:
        return await _server(visit, found, complaint="Choose at least one library.")
    await _servers(visit).choose(found, () if set(chosen) == known else chosen)
    return _made(visit, found)


async def map_paths(visit: Visit) -> web.StreamResponse:
    """Keep where the server's folders lie here."""
    found, form = await _of(visit), await visit.request.post()
    theirs = [str(each).strip() for each in form.getall("there", [])]
    ours = [str(each).strip() for each in form.getall("here", [])]
    pairs = [pair for pair in zip(theirs, ours, strict=False) if pair[0] and pair[1]]
    wrong = [here for _, here in pairs if not Path(here).is_absolute()]
    if wrong:
        complaint = f"{wrong[0]} is no whole path: it begins with /"
        return await _server(visit, found, complaint=complaint)
    mappings = [PathMapping(server=a, local=os.fsencode(b)) for a, b in pairs[:MOST_MAPPINGS]]
    await _servers(visit).map_paths(found, mappings)
    return _made(visit, found)


async def remove(visit: Visit) -> web.StreamResponse:
    found = await _of(visit)
    await _servers(visit).remove(found, now_ms=int(time.time() * 1000))
    return visit.go(visit.links.page("settings"))


async def _server(visit: Visit, found: Server, *, complaint: str = "") -> web.StreamResponse:
    look = visit.text("look", longest=1_000)
    rights: tuple[Right, ...] = ()
    libraries: list[dict[str, object]] = []
    paths, problem = None, ""
    try:
        rights = await _servers(visit).rights(found)
        libraries = await _libraries(visit, found)
        folders = [Path(look)] if look else []
        paths = await _servers(visit).paths(found, folders)
    except CompanionError as error:
        problem = str(error)
    return visit.page(
        "server.html",
        status=HTTPStatus.BAD_REQUEST if complaint else HTTPStatus.OK,
        server=_drawn(found),
        rights=rights,
        libraries=libraries,
        paths=_paths(paths),
        look=look,
        problem=problem,
        complaint=complaint,
    )


async def _libraries(visit: Visit, found: Server) -> list[dict[str, object]]:
    """Return every library of a server, also those that are left out now."""
    listed = await _servers(visit).libraries(found)
    wanted = set(found.libraries)
    return [
        {
            "id": each.external_id,
            "name": each.name,
            "chosen": not wanted or each.external_id in wanted,
        }
        for each in listed
    ]


def _paths(paths: Paths | None) -> dict[str, object] | None:
    if paths is None:
        return None
    return {
        "found": sum(here is not None for _, here in paths.checked),
        "samples": [
            {"there": plain(there.encode("utf-8", "replace")), "here": here is not None}
            for there, here in paths.checked[:SHOWN]
        ],
        "all": len(paths.checked),
        "mappings": [_pair(each) for each in paths.mappings],
        "proposals": [
            {**_pair(each.mapping), "found": each.found} for each in paths.proposals[:MOST_MAPPINGS]
        ],
    }


def _pair(mapping: PathMapping) -> dict[str, object]:
    return {"there": mapping.server, "here": plain(mapping.local)}


# --- inside --------------------------------------------------------------------------------------


def _servers(visit: Visit) -> Servers:
    if visit.parts.servers is None:
        raise not_found()
    return visit.parts.servers


def _setting_up(visit: Visit) -> SettingUp:
    if visit.parts.setting_up is None:
        raise not_found()
    return visit.parts.setting_up


async def _of(visit: Visit) -> Server:
    said = visit.name("server")
    found = None
    if said.isascii() and said.isdigit() and len(said) < 10:
        found = await visit.parts.store.read(rows.server_by_id, int(said))
    if found is None:
        raise not_found()
    return found
