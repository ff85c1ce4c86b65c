"""plexapi, disarmed, in a small pool of threads.

What it would do on its own and must not: read a file of settings in the home folder and take
addresses and tokens from it, follow redirects with the token, send the address of the network
card as our name, keep every token in a global set, reload objects behind our back, put whole
answers into error messages, wait for ever. So its settings are empty, its sessions are ours
(`session`), and its objects never leave the thread.
"""

import asyncio
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar
from xml.etree.ElementTree import Element

from companion.errors import CompanionError, ServerUnavailable
from connectors import plex_http

THREADS = 2  # one lists, one signs people in
CALL_S = 120.0  # of one call: what it does inside has limits of its own
ENVIRONMENT = "PLEXAPI_"
# What code raises that reads an answer without checking it.
UNFORESEEN = (ArithmeticError, AttributeError, LookupError, SyntaxError, TypeError, ValueError)
RETURNED = TypeVar("RETURNED")

_importing = threading.Lock()


class Library(Protocol):
    """What is used of plexapi's PlexServer."""

    def query(
        self, key: str, *, headers: Mapping[str, str], params: Mapping[str, str]
    ) -> Element | None: ...


class Pool:
    """The threads of one server. A call that is cancelled runs on until its own time limits."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._threads: ThreadPoolExecutor | None = None

    async def call(self, function: Callable[[], RETURNED]) -> RETURNED:
        """Run a function in a thread. Raises ServerUnavailable for whatever it did not foresee."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="plex")
        try:
            async with asyncio.timeout(CALL_S):
                return await asyncio.get_running_loop().run_in_executor(self._threads, function)
        except TimeoutError as error:
            raise plex_http.no_answer(self._name, error) from None
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # The pool was closed while this waited for its turn: nobody cancelled the caller.
            raise plex_http.no_answer(self._name, error) from None

    def close(self) -> None:
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)


class PlexClient:
    """A server by plexapi with one token. Used by one thread at a time."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        name: str,
        installation: str,
        authority: Path | None = None,
    ) -> None:
        self._url = url
        self._token = token
        self._name = name
        self._installation = installation
        self._authority = authority
        self._server: Library | None = None
        self._session: Any = None
        self._one_at_a_time = threading.Lock()

    def ask(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Element:
        """Return the document below a path. Blocks."""
        with self._one_at_a_time, explained(self._name):
            if self._server is None:
                self._server = self._opened()
            found = self._server.query(path, headers=headers, params=query)
        if found is None or found.tag != plex_http.CONTAINER:
            raise plex_http.nonsense(self._name)
        return found

    def close(self) -> None:
        """Let go of the connection. A call that is under way keeps its own until it ends."""
        if self._one_at_a_time.acquire(blocking=False):
            try:
                session, self._session, self._server = self._session, None, None
                if session is not None:
                    session.close()
            finally:
                self._one_at_a_time.release()

    def _opened(self) -> Library:
        url = str(plex_http.base_url(self._url, self._name))
        plexapi()
        from plexapi.server import PlexServer

        made = session(
            url,
            token=plex_http.usable_token(self._token, self._name),
            name=self._name,
            installation=self._installation,
            context=plex_http.trust(url, self._authority),
        )
        self._session = made
        server: Library = PlexServer(url, token=self._token, session=made)  # type: ignore[no-untyped-call]
        return server


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn what plexapi and requests raise into our errors, without their texts.

    Their messages hold whole answers and addresses. plexapi reads answers without checking them,
    so nonsense from a server shows as any of the errors of Python.
    """
    try:
        yield
    except CompanionError:
        raise
    except ssl.SSLError as error:
        raise plex_http.no_answer(name, error) from None
    except OSError as error:  # requests' errors are OSErrors too
        raise plex_http.no_answer(name, _cause(error)) from None
    except UNFORESEEN as error:
        raise plex_http.nonsense(name) from error


def _cause(error: BaseException) -> BaseException:
    """Return what is at the bottom of an error of requests: a time limit or a certificate."""
    from requests import exceptions

    if isinstance(error, exceptions.Timeout):
        return TimeoutError()
    if isinstance(error, exceptions.SSLError):
        return ssl.SSLError()
    return error


def plexapi() -> ModuleType:
    """Import plexapi as if nobody had ever configured it. Blocks the first time, for 0.2 s."""
    with _importing:
        kept = {name: os.environ[name] for name in os.environ if name.startswith(ENVIRONMENT)}
        try:
            for name in kept:
                del os.environ[name]
            os.environ["PLEXAPI_CONFIG_PATH"] = os.devnull
            import plexapi as module
            import plexapi.myplex
            import plexapi.server
        finally:
            os.environ.pop("PLEXAPI_CONFIG_PATH", None)
            os.environ.update(kept)
        _disarm(module)
    return module


def _disarm(module: Any) -> None:
    # Read again at every request, from the environment first.
    module.CONFIG.get = _unset
    # It remembers every token for ever, to hide them in what it logs; ours log nothing.
    module.logfilter.add_secret = _forgetful
    module.logfilter.secrets.clear()
    module.log.setLevel("WARNING")


def _unset(key: str, default: Any = None, cast: Callable[[Any], Any] | None = None) -> Any:
    return False if key == "plexapi.autoreload" else default


def _forgetful(secret: str | None) -> str | None:
    return secret


def session(
    url: str,
    *,
    token: str,
    name: str,
    installation: str,
    context: ssl.SSLContext | None,
    alias: str = "",
) -> Any:
    """Return a `requests.Session` that knows one server, one token and no way elsewhere.

    alias: the address that plexapi has written down for this server, where it has one. Its
    `failure` is what the last request ended with, for callers that plexapi keeps it from.
    """
    from requests import Response, Session
    from requests.adapters import HTTPAdapter
    from requests.cookies import RequestsCookieJar

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **more: Any) -> None:
            super().init_poolmanager(*args, **more, ssl_context=context)

    class OneServer(Session):
        failure: CompanionError | None = None

        def request(self, method: Any, url: Any, **more: Any) -> Response:  # type: ignore[override]
            self.failure = None
            try:
                with explained(name):
                    return self._request(str(method), _mapped(str(url)), **more)
            except CompanionError as error:
                self.failure = error
                raise

        def _request(self, method: str, url: str, **more: Any) -> Response:
            more["headers"] = _ours(more.get("headers"), token, installation)
            more["timeout"] = (plex_http.CONNECT_S, plex_http.READ_S)
            more |= {"allow_redirects": False, "stream": True}
            answer = super().request(method, url, **more)
            self.cookies = RequestsCookieJar()
            with answer:
                plex_http.checked_status(answer.status_code, name)
                plex_http.checked_packing(answer.headers.get("Content-Encoding"), name)
                _read(answer, name)
            return answer

    def _mapped(asked: str) -> str:
        if alias and asked.startswith(f"{alias}/"):
            return url + asked.removeprefix(alias)
        if asked.startswith(f"{url}/"):
            return asked
        raise ServerUnavailable(f"plex '{name}': asked for an address outside of the server")

    made = OneServer()
    made.trust_env = False  # no passwords from .netrc, no proxies that read the token
    made.headers.clear()
    made.mount(url, Adapter())
    return made


def _ours(said: Mapping[str, str] | None, token: str, installation: str) -> dict[str, str]:
    """Return our headers with what pages a listing: what plexapi keeps in a global stays there."""
    paging = {
        key: value for key, value in (said or {}).items() if key.startswith("X-Plex-Container-")
    }
    secret = {"X-Plex-Token": token} if token else {}
    return {**plex_http.headers(installation), **paging, **secret}


def _read(answer: Any, name: str) -> None:
    """Read a bounded answer in bounded time, checked before plexapi parses it."""
    pieces = bytearray()
    until = time.monotonic() + plex_http.TOTAL_S
    for piece in answer.iter_content(1 << 16):
        pieces += piece
        if len(pieces) > plex_http.BODY_BYTES:
            raise plex_http.nonsense(name)
        if time.monotonic() > until:
            raise TimeoutError
    if pieces.strip():
        plex_http.document(bytes(pieces), name)
    # What `Response.content` would have set; requests has no other way to bound a body.
    answer._content = bytes(pieces)
    answer._content_consumed = True
    answer.encoding = "utf-8"
