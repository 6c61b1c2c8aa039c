"""Opens the record for verbs that only read."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from psycopg_pool import AsyncConnectionPool

from infra.cli.target import database
from infra.migrations import pending, upgrade
from infra.processes.parts import open_kek, open_pool
from infra.settings import Settings
from infra.store.store import PostgresStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The record, open."""

    dsn: str
    store: PostgresStore
    pool: AsyncConnectionPool


@asynccontextmanager
async def record(settings: Settings, *, dsn: str | None = None) -> AsyncGenerator[Record]:
    """Open the record, or the one at ``dsn``; a schema that nobody has made is made.

    Raises:
        Unavailable: There is none, or it does not answer.
    """
    if dsn is None:
        async with database(settings) as found, record(settings, dsn=found) as opened:
            yield opened
        return
    if pending(dsn):
        upgrade(dsn)
    named = settings.model_copy(update={"db": settings.db.model_copy(update={"dsn": dsn})})
    async with (
        PostgresStore(dsn, pool_max=2, kek=open_kek(settings)) as store,
        open_pool(named) as pool,
    ):
        yield Record(dsn=dsn, store=store, pool=pool)
