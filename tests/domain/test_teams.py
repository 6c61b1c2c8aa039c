"""How a planning run grows by the planner's own words."""

import pytest

from domain.errors import BadGraph, Refused
from domain.goals import Goal, Options
from domain.graph import check
from domain.run_events import RunCompleted, RunExtended, RunFailed, TaskDispatched, TaskFailed
from domain.teams import (
    DECOMPOSE,
    SYNTHESIZE,
    TEAMS,
    MalformedResult,
    grow_planning,
    planning_tasks,
)
from domain.values import JsonObject
from tests.support.making import after, completed, requested, started
from tests.support.scenario import given

GOAL = Goal(title="Build a rover", context={"mass_kg": 12})
ROOT = planning_tasks(GOAL, Options())
PLANNING = requested(*ROOT, kind="planning")
SUB_GOALS: JsonObject = {
    "sub_goals": [
        {"domain": "SIM", "title": "Simulate it", "params": {"depth": 2}},
        {"domain": "CAD", "title": "Draw it"},
    ]
}


def test_planning_begins_with_one_task_that_knows_the_whole_goal() -> None:
    (root,) = ROOT
    assert (root.id, root.agent, root.role, root.action) == (
        DECOMPOSE,
        "META_PLANNER",
        "planning",
        "decompose",
    )
    assert root.params["goal"] == GOAL.model_dump(mode="json")
    assert root.params["options"] == Options().model_dump(mode="json")
    check(ROOT)


def test_a_long_title_still_names_a_task() -> None:
    (root,) = planning_tasks(Goal(title="x" * 200), Options())
    assert len(root.name) == 200


def test_each_sub_goal_becomes_a_task_of_its_domain_and_the_synthesis_gathers_them() -> None:
    new = {task.id: task for task in grow_planning(DECOMPOSE, SUB_GOALS, {DECOMPOSE: ROOT[0]})}
    assert list(new) == ["plan-sim", "plan-cad", SYNTHESIZE]
    assert new["plan-sim"].agent == "SIM"
    assert new["plan-sim"].depends_on == (DECOMPOSE,)
    assert new["plan-sim"].params == {"depth": 2} | ROOT[0].params
    assert new[SYNTHESIZE].inputs == {"SIM": "plan-sim", "CAD": "plan-cad"}
    check([*ROOT, *new.values()])


def test_in_a_pipeline_each_domain_is_given_the_plans_of_the_earlier_ones() -> None:
    (root,) = planning_tasks(GOAL, Options(planning="pipeline"))
    new = {task.id: task for task in grow_planning(DECOMPOSE, SUB_GOALS, {DECOMPOSE: root})}
    assert new["plan-sim"].inputs == {}
    assert new["plan-cad"].inputs == {"SIM": "plan-sim"}
    assert new[SYNTHESIZE].inputs == {"SIM": "plan-sim", "CAD": "plan-cad"}
    check([root, *new.values()])


def test_a_planning_run_scatters_gathers_and_answers_with_the_synthesis() -> None:
    scattered = after(PLANNING, completed(DECOMPOSE, result=SUB_GOALS))
    assert [event.type for event in scattered[2:]] == [
        "task.started",
        "task.completed",
        "run.extended",
        "task.dispatched",
        "task.dispatched",
    ]
    past = after(
        PLANNING,
        completed(DECOMPOSE, result=SUB_GOALS),
        completed("plan-cad", result={"n": 1}),
        started("plan-sim"),
    )
    gathered = given(*past).when(completed("plan-sim", result={"n": 2}))
    (_, synthesis) = gathered.events
    assert isinstance(synthesis, TaskDispatched)
    assert synthesis.inputs == {"CAD": {"n": 1}, "SIM": {"n": 2}}
    past = after(
        PLANNING,
        completed(DECOMPOSE, result=SUB_GOALS),
        completed("plan-cad"),
        completed("plan-sim"),
        started(SYNTHESIZE),
    )
    (_, end) = given(*past).when(completed(SYNTHESIZE, result={"tasks": []})).events
    assert isinstance(end, RunCompleted)
    assert end.result == {"tasks": []}


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"sub_goals": None},
        {"sub_goals": []},
        {"sub_goals": "CAD"},
        {"sub_goals": [{"domain": "cad", "title": "Draw it"}]},
        {"sub_goals": [{"domain": "CAD"}]},
        {"sub_goals": [{"domain": "CAD", "title": "Draw it", "wish": 1}]},
        {"sub_goals": [{"domain": "CAD", "title": ""}]},
        {"sub_goals": [{"domain": "CAD", "title": "a"}, {"domain": "CAD", "title": "b"}]},
    ],
    ids=str,
)
def test_a_malformed_decomposition_fails_the_task_for_good(result: JsonObject) -> None:
    past = after(PLANNING, started(DECOMPOSE))
    (failure, end) = given(*past).when(completed(DECOMPOSE, result=result)).events
    assert isinstance(failure, TaskFailed)
    assert failure.error_class == "validation"
    assert failure.reason.startswith("the result of decompose cannot be used: the decomposition")
    assert isinstance(end, RunFailed)


def test_a_decomposition_into_too_many_domains_fails_the_task_for_good() -> None:
    result: JsonObject = {
        "sub_goals": [{"domain": f"D{n}", "title": "Do it"} for n in range(10_000)]
    }
    past = after(PLANNING, started(DECOMPOSE))
    given(*past).when(completed(DECOMPOSE, result=result)).then_types("task.failed", "run.failed")


def test_only_the_decomposition_makes_a_planning_run_grow() -> None:
    assert grow_planning("plan-cad", {"sub_goals": []}, {}) == ()
    past = after(PLANNING, completed(DECOMPOSE, result=SUB_GOALS), started("plan-cad"))
    events = given(*past).when(completed("plan-cad", result=SUB_GOALS)).events
    assert [event for event in events if isinstance(event, RunExtended)] == []


def test_an_execution_does_not_grow() -> None:
    assert not TEAMS["execution"].grows
    assert TEAMS["planning"].grows


def test_what_is_wrong_with_a_decomposition_is_a_refusal_of_its_own() -> None:
    assert issubclass(MalformedResult, Refused)
    assert not issubclass(MalformedResult, BadGraph)
