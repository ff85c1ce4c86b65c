"""Plex's libraries and items as the sync takes them: whole, mapped to our paths, converted in the
thread that asked.

A list names only a few of the cast, so each page of ids is asked for again in full, a few dozen at
a time. What a list names but a full page does not is asked for once more on its own: only the
server's clear "no such item" lets it go.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from xml.etree.ElementTree import Element

from companion.listed import ListedItem, ListedLibrary, ListedPart, ListedProblem
from connectors import plex_listing, plex_reading as reading
from connectors.base import FoundItems
from connectors.mapping import PathMapping, to_local
from connectors.plex_client import PlexClient
from connectors.plex_http import Refused
from connectors.plex_reading import Section

DETAILS = 50  # items asked for in full at once
SAMPLES = 40  # paths for a proposal, over all libraries
GONE = {400, 404}
PLAYED = {"movie", "episode", "clip"}


def library(section: Section, mappings: Sequence[PathMapping]) -> ListedLibrary:
    roots = (to_local(folder, mappings) for folder in section.folders)
    return ListedLibrary(
        external_id=section.id,
        name=section.title,
        kind=section.kind,
        roots=tuple(dict.fromkeys(root for root in roots if root)),
    )


def details(
    client: PlexClient,
    ids: Collection[str],
    sections: Mapping[str, Section],
    mappings: Sequence[PathMapping],
) -> FoundItems:
    """Return the items of these ids that are in one of the sections. Blocks."""
    items: list[tuple[str, ListedItem]] = []
    problems: dict[bytes, ListedProblem] = {}
    for video in elements(client, ids):
        section = sections.get(video.get("librarySectionID", ""))
        if section is None:
            continue
        made = _item(video, section, mappings)
        if isinstance(made, ListedItem):
            items.append((section.id, made))
        elif made is not None:
            problems.setdefault(made.path, made)
    return FoundItems(items=tuple(items), problems=tuple(problems.values()))


def elements(client: PlexClient, ids: Collection[str]) -> Iterator[Element]:
    """Yield the playable items of these ids, in their order; those that are gone are left out."""
    wanted = [each for each in dict.fromkeys(ids) if reading.identifier(each)]
    for start in range(0, len(wanted), DETAILS):
        some = wanted[start : start + DETAILS]
        found = _asked(client, some)
        for each in some:
            alone = found if each in found or len(some) == 1 else _asked(client, [each])
            if each in alone:
                yield alone[each]


def _asked(client: PlexClient, ids: Sequence[str]) -> dict[str, Element]:
    """Return what the server gives for ids. None of them may be there: then it says 404."""
    try:
        root = client.ask(f"/library/metadata/{','.join(ids)}", {}, {})
    except Refused as error:
        if error.status in GONE:
            return {}
        raise
    section = root.get("librarySectionID", "")
    found = {}
    for video in root:
        if "librarySectionID" not in video.attrib:
            video.set("librarySectionID", section)
        found[video.get("ratingKey", "")] = video
    return found


def _item(
    video: Element, section: Section, mappings: Sequence[PathMapping]
) -> ListedItem | ListedProblem | None:
    kind = reading.item_kind(video, section.kind)
    files = reading.parts(video)
    if kind is None or not files:  # a show, a season, something that is not on a disk
        return None
    parts = tuple(_parts(files, mappings))
    if not parts:
        return _unmapped(files[0].file)
    is_episode = video.get("type") == "episode"
    key = reading.identifier(video.get("ratingKey"))
    return ListedItem(
        external_id=key,
        kind=kind,
        title=reading.text(video.get("title")) or f"({key})",
        parts=parts,
        show_title=reading.text(video.get("grandparentTitle")) if is_episode else "",
        season=reading.number(video.get("parentIndex")) if is_episode else None,
        episode=reading.number(video.get("index")) if is_episode else None,
        year=reading.year(video.get("year")),
        added_at_ms=reading.unix_ms(video.get("addedAt")),
        saved_at_ms=reading.unix_ms(video.get("updatedAt")),
        credits=reading.credits(video),
        genres=reading.tags(video, "Genre"),
        tags=reading.tags(video, "Label"),
        rating=reading.text(video.get("contentRating"))[: reading.RATING_LENGTH],
        community_rating=reading.community_rating(video),
        provider_ids=reading.provider_ids(video),
    )


def _parts(files: Sequence[reading.Part], mappings: Sequence[PathMapping]) -> Iterator[ListedPart]:
    seen = set()
    for file in files:
        path = to_local(file.file, mappings)
        if path and path not in seen:
            seen.add(path)
            yield ListedPart(
                path=path,
                version=file.version,
                part=file.part,
                external_id=f"{file.version}.{file.part}.{file.before_ms}",
            )


def before_ms(part_id: str) -> int:
    """Return how much of its item comes before a part: what Plex counts, and we do not."""
    return reading.number(part_id.rpartition(".")[2]) or 0


def _unmapped(file: str) -> ListedProblem:
    """Return one problem a folder, so that a library without a mapping is not thousands of them."""
    folder = file.replace("\\", "/").rpartition("/")[0] or file
    return ListedProblem(
        path=os.fsencode(folder.encode("utf-8", "replace")),
        problem="no path mapping leads from this folder of the server to one of this machine",
    )


def samples(client: PlexClient, sections: Collection[Section]) -> set[str]:
    """Return paths of files as the server spells them, some of each library. Blocks."""
    found: set[str] = set()
    for section in sections:
        few = max(1, SAMPLES // len(sections))
        query = {"type": section.type, "sort": "addedAt"}
        headers = plex_listing.page_headers(0, few)
        root = client.ask(plex_listing.page_path(section), query, headers)
        for video in list(reading.videos(root))[:few]:
            found.update(part.file for part in reading.parts(video)[:1])
    return found
