"""`heimdex doctor`: what this installation stands on, in words that a person can act on."""

import errno
import os
import platform
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.metadata import version
from pathlib import Path

import apsw

from companion import __version__, disk, lock, stages
from companion.child import COMMAND, environment
from companion.config import Config
from companion.errors import CompanionError, ConfigError, ModelMissing
from companion.store import db, settings
from scanners import models
from scanners.base import STAGES, Hello, decode_reply

LITTLE_FREE = 2_000_000_000  # bytes; models, clips and a backup need about so much
FEW_WATCHES = 65_536  # one a folder; smaller limits are used up by middling libraries
CHILD_LIMIT_S = 60
WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")


Check = Callable[[Config], Iterable["Finding"]]


class Health(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line. advice: what to do about it, empty if nothing needs doing."""

    health: Health
    what: str
    found: str
    advice: str = ""


def examine(config: Config, *, command: Sequence[str] = COMMAND) -> list[Finding]:
    """Look at everything. Blocks for some seconds: a child is started with `command`."""
    found: list[Finding] = []
    checks: list[Check] = [*CHECKS, partial(_scanner, command=command)]
    for check in checks:
        try:
            found += check(config)
        except (CompanionError, OSError, apsw.Error, subprocess.SubprocessError) as error:
            found.append(_fail(_name(check), f"cannot be looked at: {error}"))
    return found


def _ok(what: str, found: str) -> Finding:
    return Finding(health=Health.OK, what=what, found=found)


def _warn(what: str, found: str, advice: str) -> Finding:
    return Finding(health=Health.WARN, what=what, found=found, advice=advice)


def _fail(what: str, found: str, advice: str = "") -> Finding:
    return Finding(health=Health.FAIL, what=what, found=found, advice=advice)


# --- the program ---------------------------------------------------------------------------------


def _versions(_config: Config) -> Iterator[Finding]:
    yield _ok("Heimdex", f"{__version__} in {Path(__file__).parent}")
    python = f"{platform.python_version()} at {sys.executable}"
    yield _ok("Python", python)
    yield _ok("Platform", f"{platform.system()} {platform.release()}, {platform.machine()}")


def _database_engine(_config: Config) -> Iterator[Finding]:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(db.connect(Path(folder, "probe.db"))) as connection,
    ):
        engine = connection.execute(
            "select sqlite_version(), vec_version(), sqlite_compileoption_used('ENABLE_FTS5')"
        ).fetchone()
    assert engine is not None
    yield _ok("SQLite", f"{engine[0]} through APSW {version('apsw')}")
    if engine[2]:
        yield _ok("FTS5", "full-text search is built in")
    else:
        yield _fail("FTS5", "missing", "install the official wheel: pip install --force apsw")
    yield _ok("sqlite-vec", str(engine[1]))


def _scanner(config: Config, command: Sequence[str]) -> Iterator[Finding]:
    """Start a child, read its hello, and let it go."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [*command, "--role", "one-shot"],
        env=os.environ | environment(config),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=CHILD_LIMIT_S,
        check=False,
    )
    first = done.stdout.partition(b"\n")[0]
    try:
        hello = decode_reply(first)
    except ValueError:
        hello = None
    if not isinstance(hello, Hello):
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        words = last[0] if last else f"it ended with status {done.returncode}"
        yield _fail(
            "Scanner", words, "install again: pip install --force-reinstall heimdex-companion"
        )
        return
    versions = ", ".join(f"{name} {number}" for name, number in sorted(hello.versions.items()))
    yield _ok("Scanner", f"starts; {versions}" if versions else "starts")


def _models(config: Config) -> Iterator[Finding]:
    try:
        chosen = models.roles(config.models.profile, config.models.roles)
    except ConfigError as error:
        for mistake in error.mistakes:
            yield _fail("Models", mistake, "correct [models] in heimdex.toml")
        return
    wanted = stages.enabled(config)
    unused = {info.role for name, info in STAGES.items() if name not in wanted}
    for role, name in chosen.items():
        if role in unused:
            continue
        label = f"Model for {role}"
        try:
            models.ensure(config.models_folder, name)
        except ModelMissing as error:
            yield _warn(
                label,
                str(error).splitlines()[0],
                "run `heimdex models get`, or let `serve` bring it",
            )
        else:
            yield _ok(label, f"{models.identity(name)}, every byte as expected")


def _features(config: Config) -> Iterator[Finding]:
    for off in stages.switched_off(config):
        stage, _, key = off.partition(": ")
        yield _ok(f"Stage {stage}", f"{key}; turned on later, only this is still to be done")


# --- where it lives ------------------------------------------------------------------------------


def _data_folder(config: Config) -> Iterator[Finding]:
    folder = config.data_dir
    kind = disk.kind_of(folder)
    if disk.is_network(kind):
        yield _fail(
            "Data folder",
            f"{folder} lies on a network share ({kind})",
            "name a folder on a local disk with HEIMDEX_DATA_DIR",
        )
    elif not _writable(folder):
        yield _fail(
            "Data folder",
            f"{folder} cannot be written by this user",
            f"give user {_user()} the right to write there, or name another with HEIMDEX_DATA_DIR",
        )
    else:
        yield _ok("Data folder", f"{folder} ({kind or 'unknown file system'})")
    free = disk.free_bytes(folder)
    text = f"{free / 1e9:.1f} GB free"
    if free < LITTLE_FREE:
        yield _warn("Room", text, f"make room: at least {LITTLE_FREE / 1e9:.0f} GB should be free")
    else:
        yield _ok("Room", text)


def _database(config: Config) -> Iterator[Finding]:
    if not config.database.exists():
        yield _ok("Database", "none yet; the first start makes it")
        return
    with closing(db.connect(config.database, readonly=True)) as connection:
        have, known = db.version(connection), len(db.migrations())
        page = connection.execute("pragma page_size").fetchone()
        complaint = connection.execute("pragma quick_check(1)").fetchone()
    assert page is not None
    assert complaint is not None
    size = config.database.stat().st_size / 1e6
    text = f"schema {have}, {size:.1f} MB, pages of {page[0]} bytes"
    if have > known:
        yield _fail(
            "Database", text, f"this program knows schema {known}: install the newer version"
        )
    elif complaint[0] != "ok":
        yield _fail("Database", f"damaged: {complaint[0]}", "run `heimdex restore` with a backup")
    else:
        yield _ok("Database", text)


def _libraries(config: Config) -> Iterator[Finding]:
    folders = list(config.folders)
    if config.database.exists():
        with closing(db.connect(config.database, readonly=True)) as connection:
            known = {folder.path for folder in folders}
            folders += [one for one in settings.folders(connection) if one.path not in known]
    if not folders:
        yield _warn(
            "Libraries", "none", "name folders under [library] in heimdex.toml, or run heimdex scan"
        )
    for folder in folders:
        label = f"Library {folder.name or folder.path.name}"
        if not folder.path.is_dir():
            yield _fail(label, f"{folder.path} is not there", "mount it or correct heimdex.toml")
        elif not os.access(folder.path, os.R_OK | os.X_OK):
            yield _fail(label, f"{folder.path} cannot be read", f"let user {_user()} read it")
        elif config.sidecars.enabled and not os.access(folder.path, os.W_OK):
            yield _warn(
                label,
                f"{folder.path} is read-only, so sidecars go to the data folder",
                "nothing, or let this user write there, or set sidecars.enabled = false",
            )
        else:
            yield _ok(label, str(folder.path))


def _notifications(config: Config) -> Iterator[Finding]:
    if not config.sync.watch or not WATCHES.exists():
        return
    limit = int(WATCHES.read_text(encoding="ascii"))
    text = f"up to {limit} folders can be watched"
    if limit < FEW_WATCHES:
        yield _warn(
            "Watching",
            text,
            f"raise it: sudo sysctl fs.inotify.max_user_watches={8 * FEW_WATCHES}",
        )
    else:
        yield _ok("Watching", text)


def _daemon(config: Config) -> Iterator[Finding]:
    running = lock.running(config.data_dir)
    if running is not None:
        yield _ok("Daemon", f"running at {running.url} (process {running.pid})")
        return
    host, port = config.web.host, config.web.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            words = {errno.EADDRINUSE: "used by another program"}.get(
                error.errno or 0, error.strerror or str(error)
            )
            yield _fail("Port", f"{host} port {port}: {words}", "choose another: [web] port")
        else:
            yield _ok("Port", f"{host} port {port} is free; the daemon is not running")


def _writable(folder: Path) -> bool:
    """Try it: permission bits do not tell of read-only mounts and quotas."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _user() -> str:
    return f"{os.getuid()}:{os.getgid()}"


def _name(check: Check) -> str:
    function = check.func if isinstance(check, partial) else check
    return str(getattr(function, "__name__", "")).strip("_").replace("_", " ").capitalize()


CHECKS: tuple[Check, ...] = (
    _versions,
    _database_engine,
    _models,
    _features,
    _data_folder,
    _database,
    _libraries,
    _notifications,
    _daemon,
)
