"""One library within a sync: what is listed is compared with what was kept, page by page.

An item is looked at closely only if its listing, or the quick look at one of its paths, differs
from the last time; the content of a path is read only where the quick look has no answer.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import apsw

from companion import identity, looks
from companion.model import ListedItem, ListedLibrary, ListedPage, ListedProblem, Stat
from companion.paths import is_below, plain
from companion.store import listing
from companion.store.db import Store
from companion.store.listing import KnownItem, Look
from companion.store.roots import Root

ROOT_LIMIT_S = 60.0  # a folder that is silent for so long is away
BATCH_ITEMS = 32  # kept in one transaction; few, so that the first ones are found soon
PROBLEMS_TOLD = 200

Unsettled = dict[bytes, tuple[Stat, float]]
"""Path -> the quick look, and since when (monotonic) it has been the same."""


@dataclass(slots=True)
class Run:
    """One sync under way. settle_s: a file that changed less long ago waits. tell: something new
    can be found; called after each batch."""

    settle_s: float
    clock: Callable[[], float]
    tell: Callable[[], None]
    began: float = field(default_factory=time.monotonic)
    counts: dict[str, int] = field(default_factory=dict)
    created: list[int] = field(default_factory=list)
    problems: list[ListedProblem] = field(default_factory=list)
    complete: bool = True
    back: bool = False  # a folder that was away can be read again

    def count(self, **numbers: int) -> None:
        for name, number in numbers.items():
            self.counts[name] = self.counts.get(name, 0) + number

    def note(self, problems: Iterable[ListedProblem]) -> None:
        self.problems += list(problems)[: max(0, PROBLEMS_TOLD - len(self.problems))]

    @property
    def news(self) -> bool:
        """True if others have something to do now."""
        return self.back or any(self.counts.get(name) for name in ("new", "changed", "gone"))

    @property
    def now_ms(self) -> int:
        return round(self.clock() * 1000)


@dataclass(slots=True)
class LibraryRun:
    """One library of a sync. away: folders that nothing is known of now; hidden: below these, and
    in those, nothing counts as gone. was_unsettled: from the last sync."""

    store: Store
    id: int
    listed: ListedLibrary
    run: Run
    was_unsettled: Unsettled
    away: list[bytes] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    hidden: list[bytes] = field(default_factory=list)
    problems: list[ListedProblem] = field(default_factory=list)
    unsettled: Unsettled = field(default_factory=dict)
    _looker: looks.Looker = field(default_factory=looks.Looker)

    async def page(self, page: ListedPage) -> None:
        """Take in a piece of the listing."""
        self.problems += page.problems
        self.hidden += [problem.path for problem in page.problems]
        self.run.note(page.problems)
        self.run.count(items=len(page.items))
        paths = [part.path for item in page.items for part in item.parts]
        seen = await asyncio.to_thread(self._looker.look, paths)
        known = await self.store.read(
            listing.known_items, self.id, [item.external_id for item in page.items]
        )
        changed = [
            item
            for item in page.items
            if self._is_work(item, {part.path: seen[part.path] for part in item.parts}, known)
        ]
        for start in range(0, len(changed), BATCH_ITEMS):
            await self._keep(changed[start : start + BATCH_ITEMS], seen, known)

    def _is_work(
        self,
        item: ListedItem,
        seen: dict[bytes, Look],
        known: dict[str, KnownItem],
    ) -> bool:
        """True if an item is to be looked at closely; else it is as it was, or has to wait."""
        was = known.get(item.external_id)
        if was is not None and not was.gone:
            self.seen.add(was.id)
        self.run.note(
            ListedProblem(path=path, problem=look.problem)
            for path, look in seen.items()
            if look.problem
        )
        if any(is_below(path, folder) for path in seen for folder in self.away):
            return False
        if was is not None and _is_same(item, seen, was):
            return False
        settled = [self._is_settled(path, look, was) for path, look in seen.items()]
        if not all(settled):
            self.run.count(settling=1)
        return all(settled)

    def _is_settled(self, path: bytes, look: Look, was: KnownItem | None) -> bool:
        """True if nobody seems to write the file: it is old enough, or was still for as long."""
        before = was.looks.get(path) if was else None
        if look.stat == listing.NOWHERE or (before and before.stat == look.stat):
            return True
        if self.run.clock() - look.stat.mtime_ns / 1e9 >= self.run.settle_s:
            return True
        # Young, or from the future: clocks of shares go wrong. Then only stillness tells.
        stat, since = self.was_unsettled.get(path, (None, 0.0))
        if stat != look.stat:
            since = time.monotonic()
        if time.monotonic() - since >= self.run.settle_s:
            return True
        self.unsettled[path] = (look.stat, since)
        return False

    # --- items that changed ----------------------------------------------------------------------

    async def _keep(
        self,
        items: Sequence[ListedItem],
        seen: dict[bytes, Look],
        known: dict[str, KnownItem],
    ) -> None:
        """Find out the content of every path of some items and keep what is new about them."""
        before = {path: look for was in known.values() for path, look in was.looks.items()}
        wanted = {part.path: seen[part.path] for item in items for part in item.parts}
        found = await self._contents(wanted, before)
        whole = [item for item in items if all(part.path in found for part in item.parts)]
        self.run.count(settling=len(items) - len(whole))
        todo = [
            item
            for item in whole
            if (was := known.get(item.external_id)) is None
            or not _is_same(item, {part.path: found[part.path] for part in item.parts}, was)
        ]
        kept = await self.store.write(_keep_items, self.id, todo, found, self.run.now_ms)
        for item, each in zip(todo, kept, strict=True):
            self._count(each, known.get(item.external_id))
        self.run.tell()

    async def _contents(
        self, wanted: dict[bytes, Look], before: dict[bytes, Look]
    ) -> dict[bytes, Look]:
        """Return the looks with their content; a file that is being written is left out."""
        by_stat = await self.store.read(
            listing.files_by_stat, {look.stat for look in wanted.values() if not look.problem}
        )
        found = {}
        for path, look in wanted.items():
            try:
                found[path] = await _content(path, look, before.get(path), by_stat)
            except identity.Unsettled:
                self.unsettled[path] = (look.stat, time.monotonic())
                continue
            if found[path].problem and not look.problem:
                self.run.note([ListedProblem(path=path, problem=found[path].problem)])
        return found

    def _count(self, kept: listing.Kept, was: KnownItem | None) -> None:
        self.seen.add(kept.item_id)
        if was is None:
            self.run.created.append(kept.item_id)
        back = was is None or was.gone
        self.run.count(
            new=int(back), changed=int(not back), new_files=kept.new_files, linked=kept.linked
        )


def _keep_items(
    c: apsw.Connection,
    library_id: int,
    items: Sequence[ListedItem],
    found: dict[bytes, Look],
    now_ms: int,
) -> list[listing.Kept]:
    return [
        listing.keep_item(
            c, library_id, item, {part.path: found[part.path] for part in item.parts}, now_ms=now_ms
        )
        for item in items
    ]


async def _content(path: bytes, look: Look, before: Look | None, by_stat: dict[Stat, int]) -> Look:
    """Return the look with the content of the path, read only if nothing else tells it.

    Raises identity.Unsettled.
    """
    unchanged = before is not None and identity.same_content(before.stat, look.stat)
    if look.problem:
        # What may not be read now is still what it was.
        keep = before.file_id if before and unchanged and look.stat.size else None
        return replace(look, file_id=keep)
    if before and unchanged and before.file_id is not None and not before.problem:
        return replace(look, file_id=before.file_id)
    if look.stat in by_stat:
        return replace(look, file_id=by_stat[look.stat])
    try:
        fingerprint = await asyncio.to_thread(identity.fingerprint, path, look.stat)
    except OSError as error:
        return replace(look, problem=looks.why(error))
    return replace(look, fingerprint=fingerprint)


def _is_same(item: ListedItem, seen: dict[bytes, Look], was: KnownItem) -> bool:
    """True if an item is listed, and looks, as it was kept."""
    if was.gone or was.looks.keys() != seen.keys():
        return False
    if replace(item, added_at_ms=0, parts=()) != replace(was.listed, added_at_ms=0, parts=()):
        return False
    if set(item.parts) != set(was.listed.parts):
        return False
    return all(_looks_same(seen[path], was.looks[path]) for path in seen)


def _looks_same(now: Look, was: Look) -> bool:
    return (
        now.stat == was.stat
        and now.problem == was.problem
        and now.side_files == was.side_files
        and not now.fingerprint
        and now.file_id in (None, was.file_id)
    )


async def look_at_root(path: bytes, before: Root | None, places: list[tuple[bytes, Stat]]) -> Root:
    """Look at a folder of a library: whether it is away, and why. places: known files below it."""
    try:
        async with asyncio.timeout(ROOT_LIMIT_S):
            return await asyncio.to_thread(looks.root, path, before, places)
    except TimeoutError:
        device = before.device if before else 0
        away = f"The folder {plain(path)} does not answer: check the disk or the share."
        return Root(path=path, device=device, away=away)
