"""The pages of a household whose films talk, over HTTP, beyond loopback: everybody signs in."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import apsw
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer

from companion.children import Children
from companion.config import Config, Web
from companion.findings import Line, MediaInfo, VideoStream
from companion.indexing import Indexer
from companion.model import File
from companion.playback import Playback
from companion.remote_play import RemotePlay
from companion.search.search import Search
from companion.setting_up import SettingUp
from companion.store import library
from tests import talk
from tests.cinema import Cutter
from tests.home import Home, home
from tests.page import Client
from webui import routes
from webui.parts import Parts

LENGTH_MS = 12_000
WORDS = "everybody talks about the harbour"


@dataclass(slots=True)
class Pages:
    home: Home
    server: TestServer
    stack: AsyncExitStack
    files: dict[str, File] = field(default_factory=dict)  # by the title of the item

    async def browser(self) -> Client:
        """Return a browser in which nobody has signed in."""
        client: Client = TestClient(self.server, cookie_jar=CookieJar(unsafe=True))
        await self.stack.enter_async_context(client)
        return client

    async def signed_in(self, name: str) -> Client:
        """Return a browser in which somebody has signed in by a code."""
        client = await self.browser()
        await start_code(client)
        self.home.house.tv.enter(await shown_code(client), name)
        answer = await client.get("/login/code", allow_redirects=False)
        assert answer.status == 303, await answer.text()
        return client


async def start_code(client: Client, server: str = "Attic", back: str = "/titles") -> None:
    token = await form_token(client)
    said = {"token": token, "server": server, "next": back}
    origin = {"Origin": str(client.make_url("/")).rstrip("/")}
    answer = await client.post("/login/code", data=said, headers=origin, allow_redirects=False)
    assert answer.status == 303, await answer.text()


async def shown_code(client: Client) -> str:
    page = await (await client.get("/login/code")).text()
    found = re.search(r'<p class="code"[^>]*>([^<]+)</p>', page)
    assert found, page
    return found[1]


async def form_token(client: Client) -> str:
    page = await (await client.get("/login")).text()
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found, page
    return found[1]


@asynccontextmanager
async def pages(folder: Path) -> AsyncIterator[Pages]:
    """Open a household; in each of its films somebody says WORDS and the film's own title."""
    async with home(folder) as here, AsyncExitStack() as stack:
        config = Config(data_dir=folder / "data", web=Web(host="0.0.0.0", port=0))
        setting_up = SettingUp(here.servers)
        stack.push_async_callback(setting_up.close)
        parts = Parts(
            config=config,
            store=here.store,
            search=Search(here.store, config, None),
            indexer=Indexer(here.store, config, Children(config)),
            playback=Playback(here.store, config, Cutter()),
            accounts=here.accounts,
            household=here.household,
            servers=here.servers,
            remote_play=RemotePlay(here.store, here.servers, here.household),
            setting_up=setting_up,
        )
        server = TestServer(routes.build(parts))
        await stack.enter_async_context(server)
        opened = Pages(home=here, server=server, stack=stack)
        opened.files = await here.store.write(_talk)
        yield opened


def _talk(connection: apsw.Connection) -> dict[str, File]:
    files = {}
    rows = list(
        connection.execute(
            "select items.title, paths.file_id from items"
            " join parts on parts.item_id = items.id join paths on paths.id = parts.path_id"
        )
    )
    for title, file_id in rows:
        assert isinstance(file_id, int)
        video = VideoStream(
            index=0, codec="h264", pixel_format="yuv420p", width=1280, height=720, fps=25
        )
        media = MediaInfo(container="mov,mp4", duration_ms=LENGTH_MS, video=video, audio=())
        library.keep_media(connection, file_id, media)
        line = Line(1_000, 3_000, f"{WORDS} and {title}", "en")
        talk.put_lines(connection, file_id, [line], [(0, 6_000), (6_000, LENGTH_MS)])
        file = library.file(connection, file_id)
        assert file is not None
        files[str(title)] = file
    return files
