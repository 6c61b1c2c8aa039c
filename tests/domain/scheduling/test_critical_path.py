"""The critical path method against every path there is."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given

from domain.errors import CyclicGraph
from domain.scheduling.critical_path import critical_path
from domain.tasks import Task
from tests.support.graphs import acyclic
from tests.support.making import task


def timed(task_id: str, seconds: float, *needs: str) -> Task:
    return task(task_id, *needs, duration=timedelta(seconds=seconds))


def paths(tasks: Sequence[Task]) -> list[list[Task]]:
    """Return every path through a graph, from any task on, by brute force."""
    by_need = {each.id: [f for f in tasks if each.id in f.needs] for each in tasks}
    found: list[list[Task]] = []
    waiting = [[each] for each in tasks]
    while waiting:
        path = waiting.pop()
        found.append(path)
        waiting.extend([*path, follower] for follower in by_need[path[-1].id])
    return found


def length(path: Sequence[Task]) -> float:
    return sum(each.duration.total_seconds() for each in path)


def test_a_house_is_built_along_its_longest_path() -> None:
    house = [
        timed("dig", 3),
        timed("walls", 5, "dig"),
        timed("garden", 2, "dig"),
        timed("roof", 4, "walls"),
        timed("party", 1, "roof", "garden"),
    ]
    plan = critical_path(house)
    assert plan.path == ("dig", "walls", "roof", "party")
    assert (plan.makespan, plan.work) == (13, 15)
    garden = plan.timings["garden"]
    assert (garden.earliest_start, garden.earliest_finish) == (3, 5)
    assert (garden.latest_start, garden.latest_finish, garden.slack) == (10, 12, 7)
    assert (garden.free_slack, plan.timings["dig"].free_slack) == (7, 0)
    assert plan.parallelization_ratio == pytest.approx(2 / 15)


def test_a_chain_has_nothing_to_overlap() -> None:
    assert critical_path([timed("a", 2), timed("b", 3, "a")]).parallelization_ratio == 0


def test_tasks_without_edges_overlap_nearly_all() -> None:
    ratio = critical_path([timed(f"t{n}", 1) for n in range(10)]).parallelization_ratio
    assert ratio == pytest.approx(0.9)


def test_of_equally_long_paths_the_least_ids_are_named() -> None:
    plan = critical_path([timed("b", 2), timed("a", 2), timed("z", 1, "a", "b"), timed("y", 3)])
    assert plan.path == ("y",)
    assert critical_path([timed("b", 2), timed("a", 2), timed("z", 2, "a", "b")]).path == ("a", "z")


def test_work_that_takes_no_time_has_no_ratio() -> None:
    plan = critical_path([timed("a", 0), timed("b", 0, "a")])
    assert (plan.makespan, plan.parallelization_ratio) == (0, 0)


def test_no_tasks_take_no_time() -> None:
    plan = critical_path([])
    assert (plan.timings, plan.path, plan.makespan, plan.work) == ({}, (), 0, 0)


def test_a_circle_has_no_schedule() -> None:
    with pytest.raises(CyclicGraph):
        critical_path([timed("a", 1, "b"), timed("b", 1, "a")])


def test_a_chain_of_ten_thousand_tasks_has_a_schedule() -> None:
    chain = [
        timed("t00000", 1),
        *(timed(f"t{n:05}", 1, f"t{n - 1:05}") for n in range(1, 10_000)),
    ]
    plan = critical_path(chain)
    assert (plan.makespan, len(plan.path)) == (10_000, 10_000)


@given(acyclic(most=7))
def test_the_longest_path_gives_the_makespan(tasks: tuple[Task, ...]) -> None:
    plan = critical_path(tasks)
    by_id = {each.id: each for each in tasks}
    assert plan.makespan == max(length(path) for path in paths(tasks))
    assert length([by_id[name] for name in plan.path]) == plan.makespan
    assert all(need in by_id[name].needs for need, name in pairwise(plan.path))
    assert all(plan.timings[name].slack == 0 for name in plan.path)


@given(acyclic(most=7))
def test_a_task_starts_after_the_longest_path_to_it_and_before_the_longest_from_it(
    tasks: tuple[Task, ...],
) -> None:
    plan = critical_path(tasks)
    everything = paths(tasks)
    for each in tasks:
        own = each.duration.total_seconds()
        to_it = max(length(path) for path in everything if path[-1] is each)
        from_it = max(length(path) for path in everything if path[0] is each)
        timing = plan.timings[each.id]
        assert timing.earliest_finish == to_it
        assert timing.earliest_start == to_it - own
        assert timing.latest_start == plan.makespan - from_it
        assert timing.latest_finish == plan.makespan - from_it + own
        assert timing.slack == plan.makespan - from_it - (to_it - own)
        assert timing.slack >= 0


@given(acyclic(most=7))
def test_a_task_may_slip_by_its_slack_and_no_further(tasks: tuple[Task, ...]) -> None:
    plan = critical_path(tasks)
    for each in tasks:
        slack = timedelta(seconds=plan.timings[each.id].slack)

        def slipped(by: timedelta, late: Task = each) -> float:
            longer = late.model_copy(update={"duration": late.duration + by})
            return critical_path([longer if t is late else t for t in tasks]).makespan

        assert slipped(slack) == plan.makespan
        assert slipped(slack + timedelta(seconds=1)) == plan.makespan + 1


@given(acyclic(most=7))
def test_a_task_may_slip_by_its_free_slack_without_moving_another_one(
    tasks: tuple[Task, ...],
) -> None:
    plan = critical_path(tasks)
    for each in tasks:
        own = plan.timings[each.id]

        def moved(by: float, late: Task = each) -> bool:
            longer = late.model_copy(update={"duration": late.duration + timedelta(seconds=by)})
            slipped = critical_path([longer if t is late else t for t in tasks])
            return slipped.makespan > plan.makespan or any(
                slipped.timings[t.id].earliest_start > plan.timings[t.id].earliest_start
                for t in tasks
            )

        assert not moved(own.free_slack)
        assert moved(own.free_slack + 1)
