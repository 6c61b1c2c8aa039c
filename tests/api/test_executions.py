"""Executions start once, and tell how far they are."""

import asyncio
from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from domain.agent import AgentRegistered
from domain.run_events import TaskCompleted, TaskFailed, TaskStarted
from tests.api.conftest import System
from tests.api.test_plans import GOAL, GRAPH


async def a_plan(system: System) -> str:
    asked = {"goal": GOAL, "task_graph": GRAPH}
    created = await system.http.post("/api/v1/plans/create", json=asked)
    return str(created.json()["plan_id"])


async def started(system: System, plan_id: str) -> tuple[str, int]:
    answer = await system.http.post("/api/v1/executions/start", json={"plan_id": plan_id})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["execution_id"]), int(answer.headers["taskloom-position"])


def attempt(run_id: str, task_id: str) -> dict[str, Any]:
    return {"run_id": run_id, "task_id": task_id, "epoch": 1, "agent_id": "cad_agent_001"}


async def shown(system: System, run_id: str, position: int) -> Mapping[str, Any]:
    answer = await system.http.get(
        f"/api/v1/executions/{run_id}", params={"min_position": position}
    )
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["taskloom-position"]) >= position
    body: Mapping[str, Any] = answer.json()
    return body


async def test_an_execution_shows_its_progress(system: System) -> None:
    run_id, position = await started(system, await a_plan(system))
    before = await shown(system, run_id, position)
    assert before["progress"]["total_tasks"] == 3
    assert before["metrics"]["estimated_remaining"] is None

    await system.say(TaskStarted(**attempt(run_id, "task_001")))
    outcome = await system.say(TaskCompleted(**attempt(run_id, "task_001")))
    outcome = await system.say(TaskStarted(**attempt(run_id, "task_002")))
    async with system.pool.connection() as connection:
        heard = [{"run_id": run_id, "task_id": "task_002", "epoch": 1, "progress": 0.65}]
        await connection.execute(
            "insert into presence values ('cad_agent_001', 'i', 'working', 0.5, 0.25, 1024, %s,"
            " now())",
            [Jsonb(heard)],
        )
    now = await shown(system, run_id, outcome.position)
    assert now["status"] == "running"
    progress = now["progress"]
    assert (progress["completed_tasks"], progress["percentage"]) == (1, 33.3)
    [current] = progress["current_tasks"]
    assert (current["task_id"], current["agent"], current["status"], current["progress"]) == (
        "task_002",
        "CAD",
        "running",
        0.65,
    )
    assert now["metrics"]["throughput"].endswith(" tasks/hour")
    assert now["metrics"]["estimated_remaining_seconds"] > 0


async def test_a_finished_execution_finishes_its_plan(system: System) -> None:
    plan_id = await a_plan(system)
    run_id, _ = await started(system, plan_id)
    position = 0
    for task_id in ("task_001", "task_002", "task_003"):
        await system.say(TaskStarted(**attempt(run_id, task_id)))
        position = (await system.say(TaskCompleted(**attempt(run_id, task_id)))).position
    done = await shown(system, run_id, position)
    assert (done["status"], done["progress"]["percentage"]) == ("completed", 100.0)
    assert done["metrics"]["estimated_remaining_seconds"] == 0
    async with asyncio.timeout(10):
        while True:
            plan = (await system.http.get(f"/api/v1/plans/{plan_id}")).json()
            if plan["status"] == "completed":
                break
            await asyncio.sleep(0.02)
    assert {node["status"] for node in plan["task_graph"]["nodes"]} == {"completed"}
    again, _ = await started(system, plan_id) if plan["status"] == "completed" else ("", 0)
    assert again.endswith("-2")


async def test_a_dry_run_records_nothing(system: System) -> None:
    plan_id = await a_plan(system)
    before = await system.deps.head()
    asked = {"plan_id": plan_id, "options": {"dry_run": True, "checkpoint_interval": "1 hour"}}
    answer = await system.http.post("/api/v1/executions/start", json=asked)
    assert answer.status_code == 200
    assert answer.json()["dry_run"] == {
        "total_tasks": 3,
        "first_tasks": ["task_001"],
        "agents": ["CAD", "META", "SUPP"],
        "estimated_makespan": "10 hours",
        "estimated_makespan_seconds": 36000.0,
    }
    assert await system.deps.head() == before


async def test_a_running_plan_is_not_started_again(system: System) -> None:
    plan_id = await a_plan(system)
    await started(system, plan_id)
    async with asyncio.timeout(10):
        while True:
            again = await system.http.post("/api/v1/executions/start", json={"plan_id": plan_id})
            if again.status_code != 201:
                break
            await asyncio.sleep(0.02)
    assert again.status_code == 409
    assert again.json()["code"] == "plan-not-ready"
    listed = (await system.http.get("/api/v1/executions", params={"plan_id": plan_id})).json()
    assert len(listed["executions"]) == 1


async def test_logs_can_be_narrowed_down(system: System) -> None:
    run_id, _ = await started(system, await a_plan(system))
    await system.say(TaskStarted(**attempt(run_id, "task_001")))
    failed = TaskFailed(**attempt(run_id, "task_001"), reason="no licence")
    position = (await system.say(failed)).position

    async def lines(**params: Any) -> list[Any]:
        answer = await system.http.get(
            f"/api/v1/executions/{run_id}/logs", params={"min_position": position} | params
        )
        assert answer.status_code == 200, answer.text
        found: list[Any] = answer.json()["logs"]
        assert answer.json()["total"] >= len(found)
        return found

    everything = await lines()
    assert [line["level"] for line in everything] == [
        "info",
        "debug",
        "info",
        "warning",
        "warning",
    ]
    assert everything[2]["agent"] == "META"
    assert everything[2]["agent_id"] == "cad_agent_001"
    assert len(await lines(level="warning")) == 2
    assert len(await lines(agent="cad_agent_001")) == 2
    assert len(await lines(agent="META")) == 4
    assert await lines(task="task_002") == []
    assert await lines(limit=1, offset=2) == everything[2:3]


async def test_agents_show_what_they_did(system: System) -> None:
    await system.say(
        AgentRegistered(
            agent_id="cad_agent_001", agent_type="CAD", capabilities=("design",), instance="one"
        )
    )
    run_id, _ = await started(system, await a_plan(system))
    await system.say(TaskStarted(**attempt(run_id, "task_001")))
    outcome = await system.say(TaskCompleted(**attempt(run_id, "task_001")))
    at = {"min_position": outcome.position}
    agent = (await system.http.get("/api/v1/agents/cad_agent_001", params=at)).json()
    assert agent["status"] == "active"
    assert agent["statistics"]["tasks_completed"] == 1
    assert agent["statistics"]["success_rate"] == 1.0
    assert agent["health"] == {
        "status": "healthy",
        "cpu_usage": None,
        "memory_usage": None,
        "memory_bytes": None,
        "last_heartbeat": None,
        "reason": None,
    }
    held = [
        {"run_id": run_id, "task_id": f"t{n}", "epoch": 1, "state": state}
        for n, state in enumerate(("running", "waiting", "claiming"))
    ]
    assert agent["capacity"]["queued_tasks"] is None
    assert "no heartbeat" in agent["capacity"]["queued_tasks_unknown"]
    for instance, load in (("another", None), ("one", 0.82)):
        async with system.pool.connection() as connection:
            await connection.execute(
                "insert into presence values ('cad_agent_001', %s, 'working', 0.82, 0.65, 1024,"
                " %s, now()) on conflict (agent_id) do update set instance = excluded.instance",
                [instance, Jsonb(held)],
            )
        listed = (await system.http.get("/api/v1/agents", params={"type": "CAD"})).json()
        assert listed["total"] == 1
        assert listed["agents"][0]["load"] == load
    capacity = (await system.http.get("/api/v1/agents/cad_agent_001")).json()["capacity"]
    assert (capacity["current_tasks"], capacity["queued_tasks"]) == (2, 1)
    assert capacity["queued_tasks_unknown"] is None
    assert (await system.http.get("/api/v1/agents", params={"status": "failed"})).json() == {
        "agents": [],
        "total": 0,
        "degraded": [],
    }
    assert (await system.http.get("/api/v1/agents/nobody")).status_code == 404


async def test_tasks_are_shown_with_their_results(system: System) -> None:
    run_id, _ = await started(system, await a_plan(system))
    await system.say(TaskStarted(**attempt(run_id, "task_001")))
    said = TaskCompleted(**attempt(run_id, "task_001"), result={"mass_kg": 0.78})
    position = (await system.say(said)).position
    seen = {"min_position": position}
    tasks = f"/api/v1/executions/{run_id}/tasks"

    listed = (await system.http.get(tasks, params=seen)).json()["tasks"]
    assert [task["task_id"] for task in listed] == ["task_001", "task_002", "task_003"]
    assert [task["result"] for task in listed] == [{"mass_kg": 0.78}, None, None]
    assert listed[0]["agent_id"] == "cad_agent_001"

    done = (await system.http.get(tasks, params=seen | {"status": "completed"})).json()["tasks"]
    assert done == listed[:1]
    second = (await system.http.get(tasks, params=seen | {"limit": 1, "offset": 1})).json()
    assert second["tasks"] == listed[1:2]
    assert (await system.http.get(f"{tasks}/task_001", params=seen)).json() == listed[0]

    unknown = await system.http.get(f"{tasks}/task_999")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-task")
    for path in ("tasks", "tasks/task_001"):
        unknown = await system.http.get(f"/api/v1/executions/exec_nobody/{path}")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-run")
