"""Locks the child in, as far as the system allows: limits, no network, no new rights.

Films are hostile input for decoders written in C. Nothing here is required for the child to work:
what the kernel refuses is left out, and the child's Hello says what is in force.
"""

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

FILE_BYTES = 4 * 2**30  # the largest file a child may write; clips and stills are far smaller
OPEN_FILES = 1024
MEMORY_VARIABLE = "HEIMDEX_CHILD_MEMORY_MB"  # address space; 0: no limit
SPARE_BYTES = 8 * 2**30  # by default that much more address space than there is memory
ARENAS = 4  # malloc keeps a heap for each of that many threads; by default 8 for each core

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_M_ARENA_MAX = -8
_PROC = Path("/proc/self")


def enter() -> dict[str, str]:
    """Lock this process in and say how, for people. Call it before any thread is started."""
    applied = {"memory": _limit_memory()}
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, FILE_BYTES)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mallopt(_M_ARENA_MAX, ARENAS)
        applied["network"] = "off" if _leave_network(libc) else "not locked"
        applied["privileges"] = "fixed" if _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1) else "not locked"
        # last, because a change of namespace takes it back
        _prctl(libc, _PR_SET_PDEATHSIG, signal.SIGKILL)
    return applied


def _limit(kind: int, value: int) -> bool:
    """Lower a limit; a limit that is lower already stays."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (value, value))
        return True
    return False


def _limit_memory() -> str:
    text = os.environ.get(MEMORY_VARIABLE, "")
    if text.isdecimal():
        wanted = int(text) * 2**20
    else:
        wanted = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") + SPARE_BYTES
    if wanted and _limit(resource.RLIMIT_AS, wanted):
        return f"{wanted // 2**20} MB"
    return "not limited"


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> bool:
    return bool(libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) == 0)


def _leave_network(libc: ctypes.CDLL) -> bool:
    """Move to a network namespace with nothing in it. The child needs no network at all."""
    user, group = os.geteuid(), os.getegid()
    if user == 0:  # a namespace of users would cost root the right to read other people's files
        return bool(libc.unshare(_CLONE_NEWNET) == 0)
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    for name, line in (
        ("uid_map", f"{user} {user} 1"),
        ("setgroups", "deny"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with suppress(OSError):  # without a map only the names of owners are lost
            (_PROC / name).write_text(line)
    return True
