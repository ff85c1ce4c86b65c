"""The fake Jellyfin as a server: who asks, what goes wrong, the socket. The answers themselves are
in `jellyfin.py`, which is what tests import."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any
from urllib.parse import unquote

from aiohttp import WSMsgType, web

from tests.fakes import jellyfin_views as views
from tests.fakes.jellyfin_world import User, World

PAIR = re.compile(r'(\w+)="([^"]*)"')


Handler = Callable[..., Awaitable[web.Response]]
Routes = Sequence[tuple[str, str, Handler]]  # method, path with * for what varies, answer


@dataclass(slots=True, kw_only=True)
class Fault:
    """What goes wrong with requests whose path matches: first `after` of them are answered well.

    kind: a status, or "slow", "drop", "half", "garbage", "redirect", "html", "long".
    """

    path: str
    kind: int | str
    after: int = 0
    times: int = 1_000_000
    to: str = ""
    hit: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. user is None for an API key."""

    user: User | None
    device: str
    token: str


class Refused(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


class FakeJellyfin:
    """Tests change `world`, break it by `break_it`, and look at `exchanges`."""

    def __init__(
        self, routes: Routes, world: World, *, base: str = "", ssl: SSLContext | None = None
    ) -> None:
        self.world = world
        self._routes = routes
        self.base = base
        self.faults: list[Fault] = []
        self.exchanges: list[Exchange] = []
        self.keeps_exchanges = True
        self.has_socket = True
        self.quick_connect = True
        self.repeats_first_page = False  # a foreign server: what begins past the end is page one
        self.page_limit = 10_000  # more than this is not given at once, whatever was asked for
        self.answers_life = True
        self.wants_life_s = 60
        self.heard: list[str] = []  # messages that came over sockets
        self.socket_opened = asyncio.Event()
        self.codes: dict[str, dict[str, Any]] = {}
        self._sockets: dict[web.WebSocketResponse, Caller] = {}
        self._ssl = ssl
        self._runner: web.AppRunner | None = None
        self._port = 0

    # --- running ---------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"{'https' if self._ssl else 'http'}://127.0.0.1:{self._port}{self.base}"

    @property
    def open_sockets(self) -> int:
        return len(self._sockets)

    async def start(self) -> None:
        app = web.Application(middlewares=[self._middleware])
        app.router.add_route("*", "/{path:.*}", self._route)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, "127.0.0.1", self._port, ssl_context=self._ssl, reuse_address=True
        )
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        for socket in list(self._sockets):
            await socket.close()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    def break_it(self, path: str, kind: int | str, **more: Any) -> Fault:
        fault = Fault(path=path, kind=kind, **more)
        self.faults.append(fault)
        return fault

    # --- what happens there ----------------------------------------------------------------------

    async def library_changed(
        self,
        *,
        added: tuple[str, ...] = (),
        updated: tuple[str, ...] = (),
        removed: tuple[str, ...] = (),
    ) -> None:
        """Tell the sockets of users, never those of API keys, and only what each may see."""
        for socket, caller in list(self._sockets.items()):
            if caller.user is None:
                continue
            seen = [ids and self._seen(caller.user, ids) for ids in (added, updated)]
            libraries = {self.world.items[id].library for ids in seen for id in ids}
            data = {
                "FoldersAddedTo": [],
                "FoldersRemovedFrom": [],
                "ItemsAdded": list(seen[0]),
                "ItemsRemoved": list(removed),
                "ItemsUpdated": list(seen[1]),
                "CollectionFolders": sorted(libraries),
                "IsEmpty": False,
            }
            await socket.send_json(views.message("LibraryChanged", data))

    def _seen(self, user: User, ids: tuple[str, ...]) -> list[str]:
        items = self.world.items
        return [id for id in ids if id in items and self.world.may_see(user, items[id])]

    async def user_data_changed(self, user: User, item_id: str) -> None:
        data = {"UserId": user.id, "UserDataList": [views.user_data(item_id, user)]}
        await self._tell(user, views.message("UserDataChanged", data))

    async def user_updated(self, user: User) -> None:
        await self._tell(user, views.message("UserUpdated", views.user(self.world, user)))

    async def say(self, text: str) -> None:
        """Send any text to every socket."""
        for socket in list(self._sockets):
            await socket.send_str(text)

    async def drop_sockets(self) -> None:
        self.socket_opened.clear()
        for socket in list(self._sockets):
            await socket.close()

    async def _tell(self, user: User, body: dict[str, Any]) -> None:
        for socket, caller in list(self._sockets.items()):
            if caller.user is user:
                await socket.send_json(body)

    def confirm(self, code: str, user: User) -> None:
        """Do what the person does in their own app: type the code."""
        self.codes[code] |= {"Authenticated": True, "user": user.id}

    def forget_codes(self) -> None:
        self.codes.clear()

    # --- every request ---------------------------------------------------------------------------

    @web.middleware
    async def _middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            broken = await self._fault(request)
            response = broken or await handler(request)
        except Refused as refused:
            response = web.Response(status=refused.status, text="Error processing request.")
        if self.keeps_exchanges and isinstance(response, web.Response):
            self.exchanges.append(
                Exchange(
                    method=request.method,
                    path=request.path.removeprefix(self.base),
                    query=dict(request.query),
                    headers=dict(request.headers),
                    status=response.status,
                    body=response.body if isinstance(response.body, bytes) else b"",
                )
            )
        return response

    async def _fault(self, request: web.Request) -> web.Response | None:
        for fault in self.faults:
            if fault.times <= 0 or not re.search(fault.path, request.path):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.times -= 1
            fault.hit.set()
            return await self._break(request, fault)
        return None

    async def _break(self, request: web.Request, fault: Fault) -> web.Response:
        if isinstance(fault.kind, int):
            return web.Response(status=fault.kind, text="Error processing request.")
        if fault.kind == "redirect":
            return web.Response(status=302, headers={"Location": fault.to})
        if fault.kind in {"garbage", "html"}:
            kind = "application/json" if fault.kind == "garbage" else "text/html"
            return web.Response(text="<html>maintenance</html>", content_type=kind)
        if fault.kind == "long":
            return web.Response(body=b"[" + b" " * 6_000_000, content_type="application/json")
        if fault.kind == "slow":
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
        elif fault.kind == "half":
            whole = web.StreamResponse(
                headers={"Content-Length": "1000", "Content-Type": "application/json"}
            )
            await whole.prepare(request)
            await whole.write(b'{"Items":[')
        if request.transport:
            request.transport.abort()
        return web.Response(status=500)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if not path.startswith(self.base):
            raise Refused(404)
        if path == self.base + "/socket":
            return await self._socket(request)
        parts = path.removeprefix(self.base).strip("/").split("/")
        for method, pattern, handler in self._routes:
            wanted = pattern.split("/")
            if method == request.method and len(wanted) == len(parts):
                pairs = list(zip(wanted, parts, strict=True))
                if all(want == "*" or want.lower() == part.lower() for want, part in pairs):
                    stars = [unquote(part) for want, part in pairs if want == "*"]
                    return await handler(self, request, *stars)
        raise Refused(404)

    # --- who asks --------------------------------------------------------------------------------

    def words(self, request: web.Request) -> dict[str, str]:
        """Return the pairs of the Authorization header, and of the old ones where they count."""
        header = request.headers.get("Authorization", "")
        scheme, _, rest = header.partition(" ")
        legacy = int(self.world.version.split(".")[0]) < 12
        found: dict[str, str] = {}
        if legacy:
            old = request.headers.get("X-Emby-Authorization", "")
            found |= {key: unquote(value) for key, value in PAIR.findall(old)}
            for name in ("X-Emby-Token", "X-MediaBrowser-Token"):
                if name in request.headers:
                    found["Token"] = request.headers[name]
            if "api_key" in request.query:
                found["Token"] = request.query["api_key"]
        if scheme == "MediaBrowser" or (legacy and scheme == "Emby"):
            found |= {key: unquote(value) for key, value in PAIR.findall(rest)}
        if "ApiKey" in request.query:
            found["Token"] = request.query["ApiKey"]
        return found

    def caller(self, request: web.Request) -> Caller:
        token = self.words(request).get("Token", "")
        if token in self.world.keys:
            return Caller(None, "", token)
        if token not in self.world.tokens:
            raise Refused(401)
        user_id, device = self.world.tokens[token]
        user = self.world.users.get(user_id)
        if user is None:
            raise Refused(401)
        if user.disabled:
            raise Refused(403)
        return Caller(user, device, token)

    def admin(self, request: web.Request) -> Caller:
        """An API key has the administrator's role."""
        caller = self.caller(request)
        if caller.user is not None and not caller.user.admin:
            raise Refused(403)
        return caller

    def subject(self, request: web.Request) -> User | None:
        """Return on whose behalf: the user named, else the caller; None for a bare API key."""
        caller = self.caller(request)
        named = request.query.get("userId", "").replace("-", "")
        if not named:
            return caller.user
        if caller.user is not None and caller.user.id != named and not caller.user.admin:
            raise Refused(403)
        if named not in self.world.users:
            raise Refused(404)
        return self.world.users[named]

    # --- the socket ------------------------------------------------------------------------------

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if not self.has_socket:
            raise Refused(404)
        try:
            caller = self.caller(request)
        except Refused:
            raise Refused(403) from None  # here an unknown token is "forbidden", not "unauthorized"
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets[socket] = caller
        await socket.send_json(views.message("ForceKeepAlive", self.wants_life_s))
        self.socket_opened.set()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self.heard.append(str(json.loads(message.data)["MessageType"]))
                    if self.answers_life:
                        await socket.send_json(views.message("KeepAlive"))
        finally:
            self._sockets.pop(socket, None)
        return socket
