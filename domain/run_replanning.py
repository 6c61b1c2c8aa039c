"""What follows when a run needs another graph, and when there is one."""

from collections.abc import Sequence

from domain.errors import CannotSteer, UnknownTask
from domain.revisions import PlanReplanRefused, PlanUpdated
from domain.run import ENDED, Run
from domain.run_course import Course
from domain.run_events import ReplanRefused, RunEvent, RunRevised
from domain.run_impact import replan_requested
from domain.steering import RunReplanRequested, RunResumed
from domain.tasks import Task
from domain.teams import TEAMS
from domain.values import TaskStatus


def ask(course: Course, report: RunReplanRequested) -> Sequence[RunEvent]:
    """Ask for another graph because somebody wants it, or misses the agents for this one.

    Raises:
        Refused: The run has no plan to be changed, or is over.
    """
    run = course.run
    if report.is_automatic and not run.can_ask_for_a_plan:
        return []
    if run.plan_id is None or TEAMS[run.kind].grows or run.kind != "execution":
        raise CannotSteer(f"run {run.id} carries out no plan that could be changed")
    if run.status in ("completed", "cancelled"):
        raise CannotSteer(f"run {run.id} is {run.status}: nothing of it is left to be planned")
    if report.task_id is not None and report.task_id not in run.tasks:
        raise UnknownTask(run.id, report.task_id)
    if run.is_replanning:
        return []
    course.tell(
        replan_requested(
            run,
            report.reason,
            task_id=report.task_id,
            agent_type=report.agent_type,
            max_delay=report.max_delay,
            request=report.request,
        )
    )
    return course.events


def refuse(course: Course, report: PlanReplanRefused) -> Sequence[RunEvent]:
    """Go on with the graph there is: what waits for a failed task never runs."""
    run = course.run
    if not run.is_replanning or run.status in ("completed", "cancelled"):
        return []
    return _go_on_without(course, report.reason)


def revise(course: Course, report: PlanUpdated) -> Sequence[RunEvent]:
    """Go on with another graph; what was met meanwhile is not touched by it."""
    run = course.run
    if report.revision <= run.revision or run.status in ("completed", "cancelled"):
        return []
    revised = _revised(run, report)
    if lacking := _lacking(run, revised):
        reason = f"revision {report.revision} asks for results that nobody has kept: "
        return _go_on_without(course, reason + ", ".join(lacking))
    course.tell(revised)
    if course.run.is_over:
        course.tell(RunResumed(run_id=run.id, plan_id=run.plan_id, kind=run.kind, checkpoint=None))
    return course.go_on()


def _go_on_without(course: Course, reason: str) -> Sequence[RunEvent]:
    run = course.run
    course.tell(ReplanRefused(run_id=run.id, plan_id=run.plan_id, reason=reason))
    failed = sorted(name for name, state in run.states.items() if state.status == "failed")
    if failed and run.options.failure_strategy == "fail_fast":
        course.cancel_rest()
    for name in failed:
        course.skip_behind(name)
    return course.go_on()


def _lacking(run: Run, revised: RunRevised) -> Sequence[str]:
    """Return completed tasks that new ones ask for, and of which no result is kept."""
    asked = {
        source for task in (*revised.added, *revised.modified) for source in task.inputs.values()
    }
    done = {name for name in asked if (s := run.state(name)) and s.status == "completed"}
    return sorted(done - {name for name in done if name in run.results})


def _revised(run: Run, report: PlanUpdated) -> RunRevised:
    new = {task.id: task for task in report.tasks}
    added: list[Task] = []
    modified: list[Task] = []
    reopened: list[str] = []
    was: dict[str, TaskStatus] = {}
    for name in sorted(new):
        state = run.state(name)
        if state is None:
            added.append(new[name])
        elif not state.is_met:
            if run.tasks[name] != new[name]:
                modified.append(new[name])
            elif state.status in ENDED:
                reopened.append(name)
            else:
                continue
            was[name] = state.status
    removed = sorted(n for n, state in run.states.items() if n not in new and not state.is_met)
    was.update((name, run.states[name].status) for name in removed)
    return RunRevised(
        run_id=run.id,
        plan_id=run.plan_id,
        revision=report.revision,
        reason=report.reason,
        added=tuple(added),
        modified=tuple(modified),
        removed=tuple(removed),
        reopened=tuple(reopened),
        was=was,
    )
