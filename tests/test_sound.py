"""Sound in windows: on the film's clock, in bounded memory, through holes and broken stamps."""

import itertools
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from scanners import sound
from scanners.base import StageError
from scanners.media import open_media
from scanners.sound import RATE, Samples, Window, quietest, windows
from tests.films import Recipe, Sound, Words, damage, make_film, make_sound_only

MS = RATE // 1000


def tone(seconds: float, hertz: float = 440.0) -> Samples:
    count = round(seconds * RATE)
    wave = 0.4 * np.sin(2 * np.pi * hertz / RATE * np.arange(count))
    return np.asarray(wave, np.float32)


def write_blocks(path: Path, blocks: Sequence[tuple[int, Samples]]) -> Path:
    """Write uncompressed sound in which each block is stamped with its own start in ms."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for start_ms, samples in blocks:
            for first in range(0, len(samples), 1600):
                block = (samples[first : first + 1600] * 32767).astype(np.int16).reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "s16", "mono")
                frame.sample_rate = RATE
                frame.time_base = Fraction(1, RATE)
                frame.pts = start_ms * MS + first
                output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def read(path: Path) -> list[Window]:
    with open_media(os.fsencode(path)) as container:
        return list(windows(container, container.streams.audio[0].index))


def fed(*blocks: tuple[int, Samples]) -> list[Window]:
    """Return the windows of frames that a decoder gave with these starts in ms."""
    track = sound._Track(Fraction(0))
    found = []
    for start_ms, samples in blocks:
        for first in range(0, len(samples), 1600):
            block = samples[first : first + 1600].reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "flt", "mono")
            frame.sample_rate = RATE
            frame.time_base = Fraction(1, RATE)
            frame.pts = start_ms * MS + first
            found += list(track.feed(frame))
    return found + list(track.finish())


def loud_ms(found: Sequence[Window]) -> tuple[int, int]:
    """Return when it is first and last loud, in ms of the film."""
    loud = [
        window.start_ms + int(place) // MS
        for window in found
        for place in np.flatnonzero(np.abs(window.samples) > 0.1)[[0, -1]]
    ]
    return min(loud), max(loud)


def hertz_of(samples: NDArray[np.float32]) -> float:
    spectrum = np.abs(np.fft.rfft(samples))
    return float(spectrum.argmax() * RATE / len(samples))


def test_a_track_is_one_window_of_mono_at_16_khz(tmp_path: Path) -> None:
    (window,) = read(make_sound_only(tmp_path / "a.m4a", seconds=2.0))
    assert window.samples.dtype == np.float32
    assert abs(len(window.samples) - 2 * RATE) < RATE // 10
    assert window.start_ms == 0
    assert abs(hertz_of(window.samples[RATE // 4 : RATE]) - 440) < 5


@pytest.mark.parametrize("ending", ["mkv", "mp4", "ts"])
def test_a_track_that_starts_late_keeps_its_place(tmp_path: Path, ending: str) -> None:
    film = make_film(
        tmp_path / f"a.{ending}", Recipe(shots=(3.0,), sound=(Sound(start_ms=1200, seconds=1.0),))
    )
    first, last = loud_ms(read(film.path))
    assert abs(first - 1200) < 80
    assert abs(last - 2200) < 80


def test_the_start_of_the_container_is_taken_off(tmp_path: Path) -> None:
    film = make_film(
        tmp_path / "a.mkv",
        Recipe(shots=(3.0,), sound=(Sound(start_ms=1200, seconds=1.0),), offset_ms=7000),
    )
    first, _ = loud_ms(read(film.path))
    assert abs(first - 1200) < 80


def test_stereo_is_mixed_and_the_asked_track_is_read(tmp_path: Path) -> None:
    film = make_film(
        tmp_path / "a.mkv",
        Recipe(
            shots=(2.0,),
            sound=(Sound(hertz=300), Sound(hertz=700, channels=2)),
            subtitles=(Words(),),
        ),
    )
    with open_media(os.fsencode(film.path)) as container:
        (window,) = windows(container, 2)
    assert abs(hertz_of(window.samples[RATE // 2 : RATE]) - 700) < 5


def test_a_hole_is_filled_with_silence(tmp_path: Path) -> None:
    (window,) = read(write_blocks(tmp_path / "a.mkv", [(0, tone(1)), (3000, tone(1))]))
    assert abs(len(window.samples) - 4 * RATE) <= 2 * MS
    assert np.abs(window.samples[RATE + 50 * MS : 3 * RATE - 50 * MS]).max() == 0
    assert np.abs(window.samples[3 * RATE + 50 * MS :]).max() > 0.3


def test_a_long_hole_starts_a_new_window(tmp_path: Path) -> None:
    found = read(write_blocks(tmp_path / "a.mkv", [(0, tone(1)), (60_000, tone(1))]))
    assert [round(window.start_ms, -1) for window in found] == [0, 60_000]
    assert sum(len(window.samples) for window in found) < 3 * RATE


def test_what_is_told_twice_is_dropped() -> None:
    (window,) = fed((0, tone(2)), (1500, tone(1.5)))
    assert abs(len(window.samples) - 3 * RATE) <= 2 * MS


@pytest.mark.parametrize("leap_ms", [36_000_000, -10_000])
def test_a_stamp_beyond_reason_is_not_believed(leap_ms: int) -> None:
    (window,) = fed((20_000, tone(1)), (20_000 + leap_ms, tone(1)))
    assert window.start_ms == 20_000
    assert abs(len(window.samples) - 2 * RATE) <= MS


def test_what_lies_before_the_film_is_dropped() -> None:
    (window,) = fed((-300, tone(1)))
    assert window.start_ms == 0
    assert abs(len(window.samples) - 0.7 * RATE) <= MS


def test_a_change_of_format_in_the_middle_is_followed() -> None:
    track = sound._Track(Fraction(0))
    found = []
    for number, (rate, layout) in enumerate(((RATE, "mono"), (48_000, "stereo"))):
        channels = 2 if layout == "stereo" else 1
        frame = av.AudioFrame.from_ndarray(
            np.full((1, rate * channels), 9000, np.int16), "s16", layout
        )
        frame.sample_rate = rate
        frame.time_base = Fraction(1, 1000)
        frame.pts = number * 1000
        found += list(track.feed(frame))
    found += list(track.finish())
    (window,) = found
    assert abs(len(window.samples) - 2 * RATE) <= 2 * MS


def test_samples_that_are_no_numbers_become_silence() -> None:
    track = sound._Track(Fraction(0))
    broken = np.array([[np.nan, np.inf, -np.inf, 5.0] * 400], np.float32)
    frame = av.AudioFrame.from_ndarray(broken, "flt", "mono")
    frame.sample_rate = RATE
    (window,) = [*track.feed(frame), *track.finish()]
    assert set(np.unique(window.samples)) <= {-1.0, 0.0, 1.0}


def test_windows_join_without_a_gap_and_none_is_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound, "WINDOW_S", 3)
    monkeypatch.setattr(sound, "SEARCH_S", 1)
    quiet = np.zeros(RATE // 2, np.float32)
    whole = np.concatenate([np.concatenate([tone(1.9), quiet]) for _ in range(4)])
    found = read(write_blocks(tmp_path / "a.mkv", [(0, whole)]))
    assert len(found) >= 4
    joined = np.concatenate([window.samples for window in found])
    assert len(joined) == len(whole)
    assert np.abs(joined - whole).max() < 0.001
    for before, after in itertools.pairwise(found):
        assert len(before.samples) <= 3 * RATE
        assert abs(before.end_ms - after.start_ms) <= 1
        assert np.abs(before.samples[-20 * MS :]).max() < 0.01  # cut where nobody speaks


def test_damage_in_the_middle_costs_only_what_is_damaged(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mkv", Recipe(shots=(6.0,), sound=(Sound(),)))
    broken = damage(film.path, tmp_path / "b.mkv", 0.4, 0.5)
    first, last = loud_ms(read(broken))
    assert first < 100
    assert last > 5000


def test_sound_that_cannot_be_decoded_is_refused(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mkv", Recipe(shots=(2.0,), sound=(Sound(),)))
    with (
        open_media(os.fsencode(film.path)) as container,
        pytest.raises(StageError, match="could not be decoded") as caught,
    ):
        list(windows(container, 99))
    assert caught.value.permanent


@given(st.integers(0, 7 * RATE), st.integers(0, 6 * RATE))
def test_the_cut_is_in_the_last_part_and_where_it_is_quiet(length: int, at: int) -> None:
    samples = np.full(length, 0.5, np.float32)
    samples[at : at + RATE] = 0.0
    cut = quietest(samples)
    assert 0 <= cut <= length
    assert cut >= length - sound.SEARCH_S * RATE
    if at + RATE <= length:
        assert samples[max(0, cut - 1)] == 0.0
