"""Moments, answers and states that a test of pages wants to see drawn."""

from dataclasses import replace
from typing import Any

from companion.findings import MediaInfo
from companion.model import (
    Answer,
    Coverage,
    File,
    IndexingStatus,
    Item,
    ItemKind,
    Leg,
    Moment,
    Reason,
    Span,
    Viewer,
)
from companion.search.encoding import Vector
from companion.search.pictures import Picture
from webui.links import Links, moment_id

LINKS = Links("", "v1")


def moment(*, at_ms: int = 1_000, strong: bool = True, item: int = 1, score: float = 0.9) -> Moment:
    file = File(
        id=item,
        public_id=f"file{item}",
        fingerprint=f"fp:{item}",
        size=1,
        media=None,
        paths=(b"/films/Lake.mp4",),
    )
    film = Item(
        id=item,
        public_id=f"item{item}",
        library_id=1,
        library="Films",
        kind=ItemKind.MOVIE,
        title=f"Lake {item}",
        show_title="",
        season=None,
        episode=None,
        year=2004,
        added_at_ms=0,
    )
    reason = Reason(
        leg=Leg.WORDS, score=score, text="the lake", marks=(Span(start=4, end=8),), at_ms=at_ms
    )
    return Moment(
        public_id=moment_id(file, at_ms),
        file=file,
        item=film,
        scene_id=1,
        start_ms=at_ms,
        end_ms=at_ms + 2_000,
        at_ms=at_ms,
        still_ms=at_ms,
        score=score,
        strong=strong,
        reasons=(reason, replace(reason, leg=Leg.MEANING, text="")),
    )


class OneAnswer:
    """Search that gives what the test says."""

    def __init__(self, answer: Answer | Exception) -> None:
        self.answer = answer

    async def ask(self, text: str, **_: object) -> Answer:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def look(self, data: bytes) -> Picture:
        if isinstance(self.answer, Exception):
            raise self.answer
        return Picture(Vector("looks@test", data))

    async def examples(self, viewer: Viewer) -> list[str]:
        return []


def indexing(**changes: Any) -> IndexingStatus:
    base = IndexingStatus(
        coverage=Coverage(files=7, film_ms=36_000_000, words=3, pictures=1, meaning=2),
        running=(),
        waiting={"words": 0, "picture": 4, "speech": 1, "meaning": 0},
        holds=("The picture is read from 01:00 to 07:00.",),
        failures=(),
        remaining_s=None,
    )
    return replace(base, **changes)


class Told:
    """An indexer with one thing to tell."""

    def __init__(self, status: IndexingStatus) -> None:
        self._status = status

    async def status(self, viewer: Viewer) -> IndexingStatus:
        return self._status


def film(duration_ms: int) -> File:
    """Return a file of this length."""
    return replace(moment().file, media=MediaInfo(container="mp4", duration_ms=duration_ms))
