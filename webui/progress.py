"""What the templates about indexing receive: how much is searchable, what runs, waits or failed."""

import hashlib
from dataclasses import dataclass

import msgspec

from companion.findings import Pass
from companion.model import Failure, IndexingStatus, Running
from companion.timecode import clock
from webui import words
from webui.links import Links

PASSES: dict[Pass, str] = {
    "words": "Reading subtitles",
    "speech": "Listening to speech",
    "picture": "Looking at the picture",
    "meaning": "Understanding what was said",
}
WAITING: dict[Pass, str] = {
    "words": "to read",
    "speech": "to listen to",
    "picture": "to look at",
    "meaning": "to understand",
}
STAGES = {
    "subtitles": "subtitles",
    "speech": "speech",
    "shots": "cuts",
    "scenes": "scenes",
    "picture": "pictures",
    "faces": "faces",
    "onscreen": "text in the picture",
    "meaning": "meaning",
    "probe": "opening the file",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """How many films are searchable for something."""

    label: str
    what: str
    done: int
    total: int

    @property
    def complete(self) -> bool:
        return self.done >= self.total


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What is being scanned."""

    title: str
    href: str
    doing: str
    stage: str
    done: int
    total: int
    where: str
    speed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """file: public id to try again with, "" if there is nothing to try; where: for the owner."""

    key: str
    title: str
    where: str
    stage: str
    reason: str
    permanent: bool
    file: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The indexing page. state: one word for the light at the top."""

    state: str
    headline: str
    detail: str
    bars: tuple[Bar, ...]
    films: int
    hours: str
    scenes: int
    lines: int
    running: tuple[Now, ...]
    waiting: tuple[tuple[str, str], ...]
    holds: tuple[str, ...]
    failed: tuple[Failed, ...]
    notes: tuple[str, ...]
    paused: bool
    busy: bool


def work(status: IndexingStatus, links: Links, *, owner: bool) -> Work:
    state, headline, detail = _headline(status)
    coverage = status.coverage
    return Work(
        state=state,
        headline=headline,
        detail=detail,
        bars=_bars(status),
        films=coverage.files,
        hours=words.how_long(coverage.film_ms),
        scenes=coverage.scenes,
        lines=coverage.lines,
        running=tuple(_now(running, links) for running in status.running),
        waiting=tuple(
            (words.counted(status.waiting[runs], "film"), WAITING[runs])
            for runs in WAITING
            if status.waiting.get(runs)
        ),
        holds=status.holds,
        failed=tuple(_failed(failure, owner=owner) for failure in status.failures),
        notes=status.notes,
        paused=status.paused,
        busy=busy(status),
    )


def fingerprint(shown: Work) -> str:
    """Return a short text that changes when what is shown does."""
    return hashlib.sha256(msgspec.json.encode(shown)).hexdigest()[:16]


def busy(status: IndexingStatus) -> bool:
    """Say whether there is work going on or waiting."""
    return bool(status.running or status.syncing or sum(status.waiting.values()))


def banner(status: IndexingStatus) -> str:
    """Return what the search page says while the index is not complete; "" when it is."""
    coverage = status.coverage
    if not busy(status) or not coverage.files:
        return ""
    if coverage.words < coverage.files:
        return (
            f"Words of {coverage.words} of {words.counted(coverage.files, 'film')} are searchable; "
            "results appear as they come."
        )
    if coverage.meaning < coverage.files:
        return (
            "All words are searchable; meaning of "
            f"{coverage.meaning} of {words.counted(coverage.files, 'film')}."
        )
    return (
        f"Everything said is searchable; the picture of {coverage.pictures} of "
        f"{words.counted(coverage.files, 'film')} has been read."
    )


def _headline(status: IndexingStatus) -> tuple[str, str, str]:
    """Return the state's word, what it means, and what comes next."""
    waiting = sum(status.waiting.values())
    left = (
        f"{words.about(status.remaining_s).capitalize()} to go."
        if status.remaining_s is not None
        else "How long it takes is known once something has been measured."
    )
    if status.paused:
        return "paused", "Paused", "Nothing is scanned until you resume. Search works as ever."
    if status.running:
        return "working", "Indexing", left
    if status.syncing:
        return "working", "Looking through the folders", "New and changed films are found now."
    if waiting:
        return "waiting", "Waiting", " ".join(status.holds) or left
    if not status.coverage.files:
        return "empty", "No films yet", "Name a folder in heimdex.toml, then look again."
    if status.failures:
        return "done", "Done, with exceptions", "What could not be read is listed below."
    return "done", "Everything is searchable", "New films are found by themselves."


def _bars(status: IndexingStatus) -> tuple[Bar, ...]:
    coverage = status.coverage
    return (
        Bar(label="Words", what="what is said", done=coverage.words, total=coverage.files),
        Bar(
            label="Meaning", what="said in other words", done=coverage.meaning, total=coverage.files
        ),
        Bar(
            label="Pictures", what="scenes and stills", done=coverage.pictures, total=coverage.files
        ),
    )


def _now(running: Running, links: Links) -> Now:
    name = words.file_name(running.file) or "A film"
    total = max(running.total_ms, running.file.duration_ms)
    return Now(
        title=running.item.name if running.item else name,
        href=links.item(running.item.public_id) if running.item else "",
        doing=PASSES[running.runs],
        stage=STAGES.get(running.stage, running.stage) if running.runs == "picture" else "",
        done=min(running.done_ms, total),
        total=total,
        where=f"{clock(running.done_ms)} of {clock(total)}" if total else "",
        speed=f"{running.speed:.1f} × real time" if running.speed else "",
    )


def _failed(failure: Failure, *, owner: bool) -> Failed:
    path = words.printable(failure.path) or (
        words.printable(failure.file.paths[0]) if failure.file and failure.file.paths else ""
    )
    name = path.rsplit("/", 1)[-1]
    file = failure.file.public_id if failure.file else ""
    return Failed(
        key=hashlib.sha256(f"{file}/{failure.stage}/{path}".encode()).hexdigest()[:12],
        title=failure.item.name if failure.item else name or "A film",
        where=path if owner else name,
        stage=STAGES.get(failure.stage, failure.stage),
        reason=failure.reason,
        permanent=failure.permanent,
        file=file if owner else "",
        at_ms=failure.at_ms,
    )
