"""Latency at a steady rate: from the commit that dispatches a task to the commit of its result."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg

from bus.ports import SystemClock
from bus.recorder import Recorder
from domain.recorded import Report
from domain.run_events import RunRequested
from infra.store.store import PostgresStore
from tests.bench.ours import independent


async def measure(dsn: str, *, rate: int, seconds: int) -> Sequence[float]:
    """Offer runs of one task each, open-loop; return their latencies in milliseconds, sorted."""
    async with PostgresStore(dsn) as store:
        recorder = Recorder(store, SystemClock())
        recording = asyncio.create_task(recorder.run())
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for number in range(rate * seconds):
            await asyncio.sleep(max(0.0, begin + number / rate - loop.time()))
            name = f"exec_latency-{number}"
            recorder.record_all(
                [
                    Report(
                        id=name,
                        stream=name,
                        body=RunRequested(run_id=name, tasks=independent(1)),
                        said_at=datetime.now(UTC),
                        actor="bench",
                        correlation_id=name,
                    )
                ]
            )
        await asyncio.sleep(3)
        recording.cancel()
    query = (
        "select extract(epoch from max((event->'meta'->>'at')::timestamptz)"
        " - min((event->'meta'->>'at')::timestamptz)) * 1000"
        " from (select originator_id, topic, convert_from(state, 'utf8')::jsonb as event"
        " from events where originator_id like 'exec_latency-%' and topic in ('task.dispatched',"
        " 'task.completed')) as ends group by originator_id having count(*) = 2"
    )
    with psycopg.connect(dsn) as connection:
        return sorted(float(row[0]) for row in connection.execute(query.encode()).fetchall())
