"""Finds faces in the samples and joins them into tracks: one for each person in each scene.

Faces are found as samples come; who is who is told when a scene closes, shot by shot, so a track
never crosses a cut or the end of a scene. Poor faces stay in their track and are counted, but do
not vote on its vector; a track of nothing else says why it cannot be named and has no vector.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from scanners import models
from scanners.base import Finding, MediaInfo, Options, Scan, Scene, Shot, Track, TrackBox
from scanners.embedders import SIDE, OnnxEmbedder, align
from scanners.frames import Image, to_jpeg
from scanners.runtime import Session, session
from scanners.tracks import Face, Piece, link
from scanners.yunet import Detected, YuNet

DETECTION = "face_detection"  # the roles in the model table
EMBEDDING = "face_embedding"
MAX_FACES = 12  # of a sample, the largest: a crowd has no names
LEAST_HEIGHT = 20  # px; what is smaller is a dot, and no use to anybody
MIN_HEIGHT = 28  # px of a sample of 960; below it SFace knows people again worse, see README
GOOD_HEIGHT = 80  # px; from here on more pixels change nothing
MIN_SHARPNESS = 0.06  # of `sharpness`; blur of 3 % of the face's height, cosine 0.65 to itself
GOOD_SHARPNESS = 0.5
MAX_TURN = 0.5  # of the distance of the eyes; the nose is that far off at some 42 degrees
PITCH = (0.25, 0.55, 0.85)  # where the nose lies between eyes (0) and mouth (1): least, best, most
MIN_SCORE = 0.75  # of the detector
GOOD_SCORE = 1.0
MAX_HIDDEN = 0.15  # of the box; with more cut off, SFace falls to a cosine of 0.7 to the whole face
THUMBNAIL = 160  # px, both ways
MARGIN = 0.4  # of the larger side of the box, around it in the thumbnail


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What is kept of a face until its scene closes: (112, 112, 3) for the model, and a JPEG."""

    face: Face
    aligned: Image | None
    thumbnail: bytes


class Faces:
    """The stage of the picture pass. Holds 45 KB a face, until its scene closes."""

    name: ClassVar[str] = "faces"
    wants_frames: ClassVar[bool] = False
    sample_side: ClassVar[int] = 960

    def __init__(self, scan: Scan, media: MediaInfo) -> None:
        self._stills = Path(os.fsdecode(scan.stills)) if scan.stills else None
        self._begin = scan.resume_ms
        self.model = models.identity(scan.options.roles.get(EMBEDDING, "sface"))
        self._detector, self._embedder = load(scan.options)
        self._seen: list[_Seen] = []
        self._cuts: list[int] = []
        self._faces = self._tracks = 0

    @property
    def note(self) -> str:
        """How much was found, for people."""
        tracks = f"{self._tracks} track" + "s" * (self._tracks != 1)
        return f"faces seen: {self._faces}, in {tracks}" if self._faces else ""

    def frame(self, frame: Any) -> Iterable[Finding]:
        return ()

    def sample(self, sample: Any) -> Iterable[Finding]:
        if sample.ms >= self._begin:
            found = [one for one in self._detector.find(sample.rgb) if one.height >= LEAST_HEIGHT]
            largest = sorted(found, key=lambda one: -one.height)[:MAX_FACES]
            self._seen += [_look(sample.rgb, sample.ms, one) for one in largest]
        return ()

    def shot(self, shot: Shot, signature: tuple[float, ...]) -> Iterable[Finding]:
        self._cuts.append(shot.end_ms)
        return ()

    def scene(self, scene: Scene) -> Iterator[Finding]:
        seen = [one for one in self._seen if one.face.ms < scene.end_ms]
        cuts = [cut for cut in self._cuts if scene.start_ms < cut < scene.end_ms]
        self._seen = [one for one in self._seen if one.face.ms >= scene.end_ms]
        self._cuts = [cut for cut in self._cuts if cut > scene.end_ms]
        number = 0
        for start, end in pairwise([scene.start_ms, *cuts, scene.end_ms]):
            shown = [one for one in seen if start <= one.face.ms < end]
            for track in self._tracks_of(shown, (start, end), number):
                number += 1
                yield track

    def finish(self, end_ms: int) -> Iterable[Finding]:
        return ()

    def _tracks_of(self, seen: list[_Seen], span: tuple[int, int], number: int) -> Iterator[Track]:
        """Give the tracks of one shot's part of a scene. number: how many the scene has already."""
        kept = {id(one.face): one for one in seen}

        def embed(face: Face) -> NDArray[np.float32]:
            aligned = kept[id(face)].aligned
            assert aligned is not None  # only a face with a reject has none, and it never votes
            return self._embedder.embed(aligned)

        pieces = link((one.face for one in seen), embed, self._embedder.same)
        for offset, piece in enumerate(pieces):
            self._faces += len(piece.faces)
            self._tracks += 1
            thumbnail = self._keep(kept[id(piece.best)], number + offset)
            yield as_track(piece, span, thumbnail)

    def _keep(self, seen: _Seen, number: int) -> str:
        """Write a thumbnail and return its name; "" where nobody asked for stills."""
        if self._stills is None:
            return ""
        name = f"face-{seen.face.ms}-{number}.jpg"
        self._stills.mkdir(parents=True, exist_ok=True)
        (self._stills / name).write_bytes(seen.thumbnail)
        return name


def load(options: Options) -> tuple[YuNet, OnnxEmbedder]:
    """Return the detector and the embedder that the options choose.

    Raises ModelMissing if a file is not there or has other bytes.
    """
    chosen = options.roles.get(EMBEDDING, "sface")
    detector = YuNet(_session(options, options.roles.get(DETECTION, "yunet")))
    kind = models.model(chosen).engine
    return detector, OnnxEmbedder(_session(options, chosen), kind)


def _session(options: Options, name: str) -> Session:
    folder = models.ensure(Path(os.fsdecode(options.models)), name)
    return session(folder / models.model(name).files[0].path, threads=options.threads)


def as_track(piece: Piece, span: tuple[int, int], thumbnail: str) -> Track:
    """Return the finding. span: start and end in ms of what the piece was seen in.

    The track starts with its first sighting and ends before the first sample that no longer shows
    it, which is a second later at most; it never leaves its span.
    """
    faces, best = piece.faces, piece.best
    vector = piece.vector
    return Track(
        start_ms=faces[0].ms,
        end_ms=min(span[1], faces[-1].ms + 1_000),
        frame_count=len(faces),
        boxes=tuple(TrackBox(face.ms, *(round(value, 4) for value in face.box)) for face in faces),
        quality=round(best.quality, 3),
        best_ms=best.ms,
        vector=b"" if vector is None else vector.astype("<f2").tobytes(),
        thumbnail=thumbnail,
        reject=best.reject,
    )


# --- one face ------------------------------------------------------------------------------------


def _look(rgb: Image, ms: int, found: Detected) -> _Seen:
    """Return what is worth keeping of a face."""
    height, width = rgb.shape[:2]
    left, top = max(0.0, found.x), max(0.0, found.y)
    right, bottom = min(width, found.x + found.width), min(height, found.y + found.height)
    box = (left / width, top / height, (right - left) / width, (bottom - top) / height)
    shown = (right - left) * (bottom - top) / (found.width * found.height)
    aligned = align(rgb, found.landmarks)
    quality, reject = judge(found, sharpness(aligned), shown)
    face = Face(ms=ms, box=box, quality=quality, reject=reject)
    kept = None if reject else aligned
    return _Seen(face=face, aligned=kept, thumbnail=thumbnail(rgb, found))


def judge(found: Detected, sharp: float, shown: float) -> tuple[float, str]:
    """Return a face's quality, from 0 to 1, and in words why it is too poor; "" if it is not.

    sharp: of `sharpness`. shown: the part of its box that lies in the picture, from 0 to 1.
    """
    turn, pitch = pose(found.landmarks)
    least, best, most = PITCH
    nod = (pitch - least) / (best - least) if pitch < best else (most - pitch) / (most - best)
    marks = (
        (_part(found.height, MIN_HEIGHT * 0.75, GOOD_HEIGHT), found.height < MIN_HEIGHT, "small"),
        (_part(shown, 0.6, 1), shown < 1 - MAX_HIDDEN, "cut off"),
        (_part(MAX_TURN * 1.2 - abs(turn), 0, MAX_TURN), abs(turn) > MAX_TURN, "turned"),
        (_part(nod, -0.2, 0.6), nod < 0, "turned"),
        (_part(sharp, MIN_SHARPNESS / 2, GOOD_SHARPNESS), sharp < MIN_SHARPNESS, "blurred"),
        (_part(found.score, 0.5, GOOD_SCORE), found.score < MIN_SCORE, "unsure"),
    )
    quality = float(np.prod([mark for mark, _, _ in marks]) ** (1 / len(marks)))
    return quality, next((REASONS[why] for _, poor, why in marks if poor), "")


REASONS = {
    "small": "too small",
    "cut off": "cut off by the edge of the picture",
    "turned": "turned away",
    "blurred": "blurred",
    "unsure": "hardly to be told from the background",
}


def _part(value: float, low: float, high: float) -> float:
    """Return where value lies between low (0.01: no mark undoes all others) and high (1)."""
    return float(np.clip((value - low) / (high - low), 0.01, 1))


def pose(landmarks: NDArray[np.float32]) -> tuple[float, float]:
    """Return how far a face is turned and nods, from five landmarks.

    The first: how far the nose lies from the middle of the eyes, along them, in distances of the
    eyes; 0 is straight ahead. The second: where the nose lies on the way from the eyes (0) to the
    mouth (1); 0.55 is straight ahead.
    """
    left, right, nose = landmarks[0], landmarks[1], landmarks[2]
    eyes, mouth = (left + right) / 2, (landmarks[3] + landmarks[4]) / 2
    apart = float(np.linalg.norm(right - left))
    if apart == 0:
        return np.inf, PITCH[1]
    along = (right - left) / apart
    down = np.array([-along[1], along[0]])
    length = float((mouth - eyes) @ down)
    turn = float((nose - eyes) @ along) / apart
    return turn, float((nose - eyes) @ down) / length if length > 0 else np.inf


def sharpness(aligned: Image) -> float:
    """Return how sharp an aligned face is: 0.5 in good film, 0.05 where it is hard to know again.

    The variance of the Laplacian at half size, by the variance of the brightness, over the middle
    of the face: film grain and lighting hardly change it.
    """
    middle = cv2.cvtColor(aligned, cv2.COLOR_RGB2GRAY)[16 : SIDE - 12, 16 : SIDE - 16]
    half = cv2.resize(middle, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    spread = float(np.var(half))
    return float(np.var(cv2.Laplacian(half, cv2.CV_32F))) / spread if spread > 0 else 0.0


def thumbnail(rgb: Image, found: Detected) -> bytes:
    """Return a square JPEG of a face with some room around it, as far as the picture goes."""
    side = max(found.width, found.height) * (1 + 2 * MARGIN)
    height, width = rgb.shape[:2]
    side = max(2.0, min(side, width, height))
    left = np.clip(found.x + found.width / 2 - side / 2, 0, width - side)
    top = np.clip(found.y + found.height / 2 - side / 2, 0, height - side)
    cut = rgb[int(top) : int(top + side), int(left) : int(left + side)]
    return to_jpeg(np.ascontiguousarray(cut), THUMBNAIL)
