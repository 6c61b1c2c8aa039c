"""The subscribers of an agent, one for the queue of each lane, and how they stay awake."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

import structlog
from aio_pika import RobustConnection
from aiormq.exceptions import ChannelNotFoundEntity
from faststream import AckPolicy
from faststream.rabbit import (
    ExchangeType,
    QueueType,
    RabbitBroker,
    RabbitExchange,
    RabbitMessage,
    RabbitQueue,
)
from faststream.rabbit.schemas.queue import QuorumQueueArgs
from faststream.rabbit.subscriber import RabbitSubscriber

from agents.kit.acks import Acks, Delivered
from agents.kit.carrier import Carrier
from agents.kit.identity import Identity
from bus.lost import LOST, insist, telling_loss
from bus.together import end
from bus.topology import LANES, WORK, Queue, work_queues
from domain.values import Lane

log = structlog.get_logger(__name__)

BACKUP = -1
"""The consumer priority of a backup: the broker fills everybody else's prefetch first."""

_ANSWER_IN = 5.0


class Lanes:
    """Takes work from the queue of each lane.

    RabbitMQ 3.10 can leave a consumer attached to a quorum queue that was deleted and made again,
    and never deliver to it. It looks like an empty queue from here, and like a busy consumer from
    there: only who asks how much waits can tell. So an agent with free places looks at the queues
    that were silent, and begins anew, with a new connection, when their work does not come.
    """

    def __init__(
        self,
        broker: RabbitBroker,
        identity: Identity,
        carrier: Carrier,
        *,
        restore: Callable[[], Awaitable[None]],
        look: float,
        is_backup: bool,
        may_declare: bool = True,
    ) -> None:
        """Take who carries the work out.

        ``restore`` makes queues exist that were taken away; ``look`` is in seconds. Who may not
        declare the exchange of all work waits until somebody else has.
        """
        self._may_declare = may_declare
        self._broker = broker
        self._carrier = carrier
        self._restore = restore
        self._seconds = look
        self._consume = {"x-priority": BACKUP} if is_backup else {}
        self._acks = Acks()
        queues = work_queues(identity.role, identity.agent_type)
        self._queues = dict(zip(LANES, queues, strict=True))
        self._taken = dict.fromkeys(LANES, 0)
        self._subscribers: list[RabbitSubscriber] = []
        self._watching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Subscribe to every queue, now or when the broker is back."""
        for lane, queue in self._queues.items():
            subscriber = self._broker.subscriber(
                _declared(queue),
                RabbitExchange(
                    WORK, type=ExchangeType.TOPIC, durable=True, declare=self._may_declare
                ),
                consume_args=self._consume,
                ack_policy=AckPolicy.MANUAL,
                decoder=_as_it_is,
                no_reply=True,
            )
            subscriber(self._taker(lane, queue.name))
            self._subscribers.append(subscriber)
            await insist(subscriber.start)
        self._watching = asyncio.create_task(self._watch(), name="lanes")

    async def close(self) -> None:
        """Take no more."""
        if self._watching is not None:
            await end((self._watching,))
        await asyncio.gather(*map(_stop, self._subscribers))

    def _taker(self, lane: Lane, queue: str) -> Callable[[RabbitMessage], Awaitable[None]]:
        async def take(message: RabbitMessage) -> None:
            self._taken[lane] += 1
            taken = Delivered(message.raw_message, self._acks)
            await self._carrier.take(taken, lane=lane, queue=queue)

        return take

    async def _watch(self) -> None:
        """Begin anew whenever work stays that should have come, until cancelled."""
        suspects: set[Lane] = set()
        while True:
            taken = dict(self._taken)
            await asyncio.sleep(self._seconds)
            connection = await self._broker.connect()
            suspects_before, suspects = suspects, set[Lane]()
            if self._carrier.gate.has_room:
                silent: set[Lane] = {lane for lane in LANES if self._taken[lane] == taken[lane]}
                suspects = await self._look(connection, silent)
            if deaf := suspects & suspects_before:
                log.warning("agent.deaf", lanes=sorted(deaf))
                await _cut(connection)
                suspects = set()

    async def _look(self, connection: RobustConnection, lanes: set[Lane]) -> set[Lane]:
        """Return the lanes that hold work, or that nobody listens to."""
        try:
            async with asyncio.timeout(_ANSWER_IN):
                with telling_loss():
                    return {lane for lane in lanes if await self._holds_work(connection, lane)}
        except LOST as error:
            log.info("lanes.unseen", why=str(error))  # a connection that is gone comes back
            return set()

    async def _holds_work(self, connection: RobustConnection, lane: Lane) -> bool:
        transport = connection.transport
        if transport is None:
            raise ConnectionError("the connection is being made")
        # A channel for each: to ask for a queue that is gone closes it.
        channel = await transport.connection.channel()
        try:
            queue = await channel.queue_declare(self._queues[lane].name, passive=True)
        except ChannelNotFoundEntity:
            await self._restore()
            return True
        await channel.close()
        return bool(queue.message_count) or not queue.consumer_count


async def _stop(subscriber: RabbitSubscriber) -> None:
    """Stop a subscriber; one whose channel is gone has stopped."""
    with suppress(*LOST), telling_loss():
        await subscriber.stop()


async def _cut(connection: RobustConnection) -> None:
    """End the connection under its subscribers: it comes back with all of them."""
    if connection.transport is not None:
        with suppress(*LOST), telling_loss():
            async with asyncio.timeout(_ANSWER_IN):
                await connection.transport.connection.close(ConnectionError("deaf"))


def _declared(queue: Queue) -> RabbitQueue:
    """Return a queue as FastStream declares it: the same as the topology has it."""
    arguments = {name: x for name, x in queue.arguments.items() if name != "x-queue-type"}
    return RabbitQueue(
        queue.name,
        queue_type=QueueType.QUORUM,
        durable=True,
        routing_key=queue.keys[0],
        arguments=cast("QuorumQueueArgs", arguments),
    )


async def _as_it_is(message: RabbitMessage) -> RabbitMessage:
    """Leave the body to our own strict reader."""
    return message
