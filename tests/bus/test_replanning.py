"""The replanner begins what plans ask for, and asks where agents are missed."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from bus.ports import SystemClock
from bus.reactions import Reactions
from bus.recorder import Recorder
from bus.replanning import Missed, Replanner
from domain.goals import Options
from domain.plan import GoalSubmitted, PlanCancelRequested
from domain.replanning import Available
from domain.revisions import PlanReplanRequested
from domain.run import Run
from domain.run_events import TaskFailed, TaskStarted
from domain.run_options import RunOptions
from domain.tasks import Task
from tests.support.histories import a_goal
from tests.support.making import PLAN_ID, task
from tests.support.memory_store import MemoryStore
from tests.support.recorders import recording
from tests.support.recording import said

RUN, REPLAN = "exec_1-1", "exec_1-replan-1"


class Staff:
    """Says what it was told to say."""

    def __init__(self) -> None:
        self.there: Available = {"NOOP": None}
        self.lacking: list[Missed] = []

    async def available(self) -> Available:
        return self.there

    async def missed(self, *, patience: timedelta) -> Sequence[Missed]:
        return self.lacking


class World:
    """A store with what reacts to it."""

    def __init__(self, store: MemoryStore, recorder: Recorder) -> None:
        self.store, self.recorder = store, recorder
        self.staff = Staff()
        self.replanner = Replanner(
            self.staff, recorder, SystemClock(), patience=timedelta(seconds=10)
        )
        self.seen = 0

    async def run(self, *tasks: Task) -> None:
        """Let a plan be carried out that may be planned anew."""
        options = Options(auto_execute=True, execution=RunOptions(failure_strategy="replan"))
        goal = GoalSubmitted(plan_id=PLAN_ID, goal=a_goal(1), options=options, tasks=tasks)
        await self.recorder.record(said(goal, report_id="goal"))
        await self.follow()

    async def follow(self) -> None:
        """React to everything until nothing new follows."""
        while self.seen < len(self.store.events):
            batch = self.store.events[self.seen :]
            self.seen = len(self.store.events)
            await self.replanner(batch)
            await Reactions(self.recorder)(batch)

    async def fail(self, task_id: str) -> None:
        """Let a task fail for good."""
        attempt = {"run_id": RUN, "task_id": task_id, "epoch": 1, "agent_id": "ann"}
        start = TaskStarted.model_validate(attempt)
        end = TaskFailed.model_validate(attempt | {"error_class": "business", "reason": "weak"})
        for number, report in enumerate((start, end)):
            await self.recorder.record(said(report, report_id=f"{task_id}-{number}"))
        await self.follow()

    def types(self, stream: str) -> list[str]:
        return [event.type for event in self.store.events if event.stream == stream]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    store = MemoryStore()
    async with recording(store) as recorder:
        yield World(store, recorder)


async def test_a_plan_that_asks_has_its_replanning_run_and_once(world: World) -> None:
    await world.run(task("a"))
    await world.fail("a")
    assert world.types(REPLAN) == ["run.started", "task.dispatched"]
    await world.replanner(world.store.events)  # as after a crash
    assert world.types(REPLAN) == ["run.started", "task.dispatched"]
    run, _ = await world.store.load(REPLAN)
    assert isinstance(run, Run)
    assert run.tasks["revise"].params["replan"]["available"] == {"NOOP": None}


async def test_a_plan_that_asks_and_is_cancelled_at_once_leaves_no_run_behind(world: World) -> None:
    goal = GoalSubmitted(plan_id=PLAN_ID, goal=a_goal(1), tasks=(task("a"),))
    await world.recorder.record(said(goal, report_id="goal"))
    asked = PlanReplanRequested(plan_id=PLAN_ID, reason="a better way")
    await world.recorder.record(said(asked, report_id="replan"))
    changed = PlanCancelRequested(plan_id=PLAN_ID, reason="never mind")
    await world.recorder.record(said(changed, report_id="cancel"))
    await world.follow()
    assert world.types(REPLAN)[-1] == "run.cancelled"


async def test_a_graph_that_is_too_much_for_its_planners_ends_the_run_in_words(
    world: World,
) -> None:
    heavy = [task(f"t{number}", params={"text": "x" * 60_000}) for number in range(6)]
    await world.run(task("a"), *heavy)
    await world.fail("a")
    assert world.types(REPLAN) == []
    assert world.types(PLAN_ID)[-2:] == ["plan.replanning", "plan.replan_refused"]
    assert "replan.refused" in world.types(RUN)
    refused = next(each.event for each in world.store.events if each.type == "replan.refused")
    assert "cannot be planned" in getattr(refused, "reason", "")


async def test_agents_that_are_missed_are_asked_around_once_until_they_were_back(
    world: World,
) -> None:
    await world.run(task("a"), task("b", agent="MILL"))
    world.staff.lacking = [(RUN, "MILL")]
    for _ in range(3):
        await world.replanner.look()
    await world.follow()
    assert world.types(RUN).count("replan.requested") == 1
    assert world.types(PLAN_ID)[-1] == "plan.replanning"
    world.staff.lacking = []
    await world.replanner.look()
    world.staff.lacking = [(RUN, "MILL")]
    await world.replanner.look()
    assert world.types(RUN).count("replan.requested") == 1, "the first is not answered yet"
