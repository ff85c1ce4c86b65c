"""Kill -9 of the daemon or the scanner at random moments of a scan: nothing kept is lost.

The real program runs over real films; between the kills the database is looked at as the next start
finds it. A row that was committed once is never computed again, and at the end everything is there.
"""

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import apsw
import psutil
import pytest

from companion import sidecar
from companion.store.db import connect
from scanners.base import STAGES
from tests.films import Words, make_film
from tests.models_fixture import Need

KILLS = 20
SEED = 20261122
Row = tuple[object, ...]


class Library:
    """A folder of films, a data folder, and the program that scans the one into the other."""

    def __init__(self, folder: Path, models: Path) -> None:
        self.media = folder / "films"
        self.media.mkdir()
        self.data = folder / "data"
        self.environment = os.environ | {
            "HEIMDEX_DATA_DIR": str(self.data),
            "HEIMDEX_MODELS__FOLDER": str(models),
            "HEIMDEX_SIDECARS__ENABLED": "true",
        }
        for number, seconds in enumerate((4.0, 30.0, 6.0)):
            cues = ((500, 1500, f"This is film {number}."), (2_200, 3_800, "Mind the step."))
            make_film(
                self.media / f"Film {number} (200{number}).mkv",
                shots=(2.0,) * int(seconds / 2),
                sound=(),
                subtitles=(Words(cues=cues),),
            )

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "companion.cli", "scan", str(self.media), "--once"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def rows(self) -> dict[Row, int]:
        """Return (file, stage, version, model, inputs) -> when it was finished."""
        database = self.data / "heimdex.db"
        if not database.exists():
            return {}
        connection = connect(database)
        with contextlib.closing(connection):
            check = connection.execute("pragma integrity_check").fetchall()
            assert check == [("ok",)]
            assert connection.execute("pragma foreign_key_check").fetchall() == []
            running = connection.execute("select count(*) from jobs where state = 'running'")
            assert running.fetchall()[0][0] <= 1  # no more than one pass was under way
            return {
                tuple(row[:5]): row[5]
                for row in connection.execute(
                    "select fingerprint, stage, version, model, inputs, finished_at_ms"
                    " from stage_results join files on files.id = file_id where state = 'done'"
                )
            }

    def check_sidecars(self) -> int:
        """Every sidecar parses, whatever was going on; return how many there are."""
        places = list(self.media.glob(".*.scenes.json"))
        assert all(sidecar.video_id(os.fsencode(place)) for place in places)
        return len(places)


def kill_something(process: subprocess.Popen[bytes], after_s: float, *, child: bool) -> None:
    """Kill the daemon, or a scanner of it, that long after its start, if it is still there."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=after_s)
        return
    if child:
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in psutil.Process(process.pid).children(recursive=True):
                each.send_signal(signal.SIGKILL)
        time.sleep(0.2)  # the daemon may see it and write down why
    process.kill()
    process.wait()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_twenty_kills_lose_nothing_that_was_kept(tmp_path: Path, need_model: Need) -> None:
    models = [need_model(name) for name in ("use-m3", "pp-ocr")][-1]
    library = Library(tmp_path, models)
    chance = random.Random(SEED)
    kept: dict[Row, int] = {}
    for number in range(KILLS):
        kill_something(library.start(), chance.uniform(0.4, 5.0), child=number % 2 == 1)
        now = library.rows()
        again = {row for row, at_ms in now.items() if kept.get(row, at_ms) != at_ms}
        assert not again, f"computed again after kill {number}: {again}"
        kept |= now
        library.check_sidecars()
    last = library.start()
    assert last.wait(timeout=200) == 0
    now = library.rows()
    assert {row for row, at_ms in now.items() if kept.get(row, at_ms) != at_ms} == set()
    assert len(now) == 3 * len(STAGES)
    assert library.check_sidecars() == 3
    whole(library)


def whole(library: Library) -> None:
    """Every film has its scenes without gaps, its lines once, and a vector for what is said."""
    connection: apsw.Connection = connect(library.data / "heimdex.db")
    with contextlib.closing(connection):
        for (file_id,) in connection.execute("select id from files").fetchall():
            scenes = connection.execute(
                "select start_ms, end_ms from scenes where file_id = ? order by number", (file_id,)
            ).fetchall()
            assert scenes[0][0] == 0
            assert all(one[1] == two[0] for one, two in itertools.pairwise(scenes))
            lines = connection.execute("select count(*) from lines where file_id = ?", (file_id,))
            assert lines.fetchall() == [(2,)]
        found = connection.execute("select count(distinct scene_id) from vectors").fetchall()
        assert found[0][0] >= 3
        assert connection.execute("select count(*) from chunks").fetchall() == [(0,)]
        assert connection.execute("select count(*) from jobs").fetchall() == [(0,)]
