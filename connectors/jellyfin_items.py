"""Items of a Jellyfin server with the files they have here. Blocks: it looks at the disk.

One entry of `MediaSources` is a version. What follows the first file of a film in several parts is
an item of its own on the server, and is asked for.
"""

import os
import stat
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from companion.listed import ItemKind, ListedItem, ListedPart, ListedProblem
from companion.paths import plain
from connectors.jellyfin_parse import (
    ITEM_KINDS,
    YEARS,
    Body,
    a_path,
    an_id,
    credits_of,
    maybe_id,
    objects,
    providers_of,
    score_of,
    text,
    texts,
    unix_ms,
    whole,
)
from connectors.mapping import PathMapping, to_local

VERSIONS = 50
PARTS = 50
NUMBERS = range(100_000)  # of seasons and episodes
DISCS = {"Dvd": "DVD", "BluRay": "Blu-ray", "Iso": "disc"}


@dataclass(slots=True)
class Places:
    """Where files lie here. unmapped: server folders that no mapping leads to, with a count."""

    name: str
    mappings: Sequence[PathMapping]
    roots: Sequence[str] = ()  # as the server spells them
    unmapped: dict[str, int] = field(default_factory=dict)

    def local(self, path: str) -> bytes | None:
        return to_local(path, self.mappings)

    def find(self, path: str) -> tuple[bytes | None, ListedProblem | None]:
        """Return (the file here, None), or (None, what is wrong); the second is None as well if
        no mapping leads there: that is told once for a whole folder, by `problems`."""
        local = self.local(path)
        if local is None:
            root = next((each for each in self.roots if path.startswith(each)), _top(path))
            self.unmapped[root] = self.unmapped.get(root, 0) + 1
            return None, None
        try:
            found = _there(local)
        except OSError as error:
            return None, ListedProblem(
                path=local, problem=f"it cannot be looked at: {error.strerror}"
            )
        if found is None:
            return None, ListedProblem(
                path=local,
                problem=f"{self.name} lists it, but it is not here: check the path mapping and "
                "that the disk is mounted",
            )
        if not stat.S_ISREG(found[1].st_mode):
            return None, ListedProblem(
                path=local, problem="this is not a video file: a copied disc is not read"
            )
        return found[0], None

    def problems(self) -> tuple[ListedProblem, ...]:
        """Return, once and for all, the folders that no mapping leads to."""
        return tuple(
            ListedProblem(
                path=root.encode("utf-8", "replace"),
                problem=f"no path mapping leads to this folder of {self.name} ({count} files): say "
                "where it lies here",
            )
            for root, count in sorted(self.unmapped.items())
        )


@dataclass(slots=True)
class Reader:
    """Turns what is listed into items. more_parts: asks for what follows, by item id."""

    places: Places
    more_parts: Callable[[str], list[Body]]
    problems: list[ListedProblem] = field(default_factory=list)

    def item(self, body: Body) -> ListedItem | None:
        """Return an item with at least one file here; else None, and a problem says why."""
        kind = ITEM_KINDS.get(str(body.get("Type")))
        if kind is None or body.get("LocationType") == "Virtual":
            return None  # an episode that nobody has
        external_id = an_id(body.get("Id"), self.places.name)
        title = text(body.get("Name"))
        episode = whole(body.get("IndexNumber"), NUMBERS) if kind is ItemKind.EPISODE else None
        parts = self._parts(body, external_id, title)
        if not parts:
            return None
        return ListedItem(
            external_id=external_id,
            kind=kind,
            title=title or _stem(parts[0].path),
            parts=parts,
            show_title=text(body.get("SeriesName")) if kind is ItemKind.EPISODE else "",
            season=whole(body.get("ParentIndexNumber"), NUMBERS) if episode is not None else None,
            episode=episode,
            year=whole(body.get("ProductionYear"), YEARS),
            added_at_ms=unix_ms(body.get("DateCreated")),
            saved_at_ms=_saved_at_ms(body),
            credits=credits_of(body.get("People")),
            genres=texts(body.get("Genres")),
            tags=texts(body.get("Tags")),
            rating=text(body.get("OfficialRating"), 40),
            community_rating=score_of(body.get("CommunityRating")),
            provider_ids=providers_of(body.get("ProviderIds")),
        )

    def take_problems(self) -> tuple[ListedProblem, ...]:
        taken = tuple(self.problems)
        self.problems.clear()
        return taken

    def _parts(self, body: Body, item_id: str, title: str) -> tuple[ListedPart, ...]:
        found: list[ListedPart] = []
        for version, (source_id, path) in enumerate(self._files(body, item_id, title)):
            if (local := self._local(path)) is not None:
                playable = f"{item_id}/{source_id}"
                found.append(ListedPart(path=local, version=version, external_id=playable))
        if found and (whole(body.get("PartCount"), range(2, PARTS + 1)) or 1) > 1:
            found += self._following(item_id, title)
        return tuple(_each_once(found))

    def _following(self, item_id: str, title: str) -> list[ListedPart]:
        """Return the files of a film after its first one."""
        found = []
        for number, body in enumerate(self.more_parts(item_id)[:PARTS], 1):
            part_id = an_id(body.get("Id"), self.places.name)
            for source_id, path in self._files(body, part_id, title)[:1]:
                if (local := self._local(path)) is not None:
                    playable = f"{part_id}/{source_id}"
                    found.append(ListedPart(path=local, part=number, external_id=playable))
        return found

    def _files(self, body: Body, item_id: str, title: str) -> list[tuple[str, str]]:
        """Return (id of the version, server path); what is no file of the server is a problem."""
        sources = objects(body.get("MediaSources"), VERSIONS)
        if not sources:
            sources = [{"Id": item_id, "Path": body.get("Path"), "Protocol": "File"}]
        found = []
        for source in sources:
            path = a_path(source.get("Path"))
            if source.get("Type") == "Placeholder":
                continue
            if source.get("Protocol", "File") != "File" or "://" in path[:20]:
                self._problem(title, "it lies on the internet, not in a file of the server")
            elif (disc := DISCS.get(str(source.get("VideoType")))) is not None:
                self._problem(path, f"a copied {disc} is not read: make one video file of it")
            elif not path:
                self._problem(title, "the server does not say in which file it lies")
            else:
                found.append((maybe_id(source.get("Id")) or item_id, path))
        return found

    def _local(self, path: str) -> bytes | None:
        local, problem = self.places.find(path)
        if problem is not None:
            self.problems.append(problem)
        return local

    def _problem(self, what: str, problem: str) -> None:
        """what: a server path or, where there is none to be shown, a title."""
        path = to_local(what, self.places.mappings) or what.encode("utf-8", "replace")
        self.problems.append(ListedProblem(path=path, problem=problem))


def _saved_at_ms(body: Body) -> int:
    """Return when the server saved this at the earliest: it does not say when it did last.

    What it saved since the newest of these times then holds everything that is not known yet. A
    time to come, of a file with a wrong date, would hide the rest.
    """
    created_ms = unix_ms(body.get("DateCreated"))
    return created_ms if created_ms <= time.time() * 1000 else 0


def _each_once(parts: Sequence[ListedPart]) -> list[ListedPart]:
    """A path that is listed twice is one file: the first place counts."""
    return list({part.path: part for part in reversed(parts)}.values())[::-1]


def _there(path: bytes) -> tuple[bytes, os.stat_result] | None:
    """Return a path that is there, and what it is. Accents are composed differently on a Mac."""
    name = path.decode("utf-8", "surrogateescape")
    for form in (None, "NFC", "NFD"):
        spelled = unicodedata.normalize(form, name) if form else name
        tried = spelled.encode("utf-8", "surrogateescape")
        try:
            return tried, os.stat(tried)  # noqa: PTH116 - the path is bytes
        except (FileNotFoundError, NotADirectoryError):
            if name.isascii():
                return None
    return None


def _top(path: str) -> str:
    """Return the first two folders of a server path."""
    slash = "\\" if "\\" in path and not path.startswith("/") else "/"
    return slash.join(path.split(slash)[:3])[:200]


def _stem(path: bytes) -> str:
    return plain(path.rpartition(b"/")[2].rpartition(b".")[0])
