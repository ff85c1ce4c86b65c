"""Pictures that somebody gives: real ones open upright, hostile ones are refused in words."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scanners import uploads
from scanners.base import StageError
from scanners.uploads import LOOK_SIDE, read_picture


def picture(width: int = 64, height: int = 32) -> Image.Image:
    """Left half red, right half blue."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = (250, 10, 10)
    pixels[:, width // 2 :] = (10, 10, 250)
    return Image.fromarray(pixels)


def kept(folder: Path, content: bytes) -> bytes:
    path = folder / "upload"
    path.write_bytes(content)
    return os.fsencode(path)


def encoded(made: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    made.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", uploads.FORMATS)
def test_every_format_of_pixels_opens(tmp_path: Path, kind: str) -> None:
    rgb = read_picture(kept(tmp_path, encoded(picture(), kind)))
    assert rgb.shape == (32, 64, 3)
    assert rgb[16, 8, 0] > 200
    assert rgb[16, 56, 2] > 200


def test_a_turned_photo_comes_upright(tmp_path: Path) -> None:
    made = picture()
    exif = made.getexif()
    exif[0x0112] = 6  # to be turned 90 degrees clockwise
    rgb = read_picture(kept(tmp_path, encoded(made, "JPEG", exif=exif, quality=95)))
    assert rgb.shape == (64, 32, 3)
    assert rgb[8, 16, 0] > 200  # what was left is on top


def test_a_large_picture_is_made_small(tmp_path: Path) -> None:
    rgb = read_picture(kept(tmp_path, encoded(picture(4000, 1000), "JPEG")))
    assert rgb.shape == (LOOK_SIDE // 4, LOOK_SIDE, 3)


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    made = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    assert read_picture(kept(tmp_path, encoded(made, "PNG"))).min() == 255


def test_of_an_animation_the_first_frame_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert tuple(read_picture(kept(tmp_path, content))[0, 0]) == (255, 0, 0)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises many pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no picture that can be opened"),
        (b"hello", "no picture that can be opened"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "no picture"),
        (b"%PDF-1.7\n", "no picture that can be opened"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 100, "no picture that can be opened"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture that can be opened"),
        (bomb(60_000, 60_000), "no picture|pixels"),
        (bomb(16_385, 16), r"16385 x 16 pixels"),
        (bomb(12_000, 12_000), "no picture|12000 x 12000 pixels"),
        (bomb(4, 4), "only 4 x 4 pixels"),
        (bomb(100, 100), "no picture that can be opened"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    with pytest.raises(StageError, match=reason):
        read_picture(kept(tmp_path, content))


def test_a_picture_that_is_also_a_page_is_only_pixels(tmp_path: Path) -> None:
    content = encoded(picture(), "PNG") + b"<script>alert(1)</script>"
    assert read_picture(kept(tmp_path, content)).shape == (32, 64, 3)


def test_fifty_megabytes_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    with path.open("wb") as out:
        out.truncate(50 * 2**20)
    with pytest.raises(StageError, match="larger than 20 MB"):
        read_picture(os.fsencode(path))
