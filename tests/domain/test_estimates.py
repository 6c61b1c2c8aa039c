"""What the log says of durations travels with the goal, and the synthesis alone is told."""

import pytest

from domain.estimates import MOST_EFFORTS, Effort, by_log
from domain.goals import Goal, Options
from domain.plan import GoalSubmitted, PlanCreated
from domain.policies import react
from domain.run_events import RunRequested
from domain.teams import DECOMPOSE, HISTORY, SYNTHESIZE, grow_planning
from domain.values import JsonObject
from tests.support.making import task
from tests.support.scenario import given

GOAL = Goal(title="A rover")
EFFORT = Effort(agent="CAD", action="draw", count=20, p50=8.0, p90=10.0)
SUBMITTED = GoalSubmitted(plan_id="plan_1", goal=GOAL, history=(EFFORT,))


def test_a_plan_remembers_what_its_planners_knew_of_the_past() -> None:
    (created,) = given().when(SUBMITTED).events
    assert isinstance(created, PlanCreated)
    assert created.history == (EFFORT,)
    (reaction,) = react(created)
    assert isinstance(reaction.body, RunRequested)
    (root,) = reaction.body.tasks
    sub_goals: JsonObject = {"sub_goals": [{"domain": "CAD", "title": "Draw"}]}
    grown = {each.id: each for each in grow_planning(DECOMPOSE, sub_goals, {DECOMPOSE: root})}
    assert grown[SYNTHESIZE].params[HISTORY] == [EFFORT.model_dump(mode="json")]
    assert HISTORY not in grown["plan-cad"].params


def test_a_goal_with_a_graph_of_its_own_needs_no_past() -> None:
    submitted = SUBMITTED.model_copy(update={"tasks": (task("a"),)})
    created = given().when(submitted).events[0]
    assert isinstance(created, PlanCreated)
    assert created.history == ()


def test_the_same_goal_is_the_same_whatever_the_past_is_by_then() -> None:
    created = PlanCreated(plan_id="plan_1", goal=GOAL, options=Options())
    given(created).when(SUBMITTED).then()


def test_there_is_an_end_to_the_past_that_is_told() -> None:
    with pytest.raises(ValueError, match="at most 200"):
        GoalSubmitted(plan_id="plan_1", goal=GOAL, history=(EFFORT,) * (MOST_EFFORTS + 1))


@pytest.mark.parametrize(
    ("count", "p50", "p90", "confidence"),
    [
        (5, 8.0, 8.0, 0.5),
        (20, 8.0, 10.0, 0.64),  # 20 / 25 * 8 / 10
        (1_000, 1.0, 10.0, 0.0995),
        (45, 0.0, 0.0, 0.9),
    ],
)
def test_confidence_grows_with_the_count_and_falls_with_the_spread(
    count: int, p50: float, p90: float, confidence: float
) -> None:
    effort = EFFORT.model_copy(update={"count": count, "p50": p50, "p90": p90})
    assert by_log(effort).confidence == confidence
