"""Server paths and ours: a server in a container or on another machine calls files differently."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMapping:
    """Below `server` on the server is what lies below `local` here.

    server: as the server spells it, with either way of slashes: "/media" or a drive "D:" and on.
    """

    server: str
    local: bytes
