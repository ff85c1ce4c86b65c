"""Faces in a scan: which may be named, and what becomes of them. The real models look at one free
portrait; who is whom among many is tests/test_tracks.py."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from scanners.base import MediaInfo, Options, Scan, Scene, Shot, StageInfo, Track
from scanners.embedders import align
from scanners.faces import MAX_FACES, MIN_HEIGHT, REASONS, Faces, judge, load, pose, sharpness
from scanners.frames import Sample
from scanners.yunet import Detected, YuNet
from tests.portrait import FACE_HIGH, Image, eileen, placed, scaled
from tests.quality.splice import scan, write_film

FACES = StageInfo("scanners.faces:Faces", 1, "picture", ("shots",), "face_embedding")
MEDIA = MediaInfo(container="mp4", duration_ms=60_000)


@pytest.fixture(scope="module")
def portrait() -> Image:
    return eileen()


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Options:
    return Options(models=bytes(tmp_path_factory.mktemp("models")), threads=1)


@pytest.fixture(scope="module")
def detector(options: Options) -> YuNet:
    return load(options)[0]


def wide_eyed(turn: float = 0.0, nod: float = 0.55, size: float = 100.0) -> NDArray[np.float32]:
    """Return the landmarks of a drawn face whose eyes are `size` px apart."""
    points = [(0, 0), (1, 0), (0.5 + turn, nod * 1.05), (0.1, 1.05), (0.9, 1.05)]
    return np.array(points, np.float32) * np.float32(size)


def found(**changes: Any) -> Detected:
    fields = {"x": 0.0, "y": 0.0, "width": 120.0, "height": 160.0, "score": 0.95}
    return Detected(**(fields | {"landmarks": wide_eyed()} | changes))


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
    stage: Faces, portrait: Image, tmp_path: Path
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


def test_the_stage_runs_in_the_real_pass_over_a_real_film(
    options: Options, portrait: Image, tmp_path: Path
) -> None:
    shown = placed(portrait, 100, 20, (640, 360))
    green = np.full((360, 640, 3), (20, 160, 60), np.uint8)
    pictures = [shown] * 30 + [green] * 30 + [np.ascontiguousarray(shown[:, ::-1])] * 30
    write_film(tmp_path / "film.mp4", pictures, size=(640, 360), fps=10)

    result = scan(tmp_path / "film.mp4", Faces, FACES, options)

    found_tracks = [one for one in result.findings if isinstance(one, Track)]
    spans = [(track.start_ms, track.end_ms, track.boxes[0].x < 0.5) for track in found_tracks]
    assert [(start // 1000, end, left) for start, end, left in spans] == [
        (0, 3000, True),
        (6, 9000, False),
    ]
    one, other = (np.frombuffer(track.vector, "<f2").astype(float) for track in found_tracks)
    assert one @ other > 0.7
    assert result.cpu_ms > 0
