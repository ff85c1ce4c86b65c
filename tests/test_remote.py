"""Asking a daemon: its answers, its refusals, and what is said when it does not answer."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from companion import health, lock
from companion.errors import CompanionError, ServerUnavailable
from companion.lock import Daemon
from companion.remote import Question, Remote
from companion.search.query import Mode

TOKEN = "a-token"


class Scripted(BaseHTTPRequestHandler):
    """Gives the next answer of `answers`, and keeps what was asked."""

    answers: list[tuple[int, bytes]]
    asked: list[tuple[str, str, str, bytes]]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = self.headers.get("Authorization", "")
        self.asked.append((self.command, self.path, said, body))
        status, text = self.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = _answer  # noqa: N815 - the name that http.server looks for
    do_POST = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def handler() -> type[Scripted]:
    return type("Handler", (Scripted,), {"answers": [], "asked": []})


@pytest.fixture
def daemon(handler: type[Scripted]) -> Iterator[Daemon]:
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/heimdex"
    yield Daemon(pid=4711, url=url, token=TOKEN, version="0")
    server.shutdown()
    server.server_close()
    thread.join()


def test_every_call_goes_below_the_base_path_with_the_token(
    handler: type[Scripted], daemon: Daemon
) -> None:
    handler.answers.append((200, b'{"query":"a b","results":[],"notes":[],"took_ms":1}'))
    asked = Question(text='a "b&c"', mode=Mode.WORDS, limit=3)
    found = Remote(daemon).search(asked)
    assert found.results == []
    method, path, said, _ = handler.asked[0]
    assert (method, said) == ("GET", f"Bearer {TOKEN}")
    assert path == "/heimdex/api/1/search?q=a+%22b%26c%22&mode=words&limit=3"


def test_a_picture_is_sent_as_a_form_and_a_moment_by_its_id(
    handler: type[Scripted], daemon: Daemon
) -> None:
    handler.answers += [(200, b'{"query":"","results":[],"notes":[],"took_ms":1}')] * 2
    picture = b"\xff\xd8 \r\n-- and any bytes"
    Remote(daemon).search(Question(text="고양이", image=picture))
    Remote(daemon).search(Question(text="", like="abc-12"))
    (method, path, _, body), (_, second, _, _) = handler.asked
    assert (method, path) == ("POST", "/heimdex/api/1/search/image")
    assert b"\r\n\r\n" + picture + b"\r\n--" in body
    assert 'name="q"\r\n\r\n고양이\r\n'.encode() in body
    assert second == "/heimdex/api/1/search?q=&mode=both&limit=10&like=abc-12"


def test_a_scan_is_asked_for_as_json(handler: type[Scripted], daemon: Daemon) -> None:
    handler.answers += [(202, b'{"requested":7}')] * 2
    assert Remote(daemon).scan() == 7
    assert Remote(daemon).scan("abc") == 7
    assert [json.loads(asked[3]) for asked in handler.asked] == [{"file": None}, {"file": "abc"}]


def test_a_refusal_is_given_on_in_its_own_words(handler: type[Scripted], daemon: Daemon) -> None:
    handler.answers += [(501, b'{"error":"Switched off: features.x"}'), (500, b"<html>")]
    with pytest.raises(CompanionError, match=r"^Switched off: features\.x$"):
        Remote(daemon).status()
    with pytest.raises(CompanionError, match="status 500"):
        Remote(daemon).status()


def test_an_answer_of_another_shape_says_to_restart(
    handler: type[Scripted], daemon: Daemon
) -> None:
    handler.answers.append((200, b'{"other":1}'))
    with pytest.raises(ServerUnavailable, match="restart it"):
        Remote(daemon).status()


@pytest.fixture
def silent() -> Daemon:
    """A daemon whose port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Daemon(pid=4711, url=f"http://127.0.0.1:{port}", token=TOKEN, version="0")


def test_a_daemon_that_does_not_answer_is_named(silent: Daemon) -> None:
    with pytest.raises(ServerUnavailable, match=rf"{silent.url} \(process 4711\)"):
        Remote(silent).status()


# --- health --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "text", "state", "well"),
    [
        (200, b'{"state":"ready","version":"0","reasons":[]}', "ready", True),
        (200, b'{"state":"degraded","version":"0","reasons":["a folder is away"]}', "degraded", 1),
        (503, b'{"state":"alive","version":"0","reasons":["no database"]}', "alive", False),
        (500, b"<html>", "down", False),
    ],
)
def test_health_tells_alive_from_ready_from_degraded(
    handler: type[Scripted],
    daemon: Daemon,
    tmp_path: Path,
    status: int,
    text: bytes,
    state: str,
    well: bool,
) -> None:
    handler.answers.append((status, text))
    with lock.take(tmp_path):
        lock.announce(tmp_path, daemon)
        answer = health.ask(tmp_path)
    assert (answer.state, answer.well) == (state, bool(well))
    assert handler.asked[0][2] == f"Bearer {TOKEN}"


def test_health_without_a_daemon_or_with_a_silent_one_is_down(
    tmp_path: Path, silent: Daemon
) -> None:
    assert health.ask(tmp_path).state == "down"
    with lock.take(tmp_path):
        lock.announce(tmp_path, silent)
        answer = health.ask(tmp_path)
    assert answer.state == "down"
    assert "does not answer" in answer.reasons[0]


def test_the_module_prints_the_state_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEIMDEX_DATA_DIR", str(tmp_path))
    assert health.main() == 1
    assert capsys.readouterr().out.splitlines()[0] == "down"
