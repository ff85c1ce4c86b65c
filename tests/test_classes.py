"""EfficientNet-Lite0 on real pictures, its tags, and words by way of the names of classes."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st

from scanners import classes, looking, models, picture, runtime
from scanners.base import Options, StageError
from scanners.looking import LOOKS, WORDS, Look
from scanners.picture import PictureWords
from tests import tiny_texts
from tests.models_fixture import Need, models_folder, need_model
from tests.pictures import CLASSES, demo, seeing

__all__ = ["models_folder", "need_model", "seeing"]


@pytest.fixture(autouse=True)
def nothing_loaded() -> Iterator[None]:
    picture._kept.clear()
    yield
    picture._kept.clear()
    runtime.let_go()


# --- EfficientNet-Lite0 ---------------------------------------------------------------------------


Seen = Callable[[str], Look]


@pytest.fixture
def seen(seeing: Options) -> Seen:
    return lambda name: picture.look_at(demo(name), seeing)[0]


@pytest.mark.parametrize(
    ("name", "tag"),
    [("coffee", "espresso"), ("camera", "tripod"), ("chelsea", "Egyptian Mau")],
)
def test_real_pictures_are_tagged_with_what_they_show(seen: Seen, name: str, tag: str) -> None:
    tags = seen(name).tags
    assert tags[0][0] == tag
    assert all(classes.TAG_FLOOR <= chance <= 1 for _, chance in tags)
    assert list(tags) == sorted(tags, key=lambda one: -one[1])


def test_the_same_picture_gives_the_same_vectors_alone_and_in_a_batch(seeing: Options) -> None:
    model = picture.looker(seeing)
    names = ["astronaut", "camera", "chelsea", "coffee", "rocket"]
    ready = [model.prepare(demo(name)) for name in names]
    together = model.look(ready)
    for one, look in zip(ready, together, strict=True):
        (alone,) = model.look([one])
        for space in (LOOKS, WORDS):
            assert look.vectors[space] @ alone.vectors[space] == pytest.approx(1, abs=1e-5)
            assert np.linalg.norm(look.vectors[space]) == pytest.approx(1, abs=1e-5)
        assert look.vectors[LOOKS].shape == (1280,)
        assert look.vectors[WORDS].shape == (tiny_texts.DIMS,)
    again = model.look(ready)
    assert all(
        np.array_equal(a.vectors[LOOKS], b.vectors[LOOKS])
        for a, b in zip(together, again, strict=True)
    )


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket", "hubble"])
def test_a_picture_is_nearer_to_its_changed_self_than_to_any_other(
    seeing: Options, name: str
) -> None:
    original = demo(name)
    height, width = original.shape[:2]
    changed = original[height // 12 :, : width - width // 12][:, ::-1]  # cropped and flipped
    changed = cv2.resize(changed, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    _, small = cv2.imencode(".jpg", changed, [cv2.IMWRITE_JPEG_QUALITY, 40])
    query, _ = picture.look_at(np.asarray(cv2.imdecode(small, 1), np.uint8), seeing)
    likeness = {
        other: float(query.vectors[LOOKS] @ picture.look_at(demo(other), seeing)[0].vectors[LOOKS])
        for other in ("astronaut", "camera", "chelsea", "coffee", "rocket", "hubble")
    }
    assert max(likeness, key=likeness.__getitem__) == name


def test_the_space_of_words_belongs_to_both_models(seeing: Options) -> None:
    model = picture.looker(seeing)
    assert model.model == models.identity(CLASSES)
    assert model.words_model == f"{models.identity(CLASSES)}+{tiny_texts.NAME}"
    assert model.words_model == models.words_identity(seeing.roles)
    assert PictureWords(seeing).model == model.words_model


def test_without_a_text_model_pictures_have_no_words_but_looks_and_tags(tmp_path: Path) -> None:
    options = Options(models=os.fsencode(tmp_path), roles={"picture": CLASSES})
    look, model = picture.look_at(demo("coffee"), options)
    assert model.words_model == models.words_identity(options.roles) == ""
    assert list(look.vectors) == [LOOKS]
    assert look.tags[0][0] == "espresso"


def test_a_text_model_that_is_missing_is_said_and_may_come_later(tmp_path: Path) -> None:
    options = Options(models=os.fsencode(tmp_path), roles={"picture": CLASSES, "meaning": "use-m3"})
    with pytest.raises(StageError, match="use-m3") as caught:
        picture.look_at(demo("coffee"), options)
    assert not caught.value.permanent


def test_the_names_of_classes_are_what_people_would_type(tmp_path: Path) -> None:
    options = Options(models=os.fsencode(tmp_path), roles={"picture": CLASSES})
    model: Any = picture.looker(options)
    names = model.names
    assert len(names) == 1000
    assert all(name and name == name.strip() for name in names)
    assert not [name for name in names if any(sign in name for sign in "()/,;_")]
    assert len(set(names)) >= 998


# --- words by way of class names ------------------------------------------------------------------


def test_a_certain_class_gives_the_vector_of_its_name() -> None:
    vectors = looking.unit(np.random.default_rng(0).normal(0, 1, (50, 16)))
    chances = np.zeros((1, 50), np.float32)
    chances[0, 7] = 1
    assert classes.conse(chances, vectors)[0] == pytest.approx(vectors[7], abs=1e-6)


@given(st.integers(0, 1000), st.integers(11, 60))
def test_words_come_from_the_ten_best_classes_at_unit_length(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    vectors = looking.unit(random.normal(0, 1, (count, 8)))
    chances = classes.softmax(random.normal(0, 3, (3, count)).astype(np.float32))
    found = classes.conse(chances, vectors)
    for row, made in zip(chances, found, strict=True):
        best = np.argsort(-row)[: classes.BEST]
        wanted = (row[best, None] * vectors[best]).sum(axis=0)
        assert made == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-5)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)


def test_probabilities_add_up_to_one_however_large_the_logits() -> None:
    chances = classes.softmax(np.array([[1e4, 0.0, -1e4], [1.0, 2.0, 3.0]], np.float32))
    assert chances.sum(axis=1) == pytest.approx([1, 1])
    assert chances[0] == pytest.approx([1, 0, 0])


def test_classes_of_one_name_count_together() -> None:
    chances = np.array([0.2, 0.2, 0.35, 0.25], np.float32)
    found = classes.tags(chances, ["sunglasses", "sunglasses", "pug", "cat"])
    assert found == (("sunglasses", 0.4), ("pug", 0.35))


def test_the_vectors_of_class_names_are_made_once_and_kept(seeing: Options, tmp_path: Path) -> None:
    tiny_texts.TinyTexts.encoded = 0
    first, _ = picture.look_at(demo("coffee"), seeing)
    assert tiny_texts.TinyTexts.encoded == 1000
    (kept,) = (tmp_path / "models" / "class-vectors").iterdir()
    assert kept.name.startswith(models.words_identity(seeing.roles))
    picture._kept.clear()
    second, _ = picture.look_at(demo("coffee"), seeing)
    assert tiny_texts.TinyTexts.encoded == 1000
    assert np.array_equal(first.vectors[WORDS], second.vectors[WORDS])


@pytest.mark.parametrize("damage", [b"", b"not numpy", b"\x93NUMPY\x01\x00"])
def test_kept_vectors_that_are_damaged_are_made_again(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "vectors.npy"
    path.write_bytes(damage)
    made = classes.kept(path, 3, lambda: np.eye(3, dtype=np.float32))
    assert np.array_equal(made, np.eye(3))
    assert np.array_equal(np.load(path), np.eye(3))


def test_kept_vectors_of_another_number_of_classes_are_made_again(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"
    np.save(path, np.eye(4, dtype=np.float32))
    assert classes.kept(path, 3, lambda: np.eye(3, dtype=np.float32)).shape == (3, 3)


def test_vectors_that_cannot_be_kept_are_made_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    made = classes.kept(tmp_path / "file" / "no.npy", 2, lambda: np.eye(2, dtype=np.float32))
    assert np.array_equal(made, np.eye(2))


def test_words_of_four_languages_find_the_right_picture(need_model: Need) -> None:
    folder = need_model("use-m3")
    options = Options(
        models=os.fsencode(folder), roles={"picture": CLASSES, "meaning": "use-m3"}, threads=2
    )
    names = ["astronaut", "camera", "chelsea", "coffee", "rocket"]
    pictures = np.stack([picture.look_at(demo(name), options)[0].vectors[WORDS] for name in names])
    asked = {
        "a cat": "chelsea",
        "고양이": "chelsea",
        "eine Tasse Kaffee": "coffee",
        "une fusée": "rocket",
        "a photographer": "camera",
    }
    vectors = [np.frombuffer(one, "<f2") for one in PictureWords(options).encode(list(asked))]
    found = [names[int(np.argmax(pictures @ vector))] for vector in vectors]
    assert dict(zip(asked, found, strict=True)) == asked
