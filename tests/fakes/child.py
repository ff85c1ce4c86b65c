"""The real child program with stages that misbehave on request; see tests/fakes/stages.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # it is run as a script, from anywhere

from scanners.base import STAGES, StageInfo
from scanners.child import main

FAKES = {
    "subtitles": StageInfo("tests.fakes.stages:Words", 1, "words"),
    "speech": StageInfo("tests.fakes.stages:NoSpeech", 1, "speech", role="speech"),
    "meaning": StageInfo("tests.fakes.stages:Meaning", 1, "meaning", role="meaning"),
    "shots": StageInfo("tests.fakes.picture_stages:NaughtyShots", 1, "picture"),
    "scenes": STAGES["scenes"],
    "extra": StageInfo("tests.fakes.picture_stages:Extra", 1, "picture"),
    "absent": StageInfo("tests.fakes.stages:Nothing", 1, "words"),
}

if __name__ == "__main__":
    main(stages=FAKES)
