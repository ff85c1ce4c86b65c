"""What every connector keeps to. A new one gets these tests for one line in CASES."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from companion.errors import ServerUnavailable
from companion.model import ItemKind, LibraryKind, ListedItem, ListedLibrary
from connectors import base
from connectors.base import CONNECTORS, Connector
from connectors.folder import Folders
from tests import plex_house
from tests.fakes.plex_world import household
from tests.jellyfin_house import furnish, open_house

FILMS = 250  # more than a page of any connector


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that is up, with at least FILMS items, and what makes it fail."""

    connector: Connector
    break_it: Callable[[], None]  # blocks


async def _folders(tmp_path: Path) -> AsyncIterator[Served]:
    root = tmp_path / "Films"
    away = tmp_path / "gone"

    def fill() -> None:
        for number in range(FILMS):
            film = root / f"Film {number} (1984)" / f"Film {number} (1984).mkv"
            film.parent.mkdir(parents=True)
            film.write_bytes(b"film")

    await asyncio.to_thread(fill)
    library = ListedLibrary(
        external_id="films",
        name="Films",
        kind=LibraryKind.MOVIES,
        roots=(os.fsencode(root),),
    )
    yield Served(connector=Folders([library]), break_it=lambda: root.rename(away) and None)


async def _jellyfin(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_house(tmp_path / "nas") as house:

        def fill() -> None:
            for number in range(FILMS):
                house.film(house.films, f"Film {number}")

        await asyncio.to_thread(fill)
        furnish(house)
        yield Served(
            connector=house.connector(),
            break_it=lambda: house.fake.break_it("/Items", 503) and None,
        )


async def _plex(_: Path) -> AsyncIterator[Served]:
    async with plex_house.house(household(FILMS)) as home:
        yield Served(
            connector=home.plex,
            break_it=lambda: home.server.faults.on("/library", status=503) and None,
        )


CASES: dict[str, Callable[[Path], AsyncIterator[Served]]] = {
    "folder": _folders,
    "jellyfin": _jellyfin,
    "plex": _plex,
}


@pytest.fixture(params=sorted(CASES))
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Served]:
    async for case in CASES[request.param](tmp_path):
        yield case
        await case.connector.close()


async def everything(connector: Connector) -> list[ListedItem]:
    return [
        item
        for library in await connector.libraries()
        async for page in connector.items(library)
        for item in page.items
    ]


def test_every_connector_has_a_case() -> None:
    assert set(CASES) == set(CONNECTORS)


@pytest.mark.parametrize("kind", sorted(CONNECTORS))
def test_the_table_leads_to_a_class_of_that_kind(kind: str) -> None:
    plug = base.load(kind)
    assert plug.kind == kind  # type: ignore[attr-defined]


def test_an_unknown_kind_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        base.load("emby")


async def test_a_server_has_a_name_and_an_address_without_secrets(served: Served) -> None:
    assert served.connector.name
    assert "token" not in served.connector.address.lower()
    assert "@" not in served.connector.address


async def test_libraries_are_known_by_an_id_each(served: Served) -> None:
    libraries = await served.connector.libraries()
    assert libraries
    assert len({library.external_id for library in libraries}) == len(libraries)
    for library in libraries:
        assert library.name
        assert library.kind in LibraryKind
        assert all(root.startswith(b"/") for root in library.roots)


async def test_every_item_comes_once_over_all_pages(served: Served) -> None:
    items = await everything(served.connector)
    assert len(items) >= FILMS
    for library in await served.connector.libraries():
        ids = [
            item.external_id
            async for page in served.connector.items(library)
            for item in page.items
        ]
        assert len(set(ids)) == len(ids)


async def test_a_second_listing_is_the_same(served: Served) -> None:
    assert await everything(served.connector) == await everything(served.connector)


async def test_pages_are_pieces(served: Served) -> None:
    """Memory is bounded by the page, so a big library must come in more than one."""
    (library, *_others) = await served.connector.libraries()
    sizes = [len(page.items) async for page in served.connector.items(library)]
    assert max(sizes) < FILMS


async def test_items_are_complete(served: Served) -> None:
    for item in await everything(served.connector):
        assert item.external_id
        assert item.title or item.episode is not None
        assert item.kind in ItemKind
        assert item.parts
        assert item.added_at_ms > 0
        assert (item.show_title != "") <= (item.kind is ItemKind.EPISODE)
        for part in item.parts:
            assert part.path.startswith(b"/")
            assert part.version >= 0
            assert part.part >= 0
        places = {(part.version, part.part) for part in item.parts}
        assert len(places) == len(item.parts)


async def test_texts_can_be_stored(served: Served) -> None:
    for item in await everything(served.connector):
        for text in (item.external_id, item.title, item.show_title):
            assert text.encode().decode() == text
            assert "\0" not in text


async def test_a_server_that_is_down_raises_and_does_not_list_nothing(served: Served) -> None:
    (library, *_others) = await served.connector.libraries()
    await asyncio.to_thread(served.break_it)
    with pytest.raises(ServerUnavailable) as caught:
        [page async for page in served.connector.items(library)]
    assert str(caught.value)


async def test_a_listing_can_be_left_in_the_middle(served: Served) -> None:
    (library, *_others) = await served.connector.libraries()
    async for page in served.connector.items(library):
        assert page.items
        break
    assert len(await everything(served.connector)) >= FILMS


async def test_a_cancelled_listing_leaves_the_connector_usable(served: Served) -> None:
    listing = asyncio.ensure_future(everything(served.connector))
    await asyncio.sleep(0)
    listing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listing
    assert len(await everything(served.connector)) >= FILMS


async def test_closing_twice_is_fine(served: Served) -> None:
    close: Callable[[], Awaitable[None]] = served.connector.close
    await close()
    await close()
