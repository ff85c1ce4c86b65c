"""Trying it: a data folder for each folder, and a demo library while the page already answers."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from companion import trial
from companion.app import App, opened
from companion.config import Folder
from companion.errors import CompanionError, ConfigError
from companion.trial import Trial, parts, prepare

MAKES = """
import pathlib, sys
folder = pathlib.Path(sys.argv[1])
print("making Lake (1984).mp4", flush=True)
folder.mkdir(exist_ok=True)
(folder / "Lake (1984).mp4").write_bytes(b"no film, but a file" * 99)
"""
FAILS = "print('making a film'); raise SystemExit('no space left')"
HANGS = "import time; print('taking a film', flush=True); time.sleep(3600)"


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program)


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"XDG_DATA_HOME": str(tmp_path / "share"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_each_folder_has_a_data_folder_of_its_own_and_shares_the_models(
    tmp_path: Path, home: dict[str, str]
) -> None:
    configs = []
    for name in ("a/Films", "b/Films"):
        (tmp_path / name).mkdir(parents=True)
        configs.append(prepare(tmp_path / name, changes={}, environ=home).config)
    again = prepare(tmp_path / "a/Films", changes={}, environ=home).config
    assert configs[0].data_dir == again.data_dir != configs[1].data_dir
    assert configs[0].data_dir.name.startswith("Films-")
    assert {config.models_folder for config in configs} == {tmp_path / "share/heimdex/models"}
    assert configs[0].folders == (Folder(path=tmp_path / "a/Films"),)
    assert not configs[0].data_dir.is_relative_to(tmp_path / "share" / "heimdex")


def test_a_data_folder_that_is_named_holds_everything(tmp_path: Path, home: dict[str, str]) -> None:
    environ = home | {"HEIMDEX_DATA_DIR": str(tmp_path / "here")}
    (tmp_path / "films").mkdir()
    config = prepare(tmp_path / "films", changes={"web.port": 7}, environ=environ).config
    assert config.data_dir == tmp_path / "here"
    assert config.models_folder == tmp_path / "here" / "models"
    assert config.web.port == 7


def test_without_a_folder_it_is_the_demo_library_outside_of_the_repository(
    tmp_path: Path, home: dict[str, str]
) -> None:
    tried = prepare(None, changes={}, environ=home)
    assert tried.demo == tmp_path / "cache" / "heimdex-demo"
    assert tried.config.folders == (Folder(path=tried.demo),)
    assert tried.config.data_dir == tmp_path / "share" / "heimdex-try" / "demo"


def test_a_folder_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(CompanionError, match="there is no folder"):
        prepare(tmp_path / "nowhere", changes={}, environ={})


def test_mistakes_of_the_settings_stop_it_too(tmp_path: Path, home: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        prepare(None, changes={"web.port": 99_999}, environ=home)


@pytest.fixture
def tried(home: dict[str, str]) -> Trial:
    return prepare(None, changes={"models.get": False}, environ=home)


@pytest.fixture
async def app(tried: Trial) -> AsyncIterator[tuple[App, Trial]]:
    async with opened(tried.config) as app:
        yield app, tried


async def test_the_demo_library_is_assembled_told_and_then_looked_at(
    app: tuple[App, Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    await app[0].sync.run_once()
    assert app[0].sync.notes() == ()
    notes: list[str] = []
    monkeypatch.setattr(
        type(app[0]), "note", property(lambda _: "", lambda _, n: notes.append(n)), raising=False
    )
    ((name, assemble),) = parts(app[1], app[0], python(MAKES))
    await assemble()
    assert name == "demo library"
    assert notes[1] == "Assembling the demo library, once: making Lake (1984).mp4"
    assert notes[-1] == ""
    assert (await app[0].indexer.status()).coverage.files == 1


async def test_a_demo_library_that_cannot_be_made_says_why(app: tuple[App, Trial]) -> None:
    ((_, assemble),) = parts(app[1], app[0], python(FAILS))
    with pytest.raises(CompanionError, match="no space left"):
        await assemble()
    assert app[0].note == ""


async def test_leaving_kills_the_program_that_assembles(app: tuple[App, Trial]) -> None:
    ((_, assemble),) = parts(app[1], app[0], python(HANGS))
    task = asyncio.ensure_future(assemble())
    while "taking a film" not in app[0].note:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert app[0].note == ""


async def test_a_folder_of_one_s_own_has_nothing_to_assemble(
    app: tuple[App, Trial], tmp_path: Path
) -> None:
    assert parts(Trial(config=app[1].config, demo=None), app[0]) == []


def test_the_demo_command_hands_on_the_exit_status(tmp_path: Path) -> None:
    assert trial.assemble(tmp_path / "demo", python(MAKES)) == 0
    assert (tmp_path / "demo" / "Lake (1984).mp4").exists()
    assert trial.assemble(tmp_path / "demo", python("raise SystemExit(1)")) == 1
