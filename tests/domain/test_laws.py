"""Laws of folding: how a past is cut, kept and read again does not matter."""

from functools import cache, reduce
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.deciders import decider_of
from domain.policies import Event
from domain.run import ENDED, IN_FLIGHT, Run
from infra.store.snapshots import freeze, thaw
from tests.support.histories import a_history

SEEDS = (0, 1, 2, 10, 24, 32)
"""Of these, some hold a rollback, which is rare."""


@cache
def streams(seed: int) -> dict[str, list[Event]]:
    """Return what happened to each stream of a history in which much happens."""
    found: dict[str, list[Event]] = {}
    for recorded in a_history(seed, plans=4, size=12, turns=150).events:
        found.setdefault(recorded.stream, []).append(recorded.event)
    return found


@st.composite
def cut_pasts(draw: st.DrawFn) -> tuple[str, list[Event], list[Event]]:
    pasts = streams(draw(st.sampled_from(SEEDS)))
    stream = draw(st.sampled_from(sorted(pasts)))
    cut = draw(st.integers(0, len(pasts[stream])))
    return stream, pasts[stream][:cut], pasts[stream][cut:]


def folded(stream: str, events: list[Event], state: Any = None) -> Any:
    return reduce(decider_of(stream).evolve, events, state)


@settings(deadline=None)
@given(cut_pasts())
def test_folding_a_beginning_and_then_the_rest_is_folding_all(
    past: tuple[str, list[Event], list[Event]],
) -> None:
    stream, beginning, rest = past
    assert folded(stream, rest, folded(stream, beginning)) == folded(stream, beginning + rest)


@settings(deadline=None)
@given(cut_pasts())
def test_a_snapshot_and_the_rest_are_as_good_as_the_whole_past(
    past: tuple[str, list[Event], list[Event]],
) -> None:
    stream, beginning, rest = past
    if not beginning:
        return
    kept = thaw(freeze(stream, folded(stream, beginning), len(beginning)))
    assert kept == folded(stream, beginning)
    assert folded(stream, rest, kept) == folded(stream, beginning + rest)


@settings(deadline=None)
@given(cut_pasts())
def test_folding_changes_no_earlier_state(past: tuple[str, list[Event], list[Event]]) -> None:
    stream, beginning, rest = past
    before = folded(stream, beginning)
    kept = freeze(stream, before, len(beginning)).state if beginning else b""
    folded(stream, rest, before)
    assert kept == (freeze(stream, before, len(beginning)).state if beginning else b"")


def test_the_pasts_of_these_laws_hold_all_that_happens_to_a_task() -> None:
    seen = {event.type for seed in SEEDS for past in streams(seed).values() for event in past}
    assert seen >= {
        "run.started",
        "run.extended",
        "task.dispatched",
        "task.started",
        "task.completed",
        "task.failed",
        "task.lost",
        "task.timed_out",
        "task.reopened",
        "run.checkpointed",
        "run.paused",
        "run.resumed",
        "run.rolled_back",
    }


def test_the_counters_of_every_run_in_these_pasts_can_be_counted() -> None:
    for seed in SEEDS:
        for stream, past in streams(seed).items():
            run = folded(stream, past)
            if isinstance(run, Run):
                statuses = [state.status for state in run.states.values()]
                waived = sum(state.is_waived for state in run.states.values())
                assert run.unhappy + waived == sum(
                    s in ("failed", "skipped", "cancelled") for s in statuses
                )
                flying = sum(s in IN_FLIGHT for s in statuses)
                assert flying == sum(number for _, number in run.in_flight.items())
                assert run.open == sum(s not in ENDED for s in statuses)
