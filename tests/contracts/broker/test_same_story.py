"""Random stories, told to both brokers, go the same way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import aiormq
import aiormq.abc
import pytest
from aio_pika.exceptions import DeliveryError
from pamqp import commands
from pamqp.common import FieldTable

from bus.embedded import EmbeddedBroker
from tests.contracts.broker.client import Client, until

LENGTH = 60
QUEUES: dict[str, FieldTable] = {
    "classic": {},
    "classic with priorities": {"x-max-priority": 3},
    "classic that drops": {"x-max-length": 4},
    "classic that drops by priority": {"x-max-length": 4, "x-max-priority": 3},
    "classic that refuses": {"x-max-length": 4, "x-overflow": "reject-publish"},
    "classic of few bytes": {"x-max-length-bytes": 20},
    "quorum": {"x-queue-type": "quorum", "x-delivery-limit": 2},
    "quorum that drops": {"x-queue-type": "quorum", "x-delivery-limit": 2, "x-max-length": 4},
}


@dataclass
class Teller:
    """Tells one story to one broker and writes down what it sees."""

    channel: aiormq.abc.AbstractChannel
    queue: str
    random: Random
    seen: list[object] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    published: int = 0

    async def step(self) -> None:
        steps: list[Callable[[], object]] = [self.publish, self.publish, self.get, self.get]
        if self.held:
            steps += [self.ack, self.reject, self.requeue, self.requeue]
        await self.random.choice(steps)()  # type: ignore[misc] # all of them are coroutines

    async def publish(self) -> None:
        body = b"%d" % self.published * self.random.randint(1, 4)
        self.published += 1
        properties = commands.Basic.Properties(priority=self.random.randint(0, 4))
        try:
            await self.channel.basic_publish(body, routing_key=self.queue, properties=properties)
        except DeliveryError:
            self.seen.append("refused")

    async def get(self) -> None:
        got = await self.channel.basic_get(self.queue)
        if isinstance(got.delivery, commands.Basic.GetEmpty):
            self.seen.append("empty")
            return
        headers = got.header.properties.headers or {}
        redelivered = got.delivery.redelivered  # type: ignore[union-attr] # it is a GetOk
        count = headers.get("x-delivery-count", 0)
        self.seen.append((got.body, redelivered, count))
        assert got.delivery_tag is not None
        self.held.append(got.delivery_tag)

    async def ack(self) -> None:
        tag, multiple = self._some()
        await self.channel.basic_ack(tag, multiple=multiple)

    async def reject(self) -> None:
        tag, multiple = self._some()
        await self.channel.basic_nack(tag, multiple=multiple, requeue=False)

    async def requeue(self) -> None:
        tag, multiple = self._some()
        await self.channel.basic_nack(tag, multiple=multiple, requeue=True)

    def _some(self) -> tuple[int, bool]:
        tag = self.random.choice(self.held)
        multiple = self.random.random() < 0.3
        self.held = [each for each in self.held if each != tag and not (multiple and each < tag)]
        return tag, multiple


async def tell(url: str, arguments: FieldTable, seed: int, letters: int | None) -> list[object]:
    """Tell a story; wait for so many dead letters, for as many as there are if None."""
    client = Client(url)
    try:
        channel = await client.raw()
        dead, queue = client.name("dead"), client.name("queue")
        await channel.queue_declare(dead, durable=True)
        links: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
        await channel.queue_declare(queue, durable=True, arguments=arguments | links)
        teller = Teller(channel, queue, Random(seed))
        for _ in range(LENGTH):
            await teller.step()

        async def have_come() -> bool:
            declared = await channel.queue_declare(dead, passive=True)
            return letters is None or declared.message_count == letters

        await until(have_come)
        buried: list[tuple[bytes, str]] = []
        while not isinstance(
            (letter := await channel.basic_get(dead, no_ack=True)).delivery,
            commands.Basic.GetEmpty,
        ):
            headers = letter.header.properties.headers or {}
            death = headers["x-death"][0]  # type: ignore[index,call-overload] # as RabbitMQ writes it
            buried.append((letter.body, death["reason"]))  # type: ignore[index,call-overload]
        return [*teller.seen, *sorted(buried)]
    finally:
        await client.close()


@pytest.mark.real
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", QUEUES)
async def test_a_random_story_goes_the_same_way_on_both_brokers(
    rabbitmq_vhost_url: str, kind: str, seed: int
) -> None:
    async with EmbeddedBroker() as broker:
        here = await tell(broker.url, QUEUES[kind], seed, None)
    letters = sum(isinstance(each, tuple) and isinstance(each[1], str) for each in here)
    there = await tell(rabbitmq_vhost_url, QUEUES[kind], seed, letters)
    assert here == there
