"""Turns HDR pictures into what an ordinary screen shows, in numpy.

FFmpeg's own way needs a library that PyAV's wheels do not carry, and only stills, samples and clips
need it. Light is measured in units of reference white (203 cd/m2, ITU-R BT.2408): it is left alone
up to KNEE and bent smoothly above, so that the brightest highlight of PEAK just reaches white.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

REFERENCE_WHITE = 203.0  # cd/m2, ITU-R BT.2408 table 1
PEAK = 1000.0  # cd/m2; what most films are graded for and what HLG's reference display shows
KNEE = 0.6  # of reference white
_STEPS = 4096  # a PQ step of 1/4096 is below what the eye sees (that is what 12-bit PQ is)

# BT.2020 to BT.709 primaries, linear light; ITU-R BT.2087, inverse of its M2
_TO_709 = np.array(
    [
        [1.6605, -0.5876, -0.0728],
        [-0.1246, 1.1329, -0.0083],
        [-0.0182, -0.1006, 1.1187],
    ],
    np.float32,
)
_LUMINANCE_2020 = np.array([[0.2627, 0.6780, 0.0593]], np.float32)  # ITU-R BT.2020 table 4


def pq_light(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return cd/m2 of PQ codes in [0, 1]; the EOTF of SMPTE ST 2084."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = code ** (1 / m2)
    light: NDArray[np.float64] = (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return light * 10_000


def hlg_scene(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scene light in [0, 1] of HLG codes in [0, 1]; the inverse OETF of ITU-R BT.2100."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)


def roll_off(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bend light (in reference whites) into [0, 1]: itself up to KNEE, from there PEAK at 1."""
    span = 1 - KNEE
    most = (PEAK / REFERENCE_WHITE - KNEE) / span
    over = np.clip((light - KNEE) / span, 0, most)
    bent = KNEE + span * over * (1 + over / most**2) / (1 + over)  # Reinhard's extended curve
    return np.where(light <= KNEE, light, bent).astype(np.float32)


@lru_cache(maxsize=2)
def _decode_table(transfer: str) -> NDArray[np.float32]:
    codes = np.linspace(0, 1, _STEPS)
    if transfer == "pq":
        return (pq_light(codes) / REFERENCE_WHITE).astype(np.float32)
    return hlg_scene(codes).astype(np.float32)


@lru_cache(maxsize=1)
def _srgb_table() -> NDArray[np.uint8]:
    """Return 8-bit sRGB codes (IEC 61966-2-1) of _STEPS equal steps of light."""
    light = np.linspace(0, 1, _STEPS)
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(code * 255).astype(np.uint8)


def to_sdr(rgb: NDArray[np.uint16], transfer: str) -> NDArray[np.uint8]:
    """Return an 8-bit sRGB picture of a BT.2020 one.

    rgb: (height, width, 3), full range over 16 bits, still in its transfer curve, "pq" or "hlg".
    """
    light = _decode_table(transfer).take(rgb >> 4)
    if transfer == "hlg":  # the OOTF of a 1000 cd/m2 display, ITU-R BT.2100: gamma 1.2
        scene = np.maximum(cv2.transform(light, _LUMINANCE_2020), 1e-6)
        light *= (scene**0.2 * (PEAK / REFERENCE_WHITE))[..., None]
    brightest = np.maximum(light.max(axis=2), 1e-6)  # one factor for the three keeps the hue
    light *= (roll_off(brightest) / brightest)[..., None]
    narrow = np.clip(cv2.transform(light, _TO_709), 0, 1)
    return _srgb_table().take((narrow * (_STEPS - 1)).astype(np.uint16))
