"""A real browser on real pages: the server runs in a thread of its own, over real HTTP.

Every page that a test opens is watched: a message on the console, a mistake in a script, something
that the policy refused or an answer of 500 fails the test.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from companion.config import Config, Web
from companion.store.db import Store
from tests import cinema
from tests.cinema import Cinema
from webui.routes import build

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
]
PATIENCE_MS = 20_000  # a loaded machine is slow, not wrong
REFUSALS = """
    document.addEventListener("securitypolicyviolation", (event) =>
        console.error(`refused by the policy: ${event.violatedDirective} ${event.blockedURI}`));
"""


@dataclass(slots=True, kw_only=True)
class Site:
    """A running server."""

    address: str
    house: Cinema
    loop: asyncio.AbstractEventLoop

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function where the server runs."""
        done: Future[Any] = Future()
        self.loop.call_soon_threadsafe(lambda: done.set_result(function()))
        return done.result(timeout=10)

    def wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout=30)


@contextlib.contextmanager
def serving(folder: Path, settings: Web) -> Iterator[Site]:
    """Serve the small library from a thread until the context ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[Cinema, web.AppRunner, int]:
        config = Config(data_dir=folder / "data")
        store = await Store.open(config.database)
        (folder / "films").mkdir()
        house = await cinema.open_cinema(config, store, folder / "films", settings)
        runner = web.AppRunner(build(house.parts))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return house, runner, runner.addresses[0][1]

    async def stop(house: Cinema, runner: web.AppRunner) -> None:
        await runner.cleanup()
        await house.indexer.children.close()
        await house.store.close()

    house, runner, port = asyncio.run_coroutine_threadsafe(start(), loop).result(timeout=60)
    try:
        yield Site(address=f"http://127.0.0.1:{port}", house=house, loop=loop)
    finally:
        asyncio.run_coroutine_threadsafe(stop(house, runner), loop).result(timeout=30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The pages as at this computer."""
    with serving(tmp_path_factory.mktemp("site"), Web(port=0)) as site:
        yield site


@pytest.fixture
def far_site(tmp_path: Path) -> Iterator[Site]:
    """The pages as beyond loopback, below a base path, with a password."""
    settings = Web(host="0.0.0.0", port=0, base_path="/heimdex")
    with serving(tmp_path, settings) as site:
        site.wait(site.house.accounts.set_password("owner", cinema.PASSWORD))
        yield replace(site, address=f"{site.address}/heimdex")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, for one file: while Playwright runs, no async test can run in this process."""
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} is not there (apt-get install chromium)")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield chromium
        chromium.close()


@dataclass(slots=True)
class Watch:
    """What pages complained about. A test that expects a complaint takes it out."""

    complaints: list[str]

    def over(self, page: Any) -> None:
        page.on("console", lambda message: self.complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("response", lambda response: self._answered(response))

    def _answered(self, response: Any) -> None:
        if response.status >= 500:
            self.complaints.append(f"{response.status}: {response.url}")


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch([])
    yield watch
    assert watch.complaints == []


@pytest.fixture
def open_page(browser: Any, watch: Watch) -> Iterator[Callable[..., Any]]:
    """Open a page of its own: `open_page(width=320, java_script_enabled=False, ...)`."""
    contexts = []

    def opened(*, width: int = 1280, height: int = 800, **settings: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(REFUSALS)
        contexts.append(context)
        page = context.new_page()
        watch.over(page)
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: Callable[..., Any]) -> Any:
    return open_page()
