"""What a publisher is told, and that what arrives is what was sent."""

import asyncio
from datetime import UTC, datetime

import aio_pika
import aiormq
import pytest
from aio_pika.exceptions import ChannelPreconditionFailed, DeliveryError
from pamqp import commands

from tests.contracts.broker.client import Client, ignore, publish, take, take_all, until


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_pipelined_messages_are_all_confirmed_and_stay_in_order(
    client: Client, kind: str
) -> None:
    channel = await client.raw()
    queue = await client.queue(await client.channel(), x_queue_type=kind)
    answers = await asyncio.gather(
        *(
            channel.basic_publish(b"%d" % n, routing_key=queue.name, mandatory=True, wait=False)
            for n in range(2_000)
        )
    )
    assert all(isinstance(answer, commands.Basic.Ack) for answer in answers)
    inbox: asyncio.Queue[bytes] = asyncio.Queue()

    async def keep(message: aiormq.abc.DeliveredMessage) -> None:
        inbox.put_nowait(message.body)

    await channel.basic_consume(queue.name, keep, no_ack=True)
    async with asyncio.timeout(30):
        bodies = [await inbox.get() for _ in range(2_000)]
    assert bodies == [b"%d" % n for n in range(2_000)]


async def test_a_queue_that_is_full_may_refuse(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel, x_max_length=1, x_overflow="reject-publish")
    await publish(channel, queue.name, b"0")
    with pytest.raises(DeliveryError):
        await publish(channel, queue.name, b"1")
    assert await take_all(queue, 1) == [b"0"]
    await publish(channel, queue.name, b"2")
    assert await take_all(queue, 1) == [b"2"]


async def test_a_queue_that_refuses_still_takes_back_what_it_delivered(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel, x_max_length=1, x_overflow="reject-publish")
    await publish(channel, queue.name, b"0")
    message = await take(queue)
    await publish(channel, queue.name, b"1")
    await message.nack(requeue=True)
    assert await take_all(queue, 2) == [b"0", b"1"]


async def test_among_pipelined_messages_only_the_refused_are_refused(client: Client) -> None:
    channel = await client.raw()
    queue = await client.queue(await client.channel(), x_max_length=3, x_overflow="reject-publish")
    answers = await asyncio.gather(
        *(channel.basic_publish(b"x", routing_key=queue.name, wait=False) for _ in range(5)),
        return_exceptions=True,
    )
    assert [isinstance(answer, commands.Basic.Ack) for answer in answers] == [True] * 3 + [
        False
    ] * 2


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_a_queue_without_room_in_bytes_soon_refuses(client: Client, kind: str) -> None:
    channel = await client.channel()
    queue = await client.queue(
        channel, x_queue_type=kind, x_max_length_bytes=1_000, x_overflow="reject-publish"
    )

    async def is_refused() -> bool:
        try:
            await publish(channel, queue.name, bytes(400))
        except DeliveryError:
            return True
        return False

    await until(is_refused)


@pytest.mark.parametrize("size", [0, 1, 131_063, 131_064, 131_065, 1_000_000])
async def test_a_body_of_any_size_arrives_whole(client: Client, size: int) -> None:
    channel = await client.channel()
    queue = await client.queue(channel)
    body = bytes(n % 251 for n in range(1_000)) * (size // 1_000 + 1)
    await publish(channel, queue.name, body[:size])
    assert (await take(queue)).body == body[:size]


async def test_all_properties_arrive_as_they_were_sent(client: Client) -> None:
    raw = await client.raw()
    queue = await client.queue(await client.channel())
    sent = commands.Basic.Properties(
        content_type="application/json",
        content_encoding="utf-8",
        headers={
            "text": "ü",
            "number": 2**40,
            "small": -1,
            "yes": True,
            "none": None,
            "list": [1, "two", [3]],
            "table": {"deep": {"deeper": 1}},
            "bytes": bytearray(b"\0\xff"),
            "when": datetime(2026, 1, 2, tzinfo=UTC),
        },
        delivery_mode=2,
        priority=7,
        correlation_id="correlation",
        reply_to="someone",
        expiration="60000",
        message_id="id",
        timestamp=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        message_type="type",
        user_id="guest",
        app_id="app",
    )
    await raw.basic_publish(b"x", routing_key=queue.name, properties=sent)
    assert (await raw.basic_get(queue.name)).header.properties == sent


async def test_nobody_signs_with_another_name(client: Client) -> None:
    channel = await client.raw()
    with pytest.raises(ChannelPreconditionFailed, match="user_id property set to 'somebody'"):
        await channel.basic_publish(b"x", properties=commands.Basic.Properties(user_id="somebody"))


@pytest.mark.parametrize("expiration", ["soon", "-1", "1.5", ""])
async def test_an_expiration_is_a_number_of_milliseconds(client: Client, expiration: str) -> None:
    channel = await client.raw()
    queue = await client.queue(await client.channel())
    properties = commands.Basic.Properties(expiration=expiration)
    if not expiration:  # not sent at all
        await channel.basic_publish(b"x", routing_key=queue.name, properties=properties)
        return
    with pytest.raises(ChannelPreconditionFailed, match="invalid expiration"):
        await channel.basic_publish(b"x", routing_key=queue.name, properties=properties)


async def test_a_reply_comes_directly(client: Client) -> None:
    server, caller = await client.channel(), await client.raw()
    queue = await client.queue(server)

    async def answer(request: aio_pika.abc.AbstractIncomingMessage) -> None:
        assert request.reply_to is not None
        reply = aio_pika.Message(request.body * 2, correlation_id=request.correlation_id)
        await server.default_exchange.publish(reply, request.reply_to)

    await queue.consume(answer, no_ack=True)
    replies: asyncio.Queue[aiormq.abc.DeliveredMessage] = asyncio.Queue()
    await caller.basic_consume("amq.rabbitmq.reply-to", replies.put, no_ack=True)
    await caller.basic_publish(
        b"ab",
        routing_key=queue.name,
        properties=commands.Basic.Properties(reply_to="amq.rabbitmq.reply-to", correlation_id="7"),
    )
    async with asyncio.timeout(10):
        reply = await replies.get()
    assert (reply.body, reply.header.properties.correlation_id) == (b"abab", "7")


async def test_direct_replies_want_a_consumer_without_acks_first(client: Client) -> None:
    with pytest.raises(ChannelPreconditionFailed, match="reply consumer cannot acknowledge"):
        await (await client.raw()).basic_consume("amq.rabbitmq.reply-to", ignore)
    with pytest.raises(ChannelPreconditionFailed, match="fast reply consumer does not exist"):
        await (await client.raw()).basic_publish(
            b"x", properties=commands.Basic.Properties(reply_to="amq.rabbitmq.reply-to")
        )


async def test_a_reply_to_somebody_who_left_is_returned(client: Client) -> None:
    channel = await client.raw()
    answer = await channel.basic_publish(
        b"x", routing_key="amq.rabbitmq.reply-to.nobody", mandatory=True
    )
    assert isinstance(answer, aiormq.abc.DeliveredMessage)


async def test_a_connection_without_words_lives_on_heartbeats(amqp_url: str) -> None:
    separator = "&" if "?" in amqp_url else "?"
    async with await aiormq.connect(f"{amqp_url}{separator}heartbeat=1") as connection:
        channel = await connection.channel()
        await asyncio.sleep(3.5)  # more than three heartbeats of silence
        declared = await channel.queue_declare(exclusive=True)
        assert declared.message_count == 0
