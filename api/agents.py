"""Agents: who is there, how each one is, what it has done."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from api.access import may
from api.deps import Ports
from api.durations import Moment, human_or_none
from api.past import AsOf
from api.reading import Reading
from domain.agent import Health, Lifecycle, agent_stream
from domain.errors import UnknownAgent
from domain.values import AgentId, AgentType, JsonObject, Role
from projections.agents import AGENTS, Present, Status, list_agents, read_agent, without_heartbeat
from projections.degraded import Cause, Degraded, list_degraded
from projections.presence import tasks_of
from projections.timeline import TIMELINE, runs_of_agent

router = APIRouter(prefix="/agents", tags=["agents"])


class AgentSummary(BaseModel):
    """One agent of many."""

    agent_id: str
    type: str
    status: Status
    backup: bool
    """Whether it takes only what the others of its type are too busy for."""

    load: float | None
    tasks_completed: int
    uptime: str | None
    uptime_seconds: float | None
    last_heartbeat: Moment | None


class DegradedType(BaseModel):
    """A type of agents that cannot do all of its work."""

    role: Role
    type: str
    cause: Cause
    why: str
    agents: int
    """How many are registered."""

    healthy_agents: int


class AgentsAnswer(BaseModel):
    """All agents that were asked for."""

    agents: Sequence[AgentSummary]
    total: int
    degraded: Sequence[DegradedType]
    """Types that cannot do all of their work, whatever `status` was asked for."""


class AgentCapacity(BaseModel):
    """How much it takes on, and how much it has."""

    max_concurrent_tasks: int
    max_queue_size: int
    current_tasks: int
    """What it works on."""

    queued_tasks: int | None
    """What it has taken and not begun, for want of a place. What waits for all agents of its type
    is told by ``/queue/status``."""

    queued_tasks_unknown: str | None
    """Why ``queued_tasks`` is null."""


class AgentStatistics(BaseModel):
    """What it has done since it first registered."""

    tasks_completed: int
    tasks_failed: int
    tasks_lost: int
    success_rate: float | None
    avg_task_duration: str | None
    avg_task_duration_seconds: float | None
    busy_time: str
    busy_time_seconds: float


class AgentHealth(BaseModel):
    """How it is; what its last heartbeat said, where there was one."""

    status: Health
    cpu_usage: float | None
    memory_usage: float | None = None
    """Not known: agents tell the bytes they use, not their share of the machine."""

    memory_bytes: int | None
    last_heartbeat: Moment | None
    reason: str | None


class AgentAnswer(BaseModel):
    """One agent."""

    agent_id: str
    type: str
    role: str
    status: Status
    lifecycle: Lifecycle
    capabilities: Sequence[str]
    metadata: JsonObject
    registered_at: Moment
    uptime: str | None
    uptime_seconds: float | None
    current_load: float | None
    capacity: AgentCapacity
    statistics: AgentStatistics
    health: AgentHealth


@router.get("", dependencies=[may("agent:read")])
async def show_agents(
    views: Reading,
    ports: Ports,
    *,
    type: Annotated[AgentType | None, Query()] = None,  # noqa: A002 # the parameter's name in the API
    status: Status | None = None,
) -> AgentsAnswer:
    """Show agents, by their ids."""
    now = ports.clock.now()
    async with views.snapshot(AGENTS) as read:
        agents = await list_agents(read.connection, agent_type=type, status=status)
        degraded = await list_degraded(read.connection, now=now)
    return AgentsAnswer(
        agents=[_summary(agent, now) for agent in agents],
        total=len(agents),
        degraded=[degraded_type(one) for one in degraded if type in (None, one.agent_type)],
    )


@router.get("/{agent_id}", dependencies=[may("agent:read")])
async def show_agent(
    agent_id: Annotated[AgentId, Path()], views: Reading, ports: Ports, past: AsOf
) -> AgentAnswer:
    """Show one agent, now or as of a moment."""
    now = ports.clock.now()
    stream = agent_stream(agent_id)
    async with views.snapshot(AGENTS, TIMELINE) as read:
        agent = await read_agent(read.connection, agent_id)
        runs = await runs_of_agent(read.connection, agent_id) if past else ()
    if agent is not None and past is not None:
        row = (await past.rows(stream, *runs, agent_id=agent_id)).one(AGENTS)
        agent = without_heartbeat(row) if row else None
        now = past.moment if isinstance(past.moment, datetime) else row.updated_at if row else now
    if agent is None:
        raise UnknownAgent(agent_id)
    if past is None:
        await views.tell_version(stream)
    row, presence, uptime = agent.row, agent.presence, _uptime(agent, now)
    ended = row.tasks_completed + row.tasks_failed
    average = row.completed_seconds / row.tasks_completed if row.tasks_completed else None
    return AgentAnswer(
        agent_id=row.agent_id,
        type=row.agent_type,
        role=row.role,
        status=agent.status,
        lifecycle=row.lifecycle,
        capabilities=row.capabilities,
        metadata=row.metadata,
        registered_at=row.registered_at,
        uptime=human_or_none(uptime),
        uptime_seconds=uptime,
        current_load=_rounded(presence.load if presence else None),
        capacity=_capacity(agent),
        statistics=AgentStatistics(
            tasks_completed=row.tasks_completed,
            tasks_failed=row.tasks_failed,
            tasks_lost=row.tasks_lost,
            success_rate=_rounded(row.tasks_completed / ended if ended else None),
            avg_task_duration=human_or_none(average),
            avg_task_duration_seconds=average,
            busy_time=human_or_none(row.busy_seconds) or "",
            busy_time_seconds=row.busy_seconds,
        ),
        health=AgentHealth(
            status=row.health,
            cpu_usage=_rounded(presence.cpu if presence else None),
            memory_bytes=presence.memory_bytes if presence else None,
            last_heartbeat=presence.seen_at if presence else None,
            reason=row.reason or None,
        ),
    )


def degraded_type(one: Degraded) -> DegradedType:
    """Return a degraded type as it is shown."""
    return DegradedType(
        role=one.role,
        type=one.agent_type,
        cause=one.cause,
        why=one.why,
        agents=one.agents,
        healthy_agents=one.healthy,
    )


def _summary(agent: Present, now: datetime) -> AgentSummary:
    uptime = _uptime(agent, now)
    return AgentSummary(
        agent_id=agent.row.agent_id,
        type=agent.row.agent_type,
        status=agent.status,
        backup=agent.row.metadata.get("backup") is True,
        load=_rounded(agent.presence.load if agent.presence else None),
        tasks_completed=agent.row.tasks_completed,
        uptime=human_or_none(uptime),
        uptime_seconds=uptime,
        last_heartbeat=agent.presence.seen_at if agent.presence else None,
    )


def _uptime(agent: Present, now: datetime) -> float | None:
    """Return the seconds since its present start introduced itself, while it is there."""
    if not agent.row.is_registered:
        return None
    return round(max((now - agent.row.registered_at).total_seconds(), 0.0), 3)


def _capacity(agent: Present) -> AgentCapacity:
    """Return what an agent has, by its heartbeat, or by the record where there was none."""
    row, presence = agent.row, agent.presence
    states = [task.state for task in tasks_of(presence)] if presence else []
    waiting = states.count("waiting")
    return AgentCapacity(
        max_concurrent_tasks=row.max_concurrent_tasks,
        max_queue_size=row.max_queue_size,
        current_tasks=len(states) - waiting if presence else len(row.open),
        queued_tasks=waiting if presence else None,
        queued_tasks_unknown=None if presence else "it has sent no heartbeat since it registered",
    )


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)
