"""The folder connector: real folders in, items out."""

import os
import random
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from companion.errors import ServerUnavailable
from companion.model import ItemKind, LibraryKind, ListedItem, ListedLibrary, ListedProblem
from connectors import folder as folder_module
from connectors.folder import PAGE_ITEMS, Folders, walk

MIXED = LibraryKind.MIXED
NOBODY = 65_534
OLD_S = 1_600_000_000  # 2020-09-13


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "library"
    made.mkdir()
    return made


@pytest.fixture
def unprivileged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Rights count: the superuser, whom nothing is forbidden, becomes nobody meanwhile."""
    if os.geteuid() != 0:
        yield
        return
    base = tmp_path_factory.getbasetemp()
    opened = [place for place in (base, *base.parents) if not place.stat().st_mode & 0o001]
    modes = {place: place.stat().st_mode for place in opened}
    for place in opened:
        place.chmod(modes[place] | 0o011)
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)
    for place, mode in modes.items():
        place.chmod(mode)


def put(root: Path, *names: str, content: str = "film") -> None:
    """Make files; the folders above them come by themselves."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        os.utime(path, (OLD_S, OLD_S))


def listed(root: Path, kind: LibraryKind = MIXED) -> dict[str, ListedItem]:
    """Everything below root by its external id; each must be there once."""
    items = [item for page in walk(os.fsencode(root), kind) for item in page.items]
    found = {item.external_id: item for item in items}
    assert len(found) == len(items)
    return found


def problems(root: Path) -> list[ListedProblem]:
    return [problem for page in walk(os.fsencode(root), MIXED) for problem in page.problems]


def names(root: Path, kind: LibraryKind = MIXED) -> set[str]:
    """The videos that are listed, by their paths below root."""
    start = len(os.fsencode(root)) + 1
    paths = [part.path for item in listed(root, kind).values() for part in item.parts]
    return {os.fsdecode(path[start:]) for path in paths}


def parts(item: ListedItem) -> list[tuple[str, int, int]]:
    return [(os.fsdecode(os.path.basename(p.path)), p.version, p.part) for p in item.parts]


# --- items ---------------------------------------------------------------------------------------


def test_movies_episodes_and_home_videos_are_told_apart(root: Path) -> None:
    put(
        root,
        "Night Train (1984)/Night Train (1984).mkv",
        "The Lake/Season 01/The Lake - S01E02 - Ice.mkv",
        "Holiday/2019-08-03 At the lake.mp4",
        "Holiday/IMG_0001.mov",
    )
    found = {item.title: item for item in listed(root).values()}
    assert found["Night Train"].kind is ItemKind.MOVIE
    assert found["Night Train"].year == 1984
    assert found["Ice"].kind is ItemKind.EPISODE
    assert (found["Ice"].show_title, found["Ice"].season, found["Ice"].episode) == (
        "The Lake",
        1,
        2,
    )
    assert found["2019-08-03 At the lake"].kind is ItemKind.HOME_VIDEO
    assert found["2019-08-03 At the lake"].year == 2019
    assert found["IMG_0001"].year == 2020  # its file is of that year


def test_a_recording_is_not_younger_than_its_file(root: Path) -> None:
    put(root, "Blade Runner 2049.mkv")
    assert next(iter(listed(root).values())).year == 2020


def test_versions_and_parts_are_one_movie(root: Path) -> None:
    put(
        root,
        "Night Train (1984)/Night Train (1984) - 1080p.mkv",
        "Night Train (1984)/Night Train (1984)-cd2.avi",
        "Night Train (1984)/Night Train (1984)-cd1.avi",
        "Night Train (1984)/Night Train (1984)-cd10.avi",
    )
    (item,) = listed(root).values()
    assert parts(item) == [
        ("Night Train (1984)-cd1.avi", 0, 0),
        ("Night Train (1984)-cd2.avi", 0, 1),
        ("Night Train (1984)-cd10.avi", 0, 2),
        ("Night Train (1984) - 1080p.mkv", 1, 0),
    ]


def test_a_single_part_is_a_film_of_its_own(root: Path) -> None:
    put(root, "Deathly Lakes Part 1.mkv", "Other cd1.mkv", "Other disc2.mkv")
    assert {item.title for item in listed(root).values()} == {
        "Deathly Lakes Part 1",
        "Other cd1",
        "Other disc2",
    }


def test_the_same_part_twice_does_not_hide_one(root: Path) -> None:
    put(root, "Lake cd1.avi", "Lake cd1.mkv", "Lake cd2.avi")
    assert names(root) == {"Lake cd1.avi", "Lake cd1.mkv", "Lake cd2.avi"}


def test_one_name_with_two_extensions_is_one_item(root: Path) -> None:
    put(root, "Holiday/Lake.avi", "Holiday/Lake.mkv")
    (item,) = listed(root).values()
    assert [version for _name, version, _part in parts(item)] == [0, 1]


def test_versions_of_an_episode_are_one_item(root: Path) -> None:
    put(
        root,
        "The Lake/Season 01/The Lake S01E01 720p.mkv",
        "The Lake/Season 01/The Lake S01E01 1080p.mkv",
        "The Lake/Season 01/The Lake S01E02.mkv",
    )
    assert sorted(len(item.parts) for item in listed(root).values()) == [1, 2]


def test_two_shows_in_one_folder_stay_two(root: Path) -> None:
    put(root, "Downloads/The.Lake.S01E01.mkv", "Downloads/The.River.S01E01.mkv")
    assert {item.show_title for item in listed(root).values()} == {"The Lake", "The River"}


def test_two_movies_in_one_folder_stay_two(root: Path) -> None:
    put(root, "Movies/Night Train (1984).mkv", "Movies/Day Train (1985).mkv")
    assert len(listed(root)) == 2
    assert len(listed(root, LibraryKind.MOVIES)) == 2


def test_a_better_copy_is_the_same_item(root: Path) -> None:
    put(root, "Night Train (1984)/Night Train (1984) 720p.avi", "Home/Lake.avi",
        "Show/Season 1/Show S01E01 720p.avi")  # fmt: skip
    before = set(listed(root))
    for path in list(root.rglob("*.avi")):
        path.rename(path.with_name(path.name.replace(" 720p", " 1080p")).with_suffix(".mkv"))
    assert set(listed(root)) == before


def test_the_same_title_in_two_folders_is_two_items(root: Path) -> None:
    put(root, "a/Lake.mkv", "b/Lake.mkv", "Lake.mkv", "a/Show S01E01.mkv", "b/Show S01E01.mkv")
    assert len(listed(root)) == 5


def test_items_are_as_old_as_their_newest_file(root: Path) -> None:
    put(root, "Lake cd1.avi", "Lake cd2.avi")
    os.utime(root / "Lake cd2.avi", (OLD_S + 5, OLD_S + 5))
    (item,) = listed(root).values()
    assert item.added_at_ms == (OLD_S + 5) * 1000


def test_file_dates_beyond_all_calendars_do_no_harm(root: Path) -> None:
    put(root, "IMG_1.mp4", "IMG_2.mp4")
    os.utime(root / "IMG_1.mp4", ns=(0, -(10**18)))
    os.utime(root / "IMG_2.mp4", ns=(0, 9 * 10**18))
    assert len(listed(root)) == 2


def test_the_kind_of_a_library_is_believed(root: Path) -> None:
    put(root, "The Lake/02.mkv")
    assert {i.kind for i in listed(root, LibraryKind.SHOWS).values()} == {ItemKind.EPISODE}
    assert {i.kind for i in listed(root, LibraryKind.MOVIES).values()} == {ItemKind.MOVIE}
    assert {i.kind for i in listed(root, LibraryKind.MUSIC_VIDEOS).values()} == {
        ItemKind.MUSIC_VIDEO
    }


# --- what is passed over -------------------------------------------------------------------------


def test_rubbish_extras_and_samples_are_passed_over(root: Path) -> None:
    put(
        root,
        "Night Train (1984)/Night Train (1984).mkv",
        "Night Train (1984)/Night Train (1984)-trailer.mkv",
        "Night Train (1984)/trailers/one.mp4",
        "Night Train (1984)/Behind The Scenes/two.mp4",
        "Night Train (1984)/sample.mkv",
        "Night Train (1984)/.Night Train (1984).mkv.scenes.json",
        "Night Train (1984)/.hidden.mkv",
        "Night Train (1984)/@eaDir/Night Train (1984).mkv/x.mp4",
        "Night Train (1984)/Night Train (1984).trickplay/x.mp4",
        "#recycle/x.mkv",
        "lost+found/x.mkv",
        ".Trash-1000/x.mkv",
        "notes.txt",
        "poster.jpg",
    )
    assert names(root) == {"Night Train (1984)/Night Train (1984).mkv"}


def test_a_familys_folders_are_read_whatever_they_are_called(root: Path) -> None:
    put(root, "Holiday/clips/a.mp4", "Holiday/b.mp4", "extras/c.mp4", "Holiday/first-clip.mp4")
    assert len(names(root)) == 4


def test_ignore_files_are_respected_where_they_lie_and_below(root: Path) -> None:
    put(root, "a/x.mkv", "a/deep/y.mkv", "b/x.mkv", "b/x.avi", "c/x.mkv", "c/Kids/y.mkv")
    put(root, "a/.ignore", content="")
    put(root, "b/.heimdexignore", content="*.avi\n")
    put(root, "c/.plexignore", content="Kids/*\n")
    assert names(root) == {"b/x.mkv", "c/x.mkv"}


def test_an_empty_ignore_file_in_the_library_itself_hides_all_of_it(root: Path) -> None:
    put(root, "x.mkv", "a/y.mkv")
    put(root, ".heimdexignore", content="")
    assert names(root) == set()


def test_rules_from_above_hold_below_and_an_inner_file_may_undo_them(root: Path) -> None:
    put(root, "a/x.avi", "b/x.avi")
    put(root, ".ignore", content="*.avi\n")
    put(root, "b/.ignore", content="!x.avi\n")
    assert names(root) == {"b/x.avi"}


def test_rules_that_mean_nothing_are_reported(root: Path) -> None:
    put(root, "x.mkv")
    put(root, ".ignore", content="!\n")
    (problem,) = problems(root)
    assert problem.path.endswith(b".ignore")
    assert "'!'" in problem.problem
    assert names(root) == {"x.mkv"}


def test_a_copied_disc_is_reported(root: Path) -> None:
    put(root, "Night Train/VIDEO_TS/VTS_01_1.VOB", "Day Train/BDMV/STREAM/00001.m2ts")
    assert names(root) == set()
    assert {"DVD" in each.problem for each in problems(root)} == {True, False}


# --- links and odd names -------------------------------------------------------------------------


def test_links_are_followed_and_a_loop_ends(root: Path) -> None:
    put(root, "real/x.mkv")
    (root / "real" / "up").symlink_to(root)
    (root / "real" / "self").symlink_to(root / "real")
    (root / "again").symlink_to(root / "real")
    assert names(root) == {"real/x.mkv"}


def test_a_folder_outside_is_listed_through_its_link(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "x.mkv")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "y.mkv").symlink_to(tmp_path / "elsewhere" / "x.mkv")
    assert names(root) == {"linked/x.mkv", "y.mkv"}


def test_a_link_to_nowhere_is_reported(root: Path) -> None:
    (root / "dead.mkv").symlink_to(root / "nowhere.mkv")
    (root / "loop.mkv").symlink_to(root / "loop.mkv")
    (root / "dead.txt").symlink_to(root / "nowhere.txt")
    assert names(root) == set()
    assert sorted(os.path.basename(each.path) for each in problems(root)) == [
        b"dead.mkv",
        b"loop.mkv",
    ]


def test_pipes_sockets_and_folders_called_mkv_are_no_films(root: Path) -> None:
    os.mkfifo(root / "pipe.mkv")
    put(root, "Folder.mkv/x.mkv")
    assert names(root) == {"Folder.mkv/x.mkv"}


@pytest.mark.parametrize(
    ("name", "title"),
    [
        (b"a 'quoted\" name", "a 'quoted\" name"),
        (b"two\nlines", "two lines"),
        ("🎬 영화".encode(), "🎬 영화"),
        (b"S\xe9ance", "S\ufffdance"),
        ("\u1112\u1169\u1109\u116e".encode(), "호수"),
        (b"-rf", "-rf"),
        (b"%s %d {x}", "%s %d {x}"),
        (b"a\\b", "a\\b"),
    ],
)
def test_odd_names_are_listed_and_their_bytes_kept(root: Path, name: bytes, title: str) -> None:
    path = os.fsencode(root) + b"/" + name + b".mkv"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
    (item,) = listed(root).values()
    assert item.parts[0].path == path
    assert item.title == title
    assert item.external_id.encode().decode() == item.external_id


def test_names_that_read_the_same_are_two_items(root: Path) -> None:
    for name in (b"S\xe9.mkv", b"S\xea.mkv", "S\ufffd.mkv".encode()):
        os.close(os.open(os.fsencode(root) + b"/" + name, os.O_WRONLY | os.O_CREAT))
    assert len(listed(root)) == 3


# --- trouble -------------------------------------------------------------------------------------


def deep(root: Path) -> bytes:
    """A folder whose path is longer than the system takes: even the superuser cannot list it."""
    here = os.open(root, os.O_RDONLY)
    path = os.fsencode(root)
    while len(path) < 4096 - 200:
        os.mkdir(b"d" * 150, dir_fd=here)
        inner = os.open(b"d" * 150, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here, path = inner, path + b"/" + b"d" * 150
    os.mkdir(b"e" * 220, dir_fd=here)
    os.close(here)
    return path + b"/" + b"e" * 220


def test_a_folder_that_cannot_be_listed_is_a_problem_and_the_rest_goes_on(root: Path) -> None:
    put(root, "a/x.mkv", "z/y.mkv")
    hidden = deep(root)
    (problem,) = problems(root)
    assert problem.path == hidden
    assert "cannot be read" in problem.problem
    assert names(root) == {"a/x.mkv", "z/y.mkv"}


@pytest.mark.usefixtures("unprivileged")
def test_a_folder_without_rights_says_what_to_do(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.getbasetemp() / f"rights-{os.getpid()}"
    _as_owner(root.mkdir)
    _as_owner(put, root, "a/x.mkv", "secret/y.mkv")
    _as_owner((root / "secret").chmod, 0)
    (problem,) = problems(root)
    assert problem.path.endswith(b"/secret")
    assert "give the user" in problem.problem
    assert names(root) == {"a/x.mkv"}
    _as_owner((root / "secret").chmod, 0o700)


def _as_owner(function, *values) -> None:  # type: ignore[no-untyped-def]
    """Do something as who started the tests."""
    now = os.geteuid()
    if os.getuid() == 0:
        os.seteuid(0)
    function(*values)
    os.seteuid(now)


def test_a_library_that_is_not_there_raises(root: Path) -> None:
    with pytest.raises(ServerUnavailable, match="No such file"):
        list(walk(os.fsencode(root / "gone"), MIXED))


def test_a_library_that_is_a_file_raises(root: Path) -> None:
    put(root, "x.mkv")
    with pytest.raises(ServerUnavailable, match="Not a directory"):
        list(walk(os.fsencode(root / "x.mkv"), MIXED))


def test_a_folder_that_is_deleted_meanwhile_is_no_problem(root: Path) -> None:
    put(root, *[f"{n:03}/x.mkv" for n in range(2 * PAGE_ITEMS)])
    pages = walk(os.fsencode(root), MIXED)
    first = next(pages)
    (root / f"{2 * PAGE_ITEMS - 1:03}" / "x.mkv").unlink()
    (root / f"{2 * PAGE_ITEMS - 1:03}").rmdir()
    rest = list(pages)
    assert sum(len(page.items) for page in [first, *rest]) == 2 * PAGE_ITEMS - 1
    assert not any(page.problems for page in rest)


async def test_a_share_that_is_silent_is_unavailable(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root, "x.mkv")
    answered = threading.Event()
    monkeypatch.setattr(folder_module, "PAGE_LIMIT_S", 0.05)
    monkeypatch.setattr(folder_module, "walk", lambda _root, _kind: _silent(answered))
    connector = Folders([library(root)])
    with pytest.raises(ServerUnavailable, match="check the disk or the share"):
        [page async for page in connector.items(library(root))]
    answered.set()


def _silent(answered: threading.Event) -> Iterator[None]:
    answered.wait(30)
    yield None


# --- as a connector ------------------------------------------------------------------------------


def library(root: Path) -> ListedLibrary:
    return ListedLibrary(
        external_id=str(root), name="Library", kind=MIXED, roots=(os.fsencode(root),)
    )


async def test_pages_hold_every_item_once(root: Path) -> None:
    put(root, *[f"{n % 7}/clip {n}.mp4" for n in range(3 * PAGE_ITEMS + 1)])
    pages = [page async for page in Folders([library(root)]).items(library(root))]
    assert [len(page.items) for page in pages] == [PAGE_ITEMS] * 3 + [1]
    ids = [item.external_id for page in pages for item in page.items]
    assert len(set(ids)) == len(ids) == 3 * PAGE_ITEMS + 1


async def test_a_library_of_several_folders_is_listed_whole(root: Path) -> None:
    put(root, "one/x.mkv", "two/y.mkv")
    both = ListedLibrary(
        external_id="both",
        name="Both",
        kind=MIXED,
        roots=(os.fsencode(root / "one"), os.fsencode(root / "two")),
    )
    pages = [page async for page in Folders([both]).items(both)]
    assert len([item for page in pages for item in page.items]) == 2


def test_memory_does_not_grow_with_the_library(root: Path) -> None:
    rng = random.Random(1)
    for n in range(40):
        put(root, *[f"{n}/{rng.random()}.mp4" for _ in range(30)])
    small = _peak_bytes(root, 200)
    assert _peak_bytes(root, 1200) < small + 200_000


def _peak_bytes(root: Path, items: int) -> int:
    """The most memory that listing so many items takes, one page at a time."""
    seen = 0
    tracemalloc.start()
    for page in walk(os.fsencode(root), MIXED):
        seen += len(page.items)
        if seen >= items:
            break
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak
