"""Every URL, on one screen, and how the application is put together."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from aiohttp import web

from companion.search import pictures
from webui import api, elsewhere, entrance, gate, media, pages, security, servers
from webui.gate import Access
from webui.parts import Parts
from webui.visit import Visit, house

Answer = Callable[[Visit], Coroutine[Any, Any, web.StreamResponse]]

ROUTES: tuple[tuple[str, str, Answer, Access], ...] = (
    ("GET", "/", pages.search, Access.VIEWER),
    ("GET", "/picture", pages.picture, Access.VIEWER),
    ("POST", "/picture", pages.give, Access.VIEWER),
    ("GET", "/moment/{moment}", pages.moment, Access.VIEWER),
    ("GET", "/item/{item}", pages.item, Access.VIEWER),
    ("GET", "/titles", pages.titles, Access.VIEWER),
    ("GET", "/players/{moment}", elsewhere.players, Access.VIEWER),
    ("POST", "/play/{moment}", elsewhere.play, Access.VIEWER),
    ("GET", "/go/{moment}", pages.go, Access.VIEWER),
    ("GET", "/help", pages.help_, Access.VIEWER),
    ("GET", "/banner", pages.banner, Access.VIEWER),
    ("GET", "/status", pages.status, Access.VIEWER),
    ("POST", "/status/scan", pages.scan, Access.OWNER),
    ("POST", "/status/retry", pages.retry, Access.OWNER),
    ("POST", "/status/pause", pages.pause, Access.OWNER),
    ("POST", "/status/resume", pages.resume, Access.OWNER),
    ("GET", "/settings", servers.settings, Access.OWNER),
    ("POST", "/setup", servers.begin, Access.OWNER),
    ("GET", "/setup/{step}", servers.setup, Access.OWNER),
    ("POST", "/setup/{step}", servers.sign_in, Access.OWNER),
    ("GET", "/settings/servers/{server}", servers.server, Access.OWNER),
    ("POST", "/settings/servers/{server}/libraries", servers.choose, Access.OWNER),
    ("POST", "/settings/servers/{server}/paths", servers.map_paths, Access.OWNER),
    ("POST", "/settings/servers/{server}/remove", servers.remove, Access.OWNER),
    ("GET", "/login", entrance.login, Access.ANYONE),
    ("POST", "/login", entrance.sign_in, Access.ANYONE),
    ("POST", "/login/code", entrance.start_code, Access.ANYONE),
    ("GET", "/login/code", entrance.code, Access.ANYONE),
    ("POST", "/logout", entrance.sign_out, Access.ANYONE),
    ("GET", "/still/{moment}.jpg", media.still, Access.VIEWER),
    ("GET", "/frame/{moment}.jpg", media.frame, Access.VIEWER),
    ("GET", "/boxes/{moment}.json", pages.boxes, Access.VIEWER),
    ("GET", "/media/{file}", media.media, Access.VIEWER),
    ("GET", "/clip/{moment}.mp4", media.clip, Access.VIEWER),
    ("GET", "/static/{version}/{name}", media.asset, Access.ANYONE),
    ("GET", "/favicon.ico", media.favicon, Access.ANYONE),
    ("GET", "/manifest.webmanifest", media.manifest, Access.ANYONE),
    ("GET", "/api/1/search", api.search, Access.VIEWER),
    ("GET", "/api/1/search/semantic", api.semantic, Access.VIEWER),
    ("POST", "/api/1/search/image", api.image, Access.VIEWER),
    ("GET", "/api/1/items/{item}", api.item, Access.VIEWER),
    ("GET", "/api/1/files/{file}/scenes", api.scenes, Access.VIEWER),
    ("GET", "/api/1/status", api.status, Access.VIEWER),
    ("POST", "/api/1/scan", api.scan, Access.OWNER),
    ("POST", "/api/1/sync", api.sync, Access.OWNER),
    ("POST", "/api/1/retry", api.retry, Access.OWNER),
    ("GET", "/api/1/health", api.health, Access.ANYONE),
    ("GET", "/api/1/openapi.json", api.description, Access.ANYONE),
    ("GET", "/api/{rest:.*}", api.nothing, Access.ANYONE),
    ("GET", "/{rest:.*}", pages.nothing, Access.ANYONE),
)

LARGEST_BODY = 64 * 1024  # bytes, of everything but ...
LARGEST_UPLOAD = pictures.MAX_BYTES + LARGEST_BODY  # ... a picture and its fields
UPLOADS = {"/picture": LARGEST_UPLOAD, "/api/1/search/image": LARGEST_UPLOAD}


def build(parts: Parts) -> web.Application:
    """Return the web application. Templates and static files are read when it starts."""
    app = web.Application(middlewares=[gate.explain], client_max_size=LARGEST_BODY)
    base = parts.config.web.base_path
    # Some proxies take the base path off, some leave it on: both reach us.
    for prefix in dict.fromkeys((base, "")):
        for method, path, handler, access in ROUTES:
            app.router.add_route(
                method, prefix + path, gate.admit(handler, access, upload=UPLOADS.get(path, 0))
            )
            if method == "GET":
                app.router.add_route("HEAD", prefix + path, gate.admit(handler, access))
    if base:
        app.router.add_get(base, gate.admit(pages.first, Access.ANYONE))
    said = security.headers(parts.config)

    async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(said)

    async def furnish(app: web.Application) -> AsyncIterator[None]:
        app[gate.HOUSE] = await asyncio.to_thread(house, parts)
        yield

    app.on_response_prepare.append(add_headers)
    app.cleanup_ctx.append(furnish)
    return app
