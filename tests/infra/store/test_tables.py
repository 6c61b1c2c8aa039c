"""The tables beside the log: away while the database is, and safe from what agents send."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from psycopg_pool import AsyncConnectionPool

from bus.refusals import BadSchema
from bus.signals import Heartbeat, decode_heartbeat
from infra.store.attempts import OpenAttempts
from infra.store.dead_letters import DeadLetterTable
from infra.store.presence import PresenceTable
from infra.store.store import DatabaseUnavailable
from tests.support.memory_store import MemoryStore
from tests.support.proxy import Proxy, proxied

NOW = datetime(2026, 1, 20, 12, 0, tzinfo=UTC)


def heartbeat(**changes: object) -> Heartbeat:
    known: dict[str, object] = {
        "agent_id": "ann",
        "agent_type": "NOOP",
        "role": "execution",
        "instance": "1",
        "lifecycle": "ready",
        "load": 0.5,
        "at": NOW,
        "cpu": 0.1,
        "memory_bytes": 1,
    }
    return Heartbeat.model_validate(known | changes)


@pytest.fixture
async def cut_off(database: str) -> AsyncIterator[tuple[AsyncConnectionPool, Proxy]]:
    async with proxied(database) as (dsn, proxy):
        pool: AsyncConnectionPool = AsyncConnectionPool(dsn, timeout=1, open=False)
        async with pool:
            await pool.wait()
            proxy.swallows = lambda _: True
            yield pool, proxy


async def test_without_the_database_every_table_is_unavailable(
    cut_off: tuple[AsyncConnectionPool, Proxy],
) -> None:
    pool, _ = cut_off
    presence, letters = PresenceTable(pool), DeadLetterTable(pool)
    attempts = OpenAttempts(pool, MemoryStore())
    for question in (
        presence.seen([heartbeat()], NOW),
        presence.agents(),
        letters.count(),
        attempts.started(before=NOW),
        attempts.waiting_kinds(before=NOW),
    ):
        with pytest.raises(DatabaseUnavailable):
            await question


async def test_the_smallest_and_the_largest_heartbeat_can_be_kept(database: str) -> None:
    pool: AsyncConnectionPool = AsyncConnectionPool(database, open=False)
    async with pool:
        table = PresenceTable(pool)
        least = heartbeat(agent_id="a", load=1e-300, cpu=5e-324, memory_bytes=0)
        most = heartbeat(agent_id="b", load=1e6, cpu=1e6, memory_bytes=2**63 - 1)
        await table.seen([least, most], NOW)
        assert await table.agents() == ["a", "b"]


@pytest.mark.parametrize("what", ["load", "cpu"])
def test_a_heartbeat_that_no_table_could_keep_is_refused(what: str) -> None:
    said = heartbeat().model_dump_json().replace(f'"{what}":0.', f'"{what}":1e300,"x":0.')
    with pytest.raises(BadSchema, match=what):
        decode_heartbeat(said.encode())
