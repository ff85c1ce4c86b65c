"""jellyfin-apiclient-python behind a guard: what signs in and what lists, in threads.

The library makes the requests and their headers; the guard sends them. On its own the library does
not check certificates, takes an error 500 for an empty answer, forgets its token on any 401, tries
again five times with pauses, follows redirects with the password, writes its headers to the log and
prints. A client knows one token, is used by one thread at a time, and is closed with its work.
"""

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion.errors import ServerUnavailable
from connectors.jellyfin_http import (
    CLIENT,
    CONNECT_LIMIT_S,
    Answer,
    bad_certificate,
    check_status,
    context_of,
    is_token,
    our_version,
    silent,
    user_agent,
)

if TYPE_CHECKING:
    import requests

READ_LIMIT_S = 30.0  # between two pieces of an answer
PAGE_LIMIT_S = 120.0  # for a whole one
PAGE_BYTES = 64_000_000
PIECE = 1 << 16


class Guard:
    """Stands where the library's own `HTTP` stands: `request` is all that its API calls.

    Not for two threads at once.
    """

    def __init__(self, name: str, library: Any, session: "requests.Session") -> None:
        self.name = name
        self.config = library.config
        self._library = library.http
        self._session = session

    def request(self, data: dict[str, Any], *_unused: object, **_more: object) -> Answer:
        """Send what the library asks for. Blocks. Raises ServerUnavailable, AuthFailed."""
        import requests

        # The library would replace "{server}" and "{UserId}" also inside a password.
        made = self._library._request({"type": data["type"], "handler": data["handler"]})
        limit = time.monotonic() + PAGE_LIMIT_S
        try:
            with self._session.request(
                made["type"],
                made["url"],
                params=data.get("params"),
                json=data.get("json"),
                headers=made["headers"],
                timeout=(CONNECT_LIMIT_S, READ_LIMIT_S),
                allow_redirects=False,
                stream=True,
            ) as response:
                check_status(response.status_code, self.name)
                return Answer(
                    body=self._read(response, limit), date=response.headers.get("Date", "")
                )
        except requests.exceptions.SSLError:
            raise bad_certificate(self.name) from None
        except requests.exceptions.Timeout:
            raise silent(self.name, f"not within {READ_LIMIT_S:.0f} s") from None
        except requests.exceptions.ChunkedEncodingError:
            raise silent(self.name, "the answer broke off") from None
        except requests.exceptions.RequestException:
            raise silent(self.name) from None

    def _read(self, response: "requests.Response", limit: float) -> bytes:
        body = bytearray()
        for piece in response.iter_content(PIECE):
            body += piece
            if len(body) > PAGE_BYTES:
                raise ServerUnavailable(f"{self.name}: the answer is too long to be one")
            if time.monotonic() > limit:
                raise silent(self.name, f"not within {PAGE_LIMIT_S:.0f} s")
        length = response.headers.get("Content-Length", "")
        whole = "Content-Encoding" in response.headers or not length.isdigit()
        if not whole and len(body) < int(length):
            raise silent(self.name, "the answer broke off")
        return bytes(body)


class Client:
    """One token's calls. Every method blocks; made, used and closed in threads."""

    def __init__(
        self, name: str, url: str, authority: Path | None, *, token: str = "", device: str = ""
    ) -> None:
        """device: for signing in only: what the server is to know this sign-in by."""
        from jellyfin_apiclient_python import JellyfinClient
        from jellyfin_apiclient_python.api import API

        _silence()
        if token and not is_token(token):
            check_status(401, name)
        library = JellyfinClient()
        library.config.auth(url, None, token, ssl=True)
        library.config.http(user_agent=user_agent())
        if device:
            library.config.app(CLIENT, our_version(), CLIENT, device)
        if not token:
            del library.config.data["auth.token"]
        self.name = name
        self._session = _session(name, url, authority)
        self._api = API(Guard(name, library, self._session))

    def get(self, path: str, params: dict[str, str] | None = None) -> Answer:
        answer: Answer = self._api._get(path, params)
        return answer

    def post(self, path: str, body: dict[str, str] | None = None) -> Answer:
        answer: Answer = self._api._post(path, json=body)
        return answer

    def close(self) -> None:
        self._session.close()


def _silence() -> None:
    """Stop the library from printing, and from writing headers with tokens into logs."""
    for name in ("Jellyfin", "JELLYFIN"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)


def _session(name: str, url: str, authority: Path | None) -> "requests.Session":
    """Return a session that checks certificates as the rest of us does, and asks no environment.

    Else a ~/.netrc would replace the Authorization header, and a proxy would see the token.
    """
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.trust_env = False
    if not url.startswith("https:"):
        return session
    context = context_of(name, authority)

    class Checked(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **more: Any) -> Any:
            return super().init_poolmanager(*args, **more, ssl_context=context)

    session.mount("https://", Checked())
    return session
