"""How long a whole search takes at 10,000 scenes, without the time of the model.

The library is made up, but shaped like one: 120 films of scenes of 8 to 44 words, words as frequent
as in speech (Zipf), a fifth of the films in Korean with particles on the words, two vectors of 512
numbers a scene, in clusters of films. Every scene has a frame with its two vectors (1,280 numbers
of what it looks like, 512 for words), a third of them tags of 1,000 names, a fifth text in the
picture. Queries go the whole way, `Search.ask` on a real store, each with vectors that are not
remembered yet.
"""

import asyncio
import gc
import random
import statistics
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import accumulate, cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
import numpy as np

from companion import commits
from companion.config import Config
from companion.findings import Line, OnscreenText, PictureVector, Scene, Tags
from companion.model import Answer, Source
from companion.search.encoding import Vector
from companion.search.pictures import Picture
from companion.search.query import Mode
from companion.search.search import Search
from companion.store import findings, pictures, vectors
from companion.store.db import Store
from scanners.base import Encoded
from tests import talk

LIMITS = {"search_p95_ms": "<= 30", "search_picture_p95_ms": "<= 30"}

SCENES = 10_000
FILMS = 120
PASSAGES = 2  # of a scene: 26 words are two or three
DIMS = 512
SCENE_MS = 6_000
ASKED = 240
MODEL = "use-m3@bench"
SEES = {
    "looks": ("efficientnet-lite0@bench", 1_280),
    "words": ("efficientnet-lite0@bench+use-m3", 512),
}
TAGGED, WRITTEN = 0.33, 0.2  # of the scenes

_random = random.Random(20261122)
_numbers = np.random.default_rng(20261122)
_SYLLABLES = ("ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "wa", "glin", "ter", "dor")
_HANGUL = "가나다라마바사아자차카타파하고노도로모보소오조초구누두루무부수우주기니디리미비시이지"
_PARTICLES = ("", "은", "는", "이", "가", "을", "를", "에", "에서", "도", "으로", "까지")
ENGLISH = list(
    dict.fromkeys("".join(_random.choices(_SYLLABLES, k=2 + n % 3)) for n in range(9_000))
)
KOREAN = list(dict.fromkeys("".join(_random.choices(_HANGUL, k=2 + n % 2)) for n in range(4_000)))
NAMES = [f"{ENGLISH[(7 * n) % 2_000]} {ENGLISH[(11 * n) % 3_000]}" for n in range(1_000)]
_WEIGHTS = {
    id(words): list(accumulate(1 / (n + 2) for n in range(len(words))))
    for words in (ENGLISH, KOREAN, NAMES)
}


def measure(folder: Path) -> dict[str, float]:
    """Return p50 and p95 in ms of whole searches, of all legs, of words and of what is meant and
    seen, and by picture, and the mean of their processor time, which a busy machine moves less."""
    return asyncio.run(_measure(folder))


async def _measure(folder: Path) -> dict[str, float]:
    config = Config(data_dir=folder / "search")
    filling = await Store.open(config.database)
    await filling.write(_fill)
    await filling.close()  # a library is not written in one piece of hundreds of megabytes
    store = await Store.open(config.database)
    try:
        encoder = _Encoder()
        gc.collect()
        gc.freeze()  # the words and queries of this bench are not the daemon's
        figures = {"search_scenes": float(SCENES)}
        for mode, name in ((Mode.BOTH, ""), (Mode.WORDS, "words_"), (Mode.MEANING, "meaning_")):
            search = Search(store, config, encoder.encode, encoder.see)
            asks = [partial(search.ask, query, mode=mode) for query in _queries(ASKED + 30)]
            figures |= await _time(name, asks)
        search = Search(store, config, encoder.encode, encoder.see)
        model, dims = SEES["looks"]
        given = [Picture(Vector(model, _vector(0.6, dims=dims))) for _ in range(ASKED + 30)]
        asks = [partial(search.ask, "", picture=picture) for picture in given]
        return figures | await _time("picture_", asks)
    finally:
        await store.close()


async def _time(name: str, asks: Sequence[Callable[[], Awaitable[Answer]]]) -> dict[str, float]:
    """Return the figures of questions, of which the first thirty only warm up."""
    for ask in asks[:-ASKED]:
        await ask()
    times = []
    busy = time.process_time()
    for ask in asks[-ASKED:]:
        began = time.perf_counter()
        await ask()
        times.append((time.perf_counter() - began) * 1000)
    busy = time.process_time() - busy
    return {
        f"search_{name}cpu_ms": round(busy / ASKED * 1000, 2),
        f"search_{name}p50_ms": round(statistics.median(times), 2),
        f"search_{name}p95_ms": round(statistics.quantiles(times, n=20)[18], 2),
    }


class _Encoder:
    """Gives vectors at once, made before: those of scenes, a little moved."""

    def __init__(self) -> None:
        self._made = cycle([_vector(0.6) for _ in range(ASKED)])
        self._seen = cycle([_vector(0.6) for _ in range(ASKED)])

    async def encode(self, texts: Sequence[str]) -> Encoded:
        made = tuple(next(self._made) for _ in texts)
        return Encoded(id=1, model=MODEL, dims=DIMS, vectors=made)

    async def see(self, texts: Sequence[str]) -> Encoded:
        made = tuple(next(self._seen) for _ in texts)
        return Encoded(id=1, model=SEES["words"][0], dims=DIMS, vectors=made)


_CENTRES = {dims: _numbers.normal(size=(FILMS, dims)) for dims in (DIMS, SEES["looks"][1])}


def _vector(own: float, film: int | None = None, dims: int = DIMS) -> bytes:
    film = _random.randrange(FILMS) if film is None else film
    made = _CENTRES[dims][film] * (1 - own) + _numbers.normal(size=dims) * own
    made /= np.linalg.norm(made)
    return struct.pack(f"<{dims}e", *made)


def _fill(connection: apsw.Connection) -> None:
    model = vectors.model_id(connection, MODEL, "meaning", DIMS)
    for film in range(FILMS):
        words = KOREAN if film % 5 == 4 else ENGLISH
        file = talk.put_file(connection, f"{_random.choice(words)} {film}", year=1990 + film % 30)
        count = SCENES // FILMS + (film < SCENES % FILMS)
        lines, scenes = [], []
        for number in range(count):
            start_ms = number * SCENE_MS
            scenes.append(Scene(start_ms, start_ms + SCENE_MS, start_ms))
            for half in (0, SCENE_MS // 2):
                text = " ".join(_said(words) for _ in range(_random.randint(4, 22)))
                lines.append(Line(start_ms + half, start_ms + half + SCENE_MS // 2, text))
        findings.keep_lines(connection, file.id, Source.SPEECH, lines)
        findings.keep_scenes(connection, file.id, scenes, provisional=False)
        _show(connection, film, file.id, [scene.start_ms for scene in scenes])
        commits.index_words(connection, file.id)
        for scene in findings.scenes_of_file(connection, file.id):
            for part in range(PASSAGES):
                vectors.put(connection, model, scene.id, part, _vector(0.7, film))


def _show(connection: apsw.Connection, film: int, file_id: int, starts: Sequence[int]) -> None:
    """Keep what the picture shows: a frame of every scene, tags of some, text in some."""
    frames, shown, texts = [], [], []
    for start_ms in starts:
        for space, (_, dims) in SEES.items():
            frames.append(PictureVector(start_ms, space, _vector(0.7, film, dims)))
        if _random.random() < TAGGED:
            names = {_frequent(NAMES): round(_random.uniform(0.3, 1), 3) for _ in range(2)}
            shown.append(Tags(start_ms, tuple(names.items())))
        if _random.random() < WRITTEN:
            text = " ".join(_frequent(ENGLISH) for _ in range(3))
            texts.append(OnscreenText(start_ms, start_ms + 2_000, text, (0.1, 0.1, 0.2, 0.1), 0.9))
    pictures.keep_tags(connection, file_id, shown)
    pictures.keep_onscreen(connection, file_id, texts)
    identities = {space: identity for space, (identity, _) in SEES.items()}
    pictures.keep_vectors(connection, file_id, frames, identities)


def _frequent(words: list[str]) -> str:
    return _random.choices(words, cum_weights=_WEIGHTS[id(words)])[0]


def _said(words: list[str]) -> str:
    word = _frequent(words)
    return word + _random.choice(_PARTICLES) if words is KOREAN else word


def _queries(count: int) -> list[str]:
    """Return what people ask: one to five words, rare and common ones, Korean, quotes, a minus."""
    made = []
    for number in range(count):
        words = KOREAN if number % 5 == 4 else ENGLISH
        asked = [_frequent(words) for _ in range(1 + number % 5)]
        if number % 3 == 0:
            asked.append(words[_random.randrange(12)])  # everywhere
        query = " ".join(asked)
        if number % 8 == 5:
            query = f'"{query}"'
        if number % 8 == 7:
            query += f" -{words[20 + number % 50]}"
        made.append(query)
    return made


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        for figure, value in measure(Path(made)).items():
            print(f"{figure:30} {value}")
