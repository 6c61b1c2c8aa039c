"""Who may be told live updates: the same callers as everywhere, asked again while they listen."""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import cast

from fastapi import Request
from starlette.requests import HTTPConnection

from api.access import May
from api.deps import Deps
from api.errors import ForeignOrigin, LiveUpdatesMissing
from api.live.ports import Live
from api.live.tickets import CREDENTIALS, TICKET, redeem
from api.origins import foreign
from domain.identity import Action, Caller, Permission


@dataclass(frozen=True, slots=True)
class Recheck:
    """Who was let in, and how to find out whether they still may."""

    caller: Caller
    again: Callable[[], Awaitable[Caller]]

    async def __call__(self) -> Caller:
        """Return the caller as they are now.

        Raises:
            Refused: They may not be told any more.
        """
        return await self.again()


def deps_behind(connection: HTTPConnection) -> Deps:
    """Return the ports of the app that a connection was made to."""
    return cast("Deps", connection.app.state.deps)


def live_of(ports: Deps) -> Live:
    """Return the parts of live updates.

    Raises:
        LiveUpdatesMissing: The app was made without them.
    """
    if ports.live is None:
        raise LiveUpdatesMissing
    return ports.live


async def admit(connection: HTTPConnection, permission: Permission | Action) -> Recheck:
    """Let in who may be told, and return how to find out whether they still may.

    Raises:
        Refused: They may not.
        ForeignOrigin: A page of somebody else's asks in their name.
    """
    ports = deps_behind(connection)
    live = live_of(ports)
    if origin := foreign(connection.headers, ports.origins):
        raise ForeignOrigin(origin)
    headers = list(connection.scope["headers"])
    if ticket := connection.query_params.get(TICKET):
        shown = await redeem(live.tickets, ticket, now=ports.clock.now())
        headers = [(name, value) for name, value in headers if name.decode() not in CREDENTIALS]
        headers += [(name.encode(), value.encode("latin-1")) for name, value in shown.items()]
    scope = {**connection.scope, "type": "http", "method": "GET", "headers": headers}

    async def again() -> Caller:
        request = Request(dict(scope))
        return await May(permission)(request, await ports.identity.identify(request))

    return Recheck(await again(), again)


def seat_for(connection: HTTPConnection, caller: Caller) -> ExitStack:
    """Let a caller follow one thing more, until what is returned is closed.

    Raises:
        TooManyFollowed: They follow as much as their role may.
    """
    ports = deps_behind(connection)
    return live_of(ports).seats.take(caller, ports.followed)
