"""Metrics and analytics are counted from what the views show."""

import asyncio
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from domain.agent import AgentRegistered, Capacity
from domain.run_events import TaskCompleted, TaskFailed, TaskStarted
from tests.api.conftest import System
from tests.api.test_executions import a_plan, started
from tests.api.test_plans import GOAL

META = "meta_agent_001"
CAD = "cad_agent_001"


async def register(system: System, agent_id: str, agent_type: str, places: int = 2) -> None:
    await system.say(
        AgentRegistered(
            agent_id=agent_id,
            agent_type=agent_type,
            capacity=Capacity(max_concurrent_tasks=places),
            instance="one",
        )
    )


async def work(system: System, run_id: str, task_id: str, agent_id: str, epoch: int = 1) -> int:
    attempt: dict[str, Any] = {
        "run_id": run_id, "task_id": task_id, "epoch": epoch, "agent_id": agent_id,
    }  # fmt: skip
    await system.say(TaskStarted(**attempt))
    return (await system.say(TaskCompleted(**attempt))).position


async def ask(system: System, path: str, position: int, **params: object) -> Any:
    asked = {"min_position": position} | params
    answer = await system.http.get(f"/api/v1{path}", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def spread(system: System, run_id: str, times: dict[str, tuple[int, int]]) -> None:
    """Let a run have begun at a moment, and its tasks some seconds later, as if it had been so."""
    async with system.pool.connection() as connection:
        await connection.execute(
            "update views.executions_2 set started_at = '2026-01-20T12:00Z',"
            " ended_at = case when ended_at is null then null"
            " else timestamptz '2026-01-20T12:00Z' + interval '100 s' end where run_id = %s",
            [run_id],
        )
        for task_id, (began, ended) in times.items():
            await connection.execute(
                "update views.tasks_2 set"
                " started_at = timestamptz '2026-01-20T12:00Z' + %s * interval '1 s',"
                " ended_at = timestamptz '2026-01-20T12:00Z' + %s * interval '1 s'"
                " where run_id = %s and task_id = %s",
                [began, ended, run_id, task_id],
            )


async def test_an_execution_tells_how_busy_its_agents_were(system: System) -> None:
    for agent_id, agent_type in ((META, "META"), (CAD, "CAD"), ("supp_agent_001", "SUPP")):
        await register(system, agent_id, agent_type)
    run_id, _ = await started(system, await a_plan(system))
    await work(system, run_id, "task_001", META)
    await work(system, run_id, "task_002", CAD)
    position = await work(system, run_id, "task_003", "supp_agent_001")
    await ask(system, f"/executions/{run_id}", position)
    await spread(
        system, run_id, {"task_001": (0, 20), "task_002": (20, 100), "task_003": (40, 100)}
    )

    answer = await ask(system, f"/executions/{run_id}/metrics", position)
    assert answer["execution_id"] == run_id
    performance = answer["metrics"]["performance"]
    assert performance["execution_time"] == "1.7 minutes"
    assert performance["execution_time_seconds"] == 100
    assert performance["throughput"] == "108 tasks/hour"
    assert performance["parallelization_achieved"] == pytest.approx(1 - 100 / 160, abs=1e-4)
    assert answer["metrics"]["resource_utilization"] == {
        "CAD": {"avg": 0.4, "peak": 0.5},
        "META": {"avg": 0.1, "peak": 0.5},
        "SUPP": {"avg": 0.3, "peak": 0.5},
    }
    assert answer["metrics"]["quality"] == {
        "task_success_rate": 1.0,
        "replanning_count": 0,
        "retry_count": 0,
    }


async def test_a_retry_is_counted_where_it_happened(system: System) -> None:
    run_id, _ = await started(system, await a_plan(system))
    first = {"run_id": run_id, "task_id": "task_001", "epoch": 1, "agent_id": META}
    await system.say(TaskStarted(**first))
    await system.say(TaskFailed(**first, reason="no licence"))
    position = await work(system, run_id, "task_001", META, epoch=2)
    metrics = (await ask(system, f"/executions/{run_id}/metrics", position))["metrics"]
    assert metrics["quality"]["retry_count"] == 1
    assert set(metrics["resource_utilization"]) == {"META"}


async def test_the_system_is_counted(system: System) -> None:
    empty = await ask(system, "/metrics", 0)
    assert empty["system"]["success_rate"] is None
    assert empty["performance"]["throughput"] == "0 plans/day"

    await register(system, META, "META", places=4)
    await register(system, CAD, "CAD")
    plan_id = await a_plan(system)
    run_id, _ = await started(system, plan_id)
    await work(system, run_id, "task_001", META)
    await work(system, run_id, "task_002", CAD)
    await work(system, run_id, "task_003", CAD)
    _, position = await started(system, await a_plan(system))
    async with system.pool.connection() as connection:
        heard = [{"run_id": run_id, "task_id": "task_001", "epoch": 1}]
        for agent_id, load, tasks in ((META, 0.25, heard), (CAD, 1.0, [])):
            await connection.execute(
                "insert into presence values (%s, 'one', 'working', %s, 0.25, 1024, %s, now())",
                [agent_id, load, Jsonb(tasks)],
            )
    async with asyncio.timeout(10):
        while True:
            answer = await ask(system, "/metrics", position)
            if answer["performance"]["throughput_per_day"]:
                break
            await asyncio.sleep(0.02)
    assert answer["system"] == {
        "total_plans": 2,
        "active_executions": 1,
        "completed_executions": 1,
        "failed_executions": 0,
        "success_rate": 1.0,
    }
    assert answer["tasks"] == {
        "total": 6,
        "pending": 2,
        "in_progress": 1,
        "completed": 3,
        "failed": 0,
    }
    assert answer["agents"] == {
        "total_registered": 2,
        "active": 2,
        "idle": 1,
        "avg_utilization": 0.5,
    }
    performance = answer["performance"]
    assert performance["throughput"] == "1 plans/day"
    assert performance["avg_planning_time"] is None
    assert performance["avg_execution_time_seconds"] > 0
    assert performance["avg_completion_time_seconds"] >= 0
    assert performance["success_rate"] == 1.0

    of_type = await ask(system, "/metrics/agents/CAD", position)
    assert (of_type["agent_type"], of_type["instances"]) == ("CAD", 1)
    assert of_type["metrics"]["total_tasks"] == of_type["metrics"]["completed_tasks"] == 2
    assert of_type["metrics"]["avg_utilization"] == 1.0
    unknown = await system.http.get("/api/v1/metrics/agents/TEA")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-agent-type")


async def test_plans_are_analysed_by_period_and_domain(system: System) -> None:
    none = (await ask(system, "/analytics/plans", 0))["analytics"]
    assert (none["total_plans"], none["avg_complexity"], none["domains"]) == (0, None, {})
    await a_plan(system)
    await a_plan(system)
    asked = {"goal": GOAL | {"domain": "aerospace"}, "options": {"gather": {}}}
    made = await system.http.post(
        "/api/v1/plans/create", params={"wait": 0}, json={"goal": asked["goal"]}
    )
    position = int(made.headers["taskloom-position"])

    every = (await ask(system, "/analytics/plans", position))["analytics"]
    assert every["domains"] == {"automotive": 2, "aerospace": 1}
    assert every["total_plans"] == 3
    # Three tasks, two arrows; a plan without a graph does not count for the averages.
    assert every["avg_complexity"] == 4.0
    assert (every["avg_makespan"], every["avg_makespan_seconds"]) == ("10 hours", 36_000)

    async def total(**params: str) -> int:
        answer = await ask(system, "/analytics/plans", position, **params)
        return int(answer["analytics"]["total_plans"])

    assert await total(domain="automotive") == 2
    assert await total(start_date="2026-01-01", domain="aerospace") == 1
    assert await total(end_date="2020-01-01") == 0
    assert await total(start_date="2999-01-01T00:00:00Z") == 0
    until = await ask(
        system, "/analytics/plans", position, start_date="2020-01-01", end_date="2020-01-31"
    )
    assert until["period"] == {"start": "2020-01-01T00:00:00Z", "end": "2020-01-31T23:59:59Z"}
    early = await ask(system, "/analytics/plans", position, start_date="0983-01-04")
    assert early["period"]["start"] == "0983-01-04T00:00:00Z"  # a year has four digits
    for no_date in ("soon", "0.5", "1764288000", "-1"):  # no seconds since 1970 either
        wrong = await system.http.get("/api/v1/analytics/plans", params={"end_date": no_date})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid"), no_date


async def test_benchmarks_are_recorded_executions_by_complexity(system: System) -> None:
    assert await ask(system, "/analytics/benchmarks", 0) == {"benchmarks": []}
    run_id, _ = await started(system, await a_plan(system))
    for task_id in ("task_001", "task_002"):
        await work(system, run_id, task_id, CAD)
    position = await work(system, run_id, "task_003", CAD)
    tasks = [{"id": f"t{number:03}", "name": "Draw", "agent": "CAD"} for number in range(60)]
    made = await system.http.post(
        "/api/v1/plans/create", json={"goal": GOAL, "task_graph": {"tasks": tasks}}
    )
    run_id, _ = await started(system, made.json()["plan_id"])
    first = {"run_id": run_id, "task_id": "t000", "epoch": 1, "agent_id": CAD}
    await system.say(TaskStarted(**first))
    await system.http.post(f"/api/v1/executions/{run_id}/cancel")
    cancelled = await ask(system, "/analytics/benchmarks", position)
    assert [(one["scenario"], one["runs"]) for one in cancelled["benchmarks"]] == [("simple", 1)]

    [simple] = cancelled["benchmarks"]
    assert simple["success_rate"] == 1.0
    assert simple["avg_execution_time_seconds"] > 0
    assert (simple["avg_complexity"], simple["avg_tasks"]) == (4.0, 3.0)
