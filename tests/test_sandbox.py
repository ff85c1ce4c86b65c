"""What locks a child in, in a process of its own, and what happens where the kernel refuses."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scanners import sandbox

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")


def inside(code: str, **environment: str) -> str:
    """Return what code prints after the sandbox is closed around it."""
    done = subprocess.run(
        [sys.executable, "-c", f"from scanners import sandbox; said = sandbox.enter()\n{code}"],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=60,
        check=False,
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_memory_is_limited_to_what_is_allowed() -> None:
    code = (
        "print(said['memory'], end=' ')\n"
        "try:\n    bytearray(2 * 2**30)\nexcept MemoryError:\n    print('and no more')"
    )
    assert inside(code, HEIMDEX_CHILD_MEMORY_MB="1500") == "1500 MB and no more"


@pytest.mark.parametrize("value", ["", "much"])
def test_memory_is_limited_by_what_there_is(value: str) -> None:
    said = inside("print(said['memory'])", HEIMDEX_CHILD_MEMORY_MB=value)
    megabytes = int(said.removesuffix(" MB"))
    assert megabytes > sandbox.SPARE_BYTES // 2**20


def test_memory_may_be_left_unlimited() -> None:
    assert inside("print(said['memory'])", HEIMDEX_CHILD_MEMORY_MB="0") == "not limited"


def test_a_file_cannot_grow_without_end(tmp_path: Path) -> None:
    code = (
        f"file = open({str(tmp_path / 'large')!r}, 'wb'); file.seek(sandbox.FILE_BYTES)\n"
        "file.write(b'x'); file.flush()"
    )
    assert "File too large" in inside(code)


def test_a_crash_leaves_no_core() -> None:
    assert inside("import resource; print(resource.getrlimit(resource.RLIMIT_CORE))") == "(0, 0)"


def test_a_limit_is_never_raised() -> None:
    code = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n"
        "sandbox.enter(); print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    assert inside(code) == "(100, 100)"


@LINUX
def test_the_network_is_gone_where_the_kernel_allows_it() -> None:
    code = (
        "import socket\nprint(said['network'], end=' ')\n"
        "try:\n    socket.create_connection(('127.0.0.1', 9), timeout=2)\n"
        "except OSError as error:\n    print(error.strerror)"
    )
    assert inside(code) in {"off Network is unreachable", "not locked Connection refused"}


@LINUX
def test_files_can_still_be_read_and_written(tmp_path: Path) -> None:
    (tmp_path / "film").write_text("a film")
    code = (
        f"from pathlib import Path; folder = Path({str(tmp_path)!r})\n"
        "(folder / 'still').write_text((folder / 'film').read_text())\n"
        "import os; print(os.geteuid())"
    )
    assert inside(code) == str(os.geteuid())
    assert (tmp_path / "still").read_text() == "a film"
    assert (tmp_path / "still").stat().st_uid == os.geteuid()


@LINUX
def test_no_program_gets_more_rights() -> None:
    status = inside("print(said['privileges'], open('/proc/self/status').read())")
    assert status.startswith("fixed")
    assert "NoNewPrivs:\t1" in status


class Kernel:
    """Stands for the C library: remembers what was asked, and refuses if told to."""

    def __init__(self, answer: int) -> None:
        self.answer = answer
        self.asked: list[int] = []

    def unshare(self, flags: int) -> int:
        self.asked.append(flags)
        return self.answer

    def prctl(self, *arguments: Any) -> int:
        return self.answer


@pytest.mark.parametrize(
    ("user", "flags"),
    [(0, sandbox._CLONE_NEWNET), (1000, sandbox._CLONE_NEWUSER | sandbox._CLONE_NEWNET)],
)
def test_root_keeps_its_users_and_others_need_a_space_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: int, flags: int
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(os, "getegid", lambda: user)
    monkeypatch.setattr(sandbox, "_PROC", tmp_path)
    kernel = Kernel(0)
    assert sandbox._leave_network(kernel)  # type: ignore[arg-type]
    assert kernel.asked == [flags]
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written == (
        {"uid_map": "1000 1000 1", "setgroups": "deny", "gid_map": "1000 1000 1"} if user else {}
    )


@pytest.mark.parametrize("user", [0, 1000])
def test_a_kernel_that_refuses_is_no_obstacle(monkeypatch: pytest.MonkeyPatch, user: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert not sandbox._leave_network(Kernel(-1))  # type: ignore[arg-type]
    assert not sandbox._prctl(Kernel(-1), 38, 1)  # type: ignore[arg-type]
