"""Picture stages that misbehave when the name of the film asks for it."""

import os
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from scanners.base import Finding, Scan
from scanners.shots import Shots
from tests.fakes.stages import misbehave


class NaughtyShots(Shots):
    """The real `shots`, that misbehaves in the middle of a film whose name asks for it."""

    def __init__(self, scan: Scan, media: Any) -> None:
        super().__init__(scan, media)
        self._path = scan.path

    def frame(self, frame: Any) -> Iterator[Finding]:
        if frame.ms > 1000:
            misbehave(self._path)
        yield from super().frame(frame)


class Extra:
    """A picture stage beside the real ones, that misbehaves at a sample."""

    name: ClassVar[str] = "extra"
    sample_side: ClassVar[int] = 64
    note = "looked"

    def __init__(self, scan: Scan, media: Any) -> None:
        self._path = scan.path

    def frame(self, frame: Any) -> Iterable[Finding]:
        return ()

    def sample(self, sample: Any) -> Iterable[Finding]:
        if b"extra" in os.path.basename(self._path):
            misbehave(self._path)
        return ()

    def shot(self, shot: Any, signature: Any) -> Iterable[Finding]:
        return ()

    def scene(self, scene: Any) -> Iterable[Finding]:
        return ()

    def finish(self, end_ms: int) -> Iterable[Finding]:
        return ()
