"""Memory of the scanner child over a film of five minutes and one of an hour.

The same pictures and the same sound, twelve times as long: packets are copied, not encoded again.
"""

import asyncio
import os
from pathlib import Path

import av

from companion.children import Children
from companion.config import Config, Models
from scanners import models
from scanners.base import STAGES, Scan, StageDone
from tests.figures import Skipped
from tests.films import Sound, make_film
from tests.quality.speech import MODELS

LIMITS = {"memory.hour_to_five_minutes": "<= 1.15", "memory.peak_mb_60_min": "<= 1200"}
TIMES = 12


def repeat(source: Path, target: Path, times: int) -> None:
    """Write a film that plays another one several times over."""
    with av.open(str(target), "w") as output:
        with av.open(str(source)) as first:
            made = [output.add_stream_from_template(stream) for stream in first.streams]
            length_s = (first.duration or 0) / 1_000_000
        for turn in range(times):
            with av.open(str(source)) as again:
                for packet in again.demux():
                    if packet.dts is None:
                        continue
                    shift = round(turn * length_s / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = made[packet.stream_index]
                    output.mux(packet)


async def peak_mb(film: Path, folder: Path) -> float:
    """Return the peak memory of a fresh child that runs every picture stage and speech."""
    config = Config(data_dir=folder, models=Models(folder=MODELS.resolve()))
    children = Children(config)
    picture = tuple(name for name, info in STAGES.items() if info.runs_in == "picture")
    passes = (picture, ("speech",))
    try:
        for stages in passes:
            scan = Scan(
                id=children.new_id(),
                path=os.fsencode(film),
                stages=stages,
                options=children.options(),
                stills=os.fsencode(folder / "stills"),
            )
            done = 0
            async for reply in children.scan(scan, limit_s=3600):
                done += isinstance(reply, StageDone)
            assert done == len(stages), "a stage failed"
        pid = children.scanner_pid
        status = await asyncio.to_thread(Path(f"/proc/{pid}/status").read_text)
    finally:
        await children.close()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def measure(folder: Path) -> dict[str, float]:
    for name in ("whisper-base", "use-m3", "pp-ocr"):
        if not models.present(MODELS, name):
            raise Skipped(f"the model {name} is not in build/models; `make test` brings it")
    short, long = folder / "five.mkv", folder / "sixty.mkv"
    shots = (4.0, 7.0, 3.0, 11.0, 5.0) * 10
    make_film(short, shots=shots, size=(320, 180), sound=(Sound(),))
    repeat(short, long, TIMES)
    five = asyncio.run(peak_mb(short, folder / "data"))
    sixty = asyncio.run(peak_mb(long, folder / "data"))
    return {
        "memory.peak_mb_5_min": five,
        "memory.peak_mb_60_min": sixty,
        "memory.hour_to_five_minutes": sixty / five,
    }
