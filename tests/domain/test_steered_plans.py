"""What becomes of a plan whose run is steered."""

from domain.goals import Goal, Options
from domain.plan import GoalSubmitted, PlanCancelRequested
from domain.run_events import (
    RunReport,
)
from tests.support.histories import History
from tests.support.making import (
    PLAN_ID,
    cancel,
    completed,
    resume,
    retry,
    roll_back,
    task,
)
from tests.support.steered import (
    FAILED_A,
)

FIRST_RUN = "exec_1-1"


def a_running_plan() -> History:
    history = History()
    history.say(
        GoalSubmitted(
            plan_id=PLAN_ID,
            goal=Goal(title="Build a rover"),
            options=Options(auto_execute=True, enable_replanning=False),
            tasks=(task("a"), task("b", "a")),
        )
    )
    return history


def say(history: History, report: RunReport) -> list[str]:
    """Say something of the plan's run, and return what followed from it."""
    told = history.say(report.model_copy(update={"run_id": FIRST_RUN}))
    return [recorded.event.type for recorded in told]


def test_a_failed_plan_starts_again_when_its_run_is_resumed() -> None:
    history = a_running_plan()
    assert say(history, FAILED_A)[-1] == "plan.failed"
    assert say(history, retry("a")) == [
        "task.reopened",
        "run.resumed",
        "task.dispatched",
        "plan.started",
    ]
    say(history, completed("a", 2))
    assert say(history, completed("b"))[-2:] == ["run.completed", "plan.completed"]
    assert history.states[PLAN_ID].runs == (FIRST_RUN,)


def test_a_failed_plan_waits_for_the_resumption_of_a_run_that_was_rolled_back() -> None:
    history = a_running_plan()
    say(history, cancel())
    assert say(history, roll_back()) == ["run.rolled_back"]
    assert history.states[PLAN_ID].status == "failed"
    assert say(history, resume()) == ["run.resumed", "task.dispatched", "plan.started"]


def test_the_run_of_a_cancelled_plan_does_not_come_back() -> None:
    history = a_running_plan()
    history.say(PlanCancelRequested(plan_id=PLAN_ID))
    say(history, roll_back())
    assert say(history, resume())[-1] == "run.cancelled"
    assert history.states[PLAN_ID].status == "cancelled"
