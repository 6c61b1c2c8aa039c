"""What can be said of a run, and what is recorded of it."""

from typing import Annotated, Literal

from pydantic import Field

from domain.tasks import Task
from domain.values import (
    Action,
    AgentId,
    AgentType,
    Epoch,
    ErrorClass,
    JsonObject,
    Lane,
    Name,
    PlanId,
    Priority,
    Role,
    RunId,
    TaskId,
    Text,
    Value,
)

RunKind = Literal["planning", "execution"]
TaskReportType = Literal["task.started", "task.completed", "task.failed", "task.lost"]


class RunRequested(Value):
    """A graph is to be run."""

    type: Literal["run.requested"] = "run.requested"
    run_id: RunId
    plan_id: PlanId | None = None
    kind: RunKind = "execution"
    revision: int = 0
    priority: Priority = "normal"
    tasks: tuple[Task, ...]


class RunCancelRequested(Value):
    """A run is to stop where it is."""

    type: Literal["run.cancel_requested"] = "run.cancel_requested"
    run_id: RunId
    reason: Text = ""


class RunStarted(Value):
    """A graph runs."""

    type: Literal["run.started"] = "run.started"
    run_id: RunId
    plan_id: PlanId | None
    kind: RunKind
    revision: int
    priority: Priority
    tasks: tuple[Task, ...]


class RunExtended(Value):
    """The graph of a run has grown."""

    type: Literal["run.extended"] = "run.extended"
    run_id: RunId
    because: TaskId
    """The task whose result asked for the new ones."""

    tasks: tuple[Task, ...]


class TaskDispatched(Value):
    """A task may start: work for any agent of its type."""

    type: Literal["task.dispatched"] = "task.dispatched"
    run_id: RunId
    plan_id: PlanId | None
    task_id: TaskId
    epoch: Epoch
    agent: AgentType
    role: Role
    lane: Lane
    name: Name
    action: Action
    params: JsonObject
    inputs: dict[Name, JsonObject]
    """The results the task asked for, by the names it gave them."""

    delay: int = 0
    """Seconds the work waits before an agent gets it."""


class TaskStarted(Value):
    """An agent has taken a task; from here on its lease counts."""

    type: Literal["task.started"] = "task.started"
    run_id: RunId
    task_id: TaskId
    epoch: Epoch
    agent_id: AgentId


class TaskCompleted(Value):
    """An attempt at a task has a result: the task is done."""

    type: Literal["task.completed"] = "task.completed"
    run_id: RunId
    task_id: TaskId
    epoch: Epoch
    agent_id: AgentId
    result: JsonObject = Field(default_factory=dict)


class TaskFailed(Value):
    """An attempt at a task ended without a result; another one may be dispatched."""

    type: Literal["task.failed"] = "task.failed"
    run_id: RunId
    task_id: TaskId
    epoch: Epoch
    agent_id: AgentId
    error_class: ErrorClass = "transient"
    reason: Text


class TaskLost(Value):
    """The agent that had a task is gone, and the attempt with it."""

    type: Literal["task.lost"] = "task.lost"
    run_id: RunId
    task_id: TaskId
    epoch: Epoch
    agent_id: AgentId
    reason: Text


class TaskSkipped(Value):
    """A task will not run, because one that it needs did not end well."""

    type: Literal["task.skipped"] = "task.skipped"
    run_id: RunId
    task_id: TaskId
    because: TaskId


class TaskCancelled(Value):
    """A task ended with its run, before it was done."""

    type: Literal["task.cancelled"] = "task.cancelled"
    run_id: RunId
    task_id: TaskId
    epoch: Annotated[int, Field(ge=0)]
    """The attempt that was under way; 0 when there was none."""


class ReportIgnored(Value):
    """A report came too late, or from an agent that does not hold the task; it changed nothing."""

    type: Literal["report.ignored"] = "report.ignored"
    run_id: RunId
    task_id: TaskId
    epoch: Epoch
    agent_id: AgentId
    report: TaskReportType
    reason: Text


class RunCompleted(Value):
    """Every task of the run ended well."""

    type: Literal["run.completed"] = "run.completed"
    run_id: RunId
    plan_id: PlanId | None
    kind: RunKind
    result: JsonObject
    """The result of the task that answers for the run, where its kind has one."""


class RunFailed(Value):
    """The run ended, and not every task ended well."""

    type: Literal["run.failed"] = "run.failed"
    run_id: RunId
    plan_id: PlanId | None
    kind: RunKind
    reason: Text


class RunCancelled(Value):
    """The run was stopped."""

    type: Literal["run.cancelled"] = "run.cancelled"
    run_id: RunId
    plan_id: PlanId | None
    kind: RunKind
    reason: Text


TaskReport = TaskStarted | TaskCompleted | TaskFailed | TaskLost
RunReport = RunRequested | RunCancelRequested | TaskReport
RunEvent = (
    RunStarted
    | RunExtended
    | TaskDispatched
    | TaskStarted
    | TaskCompleted
    | TaskFailed
    | TaskLost
    | TaskSkipped
    | TaskCancelled
    | ReportIgnored
    | RunCompleted
    | RunFailed
    | RunCancelled
)

TASK_EVENTS = frozenset(
    {
        TaskDispatched,
        TaskStarted,
        TaskCompleted,
        TaskFailed,
        TaskLost,
        TaskSkipped,
        TaskCancelled,
    }
)
"""What moves a task from one state to the next."""
