"""Reading text: the formulas with a tiny recogniser, and real lines with the real models."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from scanners.base import Options, StageError
from scanners.captions import same_text
from scanners.onscreen import load
from scanners.ppocr import SCRIPTS, Area, Finder, Reader, characters_of, decode
from scanners.runtime import session
from tests.lettering import Image, clouds, write
from tests.models_fixture import Need
from tests.tiny_reader import make_reader, striped


def columns(numbers: Sequence[int], count: int, sure: float = 0.9) -> NDArray[np.float32]:
    """Return what a model gives that sees these numbers."""
    made = np.full((len(numbers), count), (1 - sure) / count, np.float32)
    made[np.arange(len(numbers)), list(numbers)] = sure
    return made


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2)), max_size=12))
def test_a_character_is_read_once_however_wide_it_is(
    written: list[tuple[int, int, int]],
) -> None:
    numbers: list[int] = []
    for number, wide, gap in written:
        if numbers and numbers[-1] == number:
            numbers.append(0)  # a double letter has a gap, or it would be one
        numbers += [number] * wide + [0] * gap

    text, score = decode(columns(numbers, 6).reshape(-1, 6), "abcde")

    assert text == "".join("abcde"[number - 1] for number, _, _ in written)
    assert score == (pytest.approx(0.9) if written else 0.0)


def whole(rgb: Image) -> Area:
    high, wide = rgb.shape[:2]
    corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    return Area(corners=corners, score=1.0)


def test_a_line_is_shown_to_the_recogniser_in_its_colours_from_left_to_right(
    tmp_path: Path,
) -> None:
    opened = session(make_reader(tmp_path), threads=1)
    reader = Reader(opened, ["x", "y", "z"])
    line = striped((255, 0, 0), (0, 0, 255), (0, 255, 0))

    assert reader.read(line, whole(line))[0] == "xzy"


def test_a_line_from_top_to_bottom_is_read_from_top_to_bottom(tmp_path: Path) -> None:
    opened = session(make_reader(tmp_path), threads=1)
    reader = Reader(opened, ["x", "y", "z"])
    line = np.ascontiguousarray(striped((255, 0, 0), (0, 255, 0), (0, 0, 255)).transpose(1, 0, 2))

    assert reader.read(line, whole(line))[0] == "xyz"


def test_a_list_of_other_characters_is_refused(tmp_path: Path) -> None:
    opened = session(make_reader(tmp_path, "wxyz"), threads=1)
    reader = Reader(opened, characters_of(opened, tmp_path / "dict.txt"))
    line = striped((255, 0, 0))

    with pytest.raises(StageError, match="3 characters and its list has 4"):
        reader.read(line, whole(line))


def test_a_model_that_knows_one_character_more_knows_the_space(tmp_path: Path) -> None:
    opened = session(make_reader(tmp_path, "xy"), threads=1)
    reader = Reader(opened, characters_of(opened, tmp_path / "dict.txt"))
    line = striped((255, 0, 0), (0, 0, 255), (0, 255, 0))

    assert reader.read(line, whole(line))[0] == "x y"


def test_a_recogniser_that_does_not_say_what_it_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="which characters"):
        characters_of(session(make_reader(tmp_path), threads=1))


# --- the real models ---


@pytest.fixture(scope="module")
def options(need_model: Need) -> Options:
    return Options(models=bytes(need_model("pp-ocr")), threads=1)


@pytest.fixture(scope="module")
def finder(options: Options) -> Finder:
    return load(options, "pp-ocr")[0]


@pytest.fixture(scope="module")
def reader(options: Options) -> Reader:
    return load(options, "pp-ocr")[1]


@pytest.mark.parametrize("high", [12, 24, 48])
def test_lines_are_found_where_they_are_and_read(finder: Finder, reader: Reader, high: int) -> None:
    text = "Nobody believed it"
    picture = write(clouds(), text, x=60, y=200, high=high)

    (area,) = finder.find(picture, 640)

    (left, top), (right, bottom) = area.corners.min(axis=0), area.corners.max(axis=0)
    assert left == pytest.approx(60, abs=high)
    assert top == pytest.approx(200 - high, abs=high)
    assert bottom == pytest.approx(200, abs=high)
    assert right > 60 + len(text) * high * 0.6
    read, score = reader.read(picture, area)
    assert same_text(read, text)
    assert score > 0.9


def test_two_lines_are_two_areas_from_top_to_bottom(finder: Finder, reader: Reader) -> None:
    picture = write(write(clouds(), "Second line", y=300), "First line", y=240)

    read = [reader.read(picture, area)[0] for area in finder.find(picture, 640)]

    assert [text.split()[0] for text in read] == ["First", "Second"]


def test_a_picture_without_text_has_no_lines(finder: Finder) -> None:
    assert finder.find(np.zeros((540, 960, 3), np.uint8), 320) == []


def test_what_the_recogniser_reads_is_said_truly(reader: Reader) -> None:
    known = "".join(reader._characters)

    for script, letters in {"Latin": "AzéßøČ", "Chinese": "東国龙", "kana": "あカ"}.items():
        assert all(letter in known for letter in letters), script
        assert script in SCRIPTS
    for script, letters in {"Hangul": "가힣ㄱ", "Cyrillic": "Жщ", "Arabic": "عب"}.items():
        assert not any(letter in known for letter in letters), script
        assert script in SCRIPTS.partition("no ")[2]
