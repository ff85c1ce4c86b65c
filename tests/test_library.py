"""Libraries, items and files in the store: kept once, found again, asked with limits."""

from collections.abc import Callable

import apsw
import pytest

from companion.findings import MediaInfo, VideoStream
from companion.model import (
    OWNER,
    File,
    Item,
    ItemKind,
    LibraryKind,
    ListedItem,
    ListedLibrary,
    ListedPart,
    ListedProblem,
    SideFileRow,
    Stat,
    Viewer,
)
from companion.store import db, library, listing, roots
from companion.store.roots import Root

NOW = 1_700_000_000_000


@pytest.fixture
def c(tmp_path) -> apsw.Connection:  # type: ignore[no-untyped-def]
    connection = db.connect(tmp_path / "a.db")
    db.migrate(connection, None)
    yield connection
    connection.close()


def films(c: apsw.Connection, name: str = "Films", kind: LibraryKind = LibraryKind.MIXED) -> int:
    server = library.save_server(c, kind="folder", name="folders", now_ms=NOW)
    listed = ListedLibrary(external_id=name, name=name, kind=kind)
    return library.save_library(c, server, listed)


def at(number: int, *, size: int = 100, device: int = 1) -> Stat:
    return Stat(device=device, inode=number, size=size, mtime_ns=number)


def put(
    c: apsw.Connection,
    title: str,
    *paths: str,
    library_id: int = 0,
    content: str = "",
    added: int = NOW,
) -> Item:
    """Keep an item with a version per path; each path has content of its own unless it is given."""
    parts = []
    path_ids = {}
    for version, path in enumerate(paths or (f"/m/{title}.mkv",)):
        raw = path.encode()
        fingerprint = f"fp:{content or path}"
        file_id = library.save_file(c, fingerprint=fingerprint, size=100, now_ms=NOW)
        path_ids[raw] = library.save_path(
            c, raw, at(abs(hash(path)) % 10**9), file_id=file_id, now_ms=NOW
        )
        parts.append(ListedPart(path=raw, version=version))
    listed = ListedItem(
        external_id=title,
        kind=ItemKind.MOVIE,
        title=title,
        parts=tuple(parts),
        added_at_ms=added,
    )
    item_id = library.save_item(c, library_id or films(c), listed, path_ids)
    found = library.item(c, item_id)
    assert found is not None
    return found


def file_of(c: apsw.Connection, item: Item) -> File:
    (file,) = library.files_of_item(c, item.id)
    return file


# --- public ids ----------------------------------------------------------------------------------


def test_public_ids_are_short_safe_in_urls_and_never_look_like_an_option() -> None:
    made = {library.new_public_id() for _ in range(2000)}
    assert len(made) == 2000
    for each in made:
        assert len(each) == 12
        assert set(each) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        assert not each.startswith("-")


# --- keeping -------------------------------------------------------------------------------------


def test_a_server_and_a_library_are_kept_once(c: apsw.Connection) -> None:
    first = films(c)
    assert films(c) == first
    assert [(each.name, each.kind) for each in library.libraries(c)] == [
        ("Films", LibraryKind.MIXED)
    ]


def test_a_library_takes_its_new_name_and_kind(c: apsw.Connection) -> None:
    server = library.save_server(c, kind="folder", name="folders", now_ms=NOW)
    for name, kind in (("Old", LibraryKind.MIXED), ("New", LibraryKind.SHOWS)):
        library.save_library(c, server, ListedLibrary(external_id="x", name=name, kind=kind))
    (found,) = library.libraries(c)
    assert (found.name, found.kind) == ("New", LibraryKind.SHOWS)


def test_content_is_kept_once_wherever_it_lies(c: apsw.Connection) -> None:
    one, other = (
        put(c, "Lake", "/a/lake.mkv", content="x"),
        put(c, "See", "/b/see.mkv", content="x"),
    )
    assert file_of(c, one) == file_of(c, other)
    assert file_of(c, one).paths == (b"/a/lake.mkv", b"/b/see.mkv")


def test_an_item_keeps_its_ids_and_its_date_when_it_is_listed_again(c: apsw.Connection) -> None:
    first = put(c, "Lake", added=NOW)
    again = put(c, "Lake", added=NOW + 5)
    assert again == first


def test_a_path_with_new_content_belongs_to_another_file(c: apsw.Connection) -> None:
    old = file_of(c, put(c, "Lake", "/m/lake.mkv", content="old"))
    new = file_of(c, put(c, "Lake", "/m/lake.mkv", content="new"))
    assert new.public_id != old.public_id
    kept = library.file(c, old.id)
    assert kept is not None
    assert kept.paths == ()


def test_paths_are_bytes(c: apsw.Connection) -> None:
    raw = b"/m/S\xe9ance\n.mkv"
    file_id = library.save_file(c, fingerprint="fp:x", size=1, now_ms=NOW)
    library.save_path(c, raw, at(1), file_id=file_id, now_ms=NOW)
    found = library.file(c, file_id)
    assert found is not None
    assert found.paths == (raw,)


def test_what_the_container_says_is_kept(c: apsw.Connection) -> None:
    media = MediaInfo(
        container="matroska",
        duration_ms=5_400_000,
        video=VideoStream(index=0, codec="h264", width=1920, height=1080, fps=23.976),
    )
    file = file_of(c, put(c, "Lake"))
    assert (file.media, file.duration_ms) == (None, 0)
    library.keep_media(c, file.id, media)
    found = library.file_by_public_id(c, file.public_id)
    assert found is not None
    assert (found.media, found.duration_ms) == (media, 5_400_000)


def test_subtitles_beside_a_path_are_replaced(c: apsw.Connection) -> None:
    def row(name: str) -> SideFileRow:
        return SideFileRow(
            path=name.encode(),
            language="en",
            forced=False,
            hearing_impaired=True,
            size=1,
            mtime_ns=2,
        )

    file_id = library.save_file(c, fingerprint="fp:x", size=1, now_ms=NOW)
    path_id = library.save_path(c, b"/m/a.mkv", at(1), file_id=file_id, now_ms=NOW)
    library.save_side_files(c, path_id, [row("/m/a.en.srt"), row("/m/a.srt")])
    library.save_side_files(c, path_id, [row("/m/a.srt")])
    assert library.side_files(c, file_id) == [row("/m/a.srt")]


# --- asking --------------------------------------------------------------------------------------


def test_unknown_ids_are_none_or_empty(c: apsw.Connection) -> None:
    assert library.item_by_public_id(c, "nobody") is None
    assert library.file_by_public_id(c, "nobody") is None
    assert library.file(c, 7) is library.item(c, 7) is None
    assert library.items_of_file(c, 7) == library.files_of_item(c, 7) == []
    assert library.side_files(c, 7) == []


def test_items_come_newest_first_in_pages(c: apsw.Connection) -> None:
    for number in range(7):
        put(c, f"Film {number}", added=NOW + number % 3)
    everything = library.items(c, OWNER, limit=10)
    assert [item.title[-1] for item in everything] == ["5", "2", "4", "1", "6", "3", "0"]
    pages = [library.items(c, OWNER, limit=3, offset=offset) for offset in (0, 3, 6, 9)]
    assert [item for page in pages for item in page] == everything
    assert [len(page) for page in pages] == [3, 3, 1, 0]


def test_items_of_one_library(c: apsw.Connection) -> None:
    home = films(c, "Home")
    put(c, "Lake", library_id=home)
    put(c, "Train")
    assert [item.title for item in library.items(c, OWNER, limit=9, library_id=home)] == ["Lake"]
    assert [each.name for each in library.libraries(c)] == ["Films", "Home"]


def test_a_viewer_sees_only_what_they_may(c: apsw.Connection) -> None:
    mine, other = put(c, "Mine"), put(c, "Other")
    viewer = Viewer(name="child", owner=False, item_ids=frozenset({mine.id}))
    nobody = Viewer(name="guest", owner=False, item_ids=frozenset())
    assert library.items(c, viewer, limit=9) == [mine]
    assert library.items(c, nobody, limit=9) == []
    assert library.visible(c, viewer, file_of(c, mine).id)
    assert not library.visible(c, viewer, file_of(c, other).id)
    assert library.visible(c, OWNER, file_of(c, other).id)


def test_paging_counts_only_what_the_viewer_may_see(c: apsw.Connection) -> None:
    shown = [put(c, f"Film {number}", added=NOW + number) for number in range(6)][::2]
    viewer = Viewer(owner=False, item_ids=frozenset(item.id for item in shown))
    pages = [library.items(c, viewer, limit=2, offset=offset) for offset in (0, 2)]
    assert [item.title for page in pages for item in page] == ["Film 4", "Film 2", "Film 0"]


def test_the_files_of_an_item_come_by_version_and_part(c: apsw.Connection) -> None:
    item = put(c, "Lake", "/m/z.mkv", "/m/a.mkv", "/m/k.mkv")
    assert [file.paths for file in library.files_of_item(c, item.id)] == [
        (b"/m/z.mkv",), (b"/m/a.mkv",), (b"/m/k.mkv",),
    ]  # fmt: skip


def test_two_versions_with_one_content_are_one_file(c: apsw.Connection) -> None:
    item = put(c, "Lake", "/m/a.mkv", "/m/b.mkv", content="same")
    assert len(library.files_of_item(c, item.id)) == 1


def test_several_files_are_had_at_once_with_their_items(c: apsw.Connection) -> None:
    lake, train = put(c, "Lake"), put(c, "Train")
    found = library.films(c, [file_of(c, lake).id, file_of(c, train).id, 99])
    assert {file.paths[0]: items for file, items in found.values()} == {
        b"/m/Lake.mkv": [lake],
        b"/m/Train.mkv": [train],
    }


# --- what has gone, is away, or has a problem ----------------------------------------------------


def test_a_gone_item_is_not_shown_and_its_file_lies_nowhere(c: apsw.Connection) -> None:
    item = put(c, "Lake")
    file = file_of(c, item)
    assert listing.items_gone(c, item.library_id, (), (), now_ms=NOW) == 1
    assert library.item_by_public_id(c, item.public_id) is None
    assert library.items(c, OWNER, limit=9) == []
    assert library.items_of_file(c, file.id) == []
    assert not library.visible(c, OWNER, file.id)
    assert library.live_files(c) == []
    assert library.file(c, file.id) is not None, "what was found in it stays"


def test_an_item_that_comes_back_is_the_same(c: apsw.Connection) -> None:
    item = put(c, "Lake")
    listing.items_gone(c, item.library_id, (), (), now_ms=NOW)
    assert put(c, "Lake") == item
    assert file_of(c, item).paths == (b"/m/Lake.mkv",)


def test_a_path_that_another_item_names_stays(c: apsw.Connection) -> None:
    home = films(c, "Home")
    one = put(c, "Lake", "/m/lake.mkv")
    put(c, "Lake", "/m/lake.mkv", library_id=home)
    listing.items_gone(c, one.library_id, (), (), now_ms=NOW)
    (file,) = library.live_files(c)
    assert [item.library for item in library.items_of_file(c, file.id)] == ["Home"]


def test_items_below_a_hidden_folder_are_not_gone(c: apsw.Connection) -> None:
    item = put(c, "Lake", "/m/secret/lake.mkv")
    put(c, "Train", "/m/train.mkv")
    put(c, "Broken", "/m/link.mkv")
    hidden = [b"/m/secret", b"/m/link.mkv", b"/m/tra"]
    assert listing.items_gone(c, item.library_id, (), hidden, now_ms=NOW) == 1
    assert {each.title for each in library.items(c, OWNER, limit=9)} == {"Lake", "Broken"}


def test_a_library_that_is_gone_takes_its_items_along(c: apsw.Connection) -> None:
    home = films(c, "Home")
    put(c, "Lake", library_id=home)
    put(c, "Train")
    roots.keep_roots(c, home, [Root(path=b"/m", device=1)], now_ms=NOW)
    server = library.libraries(c)[0].server_id
    kept = films(c)
    assert listing.libraries_gone(c, server, [kept], now_ms=NOW) == 1
    assert [each.name for each in library.libraries(c)] == ["Films"]
    assert [item.title for item in library.items(c, OWNER, limit=9)] == ["Train"]
    assert roots.roots(c, home) == {}
    assert films(c, "Home") == home, "it may come back"


def test_a_file_whose_folder_is_away_is_live_but_its_path_comes_last(c: apsw.Connection) -> None:
    item = put(c, "Lake", "/a/lake.mkv", "/b/lake.mkv", content="x")
    root = Root(path=b"/a", device=1, away="The folder /a is not there.")
    roots.keep_roots(c, item.library_id, [root], now_ms=NOW)
    assert file_of(c, item).paths == (b"/b/lake.mkv", b"/a/lake.mkv")
    assert len(library.live_files(c)) == 1
    assert roots.away_notes(c) == ["The folder /a is not there."]


def test_a_path_with_a_problem_is_no_place_but_is_told(c: apsw.Connection) -> None:
    item = put(c, "Lake")
    file = file_of(c, item)
    library.save_path(
        c, b"/m/Lake.mkv", at(1), file_id=file.id, problem="it is empty", now_ms=NOW + 1
    )
    found = library.file(c, file.id)
    assert found is not None
    assert found.paths == ()
    assert library.path_problems(c) == [(b"/m/Lake.mkv", "it is empty", NOW + 1)]


def test_problems_of_folders_and_files_are_told_latest_first(c: apsw.Connection) -> None:
    library_id = films(c)
    library.save_path(c, b"/m/a.mkv", at(1), file_id=None, problem="empty", now_ms=NOW + 1)
    library.save_path(c, b"/m/c.mkv", at(3), file_id=None, problem="empty", now_ms=NOW + 3)
    folder = ListedProblem(path=b"/m/b", problem="secret")
    roots.keep_problems(c, library_id, [folder], now_ms=NOW + 2)
    assert [path for path, _problem, _at in library.path_problems(c)] == [
        b"/m/c.mkv", b"/m/b", b"/m/a.mkv",
    ]  # fmt: skip
    assert len(library.path_problems(c, limit=2)) == 2


def test_a_problem_of_a_folder_keeps_its_date_and_goes_when_it_is_solved(
    c: apsw.Connection,
) -> None:
    library_id = films(c)
    one = ListedProblem(path=b"/m/a", problem="secret")
    other = ListedProblem(path=b"/m/b", problem="secret")
    roots.keep_problems(c, library_id, [one, other], now_ms=NOW)
    roots.keep_problems(c, library_id, [one], now_ms=NOW + 9)
    assert library.path_problems(c) == [(b"/m/a", "secret", NOW)]
    assert roots.listing_problems(c, library_id) == {b"/m/a": "secret"}


# --- taking over ---------------------------------------------------------------------------------


def test_a_moved_film_keeps_its_address_and_its_date(c: apsw.Connection) -> None:
    old = put(c, "Old name", "/m/old.mkv", content="x", added=NOW)
    new = put(c, "New name", "/m/new.mkv", content="x", added=NOW + 9)
    listing.items_gone(c, old.library_id, {new.id}, (), now_ms=NOW)
    assert listing.any_gone(c)
    assert listing.adopt(c, [new.id]) == 1
    found = library.item_by_public_id(c, old.public_id)
    assert found is not None
    assert (found.title, found.added_at_ms, found.id) == ("New name", NOW, new.id)
    assert not listing.any_gone(c)


def test_a_copy_takes_nothing_over_while_the_first_is_there(c: apsw.Connection) -> None:
    old = put(c, "Old name", "/m/old.mkv", content="x")
    new = put(c, "New name", "/m/new.mkv", content="x")
    assert listing.adopt(c, [new.id]) == 0
    assert library.item_by_public_id(c, old.public_id) == old
    assert library.item_by_public_id(c, new.public_id) == new


def test_two_new_items_cannot_take_over_the_same_one(c: apsw.Connection) -> None:
    old = put(c, "Old", "/m/old.mkv", content="x")
    new = [put(c, name, f"/m/{name}.mkv", content="x") for name in ("One", "Two")]
    listing.items_gone(c, old.library_id, {item.id for item in new}, (), now_ms=NOW)
    assert listing.adopt(c, [item.id for item in new]) == 1
    assert len({item.public_id for item in library.items(c, OWNER, limit=9)}) == 2


# --- looks ---------------------------------------------------------------------------------------


def test_a_file_is_found_by_the_quick_look_also_where_it_lay(c: apsw.Connection) -> None:
    item = put(c, "Lake")
    file = file_of(c, item)
    library.save_path(c, b"/m/Lake.mkv", at(5), file_id=file.id, now_ms=NOW)
    listing.items_gone(c, item.library_id, (), (), now_ms=NOW)
    wanted = [at(5), at(6), at(5, size=7), at(5, device=2)]
    assert listing.files_by_stat(c, wanted) == {at(5): file.id}


def test_a_path_without_known_content_answers_no_quick_look(c: apsw.Connection) -> None:
    library.save_path(c, b"/m/a.mkv", at(5), file_id=None, problem="empty", now_ms=NOW)
    assert listing.files_by_stat(c, [at(5)]) == {}


def test_what_was_kept_of_items_is_had_back(c: apsw.Connection) -> None:
    item = put(c, "Lake", "/m/b.mkv", "/m/a.mkv")
    (known,) = listing.known_items(c, item.library_id, ["Lake", "unknown"]).values()
    assert (known.id, known.gone, known.listed.title) == (item.id, False, "Lake")
    assert [part.path for part in known.listed.parts] == [b"/m/b.mkv", b"/m/a.mkv"]
    assert set(known.looks) == {b"/m/a.mkv", b"/m/b.mkv"}
    assert listing.known_items(c, item.library_id + 1, ["Lake"]) == {}


# --- plans ---------------------------------------------------------------------------------------

BIG = ("items", "files", "paths", "parts", "side_files")  # tables that grow with the library
VIEWER = Viewer(owner=False, item_ids=frozenset(range(50)))
QUESTIONS = {
    "items": lambda c: library.items(c, OWNER, limit=60),
    "items of a viewer": lambda c: library.items(c, VIEWER, limit=60, offset=60),
    "items of a library": lambda c: library.items(c, OWNER, limit=60, library_id=1),
    "item": lambda c: library.item_by_public_id(c, "x"),
    "items of a file": lambda c: library.items_of_file(c, 1),
    "visible": lambda c: library.visible(c, VIEWER, 1),
    "file": lambda c: library.file(c, 1),
    "file by public id": lambda c: library.file_by_public_id(c, "x"),
    "files of an item": lambda c: library.files_of_item(c, 1),
    "side files": lambda c: library.side_files(c, 1),
    "films": lambda c: library.films(c, [1, 2, 3]),
    "problems": library.path_problems,
    "known items": lambda c: listing.known_items(c, 1, ["Film 1", "Film 2"]),
    "files by stat": lambda c: listing.files_by_stat(c, [at(1)]),
    "some places": lambda c: roots.some_places(c, b"/m", limit=20),
    "adopt": lambda c: listing.adopt(c, [1]),
}


def plans(c: apsw.Connection, ask: Callable[[apsw.Connection], object]) -> list[str]:
    """Ask, and return how SQLite finds the rows of every question that this took."""
    asked: list[tuple[str, object]] = []
    c.exec_trace = lambda _cursor, sql, values: asked.append((sql, values)) or True
    ask(c)
    c.exec_trace = None
    return [
        "\n".join(row[3] for row in c.execute(f"explain query plan {sql}", values))
        for sql, values in asked
        if sql.lstrip().startswith("select")
    ]


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_of_a_page_or_a_sync_has_its_index(c: apsw.Connection, name: str) -> None:
    for number in range(30):
        put(c, f"Film {number}")
    found = plans(c, QUESTIONS[name])
    assert found
    for plan in found:
        for line in plan.splitlines():
            words = line.split()
            whole = words[0] == "SCAN" and words[1] in BIG
            assert not whole or "INDEX" in words, plan


@pytest.mark.parametrize("name", ["items", "items of a viewer", "items of a library"])
def test_a_page_of_items_is_read_in_its_order(c: apsw.Connection, name: str) -> None:
    put(c, "Lake")
    (plan,) = plans(c, QUESTIONS[name])
    assert "items_newest" in plan
    assert "ORDER BY" not in plan, "sorting would read every item for each page"
