"""Reading views: one snapshot for each question, and the position that the answer reflects."""

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, Response

from api.deps import Deps, Ports
from api.errors import BadCursor, NotYetThere
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
        NotYetThere: They have not within five seconds.
    """
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        async with deps.views.connection(timeout=CONNECT) as connection:
            positions = await read_positions(connection, views)
        reached = min((positions.get(view.follower, 0) for view in views), default=0)
        if reached >= position:
            return
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


async def _reader(ports: Ports, response: Response, min_position: MinPosition = None) -> Reader:
    return Reader(ports=ports, response=response, min_position=min_position)


Reading = Annotated[Reader, Depends(_reader)]
"""A route opens its snapshot itself: a bad question must not cost a connection."""


def cursor_after(moment: datetime, name: str) -> str:
    """Return the cursor that continues after a row."""
    return base64.urlsafe_b64encode(f"{moment.isoformat()} {name}".encode()).decode().rstrip("=")


def parse_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """Return the row that a cursor continues after.

    Raises:
        BadCursor: We did not give it.
    """
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        moment, _, name = text.decode().partition(" ")
        parsed = datetime.fromisoformat(moment)
    except (ValueError, binascii.Error) as error:
        raise BadCursor from error
    if parsed.tzinfo is None or not name.isprintable() or "\x00" in name:
        raise BadCursor
    return parsed, name
