"""One setting: from what somebody wrote to what the Config wants.

A value comes from TOML with its type, or from the environment as text. Whatever cannot be used is
Wrong, and says what was expected.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from companion.config import Config, Folder, Window
from companion.model import LibraryKind

SECTIONS = ("web", "scan", "sync", "sidecars", "search", "features", "models")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
KINDS = tuple(kind.value for kind in LibraryKind)

HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", re.IGNORECASE)
LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", re.IGNORECASE)
ORIGIN = re.compile(r"https?://[a-z0-9_.\-\[\]:]+", re.IGNORECASE)
BASE_PATH = re.compile(r"(/[A-Za-z0-9_.~-]+)*")
TIMES = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|(24):(00))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A value as somebody wrote it. text: from the environment, so everything is a string."""

    key: str
    value: Any
    where: str
    base: Path  # what a relative path is relative to
    text: bool = False


class Wrong(Exception):
    """A value that cannot be used; the message says what was expected."""


def known_keys() -> dict[str, Any]:
    """Return every key with its type, in the order of the documentation."""
    known: dict[str, Any] = {"library.folders": tuple[Folder, ...]}
    hints = get_type_hints(Config, include_extras=True)
    for section in SECTIONS:
        for name, kind in get_type_hints(hints[section], include_extras=True).items():
            known[f"{section}.{name}"] = kind
    return known | {"log.level": str, "backup.keep": hints["backups_kept"]}


KEYS = known_keys()


def convert(given: Given) -> object:
    """Return the value in the shape the Config wants. Raises Wrong."""
    kind = KEYS[given.key]
    if given.key == "library.folders":
        return tuple(_folder(entry, given.base) for entry in _entries(given))
    if given.key == "scan.windows":
        return tuple(window(entry) for entry in _entries(given))
    if get_origin(kind) is tuple:
        texts = tuple(_text(entry) for entry in _entries(given))
        value: object = texts
        if get_args(kind)[0] is Path:
            value = tuple(absolute(Path(text), given.base) for text in texts)
    elif get_origin(kind) in (Union, UnionType):  # a path that may be left out
        text = _text(given.value)
        value = absolute(Path(text), given.base) if text else None
    elif get_origin(kind) is dict:
        value = _table(given)
    else:
        value = _plain(given, kind)
    return _checked(given.key, value)


def _plain(given: Given, kind: Any) -> object:
    raw = given.value
    if given.text and isinstance(raw, str):
        raw = raw.strip()
        if kind is bool:
            raw = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(
                raw.lower(), raw.lower()
            )
    try:
        return msgspec.convert(raw, kind, strict=not given.text)
    except msgspec.ValidationError:
        raise Wrong(expected(kind)) from None


def _entries(given: Given) -> list[object]:
    """Return the entries of a list; the environment writes it with commas or as TOML."""
    value = given.value
    if given.text and isinstance(value, str):
        if not value.strip().startswith("["):
            return [part.strip() for part in value.split(",") if part.strip()]
        value = _toml(value)
    if not isinstance(value, list | tuple):
        raise Wrong("a list")
    return list(value)


def _table(given: Given) -> dict[str, str]:
    """Return a table of texts; the environment writes `speech=x,meaning=y` or TOML."""
    value = given.value
    if given.text and isinstance(value, str):
        if value.strip().startswith("{"):
            value = _toml(value)
        else:
            pairs = (part.partition("=") for part in value.split(",") if part.strip())
            value = {role.strip(): row.strip() for role, _, row in pairs}
    if not isinstance(value, dict) or not all(
        isinstance(row, str) and role and row for role, row in value.items()
    ):
        raise Wrong('a table of texts such as { speech = "name" }')
    return dict(value)


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        raise Wrong("TOML, or entries with commas between them") from None


def _text(value: object) -> str:
    if not isinstance(value, str | Path) or "\0" in str(value):
        raise Wrong("texts")
    return str(value)


def _folder(entry: object, base: Path) -> Folder:
    if isinstance(entry, str | Path) and str(entry) and "\0" not in str(entry):
        return Folder(path=absolute(Path(entry), base))
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str) or not entry["path"]:
        raise Wrong('folders: a path, or { path = "...", name = "...", kind = "..." }')
    if unknown := set(entry) - {"path", "name", "kind"}:
        raise Wrong(f"path, name and kind in a folder, not {', '.join(sorted(map(str, unknown)))}")
    name, kind = entry.get("name", ""), entry.get("kind", LibraryKind.MIXED.value)
    if not isinstance(name, str):
        raise Wrong("a text as the name of a folder")
    if kind not in KINDS:
        raise Wrong(f"a folder of kind {_one_of(KINDS)}")
    path = absolute(Path(_text(entry["path"])), base)
    return Folder(path=path, name=name, kind=LibraryKind(kind))


def window(entry: object) -> Window:
    """Return the window of "mon-fri 01:00-07:00", "sat,sun 00:00-24:00" or "01:00-07:00"."""
    days_text, _, times_text = (
        entry.strip().rpartition(" ") if isinstance(entry, str) else ("",) * 3
    )
    times = TIMES.fullmatch(times_text)
    days = _days(days_text)
    if times is None or not days:
        raise Wrong('windows such as "mon-fri 01:00-07:00" or "sat,sun 00:00-24:00"')
    hour, minute, end_hour, end_minute, last_hour, last_minute = times.groups()
    start = int(hour) * 60 + int(minute)
    end = int(end_hour or last_hour) * 60 + int(end_minute or last_minute)
    return Window(days=days, start_minute=start, end_minute=end)


def _days(text: str) -> frozenset[int]:
    """Return the days of "mon-fri", "sat,sun" or "" (all of them); empty if it says none."""
    if not text.strip():
        return frozenset(range(len(DAY_NAMES)))
    days: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first not in DAY_NAMES or (dash and last not in DAY_NAMES):
            return frozenset()
        start = DAY_NAMES.index(first)
        span = (DAY_NAMES.index(last) - start) % len(DAY_NAMES) if dash else 0
        days.update((start + step) % len(DAY_NAMES) for step in range(span + 1))
    return frozenset(days)


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(HOST_NAME.fullmatch(text))
    return True


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _all(check: Callable[[str], object]) -> Callable[[Any], bool]:
    return lambda texts: all(check(text) for text in texts)


CHECKS: dict[str, tuple[Callable[[Any], object], str]] = {
    "web.host": (_is_host, "an address such as 127.0.0.1, 0.0.0.0 or a host name"),
    "web.base_path": (BASE_PATH.fullmatch, 'a path such as "/heimdex", without a slash at the end'),
    "web.allowed_hosts": (_all(_is_host), "host names without scheme and port"),
    "web.trusted_proxies": (_all(_is_network), 'addresses or networks such as "172.16.0.0/12"'),
    "web.frame_ancestors": (_all(ORIGIN.fullmatch), 'origins such as "https://tv.example"'),
    "scan.languages": (_all(LANGUAGE.fullmatch), 'language codes such as "en" or "pt-BR"'),
    "scan.speech_language": (
        lambda text: not text or LANGUAGE.fullmatch(text),
        'a language code such as "en", or ""',
    ),
    "models.profile": (bool, "the name of a profile, such as embedded"),
    "log.level": (lambda text: text.upper() in LOG_LEVELS, "DEBUG, INFO, WARNING or ERROR"),
}


def _checked(key: str, value: object) -> object:
    check, words = CHECKS.get(key, (lambda _: True, ""))
    if not check(value):
        raise Wrong(words)
    return value


def expected(kind: Any) -> str:
    """Return in words what a value of this type looks like."""
    if kind is bool:
        return "true or false"
    if kind is str:
        return "a text"
    base, limits = get_args(kind)
    noun = "a whole number" if base is int else "a number"
    return f"{noun} from {limits.ge:g} to {limits.le:g}"


def _one_of(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}"


def shown(value: object) -> str:
    text = repr(str(value)) if isinstance(value, str | Path) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def absolute(path: Path, base: Path) -> Path:
    """Return the path without `~`, `..` and relative parts; links are kept as they are."""
    try:
        expanded = path.expanduser()
    except RuntimeError:  # ~nobody
        expanded = path
    return Path(os.path.normpath(base / expanded))
