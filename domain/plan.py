"""A plan: a goal with its task graph, in numbered revisions.

planning ──► ready ──► running ──► completed        with a review: planning ──► proposed ──► ready
    │          │          ├──────► failed ──► running (executed again)
    └──────────┴──────────┴──────► cancelled
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Literal, assert_never

from pydantic import Field

from domain.errors import AlreadyExists, PlanNotReady, Refused, TooHeavy, UnknownPlan
from domain.estimates import MOST_EFFORTS, Effort
from domain.findings import MOST_FINDINGS, Conflict, PlanConflictDetected
from domain.goals import Goal, Options
from domain.graph import check
from domain.reviews import NotUnderReview, PlanApproved, PlanRejected, PlanReviewed
from domain.revising import amended, answer_to
from domain.revisions import (
    GraphRevised,
    PlanReplanning,
    PlanReplanRefused,
    PlanReplanRequested,
    PlanUpdated,
    ReplanningGivenUp,
    RevisionEvent,
    RevisionReport,
)
from domain.run_events import (
    ReplanRequested,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
)
from domain.run_options import RunOptions
from domain.scheduling.schedules import Schedule, fits, schedule_of
from domain.steering import RunResumed
from domain.tasks import Task
from domain.values import PlanId, Priority, RunId, Text, Value
from domain.weights import LARGEST_GOAL, weight

Efforts = Annotated[
    tuple[Effort, ...], Field(max_length=MOST_EFFORTS, exclude_if=lambda efforts: not efforts)
]
PlanStatus = Literal[
    "planning", "proposed", "ready", "running", "completed", "failed", "cancelled", "rejected"
]


class GoalSubmitted(Value):
    """A user wants something; with ``tasks`` of its own it needs no planning."""

    type: Literal["goal.submitted"] = "goal.submitted"
    plan_id: PlanId
    goal: Goal
    options: Options = Options()
    tasks: tuple[Task, ...] = ()
    history: Efforts = ()
    """How long work of the past has taken, for the planners."""


class GraphProposed(Value):
    """A planning run has ended with a task graph."""

    type: Literal["graph.proposed"] = "graph.proposed"
    plan_id: PlanId
    run_id: RunId
    tasks: tuple[Task, ...]
    conflicts: tuple[Conflict, ...] = ()
    missing: tuple[Text, ...] = ()
    schedule: Schedule | None = None
    """When they run, where the planners say it."""


class PlanningGivenUp(Value):
    """A planning run has ended without a task graph."""

    type: Literal["planning.given_up"] = "planning.given_up"
    plan_id: PlanId
    run_id: RunId
    reason: Text


class PlanCancelRequested(Value):
    """A user does not want the goal any more."""

    type: Literal["plan.cancel_requested"] = "plan.cancel_requested"
    plan_id: PlanId
    reason: Text = ""


class PlanCreated(Value):
    """A goal was accepted."""

    type: Literal["plan.created"] = "plan.created"
    plan_id: PlanId
    goal: Goal
    options: Options
    planned: bool = False
    """Whether it came with a graph of its own, so that nobody has to plan it."""

    history: Efforts = ()


class PlanReady(Value):
    """The plan has its first task graph and can be executed."""

    type: Literal["plan.ready"] = "plan.ready"
    plan_id: PlanId
    revision: int
    tasks: tuple[Task, ...]
    priority: Priority
    auto_execute: bool
    run: RunOptions = RunOptions()
    """How it is carried out, where nobody says otherwise."""

    missing: tuple[Text, ...] = ()
    """What the planners needed and nobody planned."""

    schedule: Schedule | None = None
    """When its tasks run; plans of before version 0.2 have none."""


class PlanStarted(Value):
    """A run executes the plan."""

    type: Literal["plan.started"] = "plan.started"
    plan_id: PlanId
    run_id: RunId


class PlanCompleted(Value):
    """A run has ended well: the goal is reached."""

    type: Literal["plan.completed"] = "plan.completed"
    plan_id: PlanId
    run_id: RunId


class PlanFailed(Value):
    """The goal could not be planned, or its run did not end well."""

    type: Literal["plan.failed"] = "plan.failed"
    plan_id: PlanId
    run_id: RunId | None
    reason: Text


class PlanCancelled(Value):
    """The goal is not wanted any more."""

    type: Literal["plan.cancelled"] = "plan.cancelled"
    plan_id: PlanId
    reason: Text
    runs: tuple[RunId, ...]
    """The runs that have to stop."""


PlanEvent = (
    PlanCreated
    | PlanConflictDetected
    | PlanReady
    | RevisionEvent
    | PlanApproved
    | PlanRejected
    | PlanStarted
    | PlanCompleted
    | PlanFailed
    | PlanCancelled
)
PlanReport = (
    GoalSubmitted
    | GraphProposed
    | PlanningGivenUp
    | PlanCancelRequested
    | RevisionReport
    | PlanReviewed
    | ReplanRequested
    | RunStarted
    | RunCompleted
    | RunFailed
    | RunCancelled
    | RunResumed
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is true of one plan."""

    id: str
    goal: Goal
    options: Options
    status: PlanStatus = "planning"
    revision: int = 0
    has_own_graph: bool = False
    """Whether it came with its graph, so that no domain has planned it."""

    tasks: tuple[Task, ...] = ()
    runs: tuple[str, ...] = ()
    """Every execution there was, the latest last."""

    replanning: PlanReplanning | None = None
    """What the planners are asked for, until they have answered."""

    replans: int = 0
    """How often they were asked for another graph."""

    reason: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing can happen to it any more, short of executing it again."""
        return self.status in ("completed", "failed", "cancelled", "rejected")


def planning_run_of(plan_id: str) -> str:
    """Return the id of the run that plans a plan."""
    return f"exec_{plan_id.removeprefix('plan_')}-plan"


def next_run_of(plan: Plan) -> str:
    """Return the id of the plan's next execution.

    Raises:
        PlanNotReady: It has no graph, runs already, or was cancelled.
    """
    if not plan.tasks or plan.status in ("running", "cancelled", "proposed", "rejected"):
        raise PlanNotReady(plan.id, plan.status)
    return execution_of(plan.id, len(plan.runs) + 1)


def execution_of(plan_id: str, number: int) -> str:
    """Return the id of a plan's execution number 1, 2, 3 …."""
    return f"exec_{plan_id.removeprefix('plan_')}-{number}"


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


def evolve(plan: Plan | None, event: PlanEvent) -> Plan:
    """Return the plan after one more event."""
    if isinstance(event, PlanCreated):
        return Plan(
            id=event.plan_id,
            goal=event.goal,
            options=event.options,
            has_own_graph=event.planned,
        )
    assert plan is not None, f"{event.type} before plan.created"  # noqa: S101 # the log begins with it
    match event:
        case PlanConflictDetected():
            return plan
        case PlanReady(tasks=tasks, revision=revision):
            status: PlanStatus = "proposed" if plan.options.review else "ready"
            return replace(plan, status=status, tasks=tasks, revision=revision)
        case PlanApproved():
            return replace(plan, status="ready")
        case PlanRejected(reason=reason):
            return replace(plan, status="rejected", reason=reason)
        case PlanReplanning():
            return replace(plan, replanning=event, replans=plan.replans + 1)
        case PlanUpdated(tasks=tasks, revision=revision):
            return replace(plan, tasks=tasks, revision=revision, replanning=None)
        case PlanReplanRefused(run_id=run_id):
            is_answer = plan.replanning is not None and plan.replanning.run_id == run_id
            return replace(plan, replanning=None) if is_answer else plan
        case PlanStarted(run_id=run_id):
            known = tuple(each for each in plan.runs if each != run_id)
            return replace(plan, status="running", runs=(*known, run_id), reason="")
        case PlanCompleted():
            return replace(plan, status="completed")
        case PlanFailed(reason=reason):
            return replace(plan, status="failed", reason=reason)
        case PlanCancelled(reason=reason, runs=runs):
            late = () if plan.status != "cancelled" else tuple(set(runs) - set(plan.runs))
            return replace(plan, status="cancelled", reason=reason, runs=(*plan.runs, *late))
        case _:
            assert_never(event)


def _revise(
    plan: Plan, report: PlanReplanRequested | ReplanRequested | GraphRevised | ReplanningGivenUp
) -> Sequence[PlanEvent]:
    match report:
        case PlanReplanRequested():
            if plan.status != "ready":
                raise PlanNotReady(plan.id, plan.status)
            return [] if plan.replanning else [_replanning(plan, report)]
        case ReplanRequested(run_id=run_id):
            if plan.runs[-1:] != (run_id,) or plan.status == "cancelled":
                return []
            if plan.replanning is None:
                return [_replanning(plan, report)]
            if plan.replanning.run_id == run_id:
                return []
            reason = "another graph is being planned already"
            return [
                PlanReplanRefused(
                    plan_id=plan.id, run_id=run_id, revision=plan.revision, reason=reason
                )
            ]
        case GraphRevised() | ReplanningGivenUp():
            asked = plan.replanning
            if asked is None or asked.planning_run != report.run_id:
                return []
            options = run_options(plan.options, has_own_graph=plan.has_own_graph)
            return [answer_to(asked, report, options)]


def _replanning(plan: Plan, report: PlanReplanRequested | ReplanRequested) -> PlanReplanning:
    of_run = report if isinstance(report, ReplanRequested) else None
    return PlanReplanning(
        plan_id=plan.id,
        run_id=of_run.run_id if of_run else None,
        planning_run=f"exec_{plan.id.removeprefix('plan_')}-replan-{plan.replans + 1}",
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


def run_options(options: Options, *, has_own_graph: bool = False) -> RunOptions:
    """Return how the runs of a plan are carried out, where nobody says otherwise.

    A graph that its user has brought is not changed unless the user says so.
    """
    if options.execution is not None:
        return options.execution
    is_replanned = options.enable_replanning and not has_own_graph
    return RunOptions(
        parallelization=options.parallelization,
        failure_strategy="replan" if is_replanned else "retry",
    )
