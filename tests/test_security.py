"""Who and what may reach the pages: each test is a threat that webui/security.py names."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient
from hypothesis import given, strategies as st
from yarl import URL

from companion.config import Config, Web
from companion.store import accounts
from tests import cinema
from tests.cinema import HOSTILE, PASSWORD, Open
from webui import security
from webui.routes import ROUTES, build
from webui.security import Caller, Patience, host_allowed, safe_next

Client = TestClient[Any, Any]

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
BEYOND = Web(host="0.0.0.0", port=0)


@pytest.fixture(autouse=True)
def cheap_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "SCRYPT_N", 2**10)
    monkeypatch.setattr(accounts, "SCRYPT_P", 1)


async def token_of(page: ClientResponse) -> str:
    """Return the hidden token of a page's form."""
    return (await page.text()).split('name="token" value="')[1].split('"')[0]


async def enter(client: Client, password: str = PASSWORD, **form: str) -> ClientResponse:
    """Sign in through the form, as a browser does."""
    token = await token_of(await client.get("/login"))
    return await client.post(
        "/login",
        data={"token": token, "name": "owner", "password": password, "next": "/", **form},
        headers={"Origin": f"http://127.0.0.1:{client.port}"},
        allow_redirects=False,
    )


# --- headers -------------------------------------------------------------------------------------


def test_the_content_policy_is_exactly_this() -> None:
    assert security.content_policy() == CSP


def test_only_a_named_origin_may_frame_the_pages() -> None:
    policy = security.content_policy(("https://dash.example",))
    assert policy.endswith("frame-ancestors https://dash.example")
    config = Config(data_dir=Path("/x"), web=Web(frame_ancestors=("https://a.example",)))
    assert "X-Frame-Options" not in security.headers(config)


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/static/x/heimdex.css", "/api/1/status", "/still/x.jpg"]
)
async def test_every_answer_carries_the_headers(open_house: Open, path: str) -> None:
    _, client = await open_house()
    answer = await client.get(path)
    assert answer.headers["Content-Security-Policy"] == CSP
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "camera=()" in answer.headers["Permissions-Policy"]
    assert "aiohttp" not in answer.headers["Server"]


async def test_the_film_itself_carries_them_too(open_house: Open) -> None:
    house, client = await open_house()
    answer = await client.get(f"/media/{house.lake.file}")
    assert answer.status == 200
    assert answer.headers["Content-Security-Policy"] == CSP
    assert answer.headers["Content-Type"] == "video/mp4"


# --- which Host ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "listening", "allowed"),
    [
        ("127.0.0.1:8642", "127.0.0.1", True),
        ("localhost", "127.0.0.1", True),
        ("LOCALHOST:1", "127.0.0.1", True),
        ("[::1]:8642", "127.0.0.1", True),
        ("films.localhost", "127.0.0.1", True),
        ("nas.example", "127.0.0.1", True),  # named in the configuration
        ("nas.example.", "127.0.0.1", True),
        ("evil.example", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("192.168.1.5", "127.0.0.1", False),
        ("192.168.1.5:8642", "0.0.0.0", True),
        ("172.17.0.2", "0.0.0.0", True),
        ("[fd00::5]", "::", True),
        ("8.8.8.8", "0.0.0.0", False),
        ("0.0.0.0", "127.0.0.1", False),
        ("evil.example", "0.0.0.0", False),
        ("203.0.113.9:1", "203.0.113.9", True),  # the address that is listened on
        ("", "127.0.0.1", False),
        ("[::1", "127.0.0.1", False),
        ("localhost/@evil.example", "127.0.0.1", True),  # the name before the slash is what counts
        ("evil.example@localhost", "127.0.0.1", True),
    ],
)
def test_which_names_the_pages_answer_to(
    config: Config, host: str, listening: str, allowed: bool
) -> None:
    web = Web(host=listening, allowed_hosts=("nas.example",))
    assert host_allowed(host, replace(config, web=web)) is allowed


async def test_a_rebound_name_gets_nothing_but_words(open_house: Open) -> None:
    house, client = await open_house()
    answer = await client.get("/", headers={"Host": "evil.example"})
    text = await answer.text()
    assert answer.status == 421
    assert "web.allowed_hosts" in text
    assert "Lake" not in text
    answer = await client.get(f"/api/1/items/{house.lake.item}", headers={"Host": "evil.example"})
    assert answer.status == 421
    assert "evil.example" in (await answer.json())["error"]


# --- at this computer, and beyond ----------------------------------------------------------------


async def test_at_this_computer_no_password_is_needed(open_house: Open) -> None:
    _, client = await open_house()
    assert (await client.get("/status")).status == 200
    assert (await client.get("/login", allow_redirects=False)).headers["Location"] == "/"


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host"]
)
async def test_through_a_proxy_nobody_is_at_this_computer(open_house: Open, header: str) -> None:
    _, client = await open_house()
    answer = await client.get("/api/1/status", headers={header: "127.0.0.1"})
    assert answer.status == 401


async def test_through_a_trusted_proxy_nobody_is_at_this_computer_either(open_house: Open) -> None:
    _, client = await open_house(Web(port=0, trusted_proxies=("127.0.0.0/8",)))
    assert (await client.get("/api/1/status")).status == 401


OWN = {
    "{moment}": "abc-0",
    "{item}": "abc",
    "{file}": "abc",
    "{version}": "x",
    "{name}": "heimdex.css",
    "{server}": "1",
    "{step}": "abc",
    "{rest:.*}": "nothing",
}
OPEN_TO_ALL = {
    "/login/code",
    "/login",
    "/logout",
    "/static/x/heimdex.css",
    "/favicon.ico",
    "/manifest.webmanifest",
}
OPEN_TO_ALL |= {"/api/1/health", "/api/1/openapi.json", "/nothing", "/api/nothing"}


def addresses() -> list[tuple[str, str]]:
    """Every address, filled in."""
    found = []
    for method, path, _, _ in ROUTES:
        for name, value in OWN.items():
            path = path.replace(name, value)
        found.append((method, path))
    return found


async def test_beyond_loopback_every_address_wants_a_session(open_house: Open) -> None:
    _, client = await open_house(BEYOND)
    for method, path in addresses():
        if path in OPEN_TO_ALL:
            continue
        answer = await client.request(method, path, allow_redirects=False)
        sent_to_login = answer.status == 303 and answer.headers["Location"].startswith("/login")
        assert answer.status == 401 or sent_to_login, path


async def test_a_browser_without_a_session_is_brought_back_after_signing_in(
    open_house: Open,
) -> None:
    house, client = await open_house(BEYOND)
    await house.accounts.set_password("owner", PASSWORD)
    answer = await client.get("/titles?library=Films", allow_redirects=False)
    assert answer.headers["Location"] == "/login?next=%2Ftitles%3Flibrary%3DFilms"
    answer = await enter(client, next="/titles?library=Films")
    assert answer.status == 303
    assert answer.headers["Location"] == "/titles?library=Films"
    assert (await client.get("/titles")).status == 200
    assert (await client.get("/api/1/status")).status == 200


async def test_a_part_asked_for_without_a_session_leads_the_whole_page_to_sign_in(
    open_house: Open,
) -> None:
    _, client = await open_house(BEYOND)
    answer = await client.get("/?q=lake", headers={"HX-Request": "true"}, allow_redirects=False)
    assert answer.headers["HX-Redirect"] == "/login"


async def test_health_beyond_loopback_tells_strangers_only_a_word(open_house: Open) -> None:
    house, client = await open_house(BEYOND)
    house.indexer.notes = lambda: ("The folder /secret does not answer.",)
    told = await (await client.get("/api/1/health")).json()
    assert set(told) == {"state", "version", "reasons"}
    assert (told["version"], told["reasons"]) == ("", [])
    assert "secret" not in str(told)


async def test_the_local_token_opens_for_the_command_line(open_house: Open) -> None:
    _, client = await open_house(BEYOND, local_token="from-the-data-folder")
    said = {"Authorization": "Bearer from-the-data-folder"}
    assert (await client.get("/api/1/status", headers=said)).status == 200
    answer = await client.post("/api/1/scan", json={}, headers=said)
    assert answer.status == 202
    said = {"Authorization": "Bearer something-else"}
    assert (await client.get("/api/1/status", headers=said)).status == 401


async def test_an_empty_local_token_opens_for_nobody(open_house: Open) -> None:
    _, client = await open_house(BEYOND)
    answer = await client.get("/api/1/status", headers={"Authorization": "Bearer "})
    assert answer.status == 401


def test_when_a_password_is_needed(config: Config) -> None:
    def needed(web: Web) -> bool:
        return security.needs_password(replace(config, web=web))

    assert not needed(Web())
    assert not needed(Web(host="localhost"))
    assert needed(Web(host="0.0.0.0"))
    assert needed(Web(host="192.168.1.5"))
    assert needed(Web(trusted_proxies=("10.0.0.1",)))
    assert needed(Web(allowed_hosts=("films.example",)))


# --- signing in ----------------------------------------------------------------------------------


async def test_the_session_cookie_cannot_be_read_by_scripts_nor_sent_by_other_sites(
    open_house: Open,
) -> None:
    house, client = await open_house(BEYOND)
    await house.accounts.set_password("owner", PASSWORD)
    cookie = (await enter(client)).cookies[security.SESSION_COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/"
    assert not cookie["secure"]  # plain http here
    assert int(cookie["max-age"]) == house.config.web.session_days * 86_400


async def test_behind_https_cookies_travel_only_there(open_house: Open) -> None:
    web = Web(port=0, trusted_proxies=("127.0.0.1",), allowed_hosts=("films.example",))
    house, client = await open_house(web)
    await house.accounts.set_password("owner", PASSWORD)
    said = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "films.example",
        "X-Forwarded-For": "203.0.113.7",
    }
    page = await client.get("/login", headers=said)
    form = page.cookies[security.FORM_COOKIE]
    assert form["secure"]
    answer = await client.post(
        "/login",
        data={"token": await token_of(page), "name": "owner", "password": PASSWORD},
        headers={
            **said,
            "Origin": "https://films.example",
            "Cookie": f"{security.FORM_COOKIE}={form.value}",
        },
        allow_redirects=False,
    )
    assert answer.status == 303
    assert answer.cookies[security.SESSION_COOKIE]["secure"]


async def test_signing_out_ends_the_session_on_the_server(open_house: Open) -> None:
    house, client = await open_house(BEYOND)
    await house.accounts.set_password("owner", PASSWORD)
    session = (await enter(client)).cookies[security.SESSION_COOKIE].value
    token = await token_of(await client.get("/"))
    answer = await client.post(
        "/logout",
        data={"token": token},
        headers={"Sec-Fetch-Site": "same-origin"},
        allow_redirects=False,
    )
    assert answer.headers["Location"] == "/login"
    cookie = {"Cookie": f"{security.SESSION_COOKIE}={session}"}
    assert (await client.get("/api/1/status", headers=cookie)).status == 401


async def test_a_wrong_password_is_told_without_saying_what_was_wrong(open_house: Open) -> None:
    house, client = await open_house(BEYOND)
    await house.accounts.set_password("owner", PASSWORD)
    wrong_word = await enter(client, "wrong")
    wrong_name = await enter(client, PASSWORD, name="nobody")
    assert wrong_word.status == wrong_name.status == 401
    assert "do not belong together" in await wrong_word.text()
    assert "do not belong together" in await wrong_name.text()


async def test_guessing_is_slowed_down_also_with_the_right_word(open_house: Open) -> None:
    house, client = await open_house(BEYOND)
    await house.accounts.set_password("owner", PASSWORD)
    for _ in range(Patience.FREE):
        assert (await enter(client, "wrong")).status == 401
    answer = await enter(client)
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert "then try again" in await answer.text()


async def test_what_is_typed_as_a_name_comes_back_as_text(open_house: Open) -> None:
    house, client = await open_house(BEYOND)
    await house.accounts.set_password("owner", PASSWORD)
    text = await (await enter(client, "wrong", name='"><script>alert(1)</script>')).text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/a\\b",
        "javascript:alert(1)",
        "/ok\r\nSet-Cookie: a=b",
        "",
        "relative",
        "/heimdex.evil.example",
    ],
)
def test_after_signing_in_nobody_is_led_elsewhere(address: str) -> None:
    assert safe_next(address, "/heimdex") == "/heimdex/"
    if address != "/heimdex.evil.example":
        assert safe_next(address, "") == "/"


@given(st.text(max_size=40))
def test_an_address_to_go_to_is_always_our_own(address: str) -> None:
    led_to = safe_next(address, "")
    assert led_to.startswith("/")
    assert not led_to.startswith(("//", "/\\"))
    assert "\n" not in led_to
    assert "\r" not in led_to


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_patience_grows_and_is_forgotten() -> None:
    clock = Clock()
    patience = Patience(clock)
    waits = []
    for _ in range(Patience.FREE + 12):
        wait_s = patience.wait_s("a", "b")
        waits.append(wait_s)
        clock.now += wait_s
        patience.tried("a", "b")
    assert waits[: Patience.FREE] == [0] * Patience.FREE
    assert waits == sorted(waits)
    assert waits[Patience.FREE] in {2, 3}
    assert max(waits) <= Patience.LONGEST_S + 1
    assert patience.wait_s("somebody else") == 0
    clock.now += Patience.FORGET_S + 1
    assert patience.wait_s("a", "b") == 0


def test_who_gets_in_starts_afresh() -> None:
    patience = Patience(Clock())
    for _ in range(10):
        patience.tried("a")
    patience.succeeded("a")
    assert patience.wait_s("a") == 0


def test_patience_remembers_a_limited_number_of_callers() -> None:
    patience = Patience(Clock())
    for number in range(Patience.MOST_KEYS + 100):
        patience.tried(f"from {number}")
    assert len(patience._tries) == Patience.MOST_KEYS


# --- proxies -------------------------------------------------------------------------------------


def asked_by(peer: str, trusted: tuple[str, ...] = (), **said: str) -> Caller:
    headers = {name.replace("_", "-"): value for name, value in said.items()}
    return security.caller(peer, "http", headers, security.networks(trusted))


def test_a_stranger_cannot_say_who_they_are() -> None:
    asker = asked_by(
        "203.0.113.7", X_Forwarded_For="127.0.0.1", X_Forwarded_Proto="https", Host="a"
    )
    assert (asker.address, asker.scheme, asker.host) == ("203.0.113.7", "http", "a")


def test_the_last_address_that_is_no_proxy_of_ours_counts() -> None:
    asker = asked_by(
        "10.0.0.1",
        ("10.0.0.0/8",),
        X_Forwarded_For="127.0.0.1, 203.0.113.7, 10.0.0.9",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="films.example",
        Host="inner",
    )
    assert asker.address == "203.0.113.7"
    assert asker.origin == "https://films.example"


def test_nonsense_in_a_forwarded_header_is_not_believed() -> None:
    asker = asked_by("10.0.0.1", ("10.0.0.1",), X_Forwarded_For="unknown", Host="inner")
    assert (asker.address, asker.host) == ("10.0.0.1", "inner")
    asker = asked_by("10.0.0.1", ("10.0.0.1",), X_Forwarded_Proto="javascript", Host="inner")
    assert asker.scheme == "http"


def test_an_address_in_ipv6_clothes_is_the_same_address() -> None:
    asker = asked_by("::ffff:10.0.0.1", ("10.0.0.1",), X_Forwarded_For="203.0.113.7")
    assert asker.address == "203.0.113.7"
    assert security.is_loopback("::ffff:127.0.0.1")


# --- forged requests -----------------------------------------------------------------------------


POSTS = [path for method, path in addresses() if method == "POST" and not path.startswith("/api/")]


@pytest.mark.parametrize("path", POSTS)
async def test_a_form_without_its_token_does_nothing(open_house: Open, path: str) -> None:
    _, client = await open_house()
    answer = await client.post(path, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status == 403


async def test_another_sites_form_does_nothing_even_with_a_token(open_house: Open) -> None:
    house, client = await open_house()
    token = await token_of(await client.get("/status"))
    for said in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {},
    ):
        answer = await client.post("/status/pause", data={"token": token}, headers=said)
        assert answer.status == 403, said
    assert not (await house.indexer.status()).paused
    own = {"Origin": f"http://127.0.0.1:{client.port}"}
    assert (await client.post("/status/pause", data={"token": token}, headers=own)).status == 200
    assert (await house.indexer.status()).paused


async def test_the_token_of_another_browser_does_nothing(
    open_house: Open, aiohttp_client: Any
) -> None:
    house, client = await open_house()
    other = await aiohttp_client(build(house.parts))
    token = await token_of(await other.get("/status"))
    await client.get("/status")
    answer = await client.post(
        "/status/pause", data={"token": token}, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert answer.status == 403


@given(st.text(max_size=50), st.text(max_size=50))
def test_a_form_token_belongs_to_its_cookie_alone(cookie: str, other: str) -> None:
    token = security.form_token(cookie)
    assert security.form_token_valid(token, cookie) is bool(cookie)
    if other != cookie:
        assert not security.form_token_valid(token, other)
    assert not security.form_token_valid(other, cookie)


def test_form_tokens_differ_each_time_so_that_compression_tells_nothing() -> None:
    assert security.form_token("cookie") != security.form_token("cookie")


async def test_the_api_takes_json_only_and_only_from_our_own_pages(open_house: Open) -> None:
    _, client = await open_house()
    answer = await client.post("/api/1/scan", data={"file": "x"})
    assert answer.status == 415
    answer = await client.post("/api/1/scan", data="{}", headers={"Content-Type": "text/plain"})
    assert answer.status == 415
    answer = await client.post("/api/1/scan", json={}, headers={"Origin": "https://evil.example"})
    assert answer.status == 403
    answer = await client.post("/api/1/scan", json={}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status == 403
    own = {"Origin": f"http://127.0.0.1:{client.port}"}
    assert (await client.post("/api/1/scan", json={}, headers=own)).status == 202


async def test_too_large_a_body_is_refused(open_house: Open) -> None:
    _, client = await open_house()
    answer = await client.post("/api/1/scan", json={"file": "x" * 200_000})
    assert answer.status == 413


# --- what one may not see ------------------------------------------------------------------------


async def test_what_one_may_not_see_looks_like_what_does_not_exist(open_house: Open) -> None:
    house, client = await open_house(BEYOND)
    house.accounts.visible = frozenset({house.lake.item_id})
    token = await cinema.sign_in(house, "child")
    cookie = {"Cookie": f"{security.SESSION_COOKIE}={token}"}

    async def seen(path: str) -> tuple[int, str, str]:
        answer = await client.get(path, headers=cookie, allow_redirects=False)
        # The token of the form for signing out is another one each time.
        text = re.sub(r'name="token" value="[^"]+"', "", await answer.text())
        return answer.status, text, answer.headers.get("Content-Type", "")

    for pattern, secret, own in (
        ("/item/{}", house.long.item, house.lake.item),
        ("/api/1/items/{}", house.long.item, house.lake.item),
        ("/api/1/files/{}/scenes", house.long.file, house.lake.file),
        ("/media/{}", house.long.file, house.lake.file),
        ("/moment/{}-0", house.long.file, house.lake.file),
        ("/clip/{}-0.mp4", house.long.file, house.lake.file),
        ("/still/{}-0.jpg", house.long.file, house.lake.file),
    ):
        hidden = await seen(pattern.format(secret))
        absent = await seen(pattern.format("A" * 12))
        assert hidden == absent, pattern
        assert hidden[0] == 404
        answer = await client.get(pattern.format(own), headers=cookie)
        assert answer.status == 200, pattern
    assert (await seen(f"/go/{house.long.file}-0"))[0] == 404
    assert (await seen(f"/go/{house.lake.file}-0"))[0] == 303


async def test_lists_and_search_show_only_what_one_may_see(open_house: Open) -> None:
    house, client = await open_house(BEYOND)
    house.accounts.visible = frozenset({house.lake.item_id})
    token = await cinema.sign_in(house, "child")
    cookie = {"Cookie": f"{security.SESSION_COOKIE}={token}"}
    for path in ("/", "/titles", "/?q=lake", "/api/1/search?q=lake", "/status", "/api/1/status"):
        text = await (await client.get(path, headers=cookie)).text()
        assert "Long Way" not in text, path
        assert "Shows" not in text, path
    found = await (await client.get("/api/1/search?q=lake", headers=cookie)).json()
    assert {result["item_id"] for result in found["results"]} == {house.lake.item}
    assert all("/" not in result["file"] for result in found["results"])


async def test_only_the_owner_may_start_work(open_house: Open) -> None:
    house, client = await open_house(BEYOND)
    token = await cinema.sign_in(house, "child")
    cookie = {"Cookie": f"{security.SESSION_COOKIE}={token}"}
    for path in POSTS:
        if path.startswith("/status/"):
            answer = await client.post(path, headers={**cookie, "Sec-Fetch-Site": "same-origin"})
            assert answer.status == 404, path
    answer = await client.post("/api/1/scan", json={}, headers=cookie)
    assert answer.status == 404
    assert "Scan now" not in await (await client.get("/status", headers=cookie)).text()


# --- paths ---------------------------------------------------------------------------------------


TRICKS = [
    "..%2f..%2fetc%2fpasswd",
    "..%5c..%5cwindows",
    "%2e%2e/%2e%2e/etc/passwd",
    "....//etc/passwd",
    "%00",
    "abc%00-0",
    "/etc/passwd",
    "file:%2f%2f%2fetc%2fpasswd",
    "%f0%9f%8e%ac",
    "a" * 3_000,
    "-0",
    "abc-",
    "abc-zzzzzzzz",
    "abc--1",
]
PLACES = [
    "/static/x/{}",
    "/static/{}/heimdex.css",
    "/still/{}.jpg",
    "/clip/{}.mp4",
    "/media/{}",
    "/moment/{}",
    "/go/{}",
    "/item/{}",
    "/api/1/items/{}",
    "/api/1/files/{}/scenes",
    "/{}",
]


async def test_no_trick_with_a_path_reaches_a_file_or_a_mistake(open_house: Open) -> None:
    _, client = await open_house()
    for place in PLACES:
        for trick in TRICKS:
            address = URL(place.format(trick).replace("//", "/"), encoded=True)
            answer = await client.get(address, allow_redirects=False)
            body = await answer.read()
            assert answer.status in {404, 400} or place.startswith("/static/{}"), (place, trick)
            assert b"root:" not in body
            assert b"Traceback" not in body


# --- hostile text --------------------------------------------------------------------------------


async def test_names_and_subtitles_are_never_markup(open_house: Open) -> None:
    house, client = await open_house()
    hostile = house.shelved[HOSTILE]
    for path in (
        "/",
        "/titles",
        f"/item/{hostile.item}",
        f"/item/{hostile.item}?q=hostile",
        f"/moment/{hostile.file}-rs",
        "/?q=hostile",
        "/?q=" + "%3Cscript%3Ealert(9)%3C%2Fscript%3E",
        "/?q=%22%3E%3Cimg%20src%3Dx%3E",
        "/status",
        "/nothing/%3Cscript%3E",
    ):
        for said in ({}, {"HX-Request": "true"}):
            text = await (await client.get(path, headers=said)).text()
            assert "<script>alert" not in text, path
            assert "<img src=x" not in text, path
            assert "src=x onerror" not in text.replace("&lt;img src=x onerror", ""), path
            assert "49}" not in text, path
    assert "&lt;script&gt;alert(1)" in await (await client.get(f"/item/{hostile.item}")).text()
