"""The doctor finds what is astray, says how to repair it, and does not cry wolf."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aio_pika
import pytest
from psycopg_pool import AsyncConnectionPool

from bus.topology import WORK, declare, topology
from infra.cli.health.findings import Finding
from infra.cli.health.flow import look_at_flow
from infra.cli.health.waiting import look_at_waiting
from infra.cli.reading import Record
from infra.store.store import PostgresStore
from infra.store.suspects import SuspectTable
from tests.support.making import RUN_ID, after, failed, requested, started, task
from tests.support.recording import recorded
from tests.support.watched_run import WatchedRun

LEASE = timedelta(seconds=2)


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Record]:
    pool: AsyncConnectionPool = AsyncConnectionPool(
        database, min_size=1, max_size=3, open=False, kwargs={"autocommit": True}
    )
    async with pool, PostgresStore(database) as store:
        yield Record(dsn=database, store=store, pool=pool)


@pytest.fixture
def run(opened: Record) -> WatchedRun:
    """A run that began a minute ago."""
    run = WatchedRun(opened.pool)
    run.history.now = datetime.now(UTC) - timedelta(seconds=60)
    return run


async def found(opened: Record, url: str | None = None) -> dict[str, Finding]:
    return {one.what: one for one in await look_at_waiting(opened, lease=LEASE, url=url)}


async def damage(opened: Record, statement: str) -> None:
    async with opened.pool.connection() as connection:
        await connection.execute(statement.encode())


async def test_what_stands_well_is_counted(opened: Record, run: WatchedRun) -> None:
    run.begin(task("a"), task("b", "a"), task("c", "a"))
    await run.show()
    seen = await found(opened)
    assert set(seen) == {"unfinished tasks"}
    assert seen["unfinished tasks"].found == (
        "3, each stands somewhere: 1 in queues, 2 behind others"
    )


async def test_an_orphan_is_named_with_its_repair(opened: Record, run: WatchedRun) -> None:
    run.begin(task("a"), task("b", "a"))
    await run.show()
    await damage(opened, "update views.tasks_2 set status = 'pending' where task_id = 'a'")
    orphans = (await found(opened))["orphans"]
    assert orphans.level == "fail"
    assert orphans.found == f"1 tasks wait for nothing: {RUN_ID} a (pending)"
    assert "projection verify" in orphans.advice


async def test_what_is_only_on_its_way_is_no_orphan(opened: Record, run: WatchedRun) -> None:
    run.begin(task("a"))
    await run.show()
    await damage(opened, "update views.tasks_2 set status = 'pending'")

    async def arrive() -> None:
        await asyncio.sleep(0.5)
        await damage(opened, "update views.tasks_2 set status = 'dispatched'")

    seen, _ = await asyncio.gather(found(opened), arrive())
    assert set(seen) == {"unfinished tasks"}


async def test_leases_and_timers_that_nobody_keeps_are_told(
    opened: Record, run: WatchedRun
) -> None:
    run.begin(task("a", timeouts={"run": 5}))
    run.history.say(started("a"))
    await run.show()
    seen = await found(opened)
    assert (seen["leases"].level, seen["timers"].level) == ("fail", "fail")
    assert "serve coordinator" in seen["leases"].advice


async def test_a_question_to_a_person_is_no_failure(opened: Record, run: WatchedRun) -> None:
    run.begin(task("a"), task("b", "a"), task("c"))
    run.history.say(failed("a", error_class="validation"))
    await run.show()
    await damage(opened, "update views.tasks_2 set status = 'pending' where task_id = 'b'")
    questions = (await found(opened))["questions"]
    assert questions.level == "warn"
    assert f"taskloom why {RUN_ID} b" in questions.advice


async def test_a_queue_that_lacks_its_work_differs_from_one_without_agents(
    opened: Record, run: WatchedRun, vhost_url: str
) -> None:
    run.begin(task("a"))
    await run.show()
    lacking = (await found(opened, vhost_url))["queue execution.noop.normal"]
    assert (lacking.level, lacking.found.partition(":")[0]) == ("warn", "is not there yet")
    connection = await aio_pika.connect(vhost_url)
    async with connection:
        channel = await connection.channel()
        await declare(channel, topology(planning=(), execution=("NOOP",)))
        empty = (await found(opened, vhost_url))["queue execution.noop.normal"]
        assert (empty.level, empty.found) == (
            "fail",
            f"is empty, and 1 tasks should be in it: {RUN_ID} a (dispatched)",
        )
        exchange = await channel.get_exchange(WORK, ensure=False)
        await exchange.publish(aio_pika.Message(b"a"), routing_key="execution.noop.normal")
        waits = (await found(opened, vhost_url))["queue execution.noop.normal"]
        assert waits.level == "warn"
        assert "taskloom agent agents.workers.noop" in waits.advice


async def test_events_that_nobody_publishes_and_a_missing_lead_are_told(
    opened: Record, run: WatchedRun
) -> None:
    await run.show()
    events = after(requested(task("a")), started("a"))
    await opened.store.append([recorded(RUN_ID, n, each) for n, each in enumerate(events, start=1)])
    await SuspectTable(opened.pool).enter(["killer"])
    await SuspectTable(opened.pool).enter(["killer"])
    seen = {one.what: one for one in await look_at_flow(opened)}
    for what in ("coordinator", "published", "reactions", "projector"):
        assert seen[what].level == "fail", what
    assert "3 positions behind" in seen["published"].found
    assert seen["suspects"].level == "warn"
    await opened.store.advance("relay", await opened.store.head())
    seen = {one.what: one for one in await look_at_flow(opened)}
    assert seen["published"].level == "ok"
