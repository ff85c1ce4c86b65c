"""Accounts, passwords and sessions: who may sign in to the page.

A password is kept only as an scrypt hash, a session only as the SHA-256 of its random token, so
that a copy of the database lets nobody in.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import apsw

from companion.config import Config
from companion.model import Viewer
from companion.store.db import Store

OWNER_NAME = "owner"
# scrypt with 16 MiB and five rounds: one of the OWASP cheat sheet's equivalent choices (2025),
# the one that a NAS with little memory can afford; some 0.2 s of one core.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**14, 8, 5
SCRYPT_MEMORY = 64 * 1024 * 1024
SALT_BYTES = 16
TOKEN_BYTES = 32
PASSWORD_WORDS = 4
LEGIBLE = "abcdefghjkmnpqrstuvwxyz23456789"  # no look-alikes: it is copied by hand
MAX_PASSWORD = 1_000  # longer ones only cost time
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    id: int
    name: str
    role: str


class Accounts:
    """Sign-in for one installation. Hashing runs in a thread."""

    def __init__(
        self, store: Store, config: Config, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._lasts_ms = config.web.session_days * DAY_MS
        self._clock = clock

    async def ensure_owner(self) -> str | None:
        """Make the owner's account if there is none and return its password, to be shown once."""
        if await self._store.read(find, OWNER_NAME):
            return None
        password = new_password()
        await self.set_password(OWNER_NAME, password)
        return password

    async def set_password(self, name: str, password: str) -> None:
        """Set the password of an account, made as owner if it is new. Every session of it ends."""
        hashed = await asyncio.to_thread(hash_password, password)
        await self._store.write(save, name, hashed, now_ms=self._now_ms())

    async def sign_in(self, name: str, password: str) -> str | None:
        """Return a new session's token, or None. Takes as long for a name that does not exist."""
        found = await self._store.read(find, name)
        # An account of a media server has no password here.
        hashed = found[1] if found and found[1] else _NOBODY
        right = await asyncio.to_thread(check_password, password, hashed)
        if not (found and found[1] and right):
            return None
        return await self.open_session(found[0].id)

    async def open_session(self, account_id: int) -> str:
        """Return a new session's token for somebody who has proved who they are."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now_ms = self._now_ms()
        await self._store.write(
            add_session, token, account_id, now_ms=now_ms, until_ms=now_ms + self._lasts_ms
        )
        return token

    async def signed_in(self, token: str) -> Account | None:
        """Return whose session this is, or None if it is unknown or over."""
        return await self._store.read(session, token, now_ms=self._now_ms())

    async def sign_out(self, token: str) -> None:
        await self._store.write(end_session, token)

    async def viewer(self, account: Account) -> Viewer:
        """Return what an account may see: the owner everything, anyone else nothing yet."""
        if account.role == "owner":
            return Viewer(name=account.name)
        return Viewer(name=account.name, owner=False, item_ids=frozenset())

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


# --- passwords and tokens ------------------------------------------------------------------------


def new_password() -> str:
    """Return four groups of five characters, some 99 bits."""
    groups = ("".join(secrets.choice(LEGIBLE) for _ in range(5)) for _ in range(PASSWORD_WORDS))
    return "-".join(groups)


def hash_password(password: str) -> str:
    """Return `scrypt$n$r$p$salt$hash`, salt and hash in hexadecimal. Blocks some 0.2 s."""
    salt = secrets.token_bytes(SALT_BYTES)
    digest = _scrypt(password, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P)
    return f"scrypt${SCRYPT_N}${SCRYPT_R}${SCRYPT_P}${salt.hex()}${digest.hex()}"


def check_password(password: str, hashed: str) -> bool:
    """Say whether the password belongs to the hash. Blocks as long as hashing."""
    if len(password) > MAX_PASSWORD:
        return False
    kind, n, r, p, salt, digest = hashed.split("$")
    assert kind == "scrypt"
    found = _scrypt(password, bytes.fromhex(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, bytes.fromhex(digest))


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt,
        n=n,
        r=r,
        p=p,
        maxmem=SCRYPT_MEMORY,
        dklen=32,
    )


# Nobody's password: what a wrong name is checked against, so that it takes as long as a wrong word.
_NOBODY = f"scrypt${SCRYPT_N}${SCRYPT_R}${SCRYPT_P}${'00' * SALT_BYTES}${'00' * 32}"


# --- rows ----------------------------------------------------------------------------------------


def find(connection: apsw.Connection, name: str) -> tuple[Account, str] | None:
    """Return an account with its password hash."""
    row = connection.execute(
        "select id, name, role, password_hash from accounts where name = ?", (name,)
    ).fetchone()
    return (Account(id=row[0], name=row[1], role=row[2]), str(row[3])) if row else None


def save(connection: apsw.Connection, name: str, hashed: str, *, now_ms: int) -> None:
    """Set an account's password hash and end its sessions."""
    connection.execute(
        "insert into accounts (name, role, password_hash, created_at_ms) values (?, 'owner', ?, ?)"
        " on conflict (name) do update set password_hash = excluded.password_hash",
        (name, hashed, now_ms),
    )
    connection.execute(
        "delete from sessions where account_id in (select id from accounts where name = ?)", (name,)
    )


def add_session(
    connection: apsw.Connection, token: str, account_id: int, *, now_ms: int, until_ms: int
) -> None:
    """Keep a session, and drop those that are over."""
    connection.execute("delete from sessions where expires_at_ms <= ?", (now_ms,))
    connection.execute(
        "insert into sessions (token_hash, account_id, created_at_ms, expires_at_ms)"
        " values (?, ?, ?, ?)",
        (token_hash(token), account_id, now_ms, until_ms),
    )


def session(connection: apsw.Connection, token: str, *, now_ms: int) -> Account | None:
    row = connection.execute(
        "select a.id, a.name, a.role from sessions s join accounts a on a.id = s.account_id"
        " where s.token_hash = ? and s.expires_at_ms > ?",
        (token_hash(token), now_ms),
    ).fetchone()
    return Account(id=row[0], name=row[1], role=row[2]) if row else None


def end_session(connection: apsw.Connection, token: str) -> None:
    connection.execute("delete from sessions where token_hash = ?", (token_hash(token),))
