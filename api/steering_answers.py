"""What the API says after an execution was steered."""

from collections.abc import Sequence

from pydantic import BaseModel

from api.durations import Moment
from domain.values import RunStatus, TaskStatus


class Paused(BaseModel):
    """An execution that dispatches nothing new."""

    execution_id: str
    status: RunStatus
    paused_at: Moment | None
    checkpoint_id: str | None


class Resumed(BaseModel):
    """An execution that goes on."""

    execution_id: str
    status: RunStatus
    resumed_at: Moment | None
    """Null where it was running already."""

    resumed_from: str | None


class Cancelled(BaseModel):
    """An execution that was stopped."""

    execution_id: str
    status: RunStatus
    cancelled_at: Moment | None
    """Null where it had ended in another way before."""

    completed_tasks: int
    rollback_available: bool
    """Whether it has a checkpoint to go back to."""


class RolledBack(BaseModel):
    """An execution that is where it was at a checkpoint, and paused."""

    execution_id: str
    status: RunStatus
    rolled_back_at: Moment | None
    """Null where nothing had been done since."""

    checkpoint_id: str
    completed_tasks: int
    undone_tasks: int


class TaskSteered(BaseModel):
    """A task that was reopened or skipped."""

    execution_id: str
    status: RunStatus
    task_id: str
    task_status: TaskStatus
    reopened_tasks: Sequence[str]
    """The tasks that are pending again, or are done again already."""
