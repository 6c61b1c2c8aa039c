"""How urgent tasks are follows from the longest chain behind them."""

from hypothesis import given

from domain.scheduling.critical_path import critical_path
from domain.scheduling.urgency import CLASSES, tails_of, urgencies
from domain.tasks import Task
from tests.support.graphs import acyclic, any_graph
from tests.support.making import task


@given(acyclic(most=9))
def test_a_tail_is_what_lies_between_the_latest_start_and_the_end(tasks: tuple[Task, ...]) -> None:
    path = critical_path(tasks)
    tails = tails_of(tasks)
    assert tails == {
        name: path.makespan - timing.latest_start for name, timing in path.timings.items()
    }
    degrees = urgencies(tails, path.makespan)
    assert set(degrees.values()) <= set(range(CLASSES))
    assert all(degrees[name] == 0 for name in path.path[:1])
    by_slack = sorted(tasks, key=lambda each: path.timings[each.id].latest_start)
    assert sorted(degrees[each.id] for each in by_slack) == [degrees[each.id] for each in by_slack]


@given(any_graph())
def test_nothing_breaks_on_tasks_that_wait_for_each_other(tasks: tuple[Task, ...]) -> None:
    assert tails_of(tasks).keys() <= {each.id for each in tasks}


def test_needs_outside_do_not_count() -> None:
    assert tails_of([task("b", "a")]) == {"b": 3_600}
