"""Breakers: what opens them, what waits meanwhile, and what closes them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from bus.breakers import DETOUR, Breakers, Kind
from bus.recorder import Recorder
from domain.breaker import Breaker, BreakerOpened, breaker_stream
from domain.circuits import Fuse
from domain.policies import Event
from domain.recorded import Recorded
from domain.tasks import DELAYS
from domain.values import ErrorClass
from infra.store.store import DatabaseUnavailable
from tests.bus.test_health import heartbeat
from tests.support.making import completed, failed, lost
from tests.support.memory_store import MemoryStore
from tests.support.recorders import SteppedClock, recording
from tests.support.recording import hello, recorded
from tests.support.waiting import until
from tests.support.watched_store import WatchedStore

FUSE = Fuse(window=30, least_failures=4, cool_down=16)
KIND: Kind = ("execution", "NOOP")
STREAM = breaker_stream(*KIND)


@dataclass
class Registry:
    """What is recorded, read from the store in memory."""

    store: MemoryStore

    async def breakers(self) -> Sequence[Breaker]:
        state, _ = await self.store.load(STREAM)
        return [state] if isinstance(state, Breaker) else []

    async def kinds(self) -> Mapping[str, Kind]:
        return {"ann": KIND}


@dataclass
class Scene:
    """Breakers that have heard of ann, and the record they tell."""

    watched: WatchedStore
    store: MemoryStore
    recorder: Recorder
    clock: SteppedClock = field(default_factory=SteppedClock)
    position: int = 0

    def __post_init__(self) -> None:
        self.breakers = self.begin()
        self.breakers.hear(heartbeat("ann"))

    def begin(self) -> Breakers:
        """Return the breakers of another coordinator."""
        return Breakers(
            registry=Registry(self.store), recorder=self.recorder, clock=self.clock, fuse=FUSE
        )

    def happen(self, *events: Event, at: datetime | None = None) -> Sequence[Recorded[Event]]:
        batch: list[Recorded[Event]] = []
        for event in events:
            self.position += 1
            past = recorded("exec_1", self.position, event, position=self.position)
            batch.append(replace(past, at=at or self.clock.now()))
        self.breakers.note(batch)
        return batch

    def fail(self, times: int = 4, error_class: ErrorClass = "transient") -> None:
        self.happen(*(failed("a", error_class=error_class) for _ in range(times)))

    async def after(self, seconds: float = 0) -> None:
        self.clock.pass_by(seconds)
        await self.breakers.sweep()

    @property
    def delay(self) -> int:
        return self.breakers.delay_of(*KIND)

    def told(self) -> list[str]:
        return [event.type for event in self.store.events if event.stream == STREAM]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    store = MemoryStore()
    watched = WatchedStore(store)
    async with recording(watched) as recorder:
        yield Scene(watched, store, recorder)


async def test_failures_open_the_breaker_of_their_type_and_new_work_waits(scene: Scene) -> None:
    scene.fail(3)
    assert scene.delay == 0
    scene.fail(1)
    assert scene.delay == DETOUR
    assert scene.breakers.delay_of("planning", "NOOP") == 0
    await scene.after()
    opened = scene.store.events[-1].event
    assert isinstance(opened, BreakerOpened)
    assert opened.reason == "4 of 4 attempts failed within 30 s; the last: a of exec_1, transient"
    assert opened.until == scene.clock.now() + timedelta(seconds=16)


def test_there_is_a_queue_for_the_detour() -> None:
    assert DETOUR in DELAYS


@pytest.mark.parametrize("error_class", ["validation", "business"])
async def test_failures_that_are_the_tasks_own_fault_open_nothing(
    scene: Scene, error_class: ErrorClass
) -> None:
    scene.fail(50, error_class)
    assert scene.delay == 0


async def test_many_attempts_lost_with_one_agent_are_one_failure(scene: Scene) -> None:
    scene.happen(*(lost(f"t{number}") for number in range(50)))
    assert scene.delay == 0
    for name in ("bob", "cyd", "dan"):
        scene.breakers.hear(heartbeat(name))
        scene.happen(lost("t", agent_id=name))
    assert scene.delay == DETOUR


async def test_successes_keep_it_closed(scene: Scene) -> None:
    for _ in range(20):
        scene.happen(completed("a"), completed("b"), failed("c"))
    assert scene.delay == 0


async def test_who_nobody_knows_counts_for_nobody(scene: Scene) -> None:
    scene.happen(*(failed("a", agent_id="stranger") for _ in range(50)))
    assert scene.breakers._circuits == {}  # pyright: ignore[reportPrivateUsage] # memory has no other face


async def test_an_agent_is_known_by_its_registration_until_it_leaves(scene: Scene) -> None:
    scene.happen(hello("new"), *(failed("a", agent_id="new") for _ in range(4)))
    assert scene.delay == DETOUR


async def test_events_that_are_heard_again_or_are_old_do_not_count(scene: Scene) -> None:
    batch = scene.happen(*(failed("a") for _ in range(3)))
    scene.breakers.note(batch)
    scene.happen(*(failed("a") for _ in range(9)), at=scene.clock.now() - timedelta(seconds=31))
    assert scene.delay == 0


async def test_after_the_cool_down_one_probe_goes_straight_and_its_success_ends_it(
    scene: Scene,
) -> None:
    scene.fail()
    await scene.after()
    await scene.after(15)
    assert scene.delay == DETOUR
    await scene.after(1)
    assert scene.told() == ["breaker.opened", "breaker.half_opened"]
    assert [scene.delay for _ in range(3)] == [0, DETOUR, DETOUR]
    scene.happen(completed("a"))
    assert scene.delay == 0
    await scene.after()
    assert scene.told()[-1] == "breaker.closed"


async def test_a_probe_that_fails_opens_it_for_longer(scene: Scene) -> None:
    scene.fail()
    await scene.after()
    await scene.after(16)
    scene.fail(1)
    assert scene.delay == DETOUR
    await scene.after()
    again = scene.store.events[-1].event
    assert isinstance(again, BreakerOpened)
    assert (again.trips, again.until) == (2, scene.clock.now() + timedelta(seconds=32))


async def test_a_breaker_that_is_open_stays_open_in_another_coordinator(scene: Scene) -> None:
    scene.fail()
    await scene.after()
    scene.breakers = scene.begin()
    assert scene.delay == 0
    await scene.breakers.recall()
    assert scene.delay == DETOUR
    await scene.after(16)
    scene.position += 1
    scene.happen(completed("a"))
    await scene.after()
    assert scene.told() == ["breaker.opened", "breaker.half_opened", "breaker.closed"]


async def test_a_change_that_could_not_be_recorded_is_told_again(scene: Scene) -> None:
    async def fail() -> None:
        raise DatabaseUnavailable(OSError("cut"))

    async def work() -> None:
        pass

    scene.fail()
    scene.watched.before_append = fail
    with pytest.raises(DatabaseUnavailable):
        await scene.after()
    assert scene.delay == DETOUR
    scene.watched.before_append = work
    await scene.after()
    assert scene.told() == ["breaker.opened"]


async def test_work_may_be_on_its_detour_for_a_while_after_it_closed(scene: Scene) -> None:
    assert not scene.breakers.holds_back(*KIND)
    scene.fail()
    assert scene.delay == DETOUR
    scene.clock.pass_by(DETOUR)
    assert scene.breakers.holds_back(*KIND)
    scene.clock.pass_by(5)
    assert not scene.breakers.holds_back(*KIND)


async def test_breakers_tell_and_cool_down_by_themselves(scene: Scene) -> None:
    running = asyncio.create_task(scene.breakers.run())
    await asyncio.sleep(0)
    scene.fail()
    await until(lambda: scene.told() == ["breaker.opened"], "it is told")
    scene.clock.pass_by(16)
    await until(lambda: scene.told()[-1] == "breaker.half_opened", "it half-opens")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
