"""The vectors of what is asked, from the encoder child, remembered for a while.

A model that is missing or does not answer is no error here: words still answer, and a note says
what could not be searched.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from companion.errors import CompanionError, ModelMissing
from scanners.base import Encoded

log = logging.getLogger(__name__)

Encode = Callable[[Sequence[str]], Awaitable[Encoded]]

KEPT_QUERIES = 256  # 1 KB each at 512 numbers
ENCODE_LIMIT_S = 20.0  # a cold start on a slow machine loads the model first

MEANING, PICTURES = "Meaning search", "Picture search"
OFF = f"{MEANING} is off"


@dataclass(frozen=True, slots=True)
class Vector:
    """float16 numbers and the identity of the model that made them."""

    model: str
    float16: bytes


class NoVector(Exception):
    """Meaning, or pictures, cannot be searched now; the message is a note for people."""


class Encoding:
    """encode: None if it is switched off. what: what it is for, in notes."""

    def __init__(self, encode: Encode | None, what: str = MEANING) -> None:
        self._encode = encode
        self._what = what
        self._kept: OrderedDict[str, Vector] = OrderedDict()

    @property
    def off(self) -> bool:
        return self._encode is None

    async def query(self, text: str) -> Vector:
        """Return the vector of a query. Raises NoVector with a note."""
        if text in self._kept:
            self._kept.move_to_end(text)
            return self._kept[text]
        vector = await self._ask(text)
        self._kept[text] = vector
        while len(self._kept) > KEPT_QUERIES:
            self._kept.popitem(last=False)
        return vector

    async def _ask(self, text: str) -> Vector:
        if self._encode is None:
            raise NoVector(f"{self._what} is off")
        try:
            async with asyncio.timeout(ENCODE_LIMIT_S):
                encoded = await self._encode([text])
        except ModelMissing:
            raise NoVector(f"{self._what} lacks its model: run `heimdex models get`") from None
        except TimeoutError:
            log.warning("encoder too slow limit_s=%.0f", ENCODE_LIMIT_S)
            raise NoVector(f"{self._what} did not answer in time; try again") from None
        except CompanionError as error:
            log.warning("encoder failed: %s", error)
            raise NoVector(f"{self._what} does not answer now: {error}") from error
        if len(encoded.vectors) != 1:
            log.warning("encoder gave vectors=%d for one text", len(encoded.vectors))
            raise NoVector(f"{self._what} does not answer now: the encoder gave no vector")
        return Vector(encoded.model, encoded.vectors[0])
