"""Turns a face into a vector: SFace, which is shipped, or AdaFace, whose file the owner brings.

Both look at the same thing, 112 x 112 pixels with eyes, nose and mouth at fixed places, and both
give a direction: faces of one person point the same way. Vectors of two models never meet.
"""

from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from scanners.base import StageError
from scanners.frames import Image
from scanners.runtime import Session

SIDE = 112  # px, both ways
TEMPLATE = np.array(  # where the landmarks go: OpenCV's FaceRecognizerSF and ArcFace use the same
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    np.float32,
)

Vector = NDArray[np.float32]


class Embedder(Protocol):
    """A model of faces.

    dims: length of its vectors. same: the cosine from which two faces are rather the same person's.
    """

    dims: int
    same: float

    def embed(self, face: Image) -> Vector:
        """Return the unit vector of an aligned face, (112, 112, 3) RGB."""
        ...


class _Kind(NamedTuple):
    """What a model wants to be shown."""

    dims: int
    same: float
    bgr: bool
    mean: float
    scale: float


KINDS = {
    # 0.363: the threshold of OpenCV Zoo's own example; the graph normalises by itself
    "sface": _Kind(128, 0.363, bgr=False, mean=0.0, scale=1.0),
    # (x / 255 - 0.5) / 0.5. 0.3: different people rarely reach it; not measured here, because the
    # weights are not ours to ship
    "adaface": _Kind(512, 0.3, bgr=True, mean=127.5, scale=1 / 127.5),
}


class OnnxEmbedder:
    """An ONNX file with one input of (1, 3, 112, 112) float32 and vectors as its first output.

    kind: a key of KINDS. Raises StageError if the file has another signature.
    """

    def __init__(self, session: Session, kind: str) -> None:
        self._session = session
        self._kind = KINDS[kind]
        self.dims = self._kind.dims
        self.same = self._kind.same
        self._input = next(iter(session.inputs))
        self._output = next(iter(session.outputs))
        shapes = list(session.inputs.values())
        if len(shapes) != 1 or shapes[0][1:] != [3, SIDE, SIDE]:
            raise StageError(
                f"{kind}: the file wants {shapes}, not faces of 3 x {SIDE} x {SIDE};"
                " export the model with that input"
            )

    def embed(self, face: Image) -> Vector:
        """Return the unit vector of an aligned face. Blocks some 45 ms on one core with SFace.

        Raises StageError if the model gives no direction or one of another length.
        """
        pixels = face[:, :, ::-1] if self._kind.bgr else face
        data = (pixels.astype(np.float32) - self._kind.mean) * self._kind.scale
        tensor = np.ascontiguousarray(data.transpose(2, 0, 1)[None], dtype=np.float32)
        found = self._session.run({self._input: tensor}, [self._output])
        vector = np.asarray(found[0], np.float32).reshape(-1)
        if vector.size != self.dims:
            raise StageError(f"the face model gives {vector.size} numbers, not {self.dims}")
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length) or length == 0:
            raise StageError("the face model gives no direction for a face: its file is damaged")
        return vector / np.float32(length)


# --- alignment -----------------------------------------------------------------------------------


def similarity(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (2, 3) turn, scale and shift that best brings five landmarks onto TEMPLATE.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    1991; in two dimensions it is one complex number.
    """
    middle, target = points.mean(axis=0), TEMPLATE.mean(axis=0)
    one, other = points - middle, TEMPLATE - target
    spread = float((one**2).sum())
    if spread == 0:
        raise ValueError("the landmarks lie on one point")
    a = float((one * other).sum()) / spread
    b = float((one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]).sum()) / spread
    turn = np.array([[a, -b], [b, a]])
    return np.asarray(np.hstack([turn, (target - turn @ middle)[:, None]]), np.float32)


def align(rgb: Image, landmarks: NDArray[np.float32]) -> Image:
    """Return the face as the models want it: (112, 112, 3) RGB. landmarks: (5, 2) in px."""
    matrix = similarity(landmarks)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if (
        scale < 0.5
    ):  # the warp looks at four pixels only and would make a coarse face of a large one
        shrink = 2 * scale
        rgb = np.asarray(
            cv2.resize(rgb, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8
        )
        matrix = similarity(landmarks * np.float32(shrink))
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(rgb, matrix, (SIDE, SIDE), borderMode=border), np.uint8)
