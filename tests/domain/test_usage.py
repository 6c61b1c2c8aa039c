"""What models cost is told with every end of an attempt, and a budget is never handed out twice."""

from domain.goals import Goal, Options
from domain.run_events import (
    ReportIgnored,
    RunEvent,
    RunReport,
    RunRequested,
    TaskCompleted,
    TaskDispatched,
    TaskFailed,
    TaskStopped,
)
from domain.teams import planning_tasks
from domain.usage import MOST_CALLS, Budget, ModelCall, Spending, told
from tests.support.making import (
    RUN_ID,
    after,
    completed,
    failed,
    lost,
    requested,
    retry,
    run_after,
    started,
    task,
    timed_out,
)

CALL = ModelCall(
    provider="openai", model="m", outcome="answered", input_tokens=60, output_tokens=40, cost=0.25
)
BUDGET = Budget(tokens=1_000, cost=2.0)
RICH = requested(task("a", budget=BUDGET))


def with_calls(report: RunReport, *calls: ModelCall) -> RunReport:
    return report.model_copy(update={"calls": calls or (CALL,)})


def budgets(events: tuple[RunEvent, ...], task_id: str = "a") -> list[Budget | None]:
    return [
        event.budget
        for event in events
        if isinstance(event, TaskDispatched) and event.task_id == task_id
    ]


def test_the_first_attempt_is_handed_the_whole_budget() -> None:
    assert budgets(after(RICH)) == [BUDGET]


def test_a_task_without_a_budget_is_handed_none_and_is_accounted_all_the_same() -> None:
    events = after(requested(task("a")), started("a"), with_calls(completed("a")))
    assert budgets(events) == [None]
    assert [each.calls for each in events if isinstance(each, TaskCompleted)] == [(CALL,)]


def test_the_next_attempt_is_handed_what_the_failed_one_has_left() -> None:
    events = after(RICH, started("a"), with_calls(failed("a"), CALL, CALL))
    assert [each.calls for each in events if isinstance(each, TaskFailed)] == [(CALL, CALL)]
    assert budgets(events)[1:] == [Budget(tokens=800, cost=1.5)]


def test_an_attempt_that_ends_untold_counts_as_all_that_it_was_handed() -> None:
    nothing = Budget(tokens=0, cost=0.0)
    assert budgets(after(RICH, started("a"), lost("a")))[1:] == [nothing]
    slow = requested(task("a", budget=BUDGET, timeouts={"run": 1}))
    assert budgets(after(slow, started("a"), timed_out("a", "run", 1, "ann")))[1:] == [nothing]


def test_doubts_count_as_spent() -> None:
    doubtful = ModelCall(
        provider="p", model="m", outcome="failed", doubt_tokens=300, doubt_cost=0.5
    )
    events = after(RICH, started("a"), with_calls(failed("a"), doubtful))
    assert budgets(events)[1:] == [Budget(tokens=700, cost=1.5)]


def test_what_a_person_tries_again_has_spent_what_it_has_spent() -> None:
    final = with_calls(failed("a", error_class="business"))
    events = after(RICH, started("a"), final, retry("a"))
    assert budgets(events)[1:] == [Budget(tokens=900, cost=1.75)]


def test_a_result_that_cannot_be_used_has_cost_what_it_has_cost() -> None:
    planning = RunRequested(
        run_id=RUN_ID, kind="planning", tasks=planning_tasks(Goal(title="g"), Options())
    )
    useless = with_calls(completed("decompose", result={"sub_goals": "none"}))
    events = after(planning, started("decompose"), useless)
    assert [each.calls for each in events if isinstance(each, TaskFailed)] == [(CALL,)]
    assert not [each for each in events if isinstance(each, TaskCompleted)]


def test_costs_of_an_attempt_that_nobody_waits_for_are_recorded_once() -> None:
    late = with_calls(failed("a"))
    events = after(RICH, started("a"), lost("a"), late, late)
    assert [each.calls for each in events if isinstance(each, ReportIgnored)] == [(CALL,)]
    stopped = TaskStopped(run_id=RUN_ID, task_id="a", epoch=1, agent_id="ann", calls=(CALL,))
    events = after(RICH, started("a"), lost("a"), stopped, stopped)
    assert [each.calls for each in events if isinstance(each, ReportIgnored)] == [(CALL,)]


def test_without_costs_such_reports_are_passed_over_as_before() -> None:
    stopped = TaskStopped(run_id=RUN_ID, task_id="a", epoch=1, agent_id="ann")
    before = after(RICH, started("a"), lost("a"))
    assert after(RICH, started("a"), lost("a"), stopped, failed("a")) == before


def test_a_late_success_of_a_task_without_a_budget_adds_its_costs() -> None:
    late = with_calls(completed("a"))
    run = run_after(requested(task("a")), started("a"), lost("a"), late)
    assert run.states["a"].spent == Spending(tokens=100, cost=0.25)


def test_the_planners_share_what_the_decomposition_has_left() -> None:
    options = Options(model_budget=BUDGET)
    planning = RunRequested(
        run_id=RUN_ID, kind="planning", tasks=planning_tasks(Goal(title="g"), options)
    )
    wanted = [{"domain": name, "title": "t"} for name in ("META", "CAD", "SIM")]
    divided = with_calls(completed("decompose", result={"sub_goals": wanted}))
    events = after(planning, started("decompose"), divided)
    shares = {event.task_id: event.budget for event in events if isinstance(event, TaskDispatched)}
    assert shares.pop("decompose") == BUDGET
    assert set(shares) == {"plan-meta", "plan-cad", "plan-sim"}
    assert all(share == Budget(tokens=300, cost=1.75 / 3) for share in shares.values())


def test_messages_say_nothing_of_calls_where_there_are_none() -> None:
    for event in after(requested(task("a")), started("a"), completed("a")):
        assert not {"calls", "budget"} & event.model_dump(mode="json").keys()
    assert "planner" not in Options().model_dump(mode="json")


def test_many_calls_are_added_up_so_that_a_report_stays_small() -> None:
    calls = told([CALL] * (MOST_CALLS + 1))
    assert [(each.count, each.input_tokens, each.cost) for each in calls] == [
        (MOST_CALLS + 1, 60 * (MOST_CALLS + 1), 0.25 * (MOST_CALLS + 1))
    ]
    assert Spending().plus(calls) == Spending(tokens=100 * 101, cost=0.25 * 101)
