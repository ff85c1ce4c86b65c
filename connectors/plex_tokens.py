"""Whose token is it? A Plex server does not say, so what we hand out says it beside the token.

What plex.tv gave for a code becomes `code:902:<token>`, what somebody brought `token:902:<token>`;
only the first kind is ours to sign out. The owner is account 1, as in the server's own sessions. A
plain token, as in a configuration, is taken as it is and belongs to nobody known. Nothing that a
person types is ever read as the long form: a colon is in no token of Plex.
"""

from dataclasses import dataclass, field

from connectors import plex_reading as reading

OWNER_ID = "1"
WAYS = {"code", "token"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A token and, if it is known, whose it is. ours: it was made for us, so we may end it."""

    secret: str = field(repr=False)
    account_id: str = ""
    ours: bool = False


def packed(secret: str, account_id: str, *, ours: bool) -> str:
    return f"{'code' if ours else 'token'}:{account_id}:{secret}"


def known(token: str) -> Known:
    way, _, rest = token.partition(":")
    account_id, colon, secret = rest.partition(":")
    if way in WAYS and colon and reading.number(account_id):
        return Known(secret=secret, account_id=account_id, ours=way == "code")
    return Known(secret=token)
