"""Which types of agents are degraded, and why."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.agent import Health
from infra.cli.health.degraded import look_at_types
from projections.agents import AgentRow, Present
from projections.breakers import BreakerRow
from projections.degraded import Degraded, Kind, find_degraded
from tests.support.scenario import NOW

CAD: Kind = ("execution", "CAD")
OPEN = BreakerRow(
    role="execution",
    agent_type="CAD",
    state="open",
    reason="9 of 9 attempts failed",
    ended=9,
    failed=9,
    trips=1,
    opened=1,
    opened_at=NOW,
    until=NOW + timedelta(seconds=16),
    changed_at=NOW,
    position=1,
)


def agent(name: str, health: Health = "healthy", **changes: Any) -> Present:
    row = AgentRow(
        agent_id=name,
        agent_type="CAD",
        role="execution",
        capabilities=(),
        max_concurrent_tasks=1,
        max_queue_size=0,
        metadata={},
        instance="1",
        health=health,
        first_registered_at=NOW,
        registered_at=NOW,
        updated_at=NOW,
        open={},
        position=1,
    )
    return Present(row=replace(row, **changes), presence=None)


def found(
    *agents: Present, breaker: BreakerRow | None = None, waiting: Mapping[Kind, int] | None = None
) -> list[Degraded]:
    breakers = [] if breaker is None else [breaker]
    return list(find_degraded(agents=agents, breakers=breakers, waiting=waiting or {}))


def test_a_type_with_a_healthy_agent_is_not_degraded() -> None:
    assert found(agent("ann"), agent("bob", "offline"), waiting={CAD: 9}) == []


@pytest.mark.parametrize("health", ["degraded", "unhealthy", "offline"])
def test_a_type_without_a_healthy_agent_is_degraded(health: Health) -> None:
    (one,) = found(agent("ann", health, reason="3 of 4 failed"), agent("bob", health))
    assert one.cause == "no_healthy_agent"
    assert one.why == f"no agent is healthy: ann is {health} (3 of 4 failed), bob is {health}"
    assert (one.agents, one.healthy) == (2, 0)


def test_of_many_agents_few_are_named() -> None:
    (one,) = found(*(agent(f"a{number}", "offline") for number in range(9)))
    assert one.why.endswith("a2 is offline, 6 more")


def test_work_that_waits_for_a_type_that_nobody_serves_makes_it_degraded() -> None:
    (one,) = found(agent("ann", is_registered=False), waiting={CAD: 2})
    assert (one.cause, one.why) == ("no_agent", "2 tasks wait, and no agent has registered")
    (one,) = found(waiting={CAD: 1})
    assert one.why == "1 task waits, and no agent has registered"


def test_a_type_whose_agents_have_left_and_for_which_nothing_waits_is_not() -> None:
    assert found(agent("ann", "offline", is_registered=False)) == []


def test_an_open_breaker_makes_its_type_degraded() -> None:
    (one,) = found(agent("ann"), breaker=OPEN)
    assert one.cause == "breaker_open"
    assert one.why == "new work is held back until 12:00:16 UTC: 9 of 9 attempts failed"
    (one,) = found(agent("ann"), breaker=replace(OPEN, state="half_open", until=None))
    assert one.why == "new work is held back until a probe succeeds: 9 of 9 attempts failed"
    assert found(agent("ann"), breaker=replace(OPEN, state="closed")) == []


def test_the_doctor_names_the_command_that_would_help() -> None:
    (fine,) = look_at_types([])
    assert fine.level == "ok"
    (held,) = look_at_types(found(agent("ann"), breaker=OPEN))
    assert "taskloom events tail --type 'task.failed'" in held.advice
    (nobody,) = look_at_types(found(waiting={CAD: 1}))
    assert nobody.found == "CAD (execution): 1 task waits, and no agent has registered"
    assert nobody.advice == "start one: `taskloom agent agents.workers.cad`"
    (planner,) = look_at_types(found(waiting={("planning", "META_PLANNER"): 1}))
    assert "agents.planners.meta_planner" in planner.advice
    (own,) = look_at_types(found(waiting={("execution", "GREETER"): 1}))
    assert "YOUR_GREETER_AGENT.py" in own.advice
