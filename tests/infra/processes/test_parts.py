"""The parts that processes are made of."""

import asyncio

import pytest
from psycopg_pool import AsyncConnectionPool

from infra.processes.parts import open_pool
from infra.settings import Settings
from infra.store.pools import connection_of
from infra.store.store import DatabaseUnavailable


async def stand_still(pool: AsyncConnectionPool) -> None:
    """Keep a lock in a transaction until somebody else has it, and then go on."""
    async with connection_of(pool) as still, still.transaction():
        await still.execute("select pg_advisory_xact_lock(7)")
        async with pool.connection() as other, asyncio.timeout(60):
            await other.execute("select pg_advisory_lock(7)")
        await still.execute("select 1")


async def test_who_stands_still_in_a_transaction_does_not_keep_others_waiting(
    database: str,
) -> None:
    async with open_pool(Settings.model_validate({"db": {"dsn": database}})) as pool:
        with pytest.raises(DatabaseUnavailable):
            await stand_still(pool)
        async with connection_of(pool) as connection:
            await connection.execute("select 1")
