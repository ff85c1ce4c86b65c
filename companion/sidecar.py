"""The JSON beside a film that rebuilds its part of the database, to the bit.

`.<video file name>.scenes.json` lies next to the film (a dot *file* is the one form that Jellyfin
and Plex both ignore), or under the data folder when that place cannot be written. It names nobody.
It is written whole after each stage, by rename; keys that we do not know are kept; reading trusts
nothing.
"""

import contextlib
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import apsw
import msgspec

from companion import record, restoring
from companion.errors import CompanionError
from companion.model import File
from companion.record import Sidecar

MAX_BYTES = 256 * 2**20  # a 10 h film with 1024-d vectors has some 30 MB
NAME_LIMIT = 255  # bytes of a file name on every file system we know


class SidecarError(CompanionError):
    """A sidecar cannot be used; the message says which and why."""


# --- where it lies -------------------------------------------------------------------------------


def beside(path: bytes) -> bytes | None:
    """Return where the sidecar of a film lies, or None if its name would be too long."""
    folder, name = os.path.split(path)
    own = b"." + name + b".scenes.json"
    return os.path.join(folder, own) if len(own) + 9 <= NAME_LIMIT else None  # noqa: PTH118 - bytes


def mirrored(mirror: Path, fingerprint: str) -> bytes:
    """Return where the sidecar of a film lies when the film's folder cannot be written."""
    digest = hashlib.sha256(fingerprint.encode()).hexdigest()
    return os.fsencode(mirror / digest[:2] / f"{digest[:32]}.scenes.json")


# --- writing and reading -------------------------------------------------------------------------


def write(path: bytes, made: Mapping[str, Any]) -> None:
    """Write a record in one step: the old sidecar or the new one is there, never a half. Blocks.

    Keys at the top of the old one that we do not know are kept. Raises OSError if the place cannot
    be written.
    """
    text = msgspec.json.encode({**made, **_unknown(path, made)})
    folder, name = os.path.split(path)
    unfinished = os.path.join(folder, b".~" + name.lstrip(b".")[-200:] + b".part")  # noqa: PTH118
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - the path is bytes
    try:
        with open(unfinished, "wb") as out:  # noqa: PTH123 - the path is bytes
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(unfinished, path)  # noqa: PTH105 - the path is bytes
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)  # noqa: PTH108 - the path is bytes
        raise


def _unknown(path: bytes, made: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a newer program or another tool has put into the old sidecar."""
    try:
        old = msgspec.json.decode(_bytes(path))
    except (OSError, SidecarError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(old, dict) or old.get("video_id") != made.get("video_id"):
        return {}
    return {key: value for key, value in old.items() if key not in made}


def discard(path: bytes, fingerprint: str) -> bool:
    """Remove a sidecar whose film has left; True if it was that film's. Blocks."""
    if video_id(path) != fingerprint:
        return False
    with contextlib.suppress(OSError):
        os.unlink(path)  # noqa: PTH108 - the path is bytes
    return True


def video_id(path: bytes) -> str:
    """Return whose sidecar this is, or "" if it is none. Blocks."""
    try:
        return _decode(path).video_id
    except (OSError, SidecarError):
        return ""


def restore(connection: apsw.Connection, file: File, path: bytes) -> int:
    """Put what a sidecar holds into the database, in place of what is there; return its scenes.

    Raises SidecarError if it is damaged, too new, or of another film; OSError if it cannot be read.
    """
    found = _decode(path)
    if found.video_id != file.fingerprint:
        raise SidecarError(f"{_show(path)} belongs to another film; nothing was taken from it")
    try:
        restoring.restore(connection, file, found)
    except ValueError as error:
        raise SidecarError(f"{_show(path)} {error}") from error
    return len(found.scenes)


def _decode(path: bytes) -> Sidecar:
    try:
        found = msgspec.json.decode(_bytes(path), type=Sidecar)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SidecarError(f"{_show(path)} is damaged: {error}") from error
    if found.schema > record.SCHEMA:
        raise SidecarError(f"{_show(path)} was written by a newer version: upgrade this program")
    return found


def _bytes(path: bytes) -> bytes:
    with open(path, "rb") as source:  # noqa: PTH123 - the path is bytes
        if os.fstat(source.fileno()).st_size > MAX_BYTES:
            raise SidecarError(f"{_show(path)} is larger than {MAX_BYTES // 2**20} MB")
        return source.read()


def _show(path: bytes) -> str:
    return os.fsdecode(path).encode(errors="replace").decode()
