"""Acknowledges many deliveries in one write.

Not with ``multiple``: work that was taken later may begin earlier, and would be acknowledged for
work that has not begun.
"""

import asyncio
from typing import cast

from aio_pika.abc import AbstractIncomingMessage
from aiormq.abc import AbstractChannel, ChannelFrame
from aiormq.channel import Channel
from pamqp.commands import Basic
from pamqp.frame import marshal

_SOON = 0.01


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
