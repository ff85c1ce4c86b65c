"""Server paths and ours: a server in a container or on another machine calls files differently.

Pure logic. A server's path is text that a stranger wrote: whatever is mapped lies below the folder
that the mapping names, or is not mapped.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WINDOWS = re.compile(r"[A-Za-z]:(?:[\\/]|$)|\\\\")
LONGEST = 4096  # characters of a path
TRIED = 20  # places of one name that a proposal looks at, those that agree most first


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMapping:
    """Below `server` on the server is what lies below `local` here.

    server: as the server spells it, with either way of slashes: "/media" or a drive "D:" and on.
    """

    server: str
    local: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A mapping that leads `found` of the samples, which nothing before it did, to files here."""

    mapping: PathMapping
    found: int


@dataclass(frozen=True, slots=True)
class _Spelled:
    """A server path taken apart. windows: it has a drive or is a share; case means nothing then."""

    windows: bool
    parts: tuple[str, ...]

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(part.casefold() for part in self.parts) if self.windows else self.parts


def to_local(path: str, mappings: Sequence[PathMapping]) -> bytes | None:
    """Return where a server's path lies here, or None. The longest prefix that fits decides.

    Without any mapping server and daemon are taken to see the same files under the same names.
    """
    spelled = _apart(path)
    if spelled is None:
        return None
    if not mappings:
        return None if spelled.windows else _join(b"/", spelled.parts)
    best: tuple[int, bytes] | None = None
    for mapping in mappings:
        prefix = _apart(mapping.server)
        if prefix is None or prefix.windows != spelled.windows:
            continue
        length = len(prefix.parts)
        if spelled.key[:length] == prefix.key and (best is None or length > best[0]):
            best = (length, mapping.local)
    return _join(best[1], spelled.parts[best[0] :]) if best else None


def propose(samples: Iterable[str], local: Iterable[bytes]) -> tuple[Proposal, ...]:
    """Return the fewest mappings that lead most samples to a path of `local`, the best first.

    samples: some hundred paths of the server. local: what lies here, files or folders; one of the
    same name as a sample is enough to be considered. Costs about samples² steps.
    """
    here = set(local)
    by_name = _by_name(here)
    wanted = {path: spelled for path in samples if (spelled := _apart(path)) and spelled.parts}
    candidates: dict[PathMapping, int] = {}
    for spelled in wanted.values():
        for agreed, mapping in _candidates(spelled, by_name):
            candidates[mapping] = candidates.get(mapping, 0) + agreed
    covers = {
        mapping: {path for path in wanted if to_local(path, [mapping]) in here}
        for mapping in candidates
    }
    return tuple(_cover(covers, candidates))


def _cover(
    covers: dict[PathMapping, set[str]], agreed: dict[PathMapping, int]
) -> Iterable[Proposal]:
    """Take, again and again, the mapping that leads most of the remaining samples somewhere."""
    left = set[str]().union(*covers.values())
    while left:
        best = max(
            covers,
            key=lambda each: (
                len(covers[each] & left),
                agreed[each],
                -len(each.server),
                each.server,
                each.local,
            ),
        )
        found = covers[best] & left
        yield Proposal(mapping=best, found=len(found))
        left -= found


def _by_name(here: Iterable[bytes]) -> dict[str, list[tuple[str, ...]]]:
    """Return the paths here, taken apart, by the last part."""
    found = defaultdict(list)
    for path in here:
        parts = _parts(path)
        if parts:
            found[parts[-1]].append(parts)
    return found


def _candidates(
    spelled: _Spelled, by_name: dict[str, list[tuple[str, ...]]]
) -> list[tuple[int, PathMapping]]:
    """Return (how many last parts agree, what is left on both sides) for places of that name."""
    places = by_name.get(spelled.parts[-1], [])
    agreed = [(_same_tail(spelled, parts), parts) for parts in places]
    agreed.sort(key=lambda each: (-each[0], each[1]))
    return [
        (
            count,
            PathMapping(
                server=_together(spelled, len(spelled.parts) - count),
                local=_join(b"/", parts[: len(parts) - count]),
            ),
        )
        for count, parts in agreed[:TRIED]
        if count
    ]


def _same_tail(spelled: _Spelled, parts: tuple[str, ...]) -> int:
    """Return how many last parts are the same, to the letter: our disks know upper and lower case.

    A drive or a share's computer is never one.
    """
    theirs = spelled.parts[1:] if spelled.windows else spelled.parts
    count = 0
    for left, right in zip(reversed(theirs), reversed(parts), strict=False):
        if left != right:
            break
        count += 1
    return count


def _apart(path: str) -> _Spelled | None:
    """Take an absolute path apart; None for what is none, or leads upwards."""
    if len(path) > LONGEST or "\0" in path or not _is_text(path):
        return None
    windows = WINDOWS.match(path) is not None
    if not windows and not path.startswith("/"):
        return None
    pieces = path.replace("\\", "/").split("/") if windows else path.split("/")
    parts = tuple(piece for piece in pieces if piece not in {"", "."})
    if ".." in parts:
        return None
    if windows and path.startswith("\\\\") and parts:
        parts = ("\\\\" + parts[0], *parts[1:])
    return _Spelled(windows, parts)


def _is_text(path: str) -> bool:
    try:
        path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _together(spelled: _Spelled, length: int) -> str:
    """Return the first parts of a path as its server spells them."""
    if spelled.windows:
        return "\\".join(spelled.parts[:length]) + ("\\" if length == 1 else "")
    return "/" + "/".join(spelled.parts[:length])


def _parts(path: bytes) -> tuple[str, ...]:
    text = path.decode("utf-8", "surrogateescape")
    return tuple(part for part in text.split("/") if part)


def _join(root: bytes, parts: Sequence[str]) -> bytes:
    below = "/".join(parts).encode("utf-8", "surrogateescape")
    return root.rstrip(b"/") + b"/" + below if below else root.rstrip(b"/") or b"/"
