"""What commands show: results, progress and findings, as text that a person reads."""

import asyncio
import io
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from companion import terminal
from companion.doctor import Finding, Health
from companion.indexing import Indexer
from companion.local import Failed, Outcome
from companion.model import Coverage, File, IndexingStatus, Running
from webui import records

STILL = IndexingStatus(
    coverage=Coverage(files=2, words=2, pictures=2, meaning=2),
    running=(),
    waiting={},
    holds=(),
    failures=(),
    remaining_s=None,
)
FILE = File(id=1, public_id="abc", fingerprint="fp:0", size=1, media=None)
LOOKING = Running(
    file=FILE, item=None, runs="picture", stage="shots", done_ms=30_000, total_ms=120_000, speed=2
)


class Page:
    """A terminal of a hundred columns, or a file."""

    def __init__(self, *, is_terminal: bool = False) -> None:
        self.written = io.StringIO()
        self.console = Console(
            file=self.written, width=100, force_terminal=is_terminal, color_system=None
        )

    @property
    def text(self) -> str:
        return self.written.getvalue()


@pytest.fixture
def page() -> Page:
    return Page()


def result(**changes: Any) -> records.Result:
    reason = records.ReasonRecord(
        leg="words", score=0.9, text="Dad falls into the [lake].", marks=[(20, 24)], at_s=61.4
    )
    values: dict[str, Any] = {
        "file": "/films/Lake.mkv",
        "item": "Lake (1984)",
        "start_s": 61.2,
        "end_s": 68.9,
        "at_s": 61.4,
        "score": 0.913,
        "strong": True,
        "reasons": [reason],
        "moment": "abc-1",
        "item_id": "i",
        "file_id": "abc",
    }
    return records.Result(**values | changes)


def found(*results: records.Result, notes: tuple[str, ...] = ()) -> records.Results:
    return records.Results(query="lake", results=list(results), notes=list(notes), took_ms=1.0)


# --- results -------------------------------------------------------------------------------------


def test_a_result_shows_when_what_and_why_and_brackets_are_no_mark_up(page: Page) -> None:
    terminal.print_results(page.console, found(result()))
    assert "1:01" in page.text
    assert "Lake (1984)" in page.text
    assert "Dad falls into the [lake]." in page.text
    assert "0.91" in page.text


def test_strong_matches_hide_the_weak_ones(page: Page) -> None:
    weak = result(item="Guess", strong=False)
    terminal.print_results(page.console, found(result(), weak))
    assert "Guess" not in page.text


def test_without_a_strong_match_the_closest_are_shown_and_called_so(page: Page) -> None:
    terminal.print_results(page.console, found(result(item="Guess", strong=False)))
    assert page.text.index("No strong match. The closest:") < page.text.index("Guess")


def test_nothing_at_all_is_said_and_notes_follow(page: Page) -> None:
    terminal.print_results(page.console, found(notes=("Meaning search is off",)))
    assert page.text.splitlines() == ["Nothing found.", "Meaning search is off"]


def test_plain_results_keep_the_promised_order_and_leave_the_rest() -> None:
    (row,) = terminal.plain_results(found(result()))
    assert list(row) == [
        "file", "item", "start_s", "end_s", "at_s", "score", "strong", "reasons",
    ]  # fmt: skip
    assert row["reasons"][0]["marks"] == [(20, 24)] or row["reasons"][0]["marks"] == [[20, 24]]


# --- progress ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (STILL, "Everything is indexed"),
        (replace(STILL, syncing=True), "Looking for files"),
        (replace(STILL, holds=("Paused.",)), "Paused."),
        (replace(STILL, notes=("Bringing [models].",), holds=("x",)), r"Bringing \[models]."),
        (replace(STILL, running=(LOOKING,), notes=("x",)), "Looking at the picture: abc 25 %"),
        (
            replace(STILL, running=(replace(LOOKING, total_ms=0),)),
            "Looking at the picture: abc",
        ),
    ],
)
def test_the_line_says_what_matters_most(status: IndexingStatus, line: str) -> None:
    assert terminal.headline(status) == line


def test_the_bar_counts_words_pictures_and_meaning_of_every_file() -> None:
    half = replace(STILL, coverage=Coverage(files=2, words=2, pictures=1))
    assert terminal.share(half) == (3, 6)
    assert terminal.share(STILL) == (6, 6)


def test_waiting_outside_a_window_is_watched_but_nothing_moves() -> None:
    shut = replace(STILL, waiting={"speech": 3}, holds=("Outside the scan window.",))
    assert (terminal.is_busy(shut), terminal.is_moving(shut)) == (True, False)
    for moving in (
        replace(STILL, running=(LOOKING,)),
        replace(STILL, notes=("Bringing models: getting whisper-base (3 %).",)),
        replace(STILL, notes=("Assembling the demo library, once: making Lake.mp4",)),
    ):
        assert (terminal.is_busy(moving), terminal.is_moving(moving)) == (True, True)
    assert not terminal.is_busy(STILL)


class Scripted:
    """An indexer that goes through some statuses and then stays still."""

    def __init__(self, *statuses: IndexingStatus) -> None:
        self.statuses = list(statuses)
        self.still = asyncio.Event()

    async def status(self) -> IndexingStatus:
        return self.statuses.pop(0) if self.statuses else STILL

    async def changed(self) -> None:
        if not self.statuses:
            self.still.set()
            await asyncio.Event().wait()


async def shown(page: Page, indexer: Scripted) -> None:
    task = asyncio.create_task(terminal.show_progress(page.console, cast(Indexer, indexer)))
    await asyncio.wait(
        [task, asyncio.ensure_future(indexer.still.wait())], return_when=asyncio.FIRST_COMPLETED
    )
    task.cancel()
    await asyncio.wait([task])


async def test_a_terminal_gets_a_bar_while_there_is_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "REFRESH_S", 0.0)
    page = Page(is_terminal=True)
    working = replace(STILL, running=(LOOKING,))
    await shown(page, Scripted(working, working, working))
    assert "Looking at the picture: abc 25 %" in page.text


async def test_outside_a_window_the_bar_waits_for_news_instead_of_asking() -> None:
    page = Page(is_terminal=True)
    shut = replace(STILL, waiting={"speech": 3}, holds=("Outside the scan window: opens at 1:00.",))
    await shown(page, Scripted(shut, shut))
    assert "Outside the scan window" in page.text


async def test_a_file_gets_no_bar(page: Page) -> None:
    indexer = Scripted(replace(STILL, running=(LOOKING,)))
    await terminal.show_progress(page.console, cast(Indexer, indexer))
    assert page.text == ""


# --- the rest ------------------------------------------------------------------------------------


def test_findings_stand_in_columns_with_what_to_do_below(page: Page) -> None:
    well = Finding(health=Health.OK, what="Python", found="3.12")
    ill = Finding(health=Health.FAIL, what="Data folder", found="full", advice="make room")
    terminal.print_findings(page.console, [well, ill])
    assert page.text.splitlines() == [
        "ok    Python       3.12",
        "fail  Data folder  full",
        "                   → make room",
    ]


def test_an_outcome_names_every_failure_and_why_something_is_not_done(page: Page) -> None:
    failed = Failed("/films/[odd].mkv", "probe", "this is text, not a film")
    outcome = Outcome(files=2, failures=(failed,), unfinished=("The model is missing.",))
    terminal.print_outcome(page.console, outcome)
    assert page.text.splitlines() == [
        "/films/[odd].mkv: probe: this is text, not a film",
        "The model is missing.",
    ]
    assert not outcome.well


def test_a_model_that_is_here_is_listed_as_here(page: Page, tmp_path: Path) -> None:
    terminal.print_models(page.console, tmp_path, {"whisper-base"})
    rows = {line.split()[0]: line.split() for line in page.text.splitlines()[1:]}
    assert "no" in rows["whisper-base"]
    assert rows["whisper-base"][-1] == "yes"
    assert "yes" in rows["yunet"]  # it lies in our own wheel


def test_without_a_terminal_a_download_is_one_line(page: Page) -> None:
    with terminal.download(page.console, "use-m3") as tell:
        tell("getting x", 1, 2)
    assert page.text == "getting use-m3 ...\n"


def test_in_a_terminal_a_download_has_a_bar() -> None:
    page = Page(is_terminal=True)
    with terminal.download(page.console, "use-m3") as tell:
        tell("getting part 1", 500, 1000)
    assert "getting part 1" in page.text


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize("is_terminal", [False, True])
def test_the_log_has_the_wanted_level_and_one_handler(
    root_logger: logging.Logger, is_terminal: bool
) -> None:
    page = Page(is_terminal=is_terminal)
    terminal.set_up_logging("WARNING", page.console)
    assert root_logger.level == logging.WARNING
    assert len(root_logger.handlers) == 1
    assert logging.getLogger("apscheduler").level >= logging.WARNING
