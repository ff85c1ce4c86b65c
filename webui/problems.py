"""Every way in which a request can fail, as a status and words for a person."""

import logging
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from companion.errors import (
    CompanionError,
    FeatureOff,
    MediaMissing,
    ModelMissing,
    PictureRefused,
    QueryError,
    QueryInterrupted,
    ScanFailed,
    ServerUnavailable,
)

log = logging.getLogger(__name__)

BUSY_RETRY_S = 5


class Problem(Exception):
    """A request that ends in a status and words. Not for things that one may not see: those raise
    `not_found()`, which looks the same as for things that do not exist."""

    def __init__(self, status: HTTPStatus, title: str, text: str, *, retry_s: int = 0) -> None:
        self.status = status
        self.title = title
        self.text = text
        self.retry_s = retry_s
        super().__init__(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    status: HTTPStatus
    title: str


_KINDS: dict[type[CompanionError], _Words] = {
    QueryInterrupted: _Words(status=HTTPStatus.SERVICE_UNAVAILABLE, title="The store is busy"),
    MediaMissing: _Words(status=HTTPStatus.NOT_FOUND, title="The film is away"),
    ModelMissing: _Words(status=HTTPStatus.SERVICE_UNAVAILABLE, title="A model is missing"),
    FeatureOff: _Words(status=HTTPStatus.NOT_IMPLEMENTED, title="Switched off"),
    PictureRefused: _Words(status=HTTPStatus.BAD_REQUEST, title="Not a picture we can use"),
    QueryError: _Words(status=HTTPStatus.BAD_REQUEST, title="That search cannot be read"),
    ScanFailed: _Words(status=HTTPStatus.BAD_GATEWAY, title="The film cannot be read"),
    ServerUnavailable: _Words(status=HTTPStatus.SERVICE_UNAVAILABLE, title="No answer"),
}

_STATUSES: dict[int, tuple[str, str]] = {
    HTTPStatus.METHOD_NOT_ALLOWED: ("Not like this", "This address takes no such request."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("Too large", "What was sent is larger than allowed."),
}


def not_found() -> Problem:
    """What does not exist, and what one may not see."""
    return Problem(
        HTTPStatus.NOT_FOUND,
        "Nothing here",
        "There is no such page, or it is not yours to see. Films that were moved keep their "
        "address; films that were deleted lose it.",
    )


def bad_parameter(name: str, why: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "That does not fit", f"{name}: {why}")


def problem_of(error: Exception) -> Problem:
    """Return what to show for an error. Unknown ones are logged: they are mistakes of ours."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, web.HTTPException):
        return _of_status(error)
    for kind, words in _KINDS.items():
        if isinstance(error, kind):
            busy = words.status is HTTPStatus.SERVICE_UNAVAILABLE
            text = error.reason if isinstance(error, ScanFailed) else str(error)
            return Problem(words.status, words.title, text, retry_s=BUSY_RETRY_S if busy else 0)
    log.error("a request failed", exc_info=error)
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "That went wrong here",
        "The mistake is ours, and the log says more. Your films and what was found in them are "
        "untouched.",
    )


def _of_status(error: web.HTTPException) -> Problem:
    if error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}:
        return not_found()
    status = HTTPStatus(error.status)
    title, text = _STATUSES.get(status, (status.phrase, status.description or status.phrase))
    return Problem(status, title, text)
