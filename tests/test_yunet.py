"""Finding faces with the real detector: of every size, at every edge, in every shape of picture."""

import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from scanners.runtime import session
from scanners.yunet import CANVAS, YuNet, distinct
from tests.portrait import ASSETS, FACE_HIGH, FACE_MIDDLE, Image, eileen, placed, scaled


@pytest.fixture(scope="module")
def portrait() -> Image:
    return eileen()


@pytest.fixture(scope="module")
def detector() -> YuNet:
    return YuNet(session(ASSETS / "face_detection_yunet_2023mar.onnx", threads=1))


def test_a_face_is_found_with_its_landmarks_where_they_belong(
    detector: YuNet, portrait: Image
) -> None:
    (face,) = detector.find(portrait)

    assert face.score > 0.85
    assert face.height / 320 == pytest.approx(FACE_HIGH, abs=0.06)
    left, right, nose, mouth_left, mouth_right = face.landmarks
    assert left[0] < nose[0] < right[0]
    assert left[1] < nose[1] < mouth_left[1]
    assert mouth_left[0] < mouth_right[0]
    assert face.x < left[0] < right[0] < face.x + face.width


def test_the_finds_are_those_of_opencv_s_own_detector(
    portrait: Image, capfd: pytest.CaptureFixture[str]
) -> None:
    canvas = placed(portrait, 100, 200, (CANVAS, CANVAS))
    detector = YuNet(session(ASSETS / "face_detection_yunet_2023mar.onnx", threads=1))
    peer = cv2.FaceDetectorYN.create(
        str(ASSETS / "face_detection_yunet_2023mar.onnx"), "", (CANVAS, CANVAS), 0.3, 0.3, 500
    )
    capfd.readouterr()  # it warns about its own engine

    ours = detector._run(canvas, 0.3)
    theirs = peer.detect(np.ascontiguousarray(canvas[:, :, ::-1]))[1]

    assert len(ours) == len(theirs) == 1
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=0.05)


@pytest.mark.parametrize("high", [500, 300, 120, 60, 34])
def test_faces_are_found_at_every_size_that_can_be_named(
    detector: YuNet, portrait: Image, high: int
) -> None:
    factor = high / (FACE_HIGH * 320)
    x, y = (round(320 * factor * place) for place in FACE_MIDDLE)
    picture = placed(scaled(portrait, factor), 480 - x, 270 - y)

    (face,) = detector.find(picture)

    assert face.height == pytest.approx(high, rel=0.2)
    assert face.x + face.width / 2 == pytest.approx(480, abs=0.25 * high)


def test_a_weak_small_face_is_looked_at_again_in_full_size(
    detector: YuNet, portrait: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    high = 16  # px, so 11 for the first look
    picture = placed(scaled(portrait, high / (FACE_HIGH * 320)), 800, 430)
    (face,) = detector.find(picture)
    monkeypatch.setattr(YuNet, "_closer", lambda *_: [])

    assert detector.find(picture) == []
    assert face.x > 800
    assert face.y > 430


@pytest.mark.parametrize(
    ("x", "y"),
    [(-120, 100), (960 - 138, 100), (400, -105), (400, 540 - 130)],
    ids=["left", "right", "top", "bottom"],
)
def test_a_face_that_the_edge_cuts_off_is_found_once_and_its_mirror_image_is_not(
    detector: YuNet, portrait: Image, x: int, y: int
) -> None:
    (face,) = detector.find(placed(portrait, x, y))

    middle_x, middle_y = face.x + face.width / 2, face.y + face.height / 2
    assert 0 <= middle_x < 960
    assert 0 <= middle_y < 540
    assert abs(middle_x - (x + 129)) < 45
    assert abs(middle_y - (y + 119)) < 45


@pytest.mark.parametrize("size", [(540, 960), (960, 960), (300, 200), (960, 300)])
def test_pictures_of_every_shape_are_looked_at_as_a_whole(
    detector: YuNet, portrait: Image, size: tuple[int, int]
) -> None:
    half = scaled(portrait, 0.5)
    wide, high = size
    for x, y in [(0, 0), (wide - 160, high - 160), (wide - 160, 0)]:
        (face,) = detector.find(placed(half, x, y, size))
        assert x < face.x + face.width / 2 < x + 160
        assert y < face.y + face.height / 2 < y + 160


def test_where_there_is_no_face_none_is_found(detector: YuNet) -> None:
    random = np.random.default_rng(3)
    noise = random.integers(0, 255, (540, 960, 3), np.uint8)
    clouds = cv2.resize(random.integers(0, 255, (9, 16, 3), np.uint8), (960, 540))
    black = np.zeros((540, 960, 3), np.uint8)

    for picture in (noise, clouds, black, black[:8, :8]):
        assert detector.find(np.asarray(picture, np.uint8)) == []


rows = st.lists(
    st.tuples(
        st.floats(0, 600), st.floats(0, 600), st.floats(5, 200), st.floats(5, 200), st.floats(0, 1)
    ),
    max_size=12,
).map(
    lambda made: np.array(
        [[x, y, w, h, *[0.0] * 10, score] for x, y, w, h, score in made], np.float32
    ).reshape(-1, 15)
)


@given(rows)
def test_distinct_finds_are_kept_best_first_and_stay_what_they_are(
    found_rows: NDArray[np.float32],
) -> None:
    kept = distinct(found_rows)

    assert list(kept[:, 14]) == sorted(kept[:, 14], reverse=True)
    assert {tuple(row) for row in kept} <= {tuple(row) for row in found_rows}
    np.testing.assert_array_equal(distinct(kept), kept)
    assert (len(kept) > 0) == (len(found_rows) > 0)
