"""Dead letters end in the database: each once, however strange it is."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from psycopg_pool import AsyncConnectionPool

from bus.consuming import Consumer
from bus.dead_letter_keeper import DeadLetter, DeadLetterKeeper
from bus.dead_letters import DIED_AT, REASON, DeadLetters
from bus.letters import Chosen, UnknownDeadLetter
from bus.messages import Delivery
from bus.ports import SystemClock
from bus.properties import Properties
from bus.topology import DEAD, WORK, work_key
from domain.errors import UnknownRun
from infra.store.dead_letters import DeadLetterTable
from infra.store.store import DatabaseUnavailable
from tests.support.exchanges import Broker, a_broker

NOOP_WORK = f"{WORK}.{work_key('execution', 'NOOP', 'normal')}"


@pytest.fixture
async def broker(vhost_url: str) -> AsyncIterator[Broker]:
    async with a_broker(vhost_url) as known:
        yield known


@pytest.fixture
async def table(database: str) -> AsyncIterator[DeadLetterTable]:
    pool: AsyncConnectionPool = AsyncConnectionPool(database, min_size=1, open=False)
    async with pool:
        yield DeadLetterTable(pool)


class Flaky:
    """Fails to keep letters, before or after they are kept, so many times."""

    def __init__(self, inner: DeadLetterTable, *, before: int = 0, after: int = 0) -> None:
        self._inner = inner
        self._before = before
        self._after = after

    async def keep(self, letters: Sequence[DeadLetter]) -> None:
        if self._before:
            self._before -= 1
            raise DatabaseUnavailable(OSError("cut"))
        await self._inner.keep(letters)
        if self._after:
            self._after -= 1
            raise DatabaseUnavailable(OSError("cut"))


async def keep_until(
    broker: Broker, table: DeadLetterTable, count: int, *, through: Flaky | None = None
) -> None:
    """Run a keeper until so many letters are kept and none waits."""
    consumer = Consumer(broker.connection, DEAD, prefetch=100)
    keeping = asyncio.create_task(DeadLetterKeeper(consumer, through or table, SystemClock()).run())
    try:
        async with asyncio.timeout(30):
            while await table.count() < count or await broker.count(DEAD):
                assert not keeping.done()
                await asyncio.sleep(0.05)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def refused(number: int, body: bytes = b"{}") -> tuple[Delivery, UnknownRun]:
    delivery = Delivery(
        body=body,
        tag=number,
        exchange="taskloom.reports",
        key="task.started",
        is_redelivered=False,
        properties=Properties(content_type="text/x", message_id=f"m{number}"),
    )
    return delivery, UnknownRun(f"exec_{number}")


async def test_a_refused_message_is_kept_with_its_reason(
    broker: Broker, table: DeadLetterTable
) -> None:
    letters = DeadLetters(broker.publisher, SystemClock())
    await letters.send([refused(1, b"\x00\xff"), refused(2)], queue="taskloom.reports")
    await keep_until(broker, table, 2)
    first, second = await table.some()
    assert (first.reason, first.detail) == ("unknown-run", "there is no run exec_1")
    assert (first.exchange, first.routing_key, first.queue) == (
        "taskloom.reports",
        "task.started",
        "taskloom.reports",
    )
    assert (first.message_id, first.body) == ("m1", b"\x00\xff")
    assert first.properties["content_type"] == "text/x"
    assert second.message_id == "m2"
    assert (await table.show(first.id)).letter == first
    (line,) = await table.list(Chosen(reason="unknown-run"), limit=1)
    assert (line.id, line.size) == (second.id, len(second.body))
    assert await table.list(Chosen(reason="cycle")) == []
    with pytest.raises(UnknownDeadLetter):
        await table.show(first.id + 100)


async def test_letters_are_kept_once_however_often_they_are_read(
    broker: Broker, table: DeadLetterTable
) -> None:
    await DeadLetters(broker.publisher, SystemClock()).send(
        [refused(n) for n in range(20)], queue="q"
    )
    await keep_until(broker, table, 20, through=Flaky(table, after=2))
    assert await table.count() == 20


async def test_two_letters_that_say_the_same_are_two(
    broker: Broker, table: DeadLetterTable
) -> None:
    for _ in range(2):
        await DeadLetters(broker.publisher, SystemClock()).send([refused(1)], queue="q")
    await keep_until(broker, table, 2)


async def test_a_message_that_is_buried_again_when_it_is_delivered_again_is_one_letter(
    broker: Broker, table: DeadLetterTable
) -> None:
    delivery, error = refused(1)
    again = replace(delivery, is_redelivered=True)
    other, _ = refused(2)
    letters = DeadLetters(broker.publisher, SystemClock())
    for buried in (delivery, again, again, replace(other, is_redelivered=True)):
        await letters.send([(buried, error)], queue="q")
    await keep_until(broker, table, 2)
    assert [letter.message_id for letter in await table.some()] == ["m1", "m2"]


async def test_a_message_without_an_id_or_a_type_is_kept_without_them(
    broker: Broker, table: DeadLetterTable
) -> None:
    delivery, error = refused(1)
    bare = replace(delivery, properties=Properties(content_type=None, message_id=None))
    await DeadLetters(broker.publisher, SystemClock()).send([(bare, error)], queue="q")
    await keep_until(broker, table, 1)
    (letter,) = await table.some()
    assert letter.message_id == ""
    assert not letter.properties["content_type"]


async def test_nothing_is_lost_while_the_database_does_not_answer(
    broker: Broker, table: DeadLetterTable
) -> None:
    await DeadLetters(broker.publisher, SystemClock()).send(
        [refused(n) for n in range(3)], queue="q"
    )
    await keep_until(broker, table, 3, through=Flaky(table, before=2))


async def test_what_the_broker_itself_gave_up_has_a_reason_as_well(
    broker: Broker, table: DeadLetterTable
) -> None:
    key = work_key("execution", "NOOP", "normal")
    await broker.tell(WORK, key, b"work", message_id="w-1")
    await broker.until_holds(NOOP_WORK, 1)
    queue = await broker.channel.get_queue(NOOP_WORK, ensure=False)
    got = await queue.get()
    await got.reject(requeue=False)
    await keep_until(broker, table, 1)
    (letter,) = await table.some()
    assert (letter.reason, letter.exchange, letter.queue, letter.routing_key) == (
        "rejected",
        WORK,
        NOOP_WORK,
        key,
    )
    assert (letter.message_id, letter.body) == ("w-1", b"work")


def nested(depth: int) -> dict[str, object]:
    headers: dict[str, object] = {}
    for _ in range(depth):
        headers = {"in": headers}
    return headers


@pytest.mark.parametrize(
    "headers",
    [
        None,
        {REASON: "odd", DIED_AT: "yesterday"},
        {REASON: "odd", DIED_AT: "2026-01-20T11:30:00"},
        {REASON: "nul \x00", "other": "nul \x00 \\u0000"},
        {"x-death": "not a list"},
        {"x-death": ["not a table"]},
        {"x-death": [{"reason": "rejected", "routing-keys": "none"}]},
        {"x-death": [{"reason": 7}]},
        {REASON: "".join(map(str, range(4_000)))},
        nested(300),
        {"deep": {"list": [1, {"x": bytearray(b"\xff\x00")}]}, "number": 2**63 - 1, "none": None},
    ],
    ids=[
        "no headers",
        "no time",
        "no offset",
        "NUL",
        "x-death is text",
        "x-death holds text",
        "keys are text",
        "reason is a number",
        "reason is a book",
        "a deep pit",
        "nested",
    ],
)
async def test_the_strangest_letter_is_kept_and_the_next_one_too(
    broker: Broker, table: DeadLetterTable, headers: dict[str, object] | None
) -> None:
    await broker.tell(DEAD, "any.key", b"strange", headers=headers)  # type: ignore[arg-type] # what AMQP has
    await DeadLetters(broker.publisher, SystemClock()).send([refused(1)], queue="q")
    await keep_until(broker, table, 2)
    bodies = {letter.body for letter in await table.some()}
    assert bodies == {b"strange", b"{}"}
