"""Recognises speech on the main audio track, window by window, with the model of its role."""

from collections.abc import Callable, Iterable
from typing import ClassVar, Protocol

import msgspec

from scanners.base import AudioStream, Line, MediaInfo, Options, Report, Scan
from scanners.engines import load, model_name
from scanners.media import bcp47, describe, main_audio, open_media
from scanners.models import identity
from scanners.sound import Window, windows
from scanners.transcript import Told, guarded, lines_of_all


class Recogniser(Protocol):
    """What an engine of the role `speech` can do."""

    def listen(self, window: Window, likely: str, progress: Callable[[int], None]) -> Told:
        """Return what is said. likely: a language to believe in if none is certain, or "".

        progress: told the ms of the film's clock up to which it has listened.
        """


class Speech:
    """The stage of the pass `speech`."""

    name: ClassVar[str] = "speech"

    def __init__(self, options: Options) -> None:
        self._options = options
        self._loaded: Recogniser | None = None
        self.model = identity(model_name("speech", options))

    def run(self, scan: Scan, report: Report) -> str:
        with open_media(scan.path) as container:
            media = describe(container)
        track = heard_track(media, self._options.speech_language)
        if track is None:
            return "no sound"
        end = media.duration_ms

        def progress(ms: int) -> None:
            report.progress(min(ms, end) if end else ms, end)

        tally = _Tally()
        with open_media(scan.path) as container:
            for window in windows(container, track.index):
                told = self._recogniser().listen(window, tally.language or track.language, progress)
                kept = guarded(told.pieces)
                lines = lines_of_all(kept, told.language, end)
                tally.add(lines, left_out=len(told.pieces) - len(kept))
                report.found(lines, until_ms=window.end_ms)
                progress(window.end_ms)
        return tally.note()

    def _recogniser(self) -> Recogniser:
        if self._loaded is None:
            self._loaded = load("speech", self._options)
        return self._loaded


def heard_track(media: MediaInfo, language: str) -> AudioStream | None:
    """Return the track to listen to: in the language asked for if there is one, else the main one.

    language: BCP 47 or empty. Commentary and descriptions come last, even in that language.
    """
    asked = bcp47(language).split("-")[0]
    fitting = tuple(
        track
        for track in media.audio
        if asked and not track.secondary and track.language.split("-")[0] == asked
    )
    return main_audio(msgspec.structs.replace(media, audio=fitting)) or main_audio(media)


class _Tally:
    """What was found so far in a film."""

    def __init__(self) -> None:
        self._ms: dict[str, int] = {}  # of lines, by language
        self._lines = 0
        self._left_out = 0

    @property
    def language(self) -> str:
        """The language most of it is in; empty as long as nothing was said."""
        return max(self._ms, key=self._ms.__getitem__, default="")

    def add(self, lines: Iterable[Line], *, left_out: int) -> None:
        for line in lines:
            self._lines += 1
            spoken = line.end_ms - line.start_ms
            self._ms[line.language] = self._ms.get(line.language, 0) + spoken
        self._left_out += left_out

    def note(self) -> str:
        said = "nobody speaks"
        if self._lines:
            ordered = sorted(self._ms, key=self._ms.__getitem__, reverse=True)
            said = f"{self._lines} line{'' if self._lines == 1 else 's'} in {', '.join(ordered)}"
        return said + (f", {self._left_out} doubtful left out" if self._left_out else "")
