"""Ids, priorities, tasks: the small rules."""

from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from domain.recorded import derived_id
from domain.tasks import DELAYS, JITTERED, WAITS, RetryPolicy
from domain.values import (
    Action,
    AgentId,
    AgentType,
    Lane,
    PlanId,
    Priority,
    RunId,
    TaskId,
)
from tests.support.making import task


@pytest.mark.parametrize(
    ("kind", "good"),
    [
        (PlanId, "plan_01J-a"),
        (RunId, "exec_01J-a-plan"),
        (TaskId, "cad:draw.hull_1-b"),
        (AgentId, "cad_agent.1"),
        (AgentType, "META_PLANNER"),
        (Action, "decompose"),
    ],
)
def test_an_id_is_safe_in_a_url_a_routing_key_and_a_log(kind: type[str], good: str) -> None:
    accepts = TypeAdapter(kind)
    assert accepts.validate_python(good) == good
    for bad in ("", " ", good + "\n", good + "/", "../" + good, good + "*", "é" + good, "x" * 200):
        with pytest.raises(ValidationError):
            accepts.validate_python(bad)


@pytest.mark.parametrize(
    ("said", "lane"),
    [(lane, lane) for lane in get_args(Priority)] + [("priority", "high")],
)
def test_a_lane_is_a_priority_and_the_one_that_critical_and_high_shared_is_read(
    said: str, lane: str
) -> None:
    assert TypeAdapter(Lane).validate_python(said) == lane


def test_a_task_needs_each_of_its_needs_once_in_order() -> None:
    assert task("a").needs == ()
    assert task("a", "b").needs == ("b",)
    assert task("a", "c", "b", "c").needs == ("b", "c")
    assert task("a", "c", inputs={"x": "b", "y": "c"}).needs == ("b", "c")
    assert task("a", inputs={"x": "b"}).needs == ("b",)


def test_the_pauses_between_attempts_grow_and_end() -> None:
    policy = RetryPolicy(attempts=6)
    for failures in range(1, 8):
        delay = DELAYS[min(failures, len(DELAYS)) - 1]
        waits = {policy.delay_after(failures, attempt=f"exec_1/a/{n}") for n in range(40)}
        assert waits == {delay, JITTERED[delay]} <= set(WAITS)


def test_the_same_attempt_always_waits_as_long() -> None:
    policy = RetryPolicy()
    assert len({policy.delay_after(3, attempt="exec_1/a/3") for _ in range(10)}) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"duration": "-PT1S"},
        {"duration": "P3651D"},
        {"cost": -1},
        {"cost": float("inf")},
        {"retry": {"attempts": 0}},
        {"agent": "cad"},
        {"wish": 1},
    ],
    ids=str,
)
def test_a_task_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        task("a", **changes)


def test_a_derived_id_is_the_same_whenever_it_is_asked_for() -> None:
    assert derived_id("r-1", "2") == derived_id("r-1", "2")
    assert len({derived_id("r-1", "2"), derived_id("r-1", "3"), derived_id("r-2", "2")}) == 3
