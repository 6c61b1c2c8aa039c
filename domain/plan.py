"""A plan: a goal with its task graph, in numbered revisions.

planning ──► ready ──► running ──► completed        with a review: planning ──► proposed ──► ready
    │          │          ├──────► failed ──► running (executed again)
    └──────────┴──────────┴──────► cancelled
"""

from dataclasses import dataclass, replace
from typing import Annotated, Literal, assert_never

from pydantic import Field

from domain.errors import PlanNotReady
from domain.estimates import MOST_EFFORTS, Effort
from domain.findings import Conflict, PlanConflictDetected
from domain.goals import Goal, Options
from domain.reviews import PlanApproved, PlanRejected, PlanReviewed
from domain.revisions import (
    PlanReplanning,
    PlanReplanRefused,
    PlanUpdated,
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
from domain.runs_of_plans import execution_of
from domain.scheduling.schedules import Schedule
from domain.steering import RunResumed
from domain.tasks import Task
from domain.values import PersonalText, PlanId, Priority, RunId, Value

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
    missing: tuple[PersonalText, ...] = ()
    schedule: Schedule | None = None
    """When they run, where the planners say it."""


class PlanningGivenUp(Value):
    """A planning run has ended without a task graph."""

    type: Literal["planning.given_up"] = "planning.given_up"
    plan_id: PlanId
    run_id: RunId
    reason: PersonalText


class PlanCancelRequested(Value):
    """A user does not want the goal any more."""

    type: Literal["plan.cancel_requested"] = "plan.cancel_requested"
    plan_id: PlanId
    reason: PersonalText = ""


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

    missing: tuple[PersonalText, ...] = ()
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
    reason: PersonalText


class PlanCancelled(Value):
    """The goal is not wanted any more."""

    type: Literal["plan.cancelled"] = "plan.cancelled"
    plan_id: PlanId
    reason: PersonalText
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


def next_run_of(plan: Plan) -> str:
    """Return the id of the plan's next execution.

    Raises:
        PlanNotReady: It has no graph, runs already, or was cancelled.
    """
    if not plan.tasks or plan.status in ("running", "cancelled", "proposed", "rejected"):
        raise PlanNotReady(plan.id, plan.status)
    return execution_of(plan.id, len(plan.runs) + 1)


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
            return replace(
                plan, status="cancelled", reason=reason, runs=(*plan.runs, *late), replanning=None
            )
        case _:
            assert_never(event)


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
