"""Breakers can be seen from outside."""

from datetime import timedelta
from typing import Any

from domain.agent import AgentRegistered, AgentStatus
from domain.breaker import BreakerClosed, BreakerOpened
from tests.api.conftest import System
from tests.support.scenario import NOW


async def shown(system: System, position: int) -> list[dict[str, Any]]:
    answer = await system.http.get("/api/v1/breakers", params={"min_position": position})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["total"] == len(body["breakers"])
    return list(body["breakers"])


async def test_a_breaker_is_shown_with_its_reason_and_until_when(system: System) -> None:
    assert await shown(system, 0) == []
    until = NOW + timedelta(seconds=16)
    kind: dict[str, Any] = {"role": "execution", "agent_type": "CAD"}
    opened = await system.say(
        BreakerOpened(**kind, reason="no licence", ended=15, failed=12, trips=2, until=until)
    )
    (breaker,) = await shown(system, opened.position)
    assert breaker | {"opened_at": "", "changed_at": ""} == {
        "role": "execution",
        "type": "CAD",
        "state": "open",
        "reason": "no licence",
        "attempts": 15,
        "failures": 12,
        "error_rate": 0.8,
        "until": "2026-01-20T12:00:16Z",
        "opened_at": "",
        "changed_at": "",
        "times_opened": 1,
        "times_in_a_row": 2,
    }
    closed = await system.say(BreakerClosed(**kind))
    (breaker,) = await shown(system, closed.position)
    assert (breaker["state"], breaker["until"]) == ("closed", None)


async def test_a_type_whose_breaker_is_open_is_degraded_in_every_answer(system: System) -> None:
    kind: dict[str, Any] = {"role": "execution", "agent_type": "CAD"}
    status = (await system.http.get("/api/v1/status")).json()
    assert status["degraded"] == []
    said = await system.say(
        BreakerOpened(**kind, reason="no licence", ended=9, failed=9, trips=1, until=NOW)
    )
    await shown(system, said.position)
    expected = {
        "role": "execution",
        "type": "CAD",
        "cause": "breaker_open",
        "why": "new work is held back until 12:00:00 UTC: no licence",
        "agents": 0,
        "healthy_agents": 0,
    }
    status = (await system.http.get("/api/v1/status")).json()
    assert (status["status"], status["degraded"]) == ("degraded", [expected])
    assert (await system.http.get("/readyz")).status_code == 200
    agents = (await system.http.get("/api/v1/agents")).json()
    assert agents["degraded"] == [expected]
    others = (await system.http.get("/api/v1/agents", params={"type": "SIM"})).json()
    assert others["degraded"] == []


async def test_a_type_without_a_healthy_agent_is_degraded(system: System) -> None:
    await system.say(AgentRegistered(agent_id="ann", agent_type="CAD", instance="1"))
    sick = AgentStatus(agent_id="ann", lifecycle="ready", health="unhealthy", reason="it fails")
    said = await system.say(sick)
    agents = await system.http.get("/api/v1/agents", params={"min_position": said.position})
    (degraded,) = agents.json()["degraded"]
    assert degraded["why"] == "no agent is healthy: ann is unhealthy (it fails)"
