"""What follows from what is said of a plan: by users, by its planners and by its runs."""

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from domain.errors import AlreadyExists, PlanNotReady, Refused, TooHeavy, UnknownPlan
from domain.findings import MOST_FINDINGS, PlanConflictDetected
from domain.goals import Goal, Options
from domain.graph import check
from domain.plan import (
    GoalSubmitted,
    GraphProposed,
    Plan,
    PlanCancelled,
    PlanCancelRequested,
    PlanCompleted,
    PlanCreated,
    PlanEvent,
    PlanFailed,
    PlanningGivenUp,
    PlanReady,
    PlanReport,
    PlanStarted,
    run_options,
)
from domain.reviews import NotUnderReview, PlanApproved, PlanRejected, PlanReviewed
from domain.revising import amended, answer_to
from domain.revisions import (
    GraphRevised,
    PlanReplanning,
    PlanReplanRefused,
    PlanReplanRequested,
    ReplanningGivenUp,
)
from domain.run_events import (
    ReplanRequested,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
)
from domain.runs_of_plans import planning_run_of, replanning_run_of
from domain.scheduling.schedules import Schedule, fits, schedule_of
from domain.steering import RunResumed
from domain.tasks import Task
from domain.weights import LARGEST_GOAL, weight


def decide(plan: Plan | None, report: PlanReport, now: datetime) -> Sequence[PlanEvent]:
    """Say which events follow from a report.

    Raises:
        Refused: The report cannot be true of this plan.
    """
    if isinstance(report, GoalSubmitted):
        return _create(plan, report)
    if plan is None:
        raise UnknownPlan(report.plan_id or "?")
    match report:
        case GraphProposed():
            return _plan(plan, report)
        case PlanningGivenUp(run_id=run_id, reason=reason):
            if plan.status != "planning":
                return []
            return [PlanFailed(plan_id=plan.id, run_id=run_id, reason=reason)]
        case PlanCancelRequested(reason=reason):
            if plan.is_over:
                return []
            stopping = (planning_run_of(plan.id),) if plan.status == "planning" else plan.runs[-1:]
            if plan.replanning is not None:
                stopping = (*stopping, plan.replanning.planning_run)
            return [PlanCancelled(plan_id=plan.id, reason=reason, runs=stopping)]
        case PlanReviewed():
            return _review(plan, report)
        case PlanReplanRequested() | ReplanRequested() | GraphRevised() | ReplanningGivenUp():
            return _revise(plan, report)
        case _:
            return _follow_run(plan, report)


def _follow_run(
    plan: Plan, report: RunStarted | RunCompleted | RunFailed | RunCancelled | RunResumed
) -> Sequence[PlanEvent]:
    match report:
        case RunStarted(run_id=run_id):
            return [] if run_id in plan.runs else [_follow(plan, run_id)]
        case RunResumed(run_id=run_id):
            # Only a run that had ended, and only the latest, takes its plan with it.
            is_back = plan.runs[-1:] == (run_id,) and plan.status not in ("running", "planning")
            return [_follow(plan, run_id)] if is_back else []
        case RunCompleted(run_id=run_id):
            if not _is_running(plan, run_id):
                return []
            return [PlanCompleted(plan_id=plan.id, run_id=run_id)]
        case RunFailed(run_id=run_id, reason=reason) | RunCancelled(run_id=run_id, reason=reason):
            if not _is_running(plan, run_id):
                return []
            return [PlanFailed(plan_id=plan.id, run_id=run_id, reason=reason)]
        case _:
            assert_never(report)


def _revise(
    plan: Plan, report: PlanReplanRequested | ReplanRequested | GraphRevised | ReplanningGivenUp
) -> Sequence[PlanEvent]:
    match report:
        case PlanReplanRequested():
            if plan.status != "ready":
                raise PlanNotReady(plan.id, plan.status, "planned anew")
            return [] if plan.replanning else [_replanning(plan, report)]
        case ReplanRequested(run_id=run_id):
            return _revise_for(plan, run_id, report)
        case GraphRevised() | ReplanningGivenUp():
            asked = plan.replanning
            if asked is None or asked.planning_run != report.run_id:
                return []
            if asked.run_id is None and plan.status != "ready":
                return [_refused(plan, None, "the plan is carried out already, as it was")]
            options = run_options(plan.options, has_own_graph=plan.has_own_graph)
            return [answer_to(asked, report, options)]


def _revise_for(plan: Plan, run_id: str, report: ReplanRequested) -> Sequence[PlanEvent]:
    """Ask the planners for a run, which waits for an answer: it always has one."""
    if plan.runs[-1:] != (run_id,) or plan.status == "cancelled":
        return [_refused(plan, run_id, "the plan is not carried out by this run any more")]
    if plan.replanning is None:
        return [_replanning(plan, report)]
    if plan.replanning.run_id == run_id:
        return []
    return [_refused(plan, run_id, "another graph is being planned already")]


def _refused(plan: Plan, run_id: str | None, reason: str) -> PlanReplanRefused:
    return PlanReplanRefused(plan_id=plan.id, run_id=run_id, revision=plan.revision, reason=reason)


def _replanning(plan: Plan, report: PlanReplanRequested | ReplanRequested) -> PlanReplanning:
    of_run = report if isinstance(report, ReplanRequested) else None
    return PlanReplanning(
        plan_id=plan.id,
        run_id=of_run.run_id if of_run else None,
        planning_run=replanning_run_of(plan.id, plan.replans + 1),
        goal=plan.goal,
        options=plan.options,
        priority=plan.goal.priority,
        revision=plan.revision,
        tasks=plan.tasks,
        met=of_run.met if of_run else (),
        has_own_graph=plan.has_own_graph,
        task_id=of_run.task_id if of_run else None,
        agent_type=of_run.agent_type if of_run else None,
        reason=report.reason,
        max_delay=report.max_delay,
    )


def _review(plan: Plan, report: PlanReviewed) -> Sequence[PlanEvent]:
    if plan.status != "proposed":
        is_approved = plan.options.review and plan.status in ("ready", "running", "completed")
        if report.verdict == "approve" and is_approved and report.revision == plan.revision:
            return []  # it was approved before
        raise NotUnderReview(plan.id, f"is {plan.status}: it waits for no verdict")
    if report.revision != plan.revision:
        seen = f"has revision {plan.revision} by now, not {report.revision}: look at that one"
        raise NotUnderReview(plan.id, seen)
    run = run_options(plan.options, has_own_graph=plan.has_own_graph)
    if report.verdict == "amend":
        return [amended(plan.id, plan.revision, plan.tasks, report, run)]
    if report.verdict == "reject":
        rejected = PlanRejected(
            plan_id=plan.id, revision=plan.revision, author=report.author, reason=report.reason
        )
        return [rejected]
    approved = PlanApproved(
        plan_id=plan.id,
        revision=plan.revision,
        author=report.author,
        reason=report.reason,
        tasks=plan.tasks,
        priority=plan.goal.priority,
        auto_execute=plan.options.auto_execute,
        run=run,
    )
    return [approved]


def _follow(plan: Plan, run_id: str) -> PlanEvent:
    if plan.status == "cancelled":
        # The run was asked for before the cancellation, and is heard of after it.
        return PlanCancelled(plan_id=plan.id, reason=plan.reason, runs=(run_id,))
    return PlanStarted(plan_id=plan.id, run_id=run_id)


def _is_running(plan: Plan, run_id: str) -> bool:
    return plan.status == "running" and plan.runs[-1] == run_id


def _create(plan: Plan | None, report: GoalSubmitted) -> Sequence[PlanEvent]:
    if plan is not None:
        # Once a plan was planned anew, nobody can tell which graph it came with.
        is_other_graph = report.tasks and plan.revision <= 1 and plan.tasks != report.tasks
        if (plan.goal, plan.options) == (report.goal, report.options) and not is_other_graph:
            return []
        raise AlreadyExists("plan", plan.id)
    if (has := weight(report.goal.model_dump(mode="json"))) > LARGEST_GOAL:
        raise TooHeavy("the goal is too much", has, LARGEST_GOAL)
    if report.tasks:
        check(report.tasks)
    created = PlanCreated(
        plan_id=report.plan_id,
        goal=report.goal,
        options=report.options,
        planned=bool(report.tasks),
        history=() if report.tasks else report.history,
    )
    if not report.tasks:
        return [created]
    ready = _ready(report.plan_id, report.goal, report.options, report.tasks, has_own_graph=True)
    return [created, ready]


def _plan(plan: Plan, report: GraphProposed) -> Sequence[PlanEvent]:
    if plan.status != "planning":
        return []
    try:
        check(report.tasks)
    except Refused as refusal:
        reason = f"the planners proposed a graph that cannot be run: {refusal}"
        return [PlanFailed(plan_id=plan.id, run_id=report.run_id, reason=reason[:4_000])]
    conflicts = [
        PlanConflictDetected(plan_id=plan.id, run_id=report.run_id, conflict=conflict)
        for conflict in report.conflicts[:MOST_FINDINGS]
    ]
    ready = _ready(plan.id, plan.goal, plan.options, report.tasks, report.schedule)
    missing = report.missing[:MOST_FINDINGS]
    return [*conflicts, ready.model_copy(update={"missing": missing})]


def _ready(
    plan_id: str,
    goal: Goal,
    options: Options,
    tasks: tuple[Task, ...],
    schedule: Schedule | None = None,
    *,
    has_own_graph: bool = False,
) -> PlanReady:
    run = run_options(options, has_own_graph=has_own_graph)
    if schedule is None or not fits(schedule, tasks, run):
        schedule = schedule_of(tasks, run)
    return PlanReady(
        plan_id=plan_id,
        revision=1,
        tasks=tasks,
        priority=goal.priority,
        auto_execute=options.auto_execute and not options.review,
        run=run,
        schedule=schedule,
    )
