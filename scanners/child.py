"""The child process: one request a line in, replies out. `python -m scanners.child`.

Standard output belongs to the protocol: whatever libraries print goes to standard error. Thread
counts are set and the sandbox is closed before anything heavy is imported. The child may be killed
at any time: what it writes to disk is there whole or not at all.
"""

import argparse
import faulthandler
import os
import queue
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata

import msgspec

from scanners import sandbox
from scanners.base import (
    STAGES,
    Finished,
    Hello,
    Reply,
    Request,
    StageInfo,
    decode_request,
    encode_line,
)
from scanners.worker import Worker, rss_bytes

MAX_LINE = 64 * 2**20  # bytes of one request
READ_BYTES = 2**16
NICE = {"scanner": 10}  # the others answer people who wait
THREADS_VARIABLE = "HEIMDEX_CHILD_THREADS"
IDLE_VARIABLE = "HEIMDEX_CHILD_IDLE_S"  # a model that nobody used for so long is let go
IDLE_S = 60
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_LIBRARIES = ("av", "opencv-python-headless", "scenedetect-headless", "onnxruntime")


class _Id(msgspec.Struct):
    """What is left of a request that cannot be understood."""

    id: int = 0


class TooLong(Exception):
    """A line above MAX_LINE has come; it was dropped up to its end."""


class Wire:
    """The protocol's two ends, safe from whatever else reads standard input or prints."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._input = os.dup(0)
        self._output = os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def send(self, reply: Reply) -> None:
        """Write a reply. Ends the process if nobody listens any more."""
        rest = memoryview(encode_line(reply))
        try:
            while rest:
                rest = rest[os.write(self._output, rest) :]
        except BrokenPipeError:
            os._exit(0)

    def lines(self) -> Iterator[bytes | TooLong]:
        """Give the lines of standard input until its end."""
        parts: list[bytes] = []
        length = 0
        while data := os.read(self._input, READ_BYTES):
            *ends, rest = data.split(b"\n")
            for end in ends:
                length += len(end)
                yield b"".join((*parts, end)) if length <= MAX_LINE else TooLong()
                parts, length = [], 0
            length += len(rest)
            parts = [*parts, rest] if length <= MAX_LINE else []
        if parts and any(parts):
            yield b"".join(parts)


def set_threads() -> None:
    """Tell the numeric libraries how many threads to use; they read it when they are imported."""
    count = _number(THREADS_VARIABLE, 0)
    for name in _THREAD_VARIABLES:
        os.environ[name] = str(count or os.cpu_count() or 1)
    # numpy's products are small here: where cores are shared, two threads that wait for each other
    # took 50 ms of CPU for a query, one takes 5. Models bring thread pools of their own.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"


def _number(variable: str, otherwise: int) -> int:
    """Return the whole number that a variable of the environment holds."""
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() else otherwise


def versions() -> dict[str, str]:
    """Return the versions of what the child works with."""
    found = {"python": sys.version.split()[0]}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def understood(line: bytes | TooLong) -> Request | Finished:
    """Return the request of a line, or the reply to a line that is none."""
    if isinstance(line, TooLong):
        return _refused(0, f"the request is longer than {MAX_LINE} bytes")
    try:
        return decode_request(line)
    except msgspec.MsgspecError as error:
        try:
            number = msgspec.json.decode(line, type=_Id).id
        except msgspec.MsgspecError:
            number = 0
        return _refused(number, f"this is not a request: {error}")


def _refused(number: int, error: str) -> Finished:
    return Finished(id=number, rss_bytes=rss_bytes(), error=error, permanent=True)


def _listen(wire: Wire, inbox: "queue.Queue[Request | Finished | None]", finish: bool) -> None:
    """Read requests until standard input ends: then our parent has gone or wants us to go.

    finish: work off what has come; else leave at once, in the middle of a film if need be.
    """
    for line in wire.lines():
        if line:
            inbox.put(understood(line))
    if not finish:
        os._exit(0)
    inbox.put(None)


def main(arguments: Sequence[str] | None = None, stages: Mapping[str, StageInfo] = STAGES) -> None:
    """Serve requests until standard input ends. stages: the stage table; tests bring their own."""
    parser = argparse.ArgumentParser(prog="scanners.child")
    parser.add_argument("--role", choices=("scanner", "encoder", "one-shot"), default="scanner")
    role = parser.parse_args(arguments).role
    faulthandler.enable()
    wire = Wire()
    set_threads()
    os.nice(NICE.get(role, 0))
    locked = sandbox.enter()
    wire.send(Hello(pid=os.getpid(), versions={**versions(), **locked, "role": role}))
    inbox: queue.Queue[Request | Finished | None] = queue.Queue()
    threading.Thread(
        target=_listen, args=(wire, inbox, role == "one-shot"), name="listen", daemon=True
    ).start()
    worker = Worker(stages, wire.send, idle_s=_number(IDLE_VARIABLE, IDLE_S))
    while (message := inbox.get()) is not None:
        if isinstance(message, Finished):
            wire.send(message)
        else:
            worker.answer(message)


if __name__ == "__main__":
    main()
