"""What an hour of listening costs: CPU seconds of the speech stage per second of sound."""

import os
import resource
from pathlib import Path

from scanners import demo, models
from scanners.base import Options
from scanners.media import probe
from scanners.speech import Speech
from tests.figures import Skipped
from tests.quality.shots import truths
from tests.quality.speech import MODELS
from tests.test_speech import run

LIMITS = {"speech.cpu_s_per_audio_s": "<= 0.25"}


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(folder: Path) -> dict[str, float]:
    """Listen to every film of the demo library in which somebody speaks."""
    if not models.present(MODELS, "whisper-base"):
        raise Skipped("the model whisper-base is not in build/models; `make test` brings it")
    library = folder / "demo"
    demo.assemble(library, lambda _line: None)
    films = [library / truth.path for truth in truths(library) if truth.said]
    stage = Speech(
        Options(models=os.fsencode(MODELS.resolve()), roles=dict(models.PROFILES["embedded"]))
    )
    run(stage, films[0])  # loads the model
    began = cpu_s()
    for film in films:
        run(stage, film)
    sound_s = sum(probe(os.fsencode(film)).duration_ms for film in films) / 1000
    return {
        "speech.sound_s": sound_s,
        "speech.cpu_s_per_audio_s": (cpu_s() - began) / sound_s,
    }
