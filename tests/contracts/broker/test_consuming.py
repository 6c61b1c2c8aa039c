"""Who gets a message, and what becomes of it then."""

import asyncio

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import ChannelPreconditionFailed
from aiormq.exceptions import ChannelAccessRefused, ConnectionNotAllowed
from pamqp.common import FieldTable

from tests.contracts.broker.client import (
    Cable,
    Client,
    arrival,
    ignore,
    is_quiet,
    publish,
    take,
    take_all,
    until,
)

type_of = pytest.mark.parametrize("kind", ["classic", "quorum"])
Inbox = asyncio.Queue[AbstractIncomingMessage]


async def consume(
    queue: AbstractQueue, *, arguments: FieldTable | None = None, no_ack: bool = False
) -> Inbox:
    inbox: Inbox = asyncio.Queue()
    await queue.consume(inbox.put, arguments=arguments, no_ack=no_ack)
    return inbox


async def same(client: Client, name: str, *, prefetch: int = 0) -> AbstractQueue:
    """Reach a queue through a connection of its own."""
    channel = await client.channel(prefetch=prefetch)
    return await channel.get_queue(name)


async def bodies(inbox: Inbox, count: int) -> list[bytes]:
    return [(await arrival(inbox)).body for _ in range(count)]


@type_of
async def test_prefetch_bounds_what_is_delivered_unacknowledged(client: Client, kind: str) -> None:
    channel = await client.channel(prefetch=2)
    queue = await client.queue(channel, x_queue_type=kind)
    await publish(channel, queue.name, *(b"%d" % n for n in range(5)))
    inbox = await consume(queue)
    first = await arrival(inbox)
    await arrival(inbox)
    assert await is_quiet(inbox)
    await first.ack()
    assert (await arrival(inbox)).body == b"2"
    assert await is_quiet(inbox)


@type_of
async def test_consumers_take_turns(client: Client, kind: str) -> None:
    channel = await client.channel()
    queue = await client.queue(channel, x_queue_type=kind)
    inboxes = [await consume(await same(client, queue.name)) for _ in range(3)]
    await publish(channel, queue.name, *(b"%d" % n for n in range(9)))
    taken = [await bodies(inbox, 3) for inbox in inboxes]
    assert sorted(body for part in taken for body in part) == [b"%d" % n for n in range(9)]


async def test_a_full_consumer_is_passed_over(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel)
    slow = await consume(await same(client, queue.name, prefetch=1))
    fast = await consume(await same(client, queue.name, prefetch=10))
    await publish(channel, queue.name, *(b"%d" % n for n in range(6)))
    await bodies(fast, 5)
    await arrival(slow)
    assert await is_quiet(slow)


@type_of
async def test_a_consumer_of_higher_priority_comes_first(client: Client, kind: str) -> None:
    channel = await client.channel()
    queue = await client.queue(channel, x_queue_type=kind)
    low = await consume(await same(client, queue.name, prefetch=10))
    high = await consume(await same(client, queue.name, prefetch=2), arguments={"x-priority": 5})
    await publish(channel, queue.name, b"0", b"1", b"2")
    assert await bodies(high, 2) == [b"0", b"1"]
    assert await bodies(low, 1) == [b"2"]


@type_of
async def test_a_consumer_below_the_others_gets_what_they_are_too_busy_for(
    client: Client, kind: str
) -> None:
    channel = await client.channel()
    queue = await client.queue(channel, x_queue_type=kind)
    below = await consume(await same(client, queue.name, prefetch=10), arguments={"x-priority": -1})
    others_channel = await client.channel(prefetch=2)
    others = await consume(await others_channel.get_queue(queue.name))
    await publish(channel, queue.name, b"0", b"1")
    taken = [await arrival(others) for _ in range(2)]
    assert await is_quiet(below)
    await publish(channel, queue.name, b"2")
    assert await bodies(below, 1) == [b"2"]
    for message in taken:
        await message.ack()
    await publish(channel, queue.name, b"3")
    assert await bodies(others, 1) == [b"3"]
    await others_channel.close()
    assert await bodies(below, 1) == [b"3"]
    await publish(channel, queue.name, b"4")
    assert await bodies(below, 1) == [b"4"]


@type_of
async def test_of_single_active_consumers_the_next_takes_over(client: Client, kind: str) -> None:
    channel = await client.channel()
    queue = await client.queue(channel, x_queue_type=kind, x_single_active_consumer=True)
    first_channel = await client.channel()
    first = await consume(await first_channel.get_queue(queue.name))
    second = await consume(await same(client, queue.name))
    await publish(channel, queue.name, b"0", b"1")
    for _ in range(2):
        await (await arrival(first)).ack()
    assert await is_quiet(second)
    await first_channel.close()
    await publish(channel, queue.name, b"2")
    assert await bodies(second, 1) == [b"2"]


async def test_an_exclusive_consumer_stays_alone(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel)
    await queue.consume(ignore, exclusive=True)
    with pytest.raises(ChannelAccessRefused, match="in exclusive use"):
        await consume(await same(client, queue.name))


async def test_a_consumer_tag_is_used_once_on_a_channel(client: Client) -> None:
    channel = await client.raw()
    queue = await client.queue(await client.channel())
    await channel.basic_consume(queue.name, ignore, consumer_tag="me")
    with pytest.raises((ConnectionNotAllowed, aio_pika.exceptions.AMQPError)):
        await channel.rpc(
            aio_pika.abc.aiormq.spec.Basic.Consume(queue=queue.name, consumer_tag="me")
        )


@type_of
async def test_an_unknown_delivery_tag_costs_the_channel(client: Client, kind: str) -> None:
    raw = await client.raw()
    queue = await client.queue(await client.channel(), x_queue_type=kind)
    await raw.basic_publish(b"x", routing_key=queue.name)
    got = await raw.basic_get(queue.name)
    tag = got.delivery_tag
    assert tag is not None
    await raw.basic_ack(tag)
    await raw.basic_ack(tag)
    with pytest.raises(ChannelPreconditionFailed, match=f"unknown delivery tag {tag}"):
        await raw.basic_qos(prefetch_count=1)


async def test_a_requeued_message_of_a_classic_queue_is_back_in_its_place(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel)
    await publish(channel, queue.name, *(b"%d" % n for n in range(4)))
    messages = [await take(queue) for _ in range(3)]
    await messages[1].nack(requeue=True)
    await messages[0].nack(requeue=True)
    assert await take_all(queue, 3) == [b"0", b"1", b"3"]


async def test_a_requeued_message_of_a_quorum_queue_with_a_limit_goes_to_the_front(
    client: Client,
) -> None:
    channel = await client.channel()
    queue = await client.queue(channel, x_queue_type="quorum", x_delivery_limit=5)
    await publish(channel, queue.name, *(b"%d" % n for n in range(3)))
    await (await take(queue)).nack(requeue=True)
    assert await take_all(queue, 3) == [b"0", b"1", b"2"]


async def test_on_rabbitmq_3_a_requeued_message_of_a_quorum_queue_without_a_limit_goes_to_the_back(
    client: Client,
) -> None:
    channel = await client.channel()
    queue = await client.queue(channel, x_queue_type="quorum")
    await publish(channel, queue.name, *(b"%d" % n for n in range(3)))
    await (await take(queue)).nack(requeue=True)

    async def has_three() -> bool:
        declared = await channel.declare_queue(queue.name, passive=True)
        return declared.declaration_result.message_count == 3

    await until(has_three)
    assert await take_all(queue, 3) == [b"1", b"2", b"0"]


@type_of
async def test_a_message_that_comes_back_says_so(client: Client, kind: str) -> None:
    channel = await client.channel()
    queue = await client.queue(channel, x_queue_type=kind)
    await publish(channel, queue.name, b"x")
    message = await take(queue)
    assert not message.redelivered
    await message.nack(requeue=True)
    assert (await take(queue)).redelivered


async def test_a_quorum_queue_counts_how_often_a_message_came_back(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel, x_queue_type="quorum", x_delivery_limit=5)
    await publish(channel, queue.name, aio_pika.Message(b"x", headers={"mine": 1.5}))
    counts: list[object] = []
    for _ in range(3):
        message = await take(queue)
        counts.append(message.headers.get("x-delivery-count", 0))
        assert message.headers["mine"] == 1.5
        await message.nack(requeue=True)
    assert counts == [0, 1, 2]


@pytest.mark.parametrize("with_limit", [True, False])
async def test_messages_of_a_lost_quorum_consumer_come_back_in_order_and_counted(
    client: Client, *, with_limit: bool
) -> None:
    channel = await client.channel()
    arguments: dict[str, int | str | bool] = {"x_delivery_limit": 5} if with_limit else {}
    queue = await client.queue(channel, x_queue_type="quorum", **arguments)
    await publish(channel, queue.name, *(b"%d" % n for n in range(4)))
    victim = await client.connect()
    doomed = await victim.channel()
    await doomed.set_qos(2)
    inbox = await consume(await doomed.get_queue(queue.name))
    await bodies(inbox, 2)
    await victim.close()
    back = await take(queue)
    assert (back.body, back.redelivered, back.headers) == (b"0", True, {"x-delivery-count": 1})
    assert await take_all(queue, 3) == [b"1", b"2", b"3"]


async def test_messages_of_a_killed_connection_are_delivered_again(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel)
    await publish(channel, queue.name, *(b"%d" % n for n in range(4)))
    async with Cable(client.url) as cable:
        victim = await (await aio_pika.connect(cable.url)).channel()
        inbox = await consume(await victim.get_queue(queue.name))
        await bodies(inbox, 4)
        survivor = await consume(queue)
        cable.cut()
    messages = [await arrival(survivor) for _ in range(4)]
    assert [message.body for message in messages] == [b"%d" % n for n in range(4)]
    assert all(message.redelivered for message in messages)


@type_of
async def test_one_ack_may_stand_for_all_before_it(client: Client, kind: str) -> None:
    channel = await client.channel()
    queue = await client.queue(channel, x_queue_type=kind)
    await publish(channel, queue.name, *(b"%d" % n for n in range(4)))
    messages = [await take(queue) for _ in range(3)]
    await messages[1].ack(multiple=True)
    await channel.close()
    assert await take_all(await same(client, queue.name), 2) == [b"2", b"3"]


@type_of
async def test_one_nack_may_stand_for_all_before_it(client: Client, kind: str) -> None:
    channel = await client.channel()
    dead = await client.queue(channel)
    queue = await client.queue(
        channel,
        x_queue_type=kind,
        x_dead_letter_exchange="",
        x_dead_letter_routing_key=dead.name,
    )
    await publish(channel, queue.name, *(b"%d" % n for n in range(3)))
    messages = [await take(queue) for _ in range(3)]
    await messages[2].nack(multiple=True, requeue=False)
    assert sorted([(await take(dead, no_ack=True)).body for _ in range(3)]) == [b"0", b"1", b"2"]


@type_of
async def test_recover_puts_everything_back(client: Client, kind: str) -> None:
    raw = await client.raw()
    queue = await client.queue(
        await client.channel(),
        x_queue_type=kind,
        **({"x_delivery_limit": 9} if kind == "quorum" else {}),
    )
    await raw.basic_publish(b"x", routing_key=queue.name)
    assert (await raw.basic_get(queue.name)).body == b"x"
    await raw.basic_recover(requeue=True)
    back = await take(queue)
    assert (back.body, back.redelivered) == (b"x", True)


async def test_a_delivery_without_ack_is_gone_at_once(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel)
    await publish(channel, queue.name, b"x")
    inbox = await consume(queue, no_ack=True)
    await arrival(inbox)
    await channel.close()
    assert await (await same(client, queue.name)).get(fail=False) is None


async def test_a_cancelled_consumer_gets_no_more_and_may_still_acknowledge(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel)
    inbox: Inbox = asyncio.Queue()
    tag = await queue.consume(inbox.put)
    await publish(channel, queue.name, b"before")
    message = await arrival(inbox)
    await queue.cancel(tag)
    await publish(channel, queue.name, b"after")
    assert await is_quiet(inbox)
    await message.ack()
    assert await take_all(queue, 1) == [b"after"]


@type_of
async def test_a_consumer_is_told_when_its_queue_is_deleted(client: Client, kind: str) -> None:
    channel: AbstractChannel = await client.channel()
    queue = await client.queue(channel, x_queue_type=kind)
    raw = await client.raw()
    told: list[str] = []
    tag = (await raw.basic_consume(queue.name, ignore)).consumer_tag
    assert tag in raw.consumers
    await (await client.raw()).queue_delete(queue.name)
    await until(lambda: tag not in raw.consumers)
    assert told == []


async def test_higher_message_priority_leaves_first(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel, x_max_priority=5)
    for priority in (0, 9, 3, 5, None, 3):
        message = aio_pika.Message(str(priority).encode(), priority=priority)
        await publish(channel, queue.name, message)
    assert await take_all(queue, 6) == [b"9", b"5", b"3", b"3", b"0", b"None"]


async def test_on_rabbitmq_3_a_quorum_queue_does_not_look_at_priority(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel, x_queue_type="quorum")
    for priority in (0, 9, 5):
        message = aio_pika.Message(str(priority).encode(), priority=priority)
        await publish(channel, queue.name, message)
    assert await take_all(queue, 3) == [b"0", b"9", b"5"]


async def test_get_says_how_many_messages_remain(client: Client) -> None:
    raw = await client.raw()
    queue = await client.queue(await client.channel())
    for body in (b"0", b"1", b"2"):
        await raw.basic_publish(body, routing_key=queue.name)
    got = await raw.basic_get(queue.name)
    assert got.delivery.message_count == 2  # type: ignore[union-attr] # it is a GetOk


async def test_a_channel_may_be_limited_as_a_whole(client: Client) -> None:
    channel = await client.channel()
    await channel.set_qos(3, global_=True)
    one, other = await client.queue(channel), await client.queue(channel)
    inbox: Inbox = asyncio.Queue()
    await one.consume(inbox.put)
    await other.consume(inbox.put)
    publisher = await client.channel()
    for queue in (one, other):
        await publish(publisher, queue.name, b"0", b"1")
    first = await arrival(inbox)
    await bodies(inbox, 2)
    assert await is_quiet(inbox)
    await first.ack()
    await arrival(inbox)
