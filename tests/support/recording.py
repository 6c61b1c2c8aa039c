"""Recorded events and reports with as little around them as possible."""

from collections.abc import Sequence

from domain.agent import AgentRegistered, AgentStatus
from domain.deciders import stream_of
from domain.policies import AnyReport, Event
from domain.recorded import Recorded, Report, derived_id
from tests.support.scenario import NOW


def recorded(stream: str, version: int, event: Event, *, position: int = 0) -> Recorded[Event]:
    return Recorded(
        id=derived_id(stream, str(version)),
        position=position,
        stream=stream,
        version=version,
        event=event,
        at=NOW,
        actor="users/ada",
        correlation_id="c-1",
    )


def said(body: AnyReport, *, report_id: str, stream: str | None = None) -> Report[AnyReport]:
    return Report(
        id=report_id,
        stream=stream or stream_of(body),
        body=body,
        said_at=NOW,
        actor="users/ada",
        correlation_id="c-1",
    )


def hello(agent_id: str, instance: str = "1") -> AgentRegistered:
    return AgentRegistered(agent_id=agent_id, agent_type="NOOP", instance=instance)


def status(agent_id: str, number: int) -> AgentStatus:
    return AgentStatus(
        agent_id=agent_id,
        lifecycle="working",
        health="degraded" if number % 2 else "healthy",
        reason=f"change {number}",
    )


def a_life(agent_id: str, versions: Sequence[int]) -> list[Recorded[Event]]:
    """Return events of one agent's stream, of these versions; the first of all registers it."""
    return [
        recorded(
            f"agent:{agent_id}",
            version,
            hello(agent_id) if version == 1 else status(agent_id, version),
        )
        for version in versions
    ]
