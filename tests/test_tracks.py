"""Which faces of a shot are one person's. People here are directions in space; no pictures."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from scanners.boxes import Box, overlap
from scanners.tracks import VOTES, Face, Piece, link

DIMS = 32
SAME = 0.363

Vector = NDArray[np.float32]


def person(number: int) -> Vector:
    """Return the direction of a person; two people are at right angles."""
    return np.eye(DIMS, dtype=np.float32)[number]


def seen(number: int, noise: float, seed: int) -> Vector:
    """Return a person's direction as a model sees it: cosine about 1 / sqrt(1 + noise²)."""
    random = np.random.default_rng(seed).normal(size=DIMS)
    mixed = person(number) + noise * random / np.linalg.norm(random)
    return np.asarray(mixed / np.linalg.norm(mixed), np.float32)


class Cast:
    """Makes faces of known people and plays the model; remembers which faces it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Face] = []
        self._who: dict[int, Vector] = {}
        self._names: dict[int, int] = {}

    def face(
        self,
        who: int,
        ms: int,
        box: Box,
        *,
        quality: float = 0.8,
        reject: str = "",
        noise: float = 0.5,
    ) -> Face:
        face = Face(ms=ms, box=box, quality=quality, reject=reject)
        self._names[id(face)] = who
        self._who[id(face)] = seen(who, noise, seed=len(self._who))
        return face

    def embed(self, face: Face) -> Vector:
        self.asked.append(face)
        return self._who[id(face)]

    def people(self, piece: Piece) -> set[int]:
        return {self._names[id(face)] for face in piece.faces}


@pytest.fixture
def cast() -> Cast:
    return Cast()


def at(x: float, y: float = 0.3, size: float = 0.2) -> Box:
    return (x, y, size, size)


def people_of(cast: Cast, pieces: Iterable[Piece]) -> list[set[int]]:
    return [cast.people(piece) for piece in pieces]


def test_a_face_that_stays_is_one_track(cast: Cast) -> None:
    faces = [cast.face(0, second * 1000, at(0.4 + 0.02 * second)) for second in range(6)]

    (track,) = link(faces, cast.embed, SAME)

    assert track.faces == faces
    assert track.vector is not None
    assert float(track.vector @ person(0)) > 0.9


def test_only_the_best_faces_of_a_track_are_turned_into_vectors(cast: Cast) -> None:
    qualities = [0.3, 0.9, 0.5, 0.8, 0.4, 0.7, 0.2]
    faces = [cast.face(0, n * 1000, at(0.4), quality=q) for n, q in enumerate(qualities)]

    (track,) = link(faces, cast.embed, SAME)

    assert sorted(face.quality for face in cast.asked) == [0.7, 0.8, 0.9]
    assert len(track.votes) == VOTES
    assert track.best.quality == 0.9


def test_two_people_side_by_side_are_two_tracks(cast: Cast) -> None:
    faces = [
        cast.face(who, second * 1000, at(0.1 + 0.5 * who)) for second in range(4) for who in (0, 1)
    ]

    tracks = link(faces, cast.embed, SAME)

    assert people_of(cast, tracks) == [{0}, {1}]
    assert [len(track.faces) for track in tracks] == [4, 4]


def test_someone_who_walks_across_the_picture_is_one_track(cast: Cast) -> None:
    faces = [cast.face(0, second * 1000, at(0.25 * second)) for second in range(4)]
    assert overlap(faces[0].box, faces[1].box) == 0

    (track,) = link(faces, cast.embed, SAME)

    assert [face.ms for face in track.faces] == [0, 1000, 2000, 3000]


def test_two_people_who_change_places_keep_their_tracks(cast: Cast) -> None:
    places = [(0.1, 0.6), (0.1, 0.6), (0.6, 0.1), (0.6, 0.1)]
    faces = [
        cast.face(who, second * 1000, at(place[who]))
        for second, place in enumerate(places)
        for who in (0, 1)
    ]

    tracks = link(faces, cast.embed, SAME)

    assert people_of(cast, tracks) == [{0}, {1}]


def test_someone_who_comes_back_after_a_while_is_the_same_track(cast: Cast) -> None:
    faces = [cast.face(0, ms, at(0.2)) for ms in (0, 1000, 2000)]
    faces += [cast.face(0, ms, at(0.7)) for ms in (12_000, 13_000)]

    (track,) = link(faces, cast.embed, SAME)

    assert len(track.faces) == 5


def test_a_stranger_in_the_same_place_is_another_track(cast: Cast) -> None:
    faces = [cast.face(0, ms, at(0.4)) for ms in (0, 1000)]
    faces += [cast.face(1, ms, at(0.4)) for ms in (2000, 3000)]

    tracks = link(faces, cast.embed, SAME)

    assert people_of(cast, tracks) == [{0}, {1}]


def test_a_track_never_holds_two_faces_of_one_sample(cast: Cast) -> None:
    """A mirror, or a poster of the same person: alike, and still two."""
    faces = [cast.face(0, second * 1000, at(x)) for second in range(3) for x in (0.1, 0.7)]

    tracks = link(faces, cast.embed, SAME)

    assert len(tracks) == 2
    for track in tracks:
        assert len({face.ms for face in track.faces}) == len(track.faces)


def test_poor_faces_stay_in_the_track_and_do_not_vote(cast: Cast) -> None:
    faces = [
        cast.face(0, 0, at(0.4)),
        cast.face(0, 1000, at(0.42), quality=0.2, reject="blurred", noise=9),
        cast.face(0, 2000, at(0.44)),
    ]

    (track,) = link(faces, cast.embed, SAME)

    assert len(track.faces) == 3
    assert faces[1] not in cast.asked
    assert track.best is not faces[1]


def test_a_poor_face_that_has_moved_goes_to_its_only_neighbour(cast: Cast) -> None:
    faces = [
        cast.face(0, 0, at(0.30)),
        cast.face(0, 1000, at(0.42), quality=0.2, reject="turned away"),
        cast.face(1, 0, at(0.8)),
    ]

    tracks = link(faces, cast.embed, SAME)

    assert people_of(cast, tracks) == [{0}, {1}]


def test_a_poor_face_between_two_people_is_given_to_neither(cast: Cast) -> None:
    faces = [
        cast.face(0, 0, at(0.30)),
        cast.face(1, 0, at(0.46)),
        cast.face(0, 1000, at(0.38), quality=0.2, reject="turned away"),
    ]

    tracks = link(faces, cast.embed, SAME)

    assert [len(track.faces) for track in tracks] == [1, 1, 1]


def test_a_track_of_poor_faces_alone_says_why_and_has_no_vector(cast: Cast) -> None:
    faces = [
        cast.face(0, 0, at(0.4), quality=0.1, reject="too small"),
        cast.face(0, 1000, at(0.4), quality=0.3, reject="blurred"),
    ]

    (track,) = link(faces, cast.embed, SAME)

    assert track.vector is None
    assert track.best.reject == "blurred"
    assert cast.asked == []


def test_without_faces_there_are_no_tracks(cast: Cast) -> None:
    assert link([], cast.embed, SAME) == []


def test_a_better_face_weighs_more_in_the_vector() -> None:
    good = Face(ms=0, box=at(0.4), quality=0.9)
    poor = Face(ms=1000, box=at(0.4), quality=0.3)
    piece = Piece([good, poor], [(good, person(0)), (poor, person(1))])

    vector = piece.vector

    assert vector is not None
    assert vector[0] == pytest.approx(3 * vector[1])
    assert np.linalg.norm(vector) == pytest.approx(1)


# --- properties ----------------------------------------------------------------------------------

fractions = st.floats(0, 1, allow_nan=False)


sightings = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 8), fractions, fractions, st.booleans(), fractions),
    max_size=25,
)


@given(sightings)
def test_every_face_is_in_exactly_one_track_and_nobody_is_there_twice(
    shown: list[tuple[int, int, float, float, bool, float]],
) -> None:
    cast = Cast()
    faces = [
        cast.face(who, second * 1000, at(x, y), quality=q, reject="blurred" if poor else "")
        for who, second, x, y, poor, q in shown
    ]

    tracks = link(faces, cast.embed, SAME)

    assert sorted(id(face) for track in tracks for face in track.faces) == sorted(map(id, faces))
    for track in tracks:
        times = [face.ms for face in track.faces]
        assert times == sorted(set(times))
        assert (track.vector is None) == all(face.reject for face in track.faces)


@given(sightings, st.randoms(use_true_random=False))
def test_the_order_in_which_faces_of_a_sample_come_changes_nothing(
    shown: list[tuple[int, int, float, float, bool, float]], random: object
) -> None:
    cast = Cast()
    faces = [
        cast.face(who, second * 1000, at(x, y), quality=0.5 + q / 2)
        for who, second, x, y, _, q in {one[:4]: one for one in shown}.values()
    ]
    shuffled = list(faces)
    getattr(random, "shuffle")(shuffled)  # noqa: B009  # hypothesis gives it no type

    def parts(tracks: list[Piece]) -> set[frozenset[int]]:
        return {frozenset(id(face) for face in track.faces) for track in tracks}

    assert parts(link(faces, cast.embed, SAME)) == parts(link(shuffled, cast.embed, SAME))
