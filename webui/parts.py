"""What the pages are made of: the parts of the product that handlers may use."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from companion.config import Config
from companion.household import Household
from companion.model import Answer, IndexingStatus, Viewer
from companion.playback import Playback
from companion.remote_play import RemotePlay
from companion.search.fusion import Weights
from companion.search.pictures import Picture
from companion.search.query import Mode
from companion.servers import Servers
from companion.setting_up import SettingUp
from companion.store.accounts import Accounts
from companion.store.db import Store


class Asking(Protocol):
    """Search, as pages use it."""

    async def ask(  # noqa: PLR0913  # what may be asked for, by name
        self,
        text: str,
        *,
        viewer: Viewer = ...,
        mode: Mode = ...,
        limit: int = ...,
        weights: Weights | None = ...,
        picture: Picture | None = ...,
        like: int | None = ...,
    ) -> Answer: ...

    async def look(self, data: bytes) -> Picture: ...

    async def examples(self, viewer: Viewer) -> Sequence[str]: ...


class Indexing(Protocol):
    """The indexer, as the indexing page uses it."""

    async def status(self, viewer: Viewer = ...) -> IndexingStatus: ...

    async def scan_now(self, *, file_public_id: str | None = None) -> int: ...

    async def retry(self, file_public_id: str) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """local_token: who can read it from the data folder is the owner (the command line beside a
    daemon that listens beyond loopback); empty switches it off. sync: look at the folders now.
    household: who may see what by their media server; None: there is no such server. servers: to
    set them up. remote_play: on people's players."""

    config: Config
    store: Store
    search: Asking
    indexer: Indexing
    playback: Playback
    accounts: Accounts
    household: Household | None = None
    servers: Servers | None = None
    remote_play: RemotePlay | None = None
    setting_up: SettingUp | None = None
    local_token: str = ""
    sync: Callable[[], Awaitable[None]] | None = None
