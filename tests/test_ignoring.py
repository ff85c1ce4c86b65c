"""What a walk passes over, rule by rule."""

import pytest
from hypothesis import given, strategies as st

from companion.model import LibraryKind
from connectors.ignoring import Rules, is_extra, is_extras_folder, is_rubbish_folder

MIXED = LibraryKind.MIXED


def rules(*files: tuple[str, str, str]) -> Rules:
    """The rules after reading (name, folder, text), outermost first."""
    made = Rules()
    for name, base, text in files:
        made, _bad = made.read(name, base, text)
    return made


@pytest.mark.parametrize(
    ("pattern", "path", "folder", "ignored"),
    [
        ("*.avi", "/m/a.avi", False, True),
        ("*.avi", "/m/deep/a.avi", False, True),
        ("*.avi", "/m/a.mkv", False, False),
        ("/a.mkv", "/m/a.mkv", False, True),
        ("/a.mkv", "/m/deep/a.mkv", False, False),
        ("Kids/", "/m/Kids", True, True),
        ("Kids/", "/m/Kids", False, False),
        ("a/**/b.mkv", "/m/a/x/y/b.mkv", False, True),
        ("# a.mkv", "/m/a.mkv", False, False),
        (r"\#a.mkv", "/m/#a.mkv", False, True),
        ("*.mkv\n!keep.mkv", "/m/keep.mkv", False, False),
        ("*.mkv\n!keep.mkv", "/m/a.mkv", False, True),
        ("호수*", "/m/호수 2.mkv", False, True),
    ],
)
def test_gitignore_rules(pattern: str, path: str, folder: bool, ignored: bool) -> None:
    for name in (".ignore", ".heimdexignore"):
        assert rules((name, "/m", pattern)).ignores(path, folder=folder) is ignored


@pytest.mark.parametrize(
    ("pattern", "path", "folder", "ignored"),
    [
        ("*.avi", "/m/deep/a.AVI", False, True),
        ("*.avi", "/m/a.mkv", False, False),
        ("Kids/*", "/m/Kids/a.mkv", False, True),
        ("Kids/*", "/m/Kids", True, True),
        ("Kids/*", "/m/Other/a.mkv", False, False),
        ("deep/*/x*", "/m/deep/er/x.mkv", False, True),
        ("# *.avi", "/m/a.avi", False, False),
        ("A?.mkv", "/m/a1.mkv", False, True),
        ("[ab].mkv", "/m/b.mkv", False, True),
    ],
)
def test_plexignore_patterns(pattern: str, path: str, folder: bool, ignored: bool) -> None:
    assert rules((".plexignore", "/m", pattern)).ignores(path, folder=folder) is ignored


@pytest.mark.parametrize("text", ["", "\n", "  \n\t\n", "\ufeff"])
def test_an_ignore_file_without_rules_hides_everything(text: str) -> None:
    for name in (".ignore", ".heimdexignore"):
        made = rules((name, "/m", text))
        assert made.hides_all()
        assert made.ignores("/m/a.mkv", folder=False)


def test_an_empty_plexignore_hides_nothing() -> None:
    made = rules((".plexignore", "/m", ""))
    assert not made.hides_all()
    assert not made.ignores("/m/a.mkv", folder=False)


def test_the_innermost_file_that_says_something_decides() -> None:
    made = rules((".ignore", "/m", "*.avi"), (".ignore", "/m/deep", "!a.avi"))
    assert not made.ignores("/m/deep/a.avi", folder=False)
    assert made.ignores("/m/deep/b.avi", folder=False)


def test_our_own_file_has_the_last_word_in_a_folder() -> None:
    made = rules((".plexignore", "/m", "*.avi"), (".heimdexignore", "/m", "!a.avi"))
    assert not made.ignores("/m/a.avi", folder=False)


def test_lines_that_mean_nothing_are_named_and_the_others_hold() -> None:
    made, bad = Rules().read(".ignore", "/m", "*.avi\n!\n[z-a]\n*.wmv")
    assert bad == ["!", "[z-a]"]
    assert made.ignores("/m/a.avi", folder=False)
    assert made.ignores("/m/a.wmv", folder=False)


def test_a_byte_order_mark_is_no_rule() -> None:
    assert rules((".ignore", "/m", "\ufeffa.avi")).ignores("/m/a.avi", folder=False)


@given(st.text(max_size=60))
def test_any_text_can_be_read_as_rules(text: str) -> None:
    for name in (".ignore", ".plexignore"):
        made, _bad = Rules().read(name, "/m", text)
        assert made.ignores("/m/a/b.mkv", folder=False) in (True, False)


@pytest.mark.parametrize(
    "name",
    [
        "@eaDir", "#recycle", "lost+found", ".Trash-1000", "$RECYCLE.BIN", "Metadata", "subs",
        "Night Train.trickplay", "System Volume Information", ".actors", "@Recycle", "#snapshot",
    ],
)  # fmt: skip
def test_folders_of_systems_and_servers_are_rubbish(name: str) -> None:
    assert is_rubbish_folder(name)


@pytest.mark.parametrize("name", ["Holiday", "Season 1", "recycle", "found", "a.b", "Subsonic"])
def test_other_folders_are_not(name: str) -> None:
    assert not is_rubbish_folder(name)


@pytest.mark.parametrize(
    ("above", "beside", "kind", "extras"),
    [
        (["Night Train (1984)"], [], MIXED, True),
        (["The Lake"], ["Season 1"], MIXED, True),
        (["The Lake", "Season 1"], [], MIXED, True),
        (["Holiday 2019"], [], MIXED, False),
        ([], ["Season 1"], MIXED, False),
        ([], [], LibraryKind.MOVIES, False),
        (["Night Train"], [], LibraryKind.MOVIES, True),
        (["The Lake"], [], LibraryKind.SHOWS, True),
        (["Night Train (1984)"], [], LibraryKind.HOME_VIDEOS, False),
        (["Band"], [], LibraryKind.MUSIC_VIDEOS, False),
    ],
)
def test_extras_belong_to_a_title(
    above: list[str], beside: list[str], kind: LibraryKind, extras: bool
) -> None:
    for name in ("Trailers", "behind the scenes", "CLIPS"):
        assert is_extras_folder(name, above, beside, kind) is extras
    assert not is_extras_folder("Season 2", above, beside, kind)


@pytest.mark.parametrize(
    "stem",
    [
        "trailer",
        "x-trailer",
        "x.trailer",
        "x_trailer",
        "x-featurette",
        "x-BehindTheScenes",
        "x-clip",
    ],
)
def test_extras_by_name(stem: str) -> None:
    assert is_extra(stem, ["Night Train (1984)"], MIXED)
    assert not is_extra(stem, ["Holiday"], MIXED)


@pytest.mark.parametrize("stem", ["sample", "Sample", "x-sample", "x.sample"])
def test_samples_are_never_listed(stem: str) -> None:
    for kind in LibraryKind:
        assert is_extra(stem, [], kind)


@pytest.mark.parametrize("stem", ["Sampler", "The Trailer Park", "Short", "other", "x clip"])
def test_words_in_titles_are_no_extras(stem: str) -> None:
    assert not is_extra(stem, ["Night Train (1984)"], MIXED)
