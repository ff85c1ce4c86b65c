"""Identity: what makes two paths the same film."""

import itertools
import os
import random
import threading
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from companion import identity
from companion.identity import HEAD, MIDDLE, TAIL, NotAFile, Unsettled
from companion.model import Stat

BIG = HEAD + MIDDLE + TAIL + 300_000
FINGERPRINT = 35  # "fp:" and 32 digits


def written(path: Path, content: bytes) -> bytes:
    path.write_bytes(content)
    return os.fsencode(path)


def known(path: bytes) -> str:
    return identity.fingerprint(path, identity.stat(path))


FILM = random.Random(2).randbytes(BIG)


def test_a_fingerprint_is_text_of_one_form(tmp_path: Path) -> None:
    found = known(written(tmp_path / "a.mkv", FILM))
    assert found.startswith("fp:")
    assert len(found) == FINGERPRINT
    int(found[3:], 16)


def test_the_same_content_has_one_fingerprint_wherever_it_lies(tmp_path: Path) -> None:
    one = written(tmp_path / "a.mkv", FILM)
    other = written(tmp_path / "copy of a.mp4", FILM)
    assert known(one) == known(other)


@pytest.mark.parametrize("position", [0, HEAD - 1, BIG // 2, BIG - TAIL, BIG - 1], ids=str)
def test_a_byte_in_head_middle_or_tail_makes_another_film(tmp_path: Path, position: int) -> None:
    one = written(tmp_path / "a.mkv", FILM)
    changed = bytearray(FILM)
    changed[position] ^= 1
    assert known(one) != known(written(tmp_path / "b.mkv", bytes(changed)))


def test_the_size_alone_makes_another_film(tmp_path: Path) -> None:
    """Recordings that were cut at different lengths may share every sampled byte."""
    one = written(tmp_path / "a.ts", bytes(BIG))
    other = written(tmp_path / "b.ts", bytes(BIG + 188))
    assert known(one) != known(other)


@given(st.integers(1, 3 * (HEAD + MIDDLE + TAIL)))
def test_samples_lie_in_the_file_in_order_and_never_overlap(size: int) -> None:
    taken = identity.samples(size)
    assert taken[0][0] == 0
    assert sum(taken[-1]) == size
    for (start, length), (after, _) in itertools.pairwise(taken):
        assert start + length <= after
    assert sum(length for _, length in taken) <= HEAD + MIDDLE + TAIL


def test_a_small_file_is_read_whole(tmp_path: Path) -> None:
    one = written(tmp_path / "a.mkv", FILM[:1000])
    assert known(one) != known(written(tmp_path / "b.mkv", FILM[:999] + b"x"))


def test_the_quick_look_survives_a_rename_and_a_hard_link(tmp_path: Path) -> None:
    before = identity.stat(written(tmp_path / "a.mkv", FILM[:1000]))
    os.link(tmp_path / "a.mkv", tmp_path / "linked.mkv")
    (tmp_path / "a.mkv").rename(tmp_path / "b.mkv")
    assert identity.stat(os.fsencode(tmp_path / "b.mkv")) == before
    assert identity.stat(os.fsencode(tmp_path / "linked.mkv")) == before


def test_a_link_is_looked_at_where_it_leads(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mkv", FILM[:1000])
    (tmp_path / "link.mkv").symlink_to(tmp_path / "a.mkv")
    assert identity.stat(os.fsencode(tmp_path / "link.mkv")) == identity.stat(path)


def test_a_touched_file_has_another_quick_look_and_the_same_content(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mkv", FILM)
    before, content = identity.stat(path), known(path)
    os.utime(path, ns=(0, before.mtime_ns + 1))
    assert not identity.same_content(before, identity.stat(path))
    assert known(path) == content


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"device": 9}, True),
        ({"inode": 9}, False),
        ({"size": 9}, False),
        ({"mtime_ns": 9}, False),
    ],
)
def test_a_path_is_unchanged_if_all_but_its_device_is(change: dict[str, int], same: bool) -> None:
    before = {"device": 1, "inode": 2, "size": 3, "mtime_ns": 4}
    assert identity.same_content(Stat(**before), Stat(**{**before, **change})) is same


def test_a_file_that_grew_since_it_was_looked_at_is_unsettled(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mkv", FILM[:1000])
    seen = identity.stat(path)
    with (tmp_path / "a.mkv").open("ab") as file:
        file.write(b"more")
    with pytest.raises(Unsettled):
        identity.fingerprint(path, seen)


def test_a_file_that_was_written_in_place_is_unsettled(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mkv", FILM[:1000])
    seen = identity.stat(path)
    os.utime(path, ns=(0, seen.mtime_ns + 1))
    with pytest.raises(Unsettled, match="while it was read"):
        identity.fingerprint(path, seen)


def test_a_pipe_in_the_place_of_a_film_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mkv")
    path = os.fsencode(tmp_path / "a.mkv")
    with pytest.raises(NotAFile):
        identity.stat(path)
    failed = threading.Event()

    def read() -> None:
        with pytest.raises(NotAFile):
            identity.fingerprint(path, Stat(device=0, inode=0, size=1, mtime_ns=0))
        failed.set()

    threading.Thread(target=read, daemon=True).start()
    assert failed.wait(10), "reading a pipe hangs"


def test_a_folder_is_no_film(tmp_path: Path) -> None:
    with pytest.raises(NotAFile):
        identity.stat(os.fsencode(tmp_path))


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "a.mkv")
    with pytest.raises(FileNotFoundError):
        identity.stat(path)
    with pytest.raises(FileNotFoundError):
        identity.fingerprint(path, Stat(device=0, inode=0, size=1, mtime_ns=0))


@pytest.mark.parametrize("name", [b"\xff\xfe.mkv", b"a\nb.mkv", "호수 🎬.mkv".encode(), b"'\".mkv"])
def test_any_name_can_be_read(tmp_path: Path, name: bytes) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"film")
    os.close(descriptor)
    assert known(path) == known(written(tmp_path / "plain.mkv", b"film"))


def test_inode_numbers_of_64_bits_fit_the_database() -> None:
    assert identity._signed(2**64 - 1) == -1
    assert identity._signed(2**63) == -(2**63)
    assert identity._signed(2**63 - 1) == 2**63 - 1


def test_a_folder_lies_on_the_disk_of_its_files(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mkv", b"x")
    assert identity.device(os.fsencode(tmp_path)) == identity.stat(path).device
