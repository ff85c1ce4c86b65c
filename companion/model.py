"""The vocabulary as frozen dataclasses: what flows between storage, flows and pages. No I/O here.

Times are whole milliseconds after the container's start, intervals half-open; points in calendar
time are Unix milliseconds and end in `_at_ms` (but `Moment.at_ms` is film time). Ids ending in
`_id` are database keys and never leave the process; `public_id`s are opaque and stable, and are
what URLs and the API carry.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from enum import StrEnum

from companion.findings import MediaInfo, Pass, Word
from companion.listed import (
    CreditKind as CreditKind,
    ItemKind as ItemKind,
    LibraryKind as LibraryKind,
    ListedCredit as ListedCredit,
    ListedItem as ListedItem,
    ListedLibrary as ListedLibrary,
    ListedPage as ListedPage,
    ListedPart as ListedPart,
    ListedProblem as ListedProblem,
)


class JobState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    FAILED = "failed"  # set aside with a reason, until a person or a change asks again


class StageState(StrEnum):
    DONE = "done"
    FAILED = "failed"


class Source(StrEnum):
    """Where a line comes from."""

    SUBTITLE = "subtitle"
    SPEECH = "speech"


# --- what the store gives ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    id: int
    server_id: int
    external_id: str
    name: str
    kind: LibraryKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    id: int
    public_id: str
    library_id: int
    library: str
    kind: ItemKind
    title: str
    show_title: str
    season: int | None
    episode: int | None
    year: int | None
    added_at_ms: int

    @property
    def name(self) -> str:
        """What people call it: "Show S01E02 · Title" or "Title (1984)"."""
        if self.kind is ItemKind.EPISODE and self.show_title:
            number = (
                f" S{self.season or 0:02}E{self.episode:02}" if self.episode is not None else ""
            )
            title = f" · {self.title}" if self.title and self.title != self.show_title else ""
            return f"{self.show_title}{number}{title}"
        return f"{self.title} ({self.year})" if self.year else self.title


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """The quick look at a path: what `stat` says."""

    device: int
    inode: int
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One video by its content. `paths` are the places where it lies now, best first."""

    id: int
    public_id: str
    fingerprint: str
    size: int
    media: MediaInfo | None
    paths: tuple[bytes, ...] = ()

    @property
    def duration_ms(self) -> int:
        return self.media.duration_ms if self.media else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SideFileRow:
    """A subtitle file beside a video, with what its name says."""

    path: bytes
    language: str
    forced: bool
    hearing_impaired: bool
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    file_id: int
    stage: str
    version: int
    model: str
    inputs: str  # hash of what the stage read besides the file
    state: StageState
    reason: str  # why it failed
    note: str  # for people, when done
    attempts: int
    finished_at_ms: int
    cpu_ms: int
    permanent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What decides which stages of a file are missing. has_subtitles: a full one gave lines."""

    file: File
    results: Mapping[str, StageResult]
    side_files: tuple[SideFileRow, ...]
    has_subtitles: bool
    has_scenes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A request to bring one pass of one file up to date. Deleting every job loses nothing."""

    id: int
    file_id: int
    runs: Pass
    state: JobState
    priority: int  # higher first; 100 and more: a person asked, windows do not hold it back
    attempts: int
    reason: str
    created_at_ms: int
    started_at_ms: int | None
    done_ms: int  # of total_ms: how far a running job is, in film time
    total_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneRow:
    id: int
    file_id: int
    number: int
    start_ms: int
    end_ms: int
    still_ms: int
    provisional: bool  # made from lines alone, until the picture has been read


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRow:
    id: int
    file_id: int
    start_ms: int
    end_ms: int
    text: str
    language: str
    source: Source
    words: tuple[Word, ...] = ()


# --- what search gives ---------------------------------------------------------------------------


class Leg(StrEnum):
    """Which index found something."""

    WORDS = "words"
    MEANING = "meaning"
    TITLE = "title"
    PICTURE = "picture"
    ONSCREEN = "onscreen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Characters [start, end) of a text that match the query."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a moment was found. score: this leg's calibrated score, 0..1."""

    leg: Leg
    score: float
    text: str = ""
    marks: tuple[Span, ...] = ()
    at_ms: int | None = None  # where in the film the evidence is
    box: tuple[float, float, float, float] | None = None  # of text in the picture: x, y, w, h, 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A search result. public_id is `<file public id>-<start ms in base 36>`."""

    public_id: str
    file: File
    item: Item
    scene_id: int
    start_ms: int
    end_ms: int
    at_ms: int  # the second playing starts at
    still_ms: int
    score: float
    strong: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Everything a search gives back. weak: nearest guesses below the floor, best first."""

    query: str
    moments: tuple[Moment, ...]
    weak: tuple[Moment, ...] = ()
    notes: tuple[str, ...] = ()  # what could not be searched and why, in words
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who is asking. item_ids: what they may see; None means everything.

    Every read that ends on a page, in the API or in the CLI takes a Viewer.
    """

    name: str = "owner"
    owner: bool = True
    item_ids: Set[int] | None = field(default=None, repr=False)

    def may_see(self, item_id: int) -> bool:
        return self.item_ids is None or item_id in self.item_ids


OWNER = Viewer()


# --- what the indexing page shows ----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What is being scanned now. speed: film seconds per second, 0 until known."""

    file: File
    item: Item | None
    runs: Pass
    stage: str
    done_ms: int
    total_ms: int
    speed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A stage of a file that was set aside, or a path that cannot be scanned (file is None)."""

    file: File | None
    item: Item | None
    path: bytes
    stage: str
    reason: str
    permanent: bool
    at_ms: int  # Unix ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much is searchable. Counts of files; film time in ms."""

    files: int = 0
    film_ms: int = 0
    words: int = 0  # files whose words are searchable (subtitles or speech are done)
    pictures: int = 0  # files whose picture was read
    meaning: int = 0
    scenes: int = 0
    lines: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexingStatus:
    """waiting: jobs per pass. holds: in words, why what waits does not run now. remaining_s: an
    estimate from the speeds measured so far, None when there are none."""

    coverage: Coverage
    running: tuple[Running, ...]
    waiting: dict[Pass, int]
    holds: tuple[str, ...]
    failures: tuple[Failure, ...]
    remaining_s: int | None
    syncing: bool = False
    paused: bool = False
    notes: tuple[str, ...] = ()  # folders that are away, models that are missing
