"""For which types of agents a coordinator makes queues, and what it costs to refuse."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aio_pika import Message, RobustConnection

from bus.connect import connect
from bus.depths import BrokerDepths
from bus.relay import TooManyTypes
from bus.topology import declare, topology, work_queues
from infra.processes.declaring import Declaring


@dataclass
class Scene:
    """A broker with nothing but exchanges, and who looks at it."""

    broker: RobustConnection
    depths: BrokerDepths
    looking: RobustConnection

    def declaring(self, *, strangers: int) -> Declaring:
        return Declaring(self.broker, depths=self.depths, strangers=strangers)


@pytest.fixture
async def scene(vhost_url: str) -> AsyncIterator[Scene]:
    async with (
        await connect(vhost_url, name="declaring") as broker,
        await connect(vhost_url, name="looking") as looking,
    ):
        async with broker.channel() as channel:
            await declare(channel, topology(planning=(), execution=()))
        yield Scene(broker, BrokerDepths(looking), looking)


async def test_so_many_types_get_queues_and_others_are_refused(scene: Scene) -> None:
    declaring = scene.declaring(strangers=2)
    for kind in ("ANN", "BOB", "ANN", "CAD"):
        await declaring.work("execution", kind)
    with pytest.raises(TooManyTypes):
        await declaring.work("execution", "CY")


async def test_many_may_be_refused_at_once_and_cost_no_connection(scene: Scene) -> None:
    declaring = scene.declaring(strangers=0)
    assert scene.looking.transport is not None
    link = scene.looking.transport.connection
    for _ in range(25):
        refused = await asyncio.gather(
            *(declaring.work("execution", f"CY_{number}") for number in range(40)),
            return_exceptions=True,
        )
        assert {type(one) for one in refused} == {TooManyTypes}
    assert scene.looking.transport.connection is link
    assert not link.is_closed
    assert len(link.channels) <= 1


async def test_queues_that_an_agent_has_made_are_bound_and_not_counted(
    scene: Scene,
) -> None:
    declaring = scene.declaring(strangers=1)
    async with scene.broker.channel() as channel:
        for queue in work_queues("execution", "OWN"):
            await channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))
        await declaring.work("execution", "OWN")
        await declaring.work("execution", "STRANGER")
        with pytest.raises(TooManyTypes):
            await declaring.work("execution", "ANOTHER")
        await declaring.work("execution", "OWN")
        own = await channel.get_queue(work_queues("execution", "OWN")[0].name)
        await own.unbind("taskloom.work", routing_key="#.execution.own.critical")
        await declaring.work("execution", "OWN")
        exchange = await channel.get_exchange("taskloom.work", ensure=False)
        await exchange.publish(Message(b"it"), routing_key="execution.own.critical")
        assert await own.get(timeout=5) is not None
