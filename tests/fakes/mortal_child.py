"""The real child program that is killed once, as by the kernel, after it has told of some findings.

    mortal_child.py STAGE MARKER [arguments of the child]

It dies when it has sent the first findings of that stage, unless the file MARKER is there, which it
makes. It tells of every scene as soon as it has closed.
"""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # it is run as a script, from anywhere

from scanners import child, fanout
from scanners.base import Found, Reply


class Wire(child.Wire):
    """What the parent hears, up to the end."""

    def send(self, reply: Reply) -> None:
        super().send(reply)
        if isinstance(reply, Found) and reply.stage == STAGE and not MARKER.exists():
            MARKER.touch()
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    STAGE, MARKER = sys.argv[1], Path(sys.argv[2])
    fanout.REPORT_EVERY_MS = 1
    child.Wire = Wire  # type: ignore[misc]
    child.main(sys.argv[3:])
