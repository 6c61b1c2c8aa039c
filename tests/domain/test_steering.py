"""How a person steers a run, one sentence each."""

from datetime import timedelta

import pytest

from domain.errors import CannotSteer, UnknownCheckpoint, UnknownRun, UnknownTask
from domain.run_decisions import decide
from domain.run_events import (
    ReportIgnored,
    RunCancelled,
    RunReport,
    TaskCancelled,
    TaskStopped,
)
from domain.run_evolution import MOST_CHECKPOINTS, evolve
from domain.steering import (
    RunCheckpointed,
    SteeringReport,
)
from domain.teams import DECOMPOSE
from tests.support.making import (
    PLAN_ID,
    RUN_ID,
    after,
    cancel,
    completed,
    failed,
    lost,
    pause,
    requested,
    resume,
    retry,
    roll_back,
    run_after,
    skip,
    started,
    task,
)
from tests.support.scenario import NOW, given
from tests.support.steered import (
    CHAIN,
    DIAMOND,
    FAILED_A,
    PAIR,
    checkpointed,
    paused,
    resumed,
    rolled_back,
    types_after,
)


def test_a_pause_marks_a_checkpoint() -> None:
    past = after(CHAIN, completed("a"))
    given(*past).when(pause("lunch")).then(checkpointed(done=1), paused(reason="lunch"))


@pytest.mark.parametrize(
    ("past", "wish", "opposite"),
    [
        ([CHAIN], pause(), resume()),
        ([CHAIN, pause()], resume(), pause()),
        ([CHAIN, pause()], cancel(), roll_back()),
        ([CHAIN, pause(), resume()], roll_back(), resume()),
        ([CHAIN, pause(), resume(), FAILED_A], retry("a"), roll_back()),
        ([CHAIN, pause(), resume()], skip("a"), roll_back()),
    ],
)
def test_a_wish_is_granted_once_even_after_its_opposite(
    past: list[RunReport], wish: SteeringReport, opposite: SteeringReport
) -> None:
    named = wish.model_copy(update={"request": "w"})
    given(*after(*past)).when(wish).then_some()
    given(*after(*past, named, opposite)).when(named).then()


def test_a_paused_run_holds_what_becomes_ready() -> None:
    past = after(DIAMOND, started("a"), pause())
    given(*past).when(completed("a")).then(completed("a"))


def test_a_paused_run_holds_retries_and_lost_attempts() -> None:
    past = after(PAIR, started("a"), started("b"), pause())
    given(*past).when(failed("a")).then_types("task.failed")
    given(*past).when(lost("b")).then(lost("b"))


def test_what_agents_have_in_hand_ends_while_the_run_is_paused() -> None:
    past = after(PAIR, started("a"), pause(), completed("a"), started("b"))
    given(*past).when(completed("b")).then_types("task.completed", "run.completed")


def test_a_resumed_run_dispatches_in_the_order_in_which_tasks_became_ready() -> None:
    run = requested(task("z"), task("y"), task("b", "z"), task("a", "y"))
    past = after(run, started("z"), started("y"), pause(), completed("z"), completed("y"))
    events = given(*past).when(resume()).events
    assert [event.type for event in events] == ["run.resumed", *["task.dispatched"] * 2]
    assert [getattr(event, "task_id", None) for event in events] == [None, "b", "a"]


def test_a_resumed_run_says_from_which_checkpoint_it_goes_on() -> None:
    past = after(CHAIN, pause(), resume(), pause())
    given(*past).when(resume()).then(resumed("checkpoint_002"))


def test_a_retry_that_waited_for_the_resumption_keeps_its_delay() -> None:
    past = after(requested(task("a")), started("a"), pause(), failed("a"))
    dispatched = given(*past).when(resume()).events[-1]
    assert (dispatched.type, getattr(dispatched, "epoch", 0)) == ("task.dispatched", 2)
    assert getattr(dispatched, "delay", 0) in (1, 2)


def test_a_cancellation_names_the_agent_that_has_an_attempt_and_can_be_undone() -> None:
    past = after(CHAIN, completed("a"), started("b"))
    given(*past).when(cancel("enough")).then(
        checkpointed(done=1),
        TaskCancelled(run_id=RUN_ID, task_id="b", epoch=1, agent_id="ann"),
        TaskCancelled(run_id=RUN_ID, task_id="c", epoch=0),
        RunCancelled(run_id=RUN_ID, plan_id=PLAN_ID, kind="execution", reason="enough"),
    )
    past = after(CHAIN, completed("a"), started("b"), cancel())
    given(*past).when(roll_back()).then(rolled_back("b", "c", stay=1))
    assert types_after(CHAIN, completed("a"), cancel(), roll_back(), resume()) == [
        "run.resumed",
        "task.dispatched",
    ]


def test_an_agent_lets_go_of_a_cancelled_attempt_once() -> None:
    stopped = TaskStopped(run_id=RUN_ID, task_id="a", epoch=1, agent_id="ann")
    past = after(CHAIN, started("a"), cancel())
    given(*past).when(stopped).then(stopped)
    given(*past, stopped).when(stopped).then()
    given(*after(CHAIN, started("a"))).when(stopped).then()


def test_a_rollback_undoes_what_was_completed_after_the_checkpoint_and_nothing_else() -> None:
    past = after(CHAIN, completed("a"), pause(), resume(), completed("b"), started("c"))
    given(*past).when(roll_back()).then(rolled_back("b", "c", stay=1))
    assert types_after(
        CHAIN, completed("a"), pause(), resume(), completed("b"), roll_back(), resume()
    ) == ["run.resumed", "task.dispatched"]


def test_an_attempt_that_was_rolled_back_is_not_believed_any_more() -> None:
    past = after(CHAIN, pause(), resume(), started("a"), roll_back())
    late = completed("a")
    given(*past).when(late).then(
        ReportIgnored(
            run_id=RUN_ID,
            task_id="a",
            epoch=1,
            agent_id="ann",
            report="task.completed",
            reason="epoch 1 is over, the task waits for its next attempt",
        )
    )


def test_what_is_done_again_has_a_new_epoch() -> None:
    run = run_after(CHAIN, pause(), resume(), completed("a"), roll_back(), resume())
    assert (run.states["a"].epoch, run.states["b"].epoch) == (2, 1)


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ((completed("b"), completed("c")), "completed"),
        ((failed("b", error_class="business"),), "failed"),
        ((cancel(),), "cancelled"),
    ],
    ids=["completed", "failed", "cancelled"],
)
def test_a_run_that_has_ended_can_be_rolled_back_and_goes_on(
    end: tuple[RunReport, ...], status: str
) -> None:
    story = (CHAIN, completed("a"), pause(), resume(), *end)
    assert run_after(*story).status == status
    given(*after(*story)).when(roll_back()).then(rolled_back("b", "c", stay=1))
    run = run_after(*story, roll_back(), resume())
    assert (run.status, run.open, run.unhappy) == ("running", 2, 0)
    epoch = run.states["b"].epoch
    run = run_after(
        *story,
        roll_back(),
        resume(),
        completed("b", epoch),
        completed("c", run.states["c"].epoch + 1),
    )
    assert run.status == "completed"


def test_checkpoints_after_the_one_that_was_rolled_back_to_vanish_and_their_numbers_too() -> None:
    story = (CHAIN, pause(), resume(), completed("a"), pause(), roll_back())
    given(*after(*story)).when(roll_back("checkpoint_002")).then_refused(
        UnknownCheckpoint, "checkpoint_002", "it has checkpoint_001"
    )
    run = run_after(*story, resume(), pause())
    assert [each.id for each in run.checkpoints] == ["checkpoint_001", "checkpoint_003"]
    assert [each.completed for each in run.checkpoints] == [0, 0]


def test_only_the_latest_checkpoints_are_kept() -> None:
    story = [each for _ in range(MOST_CHECKPOINTS + 1) for each in (pause(), resume())]
    run = run_after(CHAIN, *story)
    assert len(run.checkpoints) == MOST_CHECKPOINTS
    assert run.checkpoints[0].id == "checkpoint_002"
    given(*after(CHAIN, *story)).when(roll_back()).then_refused(UnknownCheckpoint)


def test_a_run_without_that_checkpoint_is_not_rolled_back() -> None:
    given(*after(CHAIN)).when(roll_back()).then_refused(UnknownCheckpoint, "none: pause it first")


def test_a_planning_run_is_not_rolled_back() -> None:
    planning = requested(task(DECOMPOSE), kind="planning")
    given(*after(planning, pause())).when(roll_back()).then_refused(CannotSteer, "grows")


def test_a_planning_run_that_is_over_is_not_reopened() -> None:
    planning = requested(task("a"), task("b", "a"), kind="planning")
    past = after(planning, FAILED_A)
    given(*past).when(retry("a")).then_refused(CannotSteer, "plan the goal anew")
    given(*past).when(skip("a")).then_refused(CannotSteer, "plan the goal anew")


@pytest.mark.parametrize(
    "story",
    [
        (pause(), pause()),
        (pause(), resume(), resume()),
        (cancel(), cancel()),
        (pause(), completed("a"), roll_back(), roll_back()),
        (FAILED_A, retry("a"), retry("a")),
        (skip("a"), skip("a")),
    ],
    ids=["pause", "resume", "cancel", "rollback", "retry", "skip"],
)
def test_a_request_that_is_repeated_changes_nothing(story: tuple[RunReport, ...]) -> None:
    assert types_after(CHAIN, *story) == []


def test_a_run_that_is_over_is_neither_paused_nor_resumed() -> None:
    past = after(requested(task("a")), completed("a"))
    given(*past).when(pause()).then_refused(CannotSteer, "completed")
    given(*past).when(resume()).then_refused(CannotSteer, "roll it back")


def test_a_run_or_task_that_does_not_exist_cannot_be_steered() -> None:
    for report in (pause(), resume(), cancel(), roll_back(), retry("a"), skip("a")):
        given().when(report).then_refused(UnknownRun, RUN_ID)
    given(*after(CHAIN)).when(retry("x")).then_refused(UnknownTask, "x")
    given(*after(CHAIN)).when(skip("x")).then_refused(UnknownTask, "x")


def test_checkpoints_are_marked_as_often_as_was_asked_for() -> None:
    run = run_after(
        requested(
            *(task(f"t{number}") for number in range(6)), options={"checkpoint_interval": "PT60S"}
        )
    )
    marked: list[int] = []
    for number in range(6):
        now = NOW + timedelta(seconds=25 * number)
        for event in decide(run, completed(f"t{number}"), now):
            run = evolve(run, event)
            if isinstance(event, RunCheckpointed):
                marked.append(number)
    assert marked == [0, 3]
