"""The commands about media servers: setting one up, its libraries, where its files lie here.

They write to the data folder themselves, also beside a running daemon, which notices within a
minute.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.text import Text

from companion.app import App, opened
from companion.arguments import AsJson, ConfigFile, DataDir, err, group, out, print_json
from companion.errors import AuthFailed, CompanionError
from companion.paths import plain
from companion.servers import Candidate
from companion.settings import load
from companion.store.servers import Server
from connectors.base import Account, MediaServer, Right, SignInWay
from connectors.mapping import PathMapping

T = TypeVar("T")

ASK_S = 2.0  # between two questions whether a code was typed
WAIT_S = 600.0  # for a code
TOKEN_VARIABLE = "HEIMDEX_SERVER_TOKEN"  # noqa: S105 - the name of a variable
SHOWN_PATHS = 5

app = group("The media servers that are searched, and that let people in.")

Name = Annotated[str, typer.Argument(help="What the server is called here; see `servers list`.")]


def _run(config: Path | None, data_dir: Path | None, work: Callable[[App], Awaitable[T]]) -> T:
    settings = load(data_dir=data_dir, file=config)

    async def go() -> T:
        async with opened(settings, alone=False) as parts:
            return await work(parts)

    return asyncio.run(go())


def _now_ms() -> int:
    return int(time.time() * 1000)


# --- which there are -----------------------------------------------------------------------------


@app.command("list")
def list_servers(
    as_json: AsJson = False, config: ConfigFile = None, data_dir: DataDir = None
) -> None:
    """List the configured media servers."""
    found = _run(config, data_dir, lambda parts: parts.servers.all())
    if as_json:
        print_json([_told(server) for server in found])
        return
    for server in found:
        who = f" as {server.account_name}" if server.account_name else ""
        out.print(Text(f"{server.name}  {server.kind} {server.version}  {server.url}{who}"))
    if not found:
        out.print("No server yet: heimdex servers add http://nas:8096")


def _told(server: Server) -> dict[str, object]:
    return {
        "name": server.name,
        "kind": server.kind,
        "version": server.version,
        "url": server.url,
        "public_url": server.public_url,
        "account": server.account_name,
        "libraries": list(server.libraries),
        "paths": [{"server": there, "local": plain(here)} for there, here in server.mappings],
    }


# --- setting one up ------------------------------------------------------------------------------


@app.command()
def add(  # noqa: PLR0913 - options of a command
    address: Annotated[str, typer.Argument(help="Where it is, such as http://nas:8096.")],
    kind: Annotated[str, typer.Option(help="jellyfin or plex; else it is found out.")] = "",
    name: Annotated[str, typer.Option(help="What to call it here.")] = "",
    user: Annotated[
        str, typer.Option(help="Sign in by this name; the password is asked for.")
    ] = "",
    token: Annotated[
        bool,
        typer.Option("--token", help=f"Use an API key or token [{TOKEN_VARIABLE}], asked for."),
    ] = False,
    public_url: Annotated[str, typer.Option(help="Where people's browsers reach it.")] = "",
    authority: Annotated[str, typer.Option(help="A file of certificates to trust.")] = "",
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Set a media server up, or sign in to a known one again.

    Without --user or --token a code is shown, to be typed in an app that is signed in there. The
    account should be an administrator's, so that everything can be indexed.
    """
    way = SignInWay.PASSWORD if user else SignInWay.TOKEN if token else SignInWay.CODE
    secret = _secret(user, token=token)

    async def work(parts: App) -> tuple[Server, tuple[Right, ...]]:
        candidate = Candidate(kind=kind, url=address, public_url=public_url, authority=authority)
        met = await parts.servers.find_out(candidate)
        try:
            identity = met.identity
            out.print(Text(f"This is {identity.name or met.candidate.kind} {identity.version}"))
            account = await _signed_in(met.connector, way, user, secret)
            identity = await met.connector.identity()  # some say their name only now
        finally:
            await met.connector.close()
        server = await parts.servers.add(
            met.candidate, account, identity, name=name, now_ms=_now_ms()
        )
        return server, await parts.servers.rights(server)

    server, rights = _run(config, data_dir, work)
    out.print(Text(f"{server.name} is set up, signed in as {server.account_name or 'a program'}"))
    _print_rights(rights)
    out.print(Text(f'Now see where its files lie: heimdex servers paths "{server.name}"'))
    raise typer.Exit(0 if all(each.granted for each in rights if each.needed) else 1)


def _secret(user: str, *, token: bool) -> str:
    """Ask for what is secret: an argument could be read by others on this machine."""
    if token and (given := os.environ.get(TOKEN_VARIABLE)):
        return given
    if not user and not token:
        return ""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt("Token" if token else "Password", hide_input=True, err=True))


async def _signed_in(stranger: MediaServer, way: SignInWay, user: str, secret: str) -> Account:
    if way is SignInWay.PASSWORD:
        return await stranger.by_password(user, secret)
    if way is SignInWay.TOKEN:
        return await stranger.by_token(secret)
    ways = await stranger.ways()
    if SignInWay.CODE not in ways:
        others = " or ".join({"password": "--user", "token": "--token"}[each] for each in ways)
        raise AuthFailed(f"this server gives no codes now: sign in with {others}")
    code = await stranger.start_code()
    out.print(
        Text(f"Type {code.code} {f'at {code.url}' if code.url else 'in its app: Quick Connect'}")
    )
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        account = await stranger.by_code(code)
        if account is not None:
            return account
        await asyncio.sleep(ASK_S)
    raise AuthFailed("nobody has typed the code: start again for a new one")


def _print_rights(rights: tuple[Right, ...]) -> None:
    for right in rights:
        sign = "yes" if right.granted else "NO " if right.needed else "no "
        out.print(Text(f"  {sign} {right.words}"))


@app.command()
def check(name: Name, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Try what the daemon may do on a server.

    Status 1 if a needed right is missing.
    """

    async def work(parts: App) -> tuple[Right, ...]:
        return await parts.servers.rights(await parts.servers.named(name))

    rights = _run(config, data_dir, work)
    _print_rights(rights)
    raise typer.Exit(0 if all(each.granted for each in rights if each.needed) else 1)


@app.command()
def remove(name: Name, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Forget a server and who signed in through it.

    What was found in its films stays.
    """

    async def work(parts: App) -> str:
        server = await parts.servers.named(name)
        await parts.servers.remove(server, now_ms=_now_ms())
        return server.name

    out.print(Text(f"{_run(config, data_dir, work)} is forgotten"))


# --- libraries and paths -------------------------------------------------------------------------


@app.command()
def libraries(
    name: Name,
    only: Annotated[
        list[str] | None, typer.Option(help="List only this one, by name or id. Repeatable.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="List all of them again.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Say which libraries a server has, and choose those that are searched."""

    async def work(parts: App) -> list[tuple[str, str, bool]]:
        server = await parts.servers.named(name)
        found = await parts.servers.libraries(server)
        words = {each.external_id: {each.name, each.external_id} for each in found}
        unknown = set(only or ()).difference(*words.values())
        if unknown:
            known = ", ".join(each.name for each in found)
            raise CompanionError(f"no library {', '.join(sorted(unknown))}; known: {known}")
        if only or every:
            chosen = [each for each in words if words[each].intersection(only or ())]
            server = await parts.servers.choose(server, chosen)
        wanted = set(server.libraries) or {each.external_id for each in found}
        return [(each.external_id, each.name, each.external_id in wanted) for each in found]

    for external_id, title, wanted in _run(config, data_dir, work):
        out.print(Text(f"{'searched' if wanted else 'left out'}  {title}  ({external_id})"))


@app.command()
def paths(
    name: Name,
    look: Annotated[
        list[Path] | None, typer.Option(help="A folder here that holds its files. Repeatable.")
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="SERVER=LOCAL", help="Set this mapping. Repeatable."),
    ] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Take what is proposed.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Say where a server's files lie here, and propose how.

    A server in a container calls its files differently. --look names a folder to search in.
    """
    given = [_mapping(each) for each in to or ()]

    async def work(parts: App) -> tuple[Server, list[str], int]:
        server = await parts.servers.named(name)
        if given:
            server = await parts.servers.map_paths(server, given)
        found = await parts.servers.paths(server, look or [])
        if accept and found.proposals:
            chosen = [each.mapping for each in found.proposals]
            server = await parts.servers.map_paths(server, chosen)
            found = await parts.servers.paths(server, look or [])
        lines = [_line(sample, here) for sample, here in found.checked[:SHOWN_PATHS]]
        if not accept:
            lines += [
                f"proposed: {each.mapping.server} = {plain(each.mapping.local)}"
                f" ({each.found} of {len(found.samples)} files)"
                for each in found.proposals
            ]
        return server, lines, sum(here is not None for _, here in found.checked)

    server, lines, there = _run(config, data_dir, work)
    for line in lines:
        out.print(Text(line))
    for prefix, local in server.mappings:
        out.print(Text(f"in use: {prefix} = {plain(local)}"))
    if not there:
        out.print("None of its files is found here: name a folder with --look, or --map both.")
    raise typer.Exit(0 if there else 1)


def _line(sample: str, here: bytes | None) -> str:
    return f"{'found   ' if here else 'not here'} {plain(sample.encode('utf-8', 'surrogatepass'))}"


def _mapping(text: str) -> PathMapping:
    there, equals, here = text.partition("=")
    if not equals or not there.strip() or not here.strip():
        err.print("--map wants SERVER=LOCAL, such as --map /media=/mnt/films")
        raise typer.Exit(2)
    return PathMapping(server=there.strip(), local=os.fsencode(Path(here.strip()).absolute()))
