"""Paths are bytes: what the operating system calls a file, which need not be text.

Everything that compares, orders or shows paths is here, so that a name that is not UTF-8, or that
holds a newline, is handled in one place.
"""

import unicodedata

SLASH = b"/"
AFTER_SLASH = b"0"  # the byte that follows "/": [root + "/", root + "0") is everything below root


def span(root: bytes) -> tuple[bytes, bytes]:
    """Return (below, beyond): path lies below root exactly if below <= path < beyond.

    SQLite orders blobs the same way, so one range of an index finds all of them.
    """
    stem = root.rstrip(SLASH)
    return stem + SLASH, stem + AFTER_SLASH


def is_below(path: bytes, root: bytes) -> bool:
    """True if path lies below root; root itself does not."""
    below, _beyond = span(root)
    return path.startswith(below) and path != below


def plain(name: bytes) -> str:
    """Return a name as people read it: composed characters, one line, no control characters.

    Bytes that are not UTF-8 become U+FFFD, so different names may read the same.
    """
    text = name.decode("utf-8", "replace")
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if text.isprintable():  # nearly always, and ten times faster to ask
        return text
    return "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in text)


def spelled(path: bytes) -> str:
    r"""Return the path as text from which it can be had back: `\xff` for a byte that is not UTF-8,
    and `\\` for a backslash. Different paths give different texts."""
    return path.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
