"""Every second of delay is charged to an event, and forecasts hold as often as they say."""

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from domain.run_events import (
    RunExtended,
    RunRevised,
    RunStarted,
    TaskCompleted,
    TaskDispatched,
)
from domain.run_options import RunOptions
from domain.scheduling.forecast import CAUSES, Forecast
from domain.scheduling.outlook import outlook
from domain.scheduling.schedules import schedule_of
from tests.support.making import completed, failed, started, task
from tests.support.scenario import NOW
from tests.support.simulated_runs import LIMITS, Happened, a_graph, simulated

SECOND = 1_000_000
MINUTE = 60 * SECOND


def begun(happened: Sequence[Happened]) -> Forecast:
    first = happened[0].event
    assert isinstance(first, RunStarted)
    schedule = schedule_of(first.tasks, first.options)
    forecast = Forecast(first, NOW, schedule)
    assert forecast.planned == round(schedule.makespan * SECOND)
    return forecast


def heard(happened: Sequence[Happened]) -> Forecast:
    forecast = begun(happened)
    for position, each in enumerate(happened):
        forecast.hear(each.event, NOW + timedelta(seconds=each.at), position)
    return forecast


def ratios_of(runs: Sequence[Sequence[Happened]]) -> dict[tuple[str, str], list[float]]:
    """Return how much longer than estimated tasks took, from their first dispatch to their end."""
    ratios: dict[tuple[str, str], list[float]] = defaultdict(list)
    for happened in runs:
        begin: dict[str, tuple[float, TaskDispatched]] = {}
        first = happened[0].event
        assert isinstance(first, RunStarted)
        estimated = {each.id: each.duration.total_seconds() for each in first.tasks}
        for each in happened:
            if isinstance(each.event, TaskDispatched):
                begin.setdefault(each.event.task_id, (each.at, each.event))
            elif isinstance(each.event, TaskCompleted):
                since, sent = begin[each.event.task_id]
                ratio = (each.at - since) / estimated[each.event.task_id]
                ratios[sent.agent, sent.action].append(ratio)
    return {kind: sorted(known) for kind, known in ratios.items()}


RUNS = [simulated(a_graph(random.Random(seed)), random.Random(seed)) for seed in range(200)]


def test_the_charges_of_200_runs_are_exactly_what_they_took_longer_than_planned() -> None:
    causes: set[str] = set()
    for happened in RUNS:
        forecast = heard(happened)
        took = timedelta(seconds=happened[-1].at) // timedelta(microseconds=1)
        assert forecast.is_over
        assert sum(charge.ticks for charge in forecast.charges) == took - forecast.planned
        assert forecast.slip == took - forecast.planned
        causes |= {charge.cause for charge in forecast.charges}
    assert causes >= {"no_agent", "duration", "failure", "agent_loss", "pause"}
    assert causes <= set(CAUSES)


def test_after_every_event_the_forecast_is_what_the_charges_say() -> None:
    happened = RUNS[3]
    forecast = begun(happened)
    for position, each in enumerate(happened):
        forecast.hear(each.event, NOW + timedelta(seconds=each.at), position)
        charged = sum(charge.ticks for charge in forecast.charges)
        assert forecast.planned + charged == forecast.finish
        assert forecast.finish == max(c.finish for c in forecast.courses.values())


def a_run(seed: int) -> list[Happened]:
    return simulated(a_graph(random.Random(seed)), random.Random(seed), pauses=False)


def test_nine_of_ten_runs_end_by_what_is_forecast_for_nine_of_ten() -> None:
    known = ratios_of([a_run(seed) for seed in range(1_000, 1_100)])
    held = 0
    for seed in range(2_000, 2_200):
        happened = a_run(seed)
        seen = outlook(begun(happened), 0, known)
        assert seen.p50 <= seen.p90
        held += happened[-1].at * SECOND <= seen.p90
    print(f"{held} of 200 runs ended by their p90")
    assert 0.85 <= held / 200 <= 0.95


def chain() -> Forecast:
    """Return the forecast of two tasks of an hour, one after the other, and one beside them."""
    tasks = (task("a"), task("b", "a"), task("c", duration=timedelta(minutes=90)))
    first = RunStarted(
        run_id="exec_1",
        plan_id="plan_1",
        kind="execution",
        revision=1,
        priority="normal",
        options=RunOptions(limits=LIMITS),
        tasks=tasks,
    )
    return Forecast(first, NOW, schedule_of(tasks, first.options))


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def test_an_event_is_charged_with_what_it_moves_the_end_by_and_not_with_slack() -> None:
    forecast = chain()
    assert forecast.planned == 120 * MINUTE
    forecast.hear(started("a"), at(5), 1)
    forecast.hear(started("c"), at(20), 2)  # it has half an hour of slack
    forecast.hear(completed("a"), at(75), 3)
    forecast.hear(started("b"), at(75), 4)
    forecast.hear(failed("b", retry_in=60), at(80), 5)
    forecast.hear(started("b", epoch=2), at(81), 6)
    forecast.hear(completed("c"), at(110), 7)
    forecast.hear(completed("b", epoch=2), at(111), 8)
    assert [(c.position, c.cause, c.ticks // MINUTE) for c in forecast.charges] == [
        (1, "no_agent", 5),
        (3, "duration", 10),
        (5, "failure", 6),
        (8, "duration", -30),
    ]
    assert forecast.finish == 111 * MINUTE


def test_a_task_that_takes_too_long_already_moves_the_outlook_before_it_is_charged() -> None:
    forecast = chain()
    forecast.hear(started("a"), at(0), 1)
    forecast.hear(started("c"), at(0), 2)
    seen = outlook(forecast, 100 * MINUTE, {})
    assert (forecast.slip, seen.at_best) == (0, 160 * MINUTE)
    assert (seen.p50, seen.p90) == (seen.at_best, seen.at_best)


def test_only_durations_as_long_as_what_has_passed_tell_of_a_task_under_way() -> None:
    alone = task("a")
    first = RunStarted(
        run_id="exec_1",
        plan_id="plan_1",
        kind="execution",
        revision=1,
        priority="normal",
        tasks=(alone,),
    )
    forecast = Forecast(first, NOW, schedule_of([alone], RunOptions()))
    known = {("NOOP", "work"): [*([0.5] * 9), 2.0]}
    assert outlook(forecast, 0, known).p50 == 30 * MINUTE
    forecast.hear(started("a"), at(0), 1)
    assert outlook(forecast, 70 * MINUTE, known).p50 == 120 * MINUTE
    assert outlook(forecast, 130 * MINUTE, known).p90 == 130 * MINUTE


def test_tasks_that_are_added_are_charged_to_what_added_them() -> None:
    forecast = chain()
    added = (task("e", "d"), task("d", "b"))
    forecast.hear(RunExtended(run_id="exec_1", because="b", tasks=added), at(10), 1)
    assert [(c.cause, c.ticks // MINUTE) for c in forecast.charges] == [("graph", 120)]


def revision(**changes: object) -> RunRevised:
    nothing: dict[str, object] = {"added": (), "modified": (), "removed": (), "reopened": ()}
    known = {"run_id": "exec_1", "plan_id": "plan_1", "revision": 2, "reason": "", "was": {}}
    return RunRevised.model_validate(known | nothing | changes)


def test_another_graph_is_charged_with_what_it_makes_longer_and_what_is_done_stays() -> None:
    forecast = chain()
    forecast.hear(started("a"), at(0), 1)
    forecast.hear(completed("a"), at(60), 2)
    other = task("b", "d", agent="SPARE", duration=timedelta(hours=2))
    forecast.hear(
        revision(modified=(other,), added=(task("d", "a"),), was={"b": "pending"}), at(60), 3
    )
    assert [(c.position, c.cause, c.ticks // MINUTE) for c in forecast.charges] == [
        (3, "graph", 120)
    ]
    assert forecast.courses["a"].finish == 60 * MINUTE
    forecast.hear(started("d"), at(60), 4)
    forecast.hear(completed("d"), at(100), 5)
    assert forecast.finish == 220 * MINUTE
    assert outlook(forecast, 100 * MINUTE, {}).at_best == 220 * MINUTE


def test_tasks_that_another_graph_does_without_delay_nothing_any_more() -> None:
    forecast = chain()
    forecast.hear(revision(removed=("b",), was={"b": "pending"}), at(0), 1)
    assert forecast.finish == 90 * MINUTE
    assert forecast.courses.keys() == {"a", "c"}
    forecast.hear(revision(removed=("a", "c"), was={}), at(10), 2)
    assert sum(charge.ticks for charge in forecast.charges) == forecast.slip


def test_what_has_failed_begins_again_with_another_graph() -> None:
    forecast = chain()
    forecast.hear(started("a"), at(0), 1)
    forecast.hear(failed("a", retry_in=None), at(30), 2)
    forecast.hear(revision(reopened=("a",), was={"a": "failed"}), at(40), 3)
    assert (forecast.courses["a"].started, forecast.finish) == (None, 160 * MINUTE)


def test_agents_that_are_counted_on_are_waited_for() -> None:
    tasks = tuple(task(f"t{n}", agent="A") for n in range(5))
    first = simulated(tasks, random.Random(1), pauses=False)[0].event
    assert isinstance(first, RunStarted)
    forecast = Forecast(first, NOW, schedule_of(tasks, first.options))
    assert forecast.planned == 180 * MINUTE
    assert sum(bool(c.promise.after) for c in forecast.courses.values()) == 3


def test_a_large_run_has_the_same_outlook_without_charges(monkeypatch: pytest.MonkeyPatch) -> None:
    charged = [heard(happened[: len(happened) // 2]) for happened in RUNS[:20]]
    monkeypatch.setattr("domain.scheduling.forecast.MOST_CHARGED", 0)
    quiet = [heard(happened[: len(happened) // 2]) for happened in RUNS[:20]]
    known = ratios_of(RUNS[20:60])
    for one, other in zip(charged, quiet, strict=True):
        assert (other.is_charged, other.charges, other.planned) == (False, [], one.planned)
        assert outlook(other, one.finish // 2, known) == outlook(one, one.finish // 2, known)
    ended = heard(RUNS[0])
    assert ended.is_over
    assert ended.finish == timedelta(seconds=RUNS[0][-1].at) // timedelta(microseconds=1)
