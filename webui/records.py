"""The JSON that programs get, from the API and from `heimdex search --json`: names are promises.

Times are seconds with at most three decimals. Ids are opaque and stable.
"""

import msgspec

from companion.model import (
    Answer,
    Coverage,
    Failure,
    File,
    IndexingStatus,
    Item,
    Moment,
    Reason,
    Running,
    Viewer,
)
from companion.timecode import seconds_from_ms
from webui import words


class ReasonRecord(msgspec.Struct, frozen=True):
    """Why a moment was found. marks: [start, end) characters of text that match. box: where in the
    picture the text is, x, y, width and height as fractions."""

    leg: str
    score: float
    text: str
    marks: list[tuple[int, int]]
    at_s: float | None
    box: tuple[float, float, float, float] | None = None


class Result(msgspec.Struct, frozen=True):
    """A moment. at_s: the second playing starts at; strong: false below the floor."""

    file: str
    item: str
    start_s: float
    end_s: float
    at_s: float
    score: float
    strong: bool
    reasons: list[ReasonRecord]
    moment: str
    item_id: str
    file_id: str


class Results(msgspec.Struct, frozen=True):
    """An answer, best first, what is below the floor last. notes: what could not be searched."""

    query: str
    results: list[Result]
    notes: list[str]
    took_ms: float


class FileRecord(msgspec.Struct, frozen=True):
    """One video of an item. file: its path for the owner, its name for others."""

    id: str
    file: str
    duration_s: float
    size: int


class ItemRecord(msgspec.Struct, frozen=True):
    id: str
    name: str
    title: str
    kind: str
    library: str
    year: int | None
    show: str
    season: int | None
    episode: int | None
    files: list[FileRecord]


class CoverageRecord(msgspec.Struct, frozen=True):
    """Counts of files that are searchable for something, of `files` in all."""

    files: int
    film_s: float
    words: int
    pictures: int
    meaning: int
    scenes: int
    lines: int


class RunningRecord(msgspec.Struct, frozen=True):
    """speed: seconds of film per second, 0 until known."""

    file_id: str
    item: str
    runs: str
    stage: str
    done_s: float
    total_s: float
    speed: float


class FailureRecord(msgspec.Struct, frozen=True):
    """permanent: trying again helps only when the file or the program changes."""

    file_id: str
    item: str
    file: str
    stage: str
    reason: str
    permanent: bool


class Status(msgspec.Struct, frozen=True):
    """holds: why what waits does not run now; remaining_s: null when nothing was measured yet."""

    coverage: CoverageRecord
    running: list[RunningRecord]
    waiting: dict[str, int]
    holds: list[str]
    failures: list[FailureRecord]
    remaining_s: int | None
    syncing: bool
    paused: bool
    notes: list[str]


class Health(msgspec.Struct, frozen=True):
    """state: alive (the process answers), ready, or degraded (ready, but something is missing).

    reasons are told only to who has signed in."""

    state: str
    version: str
    reasons: list[str]


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to scan now: a file by its id; null: everything that waits."""

    file: str | None = None


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A wish without details."""


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    file: str


class Requested(msgspec.Struct, frozen=True):
    """How many requests now go before all others."""

    requested: int


class ErrorRecord(msgspec.Struct, frozen=True):
    error: str


def results(answer: Answer, viewer: Viewer) -> Results:
    return Results(
        query=answer.query,
        results=[result(moment, viewer) for moment in (*answer.moments, *answer.weak)],
        notes=list(answer.notes),
        took_ms=round(answer.took_ms, 2),
    )


def result(moment: Moment, viewer: Viewer) -> Result:
    return Result(
        file=place(moment.file, viewer),
        item=moment.item.name,
        start_s=seconds_from_ms(moment.start_ms),
        end_s=seconds_from_ms(moment.end_ms),
        at_s=seconds_from_ms(moment.at_ms),
        score=round(moment.score, 4),
        strong=moment.strong,
        reasons=[_reason(reason) for reason in moment.reasons],
        moment=moment.public_id,
        item_id=moment.item.public_id,
        file_id=moment.file.public_id,
    )


def place(file: File, viewer: Viewer) -> str:
    """Return where a file lies: the whole path is for the owner, others get the name."""
    if not viewer.owner:
        return words.file_name(file)
    return words.printable(file.paths[0]) if file.paths else ""


def item(found: Item, files: list[File], viewer: Viewer) -> ItemRecord:
    return ItemRecord(
        id=found.public_id,
        name=found.name,
        title=found.title,
        kind=found.kind.value,
        library=found.library,
        year=found.year,
        show=found.show_title,
        season=found.season,
        episode=found.episode,
        files=[
            FileRecord(
                id=file.public_id,
                file=place(file, viewer),
                duration_s=seconds_from_ms(file.duration_ms),
                size=file.size,
            )
            for file in files
        ],
    )


def status(found: IndexingStatus, viewer: Viewer) -> Status:
    return Status(
        coverage=_coverage(found.coverage),
        running=[_running(one) for one in found.running],
        waiting={name: count for name, count in found.waiting.items() if count},
        holds=list(found.holds),
        failures=[_failure(one, viewer) for one in found.failures],
        remaining_s=found.remaining_s,
        syncing=found.syncing,
        paused=found.paused,
        notes=list(found.notes),
    )


def _reason(reason: Reason) -> ReasonRecord:
    return ReasonRecord(
        leg=reason.leg.value,
        score=round(reason.score, 4),
        text=reason.text,
        marks=[(mark.start, mark.end) for mark in reason.marks],
        at_s=None if reason.at_ms is None else seconds_from_ms(reason.at_ms),
        box=reason.box,
    )


def _coverage(coverage: Coverage) -> CoverageRecord:
    return CoverageRecord(
        files=coverage.files,
        film_s=seconds_from_ms(coverage.film_ms),
        words=coverage.words,
        pictures=coverage.pictures,
        meaning=coverage.meaning,
        scenes=coverage.scenes,
        lines=coverage.lines,
    )


def _running(running: Running) -> RunningRecord:
    return RunningRecord(
        file_id=running.file.public_id,
        item=running.item.name if running.item else words.file_name(running.file),
        runs=running.runs,
        stage=running.stage,
        done_s=seconds_from_ms(running.done_ms),
        total_s=seconds_from_ms(running.total_ms),
        speed=round(running.speed, 2),
    )


def _failure(failure: Failure, viewer: Viewer) -> FailureRecord:
    path = words.printable(failure.path)
    return FailureRecord(
        file_id=failure.file.public_id if failure.file else "",
        item=failure.item.name if failure.item else "",
        file=path if viewer.owner else path.rsplit("/", 1)[-1],
        stage=failure.stage,
        reason=failure.reason,
        permanent=failure.permanent,
    )
