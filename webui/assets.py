"""Templates and static files, read once at start, compressed once, addressed by their content.

The address of every static file carries the hash of all of them, so that browsers may keep each for
ever, scripts may import their neighbours by a relative name, and an update is seen at once. Nothing
of a URL is ever joined to a folder: files are looked up by name in a dictionary.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
ALREADY_SMALL = frozenset({".png"})
COMPRESSION = 9
HASH_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    content_type: str
    plain: bytes
    gzipped: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """Everything the pages are drawn with. version: hash of the static files."""

    version: str
    static: Mapping[str, Asset]
    templates: Mapping[str, str]


@cache
def load() -> Assets:
    """Read templates and static files of the package. Blocks some 20 ms the first time."""
    package = resources.files("webui")
    static = {
        entry.name: entry.read_bytes()
        for entry in (package / "static").iterdir()
        if _suffix(entry.name) in TYPES
    }
    digest = hashlib.sha256()
    for name in sorted(static):
        digest.update(name.encode() + b"\0" + static[name])
    return Assets(
        version=digest.hexdigest()[:HASH_DIGITS],
        static={name: _asset(name, content) for name, content in static.items()},
        templates={
            entry.name: entry.read_text(encoding="utf-8")
            for entry in (package / "templates").iterdir()
            if entry.name.endswith(".html")
        },
    )


def _asset(name: str, content: bytes) -> Asset:
    suffix = _suffix(name)
    squeezed = gzip.compress(content, COMPRESSION, mtime=0)
    return Asset(
        content_type=TYPES[suffix],
        plain=content,
        gzipped=None if suffix in ALREADY_SMALL else squeezed,
    )


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]
