"""No work is so heavy that a message cannot carry it, and no decision that it cannot be made."""

from datetime import UTC, datetime

import pytest

from bus.envelope import decode_recorded, encode_recorded
from domain.errors import TooHeavy
from domain.goals import Goal
from domain.graph import check
from domain.plan import GoalSubmitted
from domain.recorded import Recorded
from domain.run_events import RunFailed, TaskDispatched, TaskFailed
from domain.teams import DECOMPOSE, MOST_SUB_GOALS, planning_tasks
from domain.values import JsonObject
from domain.weights import LARGEST_GOAL, LARGEST_INPUTS, LARGEST_PARAMS, MOST_AT_ONCE, weight
from tests.support.making import after, completed, requested, started, task
from tests.support.scenario import given


def heavy(size: int, key: str = "k") -> JsonObject:
    """Return an object of exactly so many bytes."""
    return {key: "x" * (size - weight({key: ""}))}


def test_the_heaviest_work_fits_into_a_message_that_an_agent_reads() -> None:
    sources = [f"s{n}" for n in range(100)]
    collector = task(
        "z",
        name="N" * 200,
        params=heavy(LARGEST_PARAMS),
        inputs={f"{name}-{'n' * 190}": name for name in sources},
    )
    room = LARGEST_INPUTS - weight(collector.inputs)
    results = [heavy(room // 100) for _ in sources]
    run = requested(*map(task, sources), collector)
    given_all = [
        completed(name, result=result) for name, result in zip(sources, results, strict=True)
    ]
    dispatched = after(run, *given_all)[-1]
    assert isinstance(dispatched, TaskDispatched)
    recorded = Recorded(
        id="i" * 512,
        position=2**62,
        stream=dispatched.run_id,
        version=2**31,
        event=dispatched,
        at=datetime(2026, 1, 20, tzinfo=UTC),
        actor="a" * 512,
        correlation_id="c" * 512,
        causation_id="r" * 512,
        traceparent="t" * 512,
    )
    read = decode_recorded(encode_recorded(recorded), {"task.dispatched": TaskDispatched})
    assert read.event == dispatched


def test_params_that_no_message_could_carry_are_refused() -> None:
    check([task("a", params=heavy(LARGEST_PARAMS))])
    with pytest.raises(
        TooHeavy, match=r"params of task a are too much: 262145 bytes.*at most 262144"
    ):
        check([task("a", params=heavy(LARGEST_PARAMS + 1))])


def test_a_goal_that_planners_could_not_be_given_is_refused() -> None:
    lean = Goal(title="Fly")
    room = LARGEST_GOAL - weight(lean.model_dump(mode="json")) + len("{}")
    fits = lean.model_copy(update={"context": heavy(room)})
    given().when(GoalSubmitted(plan_id="plan_1", goal=fits)).then_types("plan.created")
    check(planning_tasks(fits, GoalSubmitted(plan_id="plan_1", goal=fits).options))
    grown = lean.model_copy(update={"context": heavy(room + 1)})
    given().when(GoalSubmitted(plan_id="plan_1", goal=grown)).then_refused(TooHeavy, "the goal")


def test_a_result_that_a_task_asked_for_and_cannot_be_given_fails_its_own_task() -> None:
    run = requested(task("a"), task("b", inputs={"in": "a"}), task("c"))
    past = after(run, started("a"))
    too_much = heavy(LARGEST_INPUTS)
    failure, skipped = given(*past).when(completed("a", result=too_much)).events
    assert isinstance(failure, TaskFailed)
    assert failure.error_class == "validation"
    assert "what task b asked for is too much" in failure.reason
    assert "pass a reference" in failure.reason
    assert skipped.type == "task.skipped"
    given(*past).when(completed("c", result=too_much)).then_types("task.started", "task.completed")


def test_a_result_is_not_multiplied_beyond_what_one_decision_can_record() -> None:
    count = 200
    followers = [task(f"f{n}", inputs={"in": "a"}) for n in range(count)]
    past = after(requested(task("a"), *followers), started("a"))
    names = weight(followers[0].inputs)
    most = heavy(MOST_AT_ONCE // count - names)
    events = given(*past).when(completed("a", result=most)).events
    assert len(events) == 1 + count
    more = heavy(MOST_AT_ONCE // count - names + 1)
    failure = given(*past).when(completed("a", result=more)).events[0]
    assert isinstance(failure, TaskFailed)
    assert f"what {count} tasks asked for is too much" in failure.reason


@pytest.mark.parametrize("count", [MOST_SUB_GOALS, MOST_SUB_GOALS + 1])
def test_a_goal_is_not_multiplied_without_limit(count: int) -> None:
    goal = Goal(title="Fly")
    run = requested(*planning_tasks(goal, GoalSubmitted(plan_id="plan_1", goal=goal).options))
    run = run.model_copy(update={"kind": "planning"})
    result: JsonObject = {"sub_goals": [{"domain": f"D{n}", "title": "x"} for n in range(count)]}
    events = given(*after(run)).when(completed(DECOMPOSE, result=result)).events
    assert isinstance(events[-1], RunFailed) == (count > MOST_SUB_GOALS)
