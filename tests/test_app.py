"""The composition root: what is built starts, survives a broken part, and stops in order."""

import asyncio
import json
import os
import signal
import stat
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from companion import app as module, backups, disk, lock
from companion.app import App, Listening, Part, kept, local_url, opened, stopped_by_signals
from companion.config import Config, Folder, Models, Web
from companion.errors import (
    CompanionError,
    ConfigError,
    DataFolderBusy,
    MediaMissing,
    ServerUnavailable,
    StoreDamaged,
)
from companion.search.query import Mode
from tests.films import Words, make_film


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A daemon on any free port that asks nobody for models."""
    return Config(data_dir=tmp_path / "data", web=Web(port=0), models=Models(get=False))


@asynccontextmanager
async def serving(
    config: Config, also: Sequence[tuple[str, Part]] = ()
) -> AsyncIterator[tuple[App, Listening]]:
    """Serve until the body ends; stopping must not raise."""
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with opened(config) as app:
        running = asyncio.create_task(app.serve(stop, ready.set_result, also))
        await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        try:
            yield app, await ready
        finally:
            stop.set()
            await running


async def answer(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


# --- start and stop ------------------------------------------------------------------------------


async def test_the_page_answers_while_it_serves_and_not_afterwards(config: Config) -> None:
    async with serving(config) as (_, listening):
        status, text = await answer(listening.url)
        assert (status, "<html" in text) == (200, True)
    with pytest.raises(aiohttp.ClientConnectionError):
        await answer(listening.url)


async def test_the_command_line_is_told_where_it_listens_and_only_its_user(config: Config) -> None:
    async with serving(config) as (_, listening):
        daemon = await asyncio.to_thread(lock.running, config.data_dir)
        assert daemon is not None
        assert (daemon.url, daemon.pid) == (listening.url, os.getpid())
        facts = await asyncio.to_thread((config.data_dir / lock.DAEMON_NAME).stat)
        assert stat.S_IMODE(facts.st_mode) == 0o600
    assert await asyncio.to_thread(lock.running, config.data_dir) is None
    assert not await asyncio.to_thread((config.data_dir / lock.DAEMON_NAME).exists)


async def test_a_second_daemon_is_refused_and_who_only_looks_is_not(config: Config) -> None:
    async with serving(config) as (_, listening):
        with pytest.raises(DataFolderBusy, match=listening.url):
            async with opened(config):
                pass
        async with opened(config, alone=False) as second:
            assert (await second.search.ask("lake", mode=Mode.WORDS)).moments == ()


async def test_a_port_in_use_is_said_in_words_and_leaves_a_free_folder(config: Config) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(CompanionError, match=rf"port {port}: .*--port"):
        async with serving(replace(config, web=Web(port=port))):
            pass
    server.close()
    assert not await asyncio.to_thread(lock.taken, config.data_dir)


async def test_a_data_folder_on_a_network_share_is_refused(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "kind_of", lambda *_: "cifs")
    with pytest.raises(StoreDamaged, match="network share"):
        async with opened(config):
            pass
    assert not await asyncio.to_thread(config.data_dir.exists)


async def test_a_profile_that_does_not_exist_stops_the_start(config: Config) -> None:
    with pytest.raises(ConfigError, match="huge"):
        async with opened(replace(config, models=Models(profile="huge"))):
            pass


async def test_beyond_this_computer_the_owner_gets_a_password_once(config: Config) -> None:
    config = replace(config, web=Web(host="0.0.0.0", port=0))
    async with serving(config) as (app, listening):
        assert listening.password is not None
        assert await app.accounts.sign_in("owner", listening.password) is not None
        assert listening.url.startswith("http://127.0.0.1:")
    async with serving(config) as (_, again):
        assert again.password is None


async def test_on_loopback_there_is_no_password(config: Config) -> None:
    async with serving(config) as (_, listening):
        assert listening.password is None


async def test_the_local_token_lets_the_command_line_in(config: Config) -> None:
    config = replace(config, web=Web(host="0.0.0.0", port=0))
    async with serving(config) as (_, listening):
        daemon = await asyncio.to_thread(lock.running, config.data_dir)
        assert daemon is not None
        url = f"{listening.url}/api/1/status"
        assert (await answer(url))[0] == 401
        headers = {"Authorization": f"Bearer {daemon.token}"}
        async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as response:
            assert response.status == 200


async def test_a_backup_is_taken_at_the_first_start_and_old_ones_go(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, backups_kept=1)
    loop, done, real = asyncio.get_running_loop(), asyncio.Event(), backups.prune

    def prune(config: Config) -> int:
        try:
            return real(config)
        finally:
            loop.call_soon_threadsafe(done.set)

    monkeypatch.setattr(backups, "prune", prune)
    async with serving(config):
        await done.wait()
    assert len(await asyncio.to_thread(backups.taken, config)) == 1


# --- parts ---------------------------------------------------------------------------------------


async def test_a_film_becomes_searchable_and_health_says_what_is_missing(
    config: Config, library_folder: Path
) -> None:
    said = Words(cues=((500, 2500, "Dad falls into the lake."),))
    await asyncio.to_thread(make_film, library_folder / "Lake (1984).mkv", subtitles=(said,))
    config = replace(config, folders=(Folder(path=library_folder),))
    config = replace(config, sync=replace(config.sync, settle_s=0))
    async with serving(config) as (app, listening):
        while (await app.indexer.status()).coverage.words == 0:
            await app.indexer.changed()
        _, text = await answer(f"{listening.url}/api/1/search?q=lake&mode=words")
        assert [found["item"] for found in json.loads(text)["results"]] == ["Lake (1984)"]
        while not app.weights.notes():
            await asyncio.sleep(0)
        _, text = await answer(f"{listening.url}/api/1/health")
        assert json.loads(text)["state"] == "degraded"
        assert "heimdex models get" in json.loads(text)["reasons"][0]


async def test_a_broken_part_is_started_again_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, error_log: list[str]
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.0)
    troubles: list[Exception] = [ServerUnavailable("away"), KeyError("a bug")]
    runs = 0

    async def part() -> None:
        nonlocal runs
        runs += 1
        if troubles:
            raise troubles.pop()

    await kept("odd", part)
    assert runs == 3
    (only,) = error_log
    assert only.startswith("part broke part=odd")
    assert "KeyError: 'a bug'" in only
    error_log.clear()


async def test_a_part_that_is_cancelled_stays_stopped() -> None:
    started = asyncio.Event()

    async def part() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(kept("long", part))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_stopping_does_not_wait_for_a_part_that_will_not_stop(
    config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "PART_LIMIT_S", 0.01)
    release, started = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        started.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                asyncio.get_running_loop().call_later(0.1, release.set)

    async with serving(config, [("stubborn", stubborn)]):
        await started.wait()
    assert "part did not stop in time part=stubborn" in caplog.text


# --- libraries that are remembered ---------------------------------------------------------------


async def test_a_folder_that_was_added_is_a_library_from_then_on(
    config: Config, library_folder: Path
) -> None:
    async with opened(config, add=library_folder) as app:
        assert app.config.folders == (Folder(path=library_folder),)
    async with opened(config) as app:
        assert app.config.folders == (Folder(path=library_folder),)


async def test_a_folder_inside_a_library_adds_nothing(config: Config, library_folder: Path) -> None:
    inside = library_folder / "1984"
    await asyncio.to_thread(inside.mkdir)
    named = Folder(path=library_folder, name="Films")
    config = replace(config, folders=(named,))
    async with opened(config, add=inside) as app:
        assert app.config.folders == (named,)
    async with opened(config, add=library_folder) as app:
        assert app.config.folders == (named,)


async def test_a_file_outside_every_library_is_refused(config: Config, tmp_path: Path) -> None:
    with pytest.raises(MediaMissing, match="give its folder"):
        async with opened(config, add=tmp_path / "film.mkv"):
            pass
    assert not await asyncio.to_thread(lock.taken, config.data_dir)


# --- small things --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8642"),
        ("0.0.0.0", "http://127.0.0.1:8642"),
        ("::", "http://[::1]:8642"),
        ("::1", "http://[::1]:8642"),
        ("192.168.1.2", "http://192.168.1.2:8642"),
        ("nas", "http://nas:8642"),
    ],
)
def test_the_address_on_this_computer(host: str, url: str) -> None:
    assert local_url(host, 8642) == url


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_asks_and_the_second_one_ends(number: signal.Signals) -> None:
    stop = asyncio.Event()
    before: Callable[..., object] | int | None = signal.getsignal(number)
    with stopped_by_signals(stop):
        os.kill(os.getpid(), number)
        await stop.wait()
        assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)
    if number is signal.SIGINT:
        signal.signal(number, before)
