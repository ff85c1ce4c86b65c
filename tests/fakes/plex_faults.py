"""Everything that can go wrong between a request and its answer, switched on by a test.

A fault answers instead of the server: `faults.on("/library", status=500, times=1)`. The first rule
that fits counts. Whatever was asked is written down in `seen`, headers and all.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import web
from yarl import URL


@dataclass(slots=True, kw_only=True)
class Fault:
    """path: a prefix. after: requests let through first. times: how often; None is always.

    hold: answer only when this is set. drop: close the socket, with half an answer if body is set.
    drip: answer without end, a little at a time.
    """

    path: str
    after: int = 0
    times: int | None = None
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hold: asyncio.Event | None = None
    drop: bool = False
    drip: bool = False
    replaces: bool = True  # False: only wait or count, then let the server answer
    hits: int = 0

    def fits(self, path: str) -> bool:
        if not path.startswith(self.path):
            return False
        self.hits += 1
        return self.hits > self.after and (
            self.times is None or self.hits <= self.after + self.times
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it came over the wire."""

    method: str
    path: str
    url: URL
    headers: dict[str, str]

    @property
    def token(self) -> str:
        return self.headers.get("X-Plex-Token", "")


@dataclass(slots=True)
class Faults:
    rules: list[Fault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)  # set at each request

    def on(self, path: str, **how: object) -> Fault:
        fault = Fault(path=path, **how)  # type: ignore[arg-type]
        self.rules.append(fault)
        return fault

    def clear(self) -> None:
        self.rules.clear()

    def paths(self) -> list[str]:
        return [each.path for each in self.seen]

    @web.middleware
    async def middleware(self, request: web.Request, handler: object) -> web.StreamResponse:
        self.seen.append(
            Seen(
                method=request.method,
                path=request.path,
                url=request.rel_url,
                headers=dict(request.headers),
            )
        )
        self.asked.set()
        fault = next((rule for rule in self.rules if rule.fits(request.path)), None)
        if fault is None:
            return await handler(request)  # type: ignore[operator, no-any-return]
        if fault.hold:
            await fault.hold.wait()
        if fault.drop:
            return await _drop(request, fault)
        if fault.drip:
            return await _drip(request)
        if not fault.replaces:
            return await handler(request)  # type: ignore[operator, no-any-return]
        return web.Response(status=fault.status, body=fault.body, headers=fault.headers)


async def _drop(request: web.Request, fault: Fault) -> web.StreamResponse:
    """Close the socket: before any answer, or in the middle of one that promised more."""
    response = web.StreamResponse(status=200, headers={"Content-Type": "text/xml"})
    if fault.body:
        response.content_length = len(fault.body) + 1000
        await response.prepare(request)
        await response.write(fault.body)
    if request.transport:
        request.transport.close()
    return response


async def _drip(request: web.Request) -> web.StreamResponse:
    """Answer for as long as somebody listens: each piece comes in time, the whole never does."""
    response = web.StreamResponse(headers={"Content-Type": "text/xml"})
    await response.prepare(request)
    with suppress(ConnectionError):
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.005)
    return response
