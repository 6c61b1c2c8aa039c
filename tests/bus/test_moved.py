"""What was taken from a silent agent begins elsewhere, whoever the broker hands it to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

import pytest

from bus.moved import MOMENT, MovedWork
from bus.relay import Relay
from domain.leases import ANYBODY, AttemptKey, Sightings, WorkKind
from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import TaskDispatched
from tests.support.making import RUN_ID, after, requested, task
from tests.support.recorders import SteppedClock
from tests.support.recording import recorded


@dataclass
class World:
    """The view of attempts and the broker, as a test wants them to be."""

    begun: set[int] = field(default_factory=set[int])
    depth: int = 0
    named: dict[AttemptKey, datetime] = field(default_factory=dict[AttemptKey, datetime])
    sent: list[int] = field(default_factory=list[int])
    is_held_back: bool = False

    async def unstarted(self, positions: Collection[int]) -> Collection[int]:
        return set(positions) - self.begun

    async def waiting(self, kind: WorkKind) -> int:
        return self.depth

    async def publish_work(self, dispatched: Sequence[Recorded[Event]], *, delay: int = 0) -> bool:
        self.sent += [each.position for each in dispatched]
        return True


@dataclass
class Scene:
    clock: SteppedClock
    world: World
    moved: MovedWork

    async def a_moment(self) -> None:
        self.clock.pass_by(MOMENT.total_seconds())
        await self.moved.look()


@pytest.fixture
def scene() -> Scene:
    clock, world = SteppedClock(), World()
    moved = MovedWork(
        attempts=world,
        depths=world,
        relay=cast("Relay", world),
        clock=clock,
        sightings=lambda: Sightings(since=clock.now(), agents={}, attempts=world.named),
        holds_back=lambda _, __: world.is_held_back,
    )
    return Scene(clock, world, moved)


def dispatched(position: int, *, delay: int = 0) -> Recorded[Event]:
    (event,) = [each for each in after(requested(task("a"))) if isinstance(each, TaskDispatched)]
    delayed = event.model_copy(update={"delay": delay, "epoch": position})
    return replace(recorded(RUN_ID, 2, delayed), position=position)


async def test_what_does_not_begin_within_a_moment_is_sent_once_more(scene: Scene) -> None:
    scene.moved.watch([dispatched(5), dispatched(6)])
    await scene.moved.look()
    assert scene.world.sent == []
    scene.world.begun = {6}
    await scene.a_moment()
    assert scene.world.sent == [5]
    scene.world.begun = {5, 6}
    await scene.a_moment()
    assert scene.world.sent == [5]


async def test_it_is_sent_a_few_times_and_then_left_to_others(scene: Scene) -> None:
    scene.moved.watch([dispatched(5)])
    for _ in range(10):
        await scene.a_moment()
    assert scene.world.sent == [5, 5, 5]


async def test_what_an_agent_names_or_what_waits_in_its_queue_is_not_stuck(scene: Scene) -> None:
    scene.world.named[(RUN_ID, "a", 5, ANYBODY)] = scene.clock.now()
    scene.moved.watch([dispatched(5)])
    await scene.a_moment()
    scene.world.depth = 1
    scene.moved.watch([dispatched(6)])
    await scene.a_moment()
    assert scene.world.sent == []


async def test_what_has_to_wait_anyway_is_left_alone(scene: Scene) -> None:
    scene.moved.watch([dispatched(5, delay=1)])
    scene.world.is_held_back = True
    scene.moved.watch([dispatched(6)])
    scene.world.is_held_back = False
    for _ in range(10):
        await scene.a_moment()
    assert scene.world.sent == []
