"""Says in words why something could not be read or done."""

import errno
import os
import traceback
from typing import Any

from companion.errors import ModelMissing
from scanners.base import StageError, StageFailed

_TEMPORARY = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"v=0\r", b"v=0\n", b"[playlist]")
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*", b"BM")


def read_error(error: Exception) -> StageError:
    """Return what to tell people when reading or decoding fails; an I/O error may pass."""
    number = getattr(error, "errno", None)
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return StageError("there was not enough memory", permanent=False)
    if isinstance(error, OSError) and number in _TEMPORARY:
        return StageError(f"the file could not be read: {os.strerror(number)}", permanent=False)
    return StageError(f"the file could not be read: {getattr(error, 'strerror', None) or error}")


def unexpected(error: BaseException) -> StageError:
    """Return what to tell people of any exception; one that nobody foresaw leaves its trace."""
    if isinstance(error, StageError):
        return error
    if isinstance(error, ModelMissing):
        return StageError(str(error), permanent=False)  # it can be brought
    traceback.print_exception(error)
    if isinstance(error, MemoryError):
        return StageError("there was not enough memory", permanent=False)
    last = traceback.format_exception_only(error)[-1].strip()
    return StageError(f"the program failed: {last[:300]}", permanent=False)


def failed(request_id: int, stage: str, failure: StageError) -> StageFailed:
    """Return the message that a stage has failed."""
    return StageFailed(
        id=request_id, stage=stage, reason=failure.reason, permanent=failure.permanent
    )


def refusal(path: bytes, error: Exception) -> StageError:
    """Return why no demuxer took the file, judged by its first bytes."""
    plain = read_error(error)
    if not plain.permanent:
        return plain
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # bytes, which Path does not take
            head = file.read(4096)
            index_missing = head[4:8] == b"ftyp" and not _has_index(file)
    except OSError as problem:
        return read_error(problem)
    if index_missing:
        return StageError("the film is not complete: its index is missing; is it still copied?")
    return StageError(what_is(head))


def _has_index(file: Any) -> bool:
    """Say whether an MP4 has its whole `moov` box; walks the outer boxes only."""
    size = file.seek(0, os.SEEK_END)
    at = 0
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if header[4:8] == b"moov":
            return bool(at + length <= size)
        if length < 8:
            break
        at += length
    return False


def what_is(head: bytes) -> str:
    """Name what is no film. head: the file's first 4096 bytes."""
    if head.startswith(_PLAYLISTS) or b"<MPD" in head[:1000]:
        return "this is a playlist, not a film"
    if head.startswith(_PICTURES) or head[8:12] == b"WEBP":
        return "this is a still picture, not a film"
    if not head.strip(b"\0"):
        return "the file is full of zeros: was its copy or download completed?"
    if _is_text(head):
        return "this is text, not a film"
    return "this is not a film in a known format, or its beginning is damaged"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # a character cut in two at the end is fine
            return False
        text = head[: error.start].decode()
    return not any(ord(sign) < 32 and sign not in "\t\r\n\f\x1b" for sign in text)
