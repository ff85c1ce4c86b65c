"""Picture and text towers that share one space (SigLIP, CLIP), as a pair of ONNX files, no torch.

A pair is a folder in one of two layouts: that of Immich's models (visual/, textual/), or that of
exports for Transformers (onnx/, tokenizer.json). How pictures and texts are made ready is read from
the files beside the towers, because a model that is asked in another way than it was trained in
answers nonsense without complaint. Words find pictures by the text tower of the pair, by no other.
"""

import json
import string
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from companion.errors import ModelMissing
from scanners import models, runtime
from scanners.base import Options
from scanners.frames import Image
from scanners.looking import WORDS, Look, Vectors, middle_square, shrink, unit
from scanners.resample import FILTERS, resample

KEPT_SIDE = 1024  # px; pictures wait as they are up to this size
BATCHES = {"cuda": 32, "openvino": 8, "cpu": 4}  # pictures or texts at once
SIGLIP_TOKENS = 64  # SigLIP 2 was trained with texts of this length
CLIP_TOKENS = 77  # and CLIP with these
_PILLOW_WAYS = {2: "bilinear", 3: "bicubic"}  # PIL.Image.Resampling
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
T = TypeVar("T")
_WANTED_OUTPUTS = ("pooler_output", "image_embeds", "text_embeds", "embedding")


# --- pictures ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRules:
    """How a picture is made ready. squash: to a square, whatever its shape; else its middle."""

    side: int
    way: str
    squash: bool
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def pixels(self, pictures: Iterable[Image]) -> Vectors:
        """Return (n, 3, side, side) float32."""
        made = [
            resample(one if self.squash else middle_square(one), self.side, self.side, self.way)
            for one in pictures
        ]
        scaled = np.stack(made).astype(np.float32) / np.float32(255)
        mean, deviation = np.array(self.mean, np.float32), np.array(self.deviation, np.float32)
        normal = (scaled - mean) / deviation
        return np.ascontiguousarray(normal.transpose(0, 3, 1, 2), np.float32)


def transformers_rules(path: Path) -> PictureRules:
    """Read a preprocessor_config.json. Raises ModelMissing if it asks for something unknown."""
    said = _json(path)
    with _known(path):
        height, width = said["size"]["height"], said["size"]["width"]
        if height != width or said.get("do_center_crop"):
            raise ValueError
        return PictureRules(
            side=int(height),
            way=_PILLOW_WAYS[said.get("resample", 2)],
            squash=True,
            mean=tuple(said["image_mean"]),
            deviation=tuple(said["image_std"]),
        )


def immich_rules(path: Path) -> PictureRules:
    """Read a preprocess_cfg.json, which is open_clip's. Raises ModelMissing as above."""
    said = _json(path)
    with _known(path):
        side = said["size"][0] if isinstance(said["size"], list) else said["size"]
        if said["interpolation"] not in FILTERS:
            raise ValueError
        return PictureRules(
            side=int(side),
            way=said["interpolation"],
            squash={"squash": True, "shortest": False}[said.get("resize_mode", "shortest")],
            mean=tuple(said["mean"]),
            deviation=tuple(said["std"]),
        )


# --- texts ---------------------------------------------------------------------------------------


class Texts:
    """Turns texts into rows of token numbers, all of one length.

    clean: punctuation does not count. lower: capitals do not count.
    """

    def __init__(self, path: Path, length: int, pad: str, *, lower: bool, clean: bool) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing more special
            raise ModelMissing(f"{path} cannot be read as a tokenizer: {error}") from error
        number = self._tokenizer.token_to_id(pad)
        if number is None:
            raise ModelMissing(f"{path} has no token '{pad}' to fill texts up with")
        self._tokenizer.enable_truncation(length)
        self._tokenizer.enable_padding(
            direction="right", pad_id=number, pad_token=pad, length=length
        )
        self._lower, self._clean = lower, clean

    def rows(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return (n, length) token numbers."""
        found = self._tokenizer.encode_batch([self._prepared(text) for text in texts])
        return np.array([one.ids for one in found], np.int64)

    def _prepared(self, text: str) -> str:
        text = " ".join(text.split())
        if self._clean:
            text = text.translate(_NO_PUNCTUATION)
        return text.lower() if self._lower else text


def siglip_texts(path: Path) -> Texts:
    """Read the tokenizer.json of a SigLIP 2 as Transformers has it: small letters, 64 tokens."""
    return Texts(path, SIGLIP_TOKENS, "<pad>", lower=True, clean=False)


def immich_texts(folder: Path) -> Texts:
    """Read the tokenizer of a folder in Immich's layout. Raises ModelMissing as above."""
    said = _json(folder / "config.json")
    path = folder / "textual" / "tokenizer_config.json"
    with _known(path):
        pad = _json(path)["pad_token"]
        rules = said.get("text_cfg", {})
        clean = (rules.get("tokenizer_kwargs") or {}).get("clean") == "canonicalize"
        return Texts(
            folder / "textual" / "tokenizer.json",
            int(rules.get("context_length", CLIP_TOKENS)),
            pad["content"] if isinstance(pad, dict) else str(pad),
            lower=clean,
            clean=clean,
        )


# --- the pair ------------------------------------------------------------------------------------


class OnnxTowers:
    """The engine of an ONNX pair (looking.Looker). Each tower is opened when it is first needed, so
    the process that encodes queries holds only the text tower.

    Raises ModelMissing if a file is missing or made for something else.
    """

    def __init__(self, models_folder: Path, name: str, options: Options) -> None:
        folder = models.folder(models_folder, name)
        row = models.model(name)
        self.model = self.words_model = models.identity(name)
        self._threads = options.threads
        self._visual, self._textual = (folder / file.path for file in row.files[:2])
        if row.given:
            self._rules = immich_rules(folder / "visual" / "preprocess_cfg.json")
            self._texts = immich_texts(folder)
        else:
            self._rules = transformers_rules(folder / "preprocessor_config.json")
            self._texts = siglip_texts(folder / "tokenizer.json")
        self.batch = BATCHES[runtime.device()]

    def prepare(self, rgb: Image) -> Image:
        return kept_size(rgb)

    def look(self, pictures: Sequence[Image]) -> list[Look]:
        return [Look({WORDS: vector}) for vector in self.encode_pictures(pictures)]

    def encode_pictures(self, pictures: Sequence[Image]) -> Vectors:
        """Return (n, dims) unit vectors of pictures, (height, width, 3) RGB."""
        tower = Tower(runtime.session(self._visual, threads=self._threads), self._visual)
        return tower.encode(
            self._rules.pixels(some) for some in batches(pictures, tower.batch(self.batch))
        )

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Return (n, dims) unit vectors of texts."""
        tower = Tower(runtime.session(self._textual, threads=self._threads), self._textual)
        return tower.encode(
            self._texts.rows(some) for some in batches(texts, tower.batch(self.batch))
        )


class Tower:
    """One ONNX file with one input, whatever it is called, and a vector for each row of it."""

    def __init__(self, session: runtime.Session, path: Path) -> None:
        if len(session.inputs) != 1:
            named = ", ".join(session.inputs)
            raise ModelMissing(f"{path} has the inputs {named}; a tower must have one")
        (self._input,) = session.inputs
        self._type = _NUMPY_TYPES.get(session.types()[self._input])
        flat = [name for name, shape in session.outputs.items() if len(shape) == 2]
        outputs = [name for name in _WANTED_OUTPUTS if name in flat] or flat
        if self._type is None or not outputs:
            raise ModelMissing(f"{path} is no tower: it gives no vectors of what it takes")
        self._output = outputs[0]
        self._session = session

    def batch(self, wanted: int) -> int:
        """Return how many rows it takes at once: as many as wanted, if that is left open."""
        return self._fixed() or wanted

    def encode(self, inputs: Iterable[NDArray[Any]]) -> Vectors:
        found = [self._run(one.astype(self._type)) for one in inputs]
        return unit(np.concatenate(found)) if found else np.zeros((0, 0), np.float32)

    def _run(self, rows: NDArray[Any]) -> NDArray[Any]:
        lacking = max(0, self._fixed() - len(rows))
        full = np.concatenate([rows, np.repeat(rows[-1:], lacking, axis=0)]) if lacking else rows
        return self._session.run({self._input: full}, [self._output])[0][: len(rows)]

    def _fixed(self) -> int:
        first = self._session.inputs[self._input][0]
        return first if isinstance(first, int) and first > 0 else 0


_NUMPY_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


def kept_size(rgb: Image) -> Image:
    """Return a picture whose longest side is at most KEPT_SIDE."""
    height, width = rgb.shape[:2]
    scale = KEPT_SIDE / max(height, width)
    if scale >= 1:
        return rgb
    return shrink(rgb, max(1, round(width * scale)), max(1, round(height * scale)))


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Give the items in runs of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


@contextmanager
def _known(path: Path) -> Iterator[None]:
    """Turn what goes wrong in reading rules into a message for people."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ModelMissing(
            f"{path}: pictures or texts are made ready in a way that is not known here"
        ) from error


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelMissing(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ModelMissing(f"{path} is not what its name says")
    return found
