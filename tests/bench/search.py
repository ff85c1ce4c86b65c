"""How long a whole search takes at 10,000 scenes, without the time of the model.

The library is made up, but shaped like one: 120 films of scenes of 8 to 44 words, words as frequent
as in speech (Zipf), a fifth of the films in Korean with particles on the words, two vectors of 512
numbers a scene, in clusters of films. Queries go the whole way, `Search.ask` on a real store, each
with a vector that is not remembered yet.
"""

import asyncio
import gc
import random
import statistics
import struct
import time
from collections.abc import Sequence
from itertools import accumulate, cycle
from pathlib import Path

import apsw
import numpy as np

from companion import commits
from companion.config import Config
from companion.findings import Line, Scene
from companion.model import Source
from companion.search.query import Mode
from companion.search.search import Search
from companion.store import findings, vectors
from companion.store.db import Store
from scanners.base import Encoded
from tests import talk

LIMITS = {"search_p95_ms": "<= 30"}

SCENES = 10_000
FILMS = 120
PASSAGES = 2  # of a scene: 26 words are two or three
DIMS = 512
SCENE_MS = 6_000
ASKED = 240
MODEL = "use-m3@bench"

_random = random.Random(20261122)
_numbers = np.random.default_rng(20261122)
_SYLLABLES = ("ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "wa", "glin", "ter", "dor")
_HANGUL = "가나다라마바사아자차카타파하고노도로모보소오조초구누두루무부수우주기니디리미비시이지"
_PARTICLES = ("", "은", "는", "이", "가", "을", "를", "에", "에서", "도", "으로", "까지")
ENGLISH = list(
    dict.fromkeys("".join(_random.choices(_SYLLABLES, k=2 + n % 3)) for n in range(9_000))
)
KOREAN = list(dict.fromkeys("".join(_random.choices(_HANGUL, k=2 + n % 2)) for n in range(4_000)))
_WEIGHTS = {
    id(words): list(accumulate(1 / (n + 2) for n in range(len(words))))
    for words in (ENGLISH, KOREAN)
}


def measure(folder: Path) -> dict[str, float]:
    """Return p50 and p95 in ms of whole searches, of both legs and of each alone, and the mean of
    their processor time, which a busy machine moves less."""
    return asyncio.run(_measure(folder))


async def _measure(folder: Path) -> dict[str, float]:
    config = Config(data_dir=folder / "search")
    store = await Store.open(config.database)
    try:
        await store.write(_fill)
        encoder = _Encoder()
        gc.collect()
        gc.freeze()  # the words and queries of this bench are not the daemon's
        figures = {"search_scenes": float(SCENES)}
        for mode, name in ((Mode.BOTH, ""), (Mode.WORDS, "words_"), (Mode.MEANING, "meaning_")):
            search = Search(store, config, encoder.encode)
            for query in _queries(30):
                await search.ask(query, mode=mode)
            busy = time.process_time()
            times = [await _time(search, query, mode) for query in _queries(ASKED)]
            busy = time.process_time() - busy
            figures[f"search_{name}cpu_ms"] = round(busy / ASKED * 1000, 2)
            figures[f"search_{name}p50_ms"] = round(statistics.median(times), 2)
            figures[f"search_{name}p95_ms"] = round(statistics.quantiles(times, n=20)[18], 2)
        return figures
    finally:
        await store.close()


async def _time(search: Search, query: str, mode: Mode) -> float:
    began = time.perf_counter()
    await search.ask(query, mode=mode)
    return (time.perf_counter() - began) * 1000


class _Encoder:
    """Gives vectors at once, made before: those of scenes, a little moved."""

    def __init__(self) -> None:
        self._made = cycle([_vector(0.6) for _ in range(ASKED)])

    async def encode(self, texts: Sequence[str]) -> Encoded:
        made = tuple(next(self._made) for _ in texts)
        return Encoded(id=1, model=MODEL, dims=DIMS, vectors=made)


_CENTRES = _numbers.normal(size=(FILMS, DIMS))


def _vector(own: float, film: int | None = None) -> bytes:
    film = _random.randrange(FILMS) if film is None else film
    made = _CENTRES[film] * (1 - own) + _numbers.normal(size=DIMS) * own
    made /= np.linalg.norm(made)
    return struct.pack(f"<{DIMS}e", *made)


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
        commits.index_words(connection, file.id)
        for scene in findings.scenes_of_file(connection, file.id):
            for part in range(PASSAGES):
                vectors.put(connection, model, scene.id, part, _vector(0.7, film))


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
