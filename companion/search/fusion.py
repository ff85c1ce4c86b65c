"""One score from several: each leg's raw score becomes 0..1, then they are weighted and joined.

Pure functions. The constants are measured; README.md in this folder shows how and with what.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from companion.search.terms import Term

T = TypeVar("T")

STRONG = 0.5
"""The floor: below it a moment is only a guess."""

# --- words: shares of the query, weighted by how rare its words are ------------------------------

PHRASE = 1.0  # the words of the query, one after the other
ALL_WORDS = 0.9  # every word, anywhere in the scene
SOME_WORDS = 0.8  # times the square of the share of words that are there: half of them is 0.2
COMMON_WORDS = 0.5  # every word, but all of them are everywhere
TIE = 0.02  # share of a words score that bm25 may take from scenes with the same words

# --- tags: guesses of a model, of which 13 in 17 are right ----------------------------------------

TAG_LEAST, TAG_SURE = 0.5, 0.75  # a tag that is all of the query, at probability 0 and 1
TAG_WORTH = 0.8  # of a word that is said; beside other words that are

# --- joining -------------------------------------------------------------------------------------

PICTURE_TO_TEXT = 0.35 / 0.5  # the default weights; both kinds count in full then
SECOND = 0.3  # how much of what is missing to 1 the weaker of words and meaning may close
LACKING = 0.3  # what a scene loses that has only the words, or only the picture, of both
QUOTE = 0.5  # the same for an exact quote that is there ...
TITLE = 0.4  # ... and for the words of the query that are in the title
TITLE_ANSWER = 0.9  # a title that is all of the query

MOST_OF_A_FILM = 0.25  # of the places, while other films have something to say ...
LEAST_OF_A_FILM = 8  # ... but so many always


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How much each kind of evidence counts, 0..1: what is said, what is seen, who is there."""

    text: float = 0.5
    picture: float = 0.35
    person: float = 0.3


@dataclass(frozen=True, slots=True)
class Logistic:
    """Turns a cosine into 0..1: `middle` becomes the floor; ten `width`s higher is certain."""

    middle: float
    width: float

    def __call__(self, cosine: float) -> float:
        return 1.0 / (1.0 + math.exp(min(60.0, (self.middle - cosine) / self.width)))


# By the name of a model, which is what its identity begins with.
CALIBRATIONS = {"use-m3": Logistic(0.38, 0.06)}
UNKNOWN_MODEL = Logistic(0.5, 0.08)

# Words to pictures: class names against a query (ConSE), and joint spaces of pictures and words.
WORDS_TO_PICTURES = {
    "efficientnet-lite0": Logistic(0.57, 0.04),
    "siglip2-base": Logistic(0.09, 0.015),
    "siglip2-so400m-384": Logistic(0.09, 0.015),
}
# Pictures to pictures.
LOOKS_ALIKE = {"efficientnet-lite0": Logistic(0.60, 0.05)}
UNKNOWN_PICTURES = Logistic(0.7, 0.06)


def calibration(model: str) -> Logistic:
    """Return how cosines of a model are read. model: its identity, `name@hash`."""
    return CALIBRATIONS.get(_name(model), UNKNOWN_MODEL)


def picture_calibration(model: str, *, by_picture: bool) -> Logistic:
    """Return how cosines of frames to a text, or to another picture, are read."""
    table = LOOKS_ALIKE if by_picture else WORDS_TO_PICTURES
    return table.get(_name(model), UNKNOWN_PICTURES)


def _name(model: str) -> str:
    return model.partition("@")[0]


def words_score(share: float) -> float:
    """Return the score of a scene that holds a share (0..1) of a query's words."""
    if share > 0.999:
        return ALL_WORDS
    return SOME_WORDS * share**2


def tag_score(share: float, chance: float) -> float:
    """Return the score of a scene whose tags name a share (0..1) of a query's words. chance: the
    probability of the surest of these tags."""
    return share**2 * (TAG_LEAST + (TAG_SURE - TAG_LEAST) * chance)


def tie(score: float, place: float) -> float:
    """Put scenes with the same words in order. place: 0 for the first by bm25, 1 for the last."""
    return score - TIE * score * min(1.0, max(0.0, place))


def inverse_frequency(scenes: int, total: int) -> float:
    """Return the weight of a word that is in so many of all scenes: BM25's, never below zero."""
    return math.log1p((max(total, scenes) - scenes + 0.5) / (scenes + 0.5))


# --- what the legs hand over ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TitleAnswer:
    """An item whose title is the answer, with the scene it begins with. share: of the query that
    is in the title, 0..1."""

    item_id: int
    share: float
    scene_id: int
    file_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Words, titles and tags. scores: scene id -> 0..1. tags: the same for what scenes show. files:
    scene id -> file id. titles: file id -> share of the query that is in its title. quoted: scenes
    that say or show an exact quote. telling: the words of the query that count, to be marked."""

    scores: Mapping[int, float] = field(default_factory=dict)
    tags: Mapping[int, float] = field(default_factory=dict)
    files: Mapping[int, int] = field(default_factory=dict)
    titles: Mapping[int, float] = field(default_factory=dict)
    quoted: Collection[int] = ()
    answers: Sequence[TitleAnswer] = ()
    telling: Sequence[Term] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Meaning. cosines: scene id -> cosine to the query, of vectors of `model` (its identity).
    parts: scene id -> the passage that is nearest. files: scene id -> file id."""

    model: str = ""
    cosines: Mapping[int, float] = field(default_factory=dict)
    parts: Mapping[int, int] = field(default_factory=dict)
    files: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """Pictures. cosines: scene id -> cosine of its nearest frame. frames: scene id -> when that is
    shown, in ms. files: scene id -> file id. by_picture: it was a picture that was asked for."""

    model: str = ""
    cosines: Mapping[int, float] = field(default_factory=dict)
    frames: Mapping[int, int] = field(default_factory=dict)
    files: Mapping[int, int] = field(default_factory=dict)
    by_picture: bool = False


NOTHING_SAID = Said()
NOTHING_NEAR = Near()
NOTHING_LOOKED_AT = Looked()


# --- joining -------------------------------------------------------------------------------------


class Evidence(NamedTuple):
    """What the legs say of one scene, each 0..1; 0 where a leg found nothing. quote: an exact
    quote is said in it. answer: the title of its film is what was asked for. picture: how near a
    frame is; tag: words of the query name what it shows."""

    words: float = 0.0
    meaning: float = 0.0
    title: float = 0.0
    quote: bool = False
    answer: bool = False
    picture: float = 0.0
    tag: float = 0.0

    @property
    def seen(self) -> float:
        """What the picture says. Tags and nearness come from one model, so they do not add up."""
        return max(self.picture, self.tag)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A scene with its score. part: the passage that is nearest in meaning. frame_ms: when the
    nearest frame is shown. item_id: of the title that is the answer."""

    scene_id: int
    file_id: int
    score: float
    evidence: Evidence
    part: int = 0
    frame_ms: int | None = None
    item_id: int | None = None

    @property
    def strong(self) -> bool:
        return self.score >= STRONG


def fuse(
    said: Said,
    near: Near,
    weights: Weights,
    *,
    limit: int,
    looked: Looked = NOTHING_LOOKED_AT,
    together: bool = False,
) -> list[Candidate]:
    """Join the legs into one list of at most `limit`, best first; equals in a fixed order.

    together: words and a picture were asked for, so that scenes that have both come first.
    """
    read = calibration(near.model)
    meanings = {scene_id: read(cosine) for scene_id, cosine in near.cosines.items()}
    see = picture_calibration(looked.model, by_picture=looked.by_picture)
    seen = {scene_id: see(cosine) for scene_id, cosine in looked.cosines.items()}
    answers = {answer.scene_id: answer for answer in said.answers}
    files = {
        **looked.files,
        **near.files,
        **said.files,
        **{each.scene_id: each.file_id for each in said.answers},
    }
    found = []
    for scene_id in {*said.scores, *said.tags, *meanings, *answers, *seen}:
        evidence = Evidence(
            said.scores.get(scene_id, 0.0),
            meanings.get(scene_id, 0.0),
            said.titles.get(files[scene_id], 0.0),
            scene_id in said.quoted,
            scene_id in answers,
            seen.get(scene_id, 0.0),
            said.tags.get(scene_id, 0.0),
        )
        found.append(
            (-score(evidence, weights, together=together), files[scene_id], scene_id, evidence)
        )
    return [
        Candidate(
            scene_id=scene_id,
            file_id=file_id,
            score=-negative,
            evidence=evidence,
            part=near.parts.get(scene_id, 0),
            frame_ms=looked.frames.get(scene_id),
            item_id=answers[scene_id].item_id if evidence.answer else None,
        )
        for negative, file_id, scene_id, evidence in sorted(found)[:limit]
    ]


def spread(found: Sequence[T], limit: int, film: Callable[[T], int]) -> list[T]:
    """Return the best `limit`, in order, such that no film takes more than its part of the places
    while others have something to say. found: best first. film: its id."""
    most = max(LEAST_OF_A_FILM, int(limit * MOST_OF_A_FILM))
    taken: dict[int, int] = {}
    first: list[int] = []
    later: list[int] = []
    for place, each in enumerate(found):
        file_id = film(each)
        taken[file_id] = taken.get(file_id, 0) + 1
        (first if taken[file_id] <= most else later).append(place)
    return [found[place] for place in sorted([*first, *later][:limit])]


def score(evidence: Evidence, weights: Weights, *, together: bool = False) -> float:
    """Return the score of a scene, 0..1: the weighted mean of the kinds of evidence that were
    looked for, with quote and title on top.

    What is said and what is seen need not agree: the better counts, raised a little by the other.
    Their weights matter only against each other, but a weight of 0 leaves that kind out. together:
    both were asked for, so what lacks one of them loses by that.
    """
    text = text_score(evidence.words, evidence.meaning) if weights.text > 0 else 0.0
    seen = evidence.seen if weights.picture > 0 else 0.0
    if text > 0 and seen > 0:
        seen *= _share(weights.picture, PICTURE_TO_TEXT * weights.text)
        text *= _share(weights.text, weights.picture / PICTURE_TO_TEXT)
    more, less = max(text, seen), min(text, seen)
    if together:
        both = more * (1 - LACKING * (1 - less))
    else:
        both = raised(more, SECOND * less) if less > 0 else more
    if not evidence.quote and evidence.title <= 0:
        return both
    lifted = raised(raised(both, QUOTE * evidence.quote), TITLE * evidence.title)
    return max(lifted, TITLE_ANSWER * evidence.title) if evidence.answer else lifted


def _share(weight: float, par: float) -> float:
    """Return how much a kind of evidence counts beside the other: in full from par on."""
    return min(1.0, weight / par)


def text_score(words: float, meaning: float) -> float:
    """Join what words and meaning say: the better one, raised a little by the other."""
    return raised(max(words, meaning), SECOND * min(words, meaning))


def raised(value: float, by: float) -> float:
    """Close a share `by` (0..1) of what is missing from value to 1."""
    return min(1.0, value + (1.0 - value) * by)
