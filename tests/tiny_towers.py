"""Tiny towers on disk, with the files beside them that say how to ask them."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models as token_models, pre_tokenizers, processors

SIDE, DIMS = 32, 24
WORDS_KNOWN = ["<pad>", "<eos>", "<bos>", "<unk>", "a", "cat", "dog", "in", "the", "garden", "!"]


def tokenizer_file(path: Path) -> Path:
    """Write a tokenizer of whole words that ends each text with <eos>, as SigLIP 2's does."""
    vocabulary = {word: number for number, word in enumerate(WORDS_KNOWN)}
    made = Tokenizer(token_models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save(str(path))
    return path


def write(path: Path, said: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said), encoding="utf-8")
    return path


SIGLIP_PICTURES = {
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "size": {"height": SIDE, "width": SIDE},
}
