"""The rules of a run, one sentence each."""

from datetime import timedelta

import pytest

from domain.errors import (
    AlreadyExists,
    EmptyGraph,
    EpochFromTheFuture,
    UnknownRun,
    UnknownTask,
)
from domain.run_events import (
    ReportIgnored,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
    TaskCancelled,
    TaskDispatched,
    TaskFailed,
    TaskReport,
    TaskSkipped,
)
from domain.steering import RunCancelRequested, RunCheckpointed
from domain.tasks import JITTERED, RetryPolicy
from tests.support.making import (
    PLAN_ID,
    RUN_ID,
    after,
    completed,
    failed,
    lost,
    requested,
    started,
    task,
)
from tests.support.scenario import NOW, given

CHAIN = requested(task("a"), task("b", "a"))
PAIR = requested(task("a"), task("b"))
DIAMOND = requested(task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c"))


def dispatched(task_id: str, epoch: int = 1, **changes: object) -> TaskDispatched:
    known: dict[str, object] = {
        "run_id": RUN_ID,
        "plan_id": PLAN_ID,
        "task_id": task_id,
        "epoch": epoch,
        "agent": "NOOP",
        "role": "execution",
        "lane": "normal",
        "name": f"Task {task_id}",
        "action": "work",
        "params": {},
        "inputs": {},
    }
    return TaskDispatched.model_validate(known | changes)


def run_completed() -> RunCompleted:
    return RunCompleted(run_id=RUN_ID, plan_id=PLAN_ID, kind="execution", result={})


def run_failed(reason: str) -> RunFailed:
    return RunFailed(run_id=RUN_ID, plan_id=PLAN_ID, kind="execution", reason=reason)


def skipped(task_id: str, because: str) -> TaskSkipped:
    return TaskSkipped(run_id=RUN_ID, task_id=task_id, because=because)


def ignored(report: TaskReport, reason: str) -> ReportIgnored:
    return ReportIgnored(
        run_id=RUN_ID,
        task_id=report.task_id,
        epoch=report.epoch,
        agent_id=report.agent_id or "unknown",
        report=report.type,
        reason=reason,
    )


def test_a_run_begins_by_dispatching_its_roots_the_most_urgent_first() -> None:
    run = requested(task("z"), task("m", "z"), task("a", params={"k": 1}), priority="critical")
    begun = RunStarted(
        run_id=RUN_ID,
        plan_id=PLAN_ID,
        kind="execution",
        revision=0,
        priority="critical",
        tasks=run.tasks,
    )
    given().when(run).then(
        begun,
        dispatched("z", lane="critical"),
        dispatched("a", lane="critical", params={"k": 1}),
    )


def test_a_run_asked_for_again_is_the_same_run() -> None:
    given(*after(CHAIN)).when(CHAIN).then()


def test_a_run_asked_for_with_another_plan_is_refused() -> None:
    other = CHAIN.model_copy(update={"plan_id": "plan_2"})
    given(*after(CHAIN)).when(other).then_refused(AlreadyExists, RUN_ID)


def test_a_run_without_tasks_is_refused() -> None:
    given().when(requested()).then_refused(EmptyGraph)


@pytest.mark.parametrize(
    "report", [started("a"), completed("a"), failed("a"), lost("a")], ids=lambda r: r.type
)
def test_nothing_can_be_said_of_a_run_that_never_began(report: TaskReport) -> None:
    given().when(report).then_refused(UnknownRun, RUN_ID)


def test_a_run_that_never_began_cannot_be_cancelled() -> None:
    given().when(RunCancelRequested(run_id=RUN_ID)).then_refused(UnknownRun)


def test_a_task_that_the_run_does_not_have_is_refused() -> None:
    given(*after(CHAIN)).when(started("x")).then_refused(UnknownTask, RUN_ID, "x")


@pytest.mark.proves("S-12c")
def test_an_attempt_that_was_never_dispatched_is_refused() -> None:
    given(*after(CHAIN)).when(completed("a", 2)).then_refused(EpochFromTheFuture, "epoch 1", "2")
    given(*after(CHAIN)).when(completed("b", 1)).then_refused(EpochFromTheFuture, "epoch 0")


def test_an_agent_starts_a_task() -> None:
    given(*after(CHAIN)).when(started("a")).then(started("a"))


def test_a_result_frees_the_tasks_that_waited_for_it_alone() -> None:
    past = after(DIAMOND, started("a"))
    given(*past).when(completed("a")).then(completed("a"), dispatched("b"), dispatched("c"))
    past = after(DIAMOND, completed("a"), started("b"))
    given(*past).when(completed("b")).then(completed("b"))


def test_the_last_result_completes_the_run() -> None:
    past = after(CHAIN, completed("a"), started("b"))
    given(*past).when(completed("b")).then(completed("b"), run_completed())


def test_a_result_that_overtook_its_start_tells_the_start_as_well() -> None:
    past = after(PAIR)
    given(*past).when(completed("a")).then(started("a"), completed("a"))
    given(*past).when(failed("a", error_class="business")).then(
        started("a"), failed("a", error_class="business")
    )


def test_a_start_that_comes_after_its_result_changes_nothing() -> None:
    given(*after(PAIR, completed("a"))).when(started("a")).then()
    given(*after(PAIR, failed("a"))).when(started("a")).then()


@pytest.mark.parametrize(
    "report", [started("a"), completed("a"), failed("a"), lost("a")], ids=lambda r: r.type
)
def test_what_is_said_again_changes_nothing(report: TaskReport) -> None:
    before = (started("a"),) if report.type != "task.started" else ()
    given(*after(PAIR, *before, report)).when(report).then()


def test_a_task_receives_the_results_it_asked_for_by_its_own_names() -> None:
    run = requested(
        task("a"),
        task("b"),
        task("c", inputs={"left": "a", "right": "b"}),
        task("d", "c", inputs={"old": "a"}),
    )
    past = after(run, completed("a", result={"n": 1}), started("b"))
    given(*past).when(completed("b", result={"n": 2})).then(
        completed("b", result={"n": 2}),
        dispatched("c", inputs={"left": {"n": 1}, "right": {"n": 2}}),
    )
    past = after(run, completed("a", result={"n": 1}), completed("b"), started("c"))
    given(*past).when(completed("c")).then(
        completed("c"), dispatched("d", inputs={"old": {"n": 1}})
    )


@pytest.mark.parametrize(("failures", "delay"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16)])
def test_a_transient_failure_is_tried_again_after_a_growing_pause(
    failures: int, delay: int
) -> None:
    run = requested(task("a", retry={"attempts": 6}))
    past = after(run, *(failed("a", epoch) for epoch in range(1, failures)))
    wait = RetryPolicy().delay_after(failures, attempt=f"{RUN_ID}/a/{failures}")
    assert wait in (delay, JITTERED[delay])
    given(*past).when(failed("a", failures)).then(
        started("a", failures),
        failed("a", failures, retry_in=wait),
        dispatched("a", failures + 1, delay=wait),
    )


def test_the_last_allowed_attempt_fails_the_task() -> None:
    run = requested(task("a", retry={"attempts": 2}))
    past = after(run, failed("a"), started("a", 2))
    given(*past).when(failed("a", 2)).then(failed("a", 2), run_failed("task a failed: it broke"))


@pytest.mark.parametrize("error_class", ["validation", "business", "critical"])
def test_a_failure_that_repeating_cannot_help_is_not_repeated(error_class: str) -> None:
    report = failed("a").model_copy(update={"error_class": error_class})
    past = after(PAIR, started("a"))
    given(*past).when(report).then(report)


def test_what_needs_a_failed_task_is_skipped_and_the_rest_goes_on() -> None:
    run = requested(task("a"), task("b", "a"), task("c", "b"), task("z"), task("y", "z", "c"))
    past = after(run, started("a"))
    report = failed("a", error_class="business")
    given(*past).when(report).then(report, skipped("b", "a"), skipped("c", "a"), skipped("y", "a"))
    past = after(run, started("a"), report, started("z"))
    given(*past).when(completed("z")).then(completed("z"), run_failed("tasks failed: a"))


def test_a_task_is_skipped_once_however_many_of_its_needs_fail() -> None:
    run = requested(task("a"), task("b"), task("c", "a", "b"))
    past = after(run, failed("a", error_class="business"), started("b"))
    report = failed("b", error_class="business")
    given(*past).when(report).then(report, run_failed("task b failed: it broke"))


def test_a_lost_attempt_is_dispatched_again_at_once() -> None:
    past = after(PAIR, started("a"))
    given(*past).when(lost("a")).then(lost("a"), dispatched("a", 2))


def test_losses_do_not_count_as_failures() -> None:
    run = requested(task("a", retry={"attempts": 2, "lost": 3}))
    past = after(run, started("a"), lost("a"), started("a", 2), lost("a", 2), started("a", 3))
    wait = RetryPolicy().delay_after(1, attempt=f"{RUN_ID}/a/3")
    given(*past).when(failed("a", 3)).then(
        failed("a", 3, retry_in=wait), dispatched("a", 4, delay=wait)
    )


def test_a_task_that_costs_too_many_agents_fails() -> None:
    run = requested(task("a", retry={"lost": 1}))
    past = after(run, started("a"), lost("a"), started("a", 2))
    reason = "2 agents were lost with it"
    critical = TaskFailed(
        run_id=RUN_ID,
        task_id="a",
        epoch=2,
        agent_id="ann",
        error_class="critical",
        reason=reason,
    )
    given(*past).when(lost("a", 2)).then(
        lost("a", 2), critical, run_failed(f"task a failed: {reason}")
    )


@pytest.mark.proves("S-12c")
@pytest.mark.parametrize(
    "late",
    [started("a", 1, "bob"), completed("a"), failed("a", 1, "bob"), lost("a", 1, "bob")],
    ids=lambda r: r.type,
)
def test_a_report_of_an_attempt_that_is_over_is_noted_and_changes_nothing(
    late: TaskReport,
) -> None:
    past = after(PAIR, started("a"), lost("a"))
    given(*past).when(late).then(ignored(late, "epoch 1 is over, the task is at epoch 2"))


@pytest.mark.proves("S-12c")
@pytest.mark.parametrize(
    "foreign",
    [
        started("a", 1, "bob"),
        completed("a", 1, "bob"),
        failed("a", 1, "bob"),
        lost("a", 1, "bob"),
    ],
    ids=lambda r: r.type,
)
def test_only_the_agent_that_holds_a_task_is_believed(foreign: TaskReport) -> None:
    given(*after(PAIR, started("a"))).when(foreign).then(ignored(foreign, "epoch 1 belongs to ann"))


def test_an_attempt_that_nobody_started_cannot_be_lost() -> None:
    given(*after(PAIR)).when(lost("a")).then(ignored(lost("a"), "no agent had started the attempt"))


def test_a_second_end_of_a_task_changes_nothing() -> None:
    past = after(PAIR, completed("a"))
    given(*past).when(completed("a", 1, "bob")).then(
        ignored(completed("a", 1, "bob"), "the task is completed already")
    )
    given(*past).when(failed("a")).then(ignored(failed("a"), "the task is completed already"))


def test_a_cancelled_run_cancels_what_has_not_ended() -> None:
    past = after(DIAMOND, completed("a"), started("b"))
    given(*past).when(RunCancelRequested(run_id=RUN_ID, reason="enough")).then(
        RunCheckpointed(run_id=RUN_ID, checkpoint="checkpoint_001", at=NOW, completed=1),
        TaskCancelled(run_id=RUN_ID, task_id="b", epoch=1, agent_id="ann"),
        TaskCancelled(run_id=RUN_ID, task_id="c", epoch=1),
        TaskCancelled(run_id=RUN_ID, task_id="d", epoch=0),
        RunCancelled(run_id=RUN_ID, plan_id=PLAN_ID, kind="execution", reason="enough"),
    )


def test_a_run_that_is_over_is_not_cancelled() -> None:
    stop = RunCancelRequested(run_id=RUN_ID)
    given(*after(PAIR, stop)).when(stop).then()
    given(*after(PAIR, completed("a"), completed("b"))).when(stop).then()


def test_a_result_after_the_cancellation_is_noted_and_changes_nothing() -> None:
    past = after(PAIR, started("a"), RunCancelRequested(run_id=RUN_ID))
    given(*past).when(completed("a")).then(ignored(completed("a"), "the task is cancelled already"))


def test_the_reason_of_a_failed_run_fits_into_an_event() -> None:
    report = failed("a", error_class="critical", reason="x" * 4_000)
    events = given(*after(requested(task("a")))).when(report).events
    assert isinstance(events[-1], RunFailed)
    assert len(events[-1].reason) == 4_000


def test_a_long_estimate_is_no_deadline() -> None:
    run = requested(task("a", duration=timedelta(days=3650)))
    given().when(run).then_types("run.started", "task.dispatched")
