"""Signing in on Plex: codes at plex.tv, tokens by hand, and what happens without plex.tv."""

from collections.abc import AsyncIterator

import pytest

from companion.errors import AuthFailed, CompanionError, ServerUnavailable
from connectors import plex_signin, plex_tokens
from connectors.base import Account, SignInCode, SignInWay
from connectors.plex import Plex
from tests.fakes.plex_world import household
from tests.plex_house import GUEST, OWNER, House, house


@pytest.fixture
async def home() -> AsyncIterator[House]:
    async with house() as opened:
        yield opened


def offline(home: House) -> Plex:
    """Return a connector for which plex.tv is out of reach."""
    return Plex(home.setup, plex_tv="http://127.0.0.1:9")


async def signed_in(home: House, name: str) -> Account:
    code = await home.plex.start_code()
    assert await home.plex.by_code(code) is None
    home.tv.enter(code.code, name)
    account = await home.plex.by_code(code)
    assert account
    return account


async def test_a_code_is_the_first_way_and_a_token_the_other(home: House) -> None:
    assert await home.plex.ways() == (SignInWay.CODE, SignInWay.TOKEN)


async def test_without_plex_tv_only_a_token_is_a_way(home: House) -> None:
    plex = offline(home)
    assert await plex.ways() == (SignInWay.TOKEN,)
    await plex.close()


@pytest.mark.parametrize("status", [401, 404, 422])
async def test_plex_tv_is_there_whatever_it_answers(home: House, status: int) -> None:
    home.tv.faults.on("/api/v2/ping", status=status)
    assert SignInWay.CODE in await home.plex.ways()


async def test_whether_plex_tv_is_there_is_not_asked_each_time(home: House) -> None:
    for _ in range(5):
        await home.plex.ways()
    assert len(home.tv.faults.seen) == 1


async def test_a_guest_signs_in_with_a_code_and_gets_the_key_to_this_server(home: House) -> None:
    account = await signed_in(home, "ben")
    assert (account.external_id, account.name, account.is_admin) == ("902", "Ben", False)
    known = plex_tokens.known(account.token)
    assert (known.secret, known.account_id) == (GUEST, "902")
    found = {key async for ids in home.plex.visible(account.token) for key in ids}
    assert "211" in found
    assert "301" not in found


async def test_the_owner_is_account_one_whichever_way_they_come(home: House) -> None:
    by_code = await signed_in(home, "anna")
    by_hand = await home.plex.by_token(OWNER)
    for account in (by_code, by_hand):
        assert (account.external_id, account.is_admin) == ("1", True)
        assert await home.plex.sees_everything(account.token)


async def test_the_code_is_typed_at_plex_tv_and_the_secret_is_not_in_its_repr(home: House) -> None:
    code = await home.plex.start_code()
    assert code.url == "https://plex.tv/link"
    assert len(code.code) == 4
    assert code.secret not in repr(code)
    assert code.expires_at_ms > 0


async def test_a_secret_that_was_not_given_out_opens_nothing(home: House) -> None:
    """plex.tv numbers its codes one after the other, so numbers must not be what opens."""
    code = await home.plex.start_code()
    home.tv.enter(code.code, "anna")
    for secret in ("", "70000", code.code):
        with pytest.raises(AuthFailed, match="expired"):
            await home.plex.by_code(SignInCode(code=code.code, secret=secret))


async def test_a_code_signs_in_once(home: House) -> None:
    code = await home.plex.start_code()
    home.tv.enter(code.code, "ben")
    assert await home.plex.by_code(code)
    with pytest.raises(AuthFailed, match="expired"):
        await home.plex.by_code(code)


async def test_a_code_that_ran_out_says_so(home: House) -> None:
    code = await home.plex.start_code()
    home.tv.gone.add(home.tv.pins[0].number)
    with pytest.raises(AuthFailed, match="expired"):
        await home.plex.by_code(code)


async def test_a_code_is_forgotten_after_its_time(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plex_signin, "CODE_MS", -1000)
    code = await home.plex.start_code()
    with pytest.raises(AuthFailed, match="expired"):
        await home.plex.by_code(code)


async def test_codes_without_end_are_refused(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plex_signin, "CODES", 2)
    await home.plex.start_code()
    await home.plex.start_code()
    with pytest.raises(ServerUnavailable, match="too many"):
        await home.plex.start_code()


@pytest.mark.parametrize(
    "how", [{"status": 500}, {"status": 429}, {"drop": True}, {"body": b"<oops"}], ids=str
)
async def test_a_hiccup_of_plex_tv_does_not_end_the_code(
    home: House, how: dict[str, object]
) -> None:
    """plexapi takes every failure for an expired code and never asks again."""
    code = await home.plex.start_code()
    home.tv.faults.on("/api/v2/pins", **how)
    for _ in range(2):
        with pytest.raises(ServerUnavailable):
            await home.plex.by_code(code)
    home.tv.faults.clear()
    home.tv.enter(code.code, "ben")
    assert await home.plex.by_code(code)


async def test_a_hiccup_after_the_code_was_typed_does_not_end_it_either(home: House) -> None:
    code = await home.plex.start_code()
    home.tv.enter(code.code, "ben")
    home.tv.faults.on("/api/v2/resources", status=503)
    with pytest.raises(ServerUnavailable):
        await home.plex.by_code(code)
    home.tv.faults.clear()
    assert await home.plex.by_code(code)


async def test_plex_tv_out_of_reach_is_said_in_words(home: House) -> None:
    plex = offline(home)
    with pytest.raises(ServerUnavailable, match=r"plex\.tv"):
        await plex.start_code()
    await plex.close()


async def test_somebody_this_server_is_not_shared_with_is_told_who_can_change_that(
    home: House,
) -> None:
    home.tv.strangers.add("eve")
    code = await home.plex.start_code()
    home.tv.enter(code.code, "eve")
    with pytest.raises(AuthFailed, match="not shared with Eve"):
        await home.plex.by_code(code)


async def test_a_key_to_another_server_is_no_key_to_this_one(home: House) -> None:
    other = household()
    other.machine_id = "other"
    other.accounts = [each for each in other.accounts if each.name == "ben"]
    home.world.accounts = [each for each in home.world.accounts if each.name != "ben"]
    home.tv.worlds = (other, home.world)
    code = await home.plex.start_code()
    home.tv.enter(code.code, "ben")
    with pytest.raises(AuthFailed, match="not shared"):
        await home.plex.by_code(code)


async def test_no_address_that_plex_tv_names_is_ever_asked(home: House) -> None:
    await signed_in(home, "ben")
    hosts = {each.headers["Host"] for each in (*home.tv.faults.seen, *home.server.faults.seen)}
    assert hosts == {home.tv.url.removeprefix("http://"), home.server.url.removeprefix("http://")}


async def test_the_owners_token_by_hand_needs_no_plex_tv(home: House) -> None:
    plex = offline(home)
    account = await plex.by_token(f" {OWNER}\n")
    assert (account.external_id, account.name, account.is_admin) == ("1", "anna", True)
    await plex.close()


async def test_a_guests_token_by_hand_is_known_to_plex_tv_only(home: House) -> None:
    account = await home.plex.by_token("tv-ben")
    assert (account.external_id, account.is_admin) == ("902", False)
    assert plex_tokens.known(account.token).secret == GUEST
    with pytest.raises(AuthFailed, match="sign in with a code"):
        await home.plex.by_token(GUEST)


async def test_a_guests_token_without_plex_tv_cannot_be_placed(home: House) -> None:
    plex = offline(home)
    with pytest.raises(ServerUnavailable, match=r"plex\.tv"):
        await plex.by_token(GUEST)
    await plex.close()


@pytest.mark.parametrize(
    "token", ["", "wrong", "account:1:x", f"account:1:{GUEST}", f"account:1:{OWNER}"]
)
async def test_what_is_no_token_of_this_server_signs_nobody_in(home: House, token: str) -> None:
    """Above all nobody may choose whose token it is by writing it in front."""
    with pytest.raises(AuthFailed):
        await home.plex.by_token(token)


async def test_passwords_are_not_taken(home: House) -> None:
    with pytest.raises(AuthFailed, match="code"):
        await home.plex.by_password("anna", "secret")
    assert home.server.faults.seen == []
    assert home.tv.faults.seen == []


async def test_signing_out_ends_no_key_that_others_may_use(home: House) -> None:
    """A guest's key is the share's own, and the owner's may be the daemon's."""
    for name in ("ben", "anna"):
        account = await signed_in(home, name)
        home.tv.faults.seen.clear()
        await home.plex.sign_out(account.token)
        assert home.tv.faults.seen == []


async def test_the_server_has_a_name_once_somebody_has_signed_in(home: House) -> None:
    assert (await home.plex.identity()).name == ""
    await signed_in(home, "ben")
    assert (await home.plex.identity()).name == "Attic"
    other = home.connector(name="x")
    await other.by_token(OWNER)
    assert (await other.identity()).name == "Attic"
    await other.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<user/>",
        b"<user id='x' title='Eve'/>",
        b"<user id='1' title='Eve'/>",
        b"<user id='-5' title='Eve'/>",
        b"<user id='902'/>",
        b"{}",
        b"<!DOCTYPE a><user id='902' title='Ben'/>",
    ],
)
async def test_what_plex_tv_says_of_a_person_is_not_believed_blindly(
    home: House, body: bytes
) -> None:
    """Account 1 is the owner's number on every server: plex.tv gives it to nobody else."""
    code = await home.plex.start_code()
    home.tv.enter(code.code, "ben")
    home.tv.faults.on("/api/v2/user", body=body)
    with pytest.raises(CompanionError):
        await home.plex.by_code(code)


async def test_plex_tv_learns_our_installation_and_nothing_of_this_machine(home: House) -> None:
    await signed_in(home, "ben")
    assert {each.headers["X-Plex-Client-Identifier"] for each in home.tv.faults.seen} == {
        "installation-1"
    }


async def test_a_redirect_of_plex_tv_gets_no_token(home: House) -> None:
    code = await home.plex.start_code()
    home.tv.enter(code.code, "ben")
    home.tv.faults.on("/api/v2/user", status=302, headers={"Location": f"{home.server.url}/x"})
    home.server.faults.seen.clear()
    with pytest.raises(ServerUnavailable, match="another address"):
        await home.plex.by_code(code)
    assert home.server.faults.paths() == ["/identity"]


def test_a_plain_token_belongs_to_nobody_known() -> None:
    assert plex_tokens.known("abc") == plex_tokens.Known(secret="abc")
    for odd in ("other:1:abc", "account::abc", "account:x:abc", "account:0:abc", "account:1"):
        assert plex_tokens.known(odd) == plex_tokens.Known(secret=odd)


def test_a_packed_token_gives_back_what_was_packed() -> None:
    known = plex_tokens.known(plex_tokens.packed("a:b-c", "902"))
    assert (known.secret, known.account_id) == ("a:b-c", "902")
    assert "a:b-c" not in repr(known)
