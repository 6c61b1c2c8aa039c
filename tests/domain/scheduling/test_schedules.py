"""Task graphs get schedules with agents as resources; each parallelization means something."""

from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.run_options import AGENTS, Parallelization, RunOptions
from domain.scheduling.critical_path import critical_path
from domain.scheduling.network import Activity
from domain.scheduling.schedules import Schedule, fits, schedule_of
from domain.tasks import Task
from tests.support.feasible import faults_of
from tests.support.graphs import acyclic
from tests.support.making import task

HOUR = 3_600


def wide(number: int, agent: str = "CAD") -> tuple[Task, ...]:
    """Return tasks of an hour each that need nothing of each other."""
    return tuple(task(f"t{each}", agent=agent) for each in range(number))


def faults(schedule: Schedule, tasks: tuple[Task, ...], agents: dict[str, int]) -> list[str]:
    """Return what is wrong with a schedule, by the checker that shares nothing with its maker."""
    types = sorted(agents)
    activities = [
        Activity(
            id=each.id,
            duration=each.duration.total_seconds(),
            needs=each.needs,
            demand=tuple(int(each.agent == name) for name in types),
        )
        for each in tasks
    ]
    return faults_of(activities, [agents[name] for name in types], schedule.starts)


@pytest.mark.parametrize(
    ("parallelization", "hours"), [("conservative", 10), ("balanced", 3), ("aggressive", 1)]
)
def test_ten_equal_tasks_take_as_long_as_there_are_few_agents(
    parallelization: Parallelization, hours: int
) -> None:
    schedule = schedule_of(wide(10), RunOptions(parallelization=parallelization))
    assert (schedule.makespan, schedule.bound) == (hours * HOUR, hours * HOUR)
    assert schedule.is_optimal
    most = AGENTS[parallelization]
    assert schedule.agents == ({} if most is None else {"CAD": most})


def test_agents_of_other_types_work_beside_each_other() -> None:
    tasks = (*wide(2), *(each.model_copy(update={"id": f"s{each.id}"}) for each in wide(2, "SIM")))
    schedule = schedule_of(tasks, RunOptions(parallelization="conservative"))
    assert schedule.makespan == 2 * HOUR


def test_a_limit_says_more_than_the_parallelization() -> None:
    options = RunOptions(parallelization="balanced", limits={"CAD": 5})
    schedule = schedule_of(wide(10), options)
    assert (schedule.makespan, schedule.agents) == (2 * HOUR, {"CAD": 5})


def test_what_is_sequential_is_one_task_after_the_other() -> None:
    tasks = (*wide(2), *(each.model_copy(update={"id": f"s{each.id}"}) for each in wide(2, "SIM")))
    options = RunOptions(execution_mode="sequential")
    assert schedule_of(tasks, options).makespan == 4 * HOUR


def test_where_agents_never_lack_the_critical_path_is_the_schedule() -> None:
    tasks = (task("a"), task("b", "a"), task("c", "a", duration=timedelta(minutes=7)))
    schedule = schedule_of(tasks, RunOptions(parallelization="balanced"))
    assert schedule.algorithm == "critical_path_method"
    assert schedule.starts == {"a": 0, "b": HOUR, "c": HOUR}
    assert (schedule.agents, schedule.gap, schedule.solver) == ({}, 0, None)


def test_where_they_lack_the_rules_make_it() -> None:
    schedule = schedule_of(wide(5), RunOptions(parallelization="conservative"))
    assert schedule.algorithm == "priority_rules"


@given(acyclic(most=9), st.sampled_from(["conservative", "balanced"]), st.integers(1, 3))
def test_a_schedule_can_be_carried_out_and_is_not_below_its_bound(
    tasks: tuple[Task, ...], parallelization: Parallelization, most: int
) -> None:
    kinds = count()
    tasks = tuple(each.model_copy(update={"agent": "AB"[next(kinds) % 2]}) for each in tasks)
    options = RunOptions(parallelization=parallelization, limits={"B": most})
    schedule = schedule_of(tasks, options)
    agents = {"A": AGENTS[parallelization] or 1, "B": most}
    assert not faults(schedule, tasks, agents)
    assert critical_path(tasks).makespan <= schedule.bound <= schedule.makespan
    assert fits(schedule, tasks, options)


@given(acyclic(most=6))
def test_a_shortened_or_shifted_schedule_does_not_fit(tasks: tuple[Task, ...]) -> None:
    options = RunOptions(parallelization="conservative")
    schedule = schedule_of(tasks, options)
    if not schedule.makespan:
        return
    squeezed = schedule.model_copy(update={"starts": dict.fromkeys(schedule.starts, 0.0)})
    assert fits(squeezed, tasks, options) == (not faults(squeezed, tasks, {"NOOP": 1}))
    shorter = schedule.model_copy(update={"makespan": schedule.makespan - 1, "bound": 0})
    assert not fits(shorter, tasks, options)
    lacking = schedule.model_copy(update={"starts": dict(list(schedule.starts.items())[1:])})
    assert not fits(lacking, tasks, options)
    boasting = schedule.model_copy(update={"bound": schedule.makespan + 1})
    assert not fits(boasting, tasks, options)


def test_more_tasks_at_once_than_agents_do_not_fit() -> None:
    at_once = Schedule(
        algorithm="constraint_programming",
        starts={"t0": 0, "t1": 0},
        makespan=HOUR,
        bound=HOUR,
    )
    assert fits(at_once, wide(2), RunOptions(limits={"CAD": 2}))
    assert not fits(at_once, wide(2), RunOptions(limits={"CAD": 1}))
    after = at_once.model_copy(update={"starts": {"t0": 0, "t1": HOUR}, "makespan": 2 * HOUR})
    assert fits(after, wide(2), RunOptions(limits={"CAD": 1}))
    needing = (task("t0", agent="CAD"), task("t1", "t0", agent="CAD"))
    assert not fits(at_once, needing, RunOptions(limits={"CAD": 2}))
    assert fits(after, needing, RunOptions(limits={"CAD": 2}))


def test_ten_thousand_tasks_are_scheduled_and_fit() -> None:
    tasks = tuple(
        task(f"t{n:05}", *([f"t{n - 50:05}"] if n >= 50 else []), agent="CAD")
        for n in range(10_000)
    )
    options = RunOptions(limits={"CAD": 16})
    schedule = schedule_of(tasks, options)
    assert fits(schedule, tasks, options)
    assert schedule.makespan == 625 * HOUR
