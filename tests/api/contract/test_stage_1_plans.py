"""Stage 1: goals become plans, and plans can be looked at, planned anew and cancelled."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.api.conftest import System
from tests.api.contract.shapes import (
    DURATION,
    MOMENT,
    counted,
    each,
    fits,
    maybe,
    named,
    number,
    one_of,
    ratio,
)
from tests.api.test_executions import a_plan
from tests.api.test_plans import GOAL, GRAPH
from tests.api.test_revisions import SLOWER, asked, ready, revised

STATUS = one_of("planning", "ready", "running", "completed", "failed", "cancelled")
AGENT_TYPES = one_of("META", "CAD", "SIM", "COMP", "SUPP")


async def ask(system: System, path: str) -> Any:
    answer = await system.http.get(f"/api/v1{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.proves("D0-API-01", "D0-API-01a")
async def test_a_goal_is_accepted_with_every_field_and_planned_later(system: System) -> None:
    asked = {
        "goal": GOAL,
        "options": {
            "auto_execute": False,
            "enable_replanning": True,
            "parallelization": "aggressive",
        },
    }
    created = await system.http.post("/api/v1/plans/create", params={"wait": 0}, json=asked)
    assert created.status_code == 202
    answer = created.json()
    assert answer["status"] == "planning"
    assert answer["message"] == (
        "Plan created successfully. Decomposing goal across domain agents."
    )
    # Nobody knows better yet than the goal itself.
    began, ends = map(
        datetime.fromisoformat, (answer["created_at"], answer["estimated_completion"])
    )
    assert ends - began == timedelta(days=30)
    shown = await ask(system, f"/plans/{answer['plan_id']}?min_position=1")
    assert {name: shown["goal"][name] for name in GOAL} == GOAL
    assert {name: shown["options"][name] for name in asked["options"]} == asked["options"]


@pytest.mark.proves("D0-API-01", "D0-API-01b")
async def test_a_goal_that_is_planned_tells_its_tasks_and_agents(system: System) -> None:
    asked = {"goal": GOAL, "task_graph": GRAPH}
    created = await system.http.post("/api/v1/plans/create", json=asked)
    assert created.status_code == 201
    fits(
        created.json(),
        {
            "plan_id": named("plan"),
            "status": STATUS,
            "created_at": MOMENT,
            "estimated_completion": MOMENT,
            "task_count": counted,
            "agents_assigned": [AGENT_TYPES],
            "message": str,
        },
    )
    assert created.json()["agents_assigned"]


@pytest.mark.proves("D0-API-01a")
@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("goal.title", 7),
        ("goal.description", None),
        ("goal.domain", ["automotive"]),
        ("goal.constraints.timeline", 30),
        ("goal.constraints.budget", "much"),
        ("goal.constraints.compliance", "ISO 26262"),
        ("goal.priority", "urgent"),
        ("options.auto_execute", "perhaps"),
        ("options.enable_replanning", 2),
        ("options.parallelization", "total"),
    ],
)
async def test_a_goal_with_a_wrong_field_is_refused_by_its_name(
    system: System, place: str, value: object
) -> None:
    asked: dict[str, Any] = {
        "goal": GOAL | {"constraints": dict(GOAL["constraints"])},
        "options": {},
    }
    *way, last = place.split(".")
    where = asked
    for step in way:
        where = where[step]
    where[last] = value
    answer = await system.http.post("/api/v1/plans/create", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert any(f"/{place.replace('.', '/')}" in each["pointer"] for each in answer.json()["errors"])


@pytest.mark.proves("D0-API-02", "D0-API-02a")
async def test_a_plan_shows_its_goal_its_graph_and_its_measures(system: System) -> None:
    plan_id = await a_plan(system)
    plan = await ask(system, f"/plans/{plan_id}")
    fits(
        plan,
        {
            "plan_id": named("plan"),
            "goal": dict,
            "status": STATUS,
            "created_at": MOMENT,
            "updated_at": MOMENT,
            "task_graph": {
                "nodes": [
                    {
                        "task_id": str,
                        "name": str,
                        "agent": AGENT_TYPES,
                        "status": str,
                        "dependencies": [str],
                        "estimated_duration": DURATION,
                        "estimated_duration_seconds": number,
                    }
                ],
                "edges": [{"from": str, "to": str, "type": one_of("sequential", "data")}],
            },
            "metrics": {
                "total_tasks": counted,
                "critical_path_length": counted,
                "parallelization_ratio": ratio,
                "estimated_makespan": DURATION,
                "estimated_makespan_seconds": number,
            },
        },
    )
    assert len(plan["task_graph"]["nodes"]) == plan["metrics"]["total_tasks"] == 3
    unknown = await system.http.get("/api/v1/plans/plan_nobody")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-plan")


@pytest.mark.proves("D0-API-03", "D0-API-03a", "D0-API-03b")
async def test_a_graph_can_be_drawn_by_us_or_by_others(system: System) -> None:
    plan_id = await a_plan(system)
    answer = await ask(system, f"/plans/{plan_id}/graph")
    fits(
        answer,
        {
            "plan_id": named("plan"),
            "graph": {
                "format": one_of("dagre"),
                "nodes": [{"id": str, "label": str, "width": number, "height": number}],
                "edges": [{"v": str, "w": str}],
                "critical_path": [str],
            },
            "visualization_url": str,
        },
    )
    assert answer["graph"]["critical_path"] == ["task_001", "task_002"]
    for path in (answer["visualization_url"], f"/visualizations/{plan_id}.svg"):
        picture = await system.http.get(path)
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml")
    assert (await system.http.get("/api/v1/plans/plan_nobody/graph")).status_code == 404


@pytest.mark.proves("D0-API-04", "D0-API-04a")
async def test_a_schedule_says_who_works_when(system: System) -> None:
    plan_id = await a_plan(system)
    answer = await ask(system, f"/plans/{plan_id}/schedule")
    fits(
        answer,
        {
            "plan_id": named("plan"),
            "schedule": {
                "algorithm": one_of("critical_path_method"),
                "makespan": DURATION,
                "makespan_seconds": number,
                "time_slots": [
                    {
                        "start_time": MOMENT,
                        "end_time": MOMENT,
                        "tasks": [str],
                        "agents": [AGENT_TYPES],
                    }
                ],
                "resource_utilization": each(ratio),
            },
        },
    )
    assert len(answer["schedule"]["time_slots"]) == 3
    assert (await system.http.get("/api/v1/plans/plan_nobody/schedule")).status_code == 404


@pytest.mark.proves("D0-API-05", "D0-API-05a", "D0-API-05b")
async def test_another_graph_tells_what_it_changes_and_costs(system: System) -> None:
    plan_id = await ready(system)
    wish: dict[str, Any] = {
        "reason": "task_failure",
        "failed_task_id": "weld",
        "constraints": {"preserve_completed": True, "max_delay": "2 days"},
    }
    begun = await asked(system, plan_id, key="one", **wish)
    assert begun["status"] == "replanning"
    waiting = asyncio.create_task(asked(system, plan_id, key="one", wait=20, **wish))
    await revised(system, plan_id, begun["replan_id"], *SLOWER)
    answer = await waiting
    fits(
        answer,
        {
            "plan_id": named("plan"),
            "replan_id": str,
            "status": one_of("replanning", "updated", "refused"),
            "changes": {
                "tasks_added": counted,
                "tasks_removed": counted,
                "tasks_modified": counted,
            },
            "estimated_impact": {
                "delay": DURATION,
                "delay_seconds": number,
                "cost_increase": maybe(number),
            },
        },
    )
    unknown = await system.http.post("/api/v1/plans/plan_nobody/replan", json=wish)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-plan")


@pytest.mark.proves("D0-API-05a")
@pytest.mark.parametrize(
    "wish",
    [
        {"reason": 7},
        {"failed_task_id": ["weld"]},
        {"constraints": {"preserve_completed": False}},
        {"constraints": {"max_delay": "soon"}},
    ],
)
async def test_a_wish_with_a_wrong_field_is_refused(system: System, wish: dict[str, Any]) -> None:
    answer = await system.http.post("/api/v1/plans/plan_1/replan", json=wish)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


@pytest.mark.proves("D0-API-06", "D0-API-06a")
async def test_a_plan_is_cancelled_once(system: System) -> None:
    plan_id = await a_plan(system)
    for message in ("Plan cancelled successfully", "Plan is cancelled already"):
        answer = await system.http.delete(f"/api/v1/plans/{plan_id}")
        assert answer.status_code == 200, answer.text
        fits(
            answer.json(),
            {"plan_id": named("plan"), "status": one_of("cancelled"), "message": str},
        )
        assert answer.json()["message"].startswith(message)
        shown = answer.headers.get("taskloom-position")
        if shown:
            await ask(system, f"/plans/{plan_id}?min_position={shown}")
    unknown = await system.http.delete("/api/v1/plans/plan_nobody")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-plan")
