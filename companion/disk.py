"""What a folder lies on: the kind of file system, and how much room is left."""

import os
import re
import shutil
from pathlib import Path

from companion.errors import StoreDamaged

MOUNTS = Path("/proc/mounts")  # Linux; elsewhere the kind stays unknown
# SQLite's write-ahead log is shared memory: two machines would each have their own.
NETWORK = frozenset(
    {
        "afs", "beegfs", "ceph", "cifs", "davfs", "fuse.davfs", "fuse.glusterfs", "fuse.rclone",
        "fuse.sshfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb2", "smb3", "smbfs",
    }
)  # fmt: skip


def kind_of(path: Path, mounts: Path = MOUNTS) -> str:
    """Return the type of the file system that holds path, such as "ext4"; "" if it is not known.

    path need not exist yet. Blocks for one small file.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    target = Path(os.path.realpath(path))
    best, kind = -1, ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(_unescaped(fields[1]))
        depth = len(point.parts)
        if depth >= best and target.is_relative_to(point):  # later mounts lie on top
            best, kind = depth, fields[2]
    return kind


def is_network(kind: str) -> bool:
    return kind in NETWORK


def refuse_network(data_dir: Path, mounts: Path = MOUNTS) -> None:
    """Raise StoreDamaged if the data folder lies on a network share. Media may."""
    kind = kind_of(data_dir, mounts)
    if is_network(kind):
        raise StoreDamaged(
            f"the data folder {data_dir} lies on a network share ({kind}), where a database "
            "breaks. Name a folder on a local disk with HEIMDEX_DATA_DIR; the media may stay "
            "on the share"
        )


def free_bytes(path: Path) -> int:
    """Return what this user may still write there. path or a folder above it must exist."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def _unescaped(field: str) -> str:
    """Return a mount point as it is called: the kernel writes a space as \\040."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
