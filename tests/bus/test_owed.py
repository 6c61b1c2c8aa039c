"""Owed work: whatever a queue has lost is sent again, all of it, and nothing else."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

import pytest

from bus.breakers import DETOUR
from bus.owed import REFUSED_PAUSE, Depth, OwedWork
from bus.relay import Relay
from domain.leases import ANYBODY, Attempt, AttemptKey, DelayedKind, Sightings, WorkKind
from domain.policies import Event
from domain.recorded import Recorded
from domain.values import AgentType, Role
from infra.store.store import DatabaseUnavailable
from tests.support.making import RUN_ID
from tests.support.recorders import SteppedClock
from tests.support.recording import hello, recorded

PATIENCE = 3.0
PAGE = 10


@dataclass
class World:
    """The view of attempts and the broker, as a test wants them to be."""

    clock: SteppedClock
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    queue: list[int] = field(default_factory=list[int])
    """The positions of what its one queue holds."""

    retry: dict[int, int] = field(default_factory=dict[int, int])
    consumers: int = 0
    backlog: int = 0
    log: int = 0
    named: dict[AttemptKey, datetime] = field(default_factory=dict[AttemptKey, datetime])
    sent: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Positions that were sent again, with their delays."""

    is_followed: bool = True
    has_no_queue: bool = False
    places: int = 1_000_000
    """How many messages its queue takes."""

    was_left: bool = False
    lacking: Collection[AgentType] = ()
    pages_until_an_outage: int = 1_000_000

    def dispatch(self, count: int = 1, *, is_lost: bool = False, delay: int = 0) -> None:
        for _ in range(count):
            self.log += 1
            attempt = Attempt(
                run_id=RUN_ID,
                task_id=f"t{self.log}",
                epoch=1,
                state="dispatched",
                since=self.clock.now(),
                agent_id=None,
                agent_type="NOOP",
                role="execution",
                lane="normal",
                delay=delay,
                position=self.log,
            )
            self.attempts.append(attempt)
            if is_lost:
                continue
            if delay:
                self.retry[delay] = self.retry.get(delay, 0) + 1
            else:
                self.queue.append(self.log)

    def name(self, *positions: int) -> None:
        """Let an agent have work in hand, and say so."""
        for position in positions:
            if position in self.queue:
                self.queue.remove(position)
            self.named[(RUN_ID, f"t{position}", 1, ANYBODY)] = self.clock.now()

    def sightings(self) -> Sightings:
        return Sightings(
            since=datetime.min.replace(tzinfo=self.clock.now().tzinfo),
            agents={},
            attempts=self.named,
        )

    # -- the view

    async def recorded(self) -> int:
        return len(self.attempts)

    async def followed(self) -> int:
        return len(self.attempts) if self.is_followed else 0

    async def published(self) -> int:
        return self.log

    async def late(self, *, before: datetime, published: int) -> Mapping[WorkKind, int]:
        late = self._due(before, published)
        return {late[0].kind: len(late)} if late else {}

    async def waiting(
        self, kind: WorkKind, *, after: datetime, before: datetime, beyond: int, published: int
    ) -> Sequence[Attempt]:
        if not self.pages_until_an_outage:
            raise DatabaseUnavailable(OSError("cut"))
        self.pages_until_an_outage -= 1
        late = self._due(before, published)
        return [each for each in late if each.due >= after and each.position > beyond][:PAGE]

    async def delayed(
        self, *, after: datetime, beyond: int, published: int
    ) -> Mapping[DelayedKind, int]:
        delayed = self._delayed(after, beyond, published)
        return Counter((each.delay, each.role, each.agent_type) for each in delayed)

    async def waiting_for(
        self, delay: int, *, after: datetime, beyond: int, published: int
    ) -> Sequence[Attempt]:
        delayed = self._delayed(after, beyond, published)
        return [each for each in delayed if each.delay == delay][:PAGE]

    def _due(self, before: datetime, published: int) -> list[Attempt]:
        return [each for each in self.attempts if each.due < before and each.position <= published]

    def _delayed(self, after: datetime, beyond: int, published: int) -> list[Attempt]:
        return [
            each
            for each in self.attempts
            if each.delay and each.due > after and beyond < each.position <= published
        ]

    async def work_of(self, attempts: Sequence[Attempt]) -> Sequence[Recorded[Event]]:
        return [recorded(RUN_ID, 1, hello("x"), position=each.position) for each in attempts]

    # -- the relay

    def is_lacking(self, role: Role, agent_type: AgentType) -> bool:
        return agent_type in self.lacking

    def take_left(self, kind: WorkKind) -> bool:
        was_left, self.was_left = self.was_left, False
        return was_left

    # -- the broker

    async def reports(self) -> int:
        return self.backlog

    async def work(self, kind: WorkKind) -> Depth:
        return Depth(ready=len(self.queue), consumers=self.consumers)

    async def publish_work(self, dispatched: Sequence[Recorded[Event]], *, delay: int = 0) -> bool:
        if self.has_no_queue:
            self.sent += [(each.position, delay) for each in dispatched]
            return False
        if len(self.queue) + len(dispatched) > self.places:
            return False
        self.sent += [(each.position, delay) for each in dispatched]
        if delay:
            self.retry[delay] = self.retry.get(delay, 0) + len(dispatched)
        else:
            self.queue += [each.position for each in dispatched]
        return True


@dataclass
class Depths:
    """The broker's side of a world."""

    world: World

    async def reports(self) -> int:
        return self.world.backlog

    async def work(self, kind: WorkKind) -> Depth:
        return await self.world.work(kind)

    async def retry(self, delay: int) -> int:
        return self.world.retry.get(delay, 0)


@dataclass
class Scene:
    """Somebody who looks for owed work, in its world."""

    clock: SteppedClock
    world: World
    owed: OwedWork

    async def look(self, *, times: int = 1) -> None:
        """Look so many times, a second apart."""
        for _ in range(times):
            self.clock.pass_by(1)
            await self.owed.look()


@pytest.fixture
def scene() -> Scene:
    return a_scene()


def a_scene(*, is_held_back: bool = False) -> Scene:
    clock = SteppedClock()
    world = World(clock)
    owed = OwedWork(
        attempts=world,
        depths=Depths(world),
        relay=cast("Relay", world),
        clock=clock,
        sightings=world.sightings,
        patience=timedelta(seconds=PATIENCE),
        holds_back=lambda _, __: is_held_back,
    )
    return Scene(clock, world, owed)


def positions(scene: Scene) -> list[int]:
    return [position for position, _ in scene.world.sent]


async def test_work_that_a_breaker_holds_back_is_owed_only_after_its_detour() -> None:
    scene = a_scene(is_held_back=True)
    scene.world.dispatch(2, is_lost=True)  # not in the queue it is due in
    await scene.look(times=DETOUR + 3)
    assert scene.world.sent == []
    await scene.look(times=3)
    assert positions(scene) == [1, 2]
    scene.world.queue.clear()  # on the detour again
    await scene.look(times=DETOUR)
    assert positions(scene) == [1, 2]


async def test_work_that_waits_in_its_queue_is_left_alone(scene: Scene) -> None:
    scene.world.dispatch(35)
    await scene.look(times=20)
    assert scene.world.sent == []


@pytest.mark.proves("S-13b")
async def test_all_of_a_queue_that_was_emptied_is_sent_again_once(scene: Scene) -> None:
    scene.world.dispatch(35)
    await scene.look(times=5)
    scene.world.queue.clear()
    await scene.look(times=2)
    assert positions(scene) == list(range(1, 36))
    await scene.look(times=20)
    assert len(scene.world.sent) == 35


async def test_what_was_dispatched_just_before_the_loss_follows_when_it_is_late(
    scene: Scene,
) -> None:
    scene.world.dispatch(5)
    await scene.look(times=5)
    scene.world.dispatch(3)
    await scene.look()
    scene.world.queue.clear()
    await scene.look()
    scene.world.dispatch(2)
    await scene.look()
    assert positions(scene) == [1, 2, 3, 4, 5]
    await scene.look(times=5)
    assert positions(scene) == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_what_agents_have_in_hand_is_not_sent_again(scene: Scene) -> None:
    scene.world.dispatch(12)
    await scene.look(times=5)
    scene.world.queue.clear()
    await scene.look()
    scene.world.name(3, 4)
    await scene.look()
    assert positions(scene) == [1, 2, *range(5, 13)]


async def test_nothing_is_sent_while_reports_of_what_began_may_be_under_way(scene: Scene) -> None:
    scene.world.dispatch(5, is_lost=True)
    scene.world.backlog = 1
    await scene.look(times=10)
    assert scene.world.sent == []
    scene.world.backlog = 0
    await scene.look(times=2)
    assert len(scene.world.sent) == 5


async def test_nothing_is_sent_while_the_view_lags_behind(scene: Scene) -> None:
    scene.world.dispatch(5, is_lost=True)
    scene.world.is_followed = False
    await scene.look(times=10)
    assert scene.world.sent == []


async def test_what_is_not_published_yet_is_the_relays_to_send(scene: Scene) -> None:
    scene.world.dispatch(5, is_lost=True)
    scene.world.log = 2
    await scene.look(times=10)
    assert positions(scene) == [1, 2]


async def test_an_outage_in_the_middle_costs_no_page(scene: Scene) -> None:
    scene.world.dispatch(35, is_lost=True)
    await scene.look(times=3)
    scene.world.pages_until_an_outage = 2
    with pytest.raises(DatabaseUnavailable):
        await scene.look(times=10)
    assert len(scene.world.sent) == 20
    scene.world.pages_until_an_outage = 100
    await scene.look()
    assert positions(scene) == list(range(1, 36))


async def test_a_queue_that_lacks_more_than_agents_can_have_in_hand_has_lost_something(
    scene: Scene,
) -> None:
    scene.world.consumers = 1
    scene.world.dispatch(300)
    await scene.look(times=5)
    del scene.world.queue[:95]  # they may be in hand
    await scene.look(times=5)
    assert scene.world.sent == []
    del scene.world.queue[:100]
    await scene.look(times=3)
    assert positions(scene) == list(range(1, 301))
    await scene.look(times=10)
    assert len(scene.world.sent) == 300


async def test_work_that_no_queue_takes_is_tried_again_now_and_then_until_one_does(
    scene: Scene,
) -> None:
    scene.world.has_no_queue = True
    scene.world.dispatch(35, is_lost=True)
    await scene.look(times=30)
    pages = len(scene.world.sent) // PAGE
    assert positions(scene) == [*range(1, PAGE + 1)] * pages
    assert 2 <= pages <= 30 / REFUSED_PAUSE.total_seconds()
    scene.world.has_no_queue = False
    scene.world.sent.clear()
    await scene.look(times=12)
    assert positions(scene) == list(range(1, 36))


async def test_what_a_queue_has_taken_is_not_sent_again_when_it_is_full(scene: Scene) -> None:
    scene.world.places = 20
    scene.world.dispatch(35, is_lost=True)
    await scene.look(times=40)
    assert positions(scene) == list(range(1, 21))
    scene.world.places = 100
    await scene.look(times=12)
    assert positions(scene) == list(range(1, 36))


async def test_what_the_relay_had_to_leave_is_sent_however_busy_its_queue_is(scene: Scene) -> None:
    scene.world.consumers = 1
    scene.world.dispatch(3, is_lost=True)
    scene.world.dispatch(2)
    await scene.look(times=6)
    assert scene.world.sent == []
    scene.world.was_left = True
    await scene.look(times=3)
    assert {1, 2, 3} <= {*positions(scene)}
    await scene.look(times=20)
    assert len(scene.world.sent) == 5


async def test_what_cannot_wait_in_a_retry_queue_is_not_missed_there(scene: Scene) -> None:
    scene.world.dispatch(8, delay=8)
    scene.world.dispatch(1, delay=8, is_lost=True)
    scene.world.lacking = ("NOOP", "CAD")
    await scene.look(times=6)
    assert scene.world.sent == []
    scene.world.lacking = ()
    await scene.look()
    assert len(scene.world.sent) == 9


async def test_what_gets_lost_again_is_sent_again(scene: Scene) -> None:
    scene.world.dispatch(5, is_lost=True)
    await scene.look(times=6)
    scene.world.queue.clear()
    await scene.look(times=6)
    assert positions(scene) == [1, 2, 3, 4, 5] * 2


async def test_work_that_waits_for_its_retry_is_left_alone(scene: Scene) -> None:
    scene.world.dispatch(8, delay=8)
    await scene.look(times=7)
    assert scene.world.sent == []


async def test_what_a_retry_queue_has_lost_waits_for_the_rest_of_its_delay(scene: Scene) -> None:
    scene.world.dispatch(15, delay=16)
    await scene.look(times=3)
    scene.world.retry.clear()
    await scene.look(times=9)
    assert scene.world.sent == [(position, 8) for position in range(1, 16)]


async def test_a_lost_retry_that_is_almost_due_is_sent_at_once(scene: Scene) -> None:
    scene.world.dispatch(delay=4)
    await scene.look(times=2)
    scene.clock.pass_by(0.4)
    scene.world.retry.clear()
    await scene.look()
    assert scene.world.sent == [(1, 0)]
