"""Stages that do what the name of the file says: hang, crash, eat memory, print, look around.

Loaded by tests/fakes/child.py into the real child program, in place of the real stages. This module
imports no decoder, so that a test can see that an encoder has none.
"""

import hashlib
import json
import os
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from scanners.base import (
    Line,
    Options,
    Report,
    Scan,
    StageError,
    TextVector,
)

HEAVY = ("av", "cv2", "onnxruntime", "faster_whisper", "scenedetect", "torch")
DIMS = 8


def misbehave(path: bytes) -> None:
    """Do harm if the file's name asks for it."""
    name = os.path.basename(path)
    if b"hang" in name:
        threading.Event().wait()
    if b"abort" in name:
        os.abort()
    if b"eat memory" in name:
        hoard = []
        while True:
            hoard.append(np.empty(64 * 2**20, np.uint8))  # asked for, and never touched
    if b"raise" in name:
        raise KeyError("of no luck")
    if b"refuse" in name:
        raise StageError("there are no words in it")
    if b"wait" in name:
        raise StageError("the share is away", permanent=False)


def look_around() -> dict[str, Any]:
    """Return what a stage finds in its process."""
    try:
        with socket.create_connection(("127.0.0.1", 9), timeout=2):
            network = "open"
    except OSError as error:
        network = os.strerror(error.errno or 0)
    return {
        "heavy": sorted(set(HEAVY) & set(sys.modules)),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "nice": os.nice(0),
        "stdin": sys.stdin.read(),
        "network": network,
        "user": os.geteuid(),
    }


class Words:
    """In place of `subtitles`: one line that names the file."""

    name: ClassVar[str] = "subtitles"
    made = 0

    def __init__(self, options: Options) -> None:
        type(self).made += 1
        self.model = f"made {self.made}"

    def run(self, scan: Scan, report: Report) -> str:
        report.progress(0, 1000)
        misbehave(scan.path)
        name = os.path.basename(scan.path)
        if name == b"look around":
            return json.dumps(look_around())
        if name == b"print":
            print("a library says hello")
            os.write(1, b"a decoder written in C says hello\n")
        if name == b"write a lot":
            Path(os.fsdecode(scan.stills), "large").write_bytes(b"\0" * 2**20)
        count = 5_000 if name == b"many" else 1
        lines = (Line(n, n + 1, os.fsdecode(name)) for n in range(count))
        report.found(lines, until_ms=1000)
        report.progress(1000, 1000)
        return "one line"


class NoSpeech:
    """In place of `speech`: never heard anything."""

    name: ClassVar[str] = "speech"

    def __init__(self, options: Options) -> None:
        raise StageError("the model is missing", permanent=False)


class Meaning:
    """In place of `meaning`: a vector that depends on nothing but the text."""

    name: ClassVar[str] = "meaning"
    model = "hash@1"

    def __init__(self, options: Options) -> None:
        pass

    def run(self, scan: Scan, report: Report) -> str:
        for scene in scan.scenes:
            (vector,) = self.encode([" ".join(scene.lines)])
            report.found([TextVector(scene.number, 0, vector)], until_ms=0)
        return ""

    def encode(self, texts: Sequence[str]) -> Sequence[bytes]:
        return [self._vector(text) for text in texts]

    @staticmethod
    def _vector(text: str) -> bytes:
        if text == "abort":
            os.abort()
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        vector = np.random.default_rng(seed).normal(size=DIMS)
        return bytes((vector / np.linalg.norm(vector)).astype("<f2").tobytes())
