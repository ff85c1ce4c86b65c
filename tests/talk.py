"""Films that only talk: lines, scenes and vectors put into a store by hand, for tests of search.

`Meanings` stands in for the model of meaning: texts about the same things are near each other.
"""

import asyncio
import math
import os
import random
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import apsw

from companion import commits
from companion.findings import Line, MediaInfo, OnscreenText, PictureVector, Scene, Tags, Word
from companion.model import (
    File,
    ItemKind,
    LibraryKind,
    ListedItem,
    ListedLibrary,
    ListedPart,
    Source,
    Stat,
)
from companion.store import findings, folding, library, pictures, vectors
from companion.store.pictures import Box
from scanners.base import Encoded
from scanners.passages import passages

NOW_MS = 1_700_000_000_000
SCENE_MS = 6_000
MODEL = "meanings@test"
DIMS = 64


def put(
    connection: apsw.Connection,
    title: str,
    scenes: Sequence[str | Sequence[str]],
    *,
    shelf: str = "Home Videos",
    show: str = "",
    year: int | None = None,
    meanings: "Meanings | None" = None,
) -> File:
    """Keep a film whose scenes follow each other every SCENE_MS. Each has one line or several,
    which share its time evenly. With meanings, each scene gets the vector of its text."""
    file = put_file(connection, title, shelf=shelf, show=show, year=year)
    spoken = [[each] if isinstance(each, str) else list(each) for each in scenes]
    lines = []
    for number, texts in enumerate(spoken):
        step = SCENE_MS // max(1, len(texts))
        for place, text in enumerate(texts):
            start_ms = number * SCENE_MS + place * step
            lines.append(Line(start_ms, start_ms + step, text))
    put_lines(
        connection, file.id, lines, [(n * SCENE_MS, (n + 1) * SCENE_MS) for n in range(len(spoken))]
    )
    if meanings is not None:
        put_vectors(connection, file.id, meanings)
    return file


def put_file(
    connection: apsw.Connection,
    title: str,
    *,
    shelf: str = "Home Videos",
    show: str = "",
    year: int | None = None,
) -> File:
    """Keep a film of which nothing was found yet."""
    server = library.save_server(connection, kind="folder", name="folders", now_ms=NOW_MS)
    listed = ListedLibrary(external_id=shelf, name=shelf, kind=LibraryKind.HOME_VIDEOS)
    library_id = library.save_library(connection, server, listed)
    name = f"{shelf}/{show}/{title}"
    number = zlib.crc32(name.encode())
    path = f"/videos/{name}.mkv".encode()
    file_id = library.save_file(connection, fingerprint=f"fp:{number:032x}", size=1, now_ms=NOW_MS)
    media = MediaInfo(container="matroska", duration_ms=600_000)
    library.keep_media(connection, file_id, media)
    stat = Stat(device=1, inode=number, size=1, mtime_ns=1)
    path_id = library.save_path(connection, path, stat, file_id=file_id, now_ms=NOW_MS)
    item = ListedItem(
        external_id=name,
        kind=ItemKind.EPISODE if show else ItemKind.HOME_VIDEO,
        title=title,
        show_title=show,
        year=year,
        parts=(ListedPart(path=path),),
        added_at_ms=NOW_MS,
    )
    library.save_item(connection, library_id, item, {path: path_id})
    file = library.file(connection, file_id)
    assert file is not None
    return file


def put_lines(
    connection: apsw.Connection,
    file_id: int,
    lines: Sequence[Line],
    scenes: Sequence[tuple[int, int]],
) -> None:
    """Keep lines and scenes (start and end in ms) of a film and make its words searchable."""
    findings.keep_lines(connection, file_id, Source.SUBTITLE, lines)
    made = [Scene(start, end, (start + end) // 2) for start, end in scenes]
    findings.keep_scenes(connection, file_id, made, provisional=False)
    commits.index_words(connection, file_id)


def put_vectors(connection: apsw.Connection, file_id: int, meanings: "Meanings") -> None:
    """Keep the vector of every passage, as the stage of meaning makes them."""
    model = vectors.model_id(connection, meanings.model, "meaning", DIMS)
    for scene, lines in commits.scene_lines(connection, file_id):
        for part, passage in enumerate(passages([line.text for line in lines])):
            vectors.put(connection, model, scene.id, part, meanings.vector(passage.text))


def timed(text: str, start_ms: int, end_ms: int) -> Line:
    """Return a line as speech recognition gives it: every word with its time, evenly."""
    texts = text.split(" ")
    step = (end_ms - start_ms) // len(texts)
    words = tuple(Word(start_ms + place * step, f" {each}") for place, each in enumerate(texts))
    return Line(start_ms, end_ms, text, "en", words)


def unit(numbers: Sequence[float]) -> bytes:
    """Return numbers as a float16 vector of unit length."""
    length = math.sqrt(sum(number * number for number in numbers))
    return struct.pack(f"<{len(numbers)}e", *(number / length for number in numbers))


class Meanings:
    """Encodes texts by what their words are about. about: word -> topic; words of one topic mean
    the same. Counts what it was asked, and fails with `error` if that is set."""

    def __init__(self, about: Mapping[str, str], *, model: str = MODEL) -> None:
        self.about = dict(about)
        self.model = model
        self.asked: list[tuple[str, ...]] = []
        self.error: Exception | None = None

    async def encode(self, texts: Sequence[str]) -> Encoded:
        self.asked.append(tuple(texts))
        if self.error is not None:
            raise self.error
        made = tuple(self.vector(text) for text in texts)
        return Encoded(id=1, model=self.model, dims=DIMS, vectors=made)

    def vector(self, text: str) -> bytes:
        total = [0.0] * DIMS
        for run in folding.runs_of(text):
            topic = self.about.get(run.text)
            weight = 1.0 if topic else 0.3
            for place, number in enumerate(_direction(topic or run.text)):
                total[place] += weight * number
        return unit(total if any(total) else _direction(text))


def _direction(name: str) -> list[float]:
    source = random.Random(name)
    return [source.gauss(0, 1) for _ in range(DIMS)]


def shown(text: str, start_ms: int, end_ms: int, box: Box = (0.1, 0.2, 0.3, 0.1)) -> OnscreenText:
    return OnscreenText(start_ms, end_ms, text, box, 0.95)


def put_texts(connection: apsw.Connection, file_id: int, texts: Sequence[OnscreenText]) -> None:
    """Keep what is written in the picture and make its words searchable."""
    pictures.keep_onscreen(connection, file_id, texts)
    commits.index_words(connection, file_id)


# --- pictures ------------------------------------------------------------------------------------

LOOKS_MODEL = "efficientnet-lite0@test"
WORDS_MODEL = "efficientnet-lite0@test+meanings@test"


class Looks:
    """Looks at pictures whose bytes are their names: two that begin with the same word are alike.

    Vectors of frames in a space with words come from `meanings`, as the names of classes give them.
    """

    def __init__(self, meanings: "Meanings") -> None:
        self._meanings = meanings
        self.asked: list[bytes] = []
        self.error: Exception | None = None

    async def look_at(self, path: bytes) -> Encoded:
        content = await asyncio.to_thread(Path(os.fsdecode(path)).read_bytes)
        self.asked.append(content)
        if self.error is not None:
            raise self.error
        made = self.vector(content.decode())
        return Encoded(id=1, model=LOOKS_MODEL, dims=DIMS, vectors=(made,))

    async def see(self, texts: Sequence[str]) -> Encoded:
        made = tuple(self._meanings.vector(text) for text in texts)
        return Encoded(id=1, model=WORDS_MODEL, dims=DIMS, vectors=made)

    def shows(self, name: str) -> bytes:
        return self._meanings.vector(name)

    def vector(self, name: str) -> bytes:
        """Return what a picture looks like. The cosine of two alike is about 0.9."""
        kind, own = _direction(name.partition(" ")[0]), _direction(f"{name}, a picture")
        return unit([one + 0.33 * other for one, other in zip(kind, own, strict=True)])


def put_frames(
    connection: apsw.Connection, file_id: int, scenes: Mapping[int, Sequence[str]], looks: Looks
) -> None:
    """Keep the frames of scenes by number: what each looks like, and what it shows as words say."""
    found = []
    for number, names in scenes.items():
        for place, name in enumerate(names):
            at_ms = number * SCENE_MS + 1_000 * (place + 1)
            found.append(PictureVector(at_ms, "looks", looks.vector(name)))
            found.append(PictureVector(at_ms, "words", looks.shows(name)))
    identities = {"looks": LOOKS_MODEL, "words": WORDS_MODEL}
    pictures.keep_vectors(connection, file_id, found, identities)


def put_tags(
    connection: apsw.Connection, file_id: int, scenes: Mapping[int, Mapping[str, float]]
) -> None:
    """Keep what a frame in the middle of each scene, by number, shows: name -> probability."""
    pictures.keep_tags(
        connection,
        file_id,
        [
            Tags(number * SCENE_MS + SCENE_MS // 2, tuple(shows.items()))
            for number, shows in scenes.items()
        ],
    )
