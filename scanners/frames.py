"""Turns decoded frames into what stages look at.

Two kinds: a small one of every frame (SMALL, picked straight from the Y, U and V planes, which
costs a small part of a colour conversion of the whole frame), and upright pictures in square pixels
and ordinary dynamic range of the few frames that are kept.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from scanners.hdr import to_sdr
from scanners.media import hdr_transfer, quarter_turns, shown_size

cv2.setNumThreads(1)  # these pictures are too small to share: a pool costs more than it gives

# px across and down, whatever the film's shape: shots are compared, not shown. Against 256 x 144
# scores move by 1 %, no cut of five films changed, and the pass costs a fifth less beside decoding.
SMALL = (192, 108)
_CHROMA = (SMALL[0] // 2, SMALL[1] // 2)
_ROWS = SMALL[1]
_U_ROWS = _ROWS // 4  # rows of full width that one quarter-size plane fills
JPEG_QUALITY = 82  # of 100; a 480 px still is then 20 to 40 KB

Image = NDArray[np.uint8]

_PLANAR = ("yuv4", "yuvj4", "yuva4")
_HALF_PLANAR_8 = {"nv12", "nv16", "nv24"}
_HALF_PLANAR_DEEP = {f"p{chroma}{bits}le" for chroma in "024" for bits in ("10", "12", "16")}
_BT709, _BT601, _BT2020 = 1, 5, 9  # AVCOL_SPC_*, and the same numbers as SWS_CS_*
_MATRICES = {0, 1, 4, 5, 6, 7, 9}  # what the scaler knows; 0 is RGB
_LIKE_BT2020 = {10, 14}  # its constant-luminance form and ICtCp (Dolby Vision): near enough
_RANGES = {0, 1, 2}
_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallFrame:
    """Every frame of the film, as stored: not turned, not tone-mapped.

    pts: in time_base, from the film's start. bgr: (108, 192, 3); luma: (108, 192).
    """

    ms: int
    pts: int
    time_base: Fraction
    bgr: Image
    luma: Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A frame that is worth a look, upright, in square pixels, SDR.

    rgb: (height, width, 3). sharpness: variance of the Laplacian of the small luma, from 0; compare
    it only within a film.
    """

    ms: int
    rgb: Image
    sharpness: float

    def jpeg(self, width: int) -> bytes:
        """Return it as a JPEG of at most `width` pixels across."""
        return to_jpeg(self.rgb, width)


def to_jpeg(rgb: Image, width: int) -> bytes:
    """Return a JPEG of at most `width` pixels across. rgb: (height, width, 3)."""
    height, wide = rgb.shape[:2]
    if wide > width:
        size = (width, max(1, round(height * width / wide)))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    made, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not made:
        raise ValueError(f"no JPEG can be made of {rgb.shape}")
    return data.tobytes()


# --- small frames --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plane:
    """How to read one plane: what is worked out once a film, because it costs more than reading."""

    height: int
    width: int  # values of a row: twice the pixels where U and V lie side by side
    paired: bool
    shift: int  # bits to drop; 0: the values are bytes


class Shrinker:
    """Makes small pictures of a film's frames, by nearest neighbour."""

    def __init__(self) -> None:
        self._fallback = VideoReformatter()
        self._layout: tuple[str, int, int] = ("", 0, 0)
        self._planes: list[_Plane] = []  # of that layout; empty if it cannot be read directly

    def small(self, frame: Any) -> tuple[Image, Image]:
        """Return the luma (108, 192) and the colours (108, 192, 3) in BGR."""
        layout = (frame.format.name, frame.width, frame.height)
        if layout != self._layout:
            self._layout, self._planes = layout, _planes(frame)
        layouts = self._planes
        if not layouts:
            frame = self._fallback.reformat(
                tamed(frame), *SMALL, "yuv420p", interpolation="POINT", threads=1
            )
            layouts = _planes(frame)
        planes = frame.planes
        # the layout that OpenCV calls I420: all of Y, then U and V at half size, row after row
        i420 = np.empty((_ROWS + 2 * _U_ROWS, SMALL[0]), np.uint8)
        i420[:_ROWS] = _picked(planes[0], layouts[0], SMALL)
        u, v = i420[_ROWS : _ROWS + _U_ROWS], i420[_ROWS + _U_ROWS :]
        if len(layouts) == 3:
            u[:] = _picked(planes[1], layouts[1], _CHROMA).reshape(_U_ROWS, SMALL[0])
            v[:] = _picked(planes[2], layouts[2], _CHROMA).reshape(_U_ROWS, SMALL[0])
        elif len(layouts) == 2:
            both = _picked(planes[1], layouts[1], _CHROMA)
            u[:] = both[:, :, 0].reshape(_U_ROWS, SMALL[0])
            v[:] = both[:, :, 1].reshape(_U_ROWS, SMALL[0])
        else:
            i420[_ROWS:] = 128
        bgr = np.asarray(cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420), np.uint8)
        return i420[:_ROWS], bgr


def _planes(frame: Any) -> list[_Plane]:
    """Return how to read a frame's Y, U and V, or Y and the pair UV, or Y alone; else nothing."""
    name = frame.format.name
    if name.startswith(_PLANAR) and not name.endswith("be"):
        count = 3
    elif name in _HALF_PLANAR_8 or name in _HALF_PLANAR_DEEP:
        count = 2
    elif name.startswith("gray") and not name.endswith(("be", "f32le", "f16le")):
        count = 1
    else:
        return []
    found = []
    for number, component in enumerate(frame.format.components[:count]):
        paired = count == 2 and number == 1
        # p010 and its kin keep the bits at the top of the word, the planar formats at the bottom
        top = name in _HALF_PLANAR_DEEP
        found.append(
            _Plane(
                height=component.height,
                width=component.width * (2 if paired else 1),
                paired=paired,
                shift=8 if top else component.bits - 8,
            )
        )
    return found


def _picked(plane: Any, layout: _Plane, size: tuple[int, int]) -> Image:
    """Return a plane at a size, 8 bits, (height, width) or (height, width, 2) where paired."""
    values: Any = np.frombuffer(plane, np.uint16 if layout.shift else np.uint8)
    stride = plane.line_size // values.itemsize
    rows = values[: stride * layout.height].reshape(layout.height, stride)[:, : layout.width]
    if layout.paired:
        rows = rows.reshape(layout.height, layout.width // 2, 2)
    small: Any = cv2.resize(rows, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(small >> layout.shift if layout.shift else small, np.uint8)


def sharpness(luma: Image) -> float:
    """Return the variance of the Laplacian of a small luma; higher is sharper."""
    _, deviation = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))
    return float(deviation[0, 0] ** 2)


# --- pictures to look at -------------------------------------------------------------------------


class Upright:
    """Makes RGB pictures that look as a player shows the film. One per film: it keeps its scaler.

    aspect: of one stored pixel, as the container says, or None.
    """

    def __init__(self, aspect: Any = None) -> None:
        self._aspect = aspect
        self._scaler = VideoReformatter()

    def size(self, frame: Any, *, side: int = 0, height: int = 0) -> tuple[int, int]:
        """Return the upright size: longest side at most `side`, or height at most `height`."""
        turn = quarter_turns(frame)
        wide, high = shown_size(frame.width, frame.height, self._aspect, turn)
        scale = min(1.0, side / max(wide, high) if side else 1.0, height / high if height else 1.0)
        return max(1, round(wide * scale)), max(1, round(high * scale))

    def rgb(self, frame: Any, size: tuple[int, int]) -> Image:
        """Return (height, width, 3) of a frame at an upright size."""
        turn = quarter_turns(frame)
        wide, high = size if turn % 180 == 0 else (size[1], size[0])
        transfer = hdr_transfer(frame.color_trc)
        frame = one_field(tamed(frame)) if frame.interlaced_frame else tamed(frame)
        scaled: Any = self._scaler.reformat(
            frame,
            wide,
            high,
            "rgb48le" if transfer else "rgb24",
            interpolation="AREA" if wide < frame.width else "BILINEAR",
            threads=1,
        ).to_ndarray()
        upright: Image = to_sdr(scaled, transfer) if transfer else scaled
        return upright if turn == 0 else np.asarray(cv2.rotate(upright, _TURNS[turn]), np.uint8)


def tamed(frame: Any) -> Any:
    """Return the frame with colour tags that the scaler takes: a wrong tag must not stop a film.

    Where the matrix is not said, or the scaler refuses it, it is what the size makes likely.
    """
    if frame.colorspace not in _MATRICES:
        wide_gamut = frame.colorspace in _LIKE_BT2020
        frame.colorspace = _BT2020 if wide_gamut else _BT709 if frame.height > 576 else _BT601
    if frame.color_range not in _RANGES:
        frame.color_range = 0
    return frame


def one_field(frame: Any) -> Any:
    """Return the first field of an interlaced frame: half as high, one moment, no comb.

    A filter that looks at neighbouring frames would do better, but samples have no neighbours.
    """
    field = av.VideoFrame(frame.width, frame.height // 2, frame.format.name)
    for source, target in zip(frame.planes, field.planes, strict=True):
        rows = np.frombuffer(source, np.uint8).reshape(-1, source.line_size)[::2]
        into = np.zeros((target.buffer_size // target.line_size, target.line_size), np.uint8)
        high = min(len(rows), len(into))
        wide = min(source.line_size, target.line_size)
        into[:high, :wide] = rows[:high, :wide]
        target.update(into.tobytes())
    field.colorspace = frame.colorspace
    field.color_range = frame.color_range
    return field
