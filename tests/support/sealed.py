"""A log with several streams and gaps between positions, sealed in several seals."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from psycopg_pool import AsyncConnectionPool

from infra.audit.checkpoints import CheckpointFile
from infra.audit.sealing import Sealer
from infra.store.store import PostgresStore
from tests.support.recorders import SteppedClock
from tests.support.recording import a_life


@asynccontextmanager
async def sealer(
    database: str, folder: Path, *, every: int = 1_000, seconds: float = 60.0
) -> AsyncGenerator[tuple[Sealer, SteppedClock]]:
    """Open a sealer whose checkpoints and key are in a folder."""
    clock = SteppedClock()
    checkpoints = CheckpointFile(folder / "checkpoints.jsonl", folder / "signing.key")
    async with AsyncConnectionPool(database, kwargs={"autocommit": True}, open=False) as pool:
        made = Sealer(pool, checkpoints=checkpoints, clock=clock, every=every, seconds=seconds)
        yield made, clock


async def a_sealed_log(database: str, folder: Path, *, seals: int = 6, streams: int = 5) -> None:
    """Append events of several streams, with gaps, and seal them in so many seals."""
    async with PostgresStore(database) as store, sealer(database, folder, every=1) as (made, _):
        for number in range(seals):
            for turn in range(1, 6):
                version = number * 5 + turn
                await store.append(
                    [event for one in range(streams) for event in a_life(f"ann{one}", [version])]
                )
                if turn % 2:
                    skip_a_position(database)
            await made.seal()
            await made.testify()


def skip_a_position(database: str) -> None:
    """Draw a position that no event gets, as an append does that fails."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("select nextval(pg_get_serial_sequence('events', 'notification_id'))")
