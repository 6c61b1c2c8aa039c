"""What synthesis finds is recorded with the plan, bounded, before the plan is ready."""

from domain.findings import MOST_FINDINGS, Conflict, Origin, PlanConflictDetected
from domain.goals import Goal, Options
from domain.plan import GraphProposed, PlanCreated, PlanningGivenUp, PlanReady
from domain.policies import react
from domain.run_events import RunCompleted
from domain.values import JsonObject
from projections.describe import describe, level_of
from tests.support.making import task
from tests.support.scenario import given

PLAN_ID, PLANNING = "plan_1", "exec_1-plan"
CREATED = PlanCreated(plan_id=PLAN_ID, goal=Goal(title="A rover"), options=Options())
CONFLICT = Conflict(
    kind="order",
    subject="design",
    origins=(Origin(domain="CAD", key="draw"), Origin(domain="SIM", key="bend", task_id="a")),
    decision="CAD draw does not wait",
)


def proposed(**found: object) -> GraphProposed:
    graph: dict[str, object] = {"plan_id": PLAN_ID, "run_id": PLANNING, "tasks": (task("a"),)}
    return GraphProposed.model_validate(graph | found)


def synthesized(**more: object) -> RunCompleted:
    result = {"tasks": [task("a").model_dump(mode="json")], **more}
    return RunCompleted.model_validate(
        {"run_id": PLANNING, "plan_id": PLAN_ID, "kind": "planning", "result": result}
    )


def test_a_plan_records_its_conflicts_and_then_what_is_missing() -> None:
    (detected, ready) = (
        given(CREATED).when(proposed(conflicts=(CONFLICT,), missing=("a wheel",))).events
    )
    assert detected == PlanConflictDetected(plan_id=PLAN_ID, run_id=PLANNING, conflict=CONFLICT)
    assert isinstance(ready, PlanReady)
    assert ready.missing == ("a wheel",)


def test_there_is_an_end_to_what_is_remembered() -> None:
    report = proposed(conflicts=[CONFLICT] * 80, missing=["x"] * 80)
    events = given(CREATED).when(report).events
    assert len(events) == MOST_FINDINGS + 1
    assert isinstance(ready := events[-1], PlanReady)
    assert len(ready.missing) == MOST_FINDINGS


def test_the_synthesis_hands_its_findings_to_the_plan() -> None:
    written: JsonObject = CONFLICT.model_dump(mode="json")
    (reaction,) = react(synthesized(conflicts=[written], missing=["a wheel"]))
    assert reaction.body == proposed(conflicts=(CONFLICT,), missing=("a wheel",))


def test_findings_that_are_none_give_the_planning_up() -> None:
    for found in ({"conflicts": [{"kind": "war"}]}, {"missing": [7]}):
        (reaction,) = react(synthesized(**found))
        assert isinstance(reaction.body, PlanningGivenUp)
        assert reaction.body.reason.startswith("the synthesis is not a list of ")


def test_a_conflict_is_told_with_both_its_sides() -> None:
    detected = PlanConflictDetected(plan_id=PLAN_ID, run_id=PLANNING, conflict=CONFLICT)
    assert describe(detected) == (
        "Conflict of order about design, between CAD draw and SIM bend: CAD draw does not wait"
    )
    assert level_of(detected) == "warning"
