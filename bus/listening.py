"""Listens to signals: an exclusive queue that vanishes with its connection, and is made again.

Whatever happens to the queue or to its binding, it is there again within seconds. What was said
meanwhile is missed.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, TypeAlias, cast
from uuid import uuid4

import structlog
from aio_pika import RobustConnection
from aiormq.abc import AbstractChannel, DeliveredMessage

from bus.consuming import delivery_of
from bus.lost import LOST, telling_loss
from bus.messages import Delivery
from bus.together import end
from bus.topology import SIGNALS

log = structlog.get_logger(__name__)

_LOOK_AGAIN: Final = 5.0

Arrive: TypeAlias = Callable[[Delivery], None]
"""Takes what was said."""


async def listen_to(
    heard: Mapping[str, Arrive],
    *,
    connection: RobustConnection,
    queue: str = "",
    source: str = SIGNALS,
) -> "Listener":
    """Hear every signal under some keys from now on, until the connection is closed for good.

    ``source`` is the exchange where they are said.

    ``queue`` is what the name of the queue begins with, for who may use no other. Who gives one
    may not make the exchange either, and waits until somebody else has.
    """
    listener = Listener(connection, heard, queue=queue, source=source)
    with suppress(*LOST), telling_loss():
        await listener.look_after()
    listener.keeping = asyncio.create_task(listener.keep_listening(), name="signals")
    asyncio.ensure_future(connection.closed()).add_done_callback(
        lambda _: listener.keeping and listener.keeping.cancel()
    )
    return listener


class Listener:
    """A queue that is kept for as long as somebody listens."""

    def __init__(
        self,
        connection: RobustConnection,
        heard: Mapping[str, Arrive],
        *,
        queue: str,
        source: str,
    ) -> None:
        self._source = source
        self._connection = connection
        self._heard = heard
        self._prefix = queue
        self._channel: AbstractChannel | None = None
        self._queue = ""
        self._disturbed = asyncio.Event()
        self.keeping: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """Hear no more: the queue goes, and what is said from now on goes nowhere."""
        if self.keeping is not None:
            await end((self.keeping,))
        if self._channel is not None:
            with suppress(*LOST), telling_loss():
                await self._channel.close()

    async def keep_listening(self) -> None:
        """Look after the queue again and again."""
        while True:
            # Not wait_for: in Python 3.11 it forgets a cancellation that comes with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN):
                    await self._disturbed.wait()
            self._disturbed.clear()
            try:
                with telling_loss():
                    await self.look_after()
            except LOST as error:
                log.warning("signals.wait", why=str(error))
                await asyncio.sleep(0.2)
                self._disturbed.set()

    async def look_after(self) -> None:
        """Make sure that the queue is there, and bound."""
        if self._channel is None or self._channel.is_closed:
            self._channel = await self._open()
        if not self._prefix:
            await self._channel.exchange_declare(self._source, exchange_type="topic", durable=True)
        for key in self._heard:
            await self._channel.queue_bind(self._queue, self._source, key)

    async def _open(self) -> AbstractChannel:
        await self._connection.ready()
        transport = self._connection.transport
        if transport is None:
            raise ConnectionError("the connection is being made")
        channel: AbstractChannel = await transport.connection.channel()
        closing = cast("asyncio.Future[object]", channel.closing)  # pyright: ignore[reportUnknownMemberType] # a bare Future
        closing.add_done_callback(lambda _: self._disturbed.set())
        channel.on_consumer_cancel_callbacks.add(lambda _: self._start_over())
        # Another name each time: the broker may hold on to the one before for a while.
        name = f"{self._prefix}.{uuid4().hex[:8]}" if self._prefix else ""
        declared = await channel.queue_declare(name, exclusive=True, auto_delete=True)
        self._queue = declared.queue or ""
        await channel.basic_consume(self._queue, self._arrive, no_ack=True)
        return channel

    def _start_over(self) -> None:
        self._channel = None
        self._disturbed.set()

    async def _arrive(self, message: DeliveredMessage) -> None:
        if hear := self._heard.get(message.routing_key or ""):
            hear(delivery_of(message))
