"""Signing in at plex.tv with a code; asking there whose a token is and which servers it opens.

plex.tv knows a person by an account's token; a server is opened with a token of its own that
plex.tv names in the list of that person's servers. Only the latter is kept. Addresses in that list
are never used: the server is the configured one. While plex.tv cannot be reached, only the owner of
the server can sign in, with a token by hand.

Nothing is signed out at plex.tv: a guest's key belongs to the share and all of their apps use it,
the owner's may be the one that the daemon works with. People remove "Heimdex Companion" from their
authorized devices there.
"""

import asyncio
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from companion.errors import AuthFailed, ServerUnavailable
from connectors import plex_reading as reading
from connectors.base import Account, SignInCode
from connectors.plex_client import Pool, explained, plexapi, session
from connectors.plex_http import PlexHttp, Refused, nonsense, trust, usable_token
from connectors.plex_tokens import OWNER_ID, packed

PLEX_TV = "https://plex.tv"  # as plexapi has it written down
LINK = "https://plex.tv/link"
RESOURCES = "/api/v2/resources?includeHttps=1"
CODE_MS = 900_000  # plex.tv's own limit, `expiresIn` of a pin
CODES = 200  # under way at once; more is somebody playing with the page
REACHED_S = 60.0  # how long we believe that plex.tv can be reached, or not
REACHING_S = 4.0
GONE = 404


@dataclass(slots=True, kw_only=True)
class _Waiting:
    """A code that somebody is typing, with plexapi's object for it and the session it uses."""

    login: Any
    session: Any
    until_ms: int
    turn: threading.Lock


class PlexTv:
    """plex.tv for one server, which is known by its machine identifier. url: for tests."""

    def __init__(self, *, name: str, installation: str, pool: Pool, url: str = PLEX_TV) -> None:
        self._name = name
        self._installation = installation
        self._pool = pool
        self._url = url
        self._waiting: dict[str, _Waiting] = {}
        self._reached: tuple[float, bool] | None = None
        self.server_name = ""  # what plex.tv calls the server, once somebody has signed in

    async def reachable(self) -> bool:
        """True if plex.tv answers anything; asked at most once a minute."""
        now = time.monotonic()
        if self._reached is None or now - self._reached[0] > REACHED_S:
            self._reached = (now, await self._answers())
        return self._reached[1]

    async def _answers(self) -> bool:
        async with PlexHttp(self._url, name="plex.tv", installation=self._installation) as http:
            try:
                async with asyncio.timeout(REACHING_S):
                    await http.body("GET", "/api/v2/ping", query={})
            except (Refused, AuthFailed):
                return True
            except (ServerUnavailable, TimeoutError):
                return False
        return True

    async def start_code(self) -> SignInCode:
        """Raises ServerUnavailable if plex.tv does not answer."""
        self._drop_old()
        if len(self._waiting) >= CODES:
            raise ServerUnavailable("plex.tv: too many sign-ins are under way; wait some minutes")
        waiting, code = await self._pool.call(self._new_code)
        secret = secrets.token_urlsafe(24)
        self._waiting[secret] = waiting
        return SignInCode(code=code, secret=secret, url=LINK, expires_at_ms=waiting.until_ms)

    def _new_code(self) -> tuple[_Waiting, str]:
        plexapi()
        from plexapi.myplex import MyPlexPinLogin

        made = self._session("")
        with explained("plex.tv"):
            login = MyPlexPinLogin(session=made)  # type: ignore[no-untyped-call]
            code = reading.text(login.pin)
        if not code:
            raise nonsense("plex.tv")
        until_ms = int(time.time() * 1000) + CODE_MS
        return _Waiting(login=login, session=made, until_ms=until_ms, turn=threading.Lock()), code

    async def by_code(self, code: SignInCode, machine_id: str) -> Account | None:
        """Return who has typed the code, None until then."""
        self._drop_old()
        waiting = self._waiting.get(code.secret)
        if waiting is None:
            raise AuthFailed("plex.tv: this code has expired; ask for a new one")
        token = await self._pool.call(lambda: _typed(waiting))
        if not token:
            return None
        account = await self._pool.call(lambda: self._account(token, machine_id))
        self._drop(code.secret)
        return account

    async def by_token(self, token: str, machine_id: str) -> Account:
        """Return whose token this is. Raises AuthFailed if plex.tv does not know it."""
        return await self._pool.call(lambda: self._account(token, machine_id))

    def _account(self, token: str, machine_id: str) -> Account:
        """Ask who that is and for their key to our server. Blocks."""
        with self._session(token) as made:
            number, name = _who(_got(made, "/api/v2/user"))
            servers = _got(made, RESOURCES)
        for server in servers.iter("resource"):
            if server.get("clientIdentifier") == machine_id and server.get("accessToken"):
                secret = usable_token(server.get("accessToken", ""), self._name)
                is_admin = server.get("owned") == "1"
                account_id = OWNER_ID if is_admin else number
                self.server_name = reading.text(server.get("name"))
                return Account(
                    external_id=account_id,
                    name=name,
                    is_admin=is_admin,
                    token=packed(secret, account_id),
                )
        raise AuthFailed(
            f"plex '{self._name}': this server is not shared with {name}; its owner can do that"
        )

    def _session(self, token: str) -> Any:
        return session(
            self._url,
            token=token,
            name="plex.tv",
            installation=self._installation,
            context=trust(self._url, None),  # public: no authority of a house has a say in it
            alias=PLEX_TV,
        )

    def _drop_old(self) -> None:
        now_ms = int(time.time() * 1000)
        for secret in [key for key, each in self._waiting.items() if each.until_ms < now_ms]:
            self._drop(secret)

    def _drop(self, secret: str) -> None:
        waiting = self._waiting.pop(secret, None)
        if waiting is not None:
            waiting.session.close()

    def close(self) -> None:
        """Forget the codes under way."""
        for secret in list(self._waiting):
            self._drop(secret)


def _typed(waiting: _Waiting) -> str:
    """Return the account's token once the code was typed. Blocks.

    plexapi takes every failure for an expired code and stops asking: what it swallowed tells.
    """
    with waiting.turn:
        login = waiting.login
        if login.checkLogin():
            return usable_token(str(login.token), "plex.tv")
        failure = waiting.session.failure
        login.expired = login.finished = False
    if isinstance(failure, Refused) and failure.status == GONE:
        raise AuthFailed("plex.tv: this code has expired; ask for a new one")
    if failure is not None:
        raise failure
    return ""


def _got(made: Any, path: str) -> Element:
    from plexapi.utils import parseXMLString

    with explained("plex.tv"):
        try:
            root = parseXMLString(made.get(f"{PLEX_TV}{path}").text)
        except AuthFailed:
            raise AuthFailed("plex.tv does not know this token; sign in with a code") from None
    if root is None:
        raise nonsense("plex.tv")
    found: Element = root
    return found


def _who(user: Element) -> tuple[str, str]:
    number = reading.number(user.get("id"))
    name = reading.text(user.get("title")) or reading.text(user.get("username"))
    if not number or number == int(OWNER_ID) or not name:
        raise nonsense("plex.tv")
    return str(number), name
