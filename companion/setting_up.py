"""Setting a media server up from the page, step by step: address, sign in, then it is kept.

Steps live in memory for an hour: what is half done is not worth keeping, and a password is never
held at all.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from companion.errors import AuthFailed, CompanionError
from companion.servers import Candidate, Met, Servers
from companion.store.servers import Server
from connectors.base import Account, SignInCode, SignInWay

LASTS_S = 3600.0
MOST = 5  # steps at once; the oldest goes


@dataclass(slots=True)
class Step:
    """A server that was met and waits for somebody to sign in."""

    met: Met
    ways: tuple[SignInWay, ...]
    until: float
    code: SignInCode | None = None


class SettingUp:
    """One per daemon."""

    def __init__(self, servers: Servers, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._servers = servers
        self._clock = clock
        self._steps: dict[str, Step] = {}

    async def begin(self, candidate: Candidate) -> str:
        """Meet a server and return the id of the step. Raises what `Servers.find_out` raises."""
        met = await self._servers.find_out(candidate)
        ways = await met.connector.ways()
        now = self._clock()
        for key in [key for key, step in self._steps.items() if step.until <= now]:
            await self._steps.pop(key).met.connector.close()
        while len(self._steps) >= MOST:
            await self._steps.pop(next(iter(self._steps))).met.connector.close()
        key = secrets.token_urlsafe(16)
        self._steps[key] = Step(met=met, ways=ways, until=now + LASTS_S)
        return key

    def step(self, key: str) -> Step:
        """Raises CompanionError if there is no such step any more."""
        step = self._steps.get(key)
        if step is None or step.until <= self._clock():
            raise CompanionError("this set-up has taken too long: begin again with the address")
        return step

    async def by_password(self, key: str, name: str, password: str) -> Server:
        return await self._keep(key, await self.step(key).met.connector.by_password(name, password))

    async def by_token(self, key: str, token: str) -> Server:
        return await self._keep(key, await self.step(key).met.connector.by_token(token))

    async def start_code(self, key: str) -> SignInCode:
        step = self.step(key)
        step.code = await step.met.connector.start_code()
        return step.code

    async def by_code(self, key: str) -> Server | None:
        """Return the server once the code was typed, None until then."""
        step = self.step(key)
        if step.code is None:
            raise AuthFailed("there is no code yet: ask for one")
        account = await step.met.connector.by_code(step.code)
        return None if account is None else await self._keep(key, account)

    async def _keep(self, key: str, account: Account) -> Server:
        step = self.step(key)
        server = await self._servers.add(
            step.met.candidate,
            account,
            await step.met.connector.identity(),  # some say their name only now
            now_ms=int(time.time() * 1000),
        )
        self._steps.pop(key, None)
        await step.met.connector.close()
        return server

    async def close(self) -> None:
        steps, self._steps = list(self._steps.values()), {}
        for step in steps:
            await step.met.connector.close()
