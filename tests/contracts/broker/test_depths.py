"""How much waits, asked of either broker."""

from bus.connect import connect
from bus.depths import BrokerDepths
from bus.messages import Message
from bus.publishing import Publisher
from bus.topology import HELD, REPORTS, declare, topology
from tests.contracts.broker.client import until


def message(exchange: str, key: str) -> Message:
    return Message(exchange=exchange, key=key, body=b"{}", message_id="m", type=key, headers={})


async def test_reports_that_are_held_wait_to_be_recorded_like_the_others(amqp_url: str) -> None:
    async with (
        await connect(amqp_url, name="test.depths") as connection,
        Publisher(connection) as publisher,
    ):
        async with connection.channel() as channel:
            await declare(channel, topology())
            for queue in (REPORTS, HELD):
                await (await channel.get_queue(queue)).purge()
        depths = BrokerDepths(connection)
        assert await depths.reports() == 0
        sent = [message(REPORTS, "task.started"), message(HELD, "task.completed")]
        assert await publisher.publish_all(sent) == ["confirmed", "confirmed"]

        async def both_wait() -> bool:  # a quorum queue counts a moment after it has confirmed
            return await depths.reports() == 2

        await until(both_wait)


async def test_a_queue_that_is_not_there_holds_nothing(amqp_url: str) -> None:
    async with await connect(amqp_url, name="test.depths") as connection:
        depths = BrokerDepths(connection)
        depth = await depths.work(("execution", "NOBODY", "normal"))
        assert (depth.ready, depth.consumers) == (0, 0)
