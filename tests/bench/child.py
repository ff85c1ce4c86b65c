"""How much memory the scanner child takes for a short and for a long film."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av

from scanners.base import (
    Finished,
    Hello,
    Options,
    Scan,
    StageDone,
    decode_reply,
    encode_line,
)
from tests.figures import Skipped
from tests.films import make_film

LIMITS = {"child.peak_rss_60_min_over_5_min": "<= 1.15"}

PATTERN_S = 60


def measure(folder: Path) -> dict[str, float]:
    """Scan the picture of 5 and of 60 minutes of film, each in a child of its own."""
    if not Path("/proc/self/status").exists():
        raise Skipped("this system does not tell the peak memory of a process")
    shots = (4.0, 2.5, 7.0, 3.0, 9.5, 4.0)
    pattern = make_film(folder / "pattern.mkv", shots=shots * 2, size=(320, 180), sound=()).path
    short = peak_rss_bytes(repeated(pattern, folder / "short.mkv", minutes=5), folder / "a")
    long = peak_rss_bytes(repeated(pattern, folder / "long.mkv", minutes=60), folder / "b")
    return {
        "child.peak_rss_5_min_mb": short / 1e6,
        "child.peak_rss_60_min_mb": long / 1e6,
        "child.peak_rss_60_min_over_5_min": long / short,
    }


def repeated(pattern: Path, to: Path, *, minutes: int) -> Path:
    """Write a film that shows the pattern again and again, without encoding anything."""
    with av.open(str(to), "w") as output:
        copy = None
        for turn in range(minutes * 60 // PATTERN_S):
            with av.open(str(pattern)) as source:
                stream = source.streams.video[0]
                copy = copy or output.add_stream_from_template(stream)
                for packet in source.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue
                    later = round(turn * PATTERN_S / Fraction(packet.time_base))
                    packet.pts, packet.dts = packet.pts + later, packet.dts + later
                    packet.stream = copy
                    output.mux(packet)
    return to


def peak_rss_bytes(film: Path, stills: Path) -> int:
    """Return the most memory that a child held while it scanned a film."""
    with subprocess.Popen(
        [sys.executable, "-m", "scanners.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        scan = Scan(
            id=1,
            path=os.fsencode(film),
            stages=("shots", "scenes"),
            options=Options(),
            stills=os.fsencode(stills),
        )
        child.stdin.write(encode_line(scan))
        child.stdin.flush()
        done = 0
        for line in child.stdout:
            reply = decode_reply(line)
            done += isinstance(reply, StageDone)
            if isinstance(reply, Finished):
                break
            assert isinstance(reply, Hello) or reply.id == 1
        assert done == 2, "the scan failed"
        status = Path(f"/proc/{child.pid}/status").read_text()
        child.stdin.close()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024
