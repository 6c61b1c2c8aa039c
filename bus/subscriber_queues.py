"""Queues of subscribers: an event is published to the queue of each that wants it."""

from collections.abc import Sequence
from typing import Final

from aio_pika import RobustConnection
from aiormq.exceptions import ChannelNotFoundEntity

from bus.envelope import encode_recorded, encode_reference
from bus.lost import LOST, telling_loss
from bus.messages import LARGEST, Message
from bus.ports import Sender
from bus.subscriptions import Subscription, queue_of
from bus.topology import SUBSCRIBERS
from bus.webhooks import NotBrought
from domain.policies import Event
from domain.recorded import Recorded

MOST_MESSAGES: Final = 100_000
MOST_BYTES: Final = 256 * 1024 * 1024
FORGOTTEN: Final = 7 * 24 * 3600
"""Seconds without a reader after which the broker deletes a queue, with what it holds."""

ARGUMENTS: Final[dict[str, str | int]] = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 1_000_000,
    "x-max-length": MOST_MESSAGES,
    "x-max-length-bytes": MOST_BYTES,
    "x-overflow": "reject-publish",  # what does not fit waits in the log
    "x-expires": FORGOTTEN * 1_000,
}


class QueueCarrier:
    """Publishes events to queues that it declares when they are missing."""

    def __init__(self, connection: RobustConnection, sender: Sender) -> None:
        self._connection = connection
        self._sender = sender
        self._declared: set[str] = set()

    async def bring(self, subscription: Subscription, events: Sequence[Recorded[Event]]) -> int:
        """Publish events in their order, and return how many of them the queue has, from the first.

        Raises:
            NotBrought: The queue takes none, or the broker is away.
        """
        name = subscription.subscription_id
        if name not in self._declared:
            await self._declare(name)
        outcomes = await self._sender.publish_all([_message(name, each) for each in events])
        for number, outcome in enumerate(outcomes):
            if outcome == "confirmed":
                continue
            if outcome == "unroutable":
                self._declared.discard(name)
            if number:
                return number
            full = "; it may be full: read it" if outcome == "nacked" else ""
            raise NotBrought(f"the queue {queue_of(name)} did not take it: {outcome}{full}")
        return len(events)

    async def close(self, subscription: Subscription) -> None:
        """Delete the queue, if the broker is there; a forgotten one expires."""
        self._declared.discard(subscription.subscription_id)
        try:
            with telling_loss():
                async with self._connection.channel() as channel:
                    await channel.queue_delete(queue_of(subscription.subscription_id))
        except (ChannelNotFoundEntity, *LOST):
            pass

    async def _declare(self, name: str) -> None:
        try:
            with telling_loss():
                async with self._connection.channel() as channel:
                    queue = await channel.declare_queue(
                        queue_of(name), durable=True, arguments=dict(ARGUMENTS), timeout=10
                    )
                    await queue.bind(SUBSCRIBERS, routing_key=name, timeout=10)
        except LOST as error:
            raise NotBrought(f"the queue {queue_of(name)} cannot be made: {error}") from error
        self._declared.add(name)


def _message(name: str, recorded: Recorded[Event]) -> Message:
    body = encode_recorded(recorded)
    return Message(
        exchange=SUBSCRIBERS,
        key=name,
        body=body if len(body) <= LARGEST else encode_reference(recorded),
        message_id=recorded.id,
        type=recorded.type,
    )
