"""Pages of a list that others change meanwhile: whatever stayed is listed once, or it raises."""

import msgspec
import pytest
from hypothesis import given, strategies as st

from companion.errors import ServerUnavailable
from connectors.jellyfin_http import Answer
from connectors.jellyfin_walk import Walk, count


class Shelf:
    """Stands for a client: answers from a list, after something happened to it."""

    name = "home"

    def __init__(self, ids: list[str], happenings: list[tuple[str, int]]) -> None:
        self.ids = ids
        self.happenings = happenings
        self.added = 0
        self.asked = 0

    def get(self, path: str, params: dict[str, str]) -> Answer:
        assert path == "Items"
        self.asked += 1
        if self.happenings:
            self.happen(*self.happenings.pop())
        start, limit = int(params["startIndex"]), int(params["limit"])
        page = [{"Id": id} for id in self.ids[start : start + limit]]
        return answer(page, len(self.ids))

    def happen(self, what: str, place: int) -> None:
        at = place % (len(self.ids) + 1)
        if what == "add":
            self.ids.insert(at, f"new{self.added}")
            self.added += 1
        elif what == "append":
            self.ids.append(f"new{self.added}")
            self.added += 1
        elif at < len(self.ids):
            del self.ids[at : at + place % 7]


def answer(items: list[dict[str, str]], total: object) -> Answer:
    return Answer(body=msgspec.json.encode({"Items": items, "TotalRecordCount": total}))


def walked(client: object, size: int) -> list[str]:
    walk = Walk(client, {}, size=size)  # type: ignore[arg-type]
    found = []
    while (page := walk.next_page()) is not None:
        assert page
        found += [str(body["Id"]) for body in page]
    return found


@given(
    st.integers(0, 60),
    st.integers(2, 20),
    st.lists(st.tuples(st.sampled_from(["add", "append", "del"]), st.integers(0, 60)), max_size=12),
)
def test_what_stayed_all_the_time_is_listed_once_or_it_raises(
    items: int, size: int, happenings: list[tuple[str, int]]
) -> None:
    before = [f"id{number}" for number in range(items)]
    shelf = Shelf(list(before), happenings)
    try:
        found = walked(shelf, size)
    except ServerUnavailable:
        return
    assert len(set(found)) == len(found)
    assert set(before) & set(shelf.ids) <= set(found)


@given(st.integers(0, 200), st.integers(2, 50))
def test_a_quiet_list_costs_its_pages_and_no_more(items: int, size: int) -> None:
    shelf = Shelf([f"id{number}" for number in range(items)], [])
    assert walked(shelf, size) == shelf.ids
    assert shelf.asked <= max(1, items) // (size - 1) + 1


class Broken(Shelf):
    """Answers all the time the same."""

    def __init__(self, items: list[object], total: object) -> None:
        super().__init__([], [])
        self.items = items
        self.total = total

    def get(self, path: str, params: dict[str, str]) -> Answer:
        self.asked += 1
        assert self.asked < 1000
        return answer(self.items, self.total)  # type: ignore[arg-type]


TEN = [{"Id": f"id{number}"} for number in range(10)]


@pytest.mark.parametrize(
    ("items", "total"),
    [
        (TEN, 11),  # ignores where to start
        (TEN, 4_000),
        ([], 5),  # counts what it does not give
        (TEN, 0),  # gives what it does not count
        (TEN, None),
        (TEN, "10"),
        (TEN, -1),
        (TEN, 10.5),
        (TEN, True),
        (TEN, 10**12),
        (TEN * 3, 30),  # more than was asked for
        ([{"Id": "../x"}], 1),
        ([{"Id": None}], 1),
        ([{}], 1),
        (["id"], 1),
        ([None], 1),
    ],
)
def test_what_does_not_hold_together_raises(items: list[object], total: object) -> None:
    shelf = Broken(items, total)
    with pytest.raises(ServerUnavailable):
        walked(shelf, 20)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{}", b'{"Items":{}}', b"[" * 100_000])
def test_what_is_no_list_raises(body: bytes) -> None:
    class Odd:
        name = "home"

        def get(self, _path: str, _params: dict[str, str]) -> Answer:
            return Answer(body=body)

    with pytest.raises(ServerUnavailable):
        walked(Odd(), 20)
    with pytest.raises(ServerUnavailable):
        count(Odd(), {})  # type: ignore[arg-type]


def test_a_list_that_never_stands_still_raises() -> None:
    class Restless(Shelf):
        def get(self, path: str, params: dict[str, str]) -> Answer:
            self.ids = [f"id{self.asked}_{number}" for number in range(30)]
            return super().get(path, params)

    with pytest.raises(ServerUnavailable, match="hold together"):
        walked(Restless([], []), 10)
