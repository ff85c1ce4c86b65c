"""What a connector is, and the table of them.

A connector knows one media server: which libraries it has, which items they hold, and where their
files lie *as this machine sees them*. It lists; it never writes, and knows neither the store nor
the settings. What lies on the disk (sizes, subtitles beside a video) the sync looks at itself, the
same way for every server. `connectors/README.md` is the checklist for a new one.
"""

from collections.abc import AsyncIterator, Callable
from importlib import import_module
from typing import ClassVar, Protocol

from companion.model import ListedLibrary, ListedPage

CONNECTORS = {"folder": "connectors.folder:Folders"}


class Connector(Protocol):
    """One configured media server. Every call may take its time and none blocks the event loop.

    Raises ServerUnavailable (try later) or AuthFailed (a person must act), nothing else that is
    meant to be caught.
    """

    kind: ClassVar[str]  # the key in CONNECTORS

    @property
    def name(self) -> str:
        """What people call this server; unique among the configured ones."""
        ...

    @property
    def address(self) -> str:
        """Where it is, for people; empty if that means nothing. Never holds a token."""
        ...

    async def libraries(self) -> tuple[ListedLibrary, ...]:
        """Return every library, each `external_id` once.

        A library that is not named any more is taken for gone, with its items.
        """
        ...

    def items(self, library: ListedLibrary) -> AsyncIterator[ListedPage]:
        """Yield the items of a library in pages, each item once, in bounded memory.

        `external_id` is the same from listing to listing. If the iteration ends without an error,
        what was not listed is gone, except below the path of a listed problem. So a server that
        stops answering must raise, and a folder that cannot be read must be a problem.
        """
        ...

    async def close(self) -> None:
        """Let go of connections. May be called twice."""
        ...


def load(kind: str) -> Callable[..., Connector]:
    """Return what makes a connector; its module is imported on first use.

    Raises KeyError if there is no such kind.
    """
    module, _, name = CONNECTORS[kind].partition(":")
    plug: Callable[..., Connector] = getattr(import_module(module), name)
    return plug
