"""A child that does what the name of the file says: for tests of the daemon's side of the border.

It speaks the real protocol through scanners.base and loads nothing else, so it starts in a moment.
"""

import os
import signal
import sys
import time

from scanners.base import (
    Clip,
    Encode,
    Encoded,
    Finished,
    Found,
    Hello,
    Made,
    MediaInfo,
    Probe,
    Probed,
    Progress,
    Reply,
    Request,
    Scan,
    Shot,
    StageDone,
    StageFailed,
    Still,
    decode_request,
    encode_line,
)


def say(reply: Reply) -> None:
    sys.stdout.buffer.write(encode_line(reply))
    sys.stdout.buffer.flush()


def misbehave(path: bytes) -> None:
    name = os.path.basename(path)
    if name == b"hang":
        time.sleep(3600)
    if name == b"segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == b"quit":
        print("MemoryError: no room for a film of that size", file=sys.stderr, flush=True)
        sys.exit(3)
    if name == b"garbage":
        sys.stdout.buffer.write(b"Loading model...\n")
        sys.stdout.buffer.flush()
    if name == b"other":
        say(Progress(id=-1, stage="shots", done_ms=1, total_ms=1))


def answer(request: Request) -> None:
    match request:
        case Scan():
            for stage in request.stages:
                say(Progress(id=request.id, stage=stage, done_ms=0, total_ms=1000))
                misbehave(request.path)
                shots = (Shot(0, 500), Shot(500, 1000))
                say(Found(id=request.id, stage=stage, until_ms=1000, findings=shots))
                if os.path.basename(request.path) == b"fails":
                    say(StageFailed(id=request.id, stage=stage, reason="no", permanent=True))
                else:
                    say(StageDone(id=request.id, stage=stage, model="", cpu_ms=1))
        case Probe():
            misbehave(request.path)
            if os.path.basename(request.path) == b"text":
                say(Finished(id=request.id, rss_bytes=1, error="this is text", permanent=True))
                return
            say(Probed(id=request.id, media=MediaInfo(container="mp4", duration_ms=1000)))
        case Encode():
            vectors = tuple(b"\x00\x3c" for _text in request.texts)
            say(Encoded(id=request.id, model="toy@1", dims=1, vectors=vectors))
        case Still() | Clip():
            misbehave(request.path)
            if os.path.basename(request.path) == b"text":
                say(Finished(id=request.id, rss_bytes=1, error="this is text", permanent=True))
                return
            say(Made(id=request.id, to=request.to))
    rss = 10**12 if isinstance(request, Scan) and b"fat" in request.path else 1
    say(Finished(id=request.id, rss_bytes=rss))


def main() -> None:
    if "--mute" in sys.argv:
        sys.exit("this Python has no codecs")
    say(Hello(pid=os.getpid(), versions={"role": sys.argv[-1]}))
    for line in sys.stdin.buffer:
        answer(decode_request(line))


if __name__ == "__main__":
    main()
