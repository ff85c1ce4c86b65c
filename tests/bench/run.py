"""`make bench`: print every figure with its limit and write them to build/bench.json."""

import sys
from pathlib import Path

from tests import figures

if __name__ == "__main__":
    sys.exit(figures.run("tests.bench", Path("build/bench.json")))
