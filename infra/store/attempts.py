"""The open attempts, as the lease keeper asks for them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from psycopg_pool import AsyncConnectionPool

from bus.timekeeper import Overdue
from domain.leases import Attempt, DelayedKind, WorkKind
from domain.policies import Event
from domain.recorded import Recorded
from infra.store.pools import connection_of
from infra.store.store import PostgresStore
from projections.attempts import (
    ATTEMPTS,
    AttemptRow,
    count_delayed,
    count_late,
    list_attempts,
    list_delayed,
    list_due,
    list_late,
    list_untaken,
    read_attempts,
)

AT_ONCE = 500
"""How much work of a kind is read at a time, with the inputs it was given."""


class OpenAttempts:
    """Reads the view of attempts, and the log for the work they were given."""

    def __init__(self, pool: AsyncConnectionPool, store: PostgresStore) -> None:
        self._pool = pool
        self._store = store

    async def started(self, *, before: datetime) -> Sequence[Attempt]:
        """Return those that agents started before a time."""
        async with connection_of(self._pool) as connection:
            rows = await list_attempts(connection, state="started", before=before)
        return [_attempt(row) for row in rows]

    async def recorded(self) -> int:
        """Return the position of the last event."""
        return await self._store.head()

    async def followed(self) -> int:
        """Return the position up to which the log has been followed."""
        return await self._store.position_of(ATTEMPTS.follower)

    async def published(self) -> int:
        """Return the position up to which the log has been published."""
        return await self._store.position_of("relay")

    async def late(self, *, before: datetime, published: int) -> Mapping[WorkKind, int]:
        """Return how many attempts of each kind were due before a time, and published."""
        async with connection_of(self._pool) as connection:
            return await count_late(connection, before=before, published=published)

    async def waiting(
        self, kind: WorkKind, *, after: datetime, before: datetime, beyond: int, published: int
    ) -> Sequence[Attempt]:
        """Return the next of a kind that were due between two times, beyond a position."""
        async with connection_of(self._pool) as connection:
            rows = await list_late(
                connection,
                kind,
                after=after,
                before=before,
                beyond=beyond,
                published=published,
                limit=AT_ONCE,
            )
        return [_attempt(row) for row in rows]

    async def delayed(
        self, *, after: datetime, beyond: int, published: int
    ) -> Mapping[DelayedKind, int]:
        """Return how many attempts are due only after a time, by their delay and kind of agents."""
        async with connection_of(self._pool) as connection:
            return await count_delayed(connection, after=after, beyond=beyond, published=published)

    async def waiting_for(
        self, delay: int, *, after: datetime, beyond: int, published: int
    ) -> Sequence[Attempt]:
        """Return the next with a delay that are due only after a time, beyond a position."""
        async with connection_of(self._pool) as connection:
            rows = await list_delayed(
                connection,
                delay,
                after=after,
                beyond=beyond,
                published=published,
                limit=AT_ONCE,
            )
        return [_attempt(row) for row in rows]

    async def overdue(self, *, now: datetime, limit: int) -> Sequence[Overdue]:
        """Return the attempts whose timeout has struck, the longest overdue first."""
        async with connection_of(self._pool) as connection:
            rows = await list_due(connection, now=now, limit=limit)
        return [
            Overdue(
                run_id=row.run_id,
                task_id=row.task_id,
                epoch=row.epoch,
                agent_id=row.agent_id,
                timeout=row.timeout,
            )
            for row in rows
            if row.timeout is not None
        ]

    async def at(self, tasks: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Attempt]:
        """Return the open attempt at each task that has one."""
        async with connection_of(self._pool) as connection:
            rows = await read_attempts(connection, tasks)
        return {(row.run_id, row.task_id): _attempt(row) for row in rows}

    async def unstarted(self, positions: Collection[int]) -> Collection[int]:
        """Return which of the attempts that were dispatched there have not begun."""
        async with connection_of(self._pool) as connection:
            return await list_untaken(connection, positions)

    async def work_of(self, attempts: Sequence[Attempt]) -> Sequence[Recorded[Event]]:
        """Return the events that dispatched attempts."""
        return await self._store.read_at([attempt.position for attempt in attempts])


def _attempt(row: AttemptRow) -> Attempt:
    return Attempt(
        run_id=row.run_id,
        task_id=row.task_id,
        epoch=row.epoch,
        state=row.state,
        since=row.since,
        agent_id=row.agent_id,
        instance=row.instance,
        agent_type=row.agent_type,
        role=row.role,
        lane=row.lane,
        delay=row.delay,
        position=row.position,
        lease=None if row.lease_seconds is None else timedelta(seconds=row.lease_seconds),
    )
