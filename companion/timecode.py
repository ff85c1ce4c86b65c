"""The one clock: whole milliseconds since the container's start.

What comes in (ticks, seconds, fractions of a time base) is converted here and nowhere else.
"""

from fractions import Fraction

TICKS_PER_MS = 10_000  # Jellyfin counts 100 ns ticks


def ms_from_pts(pts: int, time_base: Fraction, start_ms: int = 0) -> int:
    """Return the presentation time in ms after the container's start.

    pts: presentation time stamp in units of time_base (seconds). Halves round to even.
    """
    return round(pts * time_base * 1000) - start_ms


def ms_from_seconds(seconds: float) -> int:
    """Return whole milliseconds; 61.2 gives 61200."""
    return round(seconds * 1000)


def seconds_from_ms(ms: int) -> float:
    """Return seconds with at most three decimals, so that ms_from_seconds gives ms back."""
    return round(ms / 1000, 3)


def ms_from_ticks(ticks: int) -> int:
    """Return the whole milliseconds of a Jellyfin tick count (100 ns each), rounded down."""
    return ticks // TICKS_PER_MS


def ticks_from_ms(ms: int) -> int:
    """Return Jellyfin ticks."""
    return ms * TICKS_PER_MS


def clock(ms: int) -> str:
    """Return what people read: 0:07, 12:03, 1:02:03. Fractions of a second are dropped.

    >>> clock(3_723_900)
    '1:02:03'
    """
    seconds = max(0, ms) // 1000
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def ms_from_clock(text: str) -> int:
    """Return the ms of `1:02:03`, `12:03`, `7` or `61.2`.

    Raises ValueError if the text is none of these or a part of 60 or more follows another.
    """
    parts = text.strip().split(":")
    if not 1 <= len(parts) <= 3 or not all(part.replace(".", "", 1).isascii() for part in parts):
        raise ValueError(f"{text!r} is not a time such as 1:02:03")
    try:
        whole = [int(part) for part in parts[:-1]]
        seconds = float(parts[-1])
    except ValueError:
        raise ValueError(f"{text!r} is not a time such as 1:02:03") from None
    if any(part < 0 for part in whole) or not 0 <= seconds < float("inf"):
        raise ValueError(f"{text!r} is not a time such as 1:02:03")
    if any(part >= 60 for part in (*whole[1:], seconds if whole else 0)):
        raise ValueError(f"{text!r} has more than 59 minutes or seconds in one place")
    minutes = 0
    for part in whole:
        minutes = minutes * 60 + part
    return ms_from_seconds(minutes * 60 + seconds)
