"""Towers: pictures and texts are made ready as in training, and the same towers run three ways."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from onnx import TensorProto, helper

from companion.errors import ModelMissing
from scanners import engines, models, picture, runtime
from scanners.base import Options, StageError
from scanners.looking import WORDS
from scanners.resample import resample
from scanners.towers import (
    KEPT_SIDE,
    SIGLIP_TOKENS,
    OnnxTowers,
    Texts,
    batches,
    immich_rules,
    kept_size,
    siglip_texts,
    transformers_rules,
)
from tests import tiny_onnx
from tests.pictures import noise
from tests.tiny_towers import DIMS, SIDE, SIGLIP_PICTURES, WORDS_KNOWN, tokenizer_file, write

LENGTH = 12


IMMICH_PICTURES = {
    "size": [SIDE, SIDE],
    "mode": "RGB",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "interpolation": "bicubic",
    "resize_mode": "squash",
}


@pytest.fixture(autouse=True)
def nothing_open() -> Iterator[None]:
    yield
    picture._kept.clear()
    runtime.let_go()


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """Write a pair of towers in the folder layout of Immich's models."""
    folder = tmp_path / "pair"
    tiny_onnx.picture_tower(folder / "visual" / "model.onnx", SIDE, DIMS)
    tiny_onnx.text_tower(folder / "textual" / "model.onnx", LENGTH, len(WORDS_KNOWN), DIMS)
    tokenizer_file(folder / "textual" / "tokenizer.json")
    write(folder / "textual" / "tokenizer_config.json", {"pad_token": "<pad>"})
    write(folder / "visual" / "preprocess_cfg.json", IMMICH_PICTURES)
    write(
        folder / "config.json",
        {"text_cfg": {"context_length": LENGTH, "tokenizer_kwargs": {"clean": "canonicalize"}}},
    )
    return folder


def towers(pair: Path) -> OnnxTowers:
    return OnnxTowers(pair.parent, f"siglip-onnx:{pair}", Options(threads=1))


@pytest.mark.parametrize(
    ("height", "width", "wanted"),
    [
        (100, 200, (100, 200)),
        (1280, 640, (1024, 512)),
        (360, 6400, (58, 1024)),
        (1, 9000, (1, 1024)),
    ],
)
def test_waiting_pictures_are_not_larger_than_need_be(
    height: int, width: int, wanted: tuple[int, int]
) -> None:
    assert kept_size(np.zeros((height, width, 3), np.uint8)).shape[:2] == wanted
    assert max(wanted) <= KEPT_SIDE


# --- how pictures are made ready ------------------------------------------------------------------


def test_the_whole_picture_is_squashed_into_the_square(tmp_path: Path) -> None:
    rules = transformers_rules(write(tmp_path / "p.json", SIGLIP_PICTURES))
    one = noise(1, 40, 100)
    (pixels,) = rules.pixels([one])
    assert pixels.shape == (3, SIDE, SIDE)
    wanted = resample(one, SIDE, SIDE, "bilinear").astype(float) / 127.5 - 1
    assert pixels.transpose(1, 2, 0) == pytest.approx(wanted, abs=1e-6)


def test_open_clip_may_ask_for_the_middle_instead(tmp_path: Path) -> None:
    said = {**IMMICH_PICTURES, "resize_mode": "shortest", "size": SIDE, "mean": [0.1, 0.2, 0.3]}
    rules = immich_rules(write(tmp_path / "p.json", said))
    one = noise(1, 40, 100)
    (pixels,) = rules.pixels([one])
    middle = resample(one[:, 30:70], SIDE, SIDE, "bicubic").astype(float) / 255
    assert pixels.transpose(1, 2, 0) == pytest.approx((middle - [0.1, 0.2, 0.3]) / 0.5, abs=1e-5)


@pytest.mark.parametrize(
    "change",
    [{"resample": 1}, {"size": {"height": 3, "width": 4}}, {"size": {}}, {"do_center_crop": True}],
)
def test_an_unknown_way_to_make_pictures_ready_is_refused(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    with pytest.raises(ModelMissing, match=r"p\.json: .* not known here"):
        transformers_rules(write(tmp_path / "p.json", {**SIGLIP_PICTURES, **change}))


@pytest.mark.parametrize("change", [{"resize_mode": "longest"}, {"interpolation": "nearest"}])
def test_an_unknown_way_of_open_clip_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ModelMissing, match="not known here"):
        immich_rules(write(tmp_path / "p.json", {**IMMICH_PICTURES, **change}))


@pytest.mark.parametrize("said", [{}, {"pad_token": {}}, {"pad_token": "<none>"}])
def test_a_pair_whose_tokenizer_says_too_little_is_refused(
    pair: Path, said: dict[str, Any]
) -> None:
    write(pair / "textual" / "tokenizer_config.json", said)
    with pytest.raises(ModelMissing, match=r"tokenizer(_config)?\.json"):
        towers(pair)


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_rules_that_cannot_be_read_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(ModelMissing, match=r"p\.json"):
        transformers_rules(path)


# --- how texts are made ready ---------------------------------------------------------------------


def test_texts_end_with_eos_and_are_filled_up_to_their_length(tmp_path: Path) -> None:
    texts = siglip_texts(tokenizer_file(tmp_path / "t.json"))
    (row,) = texts.rows(["a cat"])
    assert row.tolist() == [4, 5, 1] + [0] * (SIGLIP_TOKENS - 3)
    assert row.dtype == np.int64


def test_a_text_that_is_too_long_still_ends_with_eos(tmp_path: Path) -> None:
    texts = siglip_texts(tokenizer_file(tmp_path / "t.json"))
    (row,) = texts.rows(["cat " * 500])
    assert row.tolist() == [5] * (SIGLIP_TOKENS - 1) + [1]


def test_capitals_and_spaces_do_not_count(tmp_path: Path) -> None:
    texts = siglip_texts(tokenizer_file(tmp_path / "t.json"))
    rows = texts.rows(["A Cat  in\n the GARDEN", "a cat in the garden"])
    assert np.array_equal(rows[0], rows[1])


def test_punctuation_counts_unless_the_model_was_trained_without(tmp_path: Path) -> None:
    path = tokenizer_file(tmp_path / "t.json")
    with_it = Texts(path, LENGTH, "<pad>", lower=True, clean=False).rows(["a cat !"])
    without = Texts(path, LENGTH, "<pad>", lower=True, clean=True).rows(["a cat !"])
    assert with_it[0, :4].tolist() == [4, 5, 10, 1]
    assert without[0, :3].tolist() == [4, 5, 1]


def test_a_tokenizer_that_cannot_be_read_or_filled_up_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    with pytest.raises(ModelMissing, match=r"broken\.json cannot be read as a tokenizer"):
        siglip_texts(broken)
    with pytest.raises(ModelMissing, match="no token '<fill>'"):
        Texts(tokenizer_file(tmp_path / "t.json"), 9, "<fill>", lower=True, clean=True)


# --- a pair without torch -------------------------------------------------------------------------


def test_pictures_and_texts_get_unit_vectors_in_one_space(pair: Path) -> None:
    made = towers(pair)
    pictures = made.encode_pictures([noise(1), noise(2, 300, 200), noise(3, 31, 33)])
    texts = made.encode_texts(["a cat", "the dog in the garden"])
    assert (pictures.shape, texts.shape) == ((3, DIMS), (2, DIMS))
    assert np.linalg.norm(np.concatenate([pictures, texts]), axis=1) == pytest.approx(1, abs=1e-5)
    assert made.encode_texts([]).shape[0] == 0


def test_a_batch_gives_what_each_gives_alone(pair: Path) -> None:
    made = towers(pair)
    many = [noise(seed) for seed in range(11)]
    together = made.encode_pictures(many)
    alone = np.concatenate([made.encode_pictures([one]) for one in many])
    assert together == pytest.approx(alone, abs=1e-5)
    assert np.array_equal(together, made.encode_pictures(many))
    texts = ["a cat", "a dog", "the garden", "cat cat", "in the garden a dog"]
    assert made.encode_texts(texts) == pytest.approx(
        np.concatenate([made.encode_texts([one]) for one in texts]), abs=1e-5
    )


@pytest.mark.parametrize("batch", [1, 4])
def test_a_tower_exported_for_a_fixed_batch_is_fed_in_its_portions(pair: Path, batch: int) -> None:
    many = [noise(seed) for seed in range(6)]
    free = towers(pair).encode_pictures(many)
    runtime.let_go()
    tiny_onnx.picture_tower(pair / "visual" / "model.onnx", SIDE, DIMS, batch=batch)
    assert towers(pair).encode_pictures(many) == pytest.approx(free, abs=1e-5)


@pytest.mark.parametrize("numbers", [TensorProto.INT32, TensorProto.INT64])
def test_tokens_are_given_in_the_type_that_the_tower_wants(pair: Path, numbers: int) -> None:
    wanted = towers(pair).encode_texts(["a cat"])
    runtime.let_go()
    tiny_onnx.text_tower(
        pair / "textual" / "model.onnx", LENGTH, len(WORDS_KNOWN), DIMS, numbers=numbers
    )
    assert towers(pair).encode_texts(["a cat"]) == pytest.approx(wanted, abs=1e-6)


def test_what_was_said_to_the_text_tower_is_what_the_files_say(pair: Path) -> None:
    made = towers(pair)
    same = made.encode_texts(["A cat!", "a cat"])
    assert np.array_equal(same[0], same[1]), "canonicalize: no capitals, no punctuation"
    write(pair / "config.json", {"text_cfg": {"context_length": LENGTH}})
    differ = towers(pair).encode_texts(["A cat !", "a cat"])
    assert not np.array_equal(differ[0], differ[1])


def test_only_the_tower_that_is_needed_is_opened(pair: Path) -> None:
    made = towers(pair)
    assert runtime.let_go(1e9) == 0
    made.encode_texts(["a cat"])
    assert runtime.let_go(1e9) == 1
    made.encode_pictures([noise(1)])
    assert runtime.let_go(1e9) == 2


def test_a_pair_plays_the_role_of_pictures(pair: Path) -> None:
    options = Options(roles={"picture": f"siglip-onnx:{pair}"}, threads=1)
    look, model = picture.look_at(noise(1), options)
    assert list(look.vectors) == [WORDS]
    assert look.tags == ()
    assert model.model == model.words_model == models.identity(f"siglip-onnx:{pair}")
    (vector,) = picture.PictureWords(options).encode(["a cat"])
    assert len(vector) == DIMS * 2


def test_a_pair_that_lacks_a_file_is_refused_with_its_name(pair: Path) -> None:
    (pair / "visual" / "preprocess_cfg.json").unlink()
    with pytest.raises(StageError, match=r"visual/preprocess_cfg\.json is missing"):
        engines.load("picture", Options(roles={"picture": f"siglip-onnx:{pair}"}))


def test_a_file_with_two_inputs_is_no_tower(pair: Path) -> None:
    tiny_onnx.save(
        pair / "textual" / "model.onnx",
        [helper.make_node("Add", ["input_ids", "attention_mask"], ["sum"])],
        {
            "input_ids": (TensorProto.FLOAT, ("n", 4)),
            "attention_mask": (TensorProto.FLOAT, ("n", 4)),
        },
        {"sum": (TensorProto.FLOAT, ("n", 4))},
    )
    with pytest.raises(
        ModelMissing, match="inputs input_ids, attention_mask; a tower must have one"
    ):
        towers(pair).encode_texts(["a cat"])


def test_a_file_without_vectors_is_no_tower(pair: Path) -> None:
    tiny_onnx.save(
        pair / "visual" / "model.onnx",
        [helper.make_node("Identity", ["image"], ["same"])],
        {"image": (TensorProto.FLOAT, ("n", 3, SIDE, SIDE))},
        {"same": (TensorProto.FLOAT, ("n", 3, SIDE, SIDE))},
    )
    with pytest.raises(ModelMissing, match="no tower"):
        towers(pair).encode_pictures([noise(1)])


def test_the_layout_of_transformers_exports_is_read_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = models.MODELS["siglip2-base-onnx"]
    folder = tmp_path / "siglip2-base-onnx"
    tiny_onnx.picture_tower(folder / row.files[0].path, SIDE, DIMS)
    tiny_onnx.text_tower(
        folder / row.files[1].path, SIGLIP_TOKENS, 11, DIMS, numbers=TensorProto.INT64
    )
    write(folder / "preprocessor_config.json", SIGLIP_PICTURES)
    tokenizer_file(folder / "tokenizer.json")
    made = OnnxTowers(tmp_path, "siglip2-base-onnx", Options(threads=1))
    assert made.model == "siglip2-base-onnx@c0573e"
    assert made.encode_pictures([noise(1)]).shape == (1, DIMS)
    assert made.encode_texts(["a cat", "a dog"]).shape == (2, DIMS)


@given(st.lists(st.integers(), max_size=30), st.integers(1, 12))
def test_batches_keep_every_item_and_the_order(items: list[int], size: int) -> None:
    found = list(batches(items, size))
    assert [one for some in found for one in some] == items
    assert all(1 <= len(some) <= size for some in found)
