"""What the program remembers by itself."""

import os
from pathlib import Path

import apsw
from hypothesis import given, strategies as st

from companion.config import Folder
from companion.model import LibraryKind
from companion.store import db, settings
from companion.store.db import Store


async def test_a_value_comes_back_and_a_missing_one_is_the_default(store: Store) -> None:
    assert await store.read(settings.get, "word", str, "none") == "none"
    await store.write(settings.put, "word", "lake")
    await store.write(settings.put, "word", "river")
    assert await store.read(settings.get, "word", str, "none") == "river"


async def test_a_value_of_another_shape_is_the_default(store: Store) -> None:
    await store.write(settings.put, "number", {"odd": 1})
    assert await store.read(settings.get, "number", int, 7) == 7


async def test_libraries_are_remembered_once_in_order(store: Store) -> None:
    films = Folder(path=Path("/films"), name="Films", kind=LibraryKind.MOVIES)
    odd = Folder(path=Path(os.fsdecode(b"/caf\xe9")))
    for folder in (films, odd, Folder(path=Path("/films"), name="Again")):
        await store.write(settings.add_folder, folder)
    assert await store.read(settings.folders) == (films, odd)


@given(value=st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), max_size=4))
def test_any_json_value_survives(value: dict[str, int | str]) -> None:
    connection = apsw.Connection(":memory:")
    connection.execute(db.migrations()[0].split("-- What pages change")[1].split("\n", 1)[1])
    settings.put(connection, "key", value)
    assert settings.get(connection, "key", dict[str, int | str], {}) == value
