"""What the API says of executions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from api.durations import Moment, human, human_or_none
from domain.values import AgentType, JsonObject, RunKind, RunStatus, TaskStatus
from projections.describe import Level
from projections.executions import ExecutionRow
from projections.timeline import Line


class DryRun(BaseModel):
    """What would have started."""

    total_tasks: int
    first_tasks: Sequence[str]
    agents: Sequence[str]
    estimated_makespan: str | None
    estimated_makespan_seconds: float | None


class StartedAnswer(BaseModel):
    """The execution that has started."""

    execution_id: str
    plan_id: str
    status: RunStatus | Literal["dry_run"]
    started_at: Moment | None
    websocket_url: str | None = None
    """Where it can be watched live."""

    dry_run: DryRun | None = None


class ExecutionSummary(BaseModel):
    """One execution of many."""

    execution_id: str
    plan_id: str | None
    kind: RunKind
    status: RunStatus
    priority: str
    started_at: Moment
    ended_at: Moment | None
    completed_tasks: int
    total_tasks: int
    percentage: float
    reason: str | None


class ExecutionPage(BaseModel):
    """Some executions, the newest first."""

    executions: Sequence[ExecutionSummary]
    next_cursor: str | None


class CurrentTask(BaseModel):
    """A task that an agent has in hand."""

    task_id: str
    agent: AgentType
    agent_id: str | None
    status: Literal["running"] = "running"
    progress: float | None
    """From 0 to 1, as the agent's last heartbeat had it."""

    started_at: Moment | None
    epoch: int


class Progress(BaseModel):
    """How far it is."""

    completed_tasks: int
    total_tasks: int
    percentage: float
    current_tasks: Sequence[CurrentTask]
    tasks: Mapping[TaskStatus, int]
    """How many tasks have which status."""


class ExecutionMetrics(BaseModel):
    """How fast it is."""

    elapsed_time: str
    elapsed_time_seconds: float
    estimated_remaining: str | None
    estimated_remaining_seconds: float | None
    throughput: str | None
    throughput_per_hour: float | None
    retries: int
    lost_attempts: int
    ignored_reports: int


class CheckpointAnswer(BaseModel):
    """A moment that an execution can be rolled back to."""

    checkpoint_id: str
    at: Moment
    completed_tasks: int
    """How many tasks had been completed by then, or skipped by a person."""


class ExecutionAnswer(BaseModel):
    """One execution."""

    execution_id: str
    plan_id: str | None
    kind: RunKind
    status: RunStatus
    priority: str
    started_at: Moment
    ended_at: Moment | None
    paused_at: Moment | None
    reason: str | None
    result: JsonObject | None
    checkpoints: Sequence[CheckpointAnswer]
    """The latest ones, the last at the end."""

    progress: Progress
    metrics: ExecutionMetrics


class LogLine(BaseModel):
    """One line of a log."""

    timestamp: Moment
    level: Level
    agent: str | None
    """The type of the agent that it speaks of."""

    agent_id: str | None
    task_id: str | None
    message: str
    metadata: JsonObject


class LogAnswer(BaseModel):
    """A page of a log."""

    execution_id: str
    logs: Sequence[LogLine]
    total: int
    limit: int
    offset: int


def checkpoints_of(row: ExecutionRow) -> Sequence[CheckpointAnswer]:
    """Return what a run can be rolled back to."""
    return [
        CheckpointAnswer(
            checkpoint_id=each["id"],
            at=datetime.fromisoformat(each["at"]),
            completed_tasks=each["completed"],
        )
        for each in row.checkpoints
    ]


def percentage_of(row: ExecutionRow) -> float:
    """Return how much of a run is done, to one decimal."""
    return round(100 * row.completed / row.total, 1) if row.total else 100.0


def metrics_of(row: ExecutionRow, now: datetime) -> ExecutionMetrics:
    """Return how fast a run is."""
    elapsed = max(((row.ended_at or now) - row.started_at).total_seconds(), 0.0)
    per_second = row.completed / elapsed if elapsed else 0.0
    left = row.pending + row.dispatched + row.started
    remaining: float | None = None
    if row.status == "paused":
        pass
    elif row.status != "running":
        remaining = 0.0
    elif per_second:
        # What is left goes as fast as what is done went; before anything is done, nobody knows.
        remaining = left / per_second
    per_hour = round(per_second * 3_600, 1) if elapsed else None
    return ExecutionMetrics(
        elapsed_time=human(elapsed),
        elapsed_time_seconds=round(elapsed, 3),
        estimated_remaining=human_or_none(remaining),
        estimated_remaining_seconds=None if remaining is None else round(remaining, 3),
        throughput=None if per_hour is None else f"{_plain(per_hour)} tasks/hour",
        throughput_per_hour=per_hour,
        retries=row.retries,
        lost_attempts=row.losses,
        ignored_reports=row.ignored,
    )


def summary_of(row: ExecutionRow) -> ExecutionSummary:
    """Return what a list shows of a run."""
    return ExecutionSummary(
        execution_id=row.run_id,
        plan_id=row.plan_id,
        kind=row.kind,
        status=row.status,
        priority=row.priority,
        started_at=row.started_at,
        ended_at=row.ended_at,
        completed_tasks=row.completed,
        total_tasks=row.total,
        percentage=percentage_of(row),
        reason=row.reason,
    )


def line_of(line: Line) -> LogLine:
    """Return one line of a log as the API shows it."""
    return LogLine(
        timestamp=line.row.at,
        level=line.row.level,
        agent=line.agent_type,
        agent_id=line.row.agent_id,
        task_id=line.row.task_id,
        message=line.row.message,
        metadata=line.row.metadata,
    )


def _plain(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
