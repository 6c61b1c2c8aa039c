"""What follows from the end of an attempt, or from its start: results, failures, losses."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from domain.errors import Refused
from domain.gathering import after_answer
from domain.graph import check
from domain.run import NOBODY, Run, TaskState, attempt_name
from domain.run_course import Course, check_weight
from domain.run_events import (
    RunEvent,
    RunExtended,
    TaskCompleted,
    TaskFailed,
    TaskLost,
    TaskReport,
    TaskStarted,
    TaskStopped,
    TaskTimedOut,
    Timeout,
)
from domain.run_steering import checkpoint_if_due
from domain.tasks import Task
from domain.teams import TEAMS, endowed
from domain.values import AgentType, JsonObject

UNKNOWN_OUTCOME: Final = "whether its effect happened is unknown"
"""What the reason of a failure says where nobody knows what became of an external effect."""

_TOO_LONG: Mapping[Timeout, str] = {
    "start": "no agent started it within",
    "run": "the attempt took more than",
    "total": "all in all it took more than",
}


def hear(course: Course, report: TaskReport) -> Sequence[RunEvent]:
    """Say what follows from what counts of an attempt at a task."""
    run = course.run
    task, state = run.tasks[report.task_id], run.states[report.task_id]
    match report:
        case TaskStarted():
            course.tell(_started(task, report, course.now))
        case TaskCompleted():
            return _complete(course, task, report)
        case TaskFailed():
            _begin_if_needed(course, state, report)
            _fail(course, task, report)
        case TaskTimedOut():
            _time_out(course, task, state, report)
        case TaskLost():
            _lose(course, task, state, report)
        case TaskStopped():
            course.tell(report)
    return course.go_on()


def _started(task: Task, report: TaskStarted, now: datetime) -> TaskStarted:
    limit = task.timeouts.run
    return report.model_copy(
        update={
            "is_claim": task.effect == "external",
            "run_by": None if limit is None else now + timedelta(seconds=limit),
        }
    )


def _begin_if_needed(course: Course, state: TaskState, report: TaskCompleted | TaskFailed) -> None:
    """Reports can overtake each other: an attempt that has ended has started."""
    if state.status != "started":
        started = TaskStarted(
            run_id=report.run_id,
            task_id=report.task_id,
            epoch=report.epoch,
            agent_id=report.agent_id,
        )
        course.tell(_started(course.run.tasks[report.task_id], started, course.now))


def _complete(course: Course, task: Task, report: TaskCompleted) -> Sequence[RunEvent]:
    _begin_if_needed(course, course.run.states[task.id], report)
    before, count = course.run, len(course.events)
    try:
        course.tell(report)
        _grow(course, task.id, report.result)
        followers = course.run.after.get(task.id, ())
        course.tell(*after_answer(course.run, followers))
        check_weight(course.run, [n for n in followers if course.run.states[n].is_ready])
    except Refused as refusal:
        # As if the result had not been told: the attempt has failed with it.
        course.run = before
        del course.events[count:]
        reason = f"the result of {task.action} cannot be used: {refusal}"
        _fail(course, task, _failure(report, error_class="validation", reason=reason))
        return course.go_on()
    checkpoint_if_due(course)
    return course.go_on()


def _grow(course: Course, task_id: str, result: JsonObject) -> None:
    """Add the tasks that a result asks for, checked as a user's would be.

    Raises:
        Refused: The result is malformed, or its tasks do not fit the graph.
    """
    run = course.run
    grow = TEAMS[run.kind].grow
    if grow is None:
        return
    new = tuple(grow(task_id, result, run.tasks))
    if new:
        new = endowed(new, run.tasks[task_id].budget, run.states[task_id].spent)
        check(new, known=run.tasks)
        course.tell(RunExtended(run_id=run.id, because=task_id, tasks=new))


def _fail(course: Course, task: Task, failed: TaskFailed) -> None:
    """Record a failure, and with it whether another attempt follows."""
    retry = task.retry
    if failed.error_class in retry.on:
        failures = course.run.states[task.id].failures + 1
        if failures < _attempts(course.run, task):
            attempt = attempt_name(course.run.id, task.id, failed.epoch)
            delay = retry.delay_after(_failures_of_type(course.run, task), attempt=attempt)
            if not _is_too_late(course, task, delay):
                _again(course, failed, delay=delay)
                return
        elif (fallback := _fallback(course.run, task)) and not _is_too_late(course, task, 0):
            _again(course, failed, delay=0, next_agent=fallback)
            return
    course.give_up(failed.model_copy(update={"retry_in": None, "next_agent": None}))


def _again(
    course: Course, failed: TaskFailed, *, delay: int, next_agent: AgentType | None = None
) -> None:
    course.tell(failed.model_copy(update={"retry_in": delay, "next_agent": next_agent}))


def _attempts(run: Run, task: Task) -> int:
    """Return how many attempts may fail; another type of agents has as many of its own."""
    return task.retry.attempts * (2 if run.states[task.id].instead else 1)


def _failures_of_type(run: Run, task: Task) -> int:
    """Return how many attempts of the present type of agents have failed, with this one."""
    state = run.states[task.id]
    return state.failures + 1 - (task.retry.attempts if state.instead else 0)


def _fallback(run: Run, task: Task) -> AgentType | None:
    return None if run.states[task.id].instead else task.fallback


def _is_too_late(course: Course, task: Task, delay: int) -> bool:
    end_by = course.run.states[task.id].end_by
    return end_by is not None and course.now + timedelta(seconds=delay) >= end_by


def _time_out(course: Course, task: Task, state: TaskState, report: TaskTimedOut) -> None:
    limit: float | None = getattr(task.timeouts, report.timeout)
    if limit is None:
        return
    course.tell(report)
    reason = f"timed out: {_TOO_LONG[report.timeout]} {limit:g} s"
    failed = _failure(report, error_class="transient", reason=reason)
    if _is_unknown(task, state):
        course.give_up(_unknown(failed, reason))
    elif report.timeout == "total":
        course.give_up(failed)
    elif report.timeout == "start" and (fallback := _fallback(course.run, task)):
        _again(course, failed, delay=0, next_agent=fallback)
    else:
        _fail(course, task, failed)


def _lose(course: Course, task: Task, state: TaskState, report: TaskLost) -> None:
    course.tell(report)
    failed = _failure(report, error_class="critical", reason=report.reason)
    if _is_unknown(task, state):
        course.give_up(_unknown(failed, "its agent is gone"))
    elif state.losses >= task.retry.lost:
        reason = f"{task.retry.lost + 1} agents were lost with it"
        course.give_up(failed.model_copy(update={"reason": reason}))


def _is_unknown(task: Task, state: TaskState) -> bool:
    """Tell whether an effect may have happened that must not happen twice."""
    is_claimed = task.effect == "external" and state.status == "started"
    return is_claimed and task.retry.unknown == "never"


def _unknown(failed: TaskFailed, why: str) -> TaskFailed:
    reason = f"{why}, and {UNKNOWN_OUTCOME}: look outside, then retry or skip the task"
    return failed.model_copy(update={"error_class": "critical", "reason": reason})


def _failure(
    report: TaskCompleted | TaskTimedOut | TaskLost, *, error_class: str, reason: str
) -> TaskFailed:
    return TaskFailed.model_validate(
        {
            "run_id": report.run_id,
            "task_id": report.task_id,
            "epoch": report.epoch,
            "agent_id": report.agent_id or NOBODY,
            "error_class": error_class,
            "reason": reason[:4_000],
            "calls": report.calls if isinstance(report, TaskCompleted) else (),
        }
    )
