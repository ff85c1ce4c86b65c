"""Serves a fake Plex server with many films until it is killed: `python -m tests.fakes.plex_serve
50000` prints its address. `/asked` says how many requests it had."""

import asyncio
import sys

from aiohttp import web

from tests.fakes.plex import FakePlex
from tests.fakes.plex_world import household


class Counted(FakePlex):
    def _app(self) -> web.Application:
        app = super()._app()
        app.router.add_get("/asked", self._asked)
        return app

    async def _asked(self, _: web.Request) -> web.Response:
        return web.Response(text=str(len(self.faults.seen)))


async def serve(films: int) -> None:
    async with Counted(household(films)) as server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
