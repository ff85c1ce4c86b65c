"""Text in the picture: where it may be, what it says, and what a scan makes of it.

The gate and the formulas need no model; what is read is read by the real one.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from companion.errors import ModelMissing
from scanners import models, onscreen
from scanners.base import MediaInfo, OnscreenText, Options, Scan, Scene, Shot, StageError
from scanners.captions import same_text
from scanners.frames import Image, Sample
from scanners.onscreen import Onscreen, counts, load
from scanners.ppocr import SCRIPTS, Area, Finder, Reader, characters_of, decode
from scanners.runtime import session
from scanners.textgate import (
    ACROSS,
    BARE_MS,
    DOWN,
    EDGE,
    PEAK,
    WHOLE,
    Band,
    Gate,
    across,
    density,
    joined,
)
from tests.models_fixture import Need
from tests.tiny_onnx import save

MEDIA = MediaInfo(container="mp4", duration_ms=60_000)
SIZE = (960, 540)


def clouds(seed: int = 1, size: tuple[int, int] = SIZE, shift: int = 0) -> Image:
    """Return a picture without text: soft shapes and film grain; shift moves it sideways, in px."""
    random = np.random.default_rng(seed)
    rough = random.integers(20, 235, (9, 20, 3), np.uint8)
    soft = cv2.resize(rough, (size[0] + 400, size[1]), interpolation=cv2.INTER_CUBIC)
    grain = random.normal(0, 4, soft.shape)
    return np.clip(soft + grain, 0, 255).astype(np.uint8)[:, shift : shift + size[0]].copy()


def write(
    rgb: Image, text: str, *, x: int | None = None, y: int = 500, high: int = 26, pen: int = 255
) -> Image:
    """Return the picture with a line of text, outlined. x: left edge, None: centred; y: its foot;
    high: of a capital letter, px."""
    face = cv2.FONT_HERSHEY_SIMPLEX
    scale = high / 21  # a capital of that font is 21 px high
    pale, dark = max(1, round(high / 11)), max(3, round(high / 4.5))
    (wide, _), _ = cv2.getTextSize(text, face, scale, pale)
    place = ((rgb.shape[1] - wide) // 2 if x is None else x, y)
    out = rgb.copy()
    cv2.putText(out, text, place, face, scale, (255 - pen,) * 3, dark, cv2.LINE_AA)
    cv2.putText(out, text, place, face, scale, (pen,) * 3, pale, cv2.LINE_AA)
    return out


# --- the gate ------------------------------------------------------------------------------------


@pytest.mark.parametrize("high", [12, 16, 24, 36, 60, 90])
@pytest.mark.parametrize("pen", [255, 0])
def test_text_of_every_size_passes_with_all_of_its_line(high: int, pen: int) -> None:
    text = "We should never have come back"[: 700 // high]
    picture = write(clouds(), text, y=300, high=high, pen=pen)

    _, bands = Gate().look(0, picture, [])

    assert any(band.top * 540 < 300 - 0.9 * high and band.bottom * 540 > 300 for band in bands), (
        bands
    )


def test_pictures_without_text_do_not_pass() -> None:
    bars = np.zeros((540, 960, 3), np.uint8)
    bars[:, ::60] = 255
    for picture in (clouds(1), clouds(2), clouds(3), bars, np.zeros((540, 960, 3), np.uint8)):
        assert Gate().look(0, picture, [])[1] == []


def test_small_and_upright_pictures_are_looked_at() -> None:
    for size in ((360, 288), (540, 960), (160, 90)):
        blank, written = clouds(1, size), write(clouds(1, size), "Harbour", x=5, y=25, high=16)
        assert Gate().look(0, blank, [])[1] == []
        assert Gate().look(0, written, [])[1] != []
    assert Gate().look(0, np.zeros((1, 1, 3), np.uint8), [])[1] == []


def test_text_that_stays_is_known_whatever_moves_behind_it() -> None:
    gate = Gate()
    gate.look(0, write(clouds(), "Nobody believed it"), [])
    patch = gate.patch((0.25, 0.86, 0.5, 0.08))

    there, bands = gate.look(1000, write(clouds(shift=150), "Nobody believed it"), [patch])

    assert (there, bands) == ([True], [])


def test_other_text_in_the_same_place_is_noticed() -> None:
    gate = Gate()
    gate.look(0, write(clouds(), "Nobody believed it"), [])
    patch = gate.patch((0.25, 0.86, 0.5, 0.08))

    for second, picture in enumerate([write(clouds(), "Then read it to me"), clouds()], start=1):
        there, bands = gate.look(second * 1000, picture, [patch])
        assert there == [False]
        assert (bands != []) == (second == 1)


def test_text_beside_known_text_passes() -> None:
    gate = Gate()
    first = write(clouds(), "Nobody believed it")
    gate.look(0, first, [])
    patch = gate.patch((0.25, 0.86, 0.5, 0.08))

    there, bands = gate.look(1000, write(first, "Breaking news", x=40, y=80), [patch])

    assert there == [True]
    assert [band.bottom < 0.3 for band in bands] == [True]


def test_a_bare_place_is_not_looked_at_again_until_it_shows_more_a_cut_or_time() -> None:
    gate = Gate()
    weak = write(clouds(), "iiii lllll iiii", y=300, high=14)
    strong = write(clouds(), "We should never have come", y=300, high=14)
    (band,) = gate.look(0, weak, [])[1]
    gate.found_nothing(0, band)

    assert gate.look(1000, weak, [])[1] == []
    assert gate.look(2000, strong, [])[1] != []
    assert gate.look(BARE_MS, weak, [])[1] != []
    gate.found_nothing(BARE_MS, band)
    assert gate.look(BARE_MS + 1000, weak, [])[1] == []
    gate.cut()
    assert gate.look(BARE_MS + 2000, weak, [])[1] != []


def test_density_counts_the_rarest_of_four_kinds_of_edges() -> None:
    luma = write(clouds(), "Harbour", y=60, high=20)[:100, 300:660, 0].copy()
    padded = np.pad(luma.astype(np.int16), 1, mode="reflect")
    right = padded[1:-1, 2:] - padded[1:-1, :-2]
    down = padded[2:, 1:-1] - padded[:-2, 1:-1]

    def count(edges: NDArray[np.bool_], window: tuple[int, int], y: int, x: int) -> int:
        wide, high = window[0] // 2, window[1] // 2
        return int(edges[y - high : y + high + 1, x - wide : x + wide + 1].sum())

    found = density(luma)

    np.testing.assert_array_equal(across(luma), right)
    for y, x in [(50, 60), (52, 180), (55, 200), (20, 100), (58, 300)]:
        sideways = min(count(right > EDGE, ACROSS, y, x), count(right < -EDGE, ACROSS, y, x))
        upright = min(count(down > EDGE, DOWN, y, x), count(down < -EDGE, DOWN, y, x))
        assert found[y, x] == min(sideways, round(upright * 2 * 175 / 225)), (y, x)
    assert found.max() > PEAK


fractions = st.floats(0, 1)
bands_of = st.lists(
    st.builds(
        lambda one, other, side, peak: Band(min(one, other), max(one, other), side, peak),
        fractions,
        fractions,
        st.sampled_from([640, 480, 320]),
        st.integers(38, 80),
    ),
    max_size=8,
)


@given(bands_of)
def test_joined_bands_lie_apart_and_cover_all(bands: list[Band]) -> None:
    made = joined(bands)

    assert all(one.bottom < other.top for one, other in pairwise(made))
    for band in bands:
        assert any(
            one.top <= band.top and band.bottom <= one.bottom and band.side <= one.side
            for one in made
        )
    assert sum(one.bottom - one.top for one in made) <= WHOLE or made[0][:2] == (0.0, 1.0)


# --- reading: formulas ---------------------------------------------------------------------------


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


def test_readings_that_are_likely_texture_do_not_count() -> None:
    assert counts("Harbour", 0.7)
    assert counts("No", 0.95)
    assert counts("東京", 0.95)
    assert not counts("Harbour", 0.4)
    assert not counts("No", 0.7)
    assert not counts("I", 0.99)
    assert not counts("-- |", 0.99)


def make_reader(folder: Path, characters: str = "xyz") -> Path:
    """Write a recogniser that says for each column which of red, green and blue is strongest."""
    folder.mkdir(parents=True, exist_ok=True)
    sides = {"kernel_shape": [48, 8], "strides": [48, 8]}
    mix = np.zeros((3, 4), np.float32)
    mix[[2, 1, 0], [1, 2, 3]] = 5  # blue comes first in what a recogniser is shown
    (folder / "dict.txt").write_text("\n".join(characters) + "\n", encoding="utf-8")
    return save(
        folder / "rec.onnx",
        [
            helper.make_node("AveragePool", ["x"], ["means"], **sides),
            helper.make_node("Squeeze", ["means", "second"], ["flat"]),
            helper.make_node("Transpose", ["flat"], ["turned"], perm=[0, 2, 1]),
            helper.make_node("MatMul", ["turned", "mix"], ["mixed"]),
            helper.make_node("Softmax", ["mixed"], ["y"], axis=2),
        ],
        {"x": (TensorProto.FLOAT, ("n", 3, 48, "w"))},
        {"y": (TensorProto.FLOAT, ("n", "t", 4))},
        {"mix": mix, "second": np.array([2], np.int64)},
    )


def striped(*colours: tuple[int, int, int]) -> Image:
    return np.repeat(np.array([colours], np.uint8), 32, axis=1).repeat(48, axis=0)


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


# --- reading: the real model ---------------------------------------------------------------------


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


# --- the stage -----------------------------------------------------------------------------------


def make_stage(options: Options, resume_ms: int = 0) -> Onscreen:
    asked = Scan(id=1, path=b"film.mp4", stages=("onscreen",), options=options, resume_ms=resume_ms)
    return Onscreen(asked, MEDIA)


@pytest.fixture
def stage(options: Options) -> Onscreen:
    return make_stage(options)


def show(stage: Onscreen, pictures: Sequence[Image], first: int = 0) -> None:
    """Give the stage one sample a second."""
    for second, rgb in enumerate(pictures, start=first):
        assert list(stage.sample(Sample(ms=second * 1000, rgb=rgb, sharpness=1.0))) == []


def texts(stage: Onscreen, start_s: int, end_s: int) -> list[OnscreenText]:
    found = stage.scene(Scene(start_s * 1000, end_s * 1000, start_s * 1000))
    return [one for one in found if isinstance(one, OnscreenText)]


def test_text_is_given_with_its_time_and_place(stage: Onscreen) -> None:
    sign = write(clouds(), "Harbour closed", x=40, y=80)
    show(stage, [clouds(), sign, sign, sign, clouds(), clouds()])

    (text,) = texts(stage, 0, 6)

    assert text.text.replace(" ", "") == "Harbourclosed"
    assert (text.start_ms, text.end_ms, text.subtitle) == (1000, 3500, False)
    x, y, width, height = text.box
    assert (x * 960, y * 540) == pytest.approx((40, 54), abs=16)
    assert (x + width) * 960 == pytest.approx(290, abs=40)
    assert (y + height) * 540 == pytest.approx(84, abs=16)
    assert text.score > 0.9
    assert stage.note == "texts in the picture: 1"
    assert stage.model == "pp-ocr@6f3272"


def test_a_line_that_stays_is_read_once(stage: Onscreen, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    really = Reader.read

    def reading(self: Reader, rgb: Image, area: Area) -> tuple[str, float]:
        result = really(self, rgb, area)
        read.append(result[0])
        return result

    monkeypatch.setattr(Reader, "read", reading)
    show(stage, [write(clouds(shift=30 * n), "Harbour closed", x=40, y=80) for n in range(6)])

    (text,) = texts(stage, 0, 6)

    assert (text.start_ms, text.end_ms) == (0, 6000)
    assert len(read) == 1


def test_pictures_without_text_are_never_shown_to_a_model(
    stage: Onscreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finding(*_: object) -> list[Area]:
        raise AssertionError("the finder was asked")

    monkeypatch.setattr(Finder, "find", finding)
    show(stage, [clouds(seed) for seed in range(5)])

    assert texts(stage, 0, 5) == []
    assert stage.note == ""


def test_a_place_that_holds_no_text_is_shown_to_the_finder_once_a_shot(
    stage: Onscreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def finding(self: Finder, rgb: Image, side: int) -> list[Area]:
        looked.append(side)
        return []

    monkeypatch.setattr(Finder, "find", finding)
    fence = write(clouds(), "|/|/|/|/|/|/|/|/|/|", y=300)
    show(stage, [fence] * 4)
    once = len(looked)
    list(stage.shot(Shot(0, 4000), ()))
    show(stage, [fence] * 2, first=4)

    assert (once, len(looked)) == (1, 2)


def test_burned_in_subtitles_are_known_as_such_and_signs_are_not(stage: Onscreen) -> None:
    said = ["Nobody believed it", "Then read it to me", "That is beautiful"]
    pictures: list[Image] = []
    for number, words in enumerate(said):
        behind = write(clouds(number), "Harbour closed", x=40, y=80)
        pictures += [write(behind, words), write(behind, words), behind]
    show(stage, pictures)

    found = texts(stage, 0, 9)

    subtitles = [text.text.replace(" ", "") for text in found if text.subtitle]
    signs = {text.text.replace(" ", "") for text in found if not text.subtitle}
    assert subtitles == [words.replace(" ", "") for words in said]
    assert signs == {"Harbourclosed"}


def test_a_resumed_pass_gives_what_a_whole_one_gives(options: Options, stage: Onscreen) -> None:
    pictures = [write(clouds(), "Harbour closed", x=40, y=80)] * 5 + [clouds()]
    resumed = make_stage(options, resume_ms=2000)
    show(stage, pictures)
    show(resumed, pictures[1:], first=1)
    texts(stage, 0, 2)

    assert texts(resumed, 2, 6) == texts(stage, 2, 6) != []
    assert list(stage.finish(6000)) == []


def test_an_owner_s_recogniser_reads_with_its_own_characters(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_reader(tmp_path / "own", "가나다")
    chosen = f"pp-ocr-own:{tmp_path / 'own'}"
    stage = make_stage(Options(models=options.models, roles={"onscreen": chosen}, threads=1))
    line = striped((255, 0, 0), (0, 255, 0), (0, 0, 255))
    picture = clouds()
    picture[100:148, 200 : 200 + line.shape[1]] = line
    corners = np.array([[200, 0], [296, 0], [296, 48], [200, 48]], np.float32)
    monkeypatch.setattr(Finder, "find", lambda self, rows, side: [Area(corners=corners, score=1.0)])
    monkeypatch.setattr(onscreen, "SHORT_SURE", 0.6)
    monkeypatch.setattr(
        Gate,
        "look",
        lambda self, ms, rgb, known: ([True] * len(known), [Band(100 / 540, 0.4, 640, 50)]),
    )
    show(stage, [picture])

    (text,) = texts(stage, 0, 1)

    assert text.text == "가나다"
    assert stage.model.startswith("pp-ocr-own@")


def test_an_owner_s_recogniser_without_its_list_is_named(options: Options, tmp_path: Path) -> None:
    make_reader(tmp_path / "own")
    (tmp_path / "own" / "dict.txt").unlink()

    with pytest.raises(ModelMissing, match=r"dict\.txt"):
        load(options, f"pp-ocr-own:{tmp_path / 'own'}")


def test_without_its_model_the_stage_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"PP-OCRv6_rec_small\.onnx"):
        make_stage(Options(models=bytes(tmp_path)))


def test_the_shipped_model_is_the_one_of_the_pinned_wheel() -> None:
    row = models.model("pp-ocr")

    assert [file.path for file in row.files][:2] == [
        "PP-OCRv6_rec_small.onnx",
        onscreen.FINDER_FILE,
    ]
    assert row.licence.startswith("Apache-2.0")
