"""Listing a Jellyfin server to its end, or not at all. Blocks: for threads.

A list that is read in pages shifts while somebody adds and deletes. Pages therefore overlap by one
item: if a page does not begin with an item that we have had, something before it went, and we step
back. A list ends only where the server's own count says so. Everything else raises, because whoever
lists takes what did not come for gone, or for not allowed.
"""

import hashlib

from companion.errors import ServerUnavailable
from connectors.jellyfin_client import Client
from connectors.jellyfin_http import not_jellyfin
from connectors.jellyfin_parse import ITEM_KINDS, Body, an_id, bodies_of, body_of, whole

STEPS_BACK = 100  # then the library changes faster than it can be read
MOST_ITEMS = 5_000_000
ITEMS = {
    "recursive": "true",
    "includeItemTypes": ",".join(ITEM_KINDS),
    "sortBy": "DateCreated,SortName",
    "sortOrder": "Ascending",
    "enableTotalRecordCount": "true",
    "isMissing": "false",
    "collapseBoxSetItems": "false",  # else a server may give a collection instead of its films
}
BARE = {"enableImages": "false", "enableUserData": "false", "fields": ""}


class Walk:
    """One listing, page after page. total: what the server counts, known after the first page."""

    def __init__(self, client: Client, params: dict[str, str], *, size: int) -> None:
        self.total = 0
        self._client = client
        self._params = params
        self._size = size
        self._start = 0
        self._seen: set[int] = set()
        self._steps_back = 0
        self._again = False
        self._over = False

    def next_page(self) -> list[Body] | None:
        """Return the next items that have not come yet; None at the end.

        Raises ServerUnavailable, AuthFailed, and whenever the list cannot be trusted.
        """
        while not self._over:
            start = max(0, self._start - 1)
            found = self._ask(start)
            if start and not (found and _short(found[0], self._client.name) in self._seen):
                self._step_back(start)
                continue
            fresh = self._fresh(found)
            reached = start + len(found)
            if reached >= self.total:
                self._end()
            elif reached > self._start:
                self._start = reached
            else:
                raise self._cannot_be_trusted()
            if fresh:
                return fresh
        return None

    def _end(self) -> None:
        """The end is believed if as many came as the server counts. If fewer, something was put
        among those that we had: it is looked for once, from the beginning."""
        if len(self._seen) >= self.total:
            self._over = True
        elif self._again:
            raise self._cannot_be_trusted()
        else:
            self._start, self._again = 0, True

    def _ask(self, start: int) -> list[Body]:
        page = {"startIndex": str(start), "limit": str(self._size)}
        answer = self._client.get("Items", {**self._params, **page})
        body = body_of(answer.json(self._client.name), self._client.name)
        total = whole(body.get("TotalRecordCount"), range(MOST_ITEMS))
        items = bodies_of(body.get("Items"), self._client.name, self._size)
        if total is None or (items and not total):
            raise not_jellyfin(self._client.name)
        self.total = total
        return items

    def _fresh(self, found: list[Body]) -> list[Body]:
        fresh = []
        for body in found:
            short = _short(body, self._client.name)
            if short not in self._seen:
                self._seen.add(short)
                fresh.append(body)
        return fresh

    def _step_back(self, start: int) -> None:
        self._steps_back += 1
        if self._steps_back > STEPS_BACK:
            raise self._cannot_be_trusted()
        self._start = max(0, start - self._size)

    def _cannot_be_trusted(self) -> ServerUnavailable:
        return ServerUnavailable(
            f"{self._client.name}: the server's list does not hold together ({len(self._seen)} of "
            f"{self.total} items came): it may be busy with its own scan; it is tried again later"
        )


def _short(body: Body, name: str) -> int:
    """Return an id in eight bytes: a set of a million of them stays small."""
    digest = hashlib.blake2b(an_id(body.get("Id"), name).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def count(client: Client, params: dict[str, str]) -> int:
    """Return how many items there are, without reading them."""
    body = body_of(
        client.get("Items", {**ITEMS, **BARE, **params, "limit": "1"}).json(client.name),
        client.name,
    )
    total = whole(body.get("TotalRecordCount"), range(MOST_ITEMS))
    if total is None:
        raise not_jellyfin(client.name)
    return total
