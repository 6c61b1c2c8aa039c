"""What a person makes of tasks that did not end well: another try, or none."""

from domain.errors import CannotSteer
from tests.support.making import (
    after,
    cancel,
    completed,
    failed,
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
from tests.support.scenario import given
from tests.support.steered import (
    CHAIN,
    FAILED_A,
    PAIR,
    reopened,
    resumed,
    rolled_back,
    waived,
)


def test_a_retry_reopens_a_failed_task_and_what_was_skipped_for_it_alone() -> None:
    run = requested(task("a"), task("x"), task("b", "a"), task("c", "b"), task("d", "a", "x"))
    both = after(run, FAILED_A, failed("x", error_class="business"))
    given(*both).when(retry("a")).then_types("task.reopened", "run.resumed", "task.dispatched")
    assert given(*both).when(retry("a")).events[0] == reopened("a", "a", "b", "c", failed=1)
    past = after(run, FAILED_A, failed("x", error_class="business"), retry("a"))
    assert given(*past).when(retry("x")).events[0] == reopened("x", "d", "x", failed=1)


def test_a_retried_task_has_all_its_attempts_again() -> None:
    run = requested(task("a", retry={"attempts": 1}))
    state = run_after(run, failed("a"), retry("a")).states["a"]
    assert (state.epoch, state.failures, state.losses) == (2, 0, 0)


def test_a_failed_run_goes_on_when_a_task_of_it_is_tried_again() -> None:
    past = after(CHAIN, FAILED_A)
    events = given(*past).when(retry("a")).events
    assert events[:2] == [reopened("a", "a", "b", "c", failed=1), resumed(None)]


def test_a_paused_run_stays_paused_when_a_task_is_reopened() -> None:
    past = after(PAIR, FAILED_A, pause())
    given(*past).when(retry("a")).then(reopened("a", "a", failed=1))


def test_a_task_is_not_tried_again_before_what_it_needs() -> None:
    past = after(CHAIN, FAILED_A)
    given(*past).when(retry("b")).then_refused(CannotSteer, "needs a, which is failed")


def test_what_ended_well_or_is_on_its_way_is_not_tried_again() -> None:
    given(*after(PAIR, completed("a"))).when(retry("a")).then_refused(CannotSteer, "roll back")
    given(*after(PAIR)).when(retry("a")).then()
    given(*after(PAIR, cancel())).when(retry("a")).then_refused(CannotSteer, "is cancelled")


def test_a_run_that_failed_fast_goes_on_with_all_that_was_cancelled() -> None:
    run = requested(task("a"), task("b"), task("c", "b"), options={"failure_strategy": "fail_fast"})
    past = after(run, started("b"), FAILED_A)
    assert given(*past).when(retry("a")).events[:2] == [
        reopened("a", "a", "b", "c", failed=1, cancelled=2),
        resumed(None),
    ]
    assert given(*past).when(skip("a")).events[:3] == [
        reopened("a", "b", "c", cancelled=2),
        resumed(None),
        waived("a", "failed"),
    ]
    given(*past).when(retry("b")).then_refused(CannotSteer, "another one failed")
    given(*past).when(skip("c")).then_refused(CannotSteer, "another one failed")


def test_what_needs_a_skipped_task_goes_on_without_its_result() -> None:
    run = requested(task("a"), task("b", inputs={"plan": "a"}))
    events = given(*after(run)).when(skip("a", "known")).events
    assert events[0] == waived("a", "dispatched", "known")
    assert [event.type for event in events] == ["task.skipped", "task.dispatched"]
    assert getattr(events[1], "inputs", None) == {"plan": {}}


def test_a_failed_run_completes_when_what_failed_is_skipped() -> None:
    past = after(requested(task("a")), FAILED_A)
    given(*past).when(skip("a")).then_types("task.skipped", "run.resumed", "run.completed")
    past = after(CHAIN, FAILED_A)
    given(*past).when(skip("a")).then_types(
        "task.reopened", "run.resumed", "task.skipped", "task.dispatched"
    )


def test_a_task_that_waits_for_others_can_be_skipped_before_them() -> None:
    events = given(*after(CHAIN)).when(skip("b")).events
    assert events[0] == waived("b", "pending")
    assert [getattr(event, "task_id", None) for event in events[1:]] == ["c"]


def test_the_failure_of_a_need_does_not_touch_a_skipped_task_nor_what_follows_it() -> None:
    past = after(CHAIN, skip("b"), started("a"))
    given(*past).when(FAILED_A).then(FAILED_A)
    run = run_after(CHAIN, skip("b"), FAILED_A, completed("c"))
    assert run.status == "failed"


def test_a_skipped_attempt_is_not_believed_any_more() -> None:
    past = after(PAIR, started("a"), skip("a"))
    given(*past).when(completed("a")).then_types("report.ignored")


def test_a_completed_task_or_one_of_a_cancelled_run_is_not_skipped() -> None:
    given(*after(PAIR, completed("a"))).when(skip("a")).then_refused(CannotSteer, "completed")
    given(*after(PAIR, cancel())).when(skip("a")).then_refused(CannotSteer, "roll it back")


def test_a_rollback_keeps_what_a_person_skipped_before() -> None:
    past = after(CHAIN, skip("a"), pause(), resume(), completed("b"))
    given(*past).when(roll_back()).then(rolled_back("b", "c", skipped=1))
