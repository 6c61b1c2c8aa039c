"""Degraded mode: for which types of agents work goes slowly or not at all, and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from domain.values import Role
from projections.agents import Present, list_agents
from projections.attempts import count_waiting
from projections.breakers import BreakerRow, list_breakers
from projections.table import Connection

Kind = tuple[Role, str]
Cause = Literal["breaker_open", "no_healthy_agent", "no_agent"]

PATIENCE: Final = timedelta(seconds=10)
"""How long work may wait for the first agent of its type without a word about it."""

_NAMED: Final = 3
"""How many agents are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """A type of agents that cannot do all of its work."""

    role: Role
    agent_type: str
    cause: Cause
    why: str
    agents: int
    """How many are registered."""

    healthy: int


async def list_degraded(connection: Connection, *, now: datetime) -> Sequence[Degraded]:
    """Return the types that are degraded, in their order."""
    return find_degraded(
        agents=await list_agents(connection),
        breakers=await list_breakers(connection),
        waiting=await count_waiting(connection, before=now - PATIENCE),
    )


def find_degraded(
    *,
    agents: Iterable[Present],
    breakers: Iterable[BreakerRow],
    waiting: Mapping[Kind, int],
) -> Sequence[Degraded]:
    """Say which types are degraded, by who is there, what is held back, and what waits."""
    there: dict[Kind, list[Present]] = {}
    for agent in agents:
        if agent.row.is_registered:
            there.setdefault((agent.row.role, agent.row.agent_type), []).append(agent)
    held: dict[Kind, BreakerRow] = {
        (one.role, one.agent_type): one for one in breakers if one.state != "closed"
    }
    found: list[Degraded] = []
    kinds: set[Kind] = {*there, *held, *waiting}
    for kind in sorted(kinds):
        present = there.get(kind, [])
        healthy = sum(agent.row.health == "healthy" for agent in present)
        cause: Cause
        if kind in held:
            cause, why = "breaker_open", _held_back(held[kind])
        elif present and not healthy:
            cause, why = "no_healthy_agent", _unwell(present)
        elif not present:
            cause, why = "no_agent", f"{_counted(waiting[kind])}, and no agent has registered"
        else:
            continue
        found.append(
            Degraded(
                role=kind[0],
                agent_type=kind[1],
                cause=cause,
                why=why,
                agents=len(present),
                healthy=healthy,
            )
        )
    return found


def _held_back(breaker: BreakerRow) -> str:
    if breaker.until is None:
        return f"new work is held back until a probe succeeds: {breaker.reason}"
    return f"new work is held back until {breaker.until:%H:%M:%S} UTC: {breaker.reason}"


def _unwell(agents: Sequence[Present]) -> str:
    named = [
        f"{agent.row.agent_id} is {agent.row.health}"
        + (f" ({agent.row.reason})" if agent.row.reason else "")
        for agent in agents[:_NAMED]
    ]
    more = [f"{len(agents) - _NAMED} more"] if len(agents) > _NAMED else []
    return "no agent is healthy: " + ", ".join(named + more)


def _counted(tasks: int) -> str:
    return "1 task waits" if tasks == 1 else f"{tasks} tasks wait"
