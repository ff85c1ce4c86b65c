"""The Docker image, read instead of built: no engine is at hand where the tests run."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from companion.config import Web
from companion.settings import OWN_VARIABLES, load, variable
from companion.values import KEYS

ROOT = Path(__file__).parent.parent
DOCKER = ROOT / "docker"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def instructions() -> list[list[tuple[str, str]]]:
    """Return the stages of the Dockerfile, each a list of (instruction, its words)."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text(encoding="utf-8"))
    stages: list[list[tuple[str, str]]] = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            if name == "FROM":
                stages.append([])
            stages[-1].append((name, rest.strip()))
    return stages


def said(name: str, stage: int = -1) -> list[str]:
    return [rest for each, rest in instructions()[stage] if each == name]


def environment() -> dict[str, str]:
    words = [word for rest in said("ENV") for word in shlex.split(rest)]
    return dict(word.split("=", 1) for word in words)


@pytest.fixture
def compose() -> dict[str, Any]:
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    found = yaml.safe_load(text)["services"]["heimdex"]
    assert isinstance(found, dict)
    return found


def test_wheels_are_built_in_the_first_stage_with_the_pins_of_ci() -> None:
    (build,) = said("RUN", stage=0)
    assert shlex.split(build) == shlex.split(
        "pip wheel --no-cache-dir --wheel-dir /wheels -c tests/constraints.txt ."
    )


def test_the_second_stage_installs_those_wheels_without_an_index() -> None:
    assert len(instructions()) == 2
    (install,) = said("RUN")
    words = shlex.split(install)
    assert "--no-index" in words
    assert "heimdex-companion" in words  # no extra: the same as the README's `pip install .`
    assert words.count("install") == 3
    assert "COPY" not in {name for name, _ in instructions()[-1]}  # no source in the image


def test_the_install_step_of_the_readme_asks_for_the_same() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^pip install \. ", readme, re.MULTILINE)


def test_both_stages_have_one_python_that_the_project_supports() -> None:
    bases = {rest[0][1].split()[0] for rest in instructions()}
    assert len(bases) == 1
    (base,) = bases
    version = re.fullmatch(r"python:(\d+)\.(\d+)-slim-\w+", base)
    assert version is not None
    assert (int(version[1]), int(version[2])) >= (3, 11)


def test_whatever_is_copied_exists_and_is_let_through() -> None:
    kept = [
        line[1:]
        for line in (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    sources = [word for rest in said("COPY", stage=0) for word in rest.split()[:-1]]
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, pattern) for pattern in kept), source
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) <= set(sources)
    assert {"pyproject.toml", PROJECT["project"]["readme"], "LICENSE"} <= set(sources)


def test_it_runs_as_a_user_without_rights() -> None:
    (user,) = said("USER")
    assert user not in {"root", "0"}
    (run,) = said("RUN")
    assert f"useradd --uid 1000 --gid {user}" in run
    assert [name for name, _ in instructions()[-1]].index("USER") < len(instructions()[-1]) - 3


def test_data_and_media_are_volumes_and_the_data_folder_is_the_one_commands_use() -> None:
    (volumes,) = said("VOLUME")
    assert volumes == '["/data", "/media"]'
    assert environment()["HEIMDEX_DATA_DIR"] == "/data"
    assert environment()["HOME"] == "/data"


def test_its_settings_are_real_ones_and_it_listens_to_other_machines() -> None:
    ours = {name: value for name, value in environment().items() if name.startswith("HEIMDEX_")}
    assert load(environ=ours).web.host == "0.0.0.0"
    assert said("EXPOSE") == [str(Web().port)]


def test_it_starts_the_command_of_the_package() -> None:
    (entry,), (arguments,) = said("ENTRYPOINT"), said("CMD")
    assert entry == '["heimdex"]'
    assert "heimdex" in PROJECT["project"]["scripts"]
    assert arguments == '["serve"]'


def test_the_health_check_asks_a_module_that_is_there_and_says_down(tmp_path: Path) -> None:
    (check,) = said("HEALTHCHECK")
    command = check.partition("CMD ")[2]
    assert command == '["python", "-m", "companion.health"]'
    done = subprocess.run(
        [sys.executable, "-m", "companion.health"],
        env=os.environ | {"HEIMDEX_DATA_DIR": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "down")


def test_the_health_check_imports_nothing_big() -> None:
    program = "import companion.health, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"aiohttp", "apsw", "rich", "typer", "numpy", "asyncio"} & set(loaded)


def test_compose_sets_only_real_settings(compose: dict[str, Any], tmp_path: Path) -> None:
    known = {variable(key) for key in KEYS} | OWN_VARIABLES
    names = {name for name in compose["environment"] if name.startswith("HEIMDEX_")}
    assert names <= known
    assert compose["environment"]["HEIMDEX_LIBRARY__FOLDERS"] == "/media"


def test_compose_mounts_what_the_image_declares_and_media_cannot_be_harmed(
    compose: dict[str, Any],
) -> None:
    mounts = {volume.rsplit(":/", 1)[1]: volume for volume in compose["volumes"]}
    assert set(mounts) == {"data", "media:ro"}
    assert mounts["data"].startswith("heimdex-data:")
    assert compose["ports"] == [f"{Web().port}:{Web().port}"]


def test_compose_gives_no_rights_and_time_to_stop(compose: dict[str, Any]) -> None:
    assert compose["user"] == "${PUID:-1000}:${PGID:-1000}"
    assert compose["cap_drop"] == ["ALL"]
    assert compose["read_only"] is True
    assert compose["init"] is True
    assert int(compose["stop_grace_period"].removesuffix("s")) > 3


def test_compose_builds_this_dockerfile(compose: dict[str, Any]) -> None:
    context = (DOCKER / compose["build"]["context"]).resolve()
    assert context == ROOT.resolve()
    assert (context / compose["build"]["dockerfile"]).is_file()


def test_the_page_about_docker_explains_every_setting_of_compose(compose: dict[str, Any]) -> None:
    page = (DOCKER / "README.md").read_text(encoding="utf-8")
    known = {variable(key) for key in KEYS} | OWN_VARIABLES
    for name in set(re.findall(r"HEIMDEX_[A-Z_]+", page)):
        assert name in known, name
    for word in ("MEDIA", "PUID", "PGID", "TZ", "HOSTS", "/data", "/media"):
        assert word in page, word
    for file in re.findall(r"-f (\S+)", page):
        assert (ROOT / file).is_file(), file
