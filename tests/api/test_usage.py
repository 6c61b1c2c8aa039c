"""What language models have cost a plan can be asked."""

import pytest

from domain.run_events import TaskCompleted, TaskFailed, TaskStarted
from domain.usage import ModelCall
from infra.cli.usage import show
from tests.api.conftest import System

CALL = ModelCall(
    provider="openai", model="m", outcome="answered", input_tokens=60, output_tokens=40, cost=0.25
)
DOWN = ModelCall(provider="openai", model="m", outcome="failed", doubt_tokens=90, reason="503")


async def test_a_plan_says_what_its_tasks_have_cost(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {
        "goal": {"title": "g"},
        "options": {"auto_execute": True, "model_budget": {"tokens": 5000}},
        "task_graph": {"tasks": [{"id": "a", "name": "A", "agent": "CAD"}]},
    }
    created = (await system.http.post("/api/v1/plans/create?wait=5", json=asked)).json()
    plan_id = created["plan_id"]
    run_id = f"exec_{plan_id.removeprefix('plan_')}-1"
    while (await system.http.get(f"/api/v1/executions/{run_id}")).status_code != 200:
        pass
    attempt = {"run_id": run_id, "task_id": "a", "agent_id": "ann"}
    await system.say(TaskStarted(**attempt, epoch=1))
    await system.say(TaskFailed(**attempt, epoch=1, reason="down", calls=(DOWN,)))
    await system.say(TaskStarted(**attempt, epoch=2))
    done = await system.say(TaskCompleted(**attempt, epoch=2, calls=(CALL, CALL)))
    path = f"/api/v1/plans/{plan_id}/usage?min_position={done.position}"
    usage = (await system.http.get(path)).json()
    assert usage["budget"] == {"tokens": 5000, "cost": None}
    assert usage["total"] == {
        "calls": 3,
        "malformed": 0,
        "failed": 1,
        "cached": 0,
        "input_tokens": 120,
        "output_tokens": 80,
        "cost": 0.5,
        "unpriced": 1,
        "doubt_tokens": 90,
        "doubt_cost": 0.0,
    }
    assert [each["task_id"] for each in usage["tasks"]] == ["a"]
    assert [(each["attempt"], each["reason"]) for each in usage["attempts"]] == [
        (1, "503"),
        (2, None),
    ]
    show(usage)
    printed = capsys.readouterr()
    assert "in all" in printed.out
    assert "at most 90 tokens" in printed.err


async def test_a_plan_that_asked_no_model_has_cost_nothing(system: System) -> None:
    asked = {
        "goal": {"title": "g"},
        "task_graph": {"tasks": [{"id": "a", "name": "A", "agent": "CAD"}]},
    }
    created = (await system.http.post("/api/v1/plans/create", json=asked)).json()
    path = f"/api/v1/plans/{created['plan_id']}/usage"
    usage = (await system.http.get(path)).json()
    assert (usage["attempts"], usage["total"]["calls"]) == ([], 0)
    assert (await system.http.get("/api/v1/plans/plan_none/usage")).status_code == 404
