"""Goals are accepted once, and plans show what became of them."""

import asyncio
import re
from typing import Any

import pytest

from domain.agent import AgentRegistered
from domain.plan import PlanCancelRequested
from domain.run_events import RunStarted, TaskCompleted, TaskStarted
from tests.api.conftest import System

GOAL: dict[str, Any] = {
    "title": "Design and validate automotive component",
    "description": "Create a new brake caliper design with simulation validation",
    "domain": "automotive",
    "constraints": {
        "timeline": "30 days",
        "budget": 100000,
        "compliance": ["ISO 26262", "IATF 16949"],
    },
    "priority": "high",
}
GRAPH: dict[str, Any] = {
    "tasks": [
        {"id": "task_001", "name": "Compliance check", "agent": "META", "duration": "2 hours"},
        {
            "id": "task_002",
            "name": "Initial design",
            "agent": "CAD",
            "depends_on": ["task_001"],
            "duration": "PT8H",
        },
        {
            "id": "task_003",
            "name": "Find suppliers",
            "agent": "SUPP",
            "inputs": {"rules": "task_001"},
            "duration": 3600,
        },
    ]
}


async def test_a_goal_with_a_graph_is_a_ready_plan_at_once(system: System) -> None:
    asked = {"goal": GOAL, "task_graph": GRAPH}
    created = await system.http.post("/api/v1/plans/create", json=asked)
    assert created.status_code == 201, created.text
    answer = created.json()
    assert answer["status"] == "ready"
    assert answer["task_count"] == 3
    assert answer["agents_assigned"] == ["CAD", "META", "SUPP"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer["created_at"])
    assert created.headers["location"] == f"/api/v1/plans/{answer['plan_id']}"
    assert int(created.headers["taskloom-position"]) >= 2

    shown = (await system.http.get(created.headers["location"])).json()
    assert shown["goal"]["title"] == GOAL["title"]
    assert shown["task_graph"]["nodes"][1] == {
        "task_id": "task_002",
        "name": "Initial design",
        "agent": "CAD",
        "status": "pending",
        "dependencies": ["task_001"],
        "estimated_duration": "8 hours",
        "estimated_duration_seconds": 28800.0,
    }
    assert shown["task_graph"]["edges"] == [
        {"from": "task_001", "to": "task_002", "type": "sequential"},
        {"from": "task_001", "to": "task_003", "type": "data"},
    ]
    metrics = shown["metrics"]
    assert (metrics["total_tasks"], metrics["critical_path_length"]) == (3, 2)
    assert metrics["estimated_makespan"] == "10 hours"
    assert metrics["parallelization_ratio"] == pytest.approx(1 - 10 / 11, abs=1e-4)


async def test_a_graph_can_be_drawn_with_its_critical_path(system: System) -> None:
    asked = {"goal": GOAL, "task_graph": GRAPH}
    plan_id = (await system.http.post("/api/v1/plans/create", json=asked)).json()["plan_id"]
    graph = (await system.http.get(f"/api/v1/plans/{plan_id}/graph")).json()["graph"]
    assert graph["format"] == "dagre"
    assert graph["critical_path"] == ["task_001", "task_002"]
    slack = {node["id"]: node["slack_seconds"] for node in graph["nodes"]}
    assert slack == {"task_001": 0, "task_002": 0, "task_003": 7 * 3600}
    assert {"v": "task_001", "w": "task_002", "type": "sequential", "critical": True} in graph[
        "edges"
    ]


async def test_a_schedule_shows_slots_and_how_busy_the_agents_are(system: System) -> None:
    asked = {"goal": GOAL, "task_graph": GRAPH}
    plan_id = (await system.http.post("/api/v1/plans/create", json=asked)).json()["plan_id"]
    schedule = (await system.http.get(f"/api/v1/plans/{plan_id}/schedule")).json()["schedule"]
    assert (schedule["algorithm"], schedule["makespan"]) == ("critical_path_method", "10 hours")
    assert (schedule["makespan_seconds"], schedule["gap"]) == (36_000, 0)
    first, second, third = schedule["time_slots"]
    assert (first["tasks"], first["agents"]) == (["task_001"], ["META"])
    assert first["end_time"] == second["start_time"] == third["start_time"]
    assert [second["tasks"], third["tasks"]] == [["task_003"], ["task_002"]]
    assert (third["start_seconds"], third["end_seconds"]) == (7_200, 36_000)
    assert schedule["resource_utilization"] == {"CAD": 0.8, "META": 0.2, "SUPP": 0.1}
    assert schedule["agents"] == {"CAD": 1, "META": 1, "SUPP": 1}
    assert schedule["critical_path"] == ["task_001", "task_002"]
    assert schedule["parallelization_ratio"] == pytest.approx(1 - 10 / 11, abs=1e-4)


async def test_a_schedule_counts_on_the_agents_that_the_options_say(system: System) -> None:
    tasks = [{"id": f"t{n}", "name": "Draw", "agent": "CAD", "duration": "1h"} for n in range(6)]
    asked: dict[str, Any] = {"goal": GOAL, "task_graph": {"tasks": tasks}}
    spans: dict[str, str] = {}
    for choice in ("conservative", "balanced", "aggressive"):
        asked["options"] = {"parallelization": choice}
        made = await system.http.post("/api/v1/plans/create", json=asked)
        path = f"{made.headers['location']}/schedule"
        schedule = (await system.http.get(path)).json()["schedule"]
        spans[choice] = schedule["makespan"]
        assert 0 < schedule["resource_utilization"]["CAD"] <= 1
        plan = (await system.http.get(made.headers["location"])).json()
        assert plan["metrics"]["estimated_makespan"] == schedule["makespan"]
        assert plan["estimated_completion"] == schedule["time_slots"][-1]["end_time"]
    assert spans == {"conservative": "6 hours", "balanced": "2 hours", "aggressive": "1 hour"}


async def test_a_plan_that_is_not_planned_has_no_schedule(system: System) -> None:
    created = await system.http.post("/api/v1/plans/create?wait=0.2", json={"goal": GOAL})
    asked = {"min_position": created.headers["taskloom-position"]}
    answer = await system.http.get(f"{created.headers['location']}/schedule", params=asked)
    assert (answer.status_code, answer.json()["schedule"]) == (200, None)
    missing = await system.http.get("/api/v1/plans/plan_none/schedule")
    assert missing.status_code == 404


async def test_planning_that_takes_longer_is_answered_with_202(system: System) -> None:
    created = await system.http.post("/api/v1/plans/create?wait=0.2", json={"goal": GOAL})
    assert created.status_code == 202
    answer = created.json()
    assert (answer["status"], answer["task_count"]) == ("planning", None)
    assert answer["estimated_completion"] is not None  # the goal's own timeline
    plan_id = answer["plan_id"]
    shown = (await system.http.get(f"/api/v1/plans/{plan_id}")).json()
    assert shown["planning_execution_id"] == f"exec_{plan_id.removeprefix('plan_')}-plan"


async def test_whoever_waits_gets_the_plan_when_it_is_planned(system: System) -> None:
    headers = {"Idempotency-Key": "one"}
    asking = asyncio.create_task(
        system.http.post("/api/v1/plans/create?wait=20", json={"goal": GOAL}, headers=headers)
    )
    run_id = await _planning_run(system)
    for task_id, result in (
        ("decompose", {"sub_goals": [{"domain": "CAD", "title": "Design"}]}),
        ("plan-cad", {"tasks": []}),
        ("synthesize", {"tasks": [{"id": "a", "name": "A", "agent": "CAD", "duration": "PT1H"}]}),
    ):
        common: dict[str, Any] = {
            "run_id": run_id,
            "task_id": task_id,
            "epoch": 1,
            "agent_id": "planner",
        }
        await system.say(TaskStarted(**common))
        await system.say(TaskCompleted(**common, result=result))
    created = await asking
    assert created.status_code == 201
    assert (created.json()["status"], created.json()["task_count"]) == ("ready", 1)


async def _planning_run(system: System) -> str:
    async with asyncio.timeout(10):
        while True:
            for recorded in await system.deps.log.read_all(after=0, limit=100):
                if isinstance(recorded.event, RunStarted):
                    return recorded.event.run_id
            await asyncio.sleep(0.02)


async def test_a_goal_that_is_submitted_twice_is_one_plan(system: System) -> None:
    asked = {"goal": GOAL, "task_graph": GRAPH}
    headers = {"Idempotency-Key": "order-4711"}
    first = await system.http.post("/api/v1/plans/create", json=asked, headers=headers)
    second = await system.http.post("/api/v1/plans/create", json=asked, headers=headers)
    assert second.status_code == 201
    assert second.json() == first.json()
    plans = (await system.http.get("/api/v1/plans")).json()["plans"]
    assert len(plans) == 1

    for other in (
        asked | {"goal": GOAL | {"title": "Something else"}},
        asked | {"task_graph": {"tasks": GRAPH["tasks"][:2]}},
    ):
        refused = await system.http.post("/api/v1/plans/create", json=other, headers=headers)
        assert refused.status_code == 409
        assert refused.json()["type"] == "urn:taskloom:idempotency-mismatch"


async def test_plans_are_listed_page_by_page_the_newest_first(system: System) -> None:
    made = [
        (
            await system.http.post("/api/v1/plans/create", json={"goal": GOAL, "task_graph": GRAPH})
        ).json()["plan_id"]
        for _ in range(5)
    ]
    seen: list[str] = []
    cursor = None
    for _ in range(3):
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await system.http.get("/api/v1/plans", params=params)).json()
        seen += [plan["plan_id"] for plan in page["plans"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert seen == made[::-1]


async def test_a_cycle_is_refused_with_its_path(system: System) -> None:
    tasks = [
        {"id": "a", "name": "A", "agent": "CAD", "depends_on": ["b"]},
        {"id": "b", "name": "B", "agent": "CAD", "depends_on": ["a"]},
    ]
    refused = await system.http.post(
        "/api/v1/plans/create", json={"goal": GOAL, "task_graph": {"tasks": tasks}}
    )
    assert refused.status_code == 422
    assert refused.json()["code"] == "cycle"
    assert "a → b → a" in refused.json()["detail"]


async def test_an_unknown_plan_is_not_found(system: System) -> None:
    for path in ("/api/v1/plans/plan_none", "/api/v1/plans/plan_none/graph"):
        missing = await system.http.get(path)
        assert missing.status_code == 404
        assert missing.headers["content-type"] == "application/problem+json"
        assert missing.json()["type"] == "urn:taskloom:unknown-plan"


async def test_a_plan_that_is_not_wanted_any_more_is_cancelled_with_the_reason(
    system: System,
) -> None:
    asked = {"goal": GOAL, "task_graph": GRAPH}
    plan_id = (await system.http.post("/api/v1/plans/create", json=asked)).json()["plan_id"]
    path = f"/api/v1/plans/{plan_id}"
    cancelled = await system.http.delete(path, params={"reason": "too dear"})
    assert cancelled.status_code == 200
    assert cancelled.json() == {
        "plan_id": plan_id,
        "status": "cancelled",
        "message": "Plan cancelled successfully",
    }
    position = cancelled.headers["taskloom-position"]
    shown = (await system.http.get(path, params={"min_position": position})).json()
    assert (shown["status"], shown["reason"]) == ("cancelled", "too dear")
    again = (await system.http.delete(path)).json()
    assert again["message"] == "Plan is cancelled already; there was nothing to cancel"


async def test_no_character_of_a_reason_stops_a_view(system: System) -> None:
    asked = {"goal": GOAL, "task_graph": GRAPH}
    plan_id = (await system.http.post("/api/v1/plans/create", json=asked)).json()["plan_id"]
    path = f"/api/v1/plans/{plan_id}"
    refused = await system.http.delete(path, params={"reason": "too \0 dear"})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-unicode")
    said = await system.say(PlanCancelRequested(plan_id=plan_id, reason="too \\u0000 \\\0 \0 dear"))
    shown = (await system.http.get(path, params={"min_position": said.position})).json()
    assert shown["reason"] == "too \\u0000 \\\ufffd \ufffd dear"


async def test_a_plan_that_is_unknown_cannot_be_cancelled(system: System) -> None:
    answer = await system.http.delete("/api/v1/plans/plan_nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-plan")


async def test_the_planners_are_told_how_long_work_has_taken(system: System) -> None:
    tasks = [
        {"id": f"task_{n}", "name": "Draw", "agent": "CAD", "action": "draw"} for n in range(6)
    ]
    asked = {"goal": GOAL, "task_graph": {"tasks": tasks}, "options": {"auto_execute": True}}
    created = (await system.http.post("/api/v1/plans/create", json=asked)).json()
    run_id = f"exec_{created['plan_id'].removeprefix('plan_')}-1"
    await _until(system, f"/api/v1/executions/{run_id}", "running")
    for n in range(6):
        known: dict[str, Any] = {"run_id": run_id, "task_id": f"task_{n}", "epoch": 1}
        await system.say(TaskStarted(**known, agent_id="cad-1"))
        await system.say(TaskCompleted(**known, agent_id="cad-1"))
    await _until(system, f"/api/v1/executions/{run_id}", "completed")

    async def history(options: dict[str, str]) -> list[dict[str, Any]]:
        asked = {"goal": GOAL, "options": options}
        made = await system.http.post("/api/v1/plans/create?wait=0", json=asked)
        events = (await system.http.get("/api/v1/events?limit=500")).json()
        (found,) = [
            each["data"]
            for each in events
            if each["type"] == "plan.created" and each["data"]["plan_id"] == made.json()["plan_id"]
        ]
        return found.get("history", [])

    (effort,) = await history({})
    assert (effort["agent"], effort["action"], effort["count"]) == ("CAD", "draw", 6)
    assert 0 <= effort["p50"] <= effort["p90"]
    assert await history({"estimates": "rules"}) == []


async def _until(system: System, path: str, status: str) -> None:
    async with asyncio.timeout(10):
        found: str | None = None
        while found != status:
            found = (await system.http.get(path)).json().get("status")


async def test_a_plan_says_what_nobody_can_do(system: System) -> None:
    await system.say(
        AgentRegistered(
            agent_id="cad-1", agent_type="CAD", instance="one", metadata={"actions": ["draw"]}
        )
    )
    tasks = [
        {"id": "a", "name": "Draw", "agent": "CAD", "action": "draw"},
        {"id": "b", "name": "Paint", "agent": "CAD", "action": "paint"},
        {"id": "c", "name": "Buy", "agent": "SUPP", "action": "buy"},
    ]
    asked = {"goal": GOAL, "task_graph": {"tasks": tasks}}
    created = await system.http.post("/api/v1/plans/create", json=asked)
    shown = (await system.http.get(created.headers["location"])).json()
    assert [each["reason"] for each in shown["unserved"]] == [
        "no CAD that is registered can paint",
        "no agent of type SUPP is registered",
    ]
    await system.http.delete(created.headers["location"])
    async with asyncio.timeout(10):
        while shown["status"] != "cancelled":
            shown = (await system.http.get(created.headers["location"])).json()
    assert shown["unserved"] == []
