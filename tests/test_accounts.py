"""Who may sign in: passwords that a copy of the database does not give away, sessions that end."""

import pytest
from hypothesis import given, strategies as st

from companion.config import Config, Web
from companion.model import OWNER
from companion.store import accounts
from companion.store.accounts import Account, Accounts
from companion.store.db import Store

COST = (accounts.SCRYPT_N, accounts.SCRYPT_R, accounts.SCRYPT_P)  # before any test makes it cheap


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def doors(store: Store, config: Config, clock: Clock) -> Accounts:
    return Accounts(store, config, clock=clock)


@pytest.fixture(autouse=True)
def cheap_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same scrypt with fewer rounds: a test is no attacker."""
    monkeypatch.setattr(accounts, "SCRYPT_N", 2**10)
    monkeypatch.setattr(accounts, "SCRYPT_P", 1)


async def test_the_first_start_makes_a_password_and_the_second_does_not(doors: Accounts) -> None:
    password = await doors.ensure_owner()
    assert password is not None
    assert await doors.ensure_owner() is None
    assert await doors.sign_in("owner", password)


async def test_only_the_right_password_signs_in(doors: Accounts) -> None:
    await doors.set_password("owner", "open sesame")
    assert await doors.sign_in("owner", "open sesame")
    assert await doors.sign_in("owner", "open sesam") is None
    assert await doors.sign_in("owner", "") is None
    assert await doors.sign_in("nobody", "open sesame") is None


async def test_a_session_says_whose_it_is(doors: Accounts) -> None:
    await doors.set_password("owner", "open sesame")
    token = await doors.sign_in("owner", "open sesame")
    assert token is not None
    account = await doors.signed_in(token)
    assert account is not None
    assert (account.name, account.role) == ("owner", "owner")
    assert await doors.viewer(account) == OWNER
    assert await doors.signed_in(token + "x") is None
    assert await doors.signed_in("") is None


async def test_a_session_ends_with_its_time(doors: Accounts, clock: Clock, config: Config) -> None:
    await doors.set_password("owner", "open sesame")
    token = await doors.sign_in("owner", "open sesame")
    assert token is not None
    clock.now += config.web.session_days * 86_400 - 1
    assert await doors.signed_in(token)
    clock.now += 2
    assert await doors.signed_in(token) is None


async def test_a_session_ends_when_its_owner_signs_out(doors: Accounts) -> None:
    await doors.set_password("owner", "open sesame")
    first = await doors.sign_in("owner", "open sesame")
    second = await doors.sign_in("owner", "open sesame")
    assert first is not None
    assert second is not None
    await doors.sign_out(first)
    assert await doors.signed_in(first) is None
    assert await doors.signed_in(second)


async def test_a_new_password_ends_every_session(doors: Accounts) -> None:
    await doors.set_password("owner", "open sesame")
    token = await doors.sign_in("owner", "open sesame")
    assert token is not None
    await doors.set_password("owner", "another")
    assert await doors.signed_in(token) is None
    assert await doors.sign_in("owner", "open sesame") is None


async def test_the_database_holds_neither_password_nor_token(
    doors: Accounts, store: Store, config: Config
) -> None:
    await doors.set_password("owner", "correct horse battery")
    token = await doors.sign_in("owner", "correct horse battery")
    assert token is not None
    await store.close()
    files = config.database.parent.iterdir()
    kept = b"".join(file.read_bytes() for file in files if file.is_file())
    assert b"owner" in kept  # the bytes were looked at
    assert b"correct horse battery" not in kept
    assert token.encode() not in kept


async def test_sessions_that_are_over_are_swept_at_the_next_sign_in(
    doors: Accounts, store: Store, clock: Clock
) -> None:
    await doors.set_password("owner", "open sesame")
    await doors.sign_in("owner", "open sesame")
    clock.now += 400 * 86_400
    await doors.sign_in("owner", "open sesame")
    rows = await store.read(
        lambda connection: connection.execute("select count(*) from sessions").fetchall()
    )
    assert rows == [(1,)]


async def test_another_role_sees_nothing_until_its_rights_are_known(doors: Accounts) -> None:
    viewer = await doors.viewer(Account(id=7, name="guest", role="member"))
    assert not viewer.owner
    assert not viewer.may_see(1)


async def test_how_long_a_session_lasts_is_configured(store: Store, clock: Clock) -> None:
    config = Config(data_dir=store.path.parent, web=Web(session_days=1))
    doors = Accounts(store, config, clock=clock)
    await doors.set_password("owner", "open sesame")
    token = await doors.sign_in("owner", "open sesame")
    assert token is not None
    clock.now += 86_401
    assert await doors.signed_in(token) is None


def test_a_hash_keeps_its_own_cost_so_that_the_cost_may_grow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashed = accounts.hash_password("open sesame")
    monkeypatch.setattr(accounts, "SCRYPT_N", 2**11)
    assert accounts.check_password("open sesame", hashed)
    assert accounts.hash_password("open sesame").split("$")[1] == "2048"


def test_the_cost_is_what_is_recommended() -> None:
    """A lower one would make a stolen database cheap to break."""
    assert COST == (2**14, 8, 5)


def test_two_hashes_of_one_password_differ() -> None:
    assert accounts.hash_password("open sesame") != accounts.hash_password("open sesame")


def test_an_endless_password_is_refused_without_hashing() -> None:
    hashed = accounts.hash_password("x")
    assert not accounts.check_password("x" * 100_000, hashed)


@given(st.text(min_size=1, max_size=60))
def test_any_text_can_be_a_password(password: str) -> None:
    hashed = accounts.hash_password(password)
    assert accounts.check_password(password, hashed)
    assert not accounts.check_password(password + "x", hashed)


def test_made_passwords_are_long_and_legible() -> None:
    made = {accounts.new_password() for _ in range(50)}
    assert len(made) == 50
    for password in made:
        groups = password.split("-")
        assert [len(group) for group in groups] == [5, 5, 5, 5]
        assert not set("".join(groups)) & set("0o1il")
