"""`heimdex servers`: setting up from a terminal, with no secret in an argument or a line."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from companion.cli import app
from companion.server_commands import TOKEN_VARIABLE
from tests.home import put_files
from tests.plex_house import OWNER, House, house

Command = Callable[..., Coroutine[Any, Any, Result]]


@pytest.fixture
async def around() -> AsyncIterator[House]:
    async with house() as opened:
        yield opened


@pytest.fixture
def heimdex(tmp_path: Path) -> Command:
    """A command in a thread, while the server answers in this one."""

    async def run(*words: str, token: str = OWNER) -> Result:
        environ = {"HEIMDEX_DATA_DIR": str(tmp_path / "data"), TOKEN_VARIABLE: token}
        arguments = ["servers", *words]
        return await asyncio.to_thread(CliRunner(env=environ).invoke, app, arguments)

    return run


async def add(heimdex: Command, around: House) -> Result:
    return await heimdex("add", around.server.url, "--kind", "plex", "--token", "--name", "Attic")


async def test_a_server_is_set_up_listed_and_forgotten(heimdex: Command, around: House) -> None:
    added = await add(heimdex, around)
    assert added.exit_code == 0, added.output
    assert "Attic is set up" in added.output
    assert 'heimdex servers paths "Attic"' in added.output
    (told,) = json.loads((await heimdex("list", "--json")).output)
    assert (told["name"], told["kind"], told["url"]) == ("Attic", "plex", around.server.url)
    gone = await heimdex("remove", "attic")
    assert "Attic is forgotten" in gone.output
    assert "heimdex servers add" in (await heimdex("list")).output


async def test_no_line_and_no_file_shows_the_token(
    heimdex: Command, around: House, tmp_path: Path
) -> None:
    said = [await add(heimdex, around), await heimdex("list"), await heimdex("list", "--json")]
    assert not any(OWNER in each.output for each in said)
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert files
    assert not any(OWNER.encode() in path.read_bytes() for path in files)


async def test_a_wrong_token_keeps_nothing(heimdex: Command, around: House) -> None:
    refused = await heimdex(
        "add", around.server.url, "--kind", "plex", "--token", token="wrong-token-of-nobody"
    )
    assert refused.exit_code == 1
    assert "wrong-token" not in refused.output
    assert json.loads((await heimdex("list", "--json")).output) == []


async def test_rights_are_told_and_decide_the_status(heimdex: Command, around: House) -> None:
    await add(heimdex, around)
    assert (await heimdex("check", "Attic")).exit_code == 0
    around.world.sections.clear()
    checked = await heimdex("check", "Attic")
    assert checked.exit_code == 1
    assert "NO" in checked.output


async def test_libraries_are_chosen_by_name(heimdex: Command, around: House) -> None:
    await add(heimdex, around)
    chosen = await heimdex("libraries", "Attic", "--only", "Films", "--only", "3")
    assert chosen.output.splitlines() == [
        "searched  Films  (1)",
        "left out  Shows  (2)",
        "searched  Family  (3)",
    ]
    unknown = await heimdex("libraries", "Attic", "--only", "Music")
    assert unknown.exit_code == 1
    assert "no library Music; known: Films" in str(unknown.exception or unknown.output)
    every = await heimdex("libraries", "Attic", "--all")
    assert "left out" not in every.output


async def test_paths_are_proposed_accepted_and_set(
    heimdex: Command, around: House, tmp_path: Path
) -> None:
    await add(heimdex, around)
    put_files(tmp_path / "media", around.world)
    lost = await heimdex("paths", "Attic")
    assert lost.exit_code == 1
    assert "not here /srv/media/" in lost.output
    proposed = await heimdex("paths", "Attic", "--look", str(tmp_path / "media"))
    assert "proposed: " in proposed.output
    accepted = await heimdex("paths", "Attic", "--look", str(tmp_path / "media"), "--accept")
    assert accepted.exit_code == 0, accepted.output
    assert "not here" not in accepted.output
    by_hand = await heimdex("paths", "Attic", "--map", f"/srv/media={tmp_path / 'elsewhere'}")
    assert by_hand.exit_code == 1
    assert f"in use: /srv/media = {tmp_path / 'elsewhere'}" in by_hand.output.replace("\n", "")


@pytest.mark.parametrize("text", ["/srv/media", "=/mnt", "/srv= "])
async def test_half_a_mapping_is_refused(heimdex: Command, around: House, text: str) -> None:
    assert (await heimdex("paths", "Attic", "--map", text)).exit_code == 2
