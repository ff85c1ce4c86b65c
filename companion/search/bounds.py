"""What a search may find at all, worked out before anything is counted or ranked: what the viewer
may see, what holds every quote, what no minus leaves out.

Quotes look at what is said, at what is written in the picture and at titles: `"home alone" aunt`
finds the aunt in the film of that name. A minus looks at tags as well. Functions of a connection.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import apsw

from companion.model import Viewer
from companion.search import tagged
from companion.search.query import Query
from companion.store import tags, visibility, words
from companion.store.codes import Mask
from companion.store.words import Expression

QUOTED = 5_000  # scenes of one quote that are looked at
QUOTED_TITLES = 20  # items with the quote in their title whose scenes count as holding it


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """shown, hidden: file ids. allowed: ids of the scenes that hold every quote, None without
    quotes; quoted: of these, the ones that say one themselves. refused: ids of scenes that a minus
    leaves out."""

    shown: frozenset[int]
    hidden: frozenset[int]
    allowed: frozenset[int] | None = None
    quoted: frozenset[int] = frozenset()
    refused: frozenset[int] = frozenset()

    @property
    def accept(self) -> Callable[[int, int], bool] | None:
        """Whether a scene (its id) of a file (its id) may be found; None if every one may."""
        if not self.hidden and not self.refused and self.allowed is None:
            return None
        return self._accept

    def _accept(self, scene_id: int, file_id: int) -> bool:
        return (
            file_id not in self.hidden
            and scene_id not in self.refused
            and (self.allowed is None or scene_id in self.allowed)
        )


def mask(connection: apsw.Connection, bounds: Bounds) -> Mask:
    """Return the same by scenes alone, for vectors; files by the shorter list of them."""
    if len(bounds.shown) < len(bounds.hidden):
        shown = visibility.scenes_of_files(connection, bounds.shown)
        allowed = shown if bounds.allowed is None else shown & bounds.allowed
        return Mask(allowed, bounds.refused)
    hidden = visibility.scenes_of_files(connection, bounds.hidden) if bounds.hidden else frozenset()
    return Mask(bounds.allowed, bounds.refused | hidden)


class Within:
    """The bounds of one question, worked out when a leg first asks for them, then kept for the
    others. It is used by one thread at a time."""

    def __init__(self, query: Query, viewer: Viewer) -> None:
        self.query = query
        self.viewer = viewer
        self._bounds: Bounds | None = None
        self._mask: Mask | None = None

    def bounds(self, connection: apsw.Connection) -> Bounds:
        if self._bounds is None:
            self._bounds = bounds(connection, self.query, self.viewer)
        return self._bounds

    def mask(self, connection: apsw.Connection) -> Mask:
        if self._mask is None:
            self._mask = mask(connection, self.bounds(connection))
        return self._mask


def bounds(connection: apsw.Connection, query: Query, viewer: Viewer) -> Bounds:
    """Return what a query of a viewer may find."""
    shown, hidden = visibility.files(connection, viewer)
    refused: set[int] = set()
    for expression in phrases(term.text for term in query.without):
        open_to_viewer = Bounds(shown=shown, hidden=hidden)
        found = words.scenes(connection, expression, open_to_viewer.accept, limit=None)
        refused.update(found)
        titled = _titled_files(connection, expression, viewer, limit=None)
        shown, hidden = shown - titled, hidden | titled
    refused |= _tagged(connection, query, Bounds(shown=shown, hidden=hidden))
    return _within_quotes(
        connection,
        query,
        viewer,
        Bounds(shown=shown, hidden=hidden, refused=frozenset(refused)),
    )


def _tagged(connection: apsw.Connection, query: Query, bounds: Bounds) -> set[int]:
    """Return the scenes that a minus leaves out by what they show."""
    names = {name for term in query.without for name in tagged.named(connection, term.text)}
    found = (tags.scenes(connection, name, bounds.accept, limit=None) for name in names)
    return {scene_id for scenes in found for scene_id, _ in scenes}


def _within_quotes(
    connection: apsw.Connection, query: Query, viewer: Viewer, bounds: Bounds
) -> Bounds:
    """Narrow bounds to the scenes that hold every quote."""
    allowed: frozenset[int] | None = None
    said: frozenset[int] = frozenset()
    for expression in phrases(term.text for term in query.exacts):
        found = words.scenes(connection, expression, bounds.accept, limit=QUOTED)
        saying = frozenset(found)
        titled = _titled_files(connection, expression, viewer, limit=QUOTED_TITLES)
        holding = saying | visibility.scenes_of_files(connection, titled - bounds.hidden)
        allowed = holding if allowed is None else allowed & holding
        said |= saying
    if allowed is None:
        return bounds
    quoted = allowed & said
    # With nothing but quotes, a title says nothing about a single scene of its film.
    return replace(bounds, allowed=allowed if query.words else quoted, quoted=quoted)


def _titled_files(
    connection: apsw.Connection, expression: Expression, viewer: Viewer, *, limit: int | None
) -> frozenset[int]:
    item_ids = [row[0] for row in words.titled(connection, expression, viewer, limit=limit)]
    files = visibility.files_of_items(connection, item_ids).values()
    return frozenset(file_id for each in files for file_id in each)


def phrases(texts: Iterable[str]) -> list[Expression]:
    """Return an expression for each quote that has a word in it."""
    return [expression for text in texts if (expression := words.phrase(text)) is not None]
