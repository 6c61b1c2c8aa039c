"""Another graph for a run that is alive: who asks for it, who decides, and what stays."""

from collections.abc import Sequence
from functools import reduce
from typing import cast

import pytest

from domain import plan as plans
from domain.goals import Goal, Options
from domain.graph import check
from domain.plan import GoalSubmitted, Plan, PlanCancelled, PlanEvent, PlanReady, PlanStarted
from domain.plan_decisions import decide
from domain.policies import react
from domain.replanning import replanning_tasks
from domain.revisions import (
    GraphRevised,
    PlanReplanning,
    PlanReplanRefused,
    PlanReplanRequested,
    PlanUpdated,
    ReplanningGivenUp,
)
from domain.run import MOST_REPLANS, Run
from domain.run_events import ReplanRefused, ReplanRequested, RunCompleted, RunEvent, RunRevised
from domain.run_evolution import evolve
from domain.run_options import RunOptions
from domain.steering import RunReplanRequested
from domain.tasks import Task
from domain.values import JsonObject
from tests.support.making import (
    PLAN_ID,
    RUN_ID,
    after,
    completed,
    failed,
    requested,
    started,
    task,
)
from tests.support.scenario import NOW, given

REPLAN = RunOptions(failure_strategy="replan")
GRAPH = (task("a"), task("b", "a"), task("c", "b"), task("d"))
CHAIN = requested(*GRAPH, options=REPLAN)
TRIED = after(CHAIN, completed("a"), started("b"), started("d"))
BROKEN = after(
    CHAIN,
    completed("a"),
    started("b"),
    started("d"),
    failed("b", error_class="business", reason="too weak"),
)


def updated(*tasks: Task, revision: int = 2) -> PlanUpdated:
    return PlanUpdated(
        plan_id=PLAN_ID,
        run_id=RUN_ID,
        revision=revision,
        tasks=tasks,
        added=(),
        removed=(),
        modified=(),
        reason="too weak",
        delay=0,
        cost=0,
    )


def refused(reason: str = "no other way") -> PlanReplanRefused:
    return PlanReplanRefused(plan_id=PLAN_ID, run_id=RUN_ID, revision=1, reason=reason)


def folded(*events: RunEvent) -> Run:
    run = reduce(evolve, events, None)
    assert run is not None
    return run


def types(events: Sequence[RunEvent]) -> list[str]:
    return [event.type for event in events]


def test_a_task_that_fails_for_good_asks_for_another_graph_and_nothing_is_given_up() -> None:
    events = given(*TRIED).when(failed("b", error_class="business", reason="too weak")).events
    assert types(events) == ["task.failed", "replan.requested"]
    asked = events[-1]
    assert isinstance(asked, ReplanRequested)
    assert (asked.task_id, asked.met, asked.affected) == ("b", ("a",), 2)


def test_a_run_that_waits_for_another_graph_does_not_end_with_its_last_task() -> None:
    given(*BROKEN).when(completed("d")).then_types("task.completed")


def test_the_run_goes_on_with_the_graph_it_is_given_and_keeps_what_is_done() -> None:
    new = (GRAPH[0], task("b", "a", agent="SPARE"), GRAPH[2], GRAPH[3])
    events = given(*BROKEN).when(updated(*new)).events
    assert types(events) == ["run.revised", "task.dispatched"]
    revised = events[0]
    assert isinstance(revised, RunRevised)
    assert ([each.id for each in revised.modified], revised.was) == (["b"], {"b": "failed"})
    run = folded(*BROKEN, *events)
    assert run.states["a"].status == "completed"
    assert (run.states["b"].epoch, run.agent_type_of("b")) == (2, "SPARE")


def test_tasks_are_added_and_removed_while_the_run_goes_on() -> None:
    new = (GRAPH[0], task("e", "a"), task("c", "e"), GRAPH[3])
    events = given(*BROKEN).when(updated(*new)).events
    revised = events[0]
    assert isinstance(revised, RunRevised)
    assert ([each.id for each in revised.added], revised.removed) == (["e"], ("b",))
    past = (*BROKEN, *events)
    events = given(*past).when(completed("e")).events
    assert types(events) == ["task.started", "task.completed", "task.dispatched"]


def test_what_is_said_of_a_removed_task_is_recorded_and_changes_nothing() -> None:
    past = after(CHAIN, started("d"), completed("a"), failed("b", error_class="business"))
    past = (*past, *given(*past).when(updated(*GRAPH[:3])).events)
    events = given(*past).when(completed("d")).events
    assert types(events) == ["report.ignored"]
    assert "without the task" in getattr(events[0], "reason", "")


def test_what_was_completed_meanwhile_is_not_done_again_for_another_graph() -> None:
    past = (*BROKEN, *given(*BROKEN).when(completed("d")).events)
    new = (*GRAPH[:3], task("d", agent="SPARE"))
    run = folded(*past, *given(*past).when(updated(*new)).events)
    assert run.states["d"].status == "completed"
    assert run.tasks["d"] == GRAPH[3]


def test_a_graph_that_comes_twice_is_taken_once() -> None:
    new = updated(GRAPH[0], task("b", "a", agent="SPARE"), *GRAPH[2:])
    past = (*BROKEN, *given(*BROKEN).when(new).events)
    given(*past).when(new).then()


def test_without_another_graph_the_run_ends_as_it_would_have() -> None:
    past = (*BROKEN, *given(*BROKEN).when(completed("d")).events)
    events = given(*past).when(refused()).events
    assert types(events) == ["replan.refused", "task.skipped", "run.failed"]
    assert events[0] == ReplanRefused(run_id=RUN_ID, plan_id=PLAN_ID, reason="no other way")


def test_a_graph_that_asks_for_what_nobody_has_kept_is_not_taken() -> None:
    wish = RunReplanRequested(run_id=RUN_ID, reason="otherwise", request="w")
    past = after(requested(*GRAPH), completed("a"), wish)  # by its strategy nothing is kept
    new = (*GRAPH, task("e", inputs={"size": "a"}))
    events = given(*past).when(updated(*new)).events
    assert types(events) == ["replan.refused"]
    assert "asks for results that nobody has kept: a" in getattr(events[0], "reason", "")
    kept = after(CHAIN, completed("a"), wish)
    assert types(given(*kept).when(updated(*new)).events) == ["run.revised", "task.dispatched"]


def test_a_run_that_fails_fast_does_so_when_there_is_no_other_graph() -> None:
    hasty = requested(*GRAPH, options=RunOptions(failure_strategy="fail_fast"))
    wish = RunReplanRequested(run_id=RUN_ID, reason="otherwise", request="w")
    past = after(hasty, started("a"), wish, failed("a", error_class="business"))
    events = given(*past).when(refused()).events
    assert types(events)[0] == "replan.refused"
    assert types(events)[-1] == "run.failed"
    assert set(types(events)[1:-1]) == {"task.cancelled"}


def test_a_run_asks_so_often_and_then_gives_up() -> None:
    run = requested(task("a"), options=REPLAN)
    past: tuple[RunEvent, ...] = tuple(after(run))
    for number in range(1, MOST_REPLANS + 1):
        broken = failed("a", number, error_class="business")
        past = (*past, *given(*past).when(broken).events)
        new = updated(task("a", params={"try": number}), revision=number + 1)
        past = (*past, *given(*past).when(new).events)
    events = given(*past).when(failed("a", MOST_REPLANS + 1, error_class="business")).events
    assert types(events)[-2:] == ["task.failed", "run.failed"]


def test_agents_that_are_missed_are_reason_enough_where_the_strategy_says_so() -> None:
    missed = RunReplanRequested(run_id=RUN_ID, agent_type="NOOP", is_automatic=True, reason="gone")
    events = given(*after(CHAIN)).when(missed).events
    assert types(events) == ["replan.requested"]
    assert getattr(events[0], "affected", 0) == 4
    given(*after(requested(*GRAPH))).when(missed).then()


def test_a_person_may_ask_whatever_the_strategy_and_once() -> None:
    wish = RunReplanRequested(run_id=RUN_ID, reason="the customer wants it otherwise", request="w")
    past = after(requested(*GRAPH))
    events = given(*past).when(wish).events
    assert types(events) == ["replan.requested"]
    given(*past, *events).when(wish).then()


# -- what the plan decides -------------------------------------------------------

SUBMITTED = GoalSubmitted(
    plan_id=PLAN_ID, goal=Goal(title="Build a rover"), options=Options(), tasks=GRAPH
)
PLANNING = "exec_1-replan-1"


def plan_after(*events: PlanEvent) -> Plan:
    plan = reduce(plans.evolve, events, None)
    assert plan is not None
    return plan


def running() -> tuple[PlanEvent, ...]:
    created = decide(None, SUBMITTED, NOW)
    return (*created, PlanStarted(plan_id=PLAN_ID, run_id=RUN_ID))


def asked(**changes: object) -> tuple[PlanEvent, ...]:
    known: dict[str, object] = {
        "run_id": RUN_ID, "plan_id": PLAN_ID, "task_id": "b", "reason": "too weak", "met": ("a",),
    }  # fmt: skip
    report = ReplanRequested.model_validate(known | changes)
    return (*running(), *decide(plan_after(*running()), report, NOW))


def answer(past: Sequence[PlanEvent], *tasks: Task) -> PlanEvent:
    report = GraphRevised(plan_id=PLAN_ID, run_id=PLANNING, tasks=tasks, notes=("by hand",))
    (event,) = decide(plan_after(*past), report, NOW)
    return event


def test_the_plan_asks_its_planners_once() -> None:
    past = asked()
    assert isinstance(past[-1], PlanReplanning)
    assert past[-1].planning_run == PLANNING
    plan = plan_after(*past)
    again = ReplanRequested(run_id=RUN_ID, plan_id=PLAN_ID, task_id="b", reason="too weak")
    assert decide(plan, again, NOW) == []


@pytest.mark.parametrize("status", ["another run", "cancelled"])
def test_a_run_that_the_plan_does_not_follow_any_more_has_its_answer_too(status: str) -> None:
    past = running()
    if status == "cancelled":
        past = (*past, PlanCancelled(plan_id=PLAN_ID, reason="no", runs=(RUN_ID,)))
    else:
        past = (*past, PlanStarted(plan_id=PLAN_ID, run_id="exec_1-2"))
    late = ReplanRequested(run_id=RUN_ID, plan_id=PLAN_ID, task_id="b", reason="too weak")
    (event,) = decide(plan_after(*past), late, NOW)
    assert isinstance(event, PlanReplanRefused)
    assert "not carried out by this run any more" in event.reason


def test_a_cancelled_plan_takes_no_graph_any_more() -> None:
    plan = plan_after(*asked(), PlanCancelled(plan_id=PLAN_ID, reason="no", runs=(RUN_ID,)))
    new = GraphRevised(plan_id=PLAN_ID, run_id=PLANNING, tasks=GRAPH[:2])
    assert decide(plan, new, NOW) == []


def test_a_graph_for_a_plan_that_was_begun_meanwhile_comes_too_late() -> None:
    ready = decide(None, SUBMITTED, NOW)
    wish = PlanReplanRequested(plan_id=PLAN_ID, reason="too dear")
    past = (*ready, *decide(plan_after(*ready), wish, NOW))
    begun = (*past, PlanStarted(plan_id=PLAN_ID, run_id=RUN_ID))
    event = answer(begun, *GRAPH[:2])
    assert isinstance(event, PlanReplanRefused)
    assert "carried out already" in event.reason
    assert plan_after(*begun, event).replanning is None
    assert isinstance(answer(past, *GRAPH[:2]), PlanUpdated)


def test_another_graph_is_the_plans_next_revision_with_what_it_changes() -> None:
    changed_b = task("b", "a", agent="SPARE", duration=7_200, cost=50)
    event = answer(asked(), GRAPH[0], changed_b, GRAPH[2], task("e", "c"))
    assert isinstance(event, PlanUpdated)
    assert (event.revision, event.added, event.removed) == (2, ("e",), ("d",))
    assert (event.modified, event.cost, event.notes) == (("b",), 50, ("by hand",))
    assert event.delay == 2 * 3_600  # b takes an hour longer, and e comes after
    assert event.schedule is not None
    assert plan_after(*asked(), event).tasks == event.tasks


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        (GRAPH, "no other way"),
        ((task("a", cost=1), *GRAPH[1:]), "what is done has to stay"),
        ((GRAPH[0], task("b", "z"), *GRAPH[2:]), "cannot be run"),
    ],
)
def test_a_graph_that_is_no_answer_is_refused_with_its_reason(
    tasks: tuple[Task, ...], words: str
) -> None:
    event = answer(asked(), *tasks)
    assert isinstance(event, PlanReplanRefused)
    assert words in event.reason
    assert plan_after(*asked(), event).tasks == GRAPH


def test_a_graph_that_takes_too_long_is_refused_with_the_numbers() -> None:
    slow = (GRAPH[0], task("b", "a", agent="SPARE", duration=10_800), *GRAPH[2:])
    event = answer(asked(max_delay=3_600), *slow)
    assert isinstance(event, PlanReplanRefused)
    assert (event.delay, event.max_delay) == (7_200, 3_600)
    assert "2:00:00 longer; 1:00:00 are allowed" in event.reason
    assert isinstance(answer(asked(max_delay=7_200), *slow), PlanUpdated)


def test_planners_that_give_up_leave_the_plan_as_it_is() -> None:
    gone = ReplanningGivenUp(plan_id=PLAN_ID, run_id=PLANNING, reason="nobody is there")
    (event,) = decide(plan_after(*asked()), gone, NOW)
    assert event == PlanReplanRefused(
        plan_id=PLAN_ID, run_id=RUN_ID, revision=1, reason="nobody is there"
    )


def test_the_run_hears_what_the_plan_has_decided() -> None:
    (reaction,) = react(answer(asked(), GRAPH[0], task("b", "a", agent="SPARE"), *GRAPH[2:]))
    assert (reaction.stream, reaction.body.type) == (RUN_ID, "plan.updated")
    result = RunCompleted(
        run_id=PLANNING, plan_id=PLAN_ID, kind="replanning", result={"tasks": "nonsense"}
    )
    (reaction,) = react(result)
    assert isinstance(reaction.body, ReplanningGivenUp)


def test_the_domains_concerned_propose_before_the_plan_is_revised() -> None:
    ready = PlanReplanning.model_validate(
        asked()[-1].model_dump()
        | {
            "has_own_graph": False,
            "tasks": [task("a"), task("b", "a", agent="SIM"), task("c", agent="CAD")],
        }
    )
    tasks = replanning_tasks(ready, {"CAD": None, "NOOP": ["work"]})
    assert [each.id for each in tasks] == ["replan-sim", "revise"]
    assert tasks[-1].inputs == {"SIM": "replan-sim"}
    own = ready.model_copy(update={"has_own_graph": True})
    assert [each.id for each in replanning_tasks(own, {})] == ["revise"]


def test_a_plan_of_a_thousand_tasks_can_be_planned_anew() -> None:
    graph = [task("t0000")] + [
        task(f"t{number:04}", f"t{number - 1:04}").model_copy(
            update={"origin": "CAD: iterative design", "cost": 1.5, "params": {"part": "arm"}}
        )
        for number in range(1, 1_000)
    ]
    ready = asked()[-1].model_copy(update={"tasks": tuple(graph)})
    assert isinstance(ready, PlanReplanning)
    tasks = replanning_tasks(ready, {"NOOP": None})
    check(tasks)
    question = cast(JsonObject, tasks[-1].params["replan"])
    assert [
        Task.model_validate(each) for each in cast("list[JsonObject]", question["tasks"])
    ] == graph


def test_a_graph_of_the_users_own_is_changed_only_where_it_is_asked_for() -> None:
    ready = next(event for event in running() if isinstance(event, PlanReady))
    assert ready.run.failure_strategy == "retry"
