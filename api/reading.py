"""Reading views: one snapshot for each question, and the position that the answer reflects."""

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Query, Response

from api.deps import Deps, Ports
from api.errors import BadCursor, NotYetThere
from projections.positions import read_positions
from projections.table import Connection
from projections.view import AnyView

POSITION = "Taskloom-Position"
"""The header that tells the position an answer reflects."""

PATIENCE = 5.0
"""Seconds that a reader waits for a position at most."""

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
    async with deps.views.connection() as connection, connection.transaction():
        await connection.execute("set transaction isolation level repeatable read, read only")
        positions = await read_positions(connection, views)
        reached = min((positions.get(view.follower, 0) for view in views), default=0)
        yield Snapshot(connection=connection, position=reached)


async def wait_for(deps: Deps, position: int, *views: AnyView) -> None:
    """Wait until views have reached a position.

    Raises:
        NotYetThere: They have not within five seconds.
    """
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        async with deps.views.connection() as connection:
            positions = await read_positions(connection, views)
        reached = min((positions.get(view.follower, 0) for view in views), default=0)
        if reached >= position:
            return
        if asyncio.get_running_loop().time() >= deadline:
            raise NotYetThere(position, reached)
        await asyncio.sleep(_PAUSE)


def reading(*views: AnyView) -> Callable[..., AsyncIterator[Snapshot]]:
    """Return a dependency that gives a route a snapshot of the views it reads."""

    async def read(
        ports: Ports, response: Response, min_position: MinPosition = None
    ) -> AsyncIterator[Snapshot]:
        if min_position is not None:
            await wait_for(ports, min_position, *views)
        async with snapshot(ports, *views) as taken:
            response.headers[POSITION] = str(taken.position)
            yield taken

    return read


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
