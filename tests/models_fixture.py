"""The real models for tests that need them, brought once by `scanners.fetch` and kept.

They lie in the folder HEIMDEX_TEST_MODELS, or in build/models of the checkout. A test that needs
one skips with the reason when it cannot be brought (no network, no pip).
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from companion.errors import ModelMissing
from scanners import fetch, models

Need = Callable[[str], Path]


@pytest.fixture(scope="session")
def models_folder() -> Path:
    """Return the folder of the models; ask `need_model` for what must be in it."""
    chosen = os.environ.get("HEIMDEX_TEST_MODELS")
    folder = Path(chosen) if chosen else Path(__file__).parent.parent / "build" / "models"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def need_model(models_folder: Path) -> Need:
    """Return a function that brings a model and returns the models folder, or skips the test."""
    refused: dict[str, str] = {}

    def need(name: str) -> Path:
        if name not in refused and not models.present(models_folder, name):
            with (models_folder / ".lock").open("w") as lock:  # one download for all workers
                fcntl.flock(lock, fcntl.LOCK_EX)
                try:
                    fetch.get(models_folder, name)
                except ModelMissing as error:
                    refused[name] = str(error)
        if name in refused:
            pytest.skip(refused[name])
        return models_folder

    return need
