"""Search: ask the legs side by side, fuse, explain.

    answer = await Search(store, config, children.encode).ask("dad falls into the lake")

The leg of meaning waits for a model in another process; when that has nothing to say, words answer
alone and a note tells why.
"""

import asyncio
import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from companion.config import Config
from companion.errors import FeatureOff, QueryError
from companion.model import OWNER, Answer, Viewer
from companion.search import drafts, examples, fusion, legs, marks, moments, pictures
from companion.search.bounds import Within
from companion.search.encoding import OFF, PICTURES, Encode, Encoding, NoVector, Vector
from companion.search.fusion import Candidate, Looked, Near, Said, Weights
from companion.search.legs import Sought
from companion.search.pictures import LookAt, Picture
from companion.search.query import Mode, Query, parse
from companion.store.codes import Codes
from companion.store.db import Store

GUESSES = 12  # of an answer that has few strong moments
SPARE = 4  # drafts beyond the limit: scenes of one line become one moment
CANDIDATES_A_PLACE = 3  # so that other films come up behind one that has many
NOT_READ = "No scene has been read for meaning yet"
NOT_SEEN = "No picture has been read yet"
NOT_LOOKED_AT = "This scene has not been looked at yet"


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question. places: how many moments are to be shown, and some to spare. alike: vectors of
    the pictures that are asked for, if any are; apart: a scene that is not to be found. turn:
    models are waited for side by side, but the store is read one leg after the other, because
    threads that share Python's lock take longer than one."""

    within: Within
    mode: Mode
    weights: Weights
    places: int
    alike: Sequence[Vector] = ()
    apart: int | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def query(self) -> Query:
        return self.within.query


_Noted = tuple[str, ...]


class Search:
    """encode: gives vectors from the model of meaning; None if there is none. see: the same from
    the model of pictures, for words that frames are compared with. look_at: gives the vector of a
    picture that lies at a path."""

    def __init__(
        self,
        store: Store,
        config: Config,
        encode: Encode | None,
        see: Encode | None = None,
        look_at: LookAt | None = None,
    ) -> None:
        self._store = store
        self._config = config
        self._codes = Codes()
        self._encoding = Encoding(encode if config.features.semantic_search else None)
        self._seeing = Encoding(see if config.features.vision else None, PICTURES)
        self._look_at = look_at if config.features.vision else None

    async def look(self, data: bytes) -> Picture:
        """Return a picture that can be asked for. data: the bytes of a file that somebody gave.

        Raises FeatureOff, PictureRefused with a reason in words, ModelMissing or ScanFailed.
        """
        return await pictures.look(data, self._look_at, self._config.cache / "asked")

    async def ask(  # noqa: PLR0913  # what may be asked for, by name
        self,
        text: str,
        *,
        viewer: Viewer = OWNER,
        mode: Mode = Mode.BOTH,
        limit: int = 60,
        weights: Weights | None = None,
        picture: Picture | None = None,
        like: int | None = None,
    ) -> Answer:
        """Return the moments that a viewer may see, best first, at most `limit`.

        weights: default from the configuration. picture: what `look` made; like: id of a scene;
        either is searched for by what it shows, alone (text is "" then) or with words.
        Raises QueryError if the text is no query, and FeatureOff if only meaning, or a picture, is
        asked for and that is switched off.
        """
        began = time.perf_counter()
        if picture is not None and like is not None:
            raise QueryError("ask for a picture or for scenes like one, not for both")
        by_picture = picture is not None or like is not None
        self._refuse_what_is_off(mode, by_picture=by_picture)
        query = parse(text, alone=not by_picture)
        alike = [] if picture is None else [picture.vector]
        if like is not None:
            alike += await self._store.read(legs.looks_of_scene, like, viewer)
            if not alike:
                return Answer(query=text, moments=(), notes=(NOT_LOOKED_AT,))
        if not query.terms and not alike:
            return Answer(query=text, moments=())
        asked = _Asked(
            Within(query, viewer),
            mode,
            weights or self._weights(),
            limit + SPARE,
            tuple(alike),
            like,
        )
        answer = await self._answer(asked, limit)
        return replace(answer, took_ms=round((time.perf_counter() - began) * 1000, 1))

    def _refuse_what_is_off(self, mode: Mode, *, by_picture: bool) -> None:
        """Raise FeatureOff if there would be nothing to ask."""
        if mode is Mode.MEANING and self._encoding.off:
            raise FeatureOff(f"{OFF}: set features.semantic_search = true in heimdex.toml")
        if by_picture and not self._config.features.vision:
            raise FeatureOff(pictures.SWITCHED_OFF)

    async def _answer(self, asked: _Asked, limit: int) -> Answer:
        said, (near, unmeant), (looked, unseen) = await self._ask_legs(asked)
        candidates = fusion.fuse(
            said,
            near,
            asked.weights,
            limit=max(legs.CANDIDATES, CANDIDATES_A_PLACE * asked.places),
            looked=looked,
            together=bool(asked.alike and asked.query.wanted),
        )
        wanted = marks.wanted(asked.query, said.telling)
        found = await self._store.read(
            drafts.drafts, _chosen(candidates, limit), wanted, asked.within.viewer
        )
        shown = moments.moments(found)
        strong = [moment for moment in shown if moment.strong]
        return Answer(
            query=asked.query.text,
            moments=tuple(fusion.spread(strong, limit, lambda moment: moment.file.id)),
            weak=tuple(moment for moment in shown if not moment.strong),
            notes=tuple(dict.fromkeys((*unmeant, *unseen))),
        )

    async def examples(self, viewer: Viewer = OWNER) -> list[str]:
        """Return up to three queries that find something in what the viewer may see."""
        return await self._store.read(examples.examples, viewer)

    async def _ask_legs(
        self, asked: _Asked
    ) -> tuple[Said, tuple[Near, _Noted], tuple[Looked, _Noted]]:
        try:
            async with asyncio.TaskGroup() as every:
                words = every.create_task(self._said(asked))
                meaning = every.create_task(self._meant(asked))
                seen = every.create_task(self._looked(asked))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return words.result(), meaning.result(), seen.result()

    async def _said(self, asked: _Asked) -> Said:
        if asked.mode is Mode.MEANING or not asked.query.terms:
            return fusion.NOTHING_SAID
        tags = self._config.features.vision and asked.weights.picture > 0
        async with asked.turn:
            return await self._store.read(
                functools.partial(legs.said, tags=tags), asked.within, asked.places
            )

    async def _meant(self, asked: _Asked) -> tuple[Near, _Noted]:
        """Ask the leg of meaning; what it cannot do is said in notes."""
        if asked.mode is Mode.WORDS or not asked.query.wanted:
            return fusion.NOTHING_NEAR, ()
        try:
            vector = await self._encoding.query(asked.query.wanted)
        except NoVector as note:
            return fusion.NOTHING_NEAR, (str(note),)
        async with asked.turn:
            near = await self._store.read(legs.near, asked.within, vector, self._codes)
        return (near, ()) if near is not None else (fusion.NOTHING_NEAR, (NOT_READ,))

    async def _looked(self, asked: _Asked) -> tuple[Looked, _Noted]:
        """Ask the pictures, with those that were given or with words; notes as above."""
        if asked.weights.picture <= 0:
            return fusion.NOTHING_LOOKED_AT, ()
        vectors = asked.alike
        if not vectors:
            if asked.mode is Mode.WORDS or not asked.query.wanted:
                return fusion.NOTHING_LOOKED_AT, ()
            if self._seeing.off:
                return fusion.NOTHING_LOOKED_AT, self._off()
            try:
                vectors = [await self._seeing.query(asked.query.wanted)]
            except NoVector as note:
                return fusion.NOTHING_LOOKED_AT, (str(note),)
        async with asked.turn:
            found = await self._store.read(
                legs.looked,
                asked.within,
                Sought(vectors, by_picture=bool(asked.alike), apart=asked.apart),
                self._codes,
            )
        return (found, ()) if found is not None else (fusion.NOTHING_LOOKED_AT, (NOT_SEEN,))

    def _off(self) -> _Noted:
        return () if self._config.features.vision else (pictures.OFF,)

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
