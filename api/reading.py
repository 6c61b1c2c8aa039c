"""Reading views: one snapshot for each question, and the position that the answer reflects."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Response

from api.deps import Deps, Ports
from api.errors import MomentAhead, NotYetThere
from projections.positions import holding, read_positions
from projections.table import Connection
from projections.view import AnyView

POSITION = "Taskloom-Position"
"""The header that tells the position an answer reflects."""

VERSION = "Taskloom-Version"
"""The header that tells the version of the stream behind an answer; ``ETag`` begins with it."""

PATIENCE = 5.0
"""Seconds that a reader waits for a position at most."""

CONNECT = 1.0
"""Seconds that a reader waits for a connection: then the database counts as silent."""

_PAUSE = 0.02

MinPosition = Annotated[
    int | None,
    Query(ge=0, lt=2**63, description="Answer only from this position on; waits 5 s at most."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The views at one moment."""

    connection: Connection
    position: int
    """All events up to here are in it."""


@asynccontextmanager
async def snapshot(deps: Deps, *views: AnyView) -> AsyncGenerator[Snapshot]:
    """Hold views still: rows of all of them are as of one moment."""
    async with (
        deps.views.connection(timeout=CONNECT) as connection,
        holding(connection, views) as positions,
    ):
        reached = min((positions.get(view.follower, 0) for view in views), default=0)
        yield Snapshot(connection=connection, position=reached)


async def wait_for(deps: Deps, position: int, *views: AnyView) -> None:
    """Wait until views have reached a position.

    Raises:
        MomentAhead: The log itself has not reached it: no answer of ours can have told it.
        NotYetThere: They have not within five seconds.
    """
    is_recorded = False
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        async with deps.views.connection(timeout=CONNECT) as connection:
            positions = await read_positions(connection, views)
        reached = min((positions.get(view.follower, 0) for view in views), default=0)
        if reached >= position:
            return
        if not is_recorded and position > await deps.head():
            raise MomentAhead
        is_recorded = True
        if asyncio.get_running_loop().time() >= deadline:
            raise NotYetThere(position, reached)
        await asyncio.sleep(_PAUSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What reads views for one request."""

    ports: Deps
    response: Response
    min_position: int | None

    async def tell_version(self, stream: str) -> None:
        """Tell at which version the stream behind an answer is, as far as the answer reflects it.

        Where views lag, that is an earlier one: a command that relies on it is refused.
        """
        until = int(self.response.headers[POSITION])
        version = await self.ports.streams.version(stream, until=until)
        self.response.headers[VERSION] = str(version)

    @asynccontextmanager
    async def snapshot(self, *views: AnyView) -> AsyncGenerator[Snapshot]:
        """Hold views still, at the position that was asked for or a later one.

        Raises:
            NotYetThere: They did not reach it in time.
        """
        if self.min_position is not None:
            await wait_for(self.ports, self.min_position, *views)
        async with snapshot(self.ports, *views) as read:
            self.response.headers[POSITION] = str(read.position)
            yield read


async def reader(ports: Ports, response: Response, min_position: MinPosition = None) -> Reader:
    """Return what reads views for a request."""
    return Reader(ports=ports, response=response, min_position=min_position)


Reading = Annotated[Reader, Depends(reader)]
"""A route opens its snapshot itself: a bad question must not cost a connection."""
