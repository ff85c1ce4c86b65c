"""What happens on a Jellyfin server, as it happens: by its socket, else by asking.

The socket tells only users, never API keys, and tells each only of what they may see. It may break
at any time, and what happened meanwhile is not told later: each return says "look again".
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import aiohttp

from companion.errors import ServerUnavailable
from connectors.base import Account, Change, ChangeKind
from connectors.jellyfin_http import (
    ANSWER_LIMIT_S,
    Forbidden,
    Http,
    NotThere,
    NotUnderstood,
    decoded,
    silent,
)
from connectors.jellyfin_parse import Body, bodies_of, body_of, maybe_id, objects
from connectors.jellyfin_walk import ITEMS

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
POLL_S = 60.0
OVERLAP_S = 30.0  # asked for twice, since a server writes down a little later than it says
SILENCE_S = 60.0  # between two signs of life, until the server says otherwise
MOST_TOLD = 200  # more changes at once are a reason to look at everything


def pause_s(failures: int) -> float:
    """Return how long to wait before trying again: twice as long each time, and never in step
    with other clients."""
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * (1 << min(failures, 10)))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


class Live:
    """Changes of one server, heard with the daemon's token. whose: asks whose token that is."""

    def __init__(self, http: Http, token: str, whose: Callable[[], Awaitable[Account]]) -> None:
        self._http = http
        self._token = token
        self._whose = whose
        self._by_socket = True
        self._failures = 0
        self._silent = False
        self._since = 0.0  # the loop's time at which the line was opened

    async def changes(self) -> AsyncGenerator[Change, None]:
        """Yield for ever. Raises AuthFailed when the token is refused."""
        while True:
            try:
                async with contextlib.aclosing(self._told()) as told:
                    async for change in told:
                        yield change
            except ServerUnavailable as error:
                if self._by_socket and isinstance(error, NotThere | NotUnderstood):
                    self._ask_from_now_on()
                else:
                    await self._again_later(error)
            except Forbidden:
                if not self._by_socket:
                    raise
                await self._must_be_known()  # the socket says so of an unknown token as well
                self._ask_from_now_on()

    def _ask_from_now_on(self) -> None:
        self._by_socket = False
        log.info("no events, asks instead server=%s", self._http.name)

    def _well(self) -> None:
        if self._silent:
            log.info("hears events again server=%s", self._http.name)
        self._silent = False
        self._since = asyncio.get_running_loop().time()

    async def _again_later(self, error: ServerUnavailable) -> None:
        if not self._silent:
            log.warning("no events server=%s: %s", self._http.name, error)
        self._silent = True
        # A line that breaks as soon as it is opened must not be opened all the time.
        lived_s = asyncio.get_running_loop().time() - self._since
        self._failures = 0 if lived_s > LONGEST_PAUSE_S else self._failures + 1
        await asyncio.sleep(pause_s(self._failures))

    async def _must_be_known(self) -> None:
        """Raise AuthFailed if the token is no good at all."""
        with contextlib.suppress(ServerUnavailable):
            await self._http.json("Users/Me", token=self._token)

    async def _told(self) -> AsyncGenerator[Change, None]:
        user_id = (await self._whose()).external_id
        self._by_socket = self._by_socket and bool(user_id)
        poll = Poll(self._http, self._token, user_id)
        told = self._heard() if self._by_socket else poll.changes(self._well)
        async with contextlib.aclosing(told):
            async for change in told:
                yield change

    async def _heard(self) -> AsyncGenerator[Change, None]:
        socket = await self._http.socket(self._token)
        try:
            self._well()
            yield Change(kind=ChangeKind.LOOK_AGAIN)
            async with contextlib.aclosing(_messages(socket, self._http.name)) as messages:
                async for message in messages:
                    for change in changes_of(message):
                        yield change
        finally:
            await socket.close()


async def _messages(
    socket: aiohttp.ClientWebSocketResponse, name: str
) -> AsyncGenerator[Body, None]:
    """Yield what a socket says, and give it signs of life. Ends by raising ServerUnavailable."""
    silence_s = SILENCE_S
    unanswered = 0
    while True:
        try:
            said = await socket.receive(timeout=silence_s / 2)
        except TimeoutError:
            unanswered += 1
            if unanswered > 2:
                raise silent(name, "its events stopped") from None
            await _say_alive(socket, name)
            continue
        unanswered = 0
        if said.type is not aiohttp.WSMsgType.TEXT:
            raise silent(name, "it has closed the line")
        message = _message(said.data, name)
        if message.get("MessageType") == "ForceKeepAlive":
            wanted = message.get("Data")
            if isinstance(wanted, int) and 2 <= wanted <= 600:
                silence_s = float(wanted)
            await _say_alive(socket, name)
        yield message


def _message(text: str, name: str) -> Body:
    """Return a message; what cannot be read is an empty one."""
    try:
        return body_of(decoded(text.encode("utf-8", "replace"), name), name)
    except ServerUnavailable:
        return {}


async def _say_alive(socket: aiohttp.ClientWebSocketResponse, name: str) -> None:
    try:
        async with asyncio.timeout(ANSWER_LIMIT_S):
            await socket.send_str('{"MessageType":"KeepAlive"}')
    except (TimeoutError, aiohttp.ClientError, ConnectionError):
        raise silent(name, "it has closed the line") from None


def changes_of(message: Body) -> list[Change]:
    """Return what a message of the socket means; most mean nothing to us."""
    data = message.get("Data")
    match message.get("MessageType"):
        case "LibraryChanged" if isinstance(data, dict):
            return _library_changed(data)
        case "UserDataChanged" if isinstance(data, dict):
            entries = objects(data.get("UserDataList"), MOST_TOLD)
            ids = tuple(id for entry in entries if (id := maybe_id(entry.get("ItemId"))))
            who = maybe_id(data.get("UserId"))
            return [Change(kind=ChangeKind.WATCHED, item_ids=ids, account_id=who)] if who else []
        case "UserUpdated" if isinstance(data, dict):
            return [Change(kind=ChangeKind.ACCOUNTS, account_id=maybe_id(data.get("Id")))]
        case "UserDeleted":
            return [Change(kind=ChangeKind.ACCOUNTS, account_id=maybe_id(data))]
    return []


def _library_changed(data: Body) -> list[Change]:
    lists = [data.get(name) for name in ("ItemsAdded", "ItemsUpdated", "ItemsRemoved")]
    libraries = _ids(data.get("CollectionFolders"))
    if sum(len(each) for each in lists if isinstance(each, list)) > MOST_TOLD:
        return [Change(kind=ChangeKind.LOOK_AGAIN, library_ids=libraries)]
    saved = tuple(dict.fromkeys([*_ids(lists[0]), *_ids(lists[1])]))
    removed = _ids(lists[2])
    found = []
    if removed:
        found.append(Change(kind=ChangeKind.REMOVED, item_ids=removed, library_ids=libraries))
    if saved:
        found.append(Change(kind=ChangeKind.SAVED, item_ids=saved, library_ids=libraries))
    if not found:  # folders came or went
        found.append(Change(kind=ChangeKind.LOOK_AGAIN, library_ids=libraries))
    return found


def _ids(value: object) -> tuple[str, ...]:
    entries = objects(value, MOST_TOLD, of=str)
    return tuple(dict.fromkeys(id for each in entries if (id := maybe_id(each))))


# --- asking --------------------------------------------------------------------------------------


class Poll:
    """Asks what was saved since the last time, by the server's own clock: ours may be wrong.

    It never hears of what was removed: only a whole listing does.
    """

    def __init__(self, http: Http, token: str, user_id: str) -> None:
        self._http = http
        self._token = token
        self._user_id = user_id
        self._since: datetime | None = None

    async def changes(self, well: Callable[[], None]) -> AsyncGenerator[Change, None]:
        self._since = None
        while True:
            change = await self._ask()
            well()
            if change is not None:
                yield change
            await asyncio.sleep(POLL_S)

    async def _ask(self) -> Change | None:
        params = {**ITEMS, "limit": str(1 if self._since is None else MOST_TOLD + 1), "fields": ""}
        params |= {"userId": self._user_id} if self._user_id else {}
        if self._since is not None:
            params["minDateLastSaved"] = self._since.strftime("%Y-%m-%dT%H:%M:%SZ")
        answer = await self._http.ask("Items", token=self._token, params=params)
        body = body_of(answer.json(self._http.name), self._http.name)
        first, self._since = self._since is None, _clock(answer.date) - timedelta(seconds=OVERLAP_S)
        if first:
            return Change(kind=ChangeKind.LOOK_AGAIN)
        bodies = bodies_of(body.get("Items"), self._http.name, MOST_TOLD + 1)
        if len(bodies) > MOST_TOLD:
            return Change(kind=ChangeKind.LOOK_AGAIN)
        ids = tuple(id for each in bodies if (id := maybe_id(each.get("Id"))))
        return Change(kind=ChangeKind.SAVED, item_ids=ids) if ids else None


def _clock(date: str) -> datetime:
    """Return the server's time; ours of an hour ago if it does not say."""
    try:
        return parsedate_to_datetime(date).astimezone(UTC)
    except ValueError:
        return datetime.now(UTC) - timedelta(hours=1)
