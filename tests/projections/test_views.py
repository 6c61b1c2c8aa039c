"""Each view says what the rules of the domain say."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from domain.agent import AgentRegistered
from domain.breaker import Breaker
from domain.goals import Options
from domain.plan import GoalSubmitted, Plan
from domain.run import Run
from domain.run_events import TaskCompleted, TaskFailed, TaskStarted
from domain.steering import RunCancelRequested
from domain.tasks import Task
from projections.agents import AGENTS, AgentRow
from projections.attempts import ATTEMPTS, AttemptRow
from projections.breakers import BREAKERS, BreakerRow
from projections.describe import describe, level_of
from projections.executions import EXECUTIONS, ExecutionRow
from projections.graphs import GRAPHS
from projections.plans import PLANS, PlanRow
from projections.replay import steps
from projections.tasks import TASKS, TaskRow
from projections.timeline import TIMELINE, TimelineRow
from projections.view import AnyView
from tests.support.histories import START, History, a_goal, a_history


def folded(view: AnyView, history: History) -> dict[Any, Any]:
    rows: dict[Any, Any] = {}
    for recorded in history.events:
        if type(recorded.event) in view.hears:
            rows.update(view.fold(rows, recorded))
    return {key: row for key, row in rows.items() if row is not None}


def runs_of(history: History) -> dict[str, Run]:
    return {name: state for name, state in history.states.items() if isinstance(state, Run)}


@pytest.mark.parametrize("seed", range(20))
def test_tasks_stand_where_the_domain_has_them(seed: int) -> None:
    history = a_history(seed, turns=20 * seed)
    rows: dict[Any, TaskRow] = folded(TASKS, history)
    expected = {
        (run.id, name): (state.status, state.epoch, state.failures, state.losses)
        for run in runs_of(history).values()
        for name, state in run.states.items()
    }
    assert expected == {
        key: (row.status, row.epoch, row.failures, row.losses) for key, row in rows.items()
    }


@pytest.mark.parametrize("seed", range(20))
def test_the_counts_of_an_execution_add_up(seed: int) -> None:
    history = a_history(seed, turns=20 * seed)
    rows: dict[Any, ExecutionRow] = folded(EXECUTIONS, history)
    assert set(rows) == {(name,) for name in runs_of(history)}
    for (run_id,), row in rows.items():
        run = history.states[run_id]
        counts = Counter(state.status for state in run.states.values())
        for status in ("pending", "dispatched", "started", "completed", "failed", "skipped"):
            lost = counts["lost"] if status == "pending" else 0
            assert getattr(row, status) == counts[status] + lost, (run_id, status)
        assert row.cancelled == counts["cancelled"]
        assert row.total == run.states.__len__()
        assert row.status == run.status


@pytest.mark.parametrize("seed", range(20))
def test_the_open_attempts_are_the_dispatched_and_started_ones(seed: int) -> None:
    history = a_history(seed, turns=20 * seed)
    rows: dict[Any, AttemptRow] = folded(ATTEMPTS, history)
    by_position = {recorded.position: recorded for recorded in history.events}
    expected = {
        (run.id, name): (state.status, state.epoch, state.agent_id or None)
        for run in runs_of(history).values()
        for name, state in run.states.items()
        if state.status in ("dispatched", "started")
    }
    assert expected == {key: (row.state, row.epoch, row.agent_id) for key, row in rows.items()}
    for row in rows.values():
        dispatched = by_position[row.position].event
        assert dispatched.type == "task.dispatched"
        assert (dispatched.task_id, dispatched.epoch) == (row.task_id, row.epoch)


@pytest.mark.parametrize("seed", range(10))
def test_plans_stand_where_the_domain_has_them(seed: int) -> None:
    history = a_history(seed)
    rows: dict[Any, PlanRow] = folded(PLANS, history)
    plans = {name: state for name, state in history.states.items() if isinstance(state, Plan)}
    assert {(name,) for name in plans} == set(rows)
    for name, plan in plans.items():
        row = rows[name,]
        assert (row.status, tuple(row.runs), row.task_count) == (
            plan.status,
            plan.runs,
            len(plan.tasks),
        )
        graph = folded(GRAPHS, history).get((name,))
        assert len(graph.tasks if graph else ()) == len(plan.tasks)


def test_a_plan_row_tells_of_its_critical_path() -> None:
    history = History()
    two, eight = timedelta(hours=2), timedelta(hours=8)
    history.say(
        GoalSubmitted(
            plan_id="plan_1",
            goal=a_goal(1),
            tasks=(
                Task(id="a", name="Check", agent="META", duration=two),
                Task(id="b", name="Design", agent="CAD", depends_on=("a",), duration=eight),
                Task(id="c", name="Source", agent="SUPP", depends_on=("a",), duration=two),
            ),
        )
    )
    row: PlanRow = folded(PLANS, history)["plan_1",]
    assert (row.critical_path_length, row.makespan_seconds) == (2, 10 * 3600)
    assert row.agents == ["CAD", "META", "SUPP"]
    assert row.parallelization_ratio == pytest.approx(1 - 10 / 12)


def a_running_pair() -> History:
    history = History()
    history.say(AgentRegistered(agent_id="cad-1", agent_type="CAD", instance="one"))
    history.say(
        GoalSubmitted(
            plan_id="plan_1",
            goal=a_goal(1),
            options=Options(auto_execute=True),
            tasks=(Task(id="a", name="A", agent="CAD"), Task(id="b", name="B", agent="CAD")),
        )
    )
    return history


def attempt(task_id: str, epoch: int = 1) -> dict[str, Any]:
    return {"run_id": "exec_1-1", "task_id": task_id, "epoch": epoch, "agent_id": "cad-1"}


def test_an_agent_is_credited_with_what_it_did() -> None:
    history = a_running_pair()
    history.say(TaskStarted(**attempt("a")))
    history.now += timedelta(seconds=9)
    history.say(TaskCompleted(**attempt("a")))
    history.say(TaskStarted(**attempt("b")))
    history.now += timedelta(seconds=4)
    history.say(TaskFailed(**attempt("b"), error_class="business", reason="no such part"))
    row: AgentRow = folded(AGENTS, history)["cad-1",]
    assert (row.tasks_completed, row.tasks_failed) == (1, 1)
    assert (row.completed_seconds, row.busy_seconds) == (10, 15)
    assert row.open == {}


def test_an_agent_that_starts_anew_holds_nothing() -> None:
    history = a_running_pair()
    history.say(TaskStarted(**attempt("a")))
    assert folded(AGENTS, history)["cad-1",].open
    registered = history.now
    history.say(AgentRegistered(agent_id="cad-1", agent_type="CAD", instance="two"))
    row: AgentRow = folded(AGENTS, history)["cad-1",]
    assert row.open == {}
    assert (row.first_registered_at, row.registered_at) == (START, registered)


def test_cancelled_attempts_are_not_remembered_for_ever() -> None:
    history = History()
    history.say(AgentRegistered(agent_id="cad-1", agent_type="CAD", instance="one"))
    tasks = tuple(Task(id=f"t{number}", name="T", agent="CAD") for number in range(300))
    history.say(
        GoalSubmitted(
            plan_id="plan_1", goal=a_goal(1), options=Options(auto_execute=True), tasks=tasks
        )
    )
    for task in tasks:
        history.say(TaskStarted(**attempt(task.id)))
    history.say(RunCancelRequested(run_id="exec_1-1"))
    assert len(folded(AGENTS, history)["cad-1",].open) == 101


def test_what_worries_a_reader_stands_out_in_the_timeline() -> None:
    history = a_running_pair()
    history.say(TaskStarted(**attempt("a")))
    history.say(TaskFailed(**attempt("a"), error_class="transient", reason="no licence"))
    history.say(TaskStarted(**attempt("b")))
    history.say(TaskFailed(**attempt("b"), error_class="critical", reason="no such part"))
    rows: list[TimelineRow] = list(folded(TIMELINE, history).values())
    assert [(row.level, row.message) for row in rows] == [
        ("info", "Execution started: 2 tasks"),
        ("debug", "a dispatched to CAD: A"),
        ("debug", "b dispatched to CAD: B"),
        ("info", "a started by cad-1"),
        ("warning", "a failed in attempt 1 (transient): no licence"),
        ("warning", "a retried in 1 s as attempt 2, by any CAD"),
        ("info", "b started by cad-1"),
        ("error", "b failed in attempt 1 (critical): no such part"),
    ]
    assert rows[4].metadata == {
        "epoch": 1,
        "error_class": "transient",
        "reason": "no licence",
        "retry_in": 1,
        "next_agent": None,
    }


def test_every_event_can_be_described() -> None:
    seen = {event.type: event.event for seed in range(20) for event in a_history(seed).events}
    assert len(seen) >= 19
    for event in seen.values():
        assert "\n" not in describe(event)
        assert level_of(event) in ("debug", "info", "warning", "error")


def test_a_run_can_be_stepped_through() -> None:
    history = a_running_pair()
    history.say(TaskStarted(**attempt("a")))
    history.say(TaskCompleted(**attempt("a")))
    run = [recorded for recorded in history.events if recorded.stream == "exec_1-1"]
    walked = list(steps(run))
    assert [step.difference for step in walked] == [
        "tasks +2, status: running, open: 2, unhappy: 0",
        "a: pending (waits for 0) → dispatched #1",
        "b: pending (waits for 0) → dispatched #1",
        "a: dispatched #1 → started #1 cad-1",
        "a: started #1 cad-1 → completed #1, open: 2 → 1",
    ]
    assert walked[-1].state == history.states["exec_1-1"]


def test_a_plan_can_be_stepped_through() -> None:
    history = a_running_pair()
    plan = [recorded for recorded in history.events if recorded.stream == "plan_1"]
    differences = [step.difference for step in steps(plan)]
    assert "status: planning → ready" in differences[1]
    assert "status: ready → running" in differences[2]


def test_breakers_stand_where_the_domain_has_them() -> None:
    history = a_history(1, turns=1)
    rows: dict[Any, BreakerRow] = folded(BREAKERS, history)
    expected = {
        (one.role, one.agent_type): (one.state, one.trips, one.until)
        for one in history.states.values()
        if isinstance(one, Breaker)
    }
    assert {key: (row.state, row.trips, row.until) for key, row in rows.items()} == expected
    closed = rows["execution", "CAD"]
    assert (closed.state, closed.opened, closed.failed) == ("closed", 1, 12)
    assert closed.reason == "all attempts failed"
