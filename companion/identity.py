"""What makes two paths the same film.

The quick look is (device, inode, size, mtime): it answers for a path that was seen before, and for
a rename, a move or a hard link on the same disk, without opening the file. It is only a hint, since
inodes are used again and times can be set: whenever any of it differs, the truth is asked, the
fingerprint.

The fingerprint is SHA-256 over the size and three samples: 256 KiB from the head (container header,
track ids, and the index of a streamable MP4), 256 KiB from the tail (the index of other MP4s, the
cues of Matroska) and 64 KiB from the middle, which tells recordings apart that a camera or recorder
made in one size with the same head and an empty tail. A film costs three reads, some 30 ms on a
hard disk; hashing all of it would take minutes. 128 bits are kept: enough to never meet by chance.
"""

import hashlib
import os
import stat as modes

from companion.model import Stat

HEAD = 256 * 1024
MIDDLE = 64 * 1024
TAIL = 256 * 1024
SCHEME = b"heimdex fingerprint 1"  # a new way to sample must change it


class Unsettled(Exception):
    """The file changed while it was read: look again later."""


class NotAFile(OSError):
    """The path is no regular file."""


def stat(path: bytes) -> Stat:
    """Return the quick look at a file; links are followed. Blocks.

    Raises NotAFile for anything but a regular file, OSError if it cannot be looked at.
    """
    return _of(os.stat(path))  # noqa: PTH116 - the path is bytes


def device(folder: bytes) -> int:
    """Return the disk that a folder lies on. Blocks. Raises OSError."""
    return _signed(os.stat(folder).st_dev)  # noqa: PTH116 - the path is bytes


def fingerprint(path: bytes, seen: Stat) -> str:
    """Return "fp:" and 32 hexadecimal digits. Blocks for three reads.

    Raises Unsettled if the file is not, or does not stay, what `seen` says in size and time,
    OSError if it cannot be read.
    """
    # O_NONBLOCK: a pipe that has taken the file's place must not hold us.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _demand(descriptor, seen)
        digest = hashlib.sha256(SCHEME + seen.size.to_bytes(8, "little"))
        for start, length in samples(seen.size):
            digest.update(_read(descriptor, start, length))
        _demand(descriptor, seen)
    finally:
        os.close(descriptor)
    return f"fp:{digest.hexdigest()[:32]}"


def samples(size: int) -> list[tuple[int, int]]:
    """Return (start, length) of what is read of so large a file; all of it if it is small."""
    if size <= HEAD + MIDDLE + TAIL:
        return [(0, size)]
    return [(0, HEAD), ((size - MIDDLE) // 2, MIDDLE), (size - TAIL, TAIL)]


def same_content(a: Stat, b: Stat) -> bool:
    """True if the quick looks at one path say that nothing was written.

    The device is left out: network and stacked file systems get another number at each mount.
    """
    return (a.inode, a.size, a.mtime_ns) == (b.inode, b.size, b.mtime_ns)


def _of(result: os.stat_result) -> Stat:
    if not modes.S_ISREG(result.st_mode):
        raise NotAFile("it is not a regular file")
    return Stat(
        device=_signed(result.st_dev),
        inode=_signed(result.st_ino),
        size=result.st_size,
        mtime_ns=result.st_mtime_ns,
    )


def _signed(number: int) -> int:
    """Fold an unsigned 64-bit number into what SQLite can hold; some file systems use all bits."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _demand(descriptor: int, seen: Stat) -> None:
    now = _of(os.fstat(descriptor))
    if (now.size, now.mtime_ns) != (seen.size, seen.mtime_ns):
        raise Unsettled("it changed while it was read")


def _read(descriptor: int, start: int, length: int) -> bytes:
    """Read exactly length bytes, which a network file system may give in pieces."""
    pieces = []
    while length > 0:
        piece = os.pread(descriptor, length, start)
        if not piece:
            raise Unsettled("it became shorter while it was read")
        pieces.append(piece)
        start, length = start + len(piece), length - len(piece)
    return b"".join(pieces)
