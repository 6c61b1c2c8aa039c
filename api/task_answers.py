"""What the API says of the tasks of an execution: above all, what came of them."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from api.durations import Moment
from domain.values import AgentType, ErrorClass, JsonObject, Role, TaskStatus
from projections.tasks import TaskRow


class TaskAnswer(BaseModel):
    """One task of an execution."""

    task_id: str
    name: str
    agent: AgentType
    role: Role
    action: str
    status: TaskStatus
    dependencies: Sequence[str]
    inputs: Mapping[str, str]
    """Which earlier task's result it is given, by name."""

    deliverable: bool
    epoch: int
    """The number of its current attempt; 0 before the first."""

    failures: int
    losses: int
    agent_id: str | None
    """Who holds the attempt, or held it last."""

    dispatched_at: Moment | None
    started_at: Moment | None
    ended_at: Moment | None
    result: JsonObject | None
    """What the agent answered; null until the task is completed."""

    error_class: ErrorClass | None
    reason: str | None
    """Why it failed, was lost or was skipped, the last time it did."""


class TasksAnswer(BaseModel):
    """A page of tasks, in the order of the graph."""

    execution_id: str
    tasks: Sequence[TaskAnswer]
    limit: int
    offset: int


def answer_of(row: TaskRow) -> TaskAnswer:
    """Return what the API shows of a task."""
    return TaskAnswer(
        task_id=row.task_id,
        name=row.name,
        agent=row.agent_type,
        role=row.role,
        action=row.action,
        status=row.status,
        dependencies=row.needs,
        inputs=row.inputs,
        deliverable=row.deliverable,
        epoch=row.epoch,
        failures=row.failures,
        losses=row.losses,
        agent_id=row.agent_id,
        dispatched_at=row.dispatched_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        result=row.result,
        error_class=row.error_class,
        reason=row.reason,
    )
