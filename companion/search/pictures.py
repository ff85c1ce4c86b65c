"""A picture that somebody gave, on its way to the model and back as a vector.

The bytes are hostile until a child has opened them (`scanners.uploads`); here they are only
counted, laid down where the child can read them, and taken away again.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from companion.errors import FeatureOff, PictureRefused, ScanFailed
from companion.search.encoding import PICTURES, Vector
from scanners.base import Encoded

PREFIX = "picture-"
MAX_BYTES = 20 * 2**20  # as `scanners.uploads` takes
LOOK_LIMIT_S = 30.0  # a cold start on a slow machine loads the model first

LEFT_S = 3_600  # what lies in the folder for so long was left by a process that was killed

OFF = f"{PICTURES} is off"
SWITCHED_OFF = f"{OFF}: set features.vision = true in heimdex.toml"

LookAt = Callable[[bytes], Awaitable[Encoded]]
"""Gives the vector of the picture that lies at a path."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as its model sees it: the vector by which it is compared with those of scenes."""

    vector: Vector


async def look(data: bytes, look_at: LookAt | None, folder: Path) -> Picture:
    """Return a picture that can be searched for. folder: where it lies meanwhile.

    Raises FeatureOff if pictures are switched off (look_at is None), PictureRefused with a reason
    in words if this is none that can be opened, ModelMissing, or ScanFailed if the model fails.
    """
    if look_at is None:
        raise FeatureOff(SWITCHED_OFF)
    if len(data) > MAX_BYTES:
        raise PictureRefused(f"the picture is larger than {MAX_BYTES // 2**20} MB")
    path = await asyncio.to_thread(_lay_down, data, folder)
    try:
        async with asyncio.timeout(LOOK_LIMIT_S):
            seen = await look_at(os.fsencode(path))
    except TimeoutError:
        raise ScanFailed(
            "picture", "nobody looked at it in time; try again", permanent=False
        ) from None
    except ScanFailed as error:
        if error.permanent:
            raise PictureRefused(error.reason) from error
        raise
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)
    if len(seen.vectors) != 1:
        raise ScanFailed("picture", "the model gave no vector", permanent=False)
    return Picture(Vector(seen.model, seen.vectors[0]))


def _lay_down(data: bytes, folder: Path) -> Path:
    """Write a file that only this user can read, under a name that nobody chose."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if left.stat().st_mtime < time.time() - LEFT_S:
                left.unlink()
    descriptor, name = tempfile.mkstemp(prefix=PREFIX, dir=folder)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
    return Path(name)
