"""Boxes: (x, y, width, height) as fractions of the upright picture, origin top left."""

Box = tuple[float, float, float, float]


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over the union of two boxes, from 0 to 1."""
    shared = _shared(one, other)
    union = one[2] * one[3] + other[2] * other[3] - shared
    return min(1.0, shared / union) if union > 0 else 0.0


def covered(box: Box, other: Box) -> float:
    """Return how much of a box lies in another, from 0 to 1."""
    area = box[2] * box[3]
    return min(1.0, _shared(box, other) / area) if area > 0 else 0.0


def _shared(one: Box, other: Box) -> float:
    wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    high = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0.0
