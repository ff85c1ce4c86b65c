"""Joins the faces of a shot into tracks: one for each person, as far as that can be told.

First by place: a face that sits where one sat a second before, with nobody else near, goes on.
Then by likeness: only the best few faces of such a piece are turned into vectors, because a vector
costs twice as much as finding the face, and pieces that look alike are joined. A piece whose own
faces do not look alike falls apart into single faces first. Pure: no pictures, no models.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from scanners.boxes import Box, overlap

VOTES = 3  # faces of a piece that are turned into vectors: see scanners/README.md
GAP_MS = 2_500  # between two sightings that may be one movement: a missed sample is bridged
STILL = 0.4  # overlap from which a face has stayed where it was
NEAR = 0.1  # overlap from which it may have moved on
ALONE = 0.5  # the second best overlap may be that part of the best, else it is anybody's guess
NEAR_BONUS = 0.06  # cosine; what place makes up for in likeness ...
FAR_MALUS = 0.09  # ... and what is asked for beyond `same` where place says nothing
LEAST_WEIGHT = 0.01  # of a vote
APART = 0.1  # cosine below `same`, at which two faces of one piece are two people

Vector = NDArray[np.float32]
Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A face in one sample. quality: from 0 to 1. reject: in words, why it does not vote; or ""."""

    ms: int
    box: Box
    quality: float
    reject: str = ""


@dataclass(slots=True)
class Piece:
    """Faces of one person, in order, one a sample at most; and the vectors of those that voted."""

    faces: list[Face]
    votes: list[tuple[Face, Vector]] = field(default_factory=list)

    @property
    def vector(self) -> Vector | None:
        """The mean of the votes, weighted by their quality, unit length; None without votes."""
        return self.direction if self.votes else None

    @property
    def direction(self) -> Vector:
        """The vector of a piece with votes."""
        weights = np.array([max(face.quality, LEAST_WEIGHT) for face, _ in self.votes], np.float32)
        total = weights @ np.stack([vector for _, vector in self.votes])
        return np.asarray(total / np.linalg.norm(total), np.float32)

    @property
    def best(self) -> Face:
        """The face that shows the person best: one that may vote, if there is one."""
        return max(self.faces, key=lambda face: (not face.reject, face.quality))


def link(faces: Iterable[Face], embed: Callable[[Face], Vector], same: float) -> list[Piece]:
    """Return the tracks of one shot, by their first face.

    embed: gives the unit vector of a face; asked for the best few of each piece only, never for a
    face with a reject. same: the cosine from which two faces are rather one person's.
    """
    pieces: list[Piece] = []
    for piece in _still(faces):
        _vote(piece, embed, VOTES)
        pieces += [piece] if _agrees(piece, same) else _singles(piece, embed)
    _join(pieces, same)
    _adopt(pieces)
    return sorted(pieces, key=lambda piece: (piece.faces[0].ms, piece.faces[0].box))


def _still(faces: Iterable[Face]) -> list[Piece]:
    """Join faces that stay where they are."""
    pieces: list[Piece] = []
    by_sample: dict[int, list[Face]] = {}
    for face in faces:
        by_sample.setdefault(face.ms, []).append(face)
    for ms in sorted(by_sample):
        open_pieces = [piece for piece in pieces if ms - piece.faces[-1].ms <= GAP_MS]
        taken: set[int] = set()
        for face in by_sample[ms]:
            number = _follows(face, by_sample[ms], open_pieces)
            if number is not None and number not in taken:
                taken.add(number)
                open_pieces[number].faces.append(face)
            else:
                pieces.append(Piece([face]))
    return pieces


def _follows(face: Face, beside: Sequence[Face], pieces: Sequence[Piece]) -> int | None:
    """Return the number of the piece that a face goes on, if there is no doubt about it."""
    if not pieces:
        return None
    there = [overlap(face.box, piece.faces[-1].box) for piece in pieces]
    number = max(range(len(there)), key=there.__getitem__)
    best = there[number]
    rivals = [value for other, value in enumerate(there) if other != number]
    rivals += [
        overlap(other.box, pieces[number].faces[-1].box) for other in beside if other is not face
    ]
    return number if best >= STILL and max(rivals, default=0.0) <= ALONE * best else None


def _vote(piece: Piece, embed: Callable[[Face], Vector], count: int) -> None:
    """Let the best faces of a piece vote; not two of the same look where there is a choice."""
    able = sorted((face for face in piece.faces if not face.reject), key=lambda face: -face.quality)
    piece.votes = [(face, embed(face)) for face in able[:count]]


def _agrees(piece: Piece, same: float) -> bool:
    """Say whether the votes of a piece look like one person."""
    pairs = combinations((vector for _, vector in piece.votes), 2)
    return all(float(one @ other) >= same - APART for one, other in pairs)


def _singles(piece: Piece, embed: Callable[[Face], Vector]) -> list[Piece]:
    """Take a piece of several people apart."""
    known = {face.ms: vector for face, vector in piece.votes}
    singles = [Piece([face]) for face in piece.faces]
    for single in singles:
        face = single.faces[0]
        if not face.reject:
            vector = known.get(face.ms)
            single.votes = [(face, embed(face) if vector is None else vector)]
    return singles


# --- joining by likeness -------------------------------------------------------------------------


def _join(pieces: list[Piece], same: float) -> None:
    """Join the two most alike pieces, again and again, until none are alike enough."""
    able = [piece for piece in pieces if piece.votes]
    alive = set(range(len(able)))
    worth = np.zeros((len(able), len(able)), np.float32)  # of a pair; symmetric
    for number in alive:
        _compare(able, worth, number, range(number), same)
    while alive and worth.max() > 0:
        one, other = (int(number) for number in np.unravel_index(worth.argmax(), worth.shape))
        _merge(pieces, able[one], able[other])
        alive.discard(other)
        worth[other, :] = worth[:, other] = 0
        _compare(able, worth, one, sorted(alive - {one}), same)


def _compare(
    able: Sequence[Piece], worth: Numbers, one: int, others: Sequence[int], same: float
) -> None:
    """Enter by how much a piece is more alike to others than it must be; 0 if it is not."""
    if not others:
        return
    alike = np.stack([able[other].direction for other in others]) @ able[one].direction - same
    worth[one, others] = worth[others, one] = 0
    for index in np.flatnonzero(alike > -NEAR_BONUS).tolist():
        other = others[index]
        if not _together(able[one], able[other]):
            near = _next_to(able[one], able[other], NEAR)
            least = -NEAR_BONUS if near else FAR_MALUS
            worth[one, other] = worth[other, one] = max(0.0, float(alike[index]) - least)


def _together(one: Piece, other: Piece) -> bool:
    """Say whether both are seen in one sample: nobody is there twice."""
    return not {face.ms for face in one.faces}.isdisjoint(face.ms for face in other.faces)


def _next_to(one: Piece, other: Piece, least: float) -> bool:
    """Say whether one goes on soon after the other, at about the same place."""
    order = sorted([*one.faces, *other.faces], key=lambda face: face.ms)
    ours = {id(face) for face in one.faces}
    return any(
        after.ms - before.ms <= GAP_MS and overlap(before.box, after.box) >= least
        for before, after in pairwise(order)
        if (id(before) in ours) != (id(after) in ours)
    )


def _merge(pieces: list[Piece], one: Piece, other: Piece) -> None:
    one.faces = sorted([*one.faces, *other.faces], key=lambda face: face.ms)
    one.votes = [*one.votes, *other.votes]
    # by identity: two pieces may be equal in all they hold
    pieces[:] = [piece for piece in pieces if piece is not other]


def _adopt(pieces: list[Piece]) -> None:
    """Give a piece without a vote to its only neighbour in place and time."""
    for poor in [piece for piece in pieces if not piece.votes]:
        near = [
            piece
            for piece in pieces
            if piece is not poor and not _together(piece, poor) and _next_to(piece, poor, NEAR)
        ]
        if len(near) == 1:
            _merge(pieces, near[0], poor)
