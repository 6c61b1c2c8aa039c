"""The open attempts, as the lease keeper asks for them."""

from collections.abc import Sequence
from datetime import datetime

from psycopg_pool import AsyncConnectionPool

from bus.ports import Log
from domain.leases import Attempt
from domain.policies import Event
from domain.recorded import Recorded
from projections.attempts import list_attempts


class OpenAttempts:
    """Reads the view of attempts, and the log for the work they were given."""

    def __init__(self, pool: AsyncConnectionPool, events: Log) -> None:
        self._pool = pool
        self._log = events

    async def unfinished(self, *, before: datetime) -> Sequence[Attempt]:
        """Return those that were dispatched or started before a time."""
        async with self._pool.connection() as connection:
            rows = await list_attempts(connection, before=before)
        return [
            Attempt(
                run_id=row.run_id,
                task_id=row.task_id,
                epoch=row.epoch,
                state=row.state,
                since=row.since,
                agent_id=row.agent_id,
                agent_type=row.agent_type,
                role=row.role,
                lane=row.lane,
                delay=row.delay,
                position=row.position,
            )
            for row in rows
        ]

    async def dispatched(self, attempts: Sequence[Attempt]) -> Sequence[Recorded[Event]]:
        """Return the events that dispatched attempts."""
        events: list[Recorded[Event]] = []
        for attempt in attempts:
            events += await self._log.read_all(after=attempt.position - 1, limit=1)
        return events
