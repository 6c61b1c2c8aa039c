"""Stage 3: agents register, are found, are asked and leave."""

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from agents.kit.loading import load
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
from tests.api.test_invocations import asking, invoke
from tests.api.test_invocations import register as introduce
from tests.api.test_metrics import CAD, ask, register, work
from tests.api.test_registration import REQUEST

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


@pytest.mark.proves("D0-API-14", "D0-API-14a", "D0-API-14b")
async def test_an_agent_registers_with_every_field(system: System) -> None:
    answer = await system.http.post("/api/v1/agents/register", json=REQUEST)
    assert answer.status_code == 201, answer.text
    fits(
        answer.json(),
        {
            "agent_id": str,
            "status": one_of("registered"),
            "registered_at": MOMENT,
            "token": maybe(str),
        },
    )
    position = int(answer.headers["taskloom-position"])
    shown = await ask(system, answer.headers["location"].removeprefix("/api/v1"), position)
    assert shown["capabilities"] == REQUEST["capabilities"]
    assert shown["metadata"] == REQUEST["metadata"]
    capacity = {name: shown["capacity"][name] for name in REQUEST["capacity"]}
    assert capacity == REQUEST["capacity"]
    for wrong in (
        {"agent_type": "cad agent"},
        {"agent_id": None},
        {"capabilities": "design"},
        {"capacity": {"max_concurrent_tasks": 0}},
        {"capacity": {"max_queue_size": -1}},
        {"metadata": []},
    ):
        refused = await system.http.post("/api/v1/agents/register", json=REQUEST | wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid"), wrong


@pytest.mark.proves("D0-API-17", "D0-API-17a", "D0-API-17b")
async def test_an_agent_is_asked_to_plan_and_answers_at_once(system: System) -> None:
    planner = load("agents.planners.cad")
    await introduce(system, planner, actions=sorted(planner.actions))
    payload = {"goal": "Design brake caliper", "constraints": {"timeline": "30 days"}}
    async with asking(system, planner):
        answer = await invoke(system, "plan", payload=payload)
    assert answer.status_code == 200, answer.text
    fits(
        answer.json(),
        {
            "agent_id": one_of(CAD),
            "action": one_of("plan"),
            "status": one_of("completed"),
            "result": {"plan": dict, "estimated_duration": DURATION},
            "execution_time": DURATION,
            "execution_time_seconds": number,
        },
    )
    for wrong in ({"action": 7}, {"payload": "caliper"}, {"action": None}):
        refused = await system.http.post(
            f"/api/v1/agents/{CAD}/invoke", json={"action": "plan"} | wrong
        )
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid"), wrong
    unknown = await system.http.post("/api/v1/agents/nobody/invoke", json={"action": "plan"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-agent")


@pytest.mark.proves("D0-API-18", "D0-API-18a")
async def test_an_agent_is_deregistered(system: System) -> None:
    await system.http.post("/api/v1/agents/register", json=REQUEST)
    answer = await system.http.delete(f"/api/v1/agents/{REQUEST['agent_id']}")
    assert answer.status_code == 200, answer.text
    fits(answer.json(), {"agent_id": str, "status": one_of("deregistered"), "message": str})
    assert answer.json()["message"] == "Agent deregistered successfully"
    position = int(answer.headers["taskloom-position"])
    gone = await ask(system, "/agents", position, status="inactive")
    assert [one["agent_id"] for one in gone["agents"]] == [REQUEST["agent_id"]]
    unknown = await system.http.delete("/api/v1/agents/nobody")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-agent")
