"""Who a running agent is."""

import os
import re
import socket
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
    """Return the identity of a new start of an agent, by default one that no other process has.

    The id is who holds a lease: two processes must not share one.
    """
    return Identity(
        agent_id=agent_id or f"{name_of(agent.type, agent.role)}_{_place()}",
        agent_type=agent.type,
        role=agent.role,
    )


def name_of(agent_type: AgentType, role: Role) -> str:
    """Return what ids begin with: ``cad_agent``, ``cad_worker``, ``meta_planner``."""
    kind = agent_type.lower()
    if role == "execution":
        return f"{kind}_worker"
    return kind if kind.endswith("planner") else f"{kind}_agent"


def _place() -> str:
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:48]
    return f"{host}-{os.getpid()}"
