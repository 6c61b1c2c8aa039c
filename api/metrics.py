"""Metrics: how the system does, how one type of agents does, how one execution did."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.access import May
from api.deps import Ports
from api.durations import human_or_none
from api.errors import UnknownAgentType
from api.metrics_answers import (
    AgentsSection,
    AgentTypeAnswer,
    AgentTypeMetrics,
    ExecutionMetricsAnswer,
    PerformanceSection,
    SystemMetrics,
    SystemSection,
    TasksSection,
    answer_of_execution,
    per_day,
)
from api.reading import Reading
from domain.errors import UnknownRun
from domain.identity import Caller
from domain.values import AgentType, RunId
from projections.agents import AGENTS, Present, list_agents
from projections.executions import EXECUTIONS, read_execution
from projections.metrics import count_updates, read_busy, read_system
from projections.plans import PLANS, read_plan
from projections.presence import tasks_of
from projections.revisions import REVISIONS
from projections.tasks import TASKS

router = APIRouter(tags=["metrics"])

LATELY = timedelta(days=7)
"""The time that the throughput speaks of."""

Viewer = Annotated[Caller, Depends(May("metrics:view"))]


@router.get("/metrics")
async def show_metrics(views: Reading, ports: Ports, caller: Viewer) -> SystemMetrics:
    """Show how the system does: executions of plans, their tasks, and agents."""
    del caller
    now = ports.clock.now()
    async with views.snapshot(PLANS, EXECUTIONS, AGENTS) as read:
        numbers = await read_system(read.connection, since=now - LATELY)
        agents = await list_agents(read.connection)
    there = [agent for agent in agents if agent.row.is_registered]
    active = [agent for agent in there if agent.status == "active"]
    ended = numbers.completed + numbers.failed
    tasks_ended = numbers.tasks_completed + numbers.tasks_failed
    done = sum(agent.row.tasks_completed for agent in agents)
    seconds = sum(agent.row.completed_seconds for agent in agents)
    age = (now - numbers.first_plan_at) if numbers.first_plan_at else LATELY
    rate = per_day(numbers.completed_lately, min(age, LATELY))
    return SystemMetrics(
        timestamp=now,
        system=SystemSection(
            total_plans=numbers.total_plans,
            active_executions=numbers.active,
            completed_executions=numbers.completed,
            failed_executions=numbers.failed,
            success_rate=_share(numbers.completed, ended),
        ),
        tasks=TasksSection(
            total=numbers.tasks,
            pending=numbers.tasks_pending,
            in_progress=numbers.tasks_in_progress,
            completed=numbers.tasks_completed,
            failed=numbers.tasks_failed,
        ),
        agents=AgentsSection(
            total_registered=len(there),
            active=len(active),
            idle=sum(not _is_busy(agent) for agent in active),
            avg_utilization=_utilization(active),
        ),
        performance=PerformanceSection(
            avg_planning_time=human_or_none(numbers.planning_seconds),
            avg_planning_time_seconds=_rounded(numbers.planning_seconds),
            avg_execution_time=human_or_none(numbers.execution_seconds),
            avg_execution_time_seconds=_rounded(numbers.execution_seconds),
            throughput=f"{rate:g} plans/day",
            throughput_per_day=rate,
            avg_completion_time_seconds=round(seconds / done, 3) if done else None,
            success_rate=_share(numbers.tasks_completed, tasks_ended),
        ),
    )


@router.get("/metrics/agents/{agent_type}")
async def show_agent_metrics(
    agent_type: Annotated[AgentType, Path()], views: Reading, caller: Viewer
) -> AgentTypeAnswer:
    """Show what the agents of a type have done together, and how busy they are."""
    del caller
    async with views.snapshot(AGENTS) as read:
        agents = await list_agents(read.connection, agent_type=agent_type)
    if not agents:
        raise UnknownAgentType(agent_type)
    completed = sum(agent.row.tasks_completed for agent in agents)
    failed = sum(agent.row.tasks_failed for agent in agents)
    seconds = sum(agent.row.completed_seconds for agent in agents)
    average = round(seconds / completed, 3) if completed else None
    there = [agent for agent in agents if agent.row.is_registered]
    return AgentTypeAnswer(
        agent_type=agent_type,
        instances=len(there),
        metrics=AgentTypeMetrics(
            total_tasks=completed + failed,
            completed_tasks=completed,
            failed_tasks=failed,
            lost_tasks=sum(agent.row.tasks_lost for agent in agents),
            success_rate=_share(completed, completed + failed),
            avg_task_duration=human_or_none(average),
            avg_task_duration_seconds=average,
            avg_utilization=_utilization([one for one in there if one.status == "active"]),
        ),
    )


@router.get("/executions/{execution_id}/metrics", tags=["executions"])
async def show_execution_metrics(
    execution_id: Annotated[RunId, Path()],
    views: Reading,
    ports: Ports,
    caller: Annotated[Caller, Depends(May("plan:read"))],
) -> ExecutionMetricsAnswer:
    """Show how long an execution took, how busy agents were with it, and how well it went."""
    del caller
    now = ports.clock.now()
    async with views.snapshot(PLANS, EXECUTIONS, TASKS, AGENTS, REVISIONS) as read:
        row = await read_execution(read.connection, execution_id)
        if row is None:
            raise UnknownRun(execution_id)
        plan = await read_plan(read.connection, row.plan_id) if row.plan_id else None
        busy = await read_busy(read.connection, execution_id, now=row.ended_at or now)
        updates = 0
        if row.plan_id is not None:
            updates = await count_updates(read.connection, row.plan_id, since=row.started_at)
    return answer_of_execution(row, plan, busy, updates=updates, now=now)


def _is_busy(agent: Present) -> bool:
    return bool(tasks_of(agent.presence) if agent.presence else agent.row.open)


def _utilization(agents: Sequence[Present]) -> float | None:
    """Return how much of what agents may have in hand they have, as their heartbeats say."""
    heard = [(one.presence.load, one.row.max_concurrent_tasks) for one in agents if one.presence]
    places = sum(most for _, most in heard)
    return round(sum(load * most for load, most in heard) / places, 3) if places else None


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
