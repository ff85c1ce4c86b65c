"""Word error rate of the embedded speech model on the LibriVox recordings of the demo library."""

import os
import tempfile
from pathlib import Path

from scanners import demo, models
from scanners.base import STAGES, Found, Line, Options, Reply, Scan
from scanners.worker import Worker
from tests.figures import Skipped
from tests.quality.shots import truths
from tests.test_speech import errors, plain_words

LIMITS = {"speech.wer_librivox": "<= 0.05"}
MODELS = Path("build/models")


def lines(film: Path) -> list[Line]:
    """Return what the real speech stage hears in a film."""
    heard: list[Reply] = []
    options = Options(models=os.fsencode(MODELS.resolve()), roles=dict(models.PROFILES["embedded"]))
    scan = Scan(id=1, path=os.fsencode(film), stages=("speech",), options=options)
    Worker(STAGES, heard.append).answer(scan)
    return [
        finding
        for reply in heard
        if isinstance(reply, Found)
        for finding in reply.findings
        if isinstance(finding, Line)
    ]


def measure(folder: Path) -> dict[str, float]:
    if not models.present(MODELS, "whisper-base"):
        raise Skipped("the model whisper-base is not in build/models; `make test` brings it")
    library = folder / "demo"
    demo.assemble(library, lambda _line: None)
    counts = {"librivox": [0, 0], "jfk": [0, 0]}
    for truth in truths(library):
        if truth.said:
            kind = "librivox" if "Sensibility" in truth.path else "jfk"
            heard = " ".join(line.text for line in lines(library / truth.path))
            counts[kind][0] += errors(plain_words(truth.said), plain_words(heard))
            counts[kind][1] += len(plain_words(truth.said))
    return {
        "speech.words_librivox": counts["librivox"][1],
        "speech.wer_librivox": counts["librivox"][0] / counts["librivox"][1],
        "speech.words_jfk": counts["jfk"][1],
        "speech.wer_jfk": counts["jfk"][0] / counts["jfk"][1],
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(measure(Path(scratch)))
