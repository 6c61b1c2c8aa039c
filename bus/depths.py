"""How many messages wait in a queue, asked of the broker itself."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Final, Protocol

from aio_pika.abc import AbstractConnection
from aiormq.exceptions import ChannelNotFoundEntity

from bus.lost import LOST, telling_loss
from bus.owed import Depth
from bus.topology import HELD, REPORTS, RETRY, WORK, work_key
from domain.errors import Unavailable
from domain.leases import WorkKind

MOST_ASKED: Final = 20
"""How many queues are asked for one answer."""

IN_TIME: Final = 2.0
"""Seconds that the broker has for all of them."""


class BrokerUnavailable(Unavailable):
    """The broker does not answer."""

    code = "broker-unavailable"

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"the broker does not answer: {str(error) or type(error).__name__}")


class BrokerDepths:
    """Asks over a channel of its own each time: asking for a queue that is gone closes it."""

    def __init__(self, connection: AbstractConnection) -> None:
        """Take a connection on which little else opens channels.

        The number of a channel that the broker closes is free to aiormq before its answer is sent:
        who opens one just then is a second one to the broker, which ends the connection.
        """
        self._connection = connection
        self._turn = asyncio.Lock()

    async def reports(self) -> int:
        """Return how many reports wait to be recorded, those that are held among them."""
        return (await self._of(REPORTS)).ready + (await self._of(HELD)).ready

    async def work(self, kind: WorkKind) -> Depth:
        """Return what the queue of a kind of work holds."""
        return await self._of(f"{WORK}.{work_key(*kind)}")

    async def waiting(self, kind: WorkKind) -> int:
        """Return how many tasks of a kind no consumer has in hand."""
        return (await self.work(kind)).ready

    async def retry(self, delay: int) -> int:
        """Return how many tasks wait in the retry queue of a delay."""
        return (await self._of(f"{RETRY}.{delay}s")).ready

    async def _of(self, queue: str) -> Depth:
        """Return what a queue holds: nothing, where it does not exist."""
        transport = self._connection.transport
        if transport is None:
            raise BrokerUnavailable(ConnectionError("the connection is being made"))
        try:
            async with self._turn:
                with telling_loss():
                    channel = await transport.connection.channel()
                    declared = await channel.queue_declare(queue, passive=True, timeout=5)
                    await channel.close()
        except ChannelNotFoundEntity:
            return Depth(ready=0, consumers=0, is_there=False)
        except LOST as error:
            raise BrokerUnavailable(error) from error
        return Depth(ready=declared.message_count or 0, consumers=declared.consumer_count or 0)


class WorkDepths(Protocol):
    """How many messages wait in the queues of work."""

    async def work(self, kind: WorkKind) -> Depth:
        """Return what the queue of a kind of work holds."""
        ...


async def work_depths(
    depths: WorkDepths | None, kinds: Iterable[WorkKind], *, most: int = MOST_ASKED
) -> Mapping[WorkKind, Depth]:
    """Return what the first queues of work hold, as far as the broker says so in time."""
    found: dict[WorkKind, Depth] = {}
    if depths is None:
        return found
    with suppress(Unavailable, TimeoutError):
        async with asyncio.timeout(IN_TIME):
            for kind in islice(kinds, most):
                found[kind] = await depths.work(kind)
    return found
