"""Whatever goal it is: the graph is valid, every action exists, and the work can be done."""

import json
import re
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from agents.agent import CannotBeDone
from agents.planners.scope import scope_of
from domain.findings import Conflict
from domain.goals import Constraints, Goal, Options
from domain.graph import check
from domain.scheduling.critical_path import critical_path
from domain.values import JsonObject
from tests.agents.carrying import WORKERS, carried_out, planned, tasks_of, work

GOALS = Path(__file__).parents[3] / "agents" / "goals"
VARIED = (
    ("Design and validate automotive component", "A new brake caliper", "automotive"),
    ("Lighter rear calipers", "Half a kilogram less at the same braking", "motorsport"),
    ("Bracket for a satellite antenna", "Stiff, and it survives the launch", "aerospace"),
    ("Develop a drone arm", "Simulate and source it", "consumer"),
    ("Build a booking application", "Web and mobile, with a payment api", "software"),
    ("Move the data warehouse to the cloud", "Compare hosting vendors", "software"),
    ("Review the literature on sleep and memory", "Summarise what is agreed", "research"),
    ("Evaluate three suppliers of oat milk", "Procure the best", "food"),
    ("Organise a conference", "", "general"),
    ("Bring an insulated bottle to market", "Simulate and source it", "consumer"),
    ("A trial of two ways to teach fractions", "Simulate its power", "research"),
    ("?", "", "general"),
)
WORDS = st.sampled_from(
    re.findall(
        r"\w+",
        "design validate simulate brake caliper drone arm mug trial software platform data survey"
        " buy supplier component test compare train team report garden material tool",
    )
)
TIMELINES = st.sampled_from([None, "3 days", "2 weeks", "30 days", "6 months", "P90D", "soon"])
STANDARDS = st.lists(
    st.sampled_from(
        ["ISO 26262", "IATF 16949", "iso 9001", "GDPR", "AS9100", "House rule 7", "!", "ISO 9001"]
    ),
    max_size=5,
)


@st.composite
def goals(draw: st.DrawFn, *, spread: float | None = None) -> Goal:
    """Return goals of all kinds, with facts near the usual ones, or anywhere that is plausible."""
    texts = st.tuples(
        st.lists(WORDS, min_size=1, max_size=6).map(" ".join),
        st.lists(WORDS, max_size=12).map(" ".join),
        st.sampled_from(["automotive", "software", "research", "general"]),
    )
    title, description, domain = draw(st.one_of(st.sampled_from(VARIED), texts))
    facts: JsonObject = {"colour": "red"}
    wanted = {"title": title, "description": description, "domain": domain}
    for fact in scope_of(work("plan", {"goal": wanted})).kind.facts:
        if draw(st.booleans()):
            low, high = fact.low, fact.high
            if spread is not None:
                low = max(low, fact.default * (1 - spread))
                high = min(high, fact.default * (1 + spread))
            value = draw(st.floats(low, high))
            is_whole = fact.default == int(fact.default) and fact.low == int(fact.low)
            facts[fact.name] = round(value) if is_whole else value
    return Goal(
        title=title,
        description=description,
        domain=domain,
        constraints=Constraints(
            timeline=draw(TIMELINES),
            budget=draw(st.sampled_from([None, 0.0, 5_000.0, 100_000.0])),
            compliance=tuple(draw(STANDARDS)),
        ),
        priority=draw(st.sampled_from(["critical", "high", "normal", "low"])),
        context=facts,
    )


OPTIONS = st.sampled_from(["conservative", "balanced", "aggressive"]).map(
    lambda choice: Options(parallelization=choice)
)
slowly = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@slowly
@given(goal=goals(spread=0.1), options=OPTIONS)
async def test_any_goal_is_planned_and_its_work_can_be_done(goal: Goal, options: Options) -> None:
    synthesis = await planned(goal, options)
    tasks = tasks_of(synthesis)
    check(tasks)
    summary = synthesis["summary"]
    assert isinstance(summary, dict)
    assert summary["missing"] == []
    conflicts = [Conflict.model_validate(each) for each in cast(list[object], summary["conflicts"])]
    between = {(each.origins[0].domain, each.origins[1].domain) for each in conflicts}
    assert {pair for pair in between if "GOAL" not in pair} <= {("META", "SUPP")}
    assert all(task.action in WORKERS[task.agent].actions for task in tasks)
    results = await carried_out(tasks)
    for task in tasks:
        assert len(json.dumps(results[task.id])) < 8 * 1024
        assert len(str(results[task.id]["summary"])) < 500


@slowly
@given(goal=goals(), options=OPTIONS)
async def test_odd_facts_are_refused_with_a_reason_or_lead_to_finite_numbers(
    goal: Goal, options: Options
) -> None:
    tasks = tasks_of(await planned(goal, options))
    try:
        results = await carried_out(tasks)
    except CannotBeDone as error:
        results = {"refused": {"because": str(error)}}
        event(str(error)[:40])
    assert len(json.dumps(results, allow_nan=False)) > 40


@pytest.mark.parametrize(("title", "description", "domain"), VARIED)
async def test_varied_goals_end_with_a_decision(title: str, description: str, domain: str) -> None:
    goal = Goal(title=title, description=description, domain=domain)
    tasks = tasks_of(await planned(goal))
    results = await carried_out(tasks)
    (decision,) = [results[task.id] for task in tasks if task.action == "decide_release"]
    assert decision["decision"] in ("release", "release with conditions", "hold")


@pytest.mark.parametrize("name", sorted(file.stem for file in GOALS.glob("*.json")))
async def test_the_shipped_goals_reach_their_requirements(name: str) -> None:
    shipped = json.loads((GOALS / f"{name}.json").read_text())
    goal = Goal.model_validate(shipped["goal"])
    tasks = tasks_of(await planned(goal, Options.model_validate(shipped["options"])))
    results = await carried_out(tasks)
    (decision,) = [results[task.id] for task in tasks if task.action == "decide_release"]
    assert decision["decision"] == "release", decision


async def test_the_brake_caliper_becomes_forty_five_tasks_in_all_five_domains() -> None:
    shipped = json.loads((GOALS / "brake-caliper.json").read_text())
    synthesis = await planned(Goal.model_validate(shipped["goal"]))
    tasks = tasks_of(synthesis)
    assert len(tasks) == 45
    assert {task.agent for task in tasks} == {"META", "CAD", "SIM", "COMP", "SUPP"}
    assert tasks[0].name == "Regulatory compliance check"
    assert [task.id for task in tasks] == [f"task_{count:03}" for count in range(1, 46)]
    assert critical_path(tasks).makespan < 30 * 86_400
    assert sum(task.cost for task in tasks) < 100_000


async def test_the_same_goal_always_becomes_the_same_graph() -> None:
    goal = Goal(title="Design a brake caliper", description="and simulate it")
    assert await planned(goal) == await planned(goal)
