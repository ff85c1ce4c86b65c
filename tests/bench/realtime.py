"""How fast a film is indexed with everything on, with subtitles beside it and without.

Real speech over pictures that change, through every pass in one child, as the daemon asks for them.
CPU seconds count, not the clock: `x realtime on 2 cores` is the film's length by half of them.
"""

import asyncio
import os
from pathlib import Path

import psutil

from companion.children import Children
from companion.config import Config, Models
from scanners import demo, models
from scanners.base import STAGES, Scan, SceneText, StageDone
from scanners.media import probe
from tests.figures import Skipped
from tests.quality.shots import truths
from tests.quality.speech import MODELS

LIMITS = {"realtime.with_subtitles": ">= 4", "realtime.without_subtitles": ">= 3"}
CORES = 2
NEEDED = ("whisper-base", "use-m3", "pp-ocr")


def passes(*, listen: bool) -> list[tuple[str, ...]]:
    """Return the stages of every pass; subtitles make listening needless."""
    picture = tuple(name for name, info in STAGES.items() if info.runs_in == "picture")
    return [("subtitles",), *([("speech",)] if listen else []), picture, ("meaning",)]


async def cpu_s(films: list[Path], folder: Path, *, listen: bool) -> float:
    """Return the processor time of a child that runs every pass over films, models loaded."""
    children = Children(Config(data_dir=folder, models=Models(folder=MODELS.resolve())))
    words = tuple(SceneText(number, ("We should never have come.",)) for number in range(10))
    before = 0.0
    try:
        for film in [films[0], *films]:  # the first time loads the models
            for stages in passes(listen=listen):
                scan = Scan(
                    id=children.new_id(),
                    path=os.fsencode(film),
                    stages=stages,
                    options=children.options(),
                    scenes=words,
                    stills=os.fsencode(folder / "stills"),
                )
                done = 0
                async for reply in children.scan(scan, limit_s=3600):
                    done += isinstance(reply, StageDone)
                assert done == len(stages), f"a stage of {stages} failed"
            times = psutil.Process(children.scanner_pid).cpu_times()
            before = before or times.user + times.system
    finally:
        await children.close()
    return times.user + times.system - before


def measure(folder: Path) -> dict[str, float]:
    for name in NEEDED:
        if not models.present(MODELS, name):
            raise Skipped(f"the model {name} is not in build/models; `make test` brings it")
    library = folder / "demo"
    demo.assemble(library, lambda _line: None)
    said = [truth for truth in truths(library) if truth.said]
    films = [library / truth.path for truth in said]
    length_s = sum(probe(os.fsencode(film)).duration_ms for film in films) / 1000
    spent = {
        name: asyncio.run(cpu_s(films, folder / name, listen=listen))
        for name, listen in (("with_subtitles", False), ("without_subtitles", True))
    }
    return {
        "realtime.film_s": length_s,
        **{f"realtime.{name}": length_s * CORES / each for name, each in spent.items()},
    }
