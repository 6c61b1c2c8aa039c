"""Steering an execution: each command is one report to its run."""

from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path

from api.access import may
from api.asked import Asked
from api.commanding import Command, Commander
from api.reading import Snapshot, snapshot
from api.steering_answers import Cancelled, Paused, Resumed, RolledBack, TaskSteered
from bus.recorder import Outcome
from domain.errors import UnknownRun, UnknownTask
from domain.steering import (
    CheckpointId,
    RunCancelRequested,
    RunPaused,
    RunPauseRequested,
    RunResumed,
    RunResumeRequested,
    RunRollbackRequested,
    RunRolledBack,
    TaskReopened,
    TaskRetryRequested,
    TaskSkipRequested,
)
from domain.values import RunId, TaskId, Text
from projections.executions import EXECUTIONS, ExecutionRow, read_execution
from projections.tasks import TASKS, read_task

router = APIRouter(prefix="/executions/{execution_id}", tags=["executions"])

_Id = Annotated[RunId, Path()]
_TaskPath = Annotated[TaskId, Path()]
_E = TypeVar("_E")


class Why(Asked):
    """Why something is asked for."""

    reason: Text = ""


class RollbackRequest(Asked):
    """Where to go back to."""

    checkpoint_id: CheckpointId
    reason: Text = ""


_VIEWS = (EXECUTIONS, TASKS)


@router.post("/pause", dependencies=[may("plan:steer")])
async def pause_execution(execution_id: _Id, command: Command, why: Why | None = None) -> Paused:
    """Dispatch nothing new; what agents have in hand goes on."""
    outcome = await command.say(
        RunPauseRequested(run_id=execution_id, reason=why.reason if why else "")
    )
    if found := _found(outcome, RunPaused):
        event, at = found
        return Paused(
            execution_id=execution_id,
            status="paused",
            paused_at=at,
            checkpoint_id=event.checkpoint,
        )
    row = await _row(command, outcome, execution_id)
    last = row.checkpoints[-1]["id"] if row.checkpoints else None
    return Paused(
        execution_id=execution_id, status=row.status, paused_at=row.paused_at, checkpoint_id=last
    )


@router.post("/resume", dependencies=[may("plan:steer")])
async def resume_execution(execution_id: _Id, command: Command) -> Resumed:
    """Go on with a paused execution."""
    outcome = await command.say(RunResumeRequested(run_id=execution_id))
    if found := _found(outcome, RunResumed):
        event, at = found
        return Resumed(
            execution_id=execution_id,
            status="running",
            resumed_at=at,
            resumed_from=event.checkpoint,
        )
    row = await _row(command, outcome, execution_id)
    return Resumed(execution_id=execution_id, status=row.status, resumed_at=None, resumed_from=None)


@router.post("/cancel", dependencies=[may("plan:steer")])
async def cancel_execution(
    execution_id: _Id, command: Command, why: Why | None = None
) -> Cancelled:
    """End every task that has not ended, and tell the agents; what is done stays done."""
    outcome = await command.say(
        RunCancelRequested(run_id=execution_id, reason=why.reason if why else "")
    )
    row = await _row(command, outcome, execution_id)
    return Cancelled(
        execution_id=execution_id,
        status=row.status,
        cancelled_at=row.ended_at if row.status == "cancelled" else None,
        completed_tasks=row.completed,
        rollback_available=row.kind != "planning" and bool(row.checkpoints),
    )


@router.post("/rollback", dependencies=[may("plan:steer")])
async def roll_back_execution(
    execution_id: _Id, command: Command, asked: RollbackRequest
) -> RolledBack:
    """Make pending again whatever was done since a checkpoint, and pause there."""
    outcome = await command.say(
        RunRollbackRequested(
            run_id=execution_id, checkpoint=asked.checkpoint_id, reason=asked.reason
        )
    )
    if found := _found(outcome, RunRolledBack):
        event, at = found
        return RolledBack(
            execution_id=execution_id,
            status="paused",
            rolled_back_at=at,
            checkpoint_id=event.checkpoint,
            completed_tasks=event.completed,
            undone_tasks=len(event.tasks),
        )
    row = await _row(command, outcome, execution_id)
    return RolledBack(
        execution_id=execution_id,
        status=row.status,
        rolled_back_at=None,
        checkpoint_id=asked.checkpoint_id,
        completed_tasks=row.completed,
        undone_tasks=0,
    )


@router.post("/tasks/{task_id}/retry", dependencies=[may("plan:steer")])
async def retry_task(
    execution_id: _Id, task_id: _TaskPath, command: Command, why: Why | None = None
) -> TaskSteered:
    """Try a task again that failed, and with it what was skipped because of it."""
    reason = why.reason if why else ""
    report = TaskRetryRequested(run_id=execution_id, task_id=task_id, reason=reason)
    return await _steered(command, report)


@router.post("/tasks/{task_id}/skip", dependencies=[may("plan:steer")])
async def skip_task(
    execution_id: _Id, task_id: _TaskPath, command: Command, why: Why | None = None
) -> TaskSteered:
    """Let what needs a task go on without its result."""
    reason = why.reason if why else ""
    report = TaskSkipRequested(run_id=execution_id, task_id=task_id, reason=reason)
    return await _steered(command, report)


async def _steered(
    command: Commander, report: TaskRetryRequested | TaskSkipRequested
) -> TaskSteered:
    outcome = await command.say(report, about=report.task_id)
    await command.see(outcome, *_VIEWS)
    async with snapshot(command.ports, EXECUTIONS, TASKS) as read:
        row = await _require(read, report.run_id)
        task = await read_task(read.connection, report.run_id, report.task_id)
    if task is None:
        raise UnknownTask(report.run_id, report.task_id)
    reopened = _found(outcome, TaskReopened)
    return TaskSteered(
        execution_id=report.run_id,
        status=row.status,
        task_id=report.task_id,
        task_status=task.status,
        reopened_tasks=reopened[0].tasks if reopened else (),
    )


async def _row(command: Commander, outcome: Outcome, run_id: str) -> ExecutionRow:
    """Return the run's row once it tells what has happened."""
    await command.see(outcome, *_VIEWS)
    async with snapshot(command.ports, EXECUTIONS) as read:
        return await _require(read, run_id)


def _found(outcome: Outcome, kind: type[_E]) -> tuple[_E, datetime] | None:
    """Return the event of a kind that a report has led to, and when."""
    for recorded in outcome.events:
        if isinstance(recorded.event, kind):
            return recorded.event, recorded.at
    return None


async def _require(read: Snapshot, run_id: str) -> ExecutionRow:
    row = await read_execution(read.connection, run_id)
    if row is None:
        raise UnknownRun(run_id)
    return row
