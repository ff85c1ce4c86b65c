"""What pages and commands change and the program remembers: one JSON value a key."""

import os
from pathlib import Path
from typing import TypeVar

import apsw
import msgspec

from companion.config import Folder
from companion.model import LibraryKind

T = TypeVar("T")

FOLDERS = "library.folders"


class _Remembered(msgspec.Struct, frozen=True):
    path: bytes  # file names need not be UTF-8
    name: str
    kind: LibraryKind


def get(connection: apsw.Connection, key: str, kind: type[T], default: T) -> T:
    """Return the value of a key; the default if there is none or it has another shape."""
    row = connection.execute("select value from settings where key = ?", (key,)).fetchone()
    if row is None:
        return default
    try:
        return msgspec.json.decode(str(row[0]), type=kind)
    except msgspec.MsgspecError:
        return default


def put(connection: apsw.Connection, key: str, value: object) -> None:
    """Set the value of a key."""
    connection.execute(
        "insert into settings (key, value) values (?, ?)"
        " on conflict (key) do update set value = excluded.value",
        (key, msgspec.json.encode(value).decode()),
    )


def folders(connection: apsw.Connection) -> tuple[Folder, ...]:
    """Return the libraries that `heimdex scan` has added to those of the configuration."""
    return tuple(
        Folder(path=Path(os.fsdecode(one.path)), name=one.name, kind=one.kind)
        for one in get(connection, FOLDERS, tuple[_Remembered, ...], ())
    )


def add_folder(connection: apsw.Connection, folder: Folder) -> None:
    """Remember a library; one that is there already stays as it is."""
    known = folders(connection)
    if all(one.path != folder.path for one in known):
        kept = (*known, folder)
        put(
            connection,
            FOLDERS,
            [_Remembered(os.fsencode(one.path), one.name, one.kind) for one in kept],
        )
