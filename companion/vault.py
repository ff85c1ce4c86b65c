"""Tokens and passwords of media servers, encrypted for the database.

A copy of the database, a backup or a sidecar opens no server: the key lies beside it in a file that
only this user can read, or comes from the environment. AES-256-GCM; each secret is bound to what it
belongs to, so that none can be moved to another row. The cipher is imported on first use:
an installation with folders only never loads it.
"""

import hashlib
import os
import secrets
import stat
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from companion.errors import AuthFailed, CompanionError, ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_FILE = "secret.key"
VARIABLE = "HEIMDEX_SECRET_KEY"
KEY_BYTES = 32
NONCE_BYTES = 12  # NIST SP 800-38D, section 8.2.2: random ones serve 2^32 secrets of a key
SHORTEST = 20  # characters of a key from the environment
FORM = b"\x01"  # of what is kept, in case it ever changes
PRIVATE = 0o600


class Vault:
    """Encrypts and decrypts. The key is read, or made, when it is first needed; that blocks for one
    small file."""

    def __init__(self, data_dir: Path, environ: Mapping[str, str] | None = None) -> None:
        self._data_dir = data_dir
        self._environ = os.environ if environ is None else environ

    def seal(self, secret: str, *, of: str) -> bytes:
        """Return a secret for the database. of: whose it is, such as "server 3"."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        hidden = self._cipher.encrypt(nonce, secret.encode("utf-8", "surrogatepass"), of.encode())
        return FORM + nonce + hidden

    def open(self, sealed: bytes, *, of: str) -> str:
        """Return a secret. Raises AuthFailed if it was sealed with another key or for another."""
        from cryptography.exceptions import InvalidTag

        start = len(FORM) + NONCE_BYTES
        try:
            if not sealed.startswith(FORM) or len(sealed) < start:
                raise InvalidTag
            found = self._cipher.decrypt(sealed[len(FORM) : start], sealed[start:], of.encode())
        except InvalidTag:
            raise AuthFailed(
                f"what was kept to sign in as {of} cannot be read with the key of this "
                f"installation ({self._where}): sign in again, or bring that key back"
            ) from None
        return found.decode("utf-8", "surrogatepass")

    @cached_property
    def _cipher(self) -> "AESGCM":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._key())

    @property
    def _where(self) -> str:
        return VARIABLE if VARIABLE in self._environ else str(self._data_dir / KEY_FILE)

    def _key(self) -> bytes:
        said = self._environ.get(VARIABLE)
        if said is None:
            return _key_file(self._data_dir / KEY_FILE)
        if len(said) < SHORTEST:
            raise ConfigError(
                [f"{VARIABLE} (environment): expected at least {SHORTEST} characters"]
            )
        return hashlib.sha256(b"heimdex vault\0" + said.encode("utf-8", "surrogateescape")).digest()


def _key_file(path: Path) -> bytes:
    """Return the key of the file, which is made if it is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return _new_key_file(path)
    except OSError as error:
        raise _unusable(path, error.strerror or "it cannot be read") from error
    with os.fdopen(descriptor, "rb") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            os.fchmod(file.fileno(), PRIVATE)
        text = file.read(4 * KEY_BYTES)
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise _unusable(path, "it holds no key")
    return key


def _new_key_file(path: Path) -> bytes:
    """Make the file whole or not at all; if another process was faster, its key counts."""
    key = secrets.token_bytes(KEY_BYTES)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(unfinished, path)
    except FileExistsError:
        return _key_file(path)
    except OSError as error:
        raise _unusable(path, error.strerror or "it cannot be written") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return key


def _unusable(path: Path, why: str) -> CompanionError:
    return CompanionError(
        f"the key file {path} cannot be used: {why}. Bring it back from where you keep a copy, or "
        "take it away and sign in to your servers again"
    )
