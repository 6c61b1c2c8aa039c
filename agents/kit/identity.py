"""Who a running agent is."""

import uuid
from dataclasses import dataclass, field

from agents.agent import Agent
from domain.values import AgentId, AgentType, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An agent as others know it: the id is its own, the instance is this start of it."""

    agent_id: AgentId
    agent_type: AgentType
    role: Role
    instance: str = field(default_factory=lambda: uuid.uuid4().hex[:12])


def identify(agent: Agent, agent_id: str | None = None) -> Identity:
    """Return the identity of a new start of an agent, by default the first of its kind."""
    kind = "planner" if agent.role == "planning" else "worker"
    return Identity(
        agent_id=agent_id or f"{agent.type.lower()}_{kind}_001",
        agent_type=agent.type,
        role=agent.role,
    )
