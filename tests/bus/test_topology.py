"""The topology as data, and what the broker makes of it."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
from aio_pika import RobustConnection
from aio_pika.abc import AbstractIncomingMessage

from bus import topology
from bus.connect import connect
from bus.messages import Message
from bus.publishing import Publisher
from bus.refusals import UnsafeTopology
from bus.topology import (
    LANES,
    Queue,
    Topology,
    check,
    declare,
    declare_work,
    retry_key,
    work_key,
    work_queues,
)
from tests.support.waiting import until

WHOLE = topology.topology()
BY_NAME = {queue.name: queue for queue in WHOLE.queues}
README = Path(topology.__file__).parent / "README.md"


def without(queue: Queue, *arguments: str) -> Queue:
    kept = {name: x for name, x in queue.arguments.items() if name not in arguments}
    return replace(queue, arguments=kept)


def having(queue: Queue, **arguments: str | int) -> Queue:
    named = {name.replace("_", "-"): x for name, x in arguments.items()}
    return replace(queue, arguments={**queue.arguments, **named})


REPORTS, DEAD = BY_NAME["taskloom.reports"], BY_NAME["taskloom.dead"]
HELD = BY_NAME["taskloom.held"]
RETRY = BY_NAME["taskloom.retry.4s"]
WORK = BY_NAME["taskloom.work.execution.cad.normal"]


def test_the_topology_passes_its_own_check() -> None:
    check(WHOLE)
    assert len(BY_NAME) == len(WHOLE.queues) == 1 + 1 + 1 + 9 + 4 * 6 + 4 * 6


@pytest.mark.parametrize(
    ("queue", "says"),
    [
        (replace(REPORTS, durable=False), "survive"),
        (having(WORK, x_queue_type="classic"), "survive"),
        (without(WORK, "x-delivery-limit"), "x-delivery-limit"),
        (without(DEAD, "x-delivery-limit"), "x-delivery-limit"),
        (without(WORK, "x-dead-letter-exchange"), "nobody declares"),
        (having(WORK, x_dead_letter_exchange="elsewhere"), "elsewhere, which nobody declares"),
        (without(WORK, "x-dead-letter-strategy"), "at-least-once"),
        (having(WORK, x_overflow="drop-head"), "drops its oldest"),
        (without(WORK, "x-overflow"), "drops its oldest"),
        (having(WORK, x_expires=1), "vanish"),
        (having(WORK, x_message_ttl=1), "unread"),
        (having(DEAD, x_max_length=9), "end of the line"),
        (having(DEAD, x_message_ttl=9), "unread"),
        (without(RETRY, "x-message-ttl"), "for ever"),
        (replace(WORK, source="elsewhere"), "nobody declares"),
        (replace(WORK, keys=()), "no key"),
    ],
)
def test_a_queue_that_could_lose_a_message_is_refused(queue: Queue, says: str) -> None:
    with pytest.raises(UnsafeTopology, match=f"queue {queue.name} .*{says}"):
        check(Topology(exchanges=WHOLE.exchanges, queues=(queue,)))


def test_no_queue_waits_a_time_that_nobody_asks_for() -> None:
    with pytest.raises(ValueError, match="no queue waits 7 s"):
        retry_key(7, "execution", "CAD", "normal")


def test_the_readme_shows_every_exchange_and_queue_with_its_purpose() -> None:
    rows = [f"| `{exchange.name}` | {exchange.purpose} |" for exchange in WHOLE.exchanges]
    rows += [
        f"| `{queue.name}` | `{'`, `'.join(queue.keys)}` of `{queue.source}` | {queue.purpose} |"
        for queue in (REPORTS, HELD, DEAD, *(q for q in WHOLE.queues if q.holds_back))
    ]
    text = README.read_text(encoding="utf-8")
    shown = re.findall(r"^\| `taskloom\..*\|$", text, re.MULTILINE)
    assert [row for row in shown if "<role>" not in row.partition("|")[2].partition("|")[0]] == rows


async def test_declaring_twice_changes_nothing(vhost_url: str) -> None:
    async with await connect(vhost_url, name="test") as connection:
        channel = await connection.channel()
        await declare(channel, WHOLE)
        await declare(channel, WHOLE)
        await declare_work(channel, "execution", "CAD")
        for name in BY_NAME:
            assert (await channel.get_queue(name)).name == name


async def test_agents_of_an_unheard_type_can_start_first(vhost_url: str) -> None:
    async with await connect(vhost_url, name="test") as connection:
        channel = await connection.channel()
        await declare_work(channel, "execution", "GREETER")
        await declare(channel, WHOLE)
        await channel.get_queue("taskloom.work.execution.greeter.critical")


async def test_agents_of_a_new_type_that_start_together_all_get_their_messages(
    vhost_url: str,
) -> None:
    async with (
        await connect(vhost_url, name="one") as one,
        await connect(vhost_url, name="other") as other,
        Publisher(one) as publisher,
    ):
        await declare(await one.channel(), WHOLE)
        arrived: list[str | None] = []
        lost: list[str] = []
        for connection in (one, other):
            connection.close_callbacks.add(lambda *_: lost.append("a connection"))

        async def arrive(message: AbstractIncomingMessage) -> None:
            arrived.append(message.message_id)

        async def start(connection: RobustConnection, kind: str, after: float) -> None:
            await asyncio.sleep(after)
            channel = await connection.channel()
            await declare_work(channel, "execution", kind)
            for queue in work_queues("execution", kind):
                await (await channel.get_queue(queue.name)).consume(arrive, no_ack=True)

        kinds = [f"NEW{number}" for number in range(15)]
        for number, kind in enumerate(kinds):
            await asyncio.gather(start(one, kind, 0), start(other, kind, number * 0.001))
        keys = [work_key("execution", kind, lane) for kind in kinds for lane in LANES] * 2
        await publisher.publish_all(
            Message(exchange="taskloom.work", key=key, body=b"{}", message_id=f"m{n}", type="x")
            for n, key in enumerate(keys)
        )
        everything = {f"m{n}" for n in range(len(keys))}
        await until(lambda: set(arrived) == everything, "every consumer gets its messages")
        assert not lost


async def test_work_waits_and_then_reaches_its_own_queue(vhost_url: str) -> None:
    async with await connect(vhost_url, name="test") as connection:
        channel = await connection.channel()
        await declare(channel, WHOLE)
        async with Publisher(connection) as publisher:
            at_once, later = (
                Message(exchange=exchange, key=key, body=b"{}", message_id=key, type="x")
                for exchange, key in (
                    ("taskloom.work", work_key("execution", "CAD", "normal")),
                    ("taskloom.retry", retry_key(1, "execution", "CAD", "normal")),
                )
            )
            assert await publisher.publish_all([later, at_once]) == ["confirmed", "confirmed"]
        queue = await channel.get_queue(WORK.name)
        async with queue.iterator(no_ack=True) as messages, asyncio.timeout(20):
            arrived = [await anext(messages) for _ in range(2)]
        assert [message.message_id for message in arrived] == [at_once.key, later.key]
        other = await channel.get_queue("taskloom.work.planning.cad.normal")
        assert await other.get(fail=False) is None


async def test_what_an_agent_rejects_becomes_a_dead_letter_under_its_key(vhost_url: str) -> None:
    async with await connect(vhost_url, name="test") as connection:
        channel = await connection.channel()
        await declare(channel, WHOLE)
        async with Publisher(connection) as publisher:
            await publisher.publish(
                Message(
                    exchange="taskloom.work",
                    key=(key := work_key("execution", "CAD", "critical")),
                    body=b"?",
                    message_id="m",
                    type="x",
                )
            )
        queue = await channel.get_queue(f"taskloom.work.{key}")
        async with queue.iterator() as messages, asyncio.timeout(20):
            await (await anext(messages)).reject()
        dead = await channel.get_queue("taskloom.dead")
        async with dead.iterator(no_ack=True) as messages, asyncio.timeout(20):
            letter = await anext(messages)
        assert (letter.routing_key, letter.body) == (key, b"?")
