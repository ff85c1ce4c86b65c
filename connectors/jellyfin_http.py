"""HTTP to one Jellyfin server, for what is short: the token in one header, every answer bounded.

Whatever comes back was written by a stranger: no redirect is followed, nothing is read without a
limit, and no message quotes the body, the token or an address that the server named.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from companion.errors import AuthFailed, ServerUnavailable

CLIENT = "Heimdex Companion"
CONNECT_LIMIT_S = 10.0
ANSWER_LIMIT_S = 30.0
JSON_BYTES = 2_000_000  # of a short answer: a user, a session list
TOKEN_CHARACTERS = 512
UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class TokenRefused(AuthFailed):
    """401: the token is not known, or this very thing is forbidden."""


class Forbidden(AuthFailed):
    """403: the token is known, but may not do this."""


class NotThere(ServerUnavailable):
    """404: there is no such thing, or it may not be known of."""


class NotUnderstood(ServerUnavailable):
    """400: the server cannot make sense of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A body and what came with it. date: the server's own clock, in HTTP's form, or ""."""

    body: bytes = field(repr=False)
    date: str = ""

    def json(self, name: str) -> Any:
        return decoded(self.body, name)


def base_url(text: str) -> URL:
    """Return the address of a server, without the page that people copy along with it.

    Raises ServerUnavailable if it is none.
    """
    try:
        url = URL(text.strip() if "://" in text else f"http://{text.strip()}")
        sound = url.scheme in {"http", "https"} and bool(url.host) and url.user is None
        sound = sound and url.password is None and url.explicit_port != 0
    except ValueError:
        sound = False
        url = URL()
    if not sound:
        raise ServerUnavailable(
            "the address is not one of a server: write it as http://192.168.1.10:8096, "
            "without a name or password in it"
        )
    path = url.path.removesuffix("/").removesuffix("/index.html").removesuffix("/web")
    return url.with_path(path.rstrip("/") or "/").with_query(None).with_fragment(None)


def below(base: URL, path: str) -> str:
    """Return the URL of an API path. Parts of a path that are not ours must have been quoted."""
    return f"{str(base).rstrip('/')}/{path}"


def trust(authority: Path | None) -> ssl.SSLContext:
    """Return what certificates are checked against. Blocks; raises OSError for a missing file."""
    context = ssl.create_default_context()
    if authority is not None:
        context.load_verify_locations(authority)
    return context


def authorization(token: str, **words: str) -> str:
    """Return the one header that every Jellyfin from 10.10 on accepts.

    Raises AuthFailed for a token that no server has made, so that it cannot end the header.
    """
    if token and not is_token(token):
        raise AuthFailed("this is not a token: copy it again, without quotes and spaces")
    pairs = {name: quote(value, safe=" ") for name, value in words.items()}
    pairs |= {"Token": token} if token else {}
    return "MediaBrowser " + ", ".join(f'{name}="{value}"' for name, value in pairs.items())


def is_token(token: str) -> bool:
    return len(token) <= TOKEN_CHARACTERS and token.isascii() and token.replace("-", "").isalnum()


def user_agent() -> str:
    return f"Heimdex-Companion/{our_version()}"


def our_version() -> str:
    """Blocks."""
    return version("heimdex-companion")


def decoded(body: bytes, name: str) -> Any:
    """Return what a JSON body says. Raises ServerUnavailable if it is none."""
    try:
        return msgspec.json.decode(body)
    except UNREADABLE:
        raise not_jellyfin(name) from None


def not_jellyfin(name: str) -> ServerUnavailable:
    return ServerUnavailable(
        f"{name}: what answers there does not speak as Jellyfin does: check the address, and that "
        "no proxy shows a page of its own"
    )


def silent(name: str, why: str = "") -> ServerUnavailable:
    reason = f" ({why})" if why else ""
    return ServerUnavailable(
        f"{name}: the server does not answer{reason}: check that it runs and the address is right"
    )


def check_status(status: int, name: str) -> None:
    """Raise what a status other than success means."""
    if 200 <= status < 300:
        return
    if status == 401:
        raise TokenRefused(f"{name}: the server refuses the token: sign in again")
    if status == 403:
        raise Forbidden(f"{name}: this account may not do that: ask the server's administrator")
    if status == 404:
        raise NotThere(f"{name}: the server does not know what was asked for")
    if status in {400, 405, 415, 422}:
        raise NotUnderstood(f"{name}: the server does not understand the request ({status})")
    if 300 <= status < 400:
        raise ServerUnavailable(
            f"{name}: the server sends us to another address, which is not followed: give the "
            "address at which it answers itself"
        )
    raise silent(name, f"it says {status}")


class Http:
    """Connections to one server. The session is made on first use, in the running loop."""

    def __init__(self, name: str, base: URL, authority: Path | None) -> None:
        self.name = name
        self.base = base
        self._authority = authority
        self._session: aiohttp.ClientSession | None = None

    async def json(
        self,
        path: str,
        *,
        token: str = "",
        method: str = "GET",
        params: Mapping[str, str] | None = None,
    ) -> Any:
        answer = await self.ask(path, token=token, method=method, params=params)
        return answer.json(self.name) if answer.body else None

    async def ask(
        self,
        path: str,
        *,
        token: str = "",
        method: str = "GET",
        params: Mapping[str, str] | None = None,
        limit: int = JSON_BYTES,
    ) -> Answer:
        """Return the answer. Raises ServerUnavailable, AuthFailed or a kind of these."""
        session = await self.session()
        headers = {"Authorization": authorization(token)} if token else {}
        try:
            async with (
                asyncio.timeout(ANSWER_LIMIT_S),
                session.request(
                    method,
                    URL(below(self.base, path), encoded=True),
                    params=params,
                    headers=headers,
                    allow_redirects=False,
                ) as response,
            ):
                check_status(response.status, self.name)
                body = await self._read(response, limit)
                return Answer(body=body, date=response.headers.get("Date", ""))
        except TimeoutError:
            raise silent(self.name, f"not within {ANSWER_LIMIT_S:.0f} s") from None
        except aiohttp.ClientError as error:
            self._failed(error)

    async def _read(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > limit:
                response.close()
                raise ServerUnavailable(f"{self.name}: the answer is too long to be one")
        return bytes(body)

    async def socket(self, token: str) -> aiohttp.ClientWebSocketResponse:
        """Open the socket of events."""
        session = await self.session()
        url = URL(below(self.base, "socket"), encoded=True)
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                return await session.ws_connect(
                    url, headers={"Authorization": authorization(token)}, max_msg_size=4_000_000
                )
        except TimeoutError:
            raise silent(self.name, f"not within {ANSWER_LIMIT_S:.0f} s") from None
        except aiohttp.WSServerHandshakeError as error:
            check_status(error.status, self.name)
            raise not_jellyfin(self.name) from None
        except aiohttp.ClientError as error:
            self._failed(error)

    def _failed(self, error: aiohttp.ClientError) -> NoReturn:
        if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
            raise bad_certificate(self.name) from None
        if isinstance(error, aiohttp.ClientPayloadError):
            raise silent(self.name, "the answer broke off") from None
        raise silent(self.name) from None

    async def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            context, agent = await asyncio.to_thread(self._prepared)
            if self._session is None:  # somebody else may have made it meanwhile
                self._session = self._made(context, agent)
        return self._session

    def _prepared(self) -> tuple[ssl.SSLContext | bool, str]:
        """Blocks."""
        checked = self.base.scheme == "https"
        return context_of(self.name, self._authority) if checked else True, user_agent()

    def _made(self, context: ssl.SSLContext | bool, agent: str) -> aiohttp.ClientSession:
        tracing = aiohttp.TraceConfig()
        tracing.on_request_redirect.append(self._refuse_redirect)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=16),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": agent, "Accept": "application/json, image/*"},
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_LIMIT_S),
            trace_configs=[tracing],
        )

    async def _refuse_redirect(
        self,
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        params: aiohttp.TraceRequestRedirectParams,
    ) -> None:
        """The socket has no switch for it: following is stopped here."""
        check_status(params.response.status, self.name)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def context_of(name: str, authority: Path | None) -> ssl.SSLContext:
    """Return what `trust` does. Blocks; raises ServerUnavailable for an unreadable file."""
    try:
        return trust(authority)
    except (OSError, ssl.SSLError):
        raise ServerUnavailable(
            f"{name}: the file of certificates cannot be read: check its path and its rights"
        ) from None


def bad_certificate(name: str) -> ServerUnavailable:
    return ServerUnavailable(
        f"{name}: the server's certificate is not one that is trusted here: give it one that is, "
        "or name the file of the authority that made it"
    )
