"""Publishes with confirms, many messages at a time.

Awaiting one confirm after the other costs a round trip and a disk flush each, and the publish call
of the library costs more than everything else that an agent does for a task. So messages gather
while the publisher writes, and are marshalled into one write; confirms are the library's work.
"""

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from types import TracebackType
from typing import Final, Self, cast

from aio_pika import RobustConnection
from aiormq.abc import AbstractChannel, ChannelFrame
from aiormq.channel import Channel
from aiormq.exceptions import DeliveryError, PublishError
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.frame import marshal
from pamqp.header import ContentHeader

from bus.connect import RECONNECT_INTERVAL, user_of
from bus.failpoints import reach
from bus.lost import LOST, telling_loss
from bus.messages import LARGEST, Message, Outcome
from bus.together import end
from domain.errors import Refused, Unavailable

WINDOW: Final = 200
"""Unconfirmed messages at a time: the library looks through all of them at each confirm."""

_OVERTAKEN: Final = 2
"""Timeouts after which a message is given up although the broker answers others.

RabbitMQ 3.10 never confirms what was on its way into a quorum queue that was deleted."""

_TRANSIENT, _PERSISTENT = 1, 2


class NotPublished(Unavailable):
    """The broker did not take charge of a message."""

    code = "not-published"


class Unroutable(NotPublished):
    """No queue takes the message."""

    code = "unroutable"


class NotConfirmed(NotPublished):
    """The broker refused a message, or did not answer."""

    code = "not-confirmed"


class MessageTooLarge(Refused):
    """The broker would close the connection over a message of this size."""

    code = "too-large"


class Publisher:
    """Publishes over one channel of its own, which it opens again whenever it is lost.

    Any number of tasks may publish at once; their messages share writes and confirms.
    """

    def __init__(
        self, connection: RobustConnection, *, window: int = WINDOW, timeout: float = 5.0
    ) -> None:
        """Take a connection; ``timeout`` is how many seconds the broker may stay silent."""
        self._connection = connection
        self._user = user_of(connection)
        self._window = window
        self._timeout = timeout
        self._waiting: deque[tuple[Message, Future[Outcome]]] = deque()
        self._in_flight: dict[str, tuple[Future[Outcome], float]] = {}
        """By id: where the outcome will appear and when it was written, the oldest first."""

        self._channel: Channel | None = None
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._last_answer = 0.0
        self._closing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._writer = asyncio.create_task(self._write(), name="publisher")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            await end([self._writer])
            self._writer = None
        await self._abandon()

    async def publish(self, message: Message) -> None:
        """Publish one message, and return when the broker has taken charge of it.

        Raises:
            Unroutable: No queue takes it.
            NotConfirmed: The broker refused it, or was silent for too long.
            MessageTooLarge: No broker would take it.
        """
        named = f"{message.type} {message.message_id} to {message.exchange}/{message.key}"
        match await self.send(message):
            case "confirmed":
                pass
            case "unroutable":
                raise Unroutable(f"no queue takes {named}; is the topology declared?")
            case "nacked":
                raise NotConfirmed(f"the broker refused {named}; is a queue full?")
            case "unknown":
                raise NotConfirmed(f"the broker did not confirm {named}; repeat it")

    async def publish_all(self, messages: Iterable[Message]) -> Sequence[Outcome]:
        """Publish messages in their order, and return what became of each.

        Raises:
            MessageTooLarge: No broker would take one of them; none before it is taken back.
        """
        sent = [self.send(message) for message in messages]
        return [await outcome for outcome in sent]

    def send(self, message: Message) -> Future[Outcome]:
        """Publish a message with others, and return where its outcome will appear.

        It always appears: at the latest when the broker has been silent for the timeout, or has
        answered others only for twice as long.

        Raises:
            MessageTooLarge: No broker would take it.
        """
        if len(message.body) > LARGEST:
            raise MessageTooLarge(f"{message.message_id} has {len(message.body)} bytes")
        assert self._writer is not None, "use the publisher as a context"  # noqa: S101
        loop = asyncio.get_running_loop()
        outcome: Future[Outcome] = loop.create_future()
        if not self._waiting and not self._in_flight:
            self._last_answer = loop.time()
        if self._watch is None:
            self._watch = loop.call_later(self._timeout, self._look_after)
        self._waiting.append((message, outcome))
        self._wake.set()
        return outcome

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self._waiting or len(self._in_flight) >= self._window:
                continue
            try:
                with telling_loss():
                    channel = await self._open_channel()
                frames = self._marshalled(channel)
                await channel.write_queue.put(frames)  # pyright: ignore[reportUnknownMemberType] # a bare Queue
            except LOST:
                self._wake.set()
                await asyncio.sleep(RECONNECT_INTERVAL)

    async def _open_channel(self) -> Channel:
        if self._channel is not None and not self._channel.is_closed:
            return self._channel
        async with asyncio.timeout(self._timeout):
            await self._connection.ready()
            transport = self._connection.transport
            if transport is None:
                raise ConnectionError("the connection is being made")
            opened: AbstractChannel = await transport.connection.channel()
        assert isinstance(opened, Channel)  # noqa: S101 # the library's interface lacks the confirms
        closing = cast("Future[object]", opened.closing)  # pyright: ignore[reportUnknownMemberType] # a bare Future
        closing.add_done_callback(lambda _: self._lose(opened))
        self._channel = opened
        return opened

    def _marshalled(self, channel: Channel) -> ChannelFrame:
        """Register the confirms of as many messages as fit, and return their frames as one."""
        frames: list[bytes] = []
        number, largest = channel.number, channel.max_content_size
        confirmations = cast("dict[int, Future[object]]", channel.confirmations)  # pyright: ignore[reportUnknownMemberType] # a bare Future
        while self._waiting and len(self._in_flight) < self._window:
            message, outcome = self._waiting[0]
            message_id = message.message_id
            if message_id in self._in_flight:
                break  # the library tells returned messages apart by their ids
            self._waiting.popleft()
            if outcome.done():
                continue
            self._in_flight[message_id] = outcome, channel.loop.time()
            channel.delivery_tag += 1
            confirmations[channel.delivery_tag] = self._confirmation(channel, message_id)
            channel.message_id_delivery_tag[message_id] = channel.delivery_tag
            frames.append(_publish(message.exchange, message.key, message.mandatory, number))
            frames.append(marshal(_header(message, self._user), number))
            body = message.body
            frames.extend(
                marshal(ContentBody(body[start : start + largest]), number)
                for start in range(0, len(body), largest)
            )
        return ChannelFrame(payload=b"".join(frames), should_close=False)

    def _confirmation(self, channel: Channel, message_id: str) -> Future[object]:
        confirmation: Future[object] = channel.loop.create_future()

        def settle(confirmed: Future[object]) -> None:
            reach("publisher.before_confirm")
            channel.message_id_delivery_tag.pop(message_id, None)
            if self._channel is channel:
                self._settle(message_id, _outcome(confirmed))

        confirmation.add_done_callback(settle)
        return confirmation

    def _settle(self, message_id: str, outcome: Outcome) -> None:
        waiting, _ = self._in_flight.pop(message_id, (None, 0.0))
        if waiting is not None and not waiting.done():
            waiting.set_result(outcome)
        self._last_answer = asyncio.get_running_loop().time()
        if self._waiting:
            self._wake.set()

    def _lose(self, channel: Channel) -> None:
        if self._channel is not channel:
            return
        self._channel = None
        for message_id in tuple(self._in_flight):
            self._settle(message_id, "unknown")

    def _look_after(self) -> None:
        """Give up what the broker has not answered for too long, and its channel with it."""
        loop = asyncio.get_running_loop()
        self._watch = None
        if not self._in_flight and not self._waiting:
            return
        due = self._last_answer + self._timeout
        for _, written_at in self._in_flight.values():
            due = min(due, written_at + _OVERTAKEN * self._timeout)
            break  # the others were written later
        if (left := due - loop.time()) > 0:
            self._watch = loop.call_later(left, self._look_after)
            return
        waiting, self._waiting = self._waiting, deque()
        for _, outcome in waiting:
            if not outcome.done():
                outcome.set_result("unknown")
        self._closing = loop.create_task(self._abandon())

    async def _abandon(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        for _, outcome in self._waiting:
            if not outcome.done():
                outcome.set_result("unknown")
        self._waiting.clear()
        channel = self._channel
        if channel is not None:
            self._lose(channel)
            with suppress(*LOST), telling_loss():
                await channel.close(timeout=1.0)


@lru_cache(maxsize=1_000)
def _publish(exchange: str, key: str, mandatory: bool, number: int) -> bytes:  # noqa: FBT001 # a cached function takes no keywords cheaply
    frame = Basic.Publish(exchange=exchange, routing_key=key, mandatory=mandatory)
    return marshal(frame, number)


def _header(message: Message, user: str) -> ContentHeader:
    return ContentHeader(
        body_size=len(message.body),
        properties=Basic.Properties(
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            message_id=message.message_id,
            message_type=message.type,
            user_id=user,  # the broker refuses any other name than the connection's
            headers=dict(message.headers) if message.headers else None,
            delivery_mode=_PERSISTENT if message.is_persistent else _TRANSIENT,
        ),
    )


def _outcome(confirmed: Future[object]) -> Outcome:
    if confirmed.cancelled():
        return "unknown"
    match confirmed.exception():
        case None:
            return "confirmed" if isinstance(confirmed.result(), Basic.Ack) else "unknown"
        case PublishError():
            return "unroutable"
        case DeliveryError():
            return "nacked"
        case _:
            return "unknown"
