"""For each sample goal, what each strategy changes: the plan with its trigger and without.

Four strategies have no trigger, they always hold; there the plan is linked without what they
propose.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agents.planners.linking import link
from agents.planners.proposals import DomainPlan
from domain.goals import Goal, Options
from domain.tasks import Task
from tests.agents.carrying import PLANNERS, planned, tasks_of, work

GOALS = {
    file.stem: Goal.model_validate(json.loads(file.read_text())["goal"])
    for file in sorted((Path(__file__).parents[3] / "agents" / "goals").glob("*.json"))
}
HARDWARE = ("brake-caliper", "drone-arm", "travel-mug")
every_goal = pytest.mark.parametrize("name", sorted(GOALS))

Tasks = dict[str, Task]


def test_there_are_five_goals_of_different_domains() -> None:
    domains = {goal.domain for goal in GOALS.values()}
    assert domains == {"automotive", "aerospace", "consumer", "software", "research"}


async def tasks_for(goal: Goal, options: Options | None = None) -> Tasks:
    return {task.name: task for task in tasks_of(await planned(goal, options))}


def but(goal: Goal, *, priority: str | None = None, **constraints: Any) -> Goal:
    bounds = {"timeline": "30 days", "budget": 500_000.0} | goal.constraints.model_dump()
    changed: dict[str, Any] = {"constraints": bounds | constraints}
    if priority is not None:
        changed["priority"] = priority
    return Goal.model_validate(goal.model_dump() | changed)


@dataclass(frozen=True)
class Strategy:
    """A trigger that is there or not, and where its effect can be seen."""

    rule: str
    there: dict[str, Any]
    absent: dict[str, Any]
    seen: Callable[[Tasks], Any]


def named(*beginnings: str) -> Callable[[Tasks], set[str]]:
    return lambda tasks: {name for name in tasks if name.startswith(beginnings)}


def param(action: str, key: str) -> Callable[[Tasks], Any]:
    return lambda tasks: [t.params.get(key) for t in tasks.values() if t.action == action]


def of(agent: str, tasks: Tasks) -> list[Task]:
    return [task for task in tasks.values() if task.agent == agent]


def designs(tasks: Tasks) -> list[str]:
    beginnings = ("draft_", "refine_", "lighten_")
    return [
        t.action for t in tasks.values() if t.agent == "CAD" and t.action.startswith(beginnings)
    ]


def weights(tasks: Tasks) -> list[Any]:
    choices = ("select_material", "choose_concept")
    return [t.params["weights"] for t in tasks.values() if t.action in choices]


STRATEGIES = (
    Strategy(
        "META: compliance-first",
        {"compliance": ["SOC 2"]},
        {"compliance": []},
        named("Audit against"),
    ),
    Strategy(
        "META: risk-based prioritisation",
        {"priority": "high"},
        {"priority": "low"},
        named("Plan the mitigation"),
    ),
    Strategy(
        "META: regulatory constraint propagation",
        {"compliance": ["SOC 2"]},
        {"compliance": []},
        named("Checklist for"),
    ),
    Strategy("CAD: iterative design", {"timeline": "90 days"}, {"timeline": "9 days"}, designs),
    Strategy("CAD: design-for-X", {"budget": 9_000.0}, {}, weights),
    Strategy(
        "SIM: progressive validation",
        {"timeline": "40 days"},
        {"timeline": "9 days"},
        named("Screen the", "Screen deflection", "Screen response"),
    ),
    Strategy(
        "COMP: compliance verification",
        {"compliance": ["ISO 9001"]},
        {"compliance": []},
        named("Verify the components"),
    ),
    Strategy(
        "SUPP: just-in-time",
        {"timeline": "90 days"},
        {"timeline": "30 days"},
        param("schedule_orders", "need_day"),
    ),
    Strategy("SUPP: multi-supplier", {}, {"budget": 9_000.0}, param("choose_suppliers", "sources")),
    Strategy(
        "SUPP: risk-based supplier selection",
        {"priority": "critical"},
        {"priority": "normal"},
        param("screen_suppliers", "max_risk"),
    ),
)


@every_goal
@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.rule)
async def test_a_strategy_changes_what_it_says(name: str, strategy: Strategy) -> None:
    there = await tasks_for(but(GOALS[name], **strategy.there))
    absent = await tasks_for(but(GOALS[name], **strategy.absent))
    assert strategy.seen(there)
    assert strategy.seen(there) != strategy.seen(absent)
    assert any(task.origin.startswith(strategy.rule) for task in there.values())


@every_goal
async def test_concurrent_engineering_starts_before_a_choice_is_made(name: str) -> None:
    goal = but(GOALS[name], timeline="40 days")
    eager = await tasks_for(goal, Options(parallelization="aggressive"))
    patient = await tasks_for(goal, Options(parallelization="balanced"))
    (draft,) = [
        task for task in eager.values() if task.action.startswith("draft_") and task.agent == "CAD"
    ]
    assert draft.origin == "CAD: concurrent engineering"
    choice = "Choose the material" if name in HARDWARE else "Choose the concept"
    assert eager[choice].id not in draft.needs
    assert patient[choice].id in patient[draft.name].needs


@pytest.mark.parametrize("name", ["brake-caliper", "drone-arm", "travel-mug"])
async def test_a_grid_is_studied_only_where_there_is_money(name: str) -> None:
    rich, poor = (
        await tasks_for(but(GOALS[name])),
        await tasks_for(but(GOALS[name], budget=9_000.0)),
    )
    study = "Study the convergence of the grid"
    assert rich[study].origin == "SIM: multi-fidelity: three grids"
    assert study not in poor


async def proposals(goal: Goal) -> list[DomainPlan]:
    asked = {"goal": goal.model_dump(mode="json")}
    decomposed: Any = await PLANNERS["META_PLANNER"].carries("decompose")(work("decompose", asked))
    return [
        DomainPlan.model_validate(
            await PLANNERS[each["domain"]].carries("plan")(work("plan", asked | each["params"]))
        )
        for each in decomposed["sub_goals"]
    ]


def without(plans: list[DomainPlan], rule: str) -> list[DomainPlan]:
    return [
        plan.model_copy(
            update={
                "tasks": tuple(
                    t for t in plan.tasks if not f"{plan.domain}: {t.rule}".startswith(rule)
                )
            }
        )
        for plan in plans
    ]


@every_goal
@pytest.mark.parametrize(
    "rule",
    [
        "SIM: test-driven",
        "SIM: multi-fidelity",
        "COMP: make-vs-buy analysis",
        "COMP: component reuse optimisation",
    ],
)
async def test_without_a_strategy_that_always_holds_the_plan_lacks_it(name: str, rule: str) -> None:
    plans = await proposals(but(GOALS[name]))
    whole, less = link(plans), link(without(plans, rule))
    assert whole.missing == []
    assert 0 < len(less.tasks) < len(whole.tasks)
    own = {task.name for task in whole.tasks if task.origin.startswith(rule)}
    assert own == {task.name for task in whole.tasks} - {task.name for task in less.tasks}


@every_goal
async def test_no_simulation_runs_before_its_acceptance_tests(name: str) -> None:
    tasks = await tasks_for(but(GOALS[name]))
    by_id = {task.id: task for task in tasks.values()}
    acceptance = tasks["Define the acceptance tests"].id
    for task in tasks.values():
        if task.agent == "SIM" and task.id != acceptance:
            front, before = [task.id], set[str]()
            while front:
                for need in by_id[front.pop()].needs:
                    if need not in before:
                        before.add(need)
                        front.append(need)
            assert acceptance in before, task.name


async def test_the_five_plans_are_clearly_different() -> None:
    actions = {name: {t.action for t in (await tasks_for(GOALS[name])).values()} for name in GOALS}
    for name, own in actions.items():
        for other, others in actions.items():
            if name != other:
                assert len(own - others) >= 3, (name, other)
