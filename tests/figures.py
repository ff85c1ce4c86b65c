"""Runs every module of a folder that measures something, prints the figures and keeps them.

A module has `measure(folder: Path) -> dict[str, float]`, and may have `LIMITS`, figure -> what it
must be, such as "<= 1.20". A figure without a limit is only told. A module that cannot measure here
raises `Skipped` with its reason.
"""

import argparse
import importlib
import json
import operator
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

COMPARISONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}


class Skipped(Exception):
    """This module cannot measure here; the message says why."""


def holds(figure: float, limit: str) -> bool:
    """Say whether 1.1 is "<= 1.20"."""
    sign, number = limit.split()
    return bool(COMPARISONS[sign](figure, float(number)))


def run(package: str, to: Path, arguments: list[str] | None = None) -> int:
    """Measure with every module of the package, or those named; return 1 if a limit is broken."""
    parser = argparse.ArgumentParser(prog=package)
    parser.add_argument("modules", nargs="*", help="only these, such as: daemon search")
    wanted = parser.parse_args(arguments).modules
    names = wanted or module_names(package)
    figures: dict[str, float] = {}
    limits: dict[str, str] = {}
    notes: dict[str, str] = {}
    for name in names:
        module = importlib.import_module(f"{package}.{name}")
        print(f"{name} ...", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            figures |= measured(module)
            limits |= getattr(module, "LIMITS", {})
        except Skipped as reason:
            notes[name] = f"skipped: {reason}"
        except Exception:  # noqa: BLE001 - one broken measurement must not hide the others
            traceback.print_exc()
            notes[name] = "broken: see above"
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    unmeasured = "broken: it has a limit and was not measured"
    notes |= dict.fromkeys(limits.keys() - figures.keys(), unmeasured)
    broken = [name for name in figures if name in limits and not holds(figures[name], limits[name])]
    print(table(figures, limits, notes))
    keep(to, figures, limits, notes)
    return 1 if broken or any(note.startswith("broken") for note in notes.values()) else 0


def module_names(package: str) -> list[str]:
    folder = Path(str(importlib.import_module(package).__path__[0]))
    return sorted(
        path.stem
        for path in folder.glob("*.py")
        if path.stem not in {"__init__", "run"} and "def measure(" in path.read_text("utf-8")
    )


def measured(module: ModuleType) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="heimdex-figures-") as folder:
        return dict(module.measure(Path(folder)))


def table(figures: Mapping[str, float], limits: Mapping[str, str], notes: Mapping[str, str]) -> str:
    """Return figure, value, limit and verdict, one a line."""
    width = max((len(name) for name in [*figures, *notes]), default=0)
    lines = []
    for name, value in figures.items():
        limit = limits.get(name, "")
        verdict = ("ok" if holds(value, limit) else "BROKEN") if limit else ""
        lines.append(f"{name:<{width}}  {value:>12.4g}  {limit:<10}  {verdict}".rstrip())
    lines += [f"{name:<{width}}  {note}" for name, note in notes.items()]
    return "\n".join(lines)


def keep(
    to: Path, figures: Mapping[str, float], limits: Mapping[str, str], notes: Mapping[str, str]
) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    made = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {platform.python_version()}, {platform.system()}",
        "figures": dict(figures),
        "limits": dict(limits),
        "notes": dict(notes),
    }
    to.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
