"""Durations come from the rules, and from the log as soon as it has seen enough."""

from datetime import timedelta

from agents.planners.estimating import estimated
from domain.estimates import BY_RULE, Effort
from tests.agents.carrying import PLANNERS, tasks_of, work
from tests.support.making import task

TASKS = (
    task("a", agent="CAD", action="draw", cost=100.0),
    task("b", agent="SIM", action="draw"),
)


def known(count: int) -> list[Effort]:
    return [Effort(agent="CAD", action="draw", count=count, p50=90.0, p90=120.0)]


def test_without_a_past_every_estimate_is_the_rules() -> None:
    assert [each.estimate for each in estimated(TASKS, [])] == [BY_RULE, BY_RULE]
    assert [each.duration for each in estimated(TASKS, [])] == [timedelta(hours=1)] * 2


def test_what_was_recorded_often_enough_replaces_the_rule_and_says_so() -> None:
    drawn, simulated = estimated(TASKS, known(5))
    assert drawn.duration == timedelta(seconds=90)
    assert drawn.cost == 100.0
    assert drawn.estimate is not None
    assert drawn.estimate.model_dump() == {
        "source": "log",
        "confidence": 0.375,  # 5 / 10 * 90 / 120
        "count": 5,
        "p90": 120.0,
    }
    assert simulated.estimate == BY_RULE


def test_what_was_recorded_a_few_times_is_not_believed_yet() -> None:
    assert estimated(TASKS, known(4))[0].estimate == BY_RULE


async def test_the_synthesis_uses_what_it_is_told_of_the_past() -> None:
    plan = await PLANNERS["META"].carries("plan")(work("plan", {"goal": "A thing"}))
    effort = {"agent": "META", "action": "assess_risks", "count": 9, "p50": 60.0, "p90": 70.0}
    synthesis = await PLANNERS["META_PLANNER"].carries("synthesize")(
        work("synthesize", {"goal": "A thing", "history": [effort]}, META=plan)
    )
    tasks = {each.action: each for each in tasks_of(synthesis)}
    assert tasks["assess_risks"].duration == timedelta(seconds=60)
    assert tasks["extract_requirements"].duration == timedelta(hours=8)
    summary = synthesis["summary"]
    assert isinstance(summary, dict)
    assert summary["estimates"] == {"rule": len(tasks) - 1, "log": 1}
