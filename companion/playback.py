"""How a moment is shown here: a still of it, and something the page's player can play.

A browser gets the file itself when it can surely play it; otherwise a clip that the one-shot child
cuts and that is kept in the cache. Nothing here decodes.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from companion.config import Config
from companion.errors import MediaMissing
from companion.findings import AudioStream, MediaInfo, VideoStream
from companion.model import File
from companion.store import findings
from companion.store.db import Store

# Cutting takes a third of the film's time on two cores, more on a busy machine: begin with little,
# so that playing begins soon, and cut each next clip while the one before it plays.
CLIP_LENGTHS_S = (10, 20, 40, 60)
FIRST_CLIP_MS, CLIP_MS = CLIP_LENGTHS_S[0] * 1000, CLIP_LENGTHS_S[-1] * 1000
LEAD_MS = 5_000  # a clip begins this long before the moment, so that one can see what led to it
CLIPS_BYTES = 2_000_000_000  # the cache of clips; the least recently played go first
FRAMES_BYTES = 100_000_000  # the cache of single frames, some 20 kB each
STILL_WIDTH = 480
UNREAD_STEP_MS = 10_000  # between the stills of a film that has no scenes yet
LATE_START_MS = 50  # browsers disagree about files whose container starts later than this

MP4_AUDIO = frozenset({"aac", "mp3", "opus"})
WEBM_AUDIO = frozenset({"opus", "vorbis"})
WEBM_VIDEO = frozenset({"vp8", "vp9", "av1"})
MP4_SUFFIXES = frozenset({".mp4", ".m4v", ".mov"})
EIGHT_BIT = frozenset({"", "yuv420p", "yuvj420p"})


class Cutter(Protocol):
    """The part of `child.Children` that playing needs."""

    async def still(self, path: bytes, at_ms: int, to: Path, *, width: int = 480) -> None: ...

    async def clip(self, path: bytes, start_ms: int, end_ms: int, to: Path) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a player is given: the file itself (direct), or a clip that shows [start_ms, end_ms)."""

    path: Path
    content_type: str
    direct: bool
    start_ms: int
    end_ms: int


def direct_type(file: File) -> str | None:
    """Return the content type with which every current browser plays this file, or None.

    Decided from the container's own words and the name's ending: Matroska is not reliable even
    with codecs that are, and a file with a late start has two opinions about what 0:00 is.
    """
    media = file.media
    if media is None or media.video is None or not file.paths:
        return None
    if abs(media.start_ms) > LATE_START_MS:
        return None
    suffix = Path(os.fsdecode(file.paths[0])).suffix.lower()
    formats = set(media.container.lower().split(","))
    if suffix == ".webm" and "webm" in formats and _webm(media, media.video):
        return "video/webm"
    if suffix in MP4_SUFFIXES and formats & {"mp4", "mov"} and _mp4(media, media.video):
        return "video/mp4"
    return None


def clip_bounds(file: File, start_ms: int, length_ms: int = CLIP_MS) -> tuple[int, int]:
    """Return [start, end) of the clip that begins at start_ms, within the film."""
    start_ms = max(0, min(start_ms, file.duration_ms - 1))
    return start_ms, max(start_ms + 1, min(start_ms + length_ms, file.duration_ms))


def clip_start(at_ms: int) -> int:
    """Return where the clip for a moment begins: a little earlier, at a whole second."""
    return max(0, at_ms - LEAD_MS) // 1000 * 1000


class Playback:
    """Stills and clips of one installation."""

    def __init__(
        self, store: Store, config: Config, children: Cutter, *, limit: int = CLIPS_BYTES
    ) -> None:
        self._store = store
        self._stills = config.cache / "stills"
        self._clips = config.cache / "clips"
        self._frames = config.cache / "frames"
        self._children = children
        self._limit = limit
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    async def still(self, file: File, ms: int) -> Path:
        """Return the picture of the scene that plays at ms, made now if it is not there yet.

        Raises MediaMissing if the film is away, ScanFailed if no frame can be read.
        """
        scene = await self._store.read(findings.scene_at, file.id, ms)
        at_ms = scene.still_ms if scene else ms // UNREAD_STEP_MS * UNREAD_STEP_MS
        to = self._stills / file.public_id / f"{at_ms}.jpg"

        async def make(path: bytes, part: Path) -> None:
            await self._children.still(path, at_ms, part, width=STILL_WIDTH)

        return await self._once(file, to, make)

    async def frame(self, file: File, ms: int) -> Path:
        """Return the picture at ms itself, made now if nobody has asked before.

        Raises MediaMissing if the film is away, ScanFailed if no frame can be read.
        """
        still = self._stills / file.public_id / f"{ms}.jpg"
        if await asyncio.to_thread(still.is_file):
            return still
        to = self._frames / f"{file.public_id}-{ms}.jpg"

        async def make(path: bytes, part: Path) -> None:
            await self._children.still(path, ms, part, width=STILL_WIDTH)
            await asyncio.to_thread(trim, self._frames, FRAMES_BYTES, part)

        path = await self._once(file, to, make)
        await asyncio.to_thread(os.utime, path)
        return path

    async def preview(self, file: File, at_ms: int) -> Preview:
        """Return the file itself if browsers play it, else the clip around at_ms."""
        content_type = direct_type(file)
        if content_type is None:
            return await self.clip(file, clip_start(at_ms), FIRST_CLIP_MS)
        path = Path(os.fsdecode(await _present(file)))
        return Preview(
            path=path, content_type=content_type, direct=True, start_ms=0, end_ms=file.duration_ms
        )

    async def clip(self, file: File, start_ms: int, length_ms: int = CLIP_MS) -> Preview:
        """Return a part of the film from start_ms as an MP4, cut now if it is not in the cache.

        Raises MediaMissing if the film is away, ScanFailed if it cannot be read.
        """
        start_ms, end_ms = clip_bounds(file, start_ms, length_ms)
        to = self._clips / f"{file.public_id}-{start_ms}-{end_ms}.mp4"

        async def make(path: bytes, part: Path) -> None:
            await self._children.clip(path, start_ms, end_ms, part)
            await asyncio.to_thread(trim, self._clips, self._limit, part)

        path = await self._once(file, to, make)
        await asyncio.to_thread(os.utime, path)
        return Preview(
            path=path, content_type="video/mp4", direct=False, start_ms=start_ms, end_ms=end_ms
        )

    async def _once(
        self, file: File, to: Path, make: Callable[[bytes, Path], Awaitable[None]]
    ) -> Path:
        """Make `to` unless it is there; whoever asks meanwhile waits for the same one."""
        lock = self._locks.setdefault(to, asyncio.Lock())
        async with lock:
            if await asyncio.to_thread(to.is_file):
                return to
            path = await _present(file)
            part = to.with_name(f".{to.stem}.part{to.suffix}")
            await asyncio.to_thread(to.parent.mkdir, parents=True, exist_ok=True)
            try:
                await make(path, part)
                await asyncio.to_thread(part.replace, to)
            finally:
                await asyncio.to_thread(part.unlink, missing_ok=True)
        return to


def trim(folder: Path, limit: int, coming: Path) -> list[Path]:
    """Delete the files used longest ago, so that with `coming` they are `limit` bytes at most.

    Only files of the same kind as `coming`. Blocks. Returns what was deleted.
    """
    kept = [(entry.stat(), entry) for entry in folder.glob(f"[!.]*{coming.suffix}")]
    total = sum(stat.st_size for stat, _ in kept) + coming.stat().st_size
    gone: list[Path] = []
    for stat, entry in sorted(kept, key=lambda each: each[0].st_mtime_ns):
        if total <= limit:
            break
        entry.unlink(missing_ok=True)
        total -= stat.st_size
        gone.append(entry)
    return gone


async def _present(file: File) -> bytes:
    """Return the first path of the file that is there now."""
    for path in file.paths:
        if await asyncio.to_thread(os.path.isfile, path):
            return path
    raise MediaMissing(
        "the film is not where it was: it comes back with its folder, or is forgotten when the "
        "next look at the library finds it gone"
    )


def _mp4(media: MediaInfo, video: VideoStream) -> bool:
    return _sound(media, MP4_AUDIO) and (
        (video.codec == "h264" and video.pixel_format in EIGHT_BIT)
        or (video.codec in {"vp9", "av1"} and video.pixel_format in EIGHT_BIT)
    )


def _webm(media: MediaInfo, video: VideoStream) -> bool:
    return (
        video.codec in WEBM_VIDEO and video.pixel_format in EIGHT_BIT and _sound(media, WEBM_AUDIO)
    )


def _sound(media: MediaInfo, playable: frozenset[str]) -> bool:
    """A browser plays the first audio track, whatever the others are."""
    first: AudioStream | None = media.audio[0] if media.audio else None
    return first is None or first.codec in playable
