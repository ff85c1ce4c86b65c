"""The pictures that people have shown: for whom they are kept, how many and how long."""

from hypothesis import given, strategies as st

from companion.model import OWNER, Viewer
from companion.search.encoding import Vector
from companion.search.pictures import Picture
from webui.shown import LONGEST_NAME, Album

PICTURE = Picture(Vector("m@1", b"\0\0"))
CHILD = Viewer(name="child", owner=False, item_ids=frozenset())


class Hand:
    """A clock that the test turns."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_picture_is_found_by_who_gave_it_alone() -> None:
    album = Album()
    token = album.keep(OWNER, PICTURE, "lake.jpg")
    found = album.find(OWNER, token)
    assert found is not None
    assert (found.picture, found.name) == (PICTURE, "lake.jpg")
    assert album.find(CHILD, token) is None
    assert album.find(OWNER, token + "x") is None
    assert album.find(OWNER, "") is None


def test_a_picture_is_forgotten_an_hour_after_it_was_last_used() -> None:
    hand = Hand()
    album = Album(hand)
    used, unused = album.keep(OWNER, PICTURE), album.keep(OWNER, PICTURE)
    hand.now = Album.KEEP_S - 1
    assert album.find(OWNER, used) is not None
    hand.now = Album.KEEP_S + 1
    assert album.find(OWNER, unused) is None
    assert album.find(OWNER, used) is not None
    hand.now = 3 * Album.KEEP_S
    assert album.find(OWNER, used) is None


def test_one_person_cannot_push_out_what_others_gave() -> None:
    album = Album()
    own = album.keep(CHILD, PICTURE)
    tokens = [album.keep(OWNER, PICTURE) for _ in range(Album.MOST_OF_ONE + 5)]
    assert album.find(CHILD, own) is not None
    kept = [album.find(OWNER, token) is not None for token in tokens]
    assert kept == [False] * 5 + [True] * Album.MOST_OF_ONE


def test_no_more_than_a_few_hundred_are_kept() -> None:
    album = Album()
    people = [Viewer(name=f"person {number}", owner=False) for number in range(Album.MOST + 3)]
    tokens = [album.keep(person, PICTURE) for person in people]
    kept = sum(
        album.find(person, token) is not None for person, token in zip(people, tokens, strict=True)
    )
    assert kept == Album.MOST


@given(st.lists(st.text(max_size=80), min_size=2, max_size=6))
def test_every_token_is_another_and_names_are_short_and_printable(names: list[str]) -> None:
    album = Album()
    tokens = [album.keep(OWNER, PICTURE, name) for name in names]
    assert len(set(tokens)) == len(tokens)
    for token in tokens:
        found = album.find(OWNER, token)
        assert found is not None
        assert len(found.name) <= LONGEST_NAME
        assert found.name.isprintable()
