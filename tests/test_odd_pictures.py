"""Covers that move and pictures of 16,384 pixels: told apart from films, read in bounded memory."""

import io
import os
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from scanners.base import StageError
from scanners.decode import Reader, threads_for
from scanners.frames import SmallFrame
from scanners.media import probe
from tests.films import make_film

# --- covers --------------------------------------------------------------------------------------


def moving_cover(side: int = 200, count: int = 12) -> bytes:
    """Return an animated GIF."""
    pages = [Image.new("RGB", (side, side), (20 * number, 90, 60)) for number in range(count)]
    made = io.BytesIO()
    pages[0].save(made, "GIF", save_all=True, append_images=pages[1:], duration=500)
    return made.getvalue()


def with_covers(path: Path, film: Path | None, covers: int = 1) -> Path:
    """Write a film's streams, or a second of sound, with animated covers before them."""
    with av.open(str(path), "w") as output:
        if film is None:
            stream = output.add_stream("aac", rate=16_000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), "fltp", "mono")
            frame.sample_rate = 16_000
            packets = [*stream.encode(frame), *stream.encode()]
        else:
            with av.open(str(film)) as source:
                shown = source.streams.video[0]
                copy = output.add_stream_from_template(shown)
                packets = [packet for packet in source.demux(shown) if packet.dts is not None]
                for packet in packets:
                    packet.stream = copy
        for number in range(covers):
            output.add_attachment(f"cover{number}.gif", "image/gif", moving_cover())
        for packet in packets:
            output.mux(packet)
    return path


def test_a_cover_that_moves_is_not_the_film(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mkv", shots=(2.0,), size=(64, 36), sound=()).path
    path = with_covers(tmp_path / "covered.mkv", film, covers=2)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 3  # both covers are video streams to FFmpeg
    media = probe(os.fsencode(path))
    assert media.video is not None
    assert (media.video.codec, media.video.width, media.duration_ms) == ("h264", 64, 2000)
    frames = [one for one in Reader(os.fsencode(path)) if isinstance(one, SmallFrame)]
    assert len(frames) == 50


def test_a_song_whose_cover_moves_has_no_picture(tmp_path: Path) -> None:
    path = with_covers(tmp_path / "song.mka", None)
    assert probe(os.fsencode(path)).video is None
    with pytest.raises(StageError, match="the file has no picture"):
        list(Reader(os.fsencode(path)))


@pytest.mark.parametrize("cover_first", [True, False])
def test_a_cover_without_the_mark_of_one_is_not_the_film_either(
    tmp_path: Path, cover_first: bool
) -> None:
    """Larger than the film, the default track, and as long: some tools write it like that."""
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as output:
        kinds = ["mjpeg", "libx264"] if cover_first else ["libx264", "mjpeg"]
        streams = {}
        for codec in kinds:
            stream = streams[codec] = output.add_stream(codec, rate=25)
            side = 256 if codec == "mjpeg" else 64
            stream.width, stream.height = side, side
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.disposition = Disposition.default if codec == "mjpeg" else Disposition(0)
        for number in range(25):
            for stream in streams.values():
                grey = np.full((stream.height, stream.width, 3), 90, np.uint8)
                frame = av.VideoFrame.from_ndarray(grey, "rgb24")
                frame.pts = number
                output.mux(stream.encode(frame))
        for stream in streams.values():
            output.mux(stream.encode())
    video = probe(os.fsencode(path)).video
    assert video is not None
    assert (video.codec, video.width) == ("h264", 64)


def test_an_old_camera_s_film_of_still_pictures_is_a_film(tmp_path: Path) -> None:
    film = make_film(
        tmp_path / "old.avi", shots=(1.0,), codec="mjpeg", pixel_format="yuvj420p", options=()
    )
    video = probe(os.fsencode(film.path)).video
    assert video is not None
    assert video.codec == "mjpeg"


# --- large pictures ------------------------------------------------------------------------------

HUGE = (16_384, 4_096)
READ = """
import resource, sys
from scanners.base import STAGES, Finished, Options, Scan, StageDone
from scanners.worker import Worker
said = []
stages = ("shots", "scenes")
scan = Scan(id=1, path=sys.argv[1].encode(), stages=stages, options=Options(threads=16))
Worker(STAGES, said.append).answer(scan)
assert [one.stage for one in said if isinstance(one, StageDone)] == list(stages), said
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def still_film(path: Path, size: tuple[int, int], jpeg: bytes, count: int) -> Path:
    """Write a film, two pictures a second, that shows the same JPEG; size: as its header says."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mjpeg", rate=2)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p"
        for number in range(count):
            packet = av.Packet(jpeg)
            packet.stream, packet.time_base = stream, Fraction(1, 2)
            packet.pts = packet.dts = number
            packet.duration, packet.is_keyframe = 1, True
            output.mux(packet)
    return path


def test_a_picture_of_16384_pixels_is_read_in_little_memory(tmp_path: Path) -> None:
    """Sixteen threads were asked for: each would hold a frame of 100 MB and another to come."""
    grey = np.full((HUGE[1], HUGE[0], 3), 90, np.uint8)
    _, jpeg = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 30])
    path = still_film(tmp_path / "wide.mkv", HUGE, jpeg.tobytes(), 8)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1200  # MB; 400 are measured


@pytest.mark.parametrize(
    ("size", "wanted", "threads"),
    [
        ((1920, 1080), 0, 0),
        ((1920, 1080), 4, 4),
        ((1920, 1080), 64, 16),
        ((7680, 4320), 16, 5),
        ((16_384, 8_192), 4, 1),
        ((16_384, 8_192), 0, 1),
        ((0, 0), 4, 4),
    ],
)
def test_large_pictures_are_decoded_by_few_threads(
    size: tuple[int, int], wanted: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert threads_for(SimpleNamespace(width=size[0], height=size[1]), wanted) == threads


@pytest.mark.parametrize("size", [(16_385, 64), (64, 16_385)])
def test_a_picture_beyond_16384_pixels_is_refused_by_its_size(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = claimed(tmp_path / "beyond.mkv", size)
    with pytest.raises(StageError) as refused:
        probe(os.fsencode(path))
    said = f"the picture claims {size[0]} x {size[1]} pixels, which no film has"
    assert (refused.value.reason, refused.value.permanent) == (said, True)


@pytest.mark.parametrize("size", [(16_384, 9_000), (16_384, 16_384)])
def test_a_picture_of_16384_pixels_both_ways_is_never_decoded(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """FFmpeg itself takes such a size for a mistake of the header, and then finds none."""
    path = claimed(tmp_path / "square.mkv", size)
    with pytest.raises(StageError, match="damaged, incomplete or larger than any film"):
        list(Reader(os.fsencode(path)))


def claimed(path: Path, size: tuple[int, int]) -> Path:
    """Write a film of one broken picture whose header claims a size."""
    data = still_film(path, (300, 400), b"\xff\xd8\xff\xd9", 1).read_bytes()
    for element, before, after in zip((b"\xb0\x82", b"\xba\x82"), (300, 400), size, strict=True):
        wrong, right = (element + number.to_bytes(2, "big") for number in (before, after))
        assert data.count(wrong) == 1
        data = data.replace(wrong, right)
    path.write_bytes(data)
    return path


def test_a_picture_that_is_larger_than_its_header_says_is_not_decoded(tmp_path: Path) -> None:
    _, jpeg = cv2.imencode(".jpg", np.full((64, 64, 3), 90, np.uint8))
    data = bytearray(jpeg.tobytes())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 16_384, 16_384)
    path = still_film(tmp_path / "liar.mkv", (64, 64), bytes(data), 1)
    with pytest.raises(StageError) as refused:
        list(Reader(os.fsencode(path)))
    assert "picture" in refused.value.reason
