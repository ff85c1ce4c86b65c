"""Elements into dataclasses: whatever stands in them, nothing breaks and everything is bounded."""

from xml.etree.ElementTree import Element, SubElement

import pytest
from hypothesis import given, strategies as st

from companion.model import CreditKind, ItemKind, LibraryKind
from connectors import plex_reading as reading
from connectors.plex_http import document
from connectors.plex_items import before_ms

WORDS = st.text(max_size=40) | st.integers(-(10**30), 10**30).map(str)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        [
            "ratingKey", "key", "type", "title", "agent", "index", "parentIndex", "year", "addedAt",
            "duration", "viewCount", "viewOffset", "updatedAt", "rating", "audienceRating", "guid",
            "id", "tag", "role", "thumb", "file", "path", "totalSize", "size", "grandparentTitle",
        ]
    ),
    WORDS,
)  # fmt: skip
TAGS = st.sampled_from(
    ["Video", "Directory", "Media", "Part", "Role", "Director", "Guid", "Genre", "Location", "x"]
)


@st.composite
def elements(draw: st.DrawFn, depth: int = 2) -> Element:
    element = Element(draw(TAGS), draw(ATTRIBUTES))
    if depth:
        element.extend(draw(st.lists(elements(depth=depth - 1), max_size=2)))
    return element


@given(elements())
def test_no_element_breaks_the_reader(element: Element) -> None:
    for section in reading.sections(element):
        assert section.id
        assert section.title
        assert section.type in {"1", "4"}
    row = reading.row(element)
    assert row.views >= 0
    assert row.position_ms >= 0
    assert reading.item_kind(element, LibraryKind.MOVIES) in {*ItemKind, None}
    for part in reading.parts(element):
        assert part.file
        assert part.before_ms >= 0
    for credit in reading.credits(element):
        assert credit.name
        assert reading.text(credit.name) == credit.name
    for provider, name in reading.provider_ids(element):
        assert provider == provider.lower()
        assert reading.identifier(name)
    rating = reading.community_rating(element)
    assert rating is None or 0 <= rating <= 10


@given(st.text())
def test_a_text_can_always_be_stored(said: str) -> None:
    text = reading.text(said)
    assert text.encode().decode() == text
    assert len(text) <= reading.TEXT_LENGTH
    assert "\0" not in text
    assert "\n" not in text


@given(st.text())
def test_an_identifier_can_always_stand_in_a_path(said: str) -> None:
    key = reading.identifier(said)
    assert key in {"", said}
    assert not set(key) & set("/\\?#%&,: \r\n")
    assert key not in {".", ".."}


@given(st.integers(0, reading.BIGGEST))
def test_whole_numbers_are_read(value: int) -> None:
    assert reading.number(str(value)) == value


@pytest.mark.parametrize(
    "said", [None, "", "-1", "+1", "1.5", "1e9", " 1", "٣", "²", "9" * 17, str(2**53 + 1), "0x1"]
)
def test_what_is_no_whole_number_is_none(said: str | None) -> None:
    assert reading.number(said) is None


def test_seconds_become_milliseconds_within_bounds() -> None:
    assert reading.unix_ms("1700000000") == 1_700_000_000_000
    assert reading.unix_ms(str(2**53)) == 0
    assert reading.unix_ms(None) == 0


@pytest.mark.parametrize(
    ("said", "found"), [("1984", 1984), ("0", None), ("9999", None), ("x", None), (None, None)]
)
def test_a_year_is_one_of_films(said: str | None, found: int | None) -> None:
    assert reading.year(said) == found


@pytest.mark.parametrize(
    ("said", "found"),
    [("7.4", 7.4), ("10", 10.0), ("10.1", None), ("nan", None), ("-1", None), ("", None)],
)
def test_a_rating_is_of_ten(said: str, found: float | None) -> None:
    assert reading.community_rating(Element("Video", rating=said)) == found


def test_the_audiences_rating_comes_first() -> None:
    assert reading.community_rating(Element("Video", rating="5.0", audienceRating="8.1")) == 8.1


def test_the_same_file_twice_is_one_part() -> None:
    video = Element("Video")
    for _ in range(2):
        SubElement(SubElement(video, "Media"), "Part", file="/a.mkv")
    assert len(reading.parts(video)) == 1


def test_parts_without_end_are_cut_off() -> None:
    media = SubElement(video := Element("Video"), "Media")
    for number in range(1000):
        SubElement(media, "Part", file=f"/{number}.mkv")
    assert len(reading.parts(video)) == reading.PARTS


def test_a_part_without_a_file_still_takes_its_time() -> None:
    media = SubElement(video := Element("Video"), "Media")
    SubElement(media, "Part", duration="1000")
    SubElement(media, "Part", file="/b.mkv", duration="2000")
    (part,) = reading.parts(video)
    assert (part.part, part.before_ms) == (1, 1000)


@pytest.mark.parametrize("said", ["/a\0b.mkv", "/" + "a" * 5000, ""])
def test_what_no_disk_can_hold_is_no_file(said: str) -> None:
    assert reading.path(said) == ""


def test_a_cast_without_end_is_cut_off() -> None:
    video = Element("Video")
    for number in range(1000):
        SubElement(video, "Role", tag=f"Actor {number}")
        SubElement(video, "Writer", tag=f"Writer {number}")
    found = reading.credits(video)
    assert len(found) == 2 * reading.TAGS
    assert found[0].kind is CreditKind.ACTOR


@pytest.mark.parametrize(
    ("part_id", "ms"), [("0.1.3000", 3000), ("", 0), ("x", 0), ("0.0.-5", 0), ("1.2.9e9", 0)]
)
def test_what_comes_before_a_part_is_read_from_its_id(part_id: str, ms: int) -> None:
    assert before_ms(part_id) == ms


def test_entities_of_xml_itself_are_fine() -> None:
    root = document(b"<a t='Tom &amp; Jerry &#x2603;'/>", "x")
    assert root.get("t") == "Tom & Jerry ☃"
    assert document("\ufeff<a/>".encode(), "x").tag == "a"
