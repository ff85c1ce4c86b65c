"""One request on its way through the pages: who asks, and how an answer is drawn.

Handlers take a Visit and return a response, so that none of them touches headers, cookies or the
template engine.
"""

import asyncio
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus

import jinja2
import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from companion.errors import CompanionError
from companion.model import Viewer
from companion.store.accounts import Account
from webui import assets, security
from webui.assets import Assets
from webui.links import Links
from webui.parts import Parts
from webui.problems import Problem, bad_parameter
from webui.shown import Album

PRIVATE = "private, no-cache"
LONGEST_FIELD = 2_000  # characters: an address to go back to is the longest
COMPRESS_FROM = 1_000  # bytes; below, compressing costs more than it saves


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What all visits share: the parts, the templates, the configured doors."""

    parts: Parts
    assets: Assets
    links: Links
    templates: jinja2.Environment
    trusted: tuple[security.Network, ...]
    patience: security.Patience
    album: Album = field(default_factory=Album)


def house(parts: Parts) -> House:
    """Read the package and return the house. Blocks some 100 ms the first time.

    Raises ValueError if a trusted proxy of the configuration is no address or network.
    """
    found = assets.load()
    return House(
        parts=parts,
        assets=found,
        links=Links(parts.config.web.base_path, found.version),
        templates=_templates(),
        trusted=security.networks(parts.config.web.trusted_proxies),
        patience=security.Patience(),
    )


@cache
def _templates() -> jinja2.Environment:
    """Compile every template, so that no page waits for it and no mistake hides in one."""
    sources = assets.load().templates
    templates = jinja2.Environment(
        loader=jinja2.DictLoader(dict(sources)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters["utc"] = _utc
    for name in sources:
        templates.get_template(name)
    return templates


def _utc(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(" ", "minutes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """asker: who asks, from where; viewer: what they may see, None when nobody has signed in;
    account: who has signed in; trouble: why nobody can tell now what they may see; cookie: the
    secret that forms are bound to."""

    request: web.Request
    house: House
    asker: security.Caller
    viewer_or_none: Viewer | None
    cookie: str
    account: Account | None = None
    trouble: CompanionError | None = None
    new_cookies: dict[str, str] = field(default_factory=dict)
    forms: list[Mapping[str, str | bytes]] = field(default_factory=list)  # what was read of it
    given: Mapping[str, str] | None = None  # parameters of a form, in place of the address's

    @property
    def parts(self) -> Parts:
        return self.house.parts

    @property
    def links(self) -> Links:
        return self.house.links

    @property
    def viewer(self) -> Viewer:
        assert self.viewer_or_none is not None, "the gate lets nobody in without a viewer"
        return self.viewer_or_none

    async def confirmed(self, item_ids: Iterable[int]) -> Set[int]:
        """Return which items may still be shown, asked just now: the last check before an answer
        that shows something of them."""
        wanted = list(item_ids)
        if self.parts.household is None or self.account is None:
            return frozenset(wanted)
        return await self.parts.household.confirmed(self.account, wanted)

    @property
    def wants_part(self) -> bool:
        """htmx asks for the part of a page that changes, except when it restores a page."""
        said = self.request.headers
        return "HX-Request" in said and "HX-History-Restore-Request" not in said

    @property
    def wants_json(self) -> bool:
        """The API and our own scripts read JSON; a browser that opens a page never asks for it."""
        in_api = self.request.path.removeprefix(self.links.base).startswith("/api/")
        return in_api or self.request.headers.get("Accept") == "application/json"

    def name(self, key: str) -> str:
        """Return a part of the address."""
        return self.request.match_info[key]

    @property
    def _parameters(self) -> Mapping[str, str]:
        return self.request.query if self.given is None else self.given

    async def form(self) -> Mapping[str, str | bytes]:
        """Return the fields of a form; of a file its bytes. It is read once, however often asked.

        Raises Problem if it cannot be read.
        """
        if not self.forms:
            self.forms.append(await self._read_form())
        return self.forms[0]

    async def field(self, key: str) -> str:
        """Return a field of a form that is text, at most LONGEST_FIELD of it; "" without it."""
        value = (await self.form()).get(key)
        return value[:LONGEST_FIELD] if isinstance(value, str) else ""

    async def _read_form(self) -> Mapping[str, str | bytes]:
        try:
            sent = await self.request.post()
        except (
            ValueError,
            LookupError,
            AssertionError,
            RuntimeError,
            HttpProcessingError,
        ) as error:
            raise bad_parameter("body", "it is no form that can be read") from error
        found: dict[str, str | bytes] = {}
        for key, value in sent.items():
            if isinstance(value, web.FileField):
                with value.file as file:
                    found[key] = await asyncio.to_thread(file.read)
            else:
                found[key] = value if isinstance(value, str) else bytes(value)
        return found

    def text(self, key: str, *, longest: int = 500) -> str:
        """Return a parameter without what cannot be shown; "" without it."""
        value = self._parameters.get(key, "")
        if len(value) > longest:
            raise bad_parameter(key, f"at most {longest} characters")
        return "".join(letter for letter in value if letter.isprintable()).strip()

    def number(self, key: str, default: float, *, low: float, high: float) -> float:
        """Return a parameter that is a number within [low, high]."""
        value = self._parameters.get(key, "")
        if not value:
            return default
        try:
            found = float(value)
        except ValueError:
            found = float("nan")
        if not low <= found <= high:
            raise bad_parameter(key, f"a number from {low:g} to {high:g}, not {value[:40]!r}")
        return found

    def whole(self, key: str, default: int, *, low: int, high: int) -> int:
        """Return a parameter that is a whole number within [low, high]."""
        found = self.number(key, default, low=low, high=high)
        if found != int(found):
            raise bad_parameter(key, "a whole number")
        return int(found)

    # --- answers -----------------------------------------------------------------------------

    def page(
        self,
        template: str,
        *,
        status: int = HTTPStatus.OK,
        part: str | None = None,
        **context: object,
    ) -> web.Response:
        """Draw a page, or its `part` (another template) when htmx asks for that."""
        name = part if part is not None and self.wants_part else template
        text = self.house.templates.get_template(name).render(
            visit=self, viewer=self.viewer_or_none, links=self.links, **context
        )
        response = web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
        response.headers["Cache-Control"] = PRIVATE
        response.headers["Vary"] = "HX-Request, HX-History-Restore-Request, Cookie"
        if len(text) > COMPRESS_FROM:
            response.enable_compression()
        return self.finished(response)

    def json(self, value: object, *, status: int = HTTPStatus.OK) -> web.Response:
        response = web.Response(
            body=msgspec.json.encode(value), status=status, content_type="application/json"
        )
        response.headers["Cache-Control"] = PRIVATE
        return self.finished(response)

    def problem(self, problem: Problem) -> web.Response:
        """Draw a problem the way that was asked for: JSON to programs, a page to people."""
        if self.wants_json:
            response = self.json({"error": problem.text}, status=problem.status)
        else:
            response = self.page(
                "error.html", part="_error.html", status=problem.status, problem=problem
            )
        if problem.retry_s:
            response.headers["Retry-After"] = str(problem.retry_s)
        return response

    def go(self, address: str, *, status: int = HTTPStatus.SEE_OTHER) -> web.Response:
        """Send the browser to one of our own addresses."""
        response = web.Response(status=status, headers={"Location": address})
        if self.wants_part:
            response = web.Response(headers={"HX-Redirect": address})
        response.headers["Cache-Control"] = "no-store"
        return self.finished(response)

    def form_token(self) -> str:
        """Return the hidden token of a form. Templates call it."""
        self.new_cookies.setdefault(security.FORM_COOKIE, self.cookie)
        return security.form_token(self.cookie)

    def set_cookie(self, response: web.StreamResponse, name: str, value: str, days: int) -> None:
        """Set one of our cookies, or take it away if the value is empty."""
        secure = self.asker.scheme == "https"
        path = f"{self.links.base}/"
        if not value:
            response.del_cookie(name, path=path, httponly=True, samesite="Lax", secure=secure)
            return
        response.set_cookie(
            name,
            value,
            path=path,
            httponly=True,
            samesite="Lax",
            secure=secure,
            max_age=days * 86_400,
        )

    def finished(self, response: web.Response) -> web.Response:
        for name, value in self.new_cookies.items():
            self.set_cookie(response, name, value, days=self.parts.config.web.session_days)
        return response
