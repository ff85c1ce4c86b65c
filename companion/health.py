"""Is the daemon of this data folder alive, ready or degraded? Light enough to ask every minute.

`python -m companion.health` is what the Docker image asks; `heimdex health` says the same.
"""

import http.client
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from companion import lock
from companion.settings import default_data_dir

TIMEOUT_S = 5.0
WELL = frozenset({"ready", "degraded"})


class Answer(msgspec.Struct, frozen=True):
    """state: down, alive, ready or degraded. reasons: in words."""

    state: str
    reasons: list[str] = []

    @property
    def well(self) -> bool:
        """True if searching works."""
        return self.state in WELL


def ask(data_dir: Path) -> Answer:
    """Ask the daemon that owns the data folder. Blocks for at most some seconds."""
    daemon = lock.running(data_dir)
    if daemon is None:
        return Answer("down", [f"no daemon owns {data_dir}"])
    address = urlsplit(daemon.url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=TIMEOUT_S)
    headers = {"Authorization": f"Bearer {daemon.token}"}
    try:
        connection.request("GET", f"{address.path}/api/1/health", headers=headers)
        return msgspec.json.decode(connection.getresponse().read(), type=Answer)
    except (OSError, http.client.HTTPException, msgspec.MsgspecError) as error:
        return Answer("down", [f"{daemon.url} (process {daemon.pid}) does not answer: {error}"])
    finally:
        connection.close()


def main() -> int:
    named = os.environ.get("HEIMDEX_DATA_DIR")
    answer = ask(Path(named) if named else default_data_dir(os.environ))
    sys.stdout.write("\n".join([answer.state, *answer.reasons]) + "\n")
    return 0 if answer.well else 1


if __name__ == "__main__":
    sys.exit(main())
