"""Stage 5: how the system is, how it does, and what its plans were like."""

from typing import Any

import pytest

from tests.api.conftest import System
from tests.api.contract.shapes import (
    DURATION,
    MOMENT,
    RATE,
    counted,
    each,
    fits,
    maybe,
    one_of,
    ratio,
)
from tests.api.test_executions import a_plan, started
from tests.api.test_metrics import CAD, ask, register, work

CONDITION = one_of("healthy", "degraded", "unhealthy", "unknown")


async def a_finished_run(system: System) -> int:
    """Let the agents of one type complete an execution, and return the position of its end."""
    await register(system, CAD, "CAD")
    run_id, _ = await started(system, await a_plan(system))
    for task_id in ("task_001", "task_002"):
        await work(system, run_id, task_id, CAD)
    return await work(system, run_id, "task_003", CAD)


@pytest.mark.proves("D0-API-24", "D0-API-24a")
async def test_the_status_names_the_condition_of_every_part(system: System) -> None:
    fits(
        await ask(system, "/status", 0),
        {
            "status": CONDITION,
            "version": str,
            "uptime": DURATION,
            "components": {
                "api": CONDITION,
                "database": CONDITION,
                "message_bus": CONDITION,
                "agent_coordinator": CONDITION,
            },
            "active_agents": counted,
            "active_executions": counted,
        },
    )


@pytest.mark.proves("D0-API-25", "D0-API-25a")
async def test_the_metrics_count_plans_agents_and_time(system: System) -> None:
    position = await a_finished_run(system)
    fits(
        await ask(system, "/metrics", position),
        {
            "timestamp": MOMENT,
            "system": {
                "total_plans": counted,
                "active_executions": counted,
                "completed_executions": counted,
                "failed_executions": counted,
                "success_rate": ratio,
            },
            "agents": {
                "total_registered": counted,
                "active": counted,
                "avg_utilization": maybe(ratio),
            },
            "performance": {
                "avg_planning_time": maybe(DURATION),
                "avg_execution_time": DURATION,
                "throughput": RATE,
            },
        },
    )


@pytest.mark.proves("D0-API-26", "D0-API-26a")
async def test_the_metrics_of_a_type_count_what_its_agents_did(system: System) -> None:
    position = await a_finished_run(system)
    answer = await ask(system, "/metrics/agents/CAD", position)
    fits(
        answer,
        {
            "agent_type": str,
            "instances": counted,
            "metrics": {
                "total_tasks": counted,
                "completed_tasks": counted,
                "failed_tasks": counted,
                "success_rate": ratio,
                "avg_task_duration": DURATION,
                "avg_utilization": maybe(ratio),
            },
        },
    )
    assert answer["metrics"]["completed_tasks"] == 3
    unknown = await system.http.get("/api/v1/metrics/agents/TEA")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-agent-type")


@pytest.mark.proves("D0-API-27", "D0-API-27a", "D0-API-27b")
async def test_plans_are_analysed_by_period_and_domain(system: System) -> None:
    await a_plan(system)
    period: dict[str, Any] = {"start_date": "2020-01-01", "end_date": "2999-12-31"}
    answer = await ask(system, "/analytics/plans", 1, domain="automotive", **period)
    fits(
        answer,
        {
            "period": {"start": MOMENT, "end": MOMENT},
            "analytics": {
                "total_plans": counted,
                "avg_complexity": float,
                "avg_makespan": DURATION,
                "parallelization_ratio": ratio,
                "domains": each(counted),
            },
        },
    )
    assert answer["period"] == {"start": "2020-01-01T00:00:00Z", "end": "2999-12-31T23:59:59Z"}
    assert answer["analytics"]["domains"] == {"automotive": 1}
    elsewhere = await ask(system, "/analytics/plans", 1, domain="aerospace", **period)
    assert elsewhere["analytics"]["total_plans"] == 0
    for wrong in ({"start_date": "soon"}, {"end_date": "2026-13-01"}, {"domain": ""}):
        refused = await system.http.get("/api/v1/analytics/plans", params=wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid")


@pytest.mark.proves("D0-API-28", "D0-API-28a")
async def test_benchmarks_are_made_of_recorded_executions(system: System) -> None:
    position = await a_finished_run(system)
    answer = await ask(system, "/analytics/benchmarks", position)
    fits(
        answer,
        {
            "benchmarks": [
                {
                    "scenario": one_of("simple", "moderate", "complex"),
                    "runs": counted,
                    "avg_planning_time": maybe(DURATION),
                    "avg_execution_time": DURATION,
                    "success_rate": ratio,
                }
            ]
        },
    )
    assert [one["runs"] for one in answer["benchmarks"]] == [1]
