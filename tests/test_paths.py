"""Paths: bytes in, text for people and ids out."""

import pytest
from hypothesis import given, strategies as st

from companion.paths import is_below, plain, span, spelled

PART = st.binary(min_size=1, max_size=12).filter(lambda name: not {0, 47} & set(name))
PATH = st.lists(PART, max_size=4).map(lambda names: b"/" + b"/".join(names))


@pytest.mark.parametrize(
    ("path", "root", "below"),
    [
        (b"/media/a.mkv", b"/media", True),
        (b"/media/a.mkv", b"/media/", True),
        (b"/media/deep/er/a.mkv", b"/media", True),
        (b"/media", b"/media", False),
        (b"/media/", b"/media", False),
        (b"/mediathek/a.mkv", b"/media", False),
        (b"/media0", b"/media", False),
        (b"/media-2/a.mkv", b"/media", False),
        (b"/a.mkv", b"/", True),
        (b"/media/\xff\xfe.mkv", b"/media", True),
        (b"/m\xff/a", b"/m\xff", True),
    ],
)
def test_below_means_inside_at_any_depth(path: bytes, root: bytes, below: bool) -> None:
    assert is_below(path, root) is below


@given(PATH, PART, PATH)
def test_a_path_is_in_the_span_of_a_folder_exactly_if_it_lies_below_it(
    root: bytes, name: bytes, other: bytes
) -> None:
    below, beyond = span(root)
    inside = root.rstrip(b"/") + b"/" + name
    assert below <= inside < beyond
    assert (below < other < beyond) == is_below(other, root)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"Lake.mkv", "Lake.mkv"),
        ("호수.mkv".encode(), "호수.mkv"),
        ("🎬.mkv".encode(), "🎬.mkv"),
        (b"a\nb\tc.mkv", "a b c.mkv"),
        (b"\x1b[31mred.mkv", " [31mred.mkv"),
        ("a\u2028b".encode(), "a b"),
        (b"S\xe9ance.mkv", "S\ufffdance.mkv"),
        ("\u1112\u1169\u1109\u116e".encode(), "호수"),  # as macOS spells it, in pieces
        ("e\u0301te".encode(), "éte"),
    ],
)
def test_names_are_shown_in_one_line_and_composed(name: bytes, text: str) -> None:
    assert plain(name) == text


@given(st.binary(max_size=40))
def test_what_is_shown_can_always_be_stored_and_never_breaks_a_line(name: bytes) -> None:
    text = plain(name)
    assert isinstance(text.encode(), bytes)
    assert not set(text) & set("\n\r\t\0\x1b\x7f\u2028\u2029")


def test_a_spelled_path_reads_as_it_is() -> None:
    assert spelled("/media/호수.mkv".encode()) == "/media/호수.mkv"
    assert spelled(b"/media/\xff.mkv") == r"/media/\xff.mkv"
    assert spelled(rb"/media/\xff.mkv") == r"/media/\\xff.mkv"


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_different_paths_are_spelled_differently(one: bytes, other: bytes) -> None:
    assert (spelled(one) == spelled(other)) == (one == other)
