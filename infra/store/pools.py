"""Connections from a pool, whose failures say what the receiver should do."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
from psycopg_pool import AsyncConnectionPool

from infra.store.store import DatabaseUnavailable


@asynccontextmanager
async def connection_of(pool: AsyncConnectionPool) -> AsyncGenerator[psycopg.AsyncConnection]:
    """Take a connection for a while.

    Raises:
        DatabaseUnavailable: There is none, or it was lost meanwhile.
    """
    try:
        async with pool.connection() as connection:
            yield connection
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnavailable(error) from error
