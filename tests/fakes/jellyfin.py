"""A Jellyfin server over real HTTP, with its traps: what is answered to whom.

What the real server does and is not obvious is told in the handlers. Every answer is kept in
`exchanges`, so that it can be held against the official schema (`tests/jellyfin_schema.py`).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.fakes import jellyfin_views as views
from tests.fakes.jellyfin_listing import by_ids, listing
from tests.fakes.jellyfin_server import FakeJellyfin, Refused, Routes
from tests.fakes.jellyfin_world import Library, Session, User, World, an_id

JPEG = b"\xff\xd8\xff\xe0" + b"portrait" * 20 + b"\xff\xd9"


async def public_info(fake: FakeJellyfin, _request: web.Request) -> web.Response:
    return web.json_response(views.public_info(fake.world), headers=_date(fake))


async def info(fake: FakeJellyfin, request: web.Request) -> web.Response:
    fake.admin(request)
    return web.json_response(views.public_info(fake.world) | {"SupportsLibraryMonitor": True})


async def sign_in(fake: FakeJellyfin, request: web.Request) -> web.Response:
    """A user who signs in again with the same DeviceId loses the token from before."""
    words = fake.words(request)
    if not all(words.get(name) for name in ("Client", "Device", "DeviceId", "Version")):
        raise Refused(400)
    body = {key.lower(): value for key, value in (await request.json()).items()}
    for user in fake.world.users.values():
        if user.name.lower() == str(body.get("username", "")).lower():
            if user.password != body.get("pw"):
                raise Refused(401)
            return _welcome(fake, user, words["DeviceId"])
    raise Refused(401)


def _welcome(fake: FakeJellyfin, user: User, device: str) -> web.Response:
    if user.disabled:
        raise Refused(403)
    tokens = fake.world.tokens
    for token in [token for token, owner in tokens.items() if owner == (user.id, device)]:
        del tokens[token]
    return web.json_response(views.signed_in(fake.world, user, fake.world.token(user, device)))


async def me(fake: FakeJellyfin, request: web.Request) -> web.Response:
    caller = fake.caller(request)
    if caller.user is None:
        raise Refused(400)  # an API key is nobody
    return web.json_response(views.user(fake.world, caller.user))


async def sign_out(fake: FakeJellyfin, request: web.Request) -> web.Response:
    fake.world.tokens.pop(fake.caller(request).token, None)
    return web.Response(status=204)


async def users(fake: FakeJellyfin, request: web.Request) -> web.Response:
    fake.caller(request)
    return web.json_response([views.user(fake.world, user) for user in fake.world.users.values()])


async def code_enabled(fake: FakeJellyfin, _request: web.Request) -> web.Response:
    return web.json_response(fake.quick_connect)


async def start_code(fake: FakeJellyfin, request: web.Request) -> web.Response:
    if not fake.quick_connect:
        raise Refused(401)
    words = fake.words(request)
    if not all(words.get(name) for name in ("Client", "Device", "DeviceId", "Version")):
        raise Refused(400)
    code = f"{100_000 + len(fake.codes):06}"
    fake.codes[code] = {
        "Authenticated": False,
        "Secret": an_id("secret", code) + an_id("more", code),
        "Code": code,
        "DeviceId": words["DeviceId"],
        "DeviceName": words["Device"],
        "AppName": words["Client"],
        "AppVersion": words["Version"],
        "DateAdded": views.at(fake.world.now()),
    }
    return web.json_response(fake.codes[code])


def _code(fake: FakeJellyfin, secret: object) -> dict[str, Any]:
    for code in fake.codes.values():
        if code["Secret"] == secret:
            return code
    raise Refused(404)


async def look_at_code(fake: FakeJellyfin, request: web.Request) -> web.Response:
    code = _code(fake, request.query.get("secret"))
    return web.json_response({key: value for key, value in code.items() if key != "user"})


async def sign_in_by_code(fake: FakeJellyfin, request: web.Request) -> web.Response:
    code = _code(fake, (await request.json()).get("Secret"))
    if not code["Authenticated"]:
        raise Refused(404)
    return _welcome(fake, fake.world.users[code["user"]], code["DeviceId"])


async def keys(fake: FakeJellyfin, request: web.Request) -> web.Response:
    fake.admin(request)
    return web.json_response(views.result([], 0))


async def virtual_folders(fake: FakeJellyfin, request: web.Request) -> web.Response:
    fake.admin(request)
    libraries = fake.world.libraries.values()
    return web.json_response([views.virtual_folder(library) for library in libraries])


async def user_views(fake: FakeJellyfin, request: web.Request) -> web.Response:
    user = fake.subject(request)
    if user is None:
        raise Refused(400)
    seen = [it for it in fake.world.libraries.values() if fake.world.may_enter(user, it.id)]
    bodies = [views.view(fake.world, library) for library in seen]
    return web.json_response(views.result(bodies, len(bodies)))


async def items(fake: FakeJellyfin, request: web.Request) -> web.Response:
    user = fake.subject(request)
    query: Any = request.query
    parent = query.get("parentId", "").replace("-", "")
    if user and parent in fake.world.libraries and not fake.world.may_enter(user, parent):
        raise Refused(401)  # not 403 or 404: "is not permitted to access Library"
    found = listing(fake.world, user, query, parent)
    start = int(query.get("startIndex", 0))
    if fake.repeats_first_page and start >= len(found):
        start = 0
    page = found[start : start + min(fake.page_limit, int(query.get("limit", fake.page_limit)))]
    fields = by_ids(query, "fields")
    viewer = user if query.get("enableUserData", "true").lower() == "true" else None
    bodies = [views.item(fake.world, it, fields, viewer) for it in page]
    return web.json_response(views.result(bodies, len(found), start), headers=_date(fake))


async def item(fake: FakeJellyfin, request: web.Request, id: str) -> web.Response:
    user = fake.subject(request)
    found = fake.world.items.get(id.replace("-", ""))
    if user is None or found is None or not fake.world.may_see(user, found):
        raise Refused(404)  # also for an API key: an item needs a user
    fields = (
        "Path",
        "MediaSources",
        "People",
        "Genres",
        "Tags",
        "ProviderIds",
        "DateCreated",
        "ParentId",
    )
    return web.json_response(views.item(fake.world, found, fields, user))


async def ancestors(fake: FakeJellyfin, request: web.Request, id: str) -> web.Response:
    user = fake.subject(request)
    found = fake.world.items.get(id)
    if found is None or (user is not None and not fake.world.may_see(user, found)):
        raise Refused(404)
    library: Library = fake.world.libraries[found.library]
    return web.json_response([views.view(fake.world, library)])


async def more_parts(fake: FakeJellyfin, request: web.Request, id: str) -> web.Response:
    user = fake.subject(request)
    of = [it for it in fake.world.items.values() if it.part_of == id]
    bodies = [views.item(fake.world, it, ("Path", "MediaSources"), user) for it in of]
    return web.json_response(views.result(bodies, len(bodies)))


async def image(fake: FakeJellyfin, _request: web.Request, id: str, _kind: str) -> web.Response:
    """Needs no token: whoever knows an id may look."""
    person = fake.world.people.get(id)
    if (person is None or not person.portrait) and id not in fake.world.items:
        raise Refused(404)
    return web.Response(body=JPEG, content_type="image/jpeg")


async def sessions(fake: FakeJellyfin, request: web.Request) -> web.Response:
    """With controllableByUserId only what can be told to play: the user's own, or with the right
    to control others everybody's. Without it an administrator or an API key sees all."""
    caller = fake.caller(request)
    named = request.query.get("controllableByUserId", "").replace("-", "")
    all_of_them: list[Session] = list(fake.world.sessions.values())
    if named:
        who = fake.world.users[named]
        all_of_them = [it for it in all_of_them if it.remote and (who.admin or it.user == named)]
    elif caller.user is not None and not caller.user.admin:
        all_of_them = [it for it in all_of_them if it.user == caller.user.id]
    return web.json_response([views.session(fake.world, it) for it in all_of_them])


async def play(fake: FakeJellyfin, request: web.Request, id: str) -> web.Response:
    """Nobody asks whose session it is: any user may command any."""
    fake.caller(request)
    session = _session(fake, id)
    session.commands.append(("Play", dict(request.query)))
    session.item = request.query["itemIds"].split(",")[0].replace("-", "")
    session.ticks = int(request.query.get("startPositionTicks", 0))
    return web.Response(status=204)


async def command(fake: FakeJellyfin, request: web.Request, id: str, what: str) -> web.Response:
    fake.caller(request)
    session = _session(fake, id)
    session.commands.append((what, dict(request.query)))
    session.ticks = int(request.query.get("seekPositionTicks", session.ticks))
    return web.Response(status=204)


def _session(fake: FakeJellyfin, id: str) -> Session:
    if id not in fake.world.sessions:
        raise Refused(404)
    return fake.world.sessions[id]


def _date(fake: FakeJellyfin) -> dict[str, str]:
    return {"Date": fake.world.now().strftime("%a, %d %b %Y %H:%M:%S GMT")}


ROUTES: Routes = [
    ("GET", "System/Info/Public", public_info),
    ("GET", "System/Info", info),
    ("POST", "Users/AuthenticateByName", sign_in),
    ("POST", "Users/AuthenticateWithQuickConnect", sign_in_by_code),
    ("GET", "Users/Me", me),
    ("GET", "Users", users),
    ("GET", "QuickConnect/Enabled", code_enabled),
    ("POST", "QuickConnect/Initiate", start_code),
    ("GET", "QuickConnect/Connect", look_at_code),
    ("GET", "Auth/Keys", keys),
    ("GET", "Library/VirtualFolders", virtual_folders),
    ("GET", "UserViews", user_views),
    ("GET", "Items", items),
    ("GET", "Items/*", item),
    ("GET", "Items/*/Ancestors", ancestors),
    ("GET", "Items/*/Images/*", image),
    ("GET", "Videos/*/AdditionalParts", more_parts),
    ("GET", "Sessions", sessions),
    ("POST", "Sessions/Logout", sign_out),
    ("POST", "Sessions/*/Playing", play),
    ("POST", "Sessions/*/Playing/*", command),
]


@asynccontextmanager
async def jellyfin(world: World | None = None, **more: Any) -> AsyncIterator[FakeJellyfin]:
    """Run a fake as long as the block lasts."""
    fake = FakeJellyfin(ROUTES, world or World(), **more)
    await fake.start()
    try:
        yield fake
    finally:
        await fake.stop()
