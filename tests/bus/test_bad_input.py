"""Every row of bad input over AMQP: refused by name and kept, or accepted; nothing else suffers.

All of them are sent to one broker and heard by one inbox, with good reports between them.
"""

import asyncio
import gzip
import resource
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pika
import pika.exceptions
import pytest

from bus.consuming import Consumer
from bus.dead_letters import DETAIL, REASON, DeadLetters
from bus.gate import Gate
from bus.inbox import Inbox
from bus.ports import SystemClock
from bus.topology import DEAD, REPORTS
from tests.support.exchanges import a_broker
from tests.support.inboxes import CONTENT_TYPE, hello
from tests.support.memory_store import MemoryStore
from tests.support.recorders import recording
from tests.support.services import Servers
from tests.support.waiting import until

Properties = dict[str, Any]


@dataclass(frozen=True)
class Bad:
    """A message, and the reason why it is refused; no reason means that it is accepted."""

    body: bytes
    reason: str | None
    key: str = "agent.registered"
    properties: Properties = field(default_factory=dict[str, Any])
    detail: str = ""
    """What its detail has to say beside the reason."""


GOOD = hello("ann", ident="row")
RAW = orjson.dumps(GOOD)


def said(reason: str | None, **changes: Any) -> Bad:
    """Return a report of which something is otherwise."""
    envelope = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return Bad(orjson.dumps(envelope), reason, key=str(envelope.get("type", "agent.registered")))


def data(reason: str | None, raw: str) -> Bad:
    """Return a report with something put into its data, as it is written."""
    return Bad(RAW.replace(b'"instance":"1"', b'"instance":"1",' + raw.encode()), reason)


def told(reason: str | None, **properties: Any) -> Bad:
    return Bad(RAW, reason, properties=properties)


def attempt(reason: str | None, **changes: Any) -> Bad:
    """Return a report on an attempt of which something is otherwise."""
    body = {"run_id": "exec_1", "task_id": "a", "epoch": 1, "agent_id": "ann"} | changes
    body = {name: value for name, value in body.items() if value is not None}
    return said(reason, type="task.started", subject=None, data=body)


def padded(size: int) -> bytes:
    """Return a good report of exactly that many bytes."""
    empty = orjson.dumps(GOOD | {"padding": ""})
    return orjson.dumps(GOOD | {"padding": "x" * (size - len(empty))})


BOMB = gzip.compress(b"\0" * 2**20 * 8, 9)
ROWS: Mapping[str, Bad] = {
    # malformed JSON
    "cut short": Bad(RAW[:-1], "malformed-json"),
    "no JSON": Bad(b"\x00\x01\x02", "malformed-json"),
    "empty": Bad(b"", "malformed-json"),
    "one byte": Bad(b"{", "malformed-json"),
    "trailing words": Bad(RAW + b" and more", "malformed-json"),
    "byte order mark": Bad(b"\xef\xbb\xbf" + RAW, "malformed-json"),
    "UTF-16": Bad(RAW.decode().encode("utf-16"), "invalid-unicode"),
    "half a character": data("invalid-unicode", r'"metadata":{"a":"\ud800"}'),
    "NUL": data("invalid-unicode", r'"metadata":{"a":"\u0000"}'),
    "a list": Bad(b"[1]", "not-an-object"),
    "a number": Bad(b"1", "not-an-object"),
    # wrong schema
    "missing field": said("schema", data={"agent_id": "ann"}),
    "wrong type": said("schema", data={"agent_id": 1, "agent_type": "CAD", "instance": "1"}),
    "number as text": attempt("schema", epoch="1"),
    "extra field": data("schema", '"role_of":"admin"'),
    "no data": said("schema", data=None),
    "data is a list": said("schema", data=[]),
    "type in the data": data("schema", '"type":"agent.registered"'),
    "negative epoch": attempt("schema", epoch=-1),
    "no epoch": attempt("schema", epoch=None),
    "id of 10,000 characters": attempt("schema", task_id="x" * 10_000),
    "id that is a path": attempt("schema", run_id="../../exec_1"),
    # media type, encoding
    "text": told("unsupported-media-type", content_type="text/plain"),
    "no media type": told("unsupported-media-type", content_type=None),
    "binary": told("unsupported-media-type", content_type="application/octet-stream"),
    "other charset": told("unsupported-media-type", content_type=f"{CONTENT_TYPE}; charset=x"),
    "data of another type": said("unsupported-media-type", datacontenttype="text/plain"),
    "binary data": said("unsupported-media-type", data_base64="AAAA"),
    "unknown encoding": told("unsupported-encoding", content_encoding="br"),
    "gzip in name only": replace(
        told("unsupported-encoding", content_encoding="gzip"), detail="not gzip"
    ),
    "gzip that was not agreed on": Bad(
        gzip.compress(RAW),
        "unsupported-encoding",
        properties={"content_encoding": "gzip"},
        detail="registration",
    ),
    "gzip bomb": Bad(BOMB, "inflated", properties={"content_encoding": "gzip"}),
    "gzip of much": Bad(
        gzip.compress(bytes(range(256)) * 2**13, 0),
        "too-large",
        properties={"content_encoding": "gzip"},
    ),
    "two gzips": Bad(
        gzip.compress(RAW) * 2,
        "unsupported-encoding",
        properties={"content_encoding": "gzip"},
        detail="one whole gzip member",
    ),
    "half a gzip": Bad(
        gzip.compress(RAW)[:-9],
        "unsupported-encoding",
        properties={"content_encoding": "gzip"},
        detail="one whole gzip member",
    ),
    # limits
    "nested 100,000 deep": Bad(b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too-deep"),
    "nested 65 deep": data("too-deep", '"metadata":{"a":' + "[" * 65 + "]" * 65 + "}"),
    "integer of 100,000 digits": data("number-too-large", '"metadata":{"a":' + "9" * 100_000 + "}"),
    "2 to the power of 63": data("number-too-large", f'"metadata":{{"a":{2**63}}}'),
    "1 MiB and a byte": Bad(padded(2**20 + 1), "too-large"),
    "1 MiB less a byte": Bad(padded(2**20 - 1), None),
    # what readers understand differently
    "NaN": data("non-finite-number", '"metadata":{"a":NaN}'),
    "Infinity": data("non-finite-number", '"metadata":{"a":-Infinity}'),
    "1e999": data("non-finite-number", '"metadata":{"a":1e999}'),
    "duplicate key": data("duplicate-key", '"instance":"2"'),
    "duplicate key, escaped": data("duplicate-key", r'"\u0069nstance":"2"'),
    # types, versions, attributes
    "unknown type": said("unknown-type", type="task.eaten"),
    "what only the system says": said("unknown-type", type="task.lost"),
    "future version": said("unknown-schema-version", schemaversion=99),
    "version true": said("unknown-schema-version", schemaversion=True),
    "other CloudEvents": said("unsupported-specversion", specversion="0.3"),
    "no specversion": said("missing-attribute", specversion=None),
    "no id": said("missing-attribute", id=None),
    "no source": said("missing-attribute", source=None),
    "id of 600 characters": said("missing-attribute", id="x" * 600),
    "no time": said("missing-attribute", time=None),
    "time without a zone": said("bad-time", time="2026-01-20T11:30:00"),
    "30 February": said("bad-time", time="2026-02-30T11:30:00Z"),
    # who says it
    "no message id": told("missing-message-id", message_id=None),
    "other message id": told("id-mismatch", message_id="another"),
    "for another agent": said("identity-mismatch", source="/agents/bob"),
    "as the system": said("identity-mismatch", source="/taskloom/x"),
    "another stream": said("subject-mismatch", subject="agent:bob"),
    "another key": replace(said("routing-key-mismatch"), key="agent.status"),
    # properties that could redirect, copy, expire or overtake
    "reply_to": told("forbidden-property", reply_to="somebody"),
    "CC": told("forbidden-property", headers={"CC": ["task.completed"]}),
    "expiration": told("forbidden-property", expiration="60000"),
    "priority": told("forbidden-property", priority=9),
    "100 headers": told("forbidden-property", headers={f"h{n}": n for n in range(100)}),
    "65 headers": told("forbidden-property", headers={f"h{n}": n for n in range(65)}),
    "header of 60 KB": told(None, headers={"x-other": "x" * 60_000}),
    "transient": told(None, delivery_mode=1),
    "plain UTF-8": told(None, content_type=f"{CONTENT_TYPE}; charset=UTF-8"),
    # good form, and still not true
    "no such run": attempt("unknown-run"),
    "valid, and old": said(None, time="2020-01-01T00:00:00Z"),
}
"""``BCC`` is not here: the broker takes it off, and delivers under the key that it has checked."""


@dataclass(frozen=True)
class Story:
    """What became of every row."""

    reasons: Mapping[str, str]
    details: Mapping[str, str]
    recorded: int
    grown: int
    """By how many bytes the process has grown."""

    left: int
    """What is still in the queue of reports."""


@pytest.fixture(scope="module")
def story(servers: Servers) -> Iterator[Story]:
    with servers.vhost() as url:
        yield asyncio.run(_tell(url))


async def _tell(url: str) -> Story:
    store = MemoryStore()
    async with a_broker(url) as broker, recording(store) as recorder:
        await asyncio.to_thread(_send, url)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        consumer = Consumer(broker.connection, REPORTS, prefetch=2_000)
        inbox = Inbox(
            consumer,
            recorder,
            DeadLetters(broker.publisher, SystemClock()),
            gate=Gate(store, recorder, SystemClock()),
        )
        running = asyncio.create_task(inbox.run())
        good = {f"agent:good{number}" for number in range(len(ROWS))}
        await until(lambda: good <= {event.stream for event in store.events}, "good ones are kept")
        refused = [name for name, row in ROWS.items() if row.reason]
        await broker.until_holds(DEAD, len(refused))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        letters = await broker.take(DEAD)
        order = [str(letter.headers[REASON]) for letter in letters]
        details = [str(letter.headers[DETAIL]) for letter in letters]
        return Story(
            reasons=dict(zip(refused, order, strict=True)),
            details=dict(zip(refused, details, strict=True)),
            recorded=len([event for event in store.events if event.stream == "agent:ann"]),
            grown=grown * 1024,
            left=await broker.count(REPORTS),
        )


def _send(url: str) -> None:
    """Send every row with another library: ours would not."""
    with closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()

        def send(key: str, body: bytes, properties: Properties) -> None:
            known = {"content_type": CONTENT_TYPE, "message_id": "row"} | properties
            channel.basic_publish(REPORTS, key, body, pika.BasicProperties(**known), mandatory=True)

        for number, row in enumerate(ROWS.values()):
            send(row.key, row.body, row.properties)
            innocent = hello(f"good{number}")
            send("agent.registered", orjson.dumps(innocent), {"message_id": innocent["id"]})


@pytest.mark.proves("A-01", "A-02", "A-03", "A-04", "A-05", "A-06", "A-07", "A-08", "A-13")
@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.reason])
def test_it_is_a_dead_letter_with_its_reason(story: Story, name: str) -> None:
    assert story.reasons[name] == ROWS[name].reason, story.details[name]
    assert ROWS[name].detail in story.details[name]


@pytest.mark.proves("A-11", "A-14")
def test_what_is_good_is_recorded_once_however_often_it_is_said(story: Story) -> None:
    accepted = [name for name, row in ROWS.items() if row.reason is None]
    assert len(accepted) > 3
    assert story.recorded == 1, "the same report, in other dress"
    assert story.left == 0


@pytest.mark.proves("A-05")
def test_whatever_came_cost_little_memory(story: Story) -> None:
    assert story.grown < 100 * 2**20


@pytest.mark.proves("A-09")
@pytest.mark.real
@pytest.mark.parametrize(
    "properties",
    [{"user_id": "agent.execution.cad"}, {"expiration": "soon"}],
    ids=["another user", "an expiration that is no number"],
)
def test_the_broker_itself_refuses(vhost_url: str, properties: Properties) -> None:
    with closing(pika.BlockingConnection(pika.URLParameters(vhost_url))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.exchange_declare(REPORTS, "topic", durable=True)
        with pytest.raises(pika.exceptions.AMQPError, match=r"406|PRECONDITION"):
            channel.basic_publish(REPORTS, "key", RAW, pika.BasicProperties(**properties))
