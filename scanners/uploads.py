"""Opens a picture that somebody gave. It is hostile until proven otherwise.

The format is told by its bytes, never by a name; only formats of pixels are opened, so there is no
SVG and nothing that could load something else. Size is judged by the header, before any pixel is
decoded.
"""

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image as Pillow, ImageOps

from scanners.base import Options, StageError
from scanners.frames import Image
from scanners.looking import LOOKS, half
from scanners.picture import looker

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_BYTES = 20 * 2**20
MAX_PIXELS = 80_000_000  # 240 MB as RGB
MAX_SIDE = 16_384  # px
LOOK_SIDE = 1_280  # px; no model looks at more


def look_at(path: bytes, options: Options) -> tuple[str, bytes]:
    """Return (model identity, float16 vector) of a picture, to be compared with those of scenes.

    Raises StageError if it is no picture or the model is missing.
    """
    rgb = read_picture(path)
    model = looker(options)
    vectors = model.look([model.prepare(rgb)])[0].vectors
    if LOOKS in vectors:
        return model.model, half(vectors[LOOKS])
    return model.words_model, half(next(iter(vectors.values())))


def read_picture(path: bytes) -> Image:
    """Return a picture upright as (height, width, 3) RGB, its longest side at most LOOK_SIDE.

    Raises StageError with a reason in words.
    """
    place = Path(os.fsdecode(path))
    if place.stat().st_size > MAX_BYTES:
        raise StageError(f"the picture is larger than {MAX_BYTES // 2**20} MB")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged metadata is no reason to fail
        try:
            with Pillow.open(place, formats=FORMATS) as found:
                _check(found)
                found.draft("RGB", (LOOK_SIDE, LOOK_SIDE))  # JPEG: decode no more than is needed
                found.thumbnail((LOOK_SIDE, LOOK_SIDE))
                upright = ImageOps.exif_transpose(found)
                return np.asarray(_flat(upright), np.uint8)
        except StageError:
            raise
        except Exception as error:  # a decoder may raise anything on hostile bytes
            raise StageError(
                "this is no picture that can be opened; JPEG, PNG, WebP, GIF, BMP and TIFF can"
            ) from error


def _check(found: Pillow.Image) -> None:
    width, height = found.size
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise StageError(
            f"the picture has {width} x {height} pixels; {MAX_PIXELS // 10**6} million are too many"
        )
    if min(width, height) < 8:
        raise StageError(f"the picture has only {width} x {height} pixels")


def _flat(found: Pillow.Image) -> Pillow.Image:
    """Return a picture without transparency, on white."""
    if found.mode in ("RGBA", "LA", "PA") or "transparency" in found.info:
        seen = found.convert("RGBA")
        white = Pillow.new("RGBA", seen.size, (255, 255, 255, 255))
        return Pillow.alpha_composite(white, seen).convert("RGB")
    return found.convert("RGB")
