"""How Plex writes its world down: `MediaContainer` documents, as plexapi and our connector read.

A listing carries only a few roles and no labels; the page of an item carries all of them.
"""

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from tests.fakes.plex_world import Account, Player, Section, Video, World

LISTED_ROLES = 3  # a listing cuts the cast off


def document(root: Element) -> bytes:
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root)


def container(**attributes: object) -> Element:
    return Element("MediaContainer", _texts(attributes))


def identity(world: World) -> Element:
    return container(size=0, claimed=1, machineIdentifier=world.machine_id, version=world.version)


def server(world: World, account: Account) -> Element:
    """`/`: what plexapi asks first. Only the owner is told the name of the account."""
    owner = next((each for each in world.accounts if each.owner), None)
    root = container(
        size=2,
        friendlyName=world.name,
        machineIdentifier=world.machine_id,
        version=world.version,
        platform="Linux",
        myPlex=1,
        myPlexUsername=owner.name if owner and account.owner else "",
        transcoderActiveVideoSessions=0,
        updatedAt=1_700_000_000,
    )
    SubElement(root, "Directory", count="1", key="library", title="library")
    return root


def sections(found: Sequence[Section]) -> Element:
    root = container(size=len(found), allowSync=0, title1="Plex Library")
    for section in found:
        directory = SubElement(
            root,
            "Directory",
            _texts(
                {
                    "key": section.key,
                    "type": section.type,
                    "title": section.title,
                    "agent": section.agent,
                    "uuid": f"uuid-{section.key}",
                    "updatedAt": 1_700_000_000,
                }
            ),
        )
        for number, place in enumerate(section.locations):
            SubElement(directory, "Location", id=str(number), path=place)
    return root


def videos(
    world: World, account: Account, found: Sequence[Video], *, start: int, total: int, full: bool
) -> Element:
    root = container(
        size=len(found), totalSize=total, offset=start, librarySectionID=_section(found)
    )
    for video in found:
        root.append(video_element(world, account, video, full=full))
    return root


def video_element(world: World, account: Account, video: Video, *, full: bool) -> Element:
    tag = "Directory" if video.type in {"show", "season"} else "Video"
    element = Element(tag, _texts(_attributes(world, account, video) | video.attributes))
    for number, parts in enumerate(video.media):
        media = SubElement(
            element,
            "Media",
            _texts({"id": f"{number + 1}", "duration": parts[0].duration_ms if parts else None}),
        )
        for index, part in enumerate(parts):
            SubElement(
                media,
                "Part",
                _texts(
                    {
                        "id": f"{video.key}{number}{index}",
                        "key": f"/library/parts/{video.key}{number}{index}/0/file.{part.container}",
                        "file": part.file,
                        "duration": part.duration_ms,
                        "container": part.container,
                    }
                ),
            )
    _tags(element, "Genre", video.genres)
    _tags(element, "Director", video.directors)
    for role in video.roles if full else video.roles[:LISTED_ROLES]:
        about = {"id": role.id or None, "tag": role.name, "role": role.role, "thumb": role.thumb}
        SubElement(element, "Role", _texts(about))
    if full:
        _tags(element, "Label", video.labels)
    for guid in video.guids:
        SubElement(element, "Guid", id=guid)
    return element


def sessions(world: World, account: Account) -> Element:
    """`/status/sessions`: who plays what where."""
    playing = [player for player in world.players.values() if player.playing and player.account]
    root = container(size=len(playing))
    for number, player in enumerate(playing):
        assert player.account
        video = world.videos[player.playing]
        element = video_element(world, account, video, full=False)
        element.set("sessionKey", str(number + 1))
        element.set("viewOffset", str(player.offset_ms))
        who = {"id": player.account.session_id, "title": player.account.name, "thumb": "x"}
        SubElement(element, "User", _texts(who))
        SubElement(element, "Player", _player(player))
        SubElement(element, "Session", id=f"session-{number}", bandwidth="4000", location="lan")
        root.append(element)
    return root


def clients(found: Iterable[Player]) -> Element:
    """`/clients`: apps that advertise themselves; nothing here says whose they are."""
    root = container(size=0)
    for player in found:
        about = {
            "name": player.name,
            "host": "192.0.2.7",
            "address": "192.0.2.7",
            "port": 32433,
            "machineIdentifier": player.id,
            "protocol": "plex",
            "product": player.product,
            "deviceClass": "tv",
            "protocolVersion": 1,
            "protocolCapabilities": "timeline,playback,navigation,mirror,playqueues",
        }
        SubElement(root, "Server", _texts(about))
    root.set("size", str(len(root)))
    return root


def accounts(found: Iterable[Account]) -> Element:
    root = container(identifier="com.plexapp.system.accounts")
    for account in found:
        about = {"id": account.session_id, "name": account.name, "key": f"/accounts/{account.id}"}
        SubElement(root, "Account", _texts(about))
    root.set("size", str(len(root)))
    return root


def _attributes(world: World, account: Account, video: Video) -> dict[str, object]:
    show = world.videos.get(video.show)
    return {
        "ratingKey": video.key,
        "key": f"/library/metadata/{video.key}",
        "guid": video.guid or f"plex://{video.type}/{video.key}",
        "type": video.type,
        "title": video.title,
        "year": video.year,
        "contentRating": video.content_rating or None,
        "rating": video.rating or None,
        "addedAt": video.added_at,
        "updatedAt": video.updated_at,
        "duration": video.media[0][0].duration_ms if video.media and video.media[0] else None,
        "thumb": f"/library/metadata/{video.key}/thumb/{video.updated_at}",
        "viewCount": account.views.get(video.key),
        "viewOffset": account.offsets.get(video.key),
        "index": video.number,
        "parentIndex": video.season,
        "grandparentTitle": show.title if show else None,
        "grandparentRatingKey": show.key if show else None,
        "librarySectionID": video.section,
        "deletedAt": 1_700_000_500 if video.deleted else None,
    }


def _player(player: Player) -> dict[str, str]:
    return _texts(
        {
            "machineIdentifier": player.id,
            "title": player.name,
            "product": player.product,
            "state": "playing",
            "address": "192.0.2.7",
            "local": 1,
            "userID": player.account.session_id if player.account else None,
        }
    )


def _tags(element: Element, tag: str, names: Iterable[str]) -> None:
    for number, name in enumerate(names):
        SubElement(element, tag, _texts({"id": number + 1, "tag": name}))


def _section(found: Sequence[Video]) -> str | None:
    return found[0].section if found else None


def _texts(attributes: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in attributes.items() if value is not None}
