"""The settings of one installation as frozen structs; `companion.settings` reads them.

What pages change lives in the database instead. Every key is explained in
`companion/heimdex.example.toml`; a test holds that file and these defaults together.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from companion.model import LibraryKind

Port = Annotated[int, Meta(ge=0, le=65_535)]
Days = Annotated[int, Meta(ge=1, le=3650)]
Threads = Annotated[int, Meta(ge=0, le=256)]
Beam = Annotated[int, Meta(ge=1, le=10)]
Count = Annotated[int, Meta(ge=1, le=100_000)]
Megabytes = Annotated[int, Meta(ge=256, le=1_048_576)]
Seconds = Annotated[int, Meta(ge=1, le=86_400)]
Minutes = Annotated[int, Meta(ge=1, le=10_080)]  # up to a week
Weight = Annotated[float, Meta(ge=0, le=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A library of the folder connector: everything below `path`."""

    path: Path
    name: str = ""  # default: the folder's own name
    kind: LibraryKind = LibraryKind.MIXED


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    host: str = "127.0.0.1"
    port: Port = 8642
    base_path: str = ""  # "/heimdex" behind a reverse proxy; no slash at the end
    allowed_hosts: tuple[str, ...] = ()  # besides loopback names and the address listened on
    trusted_proxies: tuple[str, ...] = ()  # addresses or networks whose X-Forwarded-* are believed
    frame_ancestors: tuple[str, ...] = ()  # origins that may show the page in a frame
    session_days: Days = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of the week in which scanning may run, in minutes of local time."""

    days: frozenset[int]  # 0 is Monday; the day on which the window starts
    start_minute: int
    end_minute: int  # <= start_minute: on the next day


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanning:
    windows: tuple[Window, ...] = ()  # empty: always
    threads: Threads = 0  # 0: as many as there are cores
    languages: tuple[str, ...] = ()  # wanted subtitle languages, best first; empty: any
    speech_language: str = ""  # empty: found by the model
    beam: Beam = 1
    subtitles_replace_speech: bool = True
    recycle_files: Count = 50  # a child is replaced after so many requests ...
    recycle_mb: Megabytes = 1500  # ... or when it has grown above this
    idle_s: Seconds = 60  # a child without work leaves after this
    stall_s: Seconds = 300  # a child that says nothing for so long is stopped
    memory_mb: Megabytes = 8192  # address space a child may ask for


@dataclass(frozen=True, slots=True, kw_only=True)
class Syncing:
    every_minutes: Minutes = 360  # full look at every library
    watch: bool = True
    poll: tuple[Path, ...] = ()  # folders on shares that send no events
    settle_s: Seconds = 30  # a file must be still for so long before it is read


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecars:
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Searching:
    text_weight: Weight = 0.5
    vision_weight: Weight = 0.35
    person_boost: Weight = 0.3
    limit: Count = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    semantic_search: bool = True
    vision: bool = True
    face_detection: bool = True
    face_enrollment: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    profile: str = "embedded"
    folder: Path | None = None  # default: models/ in the data folder
    roles: dict[str, str] = field(default_factory=dict)  # role -> row of the model table
    get: bool = True  # bring missing files when the daemon starts


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    data_dir: Path
    folders: tuple[Folder, ...] = ()
    web: Web = field(default_factory=Web)
    scan: Scanning = field(default_factory=Scanning)
    sync: Syncing = field(default_factory=Syncing)
    sidecars: Sidecars = field(default_factory=Sidecars)
    search: Searching = field(default_factory=Searching)
    features: Features = field(default_factory=Features)
    models: Models = field(default_factory=Models)
    log_level: str = "INFO"
    backups_kept: Count = 14

    @property
    def database(self) -> Path:
        return self.data_dir / "heimdex.db"

    @property
    def cache(self) -> Path:
        return self.data_dir / "cache"

    @property
    def backups(self) -> Path:
        return self.data_dir / "backups"

    @property
    def models_folder(self) -> Path:
        return self.models.folder or self.data_dir / "models"
