"""What a Plex server says, taken as hostile: bounded in size and time, read without entities, and
never from another host than the configured one.

Both ways to a server end here: aiohttp (`PlexHttp`, for what must not wait in a queue) and the
sessions of plexapi (`plex_client.py`). The token travels in a header and nowhere else, because an
address ends up in logs.
"""

import asyncio
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, ParseError, fromstring

import aiohttp
from yarl import URL

from companion.errors import AuthFailed, MediaMissing, ServerUnavailable

CONNECT_S = 5.0
READ_S = 20.0  # between two pieces of an answer
TOTAL_S = 60.0  # a page of a listing on a slow disk takes seconds, never a minute
BODY_BYTES = 16_000_000  # 100 items with every stream of every file are about 3 MB
MARKS = 400_000  # "<" in one answer: an element costs some 100 bytes when parsed
CONNECTIONS = 8
TOKEN = re.compile(r"[A-Za-z0-9._~-]{1,4096}")  # what Plex makes; also keeps headers whole
ENCODING = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([^"'>]{1,40})["']""")
CONTAINER = "MediaContainer"  # what every answer of a server begins with
PRODUCT = "Heimdex Companion"


class Refused(ServerUnavailable):
    """The server answered with a status that is neither success nor a refused token."""

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)


def headers(installation: str) -> dict[str, str]:
    """Return who we are: a stable device per installation, nothing about this machine."""
    return {
        "Accept": "application/xml",
        # What is packed may unpack to a thousand times its size before anybody can count it.
        "Accept-Encoding": "identity",
        "X-Plex-Client-Identifier": installation,
        "X-Plex-Product": PRODUCT,
        "X-Plex-Provides": "controller",
        "X-Plex-Version": "1",
        "X-Plex-Platform": "Heimdex",
        "X-Plex-Device": "Heimdex",
        "X-Plex-Device-Name": PRODUCT,
        "X-Plex-Language": "en",
    }


def usable_token(token: str, name: str) -> str:
    """Return the token. Raises AuthFailed if no Plex server can have made it."""
    if not TOKEN.fullmatch(token):
        raise AuthFailed(f"plex '{name}': this is not a Plex token; sign in again")
    return token


def base_url(url: str, name: str) -> URL:
    """Return the configured address. Raises ServerUnavailable if it is none."""
    parts = urlsplit(url.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise ServerUnavailable(
            f"plex '{name}': the address has to look like http://nas:32400; it is {url!r}"
        )
    return URL(url.strip().rstrip("/"))


def checked_status(status: int, name: str) -> None:
    """Return if the answer is good. Raises AuthFailed (401) or Refused."""
    if 200 <= status < 300:
        return
    if status == 401:
        raise AuthFailed(f"plex '{name}': the token is refused; sign in to this server again")
    if 300 <= status < 400:
        raise Refused(
            f"plex '{name}': it sends us to another address; configure the address that it "
            "really has",
            status,
        )
    raise Refused(f"plex '{name}': it answers with error {status}; look at its log", status)


def checked_packing(packing: str | None, name: str) -> None:
    """Raises ServerUnavailable for a packed answer: we asked for none."""
    if packing and packing.strip().lower() != "identity":
        raise nonsense(name)


def document(body: bytes, name: str) -> Element:
    """Parse an answer. Raises ServerUnavailable for anything but a plain, small document.

    Document types are refused before parsing: with them come entities that grow without bound and
    addresses of other files. Plex never sends one. Blocks for about 10 ms a megabyte.
    """
    encoding = ENCODING.match(body[:300])
    if encoding and encoding[1].lower() not in {b"utf-8", b"utf8", b"us-ascii", b"ascii"}:
        raise nonsense(name)
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body or body.count(b"<") > MARKS:
        raise nonsense(name)
    try:
        # As text, so that no byte order mark or declaration can choose another encoding.
        return fromstring(body.decode("utf-8-sig"))  # noqa: S314 - no document types, see above
    except (ParseError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise nonsense(name) from error


def container(body: bytes, name: str) -> Element:
    """Parse an answer of a media server: a page of some proxy is well-formed too, but no list."""
    root = document(body, name)
    if root.tag != CONTAINER:
        raise nonsense(name)
    return root


def nonsense(name: str) -> ServerUnavailable:
    return ServerUnavailable(
        f"plex '{name}': the answer is none of a Plex server; check the address"
    )


def no_answer(name: str, error: BaseException) -> ServerUnavailable:
    """Return an error in words that hold no address and no token."""
    if isinstance(error, TimeoutError):
        return ServerUnavailable(f"plex '{name}': no answer in time; is the server busy or asleep?")
    if isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):
        return ServerUnavailable(
            f"plex '{name}': its certificate is not trusted for this address; use the name that is "
            "in the certificate, name its authority, or use http in your own network"
        )
    return ServerUnavailable(f"plex '{name}': no connection; is it running, is the address right?")


def trust(url: str, authority: Path | None) -> ssl.SSLContext | None:
    """Return what certificates are trusted: the system's and those of a file; None for plain http.

    Reads files, which takes 30 ms.
    """
    if urlsplit(url.strip()).scheme != "https":
        return None
    context = ssl.create_default_context()
    if authority:
        context.load_verify_locations(cafile=authority)
    return context


class PlexHttp:
    """A server by aiohttp. One of it serves every account: each call names its token."""

    def __init__(
        self, url: str, *, name: str, installation: str, authority: Path | None = None
    ) -> None:
        self.name = name
        self._url = url
        self._headers = headers(installation)
        self._authority = authority
        self._session: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()

    async def get(
        self, path: str, *, token: str = "", query: Mapping[str, str] | None = None
    ) -> Element:
        """Return the document below a path of the server."""
        return await self.ask("GET", path, token=token, query=query or {})

    async def ask(
        self,
        method: str,
        path: str,
        *,
        token: str,
        query: Mapping[str, str],
        more: Mapping[str, str] | None = None,
    ) -> Element:
        body = await self.body(method, path, token=token, query=query, more=more)
        return await asyncio.to_thread(container, body, self.name)

    async def body(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        query: Mapping[str, str],
        more: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return the bytes of an answer, at most BODY_BYTES of them."""
        session = await self.session()
        headers = self._with(token, more)
        try:
            async with (
                asyncio.timeout(TOTAL_S),
                session.request(
                    method,
                    self.url(path).with_query(query),
                    headers=headers,
                    allow_redirects=False,
                ) as answer,
            ):
                checked_status(answer.status, self.name)
                checked_packing(answer.headers.get("Content-Encoding"), self.name)
                return await _bounded(answer, self.name)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise no_answer(self.name, error) from None

    async def listen(self, path: str, *, token: str) -> aiohttp.ClientWebSocketResponse:
        """Open a websocket. Raises AuthFailed, Refused or ServerUnavailable."""
        session = await self.session()
        try:
            async with asyncio.timeout(TOTAL_S):
                return await session.ws_connect(
                    self.url(path), headers=self._with(token), heartbeat=30.0, max_msg_size=1 << 20
                )
        except aiohttp.WSServerHandshakeError as error:
            checked_status(error.status, self.name)
            raise no_answer(self.name, error) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise no_answer(self.name, error) from None

    def url(self, path: str) -> URL:
        """Return the address of a path: always on the configured server, below its base path."""
        base = base_url(self._url, self.name)
        return base.with_path(base.path.rstrip("/") + path)

    async def session(self) -> aiohttp.ClientSession:
        async with self._opening:
            if self._session is None:
                base_url(self._url, self.name)
                try:
                    context = await asyncio.to_thread(trust, self._url, self._authority)
                except OSError as error:
                    raise ServerUnavailable(
                        f"plex '{self.name}': the file of its authority cannot be read"
                    ) from error
                self._session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=context or True, limit=CONNECTIONS),
                    timeout=aiohttp.ClientTimeout(
                        total=None, sock_connect=CONNECT_S, sock_read=READ_S
                    ),
                    headers=self._headers,
                    auto_decompress=False,
                    cookie_jar=aiohttp.DummyCookieJar(),
                )
            return self._session

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _with(self, token: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
        said = dict(more or {})
        if token:
            said["X-Plex-Token"] = usable_token(token, self.name)
        return said


async def _bounded(answer: aiohttp.ClientResponse, name: str) -> bytes:
    pieces = bytearray()
    async for piece in answer.content.iter_chunked(1 << 16):
        pieces += piece
        if len(pieces) > BODY_BYTES:
            raise nonsense(name)
    return bytes(pieces)


def missing(error: Refused, what: str) -> Exception:
    """Return the error that says: the server does not know what was asked for, or will not say."""
    return MediaMissing(what) if error.status in {400, 403, 404} else error
