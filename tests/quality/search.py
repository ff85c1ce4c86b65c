"""Does search find the line that is meant? Quotes, paraphrases in four languages, Korean words.

One line a scene, 50 scenes a film, as the product keeps and asks them, with the real model of
meaning. `search.json` holds the lines that are looked for; 2,000 others are made of templates. In
`buried` figures each line stands between two of those in a scene of its own.
"""

import asyncio
import json
import random
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from companion import commits
from companion.config import Config
from companion.errors import ModelMissing
from companion.model import Answer, Moment
from companion.search.query import Mode
from companion.search.search import Search
from companion.store import vectors
from companion.store.db import Store
from scanners import fetch, models
from scanners.base import Encoded, Options, SceneText
from scanners.meaning import Meaning, parts
from tests import talk
from tests.figures import Skipped

LANGUAGES = ("en", "ko", "de", "fr")
DISTRACTORS = 2_000
LINES_OF_A_FILM = 50
DIMS = 512

LIMITS = {
    "quote_recall_at_1": ">= 0.98",
    **{f"paraphrase_{language}_recall_at_1": ">= 0.90" for language in LANGUAGES},
    "korean_words_found": ">= 1.00",
    "absent_without_strong_match": ">= 0.80",
    "paraphrase_strong": ">= 0.75",
}

DATA: dict[str, Any] = json.loads(Path(__file__).with_name("search.json").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Library:
    """An open library to ask. ask: (query, mode) -> answer."""

    ask: Callable[[str, Mode], Awaitable[Answer]]


def measure(folder: Path) -> dict[str, float]:
    """Return shares of what was found first, 0..1."""
    return asyncio.run(_measure(folder, Model(_models())))


def _models() -> Path:
    folder = Path(__file__).parents[2] / "build" / "models"
    try:
        if not models.present(folder, "use-m3"):
            fetch.get(folder, "use-m3")
    except ModelMissing as error:
        raise Skipped(str(error).splitlines()[0]) from error
    return folder


class Model:
    """The stage of meaning, asked as the encoder child asks it."""

    def __init__(self, folder: Path) -> None:
        self._stage = Meaning(Options(models=bytes(folder), threads=2))
        self.identity = self._stage.model

    async def encode(self, texts: Sequence[str]) -> Encoded:
        made = await asyncio.to_thread(self._stage.encode, list(texts))
        return Encoded(id=1, model=self.identity, dims=DIMS, vectors=tuple(made))

    def keep(self, connection: apsw.Connection, file_id: int) -> None:
        """Keep the vectors of a film's scenes, part by part."""
        model = vectors.model_id(connection, self.identity, "meaning", DIMS)
        todo = [
            (scene.id, part, text)
            for scene, lines in commits.scene_lines(connection, file_id)
            for part, text in parts(SceneText(scene.number, tuple(line.text for line in lines)))
        ]
        for (scene_id, part, _), vector in zip(
            todo, self._stage.encode([text for _, _, text in todo]), strict=True
        ):
            vectors.put(connection, model, scene_id, part, vector)


def distractors(count: int, source: random.Random) -> list[str]:
    """Return different lines made of the templates."""
    made: dict[str, None] = {}
    while len(made) < count:
        template = source.choice(DATA["templates"])
        line = re.sub(r"{(\w+)}", lambda slot: source.choice(DATA["pools"][slot[1]]), template)
        made[line[0].upper() + line[1:]] = None
    return list(made)


async def _measure(folder: Path, model: Model) -> dict[str, float]:
    source = random.Random(20261122)
    others = distractors(DISTRACTORS, source)
    targets = [*DATA["targets"], *DATA["korean"]]
    alone: list[list[str]] = [[each["line"]] for each in targets] + [[line] for line in others]
    source.shuffle(alone)
    figures = await _in_library(folder / "alone", model, alone, _ask_all)
    buried = [[source.choice(others), each["line"], source.choice(others)] for each in targets]
    buried += [[source.choice(others) for _ in range(3)] for _ in range(len(others) // 3)]
    source.shuffle(buried)
    return figures | await _in_library(folder / "buried", model, buried, _ask_buried)


async def _in_library(
    folder: Path,
    model: Model,
    scenes: Sequence[Sequence[str]],
    measured: Callable[[Library], Awaitable[dict[str, float]]],
) -> dict[str, float]:
    config = Config(data_dir=folder)
    store = await Store.open(config.database)
    try:
        for start in range(0, len(scenes), LINES_OF_A_FILM):
            some = scenes[start : start + LINES_OF_A_FILM]
            file = await store.write(talk.put, f"Reel {start // LINES_OF_A_FILM}", some)
            await store.write(model.keep, file.id)
        search = Search(store, config, model.encode)
        return await measured(Library(lambda text, mode: search.ask(text, mode=mode)))
    finally:
        await store.close()


async def _ask_all(library: Library) -> dict[str, float]:
    targets = DATA["targets"]
    quotes = [(f'"{each["quote"]}"', each["line"]) for each in targets]
    korean = [(each["word"], each["line"]) for each in DATA["korean"]]
    figures = {
        "search_lines": float(len(targets)),
        "quote_recall_at_1": _share([_first(each) for each in await _ask(library, quotes)]),
        "korean_words_found": _share(
            [_first(each) for each in await _ask(library, korean, Mode.WORDS)]
        ),
    }
    every: list[Asked] = []
    for language in LANGUAGES:
        asked = [(each[language], each["line"]) for each in targets]
        answers = await _ask(library, asked)
        every += answers
        figures[f"paraphrase_{language}_recall_at_1"] = _share(map(_first, answers))
        alone = await _ask(library, asked, Mode.MEANING)
        figures[f"paraphrase_{language}_meaning_only"] = _share(map(_first, alone))
    figures["paraphrase_strong"] = _share(map(_strong, every))
    absent = [await library.ask(text, Mode.BOTH) for text in DATA["absent"]]
    figures["absent_without_strong_match"] = _share(not answer.moments for answer in absent)
    return figures


async def _ask_buried(library: Library) -> dict[str, float]:
    figures: dict[str, float] = {}
    every: list[Asked] = []
    for language in LANGUAGES:
        answers = await _ask(library, [(each[language], each["line"]) for each in DATA["targets"]])
        every += answers
        figures[f"buried_{language}_recall_at_1"] = _share(map(_first, answers))
    figures["buried_strong"] = _share(map(_strong, every))
    return figures


Asked = tuple[Answer, str]  # and the line that was meant


async def _ask(
    library: Library, asked: Sequence[tuple[str, str]], mode: Mode = Mode.BOTH
) -> list[Asked]:
    return [(await library.ask(query, mode), line) for query, line in asked]


def _first(asked: Asked) -> bool:
    """True if the line is what the first moment shows, strong or not."""
    answer, line = asked
    return any(_says(moment, line) for moment in [*answer.moments, *answer.weak][:1])


def _strong(asked: Asked) -> bool:
    """True if the line is among the strong moments."""
    answer, line = asked
    return any(_says(moment, line) for moment in answer.moments)


def _says(moment: Moment, line: str) -> bool:
    return any(line in reason.text for reason in moment.reasons)


def _share(found: Iterable[bool]) -> float:
    every = list(found)
    return round(sum(every) / max(1, len(every)), 3)
