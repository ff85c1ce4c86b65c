"""On-screen text in a scan: what is read of a film, and how seldom the models are asked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from companion.errors import ModelMissing
from scanners import models, onscreen
from scanners.base import MediaInfo, OnscreenText, Options, Scan, Scene, Shot, StageInfo
from scanners.captions import same_text
from scanners.frames import Sample
from scanners.onscreen import Onscreen, counts, load
from scanners.ppocr import Area, Finder, Reader
from scanners.textgate import Band, Gate
from tests.lettering import SIZE, Image, clouds, write
from tests.models_fixture import Need
from tests.quality.splice import scan, write_film
from tests.tiny_reader import make_reader, striped

ONSCREEN = StageInfo("scanners.onscreen:Onscreen", 1, "picture", role="onscreen")
MEDIA = MediaInfo(container="mp4", duration_ms=60_000)


@pytest.fixture(scope="module")
def options(need_model: Need) -> Options:
    return Options(models=bytes(need_model("pp-ocr")), threads=1)


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


def test_a_place_that_was_bare_before_a_resumed_pass_begins_is_looked_at_again(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed = make_stage(options, resume_ms=2000)
    told: list[int] = []
    monkeypatch.setattr(resumed._gate, "cut", lambda: told.append(1))
    show(resumed, [clouds()] * 2)
    assert told == []
    show(resumed, [clouds()] * 3, first=2)
    assert told == [1]


def test_the_stage_runs_in_the_real_pass_over_a_real_film(options: Options, tmp_path: Path) -> None:
    blank, title = clouds(), write(clouds(), "Three weeks earlier", y=280, high=40)
    write_film(tmp_path / "film.mp4", [blank] * 20 + [title] * 40 + [blank] * 20, size=SIZE, fps=10)

    result = scan(tmp_path / "film.mp4", Onscreen, ONSCREEN, options)

    (text,) = (one for one in result.findings if isinstance(one, OnscreenText))
    assert same_text(text.text, "Three weeks earlier")
    assert 2000 <= text.start_ms < 3000
    assert 5000 < text.end_ms <= 7000


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


def test_readings_that_are_likely_texture_do_not_count() -> None:
    assert counts("Harbour", 0.7)
    assert counts("No", 0.95)
    assert counts("東京", 0.95)
    assert not counts("Harbour", 0.4)
    assert not counts("No", 0.7)
    assert not counts("I", 0.99)
    assert not counts("-- |", 0.99)
