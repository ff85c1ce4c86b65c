"""Paging that stays whole while the library changes: nothing is missed, nothing comes twice."""

from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given, strategies as st

from companion.errors import ServerUnavailable
from connectors import plex_listing
from connectors.plex_listing import PAGE_ROWS, Page, rows
from connectors.plex_reading import Row
from tests.plex_house import House, house


class Shelf:
    """A list that a test changes between two pages."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys
        self.asked = 0
        self.before_page: Callable[[int], None] = lambda number: None

    async def __call__(self, start: int, size: int) -> Page:
        self.before_page(self.asked)
        self.asked += 1
        found = self.keys[start : start + size]
        return Page(rows=tuple(Row(id=key) for key in found), total=len(self.keys))


def changing(why: str) -> ServerUnavailable:
    return ServerUnavailable(why)


async def everything(shelf: Shelf) -> list[str]:
    return [row.id async for some, _total in rows(shelf, changing=changing) for row in some]


def keys(count: int) -> list[str]:
    return [f"k{number}" for number in range(count)]


@pytest.mark.parametrize(
    "count", [0, 1, PAGE_ROWS - 1, PAGE_ROWS, PAGE_ROWS + 1, 3 * PAGE_ROWS, 777]
)
async def test_all_rows_come_in_order(count: int) -> None:
    assert await everything(Shelf(keys(count))) == keys(count)


async def test_a_list_of_one_page_is_one_question() -> None:
    shelf = Shelf(keys(PAGE_ROWS))
    await everything(shelf)
    assert shelf.asked == 1


async def test_an_item_that_moves_up_while_listing_is_not_missed() -> None:
    shelf = Shelf(keys(500))
    shelf.before_page = lambda page: shelf.keys.remove("k3") if page == 1 else None
    found = await everything(shelf)
    assert set(found) >= set(shelf.keys)
    assert len(set(found)) == len(found)


async def test_as_many_new_ones_as_gone_ones_hide_nothing() -> None:
    """The count stays the same, so only the overlap can tell."""
    shelf = Shelf(keys(500))

    def swap(page: int) -> None:
        if page == 1:
            del shelf.keys[:100]
            shelf.keys += [f"new{number}" for number in range(100)]

    shelf.before_page = swap
    assert set(await everything(shelf)) >= set(shelf.keys)


async def test_ten_thousand_removed_and_added_while_listing() -> None:
    shelf = Shelf(keys(12_000))

    def swap(page: int) -> None:
        if page == 40:
            del shelf.keys[1000:11_000]
            shelf.keys += [f"new{number}" for number in range(10_000)]

    shelf.before_page = swap
    found = await everything(shelf)
    assert set(found) >= set(shelf.keys)
    assert len(set(found)) == len(found)


async def test_a_list_that_shrinks_below_the_page_begins_again() -> None:
    shelf = Shelf(keys(500))

    def shrink(page: int) -> None:
        if page == 1:
            del shelf.keys[:490]

    shelf.before_page = shrink
    assert set(await everything(shelf)) >= set(shelf.keys)


async def test_a_list_that_never_rests_is_left_for_later() -> None:
    shelf = Shelf(keys(2000))
    shelf.before_page = lambda page: shelf.keys.pop(0) and None
    with pytest.raises(ServerUnavailable, match="changes faster"):
        await everything(shelf)


@given(st.integers(0, 3 * PAGE_ROWS), st.lists(st.tuples(st.booleans(), st.integers(0, 700))))
async def test_whatever_changes_what_stays_is_listed_once(
    count: int, changes: list[tuple[bool, int]]
) -> None:
    shelf = Shelf(keys(count))
    stays = set(shelf.keys)
    ahead = list(changes)

    def change(page: int) -> None:
        if page and ahead:
            is_new, at = ahead.pop()
            if is_new:
                shelf.keys.insert(at, f"new{page}")
            elif at < len(shelf.keys):
                stays.discard(shelf.keys.pop(at))

    shelf.before_page = change
    try:
        found = await everything(shelf)
    except ServerUnavailable:
        return  # refusing is always right
    assert stays <= set(found)
    assert len(set(found)) == len(found)


async def test_a_library_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plex_listing, "MOST_ROWS", 1000)

    async def endless(start: int, size: int) -> Page:
        found = tuple(Row(id=f"k{number}") for number in range(start, start + size))
        return Page(rows=found, total=10**12)

    with pytest.raises(ServerUnavailable, match="more items"):
        [row async for row in rows(endless, changing=changing)]


async def test_rows_without_an_id_are_counted_and_passed_over() -> None:
    shelf = Shelf(["", *keys(300), "", ""])
    assert await everything(shelf) == keys(300)


# --- the same against the server -----------------------------------------------------------------


@pytest.fixture
async def home() -> AsyncIterator[House]:
    async with house() as opened:
        for number in range(450):
            opened.world.film(f"5{number:04}")
        yield opened


async def films(home: House) -> list[str]:
    (library, *_) = await home.plex.libraries()
    return [item.external_id async for page in home.plex.items(library) for item in page.items]


@pytest.mark.parametrize("paging", ["good", "short", "repeats", "ignored"])
async def test_a_server_with_odd_pages_is_listed_whole(home: House, paging: str) -> None:
    home.server.paging = paging
    found = await films(home)
    assert len(found) == 453
    assert len(set(found)) == 453


async def test_a_count_that_lies_is_no_end(home: House) -> None:
    """plexapi's own paging would ask for ever."""
    home.server.paging = "lying"
    with pytest.raises(ServerUnavailable, match="ended after 453"):
        await films(home)


async def test_pages_of_a_list_are_asked_for_without_what_they_do_not_need(home: House) -> None:
    await films(home)
    asked = [each for each in home.server.faults.seen if each.path.endswith("/all")]
    assert "Role" in asked[0].url.query["excludeElements"]
    assert asked[0].headers["X-Plex-Container-Size"] == str(PAGE_ROWS)


async def test_an_item_deleted_between_list_and_page_is_just_not_there(home: House) -> None:
    (library, *_) = await home.plex.libraries()
    pages = home.plex.items(library)
    first = await anext(pages)
    listed = {item.external_id for item in first.items}
    gone = next(key for key in home.world.videos if key.startswith("5") and key not in listed)
    del home.world.videos[gone]
    rest = [item.external_id async for page in pages for item in page.items]
    assert gone not in rest
    assert len(rest) + len(listed) == 452
