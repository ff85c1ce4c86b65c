"""The command, as people and programs use it: real processes, real data folders."""

import contextlib
import http.client
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import pytest

from companion import cli, lock, terminal
from companion.lock import Daemon
from companion.store import db, settings
from tests.films import Words, make_film
from tests.models_fixture import Need

ROOT = Path(__file__).parent.parent
HEIMDEX = [sys.executable, "-m", "companion.cli"]
RESULT_KEYS = ["file", "item", "start_s", "end_s", "at_s", "score", "strong", "reasons"]
SAID = ((500, 2500, "Dad falls into the lake."), (3000, 5000, "Help him out of the water!"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command printed, and its exit status."""

    returncode: int
    stdout: str
    stderr: str


def environment(data_dir: Path) -> dict[str, str]:
    """This test's own data folder, no models, and no searching by meaning."""
    return {
        "HEIMDEX_DATA_DIR": str(data_dir),
        "HEIMDEX_FEATURES__SEMANTIC_SEARCH": "false",
        "HEIMDEX_FEATURES__VISION": "false",
        "HEIMDEX_FEATURES__FACE_DETECTION": "false",
        "HEIMDEX_MODELS__GET": "false",
        "HEIMDEX_WEB__PORT": "0",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "100",
    }


def heimdex(data_dir: Path, *arguments: str | Path, **more: str) -> Done:
    """Run the command in this process: starting forty interpreters would take a minute.

    Its start, its signals and its exit status are tested on real processes below.
    """
    stdout, stderr = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (environment(data_dir) | more).items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["heimdex", *map(str, arguments)])
        patch.setattr(terminal, "set_up_logging", lambda *_: None)
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            status = 0
            try:
                cli.main()
            except SystemExit as left:
                status = int(left.code or 0)
    stdout.seek(0)
    return Done(returncode=status, stdout=stdout.read(), stderr=stderr.getvalue())


@contextlib.contextmanager
def serving(data_dir: Path, *arguments: str | Path, **more: str) -> Iterator[tuple[Daemon, Any]]:
    """A daemon in a process of its own, killed if the body leaves it running."""
    process = subprocess.Popen(
        [*HEIMDEX, "serve", *map(str, arguments)],
        env=os.environ | environment(data_dir) | more,
        cwd=data_dir.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        daemon = lock.running(data_dir)
        if daemon is None:
            raise AssertionError(f"it did not start: {said}{process.communicate()}")
        yield daemon, process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One film with words, and one file that is none."""
    folder = tmp_path_factory.mktemp("library")
    make_film(folder / "Lake (1984).mkv", subtitles=(Words(cues=SAID),), sound=())
    (folder / "Letter.mp4").write_bytes(b"Dear grandmother, " * 500)
    return folder


@pytest.fixture(scope="module")
def indexed(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which the library was indexed; only look at it."""
    data_dir = tmp_path_factory.mktemp("indexed") / "data"
    done = heimdex(data_dir, "scan", library, "--once")
    assert done.returncode == 1, done.stderr  # because of the letter
    return data_dir


# --- scan ----------------------------------------------------------------------------------------


def test_scan_says_which_file_failed_and_why_and_ends_with_status_1(
    library: Path, tmp_path: Path
) -> None:
    done = heimdex(tmp_path / "data", "scan", library, "--once")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{library / 'Letter.mp4'}: ")
    assert "Traceback" not in done.stderr


def test_scan_ends_with_status_0_when_all_went_well_and_remembers_the_library(
    tmp_path: Path,
) -> None:
    films = tmp_path / "films"
    films.mkdir()
    make_film(films / "Lake (1984).mkv", subtitles=(Words(cues=SAID),), sound=())
    done = heimdex(tmp_path / "data", "scan", films)
    assert (done.returncode, "1 files, all well" in done.stderr) == (0, True), done.stderr
    with closing(db.connect(tmp_path / "data" / "heimdex.db", readonly=True)) as connection:
        assert [folder.path for folder in settings.folders(connection)] == [films]


def test_scan_of_a_path_that_is_not_there_is_a_wrong_use(tmp_path: Path) -> None:
    done = heimdex(tmp_path / "data", "scan", tmp_path / "nowhere")
    assert (done.returncode, "does not exist" in done.stderr) == (2, True)


def test_scan_of_a_file_outside_every_library_asks_for_its_folder(
    library: Path, tmp_path: Path
) -> None:
    done = heimdex(tmp_path / "data", "scan", library / "Lake (1984).mkv")
    assert done.returncode == 1
    assert done.stderr.strip().endswith("give its folder instead")


# --- search and show -----------------------------------------------------------------------------


def test_results_as_json_have_exactly_the_promised_keys(indexed: Path, library: Path) -> None:
    done = heimdex(indexed, "search", "falls into the lake", "--json")
    first = json.loads(done.stdout)[0]
    assert list(first) == RESULT_KEYS
    assert first["file"] == str(library / "Lake (1984).mkv")
    assert first["item"] == "Lake (1984)"
    assert (first["at_s"], first["strong"]) == (0.5, True)
    assert 0 < first["score"] <= 1
    assert first["reasons"][0]["text"] == "Dad falls into the lake."


def test_nothing_found_is_an_empty_list_and_no_error(indexed: Path) -> None:
    done = heimdex(indexed, "search", "submarine", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_words_after_a_minus_are_left_out_and_are_no_options(indexed: Path) -> None:
    with_both = heimdex(indexed, "search", "dad", "--json")
    without = heimdex(indexed, "search", "dad", "-lake", "--json")
    assert (len(json.loads(with_both.stdout)), json.loads(without.stdout)) == (1, [])


def test_people_see_time_title_and_line(indexed: Path) -> None:
    done = heimdex(indexed, "search", "water")
    assert "0:03" in done.stdout
    assert "Lake (1984)" in done.stdout
    assert "Help him out of the water!" in done.stdout


def test_the_limit_is_kept_and_must_be_one(indexed: Path) -> None:
    assert len(json.loads(heimdex(indexed, "search", "the", "--limit", "1", "--json").stdout)) <= 1
    assert heimdex(indexed, "search", "the", "--limit", "0").returncode == 2


def test_searching_by_meaning_while_that_is_off_says_so(indexed: Path) -> None:
    done = heimdex(indexed, "search", "--mode", "meaning", "lake")
    assert done.returncode == 1
    assert "features.semantic_search" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_search_says_what_for(indexed: Path, tmp_path: Path) -> None:
    picture = tmp_path / "lake.jpg"
    picture.write_bytes(b"not looked at")
    for arguments in ((), ("--image", picture, "--like", "abc-0"), ("--image", tmp_path / "none")):
        assert heimdex(indexed, "search", *arguments).returncode == 2, arguments


def test_searching_by_picture_while_that_is_off_says_so(indexed: Path, tmp_path: Path) -> None:
    picture = tmp_path / "lake.jpg"
    picture.write_bytes(b"not looked at")
    done = heimdex(indexed, "search", "--image", picture)
    assert (done.returncode, "features.vision" in done.stderr) == (1, True)


def test_scenes_like_that_of_no_moment_are_not_looked_for(indexed: Path) -> None:
    done = heimdex(indexed, "search", "--like", "nothing-0")
    assert (done.returncode, "there is no moment nothing-0" in done.stderr) == (1, True)


def test_a_picture_finds_its_scene(library: Path, tmp_path: Path, need_model: Need) -> None:
    """With the real model, through the children: alone, and beside a daemon."""
    seeing = {
        "HEIMDEX_FEATURES__VISION": "true",
        "HEIMDEX_MODELS__FOLDER": str(need_model("efficientnet-lite0")),
    }
    need_model("use-m3")
    data_dir = tmp_path / "data"
    heimdex(data_dir, "scan", library, **seeing)
    picture = tmp_path / "frame.png"
    with av.open(str(library / "Lake (1984).mkv")) as film:
        next(film.decode(video=0)).to_image().resize((320, 200)).save(picture)
    found = heimdex(data_dir, "search", "--image", picture, "--json", **seeing)
    (first, *_) = json.loads(found.stdout)
    assert (first["item"], first["reasons"][0]["leg"]) == ("Lake (1984)", "picture")
    page = tmp_path / "page.svg"
    page.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    with serving(data_dir, **seeing) as (daemon, _):
        beside = heimdex(data_dir, "search", "--image", picture, "lake", "--json", **seeing)
        legs = {reason["leg"] for reason in json.loads(beside.stdout)[0]["reasons"]}
        assert legs >= {"picture", "words"}
        refused = heimdex(data_dir, "search", "--image", page, **seeing)
        assert (refused.returncode, "no picture that can be opened" in refused.stderr) == (1, True)
        assert daemon.url


def test_show_gives_the_scene_record_of_a_path(indexed: Path, library: Path) -> None:
    done = heimdex(indexed, "show", library / "Lake (1984).mkv", "--json")
    record = json.loads(done.stdout)
    assert record["file"] == "Lake (1984).mkv"
    said = " ".join(scene["transcript"]["text"] for scene in record["scenes"])
    assert said.strip() == "Dad falls into the lake. Help him out of the water!"
    words = heimdex(indexed, "show", library / "Lake (1984).mkv").stdout
    assert "0:00  Dad falls into the lake." in words


def test_show_of_a_file_in_no_library_says_what_to_do(indexed: Path, tmp_path: Path) -> None:
    done = heimdex(indexed, "show", tmp_path / "other.mkv")
    assert (done.returncode, "heimdex scan" in done.stderr) == (1, True)


# --- beside a daemon -----------------------------------------------------------------------------


def test_beside_a_daemon_commands_ask_it_and_what_needs_the_folder_is_refused(
    library: Path, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    heimdex(data_dir, "scan", library)
    with serving(data_dir) as (daemon, _):
        found = json.loads(heimdex(data_dir, "search", "lake", "--json").stdout)
        assert list(found[0]) == RESULT_KEYS
        assert heimdex(data_dir, "search", "--mode", "meaning", "lake").returncode == 1
        shown = heimdex(data_dir, "show", library / "Lake (1984).mkv", "--json")
        assert json.loads(shown.stdout)["file"] == "Lake (1984).mkv"
        scanned = heimdex(data_dir, "scan", library, "--once")
        assert (scanned.returncode, "Letter.mp4" in scanned.stderr) == (1, True)
        assert heimdex(data_dir, "sync").returncode == 0
        foreign = heimdex(data_dir, "scan", tmp_path)
        assert (foreign.returncode, "heimdex.toml" in foreign.stderr) == (1, True)
        assert heimdex(data_dir, "health").stdout.startswith("degraded\nThe model whisper-base is")
        made = Path(heimdex(data_dir, "backup").stdout.strip())
        assert made.is_file()
        refused = heimdex(data_dir, "restore", made)
        assert (refused.returncode, daemon.url in refused.stderr) == (1, True)
        again = heimdex(data_dir, "serve")
        assert (again.returncode, daemon.url in again.stderr) == (1, True)
        assert len(again.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_daemon_cleanly_with_status_0(
    number: signal.Signals, library: Path, tmp_path: Path
) -> None:
    with serving(tmp_path / "data", "--folder", library) as (daemon, process):
        address = urlsplit(daemon.url)
        assert address.hostname is not None
        page = http.client.HTTPConnection(address.hostname, address.port)  # kept open
        page.request("GET", "/")
        assert page.getresponse().read()
        process.send_signal(number)
        _, log = process.communicate(timeout=20)
        page.close()
    assert process.returncode == 0
    assert "Traceback" not in log
    assert lock.running(tmp_path / "data") is None
    assert not lock.taken(tmp_path / "data")


def test_a_killed_daemon_is_not_taken_for_a_running_one(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as (_, process):
        process.kill()
        process.wait()
        assert (tmp_path / "data" / lock.DAEMON_NAME).exists()
        done = heimdex(tmp_path / "data", "health")
        assert (done.returncode, done.stdout.splitlines()[0]) == (1, "down")
        assert json.loads(heimdex(tmp_path / "data", "search", "lake", "--json").stdout) == []


# --- upkeep --------------------------------------------------------------------------------------


def test_a_backup_is_restored_and_the_present_database_kept_aside(
    library: Path, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    heimdex(data_dir, "scan", library)
    made = tmp_path / "kept" / "copy.db"
    assert heimdex(data_dir, "backup", made).returncode == 0
    (data_dir / "heimdex.db").unlink()
    assert heimdex(data_dir, "search", "lake", "--json").stdout.strip() == "[]"
    done = heimdex(data_dir, "restore", made)
    assert (done.returncode, "before lies at" in done.stdout) == (0, True), done.stderr
    assert len(json.loads(heimdex(data_dir, "search", "lake", "--json").stdout)) == 1


def test_sidecars_rebuild_a_lost_database(library: Path, tmp_path: Path) -> None:
    heimdex(tmp_path / "first", "scan", library)
    second = {"HEIMDEX_LIBRARY__FOLDERS": str(library)}
    done = heimdex(tmp_path / "second", "sidecars", "import", **second)
    assert done.stdout == "1 files rebuilt, 1 without a sidecar that can be used\n", done.stderr
    found = heimdex(tmp_path / "second", "search", "lake", "--json", **second)
    assert len(json.loads(found.stdout)) == 1


def test_sidecars_of_films_that_left_are_swept(tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    film = make_film(films / "Lake.mkv", subtitles=(Words(cues=SAID),), sound=()).path
    heimdex(tmp_path / "data", "scan", films)
    film.unlink()
    assert heimdex(tmp_path / "data", "sidecars", "sweep").stdout == "1 sidecars removed\n"
    assert list(films.iterdir()) == []


def test_models_are_listed_and_a_missing_one_fails_to_verify(tmp_path: Path) -> None:
    listed = heimdex(tmp_path / "data", "models", "list").stdout
    assert "whisper-base" in listed
    assert "MIT" in listed
    done = heimdex(tmp_path / "data", "models", "verify", "whisper-base")
    assert (done.returncode, "model.bin is missing" in done.stderr) == (1, True)
    done = heimdex(tmp_path / "data", "models", "get", "nonsense")
    assert (done.returncode, "no model is named 'nonsense'" in done.stderr) == (1, True)


def test_the_doctor_prints_json_and_fails_when_something_must_be_done(tmp_path: Path) -> None:
    well = heimdex(tmp_path / "data", "doctor", "--json")
    assert {line["health"] for line in json.loads(well.stdout)} <= {"ok", "warn"}
    assert well.returncode == 0
    away = {"HEIMDEX_LIBRARY__FOLDERS": str(tmp_path / "unplugged")}
    ill = heimdex(tmp_path / "data", "doctor", **away)
    assert (ill.returncode, "unplugged is not there" in ill.stdout) == (1, True)


def test_a_new_password_for_the_owner_is_printed_once(tmp_path: Path) -> None:
    done = heimdex(tmp_path / "data", "password")
    assert (done.returncode, len(done.stdout.split())) == (0, 1)


# --- mistakes ------------------------------------------------------------------------------------


def test_every_mistake_of_the_settings_is_a_line_and_nothing_starts(tmp_path: Path) -> None:
    done = subprocess.run(
        [*HEIMDEX, "serve"],
        env=os.environ
        | environment(tmp_path / "data")
        | {"HEIMDEX_WEB__PORT": "x", "HEIMDEX_SCAN__BEAM": "99"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 2
    assert not (tmp_path / "data").exists()


def test_the_version_and_the_help_of_every_command(tmp_path: Path) -> None:
    assert heimdex(tmp_path / "data", "--version").stdout.startswith("heimdex 0.")
    assert "serve" in heimdex(tmp_path / "data", "--help").stdout


def test_a_wrong_option_is_a_wrong_use(tmp_path: Path) -> None:
    assert heimdex(tmp_path / "data", "serve", "--colour", "red").returncode == 2
