"""Stills and clips: the right moment, upright, playable anywhere, there whole or not at all."""

import errno
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from scanners import clips
from scanners.base import StageError
from scanners.clips import MAX_CLIP_MS, make_clip, make_still
from scanners.frames import Image
from scanners.media import probe
from tests.films import (
    Film,
    Sound,
    damage,
    kept_film,
    make_sound_only,
    picture,
    strip_container,
    truncate,
)

VARYING = tuple(int(at) for at in np.cumsum([0, *[20, 60, 40, 100, 33] * 24]))  # 6 s
SOURCES: dict[str, dict[str, Any]] = {
    "plain": {},
    "late": {"offset_ms": 10_000},
    "10-bit": {"pixel_format": "yuv420p10le"},
    "hdr": {"pixel_format": "yuv420p10le", "transfer": "pq"},
    "turned": {"rotation": 90},
    "wide pixels": {"pixel_aspect": Fraction(4, 3)},
    "interlaced": {"interlaced": True, "size": (160, 96)},
    "varying": {"times_ms": VARYING},
    "b-frames": {"options": (("preset", "veryfast"), ("bf", "3"), ("g", "75"))},
    "4:4:4": {"pixel_format": "yuv444p"},
    "odd size": {"codec": "ffv1", "options": (), "size": (97, 55), "pixel_format": "yuv444p"},
}


def film(name: str = "film.mkv", **changes: Any) -> Film:
    return kept_film(name, **{"shots": (2.0, 2.0, 2.0), **changes})


def still(path: Path, at_ms: int, to: Path, width: int = 480) -> Image:
    make_still(os.fsencode(path), at_ms, os.fsencode(to), width=width)
    bgr = cv2.imread(str(to))
    assert bgr is not None
    return np.asarray(bgr[:, :, ::-1], np.uint8)


def apart(one: Any, other: Any) -> float:
    return float(np.abs(one.astype(np.int32) - other.astype(np.int32)).mean())


def clip(made: Film | Path, start_ms: int, end_ms: int, to: Path, height: int = 720) -> Path:
    path = made.path if isinstance(made, Film) else made
    make_clip(os.fsencode(path), start_ms, end_ms, os.fsencode(to), height=height)
    return to


def decoded(path: Path, kind: str) -> list[Any]:
    with av.open(str(path)) as container:
        return list(container.decode(**{kind: 0}))


def seconds(frame: Any) -> float:
    return float(frame.pts * frame.time_base)


# --- stills --------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_ms", [0, 1_000, 1_999, 2_020, 3_990, 5_990])
def test_a_still_shows_that_moment(tmp_path: Path, at_ms: int) -> None:
    made = film()
    nearest = min(made.times_ms, key=lambda ms: abs(ms - at_ms))
    look = sum(nearest >= cut for cut in made.cuts_ms)
    assert apart(still(made.path, at_ms, tmp_path / "a.jpg"), picture(look, nearest, (160, 90))) < 6


@pytest.mark.parametrize("source", [*SOURCES, "raw", "ts"])
def test_a_still_comes_from_any_source(tmp_path: Path, source: str) -> None:
    if source == "raw":
        path = strip_container(film("film.mp4").path, tmp_path / "raw.h264")
    else:
        name = "film.ts" if source == "ts" else "film.mkv"
        path = film(name, **SOURCES.get(source, {})).path
    shots = [still(path, at, tmp_path / f"{at}.jpg") for at in (1_000, 3_000, 5_000)]
    want = {"turned": (160, 90), "wide pixels": (90, 213), "interlaced": (96, 160)}
    assert shots[0].shape[:2] == want.get(source, (55, 97) if source == "odd size" else (90, 160))
    assert apart(shots[0], shots[1]) > 15
    assert apart(shots[1], shots[2]) > 15
    assert shots[0].std() > 8


def test_a_still_is_as_wide_as_asked(tmp_path: Path) -> None:
    assert still(film().path, 0, tmp_path / "a.jpg", width=64).shape == (36, 64, 3)


def test_after_the_end_a_still_is_the_last_frame(tmp_path: Path) -> None:
    made = film()
    shown = still(made.path, 600_000, tmp_path / "a.jpg")
    assert apart(shown, picture(2, made.times_ms[-1], (160, 90))) < 6


def test_a_still_of_a_damaged_place_is_one_near_it(tmp_path: Path) -> None:
    broken = damage(film().path, tmp_path / "broken.mkv", 0.4, 0.5)
    assert still(broken, 2_700, tmp_path / "a.jpg").shape == (90, 160, 3)


def test_sound_has_no_still(tmp_path: Path) -> None:
    song = make_sound_only(tmp_path / "song.m4a")
    with pytest.raises(StageError, match="no picture"):
        make_still(os.fsencode(song), 0, os.fsencode(tmp_path / "a.jpg"), width=480)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["song.m4a"]


def test_names_that_are_not_utf_8_can_be_written(tmp_path: Path) -> None:
    to = os.fsencode(tmp_path) + b"/not \xff utf-8/\n.jpg"
    make_still(os.fsencode(film().path), 0, to, width=480)
    assert Path(os.fsdecode(to)).read_bytes().startswith(b"\xff\xd8")


# --- clips ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES)
def test_a_clip_plays_anywhere(tmp_path: Path, source: str) -> None:
    made = film(**SOURCES[source])
    path = clip(made, 1_500, 4_200, tmp_path / "clip.mp4")
    media = probe(os.fsencode(path))
    assert media.container.startswith("mov,mp4")
    assert media.start_ms == 0
    assert abs(media.duration_ms - 2_700) <= 45
    assert media.video is not None
    assert (media.video.codec, media.video.pixel_format) == ("h264", "yuv420p")
    assert (media.video.rotation, media.video.interlaced, media.video.hdr) == (0, False, False)
    assert [(one.codec, one.channels) for one in media.audio] == [("aac", 2)]
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # playing starts before all of it is there


@pytest.mark.parametrize("source", ["plain", "late", "varying", "b-frames"])
def test_a_clip_keeps_the_times_of_its_frames(tmp_path: Path, source: str) -> None:
    made = film(**SOURCES[source])
    frames = decoded(clip(made, 1_500, 4_200, tmp_path / "clip.mp4"), "video")
    inside = [ms - 1_500 for ms in made.times_ms if 1_500 < ms < 4_200]
    assert seconds(frames[0]) == 0
    shown = [seconds(frame) * 1000 for frame in frames[1:]]
    assert shown == pytest.approx(inside[len(inside) - len(shown) :], abs=1)


def test_a_clip_starts_with_what_is_on_screen_then(tmp_path: Path) -> None:
    made = film(times_ms=(0, 1_000, 2_000, 4_000, 5_000), sound=())
    frames = decoded(clip(made, 1_500, 4_500, tmp_path / "clip.mp4"), "video")
    assert [seconds(frame) for frame in frames] == [0, 0.5, 2.5]
    shown = frames[0].to_ndarray(format="rgb24")
    assert apart(shown, picture(0, 1_000, (160, 90))) < 12


def test_a_clip_of_one_long_frame_shows_it(tmp_path: Path) -> None:
    made = film(times_ms=(0, 5_000), sound=())
    frames = decoded(clip(made, 1_500, 3_000, tmp_path / "clip.mp4"), "video")
    assert [seconds(frame) for frame in frames] == [0]


def test_colours_of_a_clip_are_those_of_the_film(tmp_path: Path) -> None:
    for source in ("plain", "turned", "4:4:4"):
        made = film(**SOURCES[source])
        path = clip(made, 1_000, 1_500, tmp_path / f"{source[0]}.mp4")
        shown = decoded(path, "video")[2].to_ndarray(format="rgb24")
        want = still(made.path, 1_080, tmp_path / "a.jpg")
        assert apart(shown, want[: shown.shape[0], : shown.shape[1]]) < 10, source


def test_a_clip_is_as_high_as_asked_and_even(tmp_path: Path) -> None:
    video = probe(os.fsencode(clip(film(), 0, 500, tmp_path / "a.mp4", height=45))).video
    assert video is not None
    assert (video.width, video.height) == (80, 44)


def test_the_sound_of_a_clip_is_that_of_its_time(tmp_path: Path) -> None:
    # the sound lasts 3 s: half of the clip is a tone, the other half is silence or nothing
    made = film(sound=(Sound(seconds=3.0),))
    frames = decoded(clip(made, 2_000, 4_000, tmp_path / "clip.mp4"), "audio")
    level = {
        second: np.concatenate(
            [one.to_ndarray()[0] for one in frames if second <= seconds(one) < second + 0.8]
            or [np.zeros(1)]
        ).std()
        for second in (0.1, 1.15)
    }
    assert level[0.1] > 0.1
    assert level[1.15] < 0.01


def test_sound_that_starts_late_stays_late(tmp_path: Path) -> None:
    made = film(sound=(Sound(start_ms=3_000, seconds=3.0),))
    frames = decoded(clip(made, 2_000, 4_000, tmp_path / "clip.mp4"), "audio")
    assert seconds(frames[0]) < 0.05
    early = np.concatenate([one.to_ndarray()[0] for one in frames if seconds(one) < 0.9])
    late = np.concatenate([one.to_ndarray()[0] for one in frames if seconds(one) > 1.1])
    assert early.std() < 0.01
    assert late.std() > 0.1


def test_a_clip_has_the_main_track_not_the_commentary(tmp_path: Path) -> None:
    made = film(sound=(Sound(title="Commentary", hertz=2_000), Sound(hertz=300, default=False)))
    frames = decoded(clip(made, 1_000, 2_000, tmp_path / "clip.mp4"), "audio")
    wave = np.concatenate([one.to_ndarray()[0] for one in frames[4:-4]])
    loudest = np.abs(np.fft.rfft(wave)).argmax() * 48_000 / len(wave)
    assert loudest == pytest.approx(300, abs=10)


def test_a_clip_of_a_silent_film_has_no_sound(tmp_path: Path) -> None:
    assert probe(os.fsencode(clip(film(sound=()), 0, 500, tmp_path / "a.mp4"))).audio == ()


@pytest.mark.parametrize(
    ("start_ms", "end_ms"), [(1_000, 1_000), (2_000, 1_000), (0, MAX_CLIP_MS + 1)]
)
def test_an_absurd_clip_is_refused(tmp_path: Path, start_ms: int, end_ms: int) -> None:
    with pytest.raises(StageError, match="cannot be made"):
        clip(film(), start_ms, end_ms, tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_clip_after_the_end_of_a_cut_off_film_shows_its_last_frame_or_says_why(
    tmp_path: Path,
) -> None:
    short = truncate(film().path, tmp_path / "short.mkv", 0.5)
    path = clip(short, 5_000, 6_000, tmp_path / "a.mp4")
    assert len(decoded(path, "video")) == 1


def test_a_clip_of_sound_alone_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    song = make_sound_only(tmp_path / "song.m4a")
    with pytest.raises(StageError, match="no picture"):
        clip(song, 0, 500, tmp_path / "a.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["song.m4a"]


def test_a_clip_replaces_an_old_one_only_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.mp4"
    target.write_bytes(b"old")

    def full(self: Any, frame: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(clips._Picture, "_flat", full)
    with pytest.raises(StageError, match=r"a\.mp4 cannot be written: No space left") as caught:
        clip(film(), 0, 500, target)
    assert not caught.value.permanent
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StageError, match=r"a\.mp4 cannot be written: File exists"):
        clip(film(), 0, 500, tmp_path / "file" / "a.mp4")
