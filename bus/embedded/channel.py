"""A channel: consuming with prefetch, acknowledging; its publisher sits beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from pamqp import commands

from bus.embedded import wire
from bus.embedded.consumers import Consumer
from bus.embedded.declarations import answer_exchange, answer_queue, usable_queue
from bus.embedded.deliveries import Deliveries
from bus.embedded.errors import ChannelRefused, ConnectionRefused
from bus.embedded.properties import short_string
from bus.embedded.publisher import Publisher, Source
from bus.embedded.vhost import REPLY_TO_NAME

if TYPE_CHECKING:
    from pamqp.base import Frame

    from bus.embedded.messages import Entry, Message
    from bus.embedded.vhost import VirtualHost


class Link(Source, Protocol):
    """The connection that a channel belongs to."""

    wants_cancel: bool


class Channel:
    """One channel of one connection."""

    def __init__(self, number: int, link: Link, vhost: VirtualHost) -> None:
        self.number = number
        self.vhost = vhost
        self.owner: object = link
        self.last_queue = ""
        self.is_closing = False
        self.deliveries = Deliveries()
        self.publisher = Publisher(number, link, vhost)
        self._link = link
        self._consumers: dict[str, Consumer] = {}
        self._prefetch = 0
        self._reply_prefix = b""

    def on_method(self, arguments: bytes) -> None:
        """Carry out a method frame.

        Raises:
            AmqpRefused: It cannot be carried out.
        """
        if self.publisher.is_waiting:
            raise ConnectionRefused(505, "expected content, got a method frame instead")
        method = int.from_bytes(arguments[:4])
        if method == wire.PUBLISH:
            self.publisher.begin(arguments)
        elif method == wire.ACK:
            tag, bits = wire.read_settlement(arguments)
            for delivery in self.deliveries.take(tag, multiple=bool(bits & 1)):
                delivery.queue.settle(delivery.entry)
            self._wake_if_limited()
        elif method == wire.NACK:
            tag, bits = wire.read_settlement(arguments)
            self._refuse(tag, multiple=bool(bits & 1), requeue=bool(bits & 2))
        elif method == wire.REJECT:
            tag, bits = wire.read_settlement(arguments)
            self._refuse(tag, multiple=False, requeue=bool(bits & 1))
        else:
            self._answer(wire.decoded(arguments))

    def release(self) -> None:
        """Give back all that the channel holds: consumers and unacknowledged messages."""
        self.is_closing = True
        self._forget_reply()
        for consumer in list(self._consumers.values()):
            consumer.queue.unsubscribe(consumer)
        self._consumers.clear()
        self._requeue(is_asked=False)

    def can_take(self) -> bool:
        """Say whether one more delivery may be written."""
        return not self.is_closing and self._link.out.can_write and self.deliveries.has_room()

    def deliver(self, consumer: Consumer, entry: Entry) -> None:
        """Write a delivery."""
        tag = self.deliveries.add(entry, consumer.queue, consumer)
        message = entry.message
        self._send_content(
            wire.deliver(self.number, consumer.prefix, tag, entry.is_redelivered, message.address),
            message,
            message.counted(entry.returns) if entry.returns else message.properties,
        )

    def deliver_reply(self, message: Message) -> None:
        """Write a reply."""
        tag = self.deliveries.next_tag()
        method = wire.deliver(self.number, self._reply_prefix, tag, 0, message.address)
        self._send_content(method, message, message.properties)

    def lose(self, consumer: Consumer) -> None:
        """Tell the client that its consumer's queue is gone."""
        self._consumers.pop(consumer.tag, None)
        if self._link.wants_cancel and not self.is_closing:
            self._send(commands.Basic.Cancel(consumer.tag, nowait=True))

    def _answer(self, command: Frame) -> None:
        reply: Frame | None
        match command.index >> 16:
            case wire.EXCHANGE:
                reply = answer_exchange(self, command)
            case wire.QUEUE:
                reply = answer_queue(self, command)
            case _:
                reply = self._answer_basic(command)
        if reply is not None and not getattr(command, "nowait", False):
            self._send(reply)

    def _answer_basic(self, command: Frame) -> Frame | None:
        match command:
            case commands.Basic.Consume():
                return commands.Basic.ConsumeOk(self._consume(command))
            case commands.Basic.Cancel():
                return commands.Basic.CancelOk(self._cancel(command.consumer_tag or ""))
            case commands.Basic.Get():
                self._get(command)
                return None
            case commands.Basic.Qos():
                self._limit(command)
                return commands.Basic.QosOk()
            case commands.Basic.Recover() | commands.Basic.RecoverAsync():
                if not command.requeue:
                    raise ConnectionRefused(540, "requeue=false")
                self._requeue(is_asked=True)
                is_async = isinstance(command, commands.Basic.RecoverAsync)
                return None if is_async else commands.Basic.RecoverOk()
            case commands.Confirm.Select():
                self.publisher.confirms = True
                return commands.Confirm.SelectOk()
            case commands.Channel.Flow():
                if not command.active:
                    raise ConnectionRefused(540, "active=false")
                return commands.Channel.FlowOk(active=True)
            case commands.Basic.CancelOk():
                return None
            case commands.Channel.Open():
                raise ConnectionRefused(504, "second 'channel.open' seen")
            case _:
                raise ConnectionRefused(540, f"{command.name} is not part of this broker")

    def _consume(self, command: commands.Basic.Consume) -> str:
        if command.queue == REPLY_TO_NAME:
            return self._consume_replies(command)
        queue = usable_queue(self, command.queue)
        tag = command.consumer_tag or f"amq.ctag-{uuid4().hex}"
        if tag in self._consumers:
            raise ConnectionRefused(530, f"attempt to reuse consumer tag '{tag}'")
        has_exclusive = any(consumer.is_exclusive for consumer in queue.readers)
        if has_exclusive or (command.exclusive and queue.readers.count):
            raise ChannelRefused(
                403, f"queue '{queue.name}' in vhost '{self.vhost.name}' in exclusive use"
            )
        if queue.settings.is_quorum and self.deliveries.limit:
            raise ConnectionRefused(
                540,
                f"queue '{queue.name}' in vhost '{self.vhost.name}' does not support global qos",
            )
        priority = (command.arguments or {}).get("x-priority", 0)
        if not isinstance(priority, int):
            raise ChannelRefused(406, "invalid arg 'x-priority': not a number")
        consumer = Consumer(
            tag=tag,
            queue=queue,
            outlet=self,
            prefix=wire.deliver_prefix(short_string(tag)),
            is_unacknowledged=command.no_ack,
            is_exclusive=command.exclusive,
            priority=priority,
            prefetch=self._prefetch,
        )
        self._consumers[tag] = consumer
        queue.subscribe(consumer)
        return tag

    def _consume_replies(self, command: commands.Basic.Consume) -> str:
        if not command.no_ack:
            raise ChannelRefused(406, "reply consumer cannot acknowledge")
        if self.publisher.reply_token:
            raise ChannelRefused(406, "reply consumer already set")
        tag = command.consumer_tag or f"amq.ctag-{uuid4().hex}"
        self.publisher.reply_token = f"{REPLY_TO_NAME}.{uuid4().hex}"
        self._reply_prefix = wire.deliver_prefix(short_string(tag))
        self.vhost.replies[self.publisher.reply_token] = self
        return tag

    def _forget_reply(self) -> None:
        self.vhost.replies.pop(self.publisher.reply_token, None)
        self.publisher.reply_token = ""

    def _cancel(self, tag: str) -> str:
        consumer = self._consumers.pop(tag, None)
        if consumer is not None:
            consumer.queue.unsubscribe(consumer)
        elif self._reply_prefix == wire.deliver_prefix(short_string(tag)):
            self._forget_reply()
        return tag

    def _get(self, command: commands.Basic.Get) -> None:
        queue = usable_queue(self, command.queue)
        entry = queue.take(acknowledged=not command.no_ack)
        if entry is None:
            self._send(commands.Basic.GetEmpty())
            return
        if command.no_ack:
            tag = self.deliveries.next_tag()
        else:
            tag = self.deliveries.add(entry, queue, None)
        message = entry.message
        self._send_content(
            wire.get_ok(self.number, tag, entry.is_redelivered, message.address, queue.ready),
            message,
            message.counted(entry.returns) if entry.returns else message.properties,
        )

    def _limit(self, command: commands.Basic.Qos) -> None:
        if command.prefetch_size:
            raise ConnectionRefused(540, f"prefetch_size!=0 ({command.prefetch_size})")
        if command.global_:
            self.deliveries.limit = command.prefetch_count
            self.wake()
        else:
            self._prefetch = command.prefetch_count

    def _refuse(self, tag: int, *, multiple: bool, requeue: bool) -> None:
        deliveries = self.deliveries.take(tag, multiple=multiple)
        self._wake_if_limited()
        if not requeue:
            for delivery in deliveries:
                delivery.queue.reject(delivery.entry)
            return
        for queue, entries in Deliveries.by_queue(deliveries).items():
            queue.requeue(entries, is_asked=True)

    def _requeue(self, *, is_asked: bool) -> None:
        deliveries = self.deliveries.take_all()
        for queue, entries in Deliveries.by_queue(deliveries).items():
            queue.requeue(entries, is_asked=is_asked)

    def wake(self) -> None:
        """Let the queues look whether they can deliver now."""
        for consumer in self._consumers.values():
            self.vhost.turn.drain(consumer.queue)

    def _wake_if_limited(self) -> None:
        if self.deliveries.limit:
            self.wake()

    def _send(self, command: Frame) -> None:
        self._link.out.send_method(self.number, command)

    def _send_content(self, method: bytes, message: Message, properties: bytes) -> None:
        link = self._link
        link.out.send(method + wire.content(self.number, properties, message.body, link.frame_max))
