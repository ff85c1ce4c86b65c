"""How Jellyfin writes what the fake holds: the same names, number formats and gaps."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from tests.fakes.jellyfin_world import Item, Library, Person, Session, User, World, an_id

Body = dict[str, Any]
TICKS_OF_A_FILM = 54_000_000_000
PROVIDER = "Jellyfin.Server.Implementations.Users."


def at(when: datetime) -> str:
    """Return a time as .NET writes it: seven digits of a second."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def public_info(world: World) -> Body:
    return {
        "LocalAddress": "http://10.0.0.2:8096",
        "ServerName": world.name,
        "Version": world.version,
        "ProductName": "Jellyfin Server",
        "OperatingSystem": "",
        "Id": world.id,
        "StartupWizardCompleted": True,
    }


def user(world: World, who: User) -> Body:
    return {
        "Name": who.name,
        "ServerId": world.id,
        "Id": who.id,
        "HasPassword": True,
        "HasConfiguredPassword": True,
        "HasConfiguredEasyPassword": False,
        "EnableAutoLogin": False,
        "LastLoginDate": at(world.now()),
        "Policy": _policy(who),
    }


def _policy(who: User) -> Body:
    schedule = {
        "Id": 1,
        "UserId": who.id,
        "DayOfWeek": "Everyday",
        "StartHour": 6.0,
        "EndHour": 22.0,
    }
    return {
        "IsAdministrator": who.admin,
        "IsHidden": False,
        "IsDisabled": who.disabled,
        "MaxParentalRating": who.max_rating,
        "BlockedTags": sorted(who.blocked_tags),
        "AllowedTags": sorted(who.allowed_tags),
        "AccessSchedules": [schedule] if who.schedules else [],
        "BlockUnratedItems": ["Movie", "Series"] if who.block_unrated else [],
        "EnableRemoteControlOfOtherUsers": who.admin,
        "EnableSharedDeviceControl": True,
        "EnableMediaPlayback": True,
        "EnabledFolders": sorted(who.folders),
        "EnableAllFolders": who.all_folders,
        "EnabledChannels": [],
        "EnableAllChannels": True,
        "BlockedMediaFolders": sorted(who.blocked_folders),
        "BlockedChannels": [],
        "AuthenticationProviderId": PROVIDER + "DefaultAuthenticationProvider",
        "PasswordResetProviderId": PROVIDER + "DefaultPasswordResetProvider",
        "SyncPlayAccess": "CreateAndJoinGroups",
    }


def signed_in(world: World, who: User, token: str) -> Body:
    return {"User": user(world, who), "AccessToken": token, "ServerId": world.id}


def view(world: World, library: Library) -> Body:
    body: Body = {
        "Name": library.name,
        "ServerId": world.id,
        "Id": library.id,
        "IsFolder": True,
        "Type": "CollectionFolder",
        "MediaType": "Unknown",
        "LocationType": "FileSystem",
    }
    return body | ({"CollectionType": library.type} if library.type else {})


def virtual_folder(library: Library) -> Body:
    body: Body = {
        "Name": library.name,
        "Locations": library.locations,
        "ItemId": library.id,
        "RefreshStatus": "Idle",
    }
    return body | ({"CollectionType": library.type} if library.type else {})


def item(world: World, it: Item, fields: Collection[str], viewer: User | None) -> Body:
    """Return an item with what is always there, and the fields that were asked for."""
    body: Body = {
        "Name": it.name,
        "ServerId": world.id,
        "Id": it.id,
        "IsFolder": False,
        "Type": it.type,
        "MediaType": "Video",
        "VideoType": it.video_type,
        "LocationType": it.location,
        "RunTimeTicks": TICKS_OF_A_FILM,
        "ImageTags": {"Primary": an_id(it.id, "image")},
        "BackdropImageTags": [],
    }
    optional = {
        "OfficialRating": it.rating,
        "CommunityRating": it.score,
        "ProductionYear": it.year,
        "SeriesName": it.series,
        "IndexNumber": it.episode,
        "ParentIndexNumber": it.season,
        "PartCount": len(it.parts) + 1 if it.parts else None,
    }
    body |= {name: value for name, value in optional.items() if value not in ("", None)}
    if fields:
        body |= {name: value for name, value in _fields(it).items() if name in fields}
    if viewer is not None:
        body["UserData"] = user_data(it.id, viewer)
    return body


def _fields(it: Item) -> Body:
    return {
        "Path": it.versions[0] if it.versions else None,
        "MediaSources": [_source(it, number, path) for number, path in enumerate(it.versions)],
        "People": [_person(person) for person in it.people],
        "Genres": it.genres,
        "Tags": it.tags,
        "ProviderIds": it.providers,
        "DateCreated": at(it.created),
        "ParentId": an_id("folder", it.library, it.series or it.id),
        "SortName": it.name.lower(),
    }


def _source(it: Item, version: int, path: str) -> Body:
    return {
        "Protocol": it.protocol,
        "Id": it.source_id(version),
        "Path": path,
        "Type": "Default",
        "Container": "mkv",
        "Size": 1_000_000,
        "Name": path.rpartition("/")[2],
        "IsRemote": it.protocol != "File",
        "RunTimeTicks": TICKS_OF_A_FILM,
        "VideoType": it.video_type,
        "MediaStreams": [],
        "Formats": [],
    }


def _person(person: Person) -> Body:
    body: Body = {"Name": person.name, "Id": person.id, "Role": person.role, "Type": person.type}
    return body | ({"PrimaryImageTag": an_id(person.id, "image")} if person.portrait else {})


def user_data(item_id: str, who: User) -> Body:
    return {
        "PlaybackPositionTicks": who.positions.get(item_id, 0),
        "PlayCount": int(item_id in who.played),
        "IsFavorite": False,
        "Played": item_id in who.played,
        "Key": item_id,
        "ItemId": item_id,
    }


def result(items: Sequence[Body], total: int, start: int = 0) -> Body:
    return {"Items": list(items), "TotalRecordCount": total, "StartIndex": start}


def session(world: World, it: Session) -> Body:
    body: Body = {
        "PlayState": {
            "CanSeek": bool(it.item),
            "IsPaused": False,
            "IsMuted": False,
            "PositionTicks": it.ticks,
            "RepeatMode": "RepeatNone",
            "PlaybackOrder": "Default",
        },
        "AdditionalUsers": [],
        "PlayableMediaTypes": ["Video"],
        "Id": it.id,
        "UserId": it.user,
        "UserName": world.users[it.user].name,
        "Client": it.client,
        "LastActivityDate": at(world.now()),
        "DeviceName": it.device,
        "DeviceId": it.device_id,
        "IsActive": True,
        "SupportsMediaControl": it.remote,
        "SupportsRemoteControl": it.remote,
        "ServerId": world.id,
        "SupportedCommands": [],
    }
    playing = world.items.get(it.item)
    return body | ({"NowPlayingItem": item(world, playing, (), None)} if playing else {})


def message(kind: str, data: Any = None) -> Body:
    body: Body = {"MessageId": an_id("message", kind, str(data)), "MessageType": kind}
    return body if data is None else body | {"Data": data}
