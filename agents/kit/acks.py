"""A delivery as the broker's client has it, and many of them acknowledged in one write.

Not with ``multiple``: work that was taken later may begin earlier, and would be acknowledged for
work that has not begun.
"""

import asyncio
from collections.abc import Mapping
from typing import cast

import structlog
from aio_pika.abc import AbstractIncomingMessage
from aiormq.abc import AbstractChannel, ChannelFrame
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError
from pamqp.commands import Basic
from pamqp.frame import marshal

log = structlog.get_logger(__name__)

_SOON = 0.01
_LOST = (AMQPError, OSError, RuntimeError)


class Acks:
    """Gathers what is acknowledged in one turn of the loop.

    On a channel that is gone it does nothing: the broker delivers the message again.
    """

    def __init__(self) -> None:
        self._gathered: dict[AbstractChannel, list[int]] = {}
        self._is_due = False

    def ack(self, message: AbstractIncomingMessage) -> None:
        """Acknowledge a delivery at the end of this turn."""
        self._gathered.setdefault(message.channel, []).append(message.delivery_tag or 0)
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        self._is_due = False
        gathered, self._gathered = self._gathered, {}
        for channel, tags in gathered.items():
            if channel.is_closed:
                continue
            frames = b"".join(marshal(Basic.Ack(delivery_tag=tag), channel.number) for tag in tags)
            queue = cast("asyncio.Queue[ChannelFrame]", cast("Channel", channel).write_queue)  # pyright: ignore[reportUnknownMemberType] # a bare Queue
            try:
                queue.put_nowait(ChannelFrame(payload=frames, should_close=False))
            except asyncio.QueueFull:  # the connection does not get rid of what it has
                self._gathered[channel] = tags
        if self._gathered:
            self._is_due = True
            asyncio.get_running_loop().call_later(_SOON, self._write)


class Delivered:
    """A delivery in this agent's hand."""

    __slots__ = ("_acks", "_message")

    def __init__(self, message: AbstractIncomingMessage, acks: Acks) -> None:
        self._message = message
        self._acks = acks

    @property
    def body(self) -> bytes:
        """What it says."""
        return self._message.body

    @property
    def exchange(self) -> str:
        """Where it was published to."""
        return self._message.exchange or ""

    @property
    def key(self) -> str:
        """The routing key it was published with."""
        return self._message.routing_key or ""

    @property
    def tag(self) -> int:
        """Its number on its channel."""
        return self._message.delivery_tag or 0

    @property
    def message_id(self) -> str | None:
        """The id that its sender gave it."""
        return self._message.message_id

    @property
    def headers(self) -> Mapping[str, object]:
        """What else its sender said of it."""
        return self._message.headers

    def ack(self) -> None:
        """Acknowledge it with others."""
        self._acks.ack(self._message)

    async def give_back(self) -> None:
        """Put it back into its queue, for whoever has a place for it."""
        try:
            await self._message.nack(requeue=True)
        except _LOST as error:
            log.warning("nack.lost", why=str(error))
