"""Small frames from every pixel format, and pictures that look as a player shows them."""

import os
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st

from scanners import hdr
from scanners.base import StageError
from scanners.frames import SMALL, Image, Sample, Shrinker, Upright, one_field, sharpness, to_jpeg
from scanners.media import open_media, picture_stream
from tests.films import kept_film, picture

WIDTH, HEIGHT = 320, 180
SHAPE = (SMALL[1], SMALL[0])


def scene(width: int = WIDTH, height: int = HEIGHT) -> Image:
    """Return a picture with smooth colours and a white corner at the top left."""
    rough = np.random.default_rng(3).integers(30, 220, (5, 8, 3)).astype(np.uint8)
    rgb = np.asarray(cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    rgb[: height // 4, : width // 4] = 255
    return rgb


def in_format(name: str, rgb: Image | None = None) -> Any:
    return av.VideoFrame.from_ndarray(scene() if rgb is None else rgb, "rgb24").reformat(
        format=name
    )


def first_frame(**changes: Any) -> tuple[Any, Any]:
    """Return the first frame of a film and the aspect of its stored pixels."""
    film = kept_film("frames.mkv", shots=(0.4,), sound=(), **changes)
    with open_media(os.fsencode(film.path)) as container:
        stream = picture_stream(container)
        return next(container.decode(stream)), stream.sample_aspect_ratio


def apart(one: Any, other: Any) -> float:
    """Return the mean difference of two pictures, 0 to 255."""
    return float(np.abs(one.astype(np.int32) - other.astype(np.int32)).mean())


# --- small frames --------------------------------------------------------------------------------

FORMATS = (
    "yuv422p", "yuv444p", "yuv410p", "yuv440p", "yuva420p", "yuv420p10le", "yuv422p10le",
    "yuv444p12le", "yuv420p16le", "nv12", "nv16", "nv24", "p010le", "p016le", "p210le",
    "yuv420p10be", "rgb24", "bgra", "gbrp", "gbrp10le", "rgb48le", "yuyv422",
)  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_every_pixel_format_gives_the_same_small_frame(name: str) -> None:
    luma, bgr = Shrinker().small(in_format("yuv420p"))
    other_luma, other_bgr = Shrinker().small(in_format(name))
    assert other_luma.shape == luma.shape == SHAPE
    assert other_bgr.shape == bgr.shape == (*SHAPE, 3)
    assert apart(luma, other_luma) < 2
    assert apart(bgr, other_bgr) < 4


@pytest.mark.parametrize("name", ["gray", "gray10le", "gray12le"])
def test_grey_films_give_grey_small_frames(name: str) -> None:
    luma, _ = Shrinker().small(in_format("yuv420p"))
    grey, bgr = Shrinker().small(in_format(name))
    assert apart(grey, luma) < 20  # grey formats use the full range
    assert bgr.std(axis=2).max() < 2


def test_colours_of_small_frames_are_true() -> None:
    _, bgr = Shrinker().small(in_format("yuv420p"))
    want = cv2.resize(scene(), SMALL, interpolation=cv2.INTER_NEAREST)
    assert apart(bgr[:, :, ::-1], want) < 6


@pytest.mark.parametrize("size", [(16, 16), (64, 36), (161, 91), (853, 480), (1920, 818)])
def test_every_size_gives_a_small_frame(size: tuple[int, int]) -> None:
    luma, bgr = Shrinker().small(in_format("yuv420p", scene(*size)))
    assert luma.shape == SHAPE
    assert bgr[:22, :36].min() > 240  # the white corner


def test_a_film_may_change_its_format_in_the_middle() -> None:
    shrinker = Shrinker()
    luma, _ = shrinker.small(in_format("yuv420p"))
    for name in ("yuv444p10le", "rgb24", "nv12", "yuv420p"):
        assert apart(luma, shrinker.small(in_format(name))[0]) < 2


def test_the_sharper_picture_counts_as_sharper() -> None:
    sharp = np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)
    values = [sharpness(np.asarray(cv2.GaussianBlur(sharp, (0, 0), s))) for s in (0.5, 1.0, 3.0)]
    assert sharpness(sharp) > values[0] > values[1] > values[2] > 0
    assert sharpness(np.zeros(SHAPE, np.uint8)) == 0


# --- upright pictures ----------------------------------------------------------------------------


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_turned_films_are_brought_upright(rotation: int) -> None:
    film = kept_film("turned.mp4", shots=(0.4,), sound=(), rotation=rotation)
    with open_media(os.fsencode(film.path)) as container:
        frame = next(container.decode(video=0))
    upright = Upright()
    size = upright.size(frame)
    assert size == ((160, 90) if rotation % 180 == 0 else (90, 160))
    want = np.rot90(picture(0, 0, (160, 90)), -rotation // 90)
    assert apart(upright.rgb(frame, size), want) < 6


def test_pixels_are_made_square() -> None:
    frame, aspect = first_frame(pixel_aspect=Fraction(2))
    upright = Upright(aspect)
    assert upright.size(frame) == (320, 90)
    assert upright.size(frame, side=160) == (160, 45)
    want = cv2.resize(picture(0, 0, (160, 90)), (160, 45), interpolation=cv2.INTER_AREA)
    assert apart(upright.rgb(frame, (160, 45)), want) < 6


def test_sizes_are_never_raised() -> None:
    frame, _ = first_frame()
    upright = Upright()
    assert upright.size(frame, side=960) == (160, 90)
    assert upright.size(frame, height=720) == (160, 90)
    assert upright.size(frame, height=45) == (80, 45)
    assert upright.size(frame, side=80, height=20) == (36, 20)


def comb(rgb: Image) -> float:
    """Return how much neighbouring rows differ more than rows two apart do."""
    rows = rgb.astype(np.int32)
    return float(np.abs(rows[1:-1] - rows[:-2]).mean() - np.abs(rows[2:] - rows[:-2]).mean())


def test_interlaced_frames_lose_their_comb() -> None:
    frame, _ = first_frame(size=(160, 96), interlaced=True)
    assert frame.interlaced_frame
    assert comb(frame.to_ndarray(format="rgb24")) > 10
    assert comb(Upright().rgb(frame, (160, 96))) < 2


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "nv12", "yuv444p"])
def test_one_field_is_every_second_row(name: str) -> None:
    rgb = scene(64, 64)
    rgb[1::2] = 0
    field = one_field(in_format(name, rgb))
    assert (field.width, field.height) == (64, 32)
    assert field.to_ndarray(format="rgb24").mean() > 1.8 * rgb.mean()


def test_a_hd_film_without_colour_tags_is_read_as_hd() -> None:
    rgb = scene(1280, 720)
    frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(
        format="yuv420p", dst_colorspace="itu709"
    )
    frame.colorspace = 2  # unspecified
    assert apart(Upright().rgb(frame, (1280, 720)), rgb) < 3


@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le", "rgb24"])
def test_no_colour_tag_stops_a_film(name: str) -> None:
    upright, shrinker = Upright(), Shrinker()
    want = cv2.resize(scene(), (160, 90), interpolation=cv2.INTER_AREA)
    for attribute, values in (("colorspace", range(20)), ("color_range", range(4))):
        for value in values:
            frame = in_format(name)
            setattr(frame, attribute, value)
            assert apart(upright.rgb(frame, (160, 90)), want) < 25
            assert shrinker.small(frame)[0].shape == SHAPE


# --- HDR -----------------------------------------------------------------------------------------


def grey(code: float) -> Any:
    return np.full((4, 4, 3), round(code * 65535), np.uint16)


@pytest.mark.parametrize(
    ("transfer", "code", "low", "high"),
    [
        ("pq", 0.0, 0, 0),
        ("pq", 0.5081, 170, 205),  # 100 cd/m2: SDR's own white is half of reference white
        ("pq", 0.5807, 225, 240),  # 203 cd/m2, reference white: a little room is left above
        ("pq", 0.7518, 254, 255),  # 1000 cd/m2
        ("pq", 1.0, 255, 255),  # 10000 cd/m2
        ("hlg", 0.0, 0, 0),
        ("hlg", 0.75, 225, 240),  # reference white, ITU-R BT.2408
        ("hlg", 1.0, 254, 255),
    ],
)
def test_known_light_gets_known_grey(transfer: str, code: float, low: int, high: int) -> None:
    sdr = hdr.to_sdr(grey(code), transfer)
    assert sdr.min() >= low
    assert sdr.max() <= high
    assert np.ptp(sdr) <= 1  # grey stays grey


def test_the_transfer_curves_are_those_of_the_standards() -> None:
    codes = np.array([0.0, 0.508078, 0.751827, 1.0])
    assert np.allclose(hdr.pq_light(codes), [0, 100, 1000, 10_000], rtol=2e-3)
    assert np.allclose(hdr.hlg_scene(np.array([0.0, 0.5, 1.0])), [0, 1 / 12, 1], rtol=1e-4)


@given(st.lists(st.floats(0, 60, width=32), min_size=2, max_size=20))
def test_brighter_stays_brighter(light: list[float]) -> None:
    bent = hdr.roll_off(np.array(sorted(light), np.float32))
    assert (np.diff(bent) >= -1e-6).all()
    assert bent.min() >= 0
    assert bent.max() <= 1 + 1e-6


def test_saturated_colours_keep_their_hue() -> None:
    red = np.zeros((2, 2, 3), np.uint16)
    red[:, :, 0] = round(0.6 * 65535)
    r, g, b = hdr.to_sdr(red, "pq")[0, 0]
    assert r > 200
    assert max(g, b) < 60


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_hdr_films_give_pictures_of_ordinary_range(transfer: str) -> None:
    frame, _ = first_frame(transfer=transfer, pixel_format="yuv420p10le")
    rgb = Upright().rgb(frame, (160, 90))
    want = hdr.to_sdr(picture(0, 0, (160, 90)).astype(np.uint16) * 257, transfer)
    assert rgb.dtype == np.uint8
    assert apart(rgb, want) < 12


# --- JPEG ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "size"), [(480, (320, 180)), (100, (100, 56)), (1, (1, 1))])
def test_a_jpeg_is_as_wide_as_allowed(width: int, size: tuple[int, int]) -> None:
    sample = Sample(ms=0, rgb=scene(), sharpness=1.0)
    data = np.frombuffer(sample.jpeg(width), np.uint8)
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert bgr is not None
    assert (bgr.shape[1], bgr.shape[0]) == size
    if width == 480:
        assert apart(bgr[:, :, ::-1], scene()) < 4


def test_no_jpeg_is_made_of_nothing() -> None:
    with pytest.raises((StageError, ValueError, cv2.error)):
        to_jpeg(np.zeros((70_000, 1, 3), np.uint8), 10)
