"""One daemon per data folder, and how the command line finds it.

Who works in a data folder holds a lock on `heimdex.lock`; the kernel lets go of it when the
process ends, however it ends. A daemon also leaves `daemon.json` there, readable by its user alone:
where it listens, and a random token that lets the command line in.
"""

import fcntl
import os
import time
from pathlib import Path

import msgspec

from companion.errors import DataFolderBusy, StoreDamaged

LOCK_NAME = "heimdex.lock"
DAEMON_NAME = "daemon.json"
LOOK_TRIES = 5  # somebody who only looks holds the lock for an instant
LOOK_PAUSE_S = 0.05
PRIVATE = 0o600


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """A daemon that owns a data folder. url ends without a slash."""

    pid: int
    url: str
    token: str
    version: str

    def __repr__(self) -> str:
        return f"Daemon(pid={self.pid}, url={self.url!r}, token=***)"


class Lock:
    """The data folder is ours until `release`."""

    def __init__(self, data_dir: Path, descriptor: int) -> None:
        self.data_dir = data_dir
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let go. A second call does nothing."""
        if self._descriptor is None:
            return
        (self.data_dir / DAEMON_NAME).unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def take(data_dir: Path) -> Lock:
    """Make the data folder if need be and own it.

    Raises DataFolderBusy, naming who owns it, and StoreDamaged if the folder cannot be written.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise StoreDamaged(
            f"the data folder {data_dir} cannot be used: {error.strerror}. Give this user the "
            "right to write there, or name another with HEIMDEX_DATA_DIR"
        ) from error
    for left in reversed(range(LOOK_TRIES)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if left:
                time.sleep(LOOK_PAUSE_S)
                continue
            owner = _owner(data_dir, os.pread(descriptor, 32, 0))
            os.close(descriptor)
            raise DataFolderBusy(
                f"the data folder {data_dir} is in use by {owner}: stop it first, or name another "
                "folder with HEIMDEX_DATA_DIR"
            ) from None
        else:
            break
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    return Lock(data_dir, descriptor)


def announce(data_dir: Path, daemon: Daemon) -> None:
    """Tell the command line where the owner of the folder listens. Blocks for one small file."""
    path = data_dir / DAEMON_NAME
    unfinished = path.with_suffix(".part")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(msgspec.json.encode(daemon))
    unfinished.replace(path)


def taken(data_dir: Path) -> bool:
    """Say whether somebody owns the data folder now."""
    try:
        descriptor = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def running(data_dir: Path) -> Daemon | None:
    """Return the daemon that owns the data folder and listens, if there is one."""
    daemon = _announced(data_dir)
    return daemon if daemon is not None and taken(data_dir) else None


def _announced(data_dir: Path) -> Daemon | None:
    try:
        return msgspec.json.decode((data_dir / DAEMON_NAME).read_bytes(), type=Daemon)
    except (OSError, msgspec.MsgspecError):
        return None


def _owner(data_dir: Path, written: bytes) -> str:
    daemon = _announced(data_dir)
    if daemon is not None:
        return f"Heimdex at {daemon.url} (process {daemon.pid})"
    return f"another Heimdex command (process {written.decode(errors='replace').strip() or '?'})"
