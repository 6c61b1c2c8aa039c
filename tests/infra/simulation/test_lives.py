"""What the simulation judges of a run that goes on with another graph."""

from collections.abc import Sequence

import pytest

from domain.run_events import RunEvent, RunRevised
from domain.run_options import RunOptions
from infra.simulation.invariants.record import Lives
from tests.domain.test_replanning import updated
from tests.support.making import after, completed, failed, requested, started, task
from tests.support.scenario import given

REPLAN = RunOptions(failure_strategy="replan")
PAST = after(
    requested(task("a"), task("b", "a"), task("c"), options=REPLAN),
    completed("a"),
    started("b"),
    started("c"),
    failed("b", error_class="business"),
)
NEW = updated(task("a"), task("b", "a", "d", agent="SPARE"), task("d"))
REVISED = (*PAST, *given(*PAST).when(NEW).events)


def judged(events: Sequence[RunEvent]) -> list[str]:
    lives = Lives()
    return [violation.what for event in events for violation in lives.hear(event)]


def test_a_run_that_goes_on_with_another_graph_breaks_nothing() -> None:
    past = list(REVISED)
    for report in (started("d"), completed("d"), started("b", 2), completed("b", 2)):
        past += given(*past).when(report).events
    assert past[-1].type == "run.completed"
    assert judged(past) == []


@pytest.mark.parametrize(
    ("was", "found"), [({"a": "completed"}, "was done, and is undone"), ({}, "")]
)
def test_a_graph_that_undoes_what_is_done_is_found(was: dict[str, str], found: str) -> None:
    revised = next(event for event in REVISED if isinstance(event, RunRevised))
    wrong = RunRevised.model_validate(revised.model_dump() | {"was": revised.was | was})
    events = [wrong if event is revised else event for event in REVISED]
    assert any(found in what for what in judged(events)) == bool(found)
