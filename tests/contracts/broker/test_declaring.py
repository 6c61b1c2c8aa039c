"""What may be declared, and what the broker refuses."""

import asyncio

import aio_pika
import aiormq
import pytest
from aio_pika.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed
from aiormq.exceptions import (
    AMQPError,
    ChannelAccessRefused,
    ChannelLockedResource,
    ConnectionCommandInvalid,
)
from pamqp.common import FieldTable

from tests.contracts.broker.client import Client, ignore, publish, until


async def test_a_queue_may_be_declared_again_as_it_was(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel, x_message_ttl=60_000)
    again = await channel.declare_queue(
        queue.name, durable=True, arguments={"x-message-ttl": 60_000}
    )
    assert again.name == queue.name


async def test_classic_is_what_a_queue_without_a_type_is(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel)
    await channel.declare_queue(queue.name, durable=True, arguments={"x-queue-type": "classic"})


@pytest.mark.parametrize(
    ("durable", "arguments", "which"),
    [
        (False, {"x-message-ttl": 60_000}, "durable"),
        (True, {"x-message-ttl": 1}, "x-message-ttl"),
        (True, {}, "x-message-ttl"),
        (True, {"x-message-ttl": 60_000, "x-max-length": 1}, "x-max-length"),
        (True, {"x-message-ttl": 60_000, "x-queue-type": "quorum"}, "x-queue-type"),
        (True, {"x-message-ttl": 60_000, "x-dead-letter-exchange": "x"}, "x-dead-letter-exchange"),
    ],
)
async def test_a_queue_may_not_be_declared_again_differently(
    client: Client, *, durable: bool, arguments: FieldTable, which: str
) -> None:
    channel = await client.channel()
    queue = await client.queue(channel, x_message_ttl=60_000)
    with pytest.raises(ChannelPreconditionFailed, match=f"inequivalent arg '{which}'"):
        await channel.declare_queue(queue.name, durable=durable, arguments=arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"x-queue-type": "quorum", "x-max-priority": 5},
        {"x-queue-type": "classic", "x-delivery-limit": 3},
        {"x-queue-type": "classic", "x-dead-letter-strategy": "at-least-once"},
        {"x-delivery-limit": 3},
        {"x-queue-type": "unheard-of"},
        {"x-message-ttl": -1},
        {"x-message-ttl": "soon"},
        {"x-expires": 0},
        {"x-max-length": -1},
        {"x-max-priority": 256},
        {"x-overflow": "drop-tail"},
        {"x-dead-letter-routing-key": "nowhere"},
    ],
    ids=str,
)
async def test_a_queue_may_not_have_arguments_that_make_no_sense(
    client: Client, arguments: FieldTable
) -> None:
    channel = await client.channel()
    with pytest.raises(ChannelPreconditionFailed, match="invalid arg"):
        await channel.declare_queue(client.name(), durable=True, arguments=arguments)


@pytest.mark.parametrize(
    ("flags", "which"),
    [
        ({"durable": False}, "non-durable"),
        ({"durable": True, "exclusive": True}, "exclusive-owner"),
        ({"durable": True, "auto_delete": True}, "auto-delete"),
    ],
)
async def test_a_quorum_queue_is_durable_and_shared(
    client: Client, flags: dict[str, bool], which: str
) -> None:
    channel = await client.raw()
    with pytest.raises(ChannelPreconditionFailed, match=f"invalid property '{which}'"):
        await channel.queue_declare(client.name(), arguments={"x-queue-type": "quorum"}, **flags)


async def test_a_quorum_queue_may_have_the_arguments_we_use(client: Client) -> None:
    channel = await client.channel()
    await client.queue(
        channel,
        x_queue_type="quorum",
        x_delivery_limit=10,
        x_dead_letter_exchange="taskloom.dead",
        x_dead_letter_strategy="at-least-once",
        x_overflow="reject-publish",
        x_single_active_consumer=True,
        x_max_length=1_000_000,
        x_message_ttl=1_000,
    )


async def test_a_missing_queue_is_not_found_and_costs_only_the_channel(client: Client) -> None:
    connection = await client.connect()
    channel = await connection.channel()
    name = client.name()
    with pytest.raises(ChannelNotFoundEntity, match=f"NOT_FOUND - no queue '{name}' in vhost"):
        await channel.declare_queue(name, passive=True)
    another = await connection.channel()
    await another.declare_queue(exclusive=True)


async def test_a_missing_exchange_is_not_found(client: Client) -> None:
    name = client.name()
    with pytest.raises(ChannelNotFoundEntity, match=f"NOT_FOUND - no exchange '{name}' in vhost"):
        await (await client.channel()).get_exchange(name)
    queue = await client.queue(channel := await client.channel())
    with pytest.raises(ChannelNotFoundEntity):
        await queue.bind(name, "k")
    assert channel.is_closed


async def test_publishing_to_a_missing_exchange_costs_the_channel(client: Client) -> None:
    channel = await client.raw()
    with pytest.raises(ChannelNotFoundEntity, match="no exchange"):
        await channel.basic_publish(b"x", exchange=client.name())


async def test_a_passive_declaration_counts_messages_and_consumers(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel)
    await publish(channel, queue.name, b"1", b"2", b"3")
    raw = await client.raw()
    declared = await raw.queue_declare(queue.name, passive=True)
    assert (declared.message_count, declared.consumer_count) == (3, 0)
    await channel.set_qos(1)
    await queue.consume(ignore)

    async def is_counted() -> bool:
        declared = await raw.queue_declare(queue.name, passive=True)
        return (declared.message_count, declared.consumer_count) == (2, 1)

    await until(is_counted)


async def test_an_exclusive_queue_is_locked_for_others_and_dies_with_its_connection(
    client: Client,
) -> None:
    connection = await client.connect()
    owner = await connection.channel()
    queue = await owner.declare_queue(client.name(), exclusive=True)
    with pytest.raises(ChannelLockedResource, match="RESOURCE_LOCKED"):
        await (await client.raw()).queue_declare(queue.name, passive=True)
    with pytest.raises(ChannelLockedResource):
        await (await client.raw()).basic_get(queue.name)
    await connection.close()

    async def is_gone() -> bool:
        try:
            await (await client.raw()).queue_declare(queue.name, passive=True)
        except ChannelNotFoundEntity:
            return True
        except ChannelLockedResource:
            return False
        return False

    await until(is_gone)


async def test_an_auto_delete_queue_goes_with_its_last_consumer(client: Client) -> None:
    channel = await client.channel()
    queue = await channel.declare_queue(client.name(), auto_delete=True)
    tag = await queue.consume(ignore)
    await queue.cancel(tag)
    with pytest.raises(ChannelNotFoundEntity):
        await channel.declare_queue(queue.name, passive=True)


async def test_an_unused_queue_expires(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel, x_expires=150)

    async def is_gone() -> bool:
        await asyncio.sleep(0.2)  # each look is a use
        try:
            await (await client.raw()).queue_declare(queue.name, passive=True)
        except ChannelNotFoundEntity:
            return True
        return False

    await until(is_gone)


async def test_the_broker_names_a_queue_without_a_name(client: Client) -> None:
    channel = await client.channel()
    queue = await channel.declare_queue(exclusive=True)
    assert queue.name.startswith("amq.gen-")


async def test_names_of_the_broker_are_reserved(client: Client) -> None:
    with pytest.raises(ChannelAccessRefused, match="contains reserved prefix"):
        await (await client.channel()).declare_queue("amq.mine", exclusive=True)
    with pytest.raises(ChannelAccessRefused, match="contains reserved prefix"):
        await (await client.channel()).declare_exchange("amq.mine")
    with pytest.raises(ChannelAccessRefused, match="default exchange"):
        await (await client.raw()).exchange_declare("", exchange_type="direct")


async def test_an_exchange_may_not_be_declared_again_differently(client: Client) -> None:
    channel = await client.channel()
    exchange = await client.exchange(channel, "topic")
    await channel.declare_exchange(exchange.name, "topic", durable=True)
    with pytest.raises(ChannelPreconditionFailed, match="inequivalent arg 'type'"):
        await channel.declare_exchange(exchange.name, "fanout", durable=True)
    with pytest.raises(ChannelPreconditionFailed, match="inequivalent arg 'durable'"):
        await (await client.channel()).declare_exchange(exchange.name, "topic")


async def test_an_unknown_exchange_type_costs_the_connection(client: Client) -> None:
    connection = await aiormq.connect(client.url)
    channel = await connection.channel()
    with pytest.raises(ConnectionCommandInvalid, match="unknown exchange type"):
        await channel.exchange_declare(client.name(), exchange_type="x-unheard-of")
    await until(lambda: connection.is_closed)


async def test_purge_and_delete_say_how_many_messages_went(client: Client) -> None:
    channel = await client.channel()
    queue = await client.queue(channel)
    await publish(channel, queue.name, b"1", b"2")
    assert (await queue.purge()).message_count == 2
    await publish(channel, queue.name, b"3")
    assert (await queue.delete(if_unused=False, if_empty=False)).message_count == 1


async def test_deleting_what_is_not_there_is_fine(client: Client) -> None:
    channel = await client.raw()
    assert (await channel.queue_delete(client.name())).message_count == 0
    await channel.exchange_delete(client.name())


async def test_a_queue_is_kept_if_it_was_to_be_deleted_only_when_empty_or_unused(
    client: Client,
) -> None:
    channel = await client.channel()
    queue = await client.queue(channel)
    await publish(channel, queue.name, b"x")
    with pytest.raises(ChannelPreconditionFailed, match="not empty"):
        await (await client.raw()).queue_delete(queue.name, if_empty=True)
    await queue.consume(ignore)
    with pytest.raises(ChannelPreconditionFailed, match="in use"):
        await (await client.raw()).queue_delete(queue.name, if_unused=True)


async def test_an_exchange_is_kept_if_it_was_to_be_deleted_only_when_unused(
    client: Client,
) -> None:
    channel = await client.channel()
    exchange = await client.exchange(channel)
    queue = await client.queue(channel)
    await queue.bind(exchange, "#")
    with pytest.raises(ChannelPreconditionFailed, match="in use"):
        await (await client.raw()).exchange_delete(exchange.name, if_unused=True)
    await queue.unbind(exchange, "#")
    await (await client.raw()).exchange_delete(exchange.name, if_unused=True)


async def test_a_wrong_password_is_refused(amqp_url: str) -> None:
    place = aio_pika.connection.URL(amqp_url)
    with pytest.raises(AMQPError, match="ACCESS_REFUSED - Login was refused"):
        await aio_pika.connect(place.with_password("wrong"))
