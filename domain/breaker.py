"""A breaker: whether new work for an agent type is held back, because its agents fail at it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, assert_never

from pydantic import AwareDatetime, Field

from domain.circuits import CircuitState
from domain.values import AgentType, Role, Text, Value


class BreakerOpened(Value):
    """Agents of a type fail too often: new work for them waits."""

    type: Literal["breaker.opened"] = "breaker.opened"
    role: Role
    agent_type: AgentType
    reason: Text
    ended: Annotated[int, Field(ge=0)]
    """How many attempts had ended in the window."""

    failed: Annotated[int, Field(ge=0)]
    trips: Annotated[int, Field(ge=1)]
    """How often in a row it has opened."""

    until: AwareDatetime
    """When it half-opens."""


class BreakerHalfOpened(Value):
    """The cool-down is over: the next work for the type is a probe."""

    type: Literal["breaker.half_opened"] = "breaker.half_opened"
    role: Role
    agent_type: AgentType
    trips: Annotated[int, Field(ge=1)]


class BreakerClosed(Value):
    """A probe has succeeded: nothing is held back any more."""

    type: Literal["breaker.closed"] = "breaker.closed"
    role: Role
    agent_type: AgentType
    reason: Text = ""


BreakerEvent = BreakerOpened | BreakerHalfOpened | BreakerClosed
BreakerReport = BreakerOpened | BreakerHalfOpened | BreakerClosed


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """What is true of the breaker of an agent type."""

    role: Role
    agent_type: AgentType
    state: CircuitState
    reason: str = ""
    trips: int = 0
    until: datetime | None = None


def breaker_stream(role: Role, agent_type: AgentType) -> str:
    """Return the name of a breaker's stream."""
    return f"breaker:{role}.{agent_type}"


def decide(breaker: Breaker | None, report: BreakerReport, now: datetime) -> Sequence[BreakerEvent]:
    """Say which events follow from a report: none, where somebody else has said it before."""
    state = "closed" if breaker is None else breaker.state
    match report:
        case BreakerOpened(trips=trips):
            is_again = breaker is not None and trips > breaker.trips
            return [report] if state != "open" or is_again else []
        case BreakerHalfOpened():
            is_meant = breaker is not None and breaker.trips == report.trips
            return [report] if state == "open" and is_meant else []
        case BreakerClosed():
            return [] if state == "closed" else [report]
        case _:
            assert_never(report)


def evolve(breaker: Breaker | None, event: BreakerEvent) -> Breaker:
    """Return the breaker after one more event."""
    role, agent_type = event.role, event.agent_type
    match event:
        case BreakerOpened():
            return Breaker(
                role=role,
                agent_type=agent_type,
                state="open",
                reason=event.reason,
                trips=event.trips,
                until=event.until,
            )
        case BreakerHalfOpened():
            return Breaker(
                role=role,
                agent_type=agent_type,
                state="half_open",
                reason="" if breaker is None else breaker.reason,
                trips=event.trips,
            )
        case BreakerClosed():
            trips = 0 if breaker is None else breaker.trips
            return Breaker(role=role, agent_type=agent_type, state="closed", trips=trips)
        case _:
            assert_never(event)
