"""Views in PostgreSQL, as their runner moves them."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from domain.errors import Unavailable
from domain.policies import Event
from domain.recorded import Recorded
from projections.positions import advance, forgive, lock, prepare, read_positions, report_failure
from projections.table import Connection, Table
from projections.view import AnyView

_WORLD = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    PoolTimeout,
    OSError,
)
"""The fault of the world, not of a view or an event: the same may succeed later."""


class ViewsUnavailable(Unavailable):
    """The database of the views cannot be reached."""

    code = "database-unavailable"

    def __init__(self, error: BaseException) -> None:
        first_line = str(error).strip().partition("\n")[0] or type(error).__name__
        super().__init__(f"the database of the views does not answer: {first_line}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _PostgresTurn:
    connection: Connection
    tables: Mapping[str, Table[Any]]
    positions: Mapping[str, int]

    async def fold(self, view: AnyView, events: Sequence[Recorded[Event]]) -> None:
        await self.tables[view.follower].fold(self.connection, events)

    async def advance(self, views: Sequence[AnyView], *, to: int) -> None:
        await advance(self.connection, views, to=to)


class PostgresViews:
    """A table for each view, and their positions beside them."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool
        self._tables: dict[str, Table[Any]] = {}

    async def prepare(self, views: Sequence[AnyView]) -> None:
        """Create tables where they are missing, and forget why views have stopped."""
        async with self._connection() as connection:
            await prepare(connection, views)
            await forgive(connection, views)

    async def positions(self, views: Sequence[AnyView]) -> Mapping[str, int]:
        """Return the positions of views by their followers."""
        async with self._connection() as connection:
            return await read_positions(connection, views)

    @asynccontextmanager
    async def turn(self, views: Sequence[AnyView]) -> AsyncGenerator[_PostgresTurn]:
        """Begin a transaction that moves views; it is committed when the context ends well."""
        for view in views:
            if view.follower not in self._tables:
                self._tables[view.follower] = Table(view)
        async with self._connection() as connection, connection.transaction():
            positions = await lock(connection, views)
            yield _PostgresTurn(connection=connection, tables=self._tables, positions=positions)

    async def report_failure(
        self, views: Sequence[AnyView], *, position: int, type_: str, error: str
    ) -> None:
        """Make it visible that views have stopped before the event at a position."""
        async with self._connection() as connection:
            for view in views:
                await report_failure(connection, view, position=position, type_=type_, error=error)

    async def forgive(self, views: Sequence[AnyView]) -> None:
        """Forget why views have stopped."""
        async with self._connection() as connection:
            await forgive(connection, views)

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Connection]:
        try:
            async with self._pool.connection() as connection:
                yield connection
        except _WORLD as error:
            raise ViewsUnavailable(error) from error
