"""Whatever a server says becomes dataclasses that can be stored and shown, or an error in words."""

import contextlib
import os
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from companion.errors import ServerUnavailable
from companion.model import ListedItem
from connectors.jellyfin_items import Places, Reader
from connectors.jellyfin_live import changes_of
from connectors.jellyfin_parse import (
    account,
    an_id,
    credits_of,
    identity,
    is_unrestricted,
    maybe_id,
    providers_of,
    score_of,
    text,
    unix_ms,
    version,
    whole,
)
from connectors.mapping import PathMapping
from tests.fakes import jellyfin_views
from tests.fakes.jellyfin_world import User, World, an_id as made_id

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
KEYS = [
    "Id",
    "Name",
    "Type",
    "MediaSources",
    "Path",
    "People",
    "Genres",
    "Tags",
    "ProviderIds",
    "DateCreated",
    "PartCount",
    "LocationType",
    "CommunityRating",
    "ProductionYear",
    "IndexNumber",
    "SeriesName",
    "OfficialRating",
]


def reader(folder: Path) -> Reader:
    mapping = PathMapping(server="/media", local=os.fsencode(folder))
    return Reader(Places("home", [mapping]), lambda _id: [])


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    (folder / "a.mkv").write_bytes(b"film")
    return folder


def body(**more: Any) -> dict[str, Any]:
    source = {"Id": made_id("x"), "Path": "/media/a.mkv", "Protocol": "File"}
    return {"Id": made_id("x"), "Type": "Movie", "Name": "Film", "MediaSources": [source], **more}


@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=10))
def test_any_item_is_sound_left_out_or_an_error(films: Path, odd: dict[str, Any]) -> None:
    for said in (odd, body(**odd)):
        reads = reader(films)
        try:
            item = reads.item(said)
        except ServerUnavailable:
            continue
        if item is not None:
            assert_sound(item)
        for problem in reads.problems:
            assert problem.problem
            assert isinstance(problem.path, bytes)


def assert_sound(item: ListedItem) -> None:
    names = [
        item.external_id,
        item.title,
        item.show_title,
        item.rating,
        *item.genres,
        *item.tags,
        *(credit.name for credit in item.credits),
        *(credit.role for credit in item.credits),
        *(word for pair in item.provider_ids for word in pair),
    ]
    for name in names:
        assert len(name.encode()) <= 1200
        assert name.isprintable() or "\u2028" not in name
        assert "\0" not in name
        assert "\n" not in name
    assert item.parts
    assert 0 <= item.added_at_ms < 1 << 48
    assert item.community_rating is None or 0 <= item.community_rating <= 10


@given(JSON)
def test_any_answer_is_an_account_or_an_error(said: Any) -> None:
    for read in (identity, is_unrestricted):
        with_error(lambda said=said, read=read: read(said, "home"))
    with_error(lambda: account(said, "home", "token"))
    with_error(lambda: account({"Id": made_id(), "Name": "a", "Policy": said}, "home", "token"))


def with_error(read: Any) -> None:
    """Nothing else than this error is meant to be raised."""
    with contextlib.suppress(ServerUnavailable):
        read()


@given(st.sampled_from(["LibraryChanged", "UserDataChanged", "UserUpdated", "UserDeleted"]), JSON)
def test_any_message_is_changes(kind: str, data: Any) -> None:
    for said in (data, {"ItemsAdded": data, "UserDataList": data, "Id": data, "UserId": data}):
        for change in changes_of({"MessageType": kind, "Data": said}):
            assert all(maybe_id(id) == id for id in change.item_ids)


@given(st.text(max_size=400))
def test_any_text_is_one_line_that_can_be_stored(said: str) -> None:
    found = text(said)
    assert found.encode().decode() == found
    assert not set(found) & set("\n\r\0\t")
    assert len(found) <= 300 * 3


@given(st.text(alphabet=string.printable, max_size=70))
def test_an_id_can_stand_in_an_address(said: str) -> None:
    found = maybe_id(said)
    assert not set(found) - set(string.ascii_letters + string.digits + "_-")


def test_a_uuid_has_one_form() -> None:
    assert an_id("AABBCCDD-0011-2233-4455-66778899AABB", "home") == (
        "aabbccdd00112233445566778899aabb"
    )
    assert maybe_id("0" * 32) == ""
    assert maybe_id("a-b") == "a-b"
    assert maybe_id(7) == ""


@pytest.mark.parametrize(
    ("said", "ms"),
    [
        ("2024-03-01T12:00:00.0000000Z", 1_709_294_400_000),
        ("2024-03-01T12:00:00.1234567Z", 1_709_294_400_123),
        ("2024-03-01T12:00:00Z", 1_709_294_400_000),
        ("2024-03-01T13:00:00+01:00", 1_709_294_400_000),
        ("2024-03-01T12:00:00", 1_709_294_400_000),
        ("0001-01-01T00:00:00.0000000Z", 0),
        ("9999-99-99", 0),
        ("yesterday", 0),
        (None, 0),
        (5, 0),
        ("2" * 1000, 0),
    ],
)
def test_times_are_unix_ms(said: object, ms: int) -> None:
    assert unix_ms(said) == ms


@pytest.mark.parametrize(
    ("said", "numbers"),
    [
        ("10.11.11", (10, 11, 11)),
        ("12.0.0-rc5", (12, 0, 0)),
        ("12.0", (12, 0)),
        ("ten", ()),
        ("", ()),
        ("12", ()),
    ],
)
def test_versions_are_numbers(said: str, numbers: tuple[int, ...]) -> None:
    assert version(said) == numbers


def test_numbers_are_in_their_range() -> None:
    assert whole(5, range(10)) == 5
    assert whole(10, range(10)) is None
    assert whole(True, range(10)) is None
    assert whole("5", range(10)) is None
    assert score_of(7) == 7.0
    assert score_of(11) is None
    assert score_of(float("nan")) is None
    assert score_of(True) is None


def test_a_cast_of_thousands_is_cut() -> None:
    assert len(credits_of([{"Name": f"Extra {number}"} for number in range(5000)])) == 200
    assert len(providers_of({f"p{number}": "1" for number in range(5000)})) == 100


def test_a_limit_that_is_not_known_yet_counts() -> None:
    """A newer server may have more ways to hide things: whoever might be limited is."""
    said = jellyfin_views.user(World(), User(name="boss", admin=True))
    assert is_unrestricted(said, "home")
    for key, value in (
        ("BlockedStudios", ["x"]),
        ("AllowedGenres", ["x"]),
        ("MaxParentalSubRating", 0),
        ("BlockedTags", "x"),
        ("EnableAllFolders", "true"),
        ("EnableAllFolders", None),
        ("IsDisabled", None),
    ):
        policy = {**said["Policy"], key: value}
        assert not is_unrestricted({**said, "Policy": policy}, "home")


def test_two_entries_for_one_file_are_one_part(films: Path) -> None:
    source = body()["MediaSources"][0]
    item = reader(films).item(body(MediaSources=[source, source]))
    assert item is not None
    assert len(item.parts) == 1


def test_a_film_without_a_title_is_called_like_its_file(films: Path) -> None:
    item = reader(films).item(body(Name=None))
    assert item is not None
    assert item.title == "a"


def test_a_film_without_sources_is_its_path(films: Path) -> None:
    item = reader(films).item(body(MediaSources=None, Path="/media/a.mkv"))
    assert item is not None
    assert item.parts[0].path == os.fsencode(films / "a.mkv")


def test_a_film_that_lies_nowhere_is_a_problem(films: Path) -> None:
    reads = reader(films)
    assert reads.item(body(MediaSources=[], Path=None)) is None
    (problem,) = reads.take_problems()
    assert "does not say in which file" in problem.problem
    assert reads.take_problems() == ()
