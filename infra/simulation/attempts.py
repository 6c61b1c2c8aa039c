"""What the loops of the coordinator ask the view of open attempts."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from bus.timekeeper import Overdue
from domain.leases import Attempt, DelayedKind, WorkKind
from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import Timeout
from infra.simulation.database import Database
from infra.simulation.store import SimulatedStore
from projections.attempts import ATTEMPTS, AttemptRow
from projections.view import Key


class SimulatedAttempts:
    """The open attempts, as the lease keeper and the owed work ask for them."""

    def __init__(self, store: SimulatedStore, database: Database) -> None:
        self._store = store
        self._database = database

    async def started(self, *, before: datetime) -> Sequence[Attempt]:
        """Return those that agents started before a time."""
        await self._store.call()
        rows = [row for row in self._rows() if row.state == "started" and row.since < before]
        return [_attempt(row) for row in rows]

    async def recorded(self) -> int:
        """Return the position of the last event."""
        await self._store.call()
        return self._database.head

    async def followed(self) -> int:
        """Return the position up to which the log has been followed."""
        return await self._store.position_of(ATTEMPTS.follower)

    async def published(self) -> int:
        """Return the position up to which the log has been published."""
        return await self._store.position_of("relay")

    async def late(self, *, before: datetime, published: int) -> Mapping[WorkKind, int]:
        """Return how many attempts of each kind were due before a time, and published."""
        await self._store.call()
        kinds = Counter(_attempt(row).kind for row in self._late(before, published))
        return dict(sorted(kinds.items()))

    async def waiting(
        self, kind: WorkKind, *, after: datetime, before: datetime, beyond: int, published: int
    ) -> Sequence[Attempt]:
        """Return the next of a kind that were due between two times, beyond a position."""
        await self._store.call()
        found = [_attempt(row) for row in self._late(before, published) if row.position > beyond]
        return [one for one in found if one.kind == kind and one.due >= after]

    async def delayed(
        self, *, after: datetime, beyond: int, published: int
    ) -> Mapping[DelayedKind, int]:
        """Return how many attempts are due only after a time, by their delay and kind of agents."""
        await self._store.call()
        rows = self._delayed(after, beyond, published)
        delays: Counter[DelayedKind] = Counter(
            (row.delay, row.role, row.agent_type) for row in rows
        )
        return dict(sorted(delays.items()))

    async def waiting_for(
        self, delay: int, *, after: datetime, beyond: int, published: int
    ) -> Sequence[Attempt]:
        """Return the next with a delay that are due only after a time, beyond a position."""
        await self._store.call()
        rows = self._delayed(after, beyond, published)
        return [_attempt(row) for row in rows if row.delay == delay]

    async def overdue(self, *, now: datetime, limit: int) -> Sequence[Overdue]:
        """Return the attempts whose timeout has struck, the longest overdue first."""
        await self._store.call()
        struck: list[tuple[datetime, AttemptRow, Timeout]] = [
            (row.due, row, row.timeout)
            for row in self._rows()
            if row.due is not None and row.timeout is not None and row.due <= now
        ]
        return [
            Overdue(
                run_id=row.run_id,
                task_id=row.task_id,
                epoch=row.epoch,
                agent_id=row.agent_id,
                timeout=timeout,
            )
            for _, row, timeout in sorted(struck, key=lambda one: one[0])[:limit]
        ]

    async def at(self, tasks: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Attempt]:
        """Return the open attempt at each task that has one."""
        await self._store.call()
        rows: Mapping[Key, AttemptRow] = self._database.rows.get(ATTEMPTS.follower, {})
        return {task: _attempt(rows[task]) for task in tasks if task in rows}

    async def unstarted(self, positions: Collection[int]) -> Collection[int]:
        """Return which of the attempts that were dispatched there have not begun."""
        await self._store.call()
        return {
            row.position
            for row in self._rows()
            if row.state == "dispatched" and row.position in positions
        }

    async def work_of(self, attempts: Sequence[Attempt]) -> Sequence[Recorded[Event]]:
        """Return the events that dispatched attempts."""
        await self._store.call()
        return [self._database.after(attempt.position - 1, 1)[0] for attempt in attempts]

    def _rows(self) -> Sequence[AttemptRow]:
        rows: Mapping[Key, AttemptRow] = self._database.rows.get(ATTEMPTS.follower, {})
        return sorted(rows.values(), key=lambda row: row.position)

    def _untaken(self, published: int) -> Sequence[AttemptRow]:
        return [
            row for row in self._rows() if row.state == "dispatched" and row.position <= published
        ]

    def _late(self, before: datetime, published: int) -> Sequence[AttemptRow]:
        return [row for row in self._untaken(published) if _due(row) < before]

    def _delayed(self, after: datetime, beyond: int, published: int) -> Sequence[AttemptRow]:
        return [
            row
            for row in self._untaken(published)
            if row.delay > 0 and row.position > beyond and _due(row) > after
        ]


def _due(row: AttemptRow) -> datetime:
    return row.since + timedelta(seconds=row.delay)


def _attempt(row: AttemptRow) -> Attempt:
    lease = None if row.lease_seconds is None else timedelta(seconds=row.lease_seconds)
    return Attempt(**{name: getattr(row, name) for name in _ATTEMPT}, lease=lease)


_ATTEMPT = (
    "run_id",
    "task_id",
    "epoch",
    "state",
    "since",
    "agent_id",
    "instance",
    "agent_type",
    "role",
    "lane",
    "delay",
    "position",
)
