"""A film with a face and with text in the picture, through the real child into store and sidecar.

Real models look at it; what is kept comes back from the sidecar to the bit, and a child that dies
in the middle costs nothing that was kept.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest

from companion.child import COMMAND
from companion.children import Children
from companion.config import Config, Features, Models
from companion.indexing import Indexer
from companion.model import File
from companion.store import findings, pictures
from companion.store.db import Store
from scanners.base import Scan
from tests import shelf
from tests.lettering import clouds, write
from tests.models_fixture import Need
from tests.portrait import eileen, placed, scaled
from tests.quality.splice import write_film

FAKES = Path(__file__).parent / "fakes"
MUTE = (sys.executable, "-m", "tests.fakes.scripted_child", "--mute")
SIZE = (640, 360)
FPS = 10
END_MS = 32_000
TEXT = "Three weeks earlier"
WITH_FACES = ("shots", "scenes", "picture", "faces", "onscreen")


class Watched(Children):
    """The real children, and what they were asked."""

    def __init__(self, config: Config, command: tuple[str, ...]) -> None:
        super().__init__(config, command=command)
        self.asked: list[tuple[tuple[str, ...], int]] = []

    async def scan(self, request: Scan, *, limit_s: float) -> AsyncIterator[Any]:  # type: ignore[override]
        if "subtitles" not in request.stages and "meaning" not in request.stages:
            self.asked.append((request.stages, request.resume_ms))
        async for reply in super().scan(request, limit_s=limit_s):
            yield reply


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Store]:
    store = await Store.open(config.database)
    try:
        yield store
    finally:
        await store.close()


async def index(
    store: Store, config: Config, command: tuple[str, ...] = COMMAND
) -> list[tuple[tuple[str, ...], int]]:
    """Bring everything up to date; return (stages, resume_ms) of each pass over a picture."""
    children = Watched(config, command)
    indexer = Indexer(store, config, children)
    task = asyncio.create_task(indexer.run())
    try:
        async with asyncio.timeout(100):
            await indexer.idle()
    finally:
        task.cancel()
        await asyncio.wait([task])
        await children.close()
    return [asked for asked in children.asked if asked[0] != ("speech",)]


def dies_after(stage: str, folder: Path) -> tuple[str, ...]:
    """Return the command of a child that is killed once."""
    return (sys.executable, str(FAKES / "mortal_child.py"), stage, str(folder / "died"))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shots of four seconds: a face, text over clouds, clouds, and the face the other way round."""
    face = placed(scaled(eileen(), 0.9), 100, 20, SIZE)
    text = write(clouds(size=SIZE), TEXT, y=190, high=30)
    empty = [clouds(seed, SIZE) for seed in range(2, 7)]
    other = np.ascontiguousarray(face[:, ::-1])
    path = tmp_path_factory.mktemp("films") / "Astronaut.mp4"
    frames = [one for shot in (face, text, *empty, other) for one in [shot] * 4 * FPS]
    write_film(path, frames, size=SIZE, fps=FPS)
    return path


@pytest.fixture(scope="module")
def models_there(need_model: Need) -> Path:
    names = ("use-m3", "efficientnet-lite0", "pp-ocr", "sface", "yunet")
    return [need_model(name) for name in names][-1]


@pytest.fixture
def make_config(models_there: Path, tmp_path: Path) -> Callable[..., Config]:
    def make(name: str = "data", **features: bool) -> Config:
        return Config(
            data_dir=tmp_path / name,
            models=Models(folder=models_there),
            features=Features(**features),
        )

    return make


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """The film after one undisturbed scan. asked: (stages, resume_ms) of each picture pass."""

    config: Config
    path: Path
    asked: list[tuple[tuple[str, ...], int]]


@pytest.fixture(scope="module")
def whole(film: Path, models_there: Path) -> Whole:
    config = Config(data_dir=film.parent / "data", models=Models(folder=models_there))

    async def scan() -> list[tuple[tuple[str, ...], int]]:
        async with opened(config) as store:
            await put(store, film)
            return await index(store, config)

    return Whole(config=config, path=film, asked=asyncio.run(scan()))


@pytest.fixture
def own_film(film: Path, tmp_path: Path) -> Path:
    (tmp_path / "films").mkdir()
    copy = tmp_path / "films" / film.name
    copy.write_bytes(film.read_bytes())
    return copy


def seen(connection: apsw.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that was found in the picture, without the numbers of rows."""
    asked = {
        "shots": "select start_ms, end_ms from shots order by start_ms",
        "scenes": "select number, start_ms, end_ms, still_ms, provisional from scenes",
        "tags": "select number, name, score, at_ms from tags join scenes on scenes.id = scene_id",
        "vectors": "select number, identity, role, part, at_ms, v from vectors"
        " join scenes on scenes.id = scene_id join models on models.id = model_id",
        "onscreen": "select start_ms, end_ms, text, x, y, width, height, score, subtitle"
        " from onscreen_texts",
        "tracks": "select start_ms, end_ms, frame_count, boxes, quality, best_ms, thumbnail,"
        " reject, v, identity from tracks left join models on models.id = model_id",
    }
    return {name: sorted(connection.execute(sql).fetchall()) for name, sql in asked.items()}


def done(connection: apsw.Connection) -> dict[str, tuple[Any, ...]]:
    rows = connection.execute(
        "select stage, version, model, inputs, finished_at_ms from stage_results"
        " where state = 'done'"
    )
    return {row[0]: row[1:] for row in rows}


async def put(store: Store, path: Path) -> File:
    return await store.write(shelf.put_film, path)


async def test_faces_and_text_reach_the_store(whole: Whole) -> None:
    assert whole.asked == [(WITH_FACES, 0)]  # one decode pass
    async with opened(whole.config) as store:
        file = await put(store, whole.path)
        first, second = await store.read(pictures.tracks_of_file, file.id)
        assert (first.start_ms // 1000, first.end_ms) == (0, 4000)
        assert (second.start_ms // 1000, second.end_ms) == (28, END_MS)
        assert first.model.startswith("sface@")
        assert first.boxes[0].x < 0.4 < second.boxes[0].x
        one, two = (np.frombuffer(each.vector, "<f2").astype(float) for each in (first, second))
        assert one.shape == (128,)
        assert one @ two > 0.6  # the same person, mirrored
        still = whole.config.cache / "stills" / file.public_id / first.thumbnail
        assert (await asyncio.to_thread(still.read_bytes))[:2] == b"\xff\xd8"

        (text,) = await store.read(pictures.onscreen_of_file, file.id)
        assert (text.text, text.subtitle) == (TEXT, False)
        assert 4000 <= text.start_ms < 5000 < 7000 <= text.end_ms <= 8000
        assert 0.4 < text.box[1] < 0.6
        (scene,) = await store.read(_hits, "earlier")
        assert scene[0] <= text.start_ms < scene[1]
        assert set(await store.read(done)) >= set(WITH_FACES)


async def test_a_sidecar_brings_faces_and_text_back_to_the_bit(
    whole: Whole, make_config: Callable[..., Config]
) -> None:
    config = make_config()
    async with opened(config) as fresh, opened(whole.config) as store:
        await put(fresh, whole.path)
        assert await index(fresh, config, MUTE) == []  # no child could be started
        assert await fresh.read(seen) == await store.read(seen)
        assert await fresh.read(done) == await store.read(done)


def _hits(connection: apsw.Connection, word: str) -> list[tuple[Any, ...]]:
    """Return start and end of the scenes in which a word is found."""
    return connection.execute(
        "select start_ms, end_ms from scene_words join scenes on scenes.id = scene_words.rowid"
        " where scene_words match ?",
        (word,),
    ).fetchall()


async def test_a_child_that_dies_in_the_middle_costs_only_what_was_not_kept(
    whole: Whole, own_film: Path, make_config: Callable[..., Config], tmp_path: Path
) -> None:
    config = make_config()
    async with opened(config) as store, opened(whole.config) as undisturbed:
        await put(store, own_film)
        asked = await index(store, config, dies_after("scenes", tmp_path))
        (first, begin), (second, again) = asked
        assert (first, second, begin) == (WITH_FACES, WITH_FACES, 0)
        assert 4_000 <= again < 28_000  # the second face was not seen yet
        found = await store.read(seen)
        assert found == await undisturbed.read(seen)
    assert [len(found[name]) for name in ("tracks", "onscreen")] == [2, 1]


async def test_faces_that_are_turned_on_later_are_the_only_new_work(
    own_film: Path, make_config: Callable[..., Config], tmp_path: Path
) -> None:
    """Also when the child dies on the way: a pass without scenes goes on as well as one with."""
    off, on = make_config(face_detection=False, vision=False), make_config(vision=False)
    async with opened(off) as store:
        file = await put(store, own_film)
        assert await index(store, off) == [(("shots", "scenes"), 0)]
        rows = await store.read(done)
        scenes = await store.read(findings.scenes_of_file, file.id)

        asked = await index(store, on, dies_after("faces", tmp_path))
        (first, begin), (second, again) = asked
        assert (first, second, begin) == (("faces",), ("faces",), 0)
        assert 4_000 <= again < 28_000
        assert len(await store.read(pictures.tracks_of_file, file.id)) == 2
        new_rows = await store.read(done)
        assert new_rows.pop("faces")[1].startswith("sface@")
        assert new_rows == rows
        assert await store.read(findings.scenes_of_file, file.id) == scenes
