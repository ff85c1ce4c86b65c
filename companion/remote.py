"""The commands beside a running daemon: small calls to its API on this computer."""

import http.client
import json
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from companion.errors import CompanionError, ServerUnavailable
from companion.lock import Daemon
from webui import records

T = TypeVar("T")

TIMEOUT_S = 120.0  # a first search loads the model; a first look walks all folders


class Remote:
    """One daemon, asked with the local token. Every method blocks."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon

    def search(self, text: str, *, mode: str, limit: int) -> records.Results:
        return self._call(records.Results, "GET", "search", q=text, mode=mode, limit=limit)

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
        address = urlsplit(self.daemon.url)
        assert address.hostname is not None
        target = f"{address.path}/api/1/{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Authorization": f"Bearer {self.daemon.token}"}
        if method == "POST":
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=TIMEOUT_S)
        try:
            connection.request(
                method, target, b"" if body is None else msgspec.json.encode(body), headers
            )
            answer = connection.getresponse()
            status, text = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerUnavailable(
                f"Heimdex at {self.daemon.url} (process {self.daemon.pid}) does not answer: {error}"
            ) from error
        finally:
            connection.close()
        if status >= http.client.BAD_REQUEST and path != "health":
            raise CompanionError(_complaint(status, text))
        try:
            return msgspec.json.decode(text, type=kind)
        except msgspec.MsgspecError as error:
            raise ServerUnavailable(
                f"Heimdex at {self.daemon.url} gave an answer of another version: restart it"
            ) from error


def _complaint(status: int, text: bytes) -> str:
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return f"Heimdex answered with status {status}"
