"""Work that has got lost, and what somebody sees who looks for it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from bus.owed import Depth, OwedWork
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
