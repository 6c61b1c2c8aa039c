"""Another graph is asked for over HTTP, and everybody can see what became of the graph."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domain.goals import Goal
from domain.plan import GoalSubmitted
from domain.revisions import GraphRevised
from domain.run_events import TaskCompleted, TaskStarted
from domain.tasks import Task
from tests.api.conftest import System
from tests.api.test_executions import a_plan, attempt, started

GRAPH = (
    Task(id="cut", name="Cut", agent="MILL", duration=timedelta(hours=1), origin="CAD: by hand"),
    Task(id="weld", name="Weld", agent="MILL", depends_on=("cut",), duration=timedelta(hours=1)),
)
SLOWER = (
    GRAPH[0],
    GRAPH[1].model_copy(update={"agent": "LATHE", "duration": timedelta(hours=3)}),
    Task(id="test", name="Test", agent="LATHE", depends_on=("cut",), duration=timedelta(hours=1)),
)


async def ready(system: System, plan_id: str = "plan_r") -> str:
    goal = GoalSubmitted(plan_id=plan_id, goal=Goal(title="Cut and weld"), tasks=GRAPH)
    position = (await system.say(goal)).position
    assert (await shown(system, plan_id, min_position=position))["status"] == "ready"
    return plan_id


async def asked(
    system: System, plan_id: str, *, expect: int = 202, wait: float = 0, key: str = "", **body: Any
) -> dict[str, Any]:
    answer = await system.http.post(
        f"/api/v1/plans/{plan_id}/replan",
        params={"wait": wait},
        json=body or None,
        headers={"Idempotency-Key": key} if key else {},
    )
    assert answer.status_code == expect, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def shown(system: System, path: str, *, expect: int = 200, **params: Any) -> dict[str, Any]:
    answer = await system.http.get(f"/api/v1/plans/{path}", params=params)
    assert answer.status_code == expect, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def revised(system: System, plan_id: str, replan_id: str, *tasks: Task) -> int:
    report = GraphRevised(plan_id=plan_id, run_id=replan_id, tasks=tasks, notes=("by lathe",))
    return (await system.say(report)).position


async def test_who_waits_hears_what_another_graph_changes(system: System) -> None:
    plan_id = await ready(system)
    begun = await asked(system, plan_id, key="one", reason="no mill")
    assert (begun["status"], begun["changes"], begun["revision"]) == ("replanning", None, 1)
    assert begun["replan_id"] == "exec_r-replan-1"
    assert (await asked(system, plan_id, reason="no mill"))["replan_id"] == begun["replan_id"]

    waiting = asyncio.create_task(asked(system, plan_id, key="one", wait=20, reason="no mill"))
    await revised(system, plan_id, begun["replan_id"], *SLOWER)
    answer = await waiting
    assert (answer["status"], answer["revision"]) == ("updated", 2)
    assert answer["replan_id"] == begun["replan_id"]
    assert answer["changes"] == {"tasks_added": 1, "tasks_removed": 0, "tasks_modified": 1}
    impact = answer["estimated_impact"]
    assert (impact["delay"], impact["delay_seconds"]) == ("2 hours", 7_200)


async def test_a_wish_that_cannot_be_met_in_time_is_refused_with_the_numbers(
    system: System,
) -> None:
    plan_id = await ready(system)
    begun = await asked(system, plan_id, key="one", constraints={"max_delay": "1 hour"})
    waiting = asyncio.create_task(
        asked(system, plan_id, key="one", wait=20, constraints={"max_delay": "1 hour"})
    )
    await revised(system, plan_id, begun["replan_id"], *SLOWER)
    answer = await waiting
    assert (answer["status"], answer["revision"], answer["changes"]) == ("refused", 1, None)
    assert "2:00:00 longer; 1:00:00 are allowed" in answer["reason"]
    assert answer["estimated_impact"]["delay_seconds"] == 7_200


async def test_revisions_say_who_asked_for_what_and_why(system: System) -> None:
    plan_id = await ready(system)
    begun = await asked(system, plan_id, reason="no mill")
    position = await revised(system, plan_id, begun["replan_id"], *SLOWER)
    found = await shown(system, f"{plan_id}/revisions", min_position=position)
    kinds = [(each["kind"], each["revision"]) for each in found["revisions"]]
    assert kinds == [("planned", 1), ("asked", 1), ("updated", 2)]
    last = found["revisions"][-1]
    assert (last["added"], last["removed"], last["modified"]) == (["test"], [], ["weld"])
    assert (last["reason"], last["notes"]) == ("no mill", ["by lathe"])

    change = await shown(system, f"{plan_id}/diff")
    assert (change["before"], change["after"], change["added"]) == (1, 2, ["test"])
    [modified] = change["modified"]
    assert modified["task_id"] == "weld"
    assert modified["changes"]["agent"] == ["MILL", "LATHE"]
    assert modified["changes"].keys() == {"agent", "duration"}
    back = await shown(system, f"{plan_id}/diff", before=2, after=1)
    assert (back["added"], back["removed"]) == ([], ["test"])
    nothing = await shown(system, f"{plan_id}/diff", before=1, after=3, expect=404)
    assert nothing["code"] == "unknown-revision"

    blame = await shown(system, f"{plan_id}/tasks/weld/blame")
    history = [(each["revision"], each["what"], each["reason"]) for each in blame["history"]]
    assert history == [(1, "added", None), (2, "modified", "no mill")]
    assert (await shown(system, f"{plan_id}/tasks/cut/blame"))["origin"] == "CAD: by hand"
    await shown(system, f"{plan_id}/tasks/paint/blame", expect=404)


async def test_a_live_run_is_asked_once_however_often_the_same_wish_is_said(
    system: System,
) -> None:
    plan_id = await a_plan(system)
    run_id, _ = await started(system, plan_id)
    begun = await asked(system, plan_id, key="one", reason="too dear")
    again = await asked(system, plan_id, key="one", reason="too dear")
    assert begun["status"] == again["status"] == "replanning"
    assert begun["replan_id"] == again["replan_id"] is not None
    events = [each.type for each in await system.deps.streams.read(run_id)]
    assert events.count("replan.requested") == 1


async def test_a_live_run_goes_on_with_the_other_graph_and_is_forecast_by_it(
    system: System,
) -> None:
    plan_id = await a_plan(system)
    run_id, _ = await started(system, plan_id)
    begun = await asked(system, plan_id, key="one", reason="no test rig")
    plan, _ = await system.deps.streams.load(plan_id)
    rig = Task(id="rig", name="Build a rig", agent="CAD", depends_on=("task_001",))
    await revised(system, plan_id, begun["replan_id"], *plan.tasks, rig)
    answer = await asked(system, plan_id, key="one", wait=20, reason="no test rig")
    assert (answer["status"], answer["changes"]["tasks_added"]) == ("updated", 1)
    for _ in range(200):
        run, _ = await system.deps.streams.load(run_id)
        if run.revision == 2:
            break
        await asyncio.sleep(0.02)
    assert "rig" in run.tasks
    await system.say(TaskStarted(**attempt(run_id, "task_001")))
    await system.say(TaskCompleted(**attempt(run_id, "task_001")))
    outcome = await system.say(TaskStarted(**attempt(run_id, "rig")))
    forecast = await system.http.get(
        f"/api/v1/executions/{run_id}/forecast", params={"min_position": outcome.position}
    )
    assert forecast.status_code == 200, forecast.text


async def test_a_wish_that_was_answered_is_answered_again_and_not_granted_twice(
    system: System,
) -> None:
    plan_id = await ready(system)
    begun = await asked(system, plan_id, key="one", reason="no mill")
    await revised(system, plan_id, begun["replan_id"], *SLOWER)
    again = await asked(system, plan_id, key="one", reason="no mill", wait=20)
    assert (again["status"], again["revision"]) == ("updated", 2)
    events = [each.type for each in await system.deps.streams.read(plan_id)]
    assert events.count("plan.replanning") == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"constraints": {"preserve_completed": False}}, "stays completed"),
        ({"constraints": {"max_delay": "soon"}}, "is not a duration"),
        ({"constraints": {"max_delay": "-P1D"}}, "greater than or equal"),
    ],
)
async def test_what_nobody_can_grant_is_refused(
    system: System, body: dict[str, Any], words: str
) -> None:
    answer = await asked(system, await ready(system), expect=422, **body)
    assert words in str(answer)


async def test_a_plan_that_is_done_is_not_planned_anew(system: System) -> None:
    plan_id = await a_plan(system)
    run_id, _ = await started(system, plan_id)
    for task_id in ("task_001", "task_002", "task_003"):
        await system.say(TaskStarted(**attempt(run_id, task_id)))
        position = (await system.say(TaskCompleted(**attempt(run_id, task_id)))).position
    await shown(system, plan_id, min_position=position)
    for _ in range(100):
        if (await shown(system, plan_id))["status"] == "completed":
            break
        await asyncio.sleep(0.05)
    answer = await asked(system, plan_id, expect=409)
    assert answer["code"] == "plan-not-ready"
