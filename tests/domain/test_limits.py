"""How much of a run is under way at a time, and who comes next."""

from collections.abc import Sequence
from functools import reduce
from random import Random

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from domain.run import IN_FLIGHT, Run
from domain.run_decisions import decide
from domain.run_events import RunEvent, TaskDispatched, TaskReport
from domain.run_evolution import evolve
from domain.run_options import MOST_AT_ONCE, RunOptions
from domain.tasks import Task
from tests.support.graphs import acyclic
from tests.support.making import completed, failed, lost, requested, run_after, started, task
from tests.support.scenario import NOW


def dispatched(events: Sequence[RunEvent]) -> list[str]:
    return [event.task_id for event in events if isinstance(event, TaskDispatched)]


def order_of(*tasks: Task, **options: object) -> list[str]:
    """Return the order in which a run dispatches its tasks when the oldest always ends first."""
    events = decide(None, requested(*tasks, options=options), NOW)
    run = reduce(evolve, events, None)
    assert run is not None
    waiting, order = dispatched(events), dispatched(events)
    while waiting:
        events = decide(run, completed(waiting.pop(0)), NOW)
        run = reduce(evolve, events, run)
        waiting += dispatched(events)
        order += dispatched(events)
    assert run.status == "completed"
    return order


def under_way(run: Run) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, state in run.states.items():
        if state.status in IN_FLIGHT:
            counts[run.agent_type_of(name)] = counts.get(run.agent_type_of(name), 0) + 1
    return counts


def test_a_run_without_limits_dispatches_all_that_is_ready() -> None:
    run = run_after(requested(*(task(f"t{number}") for number in range(50))))
    assert under_way(run) == {"NOOP": 50}


def test_a_sequential_run_does_one_task_after_the_other_whatever_their_agents() -> None:
    run = requested(
        task("a"), task("b", agent="CAD"), task("c"), options={"execution_mode": "sequential"}
    )
    assert under_way(run_after(run)) == {"NOOP": 1}
    assert under_way(run_after(run, completed("a"))) == {"CAD": 1}
    assert under_way(run_after(run, completed("a"), completed("b"))) == {"NOOP": 1}


def test_a_sequential_run_has_one_line_for_agents_of_all_types() -> None:
    order = order_of(
        task("a", agent="ZZZ"),
        task("b", agent="AAA"),
        task("c", "a", agent="AAA"),
        task("d", agent="ZZZ"),
        execution_mode="sequential",
    )
    assert order == ["a", "b", "d", "c"]


def test_a_conservative_run_has_one_task_of_each_agent_type_under_way() -> None:
    run = requested(
        task("a"),
        task("b"),
        task("c", agent="CAD"),
        task("d", agent="CAD"),
        options={"parallelization": "conservative"},
    )
    assert under_way(run_after(run)) == {"NOOP": 1, "CAD": 1}
    assert under_way(run_after(run, started("a"))) == {"NOOP": 1, "CAD": 1}
    assert run_after(run, completed("a")).states["b"].status == "dispatched"


def test_a_limit_says_more_than_the_parallelization() -> None:
    options = RunOptions(parallelization="conservative", limits={"CAD": 3})
    assert (options.most_at_once("CAD"), options.most_at_once("SIM")) == (3, 1)
    tasks = [task(f"t{number}", agent="CAD") for number in range(5)]
    assert under_way(run_after(requested(*tasks, options=options))) == {"CAD": 3}


def test_an_aggressive_run_has_no_limit_and_a_balanced_one_a_high_one() -> None:
    assert MOST_AT_ONCE["aggressive"] is None
    assert MOST_AT_ONCE["balanced"] == 1_000


@pytest.mark.parametrize(
    "end",
    [completed("a"), failed("a", error_class="business"), failed("a"), lost("a")],
    ids=["completed", "failed", "tried again", "lost"],
)
def test_whatever_ends_an_attempt_makes_room_for_the_next_in_line(end: TaskReport) -> None:
    run = requested(task("a"), task("b"), options={"limits": {"NOOP": 1}})
    after = run_after(run, started("a"), end)
    assert (after.states["b"].status, under_way(after)) == ("dispatched", {"NOOP": 1})


def test_equally_urgent_tasks_are_dispatched_in_the_order_in_which_they_became_ready() -> None:
    roots = (task("z"), task("y"), task("x"))
    order = order_of(*roots, task("a", "z"), task("b", "y"), task("c", "x"), limits={"NOOP": 1})
    assert order == ["x", "y", "z", "c", "b", "a"]


def test_of_ready_tasks_the_one_that_can_slip_least_is_dispatched_first() -> None:
    order = order_of(
        task("a", duration="PT1H"),
        task("b", duration="PT1H"),
        task("c", "b", duration="PT9H"),
        task("d", duration="PT5H"),
        limits={"NOOP": 1},
    )
    assert order == ["b", "c", "d", "a"]


def test_urgency_does_not_hold_up_other_types_of_agents() -> None:
    run = run_after(
        requested(
            task("a"), task("b", "a"), task("s", agent="SIM"), options={"limits": {"NOOP": 1}}
        )
    )
    assert {name for name, state in run.states.items() if state.status == "dispatched"} == {
        "a",
        "s",
    }


def test_an_urgent_task_that_keeps_failing_starves_nobody() -> None:
    run = requested(task("a"), task("z", "a"), task("b"), options={"limits": {"NOOP": 1}})
    story: list[TaskReport] = []
    while (states := run_after(run, *story).states)["b"].status == "pending":
        assert states["a"].failures < 4
        story.append(failed("a", states["a"].epoch))
    assert len(story) > 1


def test_a_task_that_keeps_failing_does_not_starve_the_others() -> None:
    story: list[TaskReport] = []
    run = requested(task("a"), task("b"), task("c"), options={"limits": {"NOOP": 1}})
    story.append(failed("a"))
    assert run_after(run, *story).states["b"].status == "dispatched"
    story.append(failed("b"))
    assert run_after(run, *story).states["c"].status == "dispatched"
    story.append(completed("c"))
    assert run_after(run, *story).states["a"].epoch == 2


def test_a_task_that_goes_to_a_fallback_waits_in_its_line() -> None:
    run = requested(
        task("a", fallback="SPARE", retry={"attempts": 1}),
        task("s", agent="SPARE"),
        options={"limits": {"SPARE": 1}},
    )
    assert run_after(run, failed("a")).states["a"].status == "pending"
    assert run_after(run, failed("a"), completed("s")).states["a"].status == "dispatched"


LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "execution_mode": st.sampled_from(["parallel", "sequential"]),
        "parallelization": st.sampled_from(["conservative", "balanced", "aggressive"]),
        "limits": st.dictionaries(st.sampled_from(["CAD", "SIM"]), st.integers(1, 2)),
    },
)


@settings(max_examples=100, deadline=None)
@drawn(st.randoms(use_true_random=False), acyclic(), LIMITS)
def test_no_run_exceeds_its_limits_nor_idles_while_something_is_ready(
    chance: Random, tasks: tuple[Task, ...], options: dict[str, object]
) -> None:
    tasks = tuple(
        Task.model_validate(each.model_dump() | {"agent": chance.choice(["CAD", "SIM"])})
        for each in tasks
    )
    run = run_after(requested(*tasks, options=options))
    while run.status == "running":
        counts = under_way(run)
        assert counts, "the run idles"
        if run.options.execution_mode == "sequential":
            assert sum(counts.values()) == 1
        for agent_type, count in counts.items():
            most = run.options.most_at_once(agent_type)
            assert most is None or count <= most
        for name, state in run.states.items():
            assert not (state.is_ready and run.has_room(run.line_of(name))), f"{name} is held"
        held = sorted(name for name, state in run.states.items() if state.status in IN_FLIGHT)
        name = chance.choice(held)
        epoch = run.states[name].epoch
        report = failed(name, epoch) if chance.random() < 0.2 else completed(name, epoch)
        run = reduce(evolve, decide(run, report, NOW), run)
