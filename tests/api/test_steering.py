"""People steer executions, and each command says what has become of them."""

import asyncio
from typing import Any

import httpx2
import pytest

from domain.run_events import RunStarted, TaskCompleted, TaskFailed, TaskStarted
from domain.steering import RunPaused
from tests.api.conftest import System
from tests.api.test_executions import a_plan, attempt, shown, started
from tests.api.test_plans import GOAL, GRAPH


async def command(
    system: System, run_id: str, what: str, *, expect: int = 200, key: str = "", **body: Any
) -> dict[str, Any]:
    answer = await system.http.post(
        f"/api/v1/executions/{run_id}/{what}",
        json=body or None,
        headers={"Idempotency-Key": key} if key else {},
    )
    assert answer.status_code == expect, answer.text
    if expect == 200:
        assert int(answer.headers["taskloom-position"]) > 0
    found: dict[str, Any] = answer.json()
    return found


async def finished(system: System, run_id: str, task_id: str, epoch: int = 1) -> int:
    body: dict[str, Any] = attempt(run_id, task_id) | {"epoch": epoch}
    await system.say(TaskStarted(**body))
    return (await system.say(TaskCompleted(**body))).position


async def broken(system: System, run_id: str, task_id: str) -> int:
    body = attempt(run_id, task_id)
    await system.say(TaskStarted(**body))
    failed = TaskFailed(**body, error_class="business", reason="no licence")
    return (await system.say(failed)).position


async def test_a_paused_execution_goes_on_from_its_checkpoint(system: System) -> None:
    run_id, _ = await started(system, await a_plan(system))
    paused = await command(system, run_id, "pause", reason="lunch")
    assert paused == {
        "execution_id": run_id,
        "status": "paused",
        "paused_at": paused["paused_at"],
        "checkpoint_id": "checkpoint_001",
    }
    again = await command(system, run_id, "pause")
    assert again == paused
    position = await finished(system, run_id, "task_001")
    now = await shown(system, run_id, position)
    assert (now["status"], now["paused_at"]) == ("paused", paused["paused_at"])
    assert now["metrics"]["estimated_remaining"] is None
    assert now["progress"]["tasks"]["dispatched"] == 0
    assert [each["checkpoint_id"] for each in now["checkpoints"]] == ["checkpoint_001"]

    resumed = await command(system, run_id, "resume")
    assert resumed == {
        "execution_id": run_id,
        "status": "running",
        "resumed_at": resumed["resumed_at"],
        "resumed_from": "checkpoint_001",
    }
    assert resumed["resumed_at"] is not None
    again = await command(system, run_id, "resume")
    assert (again["status"], again["resumed_at"], again["resumed_from"]) == ("running", None, None)
    assert (await shown(system, run_id, 0))["paused_at"] is None


async def test_a_cancelled_execution_can_be_rolled_back_and_goes_on(system: System) -> None:
    run_id, _ = await started(system, await a_plan(system))
    await finished(system, run_id, "task_001")
    cancelled = await command(system, run_id, "cancel", reason="enough")
    assert cancelled == {
        "execution_id": run_id,
        "status": "cancelled",
        "cancelled_at": cancelled["cancelled_at"],
        "completed_tasks": 1,
        "rollback_available": True,
    }
    assert await command(system, run_id, "cancel") == cancelled
    problem = await command(system, run_id, "resume", expect=409)
    assert problem["code"] == "cannot-steer"
    assert "roll it back" in problem["detail"]

    back = await command(system, run_id, "rollback", checkpoint_id="checkpoint_001")
    assert back == {
        "execution_id": run_id,
        "status": "paused",
        "rolled_back_at": back["rolled_back_at"],
        "checkpoint_id": "checkpoint_001",
        "completed_tasks": 1,
        "undone_tasks": 2,
    }
    again = await command(system, run_id, "rollback", checkpoint_id="checkpoint_001")
    assert (again["undone_tasks"], again["rolled_back_at"]) == (0, None)
    assert (await command(system, run_id, "resume"))["status"] == "running"
    position = 0
    for task_id in ("task_002", "task_003"):  # both had been dispatched before
        position = await finished(system, run_id, task_id, 2)
    assert (await shown(system, run_id, position))["status"] == "completed"


async def test_a_failed_execution_is_finished_by_retrying_and_skipping(system: System) -> None:
    run_id, _ = await started(system, await a_plan(system))
    position = await broken(system, run_id, "task_001")
    assert (await shown(system, run_id, position))["status"] == "failed"
    problem = await command(system, run_id, "tasks/task_002/retry", expect=409)
    assert "task_001" in problem["detail"]

    retried = await command(system, run_id, "tasks/task_001/retry", reason="licence bought")
    assert retried == {
        "execution_id": run_id,
        "status": "running",
        "task_id": "task_001",
        "task_status": "dispatched",
        "reopened_tasks": ["task_001", "task_002", "task_003"],
    }
    await finished(system, run_id, "task_001", 2)
    await finished(system, run_id, "task_003")
    position = await broken(system, run_id, "task_002")
    assert (await shown(system, run_id, position))["status"] == "failed"
    skipped = await command(system, run_id, "tasks/task_002/skip")
    assert (skipped["status"], skipped["task_status"]) == ("completed", "skipped")
    assert await command(system, run_id, "tasks/task_002/skip") == skipped
    done = await shown(system, run_id, 0)
    assert (done["status"], done["progress"]["tasks"]["skipped"]) == ("completed", 1)


async def test_a_command_that_is_sent_twice_with_its_key_is_recorded_once(system: System) -> None:
    run_id, _ = await started(system, await a_plan(system))
    first = await command(system, run_id, "pause", key="k-1")
    assert await command(system, run_id, "pause", key="k-1") == first
    recorded = await system.deps.log.read_all(after=0, limit=100)
    assert sum(isinstance(each.event, RunPaused) for each in recorded) == 1


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("pause", None),
        ("resume", None),
        ("cancel", None),
        ("rollback", {"checkpoint_id": "checkpoint_001"}),
        ("tasks/a/retry", None),
        ("tasks/a/skip", None),
    ],
)
async def test_what_does_not_exist_cannot_be_steered(
    system: System, what: str, body: dict[str, str] | None
) -> None:
    problem = await command(system, "exec_none-1", what, expect=404, **(body or {}))
    assert problem["code"] == "unknown-run"


async def test_a_checkpoint_or_task_that_does_not_exist_is_not_found(system: System) -> None:
    run_id, _ = await started(system, await a_plan(system))
    problem = await command(system, run_id, "rollback", expect=404, checkpoint_id="checkpoint_009")
    assert problem["code"] == "unknown-checkpoint"
    for verb in ("retry", "skip"):
        problem = await command(system, run_id, f"tasks/none/{verb}", expect=404)
        assert problem["code"] == "unknown-task"


async def test_a_rollback_says_to_where(front: httpx2.AsyncClient) -> None:
    answer = await front.post("/api/v1/executions/exec_1-1/rollback")
    assert answer.status_code == 422


async def with_options(system: System, **asked: Any) -> httpx2.Response:
    plan_id = await a_plan(system)
    return await system.http.post("/api/v1/executions/start", json={"plan_id": plan_id} | asked)


async def options_of(system: System, run_id: str) -> dict[str, Any]:
    """Return how a run is carried out, once it has been started."""
    async with asyncio.timeout(10):
        while True:
            for recorded in await system.deps.log.read_all(after=0, limit=100):
                if isinstance(recorded.event, RunStarted) and recorded.stream == run_id:
                    return recorded.event.options.model_dump(mode="json")
            await asyncio.sleep(0.02)


async def test_an_execution_is_carried_out_as_was_asked_for(system: System) -> None:
    answer = await with_options(
        system,
        execution_mode="sequential",
        options={
            "parallelization": "conservative",
            "failure_strategy": "fail_fast",
            "limits": {"CAD": 2},
            "checkpoint_interval": "1 hour",
        },
    )
    assert answer.status_code == 201, answer.text
    assert await options_of(system, answer.json()["execution_id"]) == {
        "execution_mode": "sequential",
        "parallelization": "conservative",
        "failure_strategy": "fail_fast",
        "limits": {"CAD": 2},
        "checkpoint_interval": "PT1H",
    }


async def test_what_is_not_said_of_an_execution_is_as_its_plan_has_it(system: System) -> None:
    answer = await with_options(system, options={"failure_strategy": "continue"})
    options = await options_of(system, answer.json()["execution_id"])
    assert (options["parallelization"], options["failure_strategy"]) == ("balanced", "retry")
    answer = await with_options(system)
    options = await options_of(system, answer.json()["execution_id"])
    assert options["failure_strategy"] == "retry"  # the plan came with its graph


@pytest.mark.parametrize(
    "options",
    [
        {"checkpoint_interval": "now and then"},
        {"checkpoint_interval": "0 seconds"},
        {"failure_strategy": "hope"},
        {"limits": {"CAD": 0}},
        {"limits": {"cad": 1}},
    ],
    ids=str,
)
async def test_options_that_make_no_sense_are_refused(
    front: httpx2.AsyncClient, options: dict[str, Any]
) -> None:
    answer = await front.post(
        "/api/v1/executions/start", json={"plan_id": "plan_1", "options": options}
    )
    assert answer.status_code == 422, answer.text


async def test_a_dry_run_shows_the_first_tasks_under_the_limits(system: System) -> None:
    graph = {"tasks": [{"id": name, "name": name, "agent": "CAD"} for name in ("a", "b", "c")]}
    created = await system.http.post(
        "/api/v1/plans/create", json={"goal": GOAL, "task_graph": graph}
    )
    asked = {"plan_id": created.json()["plan_id"], "options": {"dry_run": True}}
    everything = await system.http.post("/api/v1/executions/start", json=asked)
    assert everything.json()["dry_run"]["first_tasks"] == ["a", "b", "c"]
    asked["options"] = {"dry_run": True, "limits": {"CAD": 2}}
    limited = await system.http.post("/api/v1/executions/start", json=asked)
    assert limited.json()["dry_run"]["first_tasks"] == ["a", "b"]


async def test_a_plan_that_executes_itself_does_so_as_its_options_say(system: System) -> None:
    created = await system.http.post(
        "/api/v1/plans/create",
        json={
            "goal": GOAL,
            "task_graph": GRAPH,
            "options": {"auto_execute": True, "execution": {"failure_strategy": "best_effort"}},
        },
    )
    plan_id = created.json()["plan_id"]
    run_id = f"exec_{plan_id.removeprefix('plan_')}-1"
    assert (await options_of(system, run_id))["failure_strategy"] == "best_effort"


async def test_a_submitted_task_says_how_it_is_timed_and_tried_again(system: System) -> None:
    task = {
        "id": "pay",
        "name": "Pay",
        "agent": "BANK",
        "effect": "external",
        "fallback": "OTHER_BANK",
        "timeouts": {"start": 30, "run": "10 minutes"},
        "retry": {"attempts": 2, "on": ["transient", "business"], "unknown": "with_key"},
    }
    created = await system.http.post(
        "/api/v1/plans/create", json={"goal": GOAL, "task_graph": {"tasks": [task]}}
    )
    assert created.status_code == 201, created.text
    plan = (await system.http.get(f"/api/v1/plans/{created.json()['plan_id']}")).json()
    [node] = plan["task_graph"]["nodes"]
    assert node["timeouts"] == {"start": 30.0, "run": 600.0}
    assert (node["effect"], node["fallback"]) == ("external", "OTHER_BANK")
    assert node["retry"] == {
        "attempts": 2,
        "lost": 20,
        "on": ["transient", "business"],
        "unknown": "with_key",
    }
