"""The one decode pass: true times, sharp samples, damage passed over, late beginnings."""

import errno
import os
import threading
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from scanners.ahead import Ahead
from scanners.base import StageError
from scanners.decode import Reader, Sampler
from scanners.frames import Sample, SmallFrame, Upright
from tests.films import Film, damage, kept_film, make_sound_only, strip_container, truncate

VARYING = tuple(int(at) for at in np.cumsum([0, *[20, 60, 40, 100, 33] * 48]))  # 12 s
MPEG4 = (("b", "2000000"), ("g", "25"))


def read(path: Path, **options: Any) -> tuple[list[SmallFrame], list[Sample], Reader]:
    reader = Reader(os.fsencode(path), **options)
    frames: list[SmallFrame] = []
    samples: list[Sample] = []
    for item in reader:
        if isinstance(item, Sample):
            samples.append(item)
        else:
            frames.append(item)
    return frames, samples, reader


def film_of_any_kind(kind: str) -> Film:
    match kind:
        case "mp4":
            return kept_film("a.mp4", shots=(3.0, 4.0, 5.0))
        case "mkv":
            return kept_film("a.mkv", shots=(3.0, 4.0, 5.0), offset_ms=7_000)
        case "ts":
            return kept_film("a.ts", shots=(3.0, 4.0, 5.0), offset_ms=5_000, sound=())
        case "avi":
            return kept_film("a.avi", shots=(3.0, 4.0, 5.0), codec="mpeg4", options=MPEG4)
        case "b-frames":
            slow = (("preset", "veryfast"), ("bf", "3"), ("g", "50"))
            return kept_film("b.mkv", shots=(3.0, 4.0, 5.0), options=slow, sound=())
        case _:
            return kept_film("vfr.mkv", shots=(3.0, 4.0, 5.0), times_ms=VARYING, sound=())


@lru_cache
def whole_film(kind: str) -> tuple[list[SmallFrame], list[Sample]]:
    return read(film_of_any_kind(kind).path, sample_side=80)[:2]


KINDS = ("mp4", "mkv", "ts", "avi", "b-frames", "varying")


# --- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "avi"])
def test_every_frame_comes_once_at_its_own_time(kind: str) -> None:
    film = film_of_any_kind(kind)
    frames, samples, reader = read(film.path)
    assert [frame.ms for frame in frames] == list(film.times_ms)
    assert reader.frames == len(film.times_ms)
    assert reader.unreadable == 0
    assert samples == []
    assert abs(reader.end_ms - film.duration_ms) <= 120


def test_avi_keeps_the_order_and_number_of_its_frames() -> None:
    film = film_of_any_kind("avi")  # a format that says in which order frames are stored, not shown
    frames, _, _ = read(film.path)
    times = [frame.ms for frame in frames]
    assert times == sorted(set(times))
    assert len(times) == len(film.times_ms)
    assert abs(times[-1] - film.times_ms[-1]) <= 80


def test_the_picture_of_a_late_sound_keeps_its_distance() -> None:
    film = kept_film("sync.ts", shots=(1.0,))  # its sound starts a little before the picture
    frames, _, _ = read(film.path)
    late = frames[0].ms
    assert 0 < late < 100
    assert [frame.ms - late for frame in frames] == list(film.times_ms)


def test_time_stamps_are_those_of_the_stream() -> None:
    film = film_of_any_kind("mkv")
    frames, _, _ = read(film.path)
    assert all(frame.pts * frame.time_base * 1000 == frame.ms for frame in frames)


def test_a_stream_without_time_stamps_runs_at_its_frame_rate(tmp_path: Path) -> None:
    film = kept_film("a.mp4", shots=(3.0, 4.0, 5.0))
    frames, _, _ = read(strip_container(film.path, tmp_path / "bare.h264"))
    assert [frame.ms for frame in frames] == list(film.times_ms)


def test_small_frames_show_the_film() -> None:
    frames, _, _ = read(film_of_any_kind("mp4").path)
    by_shot = [frames[at].bgr.mean(axis=(0, 1)) for at in (10, 60, 100, 160, 200, 290)]
    assert np.abs(by_shot[0] - by_shot[1]).max() < 6
    assert np.abs(by_shot[2] - by_shot[3]).max() < 6
    assert np.abs(by_shot[4] - by_shot[5]).max() < 6
    assert np.abs(by_shot[1] - by_shot[2]).max() > 10


# --- samples -------------------------------------------------------------------------------------


def test_there_is_a_sample_a_second() -> None:
    _, samples, _ = read(film_of_any_kind("mp4").path, sample_side=80)
    assert [sample.ms // 1000 for sample in samples] == list(range(12))
    assert {sample.rgb.shape for sample in samples} == {(45, 80, 3)}


def test_a_sample_comes_before_the_frames_of_the_next_second() -> None:
    last = -1
    for item in Reader(os.fsencode(film_of_any_kind("varying").path), sample_side=80):
        if isinstance(item, Sample):
            assert item.ms // 1000 == last // 1000
        else:
            last = item.ms


def test_the_sharpest_candidate_wins() -> None:
    frame = av.VideoFrame.from_ndarray(np.zeros((90, 160, 3), np.uint8), "rgb24")
    sampler = Sampler(Upright(), 80, begin_ms=0)
    random = np.random.default_rng(1)
    noise = random.integers(0, 255, (144, 256)).astype(np.uint8)
    found: list[Sample] = []
    for ms in range(0, 2000, 40):
        weight = {280: 0.5, 520: 0.9, 1240: 0.1}.get(ms, 0.2)
        found += sampler.feed(frame, ms, (noise * weight).astype(np.uint8))
    found += sampler.finish()
    # 1280 ms is the first frame of its quarter; 1240 is not, and was never looked at
    assert [sample.ms for sample in found] == [520, 1000]
    assert found[0].sharpness > 4 * found[1].sharpness


def test_a_slow_slide_show_has_samples_where_it_has_frames() -> None:
    film = kept_film("slides.mkv", shots=(4.0, 4.0), times_ms=(0, 4000, 8000), sound=())
    frames, samples, _ = read(film.path, sample_side=80)
    assert [frame.ms for frame in frames] == [0, 4000, 8000]
    assert [sample.ms for sample in samples] == [0, 4000, 8000]


# --- beginning late ------------------------------------------------------------------------------


@pytest.mark.parametrize("begin_ms", [3_000, 9_990])
@pytest.mark.parametrize("kind", KINDS)
def test_a_late_beginning_gives_the_very_same_frames(kind: str, begin_ms: int) -> None:
    film = film_of_any_kind(kind)
    frames, samples = whole_film(kind)
    late_frames, late_samples, _ = read(film.path, sample_side=80, begin_ms=begin_ms)
    from_ms = begin_ms // 1000 * 1000
    assert late_frames[0].ms <= from_ms - 500
    for whole, late in (
        ([one for one in frames if one.ms >= from_ms], late_frames),
        ([one for one in samples if one.ms >= from_ms], late_samples),
    ):
        late = [one for one in late if one.ms >= from_ms]
        assert [one.ms for one in late] == [one.ms for one in whole]
        pictures = ("bgr", "luma") if isinstance(whole[0], SmallFrame) else ("rgb",)
        for one, other in zip(whole, late, strict=True):
            assert all((getattr(one, name) == getattr(other, name)).all() for name in pictures)


def test_a_late_beginning_does_not_decode_the_whole_film() -> None:
    late, _, _ = read(film_of_any_kind("mp4").path, begin_ms=10_000)
    assert late[0].ms >= 7_000


def test_a_file_that_cannot_be_searched_is_read_from_the_start(tmp_path: Path) -> None:
    film = kept_film("a.mp4", shots=(3.0, 4.0, 5.0))
    bare = strip_container(film.path, tmp_path / "bare.h264")
    late, _, reader = read(bare, begin_ms=8_000)
    assert late[0].ms == 0
    assert reader.frames == len(film.times_ms)


def test_a_beginning_after_the_end_gives_little_and_breaks_nothing() -> None:
    frames, _, _ = read(film_of_any_kind("mp4").path, begin_ms=60_000)
    assert all(frame.ms < 12_000 for frame in frames)


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mkv", "ts", "b-frames"])
def test_damage_in_the_middle_is_passed_over(tmp_path: Path, kind: str) -> None:
    film = film_of_any_kind(kind)
    broken = damage(film.path, tmp_path / film.path.name, 0.4, 0.5)
    frames, _, reader = read(broken, sample_side=80)
    assert 0.4 * len(film.times_ms) < len(frames) <= len(film.times_ms)
    assert frames[-1].ms > 11_500
    assert [frame.ms for frame in frames] == sorted({frame.ms for frame in frames})
    # where noise hits the head of a Matroska cluster, its reader goes on at the next in silence
    lost = len(frames) < len(film.times_ms)
    assert reader.unreadable > 0 or (kind == "mkv" and lost)


@pytest.mark.parametrize("kind", ["mkv", "ts"])
def test_a_file_that_ends_early_is_read_as_far_as_it_goes(tmp_path: Path, kind: str) -> None:
    film = film_of_any_kind(kind)
    short = truncate(film.path, tmp_path / film.path.name, 0.5)
    frames, _, reader = read(short)
    assert 3_000 < frames[-1].ms < 9_000
    assert frames[-1].ms < reader.end_ms < 9_200


def test_a_film_of_noise_alone_is_refused(tmp_path: Path) -> None:
    film = film_of_any_kind("mp4")
    data = bytearray(film.path.read_bytes())
    at = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[at:end] = np.random.default_rng(1).bytes(end - at)
    path = tmp_path / "noise.mp4"
    path.write_bytes(data)
    with pytest.raises(StageError, match="no picture could be decoded"):
        read(path)


def test_sound_alone_has_no_picture_to_read(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="the file has no picture"):
        read(make_sound_only(tmp_path / "song.m4a"))


class FailingDisk:
    """A container whose file is on a share that has gone away, after some packets."""

    class Streams:
        audio: tuple[Any, ...] = ()

    streams = Streams()

    def __init__(self, number: int) -> None:
        self.number = number

    def demux(self, streams: Any) -> Iterator[Any]:
        yield "packet"
        raise av.error.OSError(self.number, os.strerror(self.number), "film.mkv")


def test_a_disk_that_fails_stops_the_pass_for_now() -> None:
    reader = Reader(b"film.mkv")
    with pytest.raises(StageError, match="Input/output error") as caught:
        list(reader._packets(FailingDisk(errno.EIO), None))
    assert not caught.value.permanent


def test_a_file_that_never_gets_better_is_left_in_the_end() -> None:
    class Broken(FailingDisk):
        def demux(self, streams: Any) -> Iterator[Any]:
            raise av.error.InvalidDataError(1, "Invalid data", "film.mkv")
            yield

    reader = Reader(b"film.mkv")
    assert list(reader._packets(Broken(0), None)) == []
    assert reader.unreadable > 50


# --- ahead of the consumer -----------------------------------------------------------------------


def test_order_is_kept_from_thread_to_thread() -> None:
    with Ahead(range(1000), batch=7, depth=2) as items:
        assert list(items) == list(range(1000))


def test_nothing_is_nothing() -> None:
    with Ahead(()) as items:
        assert list(items) == []


def test_an_error_comes_after_what_was_before_it() -> None:
    def source() -> Iterator[int]:
        yield from range(10)
        raise StageError("the disk has gone")

    with Ahead(source(), batch=4) as items:
        given = iter(items)
        assert [next(given) for _ in range(10)] == list(range(10))
        with pytest.raises(StageError, match="the disk has gone"):
            next(given)


def test_the_producer_is_only_a_little_ahead() -> None:
    made = 0
    ahead = threading.Semaphore(0)

    def source() -> Iterator[int]:
        nonlocal made
        for number in range(10_000):
            made += 1
            ahead.release()
            yield number

    with Ahead(source(), batch=4, depth=2) as items:
        first = next(iter(items))
        for _ in range(4 * 3):
            assert ahead.acquire(timeout=10)
        assert first == 0
        assert made <= 4 * 4 + 1


def test_leaving_early_ends_the_producer_where_it_ran() -> None:
    closed_in = []

    def source() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed_in.append(threading.current_thread().name)

    with Ahead(source()) as items:
        next(iter(items))
    assert closed_in == ["ahead"]
