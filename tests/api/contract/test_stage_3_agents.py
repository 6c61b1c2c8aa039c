"""Stage 3: agents register, are found, are asked and leave."""

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from domain.run_events import TaskFailed, TaskStarted
from tests.api.conftest import System
from tests.api.contract.shapes import (
    DURATION,
    MOMENT,
    counted,
    fits,
    maybe,
    number,
    one_of,
    ratio,
)
from tests.api.test_executions import a_plan, attempt, started
from tests.api.test_metrics import CAD, ask, register, work

STATUS = one_of("active", "inactive", "failed")


async def an_agent_at_work(system: System) -> int:
    """Let an agent have completed one task and failed at another; it has beaten once."""
    await register(system, CAD, "CAD")
    run_id, _ = await started(system, await a_plan(system))
    await work(system, run_id, "task_001", CAD)
    await system.say(TaskStarted(**attempt(run_id, "task_002")))
    failed = TaskFailed(**attempt(run_id, "task_002"), reason="no licence")
    position = (await system.say(failed)).position
    async with system.pool.connection() as connection:
        await connection.execute(
            "insert into presence values (%s, 'one', 'working', 0.5, 0.25, 1024, %s, now())",
            [CAD, Jsonb([])],
        )
    return position


@pytest.mark.proves("D0-API-15", "D0-API-15a", "D0-API-15b")
async def test_agents_are_listed_by_type_and_status(system: System) -> None:
    position = await an_agent_at_work(system)
    await register(system, "meta_agent_001", "META")
    listed = await ask(system, "/agents", position + 1)
    fits(
        listed,
        {
            "agents": [
                {
                    "agent_id": str,
                    "type": str,
                    "status": STATUS,
                    "load": maybe(ratio),
                    "tasks_completed": counted,
                    "uptime": DURATION,
                    "uptime_seconds": number,
                    "last_heartbeat": maybe(MOMENT),
                }
            ],
            "total": counted,
        },
    )
    assert listed["total"] == len(listed["agents"]) == 2

    async def names(**params: Any) -> list[str]:
        found = await ask(system, "/agents", position, **params)
        return [one["agent_id"] for one in found["agents"]]

    assert await names(type="CAD") == [CAD]
    assert await names(status="active") == [CAD, "meta_agent_001"]
    assert await names(status="inactive") == await names(status="failed") == []
    refused = await system.http.get("/api/v1/agents", params={"status": "asleep"})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")


@pytest.mark.proves("D0-API-16", "D0-API-16a")
async def test_an_agent_shows_what_it_did_and_how_it_is(system: System) -> None:
    position = await an_agent_at_work(system)
    agent = await ask(system, f"/agents/{CAD}", position)
    fits(
        agent,
        {
            "agent_id": str,
            "type": str,
            "status": STATUS,
            "capabilities": [str],
            "current_load": ratio,
            "capacity": {
                "max_concurrent_tasks": counted,
                "current_tasks": counted,
                "queued_tasks": maybe(counted),
            },
            "statistics": {
                "tasks_completed": counted,
                "tasks_failed": counted,
                "success_rate": ratio,
                "avg_task_duration": DURATION,
            },
            "health": {
                "status": one_of("healthy", "degraded", "unhealthy", "offline"),
                "cpu_usage": ratio,
                "memory_usage": maybe(ratio),
                "last_heartbeat": MOMENT,
            },
        },
    )
    statistics = agent["statistics"]
    assert (statistics["tasks_completed"], statistics["tasks_failed"]) == (1, 1)
    assert statistics["success_rate"] == 0.5
    unknown = await system.http.get("/api/v1/agents/nobody")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-agent")
