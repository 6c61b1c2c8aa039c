"""The table of tickets that nobody has shown yet."""

from datetime import datetime

from psycopg_pool import AsyncConnectionPool

from infra.store.pools import connection_of


class TicketTable:
    """One row a ticket: gone when it is used, and soon after it has expired."""

    def __init__(self, pool: AsyncConnectionPool, *, patience: float | None = None) -> None:
        self._pool = pool
        self._patience = patience

    async def keep(self, digest: bytes, sealed: bytes, *, until: datetime, now: datetime) -> None:
        """Keep something under a digest; what has expired by now may go."""
        async with connection_of(self._pool, patience=self._patience) as connection:
            await connection.execute("delete from tickets where expires_at <= %s", [now])
            await connection.execute(
                "insert into tickets (digest, sealed, expires_at) values (%s, %s, %s)",
                [digest, sealed, until],
            )

    async def take(self, digest: bytes, *, now: datetime) -> bytes | None:
        """Return what is kept under a digest, for the only time."""
        async with connection_of(self._pool, patience=self._patience) as connection:
            cursor = await connection.execute(
                "delete from tickets where digest = %s returning sealed, expires_at", [digest]
            )
            row = await cursor.fetchone()
        return bytes(row[0]) if row is not None and row[1] > now else None
