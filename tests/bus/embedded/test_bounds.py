"""The broker survives clients that are strange, slow, silent or greedy."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import pairwise

import aio_pika
import aiormq
import pytest
import uvloop
from pamqp import commands, frame

from bus.embedded import EmbeddedBroker
from bus.embedded.frames import PROTOCOL
from tests.contracts.broker.client import until

PATIENCE = 10.0


@pytest.fixture
async def broker() -> AsyncIterator[EmbeddedBroker]:
    async with EmbeddedBroker() as broker:
        yield broker


async def is_alive(broker: EmbeddedBroker) -> bool:
    async with await aio_pika.connect(broker.url) as connection:
        queue = await (await connection.channel()).declare_queue(exclusive=True)
        return queue.name != ""


async def answer_to(broker: EmbeddedBroker, *pieces: bytes) -> bytes:
    """Send bytes and return all that comes until the broker hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


START_OK = frame.marshal(commands.Connection.StartOk(response="\0guest\0guest"), 0)
TUNE_OK = frame.marshal(commands.Connection.TuneOk(2047, 131_072, 0), 0)
OPEN = frame.marshal(commands.Connection.Open("/"), 0)
OPENED = PROTOCOL + START_OK + TUNE_OK + OPEN
CHANNEL = frame.marshal(commands.Channel.Open(), 1)


@pytest.mark.parametrize(
    "greeting", [b"GET / HTTP/1.1\r\n\r\n", b"AMQP\x01\x01\x00\x09", b"\0" * 50]
)
async def test_a_stranger_is_told_which_protocol_is_spoken(
    broker: EmbeddedBroker, greeting: bytes
) -> None:
    assert await answer_to(broker, greeting) == PROTOCOL
    assert await is_alive(broker)


@pytest.mark.parametrize(
    ("garbage", "code"),
    [
        (struct.pack(">BHI", 1, 1, 10_000_000), 501),
        (struct.pack(">BHI", 1, 1, 4) + b"abcd" + b"!", 501),
        (struct.pack(">BHI", 1, 1, 4) + b"abcd" + b"\xce", 504),
        (struct.pack(">BHI", 9, 0, 4) + b"abcd" + b"\xce", 505),
        (CHANNEL + struct.pack(">BHI", 1, 1, 4) + b"abcd" + b"\xce", 502),
        (CHANNEL + struct.pack(">BHI", 1, 1, 0) + b"\xce", 502),
        (CHANNEL + struct.pack(">BHI", 7, 1, 0) + b"\xce", 501),
        (CHANNEL + struct.pack(">BHI", 3, 1, 1) + b"x\xce", 505),
        (CHANNEL + struct.pack(">BHI", 2, 1, 1) + b"x\xce", 505),
        (CHANNEL + struct.pack(">BHIHHH", 1, 1, 6, 60, 40, 0) + b"\xce", 501),
        (CHANNEL + CHANNEL, 504),
        (CHANNEL + frame.marshal(commands.Tx.Select(), 1), 540),
    ],
)
async def test_a_malformed_frame_costs_the_connection_and_nothing_else(
    broker: EmbeddedBroker, garbage: bytes, code: int
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
    writer.write(OPENED + garbage)
    refusal: commands.Connection.Close | None = None
    received = b""
    async with asyncio.timeout(PATIENCE):
        while refusal is None:
            received += await reader.read(65_536)
            while len(received) >= 7 and len(received) >= 8 + int.from_bytes(received[3:7]):
                size, _, answer = frame.unmarshal(received)
                received = received[size:]
                if isinstance(answer, commands.Connection.Close):
                    refusal = answer
        writer.write(frame.marshal(commands.Connection.CloseOk(), 0))
        assert await reader.read() == b""
    writer.close()
    assert refusal.reply_code == code
    assert await is_alive(broker)


async def test_bytes_may_arrive_one_by_one(broker: EmbeddedBroker) -> None:
    close = frame.marshal(commands.Connection.Close(200, "", 0, 0), 0)
    stream = OPENED + CHANNEL + close
    pieces = [stream[start:stop] for start, stop in pairwise(range(len(stream) + 1))]
    answer = await answer_to(broker, *pieces)
    assert answer.endswith(frame.marshal(commands.Connection.CloseOk(), 0))


async def test_a_client_that_never_greets_is_not_kept() -> None:
    async with EmbeddedBroker(handshake_timeout=0.1) as broker:
        assert await answer_to(broker, b"AMQP") == b""


async def test_a_silent_peer_is_dropped_after_two_heartbeats(broker: EmbeddedBroker) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
    tune = frame.marshal(commands.Connection.TuneOk(2047, 131_072, 1), 0)
    writer.write(PROTOCOL + START_OK + tune + OPEN)
    async with asyncio.timeout(PATIENCE):
        with suppress(ConnectionError):
            while await reader.read(65_536):
                pass
    writer.close()


@pytest.mark.proves("S-19b")
async def test_only_the_loopback_is_listened_on() -> None:
    for address in ("0.0.0.0", "192.168.1.1", "::"):
        with pytest.raises(ValueError, match="loopback only"):
            EmbeddedBroker(host=address)


async def test_publishers_wait_while_the_memory_is_full_and_go_on_afterwards() -> None:
    async with EmbeddedBroker(memory_high=1_000_000) as broker:
        publishing = await aiormq.connect(broker.url)
        publisher = await publishing.channel()
        await publisher.queue_declare("q")
        body = bytes(10_000)
        answers = asyncio.gather(
            *(publisher.basic_publish(body, routing_key="q", wait=False) for _ in range(1_000))
        )
        await until(lambda: broker.memory.is_full)
        held = 0
        while held != broker.memory.held:  # until nothing more gets in
            held = broker.memory.held
            await asyncio.sleep(0.1)
        assert not answers.done()
        assert held < 2_000_000  # the mark, and what was read before it was seen
        async with await aiormq.connect(broker.url) as reading:
            reader = await reading.channel()
            seen = 0

            async def count(message: aiormq.abc.DeliveredMessage) -> None:
                nonlocal seen
                seen += 1
                assert message.delivery_tag is not None
                await reader.basic_ack(message.delivery_tag)

            await reader.basic_qos(prefetch_count=20)
            await reader.basic_consume("q", count)
            async with asyncio.timeout(30):
                await answers
            await until(lambda: seen == 1_000)
            await until(lambda: broker.memory.held == 0)
        await publishing.close()


async def test_a_consumer_that_does_not_read_is_not_sent_everything(
    broker: EmbeddedBroker,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.port, limit=1_000)
    async with await aiormq.connect(broker.url) as connection:
        channel = await connection.channel()
        await channel.queue_declare("q")
        consume = frame.marshal(commands.Basic.Consume(queue="q"), 1)
        writer.write(OPENED + CHANNEL + consume)
        await until(lambda: broker.queues()[0].consumers == 1)
        await asyncio.gather(
            *(
                channel.basic_publish(bytes(50_000), routing_key="q", wait=False)
                for _ in range(1_000)
            )
        )
        snapshot = broker.queues()[0]
        assert snapshot.ready > 500
        assert snapshot.ready + snapshot.unacked == 1_000
        received = 0
        async with asyncio.timeout(30):
            while received < 1_000 * 50_000:
                received += len(await reader.read(1_000_000))
        writer.close()
        await until(lambda: broker.queues()[0].ready == 1_000)


async def test_nothing_is_held_once_everything_is_gone(broker: EmbeddedBroker) -> None:
    async with await aio_pika.connect(broker.url) as connection:
        channel = await connection.channel()
        dead = await channel.declare_queue("dead", arguments={"x-max-length": 3})
        queue = await channel.declare_queue(
            "q",
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-delivery-limit": 1,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": "dead",
            },
        )
        for n in range(20):
            message = aio_pika.Message(b"%d" % n, expiration=0.01 if n > 14 else None)
            await channel.default_exchange.publish(message, "q")
        for n in range(15):
            taken = await queue.get()
            if n % 3 == 0:
                await taken.ack()
            elif n % 3 == 1:
                await taken.reject()
            else:
                await taken.nack(requeue=True)
        assert broker.memory.held > 0
        await queue.purge()
        await dead.purge()
        await channel.close()
    await until(lambda: all(not each.unacked for each in broker.queues()))
    async with await aio_pika.connect(broker.url) as connection:
        channel = await connection.channel()
        await channel.queue_delete("q")
        await channel.queue_delete("dead")
    assert broker.memory.held == 0


async def test_stopping_tells_the_clients() -> None:
    broker = EmbeddedBroker()
    await broker.start()
    connection = await aiormq.connect(broker.url)
    await broker.stop()
    await until(lambda: connection.is_closed)
    await broker.stop()  # once more does no harm


async def test_a_stopped_broker_starts_again_empty_and_in_its_place() -> None:
    broker = EmbeddedBroker()
    await broker.start()
    url = broker.url
    async with await aiormq.connect(url) as connection:
        await (await connection.channel()).queue_declare("q")
    await broker.stop()
    await broker.start()
    assert broker.url == url
    assert broker.queues() == []
    assert await is_alive(broker)
    await broker.stop()


def test_it_runs_on_uvloop_as_the_processes_do() -> None:
    async def meet() -> bool:
        async with EmbeddedBroker() as broker:
            return await is_alive(broker)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(meet())
