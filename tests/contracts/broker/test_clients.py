"""Other clients than aio-pika, unchanged."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import aio_pika
import pika
import pika.exceptions
from aio_pika.abc import AbstractIncomingMessage
from faststream import AckPolicy
from faststream.rabbit import ExchangeType, QueueType, RabbitBroker, RabbitExchange, RabbitQueue
from pika.adapters.blocking_connection import BlockingChannel
from yarl import URL

from tests.contracts.broker.client import Cable, Client, arrival, publish, until


@contextmanager
def blocking_channel(url: str, **options: int) -> Iterator[BlockingChannel]:
    parameters = pika.URLParameters(url)
    for name, value in options.items():
        setattr(parameters, name, value)
    connection = pika.BlockingConnection(parameters)
    try:
        yield connection.channel()
    finally:
        connection.close()


async def test_pika_publishes_and_consumes(client: Client) -> None:
    name = client.name()

    def converse() -> list[bytes]:
        with blocking_channel(client.url) as channel:
            channel.confirm_delivery()
            channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
            for n in range(20):
                channel.basic_publish("", name, b"%d" % n, mandatory=True)
            channel.basic_qos(prefetch_count=5)
            bodies: list[bytes] = []
            for method, _, body in channel.consume(name, inactivity_timeout=5):
                bodies.append(body)
                channel.basic_ack(method.delivery_tag)
                if len(bodies) == 20:
                    break
            return bodies

    assert await asyncio.to_thread(converse) == [b"%d" % n for n in range(20)]


async def test_pika_reads_what_is_unroutable_and_what_is_refused(client: Client) -> None:
    name = client.name()

    def converse() -> tuple[bool, int]:
        with blocking_channel(client.url) as channel:
            channel.confirm_delivery()
            try:
                channel.basic_publish("", name, b"x", mandatory=True)
            except pika.exceptions.UnroutableError:
                is_returned = True
            else:
                is_returned = False
            try:
                channel.queue_declare(name, passive=True)
            except pika.exceptions.ChannelClosedByBroker as refusal:
                return is_returned, refusal.reply_code
            return is_returned, 0

    assert await asyncio.to_thread(converse) == (True, 404)


async def test_a_client_may_ask_for_small_frames_and_few_channels(client: Client) -> None:
    name = client.name()

    def converse() -> bytes | None:
        with blocking_channel(client.url, frame_max=4096, channel_max=3) as channel:
            channel.queue_declare(name, durable=True)
            channel.basic_publish("", name, b"x" * 100_000)
            return channel.basic_get(name, auto_ack=True)[2]

    assert await asyncio.to_thread(converse) == b"x" * 100_000


async def test_faststream_works_on_quorum_queues_with_dead_letters(client: Client) -> None:
    dead = RabbitQueue(client.name("dead"), durable=True, queue_type=QueueType.QUORUM)
    graveyard = RabbitExchange(client.name("graveyard"), type=ExchangeType.FANOUT, durable=True)
    work = RabbitQueue(
        client.name("work"),
        durable=True,
        queue_type=QueueType.QUORUM,
        routing_key="work.#",
        arguments={
            "x-dead-letter-exchange": graveyard.name,
            "x-delivery-limit": 2,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )
    exchange = RabbitExchange(client.name("exchange"), type=ExchangeType.TOPIC, durable=True)
    broker = RabbitBroker(client.url, logger=None)
    done: list[int] = []
    buried: list[int] = []
    attempts: dict[int, int] = {}

    @broker.subscriber(work, exchange, ack_policy=AckPolicy.MANUAL)
    async def carry_out(n: int) -> None:
        message = broker.context.resolve("message")
        attempts[n] = attempts.get(n, 0) + 1
        if n == 3:
            await message.reject()
        elif n == 5:
            await message.nack()
        else:
            done.append(n)
            await message.ack()

    @broker.subscriber(dead, graveyard, ack_policy=AckPolicy.ACK)
    async def bury(n: int) -> None:
        buried.append(n)

    async with broker:
        await broker.start()
        for n in range(10):
            await broker.publish(n, exchange=exchange, routing_key=f"work.{n}", persist=True)
        await until(lambda: len(done) == 8 and len(buried) == 2)
    assert sorted(buried) == [3, 5]
    assert (attempts[3], attempts[5]) == (1, 3)


async def test_faststream_asks_and_gets_an_answer(client: Client) -> None:
    broker = RabbitBroker(client.url, logger=None)
    queue = RabbitQueue(client.name(), durable=True)

    @broker.subscriber(queue)
    async def double(n: int) -> int:
        return n * 2

    async with broker:
        await broker.start()
        reply = await broker.request(21, queue=queue, timeout=5)
        assert await reply.decode() == 42


async def test_a_robust_connection_comes_back_with_its_consumers(client: Client) -> None:
    async with Cable(client.url) as cable:
        connection = await aio_pika.connect_robust(cable.url, reconnect_interval=0.05)
        channel = await connection.channel()
        queue = await client.queue(channel)
        inbox: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        await queue.consume(inbox.put, no_ack=True)
        cable.cut()
        publisher = await client.channel()
        await publish(publisher, queue.name, b"again")
        assert (await arrival(inbox)).body == b"again"
        await connection.close()


async def test_an_unknown_virtual_host_is_refused(client: Client) -> None:
    unheard_of = str(URL(client.url).with_path("/unheard-of"))

    def knock() -> str:
        try:
            pika.BlockingConnection(pika.URLParameters(unheard_of))
        except pika.exceptions.AMQPConnectionError as refusal:
            return repr(refusal)
        return "let in"

    assert "vhost unheard-of not found" in await asyncio.to_thread(knock)
