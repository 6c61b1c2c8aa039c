"""What follows when something takes too long, or when nobody knows what became of it."""

from datetime import timedelta
from functools import reduce

import pytest

from domain.run import NOBODY, Run
from domain.run_decisions import decide
from domain.run_events import (
    Deadlines,
    RunEvent,
    RunReport,
    TaskDispatched,
    TaskFailed,
    TaskStarted,
)
from domain.run_evolution import evolve
from domain.tasks import Task
from tests.support.making import (
    after,
    completed,
    failed,
    lost,
    pause,
    requested,
    resume,
    retry,
    run_after,
    skip,
    started,
    task,
    timed_out,
)
from tests.support.scenario import NOW, given

SLOW = task("a", timeouts={"start": 10, "run": 60, "total": 300})
EXTERNAL = task("a", effect="external", timeouts={"run": 60, "total": 300})


def later(*story: tuple[float, RunReport]) -> tuple[Run, list[RunEvent]]:
    """Return the run after reports at so many seconds, and the events of the last one."""
    run: Run | None = None
    events: list[RunEvent] = []
    for seconds, report in story:
        events = list(decide(run, report, NOW + timedelta(seconds=seconds)))
        run = reduce(evolve, events, run)
    assert run is not None
    return run, events


def dispatched(events: list[RunEvent]) -> list[TaskDispatched]:
    return [event for event in events if isinstance(event, TaskDispatched)]


def failure(*past: RunReport) -> TaskFailed:
    """Return the failure that the last of some reports led to."""
    (failure,) = [
        event
        for event in given(*after(*past[:-1])).when(past[-1]).events
        if isinstance(event, TaskFailed)
    ]
    return failure


def test_an_attempt_says_until_when_it_has_to_have_come_how_far() -> None:
    _, events = later((0, requested(SLOW)))
    assert dispatched(events)[0].deadlines == Deadlines(
        start_by=NOW + timedelta(seconds=10), end_by=NOW + timedelta(seconds=300), run_seconds=60
    )
    _, events = later((0, requested(SLOW)), (4, started("a")))
    assert [getattr(event, "run_by", None) for event in events] == [NOW + timedelta(seconds=64)]


def test_a_task_without_timeouts_has_no_deadlines() -> None:
    _, events = later((0, requested(task("a"))))
    assert dispatched(events)[0].deadlines is None


def test_the_next_attempt_has_the_same_end_and_a_start_that_counts_from_its_delay() -> None:
    _, events = later((0, requested(SLOW)), (100, failed("a")))
    (again,) = dispatched(events)
    assert again.deadlines is not None
    assert again.deadlines.end_by == NOW + timedelta(seconds=300)
    assert again.deadlines.start_by == NOW + timedelta(seconds=110 + again.delay)


@pytest.mark.parametrize("timeout", ["start", "run"])
def test_an_attempt_that_takes_too_long_has_failed_and_is_tried_again(timeout: str) -> None:
    holder = "ann" if timeout == "run" else None
    begun = (started("a"),) if holder else ()
    report = timed_out("a", "run" if holder else "start", agent_id=holder)
    given(*after(requested(SLOW), *begun)).when(report).then_types(
        "task.timed_out", "task.failed", "task.dispatched"
    )
    failed = failure(requested(SLOW), *begun, report)
    assert (failed.agent_id, failed.error_class) == (holder or NOBODY, "transient")
    assert failed.retry_in in (1, 2)


def test_the_reason_of_a_failure_names_the_timeout() -> None:
    said = failure(requested(SLOW), started("a"), timed_out("a", "run", agent_id="ann")).reason
    assert said == "timed out: the attempt took more than 60 s"


def test_a_task_that_takes_too_long_in_all_fails_for_good() -> None:
    past = after(requested(SLOW), started("a"))
    given(*past).when(timed_out("a", "total", agent_id="ann")).then_types(
        "task.timed_out", "task.failed", "run.failed"
    )
    assert failure(requested(SLOW), timed_out("a", "total")).retry_in is None


def test_an_attempt_that_could_not_end_in_time_is_not_dispatched() -> None:
    run, events = later((0, requested(SLOW)), (299.5, failed("a")))
    assert [event.type for event in events] == ["task.started", "task.failed", "run.failed"]
    assert run.status == "failed"
    _, events = later((0, requested(SLOW)), (290, failed("a")))
    assert events[-1].type == "task.dispatched"


def test_a_timeout_that_strikes_after_the_end_of_its_attempt_changes_nothing() -> None:
    run = requested(SLOW, task("b"))
    for story in ((completed("a"),), (failed("a"),), (started("a"), lost("a")), (skip("a"),)):
        given(*after(run, *story)).when(timed_out("a", "start")).then()
        given(*after(run, *story)).when(timed_out("a", "run", agent_id="ann")).then()


def test_a_start_timeout_that_strikes_after_the_start_changes_nothing() -> None:
    given(*after(requested(SLOW), started("a"))).when(timed_out("a", "start")).then()


def test_a_timeout_that_the_task_does_not_have_changes_nothing() -> None:
    given(*after(requested(task("a")))).when(timed_out("a", "total")).then()


def test_the_timeouts_of_a_task_that_is_tried_again_by_a_person_begin_anew() -> None:
    _, events = later(
        (0, requested(SLOW)), (1, failed("a", error_class="business")), (1_000, retry("a"))
    )
    (again,) = dispatched(events)
    assert again.deadlines is not None
    assert again.deadlines.end_by == NOW + timedelta(seconds=1_300)


def test_an_attempt_in_hand_can_time_out_while_its_run_is_paused() -> None:
    story = (requested(SLOW), started("a"), pause())
    given(*after(*story)).when(timed_out("a", "run", agent_id="ann")).then_types(
        "task.timed_out", "task.failed"
    )


WITH_FALLBACK = task("a", fallback="SPARE", retry={"attempts": 2}, timeouts={"start": 10})


def test_a_task_that_nobody_starts_goes_to_the_fallback_at_once() -> None:
    _, events = later((0, requested(WITH_FALLBACK)), (10, timed_out("a", "start")))
    (again,) = dispatched(events)
    assert (again.agent, again.delay, again.epoch) == ("SPARE", 0, 2)


def test_a_fallback_has_as_many_attempts_of_its_own() -> None:
    story: list[RunReport] = [requested(WITH_FALLBACK)]
    agents: list[str] = []
    for epoch in range(1, 5):
        agents.append(run_after(*story).agent_type_of("a"))
        story.append(failed("a", epoch))
    assert agents == ["NOOP", "NOOP", "SPARE", "SPARE"]
    assert run_after(*story).status == "failed"


def test_a_task_that_the_fallback_does_not_start_either_is_tried_again_as_usual() -> None:
    story = (requested(WITH_FALLBACK), timed_out("a", "start"), timed_out("a", "start", 2))
    run = run_after(*story)
    assert (run.status, run.agent_type_of("a"), run.states["a"].epoch) == ("running", "SPARE", 3)


def test_a_task_that_is_reopened_goes_back_to_its_own_type() -> None:
    story = (
        requested(WITH_FALLBACK),
        timed_out("a", "start"),
        failed("a", 2, error_class="business"),
    )
    assert run_after(*story).agent_type_of("a") == "SPARE"
    assert run_after(*story, retry("a")).agent_type_of("a") == "NOOP"


def test_a_final_failure_does_not_go_to_the_fallback() -> None:
    story = (requested(WITH_FALLBACK), failed("a", error_class="business"))
    assert run_after(*story).status == "failed"


def test_the_recorded_start_of_an_external_effect_is_a_claim() -> None:
    (begun,) = given(*after(requested(EXTERNAL))).when(started("a")).events
    assert isinstance(begun, TaskStarted)
    assert begun.is_claim
    (begun,) = given(*after(requested(task("a")))).when(started("a")).events
    assert isinstance(begun, TaskStarted)
    assert not begun.is_claim


UNKNOWN: list[RunReport] = [
    lost("a"),
    timed_out("a", "run", agent_id="ann"),
    timed_out("a", "total", agent_id="ann"),
]


@pytest.mark.parametrize("report", UNKNOWN, ids=["lost", "run", "total"])
def test_an_effect_whose_outcome_is_unknown_is_not_tried_again(report: RunReport) -> None:
    failed = failure(requested(EXTERNAL), started("a"), report)
    assert (failed.retry_in, failed.error_class) == (None, "critical")
    assert "whether its effect happened is unknown" in failed.reason
    assert "retry or skip" in failed.reason


@pytest.mark.parametrize("report", UNKNOWN[:2], ids=["lost", "run"])
def test_an_effect_with_a_key_is_tried_again(report: RunReport) -> None:
    keyed = Task.model_validate(EXTERNAL.model_dump() | {"retry": {"unknown": "with_key"}})
    run = run_after(requested(keyed), started("a"), report)
    assert (run.states["a"].status, run.states["a"].epoch) == ("dispatched", 2)


def test_an_effect_that_was_not_claimed_did_not_happen_and_is_tried_again() -> None:
    external = task("a", effect="external", timeouts={"start": 10})
    run = run_after(requested(external), timed_out("a", "start"))
    assert (run.states["a"].status, run.states["a"].epoch) == ("dispatched", 2)


def test_an_agent_that_says_how_its_effect_failed_is_believed() -> None:
    run = run_after(requested(EXTERNAL), started("a"), failed("a"))
    assert run.states["a"].status == "dispatched"


def test_a_person_decides_about_an_effect_whose_outcome_is_unknown() -> None:
    story = (requested(EXTERNAL, task("b", "a")), started("a"), lost("a"))
    assert run_after(*story).status == "failed"
    again = run_after(*story, retry("a"))
    assert (again.states["a"].status, again.states["a"].epoch) == ("dispatched", 2)
    assert run_after(*story, skip("a"), completed("b")).status == "completed"


def test_the_end_of_a_task_is_not_moved_by_a_pause() -> None:
    _, events = later(
        (0, requested(SLOW)), (1, pause()), (2, started("a")), (3, lost("a")), (200, resume())
    )
    (again,) = dispatched(events)
    assert again.deadlines is not None
    assert again.deadlines.end_by == NOW + timedelta(seconds=300)
