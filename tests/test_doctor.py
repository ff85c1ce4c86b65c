"""The doctor says what is wrong and what to do, for each thing that can be wrong."""

import os
import socket
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from companion import disk, doctor, lock
from companion.config import Config, Features, Folder, Models, Sidecars, Web
from companion.doctor import Finding, Health, examine
from companion.lock import Daemon
from companion.store import db, settings

HELLO = """
import sys
print('{"type":"hello","pid":1,"versions":{"av":"18.1.0"}}', flush=True)
sys.stdin.read()
"""
SPEAKS = (sys.executable, "-c", HELLO)
DIES = (sys.executable, "-c", "raise SystemExit('libfancy.so.1 is missing')")


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def sound(config: Config, library_folder: Path, free_port: int) -> Config:
    """A configuration with nothing wrong but its missing models."""
    return replace(config, folders=(Folder(path=library_folder),), web=Web(port=free_port))


def found(config: Config, what: str, command: tuple[str, ...] = SPEAKS) -> Finding:
    (only,) = [one for one in examine(config, command=command) if one.what.startswith(what)]
    return only


def test_nothing_fails_on_a_sound_installation_and_versions_are_told(sound: Config) -> None:
    findings = examine(sound, command=SPEAKS)
    assert [one for one in findings if one.health is Health.FAIL] == []
    told = {one.what: one.found for one in findings}
    assert told["Scanner"] == "starts; av 18.1.0"
    assert told["sqlite-vec"] == "v0.1.9"
    assert "APSW" in told["SQLite"]
    assert told["FTS5"] == "full-text search is built in"
    assert told["Python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")


def test_what_is_not_well_says_what_to_do(sound: Config) -> None:
    broken = replace(sound, folders=(Folder(path=Path("/nowhere")),))
    for one in examine(broken, command=DIES):
        assert (one.health is Health.OK) == (one.advice == ""), one


def test_a_scanner_that_does_not_start_gives_its_last_words(sound: Config) -> None:
    one = found(sound, "Scanner", DIES)
    assert (one.health, one.found) == (Health.FAIL, "libfancy.so.1 is missing")


def test_a_scanner_that_is_no_program_is_a_failure_and_the_rest_is_still_told(
    sound: Config,
) -> None:
    findings = examine(sound, command=("/nonexistent/python",))
    (one,) = [one for one in findings if one.health is Health.FAIL]
    assert one.what == "Scanner"
    assert "cannot be looked at" in one.found
    assert len(findings) > 8


def test_the_real_scanner_starts(sound: Config) -> None:
    one = next(one for one in examine(sound) if one.what == "Scanner")
    assert one.health is Health.OK, one


def test_missing_models_are_a_warning_with_the_command(sound: Config) -> None:
    one = found(sound, "Model for speech")
    assert one.health is Health.WARN
    assert "heimdex models get" in one.advice


def test_what_is_switched_off_is_said_and_its_model_is_not_missed(sound: Config) -> None:
    quiet = Features(face_detection=False, semantic_search=False)
    said = {one.what: one for one in examine(replace(sound, features=quiet), command=DIES)}
    assert said["Stage faces"].found.startswith("off by features.face_detection")
    assert said["Stage meaning"].health is Health.OK
    assert {"Model for face_embedding", "Model for meaning"}.isdisjoint(said)
    assert "Model for onscreen" in said


def test_a_profile_that_does_not_exist_is_a_failure(sound: Config) -> None:
    one = found(replace(sound, models=Models(profile="huge")), "Models")
    assert one.health is Health.FAIL
    assert "huge" in one.found


def test_a_data_folder_on_a_share_fails(sound: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "kind_of", lambda _path: "nfs4")
    one = found(sound, "Data folder")
    assert one.health is Health.FAIL
    assert "nfs4" in one.found
    assert "HEIMDEX_DATA_DIR" in one.advice


def test_a_data_folder_that_cannot_be_written_fails(sound: Config, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    one = found(replace(sound, data_dir=tmp_path / "file" / "data"), "Data folder")
    assert one.health is Health.FAIL
    assert str(os.getuid()) in one.advice


def test_little_room_is_a_warning(sound: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda _path: 1_000_000)
    assert found(sound, "Room").health is Health.WARN


def test_the_database_is_described(sound: Config) -> None:
    sound.data_dir.mkdir()
    assert "none yet" in found(sound, "Database").found
    with closing(db.connect(sound.database)) as connection:
        db.migrate(connection, None)
    assert f"schema {len(db.migrations())}," in found(sound, "Database").found


def test_a_database_of_a_newer_program_fails(sound: Config) -> None:
    sound.data_dir.mkdir()
    with closing(db.connect(sound.database)) as connection:
        db.migrate(connection, None)
        connection.execute("pragma user_version = 999")
    one = found(sound, "Database")
    assert one.health is Health.FAIL
    assert "newer version" in one.advice


def test_a_damaged_database_fails_without_a_traceback(sound: Config) -> None:
    sound.data_dir.mkdir()
    sound.database.write_bytes(b"not a database" * 9999)
    failures = [one for one in examine(sound, command=SPEAKS) if one.health is Health.FAIL]
    assert any(one.what == "Database" for one in failures)


def test_a_library_that_is_away_fails_and_one_that_is_remembered_counts(
    sound: Config, tmp_path: Path
) -> None:
    sound.data_dir.mkdir()
    with closing(db.connect(sound.database)) as connection:
        db.migrate(connection, None)
        settings.add_folder(connection, Folder(path=tmp_path / "unplugged"))
    one = found(sound, "Library unplugged")
    assert one.health is Health.FAIL
    assert "mount it" in one.advice


def test_no_library_at_all_is_a_warning(sound: Config) -> None:
    assert found(replace(sound, folders=()), "Libraries").health is Health.WARN


@pytest.fixture
def read_only(library_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    real = os.access
    denied = os.fspath(library_folder)
    monkeypatch.setattr(
        os, "access", lambda path, mode: os.fspath(path) != denied and real(path, mode)
    )
    return library_folder


def test_a_library_that_cannot_be_read_fails(sound: Config, read_only: Path) -> None:
    assert found(sound, f"Library {read_only.name}").health is Health.FAIL


def test_a_read_only_library_is_a_warning_while_sidecars_are_wanted(
    sound: Config, library_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and real(path, mode))
    assert found(sound, "Library").health is Health.WARN
    without = replace(sound, sidecars=Sidecars(enabled=False))
    assert found(without, "Library").health is Health.OK


@pytest.mark.parametrize(("limit", "health"), [("8192\n", Health.WARN), ("524288\n", Health.OK)])
def test_a_small_number_of_watches_is_a_warning(
    sound: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, health: Health
) -> None:
    (tmp_path / "watches").write_text(limit, encoding="ascii")
    monkeypatch.setattr(doctor, "WATCHES", tmp_path / "watches")
    assert found(sound, "Watching").health is health


def test_a_port_in_use_fails_and_a_running_daemon_is_named(sound: Config) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", sound.web.port))
        other.listen()
        one = found(sound, "Port")
        assert (one.health, "used by another program" in one.found) == (Health.FAIL, True)
        with lock.take(sound.data_dir):
            url = f"http://127.0.0.1:{sound.web.port}"
            daemon = Daemon(pid=1, url=url, token="t", version="0")
            lock.announce(sound.data_dir, daemon)
            assert url in found(sound, "Daemon").found
