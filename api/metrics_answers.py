"""What the API says of how things go."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from pydantic import BaseModel

from api.durations import Moment, human, human_or_none
from projections.executions import ExecutionRow
from projections.metrics import Busy
from projections.plans import PlanRow


class SystemSection(BaseModel):
    """Plans and their executions."""

    total_plans: int
    active_executions: int
    completed_executions: int
    failed_executions: int
    success_rate: float | None
    """Of the executions that were completed or have failed."""


class TasksSection(BaseModel):
    """Tasks of all executions; what was skipped or cancelled is in the total only."""

    total: int
    pending: int
    in_progress: int
    completed: int
    failed: int


class AgentsSection(BaseModel):
    """Agents that are registered."""

    total_registered: int
    active: int
    idle: int
    """Those active ones that have no task in hand."""

    avg_utilization: float | None
    """How much of what the active ones may have in hand they have, as they said last."""


class PerformanceSection(BaseModel):
    """How fast it goes."""

    avg_planning_time: str | None
    avg_planning_time_seconds: float | None
    """From goal to graph, of plans that agents have planned."""

    avg_execution_time: str | None
    avg_execution_time_seconds: float | None
    """From start to end, of completed executions."""

    throughput: str
    throughput_per_day: float
    """Plans completed in the last 7 days, or since the first one if that is less; a day at least.
    """

    avg_completion_time_seconds: float | None
    """Of one task, in the hands of its agent."""

    success_rate: float | None
    """Of the tasks that were completed or have failed for good."""


class SystemMetrics(BaseModel):
    """How the system does."""

    timestamp: Moment
    system: SystemSection
    tasks: TasksSection
    agents: AgentsSection
    performance: PerformanceSection


class AgentTypeMetrics(BaseModel):
    """What the agents of a type have done since they first registered."""

    total_tasks: int
    """Attempts that were completed or have failed."""

    completed_tasks: int
    failed_tasks: int
    lost_tasks: int
    success_rate: float | None
    avg_task_duration: str | None
    avg_task_duration_seconds: float | None
    avg_utilization: float | None


class AgentTypeAnswer(BaseModel):
    """How one type of agents does."""

    agent_type: str
    instances: int
    """How many are registered now."""

    metrics: AgentTypeMetrics


class Performance(BaseModel):
    """How long an execution took."""

    total_time: str
    total_time_seconds: float
    """Planning and execution together."""

    planning_time: str | None
    planning_time_seconds: float | None
    execution_time: str
    execution_time_seconds: float
    throughput: str | None
    throughput_per_hour: float | None
    parallelization_achieved: float | None
    """The share of the work that overlapped, as ``parallelization_ratio`` is of the plan."""


class Utilization(BaseModel):
    """How busy the agents of a type were: 1 is all that those who took part may have in hand."""

    avg: float
    peak: float


class Quality(BaseModel):
    """How well an execution went."""

    task_success_rate: float | None
    replanning_count: int
    retry_count: int


class ExecutionMetricsSections(BaseModel):
    """How an execution went."""

    performance: Performance
    resource_utilization: Mapping[str, Utilization]
    quality: Quality


class ExecutionMetricsAnswer(BaseModel):
    """How one execution went."""

    execution_id: str
    metrics: ExecutionMetricsSections


def per_day(count: int, period: timedelta) -> float:
    """Return how many there were a day; a period of less than a day is a day."""
    return round(count / max(period / timedelta(days=1), 1.0), 2)


def answer_of_execution(
    row: ExecutionRow,
    plan: PlanRow | None,
    busy: Mapping[str, Busy],
    *,
    updates: int,
    now: datetime,
) -> ExecutionMetricsAnswer:
    """Return how an execution went so far."""
    spent = max(((row.ended_at or now) - row.started_at).total_seconds(), 0.0)
    planning, execution = _planning(plan), spent
    if row.kind == "planning":
        planning, execution = spent, 0.0
    total = execution + (planning or 0.0)
    work = sum(one.busy_seconds for one in busy.values())
    per_hour = round(row.completed / spent * 3_600, 1) if spent else None
    ended = row.completed + row.failed
    return ExecutionMetricsAnswer(
        execution_id=row.run_id,
        metrics=ExecutionMetricsSections(
            performance=Performance(
                total_time=human(total),
                total_time_seconds=round(total, 3),
                planning_time=human_or_none(planning),
                planning_time_seconds=None if planning is None else round(planning, 3),
                execution_time=human(execution),
                execution_time_seconds=round(execution, 3),
                throughput=None if per_hour is None else f"{per_hour:g} tasks/hour",
                throughput_per_hour=per_hour,
                parallelization_achieved=round(max(1 - spent / work, 0.0), 4) if work else None,
            ),
            resource_utilization={name: _utilization(one, spent) for name, one in busy.items()},
            quality=Quality(
                task_success_rate=round(row.completed / ended, 4) if ended else None,
                replanning_count=updates,
                retry_count=row.retries,
            ),
        ),
    )


def _planning(plan: PlanRow | None) -> float | None:
    if plan is None or plan.planned_at is None:
        return None
    return max((plan.planned_at - plan.created_at).total_seconds(), 0.0)


def _utilization(busy: Busy, spent: float) -> Utilization:
    places = max(busy.places, 1)
    average = busy.busy_seconds / (spent * places) if spent else 0.0
    # Whoever registered with fewer places since then may seem to have done more than it can.
    return Utilization(avg=round(min(average, 1.0), 4), peak=round(min(busy.peak / places, 1.0), 4))
