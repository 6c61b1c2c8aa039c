"""How a person steers a run that is alive: what can be asked, and what is recorded of it."""

from datetime import datetime
from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints

from domain.recorded import Report
from domain.tasks import Seconds
from domain.values import AgentType, PersonalText, PlanId, RunId, RunKind, TaskId, Value

CheckpointId = Annotated[str, StringConstraints(pattern=r"^checkpoint_[0-9]{3,9}$")]
"""A moment of a run that it can be rolled back to."""

Request = Annotated[
    str, StringConstraints(max_length=200), Field(exclude_if=lambda request: not request)
]
"""Names one wish of a person: however often it is heard, it is granted once."""


AnyValue = TypeVar("AnyValue", bound=Value)


class _Wish(Value):
    run_id: RunId
    request: Request = ""
    """What names the wish; the id of its message, where it is left out."""


class RunCancelRequested(_Wish):
    """A run is to stop where it is."""

    type: Literal["run.cancel_requested"] = "run.cancel_requested"
    reason: PersonalText = ""


class RunPauseRequested(_Wish):
    """A run is to dispatch nothing new."""

    type: Literal["run.pause_requested"] = "run.pause_requested"
    reason: PersonalText = ""


class RunResumeRequested(_Wish):
    """A paused run is to go on."""

    type: Literal["run.resume_requested"] = "run.resume_requested"


class RunRollbackRequested(_Wish):
    """Whatever a run has done since a checkpoint is to be done again."""

    type: Literal["run.rollback_requested"] = "run.rollback_requested"
    checkpoint: CheckpointId
    reason: PersonalText = ""


class TaskRetryRequested(_Wish):
    """A task that did not end well is to be tried once more, and what was skipped for it."""

    type: Literal["task.retry_requested"] = "task.retry_requested"
    task_id: TaskId
    reason: PersonalText = ""


class TaskSkipRequested(_Wish):
    """A task need not be done: what needs it is to go on without its result."""

    type: Literal["task.skip_requested"] = "task.skip_requested"
    task_id: TaskId
    reason: PersonalText = ""


class RunReplanRequested(_Wish):
    """What is left of a run is to be planned anew."""

    type: Literal["run.replan_requested"] = "run.replan_requested"
    reason: PersonalText = ""
    agent_type: AgentType | None = None
    """The type of agents that nobody serves any more, where that is why."""

    task_id: TaskId | None = None
    """The task that is in the way, where there is one."""

    max_delay: Seconds | None = None
    """By how many seconds the end may move at the most."""

    is_automatic: bool = False
    """Whether nobody asked for it: then the run's strategy has to be ``replan``."""


class RunCheckpointed(Value):
    """A moment of the run was marked, so that it can be rolled back to."""

    type: Literal["run.checkpointed"] = "run.checkpointed"
    run_id: RunId
    checkpoint: CheckpointId
    at: datetime
    completed: Annotated[int, Field(ge=0)]
    """How many tasks had been completed by then, or skipped by a person."""


class RunPaused(Value):
    """The run dispatches nothing new; what agents have in hand goes on."""

    type: Literal["run.paused"] = "run.paused"
    run_id: RunId
    plan_id: PlanId | None
    kind: RunKind
    checkpoint: CheckpointId
    reason: PersonalText
    request: Request = ""


class RunResumed(Value):
    """The run goes on: after a pause, or because one of its tasks is to be tried again."""

    type: Literal["run.resumed"] = "run.resumed"
    run_id: RunId
    plan_id: PlanId | None
    kind: RunKind
    checkpoint: CheckpointId | None
    """What it goes on from; None where it had ended, and not been rolled back."""
    request: Request = ""


class RunRolledBack(Value):
    """Tasks are pending again as they were at a checkpoint; the run is paused there."""

    type: Literal["run.rolled_back"] = "run.rolled_back"
    run_id: RunId
    plan_id: PlanId | None
    kind: RunKind
    checkpoint: CheckpointId
    reason: PersonalText
    tasks: tuple[TaskId, ...]
    """Those to be done again, in order of id."""

    completed: Annotated[int, Field(ge=0)]
    """How many tasks stay completed."""

    skipped: Annotated[int, Field(ge=0)]
    """How many stay skipped, because a person said so."""
    request: Request = ""


class TaskReopened(Value):
    """Tasks that had not ended well are pending again."""

    type: Literal["task.reopened"] = "task.reopened"
    run_id: RunId
    task_id: TaskId
    """The one that was asked for."""

    tasks: tuple[TaskId, ...]
    """All of them, in order of id: that one if it is to be tried again, and what was skipped or
    cancelled because of it."""

    failed: Annotated[int, Field(ge=0, le=1)]
    """How many of them had failed."""

    cancelled: Annotated[int, Field(ge=0)] = 0
    """How many of them had been cancelled; the others were skipped."""

    reason: PersonalText
    request: Request = ""


SteeringReport = (
    RunCancelRequested
    | RunPauseRequested
    | RunResumeRequested
    | RunRollbackRequested
    | TaskRetryRequested
    | TaskSkipRequested
    | RunReplanRequested
)
SteeringEvent = RunCheckpointed | RunPaused | RunResumed | RunRolledBack | TaskReopened


def body_of(report: Report[AnyValue]) -> AnyValue:
    """Return what a report says; a wish without a name is named by its report's id."""
    body = report.body
    if isinstance(body, _Wish) and not body.request:
        return body.model_copy(update={"request": report.id})
    return body
