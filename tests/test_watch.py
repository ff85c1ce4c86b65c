"""Watching: real inotify on real folders; waiting for stillness with times made up."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from watchfiles import Change

from companion import watch as watch_module
from companion.config import Config, Folder, Syncing
from companion.errors import ServerUnavailable
from companion.sync import SyncReport
from companion.watch import PATHS_KEPT, Stillness, Watch, matters

A, B = Path("/a"), Path("/b")
STILL = 30.0


class Looks:
    """A sync that only remembers where it was asked to look."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[Path | None] = asyncio.Queue()
        self.error: Exception | None = None

    async def run_once(self, folder: Path | None = None) -> SyncReport:
        self.asked.put_nowait(folder)
        if self.error is not None:
            raise self.error
        return SyncReport()

    async def next(self) -> Path | None:
        async with asyncio.timeout(20):
            return await self.asked.get()


@pytest.fixture
def looks() -> Looks:
    return Looks()


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "Films"
    folder.mkdir()
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the thread look often: a test should not wait a second for it to notice."""
    monkeypatch.setattr(watch_module, "STEP_MS", 20)
    monkeypatch.setattr(watch_module, "GROUP_MS", 40)
    monkeypatch.setattr(watch_module, "CHECK_MS", 100)
    monkeypatch.setattr(watch_module, "POLL_MS", 20)


def configured(tmp_path: Path, *folders: Path, poll: tuple[Path, ...] = ()) -> Config:
    return Config(
        data_dir=tmp_path / "data",
        folders=tuple(Folder(path=folder) for folder in folders),
        sync=Syncing(settle_s=0, poll=poll),
    )


@asynccontextmanager
async def watching(watch: Watch) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.ensure_future(watch.run())
    yield task
    task.cancel()
    await asyncio.wait([task])


# --- stillness -----------------------------------------------------------------------------------


def test_what_has_changed_is_due_when_it_was_still_for_long_enough() -> None:
    still = Stillness(STILL)
    still.note(A, ["x"], now=0)
    assert still.due(29) == []
    assert still.wait_s(29) == 1
    assert still.due(30) == [A]
    assert still.due(31) == []
    assert still.wait_s(31) is None


def test_a_file_that_keeps_changing_is_waited_for() -> None:
    still = Stillness(STILL)
    for now in range(0, 100, 10):
        still.note(A, ["x"], now=now)
        assert still.due(now + 9) == []
    assert still.due(90 + 30) == [A]


def test_a_file_that_keeps_changing_does_not_hold_up_another() -> None:
    still = Stillness(STILL)
    still.note(A, ["done", "growing"], now=0)
    still.note(A, ["growing"], now=29)
    assert still.due(30) == [A]
    assert still.due(58) == []
    assert still.due(60) == [A]


def test_a_folder_in_which_files_come_all_the_time_is_not_looked_at_all_the_time() -> None:
    still = Stillness(STILL)
    looked = []
    for now in range(300):
        still.note(A, [f"clip {now}"], now=now)
        for folder in still.due(now):
            still.looked(folder, now)
            looked.append(now)
    assert looked == list(range(30, 300, 30))


def test_folders_wait_each_for_itself() -> None:
    still = Stillness(STILL)
    still.note(A, ["x"], now=0)
    still.note(B, ["y"], now=10)
    assert still.due(30) == [A]
    assert still.due(40) == [B]


def test_very_many_changes_are_remembered_as_one() -> None:
    still = Stillness(STILL)
    still.note(A, [str(number) for number in range(PATHS_KEPT + 1)], now=0)
    assert len(still._changed[A]) == 1
    assert still.due(30) == [A]


@given(
    st.lists(
        st.tuples(st.sampled_from([A, B]), st.sampled_from("xyz"), st.floats(0, 50)), max_size=25
    )
)
def test_every_change_leads_to_a_look_after_it(changes: list[tuple[Path, str, float]]) -> None:
    """Whatever happens when: the last look at a folder is never before its last change."""
    still = Stillness(STILL)
    now, last_change, last_look = 0.0, {}, {}

    def look() -> None:
        for folder in still.due(now):
            still.looked(folder, now)
            last_look[folder] = now

    for folder, path, after in changes:
        now += after
        still.note(folder, [path], now)
        last_change[folder] = now
        look()
    while (wait_s := still.wait_s(now)) is not None:
        now += wait_s
        look()
    assert last_look.keys() == last_change.keys()
    for folder, changed in last_change.items():
        assert last_look[folder] >= changed + STILL


# --- what matters --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change", "wanted"),
    [
        ("Lake.mkv", Change.added, True),
        ("deep/er/Lake.MP4", Change.modified, True),
        ("Lake.mkv", Change.deleted, True),
        ("Lake.en.srt", Change.added, True),
        (".heimdexignore", Change.modified, True),
        ("a/.ignore", Change.deleted, True),
        (".plexignore", Change.added, True),
        ("Night Train (1984)", Change.deleted, True),
        ("Show.S01.1080p", Change.deleted, True),
        (".Lake.mkv.scenes.json", Change.added, False),
        (".Lake.mkv.scenes.json.tmp", Change.modified, False),
        ("Lake.mkv.part", Change.modified, False),
        ("Lake.nfo", Change.added, False),
        ("poster.jpg", Change.deleted, False),
        ("movie.json", Change.added, False),
        ("Lake.trickplay/320/1.jpg", Change.added, False),
        ("Lake.trickplay/x.mkv", Change.added, False),
        ("@eaDir/Lake.mkv/x.mp4", Change.added, False),
        ("#recycle/Lake.mkv", Change.added, False),
        (".hidden/Lake.mkv", Change.added, False),
        (".hidden/.ignore", Change.added, False),
        ("folder", Change.modified, False),
    ],
)
def test_only_changes_of_the_library_matter(
    tmp_path: Path, name: str, change: Change, wanted: bool
) -> None:
    assert matters(tmp_path, change, str(tmp_path / name)) is wanted


def test_a_new_folder_matters_and_another_new_file_does_not(tmp_path: Path) -> None:
    (tmp_path / "Night Train (1984)").mkdir()
    (tmp_path / "notes").write_text("x")
    assert matters(tmp_path, Change.added, str(tmp_path / "Night Train (1984)"))
    assert not matters(tmp_path, Change.added, str(tmp_path / "notes"))


# --- really watching -----------------------------------------------------------------------------


async def until_heard(looks: Looks, cause: Callable[[int], object]) -> Path | None:
    """Cause changes until one is heard: the first may come before the watching has begun."""
    for number in range(200):
        await asyncio.to_thread(cause, number)
        try:
            async with asyncio.timeout(0.1):
                return await looks.asked.get()
        except TimeoutError:
            continue
    pytest.fail("no change was heard")


@pytest.mark.usefixtures("quick")
async def test_a_new_film_makes_the_sync_look_at_its_library(
    tmp_path: Path, films: Path, looks: Looks
) -> None:
    async with watching(Watch(configured(tmp_path, films), looks)):
        heard = await until_heard(looks, lambda n: (films / f"{n}.mkv").write_text("film"))
    assert heard == films


@pytest.mark.usefixtures("quick")
async def test_our_own_sidecars_are_not_heard(tmp_path: Path, films: Path, looks: Looks) -> None:
    async with watching(Watch(configured(tmp_path, films), looks)):
        await until_heard(looks, lambda n: (films / f"{n}.mkv").write_text("film"))
        await asyncio.to_thread((films / ".a.mkv.scenes.json").write_text, "{}")
        await asyncio.to_thread((films / "a.nfo").write_text, "x")
        await asyncio.to_thread((films / "last.mkv").write_text, "film")
        while looks.asked.qsize() == 0:
            await asyncio.sleep(0.01)
        # Everything before the last film has been told by now, and only films were.
        assert {await looks.next() for _ in range(looks.asked.qsize())} == {films}


@pytest.mark.usefixtures("quick")
async def test_a_folder_on_a_share_is_polled(tmp_path: Path, films: Path, looks: Looks) -> None:
    config = configured(tmp_path, films, poll=(tmp_path,))
    async with watching(Watch(config, looks)):
        heard = await until_heard(looks, lambda n: (films / f"{n}.mkv").write_text("film"))
    assert heard == films


@pytest.mark.parametrize(
    ("share", "polled"),
    [("Films", True), (".", True), ("Films/deep", True), ("Films 2", False), ("Other", False)],
)
def test_a_folder_is_polled_if_it_or_a_part_of_it_is_on_a_share(
    tmp_path: Path, looks: Looks, share: str, polled: bool
) -> None:
    config = configured(tmp_path, tmp_path / "Films", poll=(tmp_path / share,))
    assert Watch(config, looks).is_polled(tmp_path / "Films") is polled


@pytest.mark.usefixtures("quick")
async def test_two_libraries_that_changed_together_are_looked_at_together(
    tmp_path: Path, looks: Looks
) -> None:
    """A film that moved from one to the other is then known as the same."""
    heard = scripted([{(Change.deleted, "Lake.mkv")}])
    config = configured(tmp_path, tmp_path / "A", tmp_path / "B")
    for folder in config.folders:
        await asyncio.to_thread(folder.path.mkdir)
    watch = Watch(config, looks, listen=heard)
    watch._note(tmp_path / "A", ["x"])
    watch._note(tmp_path / "B", ["y"])
    async with watching(watch):
        assert await looks.next() is None


@pytest.mark.usefixtures("quick")
async def test_a_folder_that_is_not_there_yet_is_watched_when_it_comes(
    tmp_path: Path, looks: Looks, caplog: pytest.LogCaptureFixture
) -> None:
    late = tmp_path / "late"
    caplog.set_level(logging.DEBUG, logger="companion.watch")
    async with watching(Watch(configured(tmp_path, late), looks)):
        while "not there to be watched" not in caplog.text:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(late.mkdir)
        assert await looks.next() == late, "what came before it was watched is looked for"
        assert await until_heard(looks, lambda n: (late / f"{n}.mkv").write_text("x")) == late


@pytest.mark.usefixtures("quick")
async def test_another_folder_in_its_place_is_watched_in_its_turn(
    tmp_path: Path, films: Path, looks: Looks
) -> None:
    """As when a disk is unmounted and mounted again: inotify still looks at the old one."""

    def remount() -> None:
        films.rename(tmp_path / "old")
        films.mkdir()

    async with watching(Watch(configured(tmp_path, films), looks)):
        await until_heard(looks, lambda n: (films / f"{n}.mkv").write_text("film"))
        await asyncio.to_thread(remount)
        assert await until_heard(looks, lambda n: (films / f"n{n}.mkv").write_text("x")) == films


@pytest.mark.usefixtures("quick")
async def test_a_sync_that_fails_does_not_end_the_watching(
    tmp_path: Path, films: Path, looks: Looks, caplog: pytest.LogCaptureFixture
) -> None:
    looks.error = ServerUnavailable("asleep")
    async with watching(Watch(configured(tmp_path, films), looks)) as task:
        await until_heard(looks, lambda n: (films / f"{n}.mkv").write_text("film"))
        await until_heard(looks, lambda n: (films / f"again {n}.mkv").write_text("film"))
        assert not task.done()
    assert "asleep" in caplog.text


async def test_stopping_ends_every_thread(tmp_path: Path, films: Path, looks: Looks) -> None:
    """With the real step of a second, so that what is stopped is what runs."""
    async with watching(Watch(configured(tmp_path, films), looks)):
        while not named_threads(films):
            await asyncio.sleep(0.01)
    async with asyncio.timeout(30):  # the machine may be busy; a thread that stays never ends
        while named_threads(films):
            await asyncio.sleep(0.01)


def named_threads(folder: Path) -> list[str]:
    return [thread.name for thread in threading.enumerate() if str(folder) in thread.name]


# --- trouble -------------------------------------------------------------------------------------


def scripted(changes: list[set[tuple[Change, str]]], error: Exception | None = None):  # type: ignore[no-untyped-def]
    """A stand-in for watchfiles.watch: tells these changes, then breaks or waits to be stopped."""

    def listen(_folder: Path, **options: object) -> Iterator[set[tuple[Change, str]]]:
        yield from changes
        if error is not None:
            raise error
        stop = options["stop_event"]
        assert isinstance(stop, threading.Event)
        stop.wait(30)

    return listen


@pytest.mark.parametrize(
    "error",
    [OSError("OS file watch limit reached."), RuntimeError("error in underlying watcher")],
)
async def test_a_folder_that_cannot_be_watched_is_one_warning_that_says_what_to_do(
    tmp_path: Path, films: Path, looks: Looks, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    other = tmp_path / "Other"
    await asyncio.to_thread(other.mkdir)

    def listen(folder: Path, **options: object) -> Iterator[set[tuple[Change, str]]]:
        script = scripted([{(Change.added, "x.mkv")}], error if folder == films else None)
        return script(folder, **options)

    async with watching(Watch(configured(tmp_path, films, other), looks, listen=listen)) as task:
        while "cannot watch" not in caplog.text:
            await asyncio.sleep(0.01)
        assert not task.done(), "the other folder is still watched"
    (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    message = record.getMessage()
    assert str(films) in message
    assert "fs.inotify.max_user_watches" in message
    assert "sync.poll" in message


async def test_what_nobody_expected_is_not_hidden(
    tmp_path: Path, films: Path, looks: Looks
) -> None:
    """The composition root logs it and starts the part again."""
    watch = Watch(configured(tmp_path, films), looks, listen=scripted([], ZeroDivisionError()))
    with pytest.raises(ExceptionGroup) as caught:
        await watch.run()
    assert caught.group_contains(ZeroDivisionError)


async def test_idle_threads_sleep_a_second_at_a_time(
    tmp_path: Path, films: Path, looks: Looks
) -> None:
    asked: list[dict[str, object]] = []

    def listen(folder: Path, **options: object) -> Iterator[set[tuple[Change, str]]]:
        asked.append({"folder": folder, **options})
        return scripted([])(folder, **options)

    async with watching(Watch(configured(tmp_path, films), looks, listen=listen)):
        while not asked:
            await asyncio.sleep(0.01)
    assert asked[0]["folder"] == films
    assert asked[0]["step"] == 1000
    assert asked[0]["rust_timeout"] == 60_000
    assert asked[0]["force_polling"] is False


def test_a_loop_that_has_ended_is_not_told_anything() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    watch_module._tell(loop, lambda: None)


async def test_without_folders_there_is_nothing_to_watch(tmp_path: Path, looks: Looks) -> None:
    async with watching(Watch(configured(tmp_path), looks)) as task:
        await asyncio.sleep(0)
        assert not task.done()


def test_the_identity_of_a_folder_is_that_of_what_is_mounted(tmp_path: Path) -> None:
    stat = tmp_path.stat()
    assert watch_module._identity(tmp_path) == (stat.st_dev, stat.st_ino)
