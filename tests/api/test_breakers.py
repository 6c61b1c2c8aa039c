"""Breakers can be seen from outside."""

from datetime import timedelta
from typing import Any

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
