"""A cause in words, and the commands that would make it go away."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, assert_never

from bus.topology import EXECUTION_TYPES, PLANNING_TYPES
from domain.causes import (
    AtWork,
    Cancelled,
    Cause,
    FailedForGood,
    FallsSilent,
    HeldByBreaker,
    HeldByLimit,
    HeldInSequence,
    InHand,
    InQueue,
    NoAgents,
    OutcomeUnknown,
    Paused,
    SkippedBecause,
    Step,
    Unexplained,
    Unpublished,
    WaitsFor,
    WaitsForRetry,
)
from domain.values import AgentType, Role

_SHOWN: Final = 3
"""How many names a line shows."""


def words(cause: Cause, now: datetime) -> str:  # noqa: C901 # one branch a cause
    """Say on one line why a task is not done."""
    match cause:
        case WaitsFor(tasks=tasks):
            return f"waits for {_some(tasks)}"
        case SkippedBecause(tasks=tasks):
            return f"was skipped, because {_some(tasks)} did not end well"
        case HeldByLimit(agent_type=agent_type, most=most, tasks=tasks):
            return f"held: {most} {agent_type} at a time, and {_some(tasks)} under way"
        case HeldInSequence(tasks=tasks):
            return f"held: one task after the other, and {_some(tasks)} is under way"
        case Paused(since=since, reason=reason, checkpoint=checkpoint):
            age = f" for {_age(now, since)}" if since else ""
            where = f" at {checkpoint}" if checkpoint else ""
            return f"held: the run is paused{age}{where}{_because(reason)}"
        case Unpublished(since=since, behind=behind):
            return (
                f"dispatched {_age(now, since)} ago, and not on the broker yet:"
                f" the relay is {behind} positions behind"
            )
        case WaitsForRetry(until=until, attempt=attempt, most=most, reason=reason):
            after = f" after: {reason}" if reason else ""
            return f"waits {_age(until, now)} more for attempt {attempt} of {most}{after}"
        case HeldByBreaker(agent_type=agent_type, until=until, reason=reason):
            end = f"until {until:%H:%M:%S} UTC" if until else "until a probe has succeeded"
            return f"held: the breaker of {agent_type} is open {end}{_because(reason)}"
        case NoAgents(agent_type=agent_type, role=role, since=since, gone=gone):
            lost = f"; gone: {_some(gone)}" if gone else ""
            return f"ready for {_age(now, since)}, and no {role} agent of type {agent_type}{lost}"
        case InQueue():
            return _in_queue(cause, now)
        case InHand(agent_id=agent_id, since=since, asks_claim=asks_claim):
            waiting = "its effect waits for its claim" if asks_claim else "it has not begun"
            return f"{agent_id} has had it for {_age(now, since)}; {waiting}"
        case AtWork():
            return _at_work(cause, now)
        case FallsSilent():
            return _falls_silent(cause, now)
        case FailedForGood(error_class=error_class, attempts=attempts, reason=reason):
            class_ = f" ({error_class})" if error_class else ""
            return f"failed for good in attempt {attempts}{class_}{_because(reason)}"
        case OutcomeUnknown(reason=reason):
            return f"failed, and nobody knows what became of its effect{_because(reason)}"
        case Cancelled(reason=reason):
            return f"was cancelled with its run{_because(reason)}"
        case Unexplained(status=status):
            return f"is {status}, and nothing that is known keeps it: this is a bug"
        case _:
            assert_never(cause)


def commands(run_id: str, step: Step) -> Sequence[str]:
    """Return what a person could call for it to go on; nothing, where it goes on by itself."""
    at = f"{run_id} {step.task_id}"
    match step.cause:
        case Paused():
            return [f"taskloom execution resume {run_id}"]
        case NoAgents(agent_type=agent_type, role=role):
            return [start_of(role, agent_type)]
        case InQueue(role=role, agent_type=agent_type, agents=agents, busy=busy, capacity=most):
            return [start_of(role, agent_type)] if busy >= most or not agents else []
        case FailedForGood():
            return [f"taskloom execution retry {at}", f"taskloom execution skip {at}"]
        case OutcomeUnknown():
            return [f"taskloom execution retry {at}", f"taskloom execution skip {at}"]
        case Cancelled(checkpoint=checkpoint):
            return [f"taskloom execution rollback {run_id} {checkpoint}"] if checkpoint else []
        case Unpublished() | Unexplained():
            return ["taskloom doctor"]
        case HeldByBreaker():
            return ["taskloom events tail --type 'task.failed'"]
        case WaitsFor() | SkippedBecause() | HeldByLimit() | HeldInSequence():
            return []
        case WaitsForRetry() | InHand() | AtWork() | FallsSilent():
            return []
        case _:
            assert_never(step.cause)


def start_of(role: Role, agent_type: AgentType) -> str:
    """Return the command that starts an agent of a type."""
    if role == "planning" and agent_type in PLANNING_TYPES:
        return f"taskloom agent agents.planners.{agent_type.lower()}"
    if role == "execution" and agent_type in EXECUTION_TYPES:
        return f"taskloom agent agents.workers.{agent_type.lower()}"
    return f"taskloom agent FILE.py  # with an {role} AGENT of type {agent_type}"


def _in_queue(cause: InQueue, now: datetime) -> str:
    holds = "" if cause.depth is None else f" holds {cause.depth}"
    well = "" if cause.healthy == cause.agents else f", {cause.healthy} of them healthy"
    return (
        f"ready for {_age(now, cause.since)} in the {cause.lane} lane of {cause.agent_type}, which"
        f"{holds or ' nobody could ask'}; {cause.agents} agents{well}, with {cause.busy} tasks"
        f" in hand of {cause.capacity} at a time"
    )


def _at_work(cause: AtWork, now: datetime) -> str:
    done = "" if cause.progress is None else f", {cause.progress:.0%} done"
    heard = f", lease renewed {_age(now, cause.heard_at)} ago" if cause.heard_at else ""
    ends = f", at most {_age(cause.ends_by, now)} more" if cause.ends_by else ""
    begun = f"{cause.agent_id} has worked on it for {_age(now, cause.since)}"
    return f"{begun} (attempt {cause.epoch}){done}{heard}{ends}"


def _falls_silent(cause: FallsSilent, now: datetime) -> str:
    silent = f"{cause.agent_id} has it and has been silent for {_age(now, cause.heard_at)}"
    left = cause.lease_until - now
    if left > timedelta(0):
        runs_out = f"its lease runs out in {_age(cause.lease_until, now)}"
    else:
        runs_out = f"its lease ran out {_age(now, cause.lease_until)} ago"
    then = "its effect may have begun" if cause.is_claimed else "then another attempt begins"
    return f"{silent} (attempt {cause.epoch}): {runs_out}, {then}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _age(later: datetime, earlier: datetime) -> str:
    total = max((later - earlier).total_seconds(), 0.0)
    if total < 60:
        return f"{total:.1f} s"
    minutes, _ = divmod(round(total), 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
