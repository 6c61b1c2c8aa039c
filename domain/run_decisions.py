"""What follows from what is said of a run. Late, repeated and foreign reports change nothing."""

from collections.abc import Sequence
from datetime import datetime

from domain.errors import (
    AlreadyExists,
    EpochFromTheFuture,
    UnknownRun,
    UnknownTask,
)
from domain.graph import check
from domain.revisions import PlanReplanRefused, PlanUpdated
from domain.run import ENDED, IN_FLIGHT, Run, TaskState
from domain.run_attempts import hear
from domain.run_course import Course
from domain.run_events import (
    ReportIgnored,
    RunEvent,
    RunReport,
    RunRequested,
    RunStarted,
    TaskCompleted,
    TaskFailed,
    TaskLost,
    TaskReport,
    TaskStarted,
    TaskStopped,
    TaskTimedOut,
)
from domain.run_evolution import evolve
from domain.run_replanning import refuse, revise
from domain.run_steering import steer
from domain.steering import SteeringReport


def decide(run: Run | None, report: RunReport, now: datetime) -> Sequence[RunEvent]:
    """Say which events follow from a report.

    Raises:
        Refused: The report cannot be true of this run.
    """
    return advance(run, report, now)[0]


def advance(
    run: Run | None, report: RunReport, now: datetime
) -> tuple[Sequence[RunEvent], Run | None]:
    """Say which events follow from a report, and what the run is after them.

    Raises:
        Refused: The report cannot be true of this run.
    """
    if isinstance(report, RunRequested):
        return _begin(run, report, now)
    if run is None:
        raise UnknownRun(report.run_id or "?")
    if isinstance(report, SteeringReport):
        if report.request in run.granted:
            return [], run  # what was heard once may come again after its opposite
        course = Course(run, now)
        steer(course, report)
        return course.events, course.run
    if isinstance(report, PlanUpdated | PlanReplanRefused):
        course = Course(run, now)
        if isinstance(report, PlanUpdated):
            revise(course, report)
        else:
            refuse(course, report)
        return course.events, course.run
    state = run.state(report.task_id)
    if state is None and report.epoch <= run.gone.get(report.task_id, 0):
        reason = "the plan has another graph, without the task"
        ignored = _ignored(report, reason, is_waived=False)
        return [ignored], evolve(run, ignored)
    if state is None:
        raise UnknownTask(run.id, report.task_id)
    if report.epoch > state.epoch:
        raise EpochFromTheFuture(report.task_id, report.epoch, state.epoch)
    if _is_repeated(state, report):
        if not _tells_costs(state, report):
            return [], run
        ignored = _ignored(
            report, "the attempt had ended without a word from its agent", is_waived=False
        )
        return [ignored], evolve(run, ignored)
    if reason := _why_ignored(state, report):
        ignored = _ignored(report, reason, is_waived=state.is_waived)
        return [ignored], evolve(run, ignored)
    course = Course(run, now)
    hear(course, report)
    return course.events, course.run


def _begin(
    run: Run | None, report: RunRequested, now: datetime
) -> tuple[Sequence[RunEvent], Run | None]:
    if run is not None:
        if (run.plan_id, run.kind, run.revision) == (report.plan_id, report.kind, report.revision):
            return [], run
        raise AlreadyExists("run", run.id)
    check(report.tasks)
    started = RunStarted(
        run_id=report.run_id,
        plan_id=report.plan_id,
        kind=report.kind,
        revision=report.revision,
        priority=report.priority,
        options=report.options,
        tasks=report.tasks,
    )
    course = Course(evolve(None, started), now, begun_by=[started])
    return course.go_on(), course.run


def _is_repeated(state: TaskState, report: TaskReport) -> bool:
    """Tell whether the record says already what the report says, or need not say it."""
    match report:
        case TaskFailed() | TaskLost():
            return state.ended == (report.epoch, report.agent_id)
        case TaskTimedOut():
            # Its time ran out for an attempt that has ended meanwhile.
            is_current = report.epoch == state.epoch and report.agent_id == (state.agent_id or None)
            return not is_current or state.status not in IN_FLIGHT
        case TaskStopped():
            is_current = (report.epoch, report.agent_id) == (state.epoch, state.agent_id)
            return not is_current or state.status != "cancelled"
        case TaskStarted():
            is_of_holder = (report.epoch, report.agent_id) == (state.epoch, state.agent_id)
            return is_of_holder or state.ended == (report.epoch, report.agent_id)
        case TaskCompleted():
            is_of_holder = (report.epoch, report.agent_id) == (state.epoch, state.agent_id)
            return is_of_holder and state.status == "completed"


def _tells_costs(state: TaskState, report: TaskReport) -> bool:
    """Tell whether it is the first that is heard of the calls that an attempt has made."""
    if not isinstance(report, _TELLS_CALLS) or not report.calls:
        return False
    return state.untold == (report.epoch, report.agent_id)


def _why_ignored(state: TaskState, report: TaskReport) -> str:
    """Say why a report changes nothing; an empty string says that it counts."""
    if isinstance(report, TaskStopped | TaskTimedOut):
        return ""
    if report.epoch < state.epoch:
        return f"epoch {report.epoch} is over, the task is at epoch {state.epoch}"
    if state.status in ENDED:
        return f"the task is {state.status} already"
    if state.status not in IN_FLIGHT:
        return f"epoch {report.epoch} is over, the task waits for its next attempt"
    if state.status == "started" and report.agent_id != state.agent_id:
        return f"epoch {report.epoch} belongs to {state.agent_id}"
    if isinstance(report, TaskLost) and state.status != "started":
        return "no agent had started the attempt"
    return ""


def _ignored(report: TaskReport, reason: str, *, is_waived: bool) -> ReportIgnored:
    # What was waived is needed by nobody, and done by nobody else: only here it is kept.
    result = report.result if is_waived and isinstance(report, TaskCompleted) else {}
    return ReportIgnored(
        run_id=report.run_id,
        task_id=report.task_id,
        epoch=report.epoch,
        agent_id=report.agent_id or "unknown",
        report=report.type,
        reason=reason,
        result=result,
        calls=report.calls if isinstance(report, _TELLS_CALLS) else (),
    )


_TELLS_CALLS = TaskCompleted | TaskFailed | TaskStopped
