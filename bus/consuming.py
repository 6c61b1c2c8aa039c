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
from aiormq.exceptions import ChannelNotFoundEntity

from bus.connect import reconnect_interval
from bus.lost import LOST, telling_loss
from bus.messages import Delivery
from bus.properties import Properties

log = structlog.get_logger(__name__)

_PATIENCE = 5.0
"""Seconds of silence after which a consumer begins anew."""


@dataclass(slots=True, kw_only=True)
class _Link:
    """One channel for as long as it lives, and what has arrived on it."""

    channel: AbstractChannel
    arrived: deque[Delivery] = field(default_factory=deque[Delivery])
    something: asyncio.Event = field(default_factory=asyncio.Event)
    is_lost: bool = False
    last: int = 0
    """The tag of the latest delivery."""

    answered: int = 0
    """The tag up to which everything is acknowledged."""

    def lose(self) -> None:
        """Take note that nothing more will come."""
        self.is_lost = True
        self.something.set()

    async def arrive(self, message: DeliveredMessage) -> None:
        """Take a delivery."""
        delivery = delivery_of(message)
        self.last = delivery.tag
        self.arrived.append(delivery)
        self.something.set()

    def take(self, most: int) -> Sequence[Delivery]:
        """Return the next deliveries: either all for the first time, or all again."""
        taken = [self.arrived.popleft()]
        is_again = taken[0].is_redelivered
        while self.arrived and len(taken) < most and self.arrived[0].is_redelivered == is_again:
            taken.append(self.arrived.popleft())
        return taken

    @property
    def is_idle(self) -> bool:
        """Whether everything that arrived is answered."""
        return self.last == self.answered


@dataclass(slots=True, kw_only=True)
class Group:
    """Deliveries that are answered together."""

    deliveries: Sequence[Delivery]
    link: _Link = field(repr=False)

    def part(self, start: int, end: int) -> "Group":
        """Return some deliveries as a group of their own; parts are answered in their order."""
        return Group(deliveries=self.deliveries[start:end], link=self.link)

    async def ack(self) -> None:
        """Acknowledge these deliveries and every one before them.

        On a channel that was lost meanwhile it does nothing: the broker delivers them again.
        """
        last = self.deliveries[-1].tag
        self.link.answered = last
        try:
            await self.link.channel.basic_ack(last, multiple=True, wait=False)
        except LOST:
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
        rank: int = 0,
    ) -> None:
        """Take a connection; ``declare`` makes the queue exist where it does not.

        Of several consumers, those of the highest ``rank`` are given messages first.
        """
        self._connection = connection
        self.queue = queue
        self._prefetch = prefetch
        self._declare = declare
        self._rank = rank

    async def groups(self, most: int) -> AsyncIterator[Group]:
        """Yield what has arrived, at most that many at a time, until cancelled.

        What comes again is yielded apart from what is new: one of it may have killed its reader.
        """
        while True:
            try:
                with telling_loss():
                    link = await self._open()
            except LOST as error:
                log.warning("consumer.waits", queue=self.queue, why=str(error))
                await asyncio.sleep(reconnect_interval())
                continue
            while not (link.is_lost or link.channel.is_closed):
                await self._listen(link)
                while link.arrived and not link.is_lost:
                    yield Group(deliveries=link.take(most), link=link)
            await _close(link.channel)

    async def _listen(self, link: _Link) -> None:
        """Return when something has arrived, or when nothing will."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await link.something.wait()
            link.something.clear()
        except TimeoutError:
            # RabbitMQ 3.10 can leave a consumer attached to a quorum queue that was deleted and
            # made again, and never deliver to it, or deliver where nobody hears. Neither end
            # can tell that from an empty queue: so silence ends with a new channel.
            if link.is_idle:
                link.lose()

    async def _open(self) -> _Link:
        await self._connection.ready()
        transport = self._connection.transport
        if transport is None:
            raise ConnectionError("the connection is being made")
        channel: AbstractChannel = await transport.connection.channel()
        link = _Link(channel=channel)
        try:
            closing = cast("asyncio.Future[object]", channel.closing)  # pyright: ignore[reportUnknownMemberType] # a bare Future
            closing.add_done_callback(lambda _: link.lose())
            channel.on_consumer_cancel_callbacks.add(lambda _: link.lose())
            await channel.basic_qos(prefetch_count=self._prefetch)
            await channel.basic_consume(
                self.queue, link.arrive, arguments={"x-priority": self._rank}
            )
        except ChannelNotFoundEntity:
            if self._declare is not None:
                await self._declare()
            raise
        except BaseException:
            await _close(channel)
            raise
        return link


async def _close(channel: AbstractChannel) -> None:
    with suppress(*LOST), telling_loss():
        await channel.close()


def delivery_of(message: DeliveredMessage) -> Delivery:
    """Return a message as the loops know it."""
    said = message.header.properties
    return Delivery(
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
            user_id=said.user_id,
            priority=said.priority,
        ),
    )
