"""A Plex Media Server that lives in the test: real HTTP, XML answers, a websocket, state.

`async with FakePlex(household()) as plex:` serves on loopback at `plex.url`. `plex.faults` makes
it slow, broken or hostile; `plex.paging` makes its pages wrong; `plex.faults.seen` says what was
asked.

What it knows about the real one: a token in the header or in the address is good, anything else is
401 with a page of HTML; `/library`, `/status/sessions`, `/accounts` and `/clients` are the owner's;
a section or an item that may not be seen is 404; portraits lie on another host and are had through
`/photo/:/transcode`; a player is told by the header X-Plex-Target-Client-Identifier.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Self
from xml.etree.ElementTree import Element

from aiohttp import WSMsgType, web

from tests.fakes import plex_xml as xml
from tests.fakes.plex_faults import Faults
from tests.fakes.plex_world import TYPES, Account, Player, Video, World

HTML_401 = "<html><head><title>Unauthorized</title></head><body><h1>401</h1></body></html>"
TYPE_NAMES = {str(number): name for name, number in TYPES.items()}
PAGES = ("good", "ignored", "repeats", "lying", "short")


class FakePlex:
    def __init__(self, world: World, *, tls: ssl.SSLContext | None = None) -> None:
        self.world = world
        self._tls = tls
        self.faults = Faults()
        self.paging = "good"
        self.forbidden = 404  # what a section answers that may not be seen
        self.websockets = True
        self.strict = False  # one unknown id among several: 404 for all of them
        self.forgets: set[str] = set()  # keys left out when several are asked for
        self.delegated: dict[str, str] = {}  # transient token: account name
        self.listening = asyncio.Event()  # set while somebody hears events
        self._ears: list[Callable[[str], object]] = []
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen: on a free port the first time, on the same one after a stop."""
        self._runner = web.AppRunner(self._app(), shutdown_timeout=0.05, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Go away as a killed server does: open connections end."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._tls:  # it says goodbye in several turns of the loop, and a failed one does too
            for _ in range(50):
                await asyncio.sleep(0.001)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    def connections(self) -> int:
        """Return how many clients hold a connection open."""
        server = self._runner.server if self._runner else None
        return len(server.connections) if server else 0

    async def tell(self, message: str) -> None:
        """Send a text to everybody who listens."""
        for ear in tuple(self._ears):
            sent = ear(message)
            if asyncio.iscoroutine(sent):
                await sent

    async def tell_timeline(self, key: str, *, state: int, section: str = "1") -> None:
        """Say that an item was made (0), is done (5) or has gone (9), as Plex puts it."""
        await self.tell(timeline(key, state=state, section=section))

    # --- routes ----------------------------------------------------------------------------------

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware])
        open_to = {"all": self._identity}
        app.router.add_get("/identity", open_to["all"])
        for path, handler, owners in (
            ("/", self._root, False),
            ("/library", self._library, True),
            ("/library/sections", self._sections, False),
            ("/library/sections/{section}/all", self._all, False),
            ("/library/metadata/{key}", self._item, False),
            ("/library/metadata/{key}/thumb/{at}", self._thumb, False),
            ("/photo/:/transcode", self._photo, False),
            ("/accounts", self._accounts, True),
            ("/clients", self._clients, True),
            ("/status/sessions", self._sessions, True),
            ("/security/token", self._delegate, False),
            ("/player/playback/{command}", self._command, False),
            ("/:/websockets/notifications", self._websocket, False),
            ("/:/eventsource/notifications", self._eventsource, False),
        ):
            app.router.add_get(path, self._guarded(handler, owners=owners))
        app.router.add_post("/playQueues", self._guarded(self._queue, owners=False))
        return app

    def _guarded(self, handler: Callable[..., object], *, owners: bool) -> Callable[..., object]:
        async def guarded(request: web.Request) -> web.StreamResponse:
            account = self._who(request)
            if account is None:
                return web.Response(status=401, text=HTML_401, content_type="text/html")
            if owners and not account.owner:
                return web.Response(status=403, text=HTML_401, content_type="text/html")
            return await handler(request, account)  # type: ignore[misc, no-any-return]

        return guarded

    def _who(self, request: web.Request) -> Account | None:
        token = request.headers.get("X-Plex-Token") or request.query.get("X-Plex-Token", "")
        if name := self.delegated.get(token):
            return next(each for each in self.world.accounts if each.name == name)
        return self.world.account_of(token)

    async def _identity(self, _: web.Request) -> web.Response:
        return _xml(xml.identity(self.world))

    async def _root(self, _: web.Request, account: Account) -> web.Response:
        return _xml(xml.server(self.world, account))

    async def _library(self, _: web.Request, account: Account) -> web.Response:
        return _xml(xml.sections([]))

    async def _sections(self, _: web.Request, account: Account) -> web.Response:
        return _xml(xml.sections(self.world.sections_of(account)))

    async def _all(self, request: web.Request, account: Account) -> web.Response:
        key = request.match_info["section"]
        section = self.world.sections.get(key)
        if section is None or section not in self.world.sections_of(account):
            return web.Response(status=self.forbidden, text=HTML_401, content_type="text/html")
        kind = TYPE_NAMES.get(request.query.get("type", ""), section.type)
        found = _sorted(
            self.world.listing(account, key, kind), request.query.get("sort", "titleSort")
        )
        start, page = self._page(request, found)
        total = 10**12 if self.paging == "lying" else len(found)
        root = xml.videos(self.world, account, page, start=start, total=total, full=False)
        if self.paging == "ignored":
            del root.attrib["totalSize"]
        return _xml(root)

    def _page(self, request: web.Request, found: list[Video]) -> tuple[int, list[Video]]:
        start = int(request.headers.get("X-Plex-Container-Start", "0"))
        size = int(request.headers.get("X-Plex-Container-Size", "1000000"))
        if self.paging == "ignored":
            return 0, found
        if self.paging == "repeats" and start >= len(found):
            return 0, found[:size]
        if self.paging == "short":
            size = max(1, size // 3)
        return start, found[start : start + size]

    async def _item(self, request: web.Request, account: Account) -> web.Response:
        """One item, or several with commas between: what is not there is left out."""
        asked = [self.world.videos.get(key) for key in request.match_info["key"].split(",")]
        found = [video for video in asked if video and self.world.may_see(account, video)]
        if len(asked) > 1:
            found = [video for video in found if video.key not in self.forgets]
        if not found or (self.strict and len(found) < len(asked)):
            return web.Response(status=404, text=HTML_401, content_type="text/html")
        total = len(found)
        return _xml(xml.videos(self.world, account, found, start=0, total=total, full=True))

    async def _thumb(self, request: web.Request, account: Account) -> web.Response:
        return self._picture(request.path)

    async def _photo(self, request: web.Request, account: Account) -> web.Response:
        return self._picture(request.query.get("url", ""))

    def _picture(self, address: str) -> web.Response:
        picture = self.world.images.get(address)
        if picture is None:
            return web.Response(status=404)
        return web.Response(body=picture, content_type="image/jpeg")

    async def _accounts(self, _: web.Request, account: Account) -> web.Response:
        return _xml(xml.accounts(self.world.accounts))

    async def _sessions(self, _: web.Request, account: Account) -> web.Response:
        return _xml(xml.sessions(self.world, account))

    async def _clients(self, _: web.Request, account: Account) -> web.Response:
        return _xml(xml.clients(each for each in self.world.players.values() if each.advertises))

    # --- playing ---------------------------------------------------------------------------------

    async def _delegate(self, request: web.Request, account: Account) -> web.Response:
        token = f"transient-{len(self.delegated)}-{account.name}"
        self.delegated[token] = account.name
        return _xml(xml.container(token=token))

    async def _queue(self, request: web.Request, account: Account) -> web.Response:
        key = request.query["uri"].rpartition("/")[2]
        video = self.world.videos.get(key)
        if video is None or not self.world.may_see(account, video):
            return web.Response(status=404, text=HTML_401, content_type="text/html")
        self.world.queues.append((account.name, key))
        number = len(self.world.queues)
        root = xml.container(size=1, playQueueID=number, playQueueSelectedItemID=number)
        root.append(xml.video_element(self.world, account, video, full=False))
        return _xml(root)

    async def _command(self, request: web.Request, account: Account) -> web.Response:
        player = self.world.players.get(request.headers.get("X-Plex-Target-Client-Identifier", ""))
        if player is None or not player.advertises:
            return web.Response(status=404, text=HTML_401, content_type="text/html")
        if player.answers != 200:
            return web.Response(status=player.answers, text="no", content_type="text/plain")
        command, query = request.match_info["command"], dict(request.query)
        if not _is_next(player, query):
            return web.Response(status=400, text="commandID", content_type="text/plain")
        player.commands.append((command, query))
        if command == "playMedia":
            player.playing = query["key"].rpartition("/")[2]
            player.account = self._player_of(query.get("token", "")) or player.account
        player.offset_ms = int(query.get("offset", "0"))
        # Several players answer a word, not a document; plexapi knows four of them by name.
        return web.Response(text="OK", content_type="text/plain")

    def _player_of(self, token: str) -> Account | None:
        name = self.delegated.get(token)
        return next((each for each in self.world.accounts if each.name == name), None)

    # --- events ----------------------------------------------------------------------------------

    async def _websocket(self, request: web.Request, account: Account) -> web.StreamResponse:
        if not self.websockets:
            return web.Response(status=404)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._ears.append(socket.send_str)
        self.listening.set()
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
        finally:
            self._forget(socket.send_str)
        return socket

    async def _eventsource(self, request: web.Request, account: Account) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        gone = asyncio.Event()

        async def send(message: str) -> None:
            try:
                await response.write(f"event: timeline\ndata: {message}\n\n".encode())
            except ConnectionError:
                gone.set()

        self._ears.append(send)
        self.listening.set()
        try:
            await gone.wait()
        finally:
            self._forget(send)
        return response

    def _forget(self, ear: Callable[[str], object]) -> None:
        self._ears.remove(ear)
        if not self._ears:
            self.listening.clear()


def timeline(key: str, *, state: int, section: str = "1") -> str:
    """Return the text of one timeline notification."""
    return (
        '{"NotificationContainer":{"type":"timeline","size":1,"TimelineEntry":[{'
        f'"identifier":"com.plexapp.plugins.library","sectionID":"{section}","itemID":"{key}",'
        f'"type":1,"title":"A title","state":{state},"updatedAt":1700000900}}]}}}}'
    )


def _is_next(player: Player, query: dict[str, str]) -> bool:
    """A player passes over a command whose commandID is not above the last one."""
    last = max((int(old["commandID"]) for _, old in player.commands), default=0)
    return int(query.get("commandID", "0")) > last


def _sorted(found: list[Video], order: str) -> list[Video]:
    name, _, way = order.partition(":")
    keys: dict[str, Callable[[Video], object]] = {
        "addedAt": lambda video: video.added_at,
        "updatedAt": lambda video: video.updated_at,
        "titleSort": lambda video: video.title,
    }
    return sorted(found, key=keys[name], reverse=way == "desc")  # type: ignore[arg-type]


def _xml(root: Element) -> web.Response:
    return web.Response(body=xml.document(root), content_type="text/xml", charset="utf-8")


def billion_laughs() -> bytes:
    """Return a small document that becomes gigabytes for a reader that follows entities."""
    lines = ['<!ENTITY a0 "ha">']
    lines += [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)]
    inner = "".join(lines)
    return f"<?xml version='1.0'?><!DOCTYPE M [{inner}]><MediaContainer t='&a9;'/>".encode()


def nested(depth: int) -> bytes:
    """Return a document as deep as asked."""
    return b"<MediaContainer>" + b"<a>" * depth + b"</a>" * depth + b"</MediaContainer>"
