"""Whisper, by faster-whisper and CTranslate2, on the processor in eight bits.

Only what a voice detector takes for a voice is given to the model, joined without its pauses; the
times are brought back to the film's clock afterwards.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import ctranslate2  # type: ignore[import-untyped]
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.vad import VadOptions, get_speech_timestamps

from scanners import models
from scanners.base import Options
from scanners.media import bcp47
from scanners.sound import RATE, Samples, Window
from scanners.transcript import Piece, Said, Told

PAUSE_S = 1.0  # a silence this long is cut out
PAD_S = 0.6  # kept around each piece of speech; less makes the model run sentences together
TEMPERATURES = (0.0, 0.4)  # the second only where the first gave nonsense
SURE = 0.6  # probability from which a language that was found is believed
WORD_MS = (300, 100)  # a word lasts at most this, plus this a letter; the model adds pauses to it


class Joined:
    """Sound without its pauses, and the way back to the film's clock."""

    def __init__(self, window: Window, spans: Sequence[tuple[int, int]]) -> None:
        """spans: (first, last) sample of each piece of speech, in order, apart from each other."""
        self._start_ms = window.start_ms
        self._spans = np.array(spans, np.int64).reshape(-1, 2)
        lengths = self._spans[:, 1] - self._spans[:, 0]
        self._ends = np.cumsum(lengths)  # in joined samples
        self._before = self._spans[:, 0] - (self._ends - lengths)  # samples cut out before
        parts = [window.samples[first:last] for first, last in spans]
        self.samples: Samples = np.concatenate(parts) if parts else window.samples[:0]

    def place(self, start_s: float, end_s: float) -> tuple[int, int]:
        """Return (start, end) in ms of the film of a word at these seconds of the joined sound.

        A word over a seam belongs to the later piece: the model adds a pause to what follows it.
        """
        start, end = round(start_s * RATE), round(end_s * RATE)
        piece = min(
            int(np.searchsorted(self._ends, max(start, end - 1), "right")), len(self._ends) - 1
        )
        first, last = (int(sample) for sample in self._spans[piece])
        shift = int(self._before[piece])
        start = min(max(start + shift, first), last)
        end = min(max(end + shift, start), last)
        return self._start_ms + start * 1000 // RATE, self._start_ms + end * 1000 // RATE


def trimmed(start_ms: int, end_ms: int, text: str) -> int:
    """Return a later start for a word that is told to last longer than a word can."""
    most = WORD_MS[0] + WORD_MS[1] * len(text.strip())
    return max(start_ms, end_ms - most)


class FasterWhisper:
    """Whisper converted for CTranslate2, on the processor, in eight bits."""

    def __init__(self, models_folder: Path, name: str, options: Options) -> None:
        self._model = WhisperModel(
            str(models.folder(models_folder, name)),
            device="cpu",
            compute_type="int8",
            cpu_threads=options.threads or os.cpu_count() or 1,
            local_files_only=True,
        )
        self._known = set(self._model.supported_languages)
        self._beam = options.beam
        self._asked = self._code(options.speech_language)

    def listen(self, window: Window, likely: str, progress: Callable[[int], None]) -> Told:
        spans = _voices(window.samples)
        if not spans:
            return Told("", [])
        joined = Joined(window, spans)
        ctranslate2.set_random_seed(1)  # a second temperature draws lots: the same each time
        segments, info = self._transcribe(joined.samples, self._asked)
        if not self._asked and info.language_probability < SURE and self._code(likely):
            segments, info = self._transcribe(joined.samples, self._code(likely))
        pieces = []
        for segment in segments:
            words = tuple(
                _placed(word, joined) for word in segment.words or () if word.word.strip()
            )
            if words:
                loudness = _loudness_db(window, words[0].start_ms, words[-1].end_ms)
                pieces.append(
                    Piece(
                        words,
                        segment.no_speech_prob,
                        segment.avg_logprob,
                        segment.compression_ratio,
                        loudness,
                    )
                )
                progress(words[-1].end_ms)
        return Told(info.language, pieces)

    def _transcribe(self, samples: Samples, language: str) -> tuple[Iterable[Any], Any]:
        """Start to transcribe: the language is known at once, the segments come bit by bit."""
        segments, info = self._model.transcribe(
            samples,
            language=language or None,
            beam_size=self._beam,
            best_of=1,
            temperature=TEMPERATURES,
            condition_on_previous_text=False,
            word_timestamps=True,
            vad_filter=False,
        )
        return segments, info

    def _code(self, language: str) -> str:
        """Return the model's name of a BCP 47 language, or "" if it does not know it."""
        code = bcp47(language).split("-")[0]
        return code if code in self._known else ""


def _voices(samples: Samples) -> list[tuple[int, int]]:
    found = get_speech_timestamps(
        samples,
        VadOptions(
            min_silence_duration_ms=round(PAUSE_S * 1000), speech_pad_ms=round(PAD_S * 1000)
        ),
    )
    return [(span["start"], span["end"]) for span in found]


def _placed(word: Any, joined: Joined) -> Said:
    start, end = joined.place(word.start, word.end)
    return Said(trimmed(start, end, word.word), end, word.word)


def _loudness_db(window: Window, start_ms: int, end_ms: int) -> float:
    first = (start_ms - window.start_ms) * RATE // 1000
    last = (end_ms - window.start_ms) * RATE // 1000
    samples = window.samples[first : max(last, first + 1)]
    power = float(np.mean(np.square(samples), dtype=np.float64)) if len(samples) else 0.0
    return 10 * float(np.log10(max(power, 1e-12)))
