"""The vectors of what is asked, from the encoder child, remembered for a while.

A model that is missing or does not answer is no error here: words still answer, and a note says
what could not be searched.
"""

import asyncio
import logging
import struct
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from operator import mul

from companion.errors import CompanionError, ModelMissing
from scanners.base import Encoded

log = logging.getLogger(__name__)

Encode = Callable[[Sequence[str]], Awaitable[Encoded]]

KEPT_QUERIES = 256
KEPT_LINES = 4_096  # 1 KB each at 512 numbers
ENCODE_LIMIT_S = 20.0  # a cold start on a slow machine loads the model first

OFF = "Meaning search is off"
MISSING = "The meaning model is missing: run `heimdex models get`"


@dataclass(frozen=True, slots=True)
class Vector:
    """float16 numbers and the identity of the model that made them."""

    model: str
    float16: bytes


class NoVector(Exception):
    """Meaning cannot be searched now; the message is a note for people."""


class Encoding:
    """encode: None if meaning search is switched off."""

    def __init__(self, encode: Encode | None) -> None:
        self._encode = encode
        self._queries = _Kept(KEPT_QUERIES)
        self._lines = _Kept(KEPT_LINES)

    @property
    def off(self) -> bool:
        return self._encode is None

    async def query(self, text: str) -> Vector:
        """Return the vector of a query. Raises NoVector with a note."""
        kept = self._queries.get(text)
        if kept is None:
            (kept,) = await self._ask([text])
            self._queries.keep(text, kept)
        return kept

    async def nearness(self, query: Vector, texts: Sequence[str]) -> dict[str, float]:
        """Return the cosine of each text to the query; nothing if the model does not answer."""
        known = {text: kept for text in texts if (kept := self._lines.get(text))}
        unknown = [text for text in dict.fromkeys(texts) if text not in known]
        if unknown:
            try:
                made = await self._ask(unknown)
            except NoVector:
                return {}
            for text, vector in zip(unknown, made, strict=True):
                known[text] = vector
                self._lines.keep(text, vector)
        numbers = _numbers(query.float16)
        return {
            text: sum(map(mul, numbers, _numbers(vector.float16)))
            for text, vector in known.items()
            if (vector.model, len(vector.float16)) == (query.model, len(query.float16))
        }

    async def _ask(self, texts: Sequence[str]) -> list[Vector]:
        if self._encode is None:
            raise NoVector(OFF)
        try:
            async with asyncio.timeout(ENCODE_LIMIT_S):
                encoded = await self._encode(texts)
        except ModelMissing:
            raise NoVector(MISSING) from None
        except TimeoutError:
            log.warning("encoder too slow limit_s=%.0f", ENCODE_LIMIT_S)
            raise NoVector("Meaning search did not answer in time; try again") from None
        except CompanionError as error:
            log.warning("encoder failed: %s", error)
            raise NoVector(f"Meaning search does not answer now: {error}") from error
        if len(encoded.vectors) != len(texts):
            log.warning("encoder gave vectors=%d texts=%d", len(encoded.vectors), len(texts))
            raise NoVector("Meaning search does not answer now: the encoder gave no vector")
        return [Vector(encoded.model, vector) for vector in encoded.vectors]


class _Kept:
    """What was used last, up to a number of entries."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[str, Vector] = OrderedDict()

    def get(self, text: str) -> Vector | None:
        if text in self._entries:
            self._entries.move_to_end(text)
        return self._entries.get(text)

    def keep(self, text: str, vector: Vector) -> None:
        self._entries[text] = vector
        self._entries.move_to_end(text)
        while len(self._entries) > self._limit:
            self._entries.popitem(last=False)


def _numbers(float16: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(float16) // 2}e", float16)
