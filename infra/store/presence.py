"""The table of what heartbeats said last."""

from collections.abc import Sequence
from datetime import datetime

from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from bus.signals import Heartbeat
from infra.store.pools import connection_of


class PresenceTable:
    """One row an agent, written over by each heartbeat."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def seen(self, heartbeats: Sequence[Heartbeat], at: datetime) -> None:
        """Keep the latest heartbeats."""
        rows = [
            {
                "agent_id": heartbeat.agent_id,
                "instance": heartbeat.instance,
                "lifecycle": heartbeat.lifecycle,
                "load": round(heartbeat.load, 3),
                "cpu": round(heartbeat.cpu, 3),
                "memory_bytes": heartbeat.memory_bytes,
                "tasks": Jsonb([task.model_dump(mode="json") for task in heartbeat.tasks]),
                "seen_at": at,
            }
            for heartbeat in heartbeats
        ]
        async with connection_of(self._pool) as connection, connection.cursor() as cursor:
            await cursor.executemany(
                "insert into presence values (%(agent_id)s, %(instance)s, %(lifecycle)s, %(load)s,"
                " %(cpu)s, %(memory_bytes)s, %(tasks)s, %(seen_at)s)"
                " on conflict (agent_id) do update set instance = excluded.instance,"
                " lifecycle = excluded.lifecycle, load = excluded.load, cpu = excluded.cpu,"
                " memory_bytes = excluded.memory_bytes, tasks = excluded.tasks,"
                " seen_at = excluded.seen_at",
                rows,
            )

    async def agents(self) -> Sequence[str]:
        """Return the ids of the agents that have not said goodbye."""
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute(
                "select agent_id from presence where lifecycle <> 'shutdown' order by agent_id"
            )
            return [str(row[0]) for row in await cursor.fetchall()]
