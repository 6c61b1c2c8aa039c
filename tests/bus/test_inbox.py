"""The inbox: good reports are recorded, bad ones end in the dead letters, none is lost."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import pika
import pytest

from bus.consuming import Consumer
from bus.dead_letters import (
    DETAIL,
    EXCHANGE,
    KEY,
    MESSAGE_ID,
    QUEUE,
    REASON,
    REDRIVE,
    DeadLetters,
)
from bus.inbox import Inbox
from bus.messages import Delivery
from bus.ports import SystemClock
from bus.properties import Properties
from bus.strict_json import MAX_BYTES
from bus.topology import DEAD, REPORTS
from infra.store.store import DatabaseUnavailable
from tests.support.exchanges import Broker, a_broker
from tests.support.memory_store import MemoryStore
from tests.support.recorders import recording
from tests.support.waiting import until
from tests.support.watched_store import WatchedStore

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
async def broker(vhost_url: str) -> AsyncIterator[Broker]:
    async with a_broker(vhost_url) as known:
        yield known


def hello(agent_id: str = "ann", **changes: object) -> dict[str, Any]:
    """Return the CloudEvent in which an agent introduces itself."""
    return {
        "specversion": "1.0",
        "id": f"hello-{agent_id}",
        "source": f"/agents/{agent_id}",
        "type": "agent.registered",
        "subject": f"agent:{agent_id}",
        "time": "2026-01-20T11:30:00Z",
        "datacontenttype": "application/json",
        "schemaversion": 1,
        "data": {"agent_id": agent_id, "agent_type": "NOOP", "instance": "1"},
    } | changes


def started(task_id: str = "a") -> dict[str, Any]:
    data = {"run_id": "exec_1", "task_id": task_id, "epoch": 1, "agent_id": "ann"}
    return hello(id=f"started-{task_id}", type="task.started", subject="exec_1", data=data)


async def say(broker: Broker, envelope: dict[str, Any], **properties: Any) -> None:
    body = orjson.dumps(envelope)
    known: dict[str, Any] = {"message_id": envelope.get("id"), "key": envelope.get("type")}
    await broker.tell(REPORTS, body=body, **(known | properties))


@asynccontextmanager
async def listening(broker: Broker, store: WatchedStore) -> AsyncGenerator[None]:
    """Run an inbox on the broker's queue of reports."""
    async with recording(store) as recorder:
        consumer = Consumer(broker.connection, REPORTS, prefetch=2_000)
        inbox = asyncio.create_task(
            Inbox(consumer, recorder, DeadLetters(broker.publisher, SystemClock())).run()
        )
        try:
            yield
        finally:
            inbox.cancel()
            await asyncio.gather(inbox, return_exceptions=True)


async def until_recorded(store: MemoryStore, count: int) -> None:
    await until(lambda: len(store.events) >= count, f"{count} events are recorded")


def without(name: str) -> dict[str, Any]:
    envelope = hello()
    del envelope[name]
    return envelope


JSON = orjson.dumps(hello())
KEY_OF_HELLO: dict[str, Any] = {"key": "agent.registered", "message_id": "hello-ann"}
MALFORMED: dict[str, tuple[bytes, dict[str, Any]]] = {
    "malformed-json": (JSON[:-1], {}),
    "not-an-object": (b"[]", {}),
    "too-large": (orjson.dumps(hello(padding="x" * MAX_BYTES)), {}),
    "too-deep": (JSON.replace(b'"instance":"1"', b'"metadata":' + b"[" * 99 + b"]" * 99), {}),
    "duplicate-key": (JSON.replace(b'"instance":"1"', b'"instance":"1","instance":"2"'), {}),
    "non-finite-number": (JSON.replace(b'"instance":"1"', b'"instance":NaN'), {}),
    "number-too-large": (JSON.replace(b'"instance":"1"', b'"instance":99999999999999999999'), {}),
    "invalid-unicode": (JSON.replace(b'"instance":"1"', b'"instance":"\xff"'), {}),
    "unsupported-media-type": (JSON, {"content_type": "text/plain"}),
    "unsupported-encoding": (JSON, {"content_encoding": "gzip"}),
    "missing-attribute": (orjson.dumps(without("time")), {}),
    "unsupported-specversion": (orjson.dumps(hello(specversion="0.3")), {}),
    "unknown-type": (orjson.dumps(hello(type="task.lost")), {"key": "task.lost"}),
    "unknown-schema-version": (orjson.dumps(hello(schemaversion=2)), {}),
    "schema": (orjson.dumps(hello(data={"agent_id": "ann"})), {}),
    "bad-time": (orjson.dumps(hello(time="yesterday")), {}),
    "identity-mismatch": (orjson.dumps(hello(source="/agents/bob")), {}),
    "subject-mismatch": (orjson.dumps(hello(subject="agent:bob")), {}),
    "id-mismatch": (JSON, {"message_id": "another"}),
    "routing-key-mismatch": (JSON, {"key": "agent.status"}),
    "forbidden-property": (JSON, {"reply_to": "somewhere"}),
}
"""What is wrong with a message, by the reason that its dead letter has to give."""

REFUSED: dict[str, dict[str, Any]] = {
    "unknown-run": started(),
    "unknown-plan": hello(
        type="plan.cancel_requested",
        source="/users/ada",
        id="cancel",
        subject="plan_9",
        data={"plan_id": "plan_9"},
    ),
    "unknown-agent": hello(
        "zoe",
        type="agent.status",
        id="status",
        data={"agent_id": "zoe", "lifecycle": "ready", "health": "healthy"},
    ),
    "cycle": hello(
        type="goal.submitted",
        source="/users/ada",
        id="goal",
        subject="plan_8",
        data={
            "plan_id": "plan_8",
            "goal": {"title": "Run in a circle"},
            "tasks": [{"id": "a", "name": "A", "agent": "NOOP", "depends_on": ["a"]}],
        },
    ),
}
"""Reports that are well formed and still cannot be true, by their reason."""


def say_without_an_id(url: str) -> None:
    """Say hello with another library: ours never leaves the message_id out."""
    with closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        properties = pika.BasicProperties(content_type="application/cloudevents+json")
        connection.channel().basic_publish(REPORTS, "agent.registered", JSON, properties)


async def test_everything_that_cannot_be_accepted_is_a_dead_letter_with_its_own_reason(
    broker: Broker,
) -> None:
    store = MemoryStore()
    for number, (body, properties) in enumerate(MALFORMED.values()):
        await say(broker, hello(f"good{number}"))
        await broker.tell(REPORTS, body=body, **(KEY_OF_HELLO | properties))
    await asyncio.to_thread(say_without_an_id, broker.url)
    for envelope in REFUSED.values():
        await say(broker, envelope)
    await say(broker, hello("last"))
    async with listening(broker, WatchedStore(store)):
        await until_recorded(store, len(MALFORMED) + 1)
        await broker.until_holds(DEAD, len(MALFORMED) + 1 + len(REFUSED))
    letters = await broker.take(DEAD)
    reasons = sorted(str(letter.headers[REASON]) for letter in letters)
    assert reasons == sorted([*MALFORMED, "missing-message-id", *REFUSED])
    recorded = {event.stream for event in store.events}
    assert recorded == {f"agent:good{n}" for n in range(len(MALFORMED))} | {"agent:last"}
    assert await broker.count(REPORTS) == 0


async def test_a_dead_letter_says_what_it_was_and_where_it_was_going(broker: Broker) -> None:
    await say(broker, started())
    async with listening(broker, WatchedStore(MemoryStore())):
        await broker.until_holds(DEAD, 1)
    (letter,) = await broker.take(DEAD)
    assert letter.body == orjson.dumps(started())
    assert letter.routing_key == "task.started"
    told = {name: letter.headers[name] for name in (DETAIL, EXCHANGE, KEY, QUEUE, MESSAGE_ID)}
    assert told == {
        DETAIL: "there is no run exec_1",
        EXCHANGE: REPORTS,
        KEY: "task.started",
        QUEUE: REPORTS,
        MESSAGE_ID: "started-a",
    }


async def test_a_message_that_was_a_letter_before_says_so_when_it_dies_again(
    broker: Broker,
) -> None:
    headers = {REDRIVE: "17/2", "x-other": "of no use to anybody"}
    await say(broker, started(), headers=headers, content_encoding="identity")
    async with listening(broker, WatchedStore(MemoryStore())):
        await broker.until_holds(DEAD, 1)
    (letter,) = await broker.take(DEAD)
    assert letter.headers[REDRIVE] == "17/2"
    assert "x-other" not in letter.headers
    assert letter.content_encoding == "identity"


async def test_hundreds_of_reports_share_a_few_appends(broker: Broker) -> None:
    store = MemoryStore()
    watched = WatchedStore(store)
    for number in range(400):
        await say(broker, hello(f"a{number}"))
    async with listening(broker, watched):
        await until_recorded(store, 400)
    assert len(watched.appends) < 100


async def test_what_is_delivered_again_is_taken_alone_and_recorded_once(broker: Broker) -> None:
    store = MemoryStore()
    watched = WatchedStore(store)
    for number in range(12):
        await say(broker, hello(f"a{number}"))
    await broker.until_holds(REPORTS, 12)
    async with a_broker(broker.url) as other:
        queue = await other.channel.get_queue(REPORTS, ensure=False)
        for _ in range(12):
            await queue.get()
    for number in range(5):
        await say(broker, hello(f"b{number}"))
    await broker.until_holds(REPORTS, 17)
    async with listening(broker, watched):
        await until_recorded(store, 17)
    assert watched.appends[:12] == [1] * 12
    assert {event.stream for event in store.events[:12]} == {f"agent:a{n}" for n in range(12)}


async def test_a_report_that_comes_twice_is_recorded_once(broker: Broker) -> None:
    store = MemoryStore()
    for _ in range(3):
        await say(broker, hello())
    await say(broker, hello("bob"))
    async with listening(broker, WatchedStore(store)):
        await until_recorded(store, 2)
        await broker.until_holds(REPORTS, 0)
    assert [event.stream for event in store.events] == ["agent:ann", "agent:bob"]


async def fail() -> None:
    raise DatabaseUnavailable(OSError("cut"))


async def test_while_the_database_is_away_reports_wait_and_then_are_recorded(
    broker: Broker,
) -> None:
    store = MemoryStore()
    watched = WatchedStore(store)
    watched.before_append = fail
    for number in range(50):
        await say(broker, hello(f"a{number}"))
    await say(broker, started())
    async with listening(broker, watched):
        await until(lambda: len(watched.appends) >= 3, "three attempts")
        assert (store.events, await broker.count(DEAD)) == ([], 0)
        watched.before_append = lambda: asyncio.sleep(0)
        await until_recorded(store, 50)
        await broker.until_holds(DEAD, 1)
    assert len({event.stream for event in store.events}) == len(store.events) == 50


@dataclass
class Arrived:
    """A consumer that has one group of deliveries, and no broker."""

    deliveries: Sequence[Delivery]
    queue: str = REPORTS
    acked: asyncio.Event = field(default_factory=asyncio.Event)

    async def groups(self, _: int) -> AsyncGenerator["Arrived"]:
        yield self
        await asyncio.Event().wait()

    async def ack(self) -> None:
        self.acked.set()


def delivery(envelope: dict[str, Any]) -> Delivery:
    return Delivery(
        body=orjson.dumps(envelope),
        tag=1,
        exchange=REPORTS,
        key=envelope["type"],
        is_redelivered=False,
        properties=Properties(
            content_type="application/cloudevents+json", message_id=envelope["id"]
        ),
    )


async def test_after_an_outage_reports_share_appends_again() -> None:
    watched = WatchedStore(MemoryStore())

    async def fail_twice() -> None:
        if len(watched.appends) <= 2:
            await fail()

    watched.before_append = fail_twice
    arrived = Arrived([delivery(hello(f"a{number}")) for number in range(200)])
    async with recording(watched) as recorder:
        inbox = Inbox(cast("Consumer", arrived), recorder, cast("DeadLetters", None))
        running = asyncio.create_task(inbox.run())
        await asyncio.wait_for(arrived.acked.wait(), 30)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert watched.appends == [200, 200, 200]


async def test_what_was_not_recorded_is_not_acknowledged(broker: Broker) -> None:
    store = MemoryStore()
    watched = WatchedStore(store)
    watched.before_append = fail
    async with a_broker(broker.url) as doomed:
        for number in range(20):
            await say(broker, hello(f"a{number}"))
        async with listening(doomed, watched):
            await until(lambda: bool(watched.appends), "an attempt")
    await broker.until_holds(REPORTS, 20)
    assert await broker.count(DEAD) == 0
    watched.before_append = lambda: asyncio.sleep(0)
    async with listening(broker, watched):
        await until_recorded(store, 20)


async def test_a_lost_connection_costs_nothing(broker: Broker) -> None:
    store = MemoryStore()
    async with a_broker(broker.url) as frail, listening(frail, WatchedStore(store)):
        for number in range(30):
            await say(broker, hello(f"a{number}"))
        await until_recorded(store, 1)
        transport = frail.connection.transport
        assert transport is not None
        await transport.connection.close(ConnectionResetError("cut"))
        for number in range(30, 60):
            await say(broker, hello(f"a{number}"))
        await until_recorded(store, 60)
    assert len({event.stream for event in store.events}) == len(store.events) == 60
