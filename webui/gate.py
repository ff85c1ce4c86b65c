"""The one way in: every handler is wrapped by `Gate.admit`, which decides who may pass.

In this order: the Host, who asks (this computer, the local token, a session), whether this address
is for them, and for everything but GET whether one of our own pages sent it.
"""

import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import Enum
from http import HTTPStatus

from aiohttp import web

from companion.errors import AuthFailed, CompanionError
from companion.model import OWNER, Viewer
from companion.store.accounts import Account
from webui import security
from webui.problems import Problem, not_found, problem_of
from webui.visit import House, Visit

log = logging.getLogger(__name__)

Handler = Callable[[Visit], Awaitable[web.StreamResponse]]

HOUSE = web.AppKey("house", House)


class Access(Enum):
    """Who may ask for an address."""

    ANYONE = "anyone"  # before signing in: nothing of the library
    VIEWER = "viewer"
    OWNER = "owner"


def admit(
    handler: Handler, access: Access, *, upload: int = 0
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the aiohttp handler of one of ours. upload: bytes of a form with a file that it takes,
    0 if it takes none."""

    async def answer(request: web.Request) -> web.StreamResponse:
        visit = await _visit(request.clone(client_max_size=upload) if upload else request)
        try:
            _check_host(visit)
            if access is not Access.ANYONE and visit.viewer_or_none is None:
                if visit.trouble is not None:
                    raise visit.trouble
                return _sign_in_first(visit)
            if access is Access.OWNER and not visit.viewer.owner:
                raise not_found()
            if request.method not in {"GET", "HEAD"}:
                _check_size(visit, upload)
                await _check_sender(visit, upload=bool(upload))
            return await handler(visit)
        except (Problem, CompanionError) as error:
            return visit.problem(problem_of(error))

    return answer


@web.middleware
async def explain(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn whatever goes wrong into a page or JSON in words, and log what should not happen."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return _nobodys(request).problem(problem_of(error))
    except Exception as error:  # noqa: BLE001 - the border of HTTP: problem_of logs it
        return _nobodys(request).problem(problem_of(error))


def _nobodys(request: web.Request) -> Visit:
    """A visit for an answer that needs to know nobody."""
    house = request.app[HOUSE]
    asker = security.caller(request.remote or "", request.scheme, request.headers, house.trusted)
    return Visit(
        request=request,
        house=house,
        asker=asker,
        viewer_or_none=None,
        cookie=security.new_secret(),
    )


async def _visit(request: web.Request) -> Visit:
    nobody = _nobodys(request)
    session = request.cookies.get(security.SESSION_COOKIE, "")
    visit = replace(
        nobody,
        cookie=session or request.cookies.get(security.FORM_COOKIE, "") or nobody.cookie,
    )
    if _is_owner(visit):
        return replace(visit, viewer_or_none=OWNER)
    account = await visit.parts.accounts.signed_in(session) if session else None
    if account is None:
        return visit
    try:
        return replace(visit, account=account, viewer_or_none=await _viewer(visit, account))
    except AuthFailed:
        # Their server has taken the sign-in back: whoever has an account there signs in again.
        await visit.parts.accounts.sign_out(session)
        return visit
    except CompanionError as error:
        return replace(visit, account=account, trouble=error)


def _is_owner(visit: Visit) -> bool:
    """Whoever sits at this computer, and the command line beside the daemon."""
    parts, request = visit.parts, visit.request
    if security.at_home(visit.asker, request.remote or "", parts.config, visit.house.trusted):
        return True
    token = parts.local_token
    return bool(token) and hmac.compare_digest(_bearer(request), token.encode())


async def _viewer(visit: Visit, account: Account) -> Viewer:
    """Return what an account may see now. Raises AuthFailed, or ServerUnavailable if nobody can
    tell."""
    household = visit.parts.household
    if household is not None:
        return await household.viewer(account)
    return await visit.parts.accounts.viewer(account)


def _bearer(request: web.Request) -> bytes:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip().encode("utf-8", "replace") if kind.lower() == "bearer" else b""


def _check_host(visit: Visit) -> None:
    if security.host_allowed(visit.asker.host, visit.parts.config):
        return
    name = security.host_name(visit.asker.host) or "that name"
    raise Problem(
        HTTPStatus.MISDIRECTED_REQUEST,
        "Unknown name",
        f"These pages do not answer to {name}. If the name is yours, add it to web.allowed_hosts "
        "in heimdex.toml.",
    )


def _sign_in_first(visit: Visit) -> web.StreamResponse:
    path = visit.request.path.removeprefix(visit.links.base)
    data = ("/api/", "/media/", "/clip/", "/still/", "/frame/", "/boxes/")
    if visit.wants_json or path.startswith(data):
        return visit.problem(
            Problem(HTTPStatus.UNAUTHORIZED, "Sign in first", "sign in first: open the page")
        )
    back = visit.request.path_qs if visit.request.method == "GET" else ""
    return visit.go(visit.links.page("login", next=back if not visit.wants_part else ""))


def _check_size(visit: Visit, upload: int) -> None:
    """Refuse what says that it is too large before any of it is read."""
    if upload and (visit.request.content_length or 0) > upload:
        text = f"what was sent is larger than {upload // 2**20} MB"
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Too large", text)


async def _check_sender(visit: Visit, *, upload: bool) -> None:
    """Refuse what another site could have sent.

    The API takes JSON only, which no foreign form can send without asking first, and a file only
    for a search, which changes nothing; forms carry a token that is bound to a cookie.
    """
    said = visit.request.headers
    if visit.request.path.removeprefix(visit.links.base).startswith("/api/"):
        wanted = "multipart/form-data" if upload else "application/json"
        if visit.request.content_type != wanted:
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Another type", f"send {wanted}")
        if security.no_browser(said) or security.same_origin(said, visit.asker):
            return
    elif security.same_origin(said, visit.asker):
        form = await visit.form()
        token = form.get("token")
        if isinstance(token, str) and security.form_token_valid(token, visit.cookie):
            return
    raise Problem(
        HTTPStatus.FORBIDDEN,
        "Please try again",
        "This did not come from a page of ours, or the page was too old. Go back, reload it and "
        "try once more.",
    )
