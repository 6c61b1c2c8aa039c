"""What one aggregate's event means to another."""

from dataclasses import replace

import pytest

from domain.agent import AgentRegistered
from domain.goals import Goal, Options
from domain.plan import (
    GraphProposed,
    PlanCancelled,
    PlanCreated,
    PlanEvent,
    PlanningGivenUp,
    PlanReady,
    PlanStarted,
)
from domain.policies import Event, Reaction, react, reports_after
from domain.recorded import Recorded, derived_id
from domain.run_events import (
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunRequested,
    RunStarted,
)
from domain.run_options import RunOptions
from domain.scheduling.schedules import schedule_of
from domain.steering import RunCancelRequested
from domain.teams import planning_tasks
from domain.values import JsonObject, RunKind
from tests.support.making import PLAN_ID, task
from tests.support.scenario import NOW

GOAL = Goal(title="Build a rover", priority="critical")
TASKS = (task("a"), task("b", "a"))
PLANNING = "exec_1-plan"


def run_completed(
    kind: RunKind, result: JsonObject | None = None, plan_id: str | None = PLAN_ID
) -> RunCompleted:
    return RunCompleted(run_id=PLANNING, plan_id=plan_id, kind=kind, result=result or {})


def recorded(event: Event) -> Recorded[Event]:
    return Recorded(
        id="e-1",
        position=7,
        stream=PLAN_ID,
        version=1,
        event=event,
        at=NOW,
        actor="users/ada",
        correlation_id="c-1",
        traceparent="00-1-1-01",
    )


def test_a_goal_that_has_to_be_planned_asks_for_a_planning_run() -> None:
    (reaction,) = react(PlanCreated(plan_id=PLAN_ID, goal=GOAL, options=Options()))
    assert reaction == Reaction(
        stream=PLANNING,
        body=RunRequested(
            run_id=PLANNING,
            plan_id=PLAN_ID,
            kind="planning",
            priority="critical",
            tasks=planning_tasks(GOAL, Options()),
        ),
    )


def test_a_goal_with_tasks_of_its_own_asks_for_no_planning() -> None:
    planned = PlanCreated(plan_id=PLAN_ID, goal=GOAL, options=Options(), planned=True)
    assert list(react(planned)) == []


def test_a_ready_plan_is_executed_if_it_was_to_start_by_itself() -> None:
    ready = PlanReady(plan_id=PLAN_ID, revision=1, tasks=TASKS, priority="low", auto_execute=True)
    assert list(react(ready)) == [
        Reaction(
            stream="exec_1-1",
            body=RunRequested(
                run_id="exec_1-1",
                plan_id=PLAN_ID,
                kind="execution",
                revision=1,
                priority="low",
                tasks=TASKS,
            ),
        )
    ]
    assert list(react(ready.model_copy(update={"auto_execute": False}))) == []


def test_a_cancelled_plan_stops_its_runs() -> None:
    cancelled = PlanCancelled(plan_id=PLAN_ID, reason="enough", runs=("exec_1-1", "exec_1-2"))
    assert list(react(cancelled)) == [
        Reaction(stream=run, body=RunCancelRequested(run_id=run, reason="enough"))
        for run in cancelled.runs
    ]


def test_the_synthesis_of_a_planning_run_is_proposed_to_its_plan() -> None:
    result: JsonObject = {"tasks": [each.model_dump(mode="json") for each in TASKS]}
    assert list(react(run_completed("planning", result))) == [
        Reaction(
            stream=PLAN_ID,
            body=GraphProposed(plan_id=PLAN_ID, run_id=PLANNING, tasks=TASKS),
        )
    ]


def test_a_schedule_goes_with_the_graph_if_it_can_be_read() -> None:
    tasks: JsonObject = {"tasks": [each.model_dump(mode="json") for each in TASKS]}
    schedule = schedule_of(TASKS, RunOptions())
    said = tasks | {"schedule": schedule.model_dump(mode="json")}
    (reaction,) = react(run_completed("planning", said))
    assert isinstance(reaction.body, GraphProposed)
    assert reaction.body.schedule == schedule
    for odd in (None, 7, {"starts": {"a": -1}}, {"makespan": "long"}):
        (reaction,) = react(run_completed("planning", tasks | {"schedule": odd}))
        assert reaction.body == GraphProposed(plan_id=PLAN_ID, run_id=PLANNING, tasks=TASKS)


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"tasks": "a"},
        {"tasks": [{"id": "a"}]},
        {"tasks": [{"id": "a", "name": "A", "agent": "CAD", "x" * 5_000: 1}]},
    ],
    ids=["nothing", "no list", "lacks fields", "an endless field"],
)
def test_a_synthesis_that_is_no_list_of_tasks_gives_the_planning_up(result: JsonObject) -> None:
    (reaction,) = react(run_completed("planning", result))
    assert isinstance(reaction.body, PlanningGivenUp)
    assert reaction.body.reason.startswith("the synthesis is not a list of tasks: ")


def test_a_failed_planning_run_gives_the_planning_up() -> None:
    failed = RunFailed(run_id=PLANNING, plan_id=PLAN_ID, kind="planning", reason="no idea")
    assert list(react(failed)) == [
        Reaction(
            stream=PLAN_ID,
            body=PlanningGivenUp(plan_id=PLAN_ID, run_id=PLANNING, reason="no idea"),
        )
    ]


@pytest.mark.parametrize(
    "event",
    [
        RunStarted(
            run_id="exec_1-1",
            plan_id=PLAN_ID,
            kind="execution",
            revision=1,
            priority="low",
            tasks=TASKS,
        ),
        run_completed("execution"),
        RunFailed(run_id="exec_1-1", plan_id=PLAN_ID, kind="execution", reason="no"),
        RunCancelled(run_id="exec_1-1", plan_id=PLAN_ID, kind="execution", reason="no"),
    ],
    ids=lambda event: event.type,
)
def test_a_plan_hears_of_its_executions(
    event: RunStarted | RunCompleted | RunFailed | RunCancelled,
) -> None:
    assert list(react(event)) == [Reaction(stream=PLAN_ID, body=event)]


@pytest.mark.parametrize(
    "event",
    [
        PlanStarted(plan_id=PLAN_ID, run_id="exec_1-1"),
        run_completed("execution", plan_id=None),
        run_completed("planning", plan_id=None),
        RunCancelled(run_id=PLANNING, plan_id=PLAN_ID, kind="planning", reason="no"),
        AgentRegistered(agent_id="ann", agent_type="CAD", instance="1"),
    ],
    ids=["plan.started", "execution", "planning", "cancelled planning", "agent"],
)
def test_other_events_concern_nobody_else(event: Event) -> None:
    assert list(react(event)) == []


def test_a_reaction_repeated_after_a_crash_has_the_same_id() -> None:
    event: PlanEvent = PlanCancelled(plan_id=PLAN_ID, reason="", runs=("exec_1-1", "exec_1-2"))
    first, second = list(reports_after(recorded(event)))
    assert [first, second] == list(reports_after(recorded(event)))
    assert first.id == derived_id("e-1", "reaction/0")
    assert first.id != second.id
    (other, _) = reports_after(replace(recorded(event), id="e-2"))
    assert other.id != first.id


def test_a_reaction_says_what_led_to_it() -> None:
    event: PlanEvent = PlanCancelled(plan_id=PLAN_ID, reason="", runs=("exec_1-1",))
    (report,) = reports_after(recorded(event))
    assert (report.causation_id, report.correlation_id, report.traceparent) == (
        "e-1",
        "c-1",
        "00-1-1-01",
    )
    assert (report.actor, report.said_at) == ("taskloom.policies", NOW)
