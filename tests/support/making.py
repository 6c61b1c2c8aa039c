"""Small tasks, runs and reports, so that a test says only what matters to it."""

from collections.abc import Iterable
from functools import reduce

from domain.policies import AnyReport
from domain.run import Run
from domain.run_decisions import decide
from domain.run_events import (
    RunEvent,
    RunReport,
    RunRequested,
    TaskCompleted,
    TaskFailed,
    TaskLost,
    TaskStarted,
    TaskTimedOut,
    Timeout,
)
from domain.run_evolution import evolve
from domain.steering import (
    RunCancelRequested,
    RunPauseRequested,
    RunResumeRequested,
    RunRollbackRequested,
    TaskRetryRequested,
    TaskSkipRequested,
)
from domain.tasks import Task
from domain.values import ErrorClass, JsonObject
from tests.support.scenario import NOW

RUN_ID, PLAN_ID = "exec_1", "plan_1"


def task(task_id: str, *needs: str, **changes: object) -> Task:
    known: dict[str, object] = {
        "id": task_id,
        "name": f"Task {task_id}",
        "agent": "NOOP",
        "depends_on": needs,
    }
    return Task.model_validate(known | changes)


def requested(*tasks: Task, **changes: object) -> RunRequested:
    known: dict[str, object] = {"run_id": RUN_ID, "plan_id": PLAN_ID, "tasks": tasks}
    return RunRequested.model_validate(known | changes)


def started(task_id: str, epoch: int = 1, agent_id: str = "ann") -> TaskStarted:
    return TaskStarted(run_id=RUN_ID, task_id=task_id, epoch=epoch, agent_id=agent_id)


def completed(
    task_id: str, epoch: int = 1, agent_id: str = "ann", result: JsonObject | None = None
) -> TaskCompleted:
    return TaskCompleted(
        run_id=RUN_ID, task_id=task_id, epoch=epoch, agent_id=agent_id, result=result or {}
    )


def failed(
    task_id: str,
    epoch: int = 1,
    agent_id: str = "ann",
    error_class: ErrorClass = "transient",
    reason: str = "it broke",
    retry_in: int | None = None,
) -> TaskFailed:
    return TaskFailed(
        run_id=RUN_ID,
        task_id=task_id,
        epoch=epoch,
        agent_id=agent_id,
        error_class=error_class,
        reason=reason,
        retry_in=retry_in,
    )


def lost(task_id: str, epoch: int = 1, agent_id: str = "ann") -> TaskLost:
    return TaskLost(
        run_id=RUN_ID, task_id=task_id, epoch=epoch, agent_id=agent_id, reason="silence"
    )


def pause(reason: str = "") -> RunPauseRequested:
    return RunPauseRequested(run_id=RUN_ID, reason=reason)


def resume() -> RunResumeRequested:
    return RunResumeRequested(run_id=RUN_ID)


def cancel(reason: str = "") -> RunCancelRequested:
    return RunCancelRequested(run_id=RUN_ID, reason=reason)


def roll_back(checkpoint: str = "checkpoint_001", reason: str = "") -> RunRollbackRequested:
    return RunRollbackRequested(run_id=RUN_ID, checkpoint=checkpoint, reason=reason)


def retry(task_id: str, reason: str = "") -> TaskRetryRequested:
    return TaskRetryRequested(run_id=RUN_ID, task_id=task_id, reason=reason)


def skip(task_id: str, reason: str = "") -> TaskSkipRequested:
    return TaskSkipRequested(run_id=RUN_ID, task_id=task_id, reason=reason)


def timed_out(
    task_id: str, timeout: Timeout, epoch: int = 1, agent_id: str | None = None
) -> TaskTimedOut:
    return TaskTimedOut(
        run_id=RUN_ID, task_id=task_id, epoch=epoch, agent_id=agent_id, timeout=timeout
    )


def after(*reports: RunReport) -> tuple[RunEvent, ...]:
    """Return the events that reports to one run lead to, one after the other."""
    return _history(reports)[0]


def run_after(*reports: RunReport) -> Run:
    """Return the run that reports lead to."""
    run = _history(reports)[1]
    assert run is not None
    return run


def _history(reports: Iterable[RunReport]) -> tuple[tuple[RunEvent, ...], Run | None]:
    run: Run | None = None
    past: list[RunEvent] = []
    for report in reports:
        events = decide(run, report, NOW)
        run = reduce(evolve, events, run)
        past += events
    return tuple(past), run


def types(events: Iterable[RunEvent | AnyReport]) -> list[str]:
    return [event.type for event in events]
