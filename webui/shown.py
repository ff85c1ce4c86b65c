"""Pictures that people have shown us to search with: kept in memory for a while, each for who gave
it, under a token that nobody can guess. Only what a model made of them is kept, never the bytes."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from companion.model import Viewer
from companion.search.pictures import Picture

LONGEST_NAME = 40  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """name: what the picture is called where it comes from, "" if nobody said."""

    picture: Picture
    name: str


@dataclass(slots=True, kw_only=True)
class _Kept:
    shown: Shown
    viewer: str
    used_s: float


class Album:
    """The pictures of everybody. The ones used longest ago go first."""

    MOST = 500  # some kB each
    MOST_OF_ONE = 50
    KEEP_S = 3600  # after it was last used

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def keep(self, viewer: Viewer, picture: Picture, name: str = "") -> str:
        """Keep a picture; return its token."""
        self._forget_old()
        own = [token for token, kept in self._kept.items() if kept.viewer == viewer.name]
        for token in own[: max(0, len(own) - self.MOST_OF_ONE + 1)]:
            del self._kept[token]
        while len(self._kept) >= self.MOST:
            self._kept.popitem(last=False)
        token = secrets.token_urlsafe(16)
        shown = Shown(picture=picture, name=_short(name))
        self._kept[token] = _Kept(shown=shown, viewer=viewer.name, used_s=self._clock())
        return token

    def find(self, viewer: Viewer, token: str) -> Shown | None:
        """Return a picture that this viewer has shown, None if it is not kept (any more)."""
        self._forget_old()
        kept = self._kept.get(token)
        if kept is None or kept.viewer != viewer.name:
            return None
        kept.used_s = self._clock()
        self._kept.move_to_end(token)
        return kept.shown

    def _forget_old(self) -> None:
        before = self._clock() - self.KEEP_S
        while self._kept and next(iter(self._kept.values())).used_s < before:
            self._kept.popitem(last=False)


def _short(name: str) -> str:
    said = "".join(letter for letter in name if letter.isprintable()).strip()
    return said if len(said) <= LONGEST_NAME else said[: LONGEST_NAME - 1] + "…"
