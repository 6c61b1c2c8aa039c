"""Which rules a stream follows, by its name; every event and report type, by its string."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any, Literal, get_args

from domain import (
    agent,
    audit,
    breaker,
    messages,
    plan,
    plan_decisions,
    reviews,
    revisions,
    run,
    run_decisions,
    run_events,
    run_evolution,
    sender,
    steering,
)
from domain.errors import Refused
from domain.policies import AnyReport, Event
from domain.values import Value

Category = Literal["plan", "run", "agent", "breaker", "sender", "audit", "message"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """The two functions of an aggregate.

    Their types are Any here because the pairing of a state with its reports is what
    ``decider_of`` guarantees by the stream's name, not something a checker can see.
    """

    category: Category
    decide: Callable[[Any, Any, datetime], Sequence[Any]]
    evolve: Callable[[Any, Any], Any]
    state: type[Any]
    reports: frozenset[type[Value]]
    both: Callable[[Any, Any, datetime], tuple[Sequence[Any], Any]] | None = None
    """Where deciding leads to the next state anyway."""

    def advance(self, state: Any, report: Any, now: datetime) -> tuple[Sequence[Any], Any]:
        """Return the events that follow from a report, and the state after them.

        Raises:
            Refused: The report cannot be true of this state.
        """
        if self.both is not None:
            return self.both(state, report, now)
        events = self.decide(state, report, now)
        return events, reduce(self.evolve, events, state)


PLAN = Decider(
    category="plan",
    decide=plan_decisions.decide,
    evolve=plan.evolve,
    state=plan.Plan,
    reports=frozenset(get_args(plan.PlanReport)),
)
RUN = Decider(
    category="run",
    decide=run_decisions.decide,
    evolve=run_evolution.evolve,
    both=run_decisions.advance,
    state=run.Run,
    reports=frozenset(get_args(run_events.RunReport)),
)
AGENT = Decider(
    category="agent",
    decide=agent.decide,
    evolve=agent.evolve,
    state=agent.Agent,
    reports=frozenset(get_args(agent.AgentReport)),
)
BREAKER = Decider(
    category="breaker",
    decide=breaker.decide,
    evolve=breaker.evolve,
    state=breaker.Breaker,
    reports=frozenset(get_args(breaker.BreakerReport)),
)
SENDER = Decider(
    category="sender",
    decide=sender.decide,
    evolve=sender.evolve,
    state=sender.Sender,
    reports=frozenset(get_args(sender.SenderReport)),
)

AUDIT = Decider(
    category="audit",
    decide=audit.decide,
    evolve=audit.evolve,
    state=audit.Audit,
    reports=frozenset({audit.AuditNoted}),
)
MESSAGE = Decider(
    category="message",
    decide=messages.decide,
    evolve=messages.evolve,
    state=messages.Message,
    reports=frozenset({messages.MessagePublished}),
)

_BY_PREFIX: Mapping[str, Decider] = {
    "plan_": PLAN,
    "exec_": RUN,
    "agent:": AGENT,
    "breaker:": BREAKER,
    "sender:": SENDER,
    "audit:": AUDIT,
    "message:": MESSAGE,
}
DECIDERS = tuple(_BY_PREFIX.values())
"""The rules of all streams there are."""


class ForeignReport(Refused):
    """A report was addressed to a stream that does not hear its kind."""

    code = "foreign-report"

    def __init__(self, report: str, stream: str) -> None:
        super().__init__(f"{stream} does not hear {report}")


def decider_of(stream: str) -> Decider:
    """Return the rules of a stream.

    Raises:
        Refused: No stream has such a name.
    """
    for prefix, decider in _BY_PREFIX.items():
        if stream.startswith(prefix):
            return decider
    raise Refused(
        f"{stream!r} is not the name of a plan, a run or an agent, nor of a breaker, a sender,"
        " an audit or a message"
    )


def stream_of(report: AnyReport) -> str:
    """Return the stream that hears a report when nobody says otherwise."""
    match report:
        case agent.AgentRegistered() | agent.AgentStatus() | agent.AgentDeregistered():
            return agent.agent_stream(report.agent_id)
        case breaker.BreakerOpened() | breaker.BreakerHalfOpened() | breaker.BreakerClosed():
            return breaker.breaker_stream(report.role, report.agent_type)
        case sender.SenderOffended() | sender.SenderReleased():
            return sender.sender_stream(report.sender)
        case audit.AuditNoted():
            return audit.audit_stream(report.day)
        case messages.MessagePublished():
            return messages.message_stream(report.message_id)
        case (
            plan.GoalSubmitted()
            | plan.GraphProposed()
            | plan.PlanningGivenUp()
            | plan.PlanCancelRequested()
            | revisions.PlanReplanRequested()
            | reviews.PlanReviewed()
            | revisions.GraphRevised()
            | revisions.ReplanningGivenUp()
        ):
            return report.plan_id
        case _:
            return report.run_id or "?"


def _by_type(models: Sequence[type[Value]]) -> Mapping[str, type[Value]]:
    return {str(model.model_fields["type"].default): model for model in models}


EVENTS: Mapping[str, type[Value]] = _by_type(get_args(Event))
"""Every event there is: the registry is closed, and an unknown type is an error."""

PUBLIC_REPORTS: Mapping[str, type[Value]] = _by_type(
    (
        plan.GoalSubmitted,
        plan.PlanCancelRequested,
        revisions.PlanReplanRequested,
        reviews.PlanReviewed,
        *get_args(steering.SteeringReport),
        run_events.TaskStarted,
        run_events.TaskCompleted,
        run_events.TaskFailed,
        run_events.TaskStopped,
        agent.AgentRegistered,
        agent.AgentStatus,
        agent.AgentDeregistered,
    )
)
"""What others may say over the bus. The rest is said by the system to itself."""
