"""`heimdex.toml`, `HEIMDEX_SECTION__KEY` and the command line become a Config.

Each key is converted on its own, so that every mistake is reported at once, with the place it
stands at. Order: defaults < file < environment < command line.
"""

import os
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

from companion.config import Config
from companion.errors import ConfigError
from companion.values import KEYS, SECTIONS, Given, Wrong, absolute, convert, shown

FILE_NAME = "heimdex.toml"
PREFIX = "HEIMDEX_"
OWN_VARIABLES = {
    "HEIMDEX_DATA_DIR",
    "HEIMDEX_CONFIG",
    "HEIMDEX_SECRET_KEY",
    "HEIMDEX_SERVER_TOKEN",
}


def load(
    *,
    data_dir: Path | None = None,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    changes: Mapping[str, object] | None = None,
) -> Config:
    """Read the settings of the data folder. Blocks for one small file.

    changes: what the command line says, by key. Raises ConfigError with every mistake.
    """
    environ = os.environ if environ is None else environ
    named = environ.get("HEIMDEX_DATA_DIR")
    folder = absolute(data_dir or (Path(named) if named else default_data_dir(environ)), Path.cwd())
    asked = file or (Path(environ["HEIMDEX_CONFIG"]) if environ.get("HEIMDEX_CONFIG") else None)
    mistakes: list[str] = []
    given = _from_file(asked or folder / FILE_NAME, mistakes, must_exist=asked is not None)
    given |= _from_environment(environ, mistakes)
    for key, value in (changes or {}).items():
        given[key] = Given(key=key, value=value, where="the command line", base=Path.cwd())
    values: dict[str, object] = {}
    for one in given.values():
        try:
            values[one.key] = convert(one)
        except Wrong as wrong:
            mistakes.append(f"{one.key} = {shown(one.value)} ({one.where}): expected {wrong}")
    config = _build(folder, values)
    mistakes += _contradictions(config)
    if mistakes:
        raise ConfigError(mistakes)
    return config


def variable(key: str) -> str:
    """Return the environment variable of a key: web.port gives HEIMDEX_WEB__PORT."""
    return PREFIX + key.replace(".", "__").upper()


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return where this platform keeps the data of its user's programs."""
    if sys.platform == "darwin":
        return Path("~/Library/Application Support/Heimdex").expanduser()
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or "~/AppData/Local").expanduser() / "Heimdex"
    return Path(environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "heimdex"


# --- where values come from ----------------------------------------------------------------------


def _from_file(path: Path, mistakes: list[str], *, must_exist: bool) -> dict[str, Given]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        tables = tomllib.loads(text)
    except FileNotFoundError:
        if must_exist:
            mistakes.append(f"{path}: this file does not exist; leave --config out or correct it")
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        mistakes.append(f"{path}: cannot be read as TOML: {error}")
        return {}
    given: dict[str, Given] = {}
    for section, table in tables.items():
        entries = table.items() if isinstance(table, dict) else [("", table)]
        for name, value in entries:
            key = f"{section}.{name}" if name else section
            where = _place(path, text, section, name)
            if key in KEYS:
                given[key] = Given(key=key, value=value, where=where, base=path.parent)
            else:
                mistakes.append(f"{key} ({where}): there is no such key{_meant(key)}")
    return given


def _from_environment(environ: Mapping[str, str], mistakes: list[str]) -> dict[str, Given]:
    variables = {variable(key): key for key in KEYS}
    slips = {name.replace("_", ""): name for name in variables}
    given: dict[str, Given] = {}
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or name in OWN_VARIABLES:
            continue
        if name in variables:
            key = variables[name]
            given[key] = Given(key=key, value=value, where=name, base=Path.cwd(), text=True)
        elif "__" in name:
            key = name.removeprefix(PREFIX).replace("__", ".", 1).lower()
            mistakes.append(f"{name} (environment): there is no such key{_meant(key, variable)}")
        elif name.replace("_", "") in slips:  # HEIMDEX_PORT and the like come from Kubernetes
            right = slips[name.replace("_", "")]
            mistakes.append(f"{name} (environment): there is no such key; did you mean {right}?")
    return given


def _place(path: Path, text: str, section: str, name: str) -> str:
    """Return "file, line n"; only the file if the line is written in a way we do not look for."""
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line):
            table = header[1].replace('"', "").replace(" ", "")
            if table in (f"{section}.{name}", section if not name else None):
                return f"{path.name}, line {number}"
        elif entry := re.match(r"\s*([^=#]+?)\s*=", line):
            written = entry[1].replace('"', "").replace(" ", "")
            full = f"{table}.{written}" if table else written
            if full in (f"{section}.{name}", section) or full.startswith(f"{section}.{name}."):
                return f"{path.name}, line {number}"
    return path.name


def _meant(key: str, write: Callable[[str], str] = str) -> str:
    """Return the keys that are spelled most like this one, as a question."""
    near = get_close_matches(key, KEYS, n=2, cutoff=0.7)
    if not near:
        same_name = [known for known in KEYS if known.split(".")[1] == key.rpartition(".")[2]]
        near = same_name[:2]
    return f"; did you mean {' or '.join(write(known) for known in near)}?" if near else ""


# --- the whole -----------------------------------------------------------------------------------


def _build(data_dir: Path, values: Mapping[str, object]) -> Config:
    hints = get_type_hints(Config)
    sections = {
        section: hints[section](
            **{name: value for key, value in values.items() for name in _name_in(section, key)}
        )
        for section in SECTIONS
    }
    plain: dict[str, Any] = {
        field: values[key]
        for key, field in (("library.folders", "folders"), ("backup.keep", "backups_kept"))
        if key in values
    }
    if "log.level" in values:
        plain["log_level"] = str(values["log.level"]).upper()
    return Config(data_dir=data_dir, **sections, **plain)


def _name_in(section: str, key: str) -> tuple[str, ...]:
    table, _, name = key.partition(".")
    return (name,) if table == section else ()


def _contradictions(config: Config) -> list[str]:
    """Return what each key allows and all together do not."""
    found: list[str] = []
    paths = [folder.path for folder in config.folders]
    found += [
        f"library.folders: {path} is named twice; leave one out"
        for path in sorted(set(paths))
        if paths.count(path) > 1
    ]
    found += [
        f"library.folders: {path} holds the data folder {config.data_dir}; Heimdex would index its "
        "own clips. Choose another data folder"
        for path in sorted(set(paths))
        if config.data_dir.is_relative_to(path)
        and not any(part.startswith(".") for part in config.data_dir.relative_to(path).parts)
    ]  # hidden folders are not looked into
    return found
