"""`make quality`: print every figure with its limit and write them to build/quality.json."""

import sys
from pathlib import Path

from tests import figures

if __name__ == "__main__":
    sys.exit(figures.run("tests.quality", Path("build/quality.json")))
