"""Libraries and items of a Jellyfin server, as they are listed. Blocks: for threads."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from companion.errors import AuthFailed
from companion.listed import LibraryKind, ListedLibrary, ListedPage, ListedProblem
from connectors.base import FoundItems
from connectors.jellyfin_client import Client
from connectors.jellyfin_http import NotThere, TokenRefused
from connectors.jellyfin_items import Places, Reader
from connectors.jellyfin_parse import (
    LIBRARY_KINDS,
    Body,
    a_path,
    an_id,
    bodies_of,
    body_of,
    maybe_id,
    objects,
    text,
)
from connectors.jellyfin_walk import BARE, ITEMS, Walk

PAGE_ITEMS = 200
LIBRARIES = 1000
FIELDS = "Path,MediaSources,People,Genres,Tags,ProviderIds,DateCreated,ParentId"
WITH_FIELDS = {
    "fields": FIELDS,
    "enableUserData": "false",
    "enableImageTypes": "Primary",
    "imageTypeLimit": "1",
}


# --- libraries -----------------------------------------------------------------------------------


def libraries(
    client: Client, user_id: str, *, folders: bool, mappings: Any, chosen: Sequence[str]
) -> list[tuple[ListedLibrary, tuple[str, ...]]]:
    """Return the libraries with videos, and where they lie as the server spells it.

    folders: the token is an administrator's or an API key, so that the server says where.
    """
    name = client.name
    if folders:
        answer = client.get("Library/VirtualFolders").json(name)
        bodies = bodies_of(answer, name, LIBRARIES)
        pairs = [(an_id(body.get("ItemId"), name), body) for body in bodies]
    else:
        found = body_of(client.get("UserViews", {"userId": user_id}).json(name), name)
        bodies = bodies_of(found.get("Items"), name, LIBRARIES)
        pairs = [(an_id(body.get("Id"), name), body) for body in bodies]
    places = Places(name, mappings)
    listed = {}
    for external_id, body in pairs:
        kind = LIBRARY_KINDS.get(str(body.get("CollectionType") or ""))
        if kind is None or (chosen and external_id not in chosen):
            continue
        locations = tuple(path for each in _list(body.get("Locations")) if (path := a_path(each)))
        listed[external_id] = (_library(external_id, body, kind, places, locations), locations)
    return list(listed.values())


def _library(
    external_id: str, body: Body, kind: LibraryKind, places: Places, locations: Sequence[str]
) -> ListedLibrary:
    roots = (places.local(path) for path in locations)
    return ListedLibrary(
        external_id=external_id,
        name=text(body.get("Name")) or external_id,
        kind=kind,
        roots=tuple(dict.fromkeys(root for root in roots if root)),
    )


def _list(value: object) -> list[Any]:
    return value[:100] if isinstance(value, list) else []


# --- items ---------------------------------------------------------------------------------------


class ItemPages:
    """The items of one library. `next` gives page after page, then None."""

    def __init__(self, client: Client, user_id: str, library_id: str, places: Places) -> None:
        params = {**ITEMS, **WITH_FIELDS, **_as(user_id), "parentId": library_id}
        self._walk = Walk(client, params, size=PAGE_ITEMS)
        self._places = places
        self._reader = Reader(places, lambda item_id: more_parts(client, user_id, item_id))
        self._told = False

    def next(self) -> ListedPage | None:
        bodies = self._walk.next_page()
        if bodies is None:
            if self._told or not (problems := self._places.problems()):
                return None
            self._told = True
            return ListedPage(problems=problems, total=self._walk.total)
        items = [item for body in bodies if (item := self._reader.item(body)) is not None]
        return ListedPage(
            items=tuple(items), problems=self._reader.take_problems(), total=self._walk.total
        )

    @property
    def is_empty(self) -> bool:
        """True if the server says that there is nothing at all."""
        return self._walk.total == 0


def more_parts(client: Client, user_id: str, item_id: str) -> list[Body]:
    """Return what follows the first file of a film in several parts."""
    try:
        answer = client.get(f"Videos/{item_id}/AdditionalParts", _as(user_id))
    except NotThere:  # it was deleted just now
        return []
    body = body_of(answer.json(client.name), client.name)
    return objects(body.get("Items"), LIBRARIES)


def some_items(client: Client, user_id: str, item_ids: Sequence[str], homes: "Homes") -> FoundItems:
    """Return the items of these ids in the libraries that we list.

    Asked with the daemon's own token: `ids` passes by the access to libraries, so that what does
    not lie in one of ours is left out here.
    """
    params = {**ITEMS, **WITH_FIELDS, **_as(user_id), "ids": ",".join(item_ids)}
    name = client.name
    body = body_of(client.get("Items", params).json(name), name)
    return _found(client, user_id, bodies_of(body.get("Items"), name, len(item_ids)), homes)


def changed_pages(client: Client, user_id: str, at_ms: int, homes: "Homes") -> Iterator[FoundItems]:
    """Yield what the server has saved at or after a time by its own clock."""
    since = datetime.fromtimestamp(max(0, at_ms) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    params = {**ITEMS, **WITH_FIELDS, **_as(user_id), "minDateLastSaved": since}
    walk = Walk(client, params, size=PAGE_ITEMS)
    while (bodies := walk.next_page()) is not None:
        yield _found(client, user_id, bodies, homes)


def _found(client: Client, user_id: str, bodies: Sequence[Body], homes: "Homes") -> FoundItems:
    found = []
    problems: list[ListedProblem] = []
    for each in bodies:
        home = homes.of(client, user_id, each)
        if home is None:
            continue
        library_id, places = home
        reader = Reader(places, lambda item_id: more_parts(client, user_id, item_id))
        if (item := reader.item(each)) is not None:
            found.append((library_id, item))
        problems += reader.problems
        problems += places.problems()
    return FoundItems(items=tuple(found), problems=tuple(dict.fromkeys(problems)))


class Homes:
    """Finds out in which library an item lies: by its path, or by asking what it lies in."""

    def __init__(
        self, listed: Sequence[tuple[ListedLibrary, tuple[str, ...]]], mappings: Any, name: str
    ) -> None:
        self._listed = {library.external_id: locations for library, locations in listed}
        self._mappings = mappings
        self._name = name
        self._by_folder: dict[str, str] = {}

    def of(self, client: Client, user_id: str, body: Body) -> tuple[str, Places] | None:
        path = a_path(body.get("Path"))
        library_id = next(
            (
                library_id
                for library_id, locations in self._listed.items()
                if any(_is_in(path, location) for location in locations)
            ),
            "",
        )
        if not library_id and not any(self._listed.values()):
            library_id = self._ask(client, user_id, body)
        if not library_id:
            return None
        return library_id, Places(self._name, self._mappings, self._listed[library_id])

    def _ask(self, client: Client, user_id: str, body: Body) -> str:
        item_id = an_id(body.get("Id"), self._name)
        folder = maybe_id(body.get("ParentId")) or item_id
        if folder not in self._by_folder:
            try:
                answer = client.get(f"Items/{item_id}/Ancestors", _as(user_id)).json(self._name)
            except NotThere:
                answer = []
            ids = [maybe_id(each.get("Id")) for each in bodies_of(answer, self._name, LIBRARIES)]
            self._by_folder[folder] = next((each for each in ids if each in self._listed), "")
        return self._by_folder[folder]


def _is_in(path: str, location: str) -> bool:
    below = path.removeprefix(location.rstrip("/\\"))
    return below != path and below[:1] in {"/", "\\"}


def _as(user_id: str) -> dict[str, str]:
    """On whose behalf; a bare API key has nobody and sees everything."""
    return {"userId": user_id} if user_id else {}


def sample_paths(
    client: Client, user_id: str, listed: Sequence[tuple[ListedLibrary, tuple[str, ...]]], each: int
) -> list[str]:
    """Return where libraries lie and some of their files, as the server spells them."""
    found: list[str] = []
    for library, locations in listed:
        params = {**ITEMS, **BARE, **_as(user_id), "parentId": library.external_id}
        params |= {"fields": "Path", "startIndex": "0", "limit": str(each)}
        body = body_of(client.get("Items", params).json(client.name), client.name)
        found += locations
        found += [
            path for it in objects(body.get("Items"), each) if (path := a_path(it.get("Path")))
        ]
    return list(dict.fromkeys(found))


def refused(name: str, library: ListedLibrary, error: TokenRefused, *, known: bool) -> AuthFailed:
    """Say what a 401 on a library means. known: the token is still good."""
    if not known:
        return error
    return AuthFailed(
        f"{name}: the account may not see the library {library.name} any more: give it back that "
        "right on the server, or take the library out of the list"
    )
