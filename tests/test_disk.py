"""Which file system holds a folder, told from what the kernel says."""

from pathlib import Path

import pytest

from companion import disk
from companion.errors import StoreDamaged

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
proc /proc proc rw 0 0
//nas/films /mnt/nas cifs rw 0 0
nas:/home /mnt/nas/home\\040videos nfs4 rw 0 0
/dev/sdb1 /mnt/nas/home\\040videos/local xfs rw 0 0
/dev/sdc1 /twice ext4 rw 0 0
none /twice tmpfs rw 0 0
odd
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    path = tmp_path / "mounts"
    path.write_text(MOUNTS, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/heimdex", "ext4"),
        ("/mnt/nas", "cifs"),
        ("/mnt/nasty", "ext4"),
        ("/mnt/nas/home videos/2003", "nfs4"),
        ("/mnt/nas/home videos/local/x", "xfs"),
        ("/twice/x", "tmpfs"),
    ],
)
def test_the_deepest_and_latest_mount_decides(mounts: Path, path: str, kind: str) -> None:
    assert disk.kind_of(Path(path), mounts) == kind


def test_a_link_to_a_share_is_the_share(mounts: Path, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to("/mnt/nas/data")
    assert disk.kind_of(tmp_path / "data", mounts) == "cifs"


def test_without_a_mount_table_the_kind_is_unknown_and_nothing_is_refused(tmp_path: Path) -> None:
    assert disk.kind_of(Path("/"), tmp_path / "none") == ""
    disk.refuse_network(Path("/"), tmp_path / "none")


def test_a_data_folder_on_a_share_is_refused_in_words(mounts: Path) -> None:
    with pytest.raises(StoreDamaged, match=r"network share \(nfs4\).*HEIMDEX_DATA_DIR"):
        disk.refuse_network(Path("/mnt/nas/home videos/heimdex"), mounts)
    disk.refuse_network(Path("/srv/heimdex"), mounts)


def test_this_machine_s_own_root_has_a_kind() -> None:
    if disk.MOUNTS.exists():
        assert disk.kind_of(Path("/")) != ""


def test_free_room_is_that_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    assert disk.free_bytes(tmp_path / "a" / "b") == pytest.approx(
        disk.free_bytes(tmp_path), rel=0.1
    )
