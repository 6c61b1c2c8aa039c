"""What an event means to other streams is recorded there, once."""

from collections.abc import AsyncIterator

import pytest

from bus.reactions import Reactions
from bus.recorder import Recorder
from domain.goals import Options
from domain.plan import GoalSubmitted, Plan, PlanCancelRequested
from domain.run import Run
from domain.run_events import RunCompleted
from infra.store.store import DatabaseUnavailable
from tests.support.histories import a_goal
from tests.support.making import PLAN_ID, task
from tests.support.memory_store import MemoryStore
from tests.support.recorders import recording
from tests.support.recording import recorded, said
from tests.support.watched_store import WatchedStore

GOAL = GoalSubmitted(
    plan_id=PLAN_ID,
    goal=a_goal(1),
    options=Options(auto_execute=True),
    tasks=(task("a"), task("b", "a")),
)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def recorder(store: MemoryStore) -> AsyncIterator[Recorder]:
    async with recording(store) as running:
        yield running


async def follow(store: MemoryStore, recorder: Recorder) -> None:
    """React to everything until nothing new follows."""
    seen = 0
    while seen < len(store.events):
        batch = store.events[seen:]
        seen = len(store.events)
        await Reactions(recorder)(batch)


async def test_a_ready_plan_is_executed_and_hears_of_it(
    store: MemoryStore, recorder: Recorder
) -> None:
    await recorder.record(said(GOAL, report_id="goal"))
    await follow(store, recorder)
    run, _ = await store.load("exec_1-1")
    plan, _ = await store.load(PLAN_ID)
    assert isinstance(run, Run)
    assert isinstance(plan, Plan)
    assert (run.status, plan.status, plan.runs) == ("running", "running", ("exec_1-1",))


async def test_reactions_that_a_crash_repeats_change_nothing(
    store: MemoryStore, recorder: Recorder
) -> None:
    await recorder.record(said(GOAL, report_id="goal"))
    await follow(store, recorder)
    count = len(store.events)
    async with recording(store) as another:
        await follow(store, another)
        await Reactions(recorder)(store.events)
    assert len(store.events) == count


async def test_a_cancellation_that_overtakes_the_start_still_stops_the_run(
    store: MemoryStore, recorder: Recorder
) -> None:
    await recorder.record(said(GOAL, report_id="goal"))
    await recorder.record(said(PlanCancelRequested(plan_id=PLAN_ID), report_id="cancel"))
    await follow(store, recorder)
    run, _ = await store.load("exec_1-1")
    assert isinstance(run, Run)
    assert run.status == "cancelled"


async def test_a_reaction_that_is_refused_does_not_stop_the_others(
    store: MemoryStore, recorder: Recorder
) -> None:
    await recorder.record(said(GOAL, report_id="goal"))
    gone = RunCompleted(run_id="exec_9-1", plan_id="plan_9", kind="execution", result={})
    await Reactions(recorder)([recorded("exec_9-1", 1, gone), *store.events])
    assert (await store.load("exec_1-1"))[0] is not None


async def test_a_batch_whose_reactions_may_be_lost_has_to_be_repeated(store: MemoryStore) -> None:
    watched = WatchedStore(store)
    async with recording(watched) as recorder:
        await recorder.record(said(GOAL, report_id="goal"))

        async def fail() -> None:
            raise DatabaseUnavailable(OSError("cut"))

        watched.before_append = fail
        with pytest.raises(DatabaseUnavailable):
            await Reactions(recorder)(store.events)


async def test_a_batch_without_reactions_costs_nothing(store: MemoryStore) -> None:
    watched = WatchedStore(store)
    async with recording(watched) as recorder:
        await Reactions(recorder)([])
    assert (watched.appends, watched.loads) == ([], [])
