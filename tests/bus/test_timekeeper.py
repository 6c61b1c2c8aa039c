"""The timekeeper: a timeout that has struck is recorded, once, and its consequences with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bus.timekeeper import Overdue, Timekeeper
from domain.run_events import Timeout
from tests.support.making import RUN_ID, requested, started, task
from tests.support.memory_store import MemoryStore
from tests.support.recorders import SteppedClock, recording
from tests.support.recording import said

SLOW = task("a", timeouts={"start": 5, "run": 10, "total": 100}, fallback="OTHER")


@dataclass
class Timers:
    found: list[Overdue] = field(default_factory=list[Overdue])

    async def overdue(self, *, now: datetime, limit: int) -> Sequence[Overdue]:
        return self.found[:limit]


def overdue(timeout: Timeout, *, epoch: int = 1, agent_id: str | None = None) -> Overdue:
    return Overdue(run_id=RUN_ID, task_id="a", epoch=epoch, agent_id=agent_id, timeout=timeout)


def types(store: MemoryStore) -> list[str]:
    return [event.event.type for event in store.events]


async def test_what_has_run_too_long_fails_and_is_tried_again() -> None:
    store = MemoryStore()
    async with recording(store) as recorder:
        await recorder.record(said(requested(SLOW), report_id="r1"))
        await recorder.record(said(started("a"), report_id="r2"))
        keeper = Timekeeper(Timers([overdue("run", agent_id="ann")]), recorder, SteppedClock())
        await keeper.look()
        await keeper.look()  # the view may show it for a while: it is heard once
    assert types(store)[-4:] == ["task.started", "task.timed_out", "task.failed", "task.dispatched"]


async def test_what_nobody_has_started_goes_to_another_type_of_agents() -> None:
    store = MemoryStore()
    async with recording(store) as recorder:
        await recorder.record(said(requested(SLOW), report_id="r1"))
        await Timekeeper(Timers([overdue("start")]), recorder, SteppedClock()).look()
    last = store.events[-1].event
    assert (last.type, last.agent, last.epoch) == ("task.dispatched", "OTHER", 2)  # type: ignore[union-attr]


async def test_a_timeout_of_an_attempt_that_is_over_changes_nothing() -> None:
    store = MemoryStore()
    async with recording(store) as recorder:
        await recorder.record(said(requested(SLOW), report_id="r1"))
        await recorder.record(said(started("a"), report_id="r2"))
        before = types(store)
        for late in (overdue("start"), overdue("run", agent_id="bob")):
            await Timekeeper(Timers([late]), recorder, SteppedClock()).look()
    assert types(store) == before


async def test_a_timeout_of_a_run_that_is_gone_disturbs_nobody() -> None:
    async with recording(MemoryStore()) as recorder:
        await Timekeeper(Timers([overdue("run")]), recorder, SteppedClock()).look()
