"""What one aggregate's event means to another: pure reactions, followed by position.

A reaction is a report to another stream. Its id is derived from the event, so that a reaction
that a crash repeats is recognised.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import JsonValue, TypeAdapter, ValidationError

from domain.agent import AgentEvent, AgentReport
from domain.audit import AuditEvent, AuditReport
from domain.breaker import BreakerEvent, BreakerReport
from domain.findings import Conflict
from domain.messages import MessagePublished
from domain.plan import (
    GraphProposed,
    PlanCancelled,
    PlanCreated,
    PlanEvent,
    PlanningGivenUp,
    PlanReady,
    PlanReport,
)
from domain.recorded import Recorded, Report, derived_id
from domain.reviews import PlanApproved
from domain.revisions import (
    GraphRevised,
    PlanReplanRefused,
    PlanUpdated,
    ReplanningGivenUp,
)
from domain.run_events import (
    ReplanRequested,
    RunCancelled,
    RunCompleted,
    RunEvent,
    RunFailed,
    RunReport,
    RunRequested,
    RunStarted,
)
from domain.runs_of_plans import execution_of, planning_run_of
from domain.scheduling.schedules import Schedule
from domain.sender import SenderEvent, SenderReport
from domain.steering import RunCancelRequested, RunResumed
from domain.tasks import Task
from domain.teams import planning_tasks
from domain.values import JsonObject, Text
from domain.wrong import in_a_line

Event: TypeAlias = (
    PlanEvent | RunEvent | AgentEvent | BreakerEvent | SenderEvent | AuditEvent | MessagePublished
)
AnyReport: TypeAlias = (
    PlanReport
    | RunReport
    | AgentReport
    | BreakerReport
    | SenderReport
    | AuditReport
    | MessagePublished
)

ACTOR = "taskloom.policies"
_TASKS = TypeAdapter(tuple[Task, ...])
_CONFLICTS = TypeAdapter(tuple[Conflict, ...])
_TEXTS = TypeAdapter(tuple[Text, ...])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """What is to be said to which stream."""

    stream: str
    body: AnyReport


def react(event: Event) -> Iterator[Reaction]:
    """Say what follows elsewhere from one event."""
    match event:
        case PlanCreated(planned=False):
            yield _to_run(
                RunRequested(
                    run_id=planning_run_of(event.plan_id),
                    plan_id=event.plan_id,
                    kind="planning",
                    priority=event.goal.priority,
                    tasks=planning_tasks(event.goal, event.options, event.history),
                )
            )
        case PlanReady(auto_execute=True) | PlanApproved(auto_execute=True):
            yield _to_run(
                RunRequested(
                    run_id=execution_of(event.plan_id, 1),
                    plan_id=event.plan_id,
                    kind="execution",
                    revision=event.revision,
                    priority=event.priority,
                    options=event.run,
                    tasks=event.tasks,
                )
            )
        case PlanCancelled(runs=runs, reason=reason):
            for run_id in runs:
                yield _to_run(RunCancelRequested(run_id=run_id, reason=reason))
        case RunCompleted(kind="planning", plan_id=str() as plan_id):
            yield Reaction(stream=plan_id, body=_proposed(plan_id, event.run_id, event.result))
        case RunFailed(kind="planning", plan_id=str() as plan_id):
            given_up = PlanningGivenUp(plan_id=plan_id, run_id=event.run_id, reason=event.reason)
            yield Reaction(stream=plan_id, body=given_up)
        case RunCompleted(kind="replanning", plan_id=str() as plan_id):
            yield Reaction(stream=plan_id, body=_revised(plan_id, event.run_id, event.result))
        case (
            RunFailed(kind="replanning", plan_id=str() as plan_id)
            | RunCancelled(kind="replanning", plan_id=str() as plan_id)
        ):
            gone = ReplanningGivenUp(plan_id=plan_id, run_id=event.run_id, reason=event.reason)
            yield Reaction(stream=plan_id, body=gone)
        case ReplanRequested(plan_id=str() as plan_id):
            yield Reaction(stream=plan_id, body=event)
        case PlanUpdated(run_id=str() as run_id) | PlanReplanRefused(run_id=str() as run_id):
            yield Reaction(stream=run_id, body=event)
        case RunStarted() | RunCompleted() | RunFailed() | RunCancelled() | RunResumed() if (
            event.kind == "execution" and event.plan_id is not None
        ):
            yield Reaction(stream=event.plan_id, body=event)
        case _:
            pass


def reports_after(recorded: Recorded[Event]) -> Iterator[Report[AnyReport]]:
    """Return an event's reactions as reports, ready to be recorded."""
    for number, reaction in enumerate(react(recorded.event)):
        yield Report(
            id=derived_id(recorded.id, f"reaction/{number}"),
            stream=reaction.stream,
            body=reaction.body,
            said_at=recorded.at,
            actor=ACTOR,
            correlation_id=recorded.correlation_id,
            causation_id=recorded.id,
            traceparent=recorded.traceparent,
        )


def _to_run(body: RunRequested | RunCancelRequested) -> Reaction:
    return Reaction(stream=body.run_id, body=body)


def _revised(plan_id: str, run_id: str, result: JsonObject) -> GraphRevised | ReplanningGivenUp:
    try:
        return GraphRevised(
            plan_id=plan_id,
            run_id=run_id,
            tasks=_TASKS.validate_python(result.get("tasks")),
            notes=_TEXTS.validate_python(result.get("notes") or ()),
        )
    except ValidationError as error:
        reason = f"the revision is not a list of tasks: {in_a_line(error)}"
        return ReplanningGivenUp(plan_id=plan_id, run_id=run_id, reason=reason[:4_000])


def _proposed(plan_id: str, run_id: str, result: JsonObject) -> GraphProposed | PlanningGivenUp:
    what = "tasks"
    try:
        tasks = _TASKS.validate_python(result.get("tasks"))
        what = "conflicts"
        conflicts = _CONFLICTS.validate_python(result.get("conflicts") or ())
        what = "things that are missing"
        missing = _TEXTS.validate_python(result.get("missing") or ())
    except ValidationError as error:
        reason = f"the synthesis is not a list of {what}: {in_a_line(error)}"
        return PlanningGivenUp(plan_id=plan_id, run_id=run_id, reason=reason[:4_000])
    return GraphProposed(
        plan_id=plan_id,
        run_id=run_id,
        tasks=tasks,
        conflicts=conflicts,
        missing=missing,
        schedule=_scheduled(result.get("schedule")),
    )


def _scheduled(value: JsonValue) -> Schedule | None:
    """Return the planners' schedule; the plan makes its own where theirs cannot be read."""
    try:
        return Schedule.model_validate(value)
    except ValidationError:
        return None
