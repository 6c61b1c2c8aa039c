"""An execution tells when it will end, and what has delayed it."""

from datetime import datetime, timedelta

import pytest

from domain.run_events import TaskCompleted, TaskFailed, TaskStarted
from tests.api.conftest import System
from tests.api.test_executions import a_plan, attempt, started


async def test_every_second_of_delay_is_charged_to_an_event(system: System) -> None:
    run_id, _ = await started(system, await a_plan(system))
    first = (await system.http.get(f"/api/v1/executions/{run_id}/forecast")).json()
    assert (first["delay_seconds"], first["charges"], first["is_over"]) == (0, [], False)
    planned = datetime.fromisoformat(first["planned_end"])
    for name in ("task_001", "task_002"):
        await system.say(TaskStarted(**attempt(run_id, name)))
        await system.say(TaskCompleted(**attempt(run_id, name)))
    await system.say(TaskStarted(**attempt(run_id, "task_003")))
    outcome = await system.say(
        TaskFailed(**attempt(run_id, "task_003"), error_class="critical", reason="sold out")
    )
    asked = {"min_position": outcome.position}
    last = (await system.http.get(f"/api/v1/executions/{run_id}/forecast", params=asked)).json()
    assert last["is_over"]
    assert last["end"] == last["p50_end"] == last["p90_end"]
    charged = sum(charge["delay_seconds"] for charge in last["charges"])
    assert charged == pytest.approx(last["delay_seconds"])
    assert charged == pytest.approx(sum(last["by_cause"].values()))
    # Ten hours were planned, and all of it was done at once.
    ended = datetime.fromisoformat(last["end"])
    late = timedelta(seconds=last["delay_seconds"])
    assert abs(ended - planned - late) <= timedelta(seconds=1)
    assert last["delay"] == "-10 hours"
    assert set(last["by_cause"]) >= {"duration", "failure"}
    assert [each["position"] for each in last["charges"]] == sorted(
        (each["position"] for each in last["charges"]), reverse=True
    )


async def test_what_was_recorded_says_how_long_tasks_will_take(system: System) -> None:
    run_id, _ = await started(system, await a_plan(system))
    await system.say(TaskStarted(**attempt(run_id, "task_001")))
    outcome = await system.say(TaskCompleted(**attempt(run_id, "task_001")))
    asked = {"min_position": outcome.position}
    seen = (await system.http.get(f"/api/v1/executions/{run_id}/forecast", params=asked)).json()
    assert seen["recorded_durations"] == 1
    assert seen["p50_end"] <= seen["p90_end"]


async def test_an_execution_that_cannot_keep_the_plans_schedule_has_its_own(
    system: System,
) -> None:
    asked = {"plan_id": await a_plan(system), "execution_mode": "sequential"}
    begun = (await system.http.post("/api/v1/executions/start", json=asked)).json()
    path = f"/api/v1/executions/{begun['execution_id']}/forecast"
    seen = (await system.http.get(path)).json()
    took = datetime.fromisoformat(seen["planned_end"]) - datetime.fromisoformat(begun["started_at"])
    assert abs(took - timedelta(hours=11)) <= timedelta(seconds=1)


async def test_an_unknown_execution_has_no_forecast(system: System) -> None:
    answer = await system.http.get("/api/v1/executions/exec_none/forecast")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-run")
