"""The tables beside the log: away while the database is, and safe from what agents send."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from psycopg_pool import AsyncConnectionPool

from bus.refusals import BadSchema
from bus.signals import Heartbeat, decode_heartbeat
from domain.leases import WorkKind
from domain.run_events import TaskDispatched
from infra.chaos.proxy import Proxy, proxied
from infra.store.asked import AskedKeys
from infra.store.attempts import OpenAttempts
from infra.store.dead_letters import DeadLetterTable
from infra.store.parked import ParkedEvents
from infra.store.presence import PresenceTable
from infra.store.store import DatabaseUnavailable, PostgresStore
from infra.store.suspects import SuspectTable
from projections.attempts import ATTEMPTS
from projections.postgres import PostgresViews
from projections.runner import Runner
from tests.support.making import RUN_ID, after, failed, requested, started, task
from tests.support.recording import recorded
from tests.support.scenario import NOW as AT

NOW = datetime(2026, 1, 20, 12, 0, tzinfo=UTC)
second = timedelta(seconds=1)


def heartbeat(**changes: object) -> Heartbeat:
    known: dict[str, object] = {
        "agent_id": "ann",
        "agent_type": "NOOP",
        "role": "execution",
        "instance": "1",
        "lifecycle": "ready",
        "load": 0.5,
        "at": NOW,
        "cpu": 0.1,
        "memory_bytes": 1,
    }
    return Heartbeat.model_validate(known | changes)


@pytest.fixture
async def cut_off(database: str) -> AsyncIterator[tuple[AsyncConnectionPool, Proxy]]:
    async with proxied(database) as (dsn, proxy):
        pool: AsyncConnectionPool = AsyncConnectionPool(dsn, timeout=1, open=False)
        async with pool:
            await pool.wait()
            proxy.swallows = lambda _: True
            yield pool, proxy


async def test_without_the_database_every_table_is_unavailable(
    cut_off: tuple[AsyncConnectionPool, Proxy],
) -> None:
    pool, _ = cut_off
    presence, letters = PresenceTable(pool), DeadLetterTable(pool)
    attempts = OpenAttempts(pool, PostgresStore(""))
    for question in (
        presence.seen([heartbeat()], NOW),
        presence.agents(),
        letters.count(),
        attempts.started(before=NOW),
        attempts.late(before=NOW, published=1),
    ):
        with pytest.raises(DatabaseUnavailable):
            await question


async def test_a_message_is_in_the_ledger_from_before_it_is_read_until_it_is_answered(
    database: str,
) -> None:
    pool: AsyncConnectionPool = AsyncConnectionPool(database, open=False)
    async with pool:
        ledger = SuspectTable(pool)
        await ledger.enter(["a", "b", "b"])
        await ledger.enter(["b"])
        assert await ledger.entries(["a", "b", "c"]) == {"a": 1, "b": 2}
        await ledger.clear(["a", "c"])
        assert await ledger.entries(["a", "b", "c"]) == {"b": 2}


async def test_what_is_parked_is_known_until_it_is_released(database: str) -> None:
    pool: AsyncConnectionPool = AsyncConnectionPool(database, open=False)
    async with pool:
        parked = ParkedEvents(pool)
        for position in (9, 3, 3):
            await parked.park("relay", position, stream=f"s{position}", why="x" * 5_000)
        await parked.park("reactions", 3, stream="s3", why="")
        assert await parked.parked("relay") == [3, 9]
        assert await parked.streams() == ["s3", "s9"]
        await parked.release("relay", 9)
        assert await parked.parked("relay") == [3]
        assert await parked.streams() == ["s3"]


async def test_the_smallest_and_the_largest_heartbeat_can_be_kept(database: str) -> None:
    pool: AsyncConnectionPool = AsyncConnectionPool(database, open=False)
    async with pool:
        table = PresenceTable(pool)
        least = heartbeat(agent_id="a", load=1e-300, cpu=5e-324, memory_bytes=0)
        most = heartbeat(agent_id="b", load=1e6, cpu=1e6, memory_bytes=2**63 - 1)
        await table.seen([least, most], NOW)
        assert await table.agents() == ["a", "b"]


@pytest.mark.parametrize("what", ["load", "cpu"])
def test_a_heartbeat_that_no_table_could_keep_is_refused(what: str) -> None:
    said = heartbeat().model_dump_json().replace(f'"{what}":0.', f'"{what}":1e300,"x":0.')
    with pytest.raises(BadSchema, match=what):
        decode_heartbeat(said.encode())


async def test_attempts_that_wait_are_counted_and_listed_by_when_they_are_due(
    database: str,
) -> None:
    pool: AsyncConnectionPool = AsyncConnectionPool(
        database, min_size=1, open=False, kwargs={"autocommit": True}
    )
    async with pool, PostgresStore(database) as store:
        run = requested(task("a"), task("b", "a"), task("c", agent="CAD"), task("d"))
        events = list(after(run, started("d"), failed("d")))
        dispatched = events.pop()
        assert isinstance(dispatched, TaskDispatched)
        rest = timedelta(seconds=dispatched.delay)
        assert rest >= second
        await store.append([recorded(RUN_ID, n, each) for n, each in enumerate(events, start=1)])
        await store.append([recorded(RUN_ID, len(events) + 1, dispatched)])
        runner = Runner(views=[ATTEMPTS], log=store.log(), store=PostgresViews(pool))
        await runner.prepare()
        await runner.catch_up()
        attempts = OpenAttempts(pool, store)
        last = await attempts.recorded()
        assert await attempts.followed() == last
        assert await attempts.published() == 0
        await store.advance("relay", last)
        assert await attempts.published() == last

        noop: WorkKind = ("execution", "NOOP", "normal")
        late = await attempts.late(before=AT + second, published=last)
        assert late == {("execution", "CAD", "normal"): 1, noop: 1}
        assert await attempts.late(before=AT, published=last) == {}
        assert await attempts.late(before=AT + rest + second, published=1) == {}
        assert (await attempts.late(before=AT + rest + second, published=last))[noop] == 2
        assert await attempts.delayed(after=AT, beyond=0, published=last) == {
            (dispatched.delay, dispatched.role, dispatched.agent): 1
        }
        assert await attempts.delayed(after=AT + rest, beyond=0, published=last) == {}
        assert await attempts.delayed(after=AT, beyond=last, published=last) == {}
        (again,) = await attempts.waiting_for(dispatched.delay, after=AT, beyond=0, published=last)
        assert (again.task_id, again.epoch, again.due) == ("d", 2, AT + rest)

        async def tasks_due(start: datetime, end: datetime, beyond: int = 0) -> list[str]:
            found = await attempts.waiting(
                noop, after=start, before=end, beyond=beyond, published=last
            )
            return [each.task_id for each in found]

        assert await tasks_due(AT, AT + rest + second) == ["a", "d"]
        assert await tasks_due(AT, AT + second) == ["a"]
        assert await tasks_due(AT + rest, AT + rest + second) == ["d"]
        assert await tasks_due(AT, AT + rest + second, again.position - 1) == ["d"]
        (event,) = await attempts.work_of([again])
        assert event.event == dispatched
        assert event.position == again.position


async def test_a_key_is_claimed_once_for_each_question_and_caller(database: str) -> None:
    async with AsyncConnectionPool(database, open=False) as pool:
        keys = AskedKeys(pool)
        assert await keys.claim("users/ann", "k", b"1") is True
        assert await keys.claim("users/ann", "k", b"1") is False
        assert await keys.claim("users/ann", "k", b"2") is None
        assert await keys.claim("users/bob", "k", b"2") is True
        await keys.release("users/ann", "k")
        assert await keys.claim("users/ann", "k", b"2") is True
        async with pool.connection() as connection:
            await connection.execute("update idempotency_keys set asked_at = '2000-01-01'")
        assert await keys.claim("users/ann", "other", b"3") is True
        assert await keys.claim("users/bob", "k", b"4") is True  # the old one is forgotten
