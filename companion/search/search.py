"""Search: ask the legs side by side, fuse, explain.

    answer = await Search(store, config, children.encode).ask("dad falls into the lake")

The leg of meaning waits for a model in another process; when that has nothing to say, words answer
alone and a note tells why.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from companion.config import Config
from companion.errors import FeatureOff
from companion.model import OWNER, Answer, Viewer
from companion.search import drafts, examples, fusion, legs, marks, moments
from companion.search.encoding import OFF, Encode, Encoding, NoVector
from companion.search.fusion import Candidate, Looked, Near, Said, Weights
from companion.search.query import Mode, Query, parse
from companion.store.codes import Codes
from companion.store.db import Store

GUESSES = 12  # of an answer that has few strong moments
SPARE = 4  # drafts beyond the limit: scenes of one line become one moment
CANDIDATES_A_PLACE = 3  # so that other films come up behind one that has many
NOT_READ = "No scene has been read for meaning yet"


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question. places: how many moments are to be shown, and some to spare. turn: models are
    waited for side by side, but the store is read one leg after the other, because threads that
    share Python's lock take longer than one."""

    query: Query
    viewer: Viewer
    mode: Mode
    weights: Weights
    places: int
    turn: asyncio.Lock


class Search:
    """encode: gives vectors from the model of meaning; None if there is none. see: the same from
    the model of pictures, for words that frames are compared with."""

    def __init__(
        self, store: Store, config: Config, encode: Encode | None, see: Encode | None = None
    ) -> None:
        self._store = store
        self._config = config
        self._codes = Codes()
        self._encoding = Encoding(encode if config.features.semantic_search else None)
        self._seeing = Encoding(see if config.features.vision else None)

    async def ask(
        self,
        text: str,
        *,
        viewer: Viewer = OWNER,
        mode: Mode = Mode.BOTH,
        limit: int = 60,
        weights: Weights | None = None,
    ) -> Answer:
        """Return the moments that a viewer may see, best first, at most `limit`.

        weights: default from the configuration. Raises QueryError if the text is no query, and
        FeatureOff if only meaning is asked for and that is switched off.
        """
        began = time.perf_counter()
        if mode is Mode.MEANING and self._encoding.off:
            raise FeatureOff(f"{OFF}: set features.semantic_search = true in heimdex.toml")
        query = parse(text)
        if not query.terms:
            return Answer(query=text, moments=())
        asked = _Asked(
            query, viewer, mode, weights or self._weights(), limit + SPARE, asyncio.Lock()
        )
        said, (near, notes), looked = await self._ask_legs(asked)
        candidates = fusion.fuse(
            said,
            near,
            asked.weights,
            limit=max(legs.CANDIDATES, CANDIDATES_A_PLACE * asked.places),
            looked=looked,
        )
        chosen = _chosen(candidates, limit)
        wanted = marks.wanted(query, said.telling)
        found = await self._store.read(drafts.drafts, chosen, wanted, viewer)
        shown = moments.moments(found)
        strong = [moment for moment in shown if moment.strong]
        return Answer(
            query=text,
            moments=tuple(fusion.spread(strong, limit, lambda moment: moment.file.id)),
            weak=tuple(moment for moment in shown if not moment.strong),
            notes=notes,
            took_ms=round((time.perf_counter() - began) * 1000, 1),
        )

    async def examples(self, viewer: Viewer = OWNER) -> list[str]:
        """Return up to three queries that find something in what the viewer may see."""
        return await self._store.read(examples.examples, viewer)

    async def _ask_legs(self, asked: _Asked) -> tuple[Said, tuple[Near, tuple[str, ...]], Looked]:
        try:
            async with asyncio.TaskGroup() as every:
                words = every.create_task(self._said(asked))
                meaning = every.create_task(self._meant(asked))
                seen = every.create_task(self._looked(asked))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return words.result(), meaning.result(), seen.result()

    async def _said(self, asked: _Asked) -> Said:
        if asked.mode is Mode.MEANING:
            return fusion.NOTHING_SAID
        async with asked.turn:
            return await self._store.read(legs.said, asked.query, asked.viewer, asked.places)

    async def _looked(self, asked: _Asked) -> Looked:
        """Ask the pictures. What they cannot do yet is told by the indexing page, not in a note."""
        text = asked.query.wanted
        if asked.mode is Mode.WORDS or self._seeing.off or not text or asked.weights.picture <= 0:
            return fusion.NOTHING_LOOKED_AT
        try:
            vector = await self._seeing.query(text)
        except NoVector:
            return fusion.NOTHING_LOOKED_AT
        async with asked.turn:
            found = await self._store.read(
                legs.looked, asked.query, asked.viewer, vector, self._codes
            )
        return fusion.NOTHING_LOOKED_AT if found is None else found

    async def _meant(self, asked: _Asked) -> tuple[Near, tuple[str, ...]]:
        """Ask the leg of meaning; what it cannot do is said in notes."""
        if asked.mode is Mode.WORDS or not asked.query.wanted:
            return fusion.NOTHING_NEAR, ()
        try:
            vector = await self._encoding.query(asked.query.wanted)
        except NoVector as note:
            return fusion.NOTHING_NEAR, (str(note),)
        async with asked.turn:
            near = await self._store.read(legs.near, asked.query, asked.viewer, vector, self._codes)
        return (near, ()) if near is not None else (fusion.NOTHING_NEAR, (NOT_READ,))

    def _weights(self) -> Weights:
        search = self._config.search
        return Weights(
            text=search.text_weight, picture=search.vision_weight, person=search.person_boost
        )


def _chosen(candidates: Sequence[Candidate], limit: int) -> list[Candidate]:
    """Return what is above the floor and, if that is little, the nearest guesses below it."""
    good = [each for each in candidates if each.strong]
    chosen = fusion.spread(good, limit + SPARE, lambda each: each.file_id)
    return chosen + list(candidates[len(good) :][: max(0, min(GUESSES, limit) - len(chosen))])
