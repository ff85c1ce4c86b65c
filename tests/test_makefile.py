"""`make` on a machine with nothing but the basics: which Python it takes, and when it installs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOOLS = (
    "[", "awk", "cat", "cksum", "cp", "echo", "make", "mkdir", "rm", "sh", "tee", "touch", "tr",
)  # fmt: skip

# Stands in for Python: answers the questions that the Makefile asks, and notes what pip was told.
PYTHON = """#!/bin/sh
case "$*" in
  *version_info*) exit {old} ;;
  *ensurepip*) exit {bare} ;;
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit 0 ;;
  "-m pip "*) echo "Collecting typer"; echo "$@" >> pip.log; exit {refused} ;;
esac
exit 0
"""


class Machine:
    """A checkout and a PATH with a handful of tools."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        (self.checkout / "tests").mkdir(parents=True)
        for name in ("Makefile", "pyproject.toml", "tests/constraints.txt"):
            shutil.copy(ROOT / name, self.checkout / name)
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            if found is None:
                pytest.skip(f"{tool} is not installed")
            (self.bin / tool).symlink_to(found)

    def python(
        self, name: str = "python3", *, old: int = 0, bare: int = 0, refused: int = 0
    ) -> None:
        path = self.bin / name
        path.write_text(PYTHON.format(old=old, bare=bare, refused=refused), encoding="utf-8")
        path.chmod(0o755)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *arguments],
            cwd=self.checkout,
            env={"PATH": str(self.bin), "HOME": str(self.checkout)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    @property
    def installed(self) -> list[str]:
        """What pip was told, call by call."""
        log = self.checkout / "pip.log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_a_python_that_is_new_enough_it_says_what_is_needed(machine: Machine) -> None:
    machine.python(old=1)
    done = machine.make("venv")
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stdout
    assert not (machine.checkout / ".venv").exists()


def test_an_old_python3_does_not_hide_a_newer_one(machine: Machine) -> None:
    machine.python(old=1)
    machine.python("python3.12")
    assert machine.make("venv").returncode == 0
    assert len(machine.installed) == 1


def test_a_python_that_is_named_is_taken_first(machine: Machine, tmp_path: Path) -> None:
    machine.python("python3.13", refused=1)
    machine.python("mine")
    assert machine.make("venv", f"PYTHON={machine.bin / 'mine'}").returncode == 0


def test_a_python_without_venv_says_which_package_brings_it(machine: Machine) -> None:
    machine.python(bare=1)
    done = machine.make("venv")
    assert done.returncode != 0
    assert "apt install python3-venv" in done.stdout


def test_the_second_start_asks_nobody_and_a_changed_requirement_installs_again(
    machine: Machine,
) -> None:
    machine.python()
    assert machine.make("venv").returncode == 0
    assert "-c tests/constraints.txt -e ." in machine.installed[0]
    for name in ("pyproject.toml", "tests/constraints.txt"):
        os.utime(machine.checkout / name)  # what a checkout does
    again = machine.make("venv")
    assert (again.returncode, again.stdout, len(machine.installed)) == (0, "", 1)
    with (machine.checkout / "pyproject.toml").open("a", encoding="utf-8") as stream:
        stream.write("# changed\n")
    assert machine.make("venv").returncode == 0
    assert len(machine.installed) == 2


def test_tests_need_more_and_what_they_have_is_enough_to_run(machine: Machine) -> None:
    machine.python()
    assert machine.make("venv").returncode == 0
    assert machine.make("venv-test").returncode == 0
    assert machine.installed[1].endswith("-e .[test]")
    assert machine.make("venv").returncode == 0
    assert len(machine.installed) == 2


def test_an_installation_that_failed_is_told_kept_in_a_log_and_tried_again(
    machine: Machine,
) -> None:
    machine.python(refused=1)
    done = machine.make("venv")
    assert done.returncode != 0
    assert "build/install.log says all" in done.stdout
    assert "Collecting typer" in (machine.checkout / "build/install.log").read_text("utf-8")
    machine.make("venv")
    assert len(machine.installed) == 2


def test_an_environment_whose_python_is_gone_is_made_anew(machine: Machine) -> None:
    machine.python()
    machine.make("venv")
    (machine.checkout / ".venv/bin/python").unlink()
    assert machine.make("venv").returncode == 0
    assert len(machine.installed) == 2
