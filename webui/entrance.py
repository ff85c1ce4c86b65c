"""Signing in and out: with the account that somebody has on the media server, or as the owner."""

import hashlib
from http import HTTPStatus

from aiohttp import web

from companion.errors import AuthFailed, CompanionError
from companion.household import Door, Household
from companion.store.accounts import OWNER_NAME
from connectors.base import SignInWay
from webui import security
from webui.problems import Problem, not_found
from webui.visit import Visit

WRONG = "That name and password do not belong together."


async def login(visit: Visit) -> web.StreamResponse:
    back = security.safe_next(visit.text("next", longest=2000), visit.links.base)
    if visit.viewer_or_none is not None:
        return visit.go(back)
    return await _page(visit, back)


async def _page(
    visit: Visit, back: str, *, name: str = "", server: str = "", complaint: str = ""
) -> web.StreamResponse:
    """server: at which door the complaint was."""
    household = visit.parts.household
    doors = await household.doors() if household is not None else []
    return visit.page(
        "login.html",
        status=HTTPStatus.UNAUTHORIZED if complaint else HTTPStatus.OK,
        back=back,
        doors=[_drawn(door) for door in doors],
        name=name,
        server=server,
        complaint=complaint,
        owner_name=OWNER_NAME,
    )


def _drawn(door: Door) -> dict[str, object]:
    return {
        "server": door.server,
        "kind": {"jellyfin": "Jellyfin", "plex": "Plex"}.get(door.kind, door.kind.title()),
        "password": SignInWay.PASSWORD in door.ways,
        "code": SignInWay.CODE in door.ways,
        "problem": door.problem,
    }


async def sign_in(visit: Visit) -> web.StreamResponse:
    """A name and a password: the owner's, or those of a media server."""
    name, password = await visit.field("name"), await visit.field("password")
    server = await visit.field("server")
    back = security.safe_next(await visit.field("next"), visit.links.base)
    keys = _try(visit, f"as {name} at {server}")
    try:
        if server:
            token = await _household(visit).sign_in(server, name, password)
        else:
            token = await visit.parts.accounts.sign_in(name, password) or ""
    except AuthFailed as error:
        return await _page(visit, back, name=name, server=server, complaint=str(error))
    if not token:
        return await _page(visit, back, name=name, server=server, complaint=WRONG)
    visit.house.patience.succeeded(*keys)
    return _let_in(visit, token, back)


async def start_code(visit: Visit) -> web.StreamResponse:
    """Ask the media server for a code, to be typed in an app that is signed in there."""
    server = await visit.field("server")
    back = security.safe_next(await visit.field("next"), visit.links.base)
    _try(visit, f"a code at {server}")
    try:
        await _household(visit).start_code(server, _browser(visit))
    except AuthFailed as error:
        return await _page(visit, back, server=server, complaint=str(error))
    return visit.go(visit.links.page("login/code", next=back))


async def code(visit: Visit) -> web.StreamResponse:
    """Show the code until it was typed, then let in. Only the browser that asked gets there."""
    back = security.safe_next(visit.text("next", longest=2000), visit.links.base)
    if visit.viewer_or_none is not None:
        return visit.go(back)
    household = _household(visit)
    shown = household.code_under_way(_browser(visit))
    try:
        token = await household.finish_code(_browser(visit))
    except AuthFailed as error:
        return await _page(visit, back, complaint=str(error))
    except CompanionError as error:
        return visit.page("code.html", part="_code.html", back=back, code=shown, note=str(error))
    if token is None:
        return visit.page("code.html", part="_code.html", back=back, code=shown, note="")
    return _let_in(visit, token, back)


async def sign_out(visit: Visit) -> web.StreamResponse:
    await visit.parts.accounts.sign_out(visit.request.cookies.get(security.SESSION_COOKIE, ""))
    response = visit.go(visit.links.page("login"))
    visit.set_cookie(response, security.SESSION_COOKIE, "", days=0)
    return response


def _household(visit: Visit) -> Household:
    if visit.parts.household is None:
        raise not_found()
    return visit.parts.household


def _try(visit: Visit, what: str) -> tuple[str, str]:
    """Count a try, and refuse it if there were too many; return the keys it is counted under."""
    keys = (f"from {visit.asker.address}", what)
    patience = visit.house.patience
    wait_s = patience.wait_s(*keys)
    if wait_s:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "Too many tries",
            f"Wait {wait_s} seconds, then try again.",
            retry_s=wait_s,
        )
    patience.tried(*keys)
    return keys


def _let_in(visit: Visit, token: str, back: str) -> web.Response:
    response = visit.go(back)
    days = visit.parts.config.web.session_days
    visit.set_cookie(response, security.SESSION_COOKIE, token, days=days)
    return response


def _browser(visit: Visit) -> str:
    """Return what only this browser can be known by; the cookie itself is kept nowhere."""
    return hashlib.sha256(b"code\0" + visit.cookie.encode("utf-8", "replace")).hexdigest()
