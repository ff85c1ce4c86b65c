"""The media servers of this installation: configured, connected, changed and removed.

    servers = Servers(store, vault)
    server = await servers.add(Candidate(kind="jellyfin", url="http://nas:8096"), account)
    connector = await servers.connector(server.id)

A connector lives as long as its server is configured the same way. Tokens are opened here and go
nowhere else.
"""

import asyncio
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit, urlunsplit

import apsw

from companion.errors import CompanionError, ServerUnavailable
from companion.model import ListedLibrary
from companion.store import servers as rows, settings
from companion.store.db import Store
from companion.store.servers import Server
from companion.vault import Vault
from connectors import base
from connectors.base import Account, Connector, MediaServer, Right, ServerIdentity, Setup
from connectors.mapping import PathMapping, Proposal, propose, to_local

INSTALLATION = "servers.installation"  # by which servers recognise us
FOLDER = "folder"  # the kind of connector that is no server
LONGEST_URL = 500
SAMPLES = 300  # paths of a server that a mapping is proposed from
LOOKED_AT = 50_000  # names here that a proposal looks at

Make = Callable[[str, Setup], Connector]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A server that is being set up. url: as somebody typed it. authority: a certificate file."""

    url: str
    kind: str = ""
    public_url: str = ""
    authority: str = ""


def _load(kind: str, setup: Setup) -> Connector:
    return base.load(kind)(setup)


class Servers:
    """One per daemon."""

    def __init__(self, store: Store, vault: Vault, *, make: Make = _load) -> None:
        self._store = store
        self._vault = vault
        self._make = make
        self._open: dict[int, tuple[Server, MediaServer]] = {}
        self._turn = asyncio.Lock()
        self._installation = ""
        self.changed: Callable[[], None] = lambda: None  # told when a server came, went or moved

    # --- which there are -------------------------------------------------------------------------

    async def all(self) -> list[Server]:
        return await self._store.read(rows.servers)

    async def named(self, name: str) -> Server:
        """Return a server by its name. Raises CompanionError with the names there are."""
        found = await self._store.read(rows.server, name)
        if found is None:
            known = ", ".join(each.name for each in await self.all()) or "none yet"
            raise CompanionError(f"there is no server named {name!r}; known: {known}")
        return found

    async def connector(self, server_id: int) -> MediaServer:
        """Return the connector of a server.

        Raises ServerUnavailable if the server has been removed, AuthFailed if its token cannot be
        read any more.
        """
        async with self._turn:
            server = await self._store.read(rows.server_by_id, server_id)
            if server is None:
                raise ServerUnavailable("this server is not configured any more")
            kept = self._open.get(server_id)
            if kept is not None and kept[0] == server:
                return kept[1]
            if kept is not None:
                await self._open.pop(server_id)[1].close()
            made = await self._connect(server)
            self._open[server_id] = (server, made)
            return made

    async def token(self, server_id: int) -> str:
        """Return the daemon's own token, "" if it has none."""
        server = await self._store.read(rows.server_by_id, server_id)
        return "" if server is None else await self._token(server)

    async def _token(self, server: Server) -> str:
        if server.sealed is None:
            return ""
        return await asyncio.to_thread(self._vault.open, server.sealed, of=server.owns)

    async def _connect(self, server: Server) -> MediaServer:
        token = await self._token(server)
        return self._server(
            server.kind,
            Setup(
                name=server.name,
                url=server.url,
                installation=await self._known_as(),
                public_url=server.public_url,
                token=token,
                mappings=_mappings(server),
                libraries=server.libraries,
                authority=Path(server.authority) if server.authority else None,
            ),
        )

    def _server(self, kind: str, setup: Setup) -> MediaServer:
        # The table of connectors is typed as what a folder needs; those of servers are more.
        return cast(MediaServer, self._make(kind, setup))

    async def _known_as(self) -> str:
        if not self._installation:
            self._installation = await self._store.write(_installation, secrets.token_hex(16))
        return self._installation

    async def libraries(self, server: Server) -> tuple[ListedLibrary, ...]:
        """Return every library of a server, also those that are left out."""
        everything = await self._connect(replace(server, libraries=()))
        try:
            return await everything.libraries()
        finally:
            await everything.close()

    # --- setting one up --------------------------------------------------------------------------

    async def meet(self, candidate: Candidate) -> MediaServer:
        """Return a connector without a token, to sign in with. The caller closes it.

        Raises CompanionError if the kind or the address cannot be one.
        """
        if candidate.kind not in base.CONNECTORS or candidate.kind == FOLDER:
            known = " or ".join(kind for kind in base.CONNECTORS if kind != FOLDER)
            raise CompanionError(f"there is no kind of server called {candidate.kind!r}: {known}")
        return self._server(
            candidate.kind,
            Setup(
                name=candidate.kind.title(),
                url=address(candidate.url),
                installation=await self._known_as(),
                public_url=address(candidate.public_url) if candidate.public_url else "",
                authority=Path(candidate.authority) if candidate.authority else None,
            ),
        )

    async def find_out(self, candidate: Candidate) -> "Met":
        """Return what answers at an address; without a kind every kind is tried. The caller closes
        the connector. Raises ServerUnavailable, in words, if nothing known answers."""
        kinds = [candidate.kind] if candidate.kind else [k for k in base.CONNECTORS if k != FOLDER]
        refused: list[str] = []
        for kind in kinds:
            tried = replace(candidate, kind=kind)
            connector = await self.meet(tried)
            try:
                return Met(
                    candidate=tried, connector=connector, identity=await connector.identity()
                )
            except ServerUnavailable as error:
                await connector.close()
                refused.append(str(error))
            except BaseException:
                await connector.close()
                raise
        raise ServerUnavailable("; ".join(refused))

    async def add(
        self,
        candidate: Candidate,
        account: Account,
        identity: ServerIdentity,
        *,
        name: str = "",
        now_ms: int,
    ) -> Server:
        """Keep a server with the account that the daemon uses there.

        name: what people call it; default: what it calls itself. A server that is known already,
        at whatever address, keeps its name, mappings and choice of libraries.
        """
        known = await self._store.read(rows.server_by_identity, identity.id)
        server = known or Server(
            id=0,
            kind=candidate.kind,
            name=await self._free_name(name or identity.name or candidate.kind.title()),
            url="",
            identity=identity.id,
        )
        sealed = await asyncio.to_thread(self._vault.seal, account.token, of=server.owns)
        server = replace(
            server,
            url=address(candidate.url),
            public_url=address(candidate.public_url) if candidate.public_url else "",
            version=identity.version,
            account_id=account.external_id,
            account_name=account.name,
            authority=candidate.authority,
            sealed=sealed,
        )
        if known is None:
            server = replace(
                server, id=await self._store.write(rows.add_server, server, now_ms=now_ms)
            )
        else:
            await self._store.write(rows.change_server, server)
        self.changed()
        return server

    async def _free_name(self, wanted: str) -> str:
        name = " ".join(wanted.split())[:60] or "Server"
        taken = {each.name.lower() for each in await self.all()} | {"folders", "folder"}
        number = 2
        free = name
        while free.lower() in taken:
            free = f"{name} {number}"
            number += 1
        return free

    async def choose(self, server: Server, libraries: Sequence[str]) -> Server:
        """Keep which libraries are to be listed, by external id; none: all."""
        return await self._change(replace(server, libraries=tuple(libraries)))

    async def map_paths(self, server: Server, mappings: Sequence[PathMapping]) -> Server:
        """Keep where the server's folders lie here."""
        pairs = tuple((each.server, each.local) for each in mappings)
        return await self._change(replace(server, mappings=pairs))

    async def _change(self, server: Server) -> Server:
        await self._store.write(rows.change_server, server)
        self.changed()
        return server

    async def remove(self, server: Server, *, now_ms: int) -> None:
        """Forget a server and who signed in through it. What was found in its films stays."""
        async with self._turn:
            kept = self._open.pop(server.id, None)
        if kept is not None:
            await kept[1].close()
        await self._store.write(rows.remove_server, server.id, now_ms=now_ms)
        self.changed()

    # --- what can be told about one --------------------------------------------------------------

    async def rights(self, server: Server) -> tuple[Right, ...]:
        """Try what the daemon's account may do there."""
        return await (await self.connector(server.id)).rights()

    async def paths(self, server: Server, folders: Sequence[Path]) -> "Paths":
        """Look how the server's paths can be found here, below `folders`."""
        samples = (await (await self.connector(server.id)).sample_paths())[:SAMPLES]
        mappings = _mappings(server)
        here = await asyncio.to_thread(_below, folders)
        return Paths(
            mappings=mappings,
            checked=await asyncio.to_thread(_checked, samples, mappings),
            proposals=await asyncio.to_thread(propose, samples, here),
        )

    async def close(self) -> None:
        """Let go of every connection. May be called twice."""
        async with self._turn:
            kept, self._open = list(self._open.values()), {}
        for _, connector in kept:
            await connector.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """A server that answers. The connector has no token yet."""

    candidate: Candidate
    connector: MediaServer
    identity: ServerIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """mappings: in use. checked: paths as the server spells them, and where each lies here, None if
    it does not. proposals: better mappings, best first."""

    mappings: tuple[PathMapping, ...]
    checked: tuple[tuple[str, bytes | None], ...]
    proposals: tuple[Proposal, ...]

    @property
    def samples(self) -> tuple[str, ...]:
        return tuple(sample for sample, _ in self.checked)


def address(typed: str) -> str:
    """Return an address as it is kept: with http:// if nothing is said, no slash at the end.

    Raises CompanionError if it cannot be one, or carries a name, a password or a query: what is
    secret does not belong into an address.
    """
    text = typed.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError:
        raise _no_address(typed) from None
    host = parts.hostname or ""
    plain = text.isprintable() and not any(letter.isspace() or letter == "\\" for letter in text)
    if parts.scheme not in {"http", "https"} or not host or not plain or len(text) > LONGEST_URL:
        raise _no_address(typed)
    if parts.username is not None or parts.query or parts.fragment:
        raise CompanionError(
            "the address of a server is its name and port alone, such as http://nas:8096: leave "
            "names, passwords, and what follows ? or # out"
        )
    place = f"[{host}]" if ":" in host else host
    netloc = place if port is None else f"{place}:{port}"
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))


def _no_address(typed: str) -> CompanionError:
    shown = typed.strip()[:80].encode("unicode_escape").decode()
    if "@" in shown:
        shown = "…"  # what stands before an @ may be a password
    return CompanionError(f"{shown!r} is no address of a server; expected one like http://nas:8096")


def _mappings(server: Server) -> tuple[PathMapping, ...]:
    return tuple(PathMapping(server=there, local=here) for there, here in server.mappings)


def _installation(connection: apsw.Connection, new: str) -> str:
    known = settings.get(connection, INSTALLATION, str, "")
    if not known:
        settings.put(connection, INSTALLATION, new)
    return known or new


def _checked(
    samples: Sequence[str], mappings: Sequence[PathMapping]
) -> tuple[tuple[str, bytes | None], ...]:
    """Look which paths of a server lie where the mappings say."""
    found = ((sample, to_local(sample, mappings)) for sample in samples)
    return tuple(
        (sample, here if here and Path(os.fsdecode(here)).is_file() else None)
        for sample, here in found
    )


def _below(folders: Sequence[Path]) -> list[bytes]:
    """Return the files below some folders, at most LOOKED_AT; hidden ones are left out."""
    found: list[bytes] = []
    waiting = [os.fsencode(folder) for folder in folders]
    while waiting and len(found) < LOOKED_AT:
        waiting += _look_into(waiting.pop(0), found)
    return found[:LOOKED_AT]


def _look_into(folder: bytes, found: list[bytes]) -> list[bytes]:
    """Add the files of a folder and return the folders in it. What cannot be read is empty."""
    below = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(b"."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                elif len(found) < LOOKED_AT:
                    found.append(entry.path)
    except OSError:
        return below
    return below
