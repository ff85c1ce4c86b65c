"""A copy of the database opens no server."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from companion.errors import AuthFailed, CompanionError, ConfigError
from companion.vault import KEY_FILE, VARIABLE, Vault

TOKEN = "d5c3b0a1-of-a-server"
KEY = "correct horse battery staple"


def vault(folder: Path, **environ: str) -> Vault:
    return Vault(folder, environ)


def test_what_was_sealed_opens_in_the_next_process_too(tmp_path: Path) -> None:
    sealed = vault(tmp_path).seal(TOKEN, of="server 1")
    assert vault(tmp_path).open(sealed, of="server 1") == TOKEN


def test_nothing_of_a_secret_can_be_read_in_what_is_kept(tmp_path: Path) -> None:
    one, other = (vault(tmp_path).seal(TOKEN, of="server 1") for _ in range(2))
    assert TOKEN.encode() not in one
    assert one != other


@given(secret=st.text(), of=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, secret: str, of: str
) -> None:
    here = vault(tmp_path_factory.getbasetemp(), **{VARIABLE: KEY})
    assert here.open(here.seal(secret, of=of), of=of) == secret


@pytest.mark.parametrize("spoil", [0, 5, 20, -1])
def test_a_changed_byte_is_noticed(tmp_path: Path, spoil: int) -> None:
    sealed = bytearray(vault(tmp_path).seal(TOKEN, of="server 1"))
    sealed[spoil] ^= 1
    with pytest.raises(AuthFailed, match=r"server 1 .* sign in again"):
        vault(tmp_path).open(bytes(sealed), of="server 1")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(12), bytes(60)])
def test_rubbish_is_no_secret(tmp_path: Path, sealed: bytes) -> None:
    with pytest.raises(AuthFailed):
        vault(tmp_path).open(sealed, of="server 1")


def test_a_secret_cannot_be_moved_to_another_row(tmp_path: Path) -> None:
    sealed = vault(tmp_path).seal(TOKEN, of="server 1")
    with pytest.raises(AuthFailed):
        vault(tmp_path).open(sealed, of="server 2")


def test_another_key_opens_nothing_and_the_message_names_no_secret(tmp_path: Path) -> None:
    sealed = vault(tmp_path, **{VARIABLE: KEY}).seal(TOKEN, of="server 1")
    with pytest.raises(AuthFailed, match=KEY_FILE) as without:
        vault(tmp_path).open(sealed, of="server 1")
    other = "another key, as long as that"
    with pytest.raises(AuthFailed, match=VARIABLE) as error:
        vault(tmp_path, **{VARIABLE: other}).open(sealed, of="server 1")
    assert not any(word in str(error.value) + str(without.value) for word in (TOKEN, KEY, other))


def test_the_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        vault(tmp_path).seal(TOKEN, of="server 1")
    finally:
        os.umask(old)
    (file,) = tmp_path.iterdir()
    assert file.name == KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_key_file_that_others_can_read_is_closed_again(tmp_path: Path) -> None:
    sealed = vault(tmp_path).seal(TOKEN, of="server 1")
    (tmp_path / KEY_FILE).chmod(0o644)
    assert vault(tmp_path).open(sealed, of="server 1") == TOKEN
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


def test_a_key_from_the_environment_makes_no_file(tmp_path: Path) -> None:
    vault(tmp_path, **{VARIABLE: KEY}).seal(TOKEN, of="server 1")
    assert not list(tmp_path.iterdir())


def test_a_key_that_could_be_guessed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"at least 20 characters") as error:
        vault(tmp_path, **{VARIABLE: "short"}).seal(TOKEN, of="server 1")
    assert "short" not in str(error.value)


@pytest.mark.parametrize("text", ["", "0" * 63, "no hex" * 20, "0" * 200])
def test_a_spoiled_key_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / KEY_FILE).write_text(text)
    with pytest.raises(CompanionError, match=r"secret\.key cannot be used: it holds no key"):
        vault(tmp_path).seal(TOKEN, of="server 1")
    assert (tmp_path / KEY_FILE).read_text() == text


def test_a_link_is_no_key_file(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("00" * 32)
    (tmp_path / KEY_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CompanionError, match="cannot be used"):
        vault(tmp_path).seal(TOKEN, of="server 1")


def test_two_that_start_at_once_share_one_key(tmp_path: Path) -> None:
    begin = threading.Barrier(8)
    sealed: list[bytes] = []

    def seal() -> None:
        begin.wait()
        sealed.append(vault(tmp_path).seal(TOKEN, of="server 1"))

    threads = [threading.Thread(target=seal) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [vault(tmp_path).open(each, of="server 1") for each in sealed] == [TOKEN] * 8
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_folders_alone_never_load_the_cipher() -> None:
    code = "import sys, companion.vault, companion.app; print('cryptography' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
