"""Cuts: the library's own scores, exact times at any frame rate, the same after a resume."""

import os
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from scenedetect.common import FrameTimecode, Timecode
from scenedetect.detectors import AdaptiveDetector

from scanners.base import MediaInfo, Options, Scan, Shot, VideoStream
from scanners.decode import Reader
from scanners.frames import Image, Sample, SmallFrame
from scanners.scenes import CUT_LAG, alike
from scanners.shots import MIN_SHOT_MS, Detector, Shots
from tests.films import Film, kept_film

VIDEO = VideoStream(index=0, codec="h264", width=160, height=90, fps=25.0)
MEDIA = MediaInfo(container="x", duration_ms=12_000, video=VIDEO)
VARYING = tuple(int(at) for at in np.cumsum([0, *[20, 60, 40, 100, 33] * 48]))  # 12 s
CUTS = (3.0, 4.0, 1.0, 2.5, 1.5)


def scan(resume_ms: int = 0) -> Scan:
    return Scan(id=1, path=b"", stages=("shots",), options=Options(), resume_ms=resume_ms)


@lru_cache
def frames_of(film: Film) -> tuple[SmallFrame, ...]:
    items = Reader(os.fsencode(film.path))
    return tuple(item for item in items if not isinstance(item, Sample))


def shots_of(
    frames: Iterable[SmallFrame], end_ms: int, resume_ms: int = 0
) -> tuple[list[Shot], list[tuple[float, ...]]]:
    """Return the shots that the stage gives and the signature of each."""
    stage = Shots(scan(resume_ms), MEDIA)
    found: list[Any] = []
    signatures: list[tuple[float, ...]] = []
    for frame in frames:
        for shot in stage.frame(frame):
            found.append(shot)
            signatures.append(stage.signature)
    for shot in stage.finish(end_ms):
        found.append(shot)
        signatures.append(stage.signature)
    return found, signatures


def plain(ms: int, shade: int) -> SmallFrame:
    """Return a frame of one colour."""
    bgr = np.full((144, 256, 3), (shade, 255 - shade, shade // 2), np.uint8)
    return SmallFrame(ms=ms, pts=ms, time_base=Fraction(1, 1000), bgr=bgr, luma=bgr[:, :, 0])


# --- the detector --------------------------------------------------------------------------------


def moving(count: int = 120) -> list[Image]:
    """Return frames with noise, movement, cuts and a flash."""
    random = np.random.default_rng(5)
    texture = None
    frames = []
    for number in range(count):
        if texture is None or number in {30, 31, 70, 95}:
            rough = random.integers(0, 255, (12, 20, 3)).astype(np.uint8)
            texture = np.asarray(cv2.resize(rough, (320, 180)), np.int16)
        shift = number % 30
        view = texture[shift : shift + 144, shift : shift + 256]
        noise = random.integers(-6, 7, view.shape)
        flash = 90 if number == 50 else 0
        frames.append(np.clip(view + noise + flash, 0, 255).astype(np.uint8))
    return frames


def test_scores_and_cuts_are_those_of_the_library() -> None:
    fast = Detector(min_scene_len=0, window_width=CUT_LAG)
    plain_one = AdaptiveDetector(min_scene_len=0, window_width=CUT_LAG)
    cuts: dict[str, list[int]] = {"fast": [], "plain": []}
    for number, frame in enumerate(moving()):
        timecode = FrameTimecode(Timecode(number, Fraction(1, 25)), Fraction(25))
        cuts["plain"] += [cut.pts for cut in plain_one.process_frame(timecode, frame)]
        cuts["fast"] += fast.process_frame(number, frame)
        assert fast._frame_score == pytest.approx(plain_one._frame_score, abs=1e-9)
    assert cuts["fast"] == cuts["plain"]
    assert {70, 95} <= set(cuts["fast"])


def test_the_detector_needs_only_the_frames_that_scenes_wait_for() -> None:
    detector = Detector(min_scene_len=0, window_width=CUT_LAG)
    assert detector.event_buffer_length == CUT_LAG


# --- cuts ----------------------------------------------------------------------------------------


KINDS: dict[str, dict[str, Any]] = {
    "steady": {},
    "varying": {"times_ms": VARYING},
    "ntsc": {"fps": Fraction(24_000, 1_001)},
    "fast": {"fps": 60, "size": (64, 36)},
    "10-bit": {"pixel_format": "yuv420p10le"},
    "4:4:4": {"pixel_format": "yuv444p"},
    "interlaced": {"interlaced": True, "size": (160, 96)},
    "turned": {"rotation": 90},
    "hdr": {"transfer": "pq", "pixel_format": "yuv420p10le"},
    "rgb": {"codec": "ffv1", "pixel_format": "bgr0", "options": (), "size": (64, 36)},
}


@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS.keys())
def test_every_cut_is_found_at_its_frame(changes: dict[str, Any]) -> None:
    film = kept_film("cuts.mkv", shots=CUTS, sound=(), **changes)
    shots, _ = shots_of(frames_of(film), film.duration_ms)
    starts = [shot.start_ms for shot in shots]
    assert starts == pytest.approx([0, *film.cuts_ms], abs=1)  # Matroska's clock ticks in ms


def test_shots_cover_the_film_without_gaps() -> None:
    film = kept_film("cuts.mkv", shots=CUTS, sound=())
    shots, _ = shots_of(frames_of(film), 12_345)
    assert shots[0].start_ms == 0
    assert shots[-1].end_ms == 12_345
    assert all(one.end_ms == two.start_ms for one, two in pairwise(shots))


def test_a_film_without_a_cut_is_one_shot() -> None:
    film = kept_film("still.mkv", shots=(2.0,), sound=())
    assert shots_of(frames_of(film), 2000)[0] == [Shot(0, 2000)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_a_film_of_a_few_frames_is_one_shot(count: int) -> None:
    frames = [plain(40 * number, 100) for number in range(count)]
    assert shots_of(frames, 40 * count)[0] == [Shot(0, 40 * count)]


def test_a_flash_is_not_a_shot() -> None:
    frames = [plain(40 * n, 200 if n in {50, 51, 52} else 60) for n in range(100)]
    shots, _ = shots_of(frames, 4000)
    assert len(shots) <= 2
    assert all(shot.end_ms - shot.start_ms >= MIN_SHOT_MS for shot in shots)


def test_a_strobe_gives_no_shots_shorter_than_the_least() -> None:
    frames = [plain(40 * n, 200 if n // 5 % 2 else 60) for n in range(200)]
    shots, _ = shots_of(frames, 8000)
    assert all(shot.end_ms - shot.start_ms >= MIN_SHOT_MS for shot in shots[:-1])


def test_a_cut_after_a_long_frame_lies_at_the_next() -> None:
    times = [*range(0, 2000, 40), 9000, *range(9040, 11_000, 40)]
    frames = [plain(ms, 60 if ms < 9000 else 200) for ms in times]
    assert shots_of(frames, 11_000)[0] == [Shot(0, 9000), Shot(9000, 11_000)]


# --- signatures ----------------------------------------------------------------------------------


def test_shots_of_the_same_place_look_alike() -> None:
    film = kept_film("dialogue.mkv", shots=(2.0,) * 4, looks=(1, 2, 1, 2), sound=())
    _, signatures = shots_of(frames_of(film), 8000)
    assert [len(signature) for signature in signatures] == [36] * 4
    assert all(0 <= number <= 1 for signature in signatures for number in signature)
    assert alike(signatures[0], signatures[2])
    assert alike(signatures[1], signatures[3])
    assert not alike(signatures[0], signatures[1])


# --- resuming ------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"times_ms": VARYING}], ids=["steady", "varying"])
def test_a_resumed_pass_finds_the_same_shots(changes: dict[str, Any]) -> None:
    film = kept_film("cuts.mkv", shots=CUTS, sound=(), **changes)
    frames = frames_of(film)
    whole, signatures = shots_of(frames, film.duration_ms)
    for number, shot in enumerate(whole[1:], start=1):
        late = [frame for frame in frames if frame.ms >= shot.start_ms - 1_000]
        resumed, resumed_signatures = shots_of(late, film.duration_ms, shot.start_ms)
        assert resumed == whole[number:]
        assert resumed_signatures == signatures[number:]


def test_a_pass_resumed_within_a_shot_goes_on_from_there() -> None:
    film = kept_film("cuts.mkv", shots=CUTS, sound=())
    frames = [frame for frame in frames_of(film) if frame.ms >= 4_000]
    shots, _ = shots_of(frames, 12_000, resume_ms=5_020)
    assert shots[0] == Shot(5_020, 7_000)
    assert tuple(shot.start_ms for shot in shots[1:]) == film.cuts_ms[1:]


def test_a_cut_right_after_the_place_of_a_resume_is_kept() -> None:
    frames = [plain(40 * n, 60 if n < 100 else 200) for n in range(200)]
    shots, _ = shots_of(frames[50:], 8000, resume_ms=3_900)
    assert shots == [Shot(3_900, 4_000), Shot(4_000, 8_000)]
