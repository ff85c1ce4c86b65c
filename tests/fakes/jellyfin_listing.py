"""`GET /Items` of the fake: filters, order, and the way `ids` passes by the library access."""

from datetime import datetime
from typing import Any

from tests.fakes.jellyfin_world import Item, User, World


def by_ids(query: Any, name: str) -> list[str]:
    """Return a list that was sent with commas, or as the same name again and again, or both."""
    return [part for value in query.getall(name, []) for part in value.split(",") if part]


def listing(world: World, user: User | None, query: Any, parent: str) -> list[Item]:
    """Return what matches, in order. The last answer is kept: pages are asked for one by one."""
    names = sorted({name for name in query if name not in {"startIndex", "limit", "fields"}})
    key = (world.changes, user and user.id, *((name, *query.getall(name)) for name in names))
    if world.kept is None or world.kept[0] != key:
        world.kept = (key, _matching(world, user, query, parent))
    return world.kept[1]


def _matching(world: World, user: User | None, query: Any, parent: str) -> list[Item]:
    ids = {id.replace("-", "") for id in by_ids(query, "ids")}
    if ids:
        # The restriction to libraries is only applied when no ids are asked for.
        found = [world.items[id] for id in ids if id in world.items]
        if user is not None:
            found = [it for it in found if world.passes(user, it)]
    else:
        found = [
            it
            for it in world.items.values()
            if not it.part_of
            and (not parent or it.library == parent)
            and (user is None or world.may_see(user, it))
        ]
    found = [it for it in found if _wanted(it, user, query)]
    if query.get("collapseBoxSetItems", "").lower() != "false":
        # With "Group movies into collections" on, the collection comes in their place.
        found = [it for it in found if it.id not in world.collected]
    return sorted(found, key=lambda it: (it.created, it.name.lower(), it.id))


def _wanted(it: Item, user: User | None, query: Any) -> bool:
    kinds = by_ids(query, "includeItemTypes")
    if kinds and it.type not in kinds:
        return False
    if query.get("isMissing", "").lower() == "false" and it.location == "Virtual":
        return False
    if it.location in by_ids(query, "excludeLocationTypes"):
        return False
    since = query.get("minDateLastSaved")
    if since and it.saved < datetime.fromisoformat(since):
        return False
    return user is None or _watched(it, user, query)


def _watched(it: Item, user: User, query: Any) -> bool:
    filters = by_ids(query, "filters")
    if ("IsPlayed" in filters or query.get("isPlayed", "") == "true") and it.id not in user.played:
        return False
    return "IsResumable" not in filters or it.id in user.positions
