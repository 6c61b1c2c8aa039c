"""For which types of agents a coordinator makes queues, and what it costs to refuse."""

from collections.abc import AsyncIterator

import pytest
from aio_pika import Message, RobustConnection

from bus.connect import connect
from bus.relay import TooManyTypes
from bus.topology import declare, topology, work_queues
from infra.processes.declaring import Declaring
from tests.support.waiting import until


@pytest.fixture
async def broker(vhost_url: str) -> AsyncIterator[RobustConnection]:
    async with await connect(vhost_url, name="declaring") as connection:
        async with connection.channel() as channel:
            await declare(channel, topology(planning=(), execution=()))
        yield connection


def channels(broker: RobustConnection) -> int:
    assert broker.transport is not None
    return len(broker.transport.connection.channels)


async def test_so_many_types_get_queues_and_refusing_others_costs_nothing(
    broker: RobustConnection,
) -> None:
    declaring = Declaring(broker, strangers=2)
    for kind in ("ANN", "BOB", "ANN", "CAD"):
        await declaring.work("execution", kind)
    before = channels(broker)
    for number in range(30):
        with pytest.raises(TooManyTypes):
            await declaring.work("execution", f"CY_{number}")
    await until(lambda: channels(broker) <= before, "the channels are closed")


async def test_queues_that_an_agent_has_made_are_bound_and_not_counted(
    broker: RobustConnection,
) -> None:
    declaring = Declaring(broker, strangers=1)
    async with broker.channel() as channel:
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
