"""What an hour of listening costs: CPU seconds of the speech stage per second of sound.

Whisper reads windows of half a minute: a clip of nine seconds costs as much as one of thirty. So
the limit is for long sound, in which people speak all the time; short clips are told beside it.
"""

import os
import resource
import wave
from collections.abc import Sequence
from pathlib import Path

import av

from scanners import demo, models
from scanners.base import Options
from scanners.media import probe
from scanners.speech import Speech
from tests.figures import Skipped
from tests.quality.shots import truths
from tests.quality.speech import MODELS
from tests.test_speech import run

LIMITS = {"speech.cpu_s_per_audio_s": "<= 0.25"}

LONG_S = 300
RATE = 16_000
SAMPLE_BYTES = 2


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
    long = folder / "long.wav"
    join(films, long)
    stage = Speech(
        Options(models=os.fsencode(MODELS.resolve()), roles=dict(models.PROFILES["embedded"]))
    )
    run(stage, films[0])  # loads the model
    return {
        "speech.sound_s": seconds([long]),
        "speech.cpu_s_per_audio_s": listening(stage, [long]),
        "speech.cpu_s_per_audio_s_of_short_clips": listening(stage, films),
    }


def listening(stage: Speech, films: Sequence[Path]) -> float:
    """Return the CPU seconds that a second of sound takes."""
    began = cpu_s()
    for film in films:
        run(stage, film)
    return (cpu_s() - began) / seconds(films)


def seconds(films: Sequence[Path]) -> float:
    return sum(probe(os.fsencode(film)).duration_ms for film in films) / 1000


def join(films: Sequence[Path], to: Path) -> None:
    """Write the sound of films one after the other, again and again, as a WAV of LONG_S."""
    sound = b"".join(_sound(film) for film in films)
    length = LONG_S * RATE * SAMPLE_BYTES
    with wave.open(str(to), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(SAMPLE_BYTES)
        file.setframerate(RATE)
        file.writeframes((sound * (length // len(sound) + 1))[:length])


def _sound(film: Path) -> bytes:
    resampler = av.AudioResampler("s16", "mono", RATE)
    with av.open(str(film)) as container:
        frames = [made for frame in container.decode(audio=0) for made in resampler.resample(frame)]
    return b"".join(frame.to_ndarray().tobytes() for frame in frames)
