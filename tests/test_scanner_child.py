"""The child program, from outside: what it answers, what it survives, and how it leaves."""

import contextlib
import json
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scanners.base import (
    Clip,
    Encode,
    Encoded,
    Finished,
    Found,
    Hello,
    Made,
    Options,
    Probe,
    Probed,
    Progress,
    Reply,
    Request,
    Scan,
    SceneText,
    StageDone,
    StageFailed,
    Still,
    decode_reply,
    encode_line,
)
from scanners.child import MAX_LINE
from scanners.sandbox import MEMORY_VARIABLE
from tests.films import kept_film, truncate

FAKE = [sys.executable, str(Path(__file__).parent / "fakes" / "child.py")]
REAL = [sys.executable, "-m", "scanners.child"]
PATIENCE_S = 60.0


class Talk:
    """A child and its two ends, read in a thread so that every wait has a limit."""

    def __init__(self, command: list[str], *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | environment,
            cwd=Path(__file__).parents[1],
        )
        self._lines: queue.Queue[bytes] = queue.Queue()
        self.errors: list[bytes] = []
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        hello = self.reply()
        assert isinstance(hello, Hello)
        self.hello = hello
        self._number = 0

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors += self.process.stderr

    def reply(self) -> Reply | None:
        """Return the next reply, None at the end."""
        line = self._lines.get(timeout=PATIENCE_S)
        return decode_reply(line) if line else None

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def ask(self, make: Callable[..., Request], **fields: Any) -> list[Reply]:
        """Send a request and return every reply to it; the last is its Finished, if it lived."""
        self._number += 1
        self.write(encode_line(make(id=self._number, **fields)))
        return self.replies()

    def replies(self) -> list[Reply]:
        said: list[Reply] = []
        while (one := self.reply()) is not None:
            said.append(one)
            if isinstance(one, Finished):
                break
        return said

    def scan(self, path: bytes, *stages: str, **fields: Any) -> list[Reply]:
        return self.ask(Scan, path=path, stages=stages, options=Options(), **fields)

    def close_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def end(self) -> int:
        """Wait until it has gone and return its status."""
        status = self.process.wait(timeout=PATIENCE_S)
        for thread in self._threads:
            thread.join(timeout=PATIENCE_S)
        return status


@contextlib.contextmanager
def talking(command: list[str], *arguments: str, **environment: str) -> Iterator[Talk]:
    talk = Talk(command, *arguments, **environment)
    try:
        yield talk
    finally:
        talk.process.kill()
        talk.end()
        for pipe in (talk.process.stdin, talk.process.stdout, talk.process.stderr):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Talk]:
    """One child with fake stages for every test that leaves it alive."""
    with talking(FAKE, HEIMDEX_CHILD_THREADS="3") as talk:
        yield talk


def end_of(said: list[Reply], stage: str) -> StageDone | StageFailed:
    """Return how a stage ended; it must have ended once."""
    ends = [one for one in said if isinstance(one, StageDone | StageFailed) and one.stage == stage]
    assert len(ends) == 1
    return ends[0]


def finished(said: list[Reply]) -> Finished:
    """Return the end of a request; it must be its last word and the only such."""
    assert [isinstance(one, Finished) for one in said] == [False] * (len(said) - 1) + [True]
    end = said[-1]
    assert isinstance(end, Finished)
    return end


# --- what it says --------------------------------------------------------------------------------


def test_hello_tells_who_is_there_and_how_it_is_locked(shared: Talk) -> None:
    assert shared.hello.pid == shared.process.pid
    versions = shared.hello.versions
    assert versions["role"] == "scanner"
    assert {"python", "av", "memory"} <= versions.keys()
    if sys.platform == "linux":
        assert versions["privileges"] == "fixed"
        assert versions["network"] in {"off", "not locked"}


def test_a_probe_tells_what_is_in_a_film(shared: Talk) -> None:
    said = shared.ask(Probe, path=os.fsencode(kept_film("a.mp4", shots=(2.0,)).path))
    assert isinstance(said[0], Probed)
    assert said[0].media.duration_ms == 2000
    assert finished(said).error == ""
    assert finished(said).rss_bytes > 2**20


def test_a_probe_of_no_film_says_why(shared: Talk, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("Dear diary")
    end = finished(shared.ask(Probe, path=os.fsencode(path)))
    assert (end.error, end.permanent) == ("this is text, not a film", True)


def test_a_scan_gives_findings_and_ends_every_stage(shared: Talk, tmp_path: Path) -> None:
    film = kept_film("a.mkv", shots=(3.0, 3.0))
    said = shared.scan(
        os.fsencode(film.path),
        "shots",
        "scenes",
        "extra",
        "subtitles",
        stills=os.fsencode(tmp_path / "stills"),
    )
    assert finished(said).error == ""
    for stage in ("shots", "scenes", "extra", "subtitles"):
        assert isinstance(end_of(said, stage), StageDone), stage
    scenes = [one for one in said if isinstance(one, Found) and one.stage == "scenes"][-1].findings
    assert [one.start_ms for one in scenes if hasattr(one, "still_ms")] == [0, 3_000]
    assert len(list((tmp_path / "stills").iterdir())) == 2
    assert any(isinstance(one, Progress) and one.stage == "shots" for one in said)


def test_a_still_and_a_clip_are_made(shared: Talk, tmp_path: Path) -> None:
    path = os.fsencode(kept_film("a.mkv", shots=(3.0, 3.0)).path)
    still, clip = (os.fsencode(tmp_path / name) for name in ("a.jpg", "a.mp4"))
    said = shared.ask(Still, path=path, at_ms=1000, to=still)
    assert [type(one) for one in said] == [Made, Finished]
    said = shared.ask(Clip, path=path, start_ms=0, end_ms=500, to=clip)
    assert said[0] == Made(id=said[0].id, to=clip) if isinstance(said[0], Made) else False
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.jpg", "a.mp4"]


def test_a_clip_that_cannot_be_made_says_why(shared: Talk, tmp_path: Path) -> None:
    path = os.fsencode(kept_film("a.mkv", shots=(3.0, 3.0)).path)
    said = shared.ask(Clip, path=path, start_ms=5, end_ms=5, to=os.fsencode(tmp_path / "a.mp4"))
    assert "cannot be made" in finished(said).error
    assert len(said) == 1


def test_texts_become_vectors(shared: Talk) -> None:
    said = shared.ask(Encode, role="meaning", texts=("a lake", "a dog"), options=Options())
    assert isinstance(said[0], Encoded)
    assert (said[0].model, said[0].dims, len(said[0].vectors)) == ("hash@1", 8, 2)
    assert said[0].vectors[0] != said[0].vectors[1]


def test_no_texts_become_no_vectors(shared: Talk) -> None:
    said = shared.ask(Encode, role="meaning", texts=(), options=Options())
    assert isinstance(said[0], Encoded)
    assert said[0].vectors == ()


def test_a_role_without_a_stage_is_named(shared: Talk) -> None:
    said = shared.ask(Encode, role="smell", texts=("a",), options=Options())
    assert finished(said).error == "no stage has a model for 'smell'"


def test_the_words_of_scenes_become_vectors(shared: Talk) -> None:
    scenes = (SceneText(3, ("a", "b")), SceneText(9, ("c",)))
    said = shared.scan(b"film.mkv", "meaning", scenes=scenes)
    found = [one for reply in said if isinstance(reply, Found) for one in reply.findings]
    assert [getattr(one, "scene", None) for one in found] == [3, 9]


def test_many_findings_come_in_several_messages(shared: Talk) -> None:
    said = shared.scan(b"many", "subtitles")
    sizes = [len(one.findings) for one in said if isinstance(one, Found)]
    assert sizes == [2_000, 2_000, 1_000]


def test_a_stage_is_made_once_for_the_same_options(shared: Talk) -> None:
    models = []
    for beam in (1, 1, 2, 2):
        options = Options(beam=beam)
        said = shared.ask(Scan, path=b"x", stages=("subtitles",), options=options)
        end = end_of(said, "subtitles")
        assert isinstance(end, StageDone)
        models.append(end.model)
    assert models[0] == models[1] != models[2] == models[3]


# --- what it survives ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reason", "permanent"),
    [
        (b"raise", "the program failed: KeyError: 'of no luck'", False),
        (b"refuse", "there are no words in it", True),
        (b"wait", "the share is away", False),
    ],
)
def test_a_stage_that_fails_is_one_line_and_others_go_on(
    shared: Talk, name: bytes, reason: str, permanent: bool
) -> None:
    said = shared.scan(name, "subtitles", "meaning")
    failed = end_of(said, "subtitles")
    assert isinstance(failed, StageFailed)
    assert (failed.reason, failed.permanent) == (reason, permanent)
    assert isinstance(end_of(said, "meaning"), StageDone)
    assert finished(said).error == ""


def test_a_picture_stage_that_fails_leaves_the_others(shared: Talk, tmp_path: Path) -> None:
    film = kept_film("a.mkv", shots=(3.0, 3.0))
    path = tmp_path / "extra raise.mkv"
    os.link(film.path, path)
    said = shared.scan(os.fsencode(path), "shots", "scenes", "extra")
    # the fake shots stage raises on that name too, and scenes need shots
    assert isinstance(end_of(said, "extra"), StageFailed)
    failed = end_of(said, "scenes")
    assert isinstance(failed, StageFailed)
    assert failed.reason.startswith("shots failed: the program failed: KeyError")
    assert finished(said).error == ""


def test_stages_that_cannot_be_had_say_so(shared: Talk) -> None:
    said = shared.scan(b"x", "smell", "absent", "speech", "subtitles")
    reasons = {one.stage: one.reason for one in said if isinstance(one, StageFailed)}
    assert reasons["smell"] == "there is no stage 'smell'"
    assert reasons["absent"].startswith("tests.fakes.stages:Nothing cannot be loaded: ")
    assert reasons["speech"] == "the model is missing"
    assert isinstance(end_of(said, "subtitles"), StageDone)


def test_a_stage_asked_for_twice_runs_once(shared: Talk) -> None:
    end_of(shared.scan(b"x", "subtitles", "subtitles"), "subtitles")


def test_no_film_fails_every_picture_stage(shared: Talk, tmp_path: Path) -> None:
    half = truncate(kept_film("a.mp4", shots=(2.0,)).path, tmp_path / "half.mp4", 0.5)
    said = shared.scan(os.fsencode(half), "shots", "scenes", "extra")
    for stage in ("shots", "scenes", "extra"):
        failed = end_of(said, stage)
        assert isinstance(failed, StageFailed)
        assert "not complete" in failed.reason
        assert failed.permanent


def test_what_libraries_print_does_not_reach_the_protocol(shared: Talk) -> None:
    said = shared.scan(b"print", "subtitles")
    assert isinstance(end_of(said, "subtitles"), StageDone)
    # standard error is read by a thread: ask something else until it has come through
    for _ in range(100):
        if any(b"written in C" in line for line in shared.errors):
            break
        shared.scan(b"x", "subtitles")
    assert b"a library says hello\n" in shared.errors
    assert b"a decoder written in C says hello\n" in shared.errors


def test_a_stage_finds_itself_alone(shared: Talk) -> None:
    end = end_of(shared.scan(b"look around", "subtitles"), "subtitles")
    assert isinstance(end, StageDone)
    seen = json.loads(end.note)
    assert seen["stdin"] == ""
    assert seen["threads"] == "3"
    assert seen["nice"] >= min(19, os.nice(0) + 10)
    assert seen["user"] == os.geteuid()
    if shared.hello.versions.get("network") == "off":
        assert seen["network"] == "Network is unreachable"


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (b"garbage\n", 0),
        (b"[1, 2]\n", 0),
        (b'{"type": "probe", "id": 41}\n', 41),
        (b'{"type": "dance", "id": 42}\n', 42),
        (b'{"type": "probe", "id": "x", "path": ""}\n', 0),
        (b"\xff\xfe\n", 0),
    ],
)
def test_what_is_no_request_is_refused(shared: Talk, line: bytes, number: int) -> None:
    shared.write(line)
    end = finished(shared.replies())
    assert end.id == number
    assert end.error.startswith("this is not a request: ")
    assert end.permanent


def test_empty_lines_are_passed_over(shared: Talk) -> None:
    shared.write(b"\n\n")
    end_of(shared.scan(b"x", "subtitles"), "subtitles")


def test_a_line_that_is_too_long_is_refused_and_the_next_is_read(shared: Talk) -> None:
    shared.write(b'{"type": "probe", "id": 1, "path": "')
    block = b"A" * 2**20
    for _ in range(MAX_LINE // len(block) + 1):
        shared.write(block)
    shared.write(b'"}\n')
    end = finished(shared.replies())
    assert end.error == f"the request is longer than {MAX_LINE} bytes"
    end_of(shared.scan(b"x", "subtitles"), "subtitles")


# --- how it leaves -------------------------------------------------------------------------------


def test_an_abort_ends_the_process_after_what_was_found() -> None:
    with talking(FAKE) as talk:
        said = talk.scan(b"abort", "subtitles")
        assert [type(one) for one in said] == [Progress]
        assert talk.end() == -signal.SIGABRT
        assert any(b"Fatal Python error: Aborted" in line for line in talk.errors)


def test_a_hanging_stage_goes_with_its_parent() -> None:
    with talking(FAKE) as talk:
        talk.write(encode_line(Scan(id=1, path=b"hang", stages=("subtitles",), options=Options())))
        assert isinstance(talk.reply(), Progress)
        talk.close_input()
        assert talk.end() == 0


def test_a_stage_that_eats_memory_fails_alone() -> None:
    with talking(FAKE, **{MEMORY_VARIABLE: "2000"}) as talk:
        assert talk.hello.versions["memory"] == "2000 MB"
        said = talk.scan(b"eat memory", "subtitles")
        failed = end_of(said, "subtitles")
        assert isinstance(failed, StageFailed)
        assert (failed.reason, failed.permanent) == ("there was not enough memory", False)
        end_of(talk.scan(b"x", "subtitles"), "subtitles")


def test_an_encoder_loads_no_decoder_and_is_not_nice() -> None:
    with talking(FAKE, "--role", "encoder") as talk:
        talk.ask(Encode, role="meaning", texts=("a",), options=Options())
        end = end_of(talk.scan(b"look around", "subtitles"), "subtitles")
        assert isinstance(end, StageDone)
        seen = json.loads(end.note)
        assert seen["nice"] == os.nice(0)
        assert seen["heavy"] == []


def test_a_one_shot_finishes_its_work_after_the_last_request(tmp_path: Path) -> None:
    film = os.fsencode(kept_film("a.mkv", shots=(3.0, 3.0)).path)
    requests = [
        Still(id=number, path=film, at_ms=at, to=os.fsencode(tmp_path / f"{at}.jpg"))
        for number, at in enumerate((0, 1_000, 4_000))
    ]
    done = subprocess.run(
        [*REAL, "--role", "one-shot"],
        input=b"".join(encode_line(one) for one in requests),
        capture_output=True,
        timeout=PATIENCE_S,
        cwd=Path(__file__).parents[1],
        check=True,
    )
    replies = [decode_reply(line) for line in done.stdout.splitlines()]
    assert [type(one) for one in replies] == [Hello, *[Made, Finished] * 3]
    assert len(list(tmp_path.iterdir())) == 3


def test_the_real_child_runs_the_real_stages() -> None:
    with talking(REAL) as talk:
        film = kept_film("a.mkv", shots=(3.0, 3.0))
        said = talk.scan(os.fsencode(film.path), "shots", "scenes")
        assert isinstance(end_of(said, "scenes"), StageDone)
        talk.close_input()
        assert talk.end() == 0


def test_a_child_writes_no_huge_files_and_no_core(tmp_path: Path) -> None:
    with talking(FAKE) as talk:
        limits = Path(f"/proc/{talk.process.pid}/limits")
        if not limits.exists():
            pytest.skip("this system does not show the limits of a process")
        text = {line[:25].strip(): line[26:].split() for line in limits.read_text().splitlines()}
        assert text["Max core file size"][:2] == ["0", "0"]
        assert text["Max file size"][0].isdecimal()
        assert int(text["Max open files"][0]) <= max(
            1024, resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        )


def test_an_unknown_role_is_refused() -> None:
    done = subprocess.run([*FAKE, "--role", "cook"], capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == 2
    assert b"invalid choice: 'cook'" in done.stderr
