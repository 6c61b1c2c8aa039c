"""What the API says of plans."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel

from api.durations import Moment, parse_duration
from api.graphs import Drawing, TaskGraph
from domain.findings import Conflict
from domain.goals import Goal
from domain.plan import PlanStatus
from domain.values import JsonObject
from projections.capability import Unserved
from projections.plans import PlanRow, estimated_completion


class PlanCreatedAnswer(BaseModel):
    """What has become of the goal so far."""

    plan_id: str
    status: PlanStatus
    created_at: Moment
    estimated_completion: Moment | None
    task_count: int | None
    agents_assigned: Sequence[str] | None
    message: str


class PlanCancelledAnswer(BaseModel):
    """What has become of a plan that is not wanted any more."""

    plan_id: str
    status: PlanStatus
    message: str


class PlanSummary(BaseModel):
    """One plan of many."""

    plan_id: str
    title: str
    domain: str
    priority: str
    status: PlanStatus
    created_at: Moment
    updated_at: Moment
    task_count: int | None
    executions: Sequence[str]
    reason: str | None


class PlanPage(BaseModel):
    """Some plans, the newest first."""

    plans: Sequence[PlanSummary]
    next_cursor: str | None


class PlanMetrics(BaseModel):
    """What the graph alone says about time."""

    total_tasks: int
    critical_path_length: int | None
    parallelization_ratio: float | None
    estimated_makespan: str | None
    estimated_makespan_seconds: float | None
    estimated_work: str | None
    estimated_work_seconds: float | None
    estimated_cost: float | None


class PlanAnswer(BaseModel):
    """One plan."""

    plan_id: str
    goal: JsonObject
    options: JsonObject
    status: PlanStatus
    reason: str | None
    created_at: Moment
    updated_at: Moment
    estimated_completion: Moment | None
    revision: int
    planning_execution_id: str | None
    executions: Sequence[str]
    conflicts: Sequence[Conflict]
    """What the domains' plans did not agree about, and what was made of it."""

    missing: Sequence[str]
    """What the planners needed and nobody planned."""

    unserved: Sequence[Unserved]
    """What no agent that is registered now can do; nothing where the plan is over."""

    task_graph: TaskGraph
    metrics: PlanMetrics


PICTURES = "/api/v1/visualizations"
"""Where pictures are."""


class GraphAnswer(BaseModel):
    """One plan's graph, to be drawn."""

    plan_id: str
    graph: Drawing
    visualization_url: str | None = None
    """Where it is drawn already."""


def accepted(
    plan_id: str, goal: Goal, row: PlanRow | None, created_at: datetime
) -> PlanCreatedAnswer:
    """Return what has become of a goal so far; no row means that no view has seen it yet."""
    is_planned = row is not None and row.planned_at is not None
    completion = estimated_completion(row) if row else None
    if completion is None and (within := parse_duration(goal.constraints.timeline or "")):
        completion = _later(created_at, within)
    return PlanCreatedAnswer(
        plan_id=plan_id,
        status=row.status if row else "planning",
        created_at=created_at,
        estimated_completion=completion,
        task_count=row.task_count if row and is_planned else None,
        agents_assigned=row.agents if row and is_planned else None,
        message=_message(row),
    )


def _later(moment: datetime, by: timedelta) -> datetime | None:
    try:
        return moment + by
    except OverflowError:
        return None


def _message(row: PlanRow | None) -> str:
    if row is None or row.status == "planning":
        return "Plan created successfully. Decomposing goal across domain agents."
    if row.status in ("failed", "cancelled"):
        return f"Plan {row.status}: {row.reason}"
    return f"Plan created successfully. {row.task_count} tasks are planned."


def summary_of(row: PlanRow) -> PlanSummary:
    """Return what a list shows of a plan."""
    return PlanSummary(
        plan_id=row.plan_id,
        title=row.title,
        domain=row.domain,
        priority=row.priority,
        status=row.status,
        created_at=row.created_at,
        updated_at=row.updated_at,
        task_count=row.task_count if row.planned_at else None,
        executions=row.runs,
        reason=row.reason or None,
    )


def rounded(number: float | None) -> float | None:
    """Return a ratio to four decimals, or None where it is not known."""
    return None if number is None else round(number, 4)
