"""Stage 2: plans are carried out, watched and steered."""

from typing import Any

import pytest

from domain.run_events import TaskCompleted, TaskFailed, TaskStarted
from tests.api.conftest import System
from tests.api.contract.shapes import (
    DURATION,
    MOMENT,
    RATE,
    WEBSOCKET,
    counted,
    each,
    fits,
    maybe,
    named,
    number,
    one_of,
    ratio,
)
from tests.api.test_executions import a_plan, attempt, shown, started

STATUS = one_of("running", "paused", "completed", "failed", "cancelled")


async def command(system: System, run_id: str, what: str) -> Any:
    answer = await system.http.post(f"/api/v1/executions/{run_id}/{what}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def done(system: System, run_id: str, task_id: str) -> int:
    await system.say(TaskStarted(**attempt(run_id, task_id)))
    said = TaskCompleted(**attempt(run_id, task_id), result={"mass_kg": 0.78})
    return (await system.say(said)).position


@pytest.mark.proves("D0-API-07", "D0-API-07a", "D0-API-07b")
async def test_an_execution_starts_as_it_was_asked_for(system: System) -> None:
    plan_id = await a_plan(system)
    asked = {
        "plan_id": plan_id,
        "execution_mode": "parallel",
        "options": {
            "dry_run": False,
            "checkpoint_interval": "1 hour",
            "failure_strategy": "replan",
        },
    }
    answer = await system.http.post("/api/v1/executions/start", json=asked)
    assert answer.status_code == 201, answer.text
    fits(
        answer.json(),
        {
            "execution_id": named("exec"),
            "plan_id": named("plan"),
            "status": one_of("running"),
            "started_at": MOMENT,
            "websocket_url": WEBSOCKET,
        },
    )
    run_id = answer.json()["execution_id"]
    assert answer.json()["websocket_url"] == f"ws://taskloom/ws/executions/{run_id}"
    assert answer.headers["location"] == f"/api/v1/executions/{run_id}"


@pytest.mark.proves("D0-API-07a")
@pytest.mark.parametrize(
    "wrong",
    [
        {"plan_id": None},
        {"execution_mode": "at once"},
        {"options": {"dry_run": "perhaps"}},
        {"options": {"checkpoint_interval": "often"}},
        {"options": {"failure_strategy": "cry"}},
    ],
)
async def test_a_start_with_a_wrong_field_is_refused(system: System, wrong: dict[str, Any]) -> None:
    answer = await system.http.post("/api/v1/executions/start", json={"plan_id": "plan_1"} | wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


@pytest.mark.proves("D0-API-07", "D0-API-07a")
async def test_a_dry_run_starts_nothing(system: System) -> None:
    asked = {"plan_id": await a_plan(system), "options": {"dry_run": True}}
    answer = await system.http.post("/api/v1/executions/start", json=asked)
    assert (answer.status_code, answer.json()["status"]) == (200, "dry_run")
    assert answer.json()["websocket_url"] is None
    unknown = await system.http.post("/api/v1/executions/start", json={"plan_id": "plan_nobody"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-plan")


@pytest.mark.proves("D0-API-08", "D0-API-08a")
async def test_an_execution_shows_how_far_it_is(system: System) -> None:
    run_id, _ = await started(system, await a_plan(system))
    await done(system, run_id, "task_001")
    position = (await system.say(TaskStarted(**attempt(run_id, "task_002")))).position
    answer = await shown(system, run_id, position)
    fits(
        answer,
        {
            "execution_id": named("exec"),
            "plan_id": named("plan"),
            "status": STATUS,
            "started_at": MOMENT,
            "progress": {
                "completed_tasks": counted,
                "total_tasks": counted,
                "percentage": number,
                "current_tasks": [
                    {
                        "task_id": str,
                        "agent": str,
                        "status": one_of("running"),
                        "progress": maybe(ratio),
                    }
                ],
            },
            "metrics": {
                "elapsed_time": DURATION,
                "elapsed_time_seconds": number,
                "estimated_remaining": DURATION,
                "estimated_remaining_seconds": number,
                "throughput": RATE,
            },
        },
    )
    assert len(answer["progress"]["current_tasks"]) == 1
    assert answer["progress"]["percentage"] == 33.3
    unknown = await system.http.get("/api/v1/executions/exec_nobody")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-run")


@pytest.mark.proves("D0-API-09", "D0-API-09a", "D0-API-10", "D0-API-10a", "D0-API-11", "D0-API-11a")
async def test_an_execution_is_paused_resumed_and_cancelled_without_a_body(system: System) -> None:
    run_id, _ = await started(system, await a_plan(system))
    await done(system, run_id, "task_001")
    paused = await command(system, run_id, "pause")
    fits(
        paused,
        {
            "execution_id": named("exec"),
            "status": one_of("paused"),
            "paused_at": MOMENT,
            "checkpoint_id": named("checkpoint"),
        },
    )
    resumed = await command(system, run_id, "resume")
    fits(
        resumed,
        {
            "execution_id": named("exec"),
            "status": one_of("running"),
            "resumed_at": MOMENT,
            "resumed_from": named("checkpoint"),
        },
    )
    assert resumed["resumed_from"] == paused["checkpoint_id"]
    cancelled = await command(system, run_id, "cancel")
    fits(
        cancelled,
        {
            "execution_id": named("exec"),
            "status": one_of("cancelled"),
            "cancelled_at": MOMENT,
            "completed_tasks": counted,
            "rollback_available": bool,
        },
    )
    assert (cancelled["completed_tasks"], cancelled["rollback_available"]) == (1, True)


@pytest.mark.proves("D0-API-09", "D0-API-10", "D0-API-11")
async def test_nobody_steers_what_is_not_there_or_over(system: System) -> None:
    for what in ("pause", "resume", "cancel"):
        unknown = await system.http.post(f"/api/v1/executions/exec_nobody/{what}")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-run")
    run_id, _ = await started(system, await a_plan(system))
    for task_id in ("task_001", "task_002", "task_003"):
        await done(system, run_id, task_id)
    for what in ("pause", "resume"):
        over = await system.http.post(f"/api/v1/executions/{run_id}/{what}")
        assert (over.status_code, over.json()["code"]) == (409, "cannot-steer")
    over = await command(system, run_id, "cancel")
    assert (over["status"], over["cancelled_at"]) == ("completed", None)


@pytest.mark.proves("D0-API-12", "D0-API-12a", "D0-API-12b")
async def test_a_log_can_be_filtered_and_paged(system: System) -> None:
    run_id, _ = await started(system, await a_plan(system))
    await system.say(TaskStarted(**attempt(run_id, "task_001")))
    failed = TaskFailed(**attempt(run_id, "task_001"), reason="no licence")
    position = (await system.say(failed)).position

    async def log(**params: Any) -> Any:
        answer = await system.http.get(
            f"/api/v1/executions/{run_id}/logs", params={"min_position": position} | params
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    every = await log()
    fits(
        every,
        {
            "execution_id": named("exec"),
            "logs": [
                {
                    "timestamp": MOMENT,
                    "level": one_of("debug", "info", "warning", "error"),
                    "agent": maybe(str),
                    "task_id": maybe(str),
                    "message": str,
                    "metadata": dict,
                }
            ],
            "total": counted,
            "limit": counted,
            "offset": counted,
        },
    )
    assert (every["limit"], every["offset"]) == (100, 0)
    assert every["total"] == len(every["logs"]) > 3
    for level, least in (("debug", 5), ("info", 3), ("warning", 1), ("error", 0)):
        narrowed = await log(level=level)
        assert least <= narrowed["total"] <= every["total"]
        assert {"debug", "info", "warning", "error"} >= {one["level"] for one in narrowed["logs"]}
    assert {one["task_id"] for one in (await log(task="task_001"))["logs"]} == {"task_001"}
    assert {one["agent"] for one in (await log(agent="cad_agent_001"))["logs"]} == {"META"}
    page = await log(limit=2, offset=1)
    assert (page["limit"], page["offset"], page["total"]) == (2, 1, every["total"])
    assert page["logs"] == every["logs"][1:3]
    for wrong in ({"level": "loud"}, {"limit": 0}, {"offset": -1}, {"limit": "all"}):
        refused = await system.http.get(f"/api/v1/executions/{run_id}/logs", params=wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
    assert (await system.http.get("/api/v1/executions/exec_nobody/logs")).status_code == 404


@pytest.mark.proves("D0-API-13", "D0-API-13a")
async def test_an_execution_tells_how_it_went(system: System) -> None:
    run_id, _ = await started(system, await a_plan(system))
    for task_id in ("task_001", "task_002"):
        await done(system, run_id, task_id)
    position = await done(system, run_id, "task_003")
    answer = await system.http.get(
        f"/api/v1/executions/{run_id}/metrics", params={"min_position": position}
    )
    assert answer.status_code == 200, answer.text
    fits(
        answer.json(),
        {
            "execution_id": named("exec"),
            "metrics": {
                "performance": {
                    "total_time": DURATION,
                    "total_time_seconds": number,
                    "planning_time": DURATION,
                    "planning_time_seconds": number,
                    "execution_time": DURATION,
                    "execution_time_seconds": number,
                    "throughput": RATE,
                    "parallelization_achieved": ratio,
                },
                "resource_utilization": each({"avg": ratio, "peak": ratio}),
                "quality": {
                    "task_success_rate": ratio,
                    "replanning_count": counted,
                    "retry_count": counted,
                },
            },
        },
    )
    assert set(answer.json()["metrics"]["resource_utilization"]) == {"META", "CAD", "SUPP"}
    unknown = await system.http.get("/api/v1/executions/exec_nobody/metrics")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-run")
