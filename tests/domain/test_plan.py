"""The rules of a plan, one sentence each."""

import pytest

from domain.errors import AlreadyExists, CyclicGraph, PlanNotReady, UnknownPlan
from domain.goals import Goal, Options
from domain.plan import (
    GoalSubmitted,
    GraphProposed,
    Plan,
    PlanCancelled,
    PlanCancelRequested,
    PlanCompleted,
    PlanCreated,
    PlanEvent,
    PlanFailed,
    PlanningGivenUp,
    PlanReady,
    PlanReport,
    PlanStarted,
    PlanStatus,
    evolve,
    next_run_of,
)
from domain.run_events import RunCancelled, RunCompleted, RunFailed, RunStarted
from domain.run_options import RunOptions
from domain.scheduling.schedules import Schedule
from domain.tasks import Task
from tests.support.making import PLAN_ID, task
from tests.support.scenario import given

GOAL = Goal(title="Build a rover", priority="high")
TASKS = (task("a"), task("b", "a"))
RUN, PLANNING = "exec_1-1", "exec_1-plan"

CREATED = PlanCreated(plan_id=PLAN_ID, goal=GOAL, options=Options())
READY = PlanReady(
    plan_id=PLAN_ID,
    revision=1,
    tasks=TASKS,
    priority="high",
    auto_execute=False,
    run=RunOptions(parallelization="balanced", failure_strategy="replan"),
    schedule=Schedule(
        algorithm="critical_path_method",
        starts={"a": 0, "b": 3_600},
        makespan=7_200,
        bound=7_200,
    ),
)
STARTED = PlanStarted(plan_id=PLAN_ID, run_id=RUN)
COMPLETED = PlanCompleted(plan_id=PLAN_ID, run_id=RUN)
FAILED = PlanFailed(plan_id=PLAN_ID, run_id=RUN, reason="it broke")
CANCEL = PlanCancelRequested(plan_id=PLAN_ID, reason="not wanted")


def submitted(*tasks: Task, options: Options | None = None) -> GoalSubmitted:
    return GoalSubmitted(plan_id=PLAN_ID, goal=GOAL, options=options or Options(), tasks=tasks)


def proposed(*tasks: Task) -> GraphProposed:
    return GraphProposed(plan_id=PLAN_ID, run_id=PLANNING, tasks=tasks)


def cancelled(*runs: str) -> PlanCancelled:
    return PlanCancelled(plan_id=PLAN_ID, reason="not wanted", runs=runs)


def run_started(run_id: str = RUN) -> RunStarted:
    return RunStarted(
        run_id=run_id,
        plan_id=PLAN_ID,
        kind="execution",
        revision=1,
        priority="high",
        tasks=TASKS,
    )


def run_completed(run_id: str = RUN) -> RunCompleted:
    return RunCompleted(run_id=run_id, plan_id=PLAN_ID, kind="execution", result={})


def run_failed(run_id: str = RUN) -> RunFailed:
    return RunFailed(run_id=run_id, plan_id=PLAN_ID, kind="execution", reason="it broke")


def run_cancelled(run_id: str = RUN) -> RunCancelled:
    return RunCancelled(run_id=run_id, plan_id=PLAN_ID, kind="execution", reason="it broke")


def folded(*past: PlanEvent) -> Plan:
    plan: Plan | None = None
    for event in past:
        plan = evolve(plan, event)
    assert plan is not None
    return plan


def test_a_goal_becomes_a_plan_that_somebody_has_to_make() -> None:
    given().when(submitted()).then(CREATED)
    assert folded(CREATED).status == "planning"


def test_a_goal_that_brings_its_tasks_is_ready_at_once() -> None:
    created = CREATED.model_copy(update={"planned": True})
    # Nobody has planned it who could plan it anew.
    run = READY.run.model_copy(update={"failure_strategy": "retry"})
    given().when(submitted(*TASKS)).then(created, READY.model_copy(update={"run": run}))


def test_a_goal_may_start_by_itself_when_it_is_ready() -> None:
    options = Options(auto_execute=True)
    (_, ready) = given().when(submitted(*TASKS, options=options)).events
    assert isinstance(ready, PlanReady)
    assert ready.auto_execute


def test_a_goal_whose_tasks_cannot_be_run_is_refused() -> None:
    circle = (task("a", "b"), task("b", "a"))
    given().when(submitted(*circle)).then_refused(CyclicGraph, "a → b → a")


def test_a_goal_submitted_again_is_the_same_plan() -> None:
    given(CREATED).when(submitted()).then()


def test_another_goal_under_the_same_id_is_refused() -> None:
    other = submitted().model_copy(update={"goal": Goal(title="Build a boat")})
    given(CREATED).when(other).then_refused(AlreadyExists, PLAN_ID)


@pytest.mark.parametrize(
    "report",
    [
        proposed(*TASKS),
        PlanningGivenUp(plan_id=PLAN_ID, run_id=PLANNING, reason="no idea"),
        CANCEL,
    ],
    ids=lambda report: report.type,
)
def test_nothing_can_be_said_of_a_plan_that_nobody_submitted(report: PlanReport) -> None:
    given().when(report).then_refused(UnknownPlan, PLAN_ID)


def test_a_schedule_that_the_planners_propose_is_kept_if_it_can_be_carried_out() -> None:
    slow = Schedule(
        algorithm="constraint_programming",
        starts={"a": 60, "b": 3_660},
        makespan=7_260,
        bound=7_200,
        solver="feasible",
    )
    ready = READY.model_copy(update={"schedule": slow})
    given(CREATED).when(proposed(*TASKS).model_copy(update={"schedule": slow})).then(ready)


def test_a_proposed_schedule_that_nobody_could_keep_is_replaced() -> None:
    early = Schedule(
        algorithm="constraint_programming", starts={"a": 0, "b": 0}, makespan=3_600, bound=3_600
    )
    given(CREATED).when(proposed(*TASKS).model_copy(update={"schedule": early})).then(READY)


def test_a_proposed_graph_makes_the_plan_ready() -> None:
    given(CREATED).when(proposed(*TASKS)).then(READY)


def test_a_plan_has_one_first_graph() -> None:
    given(CREATED, READY).when(proposed(task("z"))).then()


def test_a_proposed_graph_that_cannot_be_run_fails_the_plan() -> None:
    (event,) = given(CREATED).when(proposed(task("a", "x"))).events
    assert isinstance(event, PlanFailed)
    assert event.reason == (
        "the planners proposed a graph that cannot be run: "
        "tasks depend on tasks that do not exist: a on x"
    )


def test_a_long_list_of_what_is_wrong_with_a_graph_still_fails_the_plan() -> None:
    long = "x" * 120
    (event,) = (
        given(CREATED)
        .when(proposed(*(task(f"{long}{n}", f"{long}-{n}") for n in range(60))))
        .events
    )
    assert isinstance(event, PlanFailed)
    assert len(event.reason) == 4_000


def test_planning_that_is_given_up_fails_the_plan() -> None:
    given_up = PlanningGivenUp(plan_id=PLAN_ID, run_id=PLANNING, reason="no idea")
    given(CREATED).when(given_up).then(
        PlanFailed(plan_id=PLAN_ID, run_id=PLANNING, reason="no idea")
    )
    given(CREATED, READY).when(given_up).then()


def test_a_plan_follows_its_run() -> None:
    given(CREATED, READY).when(run_started()).then(STARTED)
    given(CREATED, READY, STARTED).when(run_completed()).then(COMPLETED)
    given(CREATED, READY, STARTED).when(run_failed()).then(FAILED)
    given(CREATED, READY, STARTED).when(run_cancelled()).then(FAILED)


@pytest.mark.parametrize(
    "report", [run_started(), run_completed(), run_failed(), run_cancelled()], ids=lambda r: r.type
)
def test_news_of_a_run_heard_again_change_nothing(report: PlanReport) -> None:
    given(CREATED, READY, STARTED, COMPLETED).when(report).then()


def test_news_of_an_earlier_run_change_nothing() -> None:
    past = (CREATED, READY, STARTED, FAILED, PlanStarted(plan_id=PLAN_ID, run_id="exec_1-2"))
    given(*past).when(run_completed()).then()
    given(*past).when(run_completed("exec_1-2")).then(
        PlanCompleted(plan_id=PLAN_ID, run_id="exec_1-2")
    )


def test_a_failed_plan_may_be_executed_again() -> None:
    assert next_run_of(folded(CREATED, READY)) == RUN
    assert next_run_of(folded(CREATED, READY, STARTED, FAILED)) == "exec_1-2"
    again = folded(CREATED, READY, STARTED, FAILED, PlanStarted(plan_id=PLAN_ID, run_id="exec_1-2"))
    assert (again.status, again.reason) == ("running", "")


@pytest.mark.parametrize(
    "past",
    [
        (CREATED,),
        (CREATED, READY, STARTED),
        (CREATED, READY, cancelled()),
        (CREATED, PlanFailed(plan_id=PLAN_ID, run_id=None, reason="no idea")),
    ],
    ids=["planning", "running", "cancelled", "never planned"],
)
def test_a_plan_that_is_not_ready_cannot_be_executed(past: tuple[PlanEvent, ...]) -> None:
    plan = folded(*past)
    with pytest.raises(PlanNotReady, match=plan.status):
        next_run_of(plan)


@pytest.mark.parametrize(
    ("past", "runs"),
    [
        ((CREATED,), (PLANNING,)),
        ((CREATED, READY), ()),
        ((CREATED, READY, STARTED), (RUN,)),
    ],
    ids=["planning", "ready", "running"],
)
def test_a_cancelled_plan_stops_the_run_that_is_under_way(
    past: tuple[PlanEvent, ...], runs: tuple[str, ...]
) -> None:
    given(*past).when(CANCEL).then(cancelled(*runs))


@pytest.mark.parametrize("end", [COMPLETED, FAILED, cancelled(RUN)], ids=lambda e: e.type)
def test_a_plan_that_is_over_is_not_cancelled(end: PlanEvent) -> None:
    given(CREATED, READY, STARTED, end).when(CANCEL).then()


def test_a_run_that_began_while_its_plan_was_cancelled_is_stopped_as_well() -> None:
    given(CREATED, READY, cancelled()).when(run_started()).then(cancelled(RUN))


def test_a_run_of_a_cancelled_plan_is_stopped_once() -> None:
    given(CREATED, READY, cancelled(), cancelled(RUN)).when(run_started()).then()
    given(CREATED, READY, STARTED, cancelled(RUN)).when(run_started()).then()


@pytest.mark.parametrize(
    ("past", "status", "is_over"),
    [
        ((CREATED,), "planning", False),
        ((CREATED, READY), "ready", False),
        ((CREATED, READY, STARTED), "running", False),
        ((CREATED, READY, STARTED, COMPLETED), "completed", True),
        ((CREATED, READY, STARTED, FAILED), "failed", True),
        ((CREATED, cancelled()), "cancelled", True),
    ],
)
def test_a_plan_is_over_when_nothing_can_happen_to_it(
    past: tuple[PlanEvent, ...], status: PlanStatus, *, is_over: bool
) -> None:
    plan = folded(*past)
    assert (plan.status, plan.is_over) == (status, is_over)


def test_a_plan_is_carried_out_as_its_options_say() -> None:
    options = Options(execution=RunOptions(execution_mode="sequential"), parallelization="balanced")
    ready = given().when(submitted(*TASKS, options=options)).events[-1]
    assert isinstance(ready, PlanReady)
    assert ready.run == RunOptions(execution_mode="sequential")
