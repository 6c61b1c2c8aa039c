"""What follows when a person steers a run: pause, resume, cancel, roll back, retry, skip."""

from collections.abc import Sequence
from typing import assert_never

from domain.errors import CannotSteer, UnknownCheckpoint, UnknownTask
from domain.run import ENDED, IN_FLIGHT, Checkpoint, Run, TaskState
from domain.run_course import Course
from domain.run_events import RunCancelled, RunEvent, TaskSkipped
from domain.run_replanning import ask
from domain.steering import (
    RunCancelRequested,
    RunCheckpointed,
    RunPaused,
    RunPauseRequested,
    RunReplanRequested,
    RunResumed,
    RunResumeRequested,
    RunRollbackRequested,
    RunRolledBack,
    SteeringReport,
    TaskReopened,
    TaskRetryRequested,
    TaskSkipRequested,
)
from domain.teams import TEAMS


def steer(course: Course, report: SteeringReport) -> Sequence[RunEvent]:
    """Say what follows from what a person asks of a run.

    Raises:
        Refused: It cannot be done as the run stands; the message says why.
    """
    match report:
        case RunCancelRequested():
            return _cancel(course, report)
        case RunPauseRequested():
            return _pause(course, report)
        case RunResumeRequested():
            return _resume(course, report)
        case RunRollbackRequested():
            return _roll_back(course, report)
        case TaskRetryRequested():
            return _retry(course, report)
        case TaskSkipRequested():
            return _skip(course, report)
        case RunReplanRequested():
            return ask(course, report)
        case _:
            assert_never(report)


def checkpoint_if_due(course: Course) -> None:
    """Mark a checkpoint when the last one is older than the run's interval."""
    run = course.run
    interval = run.options.checkpoint_interval
    if interval is None:
        return
    if not run.checkpoints or course.now - run.checkpoints[-1].at >= interval:
        _mark(course)


def _mark(course: Course) -> str:
    run = course.run
    checkpoint = f"checkpoint_{run.marked + 1:03d}"
    course.tell(
        RunCheckpointed(run_id=run.id, checkpoint=checkpoint, at=course.now, completed=run.done)
    )
    return checkpoint


def _cancel(course: Course, report: RunCancelRequested) -> Sequence[RunEvent]:
    run = course.run
    if not run.is_over:
        if not TEAMS[run.kind].grows:
            _mark(course)  # so that the cancellation can be undone
        course.cancel_rest()
        course.tell(
            RunCancelled(
                run_id=run.id,
                plan_id=run.plan_id,
                kind=run.kind,
                reason=report.reason,
                request=report.request,
            )
        )
    return course.events


def _pause(course: Course, report: RunPauseRequested) -> Sequence[RunEvent]:
    run = course.run
    if run.is_over:
        raise CannotSteer(f"run {run.id} is {run.status}: there is nothing to pause")
    if run.status == "running":
        checkpoint = _mark(course)
        course.tell(
            RunPaused(
                run_id=run.id,
                plan_id=run.plan_id,
                kind=run.kind,
                checkpoint=checkpoint,
                reason=report.reason,
                request=report.request,
            )
        )
    return course.events


def _resume(course: Course, report: RunResumeRequested) -> Sequence[RunEvent]:
    run = course.run
    if run.is_over:
        raise CannotSteer(
            f"run {run.id} is {run.status}; roll it back to a checkpoint, or retry a task of it"
        )
    if run.status == "paused":
        _tell_resumed(course, report)
    return course.go_on()


def _tell_resumed(course: Course, report: SteeringReport) -> None:
    run = course.run
    is_paused = run.status == "paused"
    course.tell(
        RunResumed(
            run_id=run.id,
            plan_id=run.plan_id,
            kind=run.kind,
            checkpoint=run.checkpoints[-1].id if is_paused and run.checkpoints else None,
            request=report.request,
        )
    )


def _roll_back(course: Course, report: RunRollbackRequested) -> Sequence[RunEvent]:
    run = course.run
    if TEAMS[run.kind].grows:
        raise CannotSteer(f"run {run.id} grows by its results, and cannot be rolled back")
    checkpoint = run.checkpoint(report.checkpoint)
    if checkpoint is None:
        raise UnknownCheckpoint(run.id, report.checkpoint, [each.id for each in run.checkpoints])
    undone = tuple(
        sorted(name for name, state in run.states.items() if _is_after(state, checkpoint))
    )
    is_last = run.checkpoints[-1] == checkpoint
    is_there = not undone and (run.is_over or (run.status == "paused" and is_last))
    if not is_there:
        course.tell(
            RunRolledBack(
                run_id=run.id,
                plan_id=run.plan_id,
                kind=run.kind,
                checkpoint=checkpoint.id,
                reason=report.reason,
                request=report.request,
                tasks=undone,
                completed=sum(
                    state.status == "completed" and not _is_after(state, checkpoint)
                    for _, state in run.states.items()
                ),
                skipped=sum(
                    state.is_waived and not _is_after(state, checkpoint)
                    for _, state in run.states.items()
                ),
            )
        )
    return course.events


def _retry(course: Course, report: TaskRetryRequested) -> Sequence[RunEvent]:
    run, task_id = course.run, report.task_id
    state = _state(run, task_id)
    if state.is_met:
        raise CannotSteer(
            f"task {task_id} is {state.status}; roll back to a checkpoint to do it again"
        )
    if state.status not in ENDED:
        return []  # it is on its way already
    _check_open(run, task_id, state)
    for need in run.tasks[task_id].needs:
        if not _has_hope(run, need):
            raise CannotSteer(
                f"task {task_id} needs {need}, which is {run.states[need].status};"
                " retry or skip that one"
            )
    _reopen(course, report, (task_id, *_behind(run, task_id)))
    return course.go_on()


def _skip(course: Course, report: TaskSkipRequested) -> Sequence[RunEvent]:
    run, task_id = course.run, report.task_id
    state = _state(run, task_id)
    if state.is_waived:
        return []
    if state.status == "completed":
        raise CannotSteer(f"task {task_id} is completed: there is nothing to skip")
    _check_open(run, task_id, state)
    skipped = TaskSkipped(
        run_id=run.id,
        task_id=task_id,
        because=None,
        was=state.status,
        reason=report.reason,
        request=report.request,
    )
    if behind := _behind(run, task_id):
        _reopen(course, report, behind)
    course.tell(skipped)
    if course.run.is_over:
        _tell_resumed(course, report)
    return course.go_on()


def _state(run: Run, task_id: str) -> TaskState:
    state = run.state(task_id)
    if state is None:
        raise UnknownTask(run.id, task_id)
    return state


def _check_open(run: Run, task_id: str, state: TaskState) -> None:
    """Accept that a task is moved that has not ended well."""
    if run.status == "cancelled":
        raise CannotSteer(f"run {run.id} is cancelled; roll it back to a checkpoint first")
    if state.status == "cancelled":
        raise CannotSteer(
            f"task {task_id} was cancelled because another one failed; retry or skip that one"
        )
    if run.is_over and TEAMS[run.kind].grows:
        raise CannotSteer(f"run {run.id} is {run.status}, and its plan with it; plan the goal anew")


def _is_after(state: TaskState, checkpoint: Checkpoint) -> bool:
    """Tell whether something has become of a task since a checkpoint, or was becoming of it."""
    if state.is_met:
        return state.done > checkpoint.completed
    return state.status != "pending" or state.failures > 0


def _reopen(
    course: Course, report: TaskRetryRequested | TaskSkipRequested, names: Sequence[str]
) -> None:
    states = course.run.states
    course.tell(
        TaskReopened(
            run_id=course.run.id,
            task_id=report.task_id,
            tasks=tuple(sorted(names)),
            failed=sum(states[name].status == "failed" for name in names),
            cancelled=sum(states[name].status == "cancelled" for name in names),
            reason=report.reason,
            request=report.request,
        )
    )
    if course.run.is_over:
        _tell_resumed(course, report)


def _behind(run: Run, task_id: str) -> tuple[str, ...]:
    """Return what was skipped or cancelled because of a task alone."""
    if run.options.failure_strategy == "fail_fast" and run.is_over:
        return tuple(sorted(n for n, state in run.states.items() if state.status == "cancelled"))
    return _skipped_behind(run, task_id)


def _skipped_behind(run: Run, task_id: str) -> tuple[str, ...]:
    """Return what was skipped because of a task alone: none of its other needs is hopeless."""
    free = {task_id}
    found: list[str] = []
    front = [task_id]
    while front:
        for name in run.after.get(front.pop(), ()):
            state = run.states[name]
            if name in free or state.status != "skipped" or state.is_waived:
                continue
            if all(need in free or _has_hope(run, need) for need in run.tasks[name].needs):
                free.add(name)
                found.append(name)
                front.append(name)
    return tuple(found)


def _has_hope(run: Run, task_id: str) -> bool:
    state = run.states[task_id]
    return state.is_met or state.status in IN_FLIGHT or state.status in ("pending", "lost")
