"""The simulated broker: the real topology, and queues that keep, return, delay and bury."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from bus.embedded.routing import TopicTable
from bus.messages import Delivery, Message
from bus.properties import Properties
from bus.topology import DEAD, SIGNALS, Queue, Topology
from infra.simulation.processes import Process
from infra.simulation.world import World

_INSTANT: Final = 1e-6
"""Seconds between two things whose order matters."""


@dataclass(slots=True)
class Held:
    """A message in a queue, or on its way to a consumer."""

    message: Message
    exchange: str
    key: str
    returns: int = 0
    """How often it came back."""


@dataclass(slots=True)
class Subscription:
    """One consumer of one queue, over one channel, for as long as that lives."""

    process: Process
    queue: str
    prefetch: int
    arrive: Callable[[Delivery], None]
    lose: Callable[[], None]
    """What the consumer is told when nothing more will come."""

    is_open: bool = True
    last: int = 0
    clear_at: float = 0.0
    """When everything that was delivered so far has arrived: a channel keeps the order."""

    unanswered: dict[int, Held] = field(default_factory=dict[int, Held])


@dataclass(slots=True)
class _Line:
    """A queue that was declared."""

    queue: Queue
    waiting: deque[Held] = field(default_factory=deque[Held])
    readers: list[Subscription] = field(default_factory=list[Subscription])


@dataclass(slots=True)
class Wire:
    """What was seen of a message on its way."""

    message: Message
    is_confirmed: bool = False


@dataclass(slots=True)
class Broker:
    """Queues, consumers, and everything that was ever published."""

    world: World
    ack_timeout: float | None = None
    """Seconds after which a channel is closed whose delivery is not acknowledged."""

    is_down: bool = False
    lines: dict[str, _Line] = field(default_factory=dict[str, _Line])
    listeners: list[tuple[Process, str, Callable[[bytes], None]]] = field(
        default_factory=list[tuple[Process, str, Callable[[bytes], None]]]
    )
    """Who hears which signals, and how."""

    published: list[Wire] = field(default_factory=list[Wire])
    wiped: set[str] = field(default_factory=set[str])
    """The ids of messages that were in queues that somebody emptied."""

    closed_channels: int = 0
    """How many channels were closed because a delivery was not acknowledged in time."""

    _exchanges: dict[str, TopicTable[str]] = field(default_factory=dict[str, TopicTable[str]])
    _bound: set[str] = field(default_factory=set[str])

    def declare(self, topology: Topology) -> None:
        """Make everything of a topology exist.

        Raises:
            ConnectionError: The broker is down.
        """
        if self.is_down:
            raise ConnectionError("the broker is down")
        for exchange in topology.exchanges:
            self._exchanges.setdefault(exchange.name, TopicTable())
        for queue in topology.queues:
            if queue.name not in self.lines:
                self.lines[queue.name] = _Line(queue)
            if queue.name not in self._bound:
                self._bound.add(queue.name)
                for key in queue.keys:
                    self._exchanges[queue.source].add(key, queue.name)

    def has_exchange(self, name: str) -> bool:
        """Tell whether an exchange is declared."""
        return name in self._exchanges

    def route(self, message: Message) -> list[str]:
        """Return the queues that a message belongs into."""
        return list(self._exchanges[message.exchange].match(message.key))

    def take(self, message: Message, queues: Iterable[str]) -> None:
        """Put a message into queues."""
        for name in queues:
            self._put(name, Held(message, message.exchange, message.key))

    def signal(self, key: str, body: bytes) -> None:
        """Tell all who listen to a signal."""
        for process, wanted, hear in self.listeners:
            if wanted != key or not process.is_alive:
                continue
            if not self.world.chance(self.world.troubles.lost_signal):
                process.call(hear, body)

    def subscribe(self, subscription: Subscription) -> None:
        """Attach a consumer.

        Raises:
            ConnectionError: The broker is down, or has no such queue.
        """
        line = self.lines.get(subscription.queue)
        if self.is_down or line is None:
            raise ConnectionError(f"no queue {subscription.queue}")
        line.readers.append(subscription)
        self._serve(line)

    def acknowledge(self, subscription: Subscription, tag: int, *, multiple: bool) -> None:
        """Forget deliveries: their consumer has taken charge of them."""
        if not subscription.is_open:
            return
        tags = [t for t in subscription.unanswered if t <= tag] if multiple else [tag]
        for one in tags:
            held = subscription.unanswered.pop(one, None)
            if held is not None:
                self.world.note("acked", subscription.queue, held.message.message_id)
        if line := self.lines.get(subscription.queue):
            self._serve(line)

    def give_back(self, subscription: Subscription, tag: int) -> None:
        """Put a delivery back into its queue."""
        held = subscription.unanswered.pop(tag, None) if subscription.is_open else None
        line = self.lines.get(subscription.queue)
        if held is not None and line is not None:
            self._return(line, held)
            self._serve(line)

    def cut(self, process: Process) -> None:
        """Break the connections of a process: what it has not acknowledged comes back."""
        if not process.is_alive:
            self.listeners = [one for one in self.listeners if one[0] is not process]
        for line in list(self.lines.values()):
            for subscription in [one for one in line.readers if one.process is process]:
                self.close(subscription)

    def close(self, subscription: Subscription) -> None:
        """Close the channel of a consumer."""
        if not subscription.is_open:
            return
        subscription.is_open = False
        line = self.lines.get(subscription.queue)
        if line is not None and subscription in line.readers:
            line.readers.remove(subscription)
            for held in reversed(subscription.unanswered.values()):
                self._return(line, held)
            self._serve(line)
        self.world.note("cut", subscription.process.name, subscription.queue)
        subscription.lose()

    def go_down(self) -> None:
        """Stop, keeping what is in the queues."""
        self.world.note("broker.down")
        self.is_down = True
        for line in self.lines.values():
            for subscription in tuple(line.readers):
                self.close(subscription)

    def wipe(self, *, everything: bool) -> None:
        """Empty all queues; or lose all queues, exchanges and connections."""
        self.world.note("broker.wipe", everything)
        gone = list(self.lines.values())
        for line in gone:
            self.wiped |= {held.message.message_id for held in line.waiting}
            line.waiting.clear()
        if not everything:
            return
        self.lines, self._exchanges, self._bound = {}, {}, set()
        for line in gone:
            for subscription in line.readers:
                lost = subscription.unanswered.values()
                self.wiped |= {held.message.message_id for held in lost}
                subscription.is_open = False
                subscription.lose()

    def left(self) -> Iterator[str]:
        """Say what has not been dealt with."""
        for name, line in self.lines.items():
            if line.waiting:
                yield f"{len(line.waiting)} messages wait in {name}"
            for subscription in line.readers:
                if subscription.unanswered:
                    count = len(subscription.unanswered)
                    reader = subscription.process.name
                    yield f"{count} deliveries of {name} are unanswered by {reader}"

    def _put(self, name: str, held: Held) -> None:
        line = self.lines[name]
        line.waiting.append(held)
        if line.queue.holds_back:
            seconds = int(line.queue.arguments["x-message-ttl"]) / 1000
            self.world.later(seconds, self._expire, line, held)
        else:
            self._serve(line)

    def _expire(self, line: _Line, held: Held) -> None:
        if any(one is held for one in line.waiting):
            line.waiting = deque(one for one in line.waiting if one is not held)
            self._bury(line, held)

    def _bury(self, line: _Line, held: Held) -> None:
        """Send a message where its queue sends what it cannot keep."""
        target = str(line.queue.arguments.get("x-dead-letter-exchange", DEAD))
        moved = replace(held.message, exchange=target, key=held.key)
        self.world.note("bury", line.queue.name, moved.message_id)
        if target in self._exchanges:
            self.take(moved, self.route(moved))

    def _return(self, line: _Line, held: Held) -> None:
        held.returns += 1
        if held.returns > int(line.queue.arguments["x-delivery-limit"]):
            self._bury(line, held)
        else:
            line.waiting.appendleft(held)

    def _serve(self, line: _Line) -> None:
        """Deliver what waits to consumers that have room."""
        if line.queue.holds_back or self.is_down:
            return
        readers = line.readers
        while line.waiting and readers:
            free = [one for one in readers if len(one.unanswered) < one.prefetch]
            if not free:
                return
            reader = free[self.world.lots.randrange(len(free))]
            held = line.waiting.popleft()
            reader.last += 1
            reader.unanswered[reader.last] = held
            arrives = max(self.world.now + self.world.latency(), reader.clear_at + _INSTANT)
            reader.clear_at = arrives
            delivery = _delivery(held, reader.last)
            self.world.later(arrives - self.world.now, self._deliver, reader, delivery)
            if self.ack_timeout is not None:
                self.world.later(self.ack_timeout, self._look_at, reader, reader.last)

    def _deliver(self, reader: Subscription, delivery: Delivery) -> None:
        if reader.is_open and reader.process.is_alive:
            self.world.note("deliver", reader.process.name, reader.queue, delivery.tag)
            reader.arrive(delivery)

    def _look_at(self, reader: Subscription, tag: int) -> None:
        if reader.is_open and tag in reader.unanswered:
            self.closed_channels += 1
            self.close(reader)


def is_signal(message: Message) -> bool:
    """Tell whether nobody keeps a message."""
    return message.exchange == SIGNALS


def _delivery(held: Held, tag: int) -> Delivery:
    message = held.message
    return Delivery(
        body=message.body,
        tag=tag,
        exchange=held.exchange,
        key=held.key,
        is_redelivered=held.returns > 0,
        properties=Properties(
            content_type=message.content_type,
            message_id=message.message_id,
            content_encoding=message.content_encoding,
            headers=message.headers,
        ),
    )
