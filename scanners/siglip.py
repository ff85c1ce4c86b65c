"""SigLIP by Transformers and text models by sentence-transformers: the standard profile.

torch and what stands on it come with the extra [gpu] and are imported here only, in a child, when a
model is loaded. On CUDA weights are float16; on the CPU bfloat16 where that is measured to be
faster, else float32. Nothing is fetched: the files were brought and verified before.
"""

import os
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from companion.errors import ModelMissing
from scanners import models, runtime
from scanners.base import Options
from scanners.frames import Image
from scanners.looking import WORDS, Look, Vectors, half, unit
from scanners.towers import BATCHES, batches, kept_size, siglip_texts, transformers_rules

FASTER = 1.2  # bfloat16 must be that much faster than float32 to be used on a CPU
_TRIAL = (256, 768)  # rows and columns of the matrices that are multiplied to find out
TEXT_BATCH = 32


def needed(package: str) -> Any:
    """Return a package of the extra [gpu]. Raises ModelMissing, saying how to get it."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the libraries would ask the hub about each file
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        return import_module(package)
    except ImportError as error:
        raise ModelMissing(
            f"this model needs the package {package.replace('_', '-')}, which is not here: "
            f"install heimdex-companion[gpu] ({error})"
        ) from error


def transformers() -> Any:
    """Return Transformers, kept from printing bars and advice."""
    found = needed("transformers")
    found.utils.logging.set_verbosity_error()
    found.utils.logging.disable_progress_bar()
    return found


class Place:
    """Where torch computes, and with which numbers. device: "cuda" or "cpu"."""

    def __init__(self, threads: int) -> None:
        self.torch = needed("torch")
        self.torch.set_num_threads(threads or runtime.cores())
        asked = os.environ.get(runtime.DEVICE_VARIABLE, "").strip().lower()
        self.device = "cuda" if asked != "cpu" and self.torch.cuda.is_available() else "cpu"
        if asked == "cuda" and self.device == "cpu":
            raise ModelMissing(f"{runtime.DEVICE_VARIABLE}: torch finds no CUDA device here")
        self.batch = BATCHES[self.device]
        if self.device == "cuda":
            self.numbers = self.torch.float16
        else:
            self.numbers = self.torch.bfloat16 if self._bfloat16_pays() else self.torch.float32

    def _bfloat16_pays(self) -> bool:
        """Multiply matrices of a tower's size both ways; without the instructions it is slower."""
        torch, (rows, columns) = self.torch, _TRIAL
        seconds = {}
        for numbers in (torch.float32, torch.bfloat16):
            left = torch.ones(rows, columns, dtype=numbers)
            right = torch.ones(columns, columns, dtype=numbers)
            tries = []
            for _ in range(4):
                begun = time.process_time()
                left @ right
                tries.append(time.process_time() - begun)
            seconds[numbers] = min(tries[1:])
        return bool(seconds[torch.float32] > FASTER * seconds[torch.bfloat16])


class Siglip:
    """The engine of SigLIP and SigLIP 2 (looking.Looker). A tower is loaded when it is needed."""

    def __init__(self, models_folder: Path, name: str, options: Options) -> None:
        self._folder = models.folder(models_folder, name)
        self.model = self.words_model = models.identity(name)
        self._rules = transformers_rules(self._folder / "preprocessor_config.json")
        self._texts = siglip_texts(self._folder / "tokenizer.json")
        self._place = Place(options.threads)
        self._towers: dict[str, Any] = {}
        self.batch = self._place.batch

    def prepare(self, rgb: Image) -> Image:
        return kept_size(rgb)

    def look(self, pictures: Sequence[Image]) -> list[Look]:
        return [Look({WORDS: vector}) for vector in self.encode_pictures(pictures)]

    def encode_pictures(self, pictures: Sequence[Image]) -> Vectors:
        """Return (n, dims) unit vectors of pictures, (height, width, 3) RGB."""
        numbers = self._place.numbers
        return self._encode(
            "SiglipVisionModel",
            [
                {"pixel_values": self._tensor(self._rules.pixels(some)).to(numbers)}
                for some in batches(pictures, self.batch)
            ],
        )

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Return (n, dims) unit vectors of texts. They are read without a mask, as in training."""
        return self._encode(
            "SiglipTextModel",
            [
                {"input_ids": self._tensor(self._texts.rows(some))}
                for some in batches(texts, TEXT_BATCH)
            ],
        )

    def _tensor(self, values: Any) -> Any:
        return self._place.torch.from_numpy(values).to(self._place.device)

    def _encode(self, kind: str, inputs: Sequence[dict[str, Any]]) -> Vectors:
        tower = self._tower(kind)
        with self._place.torch.inference_mode():
            found = [tower(**one).pooler_output.float().cpu().numpy() for one in inputs]
        return unit(np.concatenate(found)) if found else np.zeros((0, 0), np.float32)

    def _tower(self, kind: str) -> Any:
        if kind not in self._towers:
            made = getattr(transformers(), kind).from_pretrained(
                str(self._folder), dtype=self._place.numbers, local_files_only=True
            )
            self._towers[kind] = made.to(self._place.device).eval()
        return self._towers[kind]


class Sentences:
    """The engine of text models that sentence-transformers reads, such as BGE-M3."""

    def __init__(self, models_folder: Path, name: str, options: Options) -> None:
        self.model = models.identity(name)
        self._place = Place(options.threads)
        transformers()
        self._encoder = needed("sentence_transformers").SentenceTransformer(
            str(models.folder(models_folder, name)),
            device=self._place.device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": self._place.numbers},
        )

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Return (n, dims) unit vectors of texts."""
        found = self._encoder.encode(
            list(texts), batch_size=TEXT_BATCH, show_progress_bar=False, convert_to_tensor=True
        )
        return unit(found.float().cpu().numpy())

    def encode(self, texts: Sequence[str]) -> Sequence[bytes]:
        return [half(vector) for vector in self.encode_texts(texts)]
