"""Reads the text in the picture: signs, titles, captions, and subtitles that are burned in.

Reading costs a tenth of a second a line, so most samples are never read: a cheap gate says where
text may be, a line that is still there is not read again, and neither is a place that had none.
What is read in the samples of a scene is joined over time when the scene closes.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from scanners import models
from scanners.base import Finding, MediaInfo, Options, Scan, Scene, Shot
from scanners.boxes import Box, covered
from scanners.captions import Captions, Line, plain
from scanners.frames import Image
from scanners.ppocr import Area, Finder, Reader, characters_of
from scanners.runtime import Session, session
from scanners.textgate import Band, Gate, Patch

ROLE = "onscreen"  # in the model table
FINDER_FILE = "PP-OCRv6_det_small.onnx"
SURE = 0.6  # score from which a reading counts ...
SHORT = 3  # letters; shorter readings are often texture ...
SHORT_SURE = 0.85  # ... and must be surer


class Onscreen:
    """The stage of the picture pass. Holds the lines of the scenes that are still open."""

    name: ClassVar[str] = "onscreen"
    wants_frames: ClassVar[bool] = False
    sample_side: ClassVar[int] = 960

    def __init__(self, scan: Scan, media: MediaInfo) -> None:
        chosen = scan.options.roles.get(ROLE, models.FINDS_TEXT)
        self.model = models.identity(chosen)
        self._finder, self._reader = load(scan.options, chosen)
        self._gate = Gate()
        self._captions = Captions()
        self._shown: list[tuple[Patch, Line]] = []
        self._texts = 0
        self._begin = scan.resume_ms

    @property
    def note(self) -> str:
        """How much was read, for people."""
        return f"texts in the picture: {self._texts}" if self._texts else ""

    def frame(self, frame: Any) -> Iterable[Finding]:
        return ()

    def sample(self, sample: Any) -> Iterable[Finding]:
        rgb: Image = sample.rgb
        if self._begin and sample.ms >= self._begin:
            self._begin = 0
            self._gate.cut()  # nobody tells a resumed pass of the cut that it begins with
        there, bands = self._gate.look(sample.ms, rgb, [patch for patch, _ in self._shown])
        self._shown = [one for one, still in zip(self._shown, there, strict=True) if still]
        for band in bands:
            lines = self._read(rgb, band)
            if not lines:
                self._gate.found_nothing(sample.ms, band)
            self._shown += [(self._gate.patch(line.box), line) for line in lines]
        self._captions.sample(sample.ms, (line for _, line in self._shown))
        return ()

    def shot(self, shot: Shot, signature: tuple[float, ...]) -> Iterable[Finding]:
        self._gate.cut()
        return ()

    def scene(self, scene: Scene) -> Iterator[Finding]:
        for text in self._captions.scene(scene):
            self._texts += 1
            yield text

    def finish(self, end_ms: int) -> Iterable[Finding]:
        return ()

    def _read(self, rgb: Image, band: Band) -> list[Line]:
        """Return the lines that a band holds, except those that are known to be there."""
        height, width = rgb.shape[:2]
        top, bottom = int(band.top * height), round(band.bottom * height)
        rows = np.ascontiguousarray(rgb[top:bottom])
        scale = min(1.0, band.side / max(width, height))
        found = self._finder.find(rows, round(max(rows.shape) * scale))
        lines = []
        for area in found:
            box = _box(area, width, height, top)
            if not any(covered(box, patch.box) > 0.5 for patch, _ in self._shown):
                text, score = self._reader.read(rows, area)
                if counts(text, score):
                    lines.append(Line(text=text.strip(), score=score, box=box))
        return lines


def counts(text: str, score: float) -> bool:
    """Say whether a reading is text and not texture."""
    letters = len(plain(text))
    return letters > 1 and score >= (SHORT_SURE if letters <= SHORT else SURE)


def load(options: Options, chosen: str) -> tuple[Finder, Reader]:
    """Return finder and reader. chosen: the row of the model table that reads.

    Raises ModelMissing if a file is not there or has other bytes.
    """
    folder = models.ensure(Path(os.fsdecode(options.models)), models.FINDS_TEXT)
    finder = Finder(_open(folder / FINDER_FILE, options))
    row = models.model(chosen)
    own = models.ensure(Path(os.fsdecode(options.models)), chosen)
    recogniser = _open(own / row.files[0].path, options)
    listed = next((own / file.path for file in row.files if file.path.endswith(".txt")), None)
    return finder, Reader(recogniser, characters_of(recogniser, listed))


def _open(path: Path, options: Options) -> Session:
    return session(path, threads=options.threads)


def _box(area: Area, width: int, height: int, top: int) -> Box:
    """Return the upright box of an area as fractions of the picture. top: of its rows, in px."""
    left, upper = area.corners.min(axis=0).tolist()
    right, lower = area.corners.max(axis=0).tolist()
    return left / width, (upper + top) / height, (right - left) / width, (lower - upper) / height
