"""A gather rule decides when the synthesis begins, and what comes too late is kept."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given as given_
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.errors import CannotSteer
from domain.goals import Goal, Options
from domain.run import Run
from domain.run_decisions import advance
from domain.run_events import (
    GatherClosed,
    ReportIgnored,
    RunCompleted,
    RunEvent,
    RunFailed,
    RunReport,
    TaskDispatched,
    TaskFailed,
    TaskSkipped,
)
from domain.tasks import Gather
from domain.teams import DECOMPOSE, SYNTHESIZE, planning_tasks
from domain.values import JsonObject
from tests.support.making import (
    RUN_ID,
    after,
    completed,
    failed,
    requested,
    run_after,
    skip,
    started,
    task,
    timed_out,
    types,
)
from tests.support.scenario import NOW, given

GOAL = Goal(title="Build a rover")
DOMAINS = ("META", "CAD", "SIM")
SUB_GOALS: JsonObject = {"sub_goals": [{"domain": name, "title": name} for name in DOMAINS]}


def scattered(rule: str, **more: float) -> tuple[RunReport, RunReport]:
    options = Options(gather=Gather.model_validate({"rule": rule, **more}))
    planning = requested(*planning_tasks(GOAL, options), kind="planning")
    return planning, completed(DECOMPOSE, result=SUB_GOALS)


QUORUM = scattered("quorum", answers=2)
DEADLINE = scattered("deadline", seconds=5)


def final(task_id: str) -> TaskFailed:
    return failed(task_id, error_class="validation")


def test_without_a_rule_every_domain_is_waited_for_and_one_that_fails_ends_the_planning() -> None:
    past = after(*scattered("all"), completed("plan-cad"), completed("plan-sim"))
    given(*past).when(final("plan-meta")).then_types(
        "task.started", "task.failed", "task.skipped", "run.failed"
    )


def test_a_quorum_begins_the_synthesis_and_says_whom_it_does_without() -> None:
    past = after(*QUORUM, completed("plan-sim", result={"n": 1}), started("plan-cad"))
    (_, _, closed, skipped, synthesis) = (
        given(*past).when(completed("plan-meta", result={"n": 2})).events
    )
    assert closed == GatherClosed(
        run_id=RUN_ID,
        task_id=SYNTHESIZE,
        rule="quorum",
        answered=("plan-meta", "plan-sim"),
        missing=("plan-cad",),
    )
    assert isinstance(skipped, TaskSkipped)
    assert (skipped.task_id, skipped.was, skipped.rule) == ("plan-cad", "started", "quorum")
    assert isinstance(synthesis, TaskDispatched)
    assert synthesis.inputs == {"META": {"n": 2}, "SIM": {"n": 1}, "CAD": {}}


def test_an_answer_after_the_quorum_is_kept_and_changes_nothing() -> None:
    past = after(*QUORUM, completed("plan-sim"), started("plan-cad"), completed("plan-meta"))
    (late,) = given(*past).when(completed("plan-cad", result={"tasks": [7]})).events
    assert isinstance(late, ReportIgnored)
    assert late.result == {"tasks": [7]}
    assert late.reason == "the task is skipped already"


def test_an_answer_after_the_whole_planning_is_kept_as_well() -> None:
    past = after(
        *QUORUM,
        completed("plan-sim"),
        started("plan-cad"),
        completed("plan-meta"),
        completed(SYNTHESIZE, result={"tasks": []}),
    )
    assert isinstance(past[-1], RunCompleted)
    (late,) = given(*past).when(completed("plan-cad", result={"n": 3})).events
    assert isinstance(late, ReportIgnored)
    assert late.result == {"n": 3}


def test_a_late_report_elsewhere_keeps_no_result() -> None:
    past = after(requested(task("a"), task("b")), completed("a"))
    (late,) = given(*past).when(completed("a", agent_id="bob", result={"n": 1})).events
    assert isinstance(late, ReportIgnored)
    assert late.result == {}


def test_a_quorum_bears_failures_as_long_as_enough_can_answer() -> None:
    past = after(*QUORUM, started("plan-cad"))
    given(*past).when(final("plan-cad")).then_types("task.failed", "task.skipped")
    past = after(*QUORUM, final("plan-cad"), started("plan-sim"))
    given(*past).when(final("plan-sim")).then_types("task.failed", "task.skipped")
    past = after(*QUORUM, final("plan-cad"), final("plan-sim"), completed("plan-meta"))
    assert isinstance(past[-1], RunFailed)


def test_what_failed_before_the_quorum_is_named_as_missing() -> None:
    past = after(*QUORUM, final("plan-cad"), completed("plan-sim"), completed("plan-meta"))
    (closed,) = [event for event in past if isinstance(event, GatherClosed)]
    assert closed.missing == ("plan-cad",)
    assert types(past)[-1] == "task.dispatched"


def test_every_domain_has_the_same_deadline_and_it_stands_in_the_record() -> None:
    past = after(*DEADLINE)
    scatter = [
        event for event in past if isinstance(event, TaskDispatched) and event.task_id != DECOMPOSE
    ]
    ends = {event.deadlines.end_by for event in scatter if event.deadlines}
    assert (len(scatter), ends) == (3, {NOW + timedelta(seconds=5)})


def test_at_the_deadline_the_synthesis_begins_with_what_is_there() -> None:
    past = after(*DEADLINE, completed("plan-sim"), started("plan-cad"))
    given(*past).when(timed_out("plan-cad", "total", agent_id="ann")).then_types(
        "task.timed_out", "task.failed", "task.skipped"
    )
    past = after(
        *DEADLINE,
        completed("plan-sim"),
        started("plan-cad"),
        timed_out("plan-cad", "total", agent_id="ann"),
    )
    outcome = given(*past).when(timed_out("plan-meta", "total"))
    outcome.then_types(
        "task.timed_out", "task.failed", "task.skipped", "gather.closed", "task.dispatched"
    )
    assert isinstance(closed := outcome.events[3], GatherClosed)
    assert closed.missing == ("plan-cad", "plan-meta")


def test_nobody_waits_for_a_deadline_when_all_are_there() -> None:
    past = after(*DEADLINE, completed("plan-sim"), completed("plan-cad"), started("plan-meta"))
    given(*past).when(completed("plan-meta")).then_types("task.completed", "task.dispatched")


def test_a_deadline_at_which_nothing_is_there_fails_the_planning() -> None:
    past = after(*DEADLINE, *(timed_out(f"plan-{name.lower()}", "total") for name in DOMAINS))
    assert isinstance(end := past[-1], RunFailed)
    assert end.reason.startswith("task plan-sim failed: timed out")


def test_planning_that_did_without_a_domain_ends_well() -> None:
    past = after(*QUORUM, final("plan-cad"), completed("plan-sim"), completed("plan-meta"))
    (_, _, end) = given(*past).when(completed(SYNTHESIZE, result={"tasks": []})).events
    assert isinstance(end, RunCompleted)


def test_what_others_need_is_waited_for_whatever_a_gather_rule_says() -> None:
    graph = requested(
        task("a"),
        task("b"),
        task("some", inputs={"a": "a", "b": "b"}, gather={"rule": "quorum", "answers": 1}),
        task("both", "a", "b"),
    )
    past = after(graph, started("a"))
    given(*past).when(completed("a")).then_types("task.completed")
    past = after(graph, started("b"), completed("a"))
    given(*past).when(completed("b")).then_types(
        "task.completed", "task.dispatched", "task.dispatched"
    )


def test_a_person_may_skip_an_answer_that_a_rule_waits_for() -> None:
    run = run_after(*QUORUM, skip("plan-cad"), completed("plan-meta"))
    assert run.states[SYNTHESIZE].status == "pending"


@pytest.mark.parametrize(
    "gather",
    [{"rule": "deadline"}, {"rule": "all", "seconds": 1}, {"rule": "quorum", "answers": 0}],
)
def test_a_rule_without_its_bound_is_refused(gather: JsonObject) -> None:
    with pytest.raises(ValidationError):
        Gather.model_validate(gather)


def test_a_pipeline_has_nothing_to_gather() -> None:
    with pytest.raises(ValidationError, match="a pipeline needs every domain"):
        Options(planning="pipeline", gather=Gather(rule="quorum"))


ENDS = ("completed", "failed", "timed out", "skipped")


@settings(max_examples=150, deadline=None, derandomize=True)
@given_(
    rule=st.sampled_from(["quorum", "deadline"]),
    answers=st.integers(1, 4),
    ends=st.permutations(DOMAINS).flatmap(
        lambda names: st.tuples(*(st.tuples(st.just(n), st.sampled_from(ENDS)) for n in names))
    ),
)
def test_in_any_order_of_ends_the_synthesis_begins_once_or_the_planning_fails(
    rule: str, answers: int, ends: tuple[tuple[str, str], ...]
) -> None:
    more: dict[str, float] = {"seconds": 5} if rule == "deadline" else {}
    planning, decomposed = scattered(rule, answers=answers, **more)
    reports: list[RunReport] = [planning, decomposed]
    for name, end in ends:
        task_id = f"plan-{name.lower()}"
        match end:
            case "completed":
                reports.append(completed(task_id))
            case "timed out" if rule == "deadline":
                reports.append(timed_out(task_id, "total"))
            case "failed" | "timed out":
                reports.append(final(task_id))
            case _:
                reports.append(skip(task_id))
    past: list[RunEvent] = []
    run: Run | None = None
    for report in reports:
        with suppress(CannotSteer):
            events, run = advance(run, report, NOW)
            past += events
    assert run is not None
    began = [e for e in past if isinstance(e, TaskDispatched) and e.task_id == SYNTHESIZE]
    assert len(began) == (run.status != "failed")
    assert all(state.waits_for >= 0 for _, state in run.states.items())
    closed = [event for event in past if isinstance(event, GatherClosed)]
    assert len(closed) <= 1
    if began:
        assert set(began[0].inputs) == set(DOMAINS)
        assert run.states[SYNTHESIZE].status == "dispatched"
        _, run = advance(run, completed(SYNTHESIZE), NOW)
        assert run is not None
        assert run.status == "completed"
    else:
        assert run.open == 0
