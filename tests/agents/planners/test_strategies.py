"""Each strategy of the design documents is a rule, and the plan shows what it does.

D0-AGENT-03 to 06, 20, 23, 26, 29 and 32.
"""

import json
from typing import Any

import pytest

from agents.agent import CannotBeDone
from domain.goals import Constraints, Goal, Options
from domain.scheduling.critical_path import critical_path
from domain.tasks import Task
from tests.agents.carrying import PLANNERS, planned, tasks_of, work

BRAKE = Goal(
    title="Design and validate automotive component",
    description="Create a new brake caliper design with simulation validation",
    domain="automotive",
    constraints=Constraints(
        timeline="30 days", budget=100_000, compliance=("ISO 26262", "IATF 16949")
    ),
    priority="high",
)


def but(*, priority: Any = "high", **constraints: Any) -> Goal:
    changed = BRAKE.constraints.model_dump() | constraints
    return BRAKE.model_copy(
        update={"priority": priority, "constraints": Constraints.model_validate(changed)}
    )


async def tasks_for(goal: Goal, options: Options | None = None) -> dict[str, Task]:
    return {task.name: task for task in tasks_of(await planned(goal, options))}


def before(tasks: dict[str, Task], name: str) -> set[str]:
    """Return the names of all tasks that end before one starts."""
    by_id = {task.id: task for task in tasks.values()}
    names: set[str] = set()
    front = [tasks[name]]
    while front:
        for need in front.pop().needs:
            if by_id[need].name not in names:
                names.add(by_id[need].name)
                front.append(by_id[need])
    return names


@pytest.mark.parametrize(
    "rule",
    [
        "META: compliance-first",
        "META: risk-based prioritisation",
        "META: regulatory constraint propagation",
        "CAD: iterative design",
        "CAD: design-for-X",
        "CAD: concurrent engineering",
        "SIM: test-driven",
        "SIM: progressive validation",
        "SIM: multi-fidelity",
        "COMP: make-vs-buy analysis",
        "COMP: component reuse optimisation",
        "COMP: compliance verification",
        "SUPP: just-in-time",
        "SUPP: multi-supplier",
        "SUPP: risk-based supplier selection",
    ],
)
async def test_every_strategy_is_the_origin_of_a_task(rule: str) -> None:
    assert any(task.origin.startswith(rule) for task in (await tasks_for(BRAKE)).values())


async def test_compliance_comes_first() -> None:
    tasks = await tasks_for(BRAKE)
    assert [task.name for task in tasks.values() if not task.needs] == [
        "Regulatory compliance check"
    ]


async def test_more_standards_mean_more_compliance_tasks() -> None:
    more = await tasks_for(but(compliance=("ISO 26262", "IATF 16949", "UN R13-H")))
    added = set(more) - set(await tasks_for(BRAKE))
    assert added == {"Checklist for UN R13-H", "Audit against UN R13-H"}


async def test_standards_bind_components_and_suppliers() -> None:
    bound, free = await tasks_for(BRAKE), await tasks_for(but(compliance=()))
    assert bound["Screen the suppliers"].params["certificates"] == ["IATF 16949"]
    assert "Verify the components" in bound
    assert free["Screen the suppliers"].params["certificates"] == []
    assert "Verify the components" not in free


async def test_risks_of_an_unimportant_goal_are_not_mitigated() -> None:
    mitigation = "Plan the mitigation of the worst risks first"
    assert mitigation in await tasks_for(BRAKE)
    assert mitigation not in await tasks_for(but(priority="low"))


@pytest.mark.parametrize(
    ("timeline", "revisions"), [("10 days", 1), ("30 days", 2), ("90 days", 3)]
)
async def test_the_time_there_is_decides_how_often_a_design_is_revised(
    timeline: str, revisions: int
) -> None:
    tasks = await tasks_for(but(timeline=timeline))
    designs = [task for task in tasks.values() if task.action.endswith("_housing")]
    assert len(designs) == revisions


async def test_concurrent_engineering_drafts_before_the_material_is_chosen() -> None:
    patient = await tasks_for(BRAKE, Options(parallelization="balanced"))
    eager = await tasks_for(BRAKE, Options(parallelization="aggressive"))
    assert "Choose the material" in before(patient, "Initial CAD design")
    assert "Choose the material" not in before(eager, "Initial CAD design")


async def test_a_conservative_plan_takes_longer_and_an_aggressive_one_is_shorter() -> None:
    spans = [
        critical_path(tasks_of(await planned(BRAKE, Options(parallelization=choice)))).makespan
        for choice in ("conservative", "balanced", "aggressive")
    ]
    assert spans[0] > spans[1] >= spans[2]


async def test_no_simulation_runs_before_its_acceptance_tests() -> None:
    tasks = await tasks_for(BRAKE)
    for name, task in tasks.items():
        if task.agent == "SIM" and task.action != "define_acceptance":
            assert "Define the acceptance tests" in before(tasks, name)


async def test_cheap_models_run_before_fine_ones() -> None:
    tasks = await tasks_for(BRAKE)
    fine = before(tasks, "Analyse the stresses of the final design")
    assert "Screen the stresses of the first draft" in fine
    assert "Simulate the rotor's temperature in layers" in before(
        tasks, "Compare the cheap model with the fine one"
    )


async def test_a_small_budget_leaves_out_the_dear_simulations() -> None:
    left_out = set(await tasks_for(BRAKE)) - set(await tasks_for(but(budget=10_000)))
    assert left_out == {
        "Estimate the fatigue life",
        "Simulate repeated stops",
        "Study the convergence of the grid",
    }


async def test_reuse_is_searched_before_anything_is_made_or_bought() -> None:
    tasks = await tasks_for(BRAKE)
    assert "Search for parts to carry over" in before(tasks, "Decide what to make and what to buy")


async def test_orders_are_placed_for_the_day_the_parts_are_needed() -> None:
    assert (await tasks_for(BRAKE))["Schedule the orders"].params["need_day"] == 18
    assert (await tasks_for(but(timeline="60 days")))["Schedule the orders"].params[
        "need_day"
    ] == 36


async def test_critical_parts_get_two_sources_unless_money_is_short() -> None:
    assert (await tasks_for(BRAKE))["Choose the suppliers"].params["sources"] == 2
    assert (await tasks_for(but(budget=10_000)))["Choose the suppliers"].params["sources"] == 1


async def test_an_important_goal_takes_fewer_risks_with_suppliers() -> None:
    usual = await tasks_for(but(priority="normal"))
    assert (await tasks_for(BRAKE))["Screen the suppliers"].params["max_risk"] == 0.3
    assert usual["Screen the suppliers"].params["max_risk"] == 0.5


@pytest.mark.parametrize(
    ("title", "domains"),
    [
        ("Design a brake caliper", ["META", "CAD", "SIM", "COMP", "SUPP"]),
        ("Build a web application", ["META", "CAD", "COMP"]),
        ("Build and test a web application", ["META", "CAD", "SIM", "COMP"]),
        ("Compare theories of memory", ["META", "CAD", "SIM"]),
        ("Order flowers", ["META", "COMP", "SUPP"]),
        ("Think", ["META"]),
    ],
)
async def test_the_words_of_a_goal_say_which_domains_it_concerns(
    title: str, domains: list[str]
) -> None:
    decompose = PLANNERS["META_PLANNER"].carries("decompose")
    found: Any = await decompose(work("decompose", {"goal": {"title": title}}))
    assert [sub_goal["domain"] for sub_goal in found["sub_goals"]] == domains
    assert len(found["reasons"]) == len(domains)


async def test_a_plan_that_takes_too_long_or_costs_too_much_says_so() -> None:
    summary: Any = (await planned(but(timeline="3 days", budget=500)))["summary"]
    assert any("there are 3" in warning for warning in summary["warnings"])
    assert any("the budget is 500" in warning for warning in summary["warnings"])
    summary = (await planned(but(timeline="when it is done")))["summary"]
    assert summary["warnings"] == ["nobody understands the timeline 'when it is done'"]


async def test_a_conflict_with_the_goal_names_the_task_and_the_constraint() -> None:
    found: Any = await planned(but(timeline="3 days", budget=500, priority="critical"))
    sides = {
        (each["kind"], each["subject"], *(side["domain"] for side in each["origins"]))
        for each in found["conflicts"]
    }
    assert ("constraint", "timeline", "SIM", "GOAL") in sides
    assert ("constraint", "budget", "SIM", "GOAL") in sides
    assert ("resource", "SIM", "SIM", "GOAL") in sides
    assert ("constraint", "sources of a critical part", "META", "SUPP") in sides
    ids = {task.id for task in tasks_of(found)}
    assert {each["origins"][0]["task_id"] for each in found["conflicts"]} <= ids
    assert (await planned(BRAKE))["conflicts"] == []


async def test_domains_that_are_not_known_here_are_no_obstacle() -> None:
    asked: Any = {"goal": {"title": "Design a brake caliper"}, "domains": ["CAD", "LEGAL"]}
    found: Any = await PLANNERS["CAD"].carries("plan")(work("plan", asked))
    assert not any("bom-draft" in task["needs"] for task in found["tasks"])


async def test_a_planner_can_be_asked_directly_with_a_title_alone() -> None:
    # D0: POST /agents/{agent_id}/invoke sends {"goal": "Design brake caliper", "constraints": {…}}
    asked: Any = {"goal": "Design brake caliper", "constraints": {"timeline": "90 days"}}
    found: Any = await PLANNERS["CAD"].carries("plan")(work("plan", asked))
    assert found["domain"] == "CAD"
    assert "lighten_housing" in {task["action"] for task in found["tasks"]}
    json.dumps(found)


@pytest.mark.parametrize("params", [{}, {"goal": 7}, {"goal": {"title": ""}}])
async def test_a_planner_refuses_what_is_no_goal(params: Any) -> None:
    for agent in PLANNERS.values():
        action = "decompose" if agent.type == "META_PLANNER" else "plan"
        with pytest.raises(CannotBeDone, match="the planning request cannot be used"):
            await agent.carries(action)(work(action, params))
