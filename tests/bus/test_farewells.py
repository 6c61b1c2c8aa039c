"""Farewells: a deregistered agent that has missed the order to stop hears it again."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from bus.farewells import Farewells
from bus.orders import AgentStop, decode_order
from bus.recorder import Recorder
from domain.agent import AgentDeregistered
from tests.bus.test_health import heartbeat
from tests.bus.test_holders import Told
from tests.support.memory_store import MemoryStore
from tests.support.recorders import SteppedClock, recording
from tests.support.recording import hello, said
from tests.support.watched_store import WatchedStore


@dataclass
class Scene:
    """An agent that has registered, and whoever says farewell."""

    told: Told
    clock: SteppedClock
    store: MemoryStore
    recorder: Recorder
    farewells: Farewells

    async def deregister(self, report_id: str = "goodbye") -> None:
        goodbye = AgentDeregistered(agent_id="ann", reason="not needed")
        outcome = await self.recorder.record(said(goodbye, report_id=report_id))
        self.farewells.note(outcome.events)

    async def beat(self, **changes: object) -> list[str]:
        """Return the starts that are told to stop after one more heartbeat."""
        self.told.messages.clear()
        self.farewells.hear(heartbeat("ann", **changes))
        self.clock.pass_by(2)
        await self.farewells.look()
        orders = [decode_order(message.body) for message in self.told.messages]
        return [order.instance for order in orders if isinstance(order, AgentStop)]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    store, told, clock = MemoryStore(), Told(), SteppedClock()
    async with recording(WatchedStore(store)) as recorder:
        await recorder.record(said(hello("ann"), report_id="hello"))
        yield Scene(told, clock, store, recorder, Farewells(store, told, clock))


async def test_who_is_heard_after_it_was_deregistered_is_told_to_stop_until_it_is_silent(
    scene: Scene,
) -> None:
    assert await scene.beat() == []
    await scene.deregister()
    assert await scene.beat() == ["1"]
    assert await scene.beat() == ["1"]
    assert scene.told.messages[0].key == "order.ann"
    scene.told.messages.clear()
    await scene.farewells.look()
    assert scene.told.messages == []


async def test_each_time_the_order_is_another_message(scene: Scene) -> None:
    await scene.deregister()
    await scene.beat()
    first = scene.told.messages[0].message_id
    await scene.beat()
    assert scene.told.messages[0].message_id != first


async def test_another_start_is_welcome_again(scene: Scene) -> None:
    await scene.deregister()
    await scene.recorder.record(said(hello("ann", instance="2"), report_id="again"))
    assert await scene.beat(instance="2") == []


async def test_a_start_that_has_not_registered_yet_is_not_stopped(scene: Scene) -> None:
    await scene.deregister()
    assert await scene.beat(instance="2") == []


async def test_who_says_goodbye_itself_is_not_told(scene: Scene) -> None:
    await scene.deregister()
    assert await scene.beat(lifecycle="shutdown") == []


async def test_the_record_is_asked_about_a_start_once(scene: Scene) -> None:
    asked: list[str] = []

    class Asked:
        async def load(self, stream: str) -> tuple[object, int]:
            asked.append(stream)
            return await scene.store.load(stream)

    farewells = Farewells(Asked(), scene.told, scene.clock)
    for _ in range(3):
        farewells.hear(heartbeat("ann"))
        await farewells.look()
    assert asked == ["agent:ann"]
