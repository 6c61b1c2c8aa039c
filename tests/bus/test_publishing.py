"""Publishing with confirms, on a real broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from aio_pika import RobustConnection
from aio_pika.abc import AbstractChannel
from aiormq.channel import Channel

from bus.connect import connect
from bus.messages import LARGEST, Message
from bus.publishing import MessageTooLarge, NotConfirmed, Publisher, Unroutable


def message(number: int, key: str = "in", **changes: object) -> Message:
    known = {"exchange": "numbers", "body": str(number).encode(), "message_id": f"m{number}"}
    return Message(key=key, type="test", **(known | changes))  # type: ignore[arg-type]


@asynccontextmanager
async def numbers(
    url: str, *, full_at: int = 0
) -> AsyncIterator[tuple[RobustConnection, AbstractChannel]]:
    """Connect to an exchange with one queue on the key ``in``."""
    async with await connect(url, name="test") as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange("numbers", "topic", durable=True)
        limit = {"x-max-length": full_at, "x-overflow": "reject-publish"} if full_at else {}
        queue = await channel.declare_queue("numbers", durable=True, arguments=limit)
        await queue.bind(exchange, "in")
        yield connection, channel


async def bodies(channel: AbstractChannel) -> list[bytes]:
    queue = await channel.get_queue("numbers")
    found: list[bytes] = []
    while got := await queue.get(no_ack=True, fail=False):
        found.append(got.body)
    return found


async def test_messages_arrive_in_their_order(vhost_url: str) -> None:
    async with numbers(vhost_url) as (connection, channel), Publisher(connection) as publisher:
        outcomes = await publisher.publish_all(message(n) for n in range(1_000))
        assert set(outcomes) == {"confirmed"}
        assert await bodies(channel) == [str(n).encode() for n in range(1_000)]


async def test_each_message_has_an_outcome_of_its_own(vhost_url: str) -> None:
    async with numbers(vhost_url) as (connection, _), Publisher(connection) as publisher:
        sent = [
            message(1),
            message(2, "nowhere"),
            message(3, "nowhere", mandatory=False),
            message(4, body=b""),
            message(5, body=b"x" * 300_000),
        ]
        assert await publisher.publish_all(sent) == [
            "confirmed",
            "unroutable",
            "confirmed",
            "confirmed",
            "confirmed",
        ]


async def test_a_full_queue_refuses(vhost_url: str) -> None:
    async with (
        numbers(vhost_url, full_at=1) as (connection, _),
        Publisher(connection) as publisher,
    ):
        outcomes = await publisher.publish_all(message(n) for n in range(20))
        assert outcomes[0] == "confirmed"
        assert outcomes[-1] == "nacked"
        with pytest.raises(NotConfirmed, match=r"m99.*full"):
            await publisher.publish(message(99))


async def test_an_unroutable_message_is_an_error_that_names_it(vhost_url: str) -> None:
    async with numbers(vhost_url) as (connection, _), Publisher(connection) as publisher:
        with pytest.raises(Unroutable, match="test m7 to numbers/nowhere"):
            await publisher.publish(message(7, "nowhere"))


async def test_one_id_twice_at_once_is_told_apart(vhost_url: str) -> None:
    async with numbers(vhost_url) as (connection, channel), Publisher(connection) as publisher:
        outcomes = await publisher.publish_all(
            [message(1), message(1, "nowhere"), message(1), message(2)]
        )
        assert outcomes == ["confirmed", "unroutable", "confirmed", "confirmed"]
        assert await bodies(channel) == [b"1", b"1", b"2"]


async def test_a_lost_channel_is_opened_again(vhost_url: str) -> None:
    async with numbers(vhost_url) as (connection, _), Publisher(connection) as publisher:
        with pytest.raises(NotConfirmed, match="repeat it"):
            await publisher.publish(message(1, exchange="no-such-exchange"))
        await publisher.publish(message(2))


async def test_a_lost_connection_is_waited_for(vhost_url: str) -> None:
    async with numbers(vhost_url) as (connection, channel), Publisher(connection) as publisher:
        await publisher.publish(message(1))
        assert connection.transport is not None
        await connection.transport.connection.close(ConnectionError("cut"))
        await publisher.publish(message(2))
        assert await bodies(channel) == [b"1", b"2"]


async def test_a_silent_broker_is_given_up(vhost_url: str) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    async with (
        numbers(vhost_url) as (connection, _),
        Publisher(connection, timeout=0.2) as publisher,
    ):
        connection.ready = never  # type: ignore[method-assign] # as if it was gone for good
        async with asyncio.timeout(10):
            assert await publisher.publish_all([message(1), message(2)]) == ["unknown"] * 2


async def test_a_message_that_is_never_confirmed_is_given_up_while_others_are(
    vhost_url: str,
) -> None:
    async with (
        numbers(vhost_url) as (connection, _),
        Publisher(connection, timeout=0.2) as publisher,
    ):
        await publisher.publish(message(1))
        used = cast("Channel", publisher._channel)  # pyright: ignore[reportPrivateUsage] # it tells nobody
        forgotten = publisher.send(message(2))
        while "m2" not in used.message_id_delivery_tag:  # noqa: ASYNC110 # the library tells nobody
            await asyncio.sleep(0)
        used.confirmations.popitem()  # pyright: ignore[reportUnknownMemberType] # as if its queue was deleted under it
        others: list[str] = []
        async with asyncio.timeout(10):
            while not forgotten.done():
                others.append(await publisher.send(message(3 + len(others))))
        assert await forgotten == "unknown"
        assert "confirmed" in others
        await publisher.publish(message(2))


@pytest.mark.proves("A-12")
async def test_what_no_broker_takes_is_refused_before_it_is_sent(vhost_url: str) -> None:
    async with numbers(vhost_url) as (connection, _), Publisher(connection) as publisher:
        with pytest.raises(MessageTooLarge):
            await publisher.publish(message(1, body=b"x" * (LARGEST + 1)))


async def test_who_stops_waiting_disturbs_nobody(vhost_url: str) -> None:
    async with numbers(vhost_url) as (connection, channel), Publisher(connection) as publisher:
        impatient = [
            asyncio.create_task(publisher.publish(message(n, "nowhere"))) for n in range(9)
        ]
        await asyncio.sleep(0)
        for task in impatient:
            task.cancel()
        await asyncio.gather(*impatient, return_exceptions=True)
        assert await publisher.publish_all([message(20)]) == ["confirmed"]
        assert await bodies(channel) == [b"20"]
