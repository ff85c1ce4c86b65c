"""The commands beside a running daemon: small calls to its API on this computer."""

import http.client
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from companion.errors import CompanionError, ServerUnavailable
from companion.lock import Daemon
from companion.search.query import Mode
from webui import records

T = TypeVar("T")

TIMEOUT_S = 120.0  # a first search loads the model; a first look walks all folders


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What `heimdex search` looks for. image: the bytes of a picture; like: the id of a moment."""

    text: str
    mode: Mode = Mode.BOTH
    limit: int = 10
    image: bytes | None = None
    like: str = ""


class Remote:
    """One daemon, asked with the local token. Every method blocks."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon

    def search(self, asked: Question) -> records.Results:
        fields: dict[str, object] = {"q": asked.text, "mode": asked.mode.value}
        fields["limit"] = asked.limit
        if asked.image is None:
            like = {"like": asked.like} if asked.like else {}
            return self._call(records.Results, "GET", "search", **fields, **like)
        content, kind = _form(fields, asked.image)
        return self._decoded(
            records.Results, self._send("POST", "search/image", content, kind), "search/image"
        )

    def status(self) -> records.Status:
        return self._call(records.Status, "GET", "status")

    def health(self) -> records.Health:
        return self._call(records.Health, "GET", "health")

    def scan(self, file_id: str | None = None) -> int:
        """Put a file (or, after a look at all folders, everything that waits) first."""
        body = records.Wanted(file=file_id)
        return self._call(records.Requested, "POST", "scan", body).requested

    def sync(self) -> None:
        """Let it look through every library. What it finds waits for its turn."""
        self._call(records.Status, "POST", "sync", records.Look())

    def scenes(self, file_id: str) -> dict[str, Any]:
        """Return the scene record of a file."""
        return self._call(dict[str, Any], "GET", f"files/{quote(file_id, safe='')}/scenes")

    def _call(
        self, kind: type[T], method: str, path: str, body: object = None, **query: object
    ) -> T:
        content = b"" if body is None else msgspec.json.encode(body)
        target = f"{path}?{urlencode(query)}" if query else path
        return self._decoded(kind, self._send(method, target, content, "application/json"), path)

    def _send(self, method: str, target: str, content: bytes, kind: str) -> tuple[int, bytes]:
        """Return the status and the body of an answer. kind: the media type of the content."""
        address = urlsplit(self.daemon.url)
        assert address.hostname is not None
        headers = {"Authorization": f"Bearer {self.daemon.token}"}
        if method == "POST":
            headers["Content-Type"] = kind
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, f"{address.path}/api/1/{target}", content, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerUnavailable(
                f"Heimdex at {self.daemon.url} (process {self.daemon.pid}) does not answer: {error}"
            ) from error
        finally:
            connection.close()

    def _decoded(self, kind: type[T], answer: tuple[int, bytes], path: str) -> T:
        status, text = answer
        if status >= http.client.BAD_REQUEST and path != "health":
            raise CompanionError(_complaint(status, text))
        try:
            return msgspec.json.decode(text, type=kind)
        except msgspec.MsgspecError as error:
            raise ServerUnavailable(
                f"Heimdex at {self.daemon.url} gave an answer of another version: restart it"
            ) from error


def _form(fields: Mapping[str, object], image: bytes) -> tuple[bytes, str]:
    """Return a form with a file as multipart/form-data, and its media type."""
    boundary = secrets.token_hex(16)
    disposition = f'--{boundary}\r\nContent-Disposition: form-data; name="'
    parts = [f'{disposition}{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    parts.append(
        f'{disposition}image"; filename="image"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
    )
    parts += [image, f"\r\n--{boundary}--\r\n".encode()]
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def _complaint(status: int, text: bytes) -> str:
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return f"Heimdex answered with status {status}"
