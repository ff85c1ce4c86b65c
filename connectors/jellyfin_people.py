"""People of a Jellyfin server: how they sign in, what they may see, and their players.

Each call carries that person's own token, so that the server itself applies ratings, schedules and
libraries. Whether a player is theirs the server does not check; we do.
"""

import secrets
import time
from typing import Any

from companion.errors import AuthFailed, MediaMissing
from companion.timecode import ticks_from_ms
from connectors.base import Account, Playable, Played, Player, SignInCode, SignInWay
from connectors.jellyfin_client import Client
from connectors.jellyfin_http import (
    Forbidden,
    Http,
    NotThere,
    NotUnderstood,
    TokenRefused,
    is_token,
    not_jellyfin,
)
from connectors.jellyfin_parse import (
    Body,
    account,
    an_id,
    bodies_of,
    body_of,
    is_unrestricted,
    maybe_id,
    text,
)

CODE_MS = 600_000  # a code of Quick Connect is good for ten minutes
SESSIONS = 1000
KEY_NAME = "API key"


def new_device(installation: str) -> str:
    """Return a name for one sign-in: a second one of the same name would end the first."""
    return f"heimdex-{installation[:32]}-{secrets.token_hex(8)}"


# --- signing in ----------------------------------------------------------------------------------


def by_password(client: Client, name: str, password: str) -> Account:
    """Blocks."""
    try:
        answer = client.post("Users/AuthenticateByName", {"Username": name, "Pw": password})
    except TokenRefused:
        raise AuthFailed(f"{client.name}: the name or the password is wrong") from None
    except Forbidden:
        raise not_now(client.name) from None
    return signed_in(answer.json(client.name), client.name)


def by_secret(client: Client, secret: str) -> Account:
    """Blocks. secret: of a code that was confirmed."""
    try:
        answer = client.post("Users/AuthenticateWithQuickConnect", {"Secret": secret})
    except (TokenRefused, NotThere, NotUnderstood):
        raise expired(client.name) from None
    except Forbidden:
        raise not_now(client.name) from None
    return signed_in(answer.json(client.name), client.name)


def start_code(client: Client) -> SignInCode:
    """Blocks."""
    try:
        answer = client.post("QuickConnect/Initiate")
    except (TokenRefused, Forbidden):
        raise AuthFailed(
            f"{client.name}: Quick Connect is switched off on the server: switch it on under "
            "Dashboard → General, or sign in with the password"
        ) from None
    body = body_of(answer.json(client.name), client.name)
    code, secret = text(body.get("Code"), 20), body.get("Secret")
    if not code or not isinstance(secret, str) or not is_token(secret):
        raise not_jellyfin(client.name)
    return SignInCode(code=code, secret=secret, expires_at_ms=round(time.time() * 1000) + CODE_MS)


def signed_in(answer: Any, name: str) -> Account:
    body = body_of(answer, name)
    token = body.get("AccessToken")
    if not isinstance(token, str) or not token or not is_token(token):
        raise not_jellyfin(name)
    return account(body.get("User"), name, token)


def expired(name: str) -> AuthFailed:
    return AuthFailed(f"{name}: the code has expired or was refused: ask for a new one")


def not_now(name: str) -> AuthFailed:
    return AuthFailed(f"{name}: this account is switched off, or may not sign in at this time")


async def ways(http: Http) -> tuple[SignInWay, ...]:
    has_codes = await http.json("QuickConnect/Enabled")
    code = (SignInWay.CODE,) if has_codes is True else ()
    return (*code, SignInWay.PASSWORD, SignInWay.TOKEN)


async def is_confirmed(http: Http, secret: str) -> bool:
    """Raises AuthFailed if the code is not known any more."""
    try:
        body = await http.json("QuickConnect/Connect", params={"secret": secret})
    except (NotThere, NotUnderstood, TokenRefused):
        raise expired(http.name) from None
    return body_of(body, http.name).get("Authenticated") is True


async def whose(http: Http, token: str) -> Account:
    """Return whose token this is. An API key has the rights of an administrator, but no person."""
    if not token:
        raise AuthFailed(f"{http.name}: nobody has signed in there yet")
    try:
        return account(await http.json("Users/Me", token=token), http.name, token)
    except (NotUnderstood, NotThere):
        await http.json("System/Info", token=token)
        return Account(external_id="", name=KEY_NAME, is_admin=True, token=token)


async def person(http: Http, token: str) -> Account:
    """Return whose token this is. Raises AuthFailed if it is nobody's."""
    found = await whose(http, token)
    if not found.external_id:
        raise AuthFailed(f"{http.name}: an API key belongs to nobody: sign in as a person")
    return found


# --- what they may see ---------------------------------------------------------------------------


async def sees_everything(http: Http, token: str) -> bool:
    return is_unrestricted(await http.json("Users/Me", token=token), http.name)


async def may_see(http: Http, token: str, item_id: str) -> bool:
    """One request: without a user's id the server takes whom the token belongs to, and knows no
    item at all for an API key."""
    if not maybe_id(item_id):
        return False
    try:
        body = await http.json(f"Items/{item_id}", token=token)
    except NotThere:
        return False
    return an_id(body_of(body, http.name).get("Id"), http.name) == maybe_id(item_id)


# --- their players -------------------------------------------------------------------------------


async def _sessions(http: Http, token: str, ours: str) -> list[Body]:
    """Return the sessions that play for this person and that are not our own."""
    who = await person(http, token)
    answer = await http.json(
        "Sessions", token=token, params={"controllableByUserId": who.external_id}
    )
    return [
        body
        for body in bodies_of(answer, http.name, SESSIONS)
        if maybe_id(body.get("UserId")) == who.external_id
        and body.get("SupportsRemoteControl") is True
        and maybe_id(body.get("Id"))
        and not text(body.get("DeviceId")).startswith(f"heimdex-{ours[:32]}")
    ]


def _playing(body: Body) -> str:
    now = body.get("NowPlayingItem")
    return maybe_id(now.get("Id")) if isinstance(now, dict) else ""


async def players(http: Http, token: str, installation: str) -> tuple[Player, ...]:
    return tuple(
        Player(
            id=maybe_id(body.get("Id")),
            name=text(body.get("DeviceName"), 100) or "?",
            app=text(body.get("Client"), 100),
            item_id=_playing(body),
        )
        for body in await _sessions(http, token, installation)
    )


async def play(
    http: Http, token: str, installation: str, player_id: str, what: Playable, at_ms: int
) -> Played:
    for body in await _sessions(http, token, installation):
        if player_id and maybe_id(body.get("Id")) == player_id:
            break
    else:
        raise _gone(http.name)
    item_id, source_id = taken_apart(what)
    ticks = str(ticks_from_ms(max(0, at_ms)))
    path = f"Sessions/{player_id}/Playing"
    try:
        if _playing(body) == item_id:
            params = {"seekPositionTicks": ticks}
            await http.ask(f"{path}/Seek", token=token, method="POST", params=params)
            return Played.SOUGHT
        params = {"playCommand": "PlayNow", "itemIds": item_id, "startPositionTicks": ticks}
        params |= {"mediaSourceId": source_id} if source_id else {}
        await http.ask(path, token=token, method="POST", params=params)
    except NotThere:
        raise _gone(http.name) from None
    return Played.STARTED


def taken_apart(what: Playable) -> tuple[str, str]:
    """Return (item to play, version of it): a later part of a film is an item of its own.

    Raises MediaMissing for ids that no listing has given.
    """
    item_id, _, source_id = (what.part_id or what.item_id).partition("/")
    if not maybe_id(item_id) or (source_id and not maybe_id(source_id)):
        raise MediaMissing("the server does not know this film: list the library again")
    return maybe_id(item_id), maybe_id(source_id)


def _gone(name: str) -> MediaMissing:
    return MediaMissing(f"{name}: this player is not there any more: open its app and try again")


async def streams(http: Http, token: str) -> int:
    """Return how many sessions play something and are not paused."""
    answer = bodies_of(await http.json("Sessions", token=token), http.name, SESSIONS)
    states = [body.get("PlayState") for body in answer if _playing(body)]
    return sum(not (isinstance(state, dict) and state.get("IsPaused") is True) for state in states)
