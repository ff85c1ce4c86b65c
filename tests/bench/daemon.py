"""What an idle daemon costs: memory and processor time with folders only, and a second start."""

import os
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import IO

import psutil

LIMITS = {
    "daemon.idle_rss_mb": "<= 80",
    "daemon.idle_cpu_percent": "<= 0.1",
    "daemon.second_start_to_page_s": "<= 3",
    "daemon.stop_s": "<= 3",
}

FOLDERS = 200  # each with a film's name in it: enough for watches to cost something, if they do
CALM_S = 20  # after the page answers, before idling is measured
IDLE_S = 30
STARTS = 3
LIMIT_S = 60


def measure(folder: Path) -> dict[str, float]:
    """Start a daemon over some folders, let it idle, and start it again."""
    library = folder / "library"
    for number in range(FOLDERS):
        (library / f"Film {number} (2001)").mkdir(parents=True)
    data = folder / "data"
    with Daemon(data, library) as daemon:
        time.sleep(CALM_S)
        process = psutil.Process(daemon.process.pid)
        before = process.cpu_times()
        time.sleep(IDLE_S)
        after = process.cpu_times()
        rss = process.memory_info().rss
    used = after.user + after.system - before.user - before.system
    starts, stops = [], []
    for _ in range(STARTS):
        with Daemon(data, library) as daemon:
            starts.append(daemon.started_s)
        stops.append(daemon.stopped_s)
    return {
        "daemon.idle_rss_mb": rss / 1e6,
        "daemon.idle_cpu_percent": 100 * used / IDLE_S,
        "daemon.second_start_to_page_s": statistics.median(starts),
        "daemon.stop_s": max(stops),
    }


class Daemon:
    """`heimdex serve` in a process of its own, from its start to the first page."""

    def __init__(self, data: Path, library: Path) -> None:
        self._environment = os.environ | {
            "HEIMDEX_DATA_DIR": str(data),
            "HEIMDEX_LIBRARY__FOLDERS": str(library),
            "HEIMDEX_WEB__PORT": "0",
            "HEIMDEX_MODELS__GET": "false",
        }
        self.started_s = self.stopped_s = 0.0

    def __enter__(self) -> "Daemon":
        began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "companion.cli", "serve"],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        with urllib.request.urlopen(_url(self.process.stdout), timeout=LIMIT_S) as page:
            page.read()
        self.started_s = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(timeout=LIMIT_S)
        self.stopped_s = time.monotonic() - began


def _url(output: IO[str]) -> str:
    for line in output:
        if match := re.search(r"http://\S+", line):
            return match[0]
    raise RuntimeError("the daemon ended before it was ready")
