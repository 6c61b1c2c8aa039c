"""What is recorded of breakers and agents, as those who hold work back take it up."""

from collections.abc import Mapping, Sequence

from psycopg import sql
from psycopg_pool import AsyncConnectionPool

from bus.breakers import Kind
from domain.breaker import Breaker, breaker_stream
from infra.store.pools import connection_of
from infra.store.store import PostgresStore
from projections.agents import AGENTS
from projections.breakers import BREAKERS, list_breakers
from projections.positions import prepare


class BreakerRegistry:
    """Reads views for who there is, and the record for how each breaker is."""

    def __init__(self, pool: AsyncConnectionPool, store: PostgresStore) -> None:
        self._pool = pool
        self._store = store

    async def breakers(self) -> Sequence[Breaker]:
        """Return every breaker that was ever open; the view may lag, the record does not."""
        async with connection_of(self._pool) as connection:
            await prepare(connection, [BREAKERS])
            rows = await list_breakers(connection)
        states = [
            (await self._store.load(breaker_stream(row.role, row.agent_type)))[0] for row in rows
        ]
        return [state for state in states if isinstance(state, Breaker)]

    async def kinds(self) -> Mapping[str, Kind]:
        """Return the role and type of every registered agent, by its id."""
        async with connection_of(self._pool) as connection:
            await prepare(connection, [AGENTS])
            cursor = await connection.execute(
                sql.SQL("select agent_id, role, agent_type from {} where is_registered").format(
                    sql.Identifier("views", AGENTS.table)
                )
            )
            return {agent_id: (role, kind) for agent_id, role, kind in await cursor.fetchall()}
