"""Faces: found, judged, turned into vectors, and given as tracks. The real models of the wheel look
at one free portrait; who is whom among many is tests/test_tracks.py."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from companion.errors import ModelMissing
from scanners import models
from scanners.base import MediaInfo, Options, Scan, Scene, Shot, StageError, Track
from scanners.embedders import SIDE, TEMPLATE, OnnxEmbedder, align, similarity
from scanners.faces import MAX_FACES, MIN_HEIGHT, REASONS, Faces, judge, load, pose, sharpness
from scanners.frames import Image, Sample
from scanners.runtime import session
from scanners.yunet import CANVAS, Detected, YuNet, distinct
from tests.tiny_onnx import save

DATA = Path(__file__).parent / "data"
ASSETS = models.ASSETS / "faces"
FACE_HIGH = 0.355  # of the portrait's height, as YuNet sees it
FACE_MIDDLE = (0.404, 0.372)
MEDIA = MediaInfo(container="mp4", duration_ms=60_000)


@pytest.fixture(scope="module")
def portrait() -> Image:
    """Eileen Collins, 320 x 320, RGB."""
    bgr = cv2.imread(str(DATA / "astronaut.jpg"))
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Options:
    return Options(models=bytes(tmp_path_factory.mktemp("models")), threads=1)


@pytest.fixture(scope="module")
def detector(options: Options) -> YuNet:
    return load(options)[0]


@pytest.fixture(scope="module")
def sface(options: Options) -> OnnxEmbedder:
    return load(options)[1]


def scaled(rgb: Image, factor: float) -> Image:
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=way), np.uint8)


def placed(rgb: Image, x: int, y: int, size: tuple[int, int] = (960, 540)) -> Image:
    """Return a grey picture (width, height) with another in it; what lies outside is cut off."""
    wide, high = size
    out = np.full((high + 2000, wide + 2000, 3), 96, np.uint8)
    out[y + 1000 : y + 1000 + rgb.shape[0], x + 1000 : x + 1000 + rgb.shape[1]] = rgb
    return np.ascontiguousarray(out[1000 : 1000 + high, 1000 : 1000 + wide])


def wide_eyed(turn: float = 0.0, nod: float = 0.55, size: float = 100.0) -> NDArray[np.float32]:
    """Return the landmarks of a drawn face whose eyes are `size` px apart."""
    points = [(0, 0), (1, 0), (0.5 + turn, nod * 1.05), (0.1, 1.05), (0.9, 1.05)]
    return np.array(points, np.float32) * np.float32(size)


def found(**changes: Any) -> Detected:
    fields = {"x": 0.0, "y": 0.0, "width": 120.0, "height": 160.0, "score": 0.95}
    return Detected(**(fields | {"landmarks": wide_eyed()} | changes))


# --- finding -------------------------------------------------------------------------------------


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


# --- alignment and vectors -----------------------------------------------------------------------


@given(st.floats(-3.1, 3.1), st.floats(0.2, 8), st.floats(-300, 300), st.floats(-300, 300))
def test_the_turn_scale_and_shift_of_landmarks_are_undone(
    angle: float, scale: float, x: float, y: float
) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = np.asarray(TEMPLATE @ turn.T + np.array([x, y]), np.float32)

    matrix = similarity(points)

    back = points @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(back, TEMPLATE, atol=0.05)


def test_landmarks_on_one_point_are_refused() -> None:
    with pytest.raises(ValueError, match="one point"):
        similarity(np.zeros((5, 2), np.float32))


def test_vectors_are_those_of_opencv_s_own_recogniser(
    detector: YuNet, sface: OnnxEmbedder, portrait: Image
) -> None:
    (face,) = detector.find(portrait)
    peer = cv2.FaceRecognizerSF.create(str(ASSETS / "face_recognition_sface_2021dec.onnx"), "")
    bgr = np.ascontiguousarray(portrait[:, :, ::-1])
    row = np.array([[face.x, face.y, face.width, face.height, *face.landmarks.ravel(), face.score]])

    ours = sface.embed(align(portrait, face.landmarks))
    theirs = peer.feature(peer.alignCrop(bgr, row.astype(np.float32)))[0]

    assert np.linalg.norm(ours) == pytest.approx(1)
    assert float(ours @ theirs / np.linalg.norm(theirs)) > 0.99


def test_a_face_is_known_again_when_smaller_mirrored_or_darker(
    detector: YuNet, sface: OnnxEmbedder, portrait: Image
) -> None:
    def vector(rgb: Image) -> NDArray[np.float32]:
        (face,) = detector.find(rgb)
        return sface.embed(align(rgb, face.landmarks))

    first = vector(portrait)
    others = {
        "large": scaled(portrait, 3),
        "small": scaled(portrait, 0.3),
        "mirrored": np.ascontiguousarray(portrait[:, ::-1]),
        "dark": (portrait * 0.5).astype(np.uint8),
    }

    for name, rgb in others.items():
        assert float(first @ vector(rgb)) > 2 * sface.same - 0.1, name


def make_adaface(
    folder: Path, shape: Sequence[int | str] = (1, 3, 112, 112)
) -> NDArray[np.float32]:
    """Write a model of AdaFace's signature: 48 means of the picture, mixed into 512 numbers."""
    mix = np.random.default_rng(5).normal(size=(48, 512)).astype(np.float32)
    sides = {"kernel_shape": [28, 28], "strides": [28, 28]}
    save(
        folder / "adaface.onnx",
        [
            helper.make_node("AveragePool", ["input"], ["means"], **sides),
            helper.make_node("Flatten", ["means"], ["flat"]),
            helper.make_node("MatMul", ["flat", "mix"], ["feature"]),
        ],
        {"input": (TensorProto.FLOAT, shape)},
        {"feature": (TensorProto.FLOAT, (1, 512))},
        {"mix": mix},
    )
    return mix


def test_adaface_is_shown_blue_first_from_minus_one_to_one(tmp_path: Path, portrait: Image) -> None:
    mix = make_adaface(tmp_path / "owner")
    face = np.asarray(cv2.resize(portrait, (SIDE, SIDE)), np.uint8)

    chosen = f"adaface:{tmp_path / 'owner'}"
    _, embedder = load(Options(models=bytes(tmp_path), roles={"face_embedding": chosen}, threads=1))

    shown = (face[:, :, ::-1].astype(np.float32) / 255 - 0.5) / 0.5
    means = shown.reshape(4, 28, 4, 28, 3).mean(axis=(1, 3)).transpose(2, 0, 1).ravel()
    expected = means @ mix
    vector = embedder.embed(face)
    assert (embedder.dims, vector.shape) == (512, (512,))
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-4)


def test_a_model_of_another_signature_is_refused_with_what_it_wants(tmp_path: Path) -> None:
    make_adaface(tmp_path / "owner", (1, 3, 56, 224))

    chosen = f"adaface:{tmp_path / 'owner'}"
    with pytest.raises(StageError, match=r"56, 224.*112 x 112"):
        load(Options(models=bytes(tmp_path), roles={"face_embedding": chosen}, threads=1))


def test_a_model_of_another_length_is_refused(tmp_path: Path) -> None:
    make_adaface(tmp_path)
    embedder = OnnxEmbedder(session(tmp_path / "adaface.onnx", threads=1), "sface")

    with pytest.raises(StageError, match="512 numbers, not 128"):
        embedder.embed(np.zeros((SIDE, SIDE, 3), np.uint8))


def test_a_model_that_gives_no_direction_is_refused(tmp_path: Path) -> None:
    make_adaface(tmp_path)
    embedder = OnnxEmbedder(session(tmp_path / "adaface.onnx", threads=1), "adaface")

    with pytest.raises(StageError, match="no direction"):
        embedder.embed(np.full((SIDE, SIDE, 3), np.nan, np.float32))  # type: ignore[arg-type]


def test_an_owner_s_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    chosen = f"adaface:{tmp_path / 'nowhere'}"

    with pytest.raises(ModelMissing, match=r"adaface\.onnx"):
        load(Options(models=bytes(tmp_path), roles={"face_embedding": chosen}))


# --- quality -------------------------------------------------------------------------------------


def test_a_good_face_may_vote() -> None:
    quality, reject = judge(found(), sharp=0.6, shown=1.0)

    assert reject == ""
    assert quality > 0.9


@pytest.mark.parametrize(
    ("face", "sharp", "shown", "reason"),
    [
        (found(height=MIN_HEIGHT - 1.0), 0.6, 1.0, "small"),
        (found(), 0.03, 1.0, "blurred"),
        (found(), 0.6, 0.7, "cut off"),
        (found(landmarks=wide_eyed(turn=0.6)), 0.6, 1.0, "turned"),
        (found(landmarks=wide_eyed(turn=-0.6)), 0.6, 1.0, "turned"),
        (found(landmarks=wide_eyed(nod=0.1)), 0.6, 1.0, "turned"),
        (found(landmarks=wide_eyed(nod=0.95)), 0.6, 1.0, "turned"),
        (found(score=0.71), 0.6, 1.0, "unsure"),
    ],
)
def test_a_poor_face_is_rejected_with_the_reason_in_words(
    face: Detected, sharp: float, shown: float, reason: str
) -> None:
    quality, reject = judge(face, sharp, shown)

    assert reject == REASONS[reason]
    assert 0 < quality < judge(found(), 0.6, 1.0)[0]


@given(st.floats(1, 600), st.floats(0, 3), st.floats(0, 1), st.floats(0, 1), st.floats(-3, 3))
def test_quality_stays_between_nothing_and_all(
    height: float, sharp: float, shown: float, score: float, turn: float
) -> None:
    face = found(height=height, score=score, landmarks=wide_eyed(turn=turn))

    quality, _ = judge(face, sharp, shown)

    assert 0 < quality <= 1


@given(st.floats(-3, 3), st.floats(0.05, 20), st.floats(-0.6, 0.6), st.floats(0.2, 0.9))
def test_pose_does_not_depend_on_where_how_large_or_how_tilted_a_face_is(
    angle: float, scale: float, turn: float, nod: float
) -> None:
    points = wide_eyed(turn, nod)
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = np.asarray(scale * points @ spin.T + 50, np.float32)

    assert pose(points) == pytest.approx((turn, nod), abs=1e-3)
    assert pose(moved) == pytest.approx((turn, nod), abs=5e-3)


def test_landmarks_that_make_no_face_count_as_turned_away() -> None:
    for points in (np.zeros((5, 2)), wide_eyed() * [1, -1]):
        _, reject = judge(found(landmarks=np.asarray(points, np.float32)), 0.6, 1.0)
        assert reject == REASONS["turned"]


def test_blur_lowers_sharpness_and_light_and_contrast_do_not(
    detector: YuNet, portrait: Image
) -> None:
    (face,) = detector.find(portrait)
    aligned = align(portrait, face.landmarks)
    sharp = sharpness(aligned)
    blurred = [
        sharpness(align(np.asarray(cv2.GaussianBlur(portrait, (0, 0), sigma)), face.landmarks))
        for sigma in (1.0, 2.0, 4.0)
    ]

    assert [sharp, *blurred] == sorted([sharp, *blurred], reverse=True)
    assert sharp > 0.2
    assert blurred[-1] < 0.06
    assert sharpness((aligned // 2 + 60).astype(np.uint8)) == pytest.approx(sharp, rel=0.15)
    assert sharpness(np.full_like(aligned, 80)) == 0.0


# --- the stage -----------------------------------------------------------------------------------


@pytest.fixture
def stage(options: Options, tmp_path: Path) -> Faces:
    asked = Scan(
        id=1,
        path=b"film.mp4",
        stages=("faces",),
        options=options,
        stills=bytes(tmp_path / "stills"),
    )
    return Faces(asked, MEDIA)


def sample(ms: int, rgb: Image) -> Sample:
    return Sample(ms=ms, rgb=rgb, sharpness=1.0)


def tracks(stage: Faces, scene: Scene) -> list[Track]:
    return [one for one in stage.scene(scene) if isinstance(one, Track)]


def test_a_face_in_a_scene_becomes_a_track_with_boxes_a_vector_and_a_thumbnail(
    stage: Faces, sface: OnnxEmbedder, portrait: Image, tmp_path: Path
) -> None:
    for second in range(4):
        assert (
            list(stage.sample(sample(second * 1000, placed(portrait, 200 + 20 * second, 50)))) == []
        )
    list(stage.shot(Shot(0, 5000), ()))

    (track,) = tracks(stage, Scene(0, 5000, 0))

    assert (track.start_ms, track.end_ms, track.frame_count, track.reject) == (0, 4000, 4, "")
    assert [box.at_ms for box in track.boxes] == [0, 1000, 2000, 3000]
    xs = [box.x for box in track.boxes]
    assert xs == sorted(xs)
    assert track.boxes[0].height * 540 == pytest.approx(FACE_HIGH * 320, rel=0.2)
    vector = np.frombuffer(track.vector, "<f2").astype(np.float32)
    assert vector.shape == (128,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-3)
    assert track.quality > 0.7
    thumbnail = cv2.imread(str(tmp_path / "stills" / track.thumbnail))
    assert thumbnail.shape == (160, 160, 3)
    assert track.thumbnail == f"face-{track.best_ms}-0.jpg"
    assert stage.note == "faces seen: 4, in 1 track"
    assert stage.model == "sface@0ba9fb"


def test_a_thumbnail_shows_the_face_with_room_around_it(
    stage: Faces, detector: YuNet, portrait: Image, tmp_path: Path
) -> None:
    stage.sample(sample(0, placed(portrait, 600, 200)))

    (track,) = tracks(stage, Scene(0, 5000, 0))

    bgr = cv2.imread(str(tmp_path / "stills" / track.thumbnail))
    (face,) = detector.find(np.ascontiguousarray(bgr[:, :, ::-1]))
    assert 0.45 < face.height / 160 < 0.75


def test_a_cut_ends_every_track(stage: Faces, portrait: Image) -> None:
    for second in range(6):
        stage.sample(sample(second * 1000, placed(portrait, 300, 50)))
    stage.shot(Shot(0, 2500), ())
    stage.shot(Shot(2500, 6000), ())

    found_tracks = tracks(stage, Scene(0, 6000, 0))

    spans = [(track.start_ms, track.end_ms, track.frame_count) for track in found_tracks]
    assert spans == [(0, 2500, 3), (3000, 6000, 3)]
    assert len({track.thumbnail for track in found_tracks}) == 2


def test_a_track_ends_with_its_scene_and_the_next_scene_goes_on(
    stage: Faces, portrait: Image
) -> None:
    """A long shot gives several scenes before it ends; samples of the next one came already."""
    for second in range(6):
        stage.sample(sample(second * 1000, placed(portrait, 300, 50)))

    (first,) = tracks(stage, Scene(0, 3000, 0))
    (second_track,) = tracks(stage, Scene(3000, 6000, 0))

    assert (first.end_ms, first.frame_count) == (3000, 3)
    assert (second_track.start_ms, second_track.frame_count) == (3000, 3)
    assert tracks(stage, Scene(6000, 9000, 0)) == []


def test_a_resumed_pass_finds_what_a_whole_one_finds(
    options: Options, stage: Faces, portrait: Image
) -> None:
    resumed = Faces(
        Scan(id=1, path=b"film.mp4", stages=("faces",), options=options, resume_ms=3000), MEDIA
    )
    for second in range(6):
        picture = sample(second * 1000, placed(portrait, 300 + 10 * second, 50))
        stage.sample(picture)
        resumed.sample(picture)
    tracks(stage, Scene(0, 3000, 0))

    (whole,) = tracks(stage, Scene(3000, 6000, 0))
    (again,) = tracks(resumed, Scene(3000, 6000, 0))

    assert again.thumbnail == ""  # nobody asked for stills
    assert (again.boxes, again.vector, again.quality) == (whole.boxes, whole.vector, whole.quality)


def test_two_faces_in_one_picture_are_two_tracks(stage: Faces, portrait: Image) -> None:
    both = placed(portrait, 40, 60)
    both[60:380, 580:900] = portrait[:, ::-1]
    for second in range(3):
        stage.sample(sample(second * 1000, both))

    found_tracks = tracks(stage, Scene(0, 4000, 0))

    assert [track.frame_count for track in found_tracks] == [3, 3]
    assert found_tracks[0].boxes[0].x < 0.5 < found_tracks[1].boxes[0].x
    assert found_tracks[0].thumbnail != found_tracks[1].thumbnail


def test_a_blurred_face_is_counted_and_cannot_be_named(stage: Faces, portrait: Image) -> None:
    blurred = np.asarray(cv2.GaussianBlur(portrait, (0, 0), 5.0), np.uint8)
    for second in range(2):
        stage.sample(sample(second * 1000, placed(blurred, 300, 50)))

    (track,) = tracks(stage, Scene(0, 4000, 0))

    assert (track.reject, track.vector, track.frame_count) == (REASONS["blurred"], b"", 2)


def test_dots_are_not_taken_for_people(stage: Faces, portrait: Image) -> None:
    for high, count in [(16, 0), (24, 1)]:
        stage.sample(sample(0, placed(scaled(portrait, high / (FACE_HIGH * 320)), 400, 200)))
        found_tracks = tracks(stage, Scene(0, 4000, 0))
        assert [track.reject for track in found_tracks] == [REASONS["small"]] * count


def test_a_crowd_is_cut_down_to_its_largest_faces(stage: Faces, portrait: Image) -> None:
    small, large = scaled(portrait, 0.36)[:80, :100], scaled(portrait, 0.5)[:110, :140]
    crowd = np.full((540, 960, 3), 96, np.uint8)
    for number in range(18):
        rgb = large if number < 3 else small
        x, y = 10 + 155 * (number % 6), 10 + 130 * (number // 6)
        crowd[y : y + rgb.shape[0], x : x + rgb.shape[1]] = rgb
    stage.sample(sample(0, crowd))

    heights = [track.boxes[0].height * 540 for track in tracks(stage, Scene(0, 4000, 0))]

    assert len(heights) == MAX_FACES
    assert sum(height > 50 for height in heights) == 3


def test_a_scene_without_faces_gives_nothing(stage: Faces) -> None:
    stage.sample(sample(0, np.full((540, 960, 3), 90, np.uint8)))

    assert tracks(stage, Scene(0, 4000, 0)) == []
    assert list(stage.finish(4000)) == []
    assert stage.note == ""


def test_nothing_is_kept_of_a_scene_that_has_closed(stage: Faces, portrait: Image) -> None:
    for second in range(3):
        stage.sample(sample(second * 1000, placed(portrait, 300, 50)))
        stage.shot(Shot(second * 1000, second * 1000 + 1000), ())
    tracks(stage, Scene(0, 3000, 0))

    assert (stage._seen, stage._cuts) == ([], [])


def test_the_models_of_the_wheel_are_the_bytes_they_should_be(tmp_path: Path) -> None:
    for name in ("yunet", "sface"):
        models.verify(tmp_path, name)
        assert models.folder(tmp_path, name) == ASSETS
    licences = {path.name for path in ASSETS.glob("LICENSE*")}
    assert licences == {"LICENSE-YuNet", "LICENSE-SFace"}
    assert "APPENDIX: How to apply the Apache License" in (ASSETS / "LICENSE-SFace").read_text()
