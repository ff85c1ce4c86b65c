"""Stills and clips: what a browser is given, made once, kept within a limit."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from companion import playback
from companion.children import Children
from companion.config import Config
from companion.errors import MediaMissing, ScanFailed
from companion.findings import AudioStream, MediaInfo, VideoStream
from companion.model import File
from companion.playback import Playback, clip_bounds, clip_start, direct_type, trim
from companion.store import findings, library
from companion.store.db import Store
from tests import cinema
from tests.cinema import Cinema, Cutter
from tests.films import make_film


def film(
    *,
    name: str = "film.mp4",
    container: str = "mov,mp4,m4a,3gp,3g2,mj2",
    video: str = "h264",
    pixels: str = "yuv420p",
    audio: tuple[str, ...] = ("aac",),
    start_ms: int = 0,
) -> File:
    media = MediaInfo(
        container=container,
        duration_ms=600_000,
        start_ms=start_ms,
        video=VideoStream(index=0, codec=video, pixel_format=pixels, width=16, height=9, fps=25),
        audio=tuple(
            AudioStream(index=number, codec=codec, channels=2)
            for number, codec in enumerate(audio, start=1)
        ),
    )
    return File(
        id=1,
        public_id="abc",
        fingerprint="fp:1",
        size=1,
        media=media,
        paths=(os.fsencode(f"/films/{name}"),),
    )


@pytest.fixture
async def house(config: Config, store: Store, library_folder: Path) -> Cinema:
    return await cinema.open_cinema(config, store, library_folder)


async def file_of(house: Cinema, title: str) -> File:
    found = await house.store.read(library.file_by_public_id, house.shelved[title].file)
    assert found is not None
    return found


# --- what browsers play --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "content_type"),
    [
        (film(), "video/mp4"),
        (film(name="FILM.MOV"), "video/mp4"),
        (film(name="film.m4v", audio=("mp3",)), "video/mp4"),
        (film(audio=()), "video/mp4"),
        (film(video="av1", audio=("opus",)), "video/mp4"),
        (film(audio=("aac", "ac3")), "video/mp4"),
        (
            film(name="a.webm", container="matroska,webm", video="vp9", audio=("opus",)),
            "video/webm",
        ),
        (
            film(name="a.webm", container="matroska,webm", video="vp8", audio=("vorbis",)),
            "video/webm",
        ),
    ],
)
def test_files_that_every_browser_plays_are_given_as_they_are(
    file: File, content_type: str
) -> None:
    assert direct_type(file) == content_type


@pytest.mark.parametrize(
    "file",
    [
        film(name="film.mkv", container="matroska,webm"),
        film(name="film.webm", container="matroska,webm"),  # H.264 in it
        film(pixels="yuv420p10le"),
        film(pixels="yuv444p"),
        film(video="hevc", pixels="yuv420p"),
        film(video="mpeg4"),
        film(audio=("ac3",)),
        film(audio=("dts", "aac")),
        film(name="film.avi", container="avi"),
        film(name="film.ts", container="mpegts"),
        film(start_ms=1_400),
        replace(film(), media=None),
        replace(film(), paths=()),
        replace(film(), media=MediaInfo(container="mp4", duration_ms=1_000)),
    ],
)
def test_everything_else_is_cut_into_clips(file: File) -> None:
    assert direct_type(file) is None


@given(at_ms=st.integers(0, 10**8), duration_ms=st.integers(1, 10**8))
def test_a_clip_lies_within_the_film_and_holds_its_moment(at_ms: int, duration_ms: int) -> None:
    media = MediaInfo(container="mp4", duration_ms=duration_ms)
    file = replace(film(), media=media)
    at_ms = min(at_ms, duration_ms - 1)
    start_ms, end_ms = clip_bounds(file, clip_start(at_ms), playback.FIRST_CLIP_MS)
    assert 0 <= start_ms <= at_ms < end_ms <= duration_ms
    assert end_ms - start_ms <= playback.FIRST_CLIP_MS
    assert start_ms % 1000 == 0


@given(st.integers(0, 10**8))
def test_clips_follow_one_another_without_a_gap(duration_ms: int) -> None:
    file = replace(film(), media=MediaInfo(container="mp4", duration_ms=duration_ms + 1))
    first, end = clip_bounds(file, 0)
    if end < file.duration_ms:
        assert clip_bounds(file, end)[0] == end
        assert end - first == playback.CLIP_MS


# --- making them ---------------------------------------------------------------------------------


async def test_a_still_is_the_scenes_own_and_made_once(house: Cinema) -> None:
    lake = await file_of(house, "Lake")
    path = await house.parts.playback.still(lake, 4_321)
    again = await house.parts.playback.still(lake, 7_999)
    assert path == again == house.config.cache / "stills" / lake.public_id / "5000.jpg"
    assert path.read_bytes().startswith(b"\xff\xd8")
    assert house.cutter.asked == [("still", 5_000, 5_000)]


async def test_a_still_that_the_scan_left_is_taken(house: Cinema) -> None:
    lake = await file_of(house, "Lake")
    kept = house.config.cache / "stills" / lake.public_id / "1000.jpg"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"kept")
    assert (await house.parts.playback.still(lake, 0)).read_bytes() == b"kept"
    assert house.cutter.asked == []


async def test_a_film_without_scenes_has_a_still_for_every_ten_seconds(house: Cinema) -> None:
    lake = await file_of(house, "Lake")
    await house.store.write(findings.keep_scenes, lake.id, [], provisional=True)
    for ms in range(0, 12_000, 500):
        await house.parts.playback.still(lake, ms)
    assert [at_ms for _, at_ms, _ in house.cutter.asked] == [0, 10_000]


async def test_a_film_that_is_away_says_so(house: Cinema) -> None:
    away = await file_of(house, "The Long Way Up")
    with pytest.raises(MediaMissing, match="not where it was"):
        await house.parts.playback.still(away, 0)
    with pytest.raises(MediaMissing):
        await house.parts.playback.preview(away, 0)


async def test_the_preview_of_a_playable_film_is_the_film(
    house: Cinema, library_folder: Path
) -> None:
    preview = await house.parts.playback.preview(await file_of(house, "Lake"), 4_200)
    assert preview.direct
    assert preview.path == library_folder / "Lake (2004).mp4"
    assert (preview.start_ms, preview.end_ms) == (0, 12_000)


async def test_the_preview_of_another_film_is_a_clip_around_the_moment(
    house: Cinema, library_folder: Path
) -> None:
    lake = await file_of(house, "Lake")
    media = MediaInfo(container="matroska,webm", duration_ms=600_000)
    preview = await house.parts.playback.preview(replace(lake, media=media), 100_500)
    assert not preview.direct
    assert preview.content_type == "video/mp4"
    assert (preview.start_ms, preview.end_ms) == (95_000, 105_000)
    assert preview.path.read_bytes() == (library_folder / "Lake (2004).mp4").read_bytes()


async def test_two_who_ask_for_one_clip_get_the_same(house: Cinema) -> None:
    lake = await file_of(house, "Lake")
    house.cutter.gate = asyncio.Event()
    async with asyncio.TaskGroup() as both:
        first = both.create_task(house.parts.playback.clip(lake, 2_000))
        second = both.create_task(house.parts.playback.clip(lake, 2_000))
        while not house.cutter.asked:
            await asyncio.sleep(0)
        house.cutter.gate.set()
    assert first.result() == second.result()
    assert house.cutter.asked == [("clip", 2_000, 12_000)]


async def test_a_cut_that_fails_leaves_nothing_and_may_be_asked_again(
    house: Cinema, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = await file_of(house, "Lake")

    async def broken(path: bytes, start_ms: int, end_ms: int, to: Path) -> None:
        await asyncio.to_thread(to.write_bytes, b"half")
        raise ScanFailed("clip", "the file is damaged there", permanent=True)

    with monkeypatch.context() as patch:
        patch.setattr(house.cutter, "clip", broken)
        with pytest.raises(ScanFailed):
            await house.parts.playback.clip(lake, 0)
    assert list((house.config.cache / "clips").iterdir()) == []
    assert (await house.parts.playback.clip(lake, 0)).path.is_file()


async def test_a_cut_that_nobody_waits_for_leaves_nothing(house: Cinema) -> None:
    lake = await file_of(house, "Lake")
    house.cutter.gate = asyncio.Event()
    task = asyncio.ensure_future(house.parts.playback.clip(lake, 0))
    while not house.cutter.asked:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    house.cutter.gate = None
    assert list((house.config.cache / "clips").iterdir()) == []
    assert (await house.parts.playback.clip(lake, 0)).path.is_file()


async def test_the_clips_played_longest_ago_go_first(config: Config, house: Cinema) -> None:
    lake = await file_of(house, "Lake")
    cutter = Cutter()  # clips of some ten bytes
    small = Playback(house.store, config, cutter, limit=30)
    first = await small.clip(lake, 1_000)
    second = await small.clip(lake, 2_000)
    os.utime(first.path, (1, 1))
    os.utime(second.path, (2, 2))
    await small.clip(lake, 1_000)  # played again: now the younger of the two
    third = await small.clip(lake, 3_000)
    assert first.path.exists()
    assert third.path.exists()
    assert not second.path.exists()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.integers(1, 200))
def test_what_stays_never_exceeds_the_limit(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit: int
) -> None:
    folder = tmp_path_factory.mktemp("clips")
    for number, size in enumerate(sizes):
        clip = folder / f"{number}.mp4"
        clip.write_bytes(b"x" * size)
        os.utime(clip, (number, number))
    coming = folder / ".coming.part.mp4"
    coming.write_bytes(b"x")
    gone = trim(folder, limit, coming)
    kept = sorted(folder.glob("[!.]*.mp4"), key=lambda clip: int(clip.stem))
    assert sum(clip.stat().st_size for clip in kept) + 1 <= max(limit, 1)
    assert [clip.stem for clip in gone] == [str(number) for number in range(len(gone))]


async def test_the_real_child_cuts_a_still_and_a_clip(
    config: Config, house: Cinema, library_folder: Path
) -> None:
    """Through the process border, with a real film, into what browsers play."""
    make_film(library_folder / "old.mkv", shots=(2.0, 2.0), size=(320, 180), codec="mpeg4")
    children = Children(config)
    real = Playback(house.store, config, children)
    lake = await file_of(house, "Lake")
    file = replace(lake, paths=(bytes(library_folder / "old.mkv"),))
    try:
        still = await real.still(file, 2_500)
        clip = await real.clip(file, 1_000)
    finally:
        await children.close()
    assert still.read_bytes().startswith(b"\xff\xd8")
    assert clip.path.read_bytes()[4:8] == b"ftyp"
