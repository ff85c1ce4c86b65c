"""Burned-in text on real footage: are its words read, subtitles known as such, what does it cost?

Subtitles, captions, titles and credits are drawn over films of talking heads and photos that are
panned over, encoded at 1080p and 480p, and go through the real picture pass. The text is ours, so
the truth is known.

    python -m tests.quality.onscreen
"""

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from scanners.base import OnscreenText, Options, StageInfo
from scanners.onscreen import Onscreen
from scanners.textgate import Gate
from tests.figures import Skipped
from tests.quality.splice import Result, Rgb, fit, read, scan, write_film
from tests.real_faces import Footage, Unreachable, footage

FPS = 5  # samples are chosen among four frames a second
SIZES = {"1080p": (1920, 1080), "480p": (854, 480)}  # px
SHOT_S = 8  # of a background
STAGE = StageInfo("scanners.onscreen:Onscreen", 1, "picture", role="onscreen")
LIMITS = {
    "onscreen_words_1080p": ">= 0.9",
    "onscreen_words_480p": ">= 0.9",
    "onscreen_subtitles_flagged": ">= 0.9",
    "onscreen_gate_recall": ">= 0.97",
}

SUBTITLES = (
    "We should never have come back here.",
    "Not after what you did to the boat.",
    "I know.",
    "Do you remember the summer\nwhen the lake froze over?",
    "Nobody believed it at the time.",
    "My grandmother wrote a letter about it.",
    "Was it the one you found in the attic?",
    "Yes, the very same.\nI still keep it in my desk.",
    "Then read it to me.",
    "It is in German, you would not understand.",
    "Heute fällt der erste Schnee über Köln.",
    "That is beautiful.",
    "Wait! Somebody is at the door.",
    "It's only the wind.",
    "Are you quite sure about that?",
    "At 7:45 the train leaves for Lyon,\nplatform twelve.",
    "Mille fois merci, à bientôt!",
    "Don't forget your umbrella.",
    "Tell Margaret that I will call tomorrow.",
    "She won't be happy about this.",
    "Nothing ever makes her happy anyway.",
    "Please, just open the window a little.",
    "The whole house smells of apples.",
    "That's the cake. It was for you.",
)
CAPTIONS = (  # text, x and y of its place, height: fractions of the picture
    ("BREAKING NEWS: Harbour closed after storm", 0.05, 0.80, 0.045),
    ("Dr. Helen Whitfield, Marine Biologist", 0.05, 0.72, 0.04),
    ("Three Weeks Earlier", 0.3, 0.45, 0.09),
    ("Chapter Two", 0.32, 0.4, 0.13),
    ("Reykjavík, Iceland", 0.06, 0.08, 0.05),
    (
        "Camera assistant  Jonas Lindqvist\nSound  Marie Dubois\nEditor  Paul Okafor",
        0.3,
        0.3,
        0.035,
    ),
)


@dataclass(frozen=True, slots=True)
class Burned:
    """Text in the picture. x: of its left edge, or None for centred; all but s: fractions."""

    start_s: float
    end_s: float
    text: str
    y: float
    height: float
    x: float | None = None
    look: int = 0

    @property
    def subtitle(self) -> bool:
        return self.x is None


def script(seconds: float) -> list[Burned]:
    """Return what is written when: subtitles one after the other, a caption now and then."""
    burned, at, number = [], 1.0, 0
    while at < seconds - 6:
        if number % 5 == 4:
            text, x, y, height = CAPTIONS[number // 5 % len(CAPTIONS)]
            burned.append(Burned(at, at + 4, text, y, height, x, number % 3))
            at += 4.6
        text = SUBTITLES[number % len(SUBTITLES)]
        length = 1.2 + 0.05 * len(text)
        lines = text.count("\n") + 1
        burned.append(Burned(at, at + length, text, 0.93 - 0.065 * lines, 0.05, None, number % 3))
        at += length + (0.2 if number % 3 else 2.2)
        number += 1
    return burned


# --- the film ------------------------------------------------------------------------------------


def backgrounds(real: Footage, size: tuple[int, int], seconds: float) -> Iterator[Rgb]:
    """Give pictures without text: films and slow pans in turn."""
    films = [path for paths in real.talking.values() for path in paths]
    photos = [real.group, *real.photos["biden"], *real.photos["obama"]]
    for number in range(round(seconds / SHOT_S)):
        if number % 2:
            yield from _pan(photos[number // 2 % len(photos)], size)
        else:
            yield from _film(films[number // 2 % len(films)], size, number)


def _pan(path: Path, size: tuple[int, int]) -> Iterator[Rgb]:
    rgb = fit(read(path), (size[0] * 5 // 4, size[1] * 5 // 4), fill=True)
    for index in range(SHOT_S * FPS):
        left = (rgb.shape[1] - size[0]) * index // (SHOT_S * FPS)
        top = (rgb.shape[0] - size[1]) * index // (SHOT_S * FPS)
        yield rgb[top : top + size[1], left : left + size[0]]


def _film(path: Path, size: tuple[int, int], number: int) -> Iterator[Rgb]:
    frames = _frames(path)
    for rgb in islice(frames, number * 4, number * 4 + SHOT_S * FPS):
        yield fit(rgb, size, fill=True)


def _frames(path: Path) -> Iterator[Rgb]:
    with av.open(str(path)) as film:
        wanted = 0.0
        for frame in film.decode(video=0):
            if frame.time is not None and frame.time >= wanted:
                wanted += 1 / FPS
                yield frame.to_ndarray(format="rgb24")


def burn(rgb: Rgb, texts: Sequence[Burned]) -> Rgb:
    """Draw texts into a picture: with an outline, yellow with a shadow, or on a dark box."""
    if not texts:
        return rgb
    image = Image.fromarray(np.ascontiguousarray(rgb))
    draw = ImageDraw.Draw(image, "RGBA")
    for one in texts:
        size = one.height * image.height
        font = ImageFont.load_default(size)
        for number, line in enumerate(one.text.split("\n")):
            wide = draw.textlength(line, font=font)
            x = (image.width - wide) / 2 if one.x is None else one.x * image.width
            y = one.y * image.height + number * 1.3 * size
            stroke = max(1, round(size / 16))
            if one.look == 0:
                draw.text(
                    (x, y), line, font=font, fill="white", stroke_width=stroke, stroke_fill="black"
                )
            elif one.look == 1:
                draw.text((x + stroke, y + stroke), line, font=font, fill="black")
                draw.text((x, y), line, font=font, fill=(250, 230, 80))
            else:
                box = (x - size / 3, y - size / 8, x + wide + size / 3, y + 1.25 * size)
                draw.rectangle(box, fill=(0, 0, 0, 160))
                draw.text((x, y), line, font=font, fill="white")
    return np.asarray(image)


def pictures(
    real: Footage, size: tuple[int, int], seconds: float, burned: Sequence[Burned]
) -> Iterator[Rgb]:
    for number, rgb in enumerate(backgrounds(real, size, seconds)):
        at = number / FPS
        yield burn(rgb, [one for one in burned if one.start_s <= at < one.end_s])


# --- judging -------------------------------------------------------------------------------------


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def judge(burned: Sequence[Burned], texts: Sequence[OnscreenText]) -> dict[str, float]:
    """Return recall and precision of words, and of subtitles being known as such."""
    asked = read_right = subtitles = flagged = wrong_flags = 0
    for one in burned:
        there = [text for text in texts if _shared(one, text) > 0]
        heard = [word for text in there for word in words(text.text)]
        wanted = words(one.text)
        asked += len(wanted)
        read_right += sum(word in heard for word in wanted)
        best = max(there, key=lambda text: _alike(one, text), default=None)
        if best is not None and _alike(one, best) > 0.5:
            subtitles += one.subtitle
            flagged += one.subtitle and best.subtitle
            wrong_flags += not one.subtitle and best.subtitle
    said = [(text, word) for text in texts for word in words(text.text)]
    true = sum(
        any(word in words(one.text) for one in burned if _shared(one, text) > 0)
        for text, word in said
    )
    return {
        "words": read_right / asked,
        "precision": true / max(1, len(said)),
        "flagged": flagged / max(1, subtitles),
        "wrong_flags": float(wrong_flags),
        "twice": _twice(burned, texts),
    }


def _shared(one: Burned, text: OnscreenText) -> float:
    return min(one.end_s, text.end_ms / 1000) - max(one.start_s, text.start_ms / 1000)


def _alike(one: Burned, text: OnscreenText) -> float:
    wanted, heard = set(words(one.text)), set(words(text.text))
    return len(wanted & heard) / max(1, len(wanted | heard))


def _twice(burned: Sequence[Burned], texts: Sequence[OnscreenText]) -> float:
    """Return how many findings there are of a burned text, in the mean; cut by scenes counts."""
    found = [
        sum(_alike(one, text) > 0.6 and _shared(one, text) > 0 for text in texts) for one in burned
    ]
    return float(np.mean([count for count in found if count]))


def gate_figures(real: Footage) -> dict[str, float]:
    """Return how much of burned text the gate lets through, and how much of the rest."""
    random = np.random.default_rng(11)
    size = (960, 540)
    passed, looked = [], []
    for rgb in islice(backgrounds(real, size, 15 * SHOT_S), 0, None, 5):
        looked.append(sum(b.bottom - b.top for b in Gate().look(0, rgb, [])[1]))
        height = float(random.choice([0.028, 0.035, 0.05, 0.07, 0.1, 0.15]))
        text = str(random.choice([one for one in SUBTITLES if "\n" not in one]))[
            : int(1.2 / height)
        ]
        y = float(random.uniform(0, 0.98 - 1.3 * height))
        shown = burn(rgb, [Burned(0, 1, text, y, height, None, int(random.integers(3)))])
        bands = Gate().look(0, shown, [])[1]
        passed.append(
            any(b.top <= y + 0.4 * height and b.bottom >= y + 0.9 * height for b in bands)
        )
    return {
        "onscreen_gate_recall": float(np.mean(passed)),
        "onscreen_gate_area_without_text": float(np.mean(looked)),
    }


def measure(folder: Path) -> dict[str, float]:
    """Return the figures. folder: for the films, which nobody keeps."""
    try:
        real = footage()
    except Unreachable as error:
        raise Skipped(str(error)) from error
    kept = os.environ.get("HEIMDEX_TEST_MODELS", "build/models")
    options = Options(models=os.fsencode(Path(kept).absolute()), threads=1)
    seconds = 15.0 * SHOT_S
    burned = script(seconds)
    figures = gate_figures(real)
    for name, size in SIZES.items():
        path = folder / f"{name}.mp4"
        write_film(path, pictures(real, size, seconds, burned), size=size, fps=FPS)
        result = scan(path, Onscreen, STAGE, options)
        texts = [one for one in result.findings if isinstance(one, OnscreenText)]
        figures |= {f"onscreen_{key}_{name}": value for key, value in judge(burned, texts).items()}
        figures |= cost(result, f"subtitled_{name}")
        path.unlink()
    figures["onscreen_subtitles_flagged"] = figures["onscreen_flagged_1080p"]
    path = folder / "plain.mp4"
    write_film(path, pictures(real, SIZES["480p"], seconds, ()), size=SIZES["480p"], fps=FPS)
    result = scan(path, Onscreen, STAGE, options)
    figures["onscreen_texts_where_none_is"] = float(len(result.findings))
    return figures | cost(result, "without_text")


def cost(result: Result, name: str) -> dict[str, float]:
    return {
        f"onscreen_cpu_ms_per_scene_{name}": result.cpu_ms / len(result.scenes),
        f"onscreen_cpu_ms_per_sample_{name}": result.cpu_ms / len(result.samples),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        for figure, value in measure(Path(made)).items():
            print(f"{figure:44} {value:.4g}")
