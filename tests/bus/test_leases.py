"""The lease keeper: silence loses attempts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from bus.leases import LeaseKeeper
from bus.ports import SystemClock
from bus.recorder import Recorder
from bus.signals import Heartbeat, HeldTask
from domain.leases import Attempt
from domain.run import Run
from infra.store.store import DatabaseUnavailable
from tests.support.making import RUN_ID, requested, started, task
from tests.support.memory_store import MemoryStore
from tests.support.recorders import SteppedClock, recording
from tests.support.recording import hello, said
from tests.support.waiting import until
from tests.support.watched_store import WatchedStore

LEASE = 10.0


@dataclass
class World:
    """What the lease keeper asks the views and the broker, as a test wants it to be."""

    store: MemoryStore
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    backlog: int = 0
    present: list[str] = field(default_factory=list[str])
    outages: int = 0

    async def started(self, *, before: datetime) -> Sequence[Attempt]:
        return [each for each in self.attempts if each.state == "started" and each.since < before]

    async def agents(self) -> Sequence[str]:
        if self.outages:
            self.outages -= 1
            raise DatabaseUnavailable(OSError("cut"))
        return self.present

    async def reports(self) -> int:
        return self.backlog


@dataclass
class Scene:
    """A lease keeper in its world."""

    world: World
    watched: WatchedStore
    clock: SteppedClock
    recorder: Recorder
    keeper: LeaseKeeper

    def attempt(self, **changes: object) -> None:
        known: dict[str, object] = {
            "run_id": RUN_ID,
            "task_id": "a",
            "epoch": 1,
            "state": "started",
            "since": self.clock.now(),
            "agent_id": "ann",
            "agent_type": "NOOP",
            "role": "execution",
            "lane": "normal",
            "delay": 0,
            "position": 2,
        }
        self.world.attempts = [Attempt(**(known | changes))]  # type: ignore[arg-type] # by name

    def beat(self, *held: tuple[str, int], agent_id: str = "ann") -> None:
        tasks = tuple(
            HeldTask(run_id=RUN_ID, task_id=name, epoch=epoch, state="running")
            for name, epoch in held
        )
        heartbeat = Heartbeat(
            agent_id=agent_id,
            agent_type="NOOP",
            role="execution",
            instance="1",
            lifecycle="working",
            load=0.5,
            at=self.clock.now(),
            cpu=0.1,
            memory_bytes=1,
            tasks=tasks,
        )
        self.keeper.hear(heartbeat)

    async def after(self, seconds: float) -> None:
        self.clock.pass_by(seconds)
        await self.keeper.sweep()

    async def epoch(self) -> int:
        run, _ = await self.world.store.load(RUN_ID)
        assert isinstance(run, Run)
        return run.states["a"].epoch

    def types(self, stream: str) -> list[str]:
        return [event.type for event in self.world.store.events if event.stream == stream]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    """A run whose task ann has started, and a lease keeper that has listened since then."""
    clock = SteppedClock()
    store = MemoryStore()
    watched = WatchedStore(store)
    world = World(store)
    async with recording(watched) as recorder:
        keeper = LeaseKeeper(
            attempts=world,
            presence=world,
            depths=world,
            recorder=recorder,
            clock=clock,
            lease=timedelta(seconds=LEASE),
        )
        await recorder.record(said(requested(task("a")), report_id="run"))
        await recorder.record(said(hello("ann"), report_id="hello"))
        await recorder.record(said(started("a"), report_id="started"))
        yield Scene(world, watched, clock, recorder, keeper)


async def test_an_attempt_that_is_named_is_kept(scene: Scene) -> None:
    scene.attempt()
    for _ in range(10):
        scene.beat(("a", 1))
        await scene.after(LEASE)
    assert await scene.epoch() == 1


@pytest.mark.proves("S-13d")
async def test_an_attempt_that_nobody_names_is_lost_and_dispatched_again(scene: Scene) -> None:
    scene.attempt()
    scene.beat(("a", 1))
    await scene.after(LEASE)
    assert await scene.epoch() == 1
    await scene.after(1)
    assert await scene.epoch() == 2
    assert scene.types(RUN_ID)[-2:] == ["task.lost", "task.dispatched"]


async def test_an_agent_that_no_longer_has_an_attempt_has_lost_it(scene: Scene) -> None:
    scene.attempt()
    for _ in range(3):
        scene.beat()
        await scene.after(LEASE / 2)
    assert await scene.epoch() == 2


async def test_a_loss_is_reported_once_though_the_view_lags_behind(scene: Scene) -> None:
    scene.attempt()
    for _ in range(4):
        await scene.after(LEASE + 1)
    assert scene.types(RUN_ID).count("task.lost") == 1


async def test_a_living_agent_is_believed_while_reports_wait(scene: Scene) -> None:
    scene.attempt()
    scene.world.backlog = 7
    for _ in range(3):
        scene.beat()
        await scene.after(LEASE)
    assert await scene.epoch() == 1
    scene.world.backlog = 0
    scene.beat()
    await scene.after(LEASE)
    assert await scene.epoch() == 2


async def test_an_agent_that_never_registered_does_not_disturb_the_others(scene: Scene) -> None:
    scene.attempt()
    scene.beat(agent_id="stranger")
    await scene.after(LEASE + 1)
    assert await scene.epoch() == 2


async def test_nobody_is_lost_while_the_keeper_itself_hears_nothing(scene: Scene) -> None:
    scene.attempt()
    scene.beat(("a", 1))
    scene.clock.pass_by(LEASE * 3)
    scene.keeper.hear_itself()
    await scene.after(LEASE - 1)
    assert await scene.epoch() == 1
    await scene.after(2)
    assert await scene.epoch() == 2


async def test_a_pause_gives_everybody_as_long_again(scene: Scene) -> None:
    scene.attempt()
    for _ in range(int(LEASE) * 2 - 2):
        scene.clock.pass_by(0.5)
        scene.keeper.hear_itself()
    scene.clock.pass_by(3)
    scene.keeper.hear_itself()
    await scene.after(2.5)
    assert await scene.epoch() == 1
    await scene.after(1)
    assert await scene.epoch() == 2


@pytest.mark.parametrize("hours", [-10, 10])
async def test_a_clock_that_is_set_loses_nothing(scene: Scene, hours: int) -> None:
    scene.attempt()
    scene.beat(("a", 1))
    scene.keeper.hear_itself()
    scene.clock.pass_by(hours * 3600)
    scene.keeper.hear_itself()
    scene.beat(("a", 1))
    await scene.after(LEASE - 1)
    assert await scene.epoch() == 1


async def test_sightings_are_forgotten_when_they_cannot_matter(scene: Scene) -> None:
    for number in range(50):
        scene.beat((f"t{number}", 1), agent_id=f"agent{number}")
    await scene.after(LEASE + 1)
    await scene.after(LEASE * 10)
    await scene.after(1)
    heard = scene.keeper._heard  # pyright: ignore[reportPrivateUsage] # memory has no other face
    assert (heard.attempts, heard.agents) == ({}, {})


async def test_the_keeper_judges_on_through_an_outage(scene: Scene) -> None:
    scene.world.outages = 2
    keeper = LeaseKeeper(
        attempts=scene.world,
        presence=scene.world,
        depths=scene.world,
        recorder=scene.recorder,
        clock=SystemClock(),
        lease=timedelta(seconds=0.2),
    )
    scene.attempt()
    running = asyncio.create_task(keeper.run())
    await until(lambda: "task.lost" in scene.types(RUN_ID), "the attempt is lost")
    assert scene.world.outages == 0
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
