"""What every test lives by: nothing blocks the event loop, no error is logged, stores are real."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

from companion.config import Config, Web
from companion.store.db import Store
from tests.models_fixture import models_folder as models_folder, need_model as need_model

settings.register_profile(
    "tests",
    derandomize=True,  # the same examples everywhere: a failure is a failure, never luck
    max_examples=50,
    deadline=None,  # time limits lie on a busy machine
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("search", settings.get_profile("tests"), derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "tests"))

OURS = ["companion", "connectors", "scanners", "webui"]
MAY_BLOCK_SHORTLY = [
    # The scheduler asks once, when it is made, for the name of the local time zone.
    ("tzlocal/unix.py", "_get_localzone"),
]
MAY_BLOCK = [
    # A process is started with its pipes once per child; the loop has no other way to do it.
    ("os.stat", "asyncio/base_events.py", "subprocess_exec"),
    # A module that is imported for the first time reads its file: plugs are loaded on first use.
    ("io.BufferedReader.read", "<frozen importlib._bootstrap>", "_find_and_load"),
    ("os.listdir", "<frozen importlib._bootstrap>", "_find_and_load"),
]


@pytest.fixture(autouse=True)
def no_blocking_calls(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail an async test in which our code blocks the event loop."""
    if not asyncio.iscoroutinefunction(getattr(request.node, "obj", None)):
        yield
        return
    with blockbuster_ctx(scanned_modules=OURS) as blockbuster:
        for name, file, where in MAY_BLOCK:
            blockbuster.functions[name].can_block_in(file, where)
        for file, where in MAY_BLOCK_SHORTLY:
            for function in blockbuster.functions.values():
                function.can_block_in(file, where)
        yield


class _ErrorLog(logging.Handler):
    def __init__(self) -> None:
        super().__init__(level=logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(self.format(record))


@pytest.fixture(autouse=True)
def error_log() -> Iterator[list[str]]:
    """Fail a test that logs an error. A test about one looks at this list and clears it."""
    handler = _ErrorLog()
    root = logging.getLogger()
    root.addHandler(handler)
    yield handler.messages
    root.removeHandler(handler)
    assert not handler.messages, "logged as an error:\n" + "\n".join(handler.messages)


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep this machine's own Heimdex out of every test."""
    for name in [name for name in os.environ if name.startswith("HEIMDEX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg-data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg-cache"))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """The settings of an empty data folder."""
    return Config(data_dir=tmp_path / "data")


@pytest.fixture
async def store(config: Config) -> AsyncIterator[Store]:
    """An open, empty, real store."""
    store = await Store.open(config.database, backups=config.backups)
    yield store
    await store.close()


@pytest.fixture
def library_folder(tmp_path: Path) -> Path:
    """An empty folder that a library may be made of."""
    folder = tmp_path / "library"
    folder.mkdir()
    return folder


@pytest.fixture
async def open_house(
    config: Config, store: Store, library_folder: Path, aiohttp_client: Any
) -> Callable[..., Awaitable[tuple[Any, Any]]]:
    """Open the pages of a small library: `house, client = await open_house(Web(...), search=...)`.

    What is named replaces a part of the real ones.
    """
    from tests import cinema
    from webui.routes import build

    async def opened(web: Web | None = None, **changes: Any) -> tuple[Any, Any]:
        house = await cinema.open_cinema(config, store, library_folder, web)
        return house, await aiohttp_client(build(replace(house.parts, **changes)))

    return opened
