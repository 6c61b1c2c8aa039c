"""A broker that has our topology, raw messages for it, and what lies in its queues."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aio_pika import Message, RobustConnection
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, FieldValue

from bus.connect import connect
from bus.publishing import Publisher
from bus.topology import declare, topology


@dataclass
class Broker:
    """A connection to a broker that has everything, and a publisher on it."""

    url: str
    connection: RobustConnection
    channel: AbstractChannel
    publisher: Publisher

    async def tell(
        self,
        exchange: str,
        key: str,
        body: bytes,
        *,
        content_type: str | None = "application/cloudevents+json",
        message_id: str | None = None,
        headers: dict[str, FieldValue] | None = None,
        content_encoding: str | None = None,
        reply_to: str | None = None,
    ) -> None:
        """Publish a message as somebody would who does not use our code."""
        message = Message(
            body,
            content_type=content_type,
            message_id=message_id,
            headers=headers,
            content_encoding=content_encoding,
            reply_to=reply_to,
        )
        target = await self.channel.get_exchange(exchange, ensure=False)
        await target.publish(message, routing_key=key)

    async def count(self, queue: str) -> int:
        """Return how many messages wait in a queue."""
        # The library's own queue remembers its first declaration; the channel below it asks.
        channel = await self.channel.get_underlay_channel()
        return (await channel.queue_declare(queue, passive=True)).message_count or 0

    async def until_holds(self, queue: str, count: int) -> None:
        """Wait until so many messages wait in a queue."""
        async with asyncio.timeout(20):
            while await self.count(queue) != count:  # noqa: ASYNC110 # it is another's to know
                await asyncio.sleep(0.05)

    async def take(self, queue: str) -> list[AbstractIncomingMessage]:
        """Take everything that waits in a queue."""
        source = await self.channel.get_queue(queue, ensure=False)
        found: list[AbstractIncomingMessage] = []
        while got := await source.get(no_ack=True, fail=False):
            found.append(got)
        return found


@asynccontextmanager
async def a_broker(url: str) -> AsyncGenerator[Broker]:
    async with await connect(url, name="test") as connection:
        # Without confirms the library leaves the properties as they are.
        channel = await connection.channel(publisher_confirms=False)
        await declare(channel, topology(planning=(), execution=("NOOP",)))
        async with Publisher(connection) as publisher:
            yield Broker(url, connection, channel, publisher)
