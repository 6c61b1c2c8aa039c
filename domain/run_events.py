"""What can be said of a run, and what is recorded of it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from domain.revisions import PlanReplanRefused, PlanUpdated
from domain.run_options import RunOptions
from domain.steering import Request, RunRolledBack, SteeringEvent, SteeringReport, TaskReopened
from domain.tasks import Effect, GatherRule, Seconds, Task
from domain.usage import Budget, Calls
from domain.values import (
    Action,
    AgentId,
    AgentType,
    Epoch,
    ErrorClass,
    Lane,
    Name,
    PersonalName,
    PersonalObject,
    PersonalText,
    PlanId,
    Priority,
    Role,
    RunId,
    RunKind,
    TaskId,
    TaskStatus,
    Value,
)

TaskReportType = Literal[
    "task.started", "task.completed", "task.failed", "task.lost", "task.timed_out", "task.stopped"
]
Timeout = Literal["start", "run", "total"]


def _is_empty(calls: tuple[object, ...]) -> bool:
    return not calls


def _is_none(budget: Budget | None) -> bool:
    return budget is None


class RunRequested(Value):
    """A graph is to be run."""

    type: Literal["run.requested"] = "run.requested"
    run_id: RunId
    plan_id: PlanId | None = None
    kind: RunKind = "execution"
    revision: int = 0
    priority: Priority = "normal"
    options: RunOptions = RunOptions()
    tasks: tuple[Task, ...]


class RunStarted(Value):
    """A graph runs."""

    type: Literal["run.started"] = "run.started"
    run_id: RunId
    plan_id: PlanId | None
    kind: RunKind
    revision: int
    priority: Priority
    options: RunOptions = RunOptions()
    tasks: tuple[Task, ...]


class RunExtended(Value):
    """The graph of a run has grown."""

    type: Literal["run.extended"] = "run.extended"
    run_id: RunId
    because: TaskId
    """The task whose result asked for the new ones."""

    tasks: tuple[Task, ...]


class Deadlines(Value):
    """Until when an attempt has to have come how far."""

    start_by: datetime | None = None
    end_by: datetime | None = None
    """When the task itself has to have ended, whichever attempt it is."""

    run_seconds: Seconds | None = None
    """How long the attempt may take once it has started."""

    lease_seconds: Seconds | None = None
    """How long its agent may be silent, where it is not what agents may in general."""


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
    name: PersonalName
    action: Action
    params: PersonalObject
    inputs: dict[Name, PersonalObject]
    """The results the task asked for, by the names it gave them."""

    delay: int = 0
    """Seconds the work waits before an agent gets it."""

    effect: Effect = "none"
    """An external effect must not begin before the recorded start of the attempt was granted."""

    deadlines: Deadlines | None = None
    budget: Budget | None = Field(default=None, exclude_if=_is_none)
    """What language models may cost it, after what its earlier attempts have spent."""


class TaskStarted(Value):
    """An agent has taken a task; from here on its lease counts."""

    type: Literal["task.started"] = "task.started"
    run_id: RunId
    task_id: TaskId
    epoch: Epoch
    agent_id: AgentId
    instance: Name | None = None
    """Which start of the agent; only that one is entitled to an external effect, if it is told."""

    is_claim: bool = False
    """Whether it entitles its agent to the task's external effect; the record says so, no agent."""

    run_by: datetime | None = None
    """When the attempt has to have ended; the record says so, no agent."""


class TaskCompleted(Value):
    """An attempt at a task has a result: the task is done."""

    type: Literal["task.completed"] = "task.completed"
    run_id: RunId
    task_id: TaskId
    epoch: Epoch
    agent_id: AgentId
    result: PersonalObject = Field(default_factory=dict)
    calls: Calls = Field(default=(), exclude_if=_is_empty)
    """The calls of language models that the attempt has made."""


class TaskFailed(Value):
    """An attempt at a task ended without a result; another one may be dispatched."""

    type: Literal["task.failed"] = "task.failed"
    run_id: RunId
    task_id: TaskId
    epoch: Epoch
    agent_id: AgentId
    error_class: ErrorClass = "transient"
    reason: PersonalText
    retry_in: int | None = None
    """Seconds until the next attempt, None when this was the last; the record says so, no agent."""

    next_agent: AgentType | None = None
    """Who makes the next attempt, where it is another type of agents; the record says so."""

    calls: Calls = Field(default=(), exclude_if=_is_empty)
    """The calls of language models that the attempt has made."""


class TaskTimedOut(Value):
    """A task has taken longer than it may."""

    type: Literal["task.timed_out"] = "task.timed_out"
    run_id: RunId
    task_id: TaskId
    epoch: Epoch
    agent_id: AgentId | None
    """Who held the attempt, if anybody did."""

    timeout: Timeout


class TaskStopped(Value):
    """An agent has let go of an attempt that it was told to stop."""

    type: Literal["task.stopped"] = "task.stopped"
    run_id: RunId
    task_id: TaskId
    epoch: Epoch
    agent_id: AgentId
    calls: Calls = Field(default=(), exclude_if=_is_empty)
    """The calls of language models that the attempt had made."""


class TaskLost(Value):
    """The agent that had a task is gone, and the attempt with it."""

    type: Literal["task.lost"] = "task.lost"
    run_id: RunId
    task_id: TaskId
    epoch: Epoch
    agent_id: AgentId
    reason: PersonalText


class TaskSkipped(Value):
    """A task will not run: one that it needs did not end well, or nobody waits for it any more."""

    type: Literal["task.skipped"] = "task.skipped"
    run_id: RunId
    task_id: TaskId
    because: TaskId | None
    """The task that did not end well; None where a person or a gather rule said so."""

    was: TaskStatus = "pending"
    """Where it stood before."""

    reason: PersonalText = ""
    request: Request = ""
    rule: GatherRule | None = None
    """The gather rule that goes on without it, where no person said so."""

    @property
    def is_waived(self) -> bool:
        """Whether what needs it goes on without its result."""
        return self.because is None


class TaskCancelled(Value):
    """A task ended with its run, before it was done."""

    type: Literal["task.cancelled"] = "task.cancelled"
    run_id: RunId
    task_id: TaskId
    epoch: Annotated[int, Field(ge=0)]
    """The attempt that was under way; 0 when there was none."""

    agent_id: AgentId | None = None
    """Who has the attempt in hand, and has to be told."""


class ReportIgnored(Value):
    """A report came too late, or from an agent that does not hold the task; it changed nothing."""

    type: Literal["report.ignored"] = "report.ignored"
    run_id: RunId
    task_id: TaskId
    epoch: Epoch
    agent_id: AgentId
    report: TaskReportType
    reason: PersonalText
    result: PersonalObject = Field(default_factory=dict)
    """What it came to, where a gather rule had gone on without it."""

    calls: Calls = Field(default=(), exclude_if=_is_empty)
    """The calls of language models that it told of: they have cost what they have cost."""


class GatherClosed(Value):
    """A task begins with the inputs that are there: its gather rule goes on without the others."""

    type: Literal["gather.closed"] = "gather.closed"
    run_id: RunId
    task_id: TaskId
    rule: GatherRule
    answered: tuple[TaskId, ...]
    missing: tuple[TaskId, ...]


class ReplanRequested(Value):
    """A task has failed for good, or nobody can do it: the run wants a plan around it."""

    type: Literal["replan.requested"] = "replan.requested"
    run_id: RunId
    plan_id: PlanId | None
    task_id: TaskId | None
    reason: PersonalText
    agent_type: AgentType | None = None
    met: tuple[TaskId, ...] = ()
    """What is completed, or need not be done, in order of id."""

    affected: int = 0
    """How many tasks wait for it, the task itself included."""

    max_delay: Seconds | None = None
    request: Request = ""


class ReplanRefused(Value):
    """There is no other plan: the run goes on with the one it has."""

    type: Literal["replan.refused"] = "replan.refused"
    run_id: RunId
    plan_id: PlanId | None
    reason: PersonalText


class RunRevised(Value):
    """The run goes on with another graph."""

    type: Literal["run.revised"] = "run.revised"
    run_id: RunId
    plan_id: PlanId | None
    revision: int
    reason: PersonalText
    added: tuple[Task, ...]
    modified: tuple[Task, ...]
    removed: tuple[TaskId, ...]
    reopened: tuple[TaskId, ...]
    """Tasks that had not ended well and are pending again as they are, in order of id."""

    was: dict[TaskId, TaskStatus]
    """Where those that are modified, removed or reopened stood before."""


class RunCompleted(Value):
    """Every task of the run ended well, or as well as was asked for."""

    type: Literal["run.completed"] = "run.completed"
    run_id: RunId
    plan_id: PlanId | None
    kind: RunKind
    result: PersonalObject
    """The result of the task that answers for the run, where its kind has one."""

    missing: tuple[TaskId, ...] = ()
    """Tasks without a result, where the run was to do its best without them: the first twenty."""


class RunFailed(Value):
    """The run ended, and not every task ended well."""

    type: Literal["run.failed"] = "run.failed"
    run_id: RunId
    plan_id: PlanId | None
    kind: RunKind
    reason: PersonalText


class RunCancelled(Value):
    """The run was stopped."""

    type: Literal["run.cancelled"] = "run.cancelled"
    run_id: RunId
    plan_id: PlanId | None
    kind: RunKind
    reason: PersonalText
    request: Request = ""


TaskReport = TaskStarted | TaskCompleted | TaskFailed | TaskLost | TaskTimedOut | TaskStopped
RunReport = RunRequested | SteeringReport | TaskReport | PlanUpdated | PlanReplanRefused
RunEvent = (
    RunStarted
    | RunExtended
    | TaskDispatched
    | TaskStarted
    | TaskCompleted
    | TaskFailed
    | TaskTimedOut
    | TaskLost
    | TaskSkipped
    | TaskCancelled
    | TaskStopped
    | ReportIgnored
    | GatherClosed
    | ReplanRequested
    | ReplanRefused
    | RunRevised
    | RunCompleted
    | RunFailed
    | RunCancelled
    | SteeringEvent
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
"""What moves one task from one state to the next."""

MANY_TASKS_EVENTS = frozenset({TaskReopened, RunRolledBack})
"""What moves many tasks back to the state before their first attempt."""
