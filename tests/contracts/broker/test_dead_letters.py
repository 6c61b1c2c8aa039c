"""What becomes of messages that are too old, too many or refused."""

import asyncio
from typing import cast

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractQueue, HeadersType

from tests.contracts.broker.client import Client, publish, take, take_all

type_of = pytest.mark.parametrize("kind", ["classic", "quorum"])


def deaths(headers: HeadersType) -> list[dict[str, object]]:
    return cast("list[dict[str, object]]", headers["x-death"])


async def mortal(
    client: Client, channel: AbstractChannel, **arguments: int | str | bool
) -> tuple[AbstractQueue, AbstractQueue]:
    """Declare a queue and the queue of its dead letters."""
    dead = await client.queue(channel)
    exchange = await client.exchange(channel)
    await dead.bind(exchange, "#")
    return await client.queue(channel, x_dead_letter_exchange=exchange.name, **arguments), dead


@type_of
async def test_an_old_message_is_dead_lettered_with_its_history(client: Client, kind: str) -> None:
    channel = await client.channel()
    queue, dead = await mortal(client, channel, x_queue_type=kind, x_message_ttl=50)
    await publish(channel, queue.name, aio_pika.Message(b"x", headers={"mine": "kept"}))
    letter = await take(dead)
    assert letter.body == b"x"
    assert letter.routing_key == queue.name
    assert letter.headers["mine"] == "kept"
    assert letter.headers["x-first-death-exchange"] == ""
    assert letter.headers["x-first-death-queue"] == queue.name
    assert letter.headers["x-first-death-reason"] == "expired"
    (death,) = deaths(letter.headers)
    death.pop("time")
    assert death == {
        "count": 1,
        "reason": "expired",
        "queue": queue.name,
        "exchange": "",
        "routing-keys": [queue.name],
    }


async def test_dead_letters_at_least_once_carry_the_same_history(client: Client) -> None:
    channel = await client.channel()
    queue, dead = await mortal(
        client,
        channel,
        x_queue_type="quorum",
        x_message_ttl=50,
        x_dead_letter_strategy="at-least-once",
        x_overflow="reject-publish",
        x_delivery_limit=5,
    )
    await publish(channel, queue.name, aio_pika.Message(b"x", headers={"mine": "kept"}))
    letter = await take(dead)
    (death,) = deaths(letter.headers)
    assert (letter.routing_key, letter.headers["mine"]) == (queue.name, "kept")
    assert (death["queue"], death["reason"], death["count"]) == (queue.name, "expired", 1)
    await publish(channel, queue.name, b"y")
    await (await take(queue)).reject(requeue=False)
    assert deaths((await take(dead)).headers)[0]["reason"] == "rejected"


@type_of
async def test_an_expiration_of_its_own_is_taken_off_and_remembered(
    client: Client, kind: str
) -> None:
    channel = await client.channel()
    queue, dead = await mortal(client, channel, x_queue_type=kind)
    await publish(channel, queue.name, aio_pika.Message(b"x", expiration=0.05))
    letter = await take(dead)
    assert letter.expiration is None
    assert deaths(letter.headers)[0]["original-expiration"] == "50"


@type_of
async def test_messages_expire_at_the_head_of_the_queue_only(client: Client, kind: str) -> None:
    channel = await client.channel()
    queue, dead = await mortal(client, channel, x_queue_type=kind)
    await publish(channel, queue.name, aio_pika.Message(b"patient", expiration=60))
    await publish(channel, queue.name, aio_pika.Message(b"hasty", expiration=0.02))
    await asyncio.sleep(0.3)  # nothing to wait for: the promise is that nothing happens
    assert await dead.get(fail=False) is None
    patient = await take(queue)
    assert patient.body == b"patient"
    assert (await take(dead)).body == b"hasty"


async def test_a_message_without_patience_is_delivered_to_who_waits_for_it(client: Client) -> None:
    channel = await client.channel()
    queue, dead = await mortal(client, channel, x_message_ttl=0)
    await publish(channel, queue.name, b"nobody there")
    assert (await take(dead)).body == b"nobody there"
    inbox: asyncio.Queue[aio_pika.abc.AbstractIncomingMessage] = asyncio.Queue()
    await queue.consume(inbox.put)
    await publish(channel, queue.name, b"somebody there")
    async with asyncio.timeout(5):
        assert (await inbox.get()).body == b"somebody there"


@type_of
async def test_a_rejected_message_is_dead_lettered(client: Client, kind: str) -> None:
    channel = await client.channel()
    queue, dead = await mortal(client, channel, x_queue_type=kind)
    await publish(channel, queue.name, b"x")
    await (await take(queue)).reject(requeue=False)
    assert deaths((await take(dead)).headers)[0]["reason"] == "rejected"


async def test_a_message_delivered_too_often_is_dead_lettered(client: Client) -> None:
    channel = await client.channel()
    queue, dead = await mortal(client, channel, x_queue_type="quorum", x_delivery_limit=2)
    await publish(channel, queue.name, b"x")
    for _ in range(3):
        await (await take(queue)).nack(requeue=True)
    letter = await take(dead)
    assert deaths(letter.headers)[0]["reason"] == "delivery_limit"
    assert "x-delivery-count" not in letter.headers


@type_of
async def test_a_full_queue_drops_its_head_into_the_dead_letters(client: Client, kind: str) -> None:
    channel = await client.channel()
    queue, dead = await mortal(client, channel, x_queue_type=kind, x_max_length=2)
    await publish(channel, queue.name, b"0", b"1", b"2")
    letter = await take(dead)
    assert letter.body == b"0"
    assert deaths(letter.headers)[0]["reason"] == "maxlen"
    assert await take_all(queue, 2) == [b"1", b"2"]


@type_of
async def test_bytes_fill_a_queue_too(client: Client, kind: str) -> None:
    channel = await client.channel()
    queue, dead = await mortal(client, channel, x_queue_type=kind, x_max_length_bytes=10)
    await publish(channel, queue.name, b"0000", b"1111", b"2222")
    assert (await take(dead)).body == b"0000"
    assert await take_all(queue, 2) == [b"1111", b"2222"]


async def test_what_is_delivered_does_not_fill_a_queue(client: Client) -> None:
    channel = await client.channel()
    queue, dead = await mortal(client, channel, x_max_length=1)
    await publish(channel, queue.name, b"0")
    await take(queue)
    await publish(channel, queue.name, b"1")
    assert await dead.get(fail=False) is None


async def test_a_full_queue_may_reject_and_dead_letter_what_is_published(client: Client) -> None:
    channel = await client.channel()
    queue, dead = await mortal(client, channel, x_max_length=1, x_overflow="reject-publish-dlx")
    await publish(channel, queue.name, b"0")
    with pytest.raises(aio_pika.exceptions.DeliveryError):
        await publish(channel, queue.name, b"1")
    assert (await take(dead)).body == b"1"


@type_of
async def test_dead_letters_may_have_a_routing_key_of_their_own(client: Client, kind: str) -> None:
    channel = await client.channel()
    queue, dead = await mortal(
        client,
        channel,
        x_queue_type=kind,
        x_message_ttl=20,
        x_dead_letter_routing_key="from.the.dead",
    )
    await publish(channel, queue.name, aio_pika.Message(b"x", headers={"CC": ["also"]}))
    letter = await take(dead)
    assert letter.routing_key == "from.the.dead"
    assert "CC" not in letter.headers
    assert deaths(letter.headers)[0]["routing-keys"] == [queue.name, "also"]


@type_of
async def test_a_second_death_is_counted_and_a_new_kind_comes_first(
    client: Client, kind: str
) -> None:
    channel = await client.channel()
    work = client.name("work")
    wait = await client.queue(
        channel,
        x_queue_type=kind,
        x_message_ttl=30,
        x_dead_letter_exchange="",
        x_dead_letter_routing_key=work,
    )
    queue = await channel.declare_queue(
        work,
        durable=True,
        arguments={
            "x-queue-type": kind,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": wait.name,
        },
    )
    await publish(channel, work, b"x")
    for _ in range(2):
        await (await take(queue)).reject(requeue=False)
    back = await take(queue)
    seen = [(each["queue"], each["reason"], each["count"]) for each in deaths(back.headers)]
    assert seen == [(wait.name, "expired", 2), (work, "rejected", 2)]
    assert back.headers["x-first-death-reason"] == "rejected"


@type_of
async def test_a_message_that_goes_round_by_itself_is_dropped(client: Client, kind: str) -> None:
    channel = await client.channel()
    name = client.name()
    queue = await channel.declare_queue(
        name,
        durable=True,
        arguments={
            "x-queue-type": kind,
            "x-message-ttl": 20,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": name,
        },
    )
    await publish(channel, name, b"x")
    await asyncio.sleep(0.3)  # nothing to wait for: the promise is that it is gone
    assert await queue.get(fail=False) is None


@type_of
async def test_dead_letters_for_a_missing_exchange_are_dropped(client: Client, kind: str) -> None:
    channel = await client.channel()
    queue = await client.queue(
        channel, x_queue_type=kind, x_dead_letter_exchange=client.name("nowhere")
    )
    await publish(channel, queue.name, b"x", b"y")
    await (await take(queue)).reject(requeue=False)
    assert await take_all(queue, 1) == [b"y"]


@type_of
async def test_a_requeued_message_does_not_live_longer(client: Client, kind: str) -> None:
    channel = await client.channel()
    queue, dead = await mortal(client, channel, x_queue_type=kind, x_message_ttl=150)
    await publish(channel, queue.name, b"x")
    message = await take(queue)
    await asyncio.sleep(0.2)  # until it is too old
    assert await dead.get(fail=False) is None
    await message.nack(requeue=True)
    assert deaths((await take(dead)).headers)[0]["reason"] == "expired"
