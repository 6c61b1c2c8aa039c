"""The API says why a task is not done."""

from typing import Any

import httpx2

from domain.agent import AgentRegistered
from domain.run_events import TaskCompleted, TaskStarted
from domain.steering import RunPauseRequested
from tests.api.conftest import System
from tests.api.test_executions import a_plan, attempt, started


async def asked(system: System, path: str, position: int) -> Any:
    async with system.pool.connection() as connection:  # as if there were a relay
        await connection.execute(
            "insert into positions values ('relay', %s) on conflict (follower) do update"
            " set position = excluded.position",
            [position],
        )
    answer = await system.http.get(f"/api/v1/executions/{path}", params={"min_position": position})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_chain_of_causes_ends_at_the_one_that_can_be_unblocked(system: System) -> None:
    run_id, position = await started(system, await a_plan(system))
    why = await asked(system, f"{run_id}/tasks/task_002/why", position)
    assert (why["status"], why["execution_status"]) == ("pending", "running")
    assert [(step["task_id"], step["cause"]) for step in why["chain"]] == [
        ("task_002", "waits_for"),
        ("task_001", "no_agents"),
    ]
    assert why["root"]["unblock"] == ["taskloom agent agents.workers.meta"]
    assert why["root"]["details"]["agent_type"] == "META"
    assert "no execution agent of type META" in why["root"]["says"]

    whole = await asked(system, f"{run_id}/why", position)
    assert [step["task_id"] for step in whole["causes"]] == ["task_001"]
    assert whole["total"] == 1


async def test_a_task_that_is_done_has_no_cause(system: System) -> None:
    hello = AgentRegistered(agent_id="cad_agent_001", agent_type="META", instance="one")
    await system.say(hello)
    run_id, _ = await started(system, await a_plan(system))
    await system.say(TaskStarted(**attempt(run_id, "task_001")))
    position = (await system.say(TaskCompleted(**attempt(run_id, "task_001")))).position
    why = await asked(system, f"{run_id}/tasks/task_001/why", position)
    assert (why["chain"], why["root"]) == ([], None)


async def test_a_paused_run_says_how_to_resume_it(system: System) -> None:
    run_id, _ = await started(system, await a_plan(system))
    await system.say(RunPauseRequested(run_id=run_id, reason="lunch"))
    position = (await system.say(TaskCompleted(**attempt(run_id, "task_001")))).position
    why = await asked(system, f"{run_id}/tasks/task_003/why", position)
    assert why["root"]["cause"] == "paused"
    assert why["root"]["unblock"] == [f"taskloom execution resume {run_id}"]


async def test_what_is_not_there_has_no_cause(system: System) -> None:
    run_id, position = await started(system, await a_plan(system))
    for path, code in (
        (f"{run_id}/tasks/task_999/why", "unknown-task"),
        ("exec_nobody/tasks/task_001/why", "unknown-run"),
        ("exec_nobody/why", "unknown-run"),
    ):
        answer: httpx2.Response = await system.http.get(
            f"/api/v1/executions/{path}", params={"min_position": position}
        )
        assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_a_long_chain_is_told_by_its_two_ends(system: System) -> None:
    tasks = [
        {"id": f"t{n}", "name": "one", "agent": "NOOP", "depends_on": [f"t{n - 1}"] if n else []}
        for n in range(60)
    ]
    graph = {"goal": {"title": "a chain"}, "task_graph": {"tasks": tasks}}
    created = (await system.http.post("/api/v1/plans/create", json=graph)).json()
    run_id, position = await started(system, str(created["plan_id"]))
    why = await asked(system, f"{run_id}/tasks/t59/why", position)
    assert (why["chain"][0]["task_id"], why["root"]["task_id"]) == ("t59", "t0")
    assert (len(why["chain"]), why["left_out"]) == (40, 20)
