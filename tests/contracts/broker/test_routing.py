"""Where a message goes."""

import aio_pika
import pytest
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import ChannelAccessRefused
from pamqp import commands

from tests.contracts.broker.client import Client, publish, take, take_all


async def test_the_default_exchange_leads_to_the_queue_of_that_name(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel)
    await publish(channel, queue.name, b"one")
    assert await take_all(queue, 1) == [b"one"]


async def test_a_direct_exchange_wants_the_very_key(client: Client) -> None:
    channel = await client.channel()
    exchange = await client.exchange(channel, "direct")
    queue = await client.queue(channel)
    await queue.bind(exchange, "a.b")
    for key in ("a", "a.b", "a.b.c", "A.B"):
        await exchange.publish(aio_pika.Message(key.encode()), key)
    assert await take_all(queue, 1) == [b"a.b"]


@pytest.mark.parametrize(
    ("pattern", "meets"),
    [
        ("#", ["", "a", "a.b", "a.b.c", "x.b"]),
        ("a.*", ["a.b"]),
        ("a.#", ["a", "a.b", "a.b.c"]),
        ("*.b", ["a.b", "x.b"]),
        ("#.b.#", ["a.b", "a.b.c", "x.b"]),
        ("*", ["a"]),
        ("a.b", ["a.b"]),
    ],
)
async def test_a_topic_exchange_matches_words(
    client: Client, pattern: str, meets: list[str]
) -> None:
    channel = await client.channel()
    exchange = await client.exchange(channel)
    queue = await client.queue(channel)
    await queue.bind(exchange, pattern)
    for key in ("", "a", "a.b", "a.b.c", "x.b"):
        await exchange.publish(aio_pika.Message(key.encode()), key)
    assert await take_all(queue, len(meets)) == [key.encode() for key in meets]


async def test_a_fanout_exchange_does_not_look_at_the_key(client: Client) -> None:
    channel = await client.channel()
    exchange = await client.exchange(channel, "fanout")
    first, second = await client.queue(channel), await client.queue(channel)
    await first.bind(exchange, "this")
    await second.bind(exchange)
    await exchange.publish(aio_pika.Message(b"x"), "that")
    assert await take_all(first, 1) == await take_all(second, 1) == [b"x"]


@pytest.mark.parametrize(
    ("how", "headers", "is_met"),
    [
        ("all", {"kind": "a", "size": 1}, True),
        ("all", {"kind": "a"}, False),
        ("all", {"kind": "a", "size": 2}, False),
        ("any", {"kind": "a"}, True),
        ("any", {"kind": "b", "size": 2}, False),
    ],
)
async def test_a_headers_exchange_matches_headers(
    client: Client, how: str, headers: dict[str, str | int], *, is_met: bool
) -> None:
    channel = await client.channel()
    exchange = await client.exchange(channel, "headers")
    queue = await client.queue(channel)
    await queue.bind(exchange, arguments={"x-match": how, "kind": "a", "size": 1})
    await exchange.publish(aio_pika.Message(b"x", headers={**headers}), "")
    assert await take_all(queue, int(is_met)) == [b"x"] * is_met


async def test_an_exchange_bound_to_an_exchange_passes_on(client: Client) -> None:
    channel = await client.channel()
    source, target = await client.exchange(channel), await client.exchange(channel, "fanout")
    queue = await client.queue(channel)
    await target.bind(source, "a.#")
    await queue.bind(target)
    for key in ("a.b", "b.a"):
        await source.publish(aio_pika.Message(key.encode()), key)
    assert await take_all(queue, 1) == [b"a.b"]


async def test_exchanges_bound_in_a_ring_pass_on_once(client: Client) -> None:
    channel = await client.channel()
    one, other = await client.exchange(channel), await client.exchange(channel)
    queue = await client.queue(channel)
    await one.bind(other, "#")
    await other.bind(one, "#")
    await queue.bind(one, "#")
    await other.publish(aio_pika.Message(b"x"), "k")
    assert await take_all(queue, 1) == [b"x"]


async def test_the_alternate_exchange_gets_what_no_binding_matches(client: Client) -> None:
    channel = await client.channel()
    alternate = await client.exchange(channel, "fanout")
    exchange = await client.exchange(channel, alternate_exchange=alternate.name)
    matched, unmatched = await client.queue(channel), await client.queue(channel)
    await matched.bind(exchange, "a")
    await unmatched.bind(alternate)
    for key in ("a", "b"):
        await exchange.publish(aio_pika.Message(key.encode()), key)
    assert await take_all(matched, 1) == [b"a"]
    assert await take_all(unmatched, 1) == [b"b"]


async def test_a_queue_bound_twice_gets_a_message_once(client: Client) -> None:
    channel = await client.channel()
    exchange = await client.exchange(channel)
    queue = await client.queue(channel)
    await queue.bind(exchange, "a.#")
    await queue.bind(exchange, "#.b")
    await exchange.publish(aio_pika.Message(b"x"), "a.b")
    assert await take_all(queue, 1) == [b"x"]


async def test_an_unbound_queue_gets_no_more(client: Client) -> None:
    channel = await client.channel()
    exchange = await client.exchange(channel)
    queue = await client.queue(channel)
    await queue.bind(exchange, "a")
    await exchange.publish(aio_pika.Message(b"before"), "a")
    await queue.unbind(exchange, "a")
    await exchange.publish(aio_pika.Message(b"after"), "a", mandatory=False)
    assert await take_all(queue, 1) == [b"before"]


async def test_a_mandatory_message_without_a_queue_is_returned_and_then_confirmed(
    client: Client,
) -> None:
    channel = await client.raw()
    answer = await channel.basic_publish(
        b"x", routing_key=client.name(), mandatory=True, properties=commands.Basic.Properties()
    )
    assert isinstance(answer, DeliveredMessage)
    returned = answer.delivery
    assert isinstance(returned, commands.Basic.Return)
    assert (returned.reply_code, returned.reply_text) == (312, "NO_ROUTE")
    assert answer.body == b"x"


async def test_a_message_nobody_wants_is_confirmed(client: Client) -> None:
    channel = await client.raw()
    answer = await channel.basic_publish(b"x", routing_key=client.name())
    assert isinstance(answer, commands.Basic.Ack)


async def test_cc_and_bcc_lead_to_further_queues_and_nobody_sees_bcc(client: Client) -> None:
    channel = await client.channel()
    to, copy, blind = [await client.queue(channel) for _ in range(3)]
    message = aio_pika.Message(b"x", headers={"CC": [copy.name], "BCC": [blind.name]})
    await publish(channel, to.name, message)
    for queue in (to, copy, blind):
        received = await take(queue, no_ack=True)
        assert received.routing_key == to.name
        assert received.headers == {"CC": [copy.name]}


async def test_nobody_publishes_to_an_internal_exchange(client: Client) -> None:
    channel = await client.channel()
    name = client.name()
    await channel.declare_exchange(name, "topic", internal=True)
    with pytest.raises(ChannelAccessRefused, match="cannot publish to internal exchange"):
        await (await client.raw()).basic_publish(b"x", exchange=name)


async def test_an_auto_delete_exchange_goes_with_its_last_binding(client: Client) -> None:
    channel = await client.channel()
    exchange = await channel.declare_exchange(client.name(), "topic", auto_delete=True)
    queue = await client.queue(channel)
    await queue.bind(exchange, "a")
    await queue.bind(exchange, "b")
    await queue.unbind(exchange, "a")
    await channel.get_exchange(exchange.name)
    await queue.unbind(exchange, "b")
    with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
        await channel.get_exchange(exchange.name)
