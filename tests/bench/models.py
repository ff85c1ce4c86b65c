"""What the models of pictures cost: CPU time for each scene, and how near SigLIP is to its floor.

The floor of a tower is its arithmetic, 2 x parameters x tokens, at the speed at which this very
machine multiplies large matrices, in the same numbers. Both are CPU time of one thread, measured in
turn, so that what else runs here falls out. Needs the extra [gpu] for that part.

    python -m tests.bench.models
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from scanners import engines, models, picture, runtime
from scanners.base import MediaInfo, Options, PictureVector, Scan, Scene, Shot
from scanners.decode import Reader
from scanners.dissolves import Dissolves, open_model
from scanners.faces import Faces
from scanners.frames import Image, Sample
from scanners.models import Hub, Model, ModelFile
from scanners.onscreen import Onscreen
from tests.films import make_film
from tests.lettering import SIZE, clouds, write as written
from tests.portrait import eileen, placed, scaled
from tests.quality.speech import MODELS
from tests.tiny_towers import tokenizer_file, write

SHOT_S, SHOTS = 6.0, 8
PICTURES, ROUNDS = 8, 3  # of the floor
GEMM = 1536  # rows and columns
SIGLIP_BASE = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 16,
}
TOKENS = (224 // 16) ** 2
WITH_TORCH = bool(find_spec("torch") and find_spec("transformers"))
LIMITS = {"siglip_base_share_of_floor": ">= 0.50"} if WITH_TORCH else {}


def measure(folder: Path) -> dict[str, float]:
    """Return CPU ms for each scene of 6 s, and the share of the floor, 0..1."""
    figures = {**_picture(folder), **_dissolves(folder), **_seen(folder)}
    if WITH_TORCH:
        figures |= _siglip(folder)
    return figures


# --- the embedded models -------------------------------------------------------------------------


def _picture(folder: Path) -> dict[str, float]:
    film = make_film(folder / "scenes.mkv", shots=(SHOT_S,) * SHOTS, size=(640, 360))
    samples = [
        item
        for item in Reader(os.fsencode(film.path), sample_side=picture.SAMPLE_SIDE)
        if isinstance(item, Sample)
    ]
    options = Options(models=os.fsencode(folder), roles={"picture": "efficientnet-lite0"})
    media = MediaInfo(container="none", duration_ms=film.duration_ms)
    picture.look_at(samples[0].rgb, options)  # the model is loaded
    stage = picture.Picture(Scan(id=1, path=b"", stages=("picture",), options=options), media)
    found = []
    begun = time.process_time()
    for number in range(SHOTS):
        start, end = round(number * SHOT_S * 1000), round((number + 1) * SHOT_S * 1000)
        for sample in samples:
            if start <= sample.ms < end:
                stage.sample(sample)
        found += list(stage.scene(Scene(start, end, start)))
    found += list(stage.finish(film.duration_ms))
    spent = time.process_time() - begun
    frames = sum(isinstance(one, PictureVector) and one.space == "looks" for one in found)
    return {
        "picture_cpu_ms_a_scene": spent * 1000 / SHOTS,
        "picture_frames_a_scene": frames / SHOTS,
        "picture_cpu_ms_a_frame": spent * 1000 / max(1, frames),
    }


def _seen(folder: Path) -> dict[str, float]:
    """Return CPU ms for each scene of faces and of text: with some to see, and with none."""
    if not models.present(MODELS, "pp-ocr"):
        return {}
    options = Options(models=os.fsencode(MODELS.resolve()), roles=models.PROFILES["embedded"])
    face = placed(scaled(eileen(), 1.4), 300, 40, SIZE)
    text = written(clouds(), "We should never have come", y=480)
    figures: dict[str, float] = {}
    for kind, shown in (("nothing", clouds()), ("something", written(face, "A title", y=500))):
        samples = [np.roll(shown, 4 * second, axis=1) for second in range(int(SHOT_S))]
        samples = samples if kind == "nothing" else [*samples[:3], *[text] * 3]
        for stage in (Faces, Onscreen):
            figures[f"{stage.name}_cpu_ms_a_scene_of_{kind}"] = _cpu_ms(stage, samples, options)
    runtime.let_go()
    return figures


def _cpu_ms(stage: Any, samples: list[Image], options: Options) -> float:
    """Return the CPU ms of a stage for a scene of these samples, the second time it sees one."""
    media = MediaInfo(container="none", duration_ms=round(2 * SHOT_S * 1000))
    made = stage(Scan(id=1, path=b"", stages=(stage.name,), options=options), media)
    spent = 0.0
    for turn in range(2):
        start = round(turn * SHOT_S * 1000)
        begun = time.process_time()
        for number, rgb in enumerate(samples):
            list(made.sample(Sample(ms=start + number * 1000, rgb=rgb, sharpness=1.0)))
        list(made.shot(Shot(start, start + round(SHOT_S * 1000)), ()))
        list(made.scene(Scene(start, start + round(SHOT_S * 1000), start)))
        spent = time.process_time() - begun
    return spent * 1000


def _dissolves(folder: Path) -> dict[str, float]:
    options = Options(models=os.fsencode(folder), roles={"shots": "transnetv2"})
    session, _ = open_model(options)
    frames = [item for item in Reader(os.fsencode(folder / "scenes.mkv")) if hasattr(item, "bgr")]
    frames = frames[:250]
    detector = Dissolves(session, 25.0)
    begun = time.process_time()
    for frame in frames:
        list(detector.feed(frame))
    list(detector.finish())
    spent = time.process_time() - begun
    runtime.let_go()
    return {
        "dissolves_cpu_ms_a_scene": spent * 1000 / len(frames) * 25 * SHOT_S,
        "dissolves_frames_a_cpu_s": len(frames) / spent,
    }


# --- SigLIP beside its floor ---------------------------------------------------------------------


def _siglip(folder: Path) -> dict[str, float]:
    torch = engines.import_module("torch")
    made: Any = _random_siglip(folder)
    pictures = [_noise(seed) for seed in range(PICTURES)]
    made.encode_pictures(pictures[:2])
    parameters = sum(one.numel() for one in made._towers["SiglipVisionModel"].parameters())
    work = 2 * parameters * TOKENS * len(pictures)
    left = torch.randn(GEMM, GEMM, dtype=made._place.numbers)
    right = torch.randn(GEMM, GEMM, dtype=made._place.numbers)
    shares, speeds = [], []
    for _ in range(ROUNDS):
        speed = max(2 * GEMM**3 / _cpu_s(lambda: left @ right) for _ in range(4))
        speeds.append(speed)
        shares.append(work / speed / _cpu_s(lambda: made.encode_pictures(pictures)))
    spent = work / statistics.median(speeds) / statistics.median(shares)
    return {
        "siglip_base_share_of_floor": statistics.median(shares),
        "siglip_base_cpu_ms_a_frame": spent * 1000 / len(pictures),
        "siglip_base_gflops_a_cpu_s_of_gemm": statistics.median(speeds) / 1e9,
        "siglip_base_bits": float(made._place.numbers.itemsize * 8),
    }


def _random_siglip(folder: Path) -> Any:
    """Return the engine with a SigLIP whose picture tower has the true size and random weights."""
    transformers = engines.import_module("transformers")
    transformers.utils.logging.set_verbosity_error()
    small = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    text = {**small, "num_attention_heads": 2, "vocab_size": 16, "projection_size": 768}
    config = transformers.SiglipConfig(text_config=text, vision_config=SIGLIP_BASE)
    place = folder / "random-siglip"
    transformers.SiglipModel(config).save_pretrained(str(place))
    rules = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2}
    write(place / "preprocessor_config.json", {**rules, "size": {"height": 224, "width": 224}})
    tokenizer_file(place / "tokenizer.json")
    files = ("model.safetensors", "config.json", "preprocessor_config.json", "tokenizer.json")
    models.MODELS["random-siglip"] = Model(
        role="picture",
        engine="siglip",
        files=tuple(
            ModelFile(name, (place / name).stat().st_size, models.sha256_of(place / name))
            for name in files
        ),
        sources=(Hub("none/none", "0" * 40),),
        licence="none",
    )
    roles = {"picture": "random-siglip"}
    options = Options(models=os.fsencode(folder), roles=roles, threads=1)
    return engines.load("picture", options)


def _cpu_s(run: Callable[[], object]) -> float:
    begun = time.process_time()
    run()
    return time.process_time() - begun


def _noise(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (360, 640, 3)).astype(np.uint8)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for figure, value in measure(Path(scratch)).items():
            print(f"{figure:40} {value:.3f}")
