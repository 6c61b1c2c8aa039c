"""The open attempts, as the lease keeper asks for them."""

from collections.abc import Sequence
from datetime import datetime

from psycopg_pool import AsyncConnectionPool

from bus.ports import Log
from domain.leases import Attempt, WorkKind
from domain.policies import Event
from domain.recorded import Recorded
from infra.store.pools import connection_of
from projections.attempts import AttemptRow, list_attempts, list_waiting, list_waiting_kinds

AT_ONCE = 1_000
"""How much work of a kind is looked after in one go."""


class OpenAttempts:
    """Reads the view of attempts, and the log for the work they were given."""

    def __init__(self, pool: AsyncConnectionPool, events: Log) -> None:
        self._pool = pool
        self._log = events

    async def started(self, *, before: datetime) -> Sequence[Attempt]:
        """Return those that agents started before a time."""
        async with connection_of(self._pool) as connection:
            rows = await list_attempts(connection, state="started", before=before)
        return [_attempt(row) for row in rows]

    async def waiting_kinds(self, *, before: datetime) -> Sequence[WorkKind]:
        """Return the kinds of those that were dispatched before a time and not started."""
        async with connection_of(self._pool) as connection:
            return await list_waiting_kinds(connection, before=before)

    async def waiting(self, kind: WorkKind, *, before: datetime) -> Sequence[Attempt]:
        """Return the oldest of a kind that were dispatched before a time and not started."""
        async with connection_of(self._pool) as connection:
            rows = await list_waiting(connection, kind, before=before, limit=AT_ONCE)
        return [_attempt(row) for row in rows]

    async def work_of(self, attempts: Sequence[Attempt]) -> Sequence[Recorded[Event]]:
        """Return the events that dispatched attempts."""
        events: list[Recorded[Event]] = []
        for attempt in attempts:
            events += await self._log.read_all(after=attempt.position - 1, limit=1)
        return events


def _attempt(row: AttemptRow) -> Attempt:
    return Attempt(
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
