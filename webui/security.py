"""What may reach the pages, and what pages may do: pure checks, used by `webui.gate`.

The threats: a web page elsewhere that makes the reader's browser ask us (forged requests, DNS
rebinding, framing), text in films and subtitles that wants to be a script, passwords tried by
machine, and a reverse proxy that makes the whole world look like this computer.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

from companion.config import Config

SESSION_COOKIE = "heimdex_session"
FORM_COOKIE = "heimdex_form"
FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


# --- headers of every answer ---------------------------------------------------------------------


def content_policy(frame_ancestors: Iterable[str] = ()) -> str:
    """Return the Content-Security-Policy of every answer."""
    framing = " ".join(frame_ancestors) or "'none'"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; form-action 'self'; "
        f"base-uri 'none'; frame-ancestors {framing}"
    )


def headers(config: Config) -> dict[str, str]:
    """Return the headers that every answer carries."""
    said = {
        "Content-Security-Policy": content_policy(config.web.frame_ancestors),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Server": "Heimdex",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    }
    if not config.web.frame_ancestors:
        said["X-Frame-Options"] = "DENY"
    return said


# --- who asks, through which address -------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """address: who asks; host: the Host they used, with its port; forwarded: through a proxy."""

    address: str
    scheme: str
    host: str
    forwarded: bool

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"


def networks(names: Iterable[str]) -> tuple[Network, ...]:
    """Return the addresses and networks of the configuration. Raises ValueError on others."""
    return tuple(ip_network(name, strict=False) for name in names)


def caller(peer: str, scheme: str, said: Mapping[str, str], trusted: tuple[Network, ...]) -> Caller:
    """Return who asks. peer: the address of the connection; said: the request's headers.

    X-Forwarded-* is believed only from a trusted proxy. Of several addresses the last one that is
    no proxy of ours counts: whatever stands before it was said by the client itself.
    """
    forwarded = any(name in said for name in FORWARDING)
    host = said.get("Host", "")
    if not _inside(peer, trusted):
        return Caller(address=peer, scheme=scheme, host=host, forwarded=forwarded)
    address = peer
    for hop in reversed(said.get("X-Forwarded-For", "").split(",")):
        if _address(hop.strip()) is None:
            break
        address = hop.strip()
        if not _inside(address, trusted):
            break
    proto = _last(said.get("X-Forwarded-Proto", "")) or scheme
    return Caller(
        address=address,
        scheme=proto if proto in {"http", "https"} else scheme,
        host=_last(said.get("X-Forwarded-Host", "")) or host,
        forwarded=True,
    )


def host_name(host: str) -> str:
    """Return the lower-case name of a Host header, without port, brackets and final dot."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
    return name.rstrip(".")


def host_allowed(host: str, config: Config) -> bool:
    """Say whether pages may be asked for under this Host.

    Loopback names and the configured address and names always. Beyond loopback also private
    addresses in digits: DNS rebinding needs a name, and nobody knows a container's outer address.
    """
    name = host_name(host)
    known = {config.web.host.lower(), *(host_name(known) for known in config.web.allowed_hosts)}
    if not name or not re.fullmatch(r"[0-9a-z_.:%-]+", name):
        return False
    if is_loopback(name) or name in known:
        return True
    address = _address(name)
    by_number = address is not None and address.is_private and not address.is_unspecified
    return by_number and not is_loopback(config.web.host)


def is_loopback(name: str) -> bool:
    """Say whether a name or address can only mean this computer."""
    if name.lower() == "localhost" or name.lower().endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and address.is_loopback


def needs_password(config: Config) -> bool:
    """Say whether anyone but a person at this computer can reach the pages: then an owner's
    password is needed (`Accounts.ensure_owner`)."""
    web = config.web
    return not is_loopback(web.host) or bool(web.trusted_proxies or web.allowed_hosts)


def at_home(asker: Caller, peer: str, config: Config, trusted: tuple[Network, ...]) -> bool:
    """Say whether the caller sits at this computer and no password is needed.

    Not through any proxy: behind one, everybody comes from loopback.
    """
    return (
        is_loopback(config.web.host)
        and is_loopback(peer)
        and is_loopback(host_name(asker.host))
        and not asker.forwarded
        and not _inside(peer, trusted)
    )


# --- forms ---------------------------------------------------------------------------------------


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def form_token(cookie: str) -> str:
    """Return a token for a form, different each time, that only the cookie's owner can be given."""
    nonce = secrets.token_hex(8)
    return f"{nonce}.{_sign(cookie, nonce)}"


def form_token_valid(token: str, cookie: str) -> bool:
    nonce, dot, signature = token.partition(".")
    return bool(cookie and dot) and hmac.compare_digest(
        signature.encode("utf-8", "replace"), _sign(cookie, nonce).encode()
    )


def same_origin(said: Mapping[str, str], asker: Caller) -> bool:
    """Say whether a browser sent this from one of our own pages.

    Sec-Fetch-Site cannot be forged by a page; browsers leave it out on plain http, then Origin
    must be ours.
    """
    site = said.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return said.get("Origin") == asker.origin


def no_browser(said: Mapping[str, str]) -> bool:
    """Say whether the request shows no sign of a browser that another page could have driven."""
    return "Origin" not in said and "Sec-Fetch-Site" not in said


def safe_next(address: str, base: str) -> str:
    """Return an address to go to after signing in: one of our own paths, or the first page."""
    own = (
        address.startswith(f"{base}/")
        and not address.startswith(("//", "/\\"))
        and "\\" not in address
        and address.isprintable()
    )
    return address if own else f"{base}/"


# --- patience ------------------------------------------------------------------------------------


class Patience:
    """Makes whoever guesses wait longer and longer. Kept in memory only.

    The first FREE tries of a key cost nothing, then 2, 4, 8 s ... up to LONGEST_S between tries.
    A key that has been quiet for FORGET_S starts again.
    """

    FREE = 5
    LONGEST_S = 900
    FORGET_S = 3600
    MOST_KEYS = 10_000

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, *keys: str) -> int:
        """Return how many seconds must pass before any of the keys may try again; 0: now."""
        return max(0, *(self._left(key) for key in keys))

    def tried(self, *keys: str) -> None:
        """Count a try, before its outcome is known: many at once must not slip through."""
        for key in keys:
            count, _ = self._known(key)
            self._tries[key] = (count + 1, self._clock())
            self._tries.move_to_end(key)
        while len(self._tries) > self.MOST_KEYS:
            self._tries.popitem(last=False)

    def succeeded(self, *keys: str) -> None:
        for key in keys:
            self._tries.pop(key, None)

    def _left(self, key: str) -> int:
        count, last = self._known(key)
        if count < self.FREE:
            return 0
        delay: int = min(2 ** min(count - self.FREE + 1, 20), self.LONGEST_S)
        return max(0, round(last + delay - self._clock() + 0.5))

    def _known(self, key: str) -> tuple[int, float]:
        count, last = self._tries.get(key, (0, 0.0))
        return (0, last) if self._clock() - last > self.FORGET_S else (count, last)


# --- inside --------------------------------------------------------------------------------------


def _sign(cookie: str, nonce: str) -> str:
    key = cookie.encode("utf-8", "surrogatepass")
    return hmac.new(key, nonce.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _inside(address: str, trusted: tuple[Network, ...]) -> bool:
    found = _address(address)
    return found is not None and any(found in network for network in trusted)


def _address(text: str) -> Address | None:
    """Return the address that the text is; one of IPv4 in IPv6 clothes as what it is."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _last(listed: str) -> str:
    return listed.rsplit(",", 1)[-1].strip()
