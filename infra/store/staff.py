"""Who is there to carry out work, as the views say it."""

from collections.abc import Sequence
from datetime import timedelta

from psycopg_pool import AsyncConnectionPool

from bus.replanning import Missed
from domain.replanning import Available
from infra.store.pools import connection_of
from projections.staff import read_available, read_missed


class StaffTable:
    """Reads the views of agents and of attempts."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def available(self) -> Available:
        """Return the types of agents that are there for execution, with their actions."""
        async with connection_of(self._pool) as connection:
            return await read_available(connection)

    async def missed(self, *, patience: timedelta) -> Sequence[Missed]:
        """Return the runs with work that has waited so long, and of whose type nobody is there."""
        async with connection_of(self._pool) as connection:
            return await read_missed(connection, patience=patience)
