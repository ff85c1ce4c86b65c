"""Whose token is it? A Plex server does not say, so what we hand out says it beside the token.

A token that was placed at sign-in becomes `account:902:<token>`. The owner is account 1, as in the
server's own sessions. A plain token, as in a configuration, is taken as it is and belongs to nobody
known. Nothing that a person types is ever read as the long form: a colon is in no token of Plex.
"""

from dataclasses import dataclass, field

from connectors import plex_reading as reading

OWNER_ID = "1"
PLACED = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A token and, if it is known, whose it is."""

    secret: str = field(repr=False)
    account_id: str = ""


def packed(secret: str, account_id: str) -> str:
    return f"{PLACED}:{account_id}:{secret}"


def known(token: str) -> Known:
    said, _, rest = token.partition(":")
    account_id, colon, secret = rest.partition(":")
    if said == PLACED and colon and reading.number(account_id):
        return Known(secret=secret, account_id=account_id)
    return Known(secret=token)
