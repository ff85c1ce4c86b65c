"""What must hold for every file of the repository, and for the wheel that is made of it."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

WHEEL_LIMIT = 85_000_000  # bytes
FILE_LIMIT = 400  # lines of a module of the product
FUNCTION_LIMIT = 60  # lines

# Written in pieces, so that this file does not contain what it looks for.
REGISTRIES = re.compile("|".join(re.escape(".".join(words)) for words in (
    ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"),
    ("deb", "debian", "org"), ("security", "debian", "org"),
)))  # fmt: skip
MACHINE = re.compile("|".join(f"/{name}/" for name in ("work", "root")))
LATER = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX")) + r")\b")
NOT_BUILT = re.compile(r"raise NotImplemented" + "Error")


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


FILES = tracked() if (ROOT / ".git").exists() else []
TEXTS = {
    path: text
    for path in FILES
    if path.stat().st_size < 2_000_000 and "\0" not in (text := path.read_text(errors="replace"))
}
SOURCES = [path for path in TEXTS if path.suffix == ".py"]
pytestmark = pytest.mark.skipif(not FILES, reason="not a git checkout")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(TEXTS[path])


def functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Give every function, also those in classes and in functions; expressions hold none."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        yield from functions(getattr(node, "body", []))


def hits(pattern: re.Pattern[str], paths: list[Path] | None = None) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in (TEXTS if paths is None else paths)
        for number, line in enumerate(TEXTS[path].splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_file_names_a_package_registry_s_host() -> None:
    assert hits(REGISTRIES) == []


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    assert hits(MACHINE) == []


def test_nothing_is_left_for_later() -> None:
    assert hits(LATER) == []
    assert hits(NOT_BUILT, SOURCES) == []


def test_files_and_functions_stay_readable() -> None:
    too_long = []
    for path in SOURCES:
        name, text = path.relative_to(ROOT), TEXTS[path]
        if name.parts[0] in PACKAGES and len(text.splitlines()) > FILE_LIMIT:
            too_long.append(f"{name}: {len(text.splitlines())} lines")
        for function in functions(tree(path).body):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LIMIT:
                too_long.append(f"{name}: {function.name} has {lines} lines")
    assert too_long == []


def test_every_module_of_the_product_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if path.relative_to(ROOT).parts[0] in PACKAGES and not ast.get_docstring(tree(path))
    ]
    assert silent == []


def test_no_file_is_large_but_the_assets() -> None:
    large = [
        str(path.relative_to(ROOT))
        for path in FILES
        if path.stat().st_size > 3_000_000 and "assets" not in path.parts
    ]
    assert large == []


def test_the_licence_is_the_whole_gpl_3() -> None:
    text = TEXTS[ROOT / "LICENSE"]
    assert "GNU GENERAL PUBLIC LICENSE" in text
    assert "Version 3, 29 June 2007" in text
    assert "How to Apply These Terms to Your New Programs" in text
    assert PROJECT["project"]["license"] == "GPL-3.0-or-later"


def test_every_asset_folder_says_its_rights() -> None:
    assets = ROOT / "scanners" / "assets"
    for folder in (path for path in assets.glob("*") if path.is_dir()):
        names = {path.name.upper().split(".")[0] for path in folder.iterdir()}
        assert names & {"LICENSE", "README"}, folder.name


def test_every_requirement_is_pinned_within_its_range_and_without_addresses() -> None:
    text = TEXTS[ROOT / "tests" / "constraints.txt"]
    pins = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)", line)
            assert match is not None, line
            pins[match[1]] = match[2]
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    wanted += PROJECT["project"]["optional-dependencies"]["test"]  # [gpu] is nothing CI installs
    for requirement in map(Requirement, wanted):
        pin = pins[requirement.name.lower().replace("_", "-")]
        assert pin in requirement.specifier, requirement


def test_ci_runs_make_test_and_nothing_a_user_could_not() -> None:
    path = ROOT / ".ci" / "run"
    commands = [line for line in TEXTS[path].splitlines() if line and not line.startswith("#")]
    assert commands == [
        "set -euo pipefail",
        'cd "$(dirname "$0")/.."',
        "exec make test",
    ]
    assert os.access(path, os.X_OK)


def test_hooks_before_a_commit_are_local_ones() -> None:
    text = TEXTS[ROOT / ".pre-commit-config.yaml"]
    assert re.findall(r"repo: (\S+)", text) == ["local"]
    assert "http" not in text


def test_the_changelog_has_the_version_or_what_is_not_released_yet() -> None:
    headings = re.findall(r"(?m)^## (.+)$", TEXTS[ROOT / "CHANGELOG.md"])
    version = PROJECT["project"]["version"]
    assert headings[0] == "[Unreleased]" or headings[0].startswith(f"[{version}] - ")


def test_the_version_is_said_once_everywhere() -> None:
    import companion

    assert companion.__version__ == PROJECT["project"]["version"]


# --- the wheel -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from what is here."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
    )
    (made,) = folder.glob("*.whl")
    return made


@pytest.mark.xdist_group("wheel")
def test_the_wheel_is_small_and_holds_all_that_is_not_code(wheel: Path) -> None:
    assert wheel.stat().st_size <= WHEEL_LIMIT
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        str(path.relative_to(ROOT)) for path in FILES if path.relative_to(ROOT).parts[0] in PACKAGES
    }
    assert wanted <= inside
    for part in ("companion/store/migrations/", "webui/templates/", "webui/static/"):
        assert any(name.startswith(part) for name in inside), part
    assert "companion/heimdex.example.toml" in inside
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in inside)
    assert not any(name.startswith(("tests/", "docker/")) for name in inside)


@pytest.mark.xdist_group("wheel")
def test_the_wheel_alone_gives_a_working_command(wheel: Path, tmp_path: Path) -> None:
    """In a fresh environment, with the requirements of this one behind it."""
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", python.parent.parent], check=True
    )
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--quiet", wheel],
        check=True,
        capture_output=True,
    )
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    here = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "requirements.pth").write_text(f"{here}\n", encoding="utf-8")
    done = subprocess.run(
        [python.with_name("heimdex"), "doctor", "--json", "--data-dir", tmp_path / "data"],
        env=os.environ | {"HEIMDEX_WEB__PORT": "0"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert str(site / "companion") in done.stdout, done.stderr
    failed = [line["what"] for line in json.loads(done.stdout) if line["health"] == "fail"]
    assert failed == []
