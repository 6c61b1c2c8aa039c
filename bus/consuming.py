"""Takes messages off a queue in groups, over a channel that is opened again whenever it is lost."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

import structlog
from aio_pika import RobustConnection
from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.exceptions import AMQPError

from bus.connect import reconnect_interval
from bus.properties import Properties

log = structlog.get_logger(__name__)

_LOST = (AMQPError, OSError, RuntimeError, TimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message as the broker delivered it."""

    body: bytes
    tag: int
    exchange: str
    key: str
    is_redelivered: bool
    properties: Properties


@dataclass(slots=True, kw_only=True)
class Group:
    """Deliveries that are answered together."""

    deliveries: Sequence[Delivery]
    _channel: AbstractChannel = field(repr=False)

    async def ack(self) -> None:
        """Acknowledge these deliveries and every one before them.

        On a channel that was lost meanwhile it does nothing: the broker delivers them again.
        """
        try:
            await self._channel.basic_ack(self.deliveries[-1].tag, multiple=True, wait=False)
        except _LOST:
            log.warning("ack.lost", deliveries=len(self.deliveries))


class Consumer:
    """A consumer of one queue that does not give up."""

    def __init__(
        self,
        connection: RobustConnection,
        queue: str,
        *,
        prefetch: int,
        declare: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Take a connection; ``declare`` makes the queue exist, each time before it is consumed."""
        self._connection = connection
        self.queue = queue
        self._prefetch = prefetch
        self._declare = declare
        self._arrived: deque[Delivery] = deque()
        self._something = asyncio.Event()
        self._is_lost = False

    async def groups(self, most: int) -> AsyncIterator[Group]:
        """Yield what has arrived, at most that many at a time, until cancelled.

        A delivery that comes again is yielded alone: if it is what killed its last reader, it kills
        nobody else's work.
        """
        while True:
            try:
                channel = await self._open()
            except _LOST as error:
                log.warning("consumer.waits", queue=self.queue, why=str(error))
                await asyncio.sleep(reconnect_interval())
                continue
            while not (self._is_lost or channel.is_closed):
                await self._something.wait()
                self._something.clear()
                while self._arrived and not self._is_lost:
                    yield Group(deliveries=self._take(most), _channel=channel)
            self._arrived.clear()
            with suppress(*_LOST):
                await channel.close()

    def _take(self, most: int) -> Sequence[Delivery]:
        taken = [self._arrived.popleft()]
        if taken[0].is_redelivered:
            return taken
        while self._arrived and len(taken) < most and not self._arrived[0].is_redelivered:
            taken.append(self._arrived.popleft())
        return taken

    async def _open(self) -> AbstractChannel:
        await self._connection.ready()
        transport = self._connection.transport
        if transport is None:
            raise ConnectionError("the connection is being made")
        channel: AbstractChannel = await transport.connection.channel()
        self._arrived.clear()
        self._is_lost = False
        if self._declare is not None:
            await self._declare()
        closing = cast("asyncio.Future[object]", channel.closing)  # pyright: ignore[reportUnknownMemberType] # a bare Future
        closing.add_done_callback(lambda _: self._lose())
        channel.on_consumer_cancel_callbacks.add(lambda _: self._lose())
        await channel.basic_qos(prefetch_count=self._prefetch)
        await channel.basic_consume(self.queue, self._arrive)
        return channel

    def _lose(self) -> None:
        self._is_lost = True
        self._something.set()

    async def _arrive(self, message: DeliveredMessage) -> None:
        said = message.header.properties
        self._arrived.append(
            Delivery(
                body=message.body,
                tag=message.delivery_tag or 0,
                exchange=message.exchange or "",
                key=message.routing_key or "",
                is_redelivered=bool(message.redelivered),
                properties=Properties(
                    content_type=said.content_type,
                    message_id=said.message_id,
                    content_encoding=said.content_encoding,
                    reply_to=said.reply_to,
                    expiration=said.expiration,
                    headers=said.headers,
                ),
            )
        )
        self._something.set()
