"""The health keeper: how an agent is, told once for each change."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from bus.health import HealthKeeper
from bus.ports import SystemClock
from bus.recorder import Recorder
from bus.signals import Heartbeat
from domain.agent import Agent, AgentDeregistered, AgentStatus
from infra.store.store import DatabaseUnavailable
from tests.support.memory_store import MemoryStore
from tests.support.recorders import SteppedClock, recording
from tests.support.recording import hello, said
from tests.support.scenario import NOW
from tests.support.waiting import until
from tests.support.watched_store import WatchedStore

LEASE = 10.0


@dataclass
class Presence:
    """What heartbeats said last, in memory."""

    seen_at: dict[str, datetime] = field(default_factory=dict[str, datetime])
    outages: int = 0

    async def seen(self, heartbeats: Sequence[Heartbeat], at: datetime) -> None:
        self.seen_at |= {heartbeat.agent_id: at for heartbeat in heartbeats}

    async def agents(self) -> Sequence[str]:
        if self.outages:
            self.outages -= 1
            raise DatabaseUnavailable(OSError("cut"))
        return sorted(self.seen_at)


@dataclass
class Scene:
    """A health keeper, and the record it tells."""

    presence: Presence
    watched: WatchedStore
    store: MemoryStore
    clock: SteppedClock
    recorder: Recorder
    keeper: HealthKeeper

    def beat(self, agent_id: str = "ann", **changes: object) -> None:
        self.keeper.hear(heartbeat(agent_id, at=self.clock.now(), **changes))

    async def after(self, seconds: float) -> None:
        self.clock.pass_by(seconds)
        await self.keeper.sweep()

    async def agent(self, agent_id: str = "ann") -> Agent:
        agent, _ = await self.store.load(f"agent:{agent_id}")
        assert isinstance(agent, Agent)
        return agent

    def types(self, stream: str) -> list[str]:
        return [event.type for event in self.store.events if event.stream == stream]


def heartbeat(agent_id: str, **changes: object) -> Heartbeat:
    known: dict[str, object] = {
        "agent_id": agent_id,
        "agent_type": "NOOP",
        "role": "execution",
        "instance": "1",
        "lifecycle": "working",
        "load": 0.5,
        "at": NOW,
        "cpu": 0.1,
        "memory_bytes": 1,
    }
    return Heartbeat.model_validate(known | changes)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    """An agent that has registered, and a keeper that has heard nothing."""
    clock = SteppedClock()
    store = MemoryStore()
    watched = WatchedStore(store)
    presence = Presence()
    async with recording(watched) as recorder:
        keeper = HealthKeeper(
            presence=presence, recorder=recorder, clock=clock, lease=timedelta(seconds=LEASE)
        )
        await recorder.record(said(hello("ann"), report_id="hello"))
        yield Scene(presence, watched, store, clock, recorder, keeper)


async def test_a_silent_agent_is_offline_until_it_is_heard_again(scene: Scene) -> None:
    scene.beat()
    await scene.after(LEASE)
    assert scene.types("agent:ann") == ["agent.registered"]
    for _ in range(3):
        await scene.after(1)
    agent = await scene.agent()
    assert (agent.lifecycle, agent.health) == ("recovering", "offline")
    assert scene.types("agent:ann").count("agent.status") == 1
    scene.beat()
    await scene.after(1)
    agent = await scene.agent()
    assert (agent.lifecycle, agent.health) == ("ready", "healthy")


async def test_who_registers_and_is_never_heard_is_offline(scene: Scene) -> None:
    scene.keeper.note(scene.store.events)
    await scene.after(LEASE)
    assert scene.types("agent:ann") == ["agent.registered"]
    await scene.after(1)
    assert (await scene.agent()).health == "offline"
    again = await scene.recorder.record(said(hello("ann", instance="2"), report_id="again"))
    scene.keeper.note(again.events)
    assert (await scene.agent()).health == "healthy"
    await scene.after(LEASE + 1)
    assert (await scene.agent()).health == "offline"


async def test_a_start_that_was_heard_before_its_registration_was_is_not_waited_for(
    scene: Scene,
) -> None:
    scene.beat()
    scene.keeper.note(scene.store.events)
    await scene.after(LEASE - 1)
    scene.beat()
    await scene.after(LEASE - 1)
    assert scene.types("agent:ann") == ["agent.registered"]


async def test_who_registers_and_leaves_is_not_waited_for(scene: Scene) -> None:
    goodbye = AgentDeregistered(agent_id="ann", reason="changed its mind")
    await scene.recorder.record(said(goodbye, report_id="goodbye"))
    scene.keeper.note(scene.store.events)
    await scene.after(LEASE + 1)
    assert scene.types("agent:ann") == ["agent.registered", "agent.deregistered"]


async def test_an_agent_that_was_offline_when_the_keeper_began_is_healthy_when_it_is_heard(
    scene: Scene,
) -> None:
    scene.beat()
    await scene.after(LEASE + 1)
    scene.presence.seen_at = {"ann": scene.clock.now()}
    running = asyncio.create_task(scene.keeper.run())  # begins with nothing heard
    await asyncio.sleep(0)
    await scene.after(1)
    assert scene.types("agent:ann").count("agent.status") == 1  # nobody has heard it yet
    scene.beat()
    await scene.after(1)
    agent = await scene.agent()
    assert agent.health == "healthy"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_health_that_could_not_be_recorded_is_told_again(scene: Scene) -> None:
    scene.beat()

    async def fail() -> None:
        raise DatabaseUnavailable(OSError("cut"))

    scene.watched.before_append = fail
    with pytest.raises(DatabaseUnavailable):
        await scene.after(LEASE + 1)

    async def work() -> None:
        pass

    scene.watched.before_append = work
    await scene.after(1)
    assert scene.types("agent:ann") == ["agent.registered", "agent.status"]


async def test_what_heartbeats_said_last_is_kept_for_whoever_asks(scene: Scene) -> None:
    scene.beat()
    scene.beat("bob")
    await scene.after(1)
    assert scene.presence.seen_at == {"ann": scene.clock.now(), "bob": scene.clock.now()}


async def test_agents_that_were_there_before_have_a_lease_to_be_heard(scene: Scene) -> None:
    scene.presence.seen_at = {"ann": scene.clock.now()}
    running = asyncio.create_task(scene.keeper.run())
    await asyncio.sleep(0)
    await scene.after(LEASE)
    assert scene.types("agent:ann") == ["agent.registered"]
    await scene.after(1)
    assert scene.types("agent:ann") == ["agent.registered", "agent.status"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_agent_that_never_registered_does_not_disturb_the_others(scene: Scene) -> None:
    scene.beat()
    scene.beat("stranger")
    await scene.after(LEASE + 1)
    assert (await scene.agent()).health == "offline"
    assert scene.types("agent:stranger") == []


async def test_an_agent_that_fails_much_of_its_work_is_degraded_until_it_does_no_more(
    scene: Scene,
) -> None:
    done = lost = 0
    for second in range(120):
        is_bad = second < 20
        done, lost = done + (not is_bad or second % 2), lost + (is_bad and not second % 2)
        scene.beat(completed=done, failed=lost, faults=lost)
        await scene.after(1)
        if second == 20:
            agent = await scene.agent()
            assert (agent.lifecycle, agent.health) == ("ready", "degraded")
    statuses = [
        event.event
        for event in scene.store.events
        if event.stream == "agent:ann" and isinstance(event.event, AgentStatus)
    ]
    assert [one.health for one in statuses] == ["degraded", "healthy"]
    assert "attempts failed" in statuses[0].reason


async def test_failures_that_are_the_tasks_own_fault_do_not_speak_against_an_agent(
    scene: Scene,
) -> None:
    for second in range(60):
        scene.beat(failed=second, faults=0)
        await scene.after(1)
    assert scene.types("agent:ann") == ["agent.registered"]


async def test_another_start_of_an_agent_is_judged_anew(scene: Scene) -> None:
    for second in range(30):
        scene.beat(completed=second, failed=second)
        await scene.after(1)
    assert (await scene.agent()).health == "degraded"
    await scene.recorder.record(said(hello("ann", "2"), report_id="again"))
    for second in range(30):
        scene.beat(completed=second, instance="2")
        await scene.after(1)
    assert (await scene.agent()).health == "healthy"
    for second in range(30, 60):
        scene.beat(completed=second, failed=second - 29, instance="2")
        await scene.after(1)
    assert (await scene.agent()).health == "degraded"


async def test_an_agent_that_is_much_slower_than_its_peers_is_degraded(scene: Scene) -> None:
    for name in ("bob", "cyd", "dan"):
        await scene.recorder.record(said(hello(name), report_id=name))
    for second in range(30):
        scene.beat(completed=second, busy_seconds=second * 4.0)
        for name in ("bob", "cyd", "dan"):
            scene.beat(name, completed=second, busy_seconds=second * 1.0)
        await scene.after(1)
    assert (await scene.agent()).health == "degraded"
    assert (await scene.agent("bob")).health == "healthy"


async def test_while_the_keeper_hears_not_even_itself_nobody_is_silent(scene: Scene) -> None:
    keeper = HealthKeeper(
        presence=scene.presence,
        recorder=scene.recorder,
        clock=scene.clock,
        lease=timedelta(seconds=LEASE),
        is_echoed=True,
    )
    keeper.hear(heartbeat("ann"))
    scene.clock.pass_by(LEASE * 3)
    await keeper.sweep()
    keeper.hear_itself()
    for _ in range(int(LEASE * 2)):
        await keeper.sweep()
        scene.clock.pass_by(0.5)
        keeper.hear_itself()
    assert scene.types("agent:ann") == ["agent.registered"]
    scene.clock.pass_by(0.5)
    await keeper.sweep()
    assert (await scene.agent()).health == "offline"


async def test_agents_are_forgotten_when_they_have_been_offline_for_long(scene: Scene) -> None:
    for number in range(50):
        scene.beat(f"agent{number}")
    await scene.after(LEASE + 1)
    await scene.after(LEASE * 10)
    await scene.after(1)
    heard = scene.keeper._heard  # pyright: ignore[reportPrivateUsage] # memory has no other face
    assert not any((heard.tracks, heard.awaited, heard.standings, heard.told))


async def test_the_keeper_judges_on_through_an_outage(scene: Scene) -> None:
    scene.presence.outages = 2
    scene.presence.seen_at = {"ann": scene.clock.now()}
    keeper = HealthKeeper(
        presence=scene.presence,
        recorder=scene.recorder,
        clock=SystemClock(),
        lease=timedelta(seconds=0.2),
    )
    running = asyncio.create_task(keeper.run())
    await until(lambda: "agent.status" in scene.types("agent:ann"), "the silence is told")
    assert scene.presence.outages == 0
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
