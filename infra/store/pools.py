"""Connections from a pool, whose failures say what the receiver should do."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
from psycopg_pool import AsyncConnectionPool

from infra.store.store import DatabaseUnavailable

_STOOD_STILL = psycopg.errors.IdleInTransactionSessionTimeout
"""It was us who kept the database waiting, and for too long."""


@asynccontextmanager
async def connection_of(
    pool: AsyncConnectionPool, *, patience: float | None = None
) -> AsyncGenerator[psycopg.AsyncConnection]:
    """Take a connection for a while; wait for one as long as the pool says, or so many seconds.

    Raises:
        DatabaseUnavailable: There is none, or it was lost meanwhile.
    """
    try:
        async with pool.connection(timeout=patience) as connection:
            yield connection
    except (psycopg.OperationalError, psycopg.InterfaceError, _STOOD_STILL) as error:
        raise DatabaseUnavailable(error) from error
