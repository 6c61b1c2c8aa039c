"""How a process publishes to the simulated broker and takes from it."""

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Self

from bus.depths import BrokerUnavailable
from bus.messages import Delivery, Message, Outcome
from bus.owed import Depth
from bus.topology import REPORTS, RETRY, WORK, work_key
from domain.leases import WorkKind
from infra.simulation.broker import Broker, Subscription, Wire, is_signal
from infra.simulation.processes import Process

_AWAY = 0.3
"""Seconds between two attempts to attach a consumer."""

_SILENCE = 5.0
"""Seconds after which a publisher gives up waiting for a confirm."""


class SimulatedSender:
    """Publishes over a network that loses, doubles and delays."""

    def __init__(self, process: Process, broker: Broker) -> None:
        self._process = process
        self._broker = broker
        self._world = process.world
        self._clear_at = 0.0
        """When everything that was sent so far has arrived."""

    def send(self, message: Message) -> Future[Outcome]:
        """Publish a message with others, and return where its outcome will appear."""
        self._process.check()
        outcome: Future[Outcome] = asyncio.get_running_loop().create_future()
        arrives = self._world.now + self._world.latency(0.002)
        if not self._world.chance(self._world.troubles.overtaken):
            arrives = self._clear_at = max(arrives, self._clear_at + 1e-6)
        self._world.later(arrives - self._world.now, self._arrive, message, outcome)
        return outcome

    async def publish_all(self, messages: Iterable[Message]) -> Sequence[Outcome]:
        """Publish messages in their order, and return what became of each."""
        sent = [self.send(message) for message in messages]
        return [await outcome for outcome in sent]

    def _arrive(self, message: Message, outcome: Future[Outcome]) -> None:
        world, troubles, broker = self._world, self._world.troubles, self._broker
        if not self._process.is_alive and world.chance(0.5):
            return  # it was not on the wire yet
        if broker.is_down or world.chance(troubles.lost_message):
            self._answer(outcome, "unknown", world.lots.uniform(0.01, _SILENCE))
            return
        if is_signal(message):
            broker.signal(message.key, message.body)
            self._answer(outcome, "confirmed", world.latency(0.002))
            return
        if not broker.has_exchange(message.exchange):
            self._answer(outcome, "unknown", world.latency())
            return
        wire = Wire(message)
        broker.published.append(wire)
        world.note(
            "published", self._process.name, message.exchange, message.key, message.message_id
        )
        queues = broker.route(message)
        if message.mandatory and not queues:
            self._answer(outcome, "unroutable", world.latency(0.002))
            return
        if world.chance(troubles.nacked):
            self._answer(outcome, "nacked", world.latency(0.002))
            return
        broker.take(message, queues)
        if world.chance(troubles.doubled):
            broker.take(message, queues)
        if world.chance(troubles.lost_confirm):
            self._answer(outcome, "unknown", world.lots.uniform(0.01, _SILENCE))
            return
        wire.is_confirmed = True
        self._answer(outcome, "confirmed", world.latency(0.002))

    def _answer(self, outcome: Future[Outcome], what: Outcome, delay: float) -> None:
        self._world.later(delay, _settle, outcome, what)


def _settle(outcome: Future[Outcome], what: Outcome) -> None:
    if not outcome.done():
        outcome.set_result(what)


class SimulatedGroup:
    """Deliveries that are answered together."""

    def __init__(
        self, deliveries: Sequence[Delivery], broker: Broker, subscription: Subscription
    ) -> None:
        self.deliveries = deliveries
        self._broker = broker
        self._subscription = subscription

    def part(self, start: int, end: int) -> "SimulatedGroup":
        """Return some deliveries as a group of their own; parts are answered in their order."""
        return SimulatedGroup(self.deliveries[start:end], self._broker, self._subscription)

    async def ack(self) -> None:
        """Acknowledge these deliveries and every one before them."""
        process = self._subscription.process
        process.check()
        process.world.later(process.world.latency(), self._arrive)

    def _arrive(self) -> None:
        self._broker.acknowledge(self._subscription, self.deliveries[-1].tag, multiple=True)


class SimulatedSource:
    """A queue that is read in groups, over a channel that is opened again whenever it is lost."""

    def __init__(
        self,
        process: Process,
        broker: Broker,
        queue: str,
        *,
        prefetch: int,
        declare: Callable[[], Awaitable[None]],
    ) -> None:
        self.queue = queue
        self._process = process
        self._broker = broker
        self._prefetch = prefetch
        self._declare = declare
        self._most = 1
        self._arrived: deque[Delivery] = deque()
        self._something = asyncio.Event()
        self._subscription: Subscription | None = None

    def groups(self, most: int) -> Self:
        """Yield what has arrived, at most that many at a time, until cancelled."""
        self._most = most
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SimulatedGroup:
        while True:
            subscription = await self._attach()
            if self._arrived and subscription.is_open:
                return SimulatedGroup(self._take(), self._broker, subscription)
            await self._something.wait()
            self._something.clear()

    def _take(self) -> Sequence[Delivery]:
        """Return the next deliveries: either all for the first time, or all again."""
        taken = [self._arrived.popleft()]
        is_again = taken[0].is_redelivered
        while (
            self._arrived
            and len(taken) < self._most
            and self._arrived[0].is_redelivered == is_again
        ):
            taken.append(self._arrived.popleft())
        return taken

    async def _attach(self) -> Subscription:
        """Return the channel, a new one where the last was lost."""
        while self._subscription is None or not self._subscription.is_open:
            self._process.check()
            self._arrived.clear()
            subscription = Subscription(
                self._process, self.queue, self._prefetch, self._arrive, self._something.set
            )
            try:
                await self._declare()
                self._broker.subscribe(subscription)
            except OSError:
                await asyncio.sleep(_AWAY)
                continue
            self._subscription = subscription
        return self._subscription

    def _arrive(self, delivery: Delivery) -> None:
        self._arrived.append(delivery)
        self._something.set()


class SimulatedTaken:
    """A delivery in an agent's hand."""

    def __init__(self, delivery: Delivery, broker: Broker, subscription: Subscription) -> None:
        self._delivery = delivery
        self._broker = broker
        self._subscription = subscription
        self.body = delivery.body
        self.exchange = delivery.exchange
        self.key = delivery.key
        self.tag = delivery.tag
        self.message_id = delivery.properties.message_id
        self.headers: Mapping[str, object] = delivery.properties.headers or {}

    def ack(self) -> None:
        """Acknowledge it soon."""
        process = self._subscription.process
        process.check()
        process.world.later(process.world.latency(), self._arrive)

    async def give_back(self) -> None:
        """Put it back into its queue."""
        process = self._subscription.process
        process.check()
        process.world.later(
            process.world.latency(), self._broker.give_back, self._subscription, self.tag
        )

    def _arrive(self) -> None:
        self._broker.acknowledge(self._subscription, self.tag, multiple=False)


class SimulatedDepths:
    """How many messages wait on the broker."""

    def __init__(self, process: Process, broker: Broker) -> None:
        self._process = process
        self._broker = broker

    async def reports(self) -> int:
        """Return how many reports wait to be recorded."""
        return (await self._look(REPORTS)).ready

    async def work(self, kind: WorkKind) -> Depth:
        """Return what the queue of a kind of work holds."""
        return await self._look(f"{WORK}.{work_key(*kind)}")

    async def waiting(self, kind: WorkKind) -> int:
        """Return how many tasks of a kind no consumer has in hand."""
        return (await self.work(kind)).ready

    async def retry(self, delay: int) -> int:
        """Return how many tasks wait in the retry queue of a delay."""
        return (await self._look(f"{RETRY}.{delay}s")).ready

    async def _look(self, queue: str) -> Depth:
        self._process.check()
        await self._process.world.pass_time()
        if self._broker.is_down:
            raise BrokerUnavailable(ConnectionError("the broker is down"))
        line = self._broker.lines.get(queue)
        if line is None:
            return Depth(ready=0, consumers=0)
        return Depth(ready=len(line.waiting), consumers=len(line.readers))
