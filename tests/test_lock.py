"""One daemon per data folder, told apart from what a dead one left behind."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from companion import lock
from companion.errors import DataFolderBusy, StoreDamaged
from companion.lock import Daemon

DAEMON = Daemon(pid=4711, url="http://127.0.0.1:8642", token="secret", version="0.1.0")

HOLD = """
import pathlib, sys
from companion import lock
held = lock.take(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_the_second_daemon_is_told_who_owns_the_folder(tmp_path: Path) -> None:
    with lock.take(tmp_path):
        lock.announce(tmp_path, DAEMON)
        with pytest.raises(DataFolderBusy, match=r"Heimdex at http://127\.0\.0\.1:8642 .*4711"):
            lock.take(tmp_path)


def test_a_command_that_owns_the_folder_is_named_by_its_process(tmp_path: Path) -> None:
    with lock.take(tmp_path), pytest.raises(DataFolderBusy, match=rf"process {os.getpid()}\)"):
        lock.take(tmp_path)


def test_the_folder_is_free_again_after_release_and_nothing_is_announced(tmp_path: Path) -> None:
    held = lock.take(tmp_path)
    lock.announce(tmp_path, DAEMON)
    held.release()
    held.release()
    assert not lock.taken(tmp_path)
    assert lock.running(tmp_path) is None
    lock.take(tmp_path).release()


def test_a_killed_daemon_leaves_a_free_folder(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert lock.taken(tmp_path)
        (tmp_path / lock.DAEMON_NAME).write_bytes(
            b'{"pid":1,"url":"http://x","token":"t","version":"0"}'
        )
        assert lock.running(tmp_path) is not None
        process.kill()
    assert not lock.taken(tmp_path)
    assert lock.running(tmp_path) is None


def test_what_is_announced_is_read_back_and_private(tmp_path: Path) -> None:
    with lock.take(tmp_path):
        lock.announce(tmp_path, DAEMON)
        assert lock.running(tmp_path) == DAEMON
        assert stat.S_IMODE((tmp_path / lock.DAEMON_NAME).stat().st_mode) == 0o600


def test_a_damaged_announcement_is_as_none(tmp_path: Path) -> None:
    with lock.take(tmp_path):
        (tmp_path / lock.DAEMON_NAME).write_bytes(b"{")
        assert lock.running(tmp_path) is None


def test_a_token_never_shows(tmp_path: Path) -> None:
    assert "secret" not in repr(DAEMON)
    assert "secret" not in f"{DAEMON}"


def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreDamaged, match="HEIMDEX_DATA_DIR"):
        lock.take(tmp_path / "file" / "data")


def test_nobody_owns_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    assert not lock.taken(tmp_path / "nowhere")
    assert lock.running(tmp_path / "nowhere") is None
