"""A small library for the tests of pages: real rows, and a real film where one is played.

The titles: "Lake" (an MP4 that browsers play), "The Long Way Up" (two hours of Matroska that is
away), an episode, and one whose every name is hostile.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import apsw
from PIL import Image

from companion import commits
from companion.children import Children
from companion.config import Config, Web
from companion.findings import AudioStream, Line, MediaInfo, Scene, VideoStream
from companion.indexing import Indexer
from companion.model import (
    ItemKind,
    LibraryKind,
    ListedItem,
    ListedLibrary,
    ListedPart,
    Source,
    Stat,
    Viewer,
)
from companion.playback import Playback
from companion.search.search import Search
from companion.servers import Servers
from companion.setting_up import SettingUp
from companion.store import findings, library
from companion.store.accounts import Account, Accounts
from companion.store.db import Store
from companion.vault import Vault
from tests.films import make_film
from tests.talk import Looks, Meanings, put_frames
from webui.parts import Parts

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}"
MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
MKV = "matroska,webm"
PASSWORD = "open sesame"

Open = Callable[..., Awaitable[tuple["Cinema", Any]]]  # the fixture `open_house`


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """What is known of a title before the test starts."""

    title: str
    path: bytes
    duration_ms: int
    kind: ItemKind = ItemKind.MOVIE
    show: str = ""
    episode: int | None = None
    year: int | None = None
    container: str = MKV
    scene_ms: int = 4_000
    lines: tuple[tuple[int, str], ...] = ()
    library: str = "Films"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """A title in the store: its public ids and keys."""

    item: str
    item_id: int
    file: str
    file_id: int


LAKE_LINES = (
    (500, "We were lost for two days."),
    (4_200, "He fell into the lake with his shoes on."),
    (8_400, "호수가 정말 아름답다."),
)
LONG_LINES = tuple(
    (start, f"Line {number}: the lake is {number} steps away.")
    for number, start in enumerate(range(2_000, 7_200_000, 60_000))
)


def titles(folder: Path) -> list[Title]:
    """Return the titles, the film that can be played made in `folder`."""
    lake = folder / "Lake (2004).mp4"
    lake.write_bytes(_film())
    kitchen = folder / "Small Hours S01E02.mkv"
    kitchen.write_bytes(b"only a stand-in cuts this")
    return [
        Title(
            title="Lake",
            path=bytes(lake),
            duration_ms=12_000,
            year=2004,
            container=MP4,
            lines=LAKE_LINES,
        ),
        Title(
            title="The Long Way Up",
            path=b"/away/The Long Way Up (1999).mkv",
            duration_ms=7_200_000,
            year=1999,
            scene_ms=36_000,
            lines=LONG_LINES,
        ),
        Title(
            title="The Kitchen",
            path=bytes(kitchen),
            duration_ms=90_000,
            kind=ItemKind.EPISODE,
            show="Small Hours",
            episode=2,
            library="Shows",
            lines=((1_000, "I made coffee. It is still warm."),),
        ),
        Title(
            title=HOSTILE,
            path=b"/away/\xff<script>alert(3)</script>.mkv",
            duration_ms=60_000,
            library=HOSTILE,
            lines=((1_000, f"Hostile words {HOSTILE} in a subtitle."),),
        ),
    ]


@cache
def _film() -> bytes:
    """Return twelve seconds of three shots, made once: encoding takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lake.mp4"
        make_film(path, shots=(4.0, 4.0, 4.0), size=(320, 180))
        return path.read_bytes()


def media(title: Title) -> MediaInfo:
    return MediaInfo(
        container=title.container,
        duration_ms=title.duration_ms,
        video=VideoStream(
            index=0, codec="h264", pixel_format="yuv420p", width=1280, height=720, fps=25
        ),
        audio=(AudioStream(index=1, codec="aac", channels=2, language="en"),),
    )


def keep(connection: apsw.Connection, listed: list[Title]) -> dict[str, Shelved]:
    """Put the titles into the store, searchable by their words."""
    server = library.save_server(connection, kind="folder", name="folders", now_ms=0)
    return {title.title: _keep(connection, server, title) for title in listed}


def _keep(connection: apsw.Connection, server: int, title: Title) -> Shelved:
    shelf = library.save_library(
        connection,
        server,
        ListedLibrary(external_id=title.library, name=title.library, kind=LibraryKind.MIXED),
    )
    file_id = library.save_file(
        connection, fingerprint=f"fp:{title.path.hex():0>32}", size=1_000, now_ms=0
    )
    library.keep_media(connection, file_id, media(title))
    stat = Stat(device=1, inode=file_id, size=1_000, mtime_ns=1)
    path_id = library.save_path(connection, title.path, stat, file_id=file_id, now_ms=0)
    item_id = library.save_item(
        connection,
        shelf,
        ListedItem(
            external_id=title.path.hex(),
            kind=title.kind,
            title=title.title,
            parts=(ListedPart(path=title.path),),
            show_title=title.show,
            season=1 if title.show else None,
            episode=title.episode,
            year=title.year,
            added_at_ms=1_000_000 - file_id,
        ),
        {title.path: path_id},
    )
    scenes = [
        Scene(start, min(start + title.scene_ms, title.duration_ms), start + 1_000)
        for start in range(0, title.duration_ms, title.scene_ms)
    ]
    findings.keep_scenes(connection, file_id, scenes, provisional=False)
    said = [Line(start, start + 1_500, text, "en") for start, text in title.lines]
    findings.keep_lines(connection, file_id, Source.SUBTITLE, said)
    commits.index_words(connection, file_id)
    file = library.file(connection, file_id)
    item = library.item(connection, item_id)
    assert file is not None
    assert item is not None
    return Shelved(item=item.public_id, item_id=item_id, file=file.public_id, file_id=file_id)


class Cutter:
    """Stands in for the children: a JPEG or the given film instead of what was asked for."""

    def __init__(self, clip: Path | None = None) -> None:
        self.asked: list[tuple[str, int, int]] = []
        self._clip = clip
        self.gate: asyncio.Event | None = None  # cutting waits for it

    async def still(self, path: bytes, at_ms: int, to: Path, *, width: int = 480) -> None:
        self.asked.append(("still", at_ms, at_ms))
        picture = Image.new("RGB", (width, width * 9 // 16), (at_ms // 100 % 255, 90, 60))
        await asyncio.to_thread(picture.save, to, "JPEG")

    async def clip(self, path: bytes, start_ms: int, end_ms: int, to: Path) -> None:
        self.asked.append(("clip", start_ms, end_ms))
        if self.gate is not None:
            await self.gate.wait()
        if self._clip is None:
            await asyncio.to_thread(to.write_bytes, b"clip of %d" % start_ms)
        else:
            await asyncio.to_thread(shutil.copyfile, self._clip, to)


class Household(Accounts):
    """Accounts in which a member may see what the test says."""

    visible: frozenset[int] = frozenset()

    async def viewer(self, account: Account) -> Viewer:
        if account.name == "child":
            return Viewer(name="child", owner=False, item_ids=self.visible)
        return await super().viewer(account)


@dataclass(slots=True, kw_only=True)
class Cinema:
    """Everything that a test of pages needs."""

    config: Config
    store: Store
    shelved: dict[str, Shelved]
    parts: Parts
    cutter: Cutter
    accounts: Household
    indexer: Indexer
    looks: Looks
    synced: list[str] = field(default_factory=list)

    @property
    def lake(self) -> Shelved:
        return self.shelved["Lake"]

    @property
    def long(self) -> Shelved:
        return self.shelved["The Long Way Up"]


async def open_cinema(config: Config, store: Store, folder: Path, web: Web | None = None) -> Cinema:
    """Fill an empty store and put the parts together. No child is started."""
    config = replace(config, web=web or Web(port=0))
    listed = await asyncio.to_thread(titles, folder)
    shelved = await store.write(keep, listed)
    cutter = Cutter(folder / "Lake (2004).mp4")
    accounts = Household(store, config)
    indexer = Indexer(store, config, Children(config))
    looks = Looks(Meanings({}))
    servers = Servers(store, Vault(config.data_dir, {}))
    synced: list[str] = []

    async def sync() -> None:
        synced.append("now")

    parts = Parts(
        config=config,
        store=store,
        search=Search(store, config, None, look_at=looks.look_at),
        indexer=indexer,
        playback=Playback(store, config, cutter),
        accounts=accounts,
        servers=servers,
        setting_up=SettingUp(servers),
        sync=sync,
    )
    return Cinema(
        config=config,
        store=store,
        shelved=shelved,
        parts=parts,
        cutter=cutter,
        accounts=accounts,
        indexer=indexer,
        looks=looks,
        synced=synced,
    )


async def show_frames(house: Cinema) -> None:
    """Let scenes be looked at: of the lake a lake, then a dog; of the kitchen a lake too."""
    for shelved, scenes in (
        (house.lake, {0: ["lake at noon"], 1: ["dog in the grass"]}),
        (house.shelved["The Kitchen"], {0: ["lake on a poster"]}),
    ):
        await house.store.write(put_frames, shelved.file_id, scenes, house.looks)


async def sign_in(cinema: Cinema, name: str = "owner") -> str:
    """Make an account and return the token of a session of it."""
    await cinema.accounts.set_password(name, PASSWORD)
    token = await cinema.accounts.sign_in(name, PASSWORD)
    assert token is not None
    return token
