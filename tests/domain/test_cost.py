"""An event costs the same in a run of ten tasks and of ten thousand: counted, not timed."""

from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from typing import Any

import pytest

from domain.persistent import PersistentMap
from domain.run import Run
from domain.run_decisions import decide
from domain.run_events import TaskReport
from domain.run_evolution import evolve
from tests.support.making import completed, failed, lost, requested, started, task
from tests.support.scenario import NOW


class Counted:
    """A persistent map that counts what is asked of it."""

    def __init__(self, inner: PersistentMap[str, Any], touched: list[str]) -> None:
        self._inner = inner
        self._touched = touched

    def __getitem__(self, key: str) -> Any:
        self._touched.append(key)
        return self._inner[key]

    def __contains__(self, key: str) -> bool:
        self._touched.append(key)
        return key in self._inner

    def __iter__(self) -> Iterator[str]:
        for key in self._inner:
            self._touched.append(key)
            yield key

    def get(self, key: str, default: Any = None) -> Any:
        self._touched.append(key)
        return self._inner.get(key, default)

    def items(self) -> Iterator[tuple[str, Any]]:
        return ((key, self._inner[key]) for key in self)

    def insert(self, key: str, value: Any) -> "Counted":
        self._touched.append(key)
        return Counted(self._inner.insert(key, value), self._touched)


def a_run(size: int) -> Run:
    """Return a run of so many chains of three tasks, the first of each dispatched."""
    tasks = [
        each
        for n in range(size // 3)
        for each in (task(f"a{n}"), task(f"b{n}", f"a{n}"), task(f"c{n}", f"b{n}"))
    ]
    run = reduce(evolve, decide(None, requested(*tasks), NOW), None)
    assert run is not None
    return run


def cost(run: Run, reports: list[TaskReport]) -> int:
    """Return how many entries of the run's maps are touched by what reports lead to."""
    touched: list[str] = []
    counted: Any = {
        name: Counted(getattr(run, name), touched)
        for name in ("tasks", "after", "states", "results")
    }
    run = replace(run, **counted)
    for report in reports:
        run = reduce(evolve, decide(run, report, NOW), run)
    return len(touched)


@pytest.mark.parametrize(
    "reports",
    [
        [started("a0")],
        [started("a0"), completed("a0")],
        [started("a0"), completed("a0"), completed("a0")],
        [started("a0"), failed("a0")],
        [started("a0"), failed("a0", error_class="business")],
        [started("a0"), lost("a0")],
        [started("a0"), lost("a0"), completed("a0")],
    ],
    ids=["started", "completed", "repeated", "failed", "given up", "lost", "late"],
)
def test_the_cost_of_a_report_does_not_depend_on_the_size_of_the_run(
    reports: list[TaskReport],
) -> None:
    # A decision folds its own events, and so does whoever keeps the state: each touch counts twice.
    assert cost(a_run(9), reports) == cost(a_run(3_000), reports) < 60


def test_a_new_state_shares_everything_but_the_changed_task() -> None:
    run = a_run(3_000)
    changed = evolve(run, started("a7"))
    moved = [name for name in run.states if run.states[name] is not changed.states[name]]
    assert moved == ["a7"]
    assert (changed.tasks, changed.after, changed.results) == (run.tasks, run.after, run.results)
    assert changed.tasks is run.tasks
