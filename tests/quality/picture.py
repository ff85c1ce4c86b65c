"""Are pictures found by pictures, and by words? On real pictures and frames, with the real models.

Query by picture: every picture and frame is cropped, made smaller, compressed again, flipped, and
all of that together; it must find itself among all others. Words: forty descriptions that were
written before any result was looked at (descriptions.json). The embedded profile knows a thousand
things by name: half of the descriptions are of things, half of people, places and actions, of which
it knows none.

The floors of `companion.search.fusion` are judged here too: how much of what is right lies above
them, and how much of what is wrong. "Wrong" is the nearest picture that is of something else.

    python -m tests.quality.picture
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from companion.errors import ModelMissing
from companion.search import fusion
from scanners import fetch, picture
from scanners.base import Options
from scanners.frames import Image
from scanners.looking import LOOKS, WORDS, Vectors
from scanners.picture import PictureWords
from tests import real_pictures
from tests.figures import Skipped

LIMITS = {
    "query_by_picture_recall_at_1": ">= 0.95",
    "words_to_pictures_of_things_recall_at_3": ">= 0.50",
}
NEEDED = {"picture": "efficientnet-lite0", "meaning": "use-m3"}
DESCRIPTIONS = json.loads(Path(__file__).with_name("descriptions.json").read_text("utf-8"))
NEXT_S = 0.4  # a frame this much later is another picture of the same scene


def cropped(rgb: Image) -> Image:
    """Keep 80 % of each side, off the middle."""
    height, width = rgb.shape[:2]
    return rgb[height // 10 : height * 9 // 10, width // 20 : width * 17 // 20]


def smaller(rgb: Image) -> Image:
    """Make it 200 px wide, as a thumbnail from a web page."""
    height = max(1, round(rgb.shape[0] * 200 / rgb.shape[1]))
    return np.asarray(cv2.resize(rgb, (200, height), interpolation=cv2.INTER_AREA), np.uint8)


def compressed(rgb: Image) -> Image:
    """Make a poor JPEG of it."""
    _, data = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, 25])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def flipped(rgb: Image) -> Image:
    return np.ascontiguousarray(rgb[:, ::-1])


CHANGES: dict[str, Callable[[Image], Image]] = {
    "cropped": cropped,
    "smaller": smaller,
    "compressed": compressed,
    "flipped": flipped,
    "all_of_these": lambda rgb: flipped(compressed(smaller(cropped(rgb)))),
}


def measure(folder: Path) -> dict[str, float]:
    """Return recall, 0..1."""
    options = Options(models=os.fsencode(_models()), roles=NEEDED)
    try:
        gallery = real_pictures.pictures()
    except real_pictures.Unreachable as reason:
        raise Skipped(str(reason)) from reason
    looks = {name: picture.look_at(rgb, options)[0].vectors for name, rgb in gallery.items()}
    seen = {name: vectors[LOOKS] for name, vectors in looks.items()}
    words = {name: vectors[WORDS] for name, vectors in looks.items()}
    encoder = PictureWords(options)
    return {
        "query_by_picture_among": float(len(gallery)),
        **_by_picture(gallery, seen, options),
        **_by_words(words, encoder),
        **_floor_of_words(words, encoder),
    }


def _by_picture(
    gallery: Mapping[str, Image], seen: Mapping[str, Vectors], options: Options
) -> dict[str, float]:
    found: dict[str, float] = {}
    right, wrong = list[float](), list[float]()
    for name, change in CHANGES.items():
        hits = []
        for wanted, rgb in gallery.items():
            query = picture.look_at(change(rgb), options)[0].vectors[LOOKS]
            hits.append(nearest(seen, query)[0] == wanted)
            right.append(float(seen[wanted] @ query))
            others = (seen[other] for other in seen if film_of(other) != film_of(wanted))
            wrong.append(max(float(other @ query) for other in others))
        found[f"query_by_picture_{name}_recall_at_1"] = float(np.mean(hits))
        if name == "all_of_these":
            found |= spread("query_by_picture_all_of_these_right", right[-len(gallery) :])
    floor = fusion.LOOKS_ALIKE[NEEDED["picture"]].middle
    found |= spread("query_by_picture_right", right, floor)
    found |= spread("query_by_picture_wrong", wrong, floor)
    every = [found[f"query_by_picture_{name}_recall_at_1"] for name in CHANGES]
    later = [
        nearest(seen, picture.look_at(rgb, options)[0].vectors[LOOKS])[0] == f"{film}@{seconds}"
        for film, times in real_pictures.FRAMES.items()
        for seconds, (_, rgb) in zip(times, _later(film, times), strict=False)
    ]
    return {
        "query_by_picture_recall_at_1": float(np.mean(every)),
        **found,
        "query_by_another_frame_recall_at_1": float(np.mean(later)),
    }


def _later(film: str, times: tuple[float, ...]) -> list[tuple[float, Image]]:
    path = real_pictures.paths()[film]
    return real_pictures.frames(path, tuple(seconds + NEXT_S for seconds in times))


def _floor_of_words(words: Mapping[str, Vectors], encoder: PictureWords) -> dict[str, float]:
    """Return how the cosines of what is right and of what is wrong lie to the floor."""
    floor = fusion.WORDS_TO_PICTURES[NEEDED["picture"]].middle
    figures: dict[str, float] = {}
    for kind in ("things", "life"):
        right, wrong = list[float](), list[float]()
        for one in DESCRIPTIONS[kind]:
            query = as_vector(encoder.encode([one["text"]])[0])
            cosines = {name: float(vector @ query) for name, vector in words.items()}
            right.append(max(cosines[name] for name in one["right"]))
            wrong.append(max(cosines[name] for name in cosines if name not in one["right"]))
        figures |= spread(f"words_to_pictures_of_{kind}_right", right, floor)
        figures |= spread(f"words_to_pictures_of_{kind}_wrong", wrong, floor)
    queries = [as_vector(one) for one in encoder.encode(DESCRIPTIONS["absent"])]
    absent = [max(float(vector @ query) for vector in words.values()) for query in queries]
    return figures | spread("words_to_pictures_absent", absent, floor)


def spread(name: str, cosines: Sequence[float], floor: float | None = None) -> dict[str, float]:
    """Return the 10th, 50th and 90th percentile of cosines, and the share from the floor on."""
    found = {f"{name}_p{at}": float(np.percentile(cosines, at)) for at in (10, 50, 90)}
    if floor is not None:
        found[f"{name}_above_floor"] = float(np.mean(np.asarray(cosines) >= floor))
    return found


def film_of(name: str) -> str:
    return name.partition("@")[0]


def as_vector(float16: bytes) -> Vectors:
    return np.frombuffer(float16, "<f2").astype(np.float32)


def _by_words(words: Mapping[str, Vectors], encoder: PictureWords) -> dict[str, float]:
    figures: dict[str, float] = {}
    for kind in ("things", "life"):
        asked = DESCRIPTIONS[kind]
        vectors = encoder.encode([one["text"] for one in asked])
        ranks = [nearest(words, as_vector(vector)) for vector in vectors]
        for depth in (1, 3):
            hits = [
                bool(set(rank[:depth]) & set(one["right"]))
                for rank, one in zip(ranks, asked, strict=True)
            ]
            figures[f"words_to_pictures_of_{kind}_recall_at_{depth}"] = float(np.mean(hits))
    return figures


def nearest(vectors: Mapping[str, Vectors], query: Vectors) -> list[str]:
    """Return the names of all, the one with the highest cosine first."""
    return sorted(vectors, key=lambda name: -float(vectors[name] @ query))


def _models() -> Path:
    chosen = os.environ.get("HEIMDEX_TEST_MODELS")
    folder = Path(chosen) if chosen else Path(__file__).parents[2] / "build" / "models"
    try:
        for name in NEEDED.values():
            fetch.get(folder, name)
    except ModelMissing as error:
        raise Skipped(str(error).splitlines()[0]) from error
    return folder


if __name__ == "__main__":
    for figure, value in measure(Path()).items():
        print(f"{figure:50} {value:.3f}")
