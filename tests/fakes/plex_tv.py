"""A plex.tv that lives in the test: codes to sign in with, whose a token is, which servers open.

A person types the code at plex.tv; in a test `tv.enter(code, "ben")` does. plex.tv knows a person
by an account token; a server is opened with the resource's own token, which is another one.
"""

from dataclasses import dataclass, field
from typing import Self
from xml.etree.ElementTree import Element, SubElement

from aiohttp import web

from tests.fakes.plex_faults import Faults
from tests.fakes.plex_world import World
from tests.fakes.plex_xml import document


@dataclass(slots=True)
class Pin:
    number: int
    code: str
    device: str
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class FakePlexTv:
    """worlds: the servers that accounts may use. An account's token here is `tv-<name>`."""

    def __init__(self, *worlds: World) -> None:
        self.worlds = worlds
        self.faults = Faults()
        self.pins: list[Pin] = []
        self.gone: set[int] = set()  # pins that have run out
        self.strangers: set[str] = set()  # accounts that no server is shared with
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self.faults.middleware])
        app.router.add_post("/api/v2/pins", self._new_pin)
        app.router.add_get("/api/v2/pins/{number}", self._pin)
        app.router.add_get("/api/v2/user", self._user)
        app.router.add_get("/api/v2/resources", self._resources)
        self._runner = web.AppRunner(app, shutdown_timeout=0.05, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner
        await self._runner.cleanup()

    def enter(self, code: str, name: str) -> None:
        """Do what a person does who is signed in as name: type the code."""
        pin = next(each for each in self.pins if each.code == code)
        pin.token = f"tv-{name}"

    async def _new_pin(self, request: web.Request) -> web.Response:
        number = 70_000 + len(self.pins)
        device = request.headers.get("X-Plex-Client-Identifier", "")
        code = f"K{number % 1000:03}"
        self.pins.append(Pin(number=number, code=code, device=device))
        return _xml(self._written(self.pins[-1]), status=201)

    async def _pin(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        pin = next((each for each in self.pins if each.number == number), None)
        same = pin and pin.device == request.headers.get("X-Plex-Client-Identifier", "")
        if pin is None or not same or number in self.gone:
            return _error(404, 1020, "Code not found or expired")
        return _xml(self._written(pin))

    def _written(self, pin: Pin) -> Element:
        return Element(
            "pin",
            id=str(pin.number),
            code=pin.code,
            trusted="0",
            clientIdentifier=pin.device,
            expiresIn="900",
            authToken=pin.token,
        )

    def _name(self, request: web.Request) -> str:
        name = request.headers.get("X-Plex-Token", "").removeprefix("tv-")
        known = {account.name for world in self.worlds for account in world.accounts}
        return name if name in known | self.strangers else ""

    async def _user(self, request: web.Request) -> web.Response:
        name = self._name(request)
        if not name:
            return _error(401, 1001, "User could not be authenticated")
        number = next(
            (each.id for world in self.worlds for each in world.accounts if each.name == name), 999
        )
        user = Element(
            "user",
            id=str(number),
            uuid=f"uuid-{number}",
            username=name,
            title=name.title(),
            email=f"{name}@example.org",
            authToken=f"tv-{name}",
            scrobbleTypes="1,2",
            restricted="0",
        )
        SubElement(user, "subscription", active="0", status="Inactive")
        SubElement(user, "profile", autoSelectAudio="1")
        return _xml(user)

    async def _resources(self, request: web.Request) -> web.Response:
        name = self._name(request)
        if not name:
            return _error(401, 1001, "User could not be authenticated")
        resources = Element("resources")
        for world in self.worlds:
            for account in world.accounts:
                if account.name == name:
                    _resource(resources, world, account.token, owned=account.owner)
        SubElement(resources, "resource", name="Phone", clientIdentifier="p1", provides="player")
        return _xml(resources)


def _resource(parent: Element, world: World, token: str, *, owned: bool) -> None:
    resource = SubElement(
        parent,
        "resource",
        name=world.name,
        product="Plex Media Server",
        clientIdentifier=world.machine_id,
        provides="server",
        owned=str(int(owned)),
        accessToken=token,
    )
    connections = SubElement(resource, "connections")
    SubElement(connections, "connection", protocol="https", uri="https://evil.example/", local="1")


def _error(status: int, code: int, message: str) -> web.Response:
    errors = Element("errors")
    SubElement(errors, "error", code=str(code), message=message, status=str(status))
    return _xml(errors, status=status)


def _xml(root: Element, *, status: int = 200) -> web.Response:
    return web.Response(body=document(root), status=status, content_type="application/xml")
