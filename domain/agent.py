"""An agent: a process that takes work of one type, as far as the record knows it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Literal, assert_never

from pydantic import Field

from domain.errors import OtherAgent, UnknownAgent
from domain.values import AgentId, AgentType, JsonObject, Name, PersonalText, Role, Text, Value

Lifecycle = Literal["initializing", "ready", "working", "recovering", "shutdown"]
Health = Literal["healthy", "degraded", "unhealthy", "offline"]


class Capacity(Value):
    """How much an agent takes on."""

    max_concurrent_tasks: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 1
    max_queue_size: Annotated[int, Field(ge=0, le=100_000, strict=True)] = 0


class AgentRegistered(Value):
    """An agent has introduced itself."""

    type: Literal["agent.registered"] = "agent.registered"
    agent_id: AgentId
    agent_type: AgentType
    role: Role = "execution"
    capabilities: tuple[Name, ...] = ()
    capacity: Capacity = Capacity()
    metadata: JsonObject = Field(default_factory=dict)
    encodings: Annotated[tuple[Literal["gzip"], ...], Field(max_length=4)] = Field(
        default=(), exclude_if=lambda given: not given
    )
    """How its reports may be compressed; those that are not named are refused."""

    instance: Name
    """Which start of the agent this is: another process has another instance."""


class AgentStatus(Value):
    """An agent's place in its life, or its health, has changed."""

    type: Literal["agent.status"] = "agent.status"
    agent_id: AgentId
    lifecycle: Lifecycle
    health: Health
    reason: Text = ""


class AgentDeregistered(Value):
    """An agent has said goodbye."""

    type: Literal["agent.deregistered"] = "agent.deregistered"
    agent_id: AgentId
    instance: Name | None = None
    """The start that is meant, and no later one. In a report None means whichever it is; the record
    says which it was."""

    reason: PersonalText = ""


AgentEvent = AgentRegistered | AgentStatus | AgentDeregistered
AgentReport = AgentRegistered | AgentStatus | AgentDeregistered


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """What is true of one agent."""

    registration: AgentRegistered
    lifecycle: Lifecycle = "ready"
    health: Health = "healthy"
    is_registered: bool = True


def agent_stream(agent_id: str) -> str:
    """Return the name of an agent's stream."""
    return f"agent:{agent_id}"


def decide(agent: Agent | None, report: AgentReport, now: datetime) -> Sequence[AgentEvent]:
    """Say which events follow from a report: none, where it says what is recorded already.

    Raises:
        UnknownAgent: The agent never registered.
        OtherAgent: An agent of another type or role is registered with the id.
    """
    if isinstance(report, AgentRegistered):
        return _register(agent, report)
    if agent is None:
        raise UnknownAgent(report.agent_id)
    match report:
        case AgentStatus(lifecycle=lifecycle, health=health):
            if (agent.lifecycle, agent.health) == (lifecycle, health) or not agent.is_registered:
                return []
            return [report]
        case AgentDeregistered(instance=instance):
            current = agent.registration.instance
            if not agent.is_registered or instance not in (None, current):
                return []
            return [report.model_copy(update={"instance": current})]
        case _:
            assert_never(report)


def _register(agent: Agent | None, report: AgentRegistered) -> Sequence[AgentEvent]:
    if agent is None or not agent.is_registered:
        return [report]
    known = agent.registration
    if (known.agent_type, known.role) != (report.agent_type, report.role):
        raise OtherAgent(report.agent_id, f"{known.agent_type}, {known.role}")
    return [] if known == report else [report]


def evolve(agent: Agent | None, event: AgentEvent) -> Agent:
    """Return the agent after one more event."""
    if isinstance(event, AgentRegistered):
        return Agent(registration=event)
    assert agent is not None, f"{event.type} before agent.registered"  # noqa: S101 # the log begins with it
    match event:
        case AgentStatus(lifecycle=lifecycle, health=health):
            return replace(agent, lifecycle=lifecycle, health=health)
        case AgentDeregistered():
            return replace(agent, lifecycle="shutdown", health="offline", is_registered=False)
        case _:
            assert_never(event)
