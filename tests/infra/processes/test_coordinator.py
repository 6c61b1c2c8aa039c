"""The coordinator goes on, whatever is taken away from under it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest
from aio_pika.abc import AbstractChannel
from psycopg_pool import AsyncConnectionPool

from bus.messages import Message
from bus.ports import SystemClock
from bus.recorder import Recorder
from bus.topology import EVENTS, REPORTS, WORK, Topology, work_key
from infra.processes import coordinator, declaring
from infra.settings import Settings
from infra.store.dead_letters import DeadLetterTable
from infra.store.store import PostgresStore
from projections.postgres import ViewsUnavailable
from projections.runner import Runner
from tests.support.exchanges import Broker, a_broker
from tests.support.making import RUN_ID, requested, task
from tests.support.recording import said

QUEUE = f"{WORK}.{work_key('execution', 'NOOP', 'normal')}"


@asynccontextmanager
async def coordinating(database: str, vhost_url: str) -> AsyncGenerator[asyncio.Task[None]]:
    settings = Settings.model_validate({"db": {"dsn": database}, "amqp": {"url": vhost_url}})
    running = asyncio.create_task(coordinator.run(settings))
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def record(database: str, number: int) -> None:
    """Record a run of one task, as the API would."""
    async with PostgresStore(database) as store:
        recorder = Recorder(store, SystemClock())
        recording = asyncio.create_task(recorder.run())
        run = requested(task("a"), run_id=f"{RUN_ID}{number}")
        await recorder.record(said(run, report_id=f"run-{number}"))
        recording.cancel()


async def until_settled(broker: Broker, database: str) -> None:
    """Wait until a report has gone all the way: a consumer that begins declares what is missing."""
    await broker.tell(REPORTS, "nonsense", b"")
    pool: AsyncConnectionPool = AsyncConnectionPool(database, min_size=1, open=False)
    async with pool, asyncio.timeout(20):
        while not await DeadLetterTable(pool).count():  # noqa: ASYNC110 # it is another's to know
            await asyncio.sleep(0.05)


async def test_an_exchange_that_somebody_deletes_comes_back_with_what_was_owed(
    database: str, vhost_url: str
) -> None:
    async with a_broker(vhost_url) as broker, coordinating(database, vhost_url) as running:
        await record(database, 1)
        await broker.until_holds(QUEUE, 1)
        await until_settled(broker, database)
        for exchange in (EVENTS, WORK):
            await broker.channel.exchange_delete(exchange)
        await record(database, 2)
        await broker.until_holds(QUEUE, 2)
        await broker.publisher.publish(
            Message(exchange=EVENTS, key="x", body=b"{}", message_id="1", type="x", mandatory=False)
        )
        assert not running.done()


async def test_one_that_starts_while_its_connection_is_lost_declares_again(
    database: str, vhost_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    really = declaring.declare

    async def declare(channel: AbstractChannel, queues: Topology) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionResetError("the connection was lost on the way")
        await really(channel, queues)

    monkeypatch.setattr(declaring, "declare", declare)
    async with a_broker(vhost_url) as broker, coordinating(database, vhost_url) as running:
        await record(database, 1)
        await broker.until_holds(QUEUE, 1)
        assert not running.done()


async def test_one_that_starts_while_the_views_do_not_answer_goes_on(
    database: str, vhost_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = 0
    really = Runner.prepare

    async def prepare(runner: Runner) -> None:
        nonlocal prepared
        prepared += 1
        if prepared == 1:
            raise ViewsUnavailable(ConnectionError("the database is starting up"))
        await really(runner)

    monkeypatch.setattr(Runner, "prepare", prepare)
    async with a_broker(vhost_url) as broker, coordinating(database, vhost_url) as running:
        await record(database, 1)
        await broker.until_holds(QUEUE, 1)
        assert not running.done()
    assert prepared > 1


async def test_one_that_is_told_to_end_while_it_starts_ends_though_a_call_forgets_it(
    database: str, vhost_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()
    really = declaring.declare

    async def declare(channel: AbstractChannel, queues: Topology) -> None:
        await really(channel, queues)
        begun.set()
        with suppress(asyncio.CancelledError):  # as wait_for does before Python 3.12
            await asyncio.sleep(5)

    monkeypatch.setattr(declaring, "declare", declare)
    settings = Settings.model_validate({"db": {"dsn": database}, "amqp": {"url": vhost_url}})
    running = asyncio.create_task(coordinator.run(settings))
    await begun.wait()
    running.cancel()
    ended, _ = await asyncio.wait({running}, timeout=4)
    assert ended
    assert running.cancelled()
