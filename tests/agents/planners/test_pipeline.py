"""In a pipeline META → CAD → SIM → COMP → SUPP each planner makes use of the earlier plans.

D0-PAT-03.
"""

import json
from pathlib import Path

import pytest

from agents.agent import CannotBeDone
from domain.goals import Goal, Options
from domain.graph import check
from domain.tasks import Task
from tests.agents.carrying import PLANNERS, carried_out, planned, tasks_of, work
from tests.agents.planners.test_strategies import but

GOALS = Path(__file__).parents[3] / "agents" / "goals"
PIPELINE = Options(planning="pipeline")
AMPLE = but(timeline="90 days")


async def tasks_for(goal: Goal, options: Options | None = None) -> dict[str, Task]:
    return {task.name: task for task in tasks_of(await planned(goal, options))}


async def test_simulation_sees_every_iteration_that_design_plans() -> None:
    scattered, piped = await tasks_for(AMPLE), await tasks_for(AMPLE, PIPELINE)
    assert set(piped) - set(scattered) == {"Screen the stresses of iteration 2"}
    assert "Screen the stresses of iteration 2" not in await tasks_for(
        but(timeline="30 days"), PIPELINE
    )


async def test_design_is_released_after_the_checklists_that_regulation_plans() -> None:
    scattered, piped = await tasks_for(AMPLE), await tasks_for(AMPLE, PIPELINE)
    release = "Release the design"
    assert set(piped[release].inputs) - set(scattered[release].inputs) == {
        "checklist:iso-26262",
        "checklist:iatf-16949",
    }


async def test_components_see_the_material_and_suppliers_see_the_frozen_parts() -> None:
    scattered, piped = await tasks_for(AMPLE), await tasks_for(AMPLE, PIPELINE)
    bill, orders = "Cost the bill of materials", "Schedule the orders"
    assert set(piped[bill].inputs) - set(scattered[bill].inputs) == {"material"}
    assert set(piped[orders].inputs) - set(scattered[orders].inputs) == {"bom-frozen"}
    needed = piped[orders].params["need_day"]
    assert isinstance(needed, float)
    assert 0 < needed < scattered[orders].params["need_day"]  # type: ignore[operator]


@pytest.mark.parametrize("name", sorted(file.stem for file in GOALS.glob("*.json")))
async def test_a_piped_plan_can_be_carried_out(name: str) -> None:
    goal = Goal.model_validate(json.loads((GOALS / f"{name}.json").read_text())["goal"])
    synthesis = await planned(goal, PIPELINE)
    tasks = tasks_of(synthesis)
    check(tasks)
    summary = synthesis["summary"]
    assert isinstance(summary, dict)
    assert summary["missing"] == []
    results = await carried_out(tasks)
    (decision,) = [results[task.id] for task in tasks if task.action == "decide_release"]
    assert decision["decision"] == "release"


async def test_what_a_domain_did_not_answer_is_named_as_missing() -> None:
    synthesize = PLANNERS["META_PLANNER"].carries("synthesize")
    meta = await PLANNERS["META"].carries("plan")(work("plan", {"goal": "A thing"}))
    synthesis = await synthesize(work("synthesize", {"goal": "A thing"}, META=meta, SUPP={}))
    summary = synthesis["summary"]
    assert isinstance(summary, dict)
    assert "SUPP has not answered; nothing of it is planned" in summary["missing"]  # type: ignore[operator]


async def test_a_malformed_earlier_plan_is_refused() -> None:
    with pytest.raises(CannotBeDone, match="the plan of CAD cannot be used"):
        await PLANNERS["SIM"].carries("plan")(work("plan", {"goal": "A thing"}, CAD={"tasks": 7}))
