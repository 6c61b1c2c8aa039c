"""Agents: who has registered, how each one is, and what it has done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Literal

from psycopg.rows import class_row

from domain.agent import (
    AgentDeregistered,
    AgentRegistered,
    AgentStatus,
    Health,
    Lifecycle,
)
from domain.changed import changed
from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import ReportIgnored, TaskCompleted, TaskFailed, TaskLost, TaskStarted
from domain.values import JsonObject, Role
from projections.presence import Presence, read_presence
from projections.table import Connection
from projections.view import Key, View

Status = Literal["active", "inactive", "failed"]

MOST_OPEN = 100
"""How many open attempts of an agent are remembered beyond its capacity."""


@dataclass(frozen=True, kw_only=True)
class AgentRow:
    """One agent, as far as the record knows it; what its heartbeats say is its presence."""

    agent_id: str
    agent_type: str
    role: Role
    capabilities: Sequence[str]
    max_concurrent_tasks: int
    max_queue_size: int
    metadata: JsonObject
    instance: str
    """Which start of the agent registered last."""

    is_registered: bool = True
    lifecycle: Lifecycle = "ready"
    health: Health = "healthy"
    reason: str = ""
    first_registered_at: datetime
    registered_at: datetime
    """When its present start introduced itself: its uptime counts from here."""

    updated_at: datetime
    deregistered_at: datetime | None = None
    tasks_completed: int = 0
    tasks_failed: int = 0
    tasks_lost: int = 0
    completed_seconds: float = 0.0
    """How long its completed attempts took, together."""

    busy_seconds: float = 0.0
    """How long all its ended attempts took, together."""

    open: Mapping[str, str]
    """Its attempts that have not ended → when each began, ISO 8601."""

    position: int
    """The last event that touched it."""


def keys(recorded: Recorded[Event]) -> Sequence[Key]:
    """Return the agent an event speaks of."""
    return ((getattr(recorded.event, "agent_id"),),)  # noqa: B009 # of all that are heard


def fold(
    rows: Mapping[Key, AgentRow], recorded: Recorded[Event]
) -> Iterable[tuple[Key, AgentRow | None]]:
    """Return the agent's row after one more event."""
    event, at, position = recorded.event, recorded.at, recorded.position
    if isinstance(event, AgentRegistered):
        key: Key = (event.agent_id,)
        yield key, _registered(rows.get(key), event, recorded)
        return
    key = keys(recorded)[0]
    row = rows.get(key)
    if row is None:  # it works without having introduced itself
        return
    match event:
        case AgentStatus(lifecycle=lifecycle, health=health, reason=reason):
            yield (
                key,
                changed(
                    row,
                    lifecycle=lifecycle,
                    health=health,
                    reason=reason,
                    updated_at=at,
                    position=position,
                ),
            )
        case AgentDeregistered(reason=reason):
            yield (
                key,
                changed(
                    row,
                    is_registered=False,
                    lifecycle="shutdown",
                    health="offline",
                    reason=reason,
                    updated_at=at,
                    deregistered_at=at,
                    position=position,
                ),
            )
        case TaskStarted():
            yield key, _begun(row, event, at, position)
        case TaskCompleted() | TaskFailed() | TaskLost() | ReportIgnored():
            yield key, _ended(row, event, at, position)
        case _:
            return


def _registered(
    row: AgentRow | None, event: AgentRegistered, recorded: Recorded[Event]
) -> AgentRow:
    is_same_start = row is not None and row.instance == event.instance
    return AgentRow(
        agent_id=event.agent_id,
        agent_type=event.agent_type,
        role=event.role,
        capabilities=event.capabilities,
        max_concurrent_tasks=event.capacity.max_concurrent_tasks,
        max_queue_size=event.capacity.max_queue_size,
        metadata=event.metadata,
        instance=event.instance,
        first_registered_at=row.first_registered_at if row else recorded.at,
        registered_at=row.registered_at if row and is_same_start else recorded.at,
        updated_at=recorded.at,
        tasks_completed=row.tasks_completed if row else 0,
        tasks_failed=row.tasks_failed if row else 0,
        tasks_lost=row.tasks_lost if row else 0,
        completed_seconds=row.completed_seconds if row else 0.0,
        busy_seconds=row.busy_seconds if row else 0.0,
        # Another start does not hold what the one before it held.
        open=row.open if row and is_same_start else {},
        position=recorded.position,
    )


def _attempt(event: TaskStarted | TaskCompleted | TaskFailed | TaskLost | ReportIgnored) -> str:
    return f"{event.run_id}/{event.task_id}/{event.epoch}"


def _begun(row: AgentRow, event: TaskStarted, at: datetime, position: int) -> AgentRow:
    attempts = {**row.open, _attempt(event): at.isoformat()}
    # A cancelled attempt has no last word of its agent: it must not be remembered for ever.
    excess = len(attempts) - row.max_concurrent_tasks - MOST_OPEN
    for oldest in list(islice(attempts, max(excess, 0))):
        del attempts[oldest]
    return changed(row, open=attempts, updated_at=at, position=position)


def _ended(
    row: AgentRow,
    event: TaskCompleted | TaskFailed | TaskLost | ReportIgnored,
    at: datetime,
    position: int,
) -> AgentRow:
    attempts = dict(row.open)
    began = attempts.pop(_attempt(event), None)
    seconds = 0.0 if began is None else (at - datetime.fromisoformat(began)).total_seconds()
    is_completed = isinstance(event, TaskCompleted)
    return changed(
        row,
        open=attempts,
        tasks_completed=row.tasks_completed + is_completed,
        tasks_failed=row.tasks_failed + isinstance(event, TaskFailed),
        tasks_lost=row.tasks_lost + isinstance(event, TaskLost),
        completed_seconds=row.completed_seconds + (seconds if is_completed else 0.0),
        busy_seconds=row.busy_seconds + max(seconds, 0.0),
        updated_at=at,
        position=position,
    )


AGENTS = View(
    name="agents",
    version=1,
    row=AgentRow,
    key=("agent_id",),
    columns="""
        agent_id text collate "C", agent_type text not null, role text not null,
        capabilities text[] not null, max_concurrent_tasks int not null,
        max_queue_size int not null, metadata jsonb not null, instance text not null,
        is_registered boolean not null, lifecycle text not null, health text not null,
        reason text not null, first_registered_at timestamptz not null,
        registered_at timestamptz not null, updated_at timestamptz not null,
        deregistered_at timestamptz, tasks_completed int not null, tasks_failed int not null,
        tasks_lost int not null, completed_seconds double precision not null,
        busy_seconds double precision not null, open jsonb not null, position bigint not null
    """,
    hears=frozenset(
        {
            AgentRegistered,
            AgentStatus,
            AgentDeregistered,
            TaskStarted,
            TaskCompleted,
            TaskFailed,
            TaskLost,
            ReportIgnored,
        }
    ),
    keys=keys,
    fold=fold,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """An agent, and its last heartbeat where there was one."""

    row: AgentRow
    presence: Presence | None

    @property
    def status(self) -> Status:
        """What it comes down to: failed where it should be there and is not."""
        if not self.row.is_registered or self.row.lifecycle == "shutdown":
            return "inactive"
        if self.row.health in ("unhealthy", "offline") or self.row.lifecycle == "recovering":
            return "failed"
        return "active"


async def read_agent(connection: Connection, agent_id: str) -> Present | None:
    """Return one agent, or None where none registered with this id."""
    async with connection.cursor(row_factory=class_row(AgentRow)) as cursor:
        await cursor.execute("select * from views.agents_1 where agent_id = %s", [agent_id])
        row = await cursor.fetchone()
    if row is None:
        return None
    return _present([row], await read_presence(connection, [agent_id]))[0]


def without_heartbeat(row: AgentRow) -> Present:
    """Return an agent of whose heartbeats nothing is known: they are not recorded."""
    return Present(row=row, presence=None)


async def list_agents(
    connection: Connection, *, agent_type: str | None = None, status: Status | None = None
) -> Sequence[Present]:
    """Return all agents that ever registered, by their ids."""
    async with connection.cursor(row_factory=class_row(AgentRow)) as cursor:
        await cursor.execute(
            "select * from views.agents_1"
            " where (%(type)s::text is null or agent_type = %(type)s) order by agent_id",
            {"type": agent_type},
        )
        rows = await cursor.fetchall()
    agents = _present(rows, await read_presence(connection, [row.agent_id for row in rows]))
    return [agent for agent in agents if status is None or agent.status == status]


def _present(rows: Sequence[AgentRow], heard: Mapping[str, Presence]) -> Sequence[Present]:
    """Join rows with heartbeats of the same start: an earlier one says nothing of this one."""
    return [
        Present(
            row=row,
            presence=presence
            if (presence := heard.get(row.agent_id)) and presence.instance == row.instance
            else None,
        )
        for row in rows
    ]
